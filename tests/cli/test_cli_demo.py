"""The demo: the first thing that a stranger sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shell import Ran, Run, ran
from tokentrail.case import Case
from tokentrail.testing import FAKE_SESSION_TOKEN
from tokentrail.testing.story import story

GOLDEN = (Path(__file__).parent / "demo.txt").read_text()
"""What it prints; a test of the README compares what that shows with the same file."""


@pytest.fixture(name="shown", scope="module")
def _shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A folder where the demo was run with a case whose name must be quoted, and what it said."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.delenv("TOKENTRAIL_CASE", raising=False)
        return folder, ran(patched, ("demo", "--case", "my case"))


def test_the_demo_reads_like_this(shown: tuple[Path, Ran]) -> None:
    """The story, told from the traces; of session tokens its evidence is full, and it prints none."""
    _, said = shown
    assert said.code == 0
    assert said.out == GOLDEN.replace("--case here", "--case 'my case'")
    assert FAKE_SESSION_TOKEN not in said.err


@pytest.mark.long
@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_no_session_token_is_printed_in_other_formats(run: Run, format_: str) -> None:
    """On neither stream."""
    said = run("demo", "--case", "here", "--format", format_)
    assert said.code == 0 and said.out
    assert FAKE_SESSION_TOKEN not in said.out + said.err


def test_every_state_in_it_is_what_the_case_says(run: Run) -> None:
    """At each turn, the demo's credentials and states are those of a trace as of that moment."""
    told = story()
    said = run("demo", "--case", "here", "--format", "json")
    assert FAKE_SESSION_TOKEN not in said.out + said.err
    shown = json.loads(said.out)
    assert shown["credentials"] == told.key_ids
    with Case.open("here", create=False) as case:
        for chapter in shown["chapters"]:
            moment = getattr(told.moments, _NAMES[chapter["moment"][11:19]])
            trace = case.trace([told.a.key_id], as_of=moment)
            assert [(one["id"], one["state"]) for one in chapter["trace"]["credentials"]] == [
                (one.id, one.state) for one in trace.credentials
            ]


_NAMES = {
    "09:41:12": "leaked",
    "09:46:30": "c_minted",
    "10:02:00": "key_deactivated",
    "10:12:00": "sessions_revoked",
    "10:13:20": "d_minted",
    "11:10:00": "end",
}


def test_the_commands_that_it_ends_with_work(
    shown: tuple[Path, Ran], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader can go on with the demo's case, by the very commands that it prints."""
    folder, said = shown
    monkeypatch.chdir(folder)
    commands = [line.split() for line in said.out.splitlines() if line.startswith("  tokentrail ")]
    assert len(commands) == 6
    for command in commands:
        assert command[-3:] == ["--case", "'my", "case'"]
        assert run(*command[1:-2], "my case").code == (
            1 if command[1] == "detect" else 0
        )  # it finds something


def test_the_demo_can_end_early(run: Run) -> None:
    """--as-of ends the walk at a moment, and before the story there is nothing to tell."""
    early = run("demo", "--case", "here", "--as-of", "2026-11-23T10:02:00Z").out
    assert "First step" in early and "Second step" not in early
    assert run("demo", "--case", "there", "--as-of", "2026-11-23T09:00:00Z").code == 2


def test_the_demo_leaves_evidence_alone(run: Run, logs: Path) -> None:
    """A folder that holds evidence is not mixed with invented records."""
    run("ingest", logs, "--case", "real")
    said = run("demo", "--case", "real")
    assert (said.code, said.out) == (2, "")
    assert "holds evidence already" in said.err
