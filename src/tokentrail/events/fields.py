"""Cut one JSON object into its members by strings and brackets alone, whatever else is wrong with it."""

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
    Yield strings and structure from a place on; the quotation mark alone of a string that never ends.

    After such a mark all others are escaped, so that none of them begins a string that ends: they are not tried.
    """
    for match in _TOKEN.finditer(data, start):
        yield match
        if match.group() == _QUOTE:
            yield from _MARK.finditer(data, match.end())
            return


def fields(raw: bytes) -> dict[str, bytes] | None:
    """Cut one JSON object into its members' raw values; `None` where none begins or ends. The last of a name wins."""
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
