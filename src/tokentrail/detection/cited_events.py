"""The events that findings cite: ids by row, and the first events of credentials."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tokentrail.detection.views import CREDENTIAL_EVENTS
from tokentrail.lineage.rows import Row, event_id

if TYPE_CHECKING:
    from tokentrail.detection.context import DetectionContext

FIRST_EVENT_READS = (CREDENTIAL_EVENTS,)
"""The views that `first_events` reads."""
_FIRST = """
    SELECT {columns}, event_id, event_id_text FROM (
      SELECT {columns}, d.time, d.event_id, d.event_id_text,
             row_number() OVER (PARTITION BY {columns} ORDER BY d.time, d.event_id) AS place
      FROM credential_events d JOIN cited_credentials s ON s.n = d.n WHERE {where}
    ) d WHERE place <= ? ORDER BY d.n, d.time, d.event_id"""


def event_of(row: Row) -> str:
    """The id of a row's event; empty where its record has none."""
    return event_id(row["event_id"], row["event_id_text"]) or ""


def issuance_of(row: Row) -> str:
    """The id of the event that issued a row's credential; empty where the evidence does not show it."""
    return event_id(row["issue_event"], row["issue_text"]) or ""


def first_events(
    context: DetectionContext, places: Iterable[int], *, by: str = "", where: str = "TRUE", most: int = 1
) -> dict[tuple[int, str | None], list[str]]:
    """
    The ids of the first events of some credentials.

    Args:
        context: The case; `FIRST_EVENT_READS` must be prepared.
        places: The credentials, by their numbers.
        by: A column of `credential_events` by which a credential's events are told apart.
        where: The SQL condition for the events `d`.
        most: How many events of each.

    Returns:
        By credential, and by the value of the column `by` if it is given: the ids, oldest first.
    """
    context.add_credentials("cited_credentials", places)
    columns = f"d.n, d.{by}" if by else "d.n"
    found: dict[tuple[int, str | None], list[str]] = {}
    for row in context.rows(_FIRST.format(columns=columns, where=where), (most,)):
        found.setdefault((row["n"], row[by] if by else None), []).append(event_of(row))
    return found
