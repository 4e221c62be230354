"""
Which line of the picture stands for which credentials: one each while they are few, one for each kind and role when
they are many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tokentrail.containment.model import Plan
from tokentrail.formatting import counted
from tokentrail.lineage.model import Credential, Trace
from tokentrail.present import words
from tokentrail.present.html.window import Window

FEW = 36
"""Credentials that have a line each; more are grouped."""
_GROUPS = 28
_MINTERS = 5
_ALONE = 3
"""A group of no more than these is no group."""
_OTHERS = 10
"""Lines for colleagues."""


@dataclass(slots=True, kw_only=True)
class Row:
    """One line: a credential, or several of one kind and role."""

    members: tuple[Credential, ...]
    attackers: bool
    deaths: Mapping[str, int]
    """The step of the plan that ends a credential, by id."""
    parent: Row | None = None
    minted: datetime | None = None
    """When the first of them was minted by the parent."""
    api: str | None = None
    place: int = 0
    good: dict[int, int] = field(default_factory=dict)
    """Calls by their place in the window."""
    bad: dict[int, int] = field(default_factory=dict)

    @property
    def one(self) -> Credential:
        """The first of them, which stands for all."""
        return self.members[0]

    @property
    def single(self) -> bool:
        """Whether it is one credential's own line."""
        return len(self.members) == 1

    def start(self) -> datetime | None:
        """When it begins; `None` where that was before the evidence."""
        starts = [one.issued_at for one in self.members]
        return None if None in starts else min(one for one in starts if one)

    def alive(self, step: int = 0) -> list[Credential]:
        """Those that work, or may work, after a step of the plan; after none of them, now."""
        return [
            one for one in self.members
            if one.state in words.ALIVE and not 0 < self.deaths.get(one.id, 0) <= step
        ]  # fmt: skip

    def stop(self) -> datetime | None:
        """When the last of those that work no more stopped."""
        return max((found for one in self.members if (found := stopped(one))), default=None)

    def until(self) -> datetime | None:
        """When the last of them ends by itself; `None` where it never does."""
        ends = [one.expires_at or one.expires_bound for one in self.members]
        return None if None in ends else max(one for one in ends if one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something that was done, and ended credentials."""

    event_id: str
    time: datetime
    what: str
    ends: tuple[Credential, ...]
    spared: tuple[Credential, ...]
    """The attacker's that went on."""


def stopped(one: Credential) -> datetime | None:
    """When a credential stopped working, if it has."""
    if one.state in words.ALIVE:
        return None
    return one.ended_at or one.expires_at or one.expires_bound


def deaths(plan: Plan | None) -> dict[str, int]:
    """Tell which step of a plan ends which credential, innocent ones included."""
    found: dict[str, int] = {}
    for step in plan.steps if plan else ():
        for name in (*step.ends, *(one.credential for one in step.collateral)):
            found.setdefault(name, step.n)
    return found


def rows(trace: Trace, bystanders: Sequence[Credential], plan: Plan | None, window: Window) -> list[Row]:
    """Lay out the lines, the attacker's first, each kind in order of time."""
    dies = deaths(plan)
    mine = [one for one in trace.credentials if one.tainted]
    others = [one for one in (*trace.credentials, *bystanders) if not _tainted(one) and _seen(one, window)]
    found = [Row(members=group, attackers=True, deaths=dies) for group in _grouped(mine, FEW, trace)]
    found += [Row(members=group, attackers=False, deaths=dies) for group in _grouped(others, _OTHERS, trace)]
    of = {one.id: row for row in found for one in row.members}
    for place, row in enumerate(found):
        row.place = place
        _tie(row, of)
    return found


def actions(trace: Trace, bystanders: Iterable[Credential]) -> list[Action]:
    """List what ended credentials, in order of time, with what each left alive."""
    tainted = [one for one in trace.credentials if one.tainted]
    by: dict[tuple[datetime, str], list[Credential]] = {}
    for one in (*trace.credentials, *bystanders):
        if one.ended_at and one.ended_by:
            by.setdefault((one.ended_at, one.ended_by), []).append(one)
    kept = [(key, ended) for key, ended in sorted(by.items()) if any(_tainted(one) for one in ended)]
    return [
        Action(
            event_id=event, time=time, what=_what(ended[0]), ends=tuple(ended),
            spared=tuple(
                one for one in tainted
                if (one.issued_at or one.first_used or time) <= time and _outlives(one, time) and one not in ended
            ),
        )
        for (time, event), ended in kept
    ]  # fmt: skip


def _outlives(one: Credential, time: datetime) -> bool:
    end = stopped(one)
    return end is None or end > time


def _what(one: Credential) -> str:
    """What ended it, without the policy's small print."""
    sentence = one.state_reason.partition(" already: ")[2] or one.state_reason
    return sentence.partition(" denies ")[0]


def _tainted(one: Credential) -> bool:
    return bool(getattr(one, "tainted", False))


def _seen(one: Credential, window: Window) -> bool:
    """Whether a colleague's credential was about in the window."""
    begin = one.issued_at or one.first_used
    end = stopped(one)
    return (begin is None or begin <= window.end) and (end is None or end >= window.start)


def _grouped(credentials: Sequence[Credential], few: int, trace: Trace) -> list[tuple[Credential, ...]]:
    if len(credentials) <= few:
        return [(one,) for one in credentials]
    own = set(trace.subject) | _minters(trace)
    groups: dict[tuple[str, str], list[Credential]] = {}
    for one in credentials:
        key: tuple[str, str] = ("", one.id) if one.id in own else (one.kind, one.role or one.principal or "")
        groups.setdefault(key, []).append(one)
    ranked = sorted(
        groups.items(),
        key=lambda item: (item[0][0] != "", -_alive(item[1]), -len(item[1]), min(map(_order, item[1]))),
    )
    most = _GROUPS if few == FEW else few - 2
    kept = {key for key, _ in ranked[:most]}
    found: list[tuple[Credential, ...]] = []
    for key, group in groups.items():
        if key in kept:
            found += [(one,) for one in group] if len(group) <= _ALONE else [tuple(group)]
    rest = tuple(one for key, group in groups.items() if key not in kept for one in group)
    return sorted(found, key=lambda group: (group[0].id not in own, _order(group[0]))) + (
        [rest] if rest else []
    )


def _minters(trace: Trace) -> set[str]:
    """Find the few that minted most of the rest: they have a line of their own even where all are grouped."""
    minted = Counter(one.parent for one in trace.credentials if one.tainted and one.parent)
    least = max(3, len(trace.credentials) // 100)
    return {name for name, count in minted.most_common(_MINTERS) if count >= least}


def _alive(group: Sequence[Credential]) -> int:
    return sum(one.state in words.ALIVE for one in group)


def _order(one: Credential) -> tuple[float, str]:
    begin = one.issued_at or (one.first_used if one.kind not in ("long_term_key", "api_key") else None)
    return (begin.timestamp() if begin else 0.0, one.id)


def _tie(row: Row, of: Mapping[str, Row]) -> None:
    """Tie a line to the one that minted its first."""
    for one in row.members:
        parent = of.get(one.parent or "")
        if parent is not None and parent is not row and one.issued_at:
            row.parent, row.minted = parent, one.issued_at
            row.api = one.issued_by.api if one.issued_by else None
            return


def name(row: Row) -> str:
    """What a line's credentials are, in a few words."""
    one = row.one
    if row.single:
        return words.kind(one)
    alike = {(other.kind, other.role or other.principal) for other in row.members}
    count = len(row.members)
    return words.kinds(count, one) if len(alike) == 1 else counted(count, "other credential")
