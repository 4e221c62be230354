"""
What AWS would refuse of a plan's policies.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from oracle.plan_cases import Json, call, plan, policy, step
from oracle.policy_limits import faults, grammar, size

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ACCOUNT = "111122223333"


def found(*calls: Json) -> list[str]:
    return faults(plan(NOON, *(step("deny-user", one) for one in calls)))


def put(kind: str, length: int, name: str = "TokenTrail-x") -> Json:
    """A call that puts an inline policy of so many characters, white space aside."""
    empty = policy({"Resource": ""})
    document = policy({"Resource": "x" * (length - size(empty))})
    label = {"PutUserPolicy": "UserName", "PutRolePolicy": "RoleName"}[kind]
    return call(ACCOUNT, kind, PolicyName=name, PolicyDocument=document, **{label: "ada"})


@pytest.mark.parametrize(("kind", "limit"), [("PutUserPolicy", 2048), ("PutRolePolicy", 10240)])
def test_inline_policies_share_their_space(kind: str, limit: int) -> None:
    """All inline policies of a user, or role, count together; writing one anew counts it once."""
    assert [] == found(put(kind, limit))
    assert [] == found(put(kind, limit), put(kind, limit))
    assert found(put(kind, limit + 1))
    assert found(put(kind, limit - 200), put(kind, 300, "TokenTrail-y"))


def test_a_policy_deleted_on_the_way_gives_its_space_back() -> None:
    """A freeze that is lifted counts no longer."""
    lift = call(ACCOUNT, "DeleteUserPolicy", UserName="ada", PolicyName="TokenTrail-x")

    assert [] == found(put("PutUserPolicy", 2000), lift, put("PutUserPolicy", 2000, "TokenTrail-y"))


def test_white_space_is_free_in_iam_and_counts_in_organisations() -> None:
    """IAM does not count it; an SCP saved through the API is saved as it is."""
    roomy = json.dumps(json.loads(policy({})), indent=4000)
    managed = call(ACCOUNT, "CreatePolicy", PolicyName="TokenTrail-x", PolicyDocument=roomy)
    control = call(
        ACCOUNT, "CreatePolicy", service="organizations", Name="TokenTrail-x", Content=roomy,
        Type="SERVICE_CONTROL_POLICY",
    )  # fmt: skip

    assert [] == found(managed)
    assert ["10240" in fault for fault in found(control)] == [True]


def test_a_managed_policy_holds_6144_characters() -> None:
    """White space aside."""
    for length, wrong in ((6144, 0), (6145, 1)):
        document = put("PutUserPolicy", length)["parameters"]["PolicyDocument"]
        managed = call(ACCOUNT, "CreatePolicy", PolicyName="TokenTrail-x", PolicyDocument=document)
        assert wrong == len(found(managed))


@pytest.mark.parametrize(
    "name", ["AWSRevokeOlderSessions", "TokenTrail deny", "TokenTrail-" + "x" * 128, "TokenTrail-é", ""]
)
def test_names_are_aws_and_ours(name: str) -> None:
    """Names hold IAM's characters, at most 128, and begin with ours."""
    assert found(put("PutUserPolicy", 200, name))


@pytest.mark.parametrize(
    "document",
    [
        "no json",
        "[]",
        '{"Version": "2012-10-17"}',
        '{"Version": "2012-10-17", "Statement": []}',
        '{"Version": "2008-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}',
        '{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*"}}',
        '{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Effect": "Deny", "Action": "*", "Resource": "*"}}',
        policy({"Principal": "*"}),
        policy({"NotAction": "*"}),
        policy({"Effect": "deny"}),
        policy({"Sid": "no-hyphens"}),
        policy({"Sid": "A"}, {"Sid": "A"}),
        policy({"Action": []}),
        policy({"Condition": {"DateBefore": {"aws:TokenIssueTime": "x"}}}),
        policy({"Condition": {"NullIfExists": {"aws:userid": "true"}}}),
        policy({"Condition": {"StringEquals": {"aws:userid": []}}}),
        policy({"Condition": {"StringEquals": {}}}),
        policy({"Condition": []}),
        json.dumps({"Version": "2012-10-17", "Statement": ["x"]}),
        policy({"Sid": "A", "Resource": "\u20ac"}).replace("\\u20ac", "\u20ac"),
    ],
)
def test_the_grammar(document: str) -> None:
    """Each of these is refused."""
    assert list(grammar(document))


@pytest.mark.parametrize(
    "statement",
    [
        {},
        {"Sid": "Quarantine1", "Action": ["s3:*", "sts:*"]},
        {
            "Condition": {
                "DateLessThan": {"aws:TokenIssueTime": "2026-11-23T10:00:00Z"},
                "Null": {"aws:userid": "false"},
            }
        },
        {"Condition": {"ForAnyValue:StringLikeIfExists": {"aws:userid": ["a", "b"]}}},
    ],
)
def test_what_is_well_formed_passes(statement: dict[str, Any]) -> None:
    """And these are not."""
    assert [] == list(grammar(policy(statement)))


def test_trust_policies_have_a_principal_and_no_resource() -> None:
    """The one kind that names its principals."""
    document = policy({"Principal": "*"}).replace(', "Resource": "*"', "")
    edit = call(ACCOUNT, "UpdateAssumeRolePolicy", RoleName="r", PolicyDocument=document)

    assert [] == found(edit)
    assert list(grammar(policy({}), trust=True))
