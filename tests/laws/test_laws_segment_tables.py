"""The laws of the tables of segments: whatever came in between, they come to what all segments tell."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from test_laws_incremental_linking import cut
from test_laws_increments import SEEDS, days, fed

from evidence import held
from strategies import worlds
from tokentrail import Case
from tokentrail.lineage import segment_tables
from tokentrail.store.folder import segment_name
from tokentrail.store.interface import Engine
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
        mock.patch("tokentrail.lineage.segment_tables._TOGETHER", 1 + seed % 2),
    ):
        for part in (*parts, *parts[:1]):
            ingested(case, Path(folder), part)
            told(case)
        assert expected == told(case)
        merge_small(case.folder)
        assert expected == told(case)


def test_after_an_ingest_only_new_segments_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What older ones tell stands in the database that the new one begins as a copy of."""
    *earlier, last = days(5)
    asked: list[set[str]] = []
    rows = segment_tables._rows

    def noted(engine: Engine, query: str, segments: Sequence[int]) -> str:
        asked.append({segment_name(one) for one in segments})
        return rows(engine, query, segments)

    with fed([one for part in earlier for one in part]) as case:
        case.status()
        before = set(case.folder.snapshot().folders)
        monkeypatch.setattr(segment_tables, "_rows", noted)
        ingested(case, tmp_path, last)
        found = case.status().coverage

        new = set(case.folder.snapshot().folders) - before
        assert [new] * len(segment_tables.SEGMENT_TABLES) == asked and len(new) == 1
        assert 5 == sum(one.hours_seen for one in found) // len(found)
