"""IAM's wildcards."""

from __future__ import annotations

import re
import time
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from tokentrail.policy.language.wildcard import covers, glob, may_overlap

patterns = st.text(alphabet="ab:*?", max_size=8)
texts = st.text(alphabet="ab:*?", max_size=10)


def as_regex(pattern: str) -> re.Pattern[str]:
    """Translate a pattern in another way."""
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(character, re.escape(character)) for character in pattern), re.DOTALL)


@given(pattern=patterns, text=texts)
def test_matches_like_the_regular_expression(pattern: str, text: str) -> None:
    """A pattern matches exactly what the regular expression with `.*` and `.` does."""
    assert (as_regex(pattern).fullmatch(text) is not None) is glob(pattern).matches(text)


def test_all_short_patterns_match_like_the_regular_expression() -> None:
    """Whatever stands between two stars is looked for behind what was found before."""
    short = ["".join(one) for length in range(6) for one in product("ab", repeat=length)]
    for pattern in ("".join(one) for length in range(6) for one in product("a*?", repeat=length)):
        expression = as_regex(pattern)

        assert [one for one in short if expression.fullmatch(one)] == [
            one for one in short if glob(pattern).matches(one)
        ]


@given(text=st.text())
def test_a_star_matches_any_text(text: str) -> None:
    """`*` matches every text, line breaks included."""
    assert glob("*").matches(text)


@given(pattern=patterns, other=patterns, text=texts)
def test_covering_is_sound(pattern: str, other: str, text: str) -> None:
    """Where one pattern covers another, it matches all that the other matches."""
    if covers(pattern, other) and glob(other).matches(text):
        assert glob(pattern).matches(text)


@given(pattern=patterns, other=patterns, text=texts)
def test_disjointness_is_sound(pattern: str, other: str, text: str) -> None:
    """Two patterns that are said not to overlap have no text in common."""
    if not may_overlap(pattern, other):
        assert not (glob(pattern).matches(text) and glob(other).matches(text))


def test_a_hostile_pattern_is_matched_in_no_time() -> None:
    """Many stars, on which a backtracking matcher would hang, cost nothing."""
    begun = time.thread_time()

    assert not glob("*a" * 200 + "?b").matches("a" * 5_000)
    assert time.thread_time() - begun < 60
