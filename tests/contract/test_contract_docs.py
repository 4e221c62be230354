"""The documents keep what they promise: commands, options, examples, fields, links."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pytest
from contract_cases import PAGES, PUBLIC, ROOT, blocks, code, paragraphs, verbs_named

from tokentrail.cli.root import root
from tokentrail.containment.execution.outcome import (
    Applied,
    CallResult,
    CredentialVerdict,
    Restored,
    StepDone,
    StepVerdict,
    Undone,
    Verification,
)
from tokentrail.detection.leads.model import Lead, Reason
from tokentrail.lineage.model import UNLISTED, Credential, TimelineEvent, Trace, TracedCredential
from tokentrail.present.document import columns
from tokentrail.results import Coverage, IngestSummary, Rejection, Status

README = ROOT / "README.md"
OUTPUT = ROOT / "docs" / "output.md"
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def named(page: Path) -> str:
    """A page's name for the report of a test."""
    return str(page.relative_to(ROOT))


def run(*arguments: str, folder: Path) -> str:
    """What `tokentrail` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tokentrail", *arguments],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def options(verb: str) -> list[click.Parameter]:
    """What a verb may be given."""
    found = root.get_command(None, verb)
    assert found is not None
    return found.params


@pytest.mark.parametrize("page", PUBLIC, ids=named)
def test_pages_name_existing_verbs_only(page: Path) -> None:
    """Each `tokentrail VERB` in a document is a verb that exists."""
    assert verbs_named(page) <= set(root.list_commands())


@pytest.mark.parametrize("verb", sorted(root.list_commands()))
def test_the_readme_shows_every_verb(verb: str) -> None:
    """Each verb stands in the README."""
    assert verb in verbs_named(README)


@pytest.mark.parametrize("page", PUBLIC, ids=named)
def test_pages_name_existing_options_only(page: Path) -> None:
    """Each option beside `tokentrail VERB`, or alone in code, is an option of that verb, or of some verb."""
    known = {
        name: {opt for one in options(name) for opt in (*one.opts, *one.secondary_opts)}
        for name in root.list_commands()
    }
    everywhere = set().union(*known.values()) | {"--help", "--version"}
    wrong = []
    for text in code(page):
        for line in text.splitlines():
            shown = re.search(r"(?:^|[\s/])tokentrail ([a-z][a-z-]*)(.*)", line)
            if shown:
                wrong += [one for one in _OPTION.findall(shown[2]) if one not in known[shown[1]]]
            elif line.startswith("--"):
                wrong += [one for one in _OPTION.findall(line) if one not in everywhere]
    assert not wrong


def test_the_readme_shows_real_output() -> None:
    """What the README shows of the demo is what the demo prints, line by line, as a test of the demo has it."""
    block, *others = blocks(README, "text")
    command, *shown = paragraphs(block)
    assert command == "$ tokentrail demo"
    assert not others

    printed = paragraphs((ROOT / "tests" / "cli" / "demo.txt").read_text())

    assert [line for line in shown if line not in printed] == []


def test_ci_runs_the_command_of_the_readme() -> None:
    """CI runs the tests by the very command that the README gives to a stranger."""
    (tests,) = [block.strip() for block in blocks(README, "bash") if "pytest" in block]

    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("\n" + tests)


def test_examples_of_the_library_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each Python example of docs/library.md runs, one after the other."""
    page = ROOT / "docs" / "library.md"
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "examples"}

    for example in blocks(page, "python"):
        exec(compile(example, str(page), "exec"), names)


def test_the_readme_s_library_example_is_python() -> None:
    """The README's Python example compiles, and uses public names only."""
    (example,) = blocks(README, "python")

    compile(example, "README.md", "exec")
    assert re.findall(r"from (\S+) import", example) == ["tokentrail"]


@pytest.mark.parametrize(
    "kind",
    [
        Credential,
        TracedCredential,
        Trace,
        TimelineEvent,
        IngestSummary,
        Status,
        Coverage,
        Rejection,
        Lead,
        Reason,
        Applied,
        StepDone,
        CallResult,
        Verification,
        StepVerdict,
        CredentialVerdict,
        Undone,
        Restored,
    ],
    ids=lambda kind: kind.__name__,
)
def test_every_field_of_the_output_is_documented(kind: type) -> None:
    """docs/output.md names each field of each result."""
    documented = set(re.findall(r"`([a-z_]+)`", OUTPUT.read_text()))
    listed = {one.name for one in fields(kind) if one.metadata != UNLISTED}
    names = listed & set(columns(kind)) | (listed - {"start", "end"})

    assert names <= documented


def test_exit_codes_of_the_help_are_those_of_the_docs() -> None:
    """Each exit code that `tokentrail --help` lists is in docs/output.md."""
    with click.Context(root) as context:
        listed = re.findall(r"^\s+(\d+)  \S", root.get_help(context), re.MULTILINE)

    assert listed
    assert set(listed) <= set(re.findall(r"^\| (\d+) \|", OUTPUT.read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a file of the project leads to one."""
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())

    assert [one for one in targets if not (page.parent / one).exists()] == []


def test_every_page_is_linked_from_the_readme() -> None:
    """A reader of the README finds every page of docs/."""
    text = README.read_text()

    assert [one.name for one in (ROOT / "docs").glob("*.md") if f"(docs/{one.name})" not in text] == []
