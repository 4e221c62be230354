"""
The judge's evaluator: conditions as AWS describes them, absent keys above all, and no guesses.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from oracle.policy_evaluator import Context, UnknownPolicy, denies, trusts

ROLE = "arn:aws:iam::111122223333:role/Deploy"
KEY = {
    "aws:userid": "AIDAADA",
    "aws:username": "ada",
    "aws:principalarn": "arn:aws:iam::111122223333:user/ada",
    "aws:principaltype": "User",
    "aws:principalaccount": "111122223333",
}
TOKEN = {**KEY, "aws:tokenissuetime": "2026-11-23T10:00:00Z"}
SESSION = {
    "aws:userid": "AROADEPLOY:ada",
    "aws:principalarn": ROLE,
    "aws:principaltype": "AssumedRole",
    "aws:principalaccount": "111122223333",
    "aws:tokenissuetime": "2026-11-23T10:00:00Z",
}


def denied(context: Context, condition: dict[str, Any] | None = None, **fields: Any) -> bool:
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", **fields}
    if condition is not None:
        statement["Condition"] = condition
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    return denies(document, context, "s3:GetObject", "arn:aws:s3:::bucket/key")


def issued(operator: str, date: str) -> dict[str, Any]:
    return {operator: {"aws:TokenIssueTime": date}}


@pytest.mark.parametrize(
    ("operator", "date", "expected"),
    [
        ("DateLessThan", "2026-11-23T10:00:00Z", False),
        ("DateLessThan", "2026-11-23T10:00:01Z", True),
        ("DateLessThan", "2026-11-23T10:00:00.500Z", True),
        ("DateLessThanEquals", "2026-11-23T10:00:00Z", True),
        ("DateGreaterThan", "2026-11-23T10:00:00Z", False),
        ("DateGreaterThan", "2026-11-23T09:59:59Z", True),
        ("DateGreaterThanEquals", "2026-11-23T10:00:00.000Z", True),
        ("DateEquals", "2026-11-23T10:00:00+00:00", True),
        ("DateEquals", "2026-11-23T10:00:01Z", False),
    ],
)
def test_dates_are_compared_to_the_instant(operator: str, date: str, expected: bool) -> None:
    """Issue times at, before and after the date of a condition."""
    assert expected == denied(SESSION, issued(operator, date))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"DateLessThan": {"aws:TokenIssueTime": "2030-01-01T00:00:00Z"}}, False),
        ({"DateLessThanIfExists": {"aws:TokenIssueTime": "2030-01-01T00:00:00Z"}}, True),
        ({"StringEquals": {"aws:SourceIdentity": "x"}}, False),
        ({"StringNotEquals": {"aws:SourceIdentity": "x"}}, True),
        ({"StringNotLike": {"aws:SourceIdentity": "*"}}, True),
        ({"ArnNotEquals": {"aws:SignInSessionArn": "arn:aws:signin:::x"}}, True),
        ({"ForAnyValue:StringNotEquals": {"aws:SourceIdentity": "x"}}, False),
        ({"Bool": {"aws:AssumedRoot": "true"}}, False),
        ({"BoolIfExists": {"aws:AssumedRoot": "true"}}, True),
        ({"Null": {"aws:TokenIssueTime": "true"}}, True),
        ({"Null": {"aws:TokenIssueTime": "false"}}, False),
    ],
)
def test_a_key_that_is_absent(condition: dict[str, Any], expected: bool) -> None:
    """What is asked of a long-term key that carries no such key: only negation, IfExists and Null match."""
    assert expected == denied(KEY, condition)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"StringEquals": {"aws:userid": ["AROADEPLOY:bob", "AROADEPLOY:ada"]}}, True),
        ({"StringNotEquals": {"aws:userid": ["AROADEPLOY:bob", "AROADEPLOY:ada"]}}, False),
        ({"StringLike": {"AWS:UserId": "AROADEPLOY:*"}}, True),
        ({"StringLike": {"aws:userid": "aroadeploy:*"}}, False),
        ({"StringLike": {"aws:userid": "AROADEPLOY:?d?"}}, True),
        ({"ForAnyValue:StringEquals": {"aws:userid": "AROADEPLOY:ada"}}, True),
        ({"ArnEquals": {"aws:PrincipalArn": ROLE}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/Dep*"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:*:*:role/Deploy:*:*"}}, False),
        ({"ArnLike": {"aws:PrincipalArn": "role/Deploy"}}, False),
        ({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/Dep*"}}, False),
        ({"ArnEquals": {"aws:PrincipalArn": "arn:aws:sts::111122223333:assumed-role/Deploy/ada"}}, False),
        ({"StringEquals": {"aws:PrincipalType": "AssumedRole", "aws:PrincipalAccount": "999"}}, False),
    ],
)
def test_values_and_keys(condition: dict[str, Any], expected: bool) -> None:
    """One of the values, all of the keys; ARNs part by part; a session's ARN is not its role's."""
    assert expected == denied(SESSION, condition)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"DateLessThan": {"aws:TokenIssueTime": "2026-11-23T12:00:01+02:00"}}, True),
        ({"DateLessThan": {"aws:TokenIssueTime": "2026-11-23T12:00:00+02:00"}}, False),
        ({"DateGreaterThan": {"aws:TokenIssueTime": "2026-11-23T04:29:59-05:30"}}, True),
        ({"DateGreaterThan": {"aws:TokenIssueTime": "2026-11-23"}}, True),
        ({"DateLessThan": {"aws:TokenIssueTime": "2026-11-24"}}, True),
        ({"DateLessThan": {"aws:TokenIssueTime": "2026-12"}}, True),
        ({"DateEquals": {"aws:TokenIssueTime": "2026-11-23T10:00Z"}}, True),
        ({"DateEquals": {"aws:TokenIssueTime": "1795428000"}}, True),
        ({"DateNotEquals": {"aws:TokenIssueTime": "1795428000"}}, False),
        ({"DateLessThan": {"aws:TokenIssueTime": "1795428000.5"}}, True),
    ],
)
def test_all_forms_of_dates(condition: dict[str, Any], expected: bool) -> None:
    """Offsets, days, months, minutes and epoch seconds name an instant as the full form does."""
    assert expected == denied(SESSION, condition)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"DateGreaterThan": {"aws:CurrentTime": "2026-11-23T11:00:00Z"}}, True),
        ({"DateGreaterThan": {"aws:EpochTime": "1795431600"}}, True),
        ({"NumericGreaterThan": {"aws:EpochTime": "1795435199"}}, True),
        ({"NumericGreaterThanEquals": {"aws:EpochTime": "1795435201"}}, False),
        ({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "192.0.2.0/24"]}}, True),
        ({"NotIpAddress": {"aws:SourceIp": ["203.0.113.0/24", "192.0.2.0/24"]}}, False),
        ({"NotIpAddress": {"aws:SourceIp": "2001:db8::/32"}}, True),
        ({"NotIpAddress": {"aws:VpcSourceIp": "10.0.0.0/8"}}, True),
        ({"Bool": {"aws:MultiFactorAuthPresent": True}}, False),
        ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "False"}}, True),
        ({"NumericGreaterThanIfExists": {"aws:MultiFactorAuthAge": "3600"}}, True),
        ({"NumericGreaterThan": {"aws:MultiFactorAuthAge": "3600"}}, False),
        ({"StringEqualsIgnoreCase": {"aws:PrincipalTag/Team": "OPS"}}, True),
        ({"StringNotEqualsIgnoreCase": {"aws:PrincipalTag/team": "OPS"}}, False),
        ({"BinaryEquals": {"aws:PrincipalTag/team": "b3Bz"}}, False),
        ({"StringEquals": {"aws:userid": "AROADEPLOY:${aws:SourceIdentity, 'ada'}"}}, True),
        ({"StringEquals": {"aws:userid": "AROADEPLOY:${aws:PrincipalTag/team}"}}, False),
        ({"StringLike": {"aws:PrincipalTag/star": "${*}"}}, True),
        ({"StringLike": {"aws:PrincipalTag/team": "${*}"}}, False),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::${aws:PrincipalAccount}:role/*"}}, True),
        ({"StringEquals": {"aws:userid": "${aws:SourceIdentity}"}}, False),
    ],
)
def test_keys_of_the_request(condition: dict[str, Any], expected: bool) -> None:
    """The time, the address, MFA and tags; and what policy variables stand for."""
    request = {
        **SESSION, "aws:currenttime": "2026-11-23T12:00:00Z", "aws:epochtime": "1795435200",
        "aws:sourceip": "192.0.2.10", "aws:multifactorauthpresent": "false", "aws:principaltag/team": "ops",
        "aws:principaltag/star": "*",
    }  # fmt: skip
    if "BinaryEquals" in condition:
        request["aws:principaltag/team"] = "b3Bx"
    assert expected == denied(request, condition)


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("ForAnyValue:StringEquals", "team", (False, True, True)),
        ("ForAllValues:StringEquals", "team", (True, True, False)),
        ("ForAllValues:StringLike", ["team", "pro*"], (True, True, True)),
        ("ForAnyValue:StringNotEquals", "team", (False, False, True)),
        ("ForAllValues:StringNotEquals", "team", (True, False, False)),
        ("ForAllValues:StringNotEquals", "cost", (True, True, True)),
    ],
)
def test_sets_of_values(operator: str, values: Any, expected: tuple[bool, ...]) -> None:
    """All values, or any, of none, one and two; no value at all satisfies "all" and not "any"."""
    contexts: list[Context] = [
        {**SESSION, "aws:tagkeys": tags} for tags in (None, ("team",), ("team", "project"))
    ]
    assert list(expected) == [denied(one, {operator: {"aws:TagKeys": values}}) for one in contexts]


def test_actions_and_resources() -> None:
    """Actions match regardless of case, NotAction all others; a deny elsewhere is none here."""
    assert denied(KEY, Action=["S3:Get*"])
    assert not denied(KEY, Action="sts:*")
    assert not denied(KEY, Effect="Allow")
    assert not denied(KEY, Resource="arn:aws:s3:::other/*")
    document = {"Effect": "Deny", "NotAction": ["iam:*"], "Resource": ["*"]}
    text = json.dumps({"Version": "2012-10-17", "Statement": [document]})
    assert denies(text, KEY, "s3:GetObject", "x")
    assert not denies(text, KEY, "iam:CreateUser", "x")


@pytest.mark.parametrize(
    "fields",
    [
        {"condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}},
        {"condition": {"IpAddress": {"aws:userid": "192.0.2.0/24"}}},
        {"condition": {"NumericEquals": {"aws:userid": "1"}}},
        {"condition": {"ForSomeValues:StringEquals": {"aws:userid": "x"}}},
        {"condition": {"ArnLike": {"aws:PrincipalArn": "arn:*:role/Deploy"}}},
        {"condition": {"ForAnyValue:StringEqualsIfExists": {"aws:TagKeys": "team"}}},
        {"condition": {"NullIfExists": {"aws:userid": "true"}}},
        {"condition": {"BoolNot": {"aws:userid": "true"}}},
        {"condition": {"NotBool": {"aws:MultiFactorAuthPresent": "true"}}},
        {"condition": {"DateLessThan": {"aws:TokenIssueTime": "yesterday"}}},
        {"condition": {"DateLessThan": {"aws:TokenIssueTime": "2026"}}},
        {"condition": {"DateLessThan": {"aws:TokenIssueTime": "2026-13-01"}}},
        {"condition": {"DateLessThan": {"aws:TokenIssueTime": "2026-11-23T10:00:00"}}},
        {"condition": {"StringLike": {"aws:TokenIssueTime": "2026-*"}}},
        {"condition": {"NumericLessThan": {"aws:TokenIssueTime": "1800000000"}}},
        {"condition": {"StringLike": {"aws:userid": "${aws:TokenIssueTime}*"}}},
        {"condition": {"StringNotEquals": {"aws:userid": "${aws:SourceIdentity}"}}},
        {"condition": {"NumericLessThan": {"aws:EpochTime": "${aws:userid}"}}},
        {"condition": {"StringEquals": {"aws:TagKeys": "team"}}, "tags": ("team", "project")},
        {"Principal": "*"},
        {"NotAction": "*"},
        {"Effect": "Maybe"},
    ],
)
def test_what_it_does_not_know_it_refuses(fields: dict[str, Any]) -> None:
    """No guess: unknown operators, keys, variables and elements are errors."""
    context = {**TOKEN, "aws:tagkeys": fields.pop("tags", None), "aws:epochtime": "1795000000"}
    with pytest.raises(UnknownPolicy):
        denied(context | {"aws:multifactorauthpresent": "true"}, **fields)


def test_a_document_of_another_version_is_refused() -> None:
    """Versions differ in what variables mean."""
    with pytest.raises(UnknownPolicy, match="version"):
        denies('{"Version": "2008-10-17", "Statement": []}', KEY, "s3:GetObject", "x")
    with pytest.raises(UnknownPolicy, match="no policy"):
        denies("[]", KEY, "s3:GetObject", "x")


def trust(*statements: dict[str, Any]) -> str:
    common = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**common, **one} for one in statements]})


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("*", True),
        ({"AWS": "111122223333"}, True),
        ({"AWS": ["arn:aws:iam::111122223333:root"]}, True),
        ({"AWS": ROLE}, True),
        ({"AWS": "arn:aws:iam::111122223333:role/Other"}, False),
        ({"Service": "ec2.amazonaws.com"}, False),
    ],
)
def test_a_trust_policy_names_whom_it_lets_in(principal: Any, expected: bool) -> None:
    """Everybody, an account, a principal; a service is no principal of ours."""
    assert expected == trusts(trust({"Principal": principal}), SESSION)


def test_a_deny_in_a_trust_policy_wins() -> None:
    """An Allow for the account and a Deny for the role lets the role's sessions stay out."""
    account = {"Principal": {"AWS": "111122223333"}}
    assert not trusts(trust(account, {"Effect": "Deny", "Principal": {"AWS": ROLE}}), SESSION)
    assert trusts(trust(account, {"Effect": "Deny", "Principal": {"AWS": ROLE}}), KEY)
    with pytest.raises(UnknownPolicy, match="principal"):
        trusts(trust({"Principal": {"CanonicalUser": "x"}}), KEY)
