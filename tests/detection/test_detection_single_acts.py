"""What rules about single acts say, what raises them, and that no field of a record breaks them."""

from __future__ import annotations

from typing import Any

import pytest
from case_tables import FIRES
from rule_cases import Act, ada, world
from single_act_cases import (
    ADMIN,
    PROWLER,
    calls_from_kali,
    image_for_everybody,
    locked_with_a_strangers_key,
    objects_and_versions_gone,
    owners_scanner,
    settled,
    several_guards_off,
    thief_adds_a_layer,
    thief_changes_code,
    user_makes_itself_admin,
)

from evidence import held
from tokentrail.detection.call_kinds import AUDITORS_TOOLS, INTRUDERS_TOOLS, calls_of
from tokentrail.detection.model import Finding
from tokentrail.detection.privilege_gains import power_of
from tokentrail.detection.views import NOTABLE_KINDS, event_names
from tokentrail.policy.language.documents import parse
from tokentrail.testing import World

RULES = (
    "attack-tool", "code-changed", "guards-off", "host-entered", "models-invoked", "secrets-in-bulk", "self-escalation",
    "shared-outside", "storage-extortion", "weak-sign-in",
)  # fmt: skip
HOSTILE: dict[str, Any] = {
    "null": None, "list": ["x", None, {}], "number": 7, "text": "\x1b[31m\u202e<script>", "long": "x" * 10_000,
    "nested": {"add": {"items": [None, 7, {"userId": ["x"]}, {"group": {}}]}, "items": "all"},
}  # fmt: skip


def found(*acts: Act, rules: tuple[str, ...] = RULES) -> tuple[Finding, ...]:
    """What some rules find in what happens, one after the other."""
    place = world()
    for act in acts:
        act(place)
        place.wait(minutes=10)
    with held(place) as case:
        return case.detect(rules=rules)


def _spoilt(record: dict[str, Any], value: Any) -> dict[str, Any]:
    """A record whose request holds one value in place of each of its own, and whose other parts hold it whole."""
    asked = record.get("requestParameters")
    spoilt = dict.fromkeys(asked, value) if isinstance(asked, dict) else value
    return record | {
        "requestParameters": spoilt,
        "userAgent": value,
        "additionalEventData": value,
        "resources": value,
    }


@pytest.mark.parametrize("value", HOSTILE)
def test_no_field_breaks_a_rule(value: str) -> None:
    """Whatever stands in requests, user agents and additional data, all records count, and nothing raises."""
    place = world()
    for rule in RULES:
        for act in FIRES[rule][:3]:
            act(place)
            place.wait(minutes=10)
    records = [_spoilt(record, HOSTILE[value]) for record in place.records()]
    with held(records) as case:
        case.detect(rules=RULES)
        assert sum(one.count for one in case.status().rejected if one.field is None) == 0


def test_what_is_about_oneself_is_told_once() -> None:
    """A user who attaches all power to itself is a finding of `self-escalation`, and none of `lasting-access`."""
    one, *others = found(user_makes_itself_admin, rules=("self-escalation", "lasting-access"))

    assert (one.rule, one.severity, others) == ("self-escalation", "high", [])
    assert one.why.endswith(": it attached policy/AdministratorAccess to itself.")


def test_power_for_another_stays_lasting_access() -> None:
    """A user who attaches all power to another is a finding of `lasting-access` as before."""

    def empowers_another(place: World) -> None:
        ada(place).iam("AttachUserPolicy", userName="cleo", policyArn=ADMIN)

    [one] = found(empowers_another, rules=("self-escalation", "lasting-access"))

    assert (one.rule, one.severity) == ("lasting-access", "low")


@pytest.mark.parametrize(
    ("statement", "power"),
    [
        ({"Action": "*", "Resource": "*"}, "high"),
        ({"Action": "iam:*", "Resource": "*"}, "high"),
        ({"NotAction": "s3:*", "Resource": "*"}, "high"),
        ({"Action": ["iam:CreateAccessKey"], "Resource": "arn:aws:iam::*:user/${aws:username}"}, "medium"),
        ({"Action": "*", "Resource": "arn:aws:s3:::reports/*"}, "medium"),
        ({"Action": "s3:GetObject", "Resource": "*"}, "medium"),
    ],
)
def test_power_is_judged_by_actions_and_resources(statement: dict[str, Any], power: str) -> None:
    """All actions, or one that gives the rest, count as all power only where they are allowed on everything."""
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}

    assert power_of(parse(document)) == power


def test_a_suspicious_lineage_needs_no_second_sign() -> None:
    """After a call from Kali, one changed function and one new session on a host by the same key are high."""

    def goes_on(place: World) -> None:
        ada(place).updates_function("resize")
        ada(place).calls("ssm:StartSession", {"target": "i-0a1b2c3d4e"}, read_only=False)

    told = {one.rule: one.severity for one in found(calls_from_kali, goes_on)}

    assert told == {"attack-tool": "medium", "code-changed": "high", "host-entered": "high"}


def test_a_scanner_of_the_owners_makes_nobody_suspicious() -> None:
    """A tool that owners use is told at low severity, and does not raise what its lineage does besides."""

    def scans_and_deploys(place: World) -> None:
        ada(place).seen_from("192.0.2.10", PROWLER).calls("iam:ListUsers")
        ada(place).updates_function("resize")

    assert [(one.rule, one.severity) for one in found(scans_and_deploys)] == [("attack-tool", "low")]


def test_a_scanner_that_comes_every_night_is_told_of_its_first_night() -> None:
    """Four nightly scans are one finding, which names the tool and counts the first scan alone."""
    [one] = found(owners_scanner)

    assert one.count == 1 and "prowler" in one.why


def test_a_new_layer_is_told_from_other_settings_by_the_record() -> None:
    """A function's settings count where the record names layers, and the finding rests on that call."""
    [one] = found(thief_adds_a_layer)

    assert one.rule == "code-changed" and one.count == len(one.events) == 1


def test_the_signs_stand_in_the_finding() -> None:
    """A finding says how long the principal did no such thing, and which address is new to it."""
    [one] = found(thief_changes_code)

    assert "Its principal had changed no function in the 4 days before" in one.why
    assert "203.0.113.77, which is new to its principal" in one.why


def test_a_habit_of_one_day_is_none_of_the_days_before() -> None:
    """Whoever begins with many sessions on hosts in one day is told once, of that day's calls."""

    def enters(place: World) -> None:
        key = settled(place, "vera")
        for _ in range(3):
            key.calls("ssm:StartSession", {"target": "i-0a1b2c3d4e"}, read_only=False, count=6)
            place.wait(hours=20)

    [one] = found(enters)

    assert one.rule == "host-entered" and one.severity == "medium"


def test_everybody_is_worse_than_a_stranger() -> None:
    """What is shared with everybody is said to be."""
    [one] = found(image_for_everybody)

    assert one.severity == "high" and "image ami-0a1b2c3d with everybody" in one.why


def test_each_guard_is_named() -> None:
    """The finding lists the calls, and rests on each of them."""
    [one] = found(several_guards_off)

    assert one.count == len(one.events) == 3
    for call in (
        "DeleteModelInvocationLoggingConfiguration",
        "DisableSecurityHub",
        "StopConfigurationRecorder",
    ):
        assert call in one.why


def test_copies_with_a_foreign_key_are_counted() -> None:
    """That the first copies were encrypted with the caller's own key stands for all copies that it made."""
    [one] = found(locked_with_a_strangers_key)

    assert "wrote 110 copies encrypted with a key of its own" in one.why


def test_deletions_are_counted_besides_the_setting() -> None:
    """Both signs stand in the finding."""
    [one] = found(objects_and_versions_gone)

    assert "made 120 calls that delete objects" in one.why
    assert "changed a bucket so that it keeps no older versions any more" in one.why


def test_kinds_come_from_the_catalogue() -> None:
    """Each kind that rules note has calls, and events may bear their names with the version of an API."""
    assert all(calls_of(kind) for kind in NOTABLE_KINDS)
    assert ("bedrock", "DeleteModelInvocationLoggingConfiguration") in calls_of("guard")
    assert ("logs", "DeleteLogGroup") not in calls_of("guard")
    assert "UpdateFunctionCode20150331v2" in event_names("code")


def test_no_tool_is_an_intruders_and_an_auditors() -> None:
    """A tool is in one of the two lists."""
    assert not set(INTRUDERS_TOOLS) & set(AUDITORS_TOOLS)
