"""A session token kept as a way back in."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.homes import familiar
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.scene import Scene
from tokentrail.detection.wording import at, named, span
from tokentrail.lineage.rows import Row, event_id

_TOKENS = """
    SELECT k.*, h.first AS home_since, h.elsewhere,
           coalesce(c.children, 0) AS children,
           coalesce(e.first < k.issued_time - ?, FALSE) AS before,
           (SELECT count(*) FROM stays s JOIN homes v ON v.person = k.person AND v.ip = s.ip
            WHERE s.n = k.n AND s.ip <> k.issue_ip AND v.first > k.issued_time) AS moved
    FROM known k LEFT JOIN homes h ON h.person = k.person AND h.ip = k.issue_ip
    LEFT JOIN (SELECT person, min(issued_time) AS first FROM known WHERE kind = 'session_token' GROUP BY person) e
      ON e.person = k.person
    LEFT JOIN (SELECT parent_n, count(*) AS children FROM known GROUP BY parent_n) c ON c.parent_n = k.n
    WHERE k.kind = 'session_token' AND k.api = 'GetSessionToken' AND k.mfa_serial IS NULL
      AND coalesce(k.mfa, FALSE) = FALSE AND k.caller_service IS NULL
    ORDER BY k.issued_time, k.n"""


def find(scene: Scene) -> Iterator[Hit]:
    """Weigh each session token that was minted without a second factor."""
    keys = {one.row["n"]: one.done_at for one in scene.cut_keys()}
    many = scene.thresholds.whole("many_signs")
    for row in list(scene.rows(_TOKENS, (scene.thresholds.whole("first_within"),))):
        signs, worst = _signs(scene, row, keys)
        if len(signs) >= many:
            severity: Severity = "critical" if worst else "high" if len(signs) > many else "medium"
            event = event_id(row["issue_event"], row["issue_text"]) or ""
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


def _signs(scene: Scene, row: Row, keys: dict[int, int]) -> tuple[list[str], bool]:
    bars, signs = scene.thresholds, []
    life = (row["expires_at"] or row["issued_time"]) - row["issued_time"]
    if life > bars["long_life"]:
        signs.append(f"for {span(life)}")
    if (
        row["home_since"] is not None
        and row["home_since"] > row["issued_time"] - bars["new_for"]
        and row["elsewhere"] >= bars["habit_calls"]
        and not familiar(scene, row["person"], row["issue_ip"], row["home_since"])
    ):
        whence = scene.addresses.in_words(row["issue_ip"])
        signs.append(f"from {whence}, an address new to {row['person'].rpartition(':')[2]}")
    if row["moved"]:
        signs.append("used from an address that its user was never seen at before")
    idle = (row["first"] or int(scene.as_of.timestamp())) - row["issued_time"]
    if idle >= bars["dormant"]:
        signs.append(f"left unused for {span(idle)}")
    if row["children"]:
        signs.append(f"and then used to mint {row['children']} more")
    if not row["before"]:
        signs.append("the first that its user was seen to mint")
    cut = keys.get(row["parent_n"])
    after = cut is not None and row["last"] is not None and row["last"] > cut
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
    marks=frozenset({"session_token"}),
    thresholds=("many_signs", "long_life", "new_for", "habit_calls", "dormant", "first_within"),
)
