"""Detection over a large case: in a process of its own, for which no page waits."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import pytest
from web_cases import console

from evidence import START
from hostile import read
from patience import PATIENCE
from tokentrail import Case
from tokentrail.errors import CaseError
from tokentrail.testing import World
from tokentrail.testing.story import Story
from tokentrail.web import background_detection, console_queries

LOOKING = "Detection is still looking"


class Waiting:
    """Looks as the console does, once there is something to read."""

    def __init__(self, folder: Path | str, gate: Path) -> None:
        self._folder, self._gate = folder, gate

    def __call__(self, asked: None) -> background_detection.Found:
        self._gate.read_text()
        return background_detection.DetectionRun(self._folder)(asked)


class Failing:
    """Can't look."""

    def __call__(self, _: None) -> background_detection.Found:
        raise CaseError("no look at this.")


@pytest.fixture(name="large")
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any case counts as a large one."""
    monkeypatch.setattr(console_queries, "LARGE", 0)


@pytest.mark.usefixtures("large")
def test_pages_answer_while_detection_looks(
    folder: Path, told: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They say that it does, and tell all else; what programs read waits and is whole, and then the pages are too."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    monkeypatch.setattr(background_detection, "DetectionRun", lambda where: Waiting(where, gate))
    with Case.open(folder) as case:
        expected = [one.id for one in case.detect()]

    def pages() -> list[str]:
        return [read(one.text).said for one in (served.get("/"), served.get("/trace", subject=told.a.id))]

    with console(folder) as served, ThreadPoolExecutor(1) as pool:
        start, trace = pages()
        assert LOOKING in start and LOOKING in trace and "Nothing was found" not in start
        assert told.e.id in trace and "revoke-user-sessions" in trace
        whole: Any = pool.submit(served.get, "/findings.json")
        assert LOOKING in read(served.get("/findings").text).said and not whole.done()
        gate.write_text("go")

        assert expected == [one["id"] for one in whole.result(PATIENCE).json["findings"]]
        start, trace = pages()
        assert LOOKING not in start + trace and "Look first at" in start
        assert served.get("/start.json").json["first"]


@pytest.mark.usefixtures("large")
def test_a_page_about_a_subject_does_without_findings_that_can_not_be_had(
    folder: Path, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page that tells findings says why there are none, to people and to programs."""
    monkeypatch.setattr(background_detection, "DetectionRun", lambda _: Failing())
    with console(folder) as served:
        assert 500 == served.get("/findings.json").status
        assert "no look at this." in served.get("/findings").text
        shown = served.get("/trace", subject=told.a.id)

    assert 200 == shown.status and told.e.id in shown.text


def test_evidence_is_looked_at_once_and_again_when_it_has_grown(tmp_path: Path) -> None:
    """Whoever asks meanwhile, of whatever evidence, waits for the look under way."""
    world = World(START)
    world.user("support").creates_access_key(world.user("new"))
    world.write(tmp_path / "first")
    world.user("other").creates_access_key(world.user("newer"))
    world.write(tmp_path / "second")
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(tmp_path / "first")], workers=1)
        looks = background_detection.BackgroundDetection(tmp_path / "case")
        before = looks.ask(case.fingerprint)
        assert before is looks.ask("grown meanwhile")
        found = before.result(PATIENCE)
        assert (case.fingerprint, background_detection.detected(case)) == (found.fingerprint, found.findings)
        assert before is looks.ask(case.fingerprint)

        case.ingest([str(tmp_path / "second")], workers=1)
        after = looks.ask(case.fingerprint).result(PATIENCE)
        assert case.fingerprint == after.fingerprint != found.fingerprint
        looks.end()


def test_a_look_that_was_killed_is_said_in_words(folder: Path, tmp_path: Path) -> None:
    """As for want of memory; the console goes on."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    looks = background_detection.BackgroundDetection(folder)
    looks._look = Waiting(folder, gate)  # type: ignore[assignment]
    asked = looks.ask("this")
    with _opened(gate):  # it looks, and waits for what to read
        assert looks._worker is not None
        os.kill(looks._worker.process, signal.SIGKILL)
        with pytest.raises(CaseError, match=r"was ended.*`tokentrail detect` finds the same"):
            asked.result(PATIENCE)
    assert asked is looks.ask("this")
    looks.end()


def test_a_look_ends_with_the_console_however_that_ends(folder: Path, tmp_path: Path) -> None:
    """The server lets a signal end the process at once; a look of minutes would go on for nobody."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    program = (
        "import sys; sys.path[:] = {path!r}\n"
        "from test_web_background_detection import Waiting, background_detection; from pathlib import Path\n"
        "looks = background_detection.BackgroundDetection({folder!r}); looks._look = Waiting({folder!r}, Path({gate!r}))\n"
        "looks.ask('this').result()"
    ).format(path=[str(Path(__file__).parent), *sys.path], folder=str(folder), gate=str(gate))
    with subprocess.Popen([sys.executable, "-c", program]) as started, _opened(gate) as held:
        started.kill()  # it looks, and waits for what to read
        left = select.poll()
        left.register(held, 0)
        assert [(held.fileno(), select.POLLERR)] == left.poll(PATIENCE * 1000), "nobody reads any more"


def _opened(gate: Path) -> IO[str]:
    """The writing end of a named pipe, once somebody reads: opening it as usual would wait for ever for nobody."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return os.fdopen(os.open(gate, os.O_WRONLY | os.O_NONBLOCK), "w")
        except OSError:
            assert time.monotonic() < until, "nobody reads"
            time.sleep(0.02)
