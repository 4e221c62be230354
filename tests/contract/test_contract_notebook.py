"""Results show themselves at a prompt and in a notebook, and the notebook in docs runs."""

from __future__ import annotations

import ast
import base64
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from contract_cases import ROOT

import tokentrail
from tokentrail import Case
from tokentrail.case.result_set import LazyRows, Rows
from tokentrail.testing import World
from tokentrail.testing.story import Story, story

NOTEBOOK = ROOT / "docs" / "investigation.ipynb"
EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">'


@pytest.fixture(name="told", scope="module")
def _told() -> Story:
    return story(ordinary_day=False)


@pytest.fixture(name="case", scope="module")
def _case(told: Story, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("notebook")
    told.world.write(folder / "logs")
    with Case.open(folder / "case") as case:
        case.ingest([folder / "logs"])
        yield case


def shown(cell: str, names: dict[str, object]) -> object:
    """Run a cell, and give back what a notebook would show of it: the value of its last expression."""
    body = ast.parse(cell).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), str(NOTEBOOK), "exec"), names)
    return (
        eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names)
        if isinstance(last, ast.Expr)
        else None
    )


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each code cell of the notebook runs, one after the other; it holds no outputs, and shows lifelines and tables."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "notebook"}
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    values = [shown("".join(cell["source"]), names) for cell in cells if cell["cell_type"] == "code"]
    pictures = [value._repr_html_() for value in values if hasattr(value, "_repr_html_")]

    assert not any(cell.get("outputs") for cell in cells)
    assert sum("data:image/svg+xml" in one for one in pictures) == 2
    assert sum("<table>" in one for one in pictures) >= 4


def test_the_public_names_are_listed() -> None:
    """`dir(tokentrail)` names what a newcomer needs before anything was loaded, and each of it can be had."""
    assert {"Case", "Credential", "Trace", "Plan", "Finding", "Lead", "Status"} <= set(dir(tokentrail))
    assert all(hasattr(tokentrail, name) for name in tokentrail.__all__)
    assert set(tokentrail.__all__) <= set(dir(tokentrail))


def test_results_are_told_in_a_line(case: Any, told: Story) -> None:
    """A prompt shows a trace, plan, case or list in a line, however much is in it."""
    trace, plan, leads = case.trace([told.a.key_id]), case.contain([told.a.key_id]), case.leads()
    timeline = case.timeline([told.a.key_id])

    assert repr(trace).startswith(f"<Trace of {told.a.key_id} as of 2026-11-23T")
    assert repr(plan).endswith(": COMPLETE, 2 steps>")
    for one in (
        case,
        trace,
        plan,
        leads,
        leads[0],
        timeline,
        timeline[0],
        case.detect(),
        case.status(),
        *trace.credentials,
    ):
        assert len(repr(one)) < 400 and "\n" not in repr(one)


def test_results_show_themselves_without_the_notebook() -> None:
    """A result whose class was imported from its own module is told in a line, though no face was asked for."""
    told = "from tokentrail.results import ObjectCounts as O, RecordCounts as R, IngestSummary as I; print(I("
    told += "objects=O(read=1, repeated=0, skipped=0), records=R(read=2, new=2, repeated=0, rejected=1), rejected=(),"
    told += "skipped=(), seconds=1.0))"
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert ran.stdout == "<IngestSummary: 2 new of 2 records, 1 rejected>\n"


def test_a_timeline_is_a_sequence(case: Any, told: Story) -> None:
    """It can be counted, picked from, cut and gone through again and again; as a table it has its fields as columns."""
    timeline = case.timeline([told.a.key_id])
    every = list(timeline)
    table = timeline.to_arrow()

    assert isinstance(timeline, LazyRows)
    assert (len(timeline), timeline[0], timeline[-1], list(timeline)) == (
        len(every),
        every[0],
        every[-1],
        every,
    )
    assert timeline[2:5] == tuple(every[2:5])
    assert table.num_rows == len(every)
    assert table.schema.field("time").type == pa.timestamp("s", "UTC")
    assert table["event_id"].to_pylist() == [one.event_id for one in every]


def test_lists_are_tuples_that_become_tables(case: Any) -> None:
    """Findings and leads compare and pickle as tuples do, and become Arrow tables with nested columns."""
    leads, findings = case.leads(), case.detect()

    assert isinstance(leads, tuple) and pickle.loads(pickle.dumps(leads)) == leads == tuple(leads)
    assert [one["signal"] for one in leads.to_arrow()["reasons"].to_pylist()[0]] == [
        one.signal for one in leads[0].reasons
    ]
    assert findings.to_arrow()["title"].to_pylist() == [one.title for one in findings]
    assert case.detect(rules=["attack-tool"]).to_arrow().num_rows == 0
    assert isinstance(pickle.loads(pickle.dumps(findings)), Rows)


def test_a_data_frame_is_made_where_pandas_is(case: Any, told: Story) -> None:
    """`to_pandas` gives a row for each call."""
    pytest.importorskip("pandas")
    assert len(case.timeline([told.a.key_id]).to_pandas()) == len(case.timeline([told.a.key_id]))


class Elements(HTMLParser):
    """The elements of a piece of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes.update(name for name, _ in attrs)


def test_hostile_names_are_inert_in_a_notebook(tmp_path: Path) -> None:
    """Markup in names that an attacker chose is text in each picture, and within the lifelines."""
    from datetime import UTC, datetime

    world = World(datetime(2026, 11, 23, 9, tzinfo=UTC))
    key = world.user("ada")
    key.assumes("Deploy", EVIL).calls("s3:GetObject", {"bucketName": EVIL, "key": EVIL})
    world.write(tmp_path / "logs")
    with Case.open(tmp_path / "case") as case:
        case.ingest([tmp_path / "logs"])
        results: list[Any] = [
            case.trace([key.id]),
            case.leads(),
            case.contain([key.id]),
            case.timeline([key.id]),
        ]
        pictures = [one._repr_html_() for one in results]
    drawn = re.search(r"base64,([^\"]+)", pictures[0])
    assert drawn is not None
    for picture in (*pictures, base64.b64decode(drawn[1]).decode()):
        read = Elements()
        read.feed(picture)
        assert "script" not in read.found
        assert not {name for name in read.attributes if name.startswith("on")}
