"""
A case under `s3://` that Spark read in gives the answers of one that this machine did into a folder, byte for byte.

At local[2], where a task is tried twice; the bucket is moto's. Needs Java, and the extra `spark`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from parity_cases import Evidence, everything, names_are_looked_up

from tokentrail import Case
from tokentrail.errors import CaseError, SourceError

if TYPE_CHECKING:
    from tokentrail.spark import Cluster

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java, which is not installed here"),
    pytest.mark.filterwarnings("default"),  # what Spark itself warns of is not ours
]
CASE, EMPTY = "s3://cases/leak", "s3://empty/leak"


class Keys:
    """What a bucket holds, each time that it is asked."""

    def __init__(self, bucket: str) -> None:
        self.bucket, self.client = bucket, boto3.client("s3")
        self.client.create_bucket(Bucket=bucket)

    def __iter__(self) -> Iterator[str]:
        yield from (one["Key"] for one in self.client.list_objects_v2(Bucket=self.bucket).get("Contents", ()))

    def of_jobs(self) -> list[str]:
        return [one for one in self if "/spark/" in one]

    def remove(self) -> None:
        for key in self:
            self.client.delete_object(Bucket=self.bucket, Key=key)
        self.client.close()


@pytest.fixture(name="keys")
def _keys(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    """An empty bucket."""
    monkeypatch.setenv("TOKENTRAIL_MIRRORS", str(tmp_path / "mirrors"))
    found = Keys("empty")
    yield found
    found.remove()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadIn:
    """A case in a bucket that Spark read in, and the folder of this machine's mirror of it."""

    keys: Keys
    mirrors: Path


@pytest.fixture(name="read_in", scope="module")
def _read_in(
    cluster: Cluster, evidence: Evidence, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ReadIn]:
    """A dozen files a task: the first attempt of every other one ends after it gave its segment."""
    import tokentrail.spark

    done, found = tokentrail.spark._run_task, Keys("cases")
    mirrors = tmp_path_factory.mktemp("mirrors")

    def failing(*given: object) -> bytes:
        from pyspark import TaskContext

        answer: bytes = done(*given)
        context = TaskContext.get()
        if context is not None and context.attemptNumber() == 0 and context.partitionId() % 2:
            os._exit(1)
        return answer

    with pytest.MonkeyPatch.context() as patch, Case.open(CASE) as case:
        patch.setenv("TOKENTRAIL_MIRRORS", str(mirrors))
        patch.setattr("tokentrail.store.tasks.TASK_OBJECTS", 12)
        patch.setattr(tokentrail.spark, "_run_task", failing)
        case.ingest([str(evidence.folder)], engine=cluster)
    yield ReadIn(keys=found, mirrors=mirrors)
    found.remove()


@pytest.fixture(name="case")
def _case(read_in: ReadIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    """The case that Spark read in, from the driver's mirror of it."""
    monkeypatch.setenv("TOKENTRAIL_MIRRORS", str(read_in.mirrors))
    with Case.open(CASE) as case:
        yield case


def test_what_spark_reads_into_a_bucket_comes_out_the_same_and_once(
    tmp_path: Path,
    cluster: Cluster,
    evidence: Evidence,
    read_in: ReadIn,
    case: Case,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the driver's mirror and from another machine's; a job that is repeated adds nothing and leaves no file."""
    assert evidence.answers == everything(case)
    manifests = [one for one in read_in.keys if "/manifests/" in one]
    assert 2 < len(manifests)
    assert names_are_looked_up(case)

    again = case.ingest([str(evidence.folder)], engine=cluster)
    assert (0, 0) == (again.objects.read, again.records.new)
    assert manifests == [one for one in read_in.keys if "/manifests/" in one]
    assert not read_in.keys.of_jobs()
    monkeypatch.setenv("TOKENTRAIL_MIRRORS", str(tmp_path / "another"))
    with Case.open(CASE) as there:
        assert evidence.answers == everything(there)
        assert names_are_looked_up(there)


def test_a_task_that_failed_once_loses_and_repeats_nothing(case: Case, evidence: Evidence) -> None:
    """The second attempt finds the segment that the first one gave, and reads nothing again."""
    stored = [one.sha256 for each in case.folder.snapshot().manifests for one in each.objects]

    assert evidence.objects == len(stored) == len(set(stored))


def test_an_error_of_an_executor_is_raised_as_on_one_machine(cluster: Cluster, keys: Keys) -> None:
    """Its kind and words come by way of the bucket, and nothing of it stays there; so for one who was lost."""

    def work(kind: str) -> None:
        if kind == "lost":
            os._exit(1)
        raise CaseError("x") from ValueError("because")

    with Case.open(EMPTY) as case:
        with pytest.raises(CaseError) as found:
            list(cluster.elsewhere(case.folder, work, ["case"]))
        assert "x" == str(found.value)
        assert "because" == str(found.value.__cause__)
        with pytest.raises(
            SourceError, match=r"lost.*do not reach s3://empty/leak\..*run the same ingest again"
        ):
            list(cluster.elsewhere(case.folder, work, ["lost"]))
    assert not keys.of_jobs()
