"""
Looks: link and judge the hot set with each new batch, and let go of what it can no longer hold.

A `Looker` keeps the hot set from one look to the next, so that it can run in a process of its own (`look_runner`): it
is sent what is new, and returns what it found. It tidies up only after that, so that findings need not wait for it.
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
from tokentrail.watch.carrying import Pinned, records_to_carry
from tokentrail.watch.guard import Guard
from tokentrail.watch.hot import HotSet
from tokentrail.watch.intake import Tables
from tokentrail.watch.judging import Judge, Judging, Sight, linked_in_memory
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
    """What to let go of after a look, and how much of it to carry on."""

    newest: frozenset[int]
    """The numbers of the segments that stay whole; of all others, the most useful records are carried on."""
    pinned: Pinned
    """The credentials whose records are carried before others."""
    carriable: int
    """How many records may be carried on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookRequest:
    """What to add before a look, and what to let go of after it."""

    new: Sequence[Segment] = ()
    recalled: Sequence[Recalled] = ()
    now: float
    """Seconds since 1970."""
    sweeps: Sequence[Tables | None] = ()
    """What became of sweeps since the last look, in order: `None` where one began, else what it chose to carry on."""
    letting: Letting | None = None
    forget: frozenset[int] = frozenset()
    """The numbers of the recalled segments to let go of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookResult:
    """The findings of a look, as documents."""

    found: Sequence[Document] = field(default_factory=list)
    """Those of the rules."""
    guarded: Sequence[Document] = field(default_factory=list)
    """Those of the guards."""
    took: float = 0.0
    """Seconds."""


class Tidy:
    """The task after each look: drop its tables, and let go of what is no longer to be held."""


class Looker:
    """
    Links and judges the hot set, look after look. It can be pickled until its first look.

    Args:
        case: The case, from which raw records are read.
        judging: How it judges.
        guards: The guards of containment plans.
    """

    def __init__(self, case: Path, judging: Judging, guards: Sequence[Guard]) -> None:
        self._case, self._judging, self._guards = case, judging, guards
        self._ready: tuple[Judge, HotSet, MemoryReturner] | None = None
        self._after: ExitStack | None = None

    def __call__(self, task: LookRequest | Tidy) -> LookResult:
        """
        Look once, or tidy up after a look.

        Raises:
            UsageError: a file that it should judge by can't be read.
        """
        judge, hot, memory = self._opened()
        if isinstance(task, LookRequest):
            return self._looked(task, judge, hot)
        self._tidied(hot, memory)
        return LookResult()

    def _looked(self, asked: LookRequest, judge: Judge, hot: HotSet) -> LookResult:
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
            return LookResult()
        began = time.monotonic()
        with ExitStack() as after:
            sight = after.enter_context(linked_in_memory(hot.engine()))
            scene = judge.scene(sight, hot.read)
            found = [document(one) for one in judge.findings(scene)]
            now = datetime.fromtimestamp(asked.now, UTC)
            guarded = [document(one) for guard in self._guards for one in guard.findings(sight, scene, now)]
            if asked.forget:
                after.callback(hot.forget, asked.forget)
            if asked.letting is not None:
                after.callback(_let_go, hot, sight, scene, asked.letting)
            self._after = after.pop_all()
        return LookResult(found=found, guarded=guarded, took=time.monotonic() - began)

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
        """Close the engine, and forget the hot set."""
        if self._ready is not None:
            self._ready[1].close()
            self._ready = None


def _let_go(hot: HotSet, sight: Sight, scene: Scene, letting: Letting) -> None:
    leaving = hot.others(letting.newest)
    hot.carry(letting.newest, records_to_carry(sight, scene, leaving, letting.pinned, letting.carriable))
