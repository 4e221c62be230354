"""The story as a case, and an assistant that asks about it, for all tests of the room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from assistant_cases import Assistant, assistant

from tokentrail import Case
from tokentrail.testing.story import Story, story


@pytest.fixture(name="told", scope="session")
def _told() -> Story:
    return story(ordinary_day=False)


@pytest.fixture(name="folder", scope="session")
def _folder(told: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("assistants")
    told.world.write(root / "logs")
    with Case.open(root / "case") as case:
        case.ingest([str(root / "logs")], workers=1)
    return root / "case"


@pytest.fixture(name="helper", scope="session")
def _helper(folder: Path) -> Iterator[Assistant]:
    with assistant(folder) as found:
        yield found
