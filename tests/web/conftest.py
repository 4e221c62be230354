"""A console over the story, for all tests of the room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from web_cases import Served, console

from tokentrail import Case
from tokentrail.testing.story import Story, story


@pytest.fixture(name="told", scope="session")
def _told() -> Story:
    return story()


@pytest.fixture(name="folder", scope="session")
def _folder(told: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("console")
    told.world.write(root / "logs")
    with Case.open(root / "case") as case:
        case.ingest([str(root / "logs")], workers=1)
    return root / "case"


@pytest.fixture(name="served", scope="session")
def _served(folder: Path) -> Iterator[Served]:
    with console(folder) as served:
        yield served
