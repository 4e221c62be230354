"""
Looks at the evidence: what is held is linked and judged with each batch, and what is let go is carried on in part.

The looker keeps what it holds from one look to the next, so that it may be a process of its own (`seat`): it is told
what is new, and answers with what it found. What a look leaves to be done is done when that has been told.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from tokentrail.detection.scene import Scene
from tokentrail.present.document import document
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import StoredObject
from tokentrail.watch.carrying import Pinned, carried
from tokentrail.watch.guard import Guard
from tokentrail.watch.hot import HotSet
from tokentrail.watch.intake import Tables
from tokentrail.watch.judging import Judge, Judging, Sight, linked_again
from tokentrail.watch.memory import MemoryReturner
from tokentrail.watch.recollection import Recalled

Document = dict[str, Any]


class Segment(NamedTuple):
    """A segment that is new."""

    number: int
    tables: Tables
    objects: Sequence[StoredObject]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letting:
    """What is held no longer than this look."""

    newest: frozenset[int]
    """The segments that stay; of all others, what is worth it is carried."""
    pinned: Pinned
    carriable: int
    """Records that may be carried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One look: what is new since the last one, and what is held no longer after it."""

    new: Sequence[Segment] = ()
    recalled: Sequence[Recalled] = ()
    now: float
    """Seconds since 1970."""
    sweeps: Sequence[Tables | None] = ()
    """What became of sweeps since the last look, in order: one began, or chose what is to be carried from now on."""
    letting: Letting | None = None
    forget: frozenset[int] = frozenset()
    """What was recalled, and is let go of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a look found, as documents."""

    found: Sequence[Document] = field(default_factory=list)
    guarded: Sequence[Document] = field(default_factory=list)
    took: float = 0.0
    """Seconds."""


class Tidy:
    """What comes after each look: its tables are dropped, and what is held no longer is let go of."""


class Looker:
    """
    Looks again and again; it pickles as long as it has not looked yet.

    Args:
        case: The case, from which raw records are read.
        judging: How it judges.
        guards: Plans that it keeps guard over.
    """

    def __init__(self, case: Path, judging: Judging, guards: Sequence[Guard]) -> None:
        self._case, self._judging, self._guards = case, judging, guards
        self._ready: tuple[Judge, HotSet, MemoryReturner] | None = None
        self._after: ExitStack | None = None

    def __call__(self, task: Asked | Tidy) -> Told:
        """
        Look once, or tidy up after a look.

        Raises:
            UsageError: something that it should judge by can't be read.
        """
        judge, hot, memory = self._opened()
        if isinstance(task, Asked):
            return self._looked(task, judge, hot)
        self._tidied(hot, memory)
        return Told()

    def _looked(self, asked: Asked, judge: Judge, hot: HotSet) -> Told:
        for chosen in asked.sweeps:
            if chosen is None:
                hot.sweep_begins()
            else:
                hot.swept(chosen)
        for one in asked.new:
            hot.add(*one)
        for older in asked.recalled:
            hot.recall(older)
        if hot.empty:
            return Told()
        began = time.monotonic()
        with ExitStack() as after:
            sight = after.enter_context(linked_again(hot.engine()))
            scene = judge.scene(sight, hot.read)
            found = [document(one) for one in judge.findings(scene)]
            now = datetime.fromtimestamp(asked.now, UTC)
            guarded = [document(one) for guard in self._guards for one in guard.findings(sight, scene, now)]
            if asked.forget:
                after.callback(hot.forget, asked.forget)
            if asked.letting is not None:
                after.callback(_let_go, hot, sight, scene, asked.letting)
            self._after = after.pop_all()
        return Told(found=found, guarded=guarded, took=time.monotonic() - began)

    def _tidied(self, hot: HotSet, memory: MemoryReturner) -> None:
        if self._after is not None:
            self._after.close()
            self._after = None
            hot.engine()
            memory.return_free()

    def _opened(self) -> tuple[Judge, HotSet, MemoryReturner]:
        if self._ready is None:
            self._ready = (
                Judge(self._judging),
                HotSet(CaseFolder.open(self._case, create=False)),
                MemoryReturner(),
            )
        return self._ready

    def close(self) -> None:
        """Let go of everything."""
        if self._ready is not None:
            self._ready[1].close()
            self._ready = None


def _let_go(hot: HotSet, sight: Sight, scene: Scene, letting: Letting) -> None:
    leaving = hot.others(letting.newest)
    hot.carry(letting.newest, carried(sight, scene, leaving, letting.pinned, letting.carriable))
