"""Lines as wide as the terminal, and a hundred columns in a pipe."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tokentrail.present.text.text_writer import COLUMNS, TextWriter, pad, wrap

anything = st.text(max_size=300)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@given(parts=st.lists(st.tuples(anything, st.sampled_from(["", "bold", "red"])), max_size=4))
def test_a_line_is_one_line_of_a_hundred_columns(parts: list[tuple[str, str]]) -> None:
    """Whatever is written, a line stays one line, and within the page."""
    stream = io.StringIO()
    TextWriter(stream).line(*parts)
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith("\n")
    assert cell_len(stream.getvalue()[:-1]) <= COLUMNS


@given(parts=st.lists(st.tuples(anything, st.sampled_from(["", "bold", "red"])), max_size=4))
def test_a_terminal_gets_the_same_text(parts: list[tuple[str, str]]) -> None:
    """Without its colours, what a terminal gets is what a pipe gets."""
    terminal, pipe = Terminal(), io.StringIO()
    TextWriter(terminal, COLUMNS).line(*parts)
    TextWriter(pipe).line(*parts)
    assert re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()) == pipe.getvalue()


@pytest.mark.parametrize(("columns", "widest"), [("40", 60), ("80", 80), ("100", 100), ("160", 160)])
def test_a_terminal_is_filled_to_its_width_and_a_pipe_to_a_hundred_columns(
    columns: str, widest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The width of a terminal, but for a very narrow one, is where lines break; in a pipe that is always 100."""
    monkeypatch.setenv("COLUMNS", columns)
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        TextWriter(stream).wrapped("abc " * 90, first="  - ", style="red")
    seen = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    assert widest - 4 <= max(map(cell_len, seen)) <= widest
    assert 96 <= max(map(cell_len, pipe.getvalue().splitlines())) <= 100


@pytest.mark.parametrize("setting", [{"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_the_kind_of_terminal_does_not_change_the_text(
    setting: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kind of the terminal moves no line break, and a pipe never gets colour."""
    for name, value in (setting | {"COLUMNS": "100"}).items():
        monkeypatch.setenv(name, value)
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        TextWriter(stream).wrapped("word " * 60, first="  - ", style="red")
    assert re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()) == pipe.getvalue()
    assert "\x1b" not in pipe.getvalue()


@given(text=st.text(st.characters(exclude_categories=["C", "Z", "M"], include_characters=" "), max_size=200))
def test_wrapping_loses_nothing(text: str) -> None:
    """All words of a sentence come out, in order, whatever their length."""
    assert "".join(wrap(text, 20)).replace(" ", "") == text.replace(" ", "")


@given(text=anything)
def test_a_column_has_its_width(text: str) -> None:
    """A padded text takes exactly its columns."""
    assert cell_len(pad(text, 12)) == 12


@pytest.mark.parametrize(
    ("settings", "coloured"),
    [
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": ""}, False),
        ({}, False),
    ],
)
def test_colour_in_a_pipe_is_for_those_who_ask(
    settings: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FORCE_COLOR colours what is piped, unless NO_COLOR is set; without either, a pipe gets plain text."""
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    pipe = io.StringIO()
    TextWriter(pipe).line(("NOT COMPLETE", "red"))

    assert ("\x1b[31m" in pipe.getvalue()) == coloured
    assert "NOT COMPLETE" in pipe.getvalue()


def test_what_is_pasted_is_neither_broken_nor_cut() -> None:
    """An ARN within a sentence and a command stay whole, however long they are."""
    arn = f"arn:aws:iam::111122223333:role/{'deep/' * 40}Reader"
    pipe = io.StringIO()
    TextWriter(pipe).wrapped(f"It was assumed: {arn} by nobody else", first="  - ")
    TextWriter(pipe).command(f"tokentrail trace {arn} --case leak", first="  next  ")

    assert f" {arn}\n" in pipe.getvalue()
    assert f"  next  tokentrail trace {arn} --case leak\n" in pipe.getvalue()


def test_an_entry_is_never_cut() -> None:
    """Ids on it stay whole, to be pasted; the tail goes on lines of its own where it does not fit beside them."""
    stream = io.StringIO()
    writer = TextWriter(stream)
    writer.entry("  1  ", ("AKIAIOSFODNN7EXAMPLE", "bold"), " ", tail="user/support", indent="    ")
    writer.entry("  2  ", ("A" * 120, "bold"), " ", tail="user/support", indent="    ")
    assert stream.getvalue().splitlines() == [
        "  1  AKIAIOSFODNN7EXAMPLE user/support", "  2  " + "A" * 120, "    user/support",
    ]  # fmt: skip
