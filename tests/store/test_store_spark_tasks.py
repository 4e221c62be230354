"""What an executor does with a task, without Spark around it."""

from __future__ import annotations

import errno
import itertools
import os
import pickle
from pathlib import Path
from socket import create_server
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from fake_bucket import FakeBucket, Killed

from evidence import START
from tokentrail import Case
from tokentrail.errors import UsageError
from tokentrail.sources import files
from tokentrail.store import mirror
from tokentrail.store.task_exchange import ERROR_SUFFIX, ErrorLeft, FolderExchange, name_of
from tokentrail.store.tasks import Options, tasks
from tokentrail.testing import World, native


@pytest.mark.parametrize(
    ("failed", "told"),
    [
        (
            "worker:\n  ModuleNotFoundError: No module named 'tokentrail'\n SQLSTATE: 38000",
            "Python has no tokentrail:",
        ),
        ("ModuleNotFoundError: No module named 'msgspec.json'", "Python has no msgspec:"),
        (
            "[PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.13 than that in driver: 3.11, PySpark",
            "Python is 3.13, this one is 3.11:",
        ),
        ('java.io.IOException: Cannot run program "/opt/python": error=2', "can't start /opt/python, which"),
        (
            "\ntokentrail.errors.CaseError: s3://cases/leak/spark/x: could not be read (NoCredentials). Set them.\n\nDuring",
            "does not reach the case: s3://cases/leak/spark/x: could not be read (NoCredentials). Set them.",
        ),
        ("PermissionError: [Errno 13] Permission denied: '/x'", "may not write to /shared/leak, which"),
        ("ExecutorLostFailure", "executors do not reach /shared/leak."),
    ],
)
def test_executors_without_tokentrail_are_told_from_lost_ones(failed: str, told: str) -> None:
    """A session of one's own takes whatever Python it finds: what that lacks is named, not memory."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from tokentrail.store.spark_tasks import _why

    assert told in _why(failed, "/shared/leak")


@pytest.mark.parametrize("full", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_as_on_one_machine(tmp_path: Path, full: int) -> None:
    """It was told that an executor had run out of memory: no words of it could be left on the disk."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from pyspark.errors import PySparkException

    from tokentrail.store.spark_tasks import run_tasks

    failed = PySparkException(
        f"Job aborted.\nOSError: [Errno {full}] {os.strerror(full)}\n\nDuring handling of"
    )
    lost: Any = SimpleNamespace(
        sparkContext=SimpleNamespace(cancelJobsWithTag=lambda _: None, defaultParallelism=1)
    )
    with (
        mock.patch("tokentrail.store.spark_tasks._job", side_effect=failed),
        pytest.raises(OSError, match=os.strerror(full)) as found,
    ):
        list(run_tasks(lost, [b"a"], FolderExchange(tmp_path / "job"), bytes))
    assert full == found.value.errno


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("connected", "one of Spark Connect"),
        ("stopped", "was stopped"),
        ("old", "of Spark 3.5.6, and .* needs 4.0"),
    ],
)
def test_a_session_that_cannot_do_it_is_refused_in_words(
    kind: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told that an executor had run out of memory, or ended in a fault of ours, once a case had been begun."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from pyspark.errors import PySparkAttributeError
    from pyspark.sql import DataFrame

    from tokentrail.spark import Cluster

    class Session:
        version = "3.5.6"

        @property
        def sparkContext(self) -> object:  # noqa: N802 - as Spark calls it
            if kind == "connected":
                raise PySparkAttributeError("[JVM_ATTRIBUTE_NOT_SUPPORTED]")
            return SimpleNamespace(defaultParallelism=2) if kind == "old" else None

    if kind == "old":
        monkeypatch.delattr(DataFrame, "toArrow")
    with pytest.raises(UsageError, match=told):
        Cluster(Session())  # type: ignore[arg-type]


@pytest.mark.parametrize("ended", [AttributeError, ConnectionRefusedError, "Py4JNetworkError"])
def test_a_session_that_ended_since_it_was_given_is_said_so(tmp_path: Path, ended: Any) -> None:
    """Notebooks end those that idle: it was a fault of ours, or a connection refused to nobody knows what."""
    protocol = pytest.importorskip("py4j.protocol", reason="the extra `spark` is not installed")
    from tokentrail.spark import Cluster

    raised = getattr(protocol, ended) if isinstance(ended, str) else ended
    session: Any = SimpleNamespace(sparkContext=SimpleNamespace(defaultParallelism=2))
    cluster = Cluster(session)
    session.sparkContext = type(
        "Ended", (), {"defaultParallelism": property(mock.Mock(side_effect=raised))}
    )()
    (tmp_path / "log.json").write_bytes(native(World(START).records()))
    with Case.open(tmp_path / "case") as case, pytest.raises(UsageError, match="was stopped"):
        case.ingest([str(tmp_path / "log.json")], engine=cluster)
    assert ["case.json"] == [one.name for one in (tmp_path / "case").rglob("*") if one.is_file()]


@pytest.mark.parametrize(("master", "ours"), [("spark://host:7077", False), ("local[*]", True)])
def test_a_cluster_that_spark_is_configured_with_keeps_its_settings(
    master: str, ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a session of our own on this machine would take a cluster's own pages away."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from tokentrail.spark import Cluster

    monkeypatch.setenv("PYSPARK_PYTHON", "python3")
    monkeypatch.setattr("tokentrail.spark._check_reachable", lambda _: None)
    given: dict[str, str] = {}
    builder = SimpleNamespace(
        master=lambda _: builder,
        config=lambda name, value: given.update({name: value}) or builder,
        getOrCreate=lambda: SimpleNamespace(sparkContext=SimpleNamespace(defaultParallelism=2)),
    )
    fake = SimpleNamespace(getActiveSession=lambda: None, builder=SimpleNamespace(appName=lambda _: builder))
    monkeypatch.setattr("pyspark.sql.SparkSession", fake)
    monkeypatch.setattr("pyspark.SparkContext", SimpleNamespace(_ensure_initialized=lambda: None))
    monkeypatch.setattr("pyspark.SparkConf", lambda: {"spark.master": master})
    Cluster.start()
    assert ours == ("spark.ui.enabled" in given)


@pytest.mark.parametrize("master", ["spark://{}", "spark://{},{}", "spark://{},127.0.0.1:99999"])
def test_a_cluster_that_is_not_there_is_said_before_spark_looks_for_it(
    master: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark took a minute, printed its stack and said that one can't call methods of what was stopped."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from tokentrail.spark import Cluster, _check_reachable

    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    with create_server(("127.0.0.1", 0)) as there:
        here = f"127.0.0.1:{there.getsockname()[1]}"
        _check_reachable(master.format(here, here))
    with pytest.raises(UsageError, match=rf"^{master.format(here, here)} can't be reached .*--master"):
        Cluster.start(master.format(here, here))


@pytest.mark.parametrize("master", ["local[2]", "yarn", "spark://host", "spark://"])
def test_of_other_clusters_spark_itself_says_what_is_wrong(master: str) -> None:
    """Where they lie does not stand in their names."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from tokentrail.spark import _check_reachable

    with mock.patch("tokentrail.spark.create_connection") as asked:
        _check_reachable(master)

    asked.assert_not_called()


@pytest.mark.parametrize(("remote", "master"), [("sc://host:15002", None), (None, "sc://host:15002")])
def test_spark_connect_is_refused_before_it_is_looked_for(
    remote: str | None, master: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was said that Java or grpcio is missing: whoever installed that was refused all the same."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from tokentrail.spark import Cluster

    monkeypatch.delenv("SPARK_REMOTE", raising=False)
    if remote is not None:
        monkeypatch.setenv("SPARK_REMOTE", remote)
    with pytest.raises(UsageError, match="one of Spark Connect"):
        Cluster.start(master)


def test_what_java_says_is_told_without_its_stack() -> None:
    """Its first line; what py4j says of where it was called from says nothing to anybody."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from py4j.protocol import Py4JError

    from tokentrail.store.spark_tasks import in_short

    said = "An error occurred while calling None.x.Y.\n: org.apache.X: Could not parse Master URL: 'local[2'\n\tat a.B"

    assert "org.apache.X: Could not parse Master URL: 'local[2'" == in_short(Py4JError(said))


def test_executors_with_another_tokentrail_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version may read records otherwise: what it made went into the case without a word."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from tokentrail.store import spark_tasks

    class Session:
        sparkContext = SimpleNamespace(addJobTag=lambda _: None)  # noqa: N815 - as Spark calls it

        def range(self, *_: int) -> Session:
            return self

        def mapInArrow(self, run: Any, _: str) -> Session:  # noqa: N802
            self.run = run
            return self

        def toArrow(self) -> pa.Table:  # noqa: N802
            monkeypatch.setattr("tokentrail.events.columns.SCHEMA_VERSION", 1)
            return pa.Table.from_batches(self.run([pa.record_batch({"id": [0]})]))

    place = FolderExchange(tmp_path / "errands")
    place.begin()
    place.leave(name_of(b"task"), b"task")
    with pytest.raises(ErrorLeft):
        spark_tasks._job(Session(), "tag", [name_of(b"task")], place, bytes)  # type: ignore[arg-type]
    [words] = [one for one in place.names() if one.endswith(ERROR_SUFFIX)]
    assert b"(columns of version 1), and this one is" in place.take(words)


def test_a_task_that_is_done_again_publishes_nothing_twice(tmp_path: Path) -> None:
    """A second attempt finds what the first one published, says so, and adds no segment."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from tokentrail.spark import _known, _run_task

    world = World(START)
    world.user("ada").assumes("Deploy").calls("s3:ListBuckets")
    (tmp_path / "log.json").write_bytes(native(world.records()))
    with Case.open(tmp_path / "case") as case:
        [task] = tasks(files.objects([str(tmp_path / "log.json")]))
        payload = pickle.dumps(task)
        _, [first] = pickle.loads(_run_task(case.path, "job", Options(), payload))
        _known.cache_clear()  # as an attempt after the first does

        _, [second] = pickle.loads(_run_task(case.path, "job", Options(), payload))

        assert [False, True] == [first.repeated, second.repeated]
        assert 1 == len(list((case.path / "manifests").iterdir()))
        assert len(world.records()) == case.status().records


def test_small_objects_of_a_task_that_is_done_again_are_packed_once(tmp_path: Path) -> None:
    """A second attempt finds in the first one's archive what it reads, and leaves no other."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from tokentrail.spark import _known, _run_task

    world = World(START)
    world.user("ada").assumes("Deploy").calls("s3:ListBuckets", count=3)
    logs = tmp_path / "logs"
    logs.mkdir()
    for number, record in enumerate(world.records()):
        (logs / f"{number}.json").write_bytes(native([record]))
    with Case.open(tmp_path / "case") as case:
        [task] = tasks(files.objects([str(logs)]))
        for _ in range(2):
            _run_task(case.path, "job", Options(), pickle.dumps(task))
            _known.cache_clear()  # as an attempt after the first does
        found = [case.record(one.object, one.ordinal)["eventID"] for one in case.timeline(["AKIA"])]

    assert 1 == len(list((tmp_path / "case" / "objects" / "packs").iterdir()))
    assert sorted(one["eventID"] for one in world.records()) == sorted(found)


def test_an_executor_killed_at_any_put_into_a_bucket_loses_and_repeats_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Done again, the task is in the bucket once; what it was read into aside is gone from this machine."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from tokentrail.spark import _known, _run_task

    monkeypatch.setenv("TOKENTRAIL_MIRRORS", str(tmp_path / "mirrors"))
    (tmp_path / "aside").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "aside"))
    world = World(START)
    world.user("ada").assumes("Deploy").calls("s3:ListBuckets")
    (tmp_path / "log.json").write_bytes(native(world.records()))
    [task] = tasks(files.objects([str(tmp_path / "log.json")]))
    for count in itertools.count():
        bucket, killed = FakeBucket(), False
        with Case(mirror.opened(bucket, create=True)) as case:
            bucket.puts_left = count
            try:
                _run_task(bucket, "job", Options(), pickle.dumps(task))
            except Killed:
                killed = True
            bucket.puts_left = None
            _known.cache_clear()  # as an attempt after the first does
            _run_task(bucket, "job", Options(), pickle.dumps(task))
            case.refresh()
            assert len(world.records()) == case.status().records
            assert 1 == len([one for one in bucket.held if one.startswith("manifests/")])
        assert not list((tmp_path / "aside").iterdir())
        if not killed:
            break
    assert 1 + 5 + 1 == count, "evidence, tables, manifest"


def test_without_the_extra_the_message_says_how_to_add_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback: the name of the extra, and that Java is needed."""
    import sys

    from tokentrail.errors import UsageError
    from tokentrail.spark import Cluster

    for name in [one for one in sys.modules if one.partition(".")[0] == "pyspark"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyspark", None)

    with pytest.raises(UsageError, match=r"pip install 'tokentrail\[spark\]'.*Java"):
        Cluster.start()
