"""
Security Lake's Parquet, column by column: what repeats from row to row is worked out once for all of its rows.

The records are those of `ocsf`, as far as our columns go. What has other types than Security Lake's is declined, and
single rows that take more thought are left to `ocsf`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tokentrail.events.carriers import arrow_columns as columns
from tokentrail.events.carriers import ocsf, parquet_actors
from tokentrail.events.carriers.arrow_columns import Codes, Column
from tokentrail.events.carriers.composing import LATEST, Rows
from tokentrail.events.carriers.ocsf_plain import TRUTHS, gives_back
from tokentrail.events.carriers.parquet_opened import Told, told
from tokentrail.events.carriers.parquet_unmapped import Mask, Run, Unmapped
from tokentrail.events.carriers.slim import OTHER_KIND, Members, encode, wanted
from tokentrail.events.carriers.table import truth
from tokentrail.events.loose import FAILURES

_ADDRESSES = ("src_endpoint.ip", "src_endpoint.domain", "src_endpoint.hostname")
_SHOWN = {"awsRegion": "cloud.region", "userAgent": "http_request.user_agent"}
_FIELDS = {"recipientAccountId": "cloud.account.uid", "vpcEndpointId": "src_endpoint.uid"}
"""Members whose own field counts for more than what stands under `unmapped`, unless it is empty."""
_FLAGS = (
    "readOnly", "managementEvent", "sharedEventID", "sessionCredentialFromConsole", "vpcEndpointAccountId",
)  # fmt: skip
_DATA = {"requestParameters": "api.request.data", "responseElements": "api.response.data"}
_GIVEN_BACK = ("status", "mfa", "is_mfa")
_TARGET = ("uuid", "name", "uid")
_FAILURES = (*FAILURES, pa.ArrowException, UnicodeError, ValueError)
_PLAIN = np.array([(chr(one).isalnum() and one < 0x80) or chr(one) == "-" for one in range(256)])
"""Characters that JSON never escapes."""


def texts(batch: pa.RecordBatch, whole: Callable[[int], bytes]) -> tuple[list[bytes], bool] | None:
    """
    The records of a batch, and whether they are of version 1.0; `None` where its columns are others.

    Args:
        batch: The rows.
        whole: The record of one row, by the ordinary way.
    """
    try:
        return _texts(batch, whole)
    except _FAILURES:
        return None


def _texts(batch: pa.RecordBatch, whole: Callable[[int], bytes]) -> tuple[list[bytes], bool]:
    count = batch.num_rows
    old = _is_old(batch, count)
    times = columns.numbers(columns.array(batch, "time"))
    if ((times <= 0) | (times >= LATEST)).any():
        raise OTHER_KIND
    rows, unmapped = Rows(count), Unmapped(columns.array(batch, "unmapped"), count)
    rows.constant('{"eventTime":"')
    rows.times(times)
    rows.constant('","eventID":')
    _write_ids(rows, columns.array(batch, "metadata.uid"))
    rows.constant(',"userIdentity":')
    odd = parquet_actors.write(rows, columns.array(batch, "actor"), unmapped.told())
    calls = _Calls(batch, old=old)
    calls.write(rows)
    _write_shown(rows, batch, unmapped)
    _write_resources(rows, columns.array(batch, "resources"))
    odd |= _write_open(rows, batch, unmapped, calls) | unmapped.odd()
    rows.constant("}")
    found = rows.made()
    return [whole(row) if one is None or odd[row] else one for row, one in enumerate(found)], old


def _is_old(batch: pa.RecordBatch, count: int) -> bool:
    """Whether all rows are of version 1.0; and that they are made of CloudTrail's records."""
    versions = columns.texts(columns.array(batch, "metadata.version"), count)
    products = columns.texts(columns.array(batch, "metadata.product.name"), count)
    old = {one.startswith("1.0") for one in versions.values}
    if (
        len(old) != 1
        or set(products.values) != {"CloudTrail"}
        or min(versions.codes.min(), products.codes.min()) < 0
    ):
        raise OTHER_KIND
    return True in old


def _write_ids(rows: Rows, found: Any) -> None:
    if found is None or found.null_count or not pa.types.is_string(found.type):
        raise OTHER_KIND
    _, _, data = pa.concat_arrays([found, found.slice(0, 0)]).buffers()
    if data is not None and _PLAIN[np.frombuffer(data, np.uint8)].all():
        rows.constant('"')
        rows.texts(None, found)
        rows.constant('"')
    else:
        rows.texts(None, [encode(one).decode() for one in found.to_pylist()])


def _write(rows: Rows, name: str, column: Column) -> None:
    """A member of each row, where there is one."""
    if column.codes.max(initial=-1) < 0:
        return
    codes, used = column.used()
    told = [truth(one) if name in TRUTHS else one for one in used]
    rows.texts(codes, ["" if one is None else f',"{name}":{encode(one).decode()}' for one in told])


def _write_shown(rows: Rows, batch: pa.RecordBatch, unmapped: Unmapped) -> None:
    """What fields of their own say, and flags."""
    count = batch.num_rows
    for name, path in _SHOWN.items():
        _write(rows, name, columns.texts(columns.array(batch, path), count))
    for name, path in _FIELDS.items():
        shown = columns.texts(columns.array(batch, path), count).without_empty()
        _write(rows, name, shown)
        _write(rows, name, unmapped.flag(name).only(shown.codes < 0))
    for name in _FLAGS:
        _write(rows, name, unmapped.flag(name))
    free = np.ones(count, np.bool_)
    for path in _ADDRESSES:
        address = columns.texts(columns.array(batch, path), count)
        if path != _ADDRESSES[-1]:
            address = address.without_empty()
        _write(rows, "sourceIPAddress", address.only(free))
        free &= address.codes < 0


def _write_resources(rows: Rows, found: Any) -> None:
    if found is None:
        return
    if not pa.types.is_list(found.type) or not pa.types.is_struct(found.type.value_type):
        raise OTHER_KIND
    at = found.type.value_type.get_field_index("uid")
    if at < 0:
        raise OTHER_KIND
    flattened = found.flatten()
    uids = columns.texts(pc.struct_field(flattened, [at]), len(flattened))
    lengths = pc.list_value_length(found).fill_null(0).to_numpy(zero_copy_only=False)
    codes, runs = columns.distinct_runs(uids.codes, lengths)
    shown = [f'{{"ARN":{encode(one).decode()}}}' for one in uids.values] + ["{}"]  # the last one for none
    listed = (",".join(shown[code] for code in np.frombuffer(run, np.int64).tolist()) for run in runs)
    rows.texts(codes, [f',"resources":[{one}]' if one else "" for one in listed])


class _Calls:
    """What was called, and with what outcome."""

    def __init__(self, batch: pa.RecordBatch, *, old: bool) -> None:
        count = batch.num_rows
        self._batch, self._old = batch, old
        self._name, self._source, error = (
            columns.texts(columns.array(batch, path), count)
            for path in ("api.operation", "api.service.name", "api.response.error")
        )
        self._error = error.without_empty()
        if self._name.codes.min(initial=0) < 0:
            raise OTHER_KIND
        together = columns.combined([self._name.codes, self._source.codes], count)
        _, first, of = np.unique(together, return_index=True, return_inverse=True)
        calls = [(self._name.at(row), self._source.at(row)) for row in first.tolist()]
        self.wanted: Codes = np.array([wanted(*call) for call in calls], np.int64)[of.reshape(-1)]
        """What of each row's call says something, as `slim.wanted` has it."""
        self._classes = columns.numbers(columns.array(batch, "class_uid"))
        self._back: dict[str, Column] | None = None

    def write(self, rows: Rows) -> None:
        """Write name, source and outcome."""
        _write(rows, "eventName", self._name)
        _write(rows, "eventSource", self._source)
        _write(rows, "errorCode", self._error)

    def giving_back(self) -> list[int]:
        """The rows to which version 1.0 owes something."""
        if not self._old:
            return []
        names = np.array([gives_back(one, 0) for one in self._name.values], np.bool_)[self._name.codes]
        rows: list[int] = np.flatnonzero(names | (self._classes == ocsf.ACCOUNT_CHANGE)).tolist()
        return rows

    def given_back(self, row: int, run: Run) -> Told:
        """What a row says member by member, and what version 1.0 moved elsewhere."""
        if self._back is None:
            paths = (*_GIVEN_BACK, *(f"user.{name}" for name in _TARGET))
            self._back = {
                path: columns.values(columns.array(self._batch, path), len(self._classes)) for path in paths
            }
        held: Members = {path: column.at(row) for path, column in self._back.items()}
        user = {name: held.pop(f"user.{name}") for name in _TARGET}
        members = {**held, "user": user, "class_uid": int(self._classes[row])}
        moved = ocsf.moved(members, self._name.at(row), self._error.at(row))
        names, values = run
        more = {
            name: value for path, value in moved.items() if value and (name := ".".join(path)) not in names
        }
        return told((*names, *more), [*values, *more.values()])


def _write_open(rows: Rows, batch: pa.RecordBatch, unmapped: Unmapped, calls: _Calls) -> Mask:
    """
    Requests, answers and the like, as JSON of their own or member by member.

    Returns:
        The rows of which it takes more thought: they have something in both ways.
    """
    codes, found = _opened(unmapped.opened(calls.wanted), calls)
    rows.texts(codes, [one.text for one in found])
    odd = np.zeros(len(codes), np.bool_)
    for (name, path), bits in zip(_DATA.items(), (~0, 1), strict=True):
        data = (
            columns.texts(columns.array(batch, path), len(codes))
            .without_empty()
            .only(calls.wanted & bits > 0)
        )
        data.distinct.validate(full=True)
        rows.objects(name, data.codes, data.distinct)
        odd |= (data.codes >= 0) & np.array([name in one.heads for one in found], np.bool_)[codes]
    return odd


def _opened(found: tuple[Codes, list[Run]], calls: _Calls) -> tuple[Codes, list[Told]]:
    """For each row the number of what is put together member by member, and that."""
    codes, runs = found
    made = [told(*run) for run in runs]
    back = calls.giving_back()
    made += [calls.given_back(row, runs[codes[row]]) for row in back]
    codes[back] = np.arange(len(runs), len(made))
    return codes, made
