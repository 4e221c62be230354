"""The ids by which findings name the credentials and events of new records: others have nothing to do with these."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.lineage.rows import event_id
from tokentrail.spelling import at
from tokentrail.watch.intake import Tables
from tokentrail.watch.names import Row


def identifiers(tables: Tables) -> frozenset[str]:
    """The ids that the credentials and events of some records may have in findings."""
    events = tables["events"].select(["event_id", "event_id_text"])
    columns = events.to_pydict()
    found = {event_id(*pair) for pair in zip(columns["event_id"], columns["event_id_text"], strict=True)}
    for row in tables["identities"].to_pylist():
        found.update(_of_caller(row))
    for key in tables["issuances"].column("key_id").to_pylist():
        found.add(key)
    return frozenset(one for one in found if one)


def _of_caller(row: Row) -> Iterator[str]:
    """The ids that a caller may have as a credential: see `lineage/sql/5_births.sql` and `6_named.sql`."""
    key, principal = row["key_id"], row["principal_id"]
    if key:
        yield key
    if row["created"] is not None:
        since = at(row["created"])
        yield from (f"{one}@{since}" for one in (key, principal) if one)
    if key and principal:
        yield f"{key}@{principal}"
