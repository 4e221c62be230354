"""
Spark behind the store's door: the same linking, over what one machine can't hold.

Each table that a statement makes is written to Parquet and read again, so that what a lost executor takes with it is
made anew from files, and numbers that were given once stay the same. Only the linking runs here: what it derives is
put into the case's own database, which answers are read from as anywhere.
"""

from __future__ import annotations

import itertools
import re
import secrets
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from tokentrail import __version__
from tokentrail.errors import SourceError, UsageError
from tokentrail.events.columns import SCHEMA_VERSION
from tokentrail.store.duck import DuckEngine
from tokentrail.store.errands import Errands, heard, leaving, sealed, unsealed
from tokentrail.store.interface import Snapshot, Step
from tokentrail.store.literals import reading
from tokentrail.store.schedule import run_in_turn
from tokentrail.store.shelf import FAILED, Shelf, see_room
from tokentrail.store.uploading import each

_LACKING = re.compile(r"ModuleNotFoundError: No module named '(\w+)")
"""What Python says on an executor that lacks TokenTrail, or something that it needs."""
_OTHER = re.compile(r"Python in worker has different version:? (\S+) than that in driver:? ([^\s,]+)")
"""What Spark says where executors' Python is of another minor version."""
_NO_PROGRAM = re.compile(r'Cannot run program "([^"\n]+)"')
_UNREACHED = re.compile(r"tokentrail\.errors\.CaseError: (s3://[^\n]*: could not be [^\n]*)")
"""What an executor raises that does not reach the bucket, and so can't leave its words there."""
_AT_ONCE = 4
_JOBS = 2
"""Jobs of tasks that are under way at a time."""
_TASKS, _MOST_TASKS = 8, 2_000
"""Tasks of a job for each core, and at most."""
_SMALL = 100_000
"""Bytes up to which an answer comes by Spark itself, which takes a gigabyte of them for a job by default."""
_CREATE = re.compile(r"\s*CREATE (TABLE|VIEW) (\w+) AS\s(.*)", re.DOTALL)
_DROP = re.compile(r"\s*DROP TABLE (\w+)")
_SPELLINGS = (
    (re.compile(r"\bunnest\("), "explode("),
    (re.compile(r"\bcaseless\(([^()]*)\)"), rf"translate(\1, '{ascii_uppercase}', '{ascii_lowercase}')"),
    (re.compile(r"\bsorted_set\(([^()]*)\)"), r"sort_array(collect_set(\1))"),
    (re.compile(r"\biso\(([^()]*)\)"), r"""date_format(timestamp_seconds(\1), "yyyy-MM-dd'T'HH:mm:ss'Z'")"""),
)
"""What DuckDB knows as a macro or calls by another name."""
_WORD = re.compile(r"\w+")
_CLAUSES = "WHERE|GROUP|ORDER|HAVING|LIMIT|UNION|EXCEPT|JOIN|LEFT|CROSS|ON|DISTRIBUTE"
_TABLE = re.compile(rf"(\b(?:FROM|JOIN)\s+)(\w+)\b(\s+(?!(?:{_CLAUSES})\b)\w+)?")
"""What is read, by name, and what it is called there."""
_STAR = re.compile(r"SELECT\s+\*|\w\.\*")
"""All columns of a table."""
_NUMBERED = re.compile(r"\bnumbered\(\)")
_SERIES = 16
"""Statements that may number rows: each has numbers of its own, as all of them together must be told apart."""
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enforceReservedKeywords": "false",
    "spark.sql.ansi.doubleQuotedIdentifiers": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",  # it would take what can't be read for empty
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.parquet.compression.codec": "zstd",
}


def translated(sql: str) -> str:
    """The same statement as Spark spells it."""
    for pattern, spelling in _SPELLINGS:
        sql = pattern.sub(spelling, sql)
    return sql


class SparkEngine:
    """A Spark session that links one case."""

    def __init__(self, session: SparkSession, shelf: Callable[[SparkSession], Shelf]) -> None:
        """
        Begin.

        Args:
            session: The cluster; its own settings stay as they are.
            shelf: Makes the place for tables, given the session that statements run in.
        """
        self._session = session.newSession()
        self._shelf = shelf(self._session)
        self._views: dict[str, str] = {}
        self._counts = itertools.count()
        self._series = itertools.count()
        for name, value in SETTINGS.items():
            self._session.conf.set(name, value)

    def segments(self, snapshot: Snapshot) -> None:
        """Make the tables of a case's segments known under their names."""
        with self._shelf.explained():  # one that is gone is missed here
            self._shelf.segments(snapshot)

    def run(self, sql: str) -> None:
        """Run a statement for its effect."""
        dropped = _DROP.match(sql)
        if dropped:
            self._shelf.forget(dropped[1])
            return
        made = _CREATE.match(sql)
        assert made is not None, sql
        if made[1] == "VIEW":
            self._views[made[2]] = translated(made[3])
            return
        with self._shelf.explained():
            self._shelf.keep(made[2], self._query(_NUMBERED.sub(self._numbers, made[3])))

    def run_all(self, listed: Sequence[Step]) -> None:
        """Run statements, each after those whose places it names; several at a time, as most are small."""
        run_in_turn(listed, lambda step: self.run(step.sql), at_once=_AT_ONCE)

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The rows of a query."""
        with self._shelf.explained():
            found: pa.Table = self._query(sql, parameters).toArrow()
        return found

    def register(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table known under a name."""
        self._session.createDataFrame(table).createOrReplaceTempView(name)

    def write(self, sql: str, path: Path) -> None:
        """Write the rows of a query, in its order, to a folder of Parquet files."""
        with self._shelf.explained():
            self._shelf.deliver(self._query(sql), path)

    def keep_tables(self, path: Path, tables: Mapping[str, str]) -> None:
        """Write the rows of some queries to the tables of a new database file, on the driver."""
        parts = path.with_suffix(".parts")
        parts.mkdir(mode=0o700)
        for name, sql in tables.items():
            self.write(sql, parts / name)
        with closing(DuckEngine(parts, within=[path.parent])) as engine:
            files = {name: reading(sorted((parts / name).glob("*.parquet"))) for name in tables}
            engine.keep_tables(path, {name: f"FROM {one} ORDER BY ALL" for name, one in files.items()})
        shutil.rmtree(parts)

    def suspects(self) -> pa.Table | None:
        """Nothing: here a query is as quick."""
        return None

    def close(self) -> None:
        """Let go of what was in between."""
        self._shelf.close()

    def _numbers(self, _: re.Match[str]) -> str:
        series = next(self._series)
        assert series < _SERIES
        return f"(monotonically_increasing_id() * {_SERIES} + {series})"

    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> DataFrame:
        sql = translated(sql)
        views = self._behind(sql, {})
        texts = (sql, *views.values())
        words = frozenset(word for one in texts for word in _WORD.findall(one))
        # What a view passes on with a star is named by who reads it, if by anybody.
        wanted = None if _STAR.search(sql) else words
        read = {name for one in texts for name in _read(one) if self._shelf.has(name)}
        seen = {name: self._seen(name, wanted) for name in read}
        named = ", ".join(f"{name} AS ({_in_place(one, seen)})" for name, one in views.items())
        sql = _in_place(sql, seen)
        return self._session.sql(f"WITH {named} {sql}" if named else sql, args=list(parameters) or None)

    def _behind(self, sql: str, found: dict[str, str]) -> dict[str, str]:
        """The views that a query reads, each after those that it reads itself."""
        for name in _read(sql):
            if name in self._views and name not in found:
                self._behind(self._views[name], found)
                found[name] = self._views[name]
        return found

    def _seen(self, name: str, wanted: Set[str] | None) -> str:
        """A name in the session for a table, with some of its columns."""
        seen = f"{name}_{next(self._counts)}"
        self._shelf.table(name, wanted).createOrReplaceTempView(seen)
        return seen


def _read(sql: str) -> list[str]:
    """The names of what a query reads."""
    return [name for _, name, _ in _TABLE.findall(sql)]


def _in_place(sql: str, seen: Mapping[str, str]) -> str:
    """A query that reads tables by other names, and calls them as it did."""

    def named(found: re.Match[str]) -> str:
        begin, name, alias = found.groups()
        return f"{begin}{seen[name]}{alias or f' {name}'}" if name in seen else found[0]

    return _TABLE.sub(named, sql)


def spread(
    session: SparkSession, payloads: Sequence[bytes], place: Errands, work: Callable[[bytes], bytes]
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
        names = [sealed(one) for one in payloads]
        for _ in each(place.leave, names, payloads):
            pass
        running: deque[Future[list[dict[str, Any]]]] = deque()
        with heard(place, FAILED), ThreadPoolExecutor(_JOBS) as pool, _cancelled(session) as tag:
            while names or running:
                while names and len(running) < _JOBS:
                    cores = session.sparkContext.defaultParallelism  # grows with the cluster
                    many = min(max(_TASKS * cores, 1), _MOST_TASKS)
                    some, names = names[:many], names[many:]
                    running.append(pool.submit(_job, session, tag, some, place, work))
                for row in running.popleft().result():
                    yield row["done"] if row["left"] is None else unsealed(place, row["left"])
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
    session: SparkSession, tag: str, names: Sequence[str], place: Errands, work: Callable[[bytes], bytes]
) -> list[dict[str, Any]]:
    """Do work on what was left under some names, a task each: what was `done`, or the name under which it is `left`."""
    here = f"{__version__} (columns of version {SCHEMA_VERSION})"

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import tokentrail  # the executor's, as this function goes there as it stands here
        from tokentrail.events import columns

        with leaving(place):
            if (there := f"{tokentrail.__version__} (columns of version {columns.SCHEMA_VERSION})") != here:
                raise UsageError(
                    f"The executors' Python has TokenTrail {there}, and this one is {here}: install the same there, as "
                    "another may read records otherwise."
                )
            for batch in batches:
                done = [work(unsealed(place, names[int(one)])) for one in batch.column("id").to_numpy()]
                left = [sealed(one) if len(one) > _SMALL else None for one in done]
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
