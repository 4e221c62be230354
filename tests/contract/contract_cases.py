"""What the contract tests share: the project's own files, and what is written in them."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from unittest import mock

from tokentrail.cli.root import main

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "tokentrail"
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists())
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
PUBLIC = [page for page in PAGES if page.name != "CHANGELOG.md"]
"""Pages that speak of the present version."""

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_COMMAND = re.compile(r"(?:^|[\s/;&|])tokentrail ((?:-\S+ )*)([a-z][a-z-]*)", re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return [body for name, body in _BLOCK.findall(page.read_text()) if name == language]


def code(page: Path) -> list[str]:
    """All that a page sets as code, in blocks and in lines, but for Python."""
    text = page.read_text()
    shown = [body for language, body in _BLOCK.findall(text) if language != "python"]
    return [*shown, *_SPAN.findall(_BLOCK.sub("", text))]


def verbs_named(page: Path) -> set[str]:
    """The verbs that a page shows as `tokentrail VERB`."""
    return {verb for text in code(page) for _, verb in _COMMAND.findall(text)}


def paragraphs(text: str) -> list[str]:
    """The lines of a text that are not empty, without the space around them."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def ran(*arguments: str, folder: Path) -> tuple[int, str, str]:
    """How `tokentrail` ends with some arguments, in a folder; what it prints there, and what it says of it."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        mock.patch.object(sys, "argv", ["tokentrail", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0), out.getvalue(), err.getvalue()
    raise AssertionError("it came back without an exit code")
