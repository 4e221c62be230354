"""
How fast each carrier becomes columns, as ratios to CloudTrail's own files from one run.

    python bench/carriers.py [--events 20000] [--rounds 5]

The same records, in the shape of each carrier (`tokentrail.testing.carriers`), gzipped as they come, go through the
kernel to Arrow tables in one process, without the collector, as an ingest does it. Carriers take turns; a ratio is
the median over the rounds of each round's own ratio, in processor time.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import statistics
import time
from datetime import UTC, datetime

from tokentrail.events.kernel import Segment
from tokentrail.testing import carriers
from tokentrail.testing.company import Company
from tokentrail.testing.world import World

EXEMPT = ("athena", "lake", "splunk-table", "splunk-raw-csv", "elastic-text")
"""CSV and Java's `toString()`: nobody asks for speed there."""
ASKED = 1 / 6


def records(count: int, seed: int = 0) -> list[dict[str, object]]:
    """Ordinary days of a company, as many as are needed."""
    found: list[dict[str, object]] = []
    while len(found) < count:
        start = datetime(2026, 11, 1, tzinfo=UTC)
        world = World(start, seed)
        Company(world, start, datetime(2026, 11, 1, 12, tzinfo=UTC), seed).works()
        found += world.records()
        seed += 1
    return found[:count]


def cost(data: bytes) -> tuple[float, int]:
    """Processor seconds for reading one object, and its records."""
    started = time.process_time()
    segment = Segment(7)
    summary = segment.add(data)
    segment.tables()
    return time.process_time() - started, summary.records


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="carriers whose names begin so")
    asked = parser.parse_args()
    gc.disable()
    rounds: list[dict[str, float]] = []
    packed: dict[str, bytes] = {}
    for number in range(asked.rounds + 1):
        made = records(asked.events, 1_000 * number)  # others each time: readers remember who acted
        packed = {
            name: written if name.startswith("ocsf-parquet") else gzip.compress(written, 6)
            for name, write in carriers.WRITERS.items()
            if name == "cloudtrail" or not asked.only or name.startswith(asked.only)
            for written in [write(made)]
        }
        gc.collect()
        found = {}
        for name, data in packed.items():
            seconds, count = cost(data)
            found[name] = count / seconds
            gc.collect()
        if number:  # the first one warms up
            rounds.append(found)
    print(f"{'carrier':24}{'events/s':>10}{'to native':>11}   asked")
    for name in packed:
        ratio = statistics.median(one[name] / one["cloudtrail"] for one in rounds)
        rate = statistics.median(one[name] for one in rounds)
        asked_for = (
            ""
            if name in (*EXEMPT, "cloudtrail")
            else f"at least {ASKED:.2f}{'' if ratio >= ASKED else '  MISSED'}"
        )
        print(f"{name:24}{rate:>10,.0f}{ratio:>11.2f}   {asked_for}")


if __name__ == "__main__":
    main()
