"""Wide tables of very many rows lie in files for a while, and are known as others are."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from evidence import held
from tokentrail import Case
from tokentrail.errors import CaseError, NoRoom
from tokentrail.lineage import link
from tokentrail.store import duck
from tokentrail.store.connection import explained
from tokentrail.store.duck import DuckEngine
from tokentrail.store.interface import Step
from tokentrail.store.tidying import DATABASE, SPILL
from tokentrail.testing.story import story

VIEWS = "SELECT view_name AS name FROM duckdb_views() WHERE NOT internal"


@contextmanager
def filing(monkeypatch: pytest.MonkeyPatch, spill: Path | None, **options: Any) -> Iterator[DuckEngine]:
    """An engine for which any number of records is very many."""
    with monkeypatch.context() as patch:
        patch.setattr(duck, "_BUSY", 0)
        engine = DuckEngine(spill, records=options.pop("records", 5_000), **options)
    with closing(engine):
        yield engine


def steps(*listed: str, wide: frozenset[str] = frozenset({"large"})) -> list[Step]:
    """Statements one after the other."""
    return [
        Step(one, frozenset(range(place)), wide=any(f"CREATE TABLE {name} " in one for name in wide))
        for place, one in enumerate(listed)
    ]


@pytest.mark.parametrize("records", [10, 5_000])
def test_a_wide_table_is_a_file_until_it_is_dropped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, records: int
) -> None:
    """Others read from it by its name; what is left goes with the engine, and so does its folder."""
    spill = tmp_path / "a case's" / ".spill"
    with filing(monkeypatch, spill, records=records, threads=1) as engine:
        engine.run_all(steps(
            "CREATE TABLE large AS SELECT range AS n, 'it''s ' || range AS name FROM range(30000)",
            "CREATE TABLE small AS SELECT count(*) AS many, max(name) AS last FROM large WHERE n >= 10",
        ))  # fmt: skip
        assert engine.rows("SELECT * FROM small") == [{"many": 29_990, "last": "it's 9999"}]
        assert [one.name for one in spill.rglob("*.parquet")] == ["large.parquet"]
        engine.run_all(steps("DROP TABLE large", "CREATE TABLE large AS SELECT 1 AS n", "DROP TABLE small"))
        assert engine.rows("SELECT * FROM large") == [{"n": 1}]
        assert len(list(spill.rglob("*.parquet"))) == 1
    assert not list(spill.rglob("*"))


def test_where_nothing_can_be_spilled_all_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in tests, and for who has no folder."""
    with filing(monkeypatch, None) as engine:
        engine.run_all(steps("CREATE TABLE large AS SELECT 1 AS n", "DROP TABLE large"))
        assert engine.rows(VIEWS) == []


def test_where_nothing_can_be_written_all_is_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A case that is only read has no room for files; it can be linked as of an earlier moment elsewhere."""
    (tmp_path / "file").write_text("no folder")
    with filing(monkeypatch, tmp_path / "file" / ".spill") as engine:
        engine.run_all(
            steps("CREATE TABLE large AS SELECT 1 AS n", "CREATE TABLE small AS SELECT * FROM large")
        )
        assert engine.rows("SELECT * FROM small") == [{"n": 1}]
        engine.run_all(steps("DROP TABLE large"))
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_told_as_too_little_room() -> None:
    """Whichever file it was that DuckDB wrote."""
    for number in (errno.ENOSPC, errno.EDQUOT):
        words = os.strerror(number)
        for told in (
            f'IO Error: Async write failed: {{"exception_message":"Could not write file \\"a\\": {words}","errno":"28"}}',
            f'IO Error: Could not write file "a": {words}',
        ):
            with pytest.raises(NoRoom, match=r"more room on the disk.*TMPDIR"), explained("COPY large"):
                raise duckdb.IOException(told)
    for error in (
        duckdb.IOException("IO Error: No such file or directory"),
        duckdb.IOException(f"IO Error: No magic bytes found at the end of '/: {words}/a.parquet'"),
        duckdb.BinderException(f"Binder Error: column: {words}"),
    ):
        with pytest.raises(CaseError) as found, explained("COPY large"):
            raise error
        assert not isinstance(found.value, NoRoom)


def test_what_a_killed_process_spilled_is_removed_a_day_later(tmp_path: Path) -> None:
    """Also where the case is worked on every day; what DuckDB wrote itself may be read again by who is at it."""
    with Case.open(tmp_path / "case") as case:
        spill = case.path / "derived" / SPILL
        before = time.time() - 2 * 24 * 3600
        for name in ("tables-old", "tables-young"):
            (spill / name).mkdir(parents=True)
            (spill / name / "large.parquet").write_bytes(b"left")
        (spill / "duckdb_temp_storage-0.tmp").write_bytes(b"left")
        (case.path / "derived" / "newest").mkdir()
        for name in ("tables-old", "duckdb_temp_storage-0.tmp"):
            os.utime(spill / name, (before, before))
        case.folder.tidy()
        assert sorted(one.name for one in spill.iterdir()) == ["duckdb_temp_storage-0.tmp", "tables-young"]
        os.utime(spill, (before, before))
        case.folder.tidy()
        assert not spill.exists()


@pytest.mark.parametrize(
    "place", ["derived/.spill", "derived/.old", "derived", "segments", "objects", "objects/packs"]
)
def test_no_link_out_of_a_case_is_followed_where_it_is_tidied(tmp_path: Path, place: str) -> None:
    """A case that somebody else made may hold one, to one's own files."""
    theirs = tmp_path / "theirs"
    for name in ("tables-of-mine", "photos", "packs", "layers", ".spill"):
        (theirs / name).mkdir(parents=True)
    (theirs / "packs" / ".profile").write_text("mine")
    (theirs / ".profile").write_text("mine")
    (theirs / ".spill" / "tables-of-mine").mkdir()
    before = time.time() - 2 * 24 * 3600
    for path in [*theirs.rglob("*")]:
        os.utime(path, (before, before))
    os.utime(theirs, (time.time() - 2 * 3600,) * 2)
    everything = sorted(theirs.rglob("*"))
    with Case.open(tmp_path / "case") as case:
        (case.path / "derived" / "newest").mkdir()
        shutil.rmtree(case.path / place, ignore_errors=True)
        (case.path / place).parent.mkdir(exist_ok=True)
        (case.path / place).symlink_to(theirs)
        case.folder.tidy()
    assert sorted(theirs.rglob("*")) == everything


def test_what_fails_leaves_no_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The query that failed is named, and can be asked again."""
    with filing(monkeypatch, tmp_path) as engine:
        with pytest.raises(CaseError, match="nowhere"):
            engine.run_all(steps("CREATE TABLE large AS SELECT * FROM nowhere"))
        engine.run_all(steps("CREATE TABLE large AS SELECT 1 AS n"))
        assert engine.rows("SELECT * FROM large") == [{"n": 1}]
    assert not list(tmp_path.iterdir())


def test_columns_of_wide_tables_are_of_kinds_that_files_keep(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A sum that DuckDB makes of whole numbers, for one, comes back from a file as a fraction."""
    with held(story(ordinary_day=False).world) as case:
        snapshot = case.folder.snapshot()
        found = []
        for spill in (None, tmp_path / "spill"):
            into = tmp_path / f"into {spill is None}"
            into.mkdir()
            monkeypatch.setattr(link, "_ROOM", 1 << 60)  # so that nothing is dropped
            with filing(monkeypatch, spill, records=10, threads=1, within=[tmp_path, case.path]) as engine:
                for name in ("events", "identities", "issuances", "changes"):
                    engine.segments(name, list(snapshot.folders.values()))
                link.link_all(engine, into)
                views = {row["name"] for row in engine.rows(VIEWS)} & link._WIDE
                kinds = {
                    name: [
                        (row["column_name"], row["column_type"]) for row in engine.rows(f"DESCRIBE {name}")
                    ]
                    for name in link._WIDE
                }
            with duckdb.connect(str(into / DATABASE), read_only=True) as read:
                told = {one: read.execute(f"FROM {one} ORDER BY ALL").fetchall() for one in link.OUTPUT}
                found.append((kinds, told))
            assert views == (link._WIDE if spill else set())
    assert found[0] == found[1]
