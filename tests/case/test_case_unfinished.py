"""An ingest that was ended too soon: until it is run again, answers say that not all of its evidence is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from shell import ran
from tokentrail.case import Case
from tokentrail.testing.story import story


@pytest.fixture(name="logs", scope="module")
def _logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    story(ordinary_day=False).world.write(folder)
    return folder


def stop(done: int, total: int) -> None:
    """Ctrl-C, as soon as anything was read."""
    raise KeyboardInterrupt


def test_what_was_stopped_is_said_until_it_is_run_again(logs: Path, tmp_path: Path) -> None:
    """Status and trace tell of it; the same ingest, run to its end, takes the sentence away."""
    with Case.open(tmp_path / "case") as case:
        with pytest.raises(KeyboardInterrupt):
            case.ingest([str(logs)], progress=stop, workers=1)
        [said] = case.status().unfinished
        assert str(logs) in said and "has not ended" in said

        case.ingest([str(logs)])
        assert case.status().unfinished == ()
        subject = story(ordinary_day=False).a.id
        assert not any("has not ended" in gap.why for gap in case.trace([subject]).gaps)


def test_every_answer_says_it(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked of the case meanwhile: in a trace it is a gap, beside others a sentence; --strict ends with 3."""
    place = tmp_path / "case"
    with Case.open(place) as case:
        case.ingest([str(logs)])
        other = tmp_path / "more.json"
        other.write_text('{"Records": []}')
        with pytest.raises(KeyboardInterrupt):
            case.ingest([str(other)], progress=stop, workers=1)
        subject = story(ordinary_day=False).a.id
        assert "has not ended" in case.trace([subject]).gaps[0].why

    def run(*arguments: object) -> str:
        answered = ran(monkeypatch, (*arguments, "--case", place))
        return " ".join((answered.out + answered.err).split())

    for verb in (("status",), ("credentials",), ("trace", subject), ("detect",), ("leads",)):
        assert "has not ended" in run(*verb)
    assert "Every record that was reached was read." in run("status")
    assert ran(monkeypatch, ("credentials", "--strict", "--case", place)).code == 3
    missing = ran(monkeypatch, ("trace", "ASIAMISSINGMISSING01", "--case", place))
    assert missing.code == 2 and "has not ended" in missing.err  # the subject may be in what was not read


def test_an_ingest_that_is_stopped_says_how_it_resumes(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends it with 130 and says what to do; a case without an event says so to whoever asks for a subject."""
    place, reads = tmp_path / "case", "tokentrail.cli.intake.Intake.into"
    with monkeypatch.context() as stopped:
        stopped.setattr(reads, lambda self, case, *_: case.ingest([str(logs)], progress=stop, workers=1))
        answered = ran(stopped, ("ingest", logs, "--case", place))
    assert answered.code == 130 and "it resumes where it stopped" in " ".join(answered.err.split())

    Case.open(tmp_path / "empty").close()
    assert (
        "The case holds no event yet."
        in ran(monkeypatch, ("trace", "ASIA1", "--case", tmp_path / "empty")).err
    )


def test_a_place_that_can_not_be_listed_leaves_nothing(tmp_path: Path) -> None:
    """What failed before anything was read has no evidence that might be missing."""
    with Case.open(tmp_path / "case") as case:
        with pytest.raises(Exception, match="nowhere"):
            case.ingest([str(tmp_path / "nowhere")])
        assert case.status().unfinished == ()


@pytest.mark.parametrize(
    "note", ["7", '{"sources": 7}', '{"sources": [null, {"a": "\\u001b[2J"}], "began": []}', "[]"]
)
def test_a_note_that_somebody_else_wrote_breaks_no_answer(note: str, logs: Path, tmp_path: Path) -> None:
    """Whatever stands in it, one sentence is said, which is inert."""
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(logs)])
        (case.path / "notes").mkdir(exist_ok=True)
        (case.path / "notes" / "ingest-0000.json").write_text(note)
        [said] = case.status().unfinished
        assert "has not ended" in said and said.isprintable()
