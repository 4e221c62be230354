"""
The story that the product must carry, told as evidence.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any

import pytest

from tokentrail.aws.ip_ranges import shipped_ranges
from tokentrail.testing.story import ATTACKER, ATTACKER_LATER, Story, story

DOCUMENTATION = [ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]


@pytest.fixture(name="told", scope="module")
def _told() -> Story:
    return story()


@pytest.fixture(name="records", scope="module")
def _records(told: Story) -> list[dict[str, Any]]:
    return told.world.records()


def test_the_letters_are_linked_as_told(told: Story) -> None:
    """A is the root; B and C are its children; D and E are B's."""
    truth = {true.id: true for true in told.world.truth}
    keys = told.key_ids
    parents = {letter: truth[keys[letter]].parent for letter in "ABCDE"}

    assert {"A": None, "B": keys["A"], "C": keys["A"], "D": keys["B"], "E": keys["B"]} == parents
    assert {keys["A"]} == {truth[key].root for key in keys.values()}


def test_b_lives_for_36_hours(told: Story) -> None:
    """B outlives key and revocation."""
    b = next(true for true in told.world.truth if true.id == told.key_ids["B"])

    assert b.expires_at is not None
    assert 36 * 3600 == (b.expires_at - told.moments.b_minted).total_seconds()


def test_moments_are_those_of_the_records(told: Story, records: list[dict[str, Any]]) -> None:
    """Each moment is the time of the event that it names."""
    by_name = {(r["eventName"], r["eventTime"]) for r in records}
    moments = told.moments

    for name, moment in [
        ("GetCallerIdentity", moments.leaked),
        ("GetSessionToken", moments.b_minted),
        ("AssumeRole", moments.c_minted),
        ("UpdateAccessKey", moments.key_deactivated),
        ("PutRolePolicy", moments.sessions_revoked),
        ("AssumeRole", moments.d_minted),
        ("AssumeRole", moments.e_minted),
    ]:
        assert (name, f"{moment:%Y-%m-%dT%H:%M:%SZ}") in by_name


def test_a_is_silent_and_c_goes_on_after_the_key_is_deactivated(
    told: Story, records: list[dict[str, Any]]
) -> None:
    """Deactivating A ends A alone."""
    after = f"{told.moments.key_deactivated:%Y-%m-%dT%H:%M:%SZ}"
    later = [r for r in records if r["eventTime"] > after]

    assert not [r for r in later if r["userIdentity"].get("accessKeyId") == told.key_ids["A"]]
    assert [r for r in later if _by(r, told, "C") and "errorCode" not in r]


def test_c_is_denied_after_the_revocation_and_d_and_e_are_not(
    told: Story, records: list[dict[str, Any]]
) -> None:
    """The revocation stops C, explicitly; D and E were issued after its cutoff, and copy on."""
    after = f"{told.moments.sessions_revoked:%Y-%m-%dT%H:%M:%SZ}"
    denied = [r for r in records if r["eventTime"] > after and _by(r, told, "C")]

    assert denied
    assert {"AccessDenied"} == {r["errorCode"] for r in denied}
    assert all("explicit deny" in r["errorMessage"] for r in denied)
    assert told.moments.cutoff < told.moments.d_minted
    for letter in "DE":
        copied = [r for r in records if _by(r, told, letter) and r["eventName"] == "GetObject"]
        assert copied
        assert all("errorCode" not in r and r["additionalEventData"]["bytesTransferredOut"] for r in copied)


def test_the_colleague_shares_the_role_and_comes_back(told: Story, records: list[dict[str, Any]]) -> None:
    """Ria is cut off with the attacker, and signs in to the same role again."""
    before, after = told.ria_before, told.ria_after

    assert told.c.identity.issuer == before.identity.issuer == after.identity.issuer
    assert any(_uses(r, before.key_id) and r.get("errorCode") == "AccessDenied" for r in records)
    assert any(_uses(r, after.key_id) and "errorCode" not in r for r in records)


def test_the_responder_revokes_with_the_consoles_policy(records: list[dict[str, Any]]) -> None:
    """The responder's steps are an Identity Center session's, and the cutoff is half a minute ahead."""
    (put,) = [r for r in records if r["eventName"] == "PutRolePolicy"]
    condition = json.loads(put["requestParameters"]["policyDocument"])["Statement"][0]["Condition"]

    assert "AWSReservedSSO_IncidentResponder_" in put["userIdentity"]["arn"]
    assert {"DateLessThan": {"aws:TokenIssueTime": "2026-11-23T10:12:30.000Z"}} == condition


def test_the_day_is_full_and_ends_amid_the_incident(told: Story, records: list[dict[str, Any]]) -> None:
    """Thousands of records from the evening before until the end, in two accounts."""
    assert 2000 <= len(records) <= 4000
    assert "2026-11-22T23:0" == records[0]["eventTime"][:15]
    assert f"{told.moments.end:%Y-%m-%dT%H:%M:%SZ}" >= records[-1]["eventTime"] > "2026-11-23T11:05:00Z"
    assert {"111122223333", "444455556666"} == {r["recipientAccountId"] for r in records}


def test_ordinary_ways_in_are_all_there(told: Story) -> None:
    """The day holds each common kind of credential, and orphans whose birth lies before the evidence."""
    kinds = {true.kind for true in told.world.truth}

    assert {
        "identity_center",
        "service_role",
        "console_session",
        "assumed_role_web_identity",
        "forwarded",
    } <= kinds
    assert any(true.origin == "not_in_evidence" for true in told.world.truth)
    assert any(true.link == "shared_event" for true in told.world.truth)


def test_addresses_are_documentations(told: Story, records: list[dict[str, Any]]) -> None:
    """Workloads call from EC2, all others from documentation's addresses; the attacker's are the attacker's alone."""
    attackers = {told.key_ids[letter] for letter in "ABCDE"}
    for record in records:
        ip = record["sourceIPAddress"]
        if ip.endswith("amazonaws.com"):
            continue
        address = ipaddress.ip_address(ip)
        is_workload = {"ec2RoleDelivery", "inScopeOf"} & set(
            re.findall(r"\w+", json.dumps(record["userIdentity"]))
        )
        assert any(address in net for net in DOCUMENTATION) != bool(is_workload)
        assert (shipped_ranges().label_of(address) == "EC2") == bool(is_workload)
        if ip in (ATTACKER, ATTACKER_LATER):
            assert record["userIdentity"]["accessKeyId"] in attackers


def test_no_session_is_used_after_its_end(told: Story, records: list[dict[str, Any]]) -> None:
    """Nothing in the story calls with a credential that has expired."""
    ends = {
        key: true.expires_at for true in told.world.truth for key in true.access_key_ids if true.expires_at
    }
    for record in records:
        end = ends.get(record["userIdentity"].get("accessKeyId"))
        assert end is None or record["eventTime"] <= f"{end:%Y-%m-%dT%H:%M:%SZ}"


def _by(record: dict[str, Any], told: Story, letter: str) -> bool:
    return _uses(record, told.key_ids[letter])


def _uses(record: dict[str, Any], key: str) -> bool:
    return bool(record["userIdentity"].get("accessKeyId") == key)
