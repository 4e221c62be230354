"""Alerts of AWS's services as subjects: what each form names, and what no alert can do to the reader."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.errors import UsageError
from tokentrail.sources.alerts import LARGEST, Alert, AlertSession, is_alert, parse_alerts, read_alerts

Json = dict[str, Any]
KEY, TOKEN, ACCOUNT = "AKIARTX3GSDSXQAHCUW6", "ASIARTX3GSDSTSJSCUD6", "111122223333"
ROLE_ID, SESSION = "AROARTX3GSDSZZURK3ISS", "AROARTX3GSDSZZURK3ISS:deploy"
SEEN = ("2026-11-23T09:41:00.000Z", "2026-11-23T10:18:00Z")
FIRST, LAST = datetime(2026, 11, 23, 9, 41, tzinfo=UTC), datetime(2026, 11, 23, 10, 18, tzinfo=UTC)


def lower(value: Any) -> Any:
    """A document with the first letter of each member in lower case, as EventBridge and S3 are given it."""
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: lower(one) for name, one in value.items()}
    return [lower(one) for one in value] if isinstance(value, list) else value


def guardduty(**resource: Any) -> Json:
    """A finding as GetFindings answers it (GuardDuty API Reference, 'Finding')."""
    remote = {"IpAddressV4": "203.0.113.77", "Country": {"CountryName": "Elsewhere"}}
    return {
        "SchemaVersion": "2.0", "AccountId": ACCOUNT, "Region": "us-east-1", "Partition": "aws", "Id": "1ab92989eaf0",
        "Arn": "arn:aws:guardduty:us-east-1:111122223333:detector/d/finding/1ab92989eaf0", "Severity": 8,
        "Type": "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS", "Title": "Credentials \x1b[2J used",
        "Resource": {"ResourceType": "AccessKey", **resource},
        "Service": {
            "ServiceName": "guardduty", "EventFirstSeen": SEEN[0], "EventLastSeen": SEEN[1],
            "Action": {"ActionType": "AWS_API_CALL", "AwsApiCallAction": {"Api": "ListBuckets", "RemoteIpDetails": remote}},
        },
    }  # fmt: skip


ROLE_KEY = {"AccessKeyId": TOKEN, "PrincipalId": SESSION, "UserName": "Deploy", "UserType": "AssumedRole"}
OF_A_ROLE = Alert(
    source="GuardDuty", id="1ab92989eaf0", title="Credentials ?[2J used", account=ACCOUNT, access_key_ids=(TOKEN,),
    sessions=(AlertSession(principal_id=SESSION, issued_at=None),), addresses=("203.0.113.77",),
    principals=(f"arn:aws:iam::{ACCOUNT}:role/Deploy",), first_seen=FIRST, last_seen=LAST,
)  # fmt: skip


def event(detail: Any, kind: str = "GuardDuty Finding") -> Json:
    """An EventBridge event around a finding."""
    return {"version": "0", "id": "c8c4", "detail-type": kind, "source": "aws.guardduty", "detail": detail}


FINDING = guardduty(AccessKeyDetails=ROLE_KEY)
FORMS: dict[str, Any] = {
    "the API's answer": {"Findings": [FINDING], "ResponseMetadata": {"HTTPStatusCode": 200}},
    "one finding": FINDING,
    "an event": event(lower(FINDING)),
    "an event in a message of SNS": {"Type": "Notification", "Message": json.dumps(event(lower(FINDING)))},
    "a list, twice": [FINDING, FINDING],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_guardduty_is_read_in_each_form(form: Any) -> None:
    """The API's answer, an event, a message and a list of one finding are one alert, with its title fit to print."""
    assert parse_alerts(json.dumps(form).encode(), "x") == (OF_A_ROLE,)


def test_guarddutys_export_is_read_from_a_folder(tmp_path: Path) -> None:
    """The export to S3 is gzipped, a finding a line; other files of the folder are left alone."""
    user = guardduty(
        AccessKeyDetails={
            "AccessKeyId": KEY,
            "PrincipalId": "AIDAX",
            "UserName": "ria",
            "UserType": "IAMUser",
        }
    )
    lines = b"\n".join(json.dumps(lower(one)).encode() for one in (FINDING, user))
    (tmp_path / "export.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "notes.txt").write_text("no alert")

    first, second = read_alerts(str(tmp_path), bytes)
    assert first == OF_A_ROLE
    assert (second.access_key_ids, second.sessions) == ((KEY,), ())
    assert second.principals == (f"arn:aws:iam::{ACCOUNT}:user/ria",)


def test_an_attack_sequence_names_its_actors_and_their_sessions() -> None:
    """Actors with their credential and session (created when, issued by whom), and the endpoints."""
    session = {
        "Uid": "s",
        "CreatedTime": "2026-11-23T09:30:00Z",
        "Issuer": f"arn:aws:iam::{ACCOUNT}:role/Deploy",
    }
    user = {
        "Name": "Deploy",
        "Uid": SESSION,
        "Type": "AssumedRole",
        "CredentialUid": TOKEN,
        "Account": {"Uid": ACCOUNT},
    }
    sequence = {
        "Uid": "u", "Actors": [{"Id": "a", "User": user, "Session": session}],
        "Endpoints": [{"Id": "e", "Ip": "198.51.100.9"}, {"Id": "f", "Ip": "2001:db8::9"}],
        "Resources": [{"Uid": "arn:aws:ec2:us-east-1:111122223333:instance/i-0abcdef1234567890"}],
    }  # fmt: skip
    found = guardduty()
    found["Service"]["Detection"] = {"Sequence": sequence}
    del found["Service"]["Action"]
    [alert] = parse_alerts(json.dumps(found).encode(), "x")

    created = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    assert alert.access_key_ids == (TOKEN,)
    assert alert.sessions == (AlertSession(principal_id=SESSION, issued_at=created),)
    assert alert.principals == (f"arn:aws:iam::{ACCOUNT}:role/Deploy",)
    assert alert.addresses == ("198.51.100.9", "2001:db8::9")
    assert alert.instances == ("i-0abcdef1234567890",)


def asff() -> Json:
    """A finding in the AWS Security Finding Format, as Security Hub holds GuardDuty's."""
    key = {
        "AccessKeyId": TOKEN, "AccountId": ACCOUNT, "PrincipalId": SESSION, "PrincipalName": "Deploy",
        "PrincipalType": "AssumedRole",
        "SessionContext": {
            "Attributes": {"CreationDate": "2026-11-23T09:30:00Z", "MfaAuthenticated": False},
            "SessionIssuer": {"Arn": f"arn:aws:iam::{ACCOUNT}:role/team/Deploy", "PrincipalId": ROLE_ID, "Type": "Role"},
        },
    }  # fmt: skip
    return {
        "SchemaVersion": "2018-10-08", "Id": "arn:aws:guardduty:x", "ProductArn": "arn:aws:securityhub:us-east-1::product/x",
        "AwsAccountId": ACCOUNT, "Title": "Used from outside", "FirstObservedAt": SEEN[0], "LastObservedAt": SEEN[1],
        "Resources": [{"Type": "AwsIamAccessKey", "Id": f"AWS::IAM::AccessKey:{TOKEN}", "Details": {"AwsIamAccessKey": key}}],
        "Action": {"AwsApiCallAction": {"RemoteIpDetails": {"IpAddressV4": "203.0.113.77"}}},
    }  # fmt: skip


def test_security_hub_is_read_by_itself_and_in_an_event() -> None:
    """ASFF names the key, its session with the time of issue, the role by its whole ARN, and the caller's address."""
    imported = event({"findings": [asff()]}, "Security Hub Findings - Imported")
    for form in (asff(), {"Findings": [asff()]}, imported):
        [alert] = parse_alerts(json.dumps(form).encode(), "x")
        assert (alert.source, alert.access_key_ids, alert.addresses) == (
            "Security Hub",
            (TOKEN,),
            ("203.0.113.77",),
        )
        assert alert.sessions == (
            AlertSession(principal_id=SESSION, issued_at=datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),
        )
        assert alert.principals[0] == f"arn:aws:iam::{ACCOUNT}:role/team/Deploy"
        assert (alert.first_seen, alert.last_seen) == (FIRST, LAST)


def test_ocsf_names_the_actor_of_its_evidence() -> None:
    """A Detection Finding of OCSF names credential, session, address and times in milliseconds."""
    actor = {
        "user": {"uid": SESSION, "name": "Deploy", "type": "AssumedRole", "credential_uid": TOKEN},
        "session": {"created_time": 1795426200000, "issuer": f"arn:aws:iam::{ACCOUNT}:role/Deploy"},
    }
    finding = {
        "class_uid": 2004, "cloud": {"account": {"uid": ACCOUNT}, "region": "us-east-1"},
        "finding_info": {"uid": "f1", "title": "Used", "first_seen_time": int(FIRST.timestamp() * 1000)},
        "evidences": [{"actor": actor, "src_endpoint": {"ip": "203.0.113.77"}}],
    }  # fmt: skip
    [alert] = parse_alerts(json.dumps(event({"findings": [finding]}, "Findings Imported V2")).encode(), "x")

    assert (alert.source, alert.id, alert.account, alert.first_seen) == ("OCSF", "f1", ACCOUNT, FIRST)
    assert (alert.access_key_ids, alert.addresses) == ((TOKEN,), ("203.0.113.77",))
    assert alert.sessions == (
        AlertSession(principal_id=SESSION, issued_at=datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),
    )


def test_access_analyzer_names_who_is_let_in_and_to_what() -> None:
    """A finding about a role names the role, and the principal from outside."""
    role, guest = f"arn:aws:iam::{ACCOUNT}:role/Deploy", "arn:aws:iam::999988887777:user/mallory"
    detail = {
        "version": "1.0", "id": "22222222", "status": "ACTIVE", "resourceType": "AWS::IAM::Role", "resource": role,
        "principal": {"AWS": guest}, "createdAt": SEEN[0], "analyzedAt": SEEN[0], "updatedAt": SEEN[1],
        "accountId": ACCOUNT,
    }  # fmt: skip
    [alert] = parse_alerts(json.dumps(event(detail, "Access Analyzer Finding")).encode(), "x")
    assert (alert.source, alert.principals) == ("IAM Access Analyzer", (guest, role))


NOTHING: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"<html>", "no JSON"),
    "a log": (json.dumps({"Records": [{"eventName": "ListBuckets"}]}).encode(), "no finding of GuardDuty"),
    "a made sample": (
        json.dumps(
            guardduty(AccessKeyDetails={"AccessKeyId": "GeneratedFindingAccessKeyId", "UserType": "IAMUser"}),
        ).replace("203.0.113.77", "none").encode(),
        "names no access key",
    ),
    "nested": (b'{"detail":' * 5_000 + b"1" + b"}" * 5_000, "no"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "told"), NOTHING.values(), ids=NOTHING)
def test_what_names_nothing_is_refused_in_words(content: bytes, told: str) -> None:
    """No JSON, a log, a sample with made ids and endless nesting end in a sentence, not in an answer about nothing."""
    with pytest.raises(UsageError, match=told):
        parse_alerts(content, "alert.json")


def test_what_an_alert_calls_itself_is_fit_to_print() -> None:
    """Its id and title may be anything; names that no ARN can be are left out."""
    found = guardduty(AccessKeyDetails=ROLE_KEY)
    found |= {"Id": "x\x1b[2J" * 5_000, "Title": "\u202e" * 20_000}
    found["Resource"]["AccessKeyDetails"] = ROLE_KEY | {"UserName": "a\n" * 5_000}
    [alert] = parse_alerts(json.dumps(found).encode(), "x")
    assert alert.id.isprintable() and alert.title.isprintable()
    assert max(len(alert.id), len(alert.title)) < 1_000
    assert alert.principals == () and alert.access_key_ids == (TOKEN,)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    """What unpacks to more than any alert has is not read to its end."""
    bomb = tmp_path / "bomb.json.gz"
    with gzip.open(bomb, "wb") as file:
        for _ in range((LARGEST >> 20) + 1):
            file.write(bytes(1 << 20))
    with pytest.raises(UsageError, match="larger than 64 MB"):
        read_alerts(str(bomb), bytes)


def test_a_name_is_no_alert() -> None:
    """Key ids, ARNs, addresses and event ids are names, also where a path could not be longer."""
    names = (KEY, f"arn:aws:iam::{ACCOUNT}:role/Deploy", "203.0.113.77", "x" * 5_000, "\0", "")
    assert not any(map(is_alert, names))


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.just(KEY)
)


@given(
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(
                st.sampled_from(
                    (
                        "Service", "Resource", "AccessKeyDetails", "AccessKeyId", "detail", "Findings", "ProductArn",
                        "Resources", "Details", "AwsIamAccessKey", "class_uid", "finding_info", "evidences", "actor",
                        "user", "uid", "resource", "analyzedAt", "principal", "Detection", "Sequence", "Actors", "User",
                        "Session", "CreatedTime", "UserName", "UserType", "Message", "EventFirstSeen",
                    )
                ),
                inner,
                max_size=5,
            ),
        ),
        max_leaves=30,
    )
)  # fmt: skip
def test_no_document_breaks_the_reader(document: Any) -> None:
    """Whatever stands where an alert has a name, reading ends in alerts or in a sentence."""
    try:
        alerts = parse_alerts(json.dumps(document).encode(), "x")
    except UsageError:
        return
    assert all(one.names_something for one in alerts)
