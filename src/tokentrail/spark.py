"""
TokenTrail on Spark, from a notebook or `spark-submit`: the same case, read in and linked by a cluster.

    from tokentrail import Case
    from tokentrail.spark import Cluster

    with Case.open("/mnt/shared/leak-2026-11") as case:
        case.ingest(["s3://my-trail/AWSLogs/"], engine=Cluster(spark))
        trace = case.trace(["AKIA..."])

Executors read the log files themselves, run the same kernel as one machine does, and write the case's own segments;
the case folder, and files that are named by path, must lie where all of them reach them. Linking runs as the same SQL.
What is derived is the case's own Parquet: answers are read from it, by this process or by another machine.

Of a case under `s3://`, executors read each task into a folder of their own and put what came of it into the bucket;
linking reads from there, and puts there what it needs in between. All reach the bucket with the SDK's own access.
"""

from __future__ import annotations

import os
import pickle
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from socket import create_connection
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tokentrail.case.marking import TABLES, Marked, keep, marked
from tokentrail.errors import UsageError
from tokentrail.lineage.grow import ForestSize, grow
from tokentrail.lineage.spread import in_rounds
from tokentrail.store.errands import InBucket, errands
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import Bucket, EvidenceObject, Snapshot, StoredObject
from tokentrail.store.keys import part_key
from tokentrail.store.memory import leave_what_is_loaded
from tokentrail.store.mirror import aside, manifests_in
from tokentrail.store.tasks import Options, Outcome, Task, apart, tasks, work
from tokentrail.store.uploading import upload_segment

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_MISSING = (
    "Spark is not installed. Add it with `pip install 'tokentrail[spark]'`, or '.[spark]' in a clone; it needs Java 17 "
    "or later."
)
_NOT_STARTED = (
    "Spark can't be started: {}. See that Java 17 or later is installed, and that the cluster is one that there is; "
    "what Spark printed may say more."
)
_UNREACHED = (
    "{} can't be reached ({}). See that the cluster runs and that this machine reaches it, or name another one by "
    "--master."
)
_OLD = (
    "This session is of Spark {}, and TokenTrail needs 4.0 or later. Choose a runtime that has it, or read the "
    "evidence without Spark."
)
_CONNECTED = (
    "This session is one of Spark Connect, as serverless Spark has, which shows nothing of its cluster. Run TokenTrail "
    "on the driver of a cluster, or read the evidence without Spark."
)
_STOPPED = "This session was stopped. Start another one, and make a new Cluster of it."
_LOCAL = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "4",
    "spark.log.level": "FATAL",  # an error is raised, and told by whoever caught it
}
"""For a session of our own on this machine; a cluster's own settings stand."""
_SAFE_PATH = "spark.executorEnv.PYTHONSAFEPATH"
_REMOTE = "SPARK_REMOTE"
_MASTER = re.compile(r"[^/@]*:\d{1,5}")
_PATIENCE = 10.0
"""Seconds within which one of a cluster's masters must answer."""
_HERE = re.compile(r"local(\[.*\])?")
_PATTERN = re.compile(r"[*?\[\]{}\\]")
_NO_NAME = (
    "{}: Spark takes *, ?, [, ], {{, }} and \\ in the name of a folder for a pattern of names. Put the case where no "
    "folder above it is called so."
)
_MARKED_AT_ONCE = 50
"""Segments whose names a task marks: of a bucket, they lie on the executor's disk meanwhile, some hundred megabytes."""
_LISTING_TASKS = 1_000
"""Into how many tasks listing is cut at most: a folder of a day is listed sooner than a task begins."""
_SPREAD_FROM = 30_000_000
"""Records from which on linking is spread over the cluster. Its fifty queries take a minute however many machines share
them; one machine links fewer records in that time, within 4 GB."""


class Cluster:
    """A Spark session that reads evidence in and links it: an engine for `Case.ingest`."""

    def __init__(self, session: SparkSession, *, spread_from: int = _SPREAD_FROM) -> None:
        """
        Use a session that there is.

        Args:
            session: As a notebook has it under the name `spark`.
            spread_from: Records of a case from which on the cluster links it; one of fewer is linked by this process.

        Raises:
            UsageError: the session was stopped, is of an older Spark, or one of Spark Connect.
        """
        _see(session)
        self._given = session
        self.spread_from = spread_from

    @property
    def _session(self) -> SparkSession:
        """The session, which may have been stopped since it was given: notebooks end those that idle."""
        _see(self._given)
        return self._given

    @classmethod
    def start(cls, master: str | None = None) -> Cluster:
        """
        Start a session, or find the one that this process has.

        Args:
            master: Such as `local[4]`, `yarn` or `spark://host:7077`; else what Spark is configured with.

        Raises:
            UsageError: Spark is not installed, can't be started or reached, or is asked for by Spark Connect.
        """
        try:
            from pyspark import SparkConf, SparkContext
            from pyspark.sql import SparkSession

            from tokentrail.store.shelf import FAILED, in_short
        except ImportError as error:
            raise UsageError(_MISSING) from error
        if (found := SparkSession.getActiveSession()) is not None:
            return cls(found)
        if _REMOTE in os.environ or (master or "").startswith("sc://"):
            raise UsageError(_CONNECTED)
        try:
            if master is None:  # which Spark itself knows, from its files or from `spark-submit`
                SparkContext._ensure_initialized()
                master = SparkConf().get("spark.master")
            _reach(master or "")
            # Executors start where there may be evidence, and would look for modules there (`store.workers.started`).
            builder = SparkSession.builder.appName("tokentrail").config(_SAFE_PATH, "1")
            if master is not None:
                builder = builder.master(master)
            if master is None or _HERE.fullmatch(master):
                os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
                for name, value in _LOCAL.items():
                    builder = builder.config(name, value)
            return cls(builder.getOrCreate())
        except (*FAILED, OSError) as error:
            raise UsageError(_NOT_STARTED.format(in_short(error))) from error

    def stop(self) -> None:
        """End the session."""
        self._given.stop()

    def elsewhere(
        self, folder: CaseFolder, work: Callable[[Any], Any], things: Sequence[Any]
    ) -> Iterator[Any]:
        """Do work on each of some things, such as listing a folder, in executors; answers come in their order."""
        from tokentrail.store.spark import spread

        if not things:
            return
        many = -(-len(things) // _LISTING_TASKS)
        payloads = [pickle.dumps(things[at : at + many]) for at in range(0, len(things), many)]
        place = errands(folder, "listing")
        for answer in spread(self._session, payloads, place, partial(_each, work)):
            yield from pickle.loads(answer)  # noqa: S301 - our own executor wrote it

    def ingest(
        self,
        folder: CaseFolder,
        objects: Iterable[EvidenceObject],
        *,
        options: Options,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[Outcome]:
        """
        Read objects into the case, a segment a task; yields what became of each as tasks end.

        Raises:
            UsageError: the case's folder has a name that Spark takes for a pattern.
        """
        _named(folder)
        from tokentrail.store.spark import spread

        held, new = apart(objects, folder.snapshot().objects().values())
        yield from held
        listed = list(tasks(new))
        total, done = sum(task.size for task in listed), 0
        case = folder.mirror.bucket if folder.mirror else folder.path.resolve()
        payloads, place = [pickle.dumps(task) for task in listed], errands(folder, "tasks")
        done_by = partial(_done, case, secrets.token_hex(8), options)
        for answer in spread(self._session, payloads, place, done_by):
            size, outcomes = pickle.loads(answer)  # noqa: S301 - our own executor wrote it
            done += size
            if progress:
                progress(done, total)
            yield from outcomes

    def link(self, case: CaseFolder, snapshot: Snapshot, folder: Path) -> ForestSize:
        """
        Derive the forest of all evidence.

        Args:
            case: The case; of one in a bucket, executors read from there what the snapshot holds, and write there.
            snapshot: Its segments.
            folder: Where to, on this machine, which of a case in a folder all others reach.

        Raises:
            UsageError: the case's folder has a name that Spark takes for a pattern.
        """
        _named(case)
        from tokentrail.store.shelf import BucketShelf, FolderShelf
        from tokentrail.store.spark import SparkEngine

        place = errands(case, "linking")
        place.begin()
        if isinstance(place, InBucket):
            engine = SparkEngine(self._session, partial(BucketShelf, place=place))
        else:
            engine = SparkEngine(self._session, partial(FolderShelf, scratch=place.folder))
        try:
            engine.segments(snapshot)
            grown = grow(engine, folder.resolve(), partial(in_rounds, engine))
        finally:
            engine.close()
        keep(folder, snapshot, self._marked(case, snapshot))
        return grown

    def _marked(self, case: CaseFolder, snapshot: Snapshot) -> Iterator[Marked]:
        """Which segments hold which names, some segments a task."""
        from tokentrail.store.spark import spread

        segments = sorted(snapshot.folders)
        payloads = [
            "\n".join(segments[at : at + _MARKED_AT_ONCE]).encode()
            for at in range(0, len(segments), _MARKED_AT_ONCE)
        ]
        bucket = case.mirror.bucket if case.mirror else None
        place = errands(case, "marking")
        for answer in spread(self._session, payloads, place, partial(_mark, bucket or case.path.resolve())):
            yield pickle.loads(answer)  # noqa: S301 - our own executor wrote it


def _see(session: SparkSession) -> None:
    """Refuse a session that can't do what is asked of it, before anything is made for it."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import DataFrame, GroupedData

    try:
        session.sparkContext.defaultParallelism  # noqa: B018 - asks the driver
    except PySparkException as error:
        raise UsageError(_CONNECTED) from error
    except (AttributeError, Py4JError, OSError) as error:  # the last two where its Java ended
        raise UsageError(_STOPPED) from error
    if not (hasattr(DataFrame, "toArrow") and hasattr(GroupedData, "applyInArrow")):
        raise UsageError(_OLD.format(session.version))


def _reach(master: str) -> None:
    """
    Refuse a cluster of Spark's own kind none of whose masters can be reached.

    Spark itself tries for a minute and says that the session was stopped (Spark Standalone Mode, 'Connecting an
    Application to the Cluster': `spark://HOST:PORT`, and with 'High Availability' more of them after commas).

    Raises:
        UsageError: none of them can.
    """
    hosts = master.removeprefix("spark://").split(",")
    if not master.startswith("spark://") or not all(map(_MASTER.fullmatch, hosts)):
        return  # which Spark says by itself
    for host, _, port in (one.rpartition(":") for one in hosts):
        try:
            create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
        except (OSError, OverflowError) as error:
            failed = error
        else:
            return
    raise UsageError(_UNREACHED.format(master, failed)) from failed


def _named(case: CaseFolder) -> None:
    """Refuse a case whose folder has a name that Spark takes for a pattern."""
    if case.mirror is None and _PATTERN.search(str(case.path.resolve())):
        raise UsageError(_NO_NAME.format(case.path.resolve()))


def _each(work: Callable[[Any], Any], payload: bytes) -> bytes:
    """Do some work on several things, in an executor."""
    return pickle.dumps([work(one) for one in pickle.loads(payload)])  # noqa: S301 - our own driver wrote it


def _done(case: Path | Bucket, job: str, options: Options, payload: bytes) -> bytes:
    """Do a task, in an executor: what an earlier attempt at it has published is not read again."""
    from pyspark import TaskContext

    context = TaskContext.get()
    if context is not None and context.attemptNumber() > 0:
        _known.cache_clear()
    task: Task = pickle.loads(payload)  # noqa: S301 - our own driver wrote it
    known = _known(case, job)
    leave_what_is_loaded()
    if isinstance(case, Path):
        return pickle.dumps(work(case, known, options, task))
    with TemporaryDirectory(prefix="tokentrail-") as scratch:
        folder = aside(case, Path(scratch))
        done = work(folder.path, known, options, task)
        for manifest in folder.snapshot().manifests:
            upload_segment(case, folder, manifest)
        return pickle.dumps(done)


def _mark(case: Path | Bucket, payload: bytes) -> bytes:
    """Mark the names of some segments, in an executor."""
    segments = payload.decode().split("\n")
    if isinstance(case, Path):
        return pickle.dumps(marked([case / "segments" / one for one in segments]))
    from tokentrail.store.shelf import fetched

    with TemporaryDirectory(prefix="tokentrail-") as scratch:
        folders = [Path(scratch, one) for one in segments]
        for folder in folders:
            folder.mkdir()
        keys = [part_key(one, table) for one in segments for table in TABLES]
        for _ in fetched(case, keys, [Path(scratch, key.removeprefix("segments/")) for key in keys]):
            pass
        return pickle.dumps(marked(folders))


@lru_cache(maxsize=1)
def _known(case: Path | Bucket, job: str) -> dict[str, StoredObject]:
    """What the case holds, as this process saw it when it first worked for a job."""
    if isinstance(case, Path):
        return CaseFolder.open(case, create=False).snapshot().objects()
    return {one.sha256: one for manifest in manifests_in(case) for one in manifest.objects}
