"""
The clock, the identifiers, and the records as a whole.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strategies import worlds
from tokentrail.testing import FAKE_SESSION_TOKEN, World
from tokentrail.testing.story import story

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def test_the_clock_is_set_and_moved(world: World) -> None:
    """`at` takes a time of day, a date and time, or a datetime; `wait` takes seconds, minutes and hours."""
    assert datetime(2026, 11, 23, 10, 5, tzinfo=UTC) == world.at("10:05:00")
    assert datetime(2026, 11, 24, 1, 0, tzinfo=UTC) == world.at("2026-11-24T01:00:00")
    assert datetime(2026, 11, 24, 2, 1, 1, tzinfo=UTC) == world.wait(1, minutes=1, hours=1)
    assert START == world.at(START)
    assert START == world.now


def test_calls_are_spaced(world: World) -> None:
    """`count` and `every` space calls out; afterwards one tick has passed."""
    world.user("ada").calls(
        "s3:GetObject", {"bucketName": "b", "key": "k{n}"}, count=3, every=10, bytes_out=7
    )
    records = world.records()

    assert ["09:00:00", "09:00:10", "09:00:20"] == [record["eventTime"][11:19] for record in records]
    assert ["k0", "k1", "k2"] == [record["requestParameters"]["key"] for record in records]
    assert datetime(2026, 11, 23, 9, 0, 21, tzinfo=UTC) == world.now


def test_records_come_in_order_of_time_whatever_the_clock_did(world: World) -> None:
    """A clock put back still gives records in order."""
    ada = world.user("ada")
    for clock in ("12:00", "08:00", "10:00"):
        world.at(clock)
        ada.calls("s3:ListBuckets")

    times = [record["eventTime"] for record in world.records()]
    assert sorted(times) == times


def test_key_ids_hide_their_account() -> None:
    """A key id of the builder decodes to its account, as AWS's do."""
    key = World(START).user("ada", account="444455556666").key_id
    head = int.from_bytes(base64.b32decode(key[4:])[:6], "big")

    assert 1 == head >> 47
    assert "444455556666" == f"{(head >> 7) & ((1 << 40) - 1):012d}"


@pytest.mark.parametrize(("prefix", "length"), [("AKIA", 20), ("AIDA", 21), ("AROA", 21)])
def test_identifiers_have_aws_form(world: World, prefix: str, length: int) -> None:
    """Prefixes and lengths are AWS's."""
    ada, role = world.user("ada"), world.role("Deploy")
    made = {"AKIA": ada.key_id, "AIDA": ada.user.id, "AROA": role.id}[prefix]

    assert made.startswith(prefix)
    assert length == len(made)


def test_who_is_named_twice_is_the_same(world: World) -> None:
    """A user or role asked for again, by name or ARN, is the one made before; accounts keep them apart."""
    away = world.account("444455556666")

    assert world.user("ada") is world.user("ada")
    assert world.role("Deploy", path="/ci/") == world.role("arn:aws:iam::111122223333:role/ci/Deploy")
    assert away.user("ada").user != world.user("ada").user
    assert away.role("Deploy").id != world.role("Deploy").id


def test_a_stolen_credential_is_the_same_from_elsewhere(world: World) -> None:
    """The thief's calls show the same key id and another address."""
    ada = world.user("ada")
    ada.calls("s3:ListBuckets")
    ada.seen_from("203.0.113.7", "curl/8").calls("s3:ListBuckets")
    mine, theirs = world.records()

    assert mine["userIdentity"] == theirs["userIdentity"]
    assert ("203.0.113.7", "curl/8") == (theirs["sourceIPAddress"], theirs["userAgent"])
    assert "203.0.113.7" != mine["sourceIPAddress"]


def test_twins_share_their_event(world: World) -> None:
    """
    The two sides of a cross-account AssumeRole share id, request and new key; only the caller's side names
    the caller.
    """
    world.user("ada").assumes("Deploy", account="444455556666")
    caller, role = world.records()

    assert caller["sharedEventID"] == role["sharedEventID"]
    assert caller["eventID"] != role["eventID"]
    assert caller["responseElements"] == role["responseElements"]
    assert {"type", "principalId", "accountId"} == set(role["userIdentity"])
    assert ("111122223333", "444455556666") == (caller["recipientAccountId"], role["recipientAccountId"])


def test_a_revocation_is_the_consoles(world: World) -> None:
    """`revokes_sessions` writes the console's inline policy, with a cutoff half a minute ahead."""
    written = world.user("ada").revokes_sessions("Deploy")
    parameters = written["requestParameters"]
    (statement,) = json.loads(parameters["policyDocument"])["Statement"]

    assert ("AWSRevokeOlderSessions", "Deploy") == (parameters["policyName"], parameters["roleName"])
    assert {"DateLessThan": {"aws:TokenIssueTime": "2026-11-23T09:00:30.000Z"}} == statement["Condition"]


def test_an_iam_call_without_what_it_needs_is_refused(world: World) -> None:
    """A missing parameter is named; calls that make an actor point to their method."""
    with pytest.raises(ValueError, match="PutRolePolicy needs policyName"):
        world.user("ada").iam("PutRolePolicy", roleName="Deploy", policyDocument="{}")
    with pytest.raises(ValueError, match="creates_access_key"):
        world.user("ada").iam("CreateAccessKey")


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("PutUserPolicy", {"userName": "ada", "policyName": "p", "policyDocument": {}}),
        ("DeleteUserPolicy", {"userName": "ada", "policyName": "p"}),
        ("PutGroupPolicy", {"groupName": "g", "policyName": "p", "policyDocument": {}}),
        ("DeleteGroupPolicy", {"groupName": "g", "policyName": "p"}),
        ("AttachGroupPolicy", {"groupName": "g", "policyArn": "arn:aws:iam::aws:policy/AWSDenyAll"}),
        ("AddUserToGroup", {"groupName": "g", "userName": "ada"}),
        ("RemoveUserFromGroup", {"groupName": "g", "userName": "ada"}),
        ("CreatePolicy", {"policyName": "p", "policyDocument": {}}),
        (
            "CreatePolicyVersion",
            {"policyArn": "arn:aws:iam::111122223333:policy/p", "policyDocument": {}, "setAsDefault": True},
        ),
        ("SetDefaultPolicyVersion", {"policyArn": "arn:aws:iam::111122223333:policy/p", "versionId": "v2"}),
        ("DeletePolicyVersion", {"policyArn": "arn:aws:iam::111122223333:policy/p", "versionId": "v1"}),
    ],
)
def test_an_iam_call_is_a_write_in_the_global_region(
    world: World, name: str, params: dict[str, object]
) -> None:
    """IAM calls are writes, recorded in us-east-1, with documents as text."""
    written = World(START, region="eu-central-1").user("ada").iam(name, **params)

    assert (name, "us-east-1", False) == (written["eventName"], written["awsRegion"], written["readOnly"])
    assert not any(isinstance(value, dict) for value in written["requestParameters"].values())
    assert bool(written["responseElements"]) == name.startswith("CreatePolicy")


def test_what_is_asked_of_sts_is_logged(world: World) -> None:
    """Source identity and MFA serial stand in the request; sessions show both, and children inherit them."""
    device = "arn:aws:iam::111122223333:mfa/ada"
    session = world.user("ada").assumes("Deploy", source_identity="ada", mfa=device)
    child = session.assumes("Audit")
    child.calls("s3:ListBuckets")
    world.user("ada").gets_session_token(mfa_serial=device).calls("s3:ListBuckets")
    assumed, _, used, token, with_token = world.records()

    assert {"sourceIdentity": "ada", "serialNumber": device}.items() <= assumed["requestParameters"].items()
    assert used["userIdentity"]["sessionContext"]["sourceIdentity"] == "ada"
    assert used["userIdentity"]["sessionContext"]["attributes"]["mfaAuthenticated"] == "true"
    assert token["requestParameters"] == {"serialNumber": device}
    assert with_token["userIdentity"]["sessionContext"]["attributes"]["mfaAuthenticated"] == "true"


def test_denials_are_worded(world: World) -> None:
    """AccessDenied gets the message that AWS gives, and other services' bytes are logged too."""
    (plain,) = world.user("ada").calls("sqs:ReceiveMessage", error="AccessDenied")
    (explicit,) = world.user("ada").denied("s3:GetObject", world.role("Deploy"), explicit=True)
    (sent,) = world.user("ada").calls("ebs:GetSnapshotBlock", bytes_out=512)

    assert "no identity-based policy allows the sqs:ReceiveMessage action" in plain["errorMessage"]
    assert "with an explicit deny" in explicit["errorMessage"]
    assert sent["additionalEventData"] == {"bytesTransferredOut": 512}


def test_impossible_things_are_refused(world: World) -> None:
    """A long-term key can't be scoped, a role session has no own user, IAM does not cross accounts."""
    ada = world.user("ada")
    session = ada.assumes("Admin")
    with pytest.raises(ValueError, match="only a session"):
        ada.gets_scoped_credentials()
    with pytest.raises(ValueError, match="no IAM user"):
        session.creates_access_key()
    with pytest.raises(ValueError, match="IAM stays"):
        session.creates_access_key(world.user("grace", account="444455556666"))


@given(worlds(rare=True, duplicates=False))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_identifier_is_given_twice(world: World) -> None:
    """Every record has an event id and a request id of its own."""
    records = world.records()
    requests = [record["requestID"] for record in records if "requestID" in record]

    assert len(records) == len({record["eventID"] for record in records})
    assert len(requests) == len(set(requests))


@given(st.integers(0, 5))
@settings(max_examples=4, deadline=None)
def test_the_same_seed_tells_the_same_story(seed: int) -> None:
    """Two worlds of one seed give the same records; another seed gives other identifiers."""
    first, second = (story(seed, ordinary_day=False).world for _ in range(2))

    assert first.records() == second.records()
    assert first.truth == second.truth
    assert first.records() != story(seed + 1, ordinary_day=False).world.records()


def test_what_is_handed_out_cannot_change_the_world(world: World) -> None:
    """Records are copies."""
    world.user("ada").calls("s3:ListBuckets")
    world.records()[0]["eventName"] = "Nothing"

    assert "ListBuckets" == world.records()[0]["eventName"]


def test_every_session_token_is_a_fake(world: World) -> None:
    """Each `sessionToken` holds the constant, and nothing else does."""
    world.user("ada").assumes("Deploy").calls("s3:ListBuckets")
    issued, used = world.records()

    assert FAKE_SESSION_TOKEN in issued["responseElements"]["credentials"]["sessionToken"]
    assert FAKE_SESSION_TOKEN not in json.dumps(used)


def test_a_repeated_record_has_the_same_event_id(world: World) -> None:
    """A duplicate delivery is the same record once more."""
    world.repeat(*world.user("ada").calls("s3:ListBuckets"))
    first, second = world.records()

    assert first == second
