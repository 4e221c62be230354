"""The command line as a process: its pipes, its terminal, its hostile evidence."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path

import pytest

from evidence import pandas_that_tells
from shell import Run
from tokentrail.cli import output
from tokentrail.testing import World
from tokentrail.testing.story import Story

PROGRAM = [sys.executable, "-m", "tokentrail"]


def on_a_terminal(*arguments: str, columns: int) -> str:
    """Run the program on a terminal of so many columns, and give what it showed there."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns)},
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux's way to say that the other side is closed
                break
            if not chunk:
                break
            shown += chunk
        process.wait()
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def test_a_terminal_and_a_pipe_get_the_same_text(run: Run, case: Path, told: Story) -> None:
    """A terminal of a hundred columns shows what a pipe gets; only the terminal gets colour."""
    piped = run("trace", told.a.key_id, "--case", case).out
    shown = on_a_terminal("trace", told.a.key_id, "--case", str(case), columns=100)
    assert "\x1b[" in shown and "\x1b" not in piped
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown) == piped
    assert max(map(len, piped.splitlines())) <= 100


def test_text_fills_the_terminal_that_it_is_shown_on(case: Path, told: Story) -> None:
    """On 70 columns and on 140, the same words stand in lines of that width."""
    for columns in (70, 140):
        shown = on_a_terminal("contain", told.a.key_id, "--case", str(case), columns=columns)
        sentences = [
            one for one in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines() if one.startswith("  - ")
        ]
        assert columns - 20 < max(map(len, sentences)) <= columns


def test_the_program_runs_nothing_that_lies_in_the_current_folder(tmp_path: Path) -> None:
    """As a module it is looked for there, by Python; what it needs itself is not: evidence may lie there."""
    for name in ("click", "rich", "signal"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")
    done = subprocess.run([*PROGRAM, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("tokentrail ")
    assert not (tmp_path / "ran").exists()


ON_WINDOWS = """
import ctypes, os, sys
import click, concurrent.futures.thread, duckdb, pyarrow.parquet, sqlite3, tempfile
sys.modules["fcntl"] = None
for name in (
    "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "PRIO_PROCESS", "confstr", "fdatasync", "fork",
    "getpriority", "mkfifo", "pread", "register_at_fork", "sched_setaffinity", "sched_setscheduler", "setpriority",
):
    if hasattr(os, name):
        delattr(os, name)
from tokentrail.cli.root import main
from tokentrail.watch import ledger
sys.platform = "win32"
main()
"""
"""The program where Python lacks what it lacks on Windows; what others load of it is loaded before."""


def test_on_windows_a_case_is_refused_in_words(tmp_path: Path) -> None:
    """Help is given there; whoever opens a case is told to go to WSL instead of shown a traceback, and none is begun."""
    command = [sys.executable, "-c", ON_WINDOWS, "status", "--case", str(tmp_path / "case")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (2, "") == (done.returncode, done.stdout)
    assert re.fullmatch(r"Error: .*: no case is opened on Windows itself.* WSL .*\n", done.stderr)
    assert not (tmp_path / "case").exists()


def test_a_closed_pipe_is_no_error(case: Path) -> None:
    """`tokentrail ... | head` ends without a word."""
    command = [*PROGRAM, "credentials", "--case", str(case), "--format", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.read(10)
        process.stdout.close()
        assert "Error" not in process.stderr.read().decode()
        assert process.wait() == 0


def test_closed_streams_are_no_error(case: Path) -> None:
    """A scheduler that gives a verb no standard output and no standard error still gets its exit code."""
    line = '"$0" "$@" >&- 2>&-'
    done = subprocess.run(["sh", "-c", line, *PROGRAM, "status", "--case", str(case)], check=False)
    assert done.returncode == 0


def test_a_verb_loads_no_pandas(case: Path, tmp_path: Path) -> None:
    """Though Arrow looks for it before its first array: where it is installed, it would be most of what is loaded."""
    loaded = pandas_that_tells(tmp_path)
    found = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    command = [*PROGRAM, "credentials", "--case", str(case)]
    subprocess.run(command, capture_output=True, check=True, env={**os.environ, "PYTHONPATH": found})
    assert not loaded.exists()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_will_do(encoding: str, case: Path, told: Story) -> None:
    """A terminal that can't show a branch or an ellipsis gets an escape, never a crash."""
    done = subprocess.run(
        [*PROGRAM, "trace", told.a.key_id, "--case", str(case)],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert done.returncode == 0
    assert told.e.key_id.encode() in done.stdout


def test_standard_input_is_a_source(told: Story, tmp_path: Path) -> None:
    """`-` reads evidence from a pipe, and progress doesn't appear where nobody looks."""
    records = json.dumps({"Records": told.world.records()[:50]})
    done = subprocess.run(
        [*PROGRAM, "ingest", "-", "--case", str(tmp_path / "case"), "--format", "json"],
        check=False,
        input=records.encode(),
        capture_output=True,
    )
    assert json.loads(done.stdout)["records"]["new"] == 50
    assert b"Reading" not in done.stderr


EVIL = "\x1b]0;owned\x07\x1b[2J[bold red]=cmd|' /C calc'!A0\u202e\u2066\u200b\r\n\x9b31m"


@pytest.fixture(name="hostile")
def _hostile(tmp_path: Path) -> tuple[Path, str]:
    """A case of evidence whose every free text is an attack, and the key that it starts from."""
    from datetime import UTC, datetime

    world = World(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
    key = world.user("support")
    session = key.seen_from("203.0.113.77", EVIL).assumes("MyBucketRole", EVIL)
    session.calls("s3:GetObject", {"bucketName": "b", "key": EVIL})
    session.denied("s3:PutObject", EVIL)
    session.calls("secretsmanager:GetSecretValue", {"secretId": EVIL})
    records = world.records()
    for name in ("eventName", "eventSource", "awsRegion", "errorCode", "sourceIPAddress"):
        records.append({**records[-1], name: EVIL, "eventID": f"{EVIL}{name}"})
    (tmp_path / f"evil{chr(27)}[2J.json").write_text(json.dumps({"Records": [*records, 7]}))
    return tmp_path, key.key_id


def test_hostile_evidence_stays_inert(hostile: tuple[Path, str], run: Run) -> None:
    """No verb and no format lets evidence move a cursor, run as a formula, be markup, or leave its line."""
    folder, key_id = hostile
    case = folder / "case"
    for format_ in ("text", "json", "jsonl", "csv"):
        for verb in (
            ("ingest", folder),
            ("investigate", folder, "--subject", key_id),
            ("credentials",),
            ("trace", key_id),
            ("timeline", key_id),
            ("status", "--rejected"),
        ):
            ran = run(*verb, "--case", case, "--format", format_)
            assert ran.code == 0
            for character in set(ran.out + ran.err) - {"\n"}:
                assert character == " " or unicodedata.category(character)[0] not in "CZ"
            lines = ran.out.splitlines() if format_ == "text" else []
            assert all(len(line) <= 100 or "tokentrail " in line for line in lines)  # commands stay whole
    text = run("trace", key_id, "--case", case).out
    assert "\\x1b[2J[bold red]" in text


AT_ONCE = """
from types import SimpleNamespace
from tokentrail.cli import output, root
nothing = lambda: None
output.Timer = lambda seconds, begin: SimpleNamespace(start=begin, cancel=nothing, join=nothing)
root.main()
"""
WAITS = [sys.executable, "-c", AT_ONCE]
"""The program, where a while is no time at all."""


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        (("detect", "--format", "json"), "Judging the evidence"),
        (("guard", "--format", "json"), "Testing guardrails"),
        pytest.param(("credentials", "--format", "json"), "Looking through the case", marks=pytest.mark.long),
    ],
)
def test_whoever_waits_is_told_for_what(case: Path, verb: tuple[str, ...], said: str) -> None:
    """On a terminal, and there alone; what is printed is the same, also where it goes to a file."""
    command = [*WAITS, *verb, "--case", str(case)]
    quiet = subprocess.run(command, capture_output=True, check=False)
    ours, theirs = pty.openpty()
    watched = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=False,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    shown = os.read(ours, 1 << 20).decode()
    os.close(ours)

    assert quiet.stdout == watched.stdout
    assert json.loads(quiet.stdout)
    assert said in shown and said not in quiet.stderr.decode()
    after = shown.rpartition("\x1b[2K")[2]
    assert said not in after, "the line is taken away again"
    assert ("spans less than" in after) == ("spans less than" in quiet.stderr.decode()), "sentences come then"
    hidden = [part.find("\x1b[?25h") for part in shown.split("\x1b[?25l")[1:]]
    assert all(0 <= at < 80 for at in hidden), "the cursor is there all the time, as a verb may be killed"


def test_rows_that_begin_late_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is taken out before it is asked for, but for the first."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    asked = []
    rows = output.announced("Waiting", (asked.append(n) or n for n in range(3)))
    assert asked == [0]
    assert list(rows) == [0, 1, 2]
    assert list(output.announced("Waiting", iter(()))) == []


def test_what_fails_while_somebody_waits_is_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line begins in a thread of its own, which ends with it."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    before = threading.active_count()
    with pytest.raises(KeyError), output.waiting("Waiting"):
        raise KeyError
    assert threading.active_count() == before
