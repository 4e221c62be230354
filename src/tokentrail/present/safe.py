"""
The one gate between evidence and a terminal.

Session names, user agents and ARNs are chosen by whoever made the call, so that they may hold escape
sequences that clear the screen, bidi controls that turn an address round, or line breaks that forge a row.
What could move the cursor, reorder, hide or join text comes out as a visible escape: `\\x1b`, `\\u202e`.

Which characters: general categories Cc, Cf, Cs, Co, Cn, Zl, Zp and every space but the plain one (Unicode
Standard, chapter 4.5, and UAX #9 for bidi), and the letters and marks that have no width or ink of their own.
"""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len, chop_cells

ELLIPSIS = "…"
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_INKLESS = frozenset(
    [
        0x034F,
        0x115F,
        0x1160,
        0x17B4,
        0x17B5,
        0x2800,
        0x3164,
        0xFFA0,
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    ]
)
_PLAIN = re.compile("[ -~\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027\u2190-\u21ff\u25a0-\u25ff]*")
"""Most of what isn't ASCII, our own arrows and dots among it: it stands as it is, which is told at once."""
_LONG = 200
"""Characters of a name that are shown where a name is only named."""
_MARKS_IN_A_ROW = 2
"""More combining marks than any script stacks would grow over the lines above and below."""


def safe(text: str, limit: int | None = None) -> str:
    """
    Make text from evidence fit for a terminal: visible, in its place, and no longer than asked.

    Applying it twice changes nothing. Plain text comes back as it is.

    Args:
        text: Anything.
        limit: The number of columns from which on it is cut, the last being `…`.
    """
    plain = text.isprintable() if text.isascii() else _PLAIN.fullmatch(text)
    shown = text if plain else "".join(_visible(text))
    return shown if limit is None else cut(shown, limit)


def brief(text: str, most: int = _LONG) -> str:
    """Cut a name that is too long to be one, and say how long it is."""
    return text if len(text) <= most else f"{text[:most]}{ELLIPSIS} ({len(text):,} characters)"


def cut(text: str, columns: int) -> str:
    """Cut text that is safe already to so many columns, and mark the cut."""
    if cell_len(text) <= columns:
        return text
    return chop_cells(text, max(columns - 1, 1))[0] + ELLIPSIS if columns > 1 else ELLIPSIS[:columns]


def cut_head(text: str, columns: int) -> str:
    """Cut text that is safe already to its last so many columns, and mark the cut."""
    if cell_len(text) <= columns:
        return text
    for start in range(max(len(text) - columns, 0), len(text)):
        if cell_len(text[start:]) < columns:
            return ELLIPSIS + text[start:]
    return ELLIPSIS[:columns]


def cut_middle(text: str, columns: int) -> str:
    """Cut text that is safe already in its middle: names that differ at their end stay apart."""
    if cell_len(text) <= columns or columns < 5:
        return cut(text, columns)
    head = chop_cells(text, columns // 3)[0]
    return head + cut_head(text, columns - cell_len(head))


def _visible(text: str) -> list[str]:
    parts: list[str] = []
    marks = _MARKS_IN_A_ROW  # a mark at the very beginning would sit on our own text
    for character in text:
        is_mark = unicodedata.category(character) in ("Mn", "Me")
        harmless = character.isprintable() and ord(character) not in _INKLESS
        if harmless and not (is_mark and marks >= _MARKS_IN_A_ROW):
            parts.append(character)
            marks = marks + 1 if is_mark else 0
        else:
            parts.append(_escape(character))
            marks = _MARKS_IN_A_ROW
    return parts


def _escape(character: str) -> str:
    point = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
