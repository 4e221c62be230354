"""Put arrivals into the case as a segment, and have its tables in memory as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tokentrail.events.columns import TABLES as COLUMNS
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import StoredObject
from tokentrail.store.tasks import Options, Outcome, read_task
from tokentrail.watch.interface import Arrival

TABLES = ("events", "identities", "issuances", "changes")
Tables = dict[str, pa.Table]
SCHEMAS = {
    name: pa.schema([
        (one.name, one.type.value_type if pa.types.is_dictionary(one.type) else one.type) for one in COLUMNS[name]
    ])
    for name in TABLES
}  # fmt: skip
"""The tables as they are in memory, where dictionary-encoded columns are plain text."""
_KNOWN = 100_000
"""Objects whose digests are remembered, so that they are not read again; records of others still count only once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of some arrivals."""

    outcomes: tuple[Outcome, ...]
    """What became of each object."""
    segment: str | None
    """The name of the new segment, if there is one."""
    objects: tuple[StoredObject, ...]
    """Its objects, in their order."""
    tables: Tables | None
    """Its tables."""


class _Counted(NamedTuple):
    """All that is remembered of an object, as there are very many."""

    records: int
    rejected: int


class Intake:
    """Takes arrivals into a case, one segment at a time."""

    def __init__(self, folder: CaseFolder, known: Iterable[StoredObject], options: Options) -> None:
        self._folder, self._options = folder, options
        self._known: dict[str, _Counted] = {}
        """The objects that were read last, by their digests."""
        self._know(known)

    def take(self, arrivals: Sequence[Arrival]) -> Taken:
        """Put arrivals into the case; when it returns, they are there for good."""
        outcomes, new, tables = read_task(
            self._folder.path, [one.object for one in arrivals], self._known, self._options
        )
        if new is None:
            return Taken(outcomes=tuple(outcomes), segment=None, objects=(), tables=None)
        self._know(new.objects)
        return Taken(
            outcomes=tuple(outcomes), segment=new.segment, objects=new.objects, tables=_in_memory(tables)
        )

    def _know(self, objects: Iterable[StoredObject]) -> None:
        for one in objects:
            self._known[one.sha256] = _Counted(one.records, one.rejected)
            if len(self._known) > _KNOWN:
                del self._known[next(iter(self._known))]


def tables_of(folder: CaseFolder, segment: str) -> Tables:
    """The columns of a segment."""
    files = {name: folder.segment(segment) / f"{name}.parquet" for name in TABLES}
    return _in_memory({name: pq.read_table(file, memory_map=False) for name, file in files.items()})


def _in_memory(tables: Mapping[str, pa.Table]) -> Tables:
    return {name: tables[name].cast(SCHEMAS[name]) for name in TABLES}
