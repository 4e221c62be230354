"""
A case under `s3://` that Spark read in gives the answers of one that this machine did into a folder, byte for byte.

At local[2], where a task is tried twice; the bucket is moto's. Needs Java, and the extra `spark`.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from parity_cases import Evidence, everything, names_are_looked_up

from tokentrail import Case
from tokentrail.errors import CaseError, SourceError
from tokentrail.events.columns import EVENTS
from tokentrail.lineage.grow import LINKING_FILES, OUTPUT, listed_in
from tokentrail.store.errands import InBucket, errands

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tokentrail.spark import Cluster
    from tokentrail.store.spark import SparkEngine

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

    def of_errands(self) -> list[str]:
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
    """A case in a bucket that Spark read in and linked, and the folder of this machine's mirror of it."""

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
        with mock.patch.object(cluster, "link", wraps=cluster.link) as far:
            case.ingest([str(evidence.folder)], engine=cluster)
        assert far.called
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
    """From the driver's mirror and from another machine's; a job that is repeated adds nothing and leaves no errand."""
    assert evidence.answers == everything(case)
    manifests = [one for one in read_in.keys if "/manifests/" in one]
    assert 2 < len(manifests)
    assert names_are_looked_up(case)

    again = case.ingest([str(evidence.folder)], engine=cluster)
    assert (0, 0) == (again.objects.read, again.records.new)
    assert manifests == [one for one in read_in.keys if "/manifests/" in one]
    assert not read_in.keys.of_errands()
    monkeypatch.setenv("TOKENTRAIL_MIRRORS", str(tmp_path / "another"))
    with Case.open(CASE) as there:
        assert evidence.answers == everything(there)
        assert names_are_looked_up(there)


def test_a_task_that_failed_once_loses_and_repeats_nothing(case: Case, evidence: Evidence) -> None:
    """The second attempt finds the segment that the first one gave, and reads nothing again."""
    stored = [one.sha256 for each in case.folder.snapshot().manifests for one in each.objects]

    assert evidence.objects == len(stored) == len(set(stored))


@pytest.fixture(name="engine")
def _engine(cluster: Cluster, case: Case, read_in: ReadIn) -> Iterator[SparkEngine]:
    """What links a case in a bucket, with its evidence."""
    from tokentrail.store.shelf import BucketShelf
    from tokentrail.store.spark import SparkEngine

    place = errands(case.folder, "linking")
    assert isinstance(place, InBucket)
    made = SparkEngine(cluster._session, partial(BucketShelf, place=place))
    made.segments(case.folder.snapshot())
    yield made
    made.close()
    assert not read_in.keys.of_errands()


def test_a_table_outlives_what_failed_as_it_was_put(
    engine: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part is put twice, as its first attempt ends after that: it counts once, and nothing of either stays."""
    import tokentrail.store.shelf

    put = tokentrail.store.shelf._put

    def failing(*given: Any) -> Iterator[Any]:
        from pyspark import TaskContext

        yield from put(*given)
        context = TaskContext.get()
        if context is not None and context.attemptNumber() == 0:
            raise ValueError("lost")

    counted = engine.table("SELECT count(*) AS events FROM events")
    assert 100 < counted["events"][0].as_py()
    monkeypatch.setattr(tokentrail.store.shelf, "_put", failing)
    engine.run("CREATE TABLE copied AS SELECT time, name FROM events DISTRIBUTE BY time")
    assert counted == engine.table("SELECT count(*) AS events FROM copied")


def test_what_is_written_for_the_driver_is_in_order_and_whole(engine: SparkEngine, tmp_path: Path) -> None:
    """Of several parts, and of none: its files, by their names, hold the rows of the query in its order."""
    sql = "SELECT event_id, time FROM events ORDER BY time DESC, event_id"
    engine.write(sql, tmp_path / "rows.parquet")
    assert 1 < len(list((tmp_path / "rows.parquet").iterdir()))
    parts = [pq.read_table(one) for one in sorted((tmp_path / "rows.parquet").iterdir())]
    found = pa.concat_tables(parts)
    expected = engine.table(sql)
    assert expected.to_pylist() == found.to_pylist()

    engine.write("SELECT time FROM events WHERE time < 0 ORDER BY time", tmp_path / "none.parquet")
    assert ["time"] == pq.read_table(tmp_path / "none.parquet").column_names


def test_linking_says_what_is_missing_or_damaged_in_the_bucket(engine: SparkEngine, read_in: ReadIn) -> None:
    """A part of a segment that is cut, another's or gone is named, in the words of the executor that looked at it."""
    client = read_in.keys.client
    part = next(one for one in read_in.keys if one.endswith("/identities.parquet"))
    whole = client.get_object(Bucket="cases", Key=part)["Body"].read()
    other = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}), other)
    for content, told in ((whole[:-40], "is damaged"), (other.getvalue(), "is damaged"), (None, "is gone")):
        if content is None:
            client.delete_object(Bucket="cases", Key=part)
        else:
            client.put_object(Bucket="cases", Key=part, Body=content)
        with pytest.raises(CaseError, match=f"^s3://cases/{part}: {told}"):
            engine.run("CREATE TABLE types AS SELECT DISTINCT type FROM identities")
    client.put_object(Bucket="cases", Key=part, Body=whole)


def test_small_tables_are_sent_to_all_executors_and_large_ones_are_not(
    cluster: Cluster, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Spark's own settings, which would have it send whatever it holds for small, as what Python reads is held."""
    monkeypatch.setattr("tokentrail.store.shelf._FEW_ROWS", 999)
    from tokentrail.store.shelf import BucketShelf
    from tokentrail.store.spark import SparkEngine

    def shelf(session: SparkSession) -> BucketShelf:
        session.conf.set("spark.sql.autoBroadcastJoinThreshold", "10485760b")
        return BucketShelf(session, place)

    with Case.open(EMPTY) as case:
        place = errands(case.folder, "linking")
        assert isinstance(place, InBucket)
        engine = SparkEngine(cluster._session, shelf)
        engine.run("CREATE TABLE large AS SELECT id, hash(id) AS k FROM range(0, 1000, 1, 2)")
        engine.run("CREATE TABLE small AS SELECT id, k FROM large WHERE id < 999")
        plans = []
        for other in ("large", "small"):
            found = engine._query(f"SELECT a.id FROM large a JOIN {other} ON {other}.k = a.k")
            plans.append(found._jdf.queryExecution().executedPlan().toString())
        engine.close()
    assert ["SortMergeJoin" in one for one in plans] == [True, False]
    assert ["BroadcastHashJoin" in one for one in plans] == [False, True]
    assert not [one for one in keys if one.startswith(f"leak/{place.prefix}")]


def test_executors_read_the_columns_that_a_statement_names_and_no_others(
    engine: SparkEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also through a view that passes on all: an event has forty, of which few statements need ten."""
    from tokentrail.store.shelf import BucketShelf
    from tokentrail.store.spark import _STAR

    asked: list[set[str]] = []
    table = BucketShelf.table

    def seen(self: BucketShelf, name: str, wanted: Any) -> Any:
        found = table(self, name, wanted)
        asked.append(set(found.columns))
        return found

    monkeypatch.setattr(BucketShelf, "table", seen)
    engine.run("CREATE VIEW facts AS SELECT e.* FROM events e WHERE e.region <> ''")
    engine.run("CREATE VIEW fewer AS SELECT * FROM facts")
    for sql in ("SELECT count(ip) AS many FROM fewer WHERE time > 0", "SELECT f.* FROM facts f LIMIT 1"):
        engine.table(sql)
    assert {"region", "ip", "time"} == asked[0]
    assert set(EVENTS.names) == asked[1]
    whole = [one for one in [*listed_in(["1_reduced", *LINKING_FILES]), *OUTPUT.values()] if "facts" in one]
    assert 2 == len(whole)
    assert not any(map(_STAR.search, whole)), "no statement of linking has all columns of all events read"


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
    assert not keys.of_errands()
