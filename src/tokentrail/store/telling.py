"""
Errors told by one process to another: what a person is to read of them, so that it reads the same wherever it is from.

What is told is a kind by name and words, as JSON: of a file that somebody else wrote, nothing but words can come.
"""

from __future__ import annotations

import json
from traceback import format_exception

import msgspec

from tokentrail import errors

EXPECTED = (OSError, errors.TokenTrailError)
"""What ends a verb with a message; all else is a fault."""
_KINDS: dict[str, type[Exception]] = {
    one.__name__: one
    for one in (OSError, *vars(errors).values())
    if isinstance(one, type) and issubclass(one, EXPECTED)
}


class _Told(msgspec.Struct):
    kind: str
    words: str
    causes: list[tuple[str, str]]
    trace: str
    """Where it happened: of use to whoever looks for a fault."""


def told(error: Exception) -> bytes:
    """An error, and what caused it."""
    known = (one.__name__ for one in type(error).__mro__ if _KINDS.get(one.__name__) is one)
    causes, cause = list[tuple[str, str]](), error.__cause__
    while cause is not None:
        causes.append((type(cause).__name__, str(cause)))
        cause = cause.__cause__
    telling = {
        "kind": next(known, type(error).__name__),
        "words": str(error),
        "causes": causes,
        "trace": "".join(format_exception(error)),
    }
    return json.dumps(telling).encode()


def retold(text: bytes) -> Exception | None:
    """The error that was told, to be raised; of a kind unknown here, one of that name. `None` if it was not told so."""
    try:
        found = msgspec.convert(json.loads(text), _Told)
    except (ValueError, RecursionError):
        return None
    error = latest = _made(found.kind, found.words)
    for name, words in found.causes:
        latest.__cause__ = cause = _made(name, words)
        latest = cause
    error.add_note(f"in another process:\n{found.trace}")
    return error


def _made(kind: str, words: str) -> Exception:
    return _KINDS.get(kind, type(kind if kind.isidentifier() else "Exception", (Exception,), {}))(words)
