"""Names are marked, by which segments are found, while a large case is reduced."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

import duckdb
import pytest

from evidence import copied
from tokentrail import Case
from tokentrail.case import linking
from tokentrail.lineage.link import OUTPUT
from tokentrail.sources import files
from tokentrail.store import duck
from tokentrail.store.folder import CaseFolder
from tokentrail.store.ingest import ingest
from tokentrail.store.interface import Snapshot
from tokentrail.store.layers import NAMES
from tokentrail.store.tasks import Options
from tokentrail.store.tidying import DATABASE
from tokentrail.testing import native
from tokentrail.testing.story import story


@pytest.fixture(name="linked", scope="module")
def _linked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The story in eight segments, linked at once on this machine as a large case is, to be copied."""
    folder = tmp_path_factory.mktemp("linked")
    records = story(ordinary_day=False).world.records()
    with mock.patch.object(duck, "_FEW", 0), Case.open(folder / "case") as case:
        for part in range(8):
            (folder / f"{part}.json").write_bytes(native(records[part::8]))
            list(ingest(case.folder, files.objects([str(folder / f"{part}.json")]), options=Options()))
        case.newest()
    return folder / "case"


@pytest.fixture(name="snapshot")
def _snapshot(linked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    """A copy of it as it is to be seen, while each case counts as large."""
    monkeypatch.setattr(duck, "_FEW", 0)
    copied(linked, tmp_path / "case")
    return CaseFolder.open(tmp_path / "case").snapshot()


def test_names_are_marked_beside_what_linking_reduces(tmp_path: Path, snapshot: Snapshot) -> None:
    """Two threads at it, or one after the other: the files are the same, byte for byte, and so are tables."""
    folder, derived = _unlinked(tmp_path), []
    for busy in (duck._BUSY, 0):
        into = tmp_path / f"busy-{busy}"
        into.mkdir()
        with (
            mock.patch.object(duck, "_BUSY", busy),
            mock.patch.object(linking, "_FILED_FROM", 0),
            mock.patch.object(linking, "_in_own_cursor", wraps=linking._in_own_cursor) as apart,
        ):
            linking.derive(folder, snapshot, into, partial(_engines, tmp_path))
        assert bool(busy) == apart.called
        with duckdb.connect(str(into / DATABASE), read_only=True) as read:
            tables = {one: read.execute(f"FROM {one} ORDER BY ALL").fetchall() for one in OUTPUT}
        (into / DATABASE).unlink()
        derived.append(tables | {str(one.relative_to(into)): one.read_bytes() for one in files_in(into)})

    assert derived[0] == derived[1]
    assert any(name.endswith(f".{NAMES}") for name in derived[0])


def test_what_fails_in_one_of_two_threads_fails_in_all(tmp_path: Path, snapshot: Snapshot) -> None:
    """An error of the thread that marks names is no lost one: linking ends with it."""
    with (
        mock.patch.object(linking, "_FILED_FROM", 0),
        mock.patch.object(linking, "_keep_names", side_effect=ZeroDivisionError),
        pytest.raises(ZeroDivisionError),
    ):
        linking.derive(_unlinked(tmp_path), snapshot, tmp_path, partial(_engines, tmp_path))


def _unlinked(tmp_path: Path) -> CaseFolder:
    for derived in (tmp_path / "case" / "derived").iterdir():
        shutil.rmtree(derived)
    return CaseFolder.open(tmp_path / "case")


@contextmanager
def _engines(within: Path, records: int, roomy: bool) -> Iterator[duck.DuckEngine]:
    with closing(duck.DuckEngine(records=records, threads=1, within=[within])) as engine:
        yield engine


def files_in(folder: Path) -> list[Path]:
    return sorted(one for one in folder.rglob("*") if one.is_file())
