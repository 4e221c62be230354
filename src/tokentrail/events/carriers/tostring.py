"""
Java's `toString()` of maps and lists: `{credentials={accessKeyId=ASIA…, expiration=Nov 30, 2024, 8:43:17 PM}}`.

Elastic's integration keeps requests and answers so, and Athena and CloudTrail Lake print structs and maps so. The
form has no quotes: values hold commas, and a value may look like members. An entry begins where `, ` is followed by
a plain name and `=`; JSON inside is taken as JSON. The first of two members of one name stands, since what a caller
can write (tags, policies) tends to follow what AWS writes.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tokentrail.events.loose import clean

_DEEPEST = 48
_JSON_TRIES = 200
"""How often a value may look like JSON and not be: each costs a look at what follows."""
_MOST_VALUES = 50_000
"""How many values are told apart in one text; readings that had to be given up count too."""
_PLAIN = r"[A-Za-z_](?:[\w.:$-]|\[\d*\])*"
"""A name; Security Lake's have places in lists, as in `requestParameters.tags[0].key`."""
_NAME = re.compile(rf"\s*({_PLAIN})=")
_IN_MAP = re.compile(rf", (?={_PLAIN}=)|\}}(?=[\]}}]|, |\Z)")
_IN_LIST = re.compile(r", |\](?=[\]}]|, |\Z)")
_LOOKS_LIKE_JSON = re.compile(r'\{\s*["}]|\[\s*(?:["\[\]]|\{\s*["}])')
_WHITE = re.compile(r"\s*")
_decode = json.JSONDecoder(strict=False).raw_decode


def is_document(name: str, value: Any) -> bool:
    """
    Whether a member holds a policy, which is text in CloudTrail's own records too.

    What an answer tells of a policy that was made is called `policy` as well: a document alone has statements.
    """
    name = name.lower()
    return (name.endswith("policydocument") and isinstance(value, dict | list)) or (
        name.endswith("policy") and isinstance(value, dict) and "Statement" in value
    )


def parse(text: str) -> Any:
    """The value that a text shows: a dict or a list of texts, dicts and lists; the text itself if it shows neither."""
    if text[:1] not in ("{", "["):
        return None if text in ("", "null") else text
    return _Reader(text).value(0, 0, None)[0]


class _Reader:
    """Reads one text from left to right; what can't be told apart stays text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tries = _JSON_TRIES
        self._left = _MOST_VALUES

    def value(self, at: int, depth: int, end: re.Pattern[str] | None) -> tuple[Any, int]:
        """A value that starts at a place, and where it ends; `end` tells where plain text does."""
        self._left -= 1
        if depth < _DEEPEST and self._left > 0:
            found = self._json(at) or self._nested(at, depth)
            if found is not None and self._ends(found[1], end):
                return found
        stop = end.search(self._text, at) if end else None
        plain = self._text[at : stop.start() if stop else len(self._text)]
        return (None if plain in ("null", "") else plain), at + len(plain)

    def _ends(self, at: int, end: re.Pattern[str] | None) -> bool:
        """Whether a value may end here; where it may not, what was read is the beginning of plain text."""
        return at >= len(self._text) or (end is not None and end.match(self._text, at) is not None)

    def _json(self, at: int) -> tuple[Any, int] | None:
        if not self._tries or not _LOOKS_LIKE_JSON.match(self._text, at):
            return None
        try:
            found, stop = _decode(self._text, at)
            return clean(found), _WHITE.match(self._text, stop).end()  # type: ignore[union-attr]  # matches always
        except (ValueError, RecursionError):
            self._tries -= 1
            return None

    def _nested(self, at: int, depth: int) -> tuple[Any, int] | None:
        text = self._text
        if text.startswith("{", at) and (text.startswith("}", at + 1) or _NAME.match(text, at + 1)):
            return self._map(at + 1, depth)
        return self._list(at + 1, depth) if text.startswith("[", at) else None

    def _map(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        while name := _NAME.match(self._text, at):
            value, at = self.value(name.end(), depth + 1, _IN_MAP)
            if is_document(name[1], value):
                value = self._text[name.end() : at]
            found.setdefault(name[1], value)
            if not self._text.startswith(", ", at):
                break
            at += 2
        return found, at + 1

    def _list(self, at: int, depth: int) -> tuple[list[Any], int]:
        found: list[Any] = []
        while at < len(self._text) and not self._text.startswith("]", at):
            value, at = self.value(at, depth + 1, _IN_LIST)
            found.append(value)
            if not self._text.startswith(", ", at):
                break
            at += 2
        return found, at + 1
