"""
What the builder's tests share.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tokentrail.testing import World

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that `strategies` is found however pytest is set up

REAL = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(name="world")
def _world() -> World:
    return World(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))


@pytest.fixture(name="real", scope="session")
def _real() -> list[dict[str, Any]]:
    """Give the real records of the Invictus and Stratus Red Team data sets."""
    paths = [
        *(REAL / "invictus-aws-dataset" / "CloudTrail").glob("*.json"),
        *(REAL / "stratus-detonation-logs" / "detonation-logs").glob("*.json"),
    ]
    if not paths:
        pytest.skip(f"the real evidence is not at {REAL}")
    records: list[dict[str, Any]] = []
    for path in sorted(paths):
        content = json.loads(path.read_text())
        records += content["Records"] if isinstance(content, dict) else content
    return records
