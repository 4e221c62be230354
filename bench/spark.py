"""
Spark on this machine against this machine alone: the same evidence into a linked case, in turns.

    python bench/spark.py [FOLDER] [--events 1000000] [--rounds 3] [--cores 2]

Both run in one process that stays: what it costs to start Spark is told apart, and before the first round both read
a tenth of the evidence, so that the JVM and its Python processes are warm. Processor time is that of all processes,
the JVM included. Both link in this process.
Without FOLDER evidence is made (bench/evidence.py). Needs the extra `spark`, and Java.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import bytecode

import evidence
from tokentrail import Case
from tokentrail.spark import Cluster

Spent = tuple[float, float]
"""Seconds by the clock, and of processor time."""
_TICK = os.sysconf("SC_CLK_TCK")


def processor() -> float:
    """Processor seconds of this process and all that descend from it, those that ended included."""
    found, children = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            found[int(entry.name)] = sum(map(int, fields[11:15])) / _TICK
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    ours = [os.getpid()]
    for one in ours:
        ours += children.get(one, [])
    return sum(found.get(one, 0) for one in ours)


def spent(work: Callable[[], object]) -> Spent:
    """What some work takes."""
    wall, cpu = time.perf_counter(), processor()
    work()
    return time.perf_counter() - wall, processor() - cpu


def into_a_case(sources: list[str], cluster: Cluster | None, cores: int) -> tuple[int, Spent]:
    """Evidence into a new case that is linked; answers its events, and what that took."""
    with tempfile.TemporaryDirectory() as folder, Case.open(Path(folder) / "case") as case:
        took = spent(partial(case.ingest, sources, engine=cluster, workers=cores))
        return case.status().records, took


def main() -> None:
    parser = evidence.options(__doc__)
    asked = parser.parse_args()
    with bytecode.kept(), tempfile.TemporaryDirectory() as parent:
        folder = asked.folder or Path(parent)
        if asked.folder is None:
            print(f"{evidence.write(folder, asked.events):,} events made", file=sys.stderr)
        files = sorted(str(one) for one in folder.rglob("*.json.gz"))
        begun = time.perf_counter()
        cluster = Cluster.start(f"local[{asked.cores}]")
        print(f"start-up of Spark: {time.perf_counter() - begun:.1f} s")
        for engine in (None, cluster):
            into_a_case(files[: len(files) // 10], engine, asked.cores)
        ratios: list[Spent] = []
        for number in range(asked.rounds):
            events, local = into_a_case(files, None, asked.cores)
            _, spark = into_a_case(files, cluster, asked.cores)
            ratios.append((local[0] / spark[0], local[1] / spark[1]))
            print(
                f"round {number + 1}: {events:,} events; alone {local[0]:.1f} s, {local[1]:.1f} of processor time; "
                f"Spark {spark[0]:.1f} s, {spark[1]:.1f}",
                flush=True,
            )
        cluster.stop()
    wall, cpu = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(
        f"Spark's speed, in times of this machine alone: {wall:.2f} (asked: 0.75); in processor time {cpu:.2f}"
    )


if __name__ == "__main__":
    main()
