"""Real evidence, where it lies beside the project: nothing lost, nothing invented."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evidence import REAL, real
from tokentrail import Case, Credential
from tokentrail.results import IngestSummary
from work import some


@pytest.fixture(name="case")
def _case(tmp_path: Path) -> Iterator[Case]:
    with Case.open(tmp_path / "case") as case:
        yield case


def ingested(case: Case, *parts: str) -> IngestSummary:
    return case.ingest([str(real(*parts))], workers=1)


def kinds(case: Case) -> dict[str, int]:
    return dict(Counter(one.kind for one in case.credentials()))


INVICTUS = ("invictus-aws-dataset", "CloudTrail")


def test_all_of_invictus_is_read(case: Case) -> None:
    """2,900 records, none rejected, none repeated."""
    summary = ingested(case, *INVICTUS)

    assert (55, 2900, 2900, 0, 0) == (
        summary.objects.read, summary.records.read, summary.records.new, summary.records.repeated, summary.records.rejected,
    )  # fmt: skip
    assert () == summary.rejected
    assert {
        "service_role": 26,
        "assumed_role": 10,
        "forwarded": 8,
        "long_term_key": 5,
        "console_session": 4,
    } == kinds(case)


def test_invictus_holds_no_session_token(case: Case) -> None:
    """All 563 events of IAMUser with an ASIA key are a console session's or a forwarded call's; none is invented."""
    records = [
        record
        for path in real(*INVICTUS).glob("*.json")
        for record in json.loads(path.read_text())["Records"]
    ]
    temporary: list[dict[str, Any]] = [
        one["userIdentity"] for one in records
        if one["userIdentity"].get("type") == "IAMUser" and str(one["userIdentity"].get("accessKeyId")).startswith("ASIA")
    ]  # fmt: skip
    ingested(case, *INVICTUS)
    rows: list[Credential] = list(case.credentials())
    holders = {key: one for one in rows for key in one.access_key_ids}

    assert 563 == len(temporary)
    assert {"console_session", "forwarded"} == {holders[one["accessKeyId"]].kind for one in temporary}
    assert not [one for one in rows if one.kind in ("session_token", "unknown")]
    users = {one["principalId"] for one in temporary}
    assert 563 == sum(
        one.events
        for one in rows
        if one.kind in ("console_session", "forwarded") and one.principal_id in users
    )


def test_every_event_of_invictus_with_a_caller_is_counted_once(case: Case) -> None:
    """Events over all credentials are the distinct records that name a credential as caller."""
    records = [
        record
        for path in real(*INVICTUS).glob("*.json")
        for record in json.loads(path.read_text())["Records"]
    ]
    named = {
        one["eventID"] for one in records
        if one["userIdentity"].get("accessKeyId") or "creationDate" in json.dumps(one["userIdentity"])
    }  # fmt: skip
    ingested(case, *INVICTUS)

    assert len(named) == sum(one.events for one in case.credentials())


STRATUS = {
    "credential-access.ec2-get-password-data": (34, 3), "credential-access.ec2-steal-instance-credentials": (45, 2),
    "credential-access.secretsmanager-batch-retrieve-secrets": (5, 1), "credential-access.secretsmanager-retrieve-secrets": (21, 1),
    "credential-access.ssm-retrieve-securestring-parameters": (10, 1), "defense-evasion.cloudtrail-delete": (1, 1),
    "defense-evasion.cloudtrail-event-selectors": (1, 1), "defense-evasion.cloudtrail-stop": (1, 1),
    "defense-evasion.dns-delete-logs": (1, 1), "defense-evasion.organizations-leave": (3, 3),
    "defense-evasion.vpc-remove-flow-logs": (1, 1), "discovery.ec2-download-user-data": (19, 3),
    "execution.ec2-launch-unusual-instances": (3, 3), "execution.ec2-user-data": (35, 1), "execution.ssm-send-command": (56, 1),
    "execution.ssm-start-session": (29, 1), "exfiltration.ec2-security-group-open-port-22-ingress": (1, 1),
    "exfiltration.ec2-share-ami": (1, 1), "exfiltration.ec2-share-ebs-snapshot": (1, 1), "exfiltration.rds-share-snapshot": (1, 1),
    "impact.bedrock-invoke-model": (15, 1), "initial-access.console-login-without-mfa": (1, 1),
    "lateral-movement.ec2-instance-connect": (3, 1), "lateral-movement.ec2-serial-console-send-ssh-public-key": (4, 1),
    "persistence.iam-backdoor-role": (1, 1), "persistence.iam-backdoor-user": (1, 2), "persistence.iam-create-admin-user": (3, 2),
    "persistence.iam-create-backdoor-role": (2, 1), "persistence.iam-create-user-login-profile": (3, 1),
    "persistence.lambda-backdoor-function": (1, 1), "persistence.lambda-layer-extension": (1, 1),
    "persistence.lambda-overwrite-code": (1, 1), "persistence.rolesanywhere-create-trust-anchor": (2, 1),
    "persistence.sts-federation-token": (2, 2), "privilege-escalation.iam-update-user-login-profile": (1, 1),
}  # fmt: skip
"""Records and credentials of each log: techniques that make a key or token show one credential more."""


@pytest.mark.parametrize("technique", some(STRATUS, 2))
def test_a_stratus_log_is_read_whole(case: Case, technique: str) -> None:
    """Each labelled attack: all records, none rejected, and its credentials."""
    summary = ingested(case, "stratus-detonation-logs", "detonation-logs", f"aws.{technique}.json")

    assert () == summary.rejected
    assert STRATUS[technique] == (summary.records.new, len(list(case.credentials())))


def test_the_table_of_stratus_logs_is_complete() -> None:
    """No log of the collection is left out."""
    folder = real("stratus-detonation-logs", "detonation-logs")

    assert set(STRATUS) == {
        path.name.removeprefix("aws.").removesuffix(".json") for path in folder.glob("*.json")
    }


def test_stratuss_federation_token_is_found(case: Case) -> None:
    """GetFederationToken and its console session hang below the key that asked."""
    ingested(case, "stratus-detonation-logs", "detonation-logs", "aws.persistence.sts-federation-token.json")
    found = {one.kind: one for one in case.credentials()}

    assert {"long_term_key", "federation_token"} == set(found)
    assert (found["long_term_key"].id, "recorded") == (
        found["federation_token"].parent,
        found["federation_token"].parent_link,
    )


@pytest.mark.parametrize(
    "name", ["1_0", "1_01", "1_02", "1_03", "1_04", "1_05", "1_06", "1_07", "1_08", "1_09", "1_10", "1_11", "idc", "federated", "discard_kms_crypto"]
)  # fmt: skip
def test_every_event_version_is_read(case: Case, name: str) -> None:
    """Records of versions 1.0 to 1.11 come in without rejection."""
    summary = ingested(case, "umccr-event-version-examples", "examples", f"{name}.json")

    assert 0 < summary.records.read
    assert [] == [one for one in summary.rejected if one.field is None]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("assume_root_and_use.aws-docs.json", {"root_session": 1}),
        (
            "saml_webidentity.aws-docs.comma-repaired.json",
            {"assumed_role_saml": 1, "assumed_role_web_identity": 1},
        ),
        ("aws_login_createoauth2token.aws-blog-2025.json", {"assumed_role": 1}),
        ("mcp_oauth_signinsessionarn.aws-docs-2026.json", {"assumed_role": 1}),
    ],
)
def test_rare_events_from_the_documentation(case: Case, name: str, expected: dict[str, int]) -> None:
    """AssumeRoot, federation and sign-in grants as AWS documents them."""
    summary = ingested(case, "transcribed-rare-events", name)

    assert () == summary.rejected
    assert expected == kinds(case)


def test_the_documented_root_session_is_found_by_its_key(case: Case) -> None:
    """AssumeRoot without a caller still names key, member account and expiry, and the use is the session's."""
    ingested(case, "transcribed-rare-events", "assume_root_and_use.aws-docs.json")
    root = next(case.credentials(kind="root_session"))

    assert ("222222222222", "not_in_evidence", 1) == (root.account, root.origin, root.events)
    assert "2024-10-25T21:07:11+00:00" == (root.expires_at.isoformat() if root.expires_at else None)


def test_plasos_lookup_lines_are_read(case: Case) -> None:
    """LookupEvents output, a line an event."""
    summary = ingested(case, "plaso", "jsonl", "aws_cloudtrail.jsonl")

    assert (6, 0) == (summary.records.new, summary.records.rejected)
    assert {"console_session": 1} == kinds(case)


def test_an_organisations_tree_is_walked(case: Case) -> None:
    """Files and gzip files of several accounts and regions."""
    summary = ingested(case, "flaws1-slice-umccr", "AWSLogs", "o-abcd")

    assert (5, 184, 1, 0) == (
        summary.objects.read,
        summary.records.new,
        summary.records.repeated,
        summary.records.rejected,
    )
    assert {"811596193553"} == {one.account for one in case.credentials()}


@pytest.mark.parametrize(
    ("folder", "new"), [(("trailscraper", "cloudtrail"), (2, 2)), (("stevezieglerva", "trail"), (5, 4))]
)
def test_json_and_its_gzip_are_repeats(case: Case, folder: tuple[str, ...], new: tuple[int, int]) -> None:
    """The same events, plain and compressed, are new once; a record out of a search engine is one more."""
    summary = ingested(case, *folder)

    assert new == (summary.records.new, summary.records.repeated)


def test_digests_are_skipped_by_name(case: Case) -> None:
    """A digest file holds no records and says so; a record that Elasticsearch kept is read."""
    summary = ingested(case, "stevezieglerva", "trail")

    assert 2 == summary.objects.skipped
    assert ["digest"] * 2 == [
        "digest" for one in summary.skipped if "Digest" in one.object and "digest" in one.reason
    ]
    assert () == summary.rejected


def test_all_real_evidence_in_one_case_is_the_same_in_any_order(tmp_path: Path) -> None:
    """Everything at once, forwards and backwards, gives the same credentials."""
    if not REAL.exists():
        pytest.skip(f"the real evidence is not at {REAL}")
    paths = sorted(str(path) for path in REAL.rglob("*.json*") if "cwe" not in str(path))
    found = []
    for name, order in (("forwards", paths), ("backwards", paths[::-1])):
        with Case.open(tmp_path / name) as case:
            case.ingest(order, workers=1)
            found.append(list(case.credentials()))

    assert found[0] == found[1]
    assert 100 < len(found[0])


def test_each_credential_of_invictus_is_traced_and_some_are_contained(case: Case) -> None:
    """Whatever an account went through within a day, no question about any of its credentials ends as a fault."""
    ingested(case, *INVICTUS)
    ids = [one.id for one in case.credentials()]
    for one in ids:
        assert one in [found.id for found in case.trace([one]).credentials]
    for one in ids[::9]:
        assert {one} <= set(case.contain([one]).tainted)
        assert {one} <= set(case.contain([one], strategy="surgical").tainted)
        case.guard([one])
