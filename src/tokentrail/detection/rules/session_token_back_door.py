"""A session token kept as a way back in."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.cited_events import issuance_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.revocations import REVOCATION_READS
from tokentrail.detection.views import CREDENTIAL_IPS, PRINCIPAL_IPS
from tokentrail.formatting import at, lasting
from tokentrail.lineage.rows import Row

_TOKENS = """
    SELECT k.*, h.first AS home_since, h.elsewhere,
           coalesce(c.children, 0) AS children,
           coalesce(e.first < k.issued_time - ?, FALSE) AS before,
           (SELECT count(*) FROM credential_ips s JOIN principal_ips v ON v.person = k.person AND v.ip = s.ip
            WHERE s.n = k.n AND s.ip <> k.issue_ip AND v.first > k.issued_time) AS moved
    FROM credential_details k LEFT JOIN principal_ips h ON h.person = k.person AND h.ip = k.issue_ip
    LEFT JOIN (SELECT person, min(issued_time) AS first FROM credential_details
               WHERE kind = 'session_token' GROUP BY person) e
      ON e.person = k.person
    LEFT JOIN (SELECT parent_n, count(*) AS children FROM credential_details GROUP BY parent_n) c ON c.parent_n = k.n
    WHERE k.kind = 'session_token' AND k.api = 'GetSessionToken' AND k.mfa_serial IS NULL
      AND coalesce(k.mfa, FALSE) = FALSE AND k.caller_service IS NULL
    ORDER BY k.issued_time, k.n"""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Weigh each session token that was minted without a second factor."""
    keys = {one.credential["n"]: one.done_at for one in context.revoked_keys()}
    many = context.thresholds.whole("many_signs")
    for row in list(context.rows(_TOKENS, (context.thresholds.whole("first_within"),))):
        signs, worst = _signs(context, row, keys)
        if len(signs) >= many:
            severity: Severity = "critical" if worst else "high" if len(signs) > many else "medium"
            event = issuance_of(row)
            yield Hit(
                about=(row["id"], event),
                time=row["issued_time"],
                severity=severity,
                why=f"{named(row)} was minted at {at(row['issued_time'])} without a second factor; {', '.join(signs)}.",
                subject=row["root_n"],
                places=(row["root_n"], row["n"]),
                events=(event,),
                count=1 + row["children"],
                thresholds=("many_signs", "long_life", "new_for", "habit_calls", "dormant", "first_within"),
            )


def _signs(context: DetectionContext, row: Row, keys: dict[int, int]) -> tuple[list[str], bool]:
    bars, signs = context.thresholds, []
    life = (row["expires_at"] or row["issued_time"]) - row["issued_time"]
    if life > bars["long_life"]:
        signs.append(f"for {lasting(life)}")
    if (
        row["home_since"] is not None
        and row["home_since"] > row["issued_time"] - bars["new_for"]
        and row["elsewhere"] >= bars["habit_calls"]
        and not context.familiar(row["person"], row["issue_ip"], row["home_since"])
    ):
        whence = context.addresses.in_words(row["issue_ip"])
        signs.append(f"from {whence}, an address new to {row['person'].rpartition(':')[2]}")
    if row["moved"]:
        signs.append("used from an address that its user was never seen at before")
    idle = (row["first"] or int(context.as_of.timestamp())) - row["issued_time"]
    if idle >= bars["dormant"]:
        signs.append(f"left unused for {lasting(idle)}")
    if row["children"]:
        signs.append(f"and then used to mint {row['children']} more")
    if not row["before"]:
        signs.append("the first that its user was seen to mint")
    revoked_at = keys.get(row["parent_n"])
    after = revoked_at is not None and row["last"] is not None and row["last"] > revoked_at
    if after:
        signs.append("and used after the key behind it was cut")
    return signs, after and row["children"] > 0


RULE = Rule(
    id="session-token-back-door",
    title="A session token is kept as a way back in",
    severity="critical",
    attack=("T1550.001", "T1098.001"),
    why="GetSessionToken needs no permission and no policy can forbid it. Its token lives for up to 36 hours, can't be "
    "listed, deactivated or revoked by itself, outlives its key, and can assume every role that its user can.",
    false_alarm="Tools that ask for a second factor use GetSessionToken all day, and they name its device: those are "
    "left out. Ask the user whether a script of theirs mints such tokens, and from where.",
    references=(
        "AWS STS API Reference, 'GetSessionToken'",
        "Netskope Threat Labs, 'Securing AWS Temporary Tokens'",
        "Sigma, aws_sts_getsessiontoken_misuse; Elastic, issue 5274 (its noise)",
    ),
    find=find,
    reads=(*REVOCATION_READS, CREDENTIAL_IPS, PRINCIPAL_IPS),
    prefilter=frozenset({"session_token"}),
    thresholds=("many_signs", "long_life", "new_for", "habit_calls", "dormant", "first_within"),
)
