"""
A walk through an incident, moment by moment: what each step ended, what it did not, and what came after it.

Only the headings are told; every state and every count comes from the traces that are handed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tokentrail.lineage.model import Credential, Trace
from tokentrail.present import words
from tokentrail.present.damage import total_bytes
from tokentrail.present.document import timestamp
from tokentrail.present.paper import Paper, Part

_INDENT = " " * 10
_ALIVE = ("active", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One moment of the walk."""

    moment: datetime
    title: str
    """What has just been done, and by whom."""
    trace: Trace
    """The subject's lineage as it could be known at that moment."""
    bystanders: tuple[Credential, ...] = ()
    """Credentials of people who did nothing wrong, as of that moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """A subject, the letters by which its lineage is called, and the chapters."""

    letters: Mapping[str, str]
    """Letter by credential id."""
    chapters: tuple[Chapter, ...]

    def letter(self, one: Credential) -> str:
        """What a credential is called."""
        return self.letters.get(one.id, one.id)


def write_walk(walk: Walk, paper: Paper) -> None:
    """Write the chapters, then what is left in the end and what would end it."""
    before: Chapter | None = None
    for chapter in walk.chapters:
        paper.line()
        paper.wrapped(chapter.title, first=f"{chapter.moment:%H:%M:%S}  ", style="bold")
        _states(walk, before, chapter, paper)
        for sentence in findings(walk, before, chapter):
            paper.wrapped(sentence, first=f"{_INDENT}=> ")
        before = chapter
    if before is not None:
        _end(walk, before, paper)


def findings(walk: Walk, before: Chapter | None, now: Chapter) -> list[str]:
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
    alive = [one for one in current if one.state in _ALIVE]
    if ended:
        sentences.append(
            f"Ended: {_names(walk, ended)}. Not ended: {_names(walk, alive) if alive else 'nothing is left'}."
        )
    elif before is not None and new and alive:
        sentences.append(f"Alive: {_names(walk, alive)}.")
    sentences += _collateral(before, now)
    gone = _got_out(now)
    if gone > (_got_out(before) if before else 0):
        sentences.append(f"{words.size(gone)} got out so far.")
    return sentences


def what_would_end_it(walk: Walk, last: Chapter) -> list[str]:
    """Say what each kind of credential that is alive in the end needs."""
    alive = [one for one in last.trace.credentials if one.state in _ALIVE and one.tainted]
    tokens = [one for one in alive if one.kind in ("session_token", "federation_token")]
    sessions = [one for one in alive if one.role and one not in tokens]
    others = [one for one in alive if one not in tokens and one not in sessions]
    steps = []
    for name, group in _by_principal(tokens, role=False):
        letters = _names(walk, group)
        steps.append(
            f"{letters}: no key to delete, and no session that a role's revocation reaches. "
            f"{name} itself must be denied what {letters} may do, or be deleted."
        )
    for name, group in _by_principal(sessions, role=True):
        again = " once more, which alone lasts only until the next is minted" if tokens else ""
        steps.append(f"{_names(walk, group)}: the sessions of {name} must be revoked{again}.")
    if others:
        steps.append(f"{_names(walk, others)}: to be deactivated, or its user or role denied.")
    return steps


def _by_principal(credentials: Sequence[Credential], *, role: bool) -> list[tuple[str, list[Credential]]]:
    groups: dict[str, list[Credential]] = {}
    for one in credentials:
        groups.setdefault(words.principal(one.role if role else one.principal), []).append(one)
    return sorted(groups.items())


def _end(walk: Walk, last: Chapter, paper: Paper) -> None:
    paper.heading("What would end it")
    steps = what_would_end_it(walk, last)
    if not steps:
        paper.wrapped("Nothing that descends from the key works any more.")
        return
    alive = [one for one in last.trace.credentials if one.state in _ALIVE and one.tainted]
    paper.wrapped(
        f"After all that was done, {_names(walk, alive)} still {words.verb(len(alive), 'works', 'work')}:"
    )
    for step in steps:
        paper.wrapped(step, first="  - ")
    paper.wrapped(
        "All of it, in an order that leaves no moment to mint another in. "
        "Finding that order and proving that it holds is not built yet."
    )


def _states(walk: Walk, before: Chapter | None, now: Chapter, paper: Paper) -> None:
    earlier = {one.id: one for one in before.trace.credentials} if before else {}
    for one in sorted(now.trace.credentials, key=walk.letter):
        known = earlier.get(one.id)
        if known is not None and known.state not in _ALIVE:
            continue
        lead: list[Part] = [f"{_INDENT}{walk.letter(one)}  "]
        if known is None:
            paper.line(*lead, (one.id, "bold"), f"  {words.kind(one)} of {words.who(one, account=False)}")
            lead = [f"{_INDENT}   "]
        calls = one.events - (known.events if known else 0)
        done = f"; {words.number(calls, 'call')} {'since' if known else 'so far'}" if calls else "; not used"
        text = words.state(one, event=False) + (done if one.state in _ALIVE else "")
        _sentence(lead, text, one, paper)


def _sentence(lead: Sequence[Part], text: str, one: Credential, paper: Paper) -> None:
    first = "".join(part if isinstance(part, str) else part[0] for part in lead)
    paper.wrapped(text, first=first, style="" if one.state in _ALIVE else words.STYLES[one.state])


def _dies(earlier: Credential, now: Credential) -> bool:
    return earlier.state in _ALIVE and now.state not in _ALIVE


def _in_spite(walk: Walk, one: Credential, current: Sequence[Credential]) -> str:
    """Say which sessions of its role a revocation had ended before it was minted."""
    gone = [
        other
        for other in current
        if other.role and other.role == one.role and other.ended_at and one.issued_at
        and other.ended_at < one.issued_at
    ]  # fmt: skip
    return f", after the step that ended {_names(walk, gone)} in the same role" if gone else ""


def _got_out(chapter: Chapter) -> int:
    return total_bytes(chapter.trace, [one.id for one in chapter.trace.credentials if one.tainted])


def _collateral(before: Chapter | None, now: Chapter) -> list[str]:
    earlier = {one.id: one for one in before.bystanders} if before else {}
    hit = [
        one for one in now.bystanders if one.id in earlier and _dies(earlier[one.id], one) and one.ended_by
    ]
    return [
        f"It ended {words.principal(one.principal)} ({one.id}) as well: a colleague at work." for one in hit
    ]


def _names(walk: Walk, credentials: Sequence[Credential]) -> str:
    return words.joined(sorted(walk.letter(one) for one in credentials))
