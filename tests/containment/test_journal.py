"""The journal: on the disk before the call, whole after a crash, of one plan, of one process, without secrets."""

from __future__ import annotations

import errno
import json
import os
import stat
from contextlib import nullcontext
from pathlib import Path

import pytest
from carry_cases import AS_OF

from tokentrail.containment.execution.journal import Journal, journal_path, read
from tokentrail.errors import ActionRefused, CaseError
from tokentrail.watch.ledger import Ledger


def kept(folder: Path, *texts: str) -> Path:
    """A journal with some lines."""
    path = journal_path(folder / "plan.json")
    with Journal(path, plan="p", run="r") as journal:
        for text in texts:
            journal.write({"kind": "note", "text": text}, AS_OF)
    return path


def texts(path: Path) -> list[str]:
    return [line["text"] for line in read(path, plan="p") if line["kind"] == "note"]


def test_lines_are_appended_for_the_owner_alone(tmp_path: Path) -> None:
    """A second run adds to the first; each line has its number, run and time."""
    path = kept(tmp_path, "one")
    kept(tmp_path, "two")

    lines = read(path, plan="p")

    assert path.name == "plan.json.journal.jsonl"
    assert texts(path) == ["one", "two"]
    assert [line["seq"] for line in lines] == [1, 2, 3]
    assert lines[1]["at"] == "2026-11-23T10:14:00.000000Z"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("there", [True, False])
def test_no_link_beside_a_plan_is_written_through(tmp_path: Path, there: bool) -> None:
    """Whoever handed the plan over does not choose which of one's own files are added to."""
    mine = tmp_path / "mine"
    if there:
        mine.touch()
    journal_path(tmp_path / "plan.json").symlink_to(mine)

    with pytest.raises(ActionRefused, match="is a link"):
        kept(tmp_path, "one")
    assert mine.exists() == there
    assert not there or mine.read_bytes() == b""


@pytest.mark.parametrize("torn", range(1, 30, 7))
def test_a_torn_last_line_is_set_aside(tmp_path: Path, torn: int) -> None:
    """What a crash left of a line goes into a file of its own, and the rest is whole."""
    path = kept(tmp_path, "one", "two")
    path.write_bytes(path.read_bytes()[: -torn - 1])

    assert texts(path) == ["one"]
    kept(tmp_path, "three")

    assert texts(path) == ["one", "three"]
    assert path.with_name(path.name + ".torn").read_text().startswith('{"seq":3')


def test_a_whole_last_line_without_its_break_is_kept(tmp_path: Path) -> None:
    """Only the line break was torn off."""
    path = kept(tmp_path, "one")
    path.write_bytes(path.read_bytes()[:-1])
    kept(tmp_path, "two")

    assert texts(path) == ["one", "two"]


def test_damage_in_the_middle_is_refused(tmp_path: Path) -> None:
    """Nothing is sent on a guess of what was there."""
    path = kept(tmp_path, "one", "two", "three")
    lines = path.read_bytes().splitlines(keepends=True)
    for damaged in (
        [lines[0], b"{\n", *lines[2:]],
        [lines[0], *lines[2:]],
        [*lines[:2], lines[1], *lines[2:]],
    ):
        path.write_bytes(b"".join(damaged))
        with pytest.raises(ActionRefused, match="damaged"):
            Journal(path, plan="p", run="r")


def test_another_plan_s_journal_is_refused(tmp_path: Path) -> None:
    """The journal is what undo needs, so a new plan in the same file does not write into it."""
    path = kept(tmp_path, "one")

    with pytest.raises(ActionRefused, match="another plan"):
        Journal(path, plan="q", run="r")
    with pytest.raises(ActionRefused, match="another plan"):
        read(path, plan="q")


def test_a_run_without_deeds_leaves_no_line(tmp_path: Path) -> None:
    """A run that was refused does not keep a plan anew from lying in the same file."""
    path = kept(tmp_path)

    with Journal(path, plan="q", run="r"):
        assert read(path, plan="q") == []


def test_two_processes_do_not_write_at_once(tmp_path: Path) -> None:
    """The second is refused."""
    path = kept(tmp_path, "one")

    with Journal(path, plan="p", run="r"), pytest.raises(ActionRefused, match="another process"):
        Journal(path, plan="p", run="r")


def test_where_nothing_can_be_locked_nobody_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shared folder without locks is no other process: it was said to be one, whose end never came."""

    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refused)
    with pytest.raises(ActionRefused, match=r"can't be locked: No locks available\. Move the plan"):
        Journal(tmp_path / "journal", plan="p", run="r")
    with pytest.raises(CaseError, match="can't be locked: No locks available"):
        Ledger(tmp_path)


@pytest.mark.parametrize("refusal", [errno.EINVAL, errno.EIO])
def test_a_folder_that_is_never_written_through_holds_a_journal(
    refusal: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some shared folders can't be asked to (fsync(2): EINVAL); a disk that fails when asked is another matter."""
    written = os.fsync

    def refused(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(refusal, os.strerror(refusal))
        written(descriptor)

    monkeypatch.setattr(os, "fsync", refused)
    expected = nullcontext() if refusal == errno.EINVAL else pytest.raises(OSError, match="Input/output")
    with expected, Journal(tmp_path / "journal", plan="p", run="r") as journal:
        assert 2 == journal.write({"kind": "call"}, AS_OF)


def test_secrets_are_not_kept(tmp_path: Path) -> None:
    """Session tokens, secret keys and passwords have no place in it, however deep."""
    path = journal_path(tmp_path / "plan.json")
    secret = {
        "Password": "a",
        "Credentials": [{"SecretAccessKey": "b", "SessionToken": "c", "AccessKeyId": "AKIA"}],
    }
    with Journal(path, plan="p", run="r") as journal:
        journal.write({"kind": "after", "answer": secret, "when": AS_OF, "odd": {1, 2}}, AS_OF)

    line = json.loads(path.read_text().splitlines()[1])
    assert line["answer"]["Credentials"] == [
        {"SecretAccessKey": "(not kept)", "SessionToken": "(not kept)", "AccessKeyId": "AKIA"}
    ]
    assert line["answer"]["Password"] == "(not kept)"


def test_a_folder_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    """Nothing is sent without a journal."""
    with pytest.raises(ActionRefused, match="Nothing is sent"):
        Journal(tmp_path / "none" / "j", plan="p", run="r")


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    """A plan that was never applied has done nothing."""
    assert read(tmp_path / "none", plan="p") == []
