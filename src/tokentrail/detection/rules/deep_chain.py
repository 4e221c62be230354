"""A chain of credentials deeper than any before."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.cited_events import issuance_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.views import CREDENTIAL_DETAILS, WORKLOAD_STARTS, with_lineage_start
from tokentrail.formatting import at, enumerated, lasting
from tokentrail.lineage.rows import Row

_AT_LEAST = with_lineage_start(
    "SELECT n, id, root_n, depth, issued_time FROM credential_details "
    "WHERE depth >= {deep} AND issued_time IS NOT NULL AND kind <> 'forwarded'"
)
_DEEPEST = f"""
    SELECT n FROM (
      SELECT d.n, d.depth, d.issued_time,
             row_number() OVER (PARTITION BY d.lineage_start ORDER BY d.depth DESC, d.issued_time, d.id) AS place
      FROM ({_AT_LEAST}) d JOIN credential_details b ON b.n = d.lineage_start WHERE d.depth - b.depth >= {{deep}}
    ) k
    LEFT JOIN (SELECT depth, min(issued_time) AS first FROM credential_details GROUP BY depth) d ON d.depth = k.depth
    WHERE k.place = 1 AND d.first >= k.issued_time - {{habit}}"""
_DEEP = "SELECT k.* FROM deepest d JOIN credential_details k ON k.n = d.n ORDER BY k.id"
"""The deepest of each lineage, unless that was a habit of some lineage; what was started begins one of its own."""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Take the deepest credential of each lineage that goes deeper than was any lineage's habit."""
    deep, habit = context.thresholds.whole("deep"), context.thresholds.whole("habit_after")
    if not context.table("deepest", _DEEPEST.format(deep=deep, habit=habit)):
        return
    deepest = list(context.rows(_DEEP))
    above = context.credentials(context.ancestors([row["n"] for row in deepest]))
    for row in deepest:
        path = _path(row, above)
        if any(one["parent_link"] == "created" for one in (*path[1:], row)):
            continue  # it acts through what another made
        yield Hit(
            about=(path[0]["id"], str(len(path))),
            time=row["issued_time"],
            severity="medium",
            why=f"{named(row)}, minted at {at(row['issued_time'])}, is {len(path)} hops below {named(path[0])}, by way "
            f"of {enumerated(one['id'] for one in path[1:])}; no other lineage of the case had gone so deep until "
            f"{lasting(habit)} before.",
            subject=path[1]["n"],
            places=(*(one["n"] for one in path), row["n"]),
            events=tuple(issuance_of(one) for one in (*path, row)),
            count=len(path),
            thresholds=("deep", "habit_after"),
        )


def _path(row: Row, above: dict[int, Row]) -> list[Row]:
    """The ancestors of a credential, from the root, or from what somebody started, downwards."""
    path: list[Row] = []
    while row["parent_n"] is not None:
        row = above[row["parent_n"]]
        path.append(row)
        if (row["parent_link"], row["kind"]) == ("created", "service_role"):
            break
    return path[::-1]


RULE = Rule(
    id="deep-chain",
    title="A chain of credentials is deeper than any before",
    severity="medium",
    attack=("T1550.001", "T1548.005"),
    why="Each hop hides who is behind the next one. Three hops and more are rarely anybody's design.",
    false_alarm="Pipelines through a build account and a deployment role hop often. Compare with how that pipeline "
    "worked the day before.",
    references=("Uptycs, 'Detecting anomalous AWS sessions from temporary credentials', part 2",),
    find=find,
    reads=(CREDENTIAL_DETAILS, WORKLOAD_STARTS),
    thresholds=("deep", "habit_after"),
)
