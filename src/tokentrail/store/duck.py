"""DuckDB behind the store's door, closed to the network."""

from __future__ import annotations

import os
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tokentrail.errors import CaseError
from tokentrail.events.columns import TABLES
from tokentrail.store.connection import MACROS, TWO_AT_ONCE, explained, opened, written_at
from tokentrail.store.duplicate_ids import suspects
from tokentrail.store.freed_memory import give_back
from tokentrail.store.index import Holding
from tokentrail.store.interface import Step
from tokentrail.store.literals import file, quoted, reading
from tokentrail.store.spilled_tables import SpilledTables

_ENOUGH, _EACH = 4 << 30, 1 << 30
"""Bytes that are enough for them, in all and for each thread: with more, little is quicker."""
_BATCH = 8_192
_AT_ONCE = 2
_FEW = 2_000
"""Records below which a statement is done before a thread could be told of it: they run one after the other."""
_BUSY = 10_000_000
"""Records from which on one question keeps all processors busy, and two would need memory for both; wide tables go to
files: of 92 million memory holds hardly two."""
_DERIVED, _BESIDE, _FRESH = "derived", "beside", "fresh"
"""What an open database is called in queries, a second one, and a new one while it is written."""
_ROWS = 20_480
"""Rows of a group in what is written: groups are packed at once by all threads."""
_FEW_ROWS = 8_192
"""The same of what few rows are looked up in, for which whole groups are read: fewer take more room than they save."""
_FORM = "FORMAT parquet, PARQUET_VERSION V2, DICTIONARY_SIZE_LIMIT 1000"
"""How derived tables are written: what has few values as a dictionary, what climbs as differences."""
_PACKED = f"{_FORM}, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {_ROWS}"
_LOOKED_UP = f"{_FORM}, COMPRESSION lz4_raw, ROW_GROUP_SIZE {_FEW_ROWS}"
"""A group of these is read in half the time that zstd takes, for twice the room."""
_PARKED = f"FORMAT parquet, COMPRESSION uncompressed, DICTIONARY_SIZE_LIMIT 1000, ROW_GROUP_SIZE {_ROWS}"
"""How what is soon forgotten is written: quickly, though it takes more than twice the room."""
_MAKES = re.compile(r"CREATE TABLE (\w+) AS\b")
_COLUMNS_OF = """
SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = ? AND schema_name = 'main'"""
_COLUMN = re.compile(r"(\w+) (\w+(?:\(.*?\))?(?:\[\])?)")
_UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


class DuckEngine(Holding):
    """An in-memory DuckDB that spills beside the case and reads its Parquet."""

    def __init__(
        self,
        spill: Path | None = None,
        *,
        threads: int | None = None,
        records: int | None = None,
        memory: int | None = None,
        within: Iterable[Path] = (),
    ) -> None:
        """
        Open one.

        Args:
            spill: Where tables go that memory does not hold; nowhere by default.
            threads: That share a query's work; as many as there are processors by default.
            records: How many the tables will hold, if that is known.
            memory: Bytes that they may take; by default 4 GB, or 1 GB for each of more than four threads.
            within: The folders whose files it may read and write, beside temporary ones.
        """
        self._one_by_one = records is not None and records < _FEW
        self.beside = records is not None and _FEW <= records < _BUSY and memory is None
        """Whether two questions beside each other take less time than one after the other, and may."""
        threads = threads or os.cpu_count() or 1
        self._parts: dict[str, tuple[dict[int, Path], int | None]] = {}
        self._apart = threading.local()
        self._one = threading.RLock()
        self._is_aside = False
        many = records is not None and records >= _BUSY
        self._filed = SpilledTables(spill, _PARKED) if spill is not None and many else None
        self._whole = opened(threads, spill, within)
        self.run(self._path)
        self._limit = min(int(self.memory()), memory or max(_ENOUGH, threads * _EACH))
        self.limit()
        self.remember_files(True)  # a case's files never change once they are there
        self.run("CREATE SEQUENCE numbers")
        for macro in MACROS:
            self.run(f"CREATE MACRO {macro}")

    @property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        cursor: duckdb.DuckDBPyConnection = getattr(self._apart, "cursor", self._whole)
        return cursor

    @contextmanager
    def apart(self) -> Iterator[None]:
        """For as long as a thread asks beside others: what it registers and makes for a time is its own."""
        with self._cursor() as self._apart.cursor:
            try:
                yield
            finally:
                del self._apart.cursor

    @contextmanager
    def _asking(self, sql: str) -> Iterator[None]:
        """Hold the connection while asking: another thread on it would get this one's rows."""
        shared = not hasattr(self._apart, "cursor")
        if shared and not self._one.acquire(blocking=False):
            raise CaseError(TWO_AT_ONCE)
        try:
            with explained(sql):
                yield
        finally:
            if shared:
                self._one.release()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Drop at the end everything that is made meanwhile; dropping a schema is quicker than dropping each table."""
        self.run("CREATE SCHEMA aside")
        self._is_aside = True
        self.run(self._path)
        try:
            yield
        finally:
            self._is_aside = False
            self.run(self._path)
            self.run("DROP SCHEMA aside CASCADE")

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with explained(self._path):
            cursor = self._whole.cursor()
            cursor.execute(self._path)
        with cursor:
            yield cursor

    @property
    def _path(self) -> str:
        """The statement by which a connection finds tables."""
        schemas = ("aside", "main") if self._is_aside else ("main",)
        return f"SET search_path = '{','.join(f'memory.{one}' for one in schemas)}'"

    @property
    def small(self) -> bool:
        """Whether it is for few records."""
        return self._one_by_one

    def run(self, sql: str) -> None:
        """Run a statement for its effect."""
        with self._asking(sql):
            self._connection.execute(sql)

    def made(self, sql: str) -> int:
        """Run a statement that makes a table or adds to one; how many rows it came to."""
        with self._asking(sql):
            [[rows]] = self._connection.execute(sql).fetchall()
            return int(rows)

    def run_all(self, listed: Sequence[Step]) -> None:
        """Run statements, each after those whose places it names; two at a time, as most are small."""
        if self._one_by_one:
            for step in listed:
                with explained(step.sql):
                    self._do(self._connection, step)
            return
        with ExitStack() as open_cursors:
            own = threading.local()

            def run(step: Step) -> None:
                if not hasattr(own, "cursor"):
                    own.cursor = open_cursors.enter_context(self._cursor())
                with explained(step.sql):
                    self._do(own.cursor, step)

            _run_in_turn(listed, run, at_once=_AT_ONCE)

    def _do(self, connection: duckdb.DuckDBPyConnection, step: Step) -> None:
        """Run one of several statements; a wide table of very many rows is made in a file."""
        if self._filed is not None:
            made = _MAKES.match(step.sql) if step.wide else None
            if made is not None:
                self._filed.make(connection, made[1], step.sql[made.end() :])
                return
            if self._filed.drop(connection, step.sql):
                return
        connection.execute(step.sql)

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The rows of a query."""
        with self._asking(sql):
            found: pa.Table = self._connection.sql(sql, params=list(parameters)).to_arrow_table()
            return found

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query that has few."""
        with self._asking(sql):
            found = self._connection.execute(sql, list(parameters) or None)
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def each(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[dict[str, Any]]:
        """Each row of a query, read some at a time: of few rows quicker than `batches`, which asks twice."""
        with self._asking(sql):
            found = self._connection.execute(sql, list(parameters) or None)
            names = [column[0] for column in found.description or ()]
            more = True
            try:
                while more:
                    some = found.fetchmany(_BATCH)
                    more = len(some) == _BATCH
                    for row in some:
                        yield dict(zip(names, row, strict=True))
            finally:
                while more and found.fetchmany(_BATCH):
                    pass  # nothing else can be asked before it is read to its end

    def batches(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[pa.RecordBatch]:
        """The rows of a query, a batch at a time."""
        with self._asking(sql):
            yield from self._connection.sql(sql, params=list(parameters)).to_arrow_reader(_BATCH)

    def register(self, name: str, table: pa.Table) -> None:
        """Register an Arrow table."""
        with self._asking(f"register {name}"):
            self._connection.register(name, table)

    def write(self, sql: str, path: Path) -> None:
        """Write the rows of a query, in its order, to a Parquet file that few of them are looked up in."""
        self.run(_writing(sql, path, _LOOKED_UP))

    def keep_tables(self, path: Path, tables: Mapping[str, str]) -> None:
        """Write the rows of some queries to the tables of a new database file; see `Engine`."""
        listed = [f"CREATE TABLE {_FRESH}.main.{name} AS {sql}" for name, sql in tables.items()]
        with self._attached(path, _FRESH, " (STORAGE_VERSION 'v1.4.0')"):
            if self.beside:
                self.run_all([Step(one, frozenset()) for one in listed])
                return
            for one in listed:
                self.run(one)

    def open_database(self, path: Path, tables: Mapping[str, str], *, beside: bool = False) -> None:
        """Register the tables of a database file under their names, only to be read; see `Engine`."""
        called = _BESIDE if beside else _DERIVED
        self.run(f"DETACH DATABASE IF EXISTS {called}")
        self.run(f"ATTACH {file(path)} AS {called} (READ_ONLY)")
        for name, fault in self._other_than(called, tables):
            raise CaseError(f"{path}: damaged, or made by something else: {name} {fault}.")
        for name, columns in tables.items():
            listed = ", ".join(_columns(columns))
            self.run(f"CREATE OR REPLACE VIEW {name} AS SELECT {listed} FROM {called}.main.{name}")

    def _other_than(self, called: str, tables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Tables that a database lacks, or that are not plain tables with their columns: a view could read any file."""
        plain = {
            row["table_name"]
            for row in self.rows(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'main' "
                "AND NOT contains(sql, ' GENERATED ALWAYS ')",
                (called,),
            )
        }
        found: dict[str, dict[str, str]] = {}
        for row in self.rows(_COLUMNS_OF, (called,)):
            found.setdefault(row["table_name"], {})[row["column_name"]] = row["data_type"]
        for name, columns in tables.items():
            if name not in plain:
                yield name, "is no table"
            elif _alike(found.get(name, {})) != _alike(_columns(columns)):
                yield name, "has other columns"

    def changing(self, path: Path) -> AbstractContextManager[None]:
        """Change the tables of a database file meanwhile; see `Engine`."""
        return self._attached(path, _DERIVED)

    @contextmanager
    def _attached(self, path: Path, name: str, options: str = "") -> Iterator[None]:
        with written_at(path) as there:
            self.run(f"ATTACH {file(there)} AS {name}{options}")
            try:
                yield
            finally:
                self.run(f"DETACH {name}")

    def writing(self, sql: str, path: Path) -> str:
        """The statement that writes the rows of a query to a Parquet file whose columns are read whole."""
        return _writing(sql, path, _PACKED)

    def park(self, sql: str, path: Path) -> None:
        """Write the rows of a query, in any order, to a Parquet file that is read again soon and then forgotten."""
        self.run(f"COPY ({sql}) TO {quoted(str(path))} ({_PARKED})")

    def layered(self, name: str, files: Sequence[tuple[Path, Sequence[int]]]) -> None:
        """Register the rows of several Parquet files as one table, each file without the rows of some segments."""
        parts = []
        for path, gone in files:
            listed = ", ".join(map(str, gone))
            parts.append(
                f"SELECT * FROM {reading([path])}" + (f" WHERE segment NOT IN ({listed})" if gone else "")
            )
        self.run(f"CREATE OR REPLACE VIEW {name} AS {' UNION ALL '.join(parts)}")

    def view(self, name: str, path: Path) -> None:
        """Register a Parquet file, or a folder of them."""
        files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        self.run(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {reading(files)}")

    def keep(self, name: str, sql: str, path: Path) -> None:
        """Register the rows of a query, kept in a file; see `Engine`."""
        if not path.exists():
            fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            self.write(sql, fresh)
            fresh.replace(path)
        self.view(name, path)

    def rows_with(self, name: str, by: str, wanted: Sequence[Any]) -> list[dict[str, Any]]:
        """
        The rows of a table of the open database that have some values; see `Engine`.

        Of values that a subquery lists, DuckDB reads the parts of the table that may hold them; of an `IN` with several
        values it would read the whole column. One value alone is found sooner by itself.
        """
        first = by.partition(",")[0]
        if len(wanted) == 1:
            return self.rows(f"SELECT * FROM {name} WHERE {first} = ? ORDER BY {by}", wanted)
        return self.rows(
            f"SELECT * FROM {name} WHERE {first} IN (SELECT unnest(?)) ORDER BY {by}", (list(wanted),)
        )

    def segments(self, name: str, folders: Sequence[Path], *, until: int | None = None) -> None:
        """Register one table of many segments, without rows later than `until` (seconds since 1970)."""
        if not folders:
            self.register(f"no_{name}", TABLES[name].empty_table())
            self.run(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM no_{name}")
            self._parts[name] = ({}, None)
            return
        self._parts[name] = ({int(folder.name, 16): folder for folder in folders}, until)
        self.run(f"CREATE OR REPLACE VIEW {name} AS {_segments(name, folders, until)}")

    def suspects(self) -> pa.Table:
        """Ids of events that may occur more than once, as `event_id`."""
        folders, _ = self._parts["events"]
        return suspects([folder / "events.parquet" for folder in folders.values()])

    def narrow(self, segments: Set[int]) -> dict[str, str]:
        """What a query writes to read some segments alone; see `Engine`."""
        some = {}
        for name, (parts, until) in self._parts.items():
            if not segments <= parts.keys():
                raise CaseError(
                    "what was derived from the evidence is damaged: it names records that the case has not. Remove the "
                    "folder `derived` of the case, `tables` of one in a bucket; it is worked out again."
                )
            folders = [parts[one] for one in sorted(segments)]
            nothing = [next(iter(parts.values()))] if parts else []  # no rows of many take longest to plan
            sql = _segments(name, folders, until) if folders else f"{_segments(name, nothing, until)} LIMIT 0"
            some[f"some_{name}"] = f"({sql})"
        return some

    def memory(self) -> float:
        """Bytes that tables and joins may take."""
        [row] = self.rows("SELECT current_setting('memory_limit') AS said")
        count, unit = str(row["said"]).split()
        return float(count) * _UNITS[unit]

    def limit(self) -> None:
        """Set the limit of memory again, which frees what is unused, and give that back to the system."""
        self.run(f"SET memory_limit = '{self._limit} bytes'")  # setting it does so, and is quick
        give_back()

    def release(self) -> None:
        """Give unused memory back, so that it does not add to what comes next."""
        self.limit()

    def remember_files(self, remember: bool) -> None:
        """Set whether the footers of Parquet files are kept in memory, which those of very many files would fill."""
        self.run(f"SET GLOBAL parquet_metadata_cache = {remember}")

    @contextmanager
    def shared_by(self, threads: int) -> Iterator[None]:
        """Use so many threads for a query meanwhile."""
        [row] = self.rows("SELECT current_setting('threads') AS before")
        self.run(f"SET threads = {threads}")
        try:
            yield
        finally:
            self.run(f"SET threads = {int(row['before'])}")

    @contextmanager
    def as_written(self) -> Iterator[None]:
        """
        Join tables in the order of each query meanwhile: DuckDB guesses the rows of many files far too low.
        """
        [row] = self.rows("SELECT current_setting('disabled_optimizers') AS before")
        self.run("SET disabled_optimizers = 'join_order,build_side_probe_side'")
        try:
            yield
        finally:
            self.run(f"SET disabled_optimizers = '{row['before']}'")

    def close(self) -> None:
        """Let go of everything."""
        self._whole.close()
        if self._filed is not None:
            self._filed.close()


@cache
def _columns(told: str) -> dict[str, str]:
    """The type of each column, of a list such as `n BIGINT, keys VARCHAR[]`."""
    return dict(_COLUMN.findall(told))


def _alike(columns: Mapping[str, str]) -> dict[str, str]:
    """The same with one type for whole numbers, as a cluster that links has shorter ones in places."""
    return {name: "BIGINT" if kind == "INTEGER" else kind for name, kind in columns.items()}


def _segments(name: str, folders: Sequence[Path], until: int | None) -> str:
    """The query for a table of some segments."""
    if not folders:
        return f"SELECT * FROM {name}"
    later = "" if until is None else f" WHERE time <= {int(until)}"
    return f"SELECT * FROM {reading(f'{folder}/{name}.parquet' for folder in folders)}{later}"


def _writing(sql: str, path: Path, form: str) -> str:
    return f"COPY ({sql}) TO {quoted(str(path))} ({form})"


def _run_in_turn(listed: Sequence[Step], run: Callable[[Step], None], *, at_once: int) -> None:
    """Run statements, each after those that it needs."""
    waiting = dict(enumerate(listed))
    running: dict[Future[None], int] = {}
    done: set[int] = set()
    with ThreadPoolExecutor(at_once) as pool:
        while waiting or running:
            ready = [place for place, step in waiting.items() if step.needs <= done]
            for place in ready[: at_once - len(running)]:
                running[pool.submit(run, waiting.pop(place))] = place
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                future.result()
                done.add(running.pop(future))
