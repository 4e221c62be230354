"""The demo: the first thing that a stranger sees."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import Run

from tokentrail.case import Case
from tokentrail.testing.story import Story

GOLDEN = """\
"""


def test_the_demo_reads_like_this(run: Run) -> None:
    """The story, told from the traces."""
    ran = run("demo", "--case", "here")
    assert ran.code == 0
    assert ran.out == GOLDEN


def test_every_state_in_it_is_what_the_case_says(run: Run, told: Story) -> None:
    """At each turn, the demo's credentials and states are those of a trace as of that moment."""
    shown = json.loads(run("demo", "--case", "here", "--format", "json").out)
    assert shown["credentials"] == told.key_ids
    with Case.open("here", create=False) as case:
        for chapter in shown["chapters"]:
            moment = getattr(told.moments, _NAMES[chapter["moment"][11:19]])
            trace = case.trace([told.a.key_id], as_of=moment)
            assert [(one["id"], one["state"]) for one in chapter["trace"]["credentials"]] == [
                (one.id, one.state) for one in trace.credentials
            ]


_NAMES = {
    "09:41:12": "leaked", "09:46:30": "c_minted", "10:02:00": "key_deactivated", "10:12:00": "sessions_revoked",
    "10:13:20": "d_minted", "11:10:00": "end",
}  # fmt: skip


def test_the_commands_that_it_ends_with_work(run: Run, told: Story) -> None:
    """The reader can go on with the demo's case, by the very commands that it prints."""
    ran = run("demo", "--case", "my case")
    commands = [line.split() for line in ran.out.splitlines() if line.startswith("  tokentrail ")]
    assert len(commands) == 4
    for command in commands:
        assert command[-3:] == ["--case", "'my", "case'"]
        assert run(*command[1:-2], "my case").code == 0


def test_the_demo_can_end_early(run: Run) -> None:
    """--as-of ends the walk at a moment, and before the story there is nothing to tell."""
    early = run("demo", "--case", "here", "--as-of", "2026-11-23T10:02:00Z").out
    assert "First step" in early and "Second step" not in early
    assert run("demo", "--case", "there", "--as-of", "2026-11-23T09:00:00Z").code == 2


def test_the_demo_leaves_evidence_alone(run: Run, logs: Path) -> None:
    """A folder that holds evidence is not mixed with invented records."""
    run("ingest", logs, "--case", "real")
    ran = run("demo", "--case", "real")
    assert (ran.code, ran.out) == (2, "")
    assert "holds evidence already" in ran.err
