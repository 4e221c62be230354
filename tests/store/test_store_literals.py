"""A case may lie in a folder of any name: queries read its files, and no others."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from evidence import START, native
from tokentrail import Case
from tokentrail.store.duck import DuckEngine
from tokentrail.store.literals import reading
from tokentrail.testing import World
from tokentrail.testing.story import story


def told(path: Path) -> tuple[object, ...]:
    """What a case answers, linked anew where it lies."""
    shutil.rmtree(path / "derived", ignore_errors=True)
    (path / "derived").mkdir()
    with Case.open(path) as case:
        ids = sorted(one.id for one in case.credentials())
        return ids, case.trace(ids[:3]), case.detect(), case.guard(ids[:1])


@pytest.fixture(name="case", scope="module")
def _case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("literals")
    (folder / "story.json").write_bytes(native(story(ordinary_day=False).world.records()))
    with Case.open(folder / "case") as case:
        case.ingest([str(folder / "story.json")], workers=1)
    return folder / "case"


@pytest.fixture(name="expected", scope="module")
def _expected(case: Path) -> tuple[object, ...]:
    """What it answers where nothing is odd about its name."""
    return told(case)


@pytest.mark.parametrize(
    "name", ["account=7/key=K/created=1/call=1", "segment=3/n=1/time=0", "leak [1]/a*b?'{c}[!d]"]
)
def test_the_names_of_folders_above_change_nothing(
    case: Path, expected: tuple[object, ...], tmp_path: Path, name: str
) -> None:
    """As data lakes have them, and as people do."""
    shutil.copytree(case, tmp_path / name / "case")
    assert told(tmp_path / name / "case") == expected


def test_another_case_that_a_name_fits_as_a_pattern_is_not_read(
    case: Path, expected: tuple[object, ...], tmp_path: Path
) -> None:
    """It may lie beside."""
    world = World(START)
    world.user("mallory").key().calls("s3:ListBuckets")
    (tmp_path / "other.json").write_bytes(native(world.records()))
    with Case.open(tmp_path / "other") as other:
        other.ingest([str(tmp_path / "other.json")], workers=1)
    for name, beside in (("leak*", "leak2"), ("leak[12]", "leak1"), ("leak?", "leak3")):
        shutil.copytree(case, tmp_path / name)
        shutil.copytree(tmp_path / "other", tmp_path / beside)
        for kind in ("segments", "objects", "manifests"):
            shutil.rmtree(tmp_path / beside / kind)
            shutil.copytree(tmp_path / "other" / kind, tmp_path / beside / kind)
        for segment in (case / "segments").iterdir():  # of the same name, and of other records
            shutil.copytree(
                next((tmp_path / "other" / "segments").iterdir()),
                tmp_path / beside / "segments" / segment.name,
            )
        assert told(tmp_path / name) == expected


def test_a_case_is_read_after_temporary_files_were_cleared(case: Path, tmp_path: Path) -> None:
    """As systems do after some days: who opens it again in the same process finds it."""
    shutil.copytree(case, tmp_path / "leak [1]")
    for _ in range(2):
        with Case.open(tmp_path / "leak [1]") as copied:
            assert list(copied.credentials())
            spelled = reading([copied.path / "segments" / "x.parquet"])
        link = Path(re.findall("'(.+)/segments", spelled)[0])
        assert link.is_symlink()
        shutil.rmtree(link.parent)


def test_a_name_that_is_no_pattern_is_spelled_as_it_is(tmp_path: Path) -> None:
    """A quote does not end it."""
    path = tmp_path / "it's.parquet"
    engine = DuckEngine(threads=1, within=[tmp_path])
    engine.park("SELECT 1 AS n", path)
    assert engine.rows(f"SELECT * FROM {reading([path, path])}") == [{"n": 1}, {"n": 1}]
    assert str(tmp_path) in reading([path])
    engine.close()
