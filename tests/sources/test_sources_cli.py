"""The command line on evidence in AWS: options, output, exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cloud_cases import BUCKET, Cloud, Refusal, Request
from history_cases import History
from notary_cases import Notary, with_keys

from evidence import START
from shell import Ran
from tokentrail.sources import lookup
from tokentrail.testing import World


@pytest.fixture(name="notary")
def _notary(cloud: Cloud) -> Notary:
    notary = Notary()
    put(cloud, notary)
    cloud.wire.fault = with_keys
    return notary


def put(cloud: Cloud, notary: Notary) -> None:
    for key, content in notary.objects.items():
        signed = {"signature": notary.signatures[key]} if key in notary.signatures else {}
        cloud.put(key, content, Metadata=signed)


def test_a_bucket_is_read_verified_and_told_of(cloud: Cloud, notary: Notary, run: Callable[..., Ran]) -> None:
    """`ingest`, `verify-logs`, `status`: each says on stdout what it found, as text and JSON."""
    at = ("--endpoint-url", cloud.wire.url)
    read = run("ingest", f"s3://{BUCKET}/", *at, "--since", START.isoformat())
    assert (0, "Objects: 8 read, 0 held already, 1 skipped.") == (read.code, read.out.splitlines()[0])

    verified = run("verify-logs", f"s3://{BUCKET}/", *at)
    assert (0, 1) == (verified.code, verified.out.count("complete  signature"))
    assert "digests: complete, by signature" in run("status").out
    told = json.loads(run("verify-logs", f"s3://{BUCKET}/", *at, "--format", "json").out)
    assert ["complete"] == [one["verdict"] for one in told["periods"]]
    assert ["account", "region", "from", "to"] == list(told["periods"][0])[:4]
    assert (
        "complete, by signature" == json.loads(run("status", "--format", "json").out)["coverage"][0]["digest"]
    )


def test_altered_logs_are_findings(cloud: Cloud, run: Callable[..., Ran]) -> None:
    """Exit code 1, and the file by name."""
    notary = Notary()
    notary.rewrite(notary.logs[0], b"DescribeInstances", b"DescribeNothingAtA")
    put(cloud, notary)
    cloud.wire.fault = with_keys
    ran = run("verify-logs", f"s3://{BUCKET}/", "--endpoint-url", cloud.wire.url, "--format", "csv")

    assert 1 == ran.code
    assert notary.logs[0] in ran.out


def test_a_log_that_no_digest_knows_is_a_finding(
    cloud: Cloud, notary: Notary, run: Callable[..., Ran]
) -> None:
    """Exit code 1 though all that the digests know is whole: somebody may have put it there."""
    forged = notary.logs[2].replace("0000000000000000", "FORGEDFORGEDFORG")
    cloud.put(forged, notary.objects[notary.logs[0]][:-8] + b"\0" * 8)
    at = ("--endpoint-url", cloud.wire.url)
    run("ingest", f"s3://{BUCKET}/", *at, "--since", START.isoformat())
    ran = run("verify-logs", f"s3://{BUCKET}/", *at)

    assert (1, 1) == (ran.code, ran.out.count("complete  signature"))
    assert "no digest of its hour knows it" in " ".join(ran.out.split())


def test_expired_credentials_are_a_plain_error(cloud: Cloud, notary: Notary, run: Callable[..., Ran]) -> None:
    """Exit code 2, one sentence for a person, no traceback, and the next run goes on."""
    cloud.wire.fault = lambda one: (
        Refusal(400, "ExpiredToken") if one.reads and one.key == notary.logs[5] else None
    )
    arguments = ("ingest", f"s3://{BUCKET}/", "--endpoint-url", cloud.wire.url)
    ran = run(*arguments)
    assert 2 == ran.code
    assert ran.err.startswith("Error: s3://logs/AWSLogs/")
    assert "goes on where it stopped" in ran.err

    cloud.wire.fault = lambda _: None
    assert 0 == run(*arguments).code


def test_lost_objects_are_incomplete_evidence_under_strict(
    cloud: Cloud, notary: Notary, run: Callable[..., Ran]
) -> None:
    """Exit code 3 after printing; digests that were passed over are no loss."""
    arguments = ("ingest", f"s3://{BUCKET}/", "--endpoint-url", cloud.wire.url, "--strict")

    def fault(one: Request) -> Refusal | None:
        return Refusal(404, "NoSuchKey") if one.reads and one.key == notary.logs[5] else None

    cloud.wire.fault = fault
    assert 3 == run(*arguments).code
    cloud.wire.fault = lambda _: None
    assert 0 == run(*arguments).code


def test_a_subject_is_for_lookup_events(run: Callable[..., Ran]) -> None:
    """With another source, it would choose nothing, and so is wrong use."""
    assert 2 == run("ingest", "s3://logs/", "--subject", "AKIAIOSFODNN7EXAMPLE").code


def test_names_of_objects_are_made_safe_for_the_terminal(cloud: Cloud, run: Callable[..., Ran]) -> None:
    """A key with escape sequences can't move the cursor."""
    cloud.put("h/\x1b[2Jname", b"no json")
    ran = run("ingest", f"s3://{BUCKET}/h/", "--endpoint-url", cloud.wire.url)

    assert "\x1b" not in ran.out + ran.err
    assert "\\x1b[2Jname" in ran.out


def test_a_key_is_investigated_without_a_trail(
    cloud: Cloud, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`investigate lookup-events: --subject KEY` follows it, and says what was asked."""
    monkeypatch.setattr(lookup, "RATE", 10_000.0)
    world = World(datetime.now(UTC).replace(microsecond=0) - timedelta(days=1))
    ada = world.user("ada")
    child = ada.assumes("Deploy")
    child.calls("ec2:DescribeInstances")
    world.user("bob").calls("ec2:DescribeInstances", count=60)
    History(cloud, world.records())
    ran = run("investigate", "lookup-events:", "--subject", ada.key_id, "--endpoint-url", cloud.wire.url)

    assert ran.code in (0, 1)
    assert child.key_id in ran.out
    assert "Asked by access key" in ran.err
    assert "bob" not in ran.out


def test_the_sdk_s_own_environment_is_used(
    cloud: Cloud, notary: Notary, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint may come from AWS_ENDPOINT_URL_S3, the profile from AWS_PROFILE."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", cloud.wire.url)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")  # the SDK would prefer it
    monkeypatch.setenv("AWS_PROFILE", "reader")
    Path(cloud.folder / "credentials").write_text(
        "[reader]\naws_access_key_id = AKIAREADER\naws_secret_access_key = x\n"
    )

    assert 0 == run("ingest", f"s3://{BUCKET}/").code
    assert all("AKIAREADER" in one.headers["Authorization"] for one in cloud.wire.requests)
