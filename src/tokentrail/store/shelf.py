"""
The store of a cluster's tables while it links a case: in a folder that all its machines reach, or in the case's bucket.

In a bucket, executors write and read the tables themselves, with the SDK's access, so that Spark needs no access to S3.
The files of a table are those that its writing reported; what failed tries left there is ignored.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark import TaskContext
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import broadcast
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

from tokentrail.errors import CaseError
from tokentrail.events.columns import TABLES
from tokentrail.store.errands import InBucket, heard, leaving
from tokentrail.store.interface import Bucket, Snapshot
from tokentrail.store.keys import part_key
from tokentrail.store.uploading import each

_ENDED = (Py4JNetworkError, ConnectionError)
FAILED = (PySparkException, Py4JError, ConnectionError)
"""What a session raises: the second is of errors that Spark has no name for, such as a job that was given up; the last
where its Java ended, as where memory ran out."""
_KEPT = "What was read is kept, and is linked when the case is asked."
_CALLING = re.compile(r"An error occurred while calling [^\n]+\n: ([^\n]+)")
_NAMED = re.compile(r"\[[A-Z][A-Z0-9_]+(?:\.[A-Z0-9_]+)*\] [^\n]+")
"""A condition of Spark's, and what it says of it."""
_BLOCK = 1 << 20
"""Bytes of a group of rows in what answers are read from: few are read for a few rows."""
_TOLD = "part int, file string, rows long, bytes long"
"""What the driver is told of each part of a table."""
_SENT = "spark.sql.{}autoBroadcastJoinThreshold"
"""Bytes of a table up to which it is sent to all executors, rather than all be sorted by what they are joined on."""
_FEW_ROWS, _FEW_BYTES = 100_000, 4 << 20
"""What a table holds at most that is sent to all executors from the beginning."""
_AT_ONCE = 16
"""Files that are fetched together, and lie on an executor's disk until they are read."""


class Shelf(Protocol):
    """Keeps tables by name for the statements of linking."""

    def segments(self, snapshot: Snapshot) -> None:
        """Add the tables of a case's segments."""

    def has(self, name: str) -> bool:
        """Whether there is a table of that name."""

    def table(self, name: str, wanted: Set[str] | None) -> DataFrame:
        """A table, with these of its columns at least; with all of them by default."""

    def keep(self, name: str, found: DataFrame) -> None:
        """Write a table, so that a lost executor loses nothing, and numbers that were given stay the same."""

    def forget(self, name: str) -> None:
        """Remove a table."""

    def deliver(self, found: DataFrame, path: Path) -> None:
        """Write rows, in their order, to a folder of Parquet files that this process reaches."""

    def explained(self) -> AbstractContextManager[None]:
        """
        Turn errors of Spark into ours.

        Raises:
            CaseError: a query failed.
            OSError: a disk is full.
        """

    def close(self) -> None:
        """Remove all."""


class FolderShelf:
    """In a folder, as Spark itself writes and reads it."""

    def __init__(self, session: SparkSession, scratch: Path) -> None:
        self._session = session
        self._scratch = scratch
        self._tables: dict[str, DataFrame] = {}

    def segments(self, snapshot: Snapshot) -> None:
        """Add the tables of a case's segments."""
        for name, columns in TABLES.items():
            schema = from_arrow_schema(columns)
            files = [str(one.resolve() / f"{name}.parquet") for one in snapshot.folders.values()]
            found = self._session.read.schema(schema).parquet(*files) if files else None
            self._tables[name] = found or self._session.createDataFrame([], schema)

    def has(self, name: str) -> bool:
        """Whether there is a table of that name."""
        return name in self._tables

    def table(self, name: str, wanted: Set[str] | None) -> DataFrame:
        """A table with all its columns: Spark sees for itself which it reads."""
        del wanted
        return self._tables[name]

    def keep(self, name: str, found: DataFrame) -> None:
        """Write a table, and read it again."""
        path = str(self._scratch / name)
        found.write.mode("overwrite").parquet(path)
        self._tables[name] = self._session.read.schema(found.schema).parquet(path)

    def forget(self, name: str) -> None:
        """Remove a table."""
        self._tables.pop(name, None)
        shutil.rmtree(self._scratch / name, ignore_errors=True)

    def deliver(self, found: DataFrame, path: Path) -> None:
        """Write rows, in their order."""
        found.write.mode("overwrite").option("parquet.block.size", _BLOCK).parquet(str(path))

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors into ours, with Spark's words."""
        try:
            yield
        except FAILED as error:
            see_room(error)
            raise CaseError(f"a query on the case failed: {in_short(error)}. {_KEPT}") from error

    def close(self) -> None:
        """Remove all."""
        shutil.rmtree(self._scratch, ignore_errors=True)


class _Kept(NamedTuple):
    schema: pa.Schema
    files: Sequence[str]
    small: bool = False


class BucketShelf:
    """In the bucket that the case lies in, below the names of one job's errands."""

    def __init__(self, session: SparkSession, place: InBucket) -> None:
        self._session = session
        self._place = place
        self._tables: dict[str, _Kept] = {}
        asked = str(session.conf.get("spark.sql.shuffle.partitions"))
        self._tasks = max(session.sparkContext.defaultParallelism, int(asked) if asked.isdigit() else 0)
        """That read one table at most: of many files, each reads several."""
        # Of what Python reads, Spark takes the numbers of files for all there is, and would send whole tables of
        # events: it is told what is small, and else goes by what it has seen.
        up_to = str(session.conf.get(_SENT.format("")))
        session.conf.set(_SENT.format("adaptive."), up_to)
        session.conf.set(_SENT.format(""), "-1")
        self._sends = not up_to.startswith("-")

    def segments(self, snapshot: Snapshot) -> None:
        """Add the tables of a case's segments."""
        for name, columns in TABLES.items():
            schema = to_arrow_schema(from_arrow_schema(columns))  # as Spark knows them, without dictionaries
            self._tables[name] = _Kept(schema, [part_key(segment, name) for segment in snapshot.folders])

    def has(self, name: str) -> bool:
        """Whether there is a table of that name."""
        return name in self._tables

    def table(self, name: str, wanted: Set[str] | None) -> DataFrame:
        """A table with the columns that are wanted, as Spark can't see that it needs no more of what others read."""
        schema, files, small = self._tables[name]
        columns = [one for one in schema if wanted is None or one.name in wanted] or [schema.field(0)]
        tasks = min(len(files), self._tasks) or 1
        read = partial(_read, self._place, files, tasks, pa.schema(columns))
        numbers = self._session.range(0, tasks, 1, tasks)
        found = numbers.mapInArrow(read, from_arrow_schema(pa.schema(columns)))
        return broadcast(found) if small and self._sends else found

    def keep(self, name: str, found: DataFrame) -> None:
        """Write a table, a file each part."""
        told = self._written(found, name)
        small = (
            sum(one["rows"] for one in told) <= _FEW_ROWS and sum(one["bytes"] for one in told) <= _FEW_BYTES
        )
        self._tables[name] = _Kept(to_arrow_schema(found.schema), [one["file"] for one in told], small)

    def _written(self, found: DataFrame, name: str) -> list[dict[str, Any]]:
        """Write a table; what is told of its parts, in their order."""
        put = partial(_put, self._place, f"{self._place.prefix}{name}/")
        told: list[dict[str, Any]] = found.mapInArrow(put, _TOLD).toArrow().sort_by("part").to_pylist()
        return told

    def forget(self, name: str) -> None:
        """Remove a table."""
        self._place.bucket.remove(self._tables.pop(name).files)

    def deliver(self, found: DataFrame, path: Path) -> None:
        """Write rows, in their order, and fetch them."""
        path.mkdir(mode=0o700)
        files = [one["file"] for one in self._written(found, path.stem)]
        paths = [path / f"part-{number:06}.parquet" for number in range(len(files))]
        for _ in fetched(self._place.bucket, files, paths):
            pass
        if not files:
            pq.write_table(to_arrow_schema(found.schema).empty_table(), path / "part-000000.parquet")
        self._place.bucket.remove(files)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn errors into ours, with the words of the executor in which they happened."""
        try:
            with heard(self._place, FAILED):
                yield
        except FAILED as error:
            see_room(error)
            raise CaseError(
                f"a query on the case failed, or the cluster's executors do not reach {self._place.where}: "
                f"{in_short(error)}. {_KEPT}"
            ) from error

    def close(self) -> None:
        """Remove all."""
        self._place.end()


def _read(
    place: InBucket, files: Sequence[str], tasks: int, schema: pa.Schema, numbers: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Read every so many-th file of a table, in an executor."""
    with leaving(place), TemporaryDirectory(prefix="tokentrail-") as scratch:
        for number in (int(one) for batch in numbers for one in batch.column(0).to_numpy()):
            mine = files[number::tasks]
            for start in range(0, len(mine), _AT_ONCE):
                some = mine[start : start + _AT_ONCE]
                paths = [Path(scratch, f"{at}.parquet") for at in range(len(some))]
                for key, path, _ in zip(some, paths, fetched(place.bucket, some, paths), strict=True):
                    yield from _rows(f"{place.bucket.uri}/{key}", path, schema)
                    path.unlink()


def _rows(where: str, path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """
    The rows of a file, with the columns of a schema.

    Raises:
        CaseError: it can't be read, or has others.
    """
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=schema.names):
                yield from pa.Table.from_batches([batch]).select(schema.names).cast(schema).to_batches()
    except (pa.ArrowException, LookupError, ValueError, OSError) as error:
        raise CaseError(
            f"{where}: is damaged ({error}). Run the same command again; if it stays so, remove the manifest of its "
            "segment and ingest its logs again."
        ) from error


def fetched(bucket: Bucket, files: Sequence[str], paths: Sequence[Path]) -> Iterator[None]:
    """
    Fetch files, several at a time.

    Raises:
        CaseError: one of them is not there.
    """
    for key, found in zip(files, each(bucket.fetch, files, paths), strict=True):
        if not found:
            raise CaseError(f"{bucket.uri}/{key}: is gone. Run the same command again.")
        yield


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


def _put(place: InBucket, prefix: str, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Put a part of a table into the bucket, in an executor; each try at it under a name of its own."""
    context = TaskContext.get()
    assert context is not None
    part = context.partitionId()
    with leaving(place), TemporaryDirectory(prefix="tokentrail-") as scratch:
        path, writer, rows = Path(scratch, "part.parquet"), None, 0
        for batch in batches:
            rows += batch.num_rows
            writer = writer or pq.ParquetWriter(path, batch.schema, compression="zstd")
            writer.write_batch(batch)
        if writer is not None:
            writer.close()
            file = f"{prefix}{part:06}-{secrets.token_hex(8)}.parquet"
            place.bucket.put(file, path)
            told: list[pa.Array[Any]] = [pa.array([part], pa.int32()), pa.array([file])]
            told += [pa.array([rows]), pa.array([path.stat().st_size])]
            yield pa.RecordBatch.from_arrays(told, ["part", "file", "rows", "bytes"])
