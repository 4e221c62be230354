"""What the credentials of a trace did: what they made, called, touched and learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from tokentrail.lineage import creations, rollups
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import ApiUse, Created, ResourceUse, SecretRead
from tokentrail.lineage.rows import event_id, event_ids

Ids = Mapping[int, str]
"""The credentials by their places in the forest."""


def created(forest: Forest, ids: Ids) -> tuple[Created, ...]:
    """What they made or changed that outlives them."""
    found = []
    for row in forest.changed_by(ids, creations.NAMES):
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
    return tuple(
        sorted(
            found, key=lambda one: (one.time, one.event_id, *_at(one.id), one.by, one.event_name, one.what)
        )
    )


def apis(forest: Forest, ids: Ids) -> tuple[ApiUse, ...]:
    """What each called, and how often."""
    counted = forest.rolled_up(ids, rollups.APIS)
    found = (
        ApiUse(
            credential=ids[n], event_source=source, event_name=name, count=count, errors=errors,
            first=time_of(first), last=time_of(last),
        )
        for n, source, name, count, errors, first, last in _rows(counted)
    )  # fmt: skip
    return tuple(
        sorted(
            found,
            key=lambda one: (one.first, one.credential, *_at(one.event_source), *_at(one.event_name)),
        )
    )


def resources(forest: Forest, ids: Ids) -> tuple[ResourceUse, ...]:
    """What each touched."""
    counted = forest.rolled_up(ids, rollups.RESOURCES)
    found = (
        ResourceUse(
            credential=ids[n], arn=arn, event_name=name, count=count, errors=errors, bytes_out=bytes_out,
            first=time_of(first), last=time_of(last),
        )
        for n, arn, name, count, errors, bytes_out, first, last in _rows(counted)
    )  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one.first, one.credential, one.arn, *_at(one.event_name))))


def secrets(forest: Forest, ids: Ids) -> tuple[SecretRead, ...]:
    """Which secrets each read."""
    read = forest.rolled_up(ids, rollups.SECRETS)
    told = (read[one].to_pylist() for one in ("n", "time", "name", "resource"))
    found = sorted(  # before they are made: thousands may be, and bare rows are quicker compared
        (time, event, ids[n], name is not None, name or "", what is not None, what or "", name, what)
        for event, n, time, name, what in zip(
            event_ids(read["event_id"], read["event_id_text"]), *told, strict=True
        )
    )
    return tuple(
        SecretRead(credential=by, event_id=event, time=time_of(time), event_name=name, what=what)
        for time, event, by, *_, name, what in found
    )


def _at(text: str | None) -> tuple[bool, str]:
    """Where a text stands among others: one that is empty, as a forged record may have it, after none."""
    return text is not None, text or ""


def time_of(seconds: int) -> datetime:
    """A time that is known to be one: thousands differ, of which remembering each (`moment`) takes longer."""
    return datetime.fromtimestamp(seconds, UTC)


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Rows as tuples, which are quickest made column by column."""
    return zip(*(column.to_pylist() for column in table.columns), strict=True)
