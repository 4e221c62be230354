"""A credential that comes through the VPC endpoint of an account that nobody knows."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.cited_events import first_events
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.views import CREDENTIAL_DETAILS, CREDENTIAL_EVENTS, LOGGED
from tokentrail.events.vocabulary import VPC_ENDPOINT
from tokentrail.formatting import at, counted, enumerated
from tokentrail.lineage.rows import Row

_THROUGH = f"""
    SELECT d.n, d.endpoint_account AS owner, count(*) AS events, min(d.time) AS first,
           min(CASE WHEN regexp_matches(d.endpoint, '^{VPC_ENDPOINT}$') THEN d.endpoint END) AS endpoint
    FROM some_credential_events d
    WHERE d.endpoint_account IS NOT NULL AND NOT d.forwarded AND regexp_matches(d.endpoint_account, '^[0-9]{{12}}$')
    GROUP BY d.n, d.endpoint_account"""
_THROUGH_IN_ALL = """
    SELECT n, owner, CAST(sum(events) AS BIGINT) AS events, min(first) AS first, min(endpoint) AS endpoint
    FROM {parts} GROUP BY n, owner"""
_STRANGE = f"SELECT * FROM through WHERE owner NOT IN ({LOGGED})"
_USES = """
    SELECT s.owner, s.endpoint, s.events, s.first AS came, k.* FROM strange s JOIN credential_details k ON k.n = s.n
    WHERE k.seen_account IS NULL OR k.seen_account <> s.owner
    ORDER BY s.owner, came, k.id"""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Look for owners of endpoints whose trails the case does not hold; one finding an owner and lineage."""
    if not context.batched_table("through", _THROUGH, _THROUGH_IN_ALL):
        return  # most cases have no such call, and whose trails they hold need not be asked
    context.table("strange", _STRANGE)
    by_owner: dict[str, list[Row]] = {}
    for row in context.rows(_USES):
        by_owner.setdefault(row["owner"], []).append(row)
    if not by_owner:
        return
    comers = {row["n"] for rows in by_owner.values() for row in rows}
    first = first_events(context, comers, by="endpoint_account", where="NOT d.forwarded")
    begin = context.history()[0] + 86_400 * context.thresholds["habit_days"]
    for owner, uses in sorted(by_owner.items()):
        if len({row["person"] for row in uses}) >= context.thresholds["shared_endpoint"]:
            continue  # the network account of an organisation, which many come through
        lineages: dict[int, list[Row]] = {}
        for row in uses:
            lineages.setdefault(row["root_n"], []).append(row)
        unheard_of = min(row["came"] for row in uses) >= begin
        for found in lineages.values():
            yield _hit(owner, found, [first[row["n"], owner][0] for row in found], unheard_of=unheard_of)


def _hit(owner: str, found: list[Row], events: list[str], *, unheard_of: bool) -> Hit:
    severity: Severity = "high" if unheard_of else "medium"
    start = min(row["came"] for row in found)
    count = sum(row["events"] for row in found)
    through = enumerated(sorted({row["endpoint"] for row in found if row["endpoint"]})) or "a VPC endpoint"
    habit = "nobody had come from there before" if unheard_of else "the case is too short to tell a habit"
    return Hit(
        about=(found[0]["id"], owner),
        time=start,
        severity=severity,
        why=f"{enumerated(named(row) for row in found)} made {counted(count, 'call')}, first at {at(start)}, through "
        f"{through} of account {owner}, whose trail is not in this case; {habit}.",
        subject=found[0]["n"],
        places=tuple(row["n"] for row in found),
        events=tuple(events),
        count=count,
        thresholds=("habit_days", "shared_endpoint"),
    )


RULE = Rule(
    id="strange-endpoint",
    title="A credential is used through a stranger's VPC endpoint",
    severity="high",
    attack=("T1552.005", "T1078.004"),
    why="Traffic takes the private way out of somebody's VPC: whoever holds the credential works inside an AWS "
    "account that is not yours, where no rule about addresses sees anything odd.",
    false_alarm="A network account of your organisation whose trail the case does not hold, or a supplier who works "
    "from an account of theirs. Look the account up; ingest its trail, or allow it.",
    references=(
        "AWS CloudTrail User Guide, 'CloudTrail record contents': vpcEndpointAccountId (since eventVersion 1.09)",
        "Amazon GuardDuty, 'InstanceCredentialExfiltration.InsideAWS'",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, CREDENTIAL_EVENTS),
    thresholds=("habit_days", "shared_endpoint"),
)
