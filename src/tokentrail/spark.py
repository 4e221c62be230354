"""
TokenTrail on Spark, from a notebook or `spark-submit`: the same case, read in by a cluster.

    from tokentrail import Case
    from tokentrail.spark import Cluster

    with Case.open("/mnt/shared/leak-2026-11") as case:
        case.ingest(["s3://my-trail/AWSLogs/"], engine=Cluster(spark))
        trace = case.trace(["AKIA..."])

Executors read the log files themselves, with the same kernel as on one machine, and write the case's own segments. So
the case folder, and files that are named by path, must be where all of them can reach them. This process then links
what was read, as without a cluster: reading takes most of the time, and linking reads a few columns of it.

For a case under `s3://`, executors write the segment of each task into a folder of their own and upload it, with the
SDK's own credentials; this process fetches the segments to link them.
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

from tokentrail.errors import UsageError
from tokentrail.store.folder import CaseFolder
from tokentrail.store.freed_memory import leave_what_is_loaded
from tokentrail.store.interface import Bucket, EvidenceObject, StoredObject
from tokentrail.store.mirror import aside, manifests_in
from tokentrail.store.task_exchange import exchange_for
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
    "spark.log.level": "FATAL",  # an error is raised, and told by whoever caught it
}
"""Settings of a session of our own on this machine; those of a cluster are left as they are."""
_SAFE_PATH = "spark.executorEnv.PYTHONSAFEPATH"
_REMOTE = "SPARK_REMOTE"
_MASTER = re.compile(r"[^/@]*:\d{1,5}")
_TIMEOUT = 10.0
"""Seconds within which one of a cluster's masters must answer."""
_LOCAL_MASTER = re.compile(r"local(\[.*\])?")
_LISTING_TASKS = 1_000
"""Tasks into which listing is divided, at most: listing the folder of a day takes less time than starting a task."""


class Cluster:
    """A Spark session that reads evidence in: an engine for `Case.ingest`."""

    def __init__(self, session: SparkSession) -> None:
        """
        Use an existing session.

        Args:
            session: The session; in notebooks it is called `spark`.

        Raises:
            UsageError: the session was stopped, is of an older Spark, or one of Spark Connect.
        """
        _check_session(session)
        self._given = session

    @property
    def _session(self) -> SparkSession:
        """The session, checked again, since notebooks stop sessions that idle."""
        _check_session(self._given)
        return self._given

    @classmethod
    def start(cls, master: str | None = None) -> Cluster:
        """
        Start a session, or use the active one of this process.

        Args:
            master: The cluster, such as `local[4]`, `yarn` or `spark://host:7077`; by default what Spark is configured
                with.

        Raises:
            UsageError: Spark is not installed, can't be started or reached, or is asked for by Spark Connect.
        """
        try:
            from pyspark import SparkConf, SparkContext
            from pyspark.sql import SparkSession

            from tokentrail.store.spark_tasks import FAILED, in_short
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
            _check_reachable(master or "")
            # Executors start where there may be evidence, and would look for modules there (`store.workers.started`).
            builder = SparkSession.builder.appName("tokentrail").config(_SAFE_PATH, "1")
            if master is not None:
                builder = builder.master(master)
            if master is None or _LOCAL_MASTER.fullmatch(master):
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
        """
        Call a function on each of some things in executors, as for listing folders.

        Args:
            folder: The case.
            work: The function.
            things: The things.

        Returns:
            The results, in the order of the things.
        """
        from tokentrail.store.spark_tasks import run_tasks

        if not things:
            return
        many = -(-len(things) // _LISTING_TASKS)
        payloads = [pickle.dumps(things[at : at + many]) for at in range(0, len(things), many)]
        place = exchange_for(folder, "listing")
        for answer in run_tasks(self._session, payloads, place, partial(_call_on_each, work)):
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
        Read objects into the case, one segment for each task; yields what became of each object as tasks end.

        Args:
            folder: The case.
            objects: The evidence objects.
            options: How to read.
            progress: Called with how many bytes were read, and how many there are.
        """
        from tokentrail.store.spark_tasks import run_tasks

        held, new = apart(objects, folder.snapshot().objects().values())
        yield from held
        listed = list(tasks(new))
        total, done = sum(task.size for task in listed), 0
        case = folder.mirror.bucket if folder.mirror else folder.path.resolve()
        payloads, place = [pickle.dumps(task) for task in listed], exchange_for(folder, "tasks")
        run_task = partial(_run_task, case, secrets.token_hex(8), options)
        for answer in run_tasks(self._session, payloads, place, run_task):
            size, outcomes = pickle.loads(answer)  # noqa: S301 - our own executor wrote it
            done += size
            if progress:
                progress(done, total)
            yield from outcomes


def _check_session(session: SparkSession) -> None:
    """
    Check that a session can be used, before anything is made for it.

    Raises:
        UsageError: it was stopped, is of an older Spark, or one of Spark Connect.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import DataFrame

    try:
        session.sparkContext.defaultParallelism  # noqa: B018 - asks the driver
    except PySparkException as error:
        raise UsageError(_CONNECTED) from error
    except (AttributeError, Py4JError, OSError) as error:  # the last two where its Java ended
        raise UsageError(_STOPPED) from error
    if not hasattr(DataFrame, "toArrow"):
        raise UsageError(_OLD.format(session.version))


def _check_reachable(master: str) -> None:
    """
    Check that some master of a standalone cluster can be reached; addresses of other kinds are left to Spark.

    Otherwise Spark tries for a minute, and then says that the session was stopped. For the form of addresses, see Spark
    Standalone Mode, 'Connecting an Application to the Cluster': `spark://HOST:PORT`, and 'High Availability': several
    after commas.

    Raises:
        UsageError: none of the masters can be reached.
    """
    hosts = master.removeprefix("spark://").split(",")
    if not master.startswith("spark://") or not all(map(_MASTER.fullmatch, hosts)):
        return  # Spark itself says what is wrong with it
    for host, _, port in (one.rpartition(":") for one in hosts):
        try:
            create_connection((host.strip("[]"), int(port)), _TIMEOUT).close()
        except (OSError, OverflowError) as error:
            failed = error
        else:
            return
    raise UsageError(_UNREACHED.format(master, failed)) from failed


def _call_on_each(work: Callable[[Any], Any], payload: bytes) -> bytes:
    """Call a function on several things; runs in an executor."""
    return pickle.dumps([work(one) for one in pickle.loads(payload)])  # noqa: S301 - our own driver wrote it


def _run_task(case: Path | Bucket, job: str, options: Options, payload: bytes) -> bytes:
    """Run a task in an executor. What an earlier attempt at it has published is not read again."""
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


@lru_cache(maxsize=1)
def _known(case: Path | Bucket, job: str) -> dict[str, StoredObject]:
    """The objects that the case held when this process first worked for a job, by their digests."""
    if isinstance(case, Path):
        return CaseFolder.open(case, create=False).snapshot().objects()
    return {one.sha256: one for manifest in manifests_in(case) for one in manifest.objects}
