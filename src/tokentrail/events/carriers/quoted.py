"""
Records that stand as texts within JSON: one, a list of them, or one a line.

So `aws cloudtrail lookup-events --query 'Events[].CloudTrailEvent'` prints them, and `jq` without `-r`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tokentrail.events.carriers.shapes import Room, string, text_bytes
from tokentrail.events.carriers.unwrap import outside
from tokentrail.events.fields import tokens
from tokentrail.events.loose import is_text
from tokentrail.events.piece import Piece
from tokentrail.events.record import CUT_OFF

_STARTS = re.compile(rb'(?:\[\s*)?"\s*[{\[](?:\\[nrt]|\s)*(?:\\"|[{}\]])')
_QUOTE = b'"'
_BETWEEN = b" \t\r\n,[]\0"


def pieces(data: bytes, room: Room) -> Iterator[Piece] | None:
    """The records of such texts; `None` where the bytes are no such texts."""
    return _pieces(data, room) if _STARTS.match(data) else None


def _pieces(data: bytes, room: Room) -> Iterator[Piece]:
    inside = outside(room)
    after = 0
    for match in tokens(data):
        token = match.group()
        if token[:1] != _QUOTE:
            continue
        if odd := data[after : match.start()].strip(_BETWEEN):
            yield Piece(odd, "text that is part of no record")
        found = string(token if is_text(token) else token.decode("utf-8", "replace").encode())
        if found is not None:
            yield from text_bytes(found.encode("utf-8", "replace"), inside)
        else:
            yield Piece(data[match.start() :] if token == _QUOTE else token, CUT_OFF)
            if token == _QUOTE:
                return
        after = match.end()
    if odd := data[after:].strip(_BETWEEN):
        yield Piece(odd, "text that is part of no record")
