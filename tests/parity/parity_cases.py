"""What the tests of parity compare, and the evidence that they compare it of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hypothesis import Phase, given, settings

from evidence import text
from strategies import worlds
from tokentrail import Case
from tokentrail.testing import World, native


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Log files, and what this machine says of them."""

    folder: Path
    part: Path
    """One of the files, whose records are in no other one."""
    answers: str
    objects: int


def everything(case: Case) -> str:
    """What a case answers, as JSON: the inventory, a trace of all, one of the last, a timeline, findings, the status."""
    listed = list(case.credentials())
    ids = [one.id for one in listed]
    status = case.status()
    shown = [
        *listed,
        case.trace(ids),
        case.trace(ids[-1:]),
        *case.timeline(ids[:1]),
        *case.detect(),
        *status.coverage,
    ]
    return "\n".join((text(shown), text(status.rejected)))


def names_are_looked_up(case: Case) -> bool:
    """Whether it is known of every segment which names stand in it."""
    engine = case._views.open(None).engine
    return engine.holding(names=["nobody's name"]) == engine.narrow(set())


def drawn(count: int) -> list[World]:
    """Some random worlds, the same each time, no two of them alike: one file's bytes that two tasks read are kept twice."""
    found: dict[bytes, World] = {}

    @settings(max_examples=count, derandomize=True, database=None, phases=[Phase.generate])
    @given(worlds(rare=True))
    def draw(world: World) -> None:
        found.setdefault(native(world.records()), world)

    draw()
    return [*found.values()]
