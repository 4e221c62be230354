"""What rules and signals declare that they read is what their queries name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from case_tables import FIRES
from rule_cases import world
from sqlglot.expressions import Table
from test_detection_many import rich

from evidence import held, in_segments
from tokentrail import Case
from tokentrail.case.raw_records import reader
from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.detection.cited_events import issuance_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.leads.lead_tables import LEAD_TABLES, TimeWindow
from tokentrail.detection.leads.theft_signals import SIGNALS
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.views import CHANGE_ACTORS, CREDENTIAL_DETAILS, HOSTED, VIEWS, WORKLOAD_STARTS, View
from tokentrail.errors import QueryFailed
from tokentrail.store.interface import Engine

WRITING = Path(__file__).parents[2] / "docs" / "writing-rules.md"
NAMES = {view.name for view in VIEWS}
ASKED = ("rows", "each", "table", "made")
"""The methods of the engine that take a query."""


@pytest.fixture(name="case", scope="module")
def _case() -> Iterator[Case]:
    with in_segments(rich(), 2) as case:
        yield case


def tables_in(queries: Sequence[str]) -> set[str]:
    """The tables that queries read."""
    return {
        table.name for sql in queries for table in sqlglot.parse_one(sql, dialect="duckdb").find_all(Table)
    }


def recorded(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries that the engine is asked from now on."""
    queries: list[str] = []

    def recording(method: Any) -> Any:
        @wraps(method)
        def ask(sql: str, *given: Any, **named: Any) -> Any:
            queries.append(sql.strip())
            return method(sql, *given, **named)

        return ask

    for name in ASKED:
        monkeypatch.setattr(engine, name, recording(getattr(engine, name)), raising=True)
    return queries


@pytest.mark.parametrize("made", VIEWS, ids=lambda made: made.name)
def test_a_view_can_be_made_by_itself(case: Case, made: View) -> None:
    """Where nothing else is made, a view makes the views that it needs, and names no others."""
    view = case._views.open(None)
    with closing(DetectionContext(view.engine, case._views.forest(None))) as context:
        context.prepare((made,))
        assert context.arrow(f"SELECT * FROM {made.name}").num_columns
    queries = {WORKLOAD_STARTS: HOSTED}
    query = queries.get(made, made.query).replace("some_", "")
    named = tables_in([query]) if query else set()
    assert named & NAMES == {needed.name for needed in made.needs}


def read_by(rule: Rule, case: Case, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The views that a rule's queries name, asked twice: as if nothing and as if everything were suspicious."""
    view, forest = case._views.open(None), case._views.forest(None)
    roots = [row["n"] for row in view.engine.rows("SELECT n FROM credentials WHERE parent_n IS NULL")]
    with closing(DetectionContext(view.engine, forest, read=reader(case._folder))) as context:
        context.prepare(rule.reads)
        with monkeypatch.context() as patched:
            queries = recorded(view.engine, patched)
            list(rule.find(context))
            context.suspect(roots)
            list(rule.find(context))
    return tables_in(queries) & NAMES


@pytest.mark.parametrize("rule", CATALOGUE, ids=lambda rule: rule.id)
def test_a_rule_reads_the_views_that_it_declares(
    case: Case, rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no other view made, a rule runs over every kind of attack, and over all its cases it reads each of its own."""
    declared = {read.name for read in rule.reads}
    used = read_by(rule, case, monkeypatch)
    for act in reversed(FIRES[rule.id]):
        if used != declared:
            place = world()
            act(place)
            with held(place) as own:
                used |= read_by(rule, own, monkeypatch)

    assert used == declared


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.id)
def test_a_signal_reads_what_it_declares(case: Case, signal: Any) -> None:
    """The tables of leads and the views that its query names are those that it declares."""
    declared = {read.name for read in (*signal.reads, *signal.views)}
    assert tables_in([signal.sql]) & (NAMES | {table.name for table in LEAD_TABLES}) == declared


def test_a_table_of_leads_reads_what_it_declares(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is with the tables that signals read: each is prepared by nothing but what it needs and reads."""
    view = case._views.open(None)
    with closing(DetectionContext(view.engine, case._views.forest(None))) as context:
        for table in LEAD_TABLES:
            context.prepare(table.reads)
            with monkeypatch.context() as patched:
                queries = recorded(view.engine, patched)
                table.prepare(context, TimeWindow())
            used = tables_in(queries) & (NAMES | {other.name for other in LEAD_TABLES}) - {table.name}
            assert used == {needed.name for needed in (*table.needs, *table.reads)}


def test_a_view_that_is_not_declared_is_not_there(case: Case) -> None:
    """A query that names a view which nobody prepared is refused, whatever other views are there."""
    view = case._views.open(None)
    others = [other for other in VIEWS if other is not CHANGE_ACTORS]
    with closing(DetectionContext(view.engine, case._views.forest(None))) as context:
        context.prepare(others)
        with pytest.raises(QueryFailed):
            list(context.rows("SELECT n FROM change_actors"))


def test_the_rule_that_the_docs_show_runs() -> None:
    """The example of docs/writing-rules.md is a rule that finds what it says, with nothing but what it declares."""
    [shown] = re.findall(r"```python\n(.*?)```", WRITING.read_text(), re.DOTALL)
    names: dict[str, Any] = {
        "DetectionContext": DetectionContext, "Iterator": Iterator, "Hit": Hit, "Rule": Rule, "named": named,
        "issuance_of": issuance_of, "CREDENTIAL_DETAILS": CREDENTIAL_DETAILS,
    }  # fmt: skip
    exec(shown, names)
    rule, place = names["RULE"], world()
    FIRES["assume-root"][0](place)
    with held(place) as case:
        view = case._views.open(None)
        with closing(DetectionContext(view.engine, case._views.forest(None))) as context:
            context.prepare(rule.reads)
            found = list(rule.find(context))

    assert found and all(hit.why.endswith("acted as root.") for hit in found)
