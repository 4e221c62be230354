"""Condition operators on single values."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.policy.language.conditions import instant, wanted


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T13:45:30Z",
        "2026-11-24T13:45:30.000Z",
        "20261124T134530Z",
        "2026-11-24T14:45:30+01:00",
        "2026-11-24T13:45:30",
        "1795527930",
        " 1795527930.0 ",
    ],
)
def test_dates_are_read_in_every_form_that_iam_takes(text: str) -> None:
    """ISO 8601, with fractions, offsets or none, and seconds since 1970, mean the same moment."""
    assert datetime(2026, 11, 24, 13, 45, 30, tzinfo=UTC).timestamp() == instant(text)


def test_a_date_alone_is_its_midnight() -> None:
    """A day, or a month, means its first second."""
    assert instant("2026-11-01T00:00:00Z") == instant("2026-11-01") == instant("2026-11")


@given(text=st.text(max_size=30))
def test_no_text_breaks_the_date_reader(text: str) -> None:
    """Whatever a policy holds as a date, reading it gives seconds or nothing."""
    assert isinstance(instant(text), float | None)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "StringEqual",
        "ForAllValues:",
        ":StringEquals",
        "ForSomeValues:Bool",
        "StringEqualsIfExistsIfExists",
    ],
)
def test_unknown_operators_are_none(name: str) -> None:
    """A name that IAM does not have is not taken for another."""
    assert wanted(name) is None


def test_an_operator_is_read_with_prefix_and_suffix() -> None:
    """`ForAnyValue:` and `IfExists` are told apart from the operator."""
    found = wanted("ForAnyValue:StringLikeIfExists")

    assert found is not None
    assert (found.operator.name, found.quantifier, found.if_exists) == ("StringLike", "ForAnyValue", True)
