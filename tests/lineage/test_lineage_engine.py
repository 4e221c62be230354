"""Evidence on which the engine once failed as such."""

from __future__ import annotations

import json
from pathlib import Path

from evidence import answers


def test_three_records_that_broke_the_engines_optimizer_give_an_answer() -> None:
    """Two service roles and a federated console sign-in in two files: DuckDB 2.0.1 could not plan the callers."""
    files = json.loads((Path(__file__).parent / "three_records.json").read_text())

    assert ["service_role", "service_role"] == [
        one.kind for one in answers(*files).values() if one.kind == "service_role"
    ]
