"""
Tasks on a Spark cluster, such as reading log files into segments: each is done by whichever executor is free.

What goes there and comes back passes through the case, beside Spark itself (`task_exchange`).
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from tokentrail import __version__
from tokentrail.errors import SourceError, UsageError
from tokentrail.events.columns import SCHEMA_VERSION
from tokentrail.store.task_exchange import (
    TaskExchange,
    leaving_errors,
    name_of,
    raising_left_errors,
    read_checked,
)
from tokentrail.store.uploading import each

_LACKING = re.compile(r"ModuleNotFoundError: No module named '(\w+)")
"""What Python says on an executor that lacks TokenTrail, or something that it needs."""
_OTHER = re.compile(r"Python in worker has different version:? (\S+) than that in driver:? ([^\s,]+)")
"""What Spark says where executors' Python is of another minor version."""
_NO_PROGRAM = re.compile(r'Cannot run program "([^"\n]+)"')
_UNREACHED = re.compile(r"tokentrail\.errors\.CaseError: (s3://[^\n]*: could not be [^\n]*)")
"""What an executor raises that does not reach the bucket, and so can't leave its words there."""
_JOBS = 2
"""Jobs of tasks that are under way at a time."""
_TASKS, _MOST_TASKS = 8, 2_000
"""Tasks of a job for each core, and at most."""
_SMALL = 100_000
"""Bytes up to which an answer comes by Spark itself, which takes a gigabyte of them for a job by default."""
FAILED = (PySparkException, Py4JError, ConnectionError)
"""What a session raises: the second is of errors that Spark has no name for, such as a job that was given up; the last
where its Java ended, as where memory ran out."""
_ENDED = (Py4JNetworkError, ConnectionError)
_CALLING = re.compile(r"An error occurred while calling [^\n]+\n: ([^\n]+)")
_NAMED = re.compile(r"\[[A-Z][A-Z0-9_]+(?:\.[A-Z0-9_]+)*\] [^\n]+")
"""A condition of Spark's, and what it says of it."""


def run_tasks(
    session: SparkSession, payloads: Sequence[bytes], place: TaskExchange, work: Callable[[bytes], bytes]
) -> Iterator[bytes]:
    """
    Do work on each of many payloads, a task each, wherever there is room; yields what came of them, in their order.

    Some tasks for each of the cluster's cores are a job: Spark itself would yield answers one by one only if no more
    than two tasks ran at a time (`toLocalIterator`). The next job runs beside, so that nobody waits for the last ones.

    Args:
        session: The cluster.
        payloads: What to do; they reach executors through `place`.
        place: What all executors reach.
        work: Must pickle.

    Raises:
        TokenTrailError: work raised it each time that Spark tried; so does an `OSError`, in the same words.
        SourceError: what did the work was lost.
    """
    place.begin()
    try:
        names = [name_of(one) for one in payloads]
        for _ in each(place.leave, names, payloads):
            pass
        running: deque[Future[list[dict[str, Any]]]] = deque()
        with (
            raising_left_errors(place, FAILED),
            ThreadPoolExecutor(_JOBS) as pool,
            _cancelled(session) as tag,
        ):
            while names or running:
                while names and len(running) < _JOBS:
                    cores = session.sparkContext.defaultParallelism  # grows with the cluster
                    many = min(max(_TASKS * cores, 1), _MOST_TASKS)
                    some, names = names[:many], names[many:]
                    running.append(pool.submit(_job, session, tag, some, place, work))
                for row in running.popleft().result():
                    yield row["done"] if row["left"] is None else read_checked(place, row["left"])
    except FAILED as failed:
        see_room(failed)
        raise SourceError(
            f"{_why(str(failed), place.where)} What was read is kept; run the same ingest again to go on."
        ) from failed
    finally:
        place.end()


def _why(failed: str, where: object) -> str:
    """Why a task came to nothing, as far as Spark tells."""
    lacking = _LACKING.search(failed)
    if lacking:
        return (
            f"The executors' Python has no {lacking[1]}: install TokenTrail there, or name a Python that has it before "
            "the session starts (PYSPARK_PYTHON, or spark.pyspark.python)."
        )
    if other := _OTHER.search(failed):
        return (
            f"The executors' Python is {other[1]}, this one is {other[2]}: name one of the same version before the "
            "session starts (PYSPARK_PYTHON, or spark.pyspark.python)."
        )
    if absent := _NO_PROGRAM.search(failed):
        return f"Executors can't start {absent[1]}, which PYSPARK_PYTHON or spark.pyspark.python names."
    if unreached := _UNREACHED.search(failed):
        return f"An executor does not reach the case: {unreached[1]}"
    if "PermissionError: [Errno 13]" in failed:
        return (
            f"Executors may not write to {where}, which is for its owner alone: have them run as the same user, or put "
            "the case into a bucket."
        )
    return f"Spark lost what did a task (out of memory?), or its executors do not reach {where}."


@contextmanager
def _cancelled(session: SparkSession) -> Iterator[str]:
    """A tag for jobs, which are given up if something fails meanwhile: else one would be waited for to its end."""
    tag = f"tokentrail-{secrets.token_hex(8)}"
    try:
        yield tag
    except BaseException:
        with suppress(Exception):  # what failed is told, also where Spark itself is gone
            session.sparkContext.cancelJobsWithTag(tag)
        raise


def _job(
    session: SparkSession, tag: str, names: Sequence[str], place: TaskExchange, work: Callable[[bytes], bytes]
) -> list[dict[str, Any]]:
    """Do work on what was left under some names, a task each: what was `done`, or the name under which it is `left`."""
    here = f"{__version__} (columns of version {SCHEMA_VERSION})"

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import tokentrail  # the executor's, as this function goes there as it stands here
        from tokentrail.events import columns

        with leaving_errors(place):
            if (there := f"{tokentrail.__version__} (columns of version {columns.SCHEMA_VERSION})") != here:
                raise UsageError(
                    f"The executors' Python has TokenTrail {there}, and this one is {here}: install the same there, as "
                    "another may read records otherwise."
                )
            for batch in batches:
                done = [work(read_checked(place, names[int(one)])) for one in batch.column("id").to_numpy()]
                left = [name_of(one) if len(one) > _SMALL else None for one in done]
                for name, one in zip(left, done, strict=True):
                    if name is not None:
                        place.leave(name, one)
                sent = [one if name is None else None for name, one in zip(left, done, strict=True)]
                yield pa.RecordBatch.from_pydict(
                    {"done": pa.array(sent, pa.binary()), "left": pa.array(left, pa.string())}
                )

    session.sparkContext.addJobTag(tag)  # of this thread, which is the pool's
    tasks = session.range(0, len(names), 1, len(names))
    found: list[dict[str, Any]] = tasks.mapInArrow(run, "done binary, left string").toArrow().to_pylist()
    return found


def see_room(failed: Exception) -> None:
    """
    Look whether a disk is full: Spark has no name for that, and says it somewhere below another one.

    Raises:
        OSError: it is; as on one machine.
    """
    for full in (errno.ENOSPC, errno.EDQUOT):
        if os.strerror(full) in str(failed):
            raise OSError(full, os.strerror(full)) from failed


def in_short(error: Exception) -> str:
    """What an error says, without a hundred lines of stack: what Spark has a name for, else how Java begins."""
    if isinstance(error, _ENDED):
        return "Spark itself ended"
    text = str(error).strip()
    if named := _NAMED.search(text):
        return named[0].rstrip(". ")
    begin = _CALLING.match(text)
    return (begin[1] if begin else " ".join(text.split("\n", 2)[:2])).rstrip(". ")
