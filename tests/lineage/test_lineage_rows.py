"""What columns of the forest hold, as Python has it."""

from __future__ import annotations

import json

import pytest

from tokentrail.lineage.rows import object_of


@pytest.mark.parametrize(
    "text",
    [
        '{"userName": "a", "n": 123456789012345678901234567890, "x": [1.5, null, true], "twice": 1, "twice": 2}',
        '{"userName": "\\ud800"}',
        '{"n": 1e400}',
        '{"a": "\\u0000\\ud83d\\ude00é"}',
    ],
)
def test_what_a_column_of_json_holds_is_what_pythons_own_reader_says(text: str) -> None:
    """Half a surrogate pair and numbers beyond all bounds too, which the quicker reader refuses."""
    assert object_of(text) == json.loads(text)


@pytest.mark.parametrize("text", [None, "", "[1]", "null", '"text"', "3"])
def test_what_is_no_object_is_an_empty_one(text: str | None) -> None:
    """Members are asked of it."""
    assert object_of(text) == {}
