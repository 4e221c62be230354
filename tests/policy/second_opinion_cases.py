"""Random policies and requests of the subset that we claim, and a way to ask an independent evaluator for its opinion."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from patience import PATIENCE
from tokentrail.policy.language.context import ABSENT

Json = dict[str, Any]
FOLDER = Path(__file__).parent / "second_opinion"
HOME, AWAY = "111122223333", "444455556666"
USER = f"arn:aws:iam::{HOME}:user/ada"
ROLE = f"arn:aws:iam::{HOME}:role/Deploy"
SESSION = f"arn:aws:sts::{HOME}:assumed-role/Deploy/ada"
TARGET = f"arn:aws:iam::{HOME}:role/Target"
REQUESTS = (
    ("s3:GetObject", "arn:aws:s3:::reports/daily/1.csv"),
    ("s3:PutObject", "arn:aws:s3:::reports/daily/1.csv"),
    ("s3:ListBucket", "arn:aws:s3:::reports"),
    ("sts:AssumeRole", TARGET),
    ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:us-east-1:{HOME}:secret:prod/db-AbCdEf"),
    ("iam:CreateAccessKey", f"arn:aws:iam::{HOME}:user/bob"),
)
ACTIONS = (
    "*", "s3:*", "s3:Get*", "s3:GetObject", "S3:getobject", "s3:?etObject", "sts:*", "sts:AssumeRole", "sts:Assume*", "iam:*",
    "iam:Create*", "secretsmanager:Get*", "secretsmanager:GetSecretValue", "ec2:*", "s3:List*", "s3:*Object",
)  # fmt: skip
RESOURCES = (
    "*", "arn:aws:s3:::reports", "arn:aws:s3:::reports/*", "arn:aws:s3:::*/daily/?.csv", "arn:aws:s3:::reports/${aws:username}/*",
    "arn:aws:s3:::other/*", TARGET, f"arn:aws:iam::{HOME}:role/T*", "arn:aws:iam::*:user/*", "arn:aws:secretsmanager:*:*:secret:prod/*",
    "arn:aws:s3:::reports/daily/1.csv",
)  # fmt: skip
Value = str | tuple[str, ...] | None
"""What a request carries for a key: a text, several, or nothing."""
VALUES: Mapping[str, tuple[str, ...]] = {
    "aws:SourceIp": ("192.0.2.10", "203.0.113.77", "198.51.100.23"),
    "aws:username": ("ada", "daily", "Ada"),
    "aws:userid": ("AIDAADAAAAAAAAAAAAAAA", "AROADEPLOYAAAAAAAAAAA:ada"),
    "aws:PrincipalArn": (USER, ROLE),
    "aws:PrincipalAccount": (HOME, AWAY),
    "aws:RequestedRegion": ("us-east-1", "eu-west-1"),
    "aws:TokenIssueTime": ("2026-11-23T09:00:00Z", "2026-11-23T11:00:00Z"),
    "aws:MultiFactorAuthPresent": ("true", "false"),
    "aws:MultiFactorAuthAge": ("10", "3600", "90000"),
    "aws:ViaAWSService": ("true", "false"),
    "aws:SourceVpc": ("vpc-11111111", "vpc-22222222"),
    "aws:UserAgent": ("aws-cli/2.31.4", "Boto3/1.34"),
    "aws:SourceIdentity": ("ada", "bob"),
    "aws:CurrentTime": ("2026-11-23T10:00:00Z",),
    "aws:EpochTime": ("1795428000",),
    "aws:SourceVpce": ("vpce-1", "vpce-2"),
    "aws:VpcSourceIp": ("10.0.0.1", "10.1.0.1"),
    "aws:SourceVpcArn": (
        f"arn:aws:ec2:us-east-1:{HOME}:vpc/vpc-1",
        f"arn:aws:ec2:eu-west-1:{AWAY}:vpc/vpc-2",
    ),
    "aws:VpceAccount": (HOME, AWAY),
    "aws:VpceOrgID": ("o-1", "o-2"),
    "aws:VpceOrgPaths": ("o-1/r-1/ou-1/", "o-1/r-1/", "o-2/r-2/"),
    "aws:PrincipalTag/team": ("ops", "dev"),
}
"""Condition keys with the values that requests carry; any may be absent."""
_TEXTS = (
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
)
_DATES = tuple(
    f"Date{one}"
    for one in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
)
_NUMBERS = tuple(one.replace("Date", "Numeric") for one in _DATES)
OPERATORS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "aws:SourceIp": (("IpAddress", "NotIpAddress"), ("192.0.2.0/24", "203.0.113.77", "203.0.113.77/32", "128.0.0.0/1", "198.51.100.0/25")),
    "aws:username": (_TEXTS, ("ada", "ADA", "a*", "?da", "*")),
    "aws:userid": (_TEXTS, ("AIDA*", "AROADEPLOYAAAAAAAAAAA:*", "*:ada", "AIDAADAAAAAAAAAAAAAAA")),
    "aws:PrincipalArn": (
        ("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "StringLike", "StringNotLike"),
        (USER, ROLE, "arn:aws:iam::*:user/*", "arn:aws:iam::*:role/*", f"arn:aws:iam::{HOME}:*", "arn:*:iam::*:user/a?a"),
    ),
    "aws:PrincipalAccount": (_TEXTS, (HOME, AWAY, "1111*")),
    "aws:RequestedRegion": (_TEXTS, ("us-east-1", "us-*", "eu-west-1")),
    "aws:TokenIssueTime": (
        _DATES,
        ("2026-11-23T10:00:00Z", "2026-11-23T09:00:00.000Z", "2026-11-23T11:00:00+02:00", "2026-11-23", "2026-11-23T05:30-05:30"),
    ),
    "aws:MultiFactorAuthPresent": (("Bool",), ("true", "false")),
    "aws:MultiFactorAuthAge": (_NUMBERS, ("3600", "10", "86400")),
    "aws:ViaAWSService": (("Bool",), ("true", "false")),
    "aws:SourceVpc": (_TEXTS, ("vpc-11111111", "vpc-*")),
    "aws:UserAgent": (_TEXTS, ("aws-cli/*", "Boto3/1.34")),
    "aws:SourceIdentity": (_TEXTS, ("ada", "${aws:username}", "${aws:username, 'bob'}")),
    "aws:CurrentTime": (_DATES, ("2026-11-23T10:00:00Z", "2027-01-01T00:00:00Z", "2026-11-24", "2026-11", "2026-11-23T12:00:00+02:00")),
    "aws:EpochTime": ((*_DATES, *_NUMBERS), ("1795428000", "1795427999", "1795428001")),
    "aws:SourceVpce": (_TEXTS, ("vpce-1", "vpce-?")),
    "aws:VpcSourceIp": (("IpAddress", "NotIpAddress"), ("10.0.0.0/16", "10.0.0.1")),
    "aws:SourceVpcArn": (("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"), (f"arn:aws:ec2:*:{HOME}:vpc/*", "arn:aws:ec2:*:*:vpc/vpc-2")),
    "aws:VpceAccount": (_TEXTS, (HOME, "4444*", "${aws:PrincipalAccount}")),
    "aws:VpceOrgID": (_TEXTS, ("o-1", "o-*")),
    "aws:VpceOrgPaths": (("StringEquals", "StringNotEquals", "StringLike", "StringNotLike"), ("o-1/r-1/*", "o-1/r-1/", "o-2/*")),
    "aws:PrincipalTag/team": (_TEXTS, ("ops", "OPS", "d*")),
}  # fmt: skip
"""
Operators and values that policies compare a key with.

Without 0.0.0.0/0, which holds every IPv4 address and of which the evaluator says that it holds none; and without IPv6,
of which it says that NotIpAddress with IPv4 networks alone does not match it (AWS: it does, as for any address that is in
none of them). Without epoch seconds beside ISO 8601 dates, which it compares with milliseconds; and without
`ForAnyValue:...IfExists`, of which AWS does not say which of the two decides where the key is absent.
"""


@st.composite
def conditions(draw: st.DrawFn) -> Json:
    """A Condition of up to three operators, `Null` and `IfExists` among them."""
    found: Json = {}
    for _ in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from(sorted(OPERATORS)))
        names, values = OPERATORS[key]
        if draw(st.integers(0, 5)) == 0:
            operator, value = "Null", draw(st.sampled_from(["true", "false"]))
        else:
            of_sets = ("ForAllValues:", "ForAnyValue:")
            quantifier = draw(st.sampled_from(of_sets if key in MULTIVALUED else ("", "", "", *of_sets)))
            endings = ["", "", "IfExists"] if quantifier != "ForAnyValue:" else [""]
            operator = quantifier + draw(st.sampled_from(names)) + draw(st.sampled_from(endings))
            chosen = draw(st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True))
            value = chosen[0] if len(chosen) == 1 else chosen
        spelled = draw(st.sampled_from([key, key.lower(), key]))
        found.setdefault(operator, {})[spelled] = value
    return found


def _some(values: tuple[str, ...]) -> st.SearchStrategy[Any]:
    several = st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)
    return st.one_of(st.sampled_from(values), several)


@st.composite
def statements(draw: st.DrawFn, effects: tuple[str, ...] = ("Allow", "Deny")) -> Json:
    """A statement of an identity policy or SCP."""
    found: Json = {"Effect": draw(st.sampled_from(effects))}
    found[draw(st.sampled_from(["Action", "Action", "NotAction"]))] = draw(_some(ACTIONS))
    found[draw(st.sampled_from(["Resource", "Resource", "Resource", "NotResource"]))] = draw(_some(RESOURCES))
    condition = draw(conditions())
    return found | ({"Condition": condition} if condition else {})


@st.composite
def documents(draw: st.DrawFn, effects: tuple[str, ...] = ("Allow", "Deny")) -> Json:
    """
    A policy document; now and then of the old version, without variables.

    In the old version `${aws:username}` is meant literally (IAM User Guide, 'IAM policy elements: Variables and tags');
    the evaluator replaces it all the same, so that the two are not compared on that.
    """
    listed = draw(st.lists(statements(effects), min_size=1, max_size=3))
    old = draw(st.integers(0, 5)) == 0 and "${" not in json.dumps(listed)
    return {"Version": "2008-10-17" if old else "2012-10-17", "Statement": listed}


@st.composite
def trust_documents(draw: st.DrawFn) -> Json:
    """A trust policy with one to three statements."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        principal = draw(
            st.sampled_from(
                ["*", {"AWS": "*"}, {"AWS": USER}, {"AWS": ROLE}, {"AWS": HOME}, {"AWS": f"arn:aws:iam::{HOME}:root"},
                 {"AWS": [f"arn:aws:iam::{AWAY}:root", USER]}, {"Service": "ec2.amazonaws.com"}]
            )
        )  # fmt: skip
        statement: Json = {
            "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])), "Principal": principal,
            "Action": draw(st.sampled_from(["sts:AssumeRole", "sts:*", "sts:AssumeRoleWithSAML", ["sts:AssumeRole", "sts:TagSession"]])),
        }  # fmt: skip
        condition = draw(conditions())
        found.append(statement | ({"Condition": condition} if condition else {}))
    return {"Version": "2012-10-17", "Statement": found}


@st.composite
def contexts(draw: st.DrawFn) -> dict[str, Value]:
    """What a request carries: for each key a value, or several, or `None` for an absent one."""
    return {
        key: draw(st.one_of(st.none(), _several(values) if key in MULTIVALUED else st.sampled_from(values)))
        for key, values in VALUES.items()
        if key not in _ALWAYS
    } | {key: VALUES[key][0] for key in _ALWAYS}


def _several(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True).map(tuple)


MULTIVALUED = ("aws:VpceOrgPaths",)
_ALWAYS = ("aws:CurrentTime", "aws:EpochTime", "aws:PrincipalAccount", "aws:PrincipalArn")
"""They are always there; the evaluator sets some of them itself."""


def ours(context: Mapping[str, Value]) -> dict[str, Any]:
    """A context as our evaluator takes it."""
    return {
        key.lower(): ABSENT if value is None else (value,) if isinstance(value, str) else value
        for key, value in context.items()
    }


class SecondOpinion:
    """The independent evaluator: a process that answers a line for each line."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", "judge.mjs"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def judge(
        self, action: str, resource: str, context: Mapping[str, Value], *, identity: list[Json],
        controls: list[Json], trust: Json | None = None, principal: str = USER, boundary: Json | None = None,
    ) -> str:  # fmt: skip
        """`Allowed`, `ExplicitlyDenied` or `ImplicitlyDenied`."""
        simulation: Json = {
            "identityPolicies": [{"name": f"i{n}", "policy": one} for n, one in enumerate(identity)],
            "serviceControlPolicies": [
                {"orgIdentifier": "o-1", "policies": [{"name": f"c{n}", "policy": one} for n, one in enumerate(controls)]}
            ],
            "resourceControlPolicies": [],
            "request": {
                "action": action, "principal": principal, "resource": {"accountId": HOME, "resource": resource},
                "contextVariables": {key: value for key, value in context.items() if value is not None},
            },
        }  # fmt: skip
        if trust is not None:
            simulation["resourcePolicy"] = trust
        if boundary is not None:
            simulation["permissionBoundaryPolicies"] = [{"name": "b", "policy": boundary}]
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(simulation) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise ValueError(json.dumps(answer))
        return str(answer["result"])

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._process.stdout.close()


def second_opinion() -> SecondOpinion:
    """Start it; the test is skipped where node, or the package, is not there."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed, so that there is no second opinion on policies")
    if not (FOLDER / "node_modules" / "@cloud-copilot" / "iam-simulate").exists():
        pytest.skip(
            f"the second opinion is not installed; `npm ci` in {FOLDER.relative_to(FOLDER.parents[2])} does it"
        )
    return SecondOpinion()
