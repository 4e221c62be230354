"""
The demo's story: its evidence, its moments, and the words around what the traces say.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tokentrail.case import Case
from tokentrail.cli.output import progress_bar
from tokentrail.containment.model import Plan
from tokentrail.errors import UsageError
from tokentrail.lineage.model import Credential
from tokentrail.present import words
from tokentrail.present.paper import Paper
from tokentrail.present.walk import Chapter, Walk, write_walk
from tokentrail.present.words import pasted
from tokentrail.results import Status
from tokentrail.testing.story import ATTACKER, Story, story

_LOOK_FURTHER = (
    ("detect", "what looks like theft in it, why, and how to tell a false alarm"),
    ("trace {a}", "the whole lineage, and the damage"),
    ("timeline {a}", "every call, in order"),
    ("contain {a}", "the plan, its calls and its proof"),
    ("credentials --state active", "what works at the end, of everybody's"),
    ("status", "what the evidence covers"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tale:
    """The walk, with the case's measure."""

    walk: Walk
    key_ids: dict[str, str]
    status: Status


def tell(case: Case, *, until: datetime | None) -> Tale:
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
    walk = Walk(letters=letters, chapters=chapters, plan=plan, runbook=_runbook(case, script, turns[-1][0]))
    return Tale(walk=walk, key_ids=script.key_ids, status=case.status())


def write_tale(tale: Tale, folder: Path, paper: Paper) -> None:
    """Write the introduction, the walk, and how to go on."""
    status = tale.status
    paper.line(("The leak of key A, told from its CloudTrail logs", "bold"))
    paper.wrapped(
        f"Built-in evidence: {tale.walk.chapters[0].moment:%Y-%m-%d} (UTC) in a small company, "
        f"{words.number(status.records, 'event')}, {words.number(status.credentials, 'credential')}, and one "
        "theft among them. An engineer's access key, A, has leaked, and a responder follows the usual "
        "runbook. At each turn, TokenTrail answers from the log up to that moment alone."
    )
    write_walk(tale.walk, paper)
    paper.heading("Look further")
    for command, what in _LOOK_FURTHER:
        line = pasted(f"tokentrail {command.format(a=tale.key_ids['A'])}", folder)
        paper.line(f"  # {what}")
        paper.line(f"  {line}")


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


def _chapter(case: Case, script: Story, moment: datetime, title: str) -> Chapter:
    trace = case.trace([script.a.key_id], as_of=moment)
    colleague = case.credentials(as_of=moment, principal=script.ria_before.arn)
    bystanders: tuple[Credential, ...] = tuple(colleague)
    return Chapter(moment=moment, title=title, trace=trace, bystanders=bystanders)
