"""How verbs fail: the exit code, one plain line on stderr, nothing on stdout."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from shell import Run
from tokentrail.cli import failure
from tokentrail.cli.options import CommonOptions
from tokentrail.cli.root import root
from tokentrail.errors import ActionRefused, CaseError, EvidenceIncomplete
from tokentrail.testing import carriers
from tokentrail.testing.names import Json
from tokentrail.testing.story import Story
from work import some


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("trace",), "Missing argument 'SUBJECT...'"),
        (("nonsense",), "No such command 'nonsense'"),
        (("tracee",), "No such command 'tracee'. Did you mean trace?"),
        (("status", "--case", "nowhere"), "nowhere: no case here"),
        (("ingest", "no-such-file"), "no-such-file: no such file or folder"),
        (("trace", "x", "--as-of", "yesterday"), "2026-11-23T10:02:00Z"),
        (("trace", "x", "--as-of", "0001-01-01T00:00+14:00"), "is no time"),
        (("trace", "x", "--source-ip", "office"), "no IP address or network"),
        (("credentials", "--kind", "unheard_of"), "'session_token'"),
        (("credentials", "--state", "dead"), "'active'"),
        (("status", "--format", "xml"), "'jsonl'"),
        (("ingest", "x", "--workers", "0"), "--workers"),
        (("ingest", "x", "--max-expansion", "0"), "--max-expansion"),
        (("ingest", ".", "--workers", "4", "--engine", "spark"), "Leave it out"),
        (("ingest", ".", "--master", "local[2]"), "Add --engine spark"),
    ],
)
def test_wrong_use_is_2_and_says_what_is_right(arguments: tuple[str, ...], said: str, run: Run) -> None:
    """Wrong use, a missing case and a missing source end with 2 and a message that helps."""
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


@pytest.mark.parametrize("verb", ["trace", "timeline"])
def test_an_unknown_subject_is_told_the_possible_forms(verb: str, run: Run, case: Path) -> None:
    """A subject that nothing answers to ends with 2, and the message says what a subject can be."""
    ran = run(verb, "nobody-has-this", "--case", case)
    assert ran.code == 2
    for form in ("access key id", "prefix", "ARN", "principal id", "IP address", "instance id", "event id"):
        assert form in ran.err


def test_an_ambiguous_prefix_lists_what_fits(run: Run, case: Path) -> None:
    """A prefix that several credentials have ends with 2 and names some."""
    ran = run("trace", "ASIARTX3GSDS", "--case", case)
    assert ran.code == 2
    assert ran.err.count("ASIARTX3GSDS") > 3


@pytest.fixture(name="flawed")
def _flawed(tmp_path: Path, told: Story) -> Path:
    path = tmp_path / "flawed.json"
    path.write_text(json.dumps({"Records": [{"eventTime": "nonsense"}, 7, told.world.records()[0]]}))
    return path


def test_strict_is_3_after_printing(run: Run, flawed: Path, tmp_path: Path) -> None:
    """Rejected records end with 3 under --strict, on every verb, and the result is printed all the same."""
    case = tmp_path / "case"
    assert run("ingest", flawed, "--case", case).code == 0
    for verb in (("ingest", flawed), ("investigate", flawed), ("credentials",), ("status",)):
        ran = run(*verb, "--case", case, "--strict", "--format", "json")
        assert ran.code == (3 if verb[0] != "ingest" or json.loads(ran.out)["records"]["rejected"] else 0)
        assert ran.out
    assert "--strict" in run("status", "--case", case, "--strict").err


@pytest.fixture(name="some", scope="module")
def _some(told: Story) -> list[Json]:
    """A few records."""
    return told.world.records()[:20]


def test_strict_is_0_for_every_carrier_that_is_whole(some: list[Json], run: Run, tmp_path: Path) -> None:
    """A file of each."""
    (tmp_path / "whole").mkdir()
    for carrier, written in carriers.WRITERS.items():
        (tmp_path / "whole" / carrier).write_bytes(written(some))

    assert run("ingest", tmp_path / "whole", "--case", tmp_path / "case", "--strict").code == 0
    status = json.loads(run("status", "--case", tmp_path / "case", "--strict", "--format", "json").out)
    assert status["objects"] == len(carriers.WRITERS)


@pytest.mark.parametrize("carrier", some(sorted(carriers.WRITERS), 2))
def test_strict_is_3_for_every_carrier_that_is_cut_off(
    carrier: str, some: list[Json], run: Run, tmp_path: Path
) -> None:
    """A file that ends in the middle of its last record is incomplete evidence, whatever brings the records."""
    (tmp_path / "cut").write_bytes(carriers.WRITERS[carrier](some)[:-60])

    assert (
        run("ingest", tmp_path / "cut", "--case", tmp_path / "case", "--strict", "--workers", "1").code == 3
    )
    assert run("status", "--case", tmp_path / "case", "--strict").code == 3


def test_strict_is_0_when_all_was_read(run: Run, case: Path, logs: Path) -> None:
    """Evidence that was read whole is no reason to fail."""
    assert run("status", "--case", case, "--strict").code == 0
    assert run("ingest", logs, "--strict").code == 0


def test_what_was_rejected_is_listed(run: Run, flawed: Path, tmp_path: Path) -> None:
    """`status --rejected` lists object, place and reason, in text and as a table."""
    case = tmp_path / "case"
    run("ingest", flawed, "--case", case)
    assert "flawed.json, record 1" in run("status", "--rejected", "--case", case).out
    assert "flawed.json" in run("status", "--rejected", "--case", case, "--format", "csv").out
    assert "--rejected` lists them" in run("status", "--case", case).out


def _fails(error: BaseException, *, verbose: bool = False) -> tuple[int, str]:
    def command(options: CommonOptions) -> None:
        raise error from ValueError("the \x1b[31mcause")

    options = CommonOptions(case=Path("c"), as_of=None, format="text", strict=False, verbose=verbose)
    with pytest.raises(click.ClickException) as failed:
        failure.guarded(command, options)
    return failed.value.exit_code, failed.value.message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CaseError("no"), 2),
        (EvidenceIncomplete("no"), 3),
        (ActionRefused("no"), 4),
        (OSError("disk full"), 2),
        (OSError(28, "No space left on device"), 2),
    ],
)
def test_each_error_has_its_exit_code(error: Exception, code: int) -> None:
    """The exit code is the error's own, and the first line alone is shown; of a full disk it says what to do."""
    assert _fails(error)[0] == code
    assert _fails(error)[1].splitlines()[0].startswith("Error: ")
    assert ("Make room" in _fails(error)[1]) == (getattr(error, "errno", None) == 28)


def test_verbose_shows_the_cause() -> None:
    """The cause is shown with -v only."""
    assert "cause" in _fails(CaseError("first line\nSELECT 1"), verbose=True)[1]
    assert "SELECT 1" in _fails(CaseError("first line\nSELECT 1"), verbose=True)[1]
    assert _fails(CaseError("first line\nSELECT 1"))[1] == "Error: first line\n(-v shows the cause)"


def test_a_fault_of_ours_is_never_taken_for_findings() -> None:
    """An unexpected exception ends with 70, and Ctrl-C with 130, not with Python's 1, which would mean findings."""
    assert _fails(ZeroDivisionError("oops"))[0] == 70
    assert _fails(KeyboardInterrupt()) == (130, "Stopped before it was done.")


@pytest.mark.parametrize("stopped", [KeyboardInterrupt, click.Abort])
def test_ctrl_c_while_a_verb_is_loaded_or_asks_is_no_finding(
    stopped: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Click ends such with 1, which would mean findings."""

    def loads(*_: object) -> None:
        raise stopped

    monkeypatch.setattr("tokentrail.cli.root.import_module", loads)
    assert 130 == CliRunner().invoke(root, ["status"]).exit_code
    assert "Traceback" in _fails(ZeroDivisionError("oops"), verbose=True)[1]
    assert "Traceback" not in _fails(ZeroDivisionError("oops"))[1]


def test_a_message_is_safe_to_show(run: Run, case: Path) -> None:
    """What a message repeats can't act on the terminal."""
    ran = run("trace", "AKIA\x1b[2J\u202e", "--case", case)
    assert ran.code == 2
    assert "\x1b" not in ran.err and "\u202e" not in ran.err


@pytest.mark.parametrize("verb", ["ingest", "investigate", "watch"])
def test_what_is_not_there_leaves_no_case(verb: str, run: Run, tmp_path: Path) -> None:
    """A wrong name is said at once, and nothing is made for it."""
    ran = run(verb, tmp_path / "nowhere", "--case", tmp_path / "case")

    assert 2 == ran.code
    assert "no such f" in ran.err
    assert not (tmp_path / "case").exists()


def test_files_without_a_record_are_refused_in_words(run: Run, tmp_path: Path) -> None:
    """An empty folder, or one of other files, is no evidence: nothing was found would be a wrong answer."""
    empty, other = tmp_path / "empty", tmp_path / "other"
    empty.mkdir()
    other.mkdir()
    (other / "notes.txt").write_text("hello")
    for verb in ("ingest", "investigate"):
        ran = run(verb, empty, "--case", tmp_path / f"{verb}-1")
        assert ran.code == 2 and f"No CloudTrail records in {empty}: no file there" in ran.err
        ran = run(verb, other, "--case", tmp_path / f"{verb}-2")
        assert ran.code == 2 and "1 file there, listed above with the reason" in ran.err


def test_evidence_that_is_there_already_is_no_fault(run: Run, logs: Path, tmp_path: Path) -> None:
    """Read twice, it is repeated, and that is as well."""
    assert run("ingest", logs, "--case", tmp_path / "case").code == 0
    assert run("ingest", logs, "--case", tmp_path / "case").code == 0
