"""
Security Lake's Parquet, column by column: what repeats from row to row is worked out once for all of its rows.

The records are those of `ocsf`, as far as our columns go. What has other types than Security Lake's is declined, and
single rows that take more thought are left to `ocsf`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tokentrail.events.carriers import arrow_columns as columns
from tokentrail.events.carriers import ocsf
from tokentrail.events.carriers.actors import Filled, fill, stand_in, template
from tokentrail.events.carriers.arrow_columns import Codes, Column
from tokentrail.events.carriers.ocsf_plain import (
    ADDED,
    ANSWERED,
    FLAG,
    IDENTITY,
    KINDS,
    ODD,
    REQUESTED,
    TRUTHS,
    gives_back,
    parts,
)
from tokentrail.events.carriers.slim import OTHER_KIND, Members, encode, wanted
from tokentrail.events.carriers.table import truth
from tokentrail.events.loose import FAILURES

_SHOWN = {
    "eventSource": "api.service.name",
    "eventName": "api.operation",
    "awsRegion": "cloud.region",
    "userAgent": "http_request.user_agent",
    "errorCode": "api.response.error",
    "recipientAccountId": "cloud.account.uid",
    "vpcEndpointId": "src_endpoint.uid",
}
_ADDRESSES = ("src_endpoint.ip", "src_endpoint.domain", "src_endpoint.hostname")
_GIVEN_BACK = ("status", "mfa", "is_mfa")
_SHARED = "sharedEventID"
_FLAGS = (
    "readOnly", "managementEvent", "recipientAccountId", "sessionCredentialFromConsole", "vpcEndpointId",
    "vpcEndpointAccountId",
)  # fmt: skip
_NOT_EMPTY = ("errorCode", "recipientAccountId", "vpcEndpointId")
"""Members of which an empty text says nothing."""
_LATEST = 1 << 45
_MOST_PLACES = 1 << 22
_FAILURES = (*FAILURES, pa.ArrowException, UnicodeError, ValueError)

_KEY, _BEGAN = ("user", "credential_uid"), ("session", "created_time")

Entries = tuple[tuple[str, str], ...]
Parts = dict[str, str]
_NOTHING: tuple[Entries, Parts] = ((), {})


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
    if ((times <= 0) | (times >= _LATEST)).any():
        raise OTHER_KIND
    moments = np.datetime_as_string((times // 1000).astype("M8[s]")).tolist()
    unmapped = _Unmapped(columns.array(batch, "unmapped"), count)
    calls = _Calls(batch, unmapped, old=old)
    asked, answered = _Data(batch, "request", count), _Data(batch, "response", count)
    rows = zip(
        moments,
        _ids(columns.array(batch, "metadata.uid")),
        _who(columns.array(batch, "actor"), unmapped, count),
        _resources(columns.array(batch, "resources"), count),
        unmapped.shared,
        unmapped.opened(calls),
        calls.of,
        strict=True,
    )
    found: list[bytes] = []
    for row, (moment, uid, identity, resources, shared, (entries, made), call) in enumerate(rows):
        all_of_it = calls.wanted[call]
        told = dict(made)
        if calls.gives_back[call]:
            told = _strings(parts(entries, calls.given_back(row, call)))
        request = asked.text(row) if all_of_it else None
        answer = answered.text(row) if all_of_it & 1 else None
        if (
            row in unmapped.odd
            or (request and "requestParameters" in told)
            or (answer and "responseElements" in told)
        ):
            found.append(whole(row))
            continue
        if request:
            told["requestParameters"] = request
        if answer:
            told["responseElements"] = answer
        rest = "".join([f',"{name}":{value}' for name, value in told.items()]) if told else ""
        found.append(
            f'{{"eventTime":"{moment}Z","eventID":{uid},"userIdentity":{identity}{calls.texts[call]}{resources}{shared}{rest}}}'.encode()
        )
    return found, old


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


def _ids(found: Any) -> list[str]:
    if found is None or found.null_count or not pa.types.is_string(found.type):
        raise OTHER_KIND
    ids = found.to_pylist()
    if "".join(ids).replace("-", "").isalnum():  # no character that JSON escapes
        return [f'"{one}"' for one in ids]
    return [encode(one).decode() for one in ids]


def _strings(found: Members) -> Parts:
    return {name: bytes(one).decode() for name, one in found.items()}


class _Unmapped:
    """What has no field: names and values, all rows' behind one another."""

    def __init__(self, found: Any, count: int) -> None:
        self._count = count
        self.shared = [""] * count
        self.odd: frozenset[int] = frozenset()
        keys, items, lengths = _entries(found, count)
        self._names, self._values = keys.values, items.values
        self._rows = np.repeat(np.arange(count), lengths)
        self._keys, self._items = keys.codes, items.codes
        _refuse_repeats(self._rows, self._keys, count)
        kinds = np.array([KINDS[name] for name in self._names], np.int64)[self._keys]
        said = self._items >= 0
        if "" in self._values:
            said &= self._items != self._values.index("")
        self._kinds = np.where(said, kinds, -1)
        self._told = self._kinds == IDENTITY
        self.odd = frozenset(self._rows[self._kinds == ODD].tolist())
        self._wide = max(len(self._values), 1)
        self._numbers = self._keys * self._wide + self._items
        for at in np.flatnonzero((self._kinds == FLAG) & (self._keys == self._key(_SHARED))).tolist():
            value = encode(self._values[self._items[at]]).decode()
            self.shared[self._rows[at]] = f',"{_SHARED}":{value}'

    def _key(self, name: str) -> int:
        return self._names.index(name) if name in self._names else -1

    def flag(self, name: str) -> Column:
        """A flag of all rows."""
        codes = np.full(self._count, -1)
        chosen = (self._kinds == FLAG) & (self._keys == self._key(name))
        codes[self._rows[chosen]] = self._items[chosen]
        return Column(codes, self._values)

    def told(self) -> list[bytes]:
        """For each row a text that stands for what it says of the identity."""
        return self._grouped(self._told)

    def entries(self, packed: bytes) -> Entries:
        """What such a text stands for."""
        return tuple(
            (self._names[one // self._wide], self._values[one % self._wide])
            for one in np.frombuffer(packed, np.int64).tolist()
        )

    def _grouped(self, chosen: npt.NDArray[np.bool_]) -> list[bytes]:
        numbers = self._numbers[chosen].astype(np.int64).tobytes()
        ends = np.cumsum(np.bincount(self._rows[chosen], minlength=self._count)) * 8
        starts = [0, *ends[:-1].tolist()]
        return [numbers[start:end] for start, end in zip(starts, ends.tolist(), strict=True)]

    def opened(self, calls: _Calls) -> list[tuple[Entries, Parts]]:
        """For each row the members of its request, its answer and the like, and the same put together."""
        looked = np.array(calls.wanted, np.int64)[calls.of][self._rows]
        kinds = self._kinds
        chosen = (
            (kinds == ADDED)
            | ((kinds == REQUESTED) & (looked > 0))
            | ((kinds == ANSWERED) & (looked & 1 > 0))
        )
        known: dict[bytes, tuple[Entries, Parts]] = {b"": _NOTHING}
        found = []
        for packed in self._grouped(chosen):
            opened = known.get(packed)
            if opened is None:
                entries = self.entries(packed)
                opened = known[packed] = entries, _strings(parts(entries))
            found.append(opened)
        return found


def _entries(found: Any, count: int) -> tuple[Column, Column, Codes]:
    """Keys and values of maps, and how many each row has."""
    if found is None:
        nothing = Column(np.zeros(0, np.int64), ())
        return nothing, nothing, np.zeros(count, np.int64)
    if not pa.types.is_map(found.type):
        raise OTHER_KIND
    offsets = found.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    lengths = np.diff(offsets)
    if found.null_count and lengths[~found.is_valid().to_numpy(zero_copy_only=False)].any():
        raise OTHER_KIND
    keys, items = found.keys, found.items
    if len(keys) != lengths.sum():
        keys, items = keys[offsets[0] : offsets[-1]], items[offsets[0] : offsets[-1]]
    return columns.texts(keys, len(keys)), columns.texts(items, len(items)), lengths


def _refuse_repeats(rows: Codes, keys: Codes, count: int) -> None:
    """One name twice in one row: the last one counts, which is not looked for here."""
    if not len(rows):
        return
    places, many = rows * (keys.max() + 1) + keys, count * (int(keys.max()) + 1)
    if many > _MOST_PLACES or np.bincount(places, minlength=many).max() > 1:
        raise OTHER_KIND


class _Calls:
    """What was called, from where and with what outcome: few kinds in many rows."""

    def __init__(self, batch: pa.RecordBatch, unmapped: _Unmapped, *, old: bool) -> None:
        count = batch.num_rows
        self._batch = batch
        self._shown = {
            name: columns.texts(columns.array(batch, path), count) for name, path in _SHOWN.items()
        }
        self._addresses = [columns.texts(columns.array(batch, path), count) for path in _ADDRESSES]
        self._flags = {name: unmapped.flag(name) for name in _FLAGS}
        classes = columns.numbers(columns.array(batch, "class_uid"))
        if self._shown["eventName"].codes.min(initial=0) < 0:
            raise OTHER_KIND
        every = [*self._shown.values(), *self._addresses, *self._flags.values()]
        changes = (classes == ocsf.ACCOUNT_CHANGE).astype(np.int64)
        together = columns.combined([changes, *(one.codes for one in every)], count)
        _, first, of = np.unique(together, return_index=True, return_inverse=True)
        self.of = of.reshape(-1).tolist()
        self._names = [
            (self._shown["eventName"].at(row), self._shown["eventSource"].at(row)) for row in first.tolist()
        ]
        self._errors = [self._shown["errorCode"].at(row) for row in first.tolist()]
        self.wanted = [wanted(name, source) for name, source in self._names]
        self.gives_back = [
            old and gives_back(name, int(classes[row]))
            for (name, _), row in zip(self._names, first.tolist(), strict=True)
        ]
        self.texts = [self._text(row) for row in first.tolist()]
        self._classes = classes
        self._back: dict[str, Column] | None = None

    def _text(self, row: int) -> str:
        made: Members = {name: column.at(row) for name, column in self._shown.items()}
        made |= {name: made[name] or None for name in _NOT_EMPTY}
        made["sourceIPAddress"] = next((one for column in self._addresses if (one := column.at(row))), None)
        for name, column in self._flags.items():
            if made.get(name) is None:
                made[name] = truth(column.at(row)) if name in TRUTHS else column.at(row)
        return "".join(f',"{name}":{encode(one).decode()}' for name, one in made.items() if one is not None)

    def given_back(self, row: int, call: int) -> Callable[[Members], None]:
        """Gives a record back what version 1.0 moved."""
        if self._back is None:
            count = self._batch.num_rows
            paths = (*_GIVEN_BACK, *(f"user.{name}" for name in ("uuid", "name", "uid")))
            self._back = {path: columns.values(columns.array(self._batch, path), count) for path in paths}
        held: Members = {path: column.at(row) for path, column in self._back.items()}
        user = {name: held.pop(f"user.{name}") for name in ("uuid", "name", "uid")}
        members = {**held, "user": user, "class_uid": int(self._classes[row])}
        return partial(ocsf.give_back_to, members, self._names[call][0], self._errors[call])


class _Data:
    """Requests or answers, which are JSON as text."""

    def __init__(self, batch: pa.RecordBatch, name: str, count: int) -> None:
        found = columns.texts(columns.array(batch, f"api.{name}.data"), count)
        self._codes, self._values = found.codes.tolist(), found.values
        self._known: dict[int, str] = {-1: ""}

    def text(self, row: int) -> str:
        """A row's, sure to be one value and nothing more; empty where there is none."""
        code = self._codes[row]
        known = self._known.get(code)
        if known is None:
            value = self._values[code]
            known = self._known[code] = encode(ocsf.data(value)).decode() if value else ""
        return known


def _who(actor: Any, unmapped: _Unmapped, count: int) -> list[str]:
    """Each row's identity, put together once for each that occurs."""
    told = unmapped.told()
    paths = [(path, columns.values(found, count)) for path, found in columns.leaves(actor)]
    if any(not path for path, _ in paths):
        raise OTHER_KIND  # no object
    keys, times = (next((column for path, column in paths if path == one), None) for one in (_KEY, _BEGAN))
    if (keys and not _all(keys, str)) or (times and not _all(times, int)):
        raise OTHER_KIND
    rest = [(path, column) for path, column in paths if path not in (_KEY, _BEGAN)]
    has = [(column.codes >= 0).astype(np.int64) for column in (keys, times) if column]
    alike = columns.combined([column.codes for _, column in rest] + has, count).tolist()
    own = columns.combined([column.codes for column in (keys, times) if column], count).tolist()
    templates: dict[tuple[int, bytes], str | None] = {}
    known: dict[tuple[int, int, bytes], str] = {}
    found = []
    for row, key in enumerate(zip(alike, own, told, strict=True)):
        identity = known.get(key)
        if identity is None:
            filled = Filled(keys.at(row) if keys else None, times.at(row) if times else None)
            general = key[0], key[2]
            if general not in templates:
                actor = _actor(rest, row, stand_in(filled))
                templates[general] = template(actor, unmapped.entries(key[2]), filled)
            text = templates[general]
            identity = fill(text, filled) if text is not None else None
            if identity is None:
                who = ocsf.who(_actor(rest, row, filled), unmapped.entries(key[2]))
                identity = bytes(who).decode()
            known[key] = identity
        found.append(identity)
    return found


def _all(column: Column, kind: type) -> bool:
    return all(type(one) is kind for one in column.values)


def _actor(paths: Sequence[tuple[tuple[str, ...], Column]], row: int, filled: Filled) -> Members:
    made: Members = {}
    values = [(path, column.at(row)) for path, column in paths]
    for (*around, name), value in (*values, (_KEY, filled.key), (_BEGAN, filled.milliseconds)):
        if value is not None:
            inner = made
            for one in around:
                inner = inner.setdefault(one, {})
            inner[name] = value
    return made


def _resources(found: Any, count: int) -> list[str]:
    if found is None:
        return [""] * count
    if not pa.types.is_list(found.type) or not pa.types.is_struct(found.type.value_type):
        raise OTHER_KIND
    at = found.type.value_type.get_field_index("uid")
    if at < 0:
        raise OTHER_KIND
    flattened = found.flatten()
    uids = columns.texts(pc.struct_field(flattened, [at]), len(flattened))
    shown = [f'{{"ARN":{encode(one).decode()}}}' for one in uids.values] + ["{}"]  # the last one for none
    listed = [shown[code] for code in uids.codes.tolist()]
    ends = np.cumsum(pc.list_value_length(found).fill_null(0).to_numpy(zero_copy_only=False)).tolist()
    return [
        f',"resources":[{",".join(listed[start:end])}]' if end > start else ""
        for start, end in zip([0, *ends[:-1]], ends, strict=True)
    ]
