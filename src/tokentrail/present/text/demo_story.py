"""
A walk through an incident, moment by moment: what each step ended, what it did not, and what came after it.

Only the headings are told; every state and every count comes from the traces that are handed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tokentrail.containment.model import Plan, Step
from tokentrail.formatting import counted, joined, size, verb
from tokentrail.lineage.model import Credential, Trace
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.text.text_writer import Part, TextWriter
from tokentrail.present.views.damage import total_bytes

_INDENT = " " * 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStage:
    """One moment of the walk."""

    moment: datetime
    title: str
    """What has just been done, and by whom."""
    trace: Trace
    """The subject's lineage as it could be known at that moment."""
    bystanders: tuple[Credential, ...] = ()
    """Credentials of people who did nothing wrong, as of that moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStory:
    """A subject, the letters by which its lineage is called, and the chapters."""

    letters: Mapping[str, str]
    """Letter by credential id."""
    chapters: tuple[DemoStage, ...]
    plan: Plan | None = None
    """What ends what is alive in the end."""
    runbook: Plan | None = None
    """What a proof says of the steps that were taken, asked before the first of them."""

    def letter(self, one: Credential) -> str:
        """What a credential is called."""
        return self.letters.get(one.id, one.id)


def write_walk(walk: DemoStory, writer: TextWriter) -> None:
    """Write the chapters, then what is left in the end and what would end it."""
    before: DemoStage | None = None
    for chapter in walk.chapters:
        writer.line()
        writer.wrapped(chapter.title, first=f"{chapter.moment:%H:%M:%S}  ", style="bold")
        _states(walk, before, chapter, writer)
        for sentence in findings(walk, before, chapter):
            writer.wrapped(sentence, first=f"{_INDENT}=> ")
        before = chapter
    if before is not None:
        _end(walk, before, writer)


def findings(walk: DemoStory, before: DemoStage | None, now: DemoStage) -> list[str]:
    """Say what has changed since the chapter before, from the traces alone."""
    earlier = {one.id: one for one in before.trace.credentials} if before else {}
    current = now.trace.credentials
    sentences = []
    new = [one for one in current if one.id not in earlier]
    for one in new:
        if one.parent and one.issued_by and one.issued_at:
            parent = walk.letters.get(one.parent, one.parent)
            sentences.append(
                f"{parent} minted {walk.letter(one)} with {one.issued_by.api} at "
                f"{timestamp(one.issued_at)[11:]}{_in_spite(walk, one, current)}."
            )
    ended = [one for one in current if one.id in earlier and _dies(earlier[one.id], one)]
    alive = [one for one in current if one.state in words.ALIVE]
    if ended:
        sentences.append(
            f"Ended: {_names(walk, ended)}. Not ended: {_names(walk, alive) if alive else 'nothing is left'}."
        )
    elif before is not None and new and alive:
        sentences.append(f"Alive: {_names(walk, alive)}.")
    sentences += _collateral(before, now)
    gone = _got_out(now)
    if gone > (_got_out(before) if before else 0):
        sentences.append(f"{size(gone)} got out so far.")
    return sentences


def _end(walk: DemoStory, last: DemoStage, writer: TextWriter) -> None:
    """What is left, the proved plan that ends it, and what a proof would have said of the runbook."""
    if walk.plan is None:
        return
    alive = [one for one in last.trace.credentials if one.state in words.ALIVE and one.tainted]
    writer.heading("What ends it")
    if not alive and not walk.plan.steps:
        writer.wrapped("Nothing that descends from the key works any more.")
        return
    writer.wrapped(
        f"After all that was done, {_names(walk, alive)} still {verb(len(alive), 'works', 'work')}. "
        f"{'This ends it' if walk.plan.proof.complete else 'This is not enough'}, proved against an attacker who "
        "uses every live credential between the steps:"
    )
    for step in walk.plan.steps:
        writer.wrapped(_told(walk, step), first=f"  {step.n}. ")
    if walk.runbook is not None:
        writer.wrapped("Asked before the first step, the proof of the runbook says how it fails:")
        for sentence in walk.runbook.proof.counterexample[:2]:
            writer.wrapped(_lettered(walk, sentence), first="  - ")


def _told(walk: DemoStory, step: Step) -> str:
    on = ", ".join(words.principal(one) if one.startswith("arn:") else one for one in step.targets)
    ends = joined([walk.letters.get(one, one) for one in step.ends]) or "nothing by itself"
    left = joined([walk.letters.get(one, one) for one in step.alive_after])
    rest = f"{left} {verb(len(step.alive_after), 'goes', 'go')} on" if left else "nothing is left"
    hit = joined([one.credential for one in step.collateral])
    also = f". It hits {hit} as well, which --strategy surgical or --spare avoids" if hit else ""
    return f"{step.action} on {on}: ends {ends}; {rest}{also}."


def _lettered(walk: DemoStory, sentence: str) -> str:
    for name, letter in walk.letters.items():
        sentence = sentence.replace(name, letter)
    return sentence


def _states(walk: DemoStory, before: DemoStage | None, now: DemoStage, writer: TextWriter) -> None:
    earlier = {one.id: one for one in before.trace.credentials} if before else {}
    for one in sorted(now.trace.credentials, key=walk.letter):
        known = earlier.get(one.id)
        if known is not None and known.state not in words.ALIVE:
            continue
        lead: list[Part] = [f"{_INDENT}{walk.letter(one)}  "]
        if known is None:
            writer.line(*lead, (one.id, "bold"), f"  {words.kind(one)} of {words.who(one, account=False)}")
            lead = [f"{_INDENT}   "]
        calls = one.events - (known.events if known else 0)
        done = f"; {counted(calls, 'call')} {'since' if known else 'so far'}" if calls else "; not used"
        text = words.state(one, event=False) + (done if one.state in words.ALIVE else "")
        _sentence(lead, text, one, writer)


def _sentence(lead: Sequence[Part], text: str, one: Credential, writer: TextWriter) -> None:
    first = "".join(part if isinstance(part, str) else part[0] for part in lead)
    writer.wrapped(text, first=first, style="" if one.state in words.ALIVE else words.STYLES[one.state])


def _dies(earlier: Credential, now: Credential) -> bool:
    return earlier.state in words.ALIVE and now.state not in words.ALIVE


def _in_spite(walk: DemoStory, one: Credential, current: Sequence[Credential]) -> str:
    """Say which sessions of its role a revocation had ended before it was minted."""
    gone = [
        other
        for other in current
        if other.role and other.role == one.role and other.ended_at and one.issued_at
        and other.ended_at < one.issued_at
    ]  # fmt: skip
    return f", after the step that ended {_names(walk, gone)} in the same role" if gone else ""


def _got_out(chapter: DemoStage) -> int:
    return total_bytes(chapter.trace, [one.id for one in chapter.trace.credentials if one.tainted])


def _collateral(before: DemoStage | None, now: DemoStage) -> list[str]:
    earlier = {one.id: one for one in before.bystanders} if before else {}
    hit = [
        one for one in now.bystanders if one.id in earlier and _dies(earlier[one.id], one) and one.ended_by
    ]
    return [
        f"It ended {words.principal(one.principal)} ({one.id}) as well: a colleague at work." for one in hit
    ]


def _names(walk: DemoStory, credentials: Sequence[Credential]) -> str:
    return joined(sorted(walk.letter(one) for one in credentials))
