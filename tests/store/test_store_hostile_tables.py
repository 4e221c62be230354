"""Tables of a case that somebody else made: rebuilt or refused in words, and nothing outside of the case is read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evidence import START, copied
from tokentrail import Case
from tokentrail.errors import CaseError
from tokentrail.store.duck import DuckEngine
from tokentrail.store.tidying import DATABASE
from tokentrail.testing import World, native


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A case, and its credentials."""
    folder = tmp_path_factory.mktemp("made")
    world = World(START)
    first = world.user("ada").assumes("Deploy")
    first.assumes("Admin").calls("s3:ListBuckets", count=3)
    (folder / "log.json").write_bytes(native(world.records()))
    with Case.open(folder / "case") as case:
        case.ingest([str(folder / "log.json")])
        return folder / "case", list(case.credentials())


@pytest.fixture(name="case")
def _case(made: tuple[Path, list[Any]], tmp_path: Path) -> Path:
    copied(made[0], tmp_path / "case")
    return tmp_path / "case"


@pytest.fixture(name="secret")
def _secret(tmp_path: Path) -> Path:
    """A file of one's own outside of the case."""
    secret = tmp_path / "secret.csv"
    secret.write_text("n,id\n7,hunter2\n")
    return secret


def database(case: Path) -> Path:
    [found] = case.glob(f"derived/*/{DATABASE}")
    return found


HARMS = {
    "a view that reads a file": "ALTER TABLE credentials RENAME TO old; "
    "CREATE VIEW credentials AS SELECT o.* REPLACE (s.id AS id) FROM old o, read_csv('{secret}') s",
    "a view over our own table": "ALTER TABLE names RENAME TO old; CREATE VIEW names AS FROM old",
    "a generated column": "CREATE TABLE made AS FROM names; DROP TABLE names; "
    "CREATE TABLE names (name VARCHAR GENERATED ALWAYS AS (repeat('x', 1000000000)), n BIGINT, own BOOLEAN); "
    "INSERT INTO names SELECT n, own FROM made",
    "another type": "ALTER TABLE credentials ALTER depth TYPE VARCHAR USING 'x'",
    "a type of its own": "CREATE TYPE mood AS ENUM ('x'); ALTER TABLE credentials ALTER kind TYPE mood USING 'x'",
    "one column more": "ALTER TABLE credentials ADD COLUMN more VARCHAR",
    "one column less": "ALTER TABLE credentials DROP COLUMN created_agent",
    "a table that is missing": "DROP TABLE duplicates",
    "macros of our names": "CREATE MACRO iso(x) AS 'macro'; CREATE MACRO caseless(x) AS 'macro'; "
    "CREATE MACRO sorted_set(x) AS ['macro']; CREATE MACRO coalesce2(x) AS 'macro'",
    "a table in another schema": "CREATE SCHEMA aside; CREATE TABLE aside.credentials AS FROM credentials",
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_derived_database_that_is_not_ours_is_worked_out_anew(
    harm: str, case: Path, secret: Path, made: tuple[Path, list[Any]]
) -> None:
    """Only plain tables with our columns count, found under their own names: the answers are those of the evidence."""
    with duckdb.connect(str(database(case))) as changed:
        for statement in HARMS[harm].format(secret=secret).split("; "):
            changed.execute(statement)

    with Case.open(case) as opened:
        assert made[1] == list(opened.credentials())
        assert made[1][0].id in str(list(opened.timeline([made[1][0].id])))


RINGS = {
    "a ring of parents": "UPDATE credentials SET parent_n = (SELECT max(n) FROM credentials)",
    "its own parent": "UPDATE credentials SET parent_n = n, root_n = n",
    "a parent that is not there": "UPDATE credentials SET parent_n = 9223372036854775807",
    "no depth": "UPDATE credentials SET depth = NULL, root_n = NULL",
    "absurd times": "UPDATE credentials SET issued_time = 9223372036854775807, expires_at = -9223372036854775808, "
    "first = 9223372036854775807, last = -1",
    "absurd places": "UPDATE credentials SET segment = 7, object = -1, ordinal = 2147483647, identity = -1",
    "no names": "UPDATE names SET n = 9223372036854775807",
    "no ids": "UPDATE credentials SET id = NULL, kind = NULL",
}


@pytest.mark.parametrize("harm", RINGS)
def test_false_rows_of_a_derived_database_end_in_an_answer_or_in_words(
    harm: str, case: Path, made: tuple[Path, list[Any]]
) -> None:
    """Whoever can write the case can change its answers, and yet not keep it from ending or break it."""
    with duckdb.connect(str(database(case))) as changed:
        changed.execute(RINGS[harm])
    questions = (
        lambda opened: list(opened.credentials()),
        lambda opened: opened.trace([made[1][0].id]),
        lambda opened: opened.detect(),
        lambda opened: opened.leads(),
        lambda opened: opened.contain([made[1][0].id]),
    )
    with Case.open(case) as opened:
        for question in questions:
            try:
                question(opened)
            except CaseError as error:
                assert str(error)  # noqa: PT017 - either way is right


@pytest.fixture(name="engine")
def _engine(tmp_path: Path) -> Iterator[DuckEngine]:
    (tmp_path / "within").mkdir()
    with closing(
        DuckEngine(tmp_path / "within" / "spill", threads=1, within=[tmp_path / "within"])
    ) as engine:
        yield engine


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM '{secret}'",
        "COPY (SELECT 1 AS n) TO '{secret}'",
        "COPY (SELECT 1 AS n) TO '{within}/link/made.parquet' (FORMAT parquet)",
        "SELECT * FROM read_csv('{within}/link/secret.csv')",
        "SELECT * FROM read_csv('{within}/../secret.csv')",
        "ATTACH '{secret}.duckdb' AS other",
        "EXPORT DATABASE '{secret}.exported'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "LOAD '{within}/evil.duckdb_extension'",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET allowed_configs = ['enable_external_access']",
        "SET lock_configuration = false",
        "SET allow_unsigned_extensions = true",
        "SET temp_directory = '{secret}.spill'",
        "CREATE PERSISTENT SECRET s (TYPE s3)",
    ],
)
def test_the_engine_reaches_nothing_outside_of_its_folders(
    statement: str, engine: DuckEngine, secret: Path, tmp_path: Path
) -> None:
    """Whatever a query asks for: no file elsewhere, no extension, and no setting that would allow it."""
    (tmp_path / "within" / "link").symlink_to(tmp_path)
    (tmp_path / "within" / "evil.duckdb_extension").write_bytes(b"\x7fELF")
    before = sorted(one for one in tmp_path.rglob("*"))

    with pytest.raises(CaseError):
        engine.run(statement.format(secret=secret, within=tmp_path / "within"))

    assert before == sorted(one for one in tmp_path.rglob("*"))
    assert secret.read_text() == "n,id\n7,hunter2\n"


def test_the_engine_works_within_its_folders(engine: DuckEngine, tmp_path: Path) -> None:
    """It writes Parquet and databases there, spills, and changes what it changes between queries."""
    within = tmp_path / "within"
    engine.park("SELECT 1 AS n", within / "n.parquet")
    engine.view("n", within / "n.parquet")
    engine.keep_tables(within / "n.duckdb", {"kept": "SELECT n FROM n"})
    engine.open_database(within / "n.duckdb", {"kept": "n BIGINT"})
    assert [{"n": 1}] == engine.rows("SELECT n FROM kept")
    engine.run("SET memory_limit = '100MB'")
    with engine.shared_by(1), engine.as_written():
        engine.run("CREATE TABLE large AS SELECT range AS n, md5(range::VARCHAR) AS text FROM range(4000000)")
        assert [{"rows": 4_000_000}] == engine.rows("SELECT count(*) AS rows FROM (FROM large ORDER BY text)")


def rewritten(path: Path, **columns: Any) -> None:
    """Write a Parquet file anew, some of its columns being others."""
    table = pq.read_table(path)
    for name, column in columns.items():
        table = (
            table.drop([name])
            if column is None
            else table.set_column(table.schema.get_field_index(name), name, column)
        )
    pq.write_table(table, path)


SEGMENTS = {
    "a text for a time": lambda rows: {"time": pa.array(["x"] * rows)},
    "a list for an id": lambda rows: {"event_id": pa.array([[b"x"]] * rows)},
    "a number for an account": lambda rows: {"account": pa.array([1.5] * rows)},
    "a struct for a name": lambda rows: {"name": pa.array([{"x": 1}] * rows)},
    "short ids": lambda rows: {"event_id": pa.array([b"x"] * rows)},
    "no ids": lambda rows: {"event_id": pa.array([None] * rows, pa.binary(16))},
    "a column that is missing": lambda rows: {"ip": None},
    "absurd times": lambda rows: {"time": pa.array([2**63 - 1] * rows)},
    "identities that are not there": lambda rows: {"identity": pa.array([2**31 - 1] * rows, pa.int32())},
}


@pytest.mark.parametrize("harm", SEGMENTS)
def test_a_segment_that_is_not_ours_ends_in_an_answer_or_in_words(harm: str, case: Path) -> None:
    """Wrong types and absurd values, with nothing derived and with what was derived of the right ones."""
    [path] = case.glob("segments/*/events.parquet")
    rows = pq.read_metadata(path).num_rows
    rewritten(path, **SEGMENTS[harm](rows))
    for _ in range(2):
        try:
            with Case.open(case) as opened:
                list(opened.credentials())
                opened.detect()
                opened.status()
        except CaseError as error:
            assert str(error)  # noqa: PT017 - either way is right
        with Case.open(case) as opened:
            for folder in opened.folder.all_derived(""):
                opened.folder.forget_derived(folder)


def test_a_small_file_of_very_many_rows_is_refused(case: Path) -> None:
    """A few kilobytes of Parquet may claim a billion rows, and would fill memory when they are looked through."""
    [path] = case.glob("segments/*/events.parquet")
    schema = pq.read_schema(path)
    rows = 1_000_000
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for _ in range(10):
            file.write_table(pa.table({one.name: pa.nulls(rows, one.type) for one in schema}, schema=schema))
    assert path.stat().st_size < 600_000
    for folder in case.glob("derived/*"):
        shutil.rmtree(folder)

    with Case.open(case) as opened, pytest.raises(CaseError, match="can't hold 10,000,000 events"):
        list(opened.credentials())


@pytest.mark.parametrize("where", ["events", "identities", "issuances", "changes"])
@pytest.mark.parametrize("cut", [0, 4, -8, -1])
def test_a_damaged_footer_is_told_in_words(where: str, cut: int, case: Path) -> None:
    """Whatever part of a table is missing or is another, the answer is a sentence."""
    [path] = case.glob(f"segments/*/{where}.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:cut])
    for folder in case.glob("derived/*"):
        shutil.rmtree(folder)
    with pytest.raises(CaseError), Case.open(case) as opened:
        opened.detect()
