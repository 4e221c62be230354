"""Alerts as subjects on the command line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from shell import Run
from tokentrail.testing.story import Story

Json = dict[str, Any]


def finding(told: Story, key: str, ip: str, **more: str) -> Json:
    """A finding of GuardDuty about a key that was used from an address."""
    account = told.a.account
    action = {"awsApiCallAction": {"remoteIpDetails": {"ipAddressV4": ip}}}
    details = {"accessKeyId": key, "userName": "support", "userType": "IAMUser", **more}
    service = {
        "action": action,
        "eventFirstSeen": "2026-11-23T09:41:00Z",
        "eventLastSeen": "2026-11-23T10:00:00Z",
    }
    return {
        "schemaVersion": "2.0", "accountId": account, "partition": "aws", "id": "f-1", "title": "Credentials used",
        "resource": {"resourceType": "AccessKey", "accessKeyDetails": details}, "service": service,
    }  # fmt: skip


def test_an_alert_traces_as_its_key_does(run: Run, case: Path, told: Story, tmp_path: Path) -> None:
    """A file with a finding about the leaked key gives the answers of the key, and says so first."""
    alert = tmp_path / "alert.json"
    alert.write_text(json.dumps(finding(told, told.a.key_id, "203.0.113.77")))

    for verb in ("trace", "contain", "timeline"):
        by_alert = run(verb, alert, "--case", case, "--format", "json")
        said = " ".join(by_alert.err.split())
        assert by_alert.out == run(verb, told.a.key_id, "--case", case, "--format", "json").out
        assert "GuardDuty alert f-1 (Credentials used), seen from" in said
        assert f"the subject is {told.a.key_id}" in said
        assert "add --source-ip 203.0.113.77" in said


def test_an_alert_is_read_from_standard_input(
    run: Run, case: Path, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it comes out of another command."""
    content = json.dumps({"Findings": [finding(told, told.a.key_id, "203.0.113.77")]}).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    ran = run("trace", "-", "--case", case, "--format", "json")
    assert json.loads(ran.out)["subject"] == [told.a.key_id]


def test_what_the_evidence_lacks_is_said_and_the_next_exact_name_taken(
    run: Run, case: Path, told: Story, tmp_path: Path
) -> None:
    """A key without a call leads to its user, narrowed to the alert's address, as others may be that user's too."""
    alert = tmp_path / "alert.json"
    alert.write_text(json.dumps(finding(told, "ASIAQQQQQQQQQQQQQQQQ", "203.0.113.77")))
    user = f"arn:aws:iam::{told.a.account}:user/support"

    ran = run("trace", alert, "--case", case, "--format", "json")
    said = " ".join(ran.err.split())
    narrowed = run("trace", user, "--source-ip", "203.0.113.77", "--case", case, "--format", "json")
    assert f"the subject is {user}" in said
    assert "ASIAQQQQQQQQQQQQQQQQ, of which the evidence holds no call" in said
    assert "only what was used from the alert's addresses counts" in said
    assert ran.out == narrowed.out


def test_an_alert_of_another_company_is_refused(run: Run, case: Path, told: Story, tmp_path: Path) -> None:
    """Where nothing of it is in the evidence, the answer says what it names and what to do."""
    alert = tmp_path / "alert.json"
    alert.write_text(
        json.dumps(finding(told, "ASIAQQQQQQQQQQQQQQQQ", "198.18.0.9", userName="nobody")).replace(
            told.a.account, "999988887777"
        )
    )
    ran = run("trace", alert, "--case", case)
    assert ran.code == 2
    assert "none of it is in the evidence" in ran.err and "Ingest the log" in ran.err
