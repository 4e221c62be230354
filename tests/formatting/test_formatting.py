"""How sentences spell things."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from tokentrail import formatting


def test_a_list_that_is_cut_says_how_many_more_there_are() -> None:
    """Only where there are more than are named."""
    names = ["a", "b", "c"]

    assert formatting.listed(names, 3) == "a, b, c"
    assert formatting.listed(names, 2) == "a, b and 1 more"
    assert formatting.listed(map(str, range(2000)), 1) == "0 and 1,999 more"
    assert formatting.listed([]) == formatting.joined([]) == formatting.more(0) == formatting.more(-2) == ""


def test_a_whole_list_has_a_word_before_its_last() -> None:
    """`and`, or another one."""
    assert [formatting.joined("abc"[:count]) for count in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
    assert formatting.joined("abc", "or") == "a, b or c"


def test_things_are_counted_in_the_singular_or_the_plural() -> None:
    """Only one of them is singular."""
    assert [formatting.counted(count, "event") for count in (0, 1, 1204)] == [
        "0 events",
        "1 event",
        "1,204 events",
    ]
    assert formatting.counted(2, "query", "queries") == "2 queries"


def test_an_arn_is_shortened_and_nothing_else_is() -> None:
    """Ids and services may have colons too."""
    assert formatting.short("arn:aws:iam::111122223333:role/path:with/Deploy") == "role/path:with/Deploy"
    assert formatting.short("AROAEXAMPLE:ria") == "AROAEXAMPLE:ria"


def test_a_time_is_spelled_in_utc() -> None:
    """Whatever zone it was given in."""
    at_noon = datetime(2026, 3, 4, 12, tzinfo=timezone(timedelta(hours=2)))

    assert (
        formatting.instant(at_noon) == formatting.instant(at_noon.astimezone(UTC)) == "2026-03-04T10:00:00Z"
    )


def test_what_is_left_without_ids_is_the_same_of_things_that_fare_alike() -> None:
    """Ids, accounts, times and addresses are left out, key ids without a digit too; words and small numbers stay."""
    said = "{} left a policy on {} (event {}), step 2"

    left = formatting.without_ids(said.format("ASIAIOSFODNNXEXAMPLE", "snap-1", "1db53334-fb03"))
    assert left == formatting.without_ids(said.format("ASIAIOSFODNN7EXAMPLE", "203.0.113.9", "a51ad4f3-a699"))
    assert left == " left a policy on  (event  step 2"
