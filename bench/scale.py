"""
How linking and answers grow with the case, and what memory they take.

    python bench/scale.py CASE --days 1,10,92 [--folder DIR] [--skip detect]

CASE is an ingested million of made events (bench/evidence.py); cases of more days are made of it (bench/copies.py)
and kept in DIR. Each step runs in a fresh process. Processor time is what to compare: other programs on the
machine disturb it less than the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import bytecode
import copies

from tokentrail import Case
from tokentrail.cli.memory import LIBRARY_SETTINGS

Figures = dict[str, Any]
ASKED = 20


def link(case: Case) -> Figures:
    """Link all, from the start."""
    shutil.rmtree(case.path / "derived")
    (case.path / "derived").mkdir(mode=0o700)
    grown = case._views.open(None).size
    return {"events": grown.records, "credentials": grown.credentials}


def more(case: Case) -> Figures:
    """Link again after some records or a day more."""
    view = case._views.open(None)
    return {"events": view.size.records, "added": view.size.added}


_LEAVES = """
SELECT n, id FROM credentials WHERE depth = 2 AND events BETWEEN 3 AND 50
  AND n NOT IN (SELECT parent_n FROM credentials WHERE parent_n IS NOT NULL) ORDER BY hash(id)"""


def trace(case: Case) -> Figures:
    """
    Trace sessions once the case is open; the medians of some that were not asked about before.

    Of each, processor milliseconds and those by the clock: two questions are asked at once.
    """
    places = case._views.open(None).engine.rows(f"{_LEAVES} LIMIT {9 * ASKED}")
    rows = case._views.forest(None).chosen_rows([row["n"] for row in places])
    first, down, arns, events = (
        rows[start::9] for start in range(4)
    )  # in the order of the forest: of all accounts
    others = [row for start in range(4, 9) for row in rows[start::9]]
    accounts = {row["seen_account"] for row in first}
    known = [row for row in others if row["seen_account"] in accounts][:ASKED]
    case._views.close()  # which remembers what it was asked
    case._views.open(None)
    return {  # in this order: each finds what those before it asked about
        "first_ms": _median(case, _ids(first), up=True),  # most of them in accounts not asked about before
        "again_ms": _median(case, _ids(first), up=True),
        "known_ms": _median(case, _ids(known), up=True),
        "down_ms": _median(case, _ids(down), up=False),
        "arn_ms": _median(case, [row["arn"] for row in arns], up=False),
        "event_ms": _median(case, [str(UUID(bytes=row["issue_event"])) for row in events], up=False),
    }


def _ids(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def _median(case: Case, names: list[str], *, up: bool) -> list[float]:
    spent = zip(*(_spent(partial(case.trace, [name], up=up)) for name in names), strict=True)
    return [round(1000 * statistics.median(seconds), 1) for seconds in spent]


def _spent(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of processor time, and by the clock."""
    spent, clock = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - spent, time.perf_counter() - clock


def contain(case: Case) -> Figures:
    """Plan against a session: at first, when who can mint what is worked out for the case, and then another."""
    view = case._views.open(None)
    rows = view.engine.rows(f"{_LEAVES} LIMIT 2")
    (view.derived / "mints.parquet").unlink(missing_ok=True)
    first, again = (_spent(partial(case.contain, [row["id"]])) for row in rows)
    return {"first_s": round(first[0], 1), "again_s": round(again[0], 1)}


def credentials(case: Case) -> Figures:
    """Stream the inventory."""
    return {"credentials": sum(1 for _ in case.credentials())}


def detect(case: Case) -> Figures:
    """Judge all by the catalogue."""
    return {"findings": len(case.detect())}


def guard(case: Case) -> Figures:
    """Judge all, and test guardrails against whatever descends from what findings start from: most of made evidence."""
    found = case.guard()
    return {"guardrails": len(found.guardrails), "attackers": len(found.attackers)}


STEPS: dict[str, Callable[[Case], Figures]] = {
    "link": link, "trace": trace, "contain": contain, "credentials": credentials, "detect": detect, "guard": guard,
    "few": more, "hundredth": more, "more": more,
}  # fmt: skip
FEW = 1_000


def measured(step: str, path: Path) -> Figures:
    """Run one step here, and say what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    with Case.open(path, create=False) as case:
        found = STEPS[step](case)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        **found,
        "cpu": round(time.process_time() - cpu, 2),
        "seconds": round(time.perf_counter() - wall, 2),
        "megabytes": round(peak),
    }


def apart(step: str, path: Path) -> Figures:
    """Run one step in a fresh process, with memory managed as the command has it."""
    command = [sys.executable, __file__, str(path), "--step", step]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=LIBRARY_SETTINGS | os.environ
    )
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", type=Path)
    parser.add_argument("--days", default="1,10")
    parser.add_argument("--folder", type=Path, default=Path("scale"))
    parser.add_argument("--skip", default="", help="steps to leave out")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        print(json.dumps(measured(asked.step, asked.case)))
        return
    with bytecode.kept():
        grow(asked)


def grow(asked: argparse.Namespace) -> None:
    """Run every step on larger and larger cases."""
    for days in map(int, asked.days.split(",")):
        path = asked.folder / f"days{days}"
        made = sum(copies.write(asked.case, path, range(days)))
        print(f"{days} days ({made:,} events made)", flush=True)
        for step in STEPS:
            if step in asked.skip.split(","):
                continue
            if step == "few":
                copies.some(asked.case, path, days, FEW)
            elif step == "hundredth":
                copies.some(asked.case, path, days + 1, made // 100)
            elif step == "more":
                sum(copies.write(asked.case, path, range(days + 2, days + 3)))
            print(f"  {step:12}{json.dumps(apart(step, path))}", flush=True)


if __name__ == "__main__":
    main()
