"""
`tokentrail demo`: the story of a leaked key, on built-in evidence.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import click

from tokentrail.case import Case
from tokentrail.cli.example import example
from tokentrail.cli.options import CasePlace, CommonOptions, without_case
from tokentrail.cli.output import enforce_strict, open_case, progress_bar, show_one
from tokentrail.containment.model import Plan
from tokentrail.errors import UsageError
from tokentrail.formatting import counted
from tokentrail.lineage.model import Credential, TracedCredential
from tokentrail.present.document import columns, document
from tokentrail.present.text.demo_story import DemoStage, DemoStory, write_walk
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.present.words import pasted
from tokentrail.results import Status
from tokentrail.store.place import on_s3
from tokentrail.testing.story import ATTACKER, Story, story

_LOOK_FURTHER = (
    ("detect", "what looks like theft in it, why, and how to tell a false alarm"),
    ("trace {a}", "the whole lineage, and the damage"),
    ("timeline {a}", "every call, in order"),
    ("contain {a}", "the plan, its calls and its proof"),
    ("credentials --state active", "what works at the end, of everybody's"),
    ("status", "what the evidence covers"),
)


@click.command(
    "demo",
    epilog=example("tokentrail demo --case tokentrail-demo"),
)
@click.option(
    "--case", type=CasePlace(), metavar="DIR",
    default=lambda: Path(tempfile.mkdtemp(prefix="tokentrail-demo-")),
    show_default="a fresh folder for temporary files", help="A new or empty folder for the demo's case.",
)  # fmt: skip
@without_case
def command(options: CommonOptions) -> None:
    """
    Walk through the leak of a key on built-in evidence: what each of the responder's steps ended, and what
    not.

    No account, network or file of yours is touched.
    --as-of ends the walk early; the case stays behind, so that you can look further with the other verbs.
    """
    if on_s3(options.case):
        raise UsageError(f"{options.case}: the demo touches no network. Give a folder with --case.")
    with open_case(options, create=True) as case:
        tale = _tell(case, until=options.as_of)
        last = document(tale.walk.chapters[-1].trace)
        chapters = [document(chapter) for chapter in tale.walk.chapters]
        show_one(
            options, {"case": str(options.case), "credentials": tale.key_ids, "chapters": chapters},
            lambda writer: _write_tale(tale, Path(options.case), writer),
            lines=chapters, table=(columns(TracedCredential), last["credentials"]),
        )  # fmt: skip
        enforce_strict(options, case)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tale:
    """The walk, with the case's measure."""

    walk: DemoStory
    key_ids: dict[str, str]
    status: Status


def _tell(case: Case, *, until: datetime | None) -> _Tale:
    """
    Put the story's evidence into an empty case, and trace the leaked key at each turn of the story.

    Raises:
        UsageError: the case holds evidence already, or `until` lies before the story.
    """
    if case.status().objects:
        raise UsageError(
            f"{case.path}: holds evidence already. Give the demo a new or empty folder with --case."
        )
    script = story()
    with tempfile.TemporaryDirectory() as folder, progress_bar("Reading the built-in evidence") as progress:
        script.world.write(folder)
        case.ingest([folder], progress=progress)
    turns = [(moment, title) for moment, title in _turns(script) if until is None or moment <= until]
    if not turns:
        raise UsageError(f"--as-of: the story begins at {script.moments.leaked:%Y-%m-%dT%H:%M:%SZ}.")
    letters = {key_id: letter for letter, key_id in script.key_ids.items()}
    chapters = tuple(_chapter(case, script, moment, title) for moment, title in turns)
    plan = case.contain([script.a.key_id], as_of=turns[-1][0])
    walk = DemoStory(
        letters=letters, chapters=chapters, plan=plan, runbook=_runbook(case, script, turns[-1][0])
    )
    return _Tale(walk=walk, key_ids=script.key_ids, status=case.status())


def _write_tale(tale: _Tale, folder: Path, writer: TextWriter) -> None:
    """Write the introduction, the walk, and how to go on."""
    status = tale.status
    writer.line(("The leak of key A, told from its CloudTrail logs", "bold"))
    writer.wrapped(
        f"Built-in evidence: {tale.walk.chapters[0].moment:%Y-%m-%d} (UTC) in a small company, "
        f"{counted(status.records, 'event')}, {counted(status.credentials, 'credential')}, and one "
        "theft among them. An engineer's access key, A, has leaked, and a responder follows the usual "
        "runbook. At each turn, TokenTrail answers from the log up to that moment alone."
    )
    write_walk(tale.walk, writer)
    writer.heading("Look further")
    for verb, what in _LOOK_FURTHER:
        line = pasted(f"tokentrail {verb.format(a=tale.key_ids['A'])}", folder)
        writer.line(f"  # {what}")
        writer.line(f"  {line}")


def _turns(script: Story) -> list[tuple[datetime, str]]:
    """The turns of the story: what people did. What came of it is for the traces to say."""
    at = script.moments
    return [
        (at.leaked, f"The first call with A from an address where nobody works: {ATTACKER}."),
        (at.c_minted, "Five minutes later."),
        (at.key_deactivated, "First step: the responder deactivates A."),
        (at.sessions_revoked, "Second step: the responder revokes the active sessions of MyBucketRole."),
        (at.d_minted, "A minute later. Both steps of the runbook are done."),
        (at.end, "The evidence ends here."),
    ]


def _runbook(case: Case, script: Story, until: datetime) -> Plan | None:
    """What the proof says of the responder's two steps, a minute before the first, if the walk gets that far."""
    before = script.moments.key_deactivated - timedelta(minutes=1)
    if until < script.moments.sessions_revoked:
        return None
    steps = (f"deactivate-key:{script.a.key_id}", f"revoke-role-sessions:{script.role.arn}")
    return case.contain([script.a.key_id], as_of=before, what_if=steps)


def _chapter(case: Case, script: Story, moment: datetime, title: str) -> DemoStage:
    trace = case.trace([script.a.key_id], as_of=moment)
    colleague = case.credentials(as_of=moment, principal=script.ria_before.arn)
    bystanders: tuple[Credential, ...] = tuple(colleague)
    return DemoStage(moment=moment, title=title, trace=trace, bystanders=bystanders)
