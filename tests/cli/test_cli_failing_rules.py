"""A rule or signal that fails costs itself, wherever evidence is judged: it is named, and the others judge."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hostile import read
from shell import Run
from tokentrail import Case
from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.leads import lead_tables
from tokentrail.detection.leads.theft_signals import SIGNALS
from tokentrail.detection.model import Hit
from tokentrail.mcp.questions import DetectQuestion, LeadsQuestion
from tokentrail.mcp.tools import CaseTools
from tokentrail.testing.story import Story
from tokentrail.web import background_detection
from tokentrail.web.console_queries import ConsoleQueries, QueryParams

RULE, SIGNAL = "two-networks", SIGNALS[0].id
NAMED = f"The rule {RULE} could not judge this evidence (the engine refuses its query)"
SIGNAL_NAMED = f"The signal {SIGNAL} could not judge this evidence (the engine refuses its query)"


def lines(text: str) -> list[dict[str, Any]]:
    """The objects of JSON Lines."""
    return [json.loads(line) for line in text.splitlines()]


def overflows(context: DetectionContext) -> Iterator[Hit]:
    """A rule whose query fails over values, as hostile evidence may make one."""
    for _ in context.rows("SELECT CAST('x' AS BIGINT) AS n FROM credential_details"):
        raise AssertionError
    return iter(())


@pytest.fixture(autouse=True)
def _failing(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = tuple(
        replace(one, find=overflows, prefilter=frozenset()) if one.id == RULE else one for one in CATALOGUE
    )
    monkeypatch.setattr("tokentrail.detection.run.CATALOGUE", rules)
    first = replace(
        SIGNALS[0], sql="SELECT CAST('x' AS BIGINT) AS lead, [1] AS heads FROM credential_details"
    )
    monkeypatch.setattr("tokentrail.detection.leads.lead_ranking.SIGNALS", (first, *SIGNALS[1:]))


@pytest.mark.parametrize(
    ("arguments", "named", "code"),
    [
        (("detect",), (NAMED,), 1),
        (("leads",), (SIGNAL_NAMED,), 0),
        (("guard",), (NAMED,), 1),
        (("report", "-o", "page.html"), (NAMED, SIGNAL_NAMED), 0),
    ],
)
def test_every_verb_names_what_failed(
    arguments: tuple[str, ...], named: tuple[str, ...], code: int, run: Run, case: Path
) -> None:
    """The answer is given, stderr names what failed in it, and --strict ends with 3."""
    ran = run(*arguments, "--case", case)
    said = " ".join(ran.err.split())
    assert ran.code == code
    assert all(one in said for one in named)
    assert run(*arguments, "--case", case, "--strict").code == 3


def test_an_investigation_names_what_failed(run: Run, logs: Path) -> None:
    """`investigate` answers from the other rules and signals, and --strict ends with 3."""
    ran = run("investigate", logs, "--case", "own")
    said = " ".join(ran.err.split())
    assert ran.code == 1
    assert NAMED in said and SIGNAL_NAMED in said
    assert run("investigate", logs, "--case", "own", "--strict").code == 3


def test_a_report_names_what_failed(run: Run, case: Path, told: Story, tmp_path: Path) -> None:
    """The page and the Markdown of a report carry the sentence themselves, since they are read without the terminal."""
    page = tmp_path / "page.html"
    run("report", told.a.key_id, "-o", page, "--case", case)
    assert NAMED in read(page.read_text()).said
    assert NAMED in run("report", told.a.key_id, "--format", "md", "--case", case).out


def test_the_library_names_what_failed(case: Path) -> None:
    """Results of `detect`, `leads` and `guard` say it in `failed`, and hold what the others found."""
    with Case.open(case, create=False) as opened:
        found, leads, guard = opened.detect(), opened.leads(), opened.guard()
    assert found and leads and guard.attackers
    assert [one.startswith(NAMED) for one in (*found.failed, *guard.failed)] == [True, True]
    assert [one.startswith(SIGNAL_NAMED) for one in leads.failed] == [True]


def test_the_pages_of_the_console_name_what_failed(case: Path, told: Story) -> None:
    """The start page, a subject's and that of findings carry the sentence, as do their twins."""
    answers = ConsoleQueries(case)
    try:
        for page in (
            answers.start(QueryParams()),
            answers.trace(QueryParams({"subject": told.a.key_id})),
            answers.findings(QueryParams()),
        ):
            assert NAMED in read(page.html()).said
            assert NAMED in " ".join(page.twin()["failed"])
        assert SIGNAL_NAMED in " ".join(answers.start(QueryParams()).twin()["failed"])
    finally:
        answers.close()
    assert NAMED in " ".join(background_detection.DetectionRun(case)(None).findings.failed)


def test_an_assistant_is_told_what_failed(case: Path) -> None:
    """The tools `detect` and `leads` say it among what their answers lack."""
    tools = CaseTools(case)
    try:
        assert NAMED in str(tools.detect(DetectQuestion()))
        assert SIGNAL_NAMED in str(tools.leads(LeadsQuestion()))
    finally:
        tools.close()


@pytest.mark.parametrize(
    ("query", "table", "lost"),
    [
        ("_CALL_NAMES", "call_kinds", {"key-mints", "persistence", "data-by-hand", "incident-calls"}),
        ("_WORKLOAD_IPS", "outside_ips", {"workload-outside"}),
        ("_CALLS", "lead_calls", {signal.id for signal in SIGNALS}),
    ],
)
def test_a_table_of_leads_that_fails_costs_what_reads_it(
    query: str, table: str, lost: set[str], run: Run, case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All leads are listed, by the signals that do not read it; the table and its signals are named, --strict is 3."""
    whole = lines(run("leads", "--case", case, "--format", "jsonl").out)
    monkeypatch.setattr(
        lead_tables, query, "SELECT CAST('x' AS BIGINT) AS source, 1 AS name, '' AS ip FROM events"
    )
    ran = run("leads", "--case", case, "--format", "jsonl")
    listed = lines(ran.out)
    said = " ".join(ran.err.split())

    def shown(leads: list[dict[str, Any]]) -> set[tuple[str, str]]:
        return {(lead["credential"], reason["signal"]) for lead in leads for reason in lead["reasons"]}

    named = said.partition("what is looked for by ")[2].partition(" may be missing")[0]
    gone = {signal.id for signal in SIGNALS if re.search(rf"(?<![\w-]){signal.id}(?![\w-])", named)}
    assert (
        f"The table {table} could not be prepared from this evidence (the engine refuses its query)" in said
    )
    assert lost <= gone
    assert shown(listed) == {one for one in shown(whole) if one[1] not in gone}
    assert {lead["credential"] for lead in listed} >= {lead["credential"] for lead in whole}
    assert run("leads", "--case", case, "--strict").code == 3


def test_without_leads_the_answer_says_why(run: Run, case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody can tell who the leads are, none is listed, and the answer says so."""
    monkeypatch.setattr(lead_tables, "_LEADS", "SELECT CAST('x' AS BIGINT) AS n FROM events")
    ran = run("leads", "--case", case, "--format", "jsonl")
    assert ran.out == ""
    assert "The table lead_credentials could not be prepared" in " ".join(ran.err.split())
    assert run("leads", "--case", case, "--strict").code == 3
