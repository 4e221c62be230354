"""What undoes the calls of a step, by the table of inverses."""

from __future__ import annotations

from tokentrail.containment.inverses import INVERSES, undoing
from tokentrail.containment.model import Call, iam

HOME = "111122223333"
ARN = f"arn:aws:iam::{HOME}:policy/deny-"


def organizations(operation: str, **parameters: str) -> Call:
    """A call to Organizations."""
    return Call(account=HOME, service="organizations", operation=operation, parameters=parameters)


def test_a_policy_that_was_made_is_deleted_once_it_is_detached() -> None:
    """IAM deletes no policy that is attached; each is taken off before the next."""
    made = [
        call
        for name in ("1", "2")
        for call in (
            iam(HOME, "CreatePolicy", PolicyName=f"deny-{name}", PolicyDocument="{}"),
            iam(HOME, "AttachRolePolicy", RoleName="Deploy", PolicyArn=f"{ARN}{name}"),
        )
    ]

    assert [
        iam(HOME, "DetachRolePolicy", RoleName="Deploy", PolicyArn=f"{ARN}1"),
        iam(HOME, "DeletePolicy", PolicyArn=f"{ARN}1"),
        iam(HOME, "DetachRolePolicy", RoleName="Deploy", PolicyArn=f"{ARN}2"),
        iam(HOME, "DeletePolicy", PolicyArn=f"{ARN}2"),
    ] == list(undoing(made))


def test_an_scp_is_detached_from_all_accounts_before_it_is_deleted() -> None:
    """By the reference with which the step's calls name it."""
    made = "${step.call[0].Policy.PolicySummary.Id}"
    calls = [
        organizations("CreatePolicy", Name="x", Content="{}"),
        *(organizations("AttachPolicy", PolicyId=made, TargetId=one) for one in ("1", "2")),
    ]

    assert [
        *(organizations("DetachPolicy", PolicyId=made, TargetId=one) for one in ("1", "2")),
        organizations("DeletePolicy", PolicyId=made),
    ] == list(undoing(calls))


def test_a_policy_that_was_there_is_detached_and_stays() -> None:
    """As AWS's own quarantine policy."""
    attached = iam(HOME, "AttachUserPolicy", UserName="ada", PolicyArn=f"{ARN}1")

    assert (iam(HOME, "DetachUserPolicy", UserName="ada", PolicyArn=f"{ARN}1"),) == undoing([attached])


def test_a_key_is_made_active_again_and_a_deleted_one_stays_deleted() -> None:
    """With the same parameters, but for the status."""
    named = {"UserName": "ada", "AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}

    assert (iam(HOME, "UpdateAccessKey", **named, Status="Active"),) == undoing(
        [iam(HOME, "UpdateAccessKey", **named, Status="Inactive"), iam(HOME, "DeleteAccessKey", **named)]
    )


def test_a_call_of_a_region_is_undone_there() -> None:
    """A function is given back what it had, in its region."""
    none = {"FunctionName": "f", "ReservedConcurrentExecutions": 0}
    call = Call(
        account=HOME,
        service="lambda",
        operation="PutFunctionConcurrency",
        parameters=none,
        region="eu-west-1",
    )

    [found] = undoing([call])

    assert ("DeleteFunctionConcurrency", "eu-west-1") == (found.operation, found.region)
    assert {"FunctionName": "f"} == found.parameters


def test_what_undoes_a_step_is_among_what_the_guard_looks_for() -> None:
    """Of the calls that it looks for at all: a plan's own undo is one of them."""
    for row in INVERSES.values():
        assert not (row.operation and row.undone_by) or row.operation in row.undone_by
