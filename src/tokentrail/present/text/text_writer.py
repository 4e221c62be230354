"""
Lines of text as wide as the terminal, or of a hundred columns where nobody looks on; colour on a terminal only.

Every piece goes through `safe` here, whoever wrote it, and nothing is read as markup.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any, TextIO

from rich.cells import cell_len, chop_cells

from tokentrail.present.safe import ELLIPSIS, cut, safe

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = 100
"""The width of what goes into a pipe or a file."""
_NARROWEST = 60
"""Columns that are written to a narrower terminal, which breaks the lines itself."""
_LONGEST_WORD = 2048
"""Columns of a word that is not broken: ARNs are no longer (IAM API Reference, `arnType`)."""
Part = str | tuple[str, str]
"""A piece of a line: plain, or with a style of `rich`."""


class TextWriter:
    """
    Lines on a stream.

    Args:
        stream: Where to; colour is used if it is a terminal, or `FORCE_COLOR` is set, and `NO_COLOR` isn't.
        columns: How wide the lines are; by default as wide as the terminal, if it is one.
    """

    def __init__(self, stream: TextIO, columns: int | None = None) -> None:
        self._stream = stream
        self._console: Console | None = None
        seen = shutil.get_terminal_size((COLUMNS, 25)).columns if stream.isatty() else COLUMNS
        self.columns = columns or max(seen, _NARROWEST)
        if stream.isatty() or os.environ.get("FORCE_COLOR"):
            from rich.console import Console  # a pipe or a file has no need of it

            self._console = Console(
                file=stream, width=self.columns, height=25, markup=False, highlight=False, emoji=False
            )

    def line(self, *parts: Part) -> None:
        """Write one line; what goes past the last column is cut."""
        pieces = [(safe(part), "") if isinstance(part, str) else (safe(part[0]), part[1]) for part in parts]
        self._write(_within(pieces, self.columns))

    def entry(self, *parts: Part, tail: str, indent: str, style: str = "") -> None:
        """Write one line whose parts, such as ids, are never cut; its tail follows on lines of its own if it must."""
        pieces = [(safe(part), "") if isinstance(part, str) else (safe(part[0]), part[1]) for part in parts]
        if sum(cell_len(text) for text, _ in pieces) + cell_len(safe(tail)) <= self.columns:
            self._write([*pieces, (safe(tail), style)])
            return
        self._write(pieces)
        self.wrapped(tail, first=indent, style=style)

    def wrapped(self, text: str, *, first: str = "", rest: str | None = None, style: str = "") -> None:
        """Write a sentence over as many lines as it takes, behind a lead for the first and for the rest."""
        rest = " " * cell_len(first) if rest is None else rest
        lead = first
        for piece in wrap(safe(text), self.columns - max(cell_len(first), cell_len(rest))):
            self._write([(safe(lead), ""), (piece, style)])
            lead = rest

    def and_more(self, count: int, most: int, then: str = "", *, lead: str = "  … and") -> None:
        """Say how many more there are, and `then` where they are listed, after a list of the first `most`."""
        if count > most:
            self.line(f"{lead} {count - most:,} more{then}")

    def command(self, text: str, *, first: str = "", style: str = "") -> None:
        """Write what is to be pasted: on one line, neither broken nor cut, however long it is."""
        self._write([(safe(first), ""), (safe(text), style)])

    def document(self, value: Any, *, lead: str = "") -> None:
        """Write JSON that is to be copied from here: its lines are neither broken nor cut, however long they are."""
        for line in json.dumps(value, indent=2).splitlines():
            self.command(line, first=lead)

    def _write(self, pieces: list[tuple[str, str]]) -> None:
        """Write one line of pieces that are safe."""
        if self._console is None:
            self._stream.write("".join(text for text, _ in pieces).rstrip(" ") + "\n")
            return
        from rich.text import Text

        line = Text.assemble(*pieces)
        line.rstrip()
        self._console.print(line, soft_wrap=True)

    def heading(self, text: str) -> None:
        """Write an empty line and a heading."""
        self.line()
        self.line((text, "bold"))


def wrap(text: str, columns: int) -> list[str]:
    """
    Break text at spaces into lines of so many columns.

    A longer word stays whole, on a line of its own: an ARN, an id or JSON is there to be copied. Only what no AWS name
    can be is broken, since an attacker may have made it up.
    """
    lines: list[str] = []
    current = ""
    for word in text.split(" "):
        longer = f"{current} {word}" if current else word
        if cell_len(longer) <= columns:
            current = longer
            continue
        if current:
            lines.append(current)
        *full, current = chop_cells(word, max(columns, _LONGEST_WORD)) or [""]
        lines.extend(full)
    return [*lines, current]


def pad(text: str, columns: int) -> str:
    """Bring text to exactly so many columns, cutting or filling."""
    shown = safe(text, columns)
    return shown + " " * (columns - cell_len(shown))


def _within(pieces: list[tuple[str, str]], columns: int) -> list[tuple[str, str]]:
    if sum(cell_len(text) for text, _ in pieces) <= columns:
        return pieces
    kept: list[tuple[str, str]] = []
    room = columns - len(ELLIPSIS)
    for text, style in pieces:
        if cell_len(text) > room:
            return [*kept, (cut(text + ELLIPSIS, room + 1), style)]
        kept.append((text, style))
        room -= cell_len(text)
    return kept
