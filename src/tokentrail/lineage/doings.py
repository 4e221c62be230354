"""What the credentials of a trace did: what they made, called, touched and learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from tokentrail.lineage import creations
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import ApiUse, Created, ResourceUse, SecretRead
from tokentrail.lineage.part import FEW
from tokentrail.lineage.rows import event_id, moment

_APIS = """
SELECT n, source, name, count(*) AS count, count(error) AS errors, min(time) AS first, max(time) AS last
FROM acts GROUP BY n, source, name"""
_RESOURCES = """
SELECT n, arn, name, count(*) AS count, count(error) AS errors, CAST(sum(bytes_out) AS BIGINT) AS bytes_out,
       min(time) AS first, max(time) AS last
FROM (SELECT *, unnest(string_split(resource, chr(10))) AS arn FROM acts WHERE resource IS NOT NULL)
GROUP BY n, arn, name"""
_SECRETS = "SELECT n, event_id, event_id_text, time, name, resource FROM acts WHERE secret AND error IS NULL"

Ids = Mapping[int, str]
"""The credentials by their places in the forest."""


def created(forest: Forest, ids: Ids) -> tuple[Created, ...]:
    """What they made or changed that outlives them."""
    found = []
    for row in forest.changed_by(ids):
        for what, thing in creations.made(row["name"], row["request"], row["response"], row["source"]):
            found.append(
                Created(
                    by=ids[row["n"]],
                    event_id=event_id(row["event_id"], row["event_id_text"]) or "",
                    time=time_of(row["time"]),
                    event_name=row["name"],
                    what=what,
                    id=thing,
                )
            )
    return tuple(sorted(found, key=lambda one: (one.time, one.event_id, one.id or "")))


def apis(forest: Forest, ids: Ids) -> tuple[ApiUse, ...]:
    """What each called, and how often."""
    found = (
        ApiUse(
            credential=ids[n], event_source=source, event_name=name, count=count, errors=errors,
            first=time_of(first), last=time_of(last),
        )
        for n, source, name, count, errors, first, last in _columns(forest, ids, _APIS)
    )  # fmt: skip
    return tuple(
        sorted(
            found, key=lambda one: (one.first, one.credential, one.event_source or "", one.event_name or "")
        )
    )


def resources(forest: Forest, ids: Ids) -> tuple[ResourceUse, ...]:
    """What each touched."""
    found = (
        ResourceUse(
            credential=ids[n], arn=arn, event_name=name, count=count, errors=errors, bytes_out=bytes_out,
            first=time_of(first), last=time_of(last),
        )
        for n, arn, name, count, errors, bytes_out, first, last in _columns(forest, ids, _RESOURCES)
    )  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one.first, one.credential, one.arn, one.event_name or "")))


def secrets(forest: Forest, ids: Ids) -> tuple[SecretRead, ...]:
    """Which secrets each read."""
    found = (
        SecretRead(
            credential=ids[n], event_id=event_id(raw, text) or "", time=time_of(time), event_name=name, what=what
        )
        for n, raw, text, time, name, what in _columns(forest, ids, _SECRETS)
    )  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one.time, one.event_id)))


def time_of(seconds: int) -> datetime:
    """A time that is known to be one."""
    found = moment(seconds)
    assert found is not None
    return found


def _columns(forest: Forest, ids: Ids, select: str) -> Iterator[tuple[Any, ...]]:
    """Rows as tuples; of a large theft there are hundreds of thousands, which are quicker made column by column."""
    if len(ids) <= FEW:
        return (tuple(row.values()) for row in forest.done_by(ids, select))
    table = forest.rolled_up(ids, select)
    return zip(*(column.to_pylist() for column in table.columns), strict=True)
