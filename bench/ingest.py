"""
How fast evidence becomes a case, as ratios from one run.

    python bench/ingest.py [FOLDER] [--events 1000000] [--rounds 3] [--cores 2]

Contestants take turns, each time in a fresh process, so that a machine that grows slower grows slower for all;
ratios are medians over the rounds, each of them from one round. Without FOLDER evidence is made (bench/evidence.py).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import bytecode
from contestants import Result

import evidence
from tokentrail.cli.memory import LIBRARY_SETTINGS

HERE = Path(__file__).parent
Run = tuple[str, int]
Rounds = list[dict[Run, Result]]


def one_round(runs: list[Run], folder: Path, scratch: Path) -> dict[Run, Result]:
    """Let each contestant run once, with memory managed as the command has it; what it writes stays in `scratch`."""
    found: dict[Run, Result] = {}
    for name, cores in runs:
        print(f"  {name} on {cores}...", file=sys.stderr)
        command = [sys.executable, str(HERE / "contestants.py"), name, str(folder), str(cores)]
        env = LIBRARY_SETTINGS | os.environ | {"BENCH_SCRATCH": str(scratch)}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env)
        found[name, cores] = json.loads(done.stdout.splitlines()[-1])
    return found


def rate(result: Result, what: str = "seconds") -> float:
    """Events a second."""
    return result["events"] / result[what]


def ratio(rounds: Rounds, over: Run, under: Run, what: str = "seconds") -> float:
    """How many times as fast `over` is as `under`: the median of each round's own ratio."""
    return statistics.median(rate(one[over]) / rate(one[under], what) for one in rounds)


def cpu_ratio(rounds: Rounds, over: Run, under: Run) -> float:
    """The same in processor time, which other programs on the machine disturb far less."""
    return statistics.median(rate(one[over], "cpu") / rate(one[under], "cpu") for one in rounds)


def rows(rounds: Rounds, runs: list[Run], cores: int) -> Iterator[tuple[str, ...]]:
    """The table, a row a contestant."""
    yield (
        "contestant",
        "cores",
        "events/s",
        "floor is faster by",
        "in CPU time",
        "megabytes a process",
        "bytes of columns an event",
    )
    for name, count in runs:
        results = [one[name, count] for one in rounds]
        if "events" not in results[0]:
            yield (
                name,
                str(count),
                "not installed: pip install trailscraper, or set TRAILSCRAPER",
                "",
                "",
                "",
                "",
            )
            continue
        under: Run = ("floor", count)
        yield (
            name,
            str(count),
            f"{statistics.median(map(rate, results)):,.0f}",
            f"{ratio(rounds, under, (name, count)):.2f}",
            f"{cpu_ratio(rounds, under, (name, count)):.2f}",
            f"{max(one['megabytes'] for one in results):.0f}",
            f"{results[0]['column_bytes']:.1f}" if "column_bytes" in results[0] else "",
        )
        if "linked" in results[0]:
            linked = statistics.median(rate(one, "linked") for one in results)
            yield (
                "case, linked",
                str(count),
                f"{linked:,.0f}",
                f"{ratio(rounds, under, (name, count), 'linked'):.2f}",
                "",
                "",
                "",
            )


def facts(rounds: Rounds, cores: int) -> Iterator[tuple[str, float, str]]:
    """What issue 2 asks of the speed, and what was measured."""
    case, floor = ("case", cores), ("floor", cores)
    yield "gzip to committed case, times the floor", ratio(rounds, floor, case), "at most 1.6"
    yield "the same in CPU time", cpu_ratio(rounds, floor, case), ""
    yield "with linking, times the floor", ratio(rounds, floor, case, "linked"), "at most 2.5"
    yield "times DuckDB's read_json", ratio(rounds, case, ("duckdb", cores)), "at least 1.5"
    if "events" in rounds[0]["trailscraper", 1]:
        yield "times trailscraper select", ratio(rounds, case, ("trailscraper", 1)), "at least 15"
    yield f"{cores}-core scaling of ingest", ratio(rounds, case, ("case", 1)), "at least 1.8 on 2"
    yield f"{cores}-core scaling of the kernel", ratio(rounds, ("kernel", cores), ("kernel", 1)), ""
    yield f"{cores}-core scaling of the floor", ratio(rounds, floor, ("floor", 1)), ""
    yield "megabytes a worker", max(one[case]["megabytes"] for one in rounds), "at most 250"
    yield "bytes of columns an event", rounds[0][case]["column_bytes"], "at most 45"


def show(rounds: Rounds, runs: list[Run], cores: int) -> None:
    """Print the table and the facts."""
    table = list(rows(rounds, runs, cores))
    widths = [max(len(row[n]) for row in table) for n in range(len(table[0]))]
    for row in table:
        print(
            "  ".join(
                cell.ljust(width) if n == 0 else cell.rjust(width)
                for n, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )
    print()
    for what, value, wanted in facts(rounds, cores):
        print(f"{what:42}{value:8.2f}   {wanted}")


def main() -> None:
    asked = evidence.options(__doc__).parse_args()
    runs = [(name, cores) for name in ("floor", "kernel", "case") for cores in (1, asked.cores)]
    runs += [("python", asked.cores), ("duckdb", asked.cores), ("trailscraper", 1)]
    with tempfile.TemporaryDirectory() as parent:
        folder, scratch = asked.folder or Path(parent) / "logs", Path(parent) / "written"
        scratch.mkdir()
        if asked.folder is None:
            print(f"{evidence.write(folder, asked.events):,} events made", file=sys.stderr)
        with bytecode.kept():
            rounds = [one_round(runs, folder, scratch) for _ in range(asked.rounds)]
    show(rounds, runs, asked.cores)


if __name__ == "__main__":
    main()
