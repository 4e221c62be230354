"""Findings as OCSF and as the AWS Security Finding Format."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.detection.model import SEVERITIES, Finding
from tokentrail.present.formats.siem import (
    _EFFECTS,
    _TACTICS,
    NO_ACCOUNT,
    PRODUCT_ARN,
    asff,
    ocsf,
    write_asff,
    write_ocsf,
)

PLAIN = Finding(
    id="0123456789abcdef", rule="bulk-read", title="Bulk read", severity="high",
    time=datetime(2026, 11, 23, 10, 2, tzinfo=UTC), subject="ASIAIOSFODNN7EXAMPLE",
    credentials=("AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "AROAEXAMPLE:ria@1763892120"),
    principals=(
        "arn:aws:iam::111122223333:role/deploy/Bucket", "arn:aws:iam::111122223333:user/support",
        "arn:aws:sts::111122223333:assumed-role/Bucket/ria",
    ),
    accounts=("111122223333", "444455556666"), events=("e-1", "e-2"), count=9, why="It read much.",
    false_alarm="A backup.", attack=("T1530", "T1550.001"), next="tokentrail contain ASIAIOSFODNN7EXAMPLE",
    thresholds=("bulk_objects=100",),
)  # fmt: skip
BARE = replace(
    PLAIN, subject=None, credentials=(), principals=(), accounts=(), events=(), attack=(), thresholds=(),
    why="", next="", title="",
)  # fmt: skip
EVIL = "\x1b[2J\u202e\ud800\x00\U0001f600é" * 2000
HOSTILE = replace(
    PLAIN, id=EVIL, rule=f"sigma:{EVIL}", title=EVIL, why=EVIL, next=EVIL, false_alarm=EVIL, subject=EVIL,
    credentials=tuple(f"{n}{EVIL}" for n in range(50)), principals=(EVIL,), accounts=(EVIL, "１２３４５６７８９０１２"),
    events=(EVIL,), attack=(EVIL,), thresholds=(EVIL,),
)  # fmt: skip


def complaints(found: dict[str, Any]) -> str:
    """What AWS's own description of BatchImportFindings has against a finding."""
    model = botocore.session.Session().get_service_model("securityhub")
    shape = model.operation_model("BatchImportFindings").input_shape
    assert shape is not None
    return str(ParamValidator().validate({"Findings": [found]}, shape).generate_report())


def length(text: str) -> int:
    """Characters as UTF-16 counts them."""
    return len(text.encode("utf-16-le")) // 2


def test_ocsf_says_what_the_finding_says() -> None:
    """Class, type and severity by their numbers, times in milliseconds, techniques apart from their parts."""
    found = ocsf(PLAIN)
    assert (found["class_uid"], found["category_uid"], found["activity_id"], found["type_uid"]) == (
        2004,
        2,
        1,
        200401,
    )
    assert (found["severity_id"], found["severity"], found["status_id"]) == (4, "High", 1)
    assert found["time"] == found["finding_info"]["created_time"] == 1795428120000
    assert found["metadata"]["version"] == "1.5.0" and found["metadata"]["profiles"] == ["cloud"]
    assert found["metadata"]["product"]["name"] == "TokenTrail" and found["metadata"]["product"]["version"]
    assert found["cloud"] == {"provider": "AWS", "account": {"uid": "111122223333"}}
    assert found["finding_info"]["attacks"] == [
        {"technique": {"uid": "T1530"}},
        {"technique": {"uid": "T1550"}, "sub_technique": {"uid": "T1550.001"}},
    ]
    assert found["evidences"] == [{"data": {"event_id": "e-1"}}, {"data": {"event_id": "e-2"}}]
    assert found["remediation"] == {"desc": PLAIN.next}
    assert [ocsf(replace(PLAIN, severity=one))["severity_id"] for one in SEVERITIES] == [1, 2, 3, 4, 5]


def test_asff_says_what_the_finding_says() -> None:
    """The subject is the first resource; a session's ARN is no role's; the product is a placeholder."""
    found = asff(PLAIN)
    assert (found["SchemaVersion"], found["ProductArn"]) == ("2018-10-08", PRODUCT_ARN)
    assert found["AwsAccountId"] == "111122223333"
    assert found["CreatedAt"] == found["UpdatedAt"] == "2026-11-23T10:02:00Z"
    assert [one["Type"] for one in found["Resources"]] == [
        "AwsIamAccessKey", "AwsIamAccessKey", "Other", "AwsIamRole", "AwsIamUser", "Other",
    ]  # fmt: skip
    assert found["Resources"][0]["Id"] == PLAIN.subject
    assert found["ProductFields"]["tokentrail/accounts"] == "111122223333 444455556666"
    assert [asff(replace(PLAIN, severity=one))["Severity"]["Label"] for one in SEVERITIES] == [
        "INFORMATIONAL", "LOW", "MEDIUM", "HIGH", "CRITICAL",
    ]  # fmt: skip


def test_asff_is_updated_as_the_evidence_goes_on() -> None:
    """Security Hub takes an update only with a later moment: that of the evidence; the finding is created when it was."""
    days = [PLAIN.time + timedelta(days=number) for number in range(3)]
    found = [asff(PLAIN, as_of) for as_of in days]
    assert {one["CreatedAt"] for one in found} == {"2026-11-23T10:02:00Z"}
    assert [one["UpdatedAt"] for one in found] == [
        "2026-11-23T10:02:00Z",
        "2026-11-24T10:02:00Z",
        "2026-11-25T10:02:00Z",
    ]
    assert asff(PLAIN, days[1]) == found[1]
    assert asff(PLAIN, PLAIN.time - timedelta(days=1))["UpdatedAt"] == "2026-11-23T10:02:00Z"


@pytest.mark.parametrize(
    ("attack", "types"),
    [
        (("T1562.008",), ["TTPs/Defense Evasion"]),
        (("T1530",), ["TTPs/Collection"]),
        (("T1087.004", "T1548.005"), ["TTPs/Discovery", "TTPs/Privilege Escalation"]),
        (("T1098.001", "T1098.003", "T1136.003"), ["TTPs/Persistence"]),
        (("T1078.004", "T1552.001"), ["TTPs/Initial Access", "TTPs/Credential Access"]),
        (("T1550.001", "T9999"), ["TTPs/Lateral Movement"]),
        (("T1485", "T1486", "T1496.004"), ["Effects/Data Destruction", "Effects/Resource Consumption"]),
        (("T9999",), ["TTPs/Credential Access"]),
        ((), ["Unusual Behaviors/User"]),
    ],
)
def test_types_are_the_tactics_of_the_techniques(attack: tuple[str, ...], types: list[str]) -> None:
    """Both formats name each tactic once; techniques that only somebody's Sigma rule names don't add one."""
    finding = replace(PLAIN, attack=attack)
    assert asff(finding)["Types"] == ocsf(finding)["finding_info"]["types"] == types


def test_every_technique_of_the_catalogue_has_its_tactic() -> None:
    """Nothing that TokenTrail finds by itself falls under a tactic for want of a better one."""
    assert {one.partition(".")[0] for rule in CATALOGUE for one in rule.attack} == {*_TACTICS, *_EFFECTS}


@pytest.mark.parametrize("finding", [PLAIN, BARE, HOSTILE], ids=["plain", "bare", "hostile"])
def test_asff_is_as_the_format_asks(finding: Finding) -> None:
    """AWS's own description of the call has nothing against it, and every length is kept, whatever evidence holds."""
    found = asff(finding)
    assert complaints(found) == ""
    assert length(found["Title"]) <= 256
    assert length(found["Description"]) <= 1024
    assert length(found["Remediation"]["Recommendation"]["Text"]) <= 512
    assert len(found["Id"]) <= 512 and len(found["GeneratorId"]) <= 512
    assert 1 <= len(found["Resources"]) <= 32 and all(
        0 < length(one["Id"]) <= 512 for one in found["Resources"]
    )
    assert all(0 < length(one) <= 2048 for one in found["ProductFields"].values())


@pytest.mark.parametrize("finding", [BARE, HOSTILE], ids=["bare", "hostile"])
def test_an_account_that_is_none_is_not_made_up(finding: Finding) -> None:
    """Only twelve plain digits are an account; OCSF leaves it out, ASFF has a placeholder."""
    assert ocsf(finding)["cloud"] == {"provider": "AWS"}
    assert asff(finding)["AwsAccountId"] == NO_ACCOUNT


def test_hostile_text_is_inert_and_the_bytes_are_the_same() -> None:
    """Nothing moves a cursor or turns text round, in either format, and writing twice gives the same bytes."""
    for write in (write_ocsf, write_asff):
        first, second = io.StringIO(), io.StringIO()
        write([HOSTILE, PLAIN], first)
        write([HOSTILE, PLAIN], second)
        assert first.getvalue() == second.getvalue()
        assert first.getvalue().isascii()
        for bad in ("\\u001b", '\\u202e"', "\\ud800", "\\u0000"):
            assert bad not in first.getvalue().replace("\\\\", "")
        parsed = (
            [json.loads(line) for line in first.getvalue().splitlines()]
            if write is write_ocsf
            else [json.loads(first.getvalue())]
        )
        shown = json.dumps(parsed, ensure_ascii=False)
        assert "\u202e" not in shown and "\x1b" not in shown


def test_a_cut_never_halves_a_character() -> None:
    """What UTF-16 spells with two units stays whole at the limit."""
    title = asff(replace(PLAIN, title="a" + "\U0001f600" * 300))["Title"]
    assert title.endswith("\U0001f600…") and length(title) in (255, 256)
    assert asff(replace(PLAIN, title="a" * 256))["Title"] == "a" * 256
    assert asff(replace(PLAIN, title="a" * 257))["Title"] == "a" * 255 + "…"
