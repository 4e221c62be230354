"""
Spark behind the store's door: the same linking, over what one machine can't hold.

Each table that a statement makes is written to Parquet and read again, so that what a lost executor takes with it is
made anew from files, and numbers that were given once stay the same. Only the linking runs here: what it derives is
the case's own Parquet, which answers are read from as anywhere.
"""

from __future__ import annotations

import itertools
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from tokentrail.errors import CaseError, SourceError
from tokentrail.events.columns import TABLES
from tokentrail.store.errands import WORDS, Errands, sealed, unsealed
from tokentrail.store.giving import each
from tokentrail.store.interface import Step
from tokentrail.store.schedule import run_in_turn
from tokentrail.store.telling import retold, told

_AT_ONCE = 4
_BLOCK = 1 << 20
"""Bytes of a group of rows in what answers are read from: few are read for a few rows."""
_CREATE = re.compile(r"\s*CREATE (TABLE|VIEW) (\w+) AS\s(.*)", re.DOTALL)
_DROP = re.compile(r"\s*DROP TABLE (\w+)")
_SPELLINGS = (
    (re.compile(r"\bunnest\("), "explode("),
    (re.compile(r"\bsorted_set\(([^()]*)\)"), r"sort_array(collect_set(\1))"),
    (re.compile(r"\biso\(([^()]*)\)"), r"""date_format(timestamp_seconds(\1), "yyyy-MM-dd'T'HH:mm:ss'Z'")"""),
)
"""What DuckDB knows as a macro or calls by another name."""
_FAILED = (PySparkException, Py4JError)
"""The second is what its errors are that Spark has no name for, such as a job that was given up."""
_NUMBERED = re.compile(r"\bnumbered\(\)")
_SERIES = 16
"""Statements that may number rows: each has numbers of its own, as all of them together must be told apart."""
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enforceReservedKeywords": "false",
    "spark.sql.parquet.compression.codec": "zstd",
}


def translated(sql: str) -> str:
    """The same statement as Spark spells it."""
    for pattern, spelling in _SPELLINGS:
        sql = pattern.sub(spelling, sql)
    return sql


class SparkEngine:
    """A Spark session that links one case, with a scratch folder that all executors reach."""

    def __init__(self, session: SparkSession, scratch: Path) -> None:
        self._session = session.newSession()
        self._scratch = scratch
        self._series = itertools.count()
        for name, value in SETTINGS.items():
            self._session.conf.set(name, value)

    def segments(self, name: str, folders: Sequence[Path]) -> None:
        """Make one table of many segments known under its name."""
        schema = from_arrow_schema(TABLES[name])
        files = [str(folder / f"{name}.parquet") for folder in folders]
        found = self._session.read.schema(schema).parquet(*files) if files else None
        (found or self._session.createDataFrame([], schema)).createOrReplaceTempView(name)

    def run(self, sql: str) -> None:
        """Run a statement for its effect."""
        dropped = _DROP.match(sql)
        if dropped:
            self._session.catalog.dropTempView(dropped[1])
            shutil.rmtree(self._scratch / dropped[1], ignore_errors=True)
            return
        made = _CREATE.match(sql)
        assert made is not None, sql
        found = self._query(_NUMBERED.sub(self._numbers, made[3]))
        if made[1] == "TABLE":
            found = self._written(found, self._scratch / made[2])
        found.createOrReplaceTempView(made[2])

    def run_all(self, listed: Sequence[Step]) -> None:
        """Run statements, each after those whose places it names; several at a time, as most are small."""
        run_in_turn(listed, lambda step: self.run(step.sql), at_once=_AT_ONCE)

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The rows of a query."""
        found: pa.Table = self._query(sql, parameters).toArrow()
        return found

    def register(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table known under a name."""
        self._session.createDataFrame(table).createOrReplaceTempView(name)

    def write(self, sql: str, path: Path) -> None:
        """Write the rows of a query, in its order, to a folder of Parquet files."""
        self._written(self._query(sql), path, block=_BLOCK)

    def suspects(self) -> pa.Table | None:
        """Nothing: here a query is as quick."""
        return None

    def grouped(
        self, sql: str, by: str, work: Callable[[pa.Table], pa.Table], schema: pa.Schema, name: str
    ) -> None:
        """Make a table of what `work` makes of each group of a query's rows, wherever the group lies."""
        found = self._query(sql).groupBy(by).applyInArrow(work, from_arrow_schema(schema))
        self._written(found, self._scratch / name).createOrReplaceTempView(name)

    def close(self) -> None:
        """Let go of what was in between."""
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _numbers(self, _: re.Match[str]) -> str:
        series = next(self._series)
        assert series < _SERIES
        return f"(monotonically_increasing_id() * {_SERIES} + {series})"

    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> DataFrame:
        try:
            return self._session.sql(translated(sql), args=list(parameters) or None)
        except _FAILED as error:
            raise CaseError(f"a query on the case failed: {error}\n{sql.strip()}") from error

    def _written(self, found: DataFrame, path: Path, *, block: int | None = None) -> DataFrame:
        writer = found.write.mode("overwrite")
        if block is not None:
            writer = writer.option("parquet.block.size", block)
        try:
            writer.parquet(str(path))
        except _FAILED as error:
            raise CaseError(f"a query on the case failed: {error}") from error
        return self._session.read.schema(found.schema).parquet(str(path))


class _Told(Exception):
    """What Spark is told of an error: the name of the file in which its words wait for the driver."""


def spread(
    session: SparkSession, payloads: Sequence[bytes], place: Errands, work: Callable[[bytes], bytes]
) -> Iterator[bytes]:
    """
    Do work on each of many payloads, a task each, wherever there is room; yields what came of them.

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
        names = [sealed(one) for one in payloads]
        for _ in each(place.leave, names, payloads):
            pass
        tasks = session.range(0, len(payloads), 1, len(payloads))

        def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                done = [_worked(work, place, names[int(one)]) for one in batch.column("id").to_numpy()]
                yield pa.RecordBatch.from_pydict({"done": pa.array(done, pa.binary())})

        for row in tasks.mapInArrow(run, "done binary").toLocalIterator(prefetchPartitions=True):
            yield row["done"]
    except _FAILED as failed:
        words = [one for one in place.names() if one.endswith(WORDS) and one in str(failed)]
        if not words:
            raise SourceError(
                f"Spark lost what did a task (out of memory?), or its executors do not reach {place.where}. "
                "What was read is kept; run the same ingest again to go on."
            ) from failed
        error = retold(place.take(words[0]))
        if error is None:
            raise
        raise error from error.__cause__
    finally:
        place.end()


def _worked(work: Callable[[bytes], bytes], place: Errands, name: str) -> bytes:
    """Do work in an executor. What it raises is left for the driver, which hears a traceback of several machines."""
    try:
        return work(unsealed(place, name))
    except Exception as error:
        left = f"{secrets.token_hex(16)}{WORDS}"
        place.leave(left, told(error))
        raise _Told(left) from error
