"""What is found in real logs, and how little of it is noise."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from evidence import Json, real
from tokentrail.case import Case
from tokentrail.detection.model import Finding

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"
STRATUS = {
    "credential-access.ec2-steal-instance-credentials": "stolen-workload",
    "credential-access.secretsmanager-batch-retrieve-secrets": "secrets-in-bulk",
    "credential-access.secretsmanager-retrieve-secrets": "secrets-swept",
    "credential-access.ssm-retrieve-securestring-parameters": "secrets-swept",
    "defense-evasion.cloudtrail-delete": "logging-stopped",
    "defense-evasion.cloudtrail-event-selectors": "logging-stopped",
    "defense-evasion.cloudtrail-stop": "logging-stopped",
    "defense-evasion.dns-delete-logs": "guards-off",
    "defense-evasion.vpc-remove-flow-logs": "guards-off",
    "exfiltration.ec2-share-ami": "shared-outside",
    "exfiltration.ec2-share-ebs-snapshot": "shared-outside",
    "exfiltration.rds-share-snapshot": "shared-outside",
    "initial-access.console-login-without-mfa": "weak-sign-in",
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


INVICTUS = {
    "credential-access.ec2-steal-instance-credentials": (
        "stolen-workload",
        "GetCallerIdentity",
        "",
    ),
    "credential-access.secretsmanager-retrieve-secrets": (
        "secrets-swept",
        "GetSecretValue",
        "retrieve-secret",
    ),
    "credential-access.ssm-retrieve-securestring-parameters": (
        "secrets-swept",
        "GetParameter",
        "/credentials/",
    ),
    "defense-evasion.cloudtrail-event-selectors": ("logging-stopped", "PutEventSelectors", "ctes-trail"),
    "persistence.iam-backdoor-role": ("lasting-access", "UpdateAssumeRolePolicy", "backdoor-r-role"),
    "persistence.iam-backdoor-user": ("lasting-access", "CreateAccessKey", "backdoor-u-user"),
    "persistence.iam-create-admin-user": ("lasting-access", "CreateAccessKey", "malicious-iam-user"),
    "persistence.iam-create-user-login-profile": (
        "lasting-access",
        "CreateLoginProfile",
        "login-profile-user",
    ),
    "persistence.lambda-backdoor-function": ("lasting-access", "AddPermission20150331v2", "backdoor-f-func"),
    "persistence.lambda-overwrite-code": ("code-changed", "UpdateFunctionCode20150331v2", "olc-func"),
    "persistence.rolesanywhere-create-trust-anchor": (
        "lasting-access",
        "CreateTrustAnchor",
        "malicious-roles",
    ),
}
"""The rule that finds it, and the call and a part of the name by which to know it: this data set has no labels."""
UNFOUND = (
    "credential-access.ec2-get-password-data",
    "defense-evasion.cloudtrail-delete", "defense-evasion.cloudtrail-stop",
    "initial-access.console-login-without-mfa",
)  # fmt: skip
"""What was run in the Invictus data and is not found, as the page says, with why."""


def judged(*paths: Path) -> tuple[Finding, ...]:
    """The findings of some logs."""
    with tempfile.TemporaryDirectory() as folder, Case.open(Path(folder) / "case") as case:
        case.ingest([str(path) for path in paths], workers=1)
        return case.detect()


def counts(found: Iterable[Finding]) -> dict[str, int]:
    """How many findings each rule has."""
    return dict(Counter(one.rule for one in found))


def records(folder: str, pattern: str) -> dict[str, Json]:
    """The records of a folder by event id."""
    read = (json.loads(path.read_text()) for path in real(folder).glob(pattern))
    return {
        one["eventID"]: one for held in read for one in (held["Records"] if isinstance(held, dict) else held)
    }


def told(heading: str) -> dict[str, str]:
    """A table of the page: what it says of each technique, spelled with its tactic."""
    _, _, rest = PAGE.read_text().partition(f"| Technique ({heading}) |")
    said: dict[str, str] = {}
    for line in rest.partition("\n\n")[0].splitlines()[2:]:
        techniques, answer = (cell.strip() for cell in line.strip("|").split("|"))
        tactic = ""
        for one in re.split("[,;] ", techniques):
            tactic, _, name = one.rpartition(".") if "." in one else (tactic, "", one)
            said[f"{tactic}.{name}" if tactic else name] = answer
    return said


def found_by(said: dict[str, str]) -> dict[str, str]:
    """The techniques that a table says are found, and by which rule."""
    return {one: answer.strip("`") for one, answer in said.items() if answer.startswith("`")}


def test_each_kind_of_act_in_invictus_is_told_once() -> None:
    """
    2,900 events of an attacker at work: what it made, read, blinded, shared, changed and entered, each told once. The
    roles that it was refused while IAM did not know them yet are none.
    """
    found = judged(real("invictus-aws-dataset", "CloudTrail"))

    assert counts(found) == {
        "attack-tool": 1, "code-changed": 1, "guards-off": 1, "host-entered": 1, "lasting-access": 1,
        "logging-stopped": 1, "secrets-swept": 1, "shared-outside": 1, "stolen-workload": 1, "storage-extortion": 1,
        "weak-sign-in": 1,
    }  # fmt: skip
    assert len({one.root for one in found if one.rule != "weak-sign-in"}) == 1
    events = records("invictus-aws-dataset", "CloudTrail/*.json")
    for rule, call, name in INVICTUS.values():
        [one] = [one for one in found if one.rule == rule]
        made = [event for event in one.events if events[event]["eventName"] == call]
        assert any(name in json.dumps(events[event]["requestParameters"]) for event in made)


def test_the_page_says_what_is_found_in_these_logs() -> None:
    """The tables name each technique that is found, and its rule; all others stand there with a reason."""
    stratus, invictus = told("Stratus Red Team"), told("Invictus' data set")

    assert found_by(stratus) == STRATUS
    assert found_by(invictus) == {technique: rule for technique, (rule, _, _) in INVICTUS.items()}
    assert set(invictus) == {*INVICTUS, *UNFOUND}


@pytest.mark.parametrize(
    ("folder", "pattern", "said"),
    [
        ("invictus-aws-dataset", "CloudTrail/*.json", "Invictus gives {} findings"),
        ("stratus-detonation-logs", "detonation-logs/*.json", "Stratus gives {}"),
    ],
)
def test_the_page_counts_what_is_found_in_these_logs(folder: str, pattern: str, said: str) -> None:
    """How many findings there are, and how many that is for a thousand events, is what the logs give."""
    found = sum(one.rule != "attack-tool" for one in judged(*sorted(real(folder).glob(pattern))))
    events = len(records(folder, pattern))

    assert f"{said.format(found)}, {1000 * found / events:.1f} for a thousand events" in PAGE.read_text()
    assert f"{events:,} events" in PAGE.read_text()


def test_the_page_names_no_technique_that_was_not_run() -> None:
    """Each technique of Stratus' table is a file of its logs."""
    files = real("stratus-detonation-logs", "detonation-logs").glob("*.json")

    assert set(told("Stratus Red Team")) - {"all others"} <= {
        path.stem.removeprefix("aws.") for path in files
    }


def test_each_technique_of_stratus_has_its_finding_and_the_others_none() -> None:
    """
    Labelled attacks: each that is found is found once by its rule, and no other file has a finding, but that the tool
    named itself in its user agent.
    """
    files = sorted(real("stratus-detonation-logs", "detonation-logs").glob("*.json"))
    names = {
        record["eventID"]: path.stem.removeprefix("aws.")
        for path in files
        for record in json.loads(path.read_text())
    }
    found = judged(*files)

    acts = [one for one in found if one.rule != "attack-tool"]

    assert sorted((names[one.events[0]], one.rule) for one in acts) == sorted(STRATUS.items())


def test_the_tool_of_the_attacks_names_itself() -> None:
    """In the files whose calls name Stratus Red Team as their tool, that is a finding of low severity, and no other."""
    files = sorted(real("stratus-detonation-logs", "detonation-logs").glob("*.json"))
    recorded = [(path.stem, record) for path in files for record in json.loads(path.read_text())]
    calls = [(name, record) for name, record in recorded if record["eventName"] != "ConsoleLogin"]
    named = {name for name, record in calls if "stratus-red-team" in record.get("userAgent", "")}
    names = {record["eventID"]: name for name, record in recorded}
    found = [one for one in judged(*files) if one.rule == "attack-tool"]

    assert {one.severity for one in found} == {"low"}
    assert {names[one.events[0]] for one in found} == named


@pytest.mark.parametrize(
    ("folder", "told"),
    [("flaws1-slice-umccr", {}), ("trailscraper", {"weak-sign-in": 1}), ("stevezieglerva", {}),
     ("plaso", {"weak-sign-in": 1})],
)  # fmt: skip
def test_ordinary_logs_are_quiet(folder: str, told: dict[str, int]) -> None:
    """Logs of ordinary days have no finding, but at low severity that somebody was root, or signed in without MFA."""
    found = judged(real(folder))

    assert counts(found) == told
    assert {one.severity for one in found} <= {"low"}
