"""What somebody else put in a case, or where a file is written, leads TokenTrail nowhere else."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from evidence import START, copied
from tokentrail import Case
from tokentrail.errors import ActionRefused, CaseError, UsageError
from tokentrail.store import path_safety
from tokentrail.store.folder import CaseFolder
from tokentrail.testing import World, native

STRANGER = 4242


@pytest.fixture(name="log", scope="module")
def _log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = World(START)
    world.user("ada").assumes("Deploy").calls("s3:ListBuckets", count=3)
    log = tmp_path_factory.mktemp("logs") / "log.json"
    log.write_bytes(native(world.records()))
    return log


@pytest.fixture(name="made", scope="module")
def _made(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "case"
    with Case.open(path) as case:
        case.ingest([str(log)])
        list(case.credentials())
    return path


@pytest.fixture(name="case")
def _case(made: Path, tmp_path: Path) -> Path:
    copied(made, tmp_path / "case")
    return tmp_path / "case"


@pytest.fixture(name="mine")
def _mine(tmp_path: Path) -> Path:
    """A folder of one's own files, to which links of others lead."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "diary").write_text("dear diary")
    return mine


@pytest.fixture(name="as_stranger")
def _as_stranger(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make what lies in a folder that of a user who is not the one that runs."""

    def stranger(folder: Path) -> None:
        if os.geteuid() == 0:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, 1000, 1000, follow_symlinks=False)
        monkeypatch.setattr(os, "geteuid", lambda: STRANGER)

    return stranger


def everything(folder: Path) -> list[tuple[Path, float, int]]:
    """All that lies in a folder, and when it was changed."""
    return sorted((one, one.lstat().st_mtime_ns, one.lstat().st_size) for one in folder.rglob("*"))


@pytest.mark.parametrize(
    "name",
    ["objects", "objects/packs", "segments", "manifests", "notes", "derived", "derived/.spill", "watch"],
)
def test_a_folder_of_a_case_that_is_a_link_is_refused(name: str, case: Path, mine: Path, log: Path) -> None:
    """Whoever made the case would have us write where the link leads: nothing is, and the message names the link."""
    there = case / name
    if there.exists():
        there.rename(mine / "moved")
        there.symlink_to(mine / "moved")
    else:
        there.symlink_to(mine)
    before = everything(mine)

    with pytest.raises(CaseError, match=f"case/{name}: a link.*remove it"), Case.open(case) as opened:
        opened.ingest([str(log)])

    assert before == everything(mine)


def test_the_marker_of_a_case_may_be_no_link(case: Path, mine: Path) -> None:
    """Neither to a marker elsewhere, nor to a file that is not there, which a new case would make."""
    for target in (mine / "case.json", mine / "nothing"):
        (case / "case.json").rename(mine / "case.json")
        (case / "case.json").symlink_to(target)
        with pytest.raises(CaseError, match=r"link|no case"):
            Case.open(case)
        (case / "case.json").unlink()
        (mine / "case.json").rename(case / "case.json")
    assert ["diary"] == [one.name for one in mine.iterdir()]


@pytest.mark.parametrize(
    "pattern",
    ["manifests/*.json", "segments/*", "segments/*/events.parquet", "derived/*/derived.duckdb", "derived/*"],
)
def test_no_link_to_data_is_followed(pattern: str, case: Path, tmp_path: Path) -> None:
    """What a case answers with lies in it: a link to a table, a manifest or a folder of them is refused in words."""
    [there] = [one for one in case.glob(pattern) if not one.name.startswith(".")]
    there.rename(tmp_path / "elsewhere")
    there.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(CaseError, match="link"), Case.open(case) as opened:
        list(opened.credentials())


def test_evidence_that_is_a_link_is_not_read(case: Path, mine: Path) -> None:
    """A raw record is shown from a file of the case alone."""
    [pack] = (one for one in (case / "objects").rglob("*") if one.is_file())
    pack.rename(mine / "pack")
    pack.symlink_to(mine / "pack")
    with Case.open(case) as opened:
        [first, *_] = opened.credentials()
        event = next(iter(opened.timeline([first.id])))
        with pytest.raises(CaseError, match="can't be read"):
            opened.record(event.object, event.ordinal)


def test_no_large_evidence_is_written_through_a_link(case: Path, mine: Path) -> None:
    """Objects lie in folders by their hash, any of which may be a link."""
    (case / "objects" / "ab").symlink_to(mine)
    with pytest.raises(CaseError, match="objects/ab: a link"):
        CaseFolder.open(case).keep("ab" + "0" * 62, b"x" * 100_000)
    assert ["diary"] == [one.name for one in mine.iterdir()]


def test_a_case_that_is_a_link_is_refused_by_the_name_of_its_target(case: Path, tmp_path: Path) -> None:
    """Neither is a new case made where a link leads, nor one opened: the message says what to name instead."""
    (tmp_path / "link").symlink_to(case)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    with pytest.raises(CaseError, match=f"is a link.*Name {case} itself"):
        Case.open(tmp_path / "link")
    with pytest.raises(CaseError, match="is a link"):
        Case.open(tmp_path / "dangling")
    assert not (tmp_path / "nothing").exists()


def test_links_of_ones_own_on_the_way_are_followed(case: Path, tmp_path: Path) -> None:
    """As macOS's /tmp, and a home that lies on another disk."""
    (tmp_path / "disk").symlink_to(".")
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    with Case.open(tmp_path / "home" / "case") as opened:
        assert 2 == len(list(opened.credentials()))


def test_a_link_of_another_user_on_the_way_is_not_followed(
    case: Path, tmp_path: Path, as_stranger: Callable[[Path], None]
) -> None:
    """Whoever may write a folder on the way could choose the case, or where a new one is made."""
    (tmp_path / "theirs").symlink_to(tmp_path)
    as_stranger(tmp_path)
    for name in ("case", "new"):
        with pytest.raises(CaseError, match=r"theirs is another user's link.*name .* itself"):
            Case.open(tmp_path / "theirs" / name)
    assert not (tmp_path / "new").exists()
    with pytest.raises(UsageError, match="another user's link"):
        path_safety.write_file(tmp_path / "theirs" / "page.html", b"")


def test_another_users_case_answers_and_is_not_written(
    case: Path, log: Path, as_stranger: Callable[[Path], None]
) -> None:
    """It is opened for questions alone, and the message of an ingest says to copy it."""
    as_stranger(case)
    before = everything(case)
    with Case.open(case) as opened:
        assert 2 == len(list(opened.credentials()))
        assert not opened.folder.writable
        with pytest.raises(CaseError, match=r"another user.*cp -r"):
            opened.ingest([str(log)])
        with pytest.raises(CaseError, match="nothing can be"):
            opened.rebuild()
    assert before == everything(case)


def test_something_of_a_third_user_in_a_case_is_refused(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in one's own case that somebody else can change while it is read."""
    real = os.lstat

    def others(path: str | Path) -> os.stat_result:
        found = real(path)
        if not str(path).endswith("/manifests"):
            return found
        return os.stat_result((*found[:4], STRANGER, *found[5:10]))

    monkeypatch.setattr(path_safety.os, "lstat", others)
    with pytest.raises(CaseError, match="manifests: belongs to neither you"):
        Case.open(case)


def test_a_case_of_ones_own_is_closed_to_others(case: Path) -> None:
    """A copy made under a lax umask is for its owner alone again once it was opened."""
    case.chmod(0o777)
    Case.open(case).close()
    assert 0o700 == stat.S_IMODE(case.stat().st_mode)


def test_a_case_where_no_modes_are_kept_is_opened(
    case: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On exFAT all is open to whoever can reach the drive, whatever is asked for."""
    case.chmod(0o777)
    monkeypatch.setattr(Path, "chmod", lambda *_: None)
    with Case.open(case) as opened:
        assert 1 == opened.ingest([str(log)]).objects.repeated


def test_to_root_every_case_is_its_own(case: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container, where root is the only user, a mounted case keeps the owner that it had outside."""
    if os.geteuid() == 0:
        for path in (case, *case.rglob("*")):
            os.chown(path, 1000, 1000)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with Case.open(case) as opened:
        assert 1 == opened.ingest([str(log)]).objects.repeated


def test_a_file_that_was_named_is_not_written_through_a_link(mine: Path, tmp_path: Path) -> None:
    """A folder for reports that somebody handed over may hold a link, or another name, of one's own file."""
    (tmp_path / "page.html").symlink_to(mine / "diary")
    os.link(mine / "diary", tmp_path / "other.html")
    with pytest.raises(UsageError, match="is a link"):
        path_safety.write_file(tmp_path / "page.html", b"<p>")
    with pytest.raises(UsageError, match="same file"):
        path_safety.write_file(tmp_path / "other.html", b"<p>")
    assert "dear diary" == (mine / "diary").read_text()


def test_a_file_that_was_named_is_written_whole(tmp_path: Path) -> None:
    """One that was longer keeps none of it; `/dev/stdout` is a link that nobody else has put there."""
    (tmp_path / "page.html").write_text("longer than that")
    path_safety.write_file(tmp_path / "page.html", b"short")
    path_safety.write_file(Path("/dev/null"), b"gone")
    assert b"short" == (tmp_path / "page.html").read_bytes()
    with open(tmp_path / "out", "wb") as file:
        path_safety.write_file(Path(f"/dev/fd/{file.fileno()}"), b"through")
    assert b"through" == (tmp_path / "out").read_bytes()
    with pytest.raises(UsageError, match="can't be written"):
        path_safety.write_file(tmp_path / "nowhere" / "page.html", b"")


def test_no_plan_journal_or_list_of_findings_is_written_over_a_link(mine: Path, tmp_path: Path) -> None:
    """Whoever hands over a plan could lay a link beside it."""
    from tokentrail.containment.execution.journal import Journal, journal_path
    from tokentrail.watch.local_sinks import FileSink

    plan = tmp_path / "plan.json"
    journal_path(plan).symlink_to(mine / "diary")
    (tmp_path / "told.jsonl").symlink_to(mine / "diary")
    with pytest.raises(ActionRefused, match="link"):
        Journal(journal_path(plan), plan="0" * 64, run="1")
    with pytest.raises(UsageError, match="link"):
        FileSink(tmp_path / "told.jsonl")
    assert "dear diary" == (mine / "diary").read_text()


def test_no_mirror_is_made_in_a_folder_that_somebody_else_laid_out(
    tmp_path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of a mirror can be worked out by whoever knows the bucket."""
    from tokentrail.store.folder import lay_out

    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "manifests").symlink_to(mine)
    with pytest.raises(CaseError, match="manifests: a link"):
        lay_out(tmp_path / "mirror")
