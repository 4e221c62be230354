"""
A case under `s3://` that Spark read in gives the answers of one that this machine did into a folder, byte for byte.

At local[2], where a task is tried twice; the bucket is moto's. Needs Java, and the extra `spark`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from test_parity_spark import cluster, drawn, everything

from aws_server import _moto_url  # noqa: F401 - a fixture
from tokentrail import Case
from tokentrail.errors import CaseError, SourceError
from tokentrail.testing import native
from tokentrail.testing.story import story

if TYPE_CHECKING:
    from tokentrail.spark import Cluster

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java, which is not installed here"),
    pytest.mark.filterwarnings("default"),  # what Spark itself warns of is not ours
]
CASE = "s3://cases/leak"
__all__ = ["cluster"]


@pytest.fixture(scope="module", autouse=True)
def _environment(moto_url: str) -> Iterator[None]:
    """What executors reach the bucket by: they have the environment that Spark was started in."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKIARESPONDER0000001", "AWS_SECRET_ACCESS_KEY": "none", "AWS_ENDPOINT_URL": moto_url,
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        yield


@pytest.fixture(name="keys")
def _keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A bucket; answers what it holds, each time that it is asked."""
    monkeypatch.setenv("TOKENTRAIL_MIRRORS", str(tmp_path / "mirrors"))
    client = boto3.client("s3")
    client.create_bucket(Bucket="cases")

    class Keys(list[str]):
        def __iter__(self) -> Iterator[str]:
            yield from (one["Key"] for one in client.list_objects_v2(Bucket="cases").get("Contents", ()))

    yield Keys()
    for key in Keys():
        client.delete_object(Bucket="cases", Key=key)
    client.close()


@pytest.fixture(name="logs")
def _logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The story and some random worlds, some of it twice, some unreadable; a task for each dozen of files."""
    monkeypatch.setattr("tokentrail.store.tasks.TASK_OBJECTS", 12)
    folder = tmp_path / "logs"
    folder.mkdir()
    records = list(story().world.records())
    for number, world in enumerate(drawn(40)):
        records += world.records()
        (folder / f"{number}.json").write_bytes(native(world.records()))
    (folder / "all.json").write_bytes(native(records))
    (folder / "broken.json").write_bytes(b'{"Records":[{"eventVersion":"1.08","eventTime":"never"},7]}')
    return [str(folder)]


def test_what_spark_reads_into_a_bucket_comes_out_the_same_and_once(
    tmp_path: Path, cluster: Cluster, logs: list[str], keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the driver's mirror and from another machine's; a job that is repeated adds nothing and leaves no errand."""
    with Case.open(tmp_path / "local") as local:
        local.ingest(logs, workers=1)
        expected = everything(local)
    with Case.open(CASE) as case:
        summary = case.ingest(logs, engine=cluster)
        assert expected == everything(case)
        assert any("linked by this machine" in one for one in summary.asked)
        manifests = [one for one in keys if "/manifests/" in one]
        assert 1 < len(manifests)

        again = case.ingest(logs, engine=cluster)
        assert (0, 0) == (again.objects.read, again.records.new)
    assert manifests == [one for one in keys if "/manifests/" in one]
    assert not [one for one in keys if "/spark/" in one]
    monkeypatch.setenv("TOKENTRAIL_MIRRORS", str(tmp_path / "another"))
    with Case.open(CASE) as case:
        assert expected == everything(case)


def test_a_task_that_failed_once_loses_and_repeats_nothing(
    tmp_path: Path, cluster: Cluster, logs: list[str], keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each task's first attempt ends after it gave its segment: the second finds it there, and reads nothing again."""
    import tokentrail.spark

    done = tokentrail.spark._done

    def failing(*given: object) -> bytes:
        from pyspark import TaskContext

        answer: bytes = done(*given)
        context = TaskContext.get()
        if context is not None and context.attemptNumber() == 0:
            os._exit(1)
        return answer

    with Case.open(tmp_path / "local") as local:
        local.ingest(logs, workers=1)
        expected, objects = everything(local), local.status().objects
    monkeypatch.setattr(tokentrail.spark, "_done", failing)
    with Case.open(CASE) as case:
        case.ingest(logs, engine=cluster)
        stored = [one.sha256 for each in case.folder.snapshot().manifests for one in each.objects]
        assert expected == everything(case)
    assert objects == len(stored) == len(set(stored))


def test_an_error_of_an_executor_is_raised_as_on_one_machine(cluster: Cluster, keys: list[str]) -> None:
    """Its kind and words come by way of the bucket, and nothing of it stays there; so for one who was lost."""

    def work(kind: str) -> None:
        if kind == "lost":
            os._exit(1)
        raise CaseError("x") from ValueError("because")

    with Case.open(CASE) as case:
        with pytest.raises(CaseError) as found:
            list(cluster.elsewhere(case.folder, work, ["case"]))
        assert "x" == str(found.value)
        assert "because" == str(found.value.__cause__)
        with pytest.raises(
            SourceError, match=r"lost.*do not reach s3://cases/leak\..*run the same ingest again"
        ):
            list(cluster.elsewhere(case.folder, work, ["lost"]))
    assert not [one for one in keys if "/spark/" in one]
