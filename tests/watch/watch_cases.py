"""What the tests of watching share: a feed that brings what it is given, a sink that remembers, ways to run a watch."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokentrail import Case
from tokentrail.present.document import document
from tokentrail.sources.files import BytesObject
from tokentrail.testing import native
from tokentrail.watch.guard import PREFIX, Guard
from tokentrail.watch.interface import Arrival, Behind, Lost, Notice, Sink, SinkFailed
from tokentrail.watch.watch import Settings, Watch

Json = dict[str, Any]


@dataclass
class Given:
    """A feed that brings batches of log files, one after the other."""

    batches: list[list[bytes]]
    kept_ones: list[str] = field(default_factory=list)
    taken: int = 0

    def start(self) -> None:
        pass

    def take(self, most: int, wait: float) -> Sequence[Arrival]:
        if not self.batches:
            return self.nothing(wait)
        files = self.batches.pop(0)
        self.taken += len(files)
        names = [f"{self.taken}-{number}.json.gz" for number in range(len(files))]
        return [Arrival(object=BytesObject(*one), at=0.0) for one in zip(names, files, strict=True)]

    def nothing(self, wait: float) -> Sequence[Arrival]:
        """Wait, as feeds do: who asks again and again leaves a sweep, which takes what others leave, no processor."""
        time.sleep(wait)
        return ()

    def kept(self, arrivals: Sequence[Arrival]) -> None:
        self.kept_ones += [one.object.name for one in arrivals]

    def behind(self) -> Behind:
        return Behind(waiting=len(self.batches), held=0, oldest=None)

    def drained(self) -> bool:
        return not self.batches

    def lost(self) -> Sequence[Lost]:
        return ()

    def troubles(self) -> Sequence[str]:
        return ()

    def stop(self) -> None:
        pass


@dataclass
class Remembering:
    """A sink that remembers, and fails as often as it is told to."""

    notices: list[Notice] = field(default_factory=list)
    failures: int = 0
    local: bool = True
    at_once: int = 10
    name: str = "memory"
    shown: str = "memory"
    through: frozenset[str] = frozenset()

    def delivered(self) -> frozenset[str]:
        return self.through

    def deliver(self, notices: Sequence[Notice]) -> None:
        if self.failures:
            self.failures -= 1
            raise SinkFailed("not now")
        self.notices += notices

    def standing(self) -> dict[str, Json]:
        """What they tell in the end: each finding as it was last told, without those that were withdrawn."""
        told: dict[str, Json] = {}
        for one in self.notices:
            told.pop(one.id, None)
            if one.change != "withdrawn":
                told[one.id] = one.document
        return told


def packed(records: Iterable[Json]) -> bytes:
    """Records as a log file."""
    return gzip.compress(native(list(records)), mtime=0)


def watched(
    case: Path, batches: Iterable[Iterable[Iterable[Json]]], *sinks: Sink, guards: Sequence[Guard] = (),
    say: Callable[[str], None] = lambda _: None, clock: Callable[[], float] = time.time, **settings: Any,
) -> Given:  # fmt: skip
    """Watch batches of files of records into a case until all is judged."""
    feed = Given([[packed(file) for file in files] for files in batches])
    with Case.open(case) as opened:
        given = Settings(**{"once": True, "quiet": 0.0, "turn": 0.0, **settings})
        Watch(opened.folder, feed, sinks, guards, given, say, clock).run()
    return feed


def found(case: Path) -> dict[str, Json]:
    """What `detect` finds in a case, hit by hit as a watch tells it."""
    with Case.open(case) as opened:
        return {one.id: document(one) for one in opened.detect(together=False)}


def without_guard(told: dict[str, Json]) -> dict[str, Json]:
    return {ident: one for ident, one in told.items() if not one["rule"].startswith(PREFIX)}


def same(told: dict[str, Json]) -> str:
    """Findings as text, to compare."""
    return json.dumps(told, sort_keys=True, indent=1)
