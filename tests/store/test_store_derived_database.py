"""The derived database, as an analyst opens it: with DuckDB alone, by the queries that docs/case.md gives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from evidence import START
from tokentrail import Case
from tokentrail.lineage.link import OUTPUT
from tokentrail.lineage.segment_tables import COLUMNS
from tokentrail.store.tidying import DATABASE
from tokentrail.testing import World, native

DOCS = Path(__file__).parents[2] / "docs" / "case.md"
CREATED, RECORDED = "AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"
QUERIES = re.findall(r"```sql\n(.*?)```", DOCS.read_text(), re.DOTALL)


@pytest.fixture(name="asked", scope="module")
def _asked(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path, Any, Any]]:
    """The database of a case, opened with DuckDB alone; the case, a key in it, and a session that the key led to."""
    folder = tmp_path_factory.mktemp("derived")
    world = World(START)
    key = world.user("ada").key()
    first = key.assumes("Deploy")
    second = first.assumes("Admin")
    second.calls("s3:ListBuckets", count=3)
    key.gets_session_token()
    (folder / "log.json").write_bytes(native(world.records()))
    with Case.open(folder / "leak") as case:
        case.ingest([str(folder / "log.json")])
        list(case.credentials())
    [path] = (folder / "leak").glob(f"derived/*/{DATABASE}")
    with duckdb.connect(str(path), read_only=True) as found:
        yield found, folder / "leak", key, second


def _answer(asked: tuple[duckdb.DuckDBPyConnection, Path, Any, Any], number: int) -> list[tuple[Any, ...]]:
    """What a query of the page says of the case, with its key and session in place of those of the example."""
    found, case, key, session = asked
    sql = (
        QUERIES[number].replace("'leak/", f"'{case}/").replace(CREATED, key.id).replace(RECORDED, session.id)
    )
    return found.execute(sql).fetchall()


def test_it_holds_the_tables_of_the_page(asked: tuple[duckdb.DuckDBPyConnection, Path, Any, Any]) -> None:
    """No view and no other table: each is told on the page, and each that the page tells is there."""
    tables = {name for (name,) in asked[0].execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    told = set(re.findall(r"^\| `(\w+)` \|", DOCS.read_text(), re.MULTILINE))

    assert tables == {*OUTPUT, *COLUMNS} == told
    assert not asked[0].execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()


def test_what_came_of_a_key_is_asked(asked: tuple[duckdb.DuckDBPyConnection, Path, Any, Any]) -> None:
    """The key, its token and its sessions, by how deep below the key they are."""
    assert [(0, "long_term_key"), (1, "assumed_role"), (1, "session_token"), (2, "assumed_role")] == [
        (depth, kind) for depth, _, kind, *_ in _answer(asked, 0)
    ]


def test_where_a_session_came_from_is_asked(asked: tuple[duckdb.DuckDBPyConnection, Path, Any, Any]) -> None:
    """From the root down to it."""
    assert ["long_term_key", "assumed_role", "assumed_role"] == [row[2] for row in _answer(asked, 1)]


def test_who_issued_most_is_asked(asked: tuple[duckdb.DuckDBPyConnection, Path, Any, Any]) -> None:
    """The key issued two, and its first session one."""
    assert [("long_term_key", 2), ("assumed_role", 1)] == [row[1:] for row in _answer(asked, 2)]


def test_what_was_never_used_is_asked(asked: tuple[duckdb.DuckDBPyConnection, Path, Any, Any]) -> None:
    """The token, which the key issued."""
    assert [("session_token", asked[2].id)] == [row[1:3] for row in _answer(asked, 3)]


def test_what_a_session_called_is_asked_of_the_segments(
    asked: tuple[duckdb.DuckDBPyConnection, Path, Any, Any],
) -> None:
    """Its three calls, none of which was refused."""
    assert [("s3.amazonaws.com", "ListBuckets", 3, 0)] == _answer(asked, 4)
