"""Three-valued truth."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tokentrail.policy.language.truth import Truth, every, some

truths = st.sampled_from(Truth)


@given(truths=st.lists(truths))
def test_de_morgan(truths: list[Truth]) -> None:
    """AND and OR are each other's dual under negation."""
    assert every(truths).opposite is some(truth.opposite for truth in truths)


@given(truths=st.lists(truths), resolution=st.lists(st.booleans(), min_size=20, max_size=20))
def test_a_decided_answer_stands_whatever_the_unknowns_turn_out_to_be(
    truths: list[Truth], resolution: list[bool]
) -> None:
    """Where AND or OR is decided, no resolution of the undecided parts changes it."""
    settled = [
        Truth.of(value) if truth is Truth.UNDECIDED else truth
        for truth, value in zip(truths, resolution, strict=False)
    ]
    for join in (every, some):
        if join(truths[:20]) is not Truth.UNDECIDED:
            assert join(truths[:20]) is join(settled)
