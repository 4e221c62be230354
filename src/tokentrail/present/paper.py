"""
A hundred columns to write on: the same text on a terminal and in a pipe, colour on a terminal only.

Every piece goes through `safe` here, whoever wrote it, and nothing is read as markup.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TextIO

from rich.cells import cell_len, chop_cells

from tokentrail.present.safe import ELLIPSIS, cut, safe

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = 100
Part = str | tuple[str, str]
"""A piece of a line: plain, or with a style of `rich`."""


class Paper:
    """
    Lines on a stream.

    Args:
        stream: Where to; colour is used if it is a terminal (and `NO_COLOR` isn't set).
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._console: Console | None = None
        if stream.isatty():
            from rich.console import Console  # a pipe or a file has no need of it

            self._console = Console(
                file=stream, width=COLUMNS, height=25, markup=False, highlight=False, emoji=False
            )

    def line(self, *parts: Part) -> None:
        """Write one line; what goes past the last column is cut."""
        pieces = [(safe(part), "") if isinstance(part, str) else (safe(part[0]), part[1]) for part in parts]
        kept = _within(pieces, COLUMNS)
        if self._console is None:
            self._stream.write("".join(text for text, _ in kept).rstrip(" ") + "\n")
        else:
            from rich.text import Text

            line = Text.assemble(*kept)
            line.rstrip()
            self._console.print(line, soft_wrap=True)

    def wrapped(self, text: str, *, first: str = "", rest: str | None = None, style: str = "") -> None:
        """Write a sentence over as many lines as it takes, behind a lead for the first and for the rest."""
        rest = " " * cell_len(first) if rest is None else rest
        lead = first
        for piece in wrap(safe(text), COLUMNS - max(cell_len(first), cell_len(rest))):
            self.line(lead, (piece, style))
            lead = rest

    def and_more(self, count: int, most: int, then: str = "", *, lead: str = "  … and") -> None:
        """Say how many more there are, and `then` where they are listed, after a list of the first `most`."""
        if count > most:
            self.line(f"{lead} {count - most:,} more{then}")

    def document(self, value: Any, *, lead: str = "") -> None:
        """Write JSON that is to be copied from here: its lines are neither broken nor cut, however long they are."""
        for line in json.dumps(value, indent=2).splitlines():
            text = safe(lead + line)
            if self._console is None:
                self._stream.write(text + "\n")
            else:
                from rich.text import Text

                self._console.print(Text(text), soft_wrap=True)

    def heading(self, text: str) -> None:
        """Write an empty line and a heading."""
        self.line()
        self.line((text, "bold"))


def wrap(text: str, columns: int) -> list[str]:
    """Break text at spaces into lines of so many columns; a word longer than that is broken anywhere."""
    lines: list[str] = []
    current = ""
    for word in text.split(" "):
        longer = f"{current} {word}" if current else word
        if cell_len(longer) <= columns:
            current = longer
            continue
        if current:
            lines.append(current)
        *full, current = chop_cells(word, columns) or [""]
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
