"""
A case under `s3://` that Spark read in gives the answers of one that this machine did into a folder, byte for byte.

At local[2], where a task is tried twice; the bucket is moto's. Needs Java, and the extra `spark`.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_parity_spark import cluster, drawn, everything, names_are_looked_up

from aws_server import _moto_url  # noqa: F401 - a fixture
from tokentrail import Case
from tokentrail.errors import CaseError, SourceError
from tokentrail.events.columns import EVENTS
from tokentrail.lineage.grow import LINKING_FILES, OUTPUT, listed_in
from tokentrail.store.errands import InBucket, errands
from tokentrail.testing import native
from tokentrail.testing.story import story

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tokentrail.spark import Cluster
    from tokentrail.store.spark import SparkEngine

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
        with mock.patch.object(cluster, "link", wraps=cluster.link) as far:
            case.ingest(logs, engine=cluster)
        assert far.called
        assert expected == everything(case)
        manifests = [one for one in keys if "/manifests/" in one]
        assert 1 < len(manifests)
        assert names_are_looked_up(case)

        again = case.ingest(logs, engine=cluster)
        assert (0, 0) == (again.objects.read, again.records.new)
    assert manifests == [one for one in keys if "/manifests/" in one]
    assert not [one for one in keys if "/spark/" in one]
    monkeypatch.setenv("TOKENTRAIL_MIRRORS", str(tmp_path / "another"))
    with Case.open(CASE) as case:
        assert expected == everything(case)
        assert names_are_looked_up(case)


def test_a_task_that_failed_once_loses_and_repeats_nothing(
    tmp_path: Path, cluster: Cluster, logs: list[str], keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each task's first attempt ends after it gave its segment: the second finds it there, and reads nothing again."""
    import tokentrail.spark

    done = tokentrail.spark._run_task

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
    monkeypatch.setattr(tokentrail.spark, "_run_task", failing)
    monkeypatch.setattr(cluster, "spread_from", 1 << 60)
    with Case.open(CASE) as case:
        case.ingest(logs, engine=cluster)
        stored = [one.sha256 for each in case.folder.snapshot().manifests for one in each.objects]
        assert expected == everything(case)
    assert objects == len(stored) == len(set(stored))


@pytest.fixture(name="engine")
def _engine(cluster: Cluster, logs: list[str], keys: list[str]) -> Iterator[SparkEngine]:
    """What links a case in a bucket, with its evidence."""
    from tokentrail.store.shelf import BucketShelf
    from tokentrail.store.spark import SparkEngine

    with mock.patch.object(cluster, "spread_from", 1 << 60), Case.open(CASE) as case:
        case.ingest(logs, engine=cluster)
        place = errands(case.folder, "linking")
        assert isinstance(place, InBucket)
        made = SparkEngine(cluster._session, partial(BucketShelf, place=place))
        made.segments(case.folder.snapshot())
        yield made
        made.close()
    assert not [one for one in keys if "/spark/" in one]


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


def test_linking_says_what_is_missing_or_damaged_in_the_bucket(engine: SparkEngine, keys: list[str]) -> None:
    """A part of a segment that is cut, another's or gone is named, in the words of the executor that looked at it."""
    client = boto3.client("s3")
    part = next(one for one in keys if one.endswith("/identities.parquet"))
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


def test_small_tables_are_sent_to_all_executors_and_large_ones_are_not(
    cluster: Cluster, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Spark's own settings, which would have it send whatever it holds for small, as what Python reads is held."""
    monkeypatch.setattr("tokentrail.store.shelf._FEW_ROWS", 999)
    from tokentrail.store.shelf import BucketShelf
    from tokentrail.store.spark import SparkEngine

    def shelf(session: SparkSession) -> BucketShelf:
        session.conf.set("spark.sql.autoBroadcastJoinThreshold", "10485760b")
        return BucketShelf(session, place)

    with Case.open(CASE) as case:
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
