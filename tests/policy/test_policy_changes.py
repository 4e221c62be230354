"""Changes in the order in which they happened, each once."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

from tokentrail.policy.history.changes import Change, in_order


def deleted(second: int, key: str, *, event: str = "one") -> Change:
    return Change(
        time=datetime.fromtimestamp(second, UTC), event_id=event, account="111122223333",
        event_source="iam.amazonaws.com", event_name="DeleteAccessKey", request={"accessKeyId": key},
    )  # fmt: skip


def test_of_two_records_that_claim_one_id_the_same_counts_in_any_order() -> None:
    """Which one is told by what they say, and not by when: a forged time decides nothing."""
    early, late, other = deleted(100, "B"), deleted(200, "A"), deleted(150, "C", event="two")
    for given in permutations([early, late, other, late]):
        assert in_order(given) == [other, late]


def test_where_a_change_stands_is_no_part_of_what_it_is() -> None:
    """It follows from the rest: changes that say the same are the same."""
    assert deleted(100, "B") == deleted(100, "B")
    assert hash(deleted(100, "B").order) == hash(deleted(100, "B").order)
    assert "order" not in repr(deleted(100, "B"))
