"""What the tests of the command line share: the story, apart from its ordinary day, as a case, and a way to run a verb."""

from __future__ import annotations

from pathlib import Path

import pytest

from shell import Ran, Run, ran
from tokentrail.case import Case
from tokentrail.testing.story import Story, story


@pytest.fixture(name="run")
def _run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run `tokentrail` with arguments, as the shell would, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TOKENTRAIL_CASE", raising=False)

    def run(*arguments: object) -> Ran:
        return ran(monkeypatch, arguments)

    return run


@pytest.fixture(name="told", scope="session")
def _told() -> Story:
    return story(ordinary_day=False)


@pytest.fixture(name="logs", scope="session")
def _logs(told: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The story's log files."""
    folder = tmp_path_factory.mktemp("logs")
    told.world.write(folder)
    return folder


@pytest.fixture(name="case", scope="session")
def _case(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case that holds the story."""
    folder = tmp_path_factory.mktemp("case") / "story"
    with Case.open(folder) as case:
        case.ingest([str(logs)])
    return folder
