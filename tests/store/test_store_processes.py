"""Processes that are killed, that work at once, that read while another writes: real ones."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evidence import START
from patience import until
from tokentrail import Case, Credential
from tokentrail.testing import World, native

FILES = 60
_INGEST = """
import sys
from tokentrail.store.without_pandas import hide_pandas
hide_pandas()  # as our own processes do: it takes most of their start
from tokentrail import Case
from tokentrail.store import tasks
tasks.TASK_OBJECTS = 3
with Case.open(sys.argv[1]) as case:
    print("begins", flush=True)
    case.ingest(sys.argv[2:], workers=1)
"""


@pytest.fixture(name="logs", scope="module")
def _logs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Many files, each with a few records, one of them a record of the file before."""
    world = World(START)
    for number in range(FILES):
        session = world.user(f"user-{number % 7}").assumes("Deploy", f"job-{number}")
        session.calls("s3:ListBuckets", count=4)
    records, folder = world.records(), tmp_path_factory.mktemp("logs")
    size = len(records) // FILES
    for number in range(FILES):
        part = records[max(0, number * size - 1) : (number + 1) * size]
        (folder / f"{number:03}.json").write_bytes(native(part))
    return sorted(str(path) for path in folder.iterdir())


@pytest.fixture(name="undisturbed", scope="module")
def _undisturbed(logs: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[Credential]]:
    with Case.open(tmp_path_factory.mktemp("whole") / "case") as case:
        case.ingest(logs, workers=1)
        return case.status().records, list(case.credentials())


def ingesting(case: Path, logs: list[str]) -> subprocess.Popen[str]:
    """Start an ingest in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", _INGEST, str(case), *logs], stdout=subprocess.PIPE, text=True
    )


def begun(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert "begins\n" == process.stdout.readline()


def grown(process: subprocess.Popen[str], manifests: Path, *, by: int) -> None:
    """Wait until an ingest has put so much more into a case."""
    enough = len(list(manifests.iterdir())) + by
    until(lambda: process.poll() is not None or len(list(manifests.iterdir())) >= enough)


def ended(process: subprocess.Popen[str]) -> int:
    process.communicate()
    return process.returncode


def test_a_killed_ingest_loses_nothing_and_repeats_nothing(
    logs: list[str], undisturbed: tuple[int, list[Credential]], tmp_path: Path
) -> None:
    """Killed with SIGKILL at random moments, run again to the end: the same records and credentials."""
    chance = random.Random(7)
    killed = 0
    for _ in range(6):
        process = ingesting(tmp_path / "case", logs)
        begun(process)
        grown(process, tmp_path / "case" / "manifests", by=chance.randrange(4))
        time.sleep(chance.uniform(0, 0.05))
        process.kill()  # nothing, if it came to its end meanwhile
        killed += ended(process) == -signal.SIGKILL
        with Case.open(tmp_path / "case") as case:
            assert case.status().records <= undisturbed[0]
    with Case.open(tmp_path / "case") as case:
        case.ingest(logs, workers=1)
        assert undisturbed == (case.status().records, list(case.credentials()))
        assert 0 == case.ingest(logs, workers=1).records.new

    assert killed


def test_two_ingests_at_once_are_as_good_as_one(
    logs: list[str], undisturbed: tuple[int, list[Credential]], tmp_path: Path
) -> None:
    """Two processes with overlapping inputs, into a case that neither has started: the same as one."""
    half = FILES // 2
    pair = [
        ingesting(tmp_path / "case", logs[: half + 10]),
        ingesting(tmp_path / "case", logs[half - 10 :][::-1]),
    ]

    assert [0, 0] == [ended(process) for process in pair]
    with Case.open(tmp_path / "case") as case:
        assert undisturbed == (case.status().records, list(case.credentials()))
        assert FILES == case.status().objects


def test_reading_during_an_ingest_sees_whole_segments_only(
    logs: list[str], undisturbed: tuple[int, list[Credential]], tmp_path: Path
) -> None:
    """While another process writes, each answer is one of a case that only grows, and the last one is whole."""
    process = ingesting(tmp_path / "case", logs)
    begun(process)
    seen: list[int] = []
    with Case.open(tmp_path / "case") as case:
        while process.poll() is None:
            seen.append(sum(one.events for one in case.credentials()))
        ended(process)
        seen.append(sum(one.events for one in case.credentials()))

    assert sorted(seen) == seen
    assert sum(one.events for one in undisturbed[1]) == seen[-1]


def test_a_case_started_by_many_at_once_has_one_id(tmp_path: Path) -> None:
    """Whoever starts the case first names it."""
    script = "import sys; from tokentrail.store.without_pandas import hide_pandas; hide_pandas();"
    script += "from tokentrail import Case; print(Case.open(sys.argv[1]).case_id)"
    many = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "case")], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    ids = {process.communicate()[0] for process in many}

    assert {f"{Case.open(tmp_path / 'case').case_id}\n"} == ids
