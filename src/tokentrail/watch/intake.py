"""From arrivals to a segment that is in the case for good, and to its columns in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from tokentrail.events.columns import TABLES as COLUMNS
from tokentrail.store.folder import CaseFolder, new_segment_number, segment_name
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
"""The tables as they are in memory: labels are plain text there."""
_KNOWN = 100_000
"""Objects by whose digest a repetition is known; an older one is read again, and its records count once still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came into the case."""

    outcomes: tuple[Outcome, ...]
    segment: str | None
    """The segment that is new, if any record is."""
    objects: tuple[str, ...]
    """The digests of its objects, in their order."""
    tables: Tables | None


class Intake:
    """Takes arrivals into a case, one segment at a time."""

    def __init__(self, folder: CaseFolder, known: Iterable[StoredObject], options: Options) -> None:
        self._folder, self._options = folder, options
        self._known: OrderedDict[str, StoredObject] = OrderedDict((one.sha256, one) for one in known)
        self._trim()

    def take(self, arrivals: Sequence[Arrival]) -> Taken:
        """Put arrivals into the case; when it returns, they are there for good."""
        number = new_segment_number()
        name = segment_name(number)
        outcomes = read_task(
            self._folder.path, [one.object for one in arrivals], self._known, self._options, number=number
        )
        fresh = [one for one in outcomes if one.sha256 and not one.repeated]
        for one in fresh:
            assert one.sha256 is not None
            self._known[one.sha256] = StoredObject(
                sha256=one.sha256, name=one.name, size=one.size, records=one.records, rejected=one.rejected
            )
        self._trim()
        return Taken(
            outcomes=tuple(outcomes),
            segment=name if fresh else None,
            objects=tuple(one.sha256 for one in fresh if one.sha256),
            tables=tables_of(self._folder, name) if fresh else None,
        )

    def _trim(self) -> None:
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)


def tables_of(folder: CaseFolder, segment: str) -> Tables:
    """The columns of a segment."""
    return {
        name: pq.read_table(folder.segment(segment) / f"{name}.parquet", memory_map=False).cast(SCHEMAS[name])
        for name in TABLES
    }
