"""An account's snapshot, read."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iam_cases import (
    HERE,
    THERE,
    doc,
    group,
    let,
    managed,
    may,
    never,
    page,
    role,
    role_arn,
    root,
    user,
    user_arn,
)

from tokentrail.errors import UsageError
from tokentrail.policy.account.snapshot import LONGEST, Snapshot
from tokentrail.policy.account.trust import Trust
from tokentrail.policy.language.documents import Document, Malformed

OWN = f"arn:aws:iam::{HERE}:policy/team/Own"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
WHOLE = page(
    users=[
        user(
            "staff/support",
            doc(may("s3:*"), never("ec2:*")),
            attached=[OWN],
            groups=["ops", "gone"],
            boundary=OWN,
        ),
        user("ria"),
    ],
    roles=[
        role(
            "app/MyBucketRole",
            doc(let(root())),
            doc(may("s3:Get Object")),
            doc(never("*")),
            attached=[ADMIN, OWN],
        ),
        role("aws-service-role/x.amazonaws.com/AWSServiceRoleForX", doc(let({"Service": "x.amazonaws.com"}))),
    ],
    groups=[group("ops", doc(never("iam:*")), attached=[ADMIN])],
    policies=[managed(OWN, doc(may("sts:*"), never("sts:GetFederationToken")), old=doc(may("*")))],
)


def read(value: Any, name: str = "details.json") -> Snapshot:
    """A snapshot of JSON."""
    return Snapshot.read(json.dumps(value), name)


def test_users_and_roles_are_found_by_arn_with_or_without_path() -> None:
    """Trails do not always show the path, and show sessions instead of roles."""
    snapshot = read(WHOLE)
    found = snapshot.role(role_arn("app/MyBucketRole"))

    assert found is not None
    assert found.name == "MyBucketRole" and found.path == "/app/"
    assert found == snapshot.role(role_arn("MyBucketRole"))
    assert found == snapshot.role(f"arn:aws:sts::{HERE}:assumed-role/MyBucketRole/i-0abc")
    assert snapshot.user(user_arn("support")) == snapshot.user(user_arn("staff/support")) is not None
    assert snapshot.user(role_arn("MyBucketRole")) is None
    assert snapshot.role(role_arn("MyBucketRole", THERE)) is None
    assert snapshot.role("MyBucketRole") is None
    assert (snapshot.account, snapshot.name, snapshot.management, snapshot.controls) == (
        HERE,
        "details.json",
        None,
        None,
    )


def test_what_a_user_holds() -> None:
    """Inline, attached, group policies and the boundary are there, a group that is missing as unreadable."""
    support = read(WHOLE).user(user_arn("support"))

    assert support is not None and support.bound is not None
    assert support.unique_id.startswith("AIDASUPPORT")
    assert [
        "inline policy P0 of user support",
        "managed policy Own of user support",
        "inline policy P0 of group ops",
        "managed policy AdministratorAccess of group ops",
        "group gone",
    ] == [policy.label for policy in support.policies]
    assert [False, False, False, False, True] == [
        isinstance(one.document, Malformed) for one in support.policies
    ]
    assert support.bound.label == "permissions boundary Own of user support"


def test_the_policies_that_deny_are_told_apart() -> None:
    """Those that only allow end no credential; those that can't be read may."""
    snapshot = read(WHOLE)

    assert [
        "inline policy P0 of user support",
        "managed policy Own of user support",
        "inline policy P0 of group ops",
        "group gone",
        "permissions boundary Own of user support",
    ] == [policy.label for policy in snapshot.denials(user_arn("support"))]
    assert [
        "inline policy P1 of role MyBucketRole",
        "managed policy Own of role MyBucketRole",
    ] == [policy.label for policy in snapshot.denials(role_arn("MyBucketRole"))]
    assert snapshot.denials(user_arn("ria")) == snapshot.denials(user_arn("nobody")) == ()


def test_the_default_version_of_a_managed_policy_counts() -> None:
    """Older versions allow nothing."""
    found = read(WHOLE).role(role_arn("MyBucketRole"))

    assert found is not None
    assert [ADMIN, OWN] == [policy.arn for policy in found.managed]
    document = found.managed[1].document
    assert isinstance(document, Document)
    assert ["sts:*", "sts:getfederationtoken"] == [item.actions.patterns[0] for item in document.statements]


def test_sizes_are_counted_without_white_space() -> None:
    """IAM's quotas leave it out, inside texts as well, and count a role's inline policies together."""
    found = read(WHOLE).role(role_arn("MyBucketRole"))
    expected = len(
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}'
    )

    assert found is not None
    assert expected == found.inline[0].size
    assert expected + found.inline[1].size == found.inline_size
    assert {"P0", "P1"} == {policy.name for policy in found.inline}


def test_trust_policies_are_read() -> None:
    """A role tells whom it trusts, as text too; one that a service keeps is known by its path."""
    snapshot = read(WHOLE)
    bucket, linked = snapshot.role(role_arn("MyBucketRole")), snapshot.role(role_arn("AWSServiceRoleForX"))

    assert bucket is not None and linked is not None
    assert isinstance(bucket.trust, Trust)
    assert (bucket.service_linked, linked.service_linked) == (False, True)


def _encoded(value: Any) -> Any:
    """The same page with its documents as the API sends them."""
    if isinstance(value, dict):
        return {
            key: quote(json.dumps(item)) if key.endswith("Document") else _encoded(item)
            for key, item in value.items()
        }
    return [_encoded(item) for item in value] if isinstance(value, list) else value


def _same(one: Snapshot, other: Snapshot) -> bool:
    """Whether two snapshots say the same, but for how their documents are written."""

    def told(snapshot: Snapshot) -> list[Any]:
        holders = [*snapshot.users.values(), *snapshot.roles.values()]
        return [
            (held.arn, held.policies, held.inline_size, held.bound, getattr(held, "trust", None))
            for held in holders
        ]

    return told(one) == told(other) and one.account == other.account


def test_documents_may_be_url_encoded() -> None:
    """The CLI prints objects, the API sends URL-encoded text; both say the same, and are as long."""
    assert _same(read(WHOLE), read(_encoded(WHOLE)))


def test_pages_may_come_as_a_list_one_after_the_other_or_merged() -> None:
    """However the pages were kept, they say the same, and a page that came twice changes nothing."""
    pages = [{key: value} for key, value in WHOLE.items()]
    texts = [json.dumps(one) for one in pages]
    whole = read(WHOLE)

    assert _same(whole, read(pages))
    assert _same(whole, Snapshot.read("\n".join(texts), "x"))
    assert _same(whole, Snapshot.read("".join([*texts, texts[0], texts[2]]), "x"))
    assert _same(whole, read({**WHOLE, "IsTruncated": False, "Marker": None}))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_any_encoding_that_a_shell_writes_is_read(encoding: str) -> None:
    """PowerShell redirects as UTF-16 with a mark."""
    assert _same(read(WHOLE), Snapshot.read(json.dumps(WHOLE).encode(encoding), "x"))


def test_parts_may_be_missing() -> None:
    """`--filter Role` leaves the rest out."""
    snapshot = read({"RoleDetailList": WHOLE["RoleDetailList"]})

    assert (len(snapshot.users), len(snapshot.roles), snapshot.account) == (0, 2, HERE)
    found = snapshot.role(role_arn("MyBucketRole"))
    assert found is not None
    assert [Document, Malformed] == [type(policy.document) for policy in found.managed]
    assert read({"UserDetailList": None, "RoleDetailList": WHOLE["RoleDetailList"]}).account == HERE
    assert (
        read(page(groups=[group("ops")])).account
        == read(page(policies=[managed(OWN, doc())])).account
        == HERE
    )


def test_service_control_policies_may_be_added() -> None:
    """What IAM does not tell of an account may stand at the top: SCPs, bare or named, and the management account."""
    named = [doc(never("iam:*")), {"Name": "Guard", "Content": json.dumps(doc(never("*")))}, {"Id": "p-x"}]
    snapshot = read({**WHOLE, "ServiceControlPolicies": named, "ManagementAccount": True})

    assert snapshot.controls is not None and snapshot.management is True
    assert ["SCP number 1", "SCP Guard", "SCP p-x"] == [policy.label for policy in snapshot.controls]
    assert [Document, Document, Malformed] == [type(policy.document) for policy in snapshot.controls]
    assert read({**WHOLE, "ServiceControlPolicies": []}).controls == ()
    assert read({**WHOLE, "ServiceControlPolicies": named[1]}).controls == (snapshot.controls[1],)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "UserDetailList:\n- Arn: x",
        "{",
        "[]",
        "[[]]",
        "7",
        "null",
        "{}",
        '{"Records": []}',
        '{"UserDetailList": []}',
        '{"UserDetailList": {}}',
        '{"UserDetailList": [1]}',
        '{"UserDetailList": [{}]}',
        '{"UserDetailList": [{"Arn": 7}]}',
        '{"UserDetailList": [{"Arn": "arn:aws:iam::111122223333:role/x"}]}',
        '{"RoleDetailList": [{"Arn": "arn:aws:sts::111122223333:assumed-role/x/y"}]}',
        '{"RoleDetailList": [{"Arn": "arn:aws:iam::111122223333:role/x", "RolePolicyList": [{}]}]}',
        '{"RoleDetailList": [{"Arn": "arn:aws:iam::111122223333:role/x", "RolePolicyList": 7}]}',
        '{"RoleDetailList": [{"Arn": "arn:aws:iam::111122223333:role/x", "PermissionsBoundary": 7}]}',
        '{"RoleDetailList": [{"Arn": "arn:aws:iam::111122223333:role/x", "AttachedManagedPolicies": [{"PolicyArn": 1}]}]}',
        '{"UserDetailList": [{"Arn": "arn:aws:iam::111122223333:user/x", "GroupList": [1]}]}',
        '{"Policies": [{"Arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}]}',
        '{"UserDetailList": [{"Arn": "arn:aws:iam::111122223333:user/x"}, {"Arn": "arn:aws:iam::444455556666:user/x"}]}',
        '{"UserDetailList": [{"Arn": "arn:aws:iam::111122223333:user/x", "UserId": "A"}, {"Arn": "arn:aws:iam::111122223333:user/y/x"}]}',
        '{"UserDetailList": [{"Arn": "arn:aws:iam::111122223333:user/x"}], "ManagementAccount": "yes"}',
        "[" * 100_000,
        '{"UserDetailList":' * 50_000,
        '{"a": NaN} trailing',
    ],
)
def test_what_is_no_snapshot_is_refused_with_the_command_that_makes_one(text: str) -> None:
    """Wrong files and wrong types are told apart from an empty account, and say what to do."""
    with pytest.raises(UsageError, match=r"'?x\.json'? .*`aws iam get-account-authorization-details > FILE`"):
        Snapshot.read(text, "x.json")


def test_bytes_that_are_no_text_are_refused() -> None:
    """A gzip file is none."""
    with pytest.raises(UsageError, match="not text"):
        Snapshot.read(b"\x1f\x8b\x08\x00\xff\xfe", "x.json")


def test_what_is_too_long_is_refused_before_it_is_read() -> None:
    """No account is that large."""

    class Huge(str):
        def __len__(self) -> int:
            return LONGEST + 1

    with pytest.raises(UsageError, match="longer than"):
        Snapshot.read(Huge("{}"), "x.json")


@pytest.mark.parametrize(
    "document",
    ["%7B", "seven", 7, None, [], {}, {"Statement": 7}, {"Statement": [{"Effect": "Allow"}]}, "x" * 2_000_000,
     {"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"NumericLessThan": {"x": 10.5}}}}],
)  # fmt: skip
def test_a_document_that_can_not_be_read_spoils_nothing_else(document: Any) -> None:
    """An attacker may write policies, so that one of them must not keep the rest from being read."""
    snapshot = read(page(users=[user("a", document), user("b")], roles=[role("r", document)]))

    assert {user_arn("a"), user_arn("b")} == set(snapshot.users)
    assert snapshot.denials(user_arn("a"))


def test_numbers_of_any_length_are_read() -> None:
    """Python refuses to read integers of thousands of digits, which a policy may hold."""
    long = json.dumps(page(users=[user("a", doc(may("*", condition={"NumericEquals": {"x": 1234567}})))]))
    snapshot = Snapshot.read(long.replace("1234567", "9" * 5000), "x")

    assert snapshot.users[user_arn("a")].inline[0].text.count("9") == 5000


def test_a_document_with_a_key_twice_is_not_believed() -> None:
    """IAM does not say which of the two counts."""
    text = json.dumps(page(users=[user("a", doc(may("*")))]))
    snapshot = Snapshot.read(text.replace('"Effect": "Allow"', '"Effect": "Allow", "Effect": "Deny"'), "x")

    assert isinstance(snapshot.users[user_arn("a")].inline[0].document, Malformed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["UserDetailList", "RoleDetailList", "Policies", "Arn", "UserPolicyList", "PolicyName",
                         "PolicyDocument", "AssumeRolePolicyDocument", "GroupList", "ServiceControlPolicies",
                         "PolicyVersionList", "PermissionsBoundary", "Statement"]),
        inner | st.just(user_arn("x")) | st.just(role_arn("y")), max_size=4,
    ),
    max_leaves=25,
)  # fmt: skip


@given(JSON)
def test_anything_is_a_snapshot_or_a_usage_error(value: Any) -> None:
    """No JSON whatever makes it fail in another way."""
    with suppress(UsageError):
        assert read(value).account
