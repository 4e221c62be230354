"""The gate between evidence and a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tokentrail.present import safe as safe_gate
from tokentrail.present.safe import cut_head, safe

anything = st.text(st.characters(codec=None)) | st.text(
    st.characters(categories=["Cc", "Cf", "Cs", "Zs", "Mn"])
)


@given(text=anything)
def test_nothing_that_acts_on_a_terminal_passes(text: str) -> None:
    """Whatever goes in, what comes out has no controls, no bidi or zero-width characters, no line breaks."""
    shown = safe(text)
    assert all(one == " " or unicodedata.category(one)[0] not in "CZ" for one in shown)
    assert len(shown.splitlines()) <= 1


@given(text=anything)
def test_twice_is_once(text: str) -> None:
    """Making safe text safe changes nothing."""
    assert safe(safe(text)) == safe(text)


@given(text=st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_is_left_alone(text: str) -> None:
    """Printable ASCII, markup of rich included, comes back as it is."""
    assert safe(text) == text


def test_what_is_plain_is_so_by_the_slow_way_too() -> None:
    """What is let through at once, singly and in a row, has ink and width, and stands for itself."""
    plain = [one for one in map(chr, range(0x3000)) if safe_gate._PLAIN.fullmatch(one)]

    assert len(plain) > 900
    assert [one for one in plain if "".join(safe_gate._visible(one * 3)) != one * 3] == []
    assert {*"…→·▸◂—"} <= {*plain}


@given(text=anything, limit=st.integers(1, 30))
def test_a_limit_is_kept_in_columns(text: str, limit: int) -> None:
    """Cut text takes no more columns than asked, from either end, and the cut shows."""
    for shown in (safe(text, limit), cut_head(safe(text), limit)):
        assert cell_len(shown) <= limit
        assert shown == safe(text) or "…" in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\u202efdp.exe", "\\u202efdp.exe"),
        ("\u2066x\u2069\u200e\u200f\u061c", "\\u2066x\\u2069\\u200e\\u200f\\u061c"),
        ("a\u2028b\u2029", "a\\u2028b\\u2029"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("\x7f\x9b31m", "\\x7f\\x9b31m"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("a\u00a0b", "a\\xa0b"),
        ("Zoë 日本 [bold]", "Zoë 日本 [bold]"),
        ("e\u0301\u0301\u0301", "e\u0301\u0301\\u0301"),
        ("\u0301x", "\\u0301x"),
    ],
)
def test_each_trick_becomes_a_visible_escape(text: str, shown: str) -> None:
    """Escapes, bidi, separators, zero-width, surrogates and stacked marks are spelled out; names aren't."""
    assert safe(text) == shown
