"""A table that can only be empty is made without asking, as the asking would have made it."""

from __future__ import annotations

from contextlib import closing

import pytest

from tokentrail.store import steps
from tokentrail.store.duck import DuckEngine
from tokentrail.store.interface import Step

LISTED = [
    Step("CREATE TABLE causes AS SELECT n FROM given", frozenset()),
    Step(
        "CREATE TABLE told AS SELECT n + 1 AS \"when\", 'x' || n AS name, [n] AS listed FROM causes",
        frozenset({0}),
        "causes",
    ),
    Step("CREATE TABLE after AS SELECT * FROM told", frozenset({1})),
]
KINDS = [("when", "BIGINT"), ("name", "VARCHAR"), ("listed", "BIGINT[]")]


@pytest.fixture(name="asked")
def _asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that went to the parser."""
    found: list[str] = []
    parse = steps.Parsed.statement
    monkeypatch.setattr(steps, "_SHAPES", {})
    monkeypatch.setattr(
        steps.Parsed, "statement", lambda self, on, sql: (found.append(sql), parse(self, on, sql))[1]
    )
    return found


def _linked(rows: int, *, few: bool) -> tuple[list[tuple[str, str]], int]:
    with closing(DuckEngine(threads=1, records=1 if few else None)) as engine:
        engine.run(f"CREATE TABLE given AS SELECT range AS n FROM range({rows})")
        engine.run_all(LISTED)
        kinds = [(one["column_name"], one["column_type"]) for one in engine.rows("DESCRIBE after")]
        return kinds, engine.rows("SELECT count(*) AS many FROM after")[0]["many"]


@pytest.mark.parametrize("few", [True, False])
def test_where_there_is_no_cause_nothing_is_asked_a_second_time(asked: list[str], *, few: bool) -> None:
    """The table is the same, column by column; where there is a cause again, it is asked for again."""
    assert (KINDS, 0) == _linked(0, few=few)
    first = asked.count(LISTED[1].sql)
    assert (KINDS, 0) == _linked(0, few=few)
    second = asked.count(LISTED[1].sql)
    assert (KINDS, 3) == _linked(3, few=few)

    assert (1, 1, 2) == (first, second, asked.count(LISTED[1].sql))


@pytest.mark.parametrize("few", [True, False])
def test_what_a_view_names_and_what_records_tell_are_causes_too(asked: list[str], *, few: bool) -> None:
    """A table that is known by another name drives as itself, and so does one of the evidence."""
    listed = [
        Step("CREATE TABLE new_made AS SELECT time AS n FROM changes", frozenset(), "changes"),
        Step("CREATE VIEW made AS SELECT * FROM new_made", frozenset({0})),
        Step("CREATE TABLE after AS SELECT n + 1 AS n FROM made", frozenset({0, 1}), "made"),
    ]

    def linked(rows: int) -> tuple[int, ...]:
        with closing(DuckEngine(threads=1, records=1 if few else None)) as engine:
            engine.run(f"CREATE TABLE changes AS SELECT range AS time FROM range({rows})")
            engine.run_all(listed)
            assert engine.rows("SELECT count(*) AS many FROM after") == [{"many": rows}]
        return tuple(asked.count(listed[at].sql) for at in (0, 2))

    assert [(1, 1), (1, 1), (2, 2)] == [linked(0), linked(0), linked(3)]
