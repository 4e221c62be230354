"""
An answer of the policy evaluator holds for every value of what is not known, as a second evaluator judges them.

The second one, of the test oracle, knows no unknown: each request is completed in every way that a policy tells apart.
"""

from __future__ import annotations

from completion_cases import (
    REQUESTS,
    Between,
    Chosen,
    Knowns,
    completions,
    conditions,
    documents,
    knowns,
    mentioned_in,
    product_denies,
    product_denies_all,
    product_holds,
    verdicts,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import policy_evaluator as second
from oracle.policy_evaluator import ConditionTest
from oracle.request_choices import Mentions, mentions


@given(test=conditions(), data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_condition_is_decided_only_if_every_completion_decides_alike(
    test: ConditionTest, data: st.DataObject
) -> None:
    """All keys, operators, set operators and forms of dates, over values, bounds, patterns, presence and nothing."""
    asked = mentions((test,))
    told: Knowns = data.draw(knowns(tuple(asked)))
    answer = product_holds(test, told)
    theirs = verdicts(second.holds(test, context) for context in completions(asked, told))

    assert answer is None or theirs == {answer}


@given(test=conditions(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_condition_whose_keys_are_all_known_is_decided(test: ConditionTest, data: st.DataObject) -> None:
    """Where one completion is left, and AWS says what it means, so does the product."""
    asked = mentions((test,))
    told: Knowns = data.draw(knowns(tuple(asked)).filter(lambda each: _complete(each, asked)))
    (context,) = completions(asked, told)
    theirs = verdicts(iter([second.holds(test, context)]) if _speaks(test, context) else iter([True, False]))

    assert len(theirs) == 2 or {product_holds(test, told)} == theirs


def _complete(told: Knowns, asked: Mentions) -> bool:
    return all(isinstance(told.get(key), tuple) or told.get(key) == "absent" for key in asked)


def _speaks(test: ConditionTest, context: second.Context) -> bool:
    try:
        second.holds(test, context)
    except second.UnknownPolicy:
        return False
    return True


@given(document=documents(), request=st.sampled_from(REQUESTS), data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_policy_denies_a_request_only_if_it_does_in_every_completion(
    document: str, request: tuple[str, str], data: st.DataObject
) -> None:
    """Over several statements, with actions and resources that they name or leave out, and variables in them."""
    asked = mentioned_in(document)
    told: Knowns = data.draw(knowns(tuple(asked)))
    answer = product_denies(document, *request, told)
    theirs = verdicts(second.denies(document, context, *request) for context in completions(asked, told))

    assert answer is None or theirs == {answer}


@given(document=documents(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_policy_denies_everything_only_if_it_does_in_every_completion(
    document: str, data: st.DataObject
) -> None:
    """What ends a credential leaves no request of it undenied, whatever the unknown keys are."""
    asked = mentioned_in(document)
    told: Knowns = data.draw(knowns(tuple(asked)))
    if not product_denies_all(document, told):
        return
    for context in completions(asked, told):
        assert all(second.denies(document, context, *request) for request in REQUESTS)


def test_completions_reach_the_bounds_of_what_is_known() -> None:
    """Both bounds of a date, the second of each date that a policy names, and names that fit a pattern."""
    test = ConditionTest("DateLessThan", "aws:tokenissuetime", ("1795435200",))
    first, last = second.instant("2026-11-23T11:00:00Z"), second.instant("2026-11-23T12:00:00Z")
    contexts = list(completions(mentions((test,)), {"aws:tokenissuetime": Between(first, last)}))
    names = ConditionTest("StringNotLike", "aws:userid", ("*:ria",))
    told: Knowns = {"aws:userid": Chosen("AROADEPLOY:*", frozenset({"AROADEPLOY:ada"}))}
    texts = {context["aws:userid"] for context in completions(mentions((names,)), told)}

    assert {"2026-11-23T11:00:00Z", "2026-11-23T11:59:59Z", "2026-11-23T12:00:00Z"} <= {
        context["aws:tokenissuetime"] for context in contexts
    }
    assert {"AROADEPLOY:ria", "AROADEPLOY:nobody-names-this"} <= texts
    assert "AROADEPLOY:ada" not in texts
