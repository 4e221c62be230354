"""Sessions without the source identity that their role always had, or with another than their parent's."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.cited_events import issuance_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named, short
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.views import CREDENTIAL_DETAILS
from tokentrail.formatting import at, counted
from tokentrail.lineage.rows import Row

_LOST = """
    SELECT k.*, e.before FROM (
      SELECT n, source_identity, count(*) OVER earlier AS before, count(source_identity) OVER earlier AS with_it
      FROM (SELECT n, into_role, issued_time, source_identity FROM credential_details
            WHERE kind = 'assumed_role' AND api = 'AssumeRole' AND into_role IS NOT NULL AND issued_time IS NOT NULL
              AND into_role IN (SELECT into_role FROM credential_details WHERE source_identity IS NOT NULL))
      WINDOW earlier AS (PARTITION BY into_role ORDER BY issued_time, n
                         ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ) e JOIN credential_details k ON k.n = e.n
    WHERE e.source_identity IS NULL AND e.before >= ? AND e.before = e.with_it
    ORDER BY k.into_role, k.issued_time, k.n"""
_CHANGED = """
    SELECT k.*, p.source_identity AS inherited FROM credential_details k JOIN credential_details p ON p.n = k.parent_n
    WHERE k.api = 'AssumeRole' AND p.source_identity <> k.source_identity ORDER BY k.issued_time, k.n"""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Look for the first session of a role without a source identity, and for identities that changed on the way."""
    for row in list(context.rows(_LOST, (context.thresholds.whole("habit_sessions"),))):
        why = (
            f"{named(row)} was minted at {at(row['issued_time'])} without a source identity; all of the "
            f"{counted(row['before'], 'session')} of {short(row['into_role'])} before had one."
        )
        yield _hit(row, why, ("habit_sessions",))
    for row in list(context.rows(_CHANGED)):
        why = (
            f"{named(row)} bears the source identity {row['source_identity']!r}, although the session that it was "
            f"minted from bears {row['inherited']!r}, which can't be changed on the way."
        )
        yield _hit(row, why, ())


def _hit(row: Row, why: str, thresholds: tuple[str, ...]) -> Hit:
    event = issuance_of(row)
    return Hit(
        about=(row["id"], event), time=row["issued_time"], severity="medium", why=why, subject=row["n"],
        places=(row["n"],), events=(event,), count=1, thresholds=thresholds,
    )  # fmt: skip


RULE = Rule(
    id="source-identity-lost",
    title="A session lacks the source identity that its role's sessions have",
    severity="medium",
    attack=("T1078.004",),
    why="Where every session says who is behind it, the one that does not was minted past the usual way in.",
    false_alarm="A new tool, or a trust policy that was loosened: look for UpdateAssumeRolePolicy before it.",
    references=("IAM User Guide, 'Monitor and control actions taken with assumed roles'",),
    find=find,
    reads=(CREDENTIAL_DETAILS,),
    thresholds=("habit_sessions",),
)
