"""Roles that assume each other in turn, to stay in for ever."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.cited_events import issuance_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named, short
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.views import CREDENTIAL_DETAILS, WORKLOAD_STARTS, with_lineage_start
from tokentrail.formatting import at, counted, enumerated
from tokentrail.lineage.rows import Row

_ROLES = """
    SELECT into_role, CAST(row_number() OVER () AS INTEGER) AS role
    FROM (SELECT DISTINCT into_role FROM credential_details WHERE into_role IS NOT NULL)"""
_HOPS = """
    SELECT k.n, k.parent_n, r.role, k.depth > 1 AND k.kind = 'assumed_role' AND k.parent_link <> 'created' AS taken
    FROM credential_details k LEFT JOIN roles r ON r.into_role = k.into_role"""
"""Numbers instead of names: there are as many as credentials, and each is looked up four times."""
_RETURNED = """
    SELECT c.n, p.role AS through,
           CASE WHEN g.role = c.role THEN g.n WHEN h.role = c.role THEN h.n ELSE i.n END AS left_n
    FROM hops c
    JOIN hops p ON p.n = c.parent_n AND p.role <> c.role
    LEFT JOIN hops g ON g.n = p.parent_n
    LEFT JOIN hops h ON h.n = g.parent_n
    LEFT JOIN hops i ON i.n = h.parent_n
    WHERE c.taken AND c.role IN (coalesce(g.role, 0), coalesce(h.role, 0), coalesce(i.role, 0))"""
_RETURNS = (
    with_lineage_start("""
    SELECT k.n, k.root_n, k.into_role, k.issued_time, k.issue_event, k.issue_text, r.into_role AS through, c.left_n
    FROM returned c JOIN credential_details k ON k.n = c.n JOIN roles r ON r.role = c.through""")
    + " ORDER BY lineage_start, issued_time, k.n"
)
"""Sessions of a role that an ancestor, two to four hops up, was of too, with another role between."""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Look for chains that come back to a role again and again."""
    if not (
        context.table("roles", _ROLES)
        and context.table("hops", _HOPS)
        and context.table("returned", _RETURNED)
    ):
        return
    chains: dict[int, list[Row]] = {}
    for row in context.rows(_RETURNS):
        chains.setdefault(row["lineage_start"], []).append(row)
    starts = context.credentials(found[0]["left_n"] for found in chains.values())
    for _, found in sorted(chains.items()):
        if len(found) >= context.thresholds["juggled"]:
            start = starts[found[0]["left_n"]]
            roles = sorted({short(row[name]) for row in found for name in ("into_role", "through")})
            yield Hit(
                about=(start["id"],),
                time=found[int(context.thresholds["juggled"]) - 1]["issued_time"],
                severity="high",
                why=f"From {named(start)} on, sessions took up {enumerated(roles)} in turn and came back to a role "
                f"left before {counted(len(found), 'time')}, last at {at(found[-1]['issued_time'])}: each hop is good "
                "for an hour more.",
                subject=start["n"],
                places=(start["n"], *(row["n"] for row in found)),
                events=tuple(issuance_of(row) for row in found),
                count=len(found),
                thresholds=("juggled",),
            )


RULE = Rule(
    id="role-juggling",
    title="Roles assume each other in turn",
    severity="high",
    attack=("T1550.001", "T1548.005"),
    why="Two roles that trust each other give whoever holds a session of one of them access without end, with no key "
    "and no user behind it, and a revocation of one role alone changes nothing.",
    false_alarm="A job that hops back to where it came from does so once; the threshold asks for more. If two roles "
    "must trust each other, ask whose job it is.",
    references=("hotnops, AWSRoleJuggler", "Hacking the Cloud, 'Role chain juggling'"),
    find=find,
    reads=(CREDENTIAL_DETAILS, WORKLOAD_STARTS),
    thresholds=("juggled",),
)
