"""Which logged calls undo a step of a plan, for the guard of a plan and for whoever proves it again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from evidence import START
from tokentrail.aws.calls.catalogue import reviewed
from tokentrail.containment.execution.undone_steps import changes_of, is_undone, undone_by
from tokentrail.containment.inverses import INVERSES
from tokentrail.containment.model import Call
from tokentrail.policy.history.changes import Change

HOME = "111122223333"
ARN = f"arn:aws:iam::{HOME}:policy/deny"
DENY = '{"Statement": [{"Condition": {"DateLessThan": {"aws:TokenIssueTime": "2026-11-23T09:00:00Z"}}}]}'
LATER = DENY.replace("09:00", "10:00")
EARLIER = DENY.replace("09:00", "08:00")


def call(operation: str, service: str = "iam", **parameters: str) -> Call:
    """A call of a step."""
    return Call(account=HOME, service=service, operation=operation, parameters=parameters)


KEY = (call("UpdateAccessKey", AccessKeyId="AKIA1", UserName="ada", Status="Inactive"),)
DELETED = (call("DeleteAccessKey", AccessKeyId="AKIA1", UserName="ada"),)
ATTACHED = (
    call("CreatePolicy", PolicyName="deny", PolicyDocument=DENY),
    call("AttachRolePolicy", RoleName="Backup", PolicyArn=ARN),
)
CONTROL = (call("AttachPolicy", "organizations", PolicyId="p-1", TargetId=HOME),)
USER = (call("DeleteUser", UserName="ada"),)


def logged(*names: tuple[str, dict[str, Any]], source: str = "iam.amazonaws.com") -> list[Change]:
    """Successful calls, one a minute."""
    return [
        Change(
            time=START + timedelta(minutes=minute), event_id=f"e-{minute}", account=HOME, event_source=source,
            event_name=name, request=asked,
        )
        for minute, (name, asked) in enumerate(names)
    ]  # fmt: skip


def key(status: str, key_id: str = "AKIA1") -> tuple[str, dict[str, Any]]:
    """An UpdateAccessKey."""
    return "UpdateAccessKey", {"userName": "ada", "accessKeyId": key_id, "status": status}


def rewritten(document: str, *, default: bool = True) -> tuple[str, dict[str, Any]]:
    """A CreatePolicyVersion."""
    return "CreatePolicyVersion", {"policyArn": ARN, "policyDocument": document, "setAsDefault": default}


@pytest.mark.parametrize(
    ("calls", "changes", "undone"),
    [
        (KEY, [key("Active")], True),
        (KEY, [key("Active", "AKIA2")], False),
        (KEY, [key("Active"), key("Inactive")], False),
        (KEY, [key("Active"), ("DeleteAccessKey", {"userName": "ada", "accessKeyId": "AKIA1"})], False),
        (KEY, [key("Inactive"), key("Active")], True),
        (ATTACHED, [("DetachRolePolicy", {"roleName": "backup", "policyArn": ARN})], True),
        (ATTACHED, [rewritten("{}")], True),
        (ATTACHED, [rewritten(EARLIER)], True),
        (ATTACHED, [rewritten(LATER)], False),
        (ATTACHED, [rewritten("{}", default=False)], False),
        (ATTACHED, [rewritten("{}"), rewritten(DENY)], False),
        (USER, [("CreateUser", {"userName": "Ada"})], True),
    ],
)
def test_a_step_is_sent_again_if_the_last_call_about_it_undid_it(
    calls: tuple[Call, ...], changes: list[tuple[str, dict[str, Any]]], undone: bool
) -> None:
    """The last call of a resource counts; a policy that a step attached is undone by another text or an earlier cutoff."""
    assert undone == is_undone(changes_of(1, calls), logged(*changes))


@pytest.mark.parametrize(
    ("calls", "change", "source"),
    [
        (DELETED, ("CreateAccessKey", {"userName": "ada"}), "iam"),
        (CONTROL, ("LeaveOrganization", {}), "organizations"),
        (CONTROL, ("DisablePolicyType", {"policyType": "SERVICE_CONTROL_POLICY"}), "organizations"),
    ],
)
def test_what_sending_a_step_again_does_not_end_is_told_and_sends_nothing_again(
    calls: tuple[Call, ...], change: tuple[str, dict[str, Any]], source: str
) -> None:
    """A new key, and an account that no control policy binds: the guard tells, and no later cutoff is counted on."""
    changes, things = logged(change, source=f"{source}.amazonaws.com"), changes_of(3, calls)

    assert [3] == [one.step for one in (undone_by(things, each) for each in changes) if one]
    assert not is_undone(things, changes)


def test_another_service_s_call_of_that_name_undoes_nothing() -> None:
    """Identity Center, ElastiCache and Transfer Family have a CreateUser, too."""
    [made] = logged(("CreateUser", {"userName": "ada"}), source="identitystore.amazonaws.com")

    assert undone_by(changes_of(1, USER), made) is None


def test_to_do_a_step_again_undoes_no_other() -> None:
    """Two steps write one policy with different cutoffs: whoever writes either again undoes none."""
    things = [
        *changes_of(1, (call("PutRolePolicy", RoleName="r", PolicyName="p", PolicyDocument=DENY),)),
        *changes_of(2, (call("PutRolePolicy", RoleName="r", PolicyName="p", PolicyDocument=LATER),)),
    ]
    asked = {"roleName": "r", "policyName": "p"}
    found = [
        undone_by(things, change)
        for change in logged(
            *(("PutRolePolicy", {**asked, "policyDocument": text}) for text in (DENY, EARLIER))
        )
    ]

    assert [None, 2] == [one and one.step for one in found]


def test_what_undoes_a_step_by_the_call_catalogue_is_known() -> None:
    """A call that undoes or restores what a call of a step does, with the same parameters, undoes the step."""
    looked_for = {operation: row for operation, row in INVERSES.items() if row.undone_by}
    for operation, row in looked_for.items():
        service = "organizations" if operation == "AttachPolicy" else "iam"
        known, named = reviewed(service, operation), {one[0].lower() + one[1:] for one in row.names}
        assert known is not None
        ways = [(set(one.members), one.operations) for one in known.reversed_by]
        ways += [(set(known.removes.members), known.removes.restored_by)] if known.removes else []
        assert set().union(*(names for members, names in ways if members == named)) <= {*row.undone_by}
