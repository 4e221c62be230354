"""
Random policies, requests of which some keys are known, and every completion of what is not known.

All that is asked of the product is asked here, of `evaluate`, so that one place changes when the product's names do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from typing import Any, Literal

from hypothesis import strategies as st

from oracle import policy_evaluator as second
from oracle.policy_evaluator import MULTIVALUED, ConditionTest, UnknownPolicy, Value
from oracle.request_choices import Mentions, addresses, mentions, named_dates, numbers, samples
from tokentrail.policy.language.conditions import Condition
from tokentrail.policy.language.conditions import holds as condition_holds
from tokentrail.policy.language.context import ABSENT, PRESENT, ChosenText, DateRange, Known
from tokentrail.policy.language.documents import parse
from tokentrail.policy.language.evaluate import Call, Extent, denied, denies_everything
from tokentrail.policy.language.truth import Truth

Json = dict[str, Any]
HOME, AWAY = "111122223333", "444455556666"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ORG = "o-1/r-1/ou-1/"
MOST = 600
"""How many completions of a request are looked at."""


# ------------------------------------------------------------------------------------------- what is known


@dataclass(frozen=True)
class Between:
    """A date of which bounds are known, both inclusive."""

    earliest: datetime | None
    latest: datetime | None


@dataclass(frozen=True)
class Chosen:
    """A text that matches a pattern and is none of some."""

    pattern: str
    excluding: frozenset[str]


Knowledge = tuple[str, ...] | Literal["absent", "present"] | Between | Chosen
"""What is known of a key; one that is not there is unknown."""
Knowns = Mapping[str, Knowledge]


# -------------------------------------------------------------------------------------------- the product


def _known(knowledge: Knowledge) -> Known:
    match knowledge:
        case Between(earliest=earliest, latest=latest):
            return DateRange(earliest=earliest, latest=latest)
        case Chosen(pattern=pattern, excluding=excluding):
            return ChosenText(pattern=pattern, excluding=excluding)
        case "absent":
            return ABSENT
        case "present":
            return PRESENT
        case _:
            return knowledge


def product_holds(test: ConditionTest, knowns: Knowns) -> bool | None:
    """What the product says of one condition; `None` if it is undecided."""
    condition = Condition(operator=test.operator, key=test.key, values=test.values)
    return _answer(condition_holds(condition, {key: _known(value) for key, value in knowns.items()}))


def product_denies(document: str, action: str, resource: str, knowns: Knowns) -> bool | None:
    """Whether the product says that a policy denies a request."""
    context = {key: _known(value) for key, value in knowns.items()}
    return _answer(denied(parse(document), Call.of((action.lower(),), (resource,), context)))


def product_denies_all(document: str, knowns: Knowns) -> bool:
    """Whether the product says that a policy denies everything."""
    context = {key: _known(value) for key, value in knowns.items()}
    return denies_everything(parse(document), context).extent is Extent.ALL


def _answer(truth: Truth) -> bool | None:
    return None if truth is Truth.UNDECIDED else truth is Truth.YES


# ------------------------------------------------------------------------------------ keys and their values

_TEXT = tuple(
    f"String{name}"
    for name in ("Equals", "NotEquals", "EqualsIgnoreCase", "NotEqualsIgnoreCase", "Like", "NotLike")
)
_ORDER = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
_DATE, _NUMBER = tuple(f"Date{name}" for name in _ORDER), tuple(f"Numeric{name}" for name in _ORDER)
_ARN = ("ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike")
_DATES = (
    "2026-11-23T12:00:00Z", "2026-11-23T14:00:00+02:00", "2026-11-23T11:59:59.500Z", "2026-11-23", "2026-12",
    "2026-11-23T12:00Z", str(int(NOON.timestamp())), f"{NOON.timestamp() + 0.25}", "2026-11-23T06:30:01-05:30",
)  # fmt: skip
"""All forms that IAM takes, about the same time."""
_MOMENTS = tuple(NOON + timedelta(seconds=seconds) for seconds in (-50_000, -1, 0, 1, 90_000))


@dataclass(frozen=True)
class Key:
    """A condition key: what requests carry for it, and how policies compare it."""

    carried: tuple[str, ...]
    operators: tuple[str, ...]
    compared: tuple[str, ...]
    always: bool = False
    """Whether no request is without it."""
    patterns: tuple[str, ...] = ()
    """What may be known of one that is chosen."""
    date: Literal["iso", "epoch", ""] = ""


_ROLE = f"arn:aws:iam::{HOME}:role/Deploy"
_GUEST = f"arn:aws:sts::{HOME}:federated-user/guest"
_ROLES = (
    _ROLE,
    f"arn:aws:iam::{HOME}:role/*",
    "arn:aws:iam::*:role/Dep*",
    "arn:aws:*",
    "arn:*:iam::*:role/?eploy",
)
KEYS: Mapping[str, Key] = {
    "aws:tokenissuetime": Key((), _DATE, _DATES, date="iso"),
    "aws:currenttime": Key((), _DATE, _DATES, always=True, date="iso"),
    "aws:epochtime": Key((), (*_DATE, *_NUMBER), (*_DATES[6:8], *_DATES[:4]), always=True, date="epoch"),
    "aws:multifactorauthpresent": Key(("true", "false"), ("Bool", "StringEquals"), ("true", "false")),
    "aws:multifactorauthage": Key(("10", "3600"), _NUMBER, ("10", "3600", "86400")),
    "aws:userid": Key(
        ("AROADEPLOY:ada", "AROADEPLOY:ria", "AIDAADA"), _TEXT,
        ("AROADEPLOY:*", "AROADEPLOY:ada", "*:ria", "AROADEPLOY:a*", "*a*", "aroadeploy:ADA", "AROAOTHER:*"),
        always=True, patterns=("AROADEPLOY:*", f"{HOME}:*"),
    ),
    "aws:username": Key(("ada", "Ada"), _TEXT, ("ada", "a*", "?da", "*")),
    "aws:principalarn": Key(
        (_ROLE, f"arn:aws:iam::{HOME}:user/ada"), (*_ARN, "StringLike", "StringNotLike", "StringEquals"),
        (*_ROLES, _GUEST, f"arn:aws:sts::{HOME}:federated-user/*", f"arn:aws:*:{HOME}:*", "arn:aws:sts::*:*/g*"),
        always=True, patterns=(f"arn:aws:sts::{HOME}:federated-user/*",),
    ),
    "aws:principalaccount": Key((HOME, AWAY), _TEXT, (HOME, AWAY, "1111*"), always=True),
    "aws:principaltype": Key(("User", "AssumedRole"), _TEXT, ("User", "AssumedRole", "*"), always=True),
    "aws:sourceidentity": Key(
        ("ria", "ada"), _TEXT, ("ria", "${aws:username}", "${aws:username, 'ria'}", "r*", "${aws:PrincipalTag/team}"),
        patterns=("*",),
    ),
    "aws:assumedroot": Key(("true",), ("Bool",), ("true", "false")),
    "aws:signinsessionarn": Key(
        (f"arn:aws:signin:us-east-1:{HOME}:session/1",), _ARN, (f"arn:aws:signin:*:{HOME}:session/*", "arn:aws:signin:*")
    ),
    "aws:federatedprovider": Key(("accounts.google.com",), _TEXT, ("accounts.google.com", "*.google.com")),
    "ec2:sourceinstancearn": Key((f"arn:aws:ec2:us-east-1:{HOME}:instance/i-1",), _ARN, ("arn:aws:ec2:*:*:instance/*",)),
    "ec2:roledelivery": Key(("1.0", "2.0"), _NUMBER, ("2.0",)),
    "aws:ec2instancesourcevpc": Key(("vpc-1",), _TEXT, ("vpc-1", "${aws:SourceVpc}")),
    "aws:ec2instancesourceprivateipv4": Key(
        ("10.0.0.1",), ("IpAddress", "NotIpAddress", "StringEquals"), ("10.0.0.0/8", "10.0.0.1")
    ),
    "aws:sourceip": Key(
        ("192.0.2.10", "203.0.113.77", "2001:db8::1"), ("IpAddress", "NotIpAddress"),
        ("192.0.2.0/24", "203.0.113.77", "2001:db8::/32", "0.0.0.0/0", "128.0.0.0/1"),
    ),
    "aws:vpcsourceip": Key(("10.0.0.1", "10.1.0.1"), ("IpAddress", "NotIpAddress"), ("10.0.0.0/16", "10.0.0.0/8")),
    "aws:sourcevpc": Key(("vpc-1", "vpc-2"), _TEXT, ("vpc-1", "vpc-*")),
    "aws:sourcevpce": Key(("vpce-1",), _TEXT, ("vpce-1", "vpce-?")),
    "aws:sourcevpcarn": Key((f"arn:aws:ec2:us-east-1:{HOME}:vpc/vpc-1",), _ARN, (f"arn:aws:ec2:*:{HOME}:vpc/*",)),
    "aws:vpceaccount": Key((HOME, AWAY), _TEXT, (HOME, "1*", "${aws:PrincipalAccount}")),
    "aws:vpceorgid": Key(("o-1",), _TEXT, ("o-1", "o-*")),
    "aws:vpceorgpaths": Key((ORG, "o-1/r-1/"), ("StringEquals", "StringNotEquals", "StringLike", "StringNotLike"), (f"{ORG}*", ORG)),
    "aws:tagkeys": Key(("team", "cost"), ("StringEquals", "StringNotEquals", "StringLike"), ("team", "c*")),
    "sts:transitivetagkeys": Key(("team", "cost"), ("StringEquals", "StringNotEquals"), ("team", "cost")),
    "aws:useragent": Key(("aws-cli/2", "Boto3/1"), _TEXT, ("aws-cli/*", "Boto3/1")),
    "aws:requestedregion": Key(("us-east-1", "eu-west-1"), _TEXT, ("us-east-1", "us-*"), always=True),
    "aws:securetransport": Key(("true", "false"), ("Bool",), ("true", "false"), always=True),
    "aws:viaawsservice": Key(("true", "false"), ("Bool",), ("true", "false"), always=True),
    "identitystore:userid": Key(("9067-ria",), _TEXT, ("9067-ria", "9067-*")),
    "aws:originidentity/subject": Key(
        ("alice@corp", "bob@corp"), _TEXT, ("alice@corp", "*@corp", "a*", "Alice@corp", "${aws:SourceIdentity}")
    ),
    "aws:originidentity/issuer": Key(
        ("https://idp.corp.example",), _TEXT, ("https://idp.corp.example", "https://idp.*", "https://idp.partner.example")
    ),
    "sts:externalid": Key(("shared",), _TEXT, ("shared", "s*")),
    "sts:rolesessionname": Key(("ada", "ria"), _TEXT, ("ada", "${aws:username}", "*a")),
    "sts:sourceidentity": Key(("ria",), _TEXT, ("ria", "${aws:username}")),
    "sts:durationseconds": Key(("900", "3600"), _NUMBER, ("3600",)),
    "aws:principaltag/team": Key(("ops", "dev", "b3Bz"), (*_TEXT, "BinaryEquals"), ("ops", "OPS", "o*", "${*}", "b3Bz")),
    "aws:requesttag/team": Key(("ops",), _TEXT, ("ops", "${aws:PrincipalTag/team}")),
}  # fmt: skip
"""All condition keys that the oracle knows, those of FACTS D1 and J11 among them."""
assert second.KEYS <= set(KEYS)


# ---------------------------------------------------------------------------------------------- policies


@st.composite
def conditions(draw: st.DrawFn) -> ConditionTest:
    """One operator on one key, with `IfExists` and set operators, and `Null` now and then."""
    name = draw(st.sampled_from(sorted(KEYS)))
    key = KEYS[name]
    if draw(st.integers(0, 7)) == 0:
        return ConditionTest("Null", name, (draw(st.sampled_from(["true", "false"])),))
    sets = (
        ("ForAnyValue:", "ForAllValues:")
        if name in MULTIVALUED
        else ("", "", "", "ForAnyValue:", "ForAllValues:")
    )
    operator = (
        draw(st.sampled_from(sets))
        + draw(st.sampled_from(key.operators))
        + draw(st.sampled_from(["", "", "IfExists"]))
    )
    values = draw(st.lists(st.sampled_from(key.compared), min_size=1, max_size=3, unique=True))
    return ConditionTest(operator, name, tuple(values))


REQUESTS = (
    ("s3:GetObject", "arn:aws:s3:::reports/ada/1.csv"), ("s3:PutObject", "arn:aws:s3:::reports/1.csv"),
    ("sts:AssumeRole", f"arn:aws:iam::{HOME}:role/Audit"), ("iam:CreateUser", f"arn:aws:iam::{HOME}:user/new"),
    ("ec2:DescribeInstances", "*"), ("quicksight:Rare", "arn:aws:quicksight:eu-north-1:444455556666:rare"),
)  # fmt: skip
_ACTIONS = (
    "*",
    "*",
    "*:*",
    "s3:*",
    "S3:get*",
    "sts:AssumeRole",
    "iam:*",
    "sts:GetCallerIdentity",
    "ec2:?escribe*",
)
_RESOURCES = (
    "*",
    "*",
    "arn:aws:s3:::*",
    "arn:aws:s3:::reports/${aws:username}/*",
    f"arn:aws:iam::{HOME}:*",
    "arn:*",
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A policy of some denies, and perhaps an allow, as JSON."""
    statements = []
    for _ in range(draw(st.integers(1, 3))):
        statement: Json = {"Effect": draw(st.sampled_from(["Deny", "Deny", "Deny", "Allow"]))}
        for element, names in (("Action", _ACTIONS), ("Resource", _RESOURCES)):
            inverted = draw(st.integers(0, 4)) == 0
            values = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
            if inverted and any("${" in value for value in values):
                inverted = False  # AWS does not say what NotResource means where a variable's key is absent
            statement[f"Not{element}" if inverted else element] = values
        condition: dict[str, dict[str, list[str]]] = {}
        for test in draw(st.lists(conditions(), max_size=2)):
            condition.setdefault(test.operator, {})[test.key] = list(test.values)
        statements.append(statement | ({"Condition": condition} if condition else {}))
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def mentioned_in(document: str) -> Mentions:
    """The keys that a policy asks for, in conditions and variables."""
    tests = list(second.conditions_of(document, trust=False))
    resources = [
        text
        for statement in json.loads(document)["Statement"]
        for name in ("Resource", "NotResource")
        for text in statement.get(name, ())
        if "${" in text
    ]
    return (
        mentions((*tests, ConditionTest("StringLike", "aws:userid", tuple(resources))))
        if resources
        else mentions(tuple(tests))
    )


# ------------------------------------------------------------------------------------------------ requests


@st.composite
def knowns(draw: st.DrawFn, asked: Sequence[str]) -> Knowns:
    """What is known of some keys: their values, that they are there or not, bounds, a pattern, or nothing."""
    found: dict[str, Knowledge] = {}
    for name in sorted(asked):
        key = KEYS[name]
        ways = ["value", "value", "unknown", "present"] + ["absent"] * (not key.always)
        ways += ["between"] * 3 if key.date else []
        ways += ["chosen"] * 2 if key.patterns else []
        way = draw(st.sampled_from(ways))
        if way == "value":
            found[name] = draw(_carried(name))
        elif way == "between":
            found[name] = draw(_between())
        elif way == "chosen":
            excluding = draw(st.lists(st.sampled_from((*key.carried, *key.compared)), max_size=2))
            found[name] = Chosen(draw(st.sampled_from(key.patterns)), frozenset(excluding))
        elif way != "unknown":
            found[name] = way  # type: ignore[assignment]  # "absent" or "present"
    return found


def _carried(name: str) -> st.SearchStrategy[tuple[str, ...]]:
    key = KEYS[name]
    if key.date:
        return st.sampled_from([(_written(moment, key.date),) for moment in _MOMENTS])
    one = st.sampled_from(key.carried)
    if name in MULTIVALUED:
        return st.lists(one, min_size=1, max_size=2, unique=True).map(tuple)
    return one.map(lambda value: (value,))


@st.composite
def _between(draw: st.DrawFn) -> Between:
    first, last = sorted((draw(st.sampled_from(_MOMENTS)), draw(st.sampled_from(_MOMENTS))))
    return Between(first if draw(st.integers(0, 2)) else None, last if draw(st.integers(0, 2)) else None)


def _written(moment: datetime, form: str) -> str:
    return str(int(moment.timestamp())) if form == "epoch" else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def completions(asked: Mentions, told: Knowns) -> Iterator[dict[str, Value | None]]:
    """
    Complete a request in every way that a policy may tell apart, as far as there are not too many.

    Args:
        asked: The keys that the policy asks for, with the values that it compares.
        told: What is known of the request.
    """
    names = sorted({*asked, *told})
    choices = [_possible(name, asked.get(name, ()), told.get(name)) for name in names]
    for combination in islice(product(*choices), MOST):
        yield dict(zip(names, combination, strict=True))


def _possible(name: str, compared: Sequence[str], told: Knowledge | None) -> list[Value | None]:
    """All values of one key to try, given what is known of it."""
    key = KEYS[name]
    if isinstance(told, tuple):
        return [told if name in MULTIVALUED else told[0]]
    if told == "absent":
        return [None]
    if key.date:
        bounds = told if isinstance(told, Between) else Between(None, None)
        values: list[Value | None] = [_written(moment, key.date) for moment in _moments(compared, bounds)]
    elif isinstance(told, Chosen):
        values = [*_matching(told, (*compared, *key.compared, *key.carried))]
    else:
        values = _texts(name, compared)
    return values if told is not None or key.always else [None, *values]


def _moments(compared: Sequence[str], bounds: Between) -> list[datetime]:
    dates = named_dates({"x": tuple(compared)}, ("x",))
    about = {date.replace(microsecond=0) + timedelta(seconds=step) for date in dates for step in (-1, 0, 1)}
    about |= {*_MOMENTS, bounds.earliest or NOON, bounds.latest or NOON}
    return sorted(
        moment
        for moment in about
        if (bounds.earliest is None or bounds.earliest <= moment)
        and (bounds.latest is None or moment <= bounds.latest)
    )


def _matching(told: Chosen, named: Sequence[str]) -> list[str]:
    """Texts that match the pattern of a choice and are not excluded."""
    texts = [*samples((*named, told.pattern)), told.pattern.replace("*", "nobody-names-this")]
    texts += [text.lower() for text in texts] + [
        told.pattern.replace("*", text.rpartition(":")[2]) for text in texts
    ]
    test = ConditionTest("StringLike", "aws:userid", (told.pattern,))
    return [
        text
        for text in dict.fromkeys(texts)
        if text not in told.excluding and second.holds(test, {"aws:userid": text})
    ]


def _texts(name: str, compared: Sequence[str]) -> list[Value | None]:
    key = KEYS[name]
    if "Bool" in key.operators:
        return [*key.carried]
    if "IpAddress" in key.operators:
        return [*dict.fromkeys([*key.carried, *addresses(compared)])]
    if set(key.operators) & set(_NUMBER):
        return [*dict.fromkeys([*key.carried, *numbers(compared)])]
    texts = list(dict.fromkeys([*key.carried, *samples(compared)]))
    if name in MULTIVALUED:
        return [*((text,) for text in texts), tuple(texts)]
    return [*texts]


def verdicts(answers: Iterator[bool]) -> set[bool]:
    """All answers of the oracle; where it knows none for some completion, both, since none may then be given."""
    try:
        return set(answers)
    except UnknownPolicy:
        return {True, False}
