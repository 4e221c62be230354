"""Credential reports, the lengths of sessions and SCPs, as the AWS CLI prints them."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tokentrail.errors import UsageError
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.policy.account.supplements import Report, SessionLengths, controls, supplement, under
from tokentrail.policy.language.documents import Document, Malformed

CSV = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,"
    "access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date\n"
    "<root_account>,arn:aws:iam::111122223333:root,2019-01-01T00:00:00+00:00,not_supported,no_information,not_supported,"
    "not_supported,true,false,N/A,N/A,N/A,N/A,false,N/A,N/A\n"
    "ada,arn:aws:iam::111122223333:user/ada,2024-01-01T00:00:00+00:00,true,2026-11-01T08:00:00+00:00,N/A,N/A,false,true,"
    "2025-01-01T00:00:00+00:00,2026-11-20T09:00:00+00:00,us-east-1,s3,false,N/A,N/A\n"
)
DENY = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}}


def test_a_credential_report_as_csv_and_as_the_cli_prints_it() -> None:
    """All are read alike, in UTF-16 too, as Windows PowerShell writes what it prints; what is not told is `None`."""
    wrapped = json.dumps({"Content": base64.b64encode(CSV.encode()).decode(), "ReportFormat": "text/csv"})
    found = supplement(CSV.encode(), "r.csv")

    assert isinstance(found, Report)
    assert found == supplement(wrapped.encode(), "r.json")
    assert (
        found == supplement(CSV.encode("utf-16"), "r.csv") == supplement(wrapped.encode("utf-16"), "r.json")
    )
    root, ada = found.users
    assert root.mfa and not root.password and root.password_used is None
    assert ada.password and not ada.mfa
    first, second = ada.keys
    assert first.active and datetime(2026, 11, 20, 9, tzinfo=UTC) == first.last_used
    assert not second.active and second.last_used is None


def test_list_roles_tells_how_long_sessions_live() -> None:
    """Entries that tell nothing are left out."""
    roles = [{"Arn": "a", "MaxSessionDuration": 43200}, {"Arn": "b"}, {"MaxSessionDuration": 1}, "x"]
    found = supplement(json.dumps({"Roles": roles}).encode(), "roles.json")

    assert isinstance(found, SessionLengths)
    assert {"a": 43200} == found.of


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[]", b"{", b'{"RoleDetailList": [], "Roles": []}', b"user,arn"]
)
def test_what_is_neither_is_left_to_others(content: bytes) -> None:
    """A snapshot, or nonsense, is no supplement."""
    assert supplement(content, "x") is None


def test_a_report_that_is_broken_is_refused() -> None:
    """Content that is no Base64, or lines that lack the first columns."""
    with pytest.raises(UsageError, match="Base64"):
        supplement(b'{"Content": "\\u00e9", "ReportFormat": "text/csv"}', "x")


@pytest.mark.parametrize(
    "given",
    [
        DENY, [DENY], {"Name": "x", "Document": DENY}, {"Content": json.dumps(DENY)}, {"Policies": [{"Content": json.dumps(DENY)}]},
        {"Policy": {"PolicySummary": {"Name": "x"}, "Content": json.dumps(DENY)}}, {"ServiceControlPolicies": [DENY]},
    ],
)  # fmt: skip
def test_scps_in_any_form_that_they_come_in(given: object) -> None:
    """A document, a list, a name with a document, and what Organizations prints."""
    [found] = controls(json.dumps(given).encode(), "scp.json")

    assert isinstance(found.document, Document) and found.document.denials


def test_an_scp_that_can_t_be_read_stays_as_unread() -> None:
    """It neither blocks nor vanishes."""
    [found] = controls(b'{"Name": "x", "Document": {"Statement": {"Effect": "Maybe"}}}', "scp.json")

    assert isinstance(found.document, Malformed)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"3", b'{"Policy": {}}'])
def test_a_file_without_an_scp_is_refused(content: bytes) -> None:
    """With its name."""
    with pytest.raises(UsageError, match=r"scp\.json"):
        controls(content, "scp.json")


@pytest.mark.parametrize(
    ("targets", "bound"),
    [
        (None, ("111122223333", "444455556666")),
        ([{"TargetId": "111122223333", "Type": "ACCOUNT"}], ("111122223333",)),
        ([{"TargetId": "r-ab12", "Type": "ROOT"}], ("111122223333", "444455556666")),
        ([{"TargetId": "ou-ab12-cdefghij", "Type": "ORGANIZATIONAL_UNIT"}], ()),
    ],
)
def test_an_scp_binds_the_accounts_among_its_targets(targets: object, bound: tuple[str, ...]) -> None:
    """All where no targets are told, or the root is one; of a unit nobody knows the accounts."""
    given = {"Name": "x", "Document": DENY, "Targets": targets}
    found = controls(json.dumps(given).encode(), "scp.json")

    assert bound == tuple(
        account for account in ("111122223333", "444455556666") if under(snapshot(account), found).controls
    )


def test_scps_given_apart_stand_beside_those_of_the_snapshot() -> None:
    """Neither replaces the other."""
    own = replace(snapshot("111122223333"), controls=controls(json.dumps(DENY).encode(), "own.json"))

    assert 2 == len(under(own, controls(json.dumps(DENY).encode(), "scp.json")).controls or ())


def snapshot(account: str) -> Snapshot:
    """A snapshot of an account with one user."""
    holder = {"Arn": f"arn:aws:iam::{account}:user/ada", "UserName": "ada", "UserId": "AIDAX", "Path": "/"}
    return Snapshot.read(json.dumps({"UserDetailList": [holder], "RoleDetailList": []}), "iam.json")
