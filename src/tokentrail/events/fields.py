"""Cut a JSON object into its members by strings and brackets alone, so that other damage does not matter."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|"', re.DOTALL)
"""Strings and structure; possessive, so that a string that never ends costs one pass and not exponential time."""
_MARK = re.compile(rb'[{}\[\],:"]')
_QUOTE = b'"'


def tokens(data: bytes, start: int = 0) -> Iterator[re.Match[bytes]]:
    """
    Yield the strings, brackets, commas and colons from a place on.

    Of a string that never ends, its quotation mark is yielded, and then each bracket, comma, colon and mark after it.
    All marks after it are escaped, so that none of them begins a string that ends.
    """
    for match in _TOKEN.finditer(data, start):
        yield match
        if match.group() == _QUOTE:
            yield from _MARK.finditer(data, match.end())
            return


def fields(raw: bytes) -> dict[str, bytes] | None:
    """
    Cut a JSON object into the raw values of its members, by name; of several with one name, the last counts.

    Returns:
        The values, or `None` if the bytes don't start with an object or it does not end.
    """
    if raw[:1] != b"{":
        return None
    found: dict[str, bytes] = {}
    depth, key, value_from, last = 0, None, 0, b""
    for match in tokens(raw):
        token = match.group()
        if token in (b"{", b"["):
            depth += 1
        elif token in (b"}", b"]"):
            depth -= 1
        if depth == 0 or (depth == 1 and token == b","):
            if key is not None:
                found[key] = raw[value_from : match.start()].strip()
            key = None
            if depth == 0:
                break
        elif depth == 1 and token == b":" and key is None:
            key, value_from = _key(last), match.end()
        last = token
    return None if depth else found


def _key(token: bytes) -> str:
    """A member's name, its escapes resolved: `error\\u0043ode` is `errorCode` to every decoder."""
    try:
        return str(json.loads(token.decode("utf-8", "replace"), strict=False))
    except ValueError:
        return token.decode("utf-8", "replace")
