"""`tokentrail report`, `investigate --report`, and a trace as a graph, on the story."""

from __future__ import annotations

import json
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from shell import Run
from tokentrail.testing import FAKE_SESSION_TOKEN
from tokentrail.testing.story import Story


class Text(HTMLParser):
    """The text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said = ""
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.said += data


def test_a_report_stands_alone(run: Run, case: Path, told: Story, tmp_path: Path) -> None:
    """One file with every id of the trace as text, the survivors, the plan, the colleague, and the findings."""
    ran = run("report", told.a.key_id, "--case", case, "-o", "leak.html", "--format", "json")
    page = (tmp_path / "leak.html").read_text("utf-8")
    said = Text(page).said
    assert ran.code == 0
    assert json.loads(ran.out) == {
        "written": [{"file": "leak.html", "bytes": len(page.encode()), "credentials": 5}]
    }
    assert all(key in said for key in told.key_ids.values())
    assert "3 of the attacker's 5 credentials still work" in said
    assert "It cuts off a colleague (ria) too." in said
    assert told.ria_before.key_id in said and told.ria_after.key_id in said
    assert "prod/payments" in said
    assert FAKE_SESSION_TOKEN not in page


def test_a_report_is_the_same_each_time(run: Run, case: Path, told: Story, tmp_path: Path) -> None:
    """Written twice, page and picture have the same bytes; standard output gets them too."""
    for name in ("one", "two"):
        ran = run("report", told.a.key_id, "--case", case, "-o", f"{name}.html", "--lifelines", f"{name}.svg")
        assert ran.code == 0
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert run("report", told.a.key_id, "--case", case, "-o", "-").out == (tmp_path / "one.html").read_text(
        "utf-8"
    )


def test_a_report_as_of_an_earlier_moment_knows_no_more(
    run: Run, case: Path, told: Story, tmp_path: Path
) -> None:
    """Before the key was deactivated, nothing has ended, and D and E do not exist."""
    assert (
        run(
            "report", told.a.key_id, "--case", case, "--as-of", "2026-11-23T09:50:00Z", "-o", "early.html"
        ).code
        == 0
    )
    page = (tmp_path / "early.html").read_text("utf-8")
    assert "3 of the attacker's 3 credentials still work" in unescape(page)
    assert told.d.key_id not in page and told.e.key_id not in page


def test_a_report_without_subject_starts_from_the_worst_finding(
    run: Run, case: Path, told: Story, tmp_path: Path
) -> None:
    """It is the page of the key that the worst findings lead to, and says on stderr which it chose."""
    ran = run("report", "--case", case, "-o", "found.html")
    page = (tmp_path / "found.html").read_text("utf-8")
    assert ran.code == 0
    assert told.key_ids["B"] in page
    assert f"starts from {told.a.key_id}, the credential behind the most severe findings" in " ".join(
        ran.err.split()
    )


def test_a_report_of_a_quiet_case_says_where_to_start(run: Run, case: Path, tmp_path: Path) -> None:
    """Where nothing is found, the page is the case's."""
    assert run("report", "--case", case, "--as-of", "2026-11-22T23:10:00Z", "-o", "quiet.html").code == 0
    assert "Where to start" in (tmp_path / "quiet.html").read_text("utf-8")


def test_a_report_needs_a_place_and_a_subject_that_exists(
    run: Run, case: Path, told: Story, tmp_path: Path
) -> None:
    """Wrong use is said in a sentence, and nothing is written."""
    assert run("report", told.a.key_id, "--case", case).code == 2
    assert run("report", "AKIANOBODYHASTHISKEY", "--case", case, "-o", "none.html").code == 2
    assert run("report", told.a.key_id, "--case", case, "-o", "no/such/folder.html").code == 2
    assert not (tmp_path / "none.html").exists()


def test_an_investigation_can_write_its_page(run: Run, logs: Path, told: Story, tmp_path: Path) -> None:
    """`investigate --report` writes the page of the same subject."""
    ran = run("investigate", logs, "--subject", told.a.key_id, "--report", "leak.html")
    assert ran.code in (0, 1)
    assert all(key in (tmp_path / "leak.html").read_text("utf-8") for key in told.key_ids.values())


def test_a_trace_as_a_graph(run: Run, case: Path, told: Story) -> None:
    """For Graphviz and for Mermaid, with every credential."""
    for name, begin in (("dot", "digraph"), ("mermaid", "flowchart")):
        ran = run("trace", told.a.key_id, "--case", case, "--format", name)
        assert ran.code == 0
        assert ran.out.startswith(begin)
        assert all(key in ran.out for key in told.key_ids.values())
    assert run("status", "--case", case, "--format", "dot").code == 2


def test_a_timeline_for_timesketch(run: Run, case: Path, told: Story) -> None:
    """Its CSV begins with Timesketch's columns."""
    ran = run("timeline", told.a.key_id, "--case", case, "--format", "csv")
    assert ran.out.startswith("message,datetime,timestamp_desc,")


def test_a_report_as_markdown_is_for_tickets(run: Run, case: Path, told: Story, tmp_path: Path) -> None:
    """Verdict, lineage as Mermaid, plan and indicators are printed, or written to the file of -o, and nothing else."""
    ran = run("report", told.a.key_id, "--case", case, "--format", "md")
    run("report", told.a.key_id, "--case", case, "--format", "md", "-o", "leak.md")

    assert ran.code == 0
    assert ran.out.startswith("# 3 of the attacker's 5 credentials still work\n")
    assert all(
        one in ran.out
        for one in ("```mermaid\nflowchart LR\n", "**COMPLETE**", "- **Addresses** `", *told.key_ids.values())
    )
    assert (tmp_path / "leak.md").read_text("utf-8") == ran.out
    assert run("report", "--case", case, "--as-of", "2026-11-23T08:00:00Z", "--format", "md").code == 2


@pytest.mark.parametrize(
    ("format_", "begins"), [("indicators", "type,value,"), ("stix", "{\n"), ("navigator", "{\n")]
)
def test_a_report_for_other_tools(
    run: Run, case: Path, told: Story, tmp_path: Path, format_: str, begins: str
) -> None:
    """It is printed, or written to the file of -o, and nothing else; without a subject or its library it ends with 2."""
    ran = run("report", told.a.key_id, "--case", case, "--format", format_)
    run("report", told.a.key_id, "--case", case, "--format", format_, "-o", "leak.out")

    assert ran.code == 0
    assert ran.out.startswith(begins)
    assert (tmp_path / "leak.out").read_text("utf-8") == ran.out
    assert run("report", "--case", case, "--as-of", "2026-11-23T08:00:00Z", "--format", format_).code == 2


def test_stix_without_its_library_is_refused_in_words(
    run: Run, case: Path, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the extra is not installed, the answer says how to install it and which format needs none."""
    monkeypatch.setitem(sys.modules, "stix2", None)
    ran = run("report", told.a.key_id, "--case", case, "--format", "stix")
    assert ran.code == 2
    assert "pip install 'tokentrail[stix]'" in ran.err
    assert "--format indicators" in ran.err
