"""What is found in real logs, and how little of it is noise."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from evidence import real
from tokentrail.case import Case
from tokentrail.detection.model import Finding

STRATUS = {
    "credential-access.ec2-steal-instance-credentials": "stolen-workload",
    "credential-access.secretsmanager-retrieve-secrets": "secrets-swept",
    "credential-access.ssm-retrieve-securestring-parameters": "secrets-swept",
    "defense-evasion.cloudtrail-delete": "logging-stopped",
    "defense-evasion.cloudtrail-event-selectors": "logging-stopped",
    "defense-evasion.cloudtrail-stop": "logging-stopped",
    "persistence.iam-backdoor-role": "lasting-access",
    "persistence.iam-backdoor-user": "lasting-access",
    "persistence.iam-create-admin-user": "lasting-access",
    "persistence.iam-create-backdoor-role": "lasting-access",
    "persistence.iam-create-user-login-profile": "lasting-access",
    "persistence.lambda-backdoor-function": "lasting-access",
    "persistence.rolesanywhere-create-trust-anchor": "lasting-access",
    "persistence.sts-federation-token": "federated-with-all",
    "privilege-escalation.iam-update-user-login-profile": "lasting-access",
}


def judged(*paths: Path) -> tuple[Finding, ...]:
    """The findings of some logs."""
    with tempfile.TemporaryDirectory() as folder, Case.open(Path(folder) / "case") as case:
        case.ingest([str(path) for path in paths], workers=1)
        return case.detect()


def counts(found: Iterable[Finding]) -> dict[str, int]:
    """How many findings each rule has."""
    return dict(Counter(one.rule for one in found))


def test_invictus_is_told_in_four_findings() -> None:
    """2,900 events of an attacker at work: what it made, tried, read and blinded, each told once."""
    found = judged(real("invictus-aws-dataset", "CloudTrail"))

    assert counts(found) == {"lasting-access": 1, "logging-stopped": 1, "role-probing": 1, "secrets-swept": 1}
    assert len({one.subject for one in found}) == 1


def test_each_technique_of_stratus_has_its_finding_and_the_others_none() -> None:
    """Labelled attacks: each that touches credentials is found once by its rule, and no other file has a finding."""
    files = sorted(real("stratus-detonation-logs", "detonation-logs").glob("*.json"))
    names = {
        record["eventID"]: path.stem.removeprefix("aws.")
        for path in files
        for record in json.loads(path.read_text())
    }
    found = judged(*files)

    assert sorted((names[one.events[0]], one.rule) for one in found) == sorted(STRATUS.items())


@pytest.mark.parametrize("folder", ["flaws1-slice-umccr", "trailscraper", "stevezieglerva", "plaso"])
def test_ordinary_logs_are_quiet(folder: str) -> None:
    """Logs of ordinary days have no finding."""
    assert judged(real(folder)) == ()
