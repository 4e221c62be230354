"""
The calls of a lineage in order: each of them, the lines that a reader needs of them, and how dense they are in time.

Of some hundred thousand calls a page shows some thousand lines and a picture: what is counted is counted by the
engine, and only what is shown comes out of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tokentrail.lineage.activity import time_of
from tokentrail.lineage.creations import made
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import CallLine, CallLines, Tick, TimelineEvent
from tokentrail.lineage.rows import Row, event_id, object_of
from tokentrail.lineage.trace import starts_of

Place = tuple[int, int, int]
Objects = Mapping[int, tuple[str, ...]]
"""The evidence objects by segment, in the order in which places name them."""

_NAMES = re.compile(r"(?:[a-z](?:Name|Arn|ARN|Id|Identifier|Number)|^(?:name|arn|id))$")
"""How members are called that name something (as `roleName`, `policyArn`, `accessKeyId`, `serialNumber`)."""
_MOST, _LONGEST = 4, 200
_ORDER = "time, event_id, event_id_text"
_TIMELINE = f"SELECT * FROM calls_told ORDER BY {_ORDER}"
_ALIKE = (  # as `present.timeline` has it of what it is given call by call
    "n", "source", "name", "ip", "error", "account", "region", "began",
)  # fmt: skip
_LINES = """
WITH ordered AS (
  SELECT n, segment, object, ordinal, time, name, error, began, row_number() OVER in_order AS spot,
         {fresh} AS fresh
  FROM calls_told WINDOW in_order AS (ORDER BY {order})
), parted AS (
  SELECT *, sum(CASE WHEN fresh OR spot = 1 THEN 1 ELSE 0 END) OVER (ORDER BY spot) AS run FROM ordered
), counted AS (
  SELECT *, count(*) OVER one_run AS many, max(time) OVER one_run AS until, min(spot) OVER one_run AS head
  FROM parted WINDOW one_run AS (PARTITION BY run)
)
SELECT n, segment, object, ordinal, spot, CASE WHEN many >= {run} THEN until ELSE time END AS until,
       CASE WHEN many >= {run} THEN many ELSE 1 END AS calls,
       began, coalesce(error, '') <> '' OR regexp_matches(coalesce(name, ''), '^({telling})') AS telling
FROM counted WHERE many < {run} OR spot = head"""
_FIRST = """
SELECT a.*, c.until, c.calls, c.telling FROM (
  SELECT *, row_number() OVER (PARTITION BY telling ORDER BY spot) AS place FROM call_lines
) c JOIN calls_told a ON a.n = c.n AND a.segment = c.segment AND a.object = c.object AND a.ordinal = c.ordinal
WHERE c.place <= {room} ORDER BY c.spot"""
_ALL = """
SELECT count(*) AS lines, CAST(coalesce(sum(calls), 0) AS BIGINT) AS calls,
       count(CASE WHEN began THEN 1 END) AS began FROM call_lines"""
_TICKS = """
SELECT n, CAST(floor((time - {start}) * {scale}) AS INTEGER) AS place, coalesce(error, '') <> '' AS failed,
       count(*) AS count
FROM acts WHERE time BETWEEN {start} AND {end} GROUP BY ALL ORDER BY ALL"""


def timeline(forest: Forest, subjects: Sequence[str], objects: Objects) -> Iterator[TimelineEvent]:
    """The events of subjects and of all that descends from them, in order, and those that they began with."""
    ids = _ids(forest, subjects)
    told = _Told(ids, objects, _changes(forest, ids))
    for row in forest.done_by(ids, _TIMELINE):
        yield told.event(row)


def lines(
    forest: Forest, subjects: Sequence[str], objects: Objects, *, telling: str, room: int, run: int
) -> CallLines:
    """
    The same as lines: like calls in a row are one, and of telling and other ones come the first, as many as fit.

    Args:
        forest: What is asked.
        subjects: Whose calls, and those of all that descends from them.
        objects: The evidence objects by segment.
        telling: A pattern that the names of telling calls begin with; calls that failed tell as well.
        room: Lines of either sort.
        run: Like calls in a row from which on they become one line.
    """
    ids = _ids(forest, subjects)
    forest.set_aside(ids, "call_lines", _lines(telling, run))
    kept = forest.done_by(ids, _FIRST.format(room=room))
    [whole] = forest.done_by(ids, _ALL)
    told = _Told(ids, objects, _changes(forest, ids))
    listed = tuple(
        CallLine(
            first=told.event(row),
            until=time_of(row["until"]),
            count=row["calls"],
            telling=row["telling"],
        )
        for row in kept
    )
    return CallLines(
        lines=listed,
        events=whole["calls"],
        began=whole["began"],
        left_out=whole["lines"] - len(listed),
        left_events=whole["calls"] - sum(one.count for one in listed),
    )


def _lines(telling: str, run: int) -> str:
    fresh = " OR ".join(f"{one} IS DISTINCT FROM lag({one}) OVER in_order" for one in _ALIKE)
    return _LINES.format(fresh=fresh, order=_ORDER, run=run, telling=telling.replace("'", "''"))


def ticks(
    forest: Forest, subjects: Sequence[str], *, start: datetime, end: datetime, places: float
) -> Iterator[Tick]:
    """How many calls each made in each place of a stretch of time that is so many places wide."""
    ids = _ids(forest, subjects)
    begin, until = start.timestamp(), end.timestamp()
    sql = _TICKS.format(start=repr(begin), end=repr(until), scale=repr(places / (until - begin)))
    for row in forest.done_by(ids, sql):
        yield Tick(credential=ids[row["n"]], place=row["place"], failed=row["failed"], count=row["count"])


def _ids(forest: Forest, subjects: Iterable[str]) -> dict[int, str]:
    starts = starts_of(forest, subjects)
    below, _ = forest.descendants(starts)
    return forest.ids(below)


def _changes(forest: Forest, ids: Iterable[int]) -> dict[Place, Row]:
    """The changes that some credentials made, by their places in the evidence."""
    return {(row["segment"], row["object"], row["ordinal"]): row for row in forest.changed_by(ids)}


@dataclass(frozen=True, slots=True)
class _Told:
    """What is known beside the calls themselves."""

    ids: Mapping[int, str]
    objects: Objects
    changes: Mapping[Place, Row]

    def event(self, row: Row) -> TimelineEvent:
        """One call."""
        held = self.objects.get(row["segment"], ())
        change = self.changes.get((row["segment"], row["object"], row["ordinal"]))
        return TimelineEvent(
            time=time_of(row["time"]),
            event_id=event_id(row["event_id"], row["event_id_text"]) or "",
            credential=self.ids[row["n"]],
            account=row["account"],
            region=row["region"],
            event_source=row["source"],
            event_name=row["name"],
            error_code=row["error"],
            source_ip=row["ip"],
            user_agent=row["agent"],
            resources=tuple((row["resource"] or "").split("\n")) if row["resource"] else (),
            object=held[row["object"]] if row["object"] < len(held) else "",
            ordinal=row["ordinal"],
            began=row["began"],
            about=about(change) if change else (),
        )


def about(change: Row) -> tuple[str, ...]:
    """What a change names, each with the member that does, and the id of what it made."""
    found = list(_named(change))[:_MOST]
    things = made(change["name"], change["request"], change["response"], change["source"])
    known = {one.partition("=")[2] for one in found}
    found += [
        f"{what}={thing[:_LONGEST]}"
        for what, thing in things[:_MOST]
        if thing and thing[:_LONGEST] not in known
    ]
    return tuple(found)


def _named(change: Row) -> Iterator[str]:
    for member, value in object_of(change["request"]).items():
        if isinstance(value, str) and value and _NAMES.search(member):
            yield f"{member}={value[:_LONGEST]}"
