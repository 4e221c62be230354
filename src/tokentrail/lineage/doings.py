"""What the credentials of a trace did: what they made, called, touched and learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tokentrail.lineage import creations
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import ApiUse, Created, ResourceUse, SecretRead
from tokentrail.lineage.rows import event_id, moment

_COUNTED: Any = [([], "count_all"), ("error", "count"), ("time", "min"), ("time", "max")]
_COUNTS = ("count_all", "error_count", "time_min", "time_max")

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
    return tuple(sorted(found, key=lambda one: (one.time, one.event_id, one.id or "")))


def apis(forest: Forest, ids: Ids) -> tuple[ApiUse, ...]:
    """What each called, and how often."""
    counted = forest.acts(ids).group_by(["n", "source", "name"]).aggregate(_COUNTED)
    found = (
        ApiUse(
            credential=ids[n], event_source=source, event_name=name, count=count, errors=errors,
            first=time_of(first), last=time_of(last),
        )
        for n, source, name, count, errors, first, last in _rows(
            counted, "n", "source", "name", *_COUNTS
        )
    )  # fmt: skip
    return tuple(
        sorted(
            found, key=lambda one: (one.first, one.credential, one.event_source or "", one.event_name or "")
        )
    )


def resources(forest: Forest, ids: Ids) -> tuple[ResourceUse, ...]:
    """What each touched."""
    acts = forest.acts(ids)
    acts = acts.filter(acts["resource"].is_valid()).combine_chunks()
    named: Any = pc.split_pattern(acts["resource"].combine_chunks(), "\n")
    each = acts.take(pc.list_parent_indices(named)).append_column("arn", pc.list_flatten(named))
    counted = each.group_by(["n", "arn", "name"]).aggregate([*_COUNTED, ("bytes_out", "sum")])
    found = (
        ResourceUse(
            credential=ids[n], arn=arn, event_name=name, count=count, errors=errors, bytes_out=bytes_out,
            first=time_of(first), last=time_of(last),
        )
        for n, arn, name, bytes_out, count, errors, first, last in _rows(
            counted, "n", "arn", "name", "bytes_out_sum", *_COUNTS
        )
    )  # fmt: skip
    return tuple(sorted(found, key=lambda one: (one.first, one.credential, one.arn, one.event_name or "")))


def secrets(forest: Forest, ids: Ids) -> tuple[SecretRead, ...]:
    """Which secrets each read."""
    acts = forest.acts(ids)
    answered = acts.filter(acts["error"].is_null())
    read = answered.filter(answered["secret"])
    found = (
        SecretRead(
            credential=ids[n],
            event_id=event_id(raw, text) or "",
            time=time_of(time),
            event_name=name,
            what=what,
        )
        for n, raw, text, time, name, what in _rows(
            read, "n", "event_id", "event_id_text", "time", "name", "resource"
        )
    )
    return tuple(sorted(found, key=lambda one: (one.time, one.event_id)))


def time_of(seconds: int) -> datetime:
    """A time that is known to be one."""
    found = moment(seconds)
    assert found is not None
    return found


def _rows(table: pa.Table, *names: str) -> Iterator[tuple[Any, ...]]:
    """Rows as tuples, which are quickest made column by column."""
    return zip(*(table[name].to_pylist() for name in names), strict=True)
