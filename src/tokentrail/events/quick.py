"""
From bytes to columns with the compiled scanner, for clean native log files; the ordinary way reads everything else.

Both ways give the same columns. `native/scan.c` is the hot loop; the calls that `call_details` looks into are
handled here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt

from tokentrail.events import assemble, call_details
from tokentrail.events.assemble import Labels
from tokentrail.events.ids import packed_ids
from tokentrail.events.loose import FAILURES
from tokentrail.events.record import MISSING, Additional
from tokentrail.events.vocabulary import Mark, looked_into, name_marks, source_marks

if TYPE_CHECKING:
    from tokentrail.events._scan import Calls, Scanner

_SCANNED = ("account", "region", "source", "name", "error", "ip", "agent", "endpoint", "endpoint_account")
"""The labelled columns, in the scanner's order."""
_ROW = np.dtype([
    ("time", np.int64), ("bytes_out", np.float64), ("event_id", "V16"), ("labels", np.int32, len(_SCANNED)),
    ("object", np.int32), ("ordinal", np.int32), ("identity", np.int32), ("resource_end", np.int32),
    ("read_only", np.int8), ("management", np.int8), ("console", np.int8), ("unused", np.int8),
])  # fmt: skip
"""A row as `native/record.h` writes it."""
_CALL = (
    "eventSource", "eventName", "sharedEventID", "requestParameters", "responseElements", "serviceEventDetails",
    "additionalEventData",
)  # fmt: skip
_ENOUGH = 16_000
"""Rows from which on they are taken: so many that the fixed cost of each column hardly counts."""
_ENOUGH_BYTES = 8 << 20
"""Bytes of requests, answers and resources from which on rows are taken: a single request may have 100 KB."""
_decode_text = msgspec.json.Decoder(str).decode
_decode_additional = msgspec.json.Decoder(Additional | None).decode


def compiled() -> bool:
    """Whether this installation has the compiled scanner."""
    return _scanner_type() is not None


def _scanner_type() -> type[Scanner] | None:
    try:
        from tokentrail.events._scan import Scanner
    except ImportError:  # no compiler was there when it was installed
        return None
    return Scanner


@dataclass(frozen=True, slots=True)
class ScannedRows:
    """Rows of events: their columns, and those of the issuances and changes among them."""

    count: int
    columns: dict[str, Any]
    issued: call_details.CallColumns
    changed: call_details.CallColumns


class Quick:
    """Reads clean native log files into rows; `add` declines all others."""

    def __init__(self, scanner: Scanner, endpoints: Labels) -> None:
        self._scanner, self._endpoints = scanner, endpoints

    @classmethod
    def start(cls, labels: dict[str, Labels], identities: Labels) -> Quick | None:
        """
        Start a scanner; `None` where none was compiled.

        Args:
            labels: The labels of each column, which the ordinary way numbers too.
            identities: The same of the texts of `userIdentity`.
        """
        scanner = _scanner_type()
        if scanner is None:
            return None
        own = tuple(labels[name] for name in _SCANNED)
        seed = secrets.randbits(64)  # so that nobody can make up labels that all fall into one place
        made = scanner(own, identities, (source_marks, name_marks), _WANTED, _decode_text, MISSING, seed)
        return cls(made, labels["endpoint"])

    def add(self, data: bytes, number: int) -> tuple[int, int, int] | None:
        """
        Read an object into rows.

        Returns:
            How many records it has, and the seconds of the first and the last one; `None` if the ordinary way must
            read it, and no row was added.
        """
        return self._scanner.scan(data, number)

    def add_each(self, texts: list[bytes], number: int, first: int) -> tuple[int, int] | None:
        """Read texts of one record each, with ordinals from `first` on; first and last second, or `None` as above."""
        return self._scanner.scan_each(texts, number, first)

    @property
    def full(self) -> bool:
        """Whether rows should be taken."""
        return self._scanner.rows >= _ENOUGH or self._scanner.kept >= _ENOUGH_BYTES

    def take(self) -> ScannedRows | None:
        """Hand over the rows that are there, if any."""
        if not self._scanner.rows:
            return None
        found, resources, calls, odd_ids = self._scanner.take()
        rows = np.frombuffer(found, _ROW)
        columns: dict[str, Any] = {name: rows["labels"][:, n] for n, name in enumerate(_SCANNED)}
        columns |= {name: rows[name] for name in ("object", "ordinal", "identity", "time")}
        columns["event_id"], columns["event_id_text"] = packed_ids(rows["event_id"].tobytes(), odd_ids)
        for name in ("read_only", "management", "console"):
            columns[name] = assemble.known_flags(rows[name])
        columns["bytes_out"] = assemble.counts(rows["bytes_out"])
        passing = (rows["read_only"] > 1) & (columns["endpoint"] != self._endpoints.get(None, -1))
        looked_into = _Calls(calls, passing)
        columns["secret"] = np.zeros(len(rows), np.bool_)
        columns["secret"][looked_into.rows] = looked_into.secrets()
        ends = rows["resource_end"]
        columns["resource"] = assemble.texts(resources, ends, looked_into.named(ends))
        return ScannedRows(
            len(rows),
            columns,
            looked_into.columns(call_details.issued),
            looked_into.columns(call_details.changed),
        )


class _Calls:
    """The calls among some rows that `call_details` looks into, in the form that it takes."""

    def __init__(self, calls: Calls, passing: npt.NDArray[np.bool_]) -> None:
        rows, marks, succeeded, *rest = calls
        self.rows = np.array(rows, np.int64)
        self._marks = np.array(marks, np.uint8)
        self._succeeded = np.array(succeeded, np.bool_)
        fields: dict[str, Any] = dict(zip(_CALL, rest, strict=True))
        additional = [None if raw is MISSING else _additional(raw) for raw in calls[-1]]
        self._of = fields | {"additionalEventData": additional}
        self._succeeded[
            call_details.network_activity(self._of, np.flatnonzero(passing[self.rows]).tolist())
        ] = False

    def secrets(self) -> npt.NDArray[np.bool_]:
        """Which calls returned a secret."""
        return call_details.secrets(self._of, self._marks, self._succeeded)

    def named(self, ends: npt.NDArray[np.int32]) -> dict[int, str | None]:
        """By row: what the request names, for marked calls whose records list no resource."""
        lists = np.diff(ends, prepend=np.int32(0))[self.rows] > 0
        chosen = np.flatnonzero((self._marks & Mark.NAMES_RESOURCE > 0) & ~lists).tolist()
        rows = self.rows[chosen].tolist()
        return dict(zip(rows, call_details.named(self._of, chosen), strict=True))

    def columns(self, what: Callable[..., call_details.CallColumns]) -> call_details.CallColumns:
        """What `call_details.issued` or `call_details.changed` finds, with places among all rows."""
        places, columns = what(self._of, self._marks, self._succeeded)
        return call_details.CallColumns(self.rows[places].tolist(), columns)


def _additional(raw: bytes) -> Additional | None:
    try:
        found: Additional | None = _decode_additional(raw)
    except FAILURES:  # can't happen: the scanner has looked at each member
        return None
    return found


_WANTED = bytes(map(looked_into, range(64)))
"""For each combination of marks, whether a call that has it is looked into."""
