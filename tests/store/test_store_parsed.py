"""What an engine of few records saves: parsing again, and a second engine."""

from __future__ import annotations

import duckdb
import pytest

from evidence import START, held
from tokentrail.errors import CaseError
from tokentrail.store import parsed
from tokentrail.store.duck import DuckEngine
from tokentrail.store.parsed import Parsed
from tokentrail.testing import World


def test_what_was_parsed_once_runs_anywhere_with_other_values() -> None:
    """The same statement serves another connection, and each run has its own parameters."""
    known = Parsed()
    with duckdb.connect(":memory:") as one, duckdb.connect(":memory:") as other:
        statement = known.statement(one, "SELECT ? + 1")

        assert statement is known.statement(other, "SELECT ? + 1")
        assert [(2,)] == one.execute(statement, [1]).fetchall()
        assert [(8,)] == other.execute(statement, [7]).fetchall()


def test_no_more_statements_are_remembered_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements with file names in them come once each: they are forgotten again."""
    monkeypatch.setattr(parsed, "_MOST", 3)
    known = Parsed()
    with duckdb.connect(":memory:") as connection:
        for n in range(20):
            assert [(n,)] == connection.execute(known.statement(connection, f"SELECT {n}")).fetchall()

            assert len(known._known) <= 3


def test_several_statements_in_one_text_all_run() -> None:
    """They are left as they are."""
    engine = DuckEngine(threads=1)
    engine.run("CREATE TABLE a AS SELECT 1 AS n; CREATE TABLE b AS SELECT 2 AS n")

    assert [{"n": 1}, {"n": 2}] == engine.rows("SELECT n FROM a UNION ALL SELECT n FROM b ORDER BY n")
    engine.close()


def test_a_statement_that_can_t_be_parsed_is_shown() -> None:
    """The error is ours, and shows the statement."""
    engine = DuckEngine(threads=1)
    with pytest.raises(CaseError, match="SELECT FROM"):
        engine.run("SELECT FROM")
    engine.close()


def test_what_is_made_aside_is_forgotten() -> None:
    """Tables and views go, a name may be taken again, and what the engine knew before is known in both places."""
    engine = DuckEngine(threads=1, records=1)
    engine.run("CREATE TABLE lasting AS SELECT 1 AS n")
    for _ in range(2):
        with engine.aside():
            engine.run("CREATE TABLE passing AS SELECT n + 1 AS n FROM lasting")
            engine.run("CREATE VIEW seen AS SELECT numbered() AS place, iso(n) AS told FROM passing")
            assert ["1970-01-01T00:00:02Z"] == [one["told"] for one in engine.rows("SELECT told FROM seen")]

        assert [{"n": 1}] == engine.rows("SELECT n FROM lasting")
        for gone in ("passing", "seen"):
            with pytest.raises(CaseError, match=gone):
                engine.rows(f"SELECT * FROM {gone}")
    engine.close()


def test_few_records_are_linked_and_answered_by_one_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it knows nothing of the tables that it linked with."""
    opened: list[DuckEngine] = []
    first = DuckEngine.__init__

    def counted(self: DuckEngine, *given: object, **named: object) -> None:
        opened.append(self)
        first(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(DuckEngine, "__init__", counted)
    world = World(START)
    world.user("ada").assumes("Deploy")
    with held(world) as case:
        assert 2 == len(list(case.credentials()))
        assert 1 == len(opened)
        assert [] == opened[0].rows("SELECT * FROM duckdb_tables() WHERE table_name = 'sightings'")
