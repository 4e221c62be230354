"""What the credentials of a trace did: what they made, called, touched and learned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import repeat
from typing import Any

import pyarrow as pa

from tokentrail.lineage import creations, rollups
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import ApiUse, Created, ResourceUse, SecretRead
from tokentrail.lineage.rows import event_id, event_ids, made_of

_OF_APIS = ("n", "source", "name", "count", "errors", "first", "last")
_OF_RESOURCES = ("n", "arn", "name", "count", "errors", "bytes_out", "first", "last")
Ids = Mapping[int, str]
"""The credentials by their numbers."""


def created(forest: Forest, ids: Ids) -> tuple[Created, ...]:
    """What they made or changed that outlives them."""
    found = []
    for row in forest.changed_by(ids, creations.OPERATIONS):
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
            found,
            key=lambda one: (
                one.time,
                one.event_id,
                one.id is not None,
                one.id or "",
                one.by,
                one.event_name,
                one.what,
            ),
        )
    )


def apis(forest: Forest, ids: Ids) -> tuple[ApiUse, ...]:
    """What each called, and how often."""
    n, source, name, count, errors, first, last = _columns(forest.rolled_up(ids, rollups.APIS), _OF_APIS)
    by = [ids[one] for one in n]
    return made_of(ApiUse, _order(first, by, _ranks(source), _ranks(name)), {
        "credential": by, "event_source": source, "event_name": name, "count": count, "errors": errors,
        "first": times_of(first), "last": times_of(last),
    })  # fmt: skip


def resources(forest: Forest, ids: Ids) -> tuple[ResourceUse, ...]:
    """What each touched."""
    n, arn, name, count, errors, bytes_out, first, last = _columns(
        forest.rolled_up(ids, rollups.RESOURCES), _OF_RESOURCES
    )
    by = [ids[one] for one in n]
    return made_of(ResourceUse, _order(first, by, arn, _ranks(name)), {
        "credential": by, "arn": arn, "event_name": name, "count": count, "errors": errors, "bytes_out": bytes_out,
        "first": times_of(first), "last": times_of(last),
    })  # fmt: skip


def secrets(forest: Forest, ids: Ids) -> tuple[SecretRead, ...]:
    """Which secrets each read."""
    read = forest.rolled_up(ids, rollups.SECRETS)
    n, time, name, what = _columns(read, ("n", "time", "name", "resource"))
    by, events = [ids[one] for one in n], event_ids(read["event_id"], read["event_id_text"])
    return made_of(SecretRead, _order(time, events, by, _ranks(name), _ranks(what)), {
        "credential": by, "event_id": events, "time": times_of(time), "event_name": name, "what": what,
    })  # fmt: skip


def _ranks(texts: Sequence[str | None]) -> Sequence[Any]:
    """Where texts stand among others: one that is empty, as a forged record may have it, after none."""
    if None not in texts:
        return texts
    return [(text is not None, text or "") for text in texts]


def time_of(seconds: int) -> datetime:
    """A time that is known to be one: thousands differ, of which remembering each (`moment`) takes longer."""
    return datetime.fromtimestamp(seconds, UTC)


def times_of(seconds: Iterable[int]) -> list[datetime]:
    """The same of many."""
    return list(map(datetime.fromtimestamp, seconds, repeat(UTC)))


def _columns(table: pa.Table, names: Sequence[str]) -> Iterator[list[Any]]:
    return (table[name].to_pylist() for name in names)


def _order(*keys: Iterable[Any]) -> list[int]:
    """The places of rows by what they are sorted by: bare values of thousands are quicker compared than records."""
    rows = list(zip(*keys, strict=True))
    return sorted(range(len(rows)), key=rows.__getitem__)
