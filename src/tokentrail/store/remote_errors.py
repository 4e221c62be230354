"""
Errors passed from one process to another, so that a person reads the same message wherever an error happened.

An error is passed as JSON: the name of its class, its message and its causes. Unlike a pickle, such a text can become
nothing but an error, whoever wrote it.
"""

from __future__ import annotations

import json
from traceback import format_exception

import msgspec

from tokentrail import errors

EXPECTED = (OSError, errors.TokenTrailError)
"""Errors that end a verb with a message; any other is a fault of the program."""
_KINDS: dict[str, type[Exception]] = {
    one.__name__: one
    for one in (OSError, *vars(errors).values())
    if isinstance(one, type) and issubclass(one, EXPECTED)
}


class _EncodedError(msgspec.Struct):
    kind: str
    words: str
    causes: list[tuple[str, str]]
    trace: str
    """The traceback, for whoever looks for a fault."""


def encode_error(error: Exception) -> bytes:
    """Encode an error and its causes."""
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


def decode_error(text: bytes) -> Exception | None:
    """
    Make the error that was encoded, to be raised; `None` if the text is none.

    For a class that is none of `EXPECTED`, a new class of that name is made.
    """
    try:
        found = msgspec.convert(json.loads(text), _EncodedError)
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
