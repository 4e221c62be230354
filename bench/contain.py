"""
How long a plan takes for 10,000 tainted credentials over 50 roles and 20 accounts, in multiples of tracing them.

    python bench/contain.py [--credentials N] [--roles N] [--accounts N]

Builds the evidence with `tokentrail.testing`, ingests it, traces it, and plans with each strategy, and a plan that
fails, whose counterexample must be found.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from tokentrail import Case
from tokentrail.present.text.plan_text import write_plan
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.testing import World, native

Got = TypeVar("Got")
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def evidence(credentials: int, roles: int, accounts: int) -> tuple[World, str]:
    """A leaked key that entered each role of each account again and again, half of it from another role."""
    world = World(START, tick=0.5)
    key = world.user("support")
    named = [(f"Role{n}", f"{111122223333 + 1111 * (n % accounts):012}") for n in range(roles)]
    last = None
    for n in range(credentials):
        role, account = named[n % roles]
        actor = last if last is not None and n % 2 else key
        last = actor.assumes(role, f"s{n}", account=account)
        if n % 20 == 0:
            last.calls("s3:ListBuckets")
    return world, key.id


def timed(do: Callable[[], Got]) -> tuple[float, Got]:
    """Seconds, and the result."""
    begun = time.perf_counter()
    got = do()
    return time.perf_counter() - begun, got


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    for name, default in (("credentials", 10_000), ("roles", 50), ("accounts", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    world, key = evidence(given.credentials, given.roles, given.accounts)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.json"
        log.write_bytes(native(world.records()))
        with Case.open(Path(folder) / "case") as case:
            case.ingest([str(log)])
            floor, trace = timed(lambda: case.trace([key]))
            print(
                f"{sum(one.tainted for one in trace.credentials):,} tainted credentials; traced in {floor:.1f} s"
            )
            for strategy in ("standard", "surgical", "scorched"):
                took, plan = timed(lambda strategy=strategy: case.contain([key], strategy=strategy))
                writer = io.StringIO()
                write_plan(plan, TextWriter(writer))
                lines = len(writer.getvalue().splitlines())
                print(
                    f"{strategy:10} {took:5.1f} s, {took / floor:4.1f} x the trace, {len(plan.steps)} steps, "
                    f"{lines} lines, {'complete' if plan.proof.complete else 'NOT complete'}"
                )
            took, plan = timed(lambda: case.contain([key], what_if=[f"deactivate-key:{key}"]))
            moves = len(plan.proof.replay.moves) if plan.proof.replay else 0
            print(f"{'refuted':10} {took:5.1f} s, {took / floor:4.1f} x the trace, {moves} moves around it")


if __name__ == "__main__":
    main()
