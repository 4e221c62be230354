"""Values at the paths of a JSON object, decoded at once and nothing else of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from operator import attrgetter
from typing import Any

import msgspec

NOTHING = msgspec.Raw()
"""What an undecoded value is that is not there."""
_Path = tuple[str, ...]


def reader(
    paths: Collection[str], undecoded: Collection[str] = (), passed: Collection[str] | None = None
) -> Callable[[bytes], tuple[Any, ...]]:
    """
    A function that gives the values at dotted paths, in their order; `None` where there is none.

    It raises `FAILURES` for an object in which something else stands where one of the paths goes through.

    Args:
        paths: The paths.
        undecoded: Those of which the value stays JSON, and is `NOTHING` where there is none.
        passed: Paths of what is passed over: any other member fails where it may be one of the paths in another
            spelling, with names joined by dots. `None` where there are no such spellings.
    """
    every = [*paths, *(passed or ())]
    kind = _nested(map(_split, every), set(map(_split, [*undecoded, *(passed or ())])), passed is not None)
    decode, values = (
        msgspec.json.Decoder(kind).decode,
        attrgetter(*(path.replace("@", "_") for path in paths)),
    )
    return lambda raw: values(decode(raw))


def _split(path: str) -> _Path:
    return tuple(path.split("."))


def _nested(paths: Iterable[_Path], undecoded: Collection[_Path], closed: bool) -> type[msgspec.Struct]:
    """A type of objects that have values at some paths, perhaps none but these where a path goes further within."""
    inner: dict[str, list[_Path]] = {}
    for name, *rest in paths:
        inner.setdefault(name, []).extend([tuple(rest)] if rest else [])
    fields: list[Any] = []
    for name, rests in inner.items():
        kind: Any = msgspec.Raw if (name,) in undecoded else Any
        default = msgspec.field(default=NOTHING if kind is msgspec.Raw else None, name=name)
        if rests:
            kind = _nested(rests, {path[1:] for path in undecoded if path[0] == name}, closed)
            default = msgspec.field(default_factory=kind, name=name)
        fields.append((name.replace("@", "_"), kind, default))
    closed = closed and (any(inner.values()) or bool(undecoded))
    return msgspec.defstruct("_Nested", fields, gc=False, forbid_unknown_fields=closed)
