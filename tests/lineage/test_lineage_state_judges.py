"""Judging few credentials by the changes that bear on them alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.lineage import state
from tokentrail.lineage.entries import entries
from tokentrail.lineage.state import Judge, Judges
from tokentrail.policy.language.context import Caller

ACCOUNT = "111122223333"
USERS, ROLES, GROUPS = ("ann", "Bob", "former"), ("ops", "deploy"), ("admins", "g")
KEYS = ("AKIAANN", "AKIABOB")
POLICIES = (
    f"arn:aws:iam::{ACCOUNT}:policy/stop", f"arn:aws-cn:iam::{ACCOUNT}:policy/stop", "arn:aws:iam::aws:policy/AWSDenyAll",
)  # fmt: skip
DENY = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}})
ALLOW = DENY.replace("Deny", "Allow")
COLUMNS: list[tuple[str, pa.DataType]] = [
    ("time", pa.int64()), ("source", pa.string()), ("name", pa.string()), ("request", pa.string()),
    ("document", pa.string()), ("response", pa.string()), ("event_id", pa.binary(16)), ("event_id_text", pa.string()),
    ("caller_user", pa.string()), ("in_account", pa.string()), ("part", pa.string()),
]  # fmt: skip
EDITS = pa.schema(COLUMNS)
NAMES = {
    "userName": USERS, "newUserName": USERS, "roleName": ROLES, "groupName": GROUPS, "newGroupName": GROUPS,
    "policyArn": POLICIES, "permissionsBoundary": POLICIES, "accessKeyId": KEYS, "policyName": ("P", "stop"),
    "status": ("Active", "Inactive"), "versionId": ("v1",),
}  # fmt: skip
CALLS = {
    "CreateUser": "userName permissionsBoundary", "DeleteUser": "userName", "UpdateUser": "userName newUserName",
    "CreateRole": "roleName", "DeleteRole": "roleName", "CreateGroup": "groupName", "DeleteGroup": "groupName",
    "UpdateGroup": "groupName newGroupName", "AddUserToGroup": "userName groupName",
    "RemoveUserFromGroup": "userName groupName", "PutUserPolicy": "userName policyName", "DeleteUserPolicy": "userName policyName",
    "PutGroupPolicy": "groupName policyName", "PutRolePolicy": "roleName policyName", "DeleteRolePolicy": "roleName policyName",
    "AttachUserPolicy": "userName policyArn", "AttachGroupPolicy": "groupName policyArn", "AttachRolePolicy": "roleName policyArn",
    "DetachGroupPolicy": "groupName policyArn", "PutUserPermissionsBoundary": "userName permissionsBoundary",
    "DeleteUserPermissionsBoundary": "userName", "UpdateAccessKey": "accessKeyId status userName",
    "DeleteAccessKey": "accessKeyId", "CreateAccessKey": "", "CreatePolicy": "policyName",
    "CreatePolicyVersion": "policyArn setAsDefault", "SetDefaultPolicyVersion": "policyArn versionId", "DeletePolicy": "policyArn",
}  # fmt: skip
REWRITTEN = (
    *("PutUserPolicy", "PutGroupPolicy", "PutRolePolicy") * 3, "DeleteUserPolicy", "DeleteRolePolicy", "CreateUser",
    "DeleteUser", "UpdateUser", "AddUserToGroup", "CreateRole", "DeleteRole",
)  # fmt: skip
SECONDS, POLICY = st.integers(0, 9), st.sampled_from(("P", "Q"))
DAY = datetime(2026, 11, 24, tzinfo=UTC)


def caller(kind: Any, name: str, *, account: str = ACCOUNT, issued: int | None = 5) -> Caller:
    """A credential of a user, or of a role, as `kind` says."""
    role = kind == "assumed_role"
    return Caller(
        kind=kind,
        account=account,
        principal=f"arn:aws:sts::{account}:assumed-role/{name}/s" if role else f"arn:aws:iam::{account}:user/{name}",
        role=f"arn:aws:iam::{account}:role/{name}" if role else None,
        user_name=None if role else name,
        issued_at=None if issued is None else DAY + timedelta(seconds=issued),
    )  # fmt: skip


CALLERS: list[tuple[Caller, str | None]] = [
    *((caller("assumed_role", name), None) for name in (*ROLES, "Ops", "strange\u017f")),
    *((caller("session_token", name), None) for name in (*USERS, "BOB", 'a"b')),
    *((caller("long_term_key", name, issued=None), key) for name in USERS for key in KEYS),
]


def edit(
    number: int, second: int, name: str, asked: dict[str, Any], user: str | None = None, **more: Any
) -> dict[str, Any]:
    """A change as the case tells it."""
    document = asked.pop("document", None)
    return {
        "time": int(DAY.timestamp()) + second, "source": "iam.amazonaws.com", "name": name,
        "request": json.dumps(asked, ensure_ascii=number % 2 == 0), "document": document, "response": None,
        "event_id": number.to_bytes(16, "big"), "caller_user": user, "in_account": ACCOUNT, "part": ACCOUNT, **more,
    }  # fmt: skip


@st.composite
def histories(draw: st.DrawFn, calls: Sequence[str] = sorted(CALLS)) -> list[dict[str, Any]]:
    """Some changes of users, roles, groups, keys and policies, and to a service control policy."""
    found = []
    for number in range(draw(st.integers(1, 14))):
        name = draw(st.sampled_from(calls))
        asked = {
            member: True if member == "setAsDefault" else draw(st.sampled_from(NAMES[member]))
            for member in CALLS[name].split()
        }
        if name == "UpdateAccessKey" and draw(st.booleans()):
            del asked["userName"]
        if (name.startswith("Put") and name.endswith("Policy")) or name.startswith("CreatePolicy"):
            asked["document"] = draw(st.sampled_from((DENY, ALLOW)))
        more: dict[str, Any] = {}
        if name == "CreateAccessKey":
            key = {"accessKeyId": draw(st.sampled_from(KEYS)), "userName": draw(st.sampled_from(USERS))}
            more["response"] = json.dumps({"accessKey": key})
        if name == "CreatePolicyVersion":
            more["response"] = json.dumps({"policyVersion": {"versionId": "v1"}})
        user = draw(st.sampled_from((None, *USERS)))
        found.append(edit(number, draw(st.integers(0, 9)), name, asked, user, **more))
    if draw(st.booleans()):
        more = {"source": "organizations.amazonaws.com", "part": ""}
        found.append(edit(98, 3, "CreatePolicy", {"document": DENY}, response=json.dumps({"policy": {"policySummary": {"id": "p-1"}}}), **more))  # fmt: skip
        found.append(edit(99, 4, "AttachPolicy", {"policyId": "p-1", "targetId": ACCOUNT}, **more))
    return found


def told(one: Caller, key: str | None, judge: Judge) -> object:
    return judge.judge(one, key_id=key, expires=None, bound=DAY + timedelta(days=1))


def agree(rows: Iterable[dict[str, Any]], second: int = 9) -> None:
    """Whoever knows what bears on a credential says of it what one says who knows all."""
    edits, as_of = pa.Table.from_pylist(list(rows), EDITS), DAY + timedelta(seconds=second)
    until = int(as_of.timestamp())
    whole = Judge(entries(edits, until), as_of)
    with (
        mock.patch.object(state, "_MANY", 0),
    ):
        for some in (Judges(one, until, as_of) for one in (edits, as_labels(edits))):
            for one, key in CALLERS:
                some._read = 0  # else all would be read after a while
                assert told(one, key, some.judge(one, key)) == told(one, key, whole)


def as_labels(edits: pa.Table) -> pa.Table:
    """The same as few changes are read from a file: each column of texts or bytes as numbers of its values."""
    for at, column in enumerate(edits.columns):
        if not pa.types.is_integer(column.type):
            texts = pa.types.is_string(column.type)
            told: Any = column if texts else column.cast(pa.binary())
            edits = edits.set_column(at, edits.column_names[at], told.dictionary_encode())
    return edits


@given(histories(), st.integers(0, 10))
def test_what_bears_on_a_credential_says_what_all_changes_say(
    rows: list[dict[str, Any]], second: int
) -> None:
    """Users renamed, put into groups, given policies and keys: judged by a part of the changes as by all."""
    agree(rows, second)


@given(histories(REWRITTEN), st.integers(0, 10))
def test_policies_written_anew_change_nothing(rows: list[dict[str, Any]], second: int) -> None:
    """Inline policies written again and again, while their owners come, go and are renamed: judged as by all."""
    agree(rows, second)


@pytest.mark.parametrize(
    "rows",
    [
        [
            edit(1, 1, "PutGroupPolicy", {"groupName": "ADMINS", "policyName": "P", "document": DENY}),
            edit(2, 2, "AddUserToGroup", {"userName": "BOB", "groupName": "admins"}),
        ],
        [
            edit(1, 1, "CreatePolicy", {"policyName": "stop", "document": DENY}),
            edit(2, 2, "AttachRolePolicy", {"roleName": "ops", "policyArn": POLICIES[1]}),
        ],
        [
            edit(1, 1, "DeleteAccessKey", {"accessKeyId": KEYS[0]}, "ann"),
            edit(2, 2, "PutUserPolicy", {"userName": "ann", "policyName": "P", "document": DENY}),
        ],
        [
            edit(1, 1, "UpdateUser", {"userName": "ann", "newUserName": "former"}),
            edit(2, 2, "UpdateUser", {"userName": "former", "newUserName": "Bob"}),
            edit(3, 3, "PutUserPolicy", {"userName": "bob", "policyName": "P", "document": DENY}),
        ],
        [
            edit(1, 1, "CreateAccessKey", {}, response=json.dumps({"accessKey": {"accessKeyId": KEYS[0], "userName": "was"}})),
            edit(2, 2, "PutUserPolicy", {"userName": "was", "policyName": "P", "document": DENY}),
            edit(3, 2, "CreateRole", {"roleName": "ops"}, "ann"),
        ],
        [edit(1, 1, "DeleteRole", {"roleName": "strangeſ"})],
        [edit(1, 1, "DeleteRole", {"roleName": "stranges"})],
        [edit(1, 1, "DeleteUser", {"userName": 'A"b'})],
        [edit(1, 1, "DeleteUser", {}, request='{"userName": "\\u0061nn"}')],
    ],
    ids=["group", "policy", "own key", "renamed", "a key's owner", "other letters", "the same in plain ones", "quoted", "spelled"],
)  # fmt: skip
def test_what_ends_by_way_of_others_ends(rows: list[dict[str, Any]]) -> None:
    """A group's policy, one made without an answer, a key's owner, two renames, and names spelled in odd ways."""
    agree(rows)
    edits = pa.Table.from_pylist(rows, EDITS)
    ended = [
        judge
        for one, key in CALLERS
        if (judge := told(one, key, Judge(entries(edits), DAY + timedelta(days=1))))
    ]
    assert any("ended" in str(one) for one in ended)


def test_few_of_many_changes_are_read() -> None:
    """Of a thousand changes to other roles none is read, and credentials of one role are judged by one judge."""
    rows = [edit(number, 1, "PutRolePolicy", {"roleName": f"r{number}", "policyName": "P", "document": DENY})
            for number in range(1_000)]  # fmt: skip
    found = Judges(pa.Table.from_pylist(rows, EDITS), int(DAY.timestamp()) + 9, DAY + timedelta(seconds=9))
    with mock.patch.object(state, "entries", wraps=entries) as read:
        assert found.judge(caller("assumed_role", "r7"), None) is found.judge(
            caller("assumed_role", "R7", issued=2), None
        )
        assert [one.args[0].num_rows for one in read.call_args_list] == [1]


def test_where_much_is_asked_about_all_is_read_once() -> None:
    """Where one after another would take longer than all at once, one judge knows all from then on."""
    shared = {"policyArn": POLICIES[0], "setAsDefault": True, "document": DENY}
    rows = [edit(number, 1, "CreatePolicyVersion", dict(shared)) for number in range(500)]
    for number, role in enumerate("ab" * 50, 500):
        rows.append(edit(number, 1, "PutRolePolicy", {"roleName": role, "policyName": "P", "document": DENY}))
    for number, role in enumerate("ab", 600):
        rows.append(edit(number, 2, "AttachRolePolicy", {"roleName": role, "policyArn": POLICIES[0]}))
    found = Judges(pa.Table.from_pylist(rows, EDITS), int(DAY.timestamp()) + 9, DAY + timedelta(seconds=9))
    with mock.patch.object(state, "entries", wraps=entries) as read:
        first, second, third = (found.judge(caller("assumed_role", role), None) for role in "abc")

    assert [552, 602] == [one.args[0].num_rows for one in read.call_args_list]
    assert second is third is not first
