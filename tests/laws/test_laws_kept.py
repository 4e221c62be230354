"""The laws of what is kept of each segment: whatever came in between, it comes to what all of them tell."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from test_laws_adding import cut
from test_laws_increments import SEEDS, days, fed

from evidence import copied, held
from strategies import worlds
from tokentrail import Case
from tokentrail.case import views
from tokentrail.store import layers
from tokentrail.store.duck import DuckEngine
from tokentrail.store.merge import merge_small
from tokentrail.testing import World, native


def ingested(case: Case, folder: Path, *parts: Any) -> None:
    """Ingest some records, all in one segment."""
    path = folder / "more.json"
    path.write_bytes(native([one for part in parts for one in part]))
    case.ingest([str(path)], workers=1)


def told(case: Case) -> Any:
    """What is kept of each segment, put together."""
    forest = case._views.forest(None)
    accounts = {str(one.account) for one in case.credentials()}
    changes = [sorted(map(str, forest.changes(one))) for one in (None, *({one} for one in sorted(accounts)))]
    return case.status().coverage, sorted(forest.mints(), key=str), changes


@given(worlds(rare=True), SEEDS)
def test_what_segments_tell_is_the_same_however_they_came(world: World, seed: int) -> None:
    """What is covered, hour by hour, who assumed which role, and what was changed: in parts, repeated and merged."""
    parts = cut(world.records(), seed)
    with held(world) as whole:
        expected = told(whole)
    with (
        tempfile.TemporaryDirectory() as folder,
        Case.open(Path(folder) / "case") as case,
        mock.patch("tokentrail.store.merge.AT_ONCE", 2),
        mock.patch("tokentrail.store.keeping._TOGETHER", 1 + seed % 2),
    ):
        for part in (*parts, *parts[:1]):
            ingested(case, Path(folder), part)
            told(case)
        assert expected == told(case)
        merge_small(case.folder)
        assert expected == told(case)


def test_after_an_ingest_only_new_segments_are_asked_what_they_cover(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What older ones told is there still, under another name."""
    *earlier, last = days(5)
    asked: list[str] = []
    write = DuckEngine.write

    def noted(self: DuckEngine, sql: str, path: Path) -> None:
        if ".hours." in path.name:
            asked.append(sql)
        write(self, sql, path)

    monkeypatch.setattr(DuckEngine, "write", noted)
    with fed([one for part in earlier for one in part]) as case:
        case.status()
        before = set(case.folder.snapshot().folders)
        asked.clear()
        ingested(case, tmp_path, last)
        found = case.status().coverage

        [new] = set(case.folder.snapshot().folders) - before
        assert [True] == [new in one for one in asked]
        assert not any(one in sql for sql in asked for one in before)
        assert 5 == sum(one.hours_seen for one in found) // len(found)


def test_the_first_trace_of_a_large_case_asks_no_segment_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten million credentials that takes ten seconds: who links all has it asked."""
    asked: list[str] = []
    write = DuckEngine.write

    def noted(self: DuckEngine, sql: str, path: Path) -> None:
        asked.append(path.name)
        write(self, sql, path)

    with mock.patch.object(views, "_MANY", 0), fed(*days(1)) as case:
        subject = next(iter(case.credentials())).id
        monkeypatch.setattr(DuckEngine, "write", noted)
        case.close()
        with Case.open(case.path) as again:
            again.trace([subject])
        assert [] == asked


@pytest.fixture(name="of_three_days", scope="module")
def _of_three_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case of three days that was linked after each, for tests that take a copy of it."""
    folder = tmp_path_factory.mktemp("three") / "case"
    with fed(*days(3)) as case:
        case.close()
        copied(case.path, folder)
    return folder


@pytest.mark.parametrize("lost", ["layers", "layers.json"])
def test_where_no_layers_are_all_is_asked_at_once(lost: str, of_three_days: Path, tmp_path: Path) -> None:
    """As of a case that a cluster linked, or a reader's own copy of one in a bucket."""
    copied(of_three_days, tmp_path / "case")
    with Case.open(tmp_path / "case") as case:
        expected = case.status().coverage
        derived = case._views.open(None).derived
        case.close()
        path = derived / lost
        shutil.rmtree(path) if path.is_dir() else path.unlink()

        assert expected == case.status().coverage
        assert (derived / "hours.parquet").exists()
        assert [] == layers.covering(derived, {1})


@pytest.fixture(name="asked", scope="module")
def _asked(of_three_days: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, tuple[Path, Any]]:
    """Cases of which all was asked, layer by layer and of all at once, to be copied; and what each told."""
    found = {}
    for apart in (True, False):
        folder = tmp_path_factory.mktemp("asked") / "case"
        copied(of_three_days, folder)
        with Case.open(folder) as case:
            derived = case._views.open(None).derived
            if not apart:
                case.close()
                (derived / "layers.json").unlink()
            expected = told(case)
            (derived / "mints.parquet").unlink()
        found[apart] = folder, expected
    return found


@pytest.mark.parametrize("name", ["hours", "assumed"])
@pytest.mark.parametrize("apart", [True, False])
def test_what_is_kept_and_damaged_is_asked_again(
    name: str, apart: bool, asked: dict[bool, tuple[Path, Any]], tmp_path: Path
) -> None:
    """Though its end, which says what is in it, is whole; whether it lies with a layer or was asked of all at once."""
    folder, expected = asked[apart]
    copied(folder, tmp_path / "case")
    with Case.open(tmp_path / "case") as case:
        derived = case._views.open(None).derived
        case.close()
        paths = list(derived.rglob(f"*{name}.parquet"))
        assert len(paths) == (2 if apart else 1)
        for path in paths:
            whole = path.read_bytes()
            end = int.from_bytes(whole[-8:-4], "little") + 8
            path.write_bytes(whole[:4] + bytes(len(whole) - end - 4) + whole[-end:])

        assert expected == told(case)
