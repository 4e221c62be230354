"""`identify`: what leaked, on the command line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from shell import Run
from tokentrail.testing.story import Story

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def test_a_file_tells_what_leaked_and_what_to_do(run: Run, told: Story, tmp_path: Path) -> None:
    """Kind, account and the command that investigates it stand there in each format, and its secret in none."""
    leak = tmp_path / ".env"
    leak.write_text(f"AWS_ACCESS_KEY_ID={told.a.key_id}\nAWS_SECRET_ACCESS_KEY={SECRET}\n")

    for form in ("text", "json", "jsonl", "csv"):
        ran = run("identify", leak, "--format", form)
        assert ran.code == 1
        assert told.a.key_id in ran.out and told.a.account in ran.out
        assert f"tokentrail investigate LOGS --subject {told.a.key_id}" in ran.out
        assert SECRET not in ran.out + ran.err
    assert not Path("tokentrail-case").exists()


def test_standard_input_is_read(run: Run, told: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it comes from a clipboard."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"look: {told.a.key_id}".encode())))
    [found] = json.loads(run("identify", "-", "--format", "json").out)
    assert (found["id"], found["with_secret"], found["file"]) == (told.a.key_id, False, "standard input")


def test_a_credential_on_the_command_line_is_refused_and_not_repeated(run: Run, told: Story) -> None:
    """Its secret would stand in the list of processes and in the shell's history; --text insists."""
    string = f"{told.a.key_id}:{SECRET}"
    ran = run("identify", string)
    assert ran.code == 2 and "looks like a credential" in ran.err
    assert SECRET not in ran.out + ran.err and told.a.key_id not in ran.err
    assert run("identify", "--text", string).code == 1


def test_an_id_is_no_secret_and_may_stand_on_the_command_line(run: Run, told: Story) -> None:
    """Who has nothing but an id types it: whose it is is said, and what to run."""
    ran = run("identify", told.a.key_id)
    assert ran.code == 1 and f"--subject {told.a.key_id}" in ran.out and told.a.account in ran.out


def test_nothing_found_is_said(run: Run, tmp_path: Path) -> None:
    """A file without a credential, and one that is not there, end in words."""
    (tmp_path / "a.txt").write_text("nothing here")
    ran = run("identify", tmp_path / "a.txt")
    assert ran.code == 0 and "No AWS credential is in it" in ran.out
    assert run("identify", tmp_path / "missing").code == 2
