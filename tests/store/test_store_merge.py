"""Small segments are merged, and nobody can tell from any answer."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from evidence import text
from tokentrail import Case
from tokentrail.store import merge
from tokentrail.testing import native
from tokentrail.testing.story import story


def filled(folder: Path, count: int) -> Path:
    """A case of so many segments."""
    records = story(ordinary_day=False).world.records()
    with Case.open(folder / "case") as case:
        for number in range(count):
            path = folder / f"{number}.json"
            path.write_bytes(native(records[number::count]))
            case.ingest([str(path)])
    return folder / "case"


def answers(folder: Path) -> str:
    with Case.open(folder) as case:
        key = story(ordinary_day=False).key_ids["A"]
        return "".join((
            text(case.credentials()), text([case.trace([key])]), text(case.timeline([key])), text(case.detect()),
            text([case.status()]),
        ))  # fmt: skip


def test_a_merged_case_answers_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials, trace, timeline, findings and status are the same to the byte, raw records too; fewer segments are left."""
    monkeypatch.setattr(merge, "AT_ONCE", 4)
    case = filled(tmp_path, 6)
    before = answers(case)
    with Case.open(case) as opened:
        assert 6 == merge.merge_small(opened.folder)
        assert 1 == len(opened.folder.snapshot().manifests)
        event = opened.timeline([story(ordinary_day=False).key_ids["B"]])[0]
        record = opened.record(event.object, event.ordinal)

    assert before == answers(case)
    assert event.event_id == record["eventID"]


def test_what_was_merged_is_removed_when_nobody_can_be_reading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replaced segments stay for an hour; merging what was merged loses nothing."""
    monkeypatch.setattr(merge, "AT_ONCE", 2)
    case = filled(tmp_path, 3)
    before = answers(case)
    with Case.open(case) as opened:
        merge.merge_small(opened.folder)
        assert 4 == len(list((case / "segments").iterdir()))
        for path in (case / "manifests").iterdir():
            os.utime(path, (time.time() - 4000,) * 2)
        merge.merge_small(opened.folder)

    assert 1 == len(list((case / "segments").iterdir())) == len(list((case / "manifests").iterdir()))
    assert before == answers(case)
