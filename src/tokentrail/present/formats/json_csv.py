"""
JSON, JSON lines and CSV: the same documents, for programs.

All of it is plain ASCII or visible text, so that evidence stays inert even when a person looks at it on a
terminal; a cell that a spreadsheet would run as a formula gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import msgspec

from tokentrail.present.document import Document, members, plain, row
from tokentrail.present.safe import safe

_STARTS = r"[=+\-@＝＋－＠]"
_BEGINS_FORMULA = re.compile(rf"""[\s"'|;,]*{_STARTS}|[\t\r\n]""")
"""
What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection"), full-width forms too.

Some drop white space and quotes in front of it, or cut a cell at other delimiters than the comma.
"""
_FORMULA_WITHIN = re.compile(rf"""([;|])(?=[\s"']*{_STARTS}|[\t\r\n])""")
"""The same behind a delimiter at which spreadsheets may cut cells, as they do where the comma parts decimals."""


_AT_ONCE = 1_000
_BEYOND_IT = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
"""How msgspec ends at half a surrogate pair, or a very large number."""
_NOT_PRINTED = re.compile(r"[^\x00-\x7e]+")
"""What Python escapes and msgspec doesn't: all but ASCII, and of that the character for deletion."""


def write_json(shown: Any, stream: TextIO) -> None:
    """Write one document."""
    stream.write(indented(shown) + "\n")


def write_json_of(result: object, stream: TextIO) -> None:
    """Write a result's document, some items of its lists at a time: the whole of a large one takes much memory."""
    lead = "{\n"
    for name, value in members(result):
        stream.write(f'{lead}  "{name}": ')
        if isinstance(value, tuple) and value:
            before = "["
            for start in range(0, len(value), _AT_ONCE):
                some = indented(plain(value[start : start + _AT_ONCE]))
                stream.write(before + some[1:-2].replace("\n", "\n  "))
                before = ","
            stream.write("\n  ]")
        else:
            stream.write(indented(plain(value)).replace("\n", "\n  "))
        lead = ",\n"
    stream.write("\n}\n")


def write_json_list(items: Iterable[Document], stream: TextIO) -> None:
    """Write one document that is a list, an item at a time, so that it may be longer than memory."""
    lead = "[\n"
    for item in items:
        stream.write(lead + "  " + indented(item).replace("\n", "\n  "))
        lead = ",\n"
    stream.write("[]\n" if lead == "[\n" else "\n]\n")


def write_jsonl(items: Iterable[Document], stream: TextIO) -> None:
    """Write a line for each item."""
    for item in items:
        stream.write(json.dumps(item, ensure_ascii=True, separators=(", ", ": ")) + "\n")


def write_csv(items: Iterable[Document], names: Sequence[str], stream: TextIO) -> None:
    """Write a table, its header first, with these columns."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    for item in items:
        flat = row(item)
        writer.writerow([_cell(flat.get(name)) for name in names])


def indented(shown: Any) -> str:
    """One document as indented ASCII, by msgspec: Python's own way takes seven times as long, and twice the memory."""
    try:
        text = msgspec.json.format(msgspec.json.encode(shown), indent=2).decode()
    except _BEYOND_IT:
        return json.dumps(shown, ensure_ascii=True, indent=2)
    if text.isascii() and "\x7f" not in text:
        return text
    return _NOT_PRINTED.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _cell(value: Any) -> str | int | float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    text = _spelled(value)
    return ("'" if _BEGINS_FORMULA.match(text) else "") + _FORMULA_WITHIN.sub(r"\1'", safe(text))


def _spelled(value: Any) -> str:
    """Spell a value as text: a list by spaces, a span as `from/to`, what is absent as nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return " ".join(_spelled(one) for one in value)
    if isinstance(value, dict):
        return "/".join(_spelled(one) for one in value.values())
    return str(value)
