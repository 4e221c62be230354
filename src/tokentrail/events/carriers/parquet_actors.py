"""Who acted, in Security Lake's Parquet: a template for all rows that differ in a key and a time alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tokentrail.events.carriers import actors
from tokentrail.events.carriers import arrow_columns as columns
from tokentrail.events.carriers.arrow_columns import Codes, Column
from tokentrail.events.carriers.composing import LATEST, Rows
from tokentrail.events.carriers.known import Known
from tokentrail.events.carriers.parquet_unmapped import Entries, Mask
from tokentrail.events.carriers.slim import OTHER_KIND, Members, encode

_KEY, _BEGAN, _BEGAN_TEXT = (
    ("user", "credential_uid"),
    ("session", "created_time"),
    ("session", "created_time_dt"),
)
_PIECES = 3
_ORDERS = {b"": (0, None, None), b"k": (0, None, 1), b"t": (0, None, 1), b"kt": (0, 1, 2)}
"""By what stands between the pieces of a template: which come before a key, between it and a time, and behind."""

_known = Known(lambda key: actors.pieces(*key), lambda key: len(key[0]) + len(key[1]))
_Paths = Sequence[tuple[tuple[str, ...], Column]]


def write(rows: Rows, actor: Any, told: tuple[Codes, list[Entries]]) -> Mask:
    """
    Write each row's identity.

    Args:
        rows: Where to.
        actor: The column of those who acted.
        told: What stands elsewhere of them.

    Returns:
        The rows of which it takes more thought, and was not written right.
    """
    told_codes, told_of = told
    count = len(told_codes)
    paths, keys, times = _columns(actor, count)
    milliseconds, has_time = columns.numbers_or_none(times, count)
    key_of = columns.nothing(count) if keys is None else keys
    has_key = key_of.codes >= 0
    odd = (has_time & ((milliseconds <= 0) | (milliseconds >= LATEST))) | _odd_keys(key_of)
    together = [column.codes for _, column in paths] + [
        has_key.astype(np.int64),
        has_time.astype(np.int64),
        told_codes,
    ]
    _, first, group = np.unique(columns.combined(together, count), return_index=True, return_inverse=True)
    pieces: list[list[str]] = [[] for _ in range(_PIECES)]
    failed = np.zeros(len(first), np.bool_)
    for at, row in enumerate(first.tolist()):
        general = _actor(paths, row, key=bool(has_key[row]), time=bool(has_time[row]))
        cut = _cut(general, told_of[told_codes[row]], key=bool(has_key[row]), time=bool(has_time[row]))
        failed[at] = cut is None
        for piece, text in zip(pieces, cut or ("null", "", ""), strict=True):
            piece.append(text)
    group = group.reshape(-1)
    odd |= failed[group]
    rows.texts(group, pieces[0])
    rows.texts(np.where(odd, -1, key_of.codes), key_of.distinct)
    rows.texts(group, pieces[1])
    rows.times(np.where(has_time & ~odd, milliseconds, -1))
    rows.texts(group, pieces[2])
    return odd


def _columns(actor: Any, count: int) -> tuple[_Paths, Column | None, Any]:
    """The fields that a template is made of, and those of the keys and the times."""
    leaves = list(columns.leaves(actor))
    found = dict(leaves)
    keys, times = found.pop(_KEY, None), found.pop(_BEGAN, None)
    if () in found or len(found) + (keys is not None) + (times is not None) < len(leaves):
        raise OTHER_KIND  # no object, or one with a name twice
    if times is not None and not times.null_count:
        found.pop(_BEGAN_TEXT, None)  # says the same
    key_of = None if keys is None else columns.texts(keys, count)
    return [(path, columns.values(one, count)) for path, one in found.items()], key_of, times


def _odd_keys(keys: Column) -> Mask:
    """The rows whose key is spelled in a way that JSON might escape."""
    bad = np.array([not (one.isascii() and one.isalnum()) for one in keys.values] + [False], np.bool_)
    return bad[keys.codes]  # the last one for rows that have none


def _actor(paths: _Paths, row: int, *, key: bool, time: bool) -> Members:
    """An actor as an object, with stand-ins for its key and its time."""
    made: Members = {}
    values = [(path, column.at(row)) for path, column in paths]
    values += [(_KEY, actors.KEY)] * key + [(_BEGAN, actors.BEGAN)] * time
    for (*around, name), value in values:
        if value is not None:
            inner = made
            for one in around:
                inner = inner.setdefault(one, {})
            inner[name] = value
    return made


def _cut(actor: Members, told: Entries, *, key: bool, time: bool) -> tuple[str, str, str] | None:
    """What stands before a key, between it and a time, and behind; `None` where it is another order."""
    found = _known[encode(actor), encode(told), key, time]
    if found is None or found[1] not in _ORDERS:
        return None
    texts = [one.decode() for one in found[0]]
    before, between, behind = ("" if at is None else texts[at] for at in _ORDERS[found[1]])
    return before, between, behind
