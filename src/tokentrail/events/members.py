"""
Read the members of many small JSON objects into columns.

Where it was compiled, `native/pluck.c` takes them straight from the bytes. It declines values that are not of the
expected types; `loose.Each` then reads all of them. Both ways give the same columns.
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
"""The types that a member may have, besides null; `native/pluck.c` knows each set by its place here."""
_OBJECT, _LIST = len(_LEAVES), len(_LEAVES) + 1
"""What stands for an object, and for a list of objects, in place of these."""


def _compiled() -> Callable[..., tuple[list[Any], ...] | None] | None:
    try:
        from tokentrail.events._scan import pluck
    except ImportError:  # no compiler was there when it was installed
        return None
    return pluck


_pluck = _compiled()


class Members:
    """
    Reads the members of a type, and of the types inside it, from many values.

    Each member that is not an object itself becomes a column; of a list of objects, only the first one is read.

    Args:
        kind: A struct of optional texts, flags, numbers, other such structs and lists of them.
        forgiving: Makes such a struct from any JSON object, for values that are not of this type.
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
        Read the columns, in the order of the type's members; those of an inner type stand in its place.

        Args:
            raws: Complete JSON values.
            odd: Receives the places of the values that `forgiving` had to read, some of which may be lost.
            compiled: Use the compiled way, if there is one.
        """
        if compiled and _pluck is not None:
            found = _pluck(raws, self._plan, _decode_text, MISSING)
            if found is not None:
                return list(found)
        return _columns(self._each(raws, odd), self._absent, self._inner)


_Inner = tuple[tuple[msgspec.Struct, "_Inner", bool] | None, ...]
"""For each member of a struct: `None` if it is a column, else an empty struct of its type, the same for that one's
members, and whether it is a list."""


def _types(of: Any) -> set[Any]:
    """The types of a union, but for `None`; of any other annotation, itself."""
    return set(get_args(of)) - {NoneType} or {of}


def _inside(of: Any) -> tuple[type[msgspec.Struct] | None, bool]:
    """The type of the objects that a member holds, `None` if it holds others, and whether it is a list of them."""
    [kind, *more] = _types(of)
    listed = get_args(kind)
    inside = listed[0] if listed else kind
    return (inside, bool(listed)) if not more and issubclass(inside, msgspec.Struct) else (None, False)


def _inner(kind: type[msgspec.Struct]) -> Iterator[tuple[msgspec.Struct, _Inner, bool] | None]:
    for one in msgspec.structs.fields(kind):
        inside, listed = _inside(one.type)
        yield None if inside is None else (inside(), tuple(_inner(inside)), listed)


def _plan(kind: type[msgspec.Struct]) -> Iterator[Plan]:
    """For `native/pluck.c`, each member's name, the place of its types, and how many entries after it are inside it."""
    for one in msgspec.structs.fields(kind):
        inside, listed = _inside(one.type)
        if inside is None:
            yield one.name.encode(), _LEAVES.index(_types(one.type)), 0
            continue
        members = tuple(_plan(inside))
        yield one.name.encode(), _LIST if listed else _OBJECT, len(members)
        yield from members


def _columns(structs: Sequence[Any], absent: msgspec.Struct, inner: _Inner) -> list[Sequence[Any]]:
    """The columns of many structs; for `None`, those of `absent`. The structs' own type is described by `inner`."""
    if any(structs):  # often all are `None`
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
