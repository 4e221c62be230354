"""Conditions over what is known of a request."""

from __future__ import annotations

import base64
import math
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from policy_cases import at

from tokentrail.policy.language.conditions import Condition, all_hold, holds
from tokentrail.policy.language.context import ChosenText, Context, DateRange, Known, Presence
from tokentrail.policy.language.truth import Truth

YES, NO, UNDECIDED = Truth.YES, Truth.NO, Truth.UNDECIDED
PAIRS = [
    ("StringEquals", "StringNotEquals"),
    ("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    ("StringLike", "StringNotLike"),
    ("ArnLike", "ArnNotLike"),
    ("ArnEquals", "ArnNotEquals"),
    ("NumericEquals", "NumericNotEquals"),
    ("DateEquals", "DateNotEquals"),
    ("IpAddress", "NotIpAddress"),
]
POSITIVE = [pair[0] for pair in PAIRS] + ["Bool", "BinaryEquals", "DateLessThan", "NumericGreaterThanEquals"]
NEGATED = [pair[1] for pair in PAIRS]
values = st.sampled_from(
    [
        "a",
        "A",
        "*",
        "a*",
        "",
        "1",
        "2",
        "10.0.0.1",
        "10.0.0.0/8",
        "2026-01-01",
        "true",
        "arn:aws:iam::1:user/a",
    ]
)
knowns: st.SearchStrategy[Known] = st.one_of(
    st.lists(values, max_size=3).map(tuple), st.sampled_from(Presence), st.just(DateRange(latest=at(0)))
)


def condition(operator: str, *texts: str, key: str = "k") -> Condition:
    """A condition."""
    return Condition(operator=operator, key=key, values=texts)


def asked(operator: str, wanted: str | tuple[str, ...], known: Known | None) -> Truth:
    """Ask whether a condition holds when this is known of its key."""
    texts = (wanted,) if isinstance(wanted, str) else wanted
    context: Context = {} if known is None else {"k": known}
    return holds(condition(operator, *texts), context)


@pytest.mark.parametrize(
    ("operator", "wanted", "actual", "expected"),
    [
        ("StringEquals", "a", "a", YES),
        ("StringEquals", "a", "A", NO),
        ("StringEquals", "*", "a", NO),
        ("StringEqualsIgnoreCase", "a", "A", YES),
        ("StringLike", "AROA*:ria", "AROAX:ria", YES),
        ("StringLike", "aroa*", "AROAX", NO),
        ("NumericLessThan", "3600", "900", YES),
        ("NumericLessThanEquals", "3600", "3600.0", YES),
        ("NumericGreaterThan", "x", "1", UNDECIDED),
        ("NumericEquals", "1e3", "1000", YES),
        ("DateLessThan", "2026-11-24T13:45:30Z", "2026-11-24T13:45:29Z", YES),
        ("DateLessThan", "2026-11-24T13:45:30Z", "2026-11-24T13:45:30Z", NO),
        ("DateLessThanEquals", "1795527930", "2026-11-24T13:45:30Z", YES),
        ("DateGreaterThan", "never", "2026-11-24T13:45:30Z", UNDECIDED),
        ("Bool", "false", "False", YES),
        ("IpAddress", "203.0.113.0/24", "203.0.113.9", YES),
        ("IpAddress", "203.0.113.9", "203.0.113.9", YES),
        ("IpAddress", "203.0.113.7/24", "203.0.113.9", YES),
        ("ArnLike", "arn:aws:iam::*:role/*", "arn:aws:iam::1", NO),
        ("IpAddress", "2001:db8::/32", "2001:db8::1", YES),
        ("IpAddress", "203.0.113.0/24", "AWS Internal", NO),
        ("IpAddress", "somewhere", "203.0.113.9", UNDECIDED),
        ("ArnLike", "arn:aws:iam::*:role/a*", "arn:aws:iam::1:role/ab/c:d", YES),
        ("ArnEquals", "arn:aws:iam::*:root", "arn:aws:iam::1:root", YES),
        ("ArnLike", "arn:aws:lambda:*:1:function:a*", "arn:aws:lambda:eu-west-1:1:function:ab:1", YES),
        ("ArnLike", "arn:*:role/a", "arn:aws:iam::1:role/a", UNDECIDED),
        ("ArnLike", "arn:aws:*:role/a:*:*", "arn:aws:iam::1:role/a", NO),
        ("BinaryEquals", base64.b64encode(b"x").decode(), "eA==", YES),
        ("BinaryEquals", "no base64", "no base64", UNDECIDED),
        ("Unheard", "a", "a", UNDECIDED),
        ("ArnNotLike", (), "arn:aws:iam::1:role/a", UNDECIDED),
    ],
)
def test_operators(operator: str, wanted: str | tuple[str, ...], actual: str, expected: Truth) -> None:
    """Each operator compares as IAM's reference says, and what it could not have stored is undecided."""
    assert expected is asked(operator, wanted, (actual,))


def test_a_date_is_no_number_where_only_bounds_are_known() -> None:
    """IAM refuses a date under a numeric operator, so that it decides nothing, whatever is known of the time."""
    bounds = DateRange(earliest=at(0), latest=at(5))
    told = Condition(operator="NumericLessThan", key="aws:epochtime", values=("2001-01-01",))

    assert holds(told, {"aws:epochtime": bounds}) is UNDECIDED


@pytest.mark.parametrize("operator", POSITIVE)
def test_an_absent_key_matches_no_positive_operator(operator: str) -> None:
    """Where the request has no such key, positive operators do not hold."""
    assert asked(operator, "a", Presence.ABSENT) is NO


@pytest.mark.parametrize("operator", NEGATED)
def test_an_absent_key_matches_every_negated_operator(operator: str) -> None:
    """Where the request has no such key, negated operators hold."""
    assert asked(operator, "a", Presence.ABSENT) is YES


@pytest.mark.parametrize("operator", POSITIVE + NEGATED)
def test_if_exists_holds_where_the_key_is_absent(operator: str) -> None:
    """`...IfExists` is true for a request without the key."""
    assert asked(f"{operator}IfExists", "a", Presence.ABSENT) is YES


@given(operator=st.sampled_from(POSITIVE + NEGATED), wanted=values, actual=values)
def test_if_exists_changes_nothing_where_the_key_is_there(operator: str, wanted: str, actual: str) -> None:
    """With the key present, `...IfExists` is the operator itself."""
    assert asked(operator, wanted, (actual,)) is asked(f"{operator}IfExists", wanted, (actual,))


@given(pair=st.sampled_from(PAIRS), wanted=st.lists(values, max_size=3).map(tuple), known=st.none() | knowns)
def test_a_negated_operator_is_the_opposite(
    pair: tuple[str, str], wanted: tuple[str, ...], known: Known | None
) -> None:
    """For every request, `X` and `NotX` are opposites; with several values, `NotX` is 'none of them'."""
    assert asked(pair[0], wanted, known).opposite is asked(pair[1], wanted, known)


@given(operator=st.sampled_from(POSITIVE), one=values, two=values, actual=values)
def test_values_are_joined_by_or(operator: str, one: str, two: str, actual: str) -> None:
    """A condition with two values holds exactly if it holds with either."""
    truths = {asked(operator, one, (actual,)), asked(operator, two, (actual,))}
    expected = YES if YES in truths else UNDECIDED if UNDECIDED in truths else NO

    assert expected is asked(operator, (one, two), (actual,))


@given(operator=st.sampled_from(POSITIVE + NEGATED), wanted=values, actual=values)
def test_conditions_are_joined_by_and(operator: str, wanted: str, actual: str) -> None:
    """A condition that does not hold outweighs any that is undecided."""
    pair = [condition(operator, wanted), condition("StringEquals", "x", key="unknown")]
    alone = asked(operator, wanted, (actual,))

    assert (NO if alone is NO else UNDECIDED) is all_hold(pair, {"k": (actual,)})


def test_set_operators() -> None:
    """`ForAllValues:` needs all of the request's values, `ForAnyValue:` one of them."""
    assert asked("ForAllValues:StringEquals", ("a", "b"), ("a", "b")) is YES
    assert asked("ForAllValues:StringEquals", ("a", "b"), ("a", "c")) is NO
    assert asked("ForAnyValue:StringEquals", ("a", "b"), ("a", "c")) is YES
    assert asked("ForAnyValue:StringEquals", ("a", "b"), ("c",)) is NO
    assert asked("ForAnyValue:StringNotEquals", ("a",), ("a", "c")) is YES
    assert asked("ForAllValues:StringNotEquals", ("a",), ("a", "c")) is NO


@pytest.mark.parametrize("operator", POSITIVE + NEGATED)
def test_set_operators_without_the_key(operator: str) -> None:
    """Without the key `ForAllValues:` holds and `ForAnyValue:` does not, negated or not."""
    for nothing in (Presence.ABSENT, ()):
        assert asked(f"ForAllValues:{operator}", "a", nothing) is YES
        assert asked(f"ForAnyValue:{operator}", "a", nothing) is NO


def test_null() -> None:
    """`Null: true` asks for absence, `Null: false` for presence, of which the value need not be known."""
    assert asked("Null", "true", Presence.ABSENT) is YES
    assert asked("Null", "false", Presence.ABSENT) is NO
    assert asked("Null", "false", Presence.PRESENT) is YES
    assert asked("Null", "true", ("x",)) is NO
    assert asked("Null", "true", None) is UNDECIDED
    assert asked("Null", "perhaps", ("x",)) is UNDECIDED
    assert asked("Null", "false", DateRange(latest=at(0))) is YES


@pytest.mark.parametrize("operator", POSITIVE + NEGATED + ["StringEqualsIfExists", "ForAllValues:StringLike"])
def test_an_unknown_key_decides_nothing(operator: str) -> None:
    """What the log does not tell is undecided, whether the key or its value is unknown."""
    assert asked(operator, "a", None) is UNDECIDED
    assert asked(operator, "a", Presence.PRESENT) is UNDECIDED


def test_keys_are_found_without_case() -> None:
    """IAM does not look at the case of condition keys."""
    assert holds(condition("StringEquals", "ria", key="AWS:UserName"), {"aws:username": ("ria",)}) is YES


def test_variables_stand_for_the_requests_keys() -> None:
    """A value may name another key; one that is absent matches nothing."""
    context: dict[str, Known] = {"k": ("ria",), "aws:username": ("ria",), "gone": Presence.ABSENT}

    assert holds(condition("StringEquals", "${aws:username}"), context) is YES
    assert holds(condition("StringEquals", "${aws:username}"), context, variables=False) is NO
    assert holds(condition("StringEquals", "${gone}"), context) is NO
    assert holds(condition("StringNotEquals", "${gone}"), context) is UNDECIDED


@given(
    operator=st.sampled_from(
        [f"Date{suffix}" for suffix in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan")]
        + ["DateGreaterThanEquals"]
    ),
    limit=st.integers(-3, 3),
    latest=st.integers(-3, 3),
    earlier=st.integers(0, 6),
)
def test_a_bound_decides_only_what_holds_for_every_date_below_it(
    operator: str, limit: int, latest: int, earlier: int
) -> None:
    """What follows from the latest possible date is true of any date up to it."""
    text = at(limit).isoformat()
    bound = asked(operator, text, DateRange(latest=at(latest)))
    actual = (at(latest) - timedelta(minutes=earlier)).isoformat()

    assert bound in (UNDECIDED, asked(operator, text, (actual,)))


@pytest.mark.parametrize(
    ("operator", "limit", "known"),
    [
        ("DateLessThan", at(1).isoformat(), YES),
        ("DateLessThan", at(0).isoformat(), UNDECIDED),
        ("DateLessThanEquals", at(0).isoformat(), YES),
        ("DateLessThanEquals", at(-1).isoformat(), UNDECIDED),
        ("DateGreaterThan", at(0).isoformat(), NO),
        ("DateGreaterThan", at(-1).isoformat(), UNDECIDED),
        ("DateGreaterThanEquals", at(1).isoformat(), NO),
        ("DateGreaterThanEquals", at(0).isoformat(), UNDECIDED),
        ("DateNotEquals", at(1).isoformat(), YES),
        ("DateNotEquals", at(0).isoformat(), UNDECIDED),
        ("DateLessThan", "soon", UNDECIDED),
        ("StringNotEquals", at(1).isoformat(), UNDECIDED),
    ],
)
def test_what_a_bound_decides(operator: str, limit: str, known: Truth) -> None:
    """All that follows from a latest date, the date itself included, and nothing of what is no date."""
    assert asked(operator, limit, DateRange(latest=at(0))) is known


@given(
    operator=st.sampled_from(
        [f"Date{suffix}" for suffix in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan")]
        + ["DateGreaterThanEquals"]
    ),
    limit=st.integers(-3, 3),
    earliest=st.integers(-3, 3),
    length=st.integers(0, 4),
    later=st.integers(0, 4),
)
def test_bounds_decide_only_what_holds_for_every_date_within(
    operator: str, limit: int, earliest: int, length: int, later: int
) -> None:
    """What follows from the bounds of a date is true of any date within them, in any form that IAM takes."""
    text = str(int(at(limit).timestamp()))
    bound = asked(operator, text, DateRange(earliest=at(earliest), latest=at(earliest + length)))
    actual = at(earliest + min(later, length)).isoformat()

    assert bound in (UNDECIDED, asked(operator, text, (actual,)))


names = st.text("abAB*?", max_size=3)


@given(
    operator=st.sampled_from([
        "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike",
        "StringNotLike", "ForAnyValue:StringLike", "ForAllValues:StringNotLike", "StringNotEqualsIfExists",
        "ArnLike", "ArnNotEquals", "Bool", "Null",
    ]),
    wanted=st.lists(st.builds("R:{}".format, names), min_size=1, max_size=3),
    excluding=st.frozensets(st.builds("R:{}".format, names), max_size=2),
    name=names,
)  # fmt: skip
@example(operator="StringLike", wanted=["R:a*"], excluding=frozenset({"R:a*"}), name="ab")
def test_a_choice_decides_only_what_holds_for_every_text_that_may_be_chosen(
    operator: str, wanted: list[str], excluding: frozenset[str], name: str
) -> None:
    """What is said of a text of which the caller chose a part is true of each that it may have chosen."""
    chosen = f"R:{name}"
    told = asked(operator, tuple(wanted), ChosenText(pattern="R:*", excluding=excluding))

    if chosen not in excluding:
        assert told in (UNDECIDED, asked(operator, tuple(wanted), (chosen,)))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("arn:aws:sts::1:federated-user/*", YES),
        ("arn:aws:*::1:*", YES),
        ("arn:aws:iam::1:*", NO),
        ("arn:aws:sts::1:federated-user/a*", UNDECIDED),
        ("arn:aws:sts::*", UNDECIDED),
        ("arn:*", UNDECIDED),
        ("arn:aws:*:federated-user/*", UNDECIDED),
    ],
)
def test_a_chosen_arn_is_compared_part_by_part(wanted: str, expected: Truth) -> None:
    """A pattern that is no ARN of six parts decides nothing, though as a text it would match whatever is chosen."""
    assert asked("ArnLike", wanted, ChosenText(pattern="arn:aws:sts::1:federated-user/*")) is expected


def test_a_time_is_not_compared_as_text() -> None:
    """AWS does not say how the value of a date key reads, so that a condition on its text decides nothing."""
    context: dict[str, Known] = {"aws:tokenissuetime": (at(0).isoformat(),), "aws:epochtime": ("1763978400",)}

    assert holds(condition("StringLike", "2026*", key="aws:tokenissuetime"), context) is UNDECIDED
    assert holds(condition("NumericGreaterThan", "1700000000", key="aws:epochtime"), context) is YES
    assert holds(condition("StringEquals", "${aws:TokenIssueTime}"), {**context, "k": ("x",)}) is UNDECIDED


@given(
    prefix=st.sampled_from(["", "ForAllValues:", "ForAnyValue:"]),
    operator=st.sampled_from(
        [f"Date{suffix}" for suffix in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan")]
        + ["DateGreaterThanEquals", "NumericLessThan", "StringEquals", "Null"]
    ),
    if_exists=st.sampled_from(["", "IfExists"]),
    key=st.sampled_from(["aws:tokenissuetime", "aws:TokenIssueTime", "aws:currenttime"]),
    limits=st.lists(st.one_of(st.integers(-3, 3).map(lambda one: at(one).isoformat()), values), max_size=3),
    issued=st.integers(-4, 4),
)
def test_no_condition_holds_for_tokens_that_it_rules_out_by_their_time_of_issue(
    prefix: str, operator: str, if_exists: str, key: str, limits: list[str], issued: int
) -> None:
    """Statements whose span leaves out a token's second need not be judged: they surely do not apply to it."""
    asked_of = condition(f"{prefix}{operator}{if_exists}", *limits, key=key)
    low, high = asked_of.issued_between
    known: Context = {"aws:tokenissuetime": (at(issued).isoformat(),)}

    if not low <= at(issued).timestamp() <= high:
        assert holds(asked_of, known) is NO


def test_the_span_of_a_condition_is_that_of_its_dates() -> None:
    """A cutoff leaves out what was issued after it, a window what was issued before or after it."""
    before = condition("DateLessThan", at(0).isoformat(), at(2).isoformat(), key="aws:tokenissuetime")
    after = condition("DateGreaterThanEquals", at(1).isoformat(), key="aws:tokenissuetime")

    assert before.issued_between == (-math.inf, at(2).timestamp())
    assert after.issued_between == (at(1).timestamp(), math.inf)
    for other in (
        condition("DateNotEquals", at(0).isoformat(), key="aws:tokenissuetime"),
        condition("DateLessThan", at(0).isoformat(), "soon", key="aws:tokenissuetime"),
        condition("DateLessThan", key="aws:tokenissuetime"),
        condition("DateLessThan", at(0).isoformat(), key="aws:currenttime"),
    ):
        assert other.issued_between == (-math.inf, math.inf)
