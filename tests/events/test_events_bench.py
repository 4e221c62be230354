"""The evidence that measurements are made on."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from events_cases import ingest

BENCH = Path(__file__).parents[2] / "bench" / "evidence.py"


@pytest.fixture(name="evidence")
def _evidence() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_evidence", BENCH)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_evidence"] = module
    spec.loader.exec_module(module)
    return module


def test_made_evidence_is_read_whole(evidence: ModuleType, tmp_path: Path) -> None:
    """Every made event is read quickly, without a rejection, and a tenth of them issue credentials."""
    made = sum(evidence.Maker(0, 7).files(tmp_path, 2_000))
    summaries, rows = ingest(*[path.read_bytes() for path in sorted(tmp_path.rglob("*.gz"))])

    assert 2_000 == made == sum(one.records for one in summaries)
    assert [] == rows["rejected"]
    assert 150 < len(rows["issuances"]) < 350
    assert {1_709_251_200 + 3_600 <= one["expires"] for one in rows["issuances"]} == {True}


def test_made_evidence_follows_its_seed(evidence: ModuleType, tmp_path: Path) -> None:
    """The same seed makes the same bytes."""
    for name in ("one", "two"):
        list(evidence.Maker(3, 7).files(tmp_path / name, 300))
    one, two = (
        [path.read_bytes() for path in sorted((tmp_path / name).rglob("*.gz"))] for name in ("one", "two")
    )

    assert one == two
