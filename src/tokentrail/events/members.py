"""
The members of many small JSON objects, column by column.

Where it was compiled, `native/pluck.h` takes them out of the bytes at once; it refuses whatever is not of the usual
types, which then goes the way of `loose.Each`. Both give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

import msgspec
from msgspec.structs import astuple

from tokentrail.events.loose import Each, Raw
from tokentrail.events.record import MISSING

if TYPE_CHECKING:
    from tokentrail.events._scan import Plan

_decode_text = msgspec.json.Decoder(str).decode
_LEAVES = ({str}, {str, bool}, {int, float, str})
"""What a member may be, besides null; `native/pluck.h` knows these by their places here."""
_OBJECT, _LIST = len(_LEAVES), len(_LEAVES) + 1


def _compiled() -> Callable[..., tuple[list[Any], ...] | None] | None:
    try:
        from tokentrail.events._scan import pluck
    except ImportError:  # no compiler was there when it was installed
        return None
    return pluck


_pluck = _compiled()


class Members:
    """
    Reads the members that a type has, and those of the types inside it, of many values.

    A member of one type is a column; of a list of objects its first one counts.

    Args:
        kind: A struct of optional texts, flags, numbers, other such structs and lists of them.
        forgiving: Makes one of an object that is not of these types.
    """

    def __init__(
        self, kind: type[msgspec.Struct], forgiving: Callable[[dict[str, Any]], msgspec.Struct]
    ) -> None:
        self._each = Each(kind, forgiving)
        self._absent = kind()
        self._inner = tuple(_inner(kind))
        self._plan = tuple(_plan(kind))

    def __call__(
        self, raws: Sequence[Raw], odd: list[int] | None = None, *, compiled: bool = True
    ) -> list[Sequence[Any]]:
        """
        The columns, in the order in which the types list their members, those of an inner type in its place.

        Args:
            raws: Complete JSON values.
            odd: Receives the places of values of which some could not be read.
            compiled: Use what was compiled, if it is there.
        """
        if compiled and _pluck is not None:
            found = _pluck(raws, self._plan, _decode_text, MISSING)
            if found is not None:
                return list(found)
        return _columns(self._each(raws, odd), self._absent, self._inner)


_Inner = tuple[tuple[msgspec.Struct, "_Inner", bool] | None, ...]
"""Of each member that holds objects: one of which nothing is there, the same of its members, and whether as a list."""


def _types(of: Any) -> set[Any]:
    return set(get_args(of)) - {NoneType} or {of}


def _inside(of: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """The type of the objects that a member holds, if it does; and whether as a list."""
    [kind, *more] = _types(of)
    listed = get_args(kind)
    inside = listed[0] if listed else kind
    return (inside, bool(listed)) if not more and issubclass(inside, msgspec.Struct) else (None, False)


def _inner(kind: type[msgspec.Struct]) -> Iterator[tuple[msgspec.Struct, _Inner, bool] | None]:
    for one in msgspec.structs.fields(kind):
        inside, listed = _inside(one.type)
        yield None if inside is None else (inside(), tuple(_inner(inside)), listed)


def _plan(kind: type[msgspec.Struct]) -> Iterator[Plan]:
    """Each member's name, what it may be, and how many members come after it that are inside it."""
    for one in msgspec.structs.fields(kind):
        inside, listed = _inside(one.type)
        if inside is None:
            yield one.name.encode(), _LEAVES.index(_types(one.type)), 0
            continue
        members = tuple(_plan(inside))
        yield one.name.encode(), _LIST if listed else _OBJECT, len(members)
        yield from members


def _columns(structs: Sequence[Any], absent: msgspec.Struct, inner: _Inner) -> list[Sequence[Any]]:
    """The fields of many structs, field by field; those of `absent` where there is none."""
    if any(structs):  # often none has one
        direct: list[Sequence[Any]] = list(zip(*[astuple(one or absent) for one in structs], strict=True))
    else:
        direct = [[None] * len(structs)] * len(inner)
    columns: list[Sequence[Any]] = []
    for column, inside in zip(direct, inner, strict=True):
        if inside is None:
            columns.append(column)
            continue
        nothing, further, listed = inside
        single = [one[0] if one else None for one in column] if listed else column
        columns += _columns(single, nothing, further)
    return columns
