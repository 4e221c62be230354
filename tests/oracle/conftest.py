"""Fixtures of the oracle's own tests."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tokentrail.testing import World


@pytest.fixture(name="world")
def _world() -> World:
    return World(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
