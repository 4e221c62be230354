"""Every verb is documented."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from shell import Run
from tokentrail import __version__
from tokentrail.cli.root import root, scanner
from tokentrail.events.quick import compiled
from tokentrail.testing.story import Story

VERBS = (
    "demo", "investigate", "ingest", "verify-logs", "status", "credentials", "trace", "timeline", "identify", "leads",
    "detect", "rules", "contain", "apply", "verify", "undo", "guard", "watch", "report", "rebuild", "serve",
    "mcp",
)  # fmt: skip


def command_of(verb: str) -> click.Command:
    """The command of a verb."""
    found = root.get_command(None, verb)
    assert found is not None
    return found


def test_the_verbs_stand_in_order_of_use(run: Run) -> None:
    """The list of commands tells in which order one would use them, each with its whole short help."""
    listed = run("--help").out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert tuple(line.split()[0] for line in listed) == VERBS
    assert not any(line.endswith("...") for line in listed)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_says_what_it_does_and_ends_with_an_example(verb: str, run: Run) -> None:
    """Help begins with a sentence, explains every option, and ends with one example of that verb."""
    ran = run(verb, "--help")
    assert ran.code == 0
    assert ran.out.rstrip().splitlines()[-2:][0] == "  Example:"
    assert ran.out.rstrip().splitlines()[-1].startswith(f"    tokentrail {verb}")
    assert max(map(len, ran.out.splitlines())) <= 100
    command = command_of(verb)
    assert command.help
    assert all(one.help for one in command.params if isinstance(one, click.Option))


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_the_common_options(verb: str) -> None:
    """Case, moment, format, strictness and verbosity are there on every verb."""
    names = {option for one in command_of(verb).params for option in one.opts}
    assert names >= {"--case", "--as-of", "--format", "--strict", "--verbose", "-v"}


@pytest.mark.parametrize("verb", ["trace", "timeline", "contain", "report", "guard"])
def test_a_subject_is_taken_bare_and_by_its_name(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Who typed `investigate --subject KEY` or `trace KEY` may type either of the next verb, and both at once; blanks that
    were pasted along are nobody's.
    """
    command, taken = command_of(verb), list[tuple[str, ...]]()
    monkeypatch.setattr(
        "tokentrail.cli.options.guarded", lambda _, __, **options: taken.append(options["subjects"])
    )
    command.main(
        [*(["-o", "x.html"] if verb == "report" else []), " A\n", "--subject", "\u00a0B "],
        standalone_mode=False,
    )

    assert taken == [("A", "B")]


@pytest.mark.parametrize("verb", VERBS)
def test_the_example_can_be_parsed(verb: str) -> None:
    """The example names only options and arguments that exist."""
    command = command_of(verb)
    words = str(command.epilog).rpartition("\n")[2].partition(">")[0].split()
    assert words[:2] == ["tokentrail", verb]
    command.make_context(verb, words[2:])


def test_the_version_is_printed(run: Run) -> None:
    """`--version` names the program and its version, and which scanner it was installed with."""
    scanner = "compiled" if compiled() else "pure Python"

    assert run("--version").out == f"tokentrail {__version__} ({scanner} scanner)\n"


def test_a_scanner_of_another_system_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder that a container shares with its host, what the host compiled is there and can't be loaded."""

    def refused(name: str) -> None:
        raise ImportError(f"{name}: invalid ELF header")

    monkeypatch.setattr("tokentrail.cli.root.import_module", refused)

    assert "pure Python scanner" == scanner()


def test_bodies_are_short() -> None:
    """A verb parses, calls and shows: no body is longer than twenty lines."""
    import ast
    from pathlib import Path

    import tokentrail.cli

    for file in Path(str(tokentrail.cli.__file__)).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == "command":
                first = node.body[1]
                assert (node.end_lineno or 0) - first.lineno < 20, file


def loaded_by(script: str, packages: Sequence[str]) -> list[str]:
    """Which of some modules and packages a script loads in a process of its own."""
    script += f"\nimport sys; print(*(one for one in {packages!r} if one in sys.modules), file=sys.stderr)"
    return subprocess.run(
        [sys.executable, "-c", script],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    ).stderr.split()


def test_asking_for_help_loads_no_verb_and_no_library_of_data() -> None:
    """The list of verbs needs neither the verbs nor what reads tables."""
    script = "from tokentrail.cli.root import root\nroot.main(['--help'], standalone_mode=False)"
    verbs = [f"tokentrail.cli.{verb.replace('-', '_')}" for verb in VERBS]

    assert loaded_by(script, ["pyarrow", "numpy", "duckdb", "msgspec", "tokentrail.case", *verbs]) == []


HEAVY = (
    "tokentrail.prevention.model", "tokentrail.containment.planning.plan", "tokentrail.containment.incident.incident_model",
    "tokentrail.watch", "tokentrail.web", "tokentrail.mcp", "mcp", "tokentrail.cli.watch", "tokentrail.events.kernel", "tokentrail.sources",
    "tokentrail.detection.run", "tokentrail.detection.sigma", "tokentrail.lineage.forest", "sigma", "boto3", "pandas",
    "maxminddb", "jinja2", "pyarrow.compute", "pyarrow.dataset", "rich.console",
)  # fmt: skip


def test_a_verb_loads_no_more_than_it_needs() -> None:
    """Every verb starts with it: rooms of other verbs, and what is heavy, are loaded by those who use them."""
    assert loaded_by("from tokentrail.cli.root import root; root.get_command(None, 'status')", HEAVY) == []


@pytest.mark.parametrize(
    ("verb", "needed"),
    [
        (["status"], []),
        (["trace", "SUBJECT"], ["tokentrail.lineage.forest", "pyarrow.compute", "pyarrow.dataset"]),
    ],
)
def test_an_answer_loads_what_it_is_made_of(
    verb: list[str], needed: list[str], case: Path, told: Story
) -> None:
    """What judges states is loaded for a trace, what plans or finds is not; for the status of a case neither is."""
    words = [told.a.key_id if word == "SUBJECT" else word for word in verb]
    script = f"from tokentrail.cli.root import root\nroot.main({[*words, '--case', str(case)]!r}, standalone_mode=False)"

    assert loaded_by(script, HEAVY) == needed
