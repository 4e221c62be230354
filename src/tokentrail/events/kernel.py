"""
The ingest kernel: bytes of log objects in, canonical columns out.

The same code runs in a local process pool and in the executors of Spark. It is written for speed: records are handled
a batch at a time and column by column, each distinct text is stored once, and the requests and answers of calls are
decoded only for the few that issue, change, name or reveal something (`call_details`), a batch at a time as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from msgspec.structs import astuple

from tokentrail.events import assemble, bearer, call_details, identity
from tokentrail.events.assemble import Codes, Labels, Marks, Moments
from tokentrail.events.columns import CHANGES, EVENTS, IDENTITIES, ISSUANCES, REJECTED
from tokentrail.events.gunzip import DEFAULT_BOUND, expand
from tokentrail.events.ids import digests, event_ids
from tokentrail.events.issuance import ISSUED
from tokentrail.events.loose import filled
from tokentrail.events.masked_ids import MASKED, issued_key_ids, named_key_ids, principal_ids
from tokentrail.events.quick import Quick
from tokentrail.events.reading import Reading, Scan, Scanned, readings
from tokentrail.events.record import Record
from tokentrail.events.split import trim
from tokentrail.events.vocabulary import name_marks, source_marks

_LABELLED = {
    "account": "recipientAccountId",
    "region": "awsRegion",
    "source": "eventSource",
    "name": "eventName",
    "error": "errorCode",
    "ip": "sourceIPAddress",
    "agent": "userAgent",
    "endpoint": "vpcEndpointId",
    "endpoint_account": "vpcEndpointAccountId",
}
"""The columns of `EVENTS` that have few distinct values, and the fields of a record that fill them."""
_ISSUANCE_ROW = (*call_details.ISSUANCE, *ISSUED)
_TRUE = frozenset((True, "true", "True"))
BATCH = 2_000
"""Records of a batch, at most: as many as the processor's caches hold."""
_ENOUGH = 500
"""Records that are enough for a batch: more would make it little cheaper, and would leave the processor's caches."""


@dataclass(frozen=True, slots=True)
class ObjectSummary:
    """What became of one object."""

    records: int = 0
    rejected: int = 0
    first: int | None = None
    last: int | None = None
    carriers: frozenset[str] = frozenset()
    """What brought the records, by the names of `carriers.lost`."""

    def plus(self, reading: Reading | Scanned) -> ObjectSummary:
        """This summary with what was read of another part of the object added."""
        if isinstance(reading, Scanned):
            records, rejected, ends = reading.records, 0, [reading.first, reading.last]
        else:
            times, records = reading.times, len(reading.times)
            rejected = sum(name is None for _, name, _ in reading.refusals)
            ends = [int(times.min()), int(times.max())] if records else []
        known = [one for one in (self.first, self.last) if one is not None]
        return ObjectSummary(
            self.records + records,
            self.rejected + rejected,
            min(known + ends, default=None),
            max(known + ends, default=None),
            self.carriers | reading.carriers,
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records, column by column."""

    fields: dict[str, tuple[Any, ...]]
    """By the name of a field of `Record`."""
    objects: Codes
    """The numbers of the objects that hold them."""
    ordinals: Codes
    """Their places in these objects."""
    times: Moments
    """When they happened, in seconds since 1970."""


class _Batcher:
    """
    Makes batches of the records of objects in the order in which these come: joins small objects, cuts large ones.

    Log files hold ten records or ten thousand, and each column of a batch has a fixed cost.
    """

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._objects: list[Codes] = []
        self._ordinals: list[Codes] = []
        self._times: list[Moments] = []

    def add(self, number: int, reading: Reading) -> Iterator[Batch]:
        """Add the records of the object `number`, and yield all batches once there are enough records."""
        self._records += reading.records
        self._objects.append(np.full(len(reading.records), number, np.int32))
        self._ordinals.append(reading.ordinals)
        self._times.append(reading.times)
        if len(self._records) >= _ENOUGH:
            yield from self.rest()

    def rest(self) -> Iterator[Batch]:
        """Yield batches of all records that were added and not yielded yet."""
        if not self._records:
            return
        records, objects = self._records, np.concatenate(self._objects)
        ordinals, times = np.concatenate(self._ordinals), np.concatenate(self._times)
        self._records, self._objects, self._ordinals, self._times = [], [], [], []
        for at in range(0, len(records), BATCH):
            part = slice(at, at + BATCH)
            columns = zip(*map(astuple, records[part]), strict=True)
            fields = dict(zip(Record.__struct_fields__, columns, strict=True))
            yield Batch(fields, objects[part], ordinals[part], times[part])


def _labels() -> dict[str, Labels]:
    return {name: Labels() for name in _LABELLED}


def _parts() -> dict[str, list[Any]]:
    return {name: [] for name in EVENTS.names if name != "segment"}


class SegmentCalls:
    """Columns of a table of issuances or changes, as far as `call_details` fills them, and the rows of their events."""

    def __init__(self, names: Sequence[str]) -> None:
        self.places: list[int] = []
        self.columns: dict[str, list[Any]] = {name: [] for name in names}

    def add(self, first: int, calls: call_details.CallColumns) -> None:
        """Add the calls of a batch of events whose first row is `first`."""
        if not calls.places:
            return
        self.places += [first + at for at in calls.places]
        for column, more in zip(self.columns.values(), calls.columns, strict=True):
            column += more


@dataclass(slots=True)
class Segment:
    """Reads objects into the columns of a segment, which `tables()` returns."""

    number: int
    """Identifies the segment: a random number, so that two writers never use the same."""
    bound: int = DEFAULT_BOUND
    """Bytes to which one object may expand."""
    compiled: bool = True
    """Use the compiled scanner, if there is one."""
    objects: int = 0
    """How many objects were added; the next one gets this number."""
    _rows: int = 0
    _waiting: _Batcher = field(default_factory=_Batcher)
    _labels: dict[str, Labels] = field(default_factory=_labels)
    _parts: dict[str, list[Any]] = field(default_factory=_parts)
    _identities: Labels = field(default_factory=Labels)
    _issuances: SegmentCalls = field(default_factory=lambda: SegmentCalls(_ISSUANCE_ROW))
    _changes: SegmentCalls = field(default_factory=lambda: SegmentCalls(call_details.CHANGE))
    _rejected: list[tuple[int, int | None, str | None, str]] = field(default_factory=list)
    _quick: Quick | None = field(init=False)
    _name_marks: Marks = field(init=False)
    _source_marks: Marks = field(init=False)

    def __post_init__(self) -> None:
        self._quick = Quick.start(self._labels, self._identities) if self.compiled else None
        self._name_marks = Marks(self._labels["name"], name_marks)
        self._source_marks = Marks(self._labels["source"], source_marks)

    def add(self, data: bytes) -> ObjectSummary:
        """Read one object (gzip or plain); every record of it becomes a row or a rejection."""
        number, self.objects = self.objects, self.objects + 1
        expanded = expand(data, bound=self.bound)
        if self._quick is not None and expanded.broken is None:
            found = self._quick.add(trim(expanded.data), number)
            if found is not None:
                if self._quick.full:
                    self._add_scanned()
                records, first, last = found
                return ObjectSummary(records, 0, first, last)
        summary = ObjectSummary()
        for reading in readings(data, expanded, bound=self.bound, scan=self._scan(number)):
            summary = summary.plus(reading)
            if isinstance(reading, Scanned):
                continue
            self._rejected.extend((number, *refusal) for refusal in reading.refusals)
            for batch in self._waiting.add(number, reading):
                self._add_batch(batch)
        return summary

    def _scan(self, number: int) -> Scan | None:
        """A function that makes rows of an object's single records with the compiled scanner, if there is one."""
        quick = self._quick
        if quick is None:
            return None

        def scan(texts: list[bytes], first: int) -> tuple[int, int] | None:
            ends = quick.add_each(texts, number, first)
            if quick.full:
                self._add_scanned()
            return ends

        return scan

    def _add_scanned(self) -> None:
        """Add the rows of the compiled scanner."""
        taken = self._quick.take() if self._quick is not None else None
        if taken is not None:
            self._add_columns(taken.columns, taken.count, taken.issued, taken.changed)

    def _add_batch(self, batch: Batch) -> None:
        """Add a batch of records, column by column."""
        of, count = batch.fields, len(batch.times)
        of = {**of, "errorCode": tuple(filled(of["errorCode"]))}
        codes = {name: self._labels[name].codes(of[member], count) for name, member in _LABELLED.items()}
        marks = self._name_marks.of(codes["name"]) | self._source_marks.of(codes["source"])
        succeeded = codes["error"] == self._labels["error"].get(None, -1)
        flags_and_endpoints = enumerate(zip(of["readOnly"], of["vpcEndpointId"], strict=True))
        passing = [at for at, (flag, endpoint) in flags_and_endpoints if flag is None and endpoint]
        succeeded[call_details.network_activity(of, passing)] = False
        ids, id_texts = event_ids(of["eventID"])
        additional = of["additionalEventData"]
        columns: dict[str, Any] = codes | {
            "object": batch.objects,
            "ordinal": batch.ordinals,
            "time": batch.times,
            "event_id": ids,
            "event_id_text": id_texts,
            "identity": self._identities.codes(map(bytes, bearer.marked(of)), count),
            "read_only": assemble.flags(of["readOnly"]),
            "management": assemble.flags(of["managementEvent"]),
            "console": assemble.flags([one in _TRUE for one in of["sessionCredentialFromConsole"]]),
            "secret": call_details.secrets(of, marks, succeeded),
            "bytes_out": assemble.sizes(
                [None if one is None else one.bytesTransferredOut for one in additional]
            ),
            "resource": assemble.plain(call_details.resources(of, marks), pa.string()),
        }
        issued = call_details.issued(
            of, marks, succeeded, compiled=False
        )  # parts of larger texts are not plucked
        self._add_columns(columns, count, issued, call_details.changed(of, marks, succeeded))

    def _add_columns(
        self,
        columns: dict[str, Any],
        count: int,
        issued: call_details.CallColumns,
        changed: call_details.CallColumns,
    ) -> None:
        """Add the columns of `count` rows of events, and those of the issuances and changes among them."""
        for name, column in columns.items():
            self._parts[name].append(column)
        self._issuances.add(self._rows, issued)
        self._changes.add(self._rows, changed)
        self._rows += count

    def tables(self) -> dict[str, pa.Table]:
        """The collected columns as Arrow tables, named as in `columns.TABLES`."""
        self._add_scanned()
        for batch in self._waiting.rest():
            self._add_batch(batch)
        events = self._events_table()
        identities = self._identities_table(events)
        self._leave_out_masked(events)
        tables = {
            "events": events,
            "identities": identities,
            "issuances": _special_table(events, self._issuances, ISSUANCES),
            "changes": _special_table(events, self._changes, CHANGES),
            "rejected": self._rejected_table(),
        }
        return {name: assemble.without_secrets(table) for name, table in tables.items()}

    def _events_table(self) -> pa.Table:
        columns = {"segment": assemble.same(self.number, self._rows)}
        for name, parts in self._parts.items():
            labels = self._labels.get(name)
            kind = pa.int32() if labels is not None else EVENTS.field(name).type
            column = assemble.joined(parts, kind)
            columns[name] = column if labels is None else assemble.labelled(column, labels)
        return pa.Table.from_arrays([columns[name] for name in EVENTS.names], schema=EVENTS)

    def _identities_table(self, events: pa.Table) -> pa.Table:
        raws = list(self._identities)
        values, lost = identity.columns(raws, compiled=self.compiled)
        for identities, member, why in (
            (lost.odd, "userIdentity", "a member of another type than expected"),
            (lost.masked_keys, "userIdentity.accessKeyId", MASKED),
            (lost.masked_principals, "userIdentity.principalId", MASKED),
        ):
            if identities:
                rows = np.flatnonzero(np.isin(events["identity"].to_numpy(), identities))
                self._reject(events, rows.tolist(), member, why)
        arrays = [assemble.same(self.number, len(raws)), pa.array(np.arange(len(raws), dtype=np.int32))]
        for name, column in zip(IDENTITIES.names[2:], values, strict=True):
            kind = IDENTITIES.field(name).type
            arrays.append(
                assemble.optional_moments(column) if name == "created" else assemble.plain(column, kind)
            )
        return pa.Table.from_arrays(arrays, schema=IDENTITIES)

    def _leave_out_masked(self, events: pa.Table) -> None:
        """Leave out masked ids of what calls issued, made or changed."""
        issued, changed = self._issuances, self._changes
        issued.columns["key_id"][:], keys = issued_key_ids(issued.columns["key_id"])
        issued.columns["child_id"][:], children = principal_ids(
            issued.columns["child_id"], issued.columns["child_arn"]
        )
        changed.columns["request"][:], asked = named_key_ids(changed.columns["request"])
        changed.columns["response"][:], answered = named_key_ids(changed.columns["response"])
        for calls, places, member in (
            (issued, keys, "responseElements.credentials.accessKeyId"),
            (issued, children, "responseElements.assumedRoleUser.assumedRoleId"),
            (changed, asked, "requestParameters.accessKeyId"),
            (changed, answered, "responseElements.accessKey.accessKeyId"),
        ):
            if places:
                self._reject(events, [calls.places[place] for place in places], member, MASKED)

    def _reject(self, events: pa.Table, rows: Sequence[int], member: str, why: str) -> None:
        """Note that a member of some events was not used."""
        of_lost = events.select(["object", "ordinal"]).take(pa.array(rows, pa.int64()))
        for row in of_lost.to_pylist():
            self._rejected.append((row["object"], row["ordinal"], member, why))

    def _rejected_table(self) -> pa.Table:
        values = list(zip(*self._rejected, strict=True)) if self._rejected else [()] * 4
        arrays = [assemble.same(self.number, len(self._rejected))]
        arrays += [assemble.plain(column, REJECTED.field(n + 1).type) for n, column in enumerate(values)]
        return pa.Table.from_arrays(arrays, schema=REJECTED)


def _special_table(events: pa.Table, calls: SegmentCalls, schema: pa.Schema) -> pa.Table:
    """Make a table of calls: of the columns that `call_details` filled, and those that their events have as well."""
    own = calls.columns
    shared = [name for name in events.column_names if name in {*schema.names, "name"} - own.keys()]
    shown = events.select(shared).take(assemble.plain(calls.places, pa.int64()))
    columns = []
    for name in schema.names:
        if name == "shared_id":
            columns.append(digests(own[name]))
        elif name in own:
            columns.append(assemble.plain(own[name], schema.field(name).type))
        else:
            columns.append(assemble.own_labels(shown["name" if name == "api" else name].combine_chunks()))
    return pa.Table.from_arrays(columns, schema=schema)
