"""A role taken up again by the same lineage after its sessions were revoked."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from tokentrail.detection.cited_events import issuance_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.revocations import REVOCATION_READS, Revocation, add_revocations
from tokentrail.detection.views import PRINCIPAL_IPS, WORKLOAD_STARTS, with_lineage_start
from tokentrail.formatting import at, counted, enumerated
from tokentrail.lineage.rows import Row

_REVOKED = with_lineage_start(
    "SELECT r.event AS by_event, r.done_at, r.role, k.root_n, k.n FROM revoked r JOIN credential_details k ON k.n = r.n"
)
_MINTED = with_lineage_start("""
    SELECT c.by_event, c.done_at, c.lineage_start AS revoked_start, k.*
    FROM (SELECT DISTINCT by_event, done_at, role, root_n, lineage_start FROM revoked_now) c
    JOIN credential_details k ON k.root_n = c.root_n AND k.into_role = c.role AND k.issued_time > c.done_at
    WHERE k.n NOT IN (SELECT n FROM ended)""")
_AGAIN = f"""
    SELECT k.*, p.kind AS parent_kind, p.person AS parent_person, h.first AS home_since, h.elsewhere,
           (SELECT count(*) FROM credential_details e WHERE e.into_role = k.into_role AND e.parent_n IS NOT NULL
            AND e.issued_time < k.done_at AND e.root_n = k.root_n) AS before
    FROM ({_MINTED}) k
    LEFT JOIN credential_details p ON p.n = k.parent_n
    LEFT JOIN principal_ips h ON h.person = p.person AND h.ip = k.issue_ip
    WHERE k.lineage_start = k.revoked_start
    ORDER BY k.by_event, k.lineage_start, k.issued_time, k.n"""


def find(context: DetectionContext) -> Iterator[Hit]:
    """For each revocation and lineage, look at what the lineage minted of the role afterwards."""
    revocations = [
        one
        for one in context.revoked_sessions()
        if one.credential["into_role"] and one.credential["kind"] != "service_role"
    ]
    if not revocations:
        return
    add_revocations(context, "revoked", revocations)
    context.table("revoked_now", _REVOKED)
    whose = {
        row["n"]: row["lineage_start"]
        for row in context.rows("SELECT DISTINCT n, lineage_start FROM revoked_now")
    }
    ended = {one.credential["n"] for one in (*context.revoked_keys(), *context.revoked_sessions())}
    context.add_table("ended", {"n": pa.array(sorted(ended), pa.int64())})
    stories: dict[tuple[str, int], list[Row]] = {}
    for row in context.rows(_AGAIN):
        stories.setdefault((row["by_event"], row["lineage_start"]), []).append(row)
    of: dict[tuple[str, int], list[Revocation]] = {}
    for one in revocations:
        of.setdefault((one.event, whose[one.credential["n"]]), []).append(one)
    for (by, root), found in sorted(stories.items()):
        mine = of[by, root]
        signs = _signs(context, mine, found)
        if signs:
            yield _hit(context, mine, found, signs, by)


def _signs(context: DetectionContext, mine: list[Revocation], found: list[Row]) -> list[str]:
    """What tells a thief's return from a colleague's signing in again."""
    parents = {one.credential["parent_n"] for one in mine}
    keys = {one.credential["n"]: one for one in context.revoked_keys()}
    signs = []
    if found[0]["lineage_start"] in keys:
        signs.append("the key at the top of the lineage had been cut")
    if any(row["parent_n"] not in parents for row in found):
        signs.append("another credential of the lineage minted it than had minted the revoked one")
    fresh = context.thresholds.whole("new_for")
    if any(
        row["home_since"] is not None
        and row["home_since"] > row["issued_time"] - fresh
        and row["elsewhere"] >= context.thresholds["habit_calls"]
        and not context.familiar(row["parent_person"], row["issue_ip"], row["home_since"])
        for row in found
    ):
        signs.append("from an address that is new to whoever minted it")
    portable = any(
        row["parent_kind"] in ("long_term_key", "session_token", "federation_token") for row in found
    )
    if portable and found[0]["before"] < context.thresholds["mints_are_habit"]:
        signs.append("with a credential that can be carried off, which had rarely taken up this role before")
    return signs


def _hit(
    context: DetectionContext, mine: list[Revocation], found: list[Row], signs: list[str], by: str
) -> Hit:
    severity: Severity = "critical" if len(signs) > 1 else "high"
    root = context.credentials([found[0]["lineage_start"]])[found[0]["lineage_start"]]
    return Hit(
        about=(by, root["id"]),
        time=found[0]["issued_time"],
        severity=severity,
        why=f"{mine[0].event_name} revoked {named(mine[0].credential)} at {at(mine[0].done_at)}; the same lineage, "
        f"under {named(root)}, then minted {counted(len(found), 'session')} of the role again, first at "
        f"{at(found[0]['issued_time'])}: {enumerated(row['id'] for row in found)}; {enumerated(signs)}.",
        subject=root["n"],
        places=(root["n"], *(one.credential["n"] for one in mine), *(row["n"] for row in found)),
        events=(by, *(issuance_of(row) for row in found)),
        count=len(found),
        thresholds=("new_for", "habit_calls", "mints_are_habit"),
    )


RULE = Rule(
    id="minted-again",
    title="Role re-assumed after session revocation",
    severity="critical",
    attack=("T1550.001", "T1078.004"),
    why="Revoking a role's sessions ends those issued before the cutoff and no later one. A credential upstream that "
    "still works mints the next at once.",
    false_alarm="A colleague who works in the role signs in again after a revocation: by the same credential, from the "
    "same place as before. Such returns are left out; what is left differs in what the finding says.",
    references=("IAM User Guide, 'Revoking IAM role temporary security credentials'",),
    find=find,
    reads=(*REVOCATION_READS, PRINCIPAL_IPS, WORKLOAD_STARTS),
    thresholds=("new_for", "habit_calls", "mints_are_habit"),
)
