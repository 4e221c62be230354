"""
What small files cost: the same events in files of the usual size and in files of ten, in turns.

    python bench/small.py [FOLDER] [--events 250000] [--each 10] [--rounds 3] [--cores 2]

Each run is `Case.ingest` in a fresh process, linking included: what its user waits for. Small files are cut out of
the large ones, compressed alike. Both cases must hold the same events, or the run fails. Cases are removed after the
last run only: for minutes after many files were removed, ext4 takes several times as long to make one, as it does not
use the place of a file that was just removed. Without FOLDER evidence is made (bench/evidence.py).
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import bytecode

import evidence

Figures = dict[str, Any]


def cut(each: int, source: Path, target: Path, path: Path) -> int:
    """Cut one file into files of so many events; says how many they are."""
    records = [
        json.dumps(one, separators=(",", ":"))
        for one in json.loads(gzip.decompress(path.read_bytes()))["Records"]
    ]
    stem = target / path.relative_to(source).parent / path.name.removesuffix(".json.gz")
    stem.parent.mkdir(parents=True, exist_ok=True)
    starts = range(0, len(records), each)
    for start in starts:
        text = '{"Records":[' + ",".join(records[start : start + each]) + "]}"
        Path(f"{stem}-{start:06}.json.gz").write_bytes(gzip.compress(text.encode(), 6, mtime=0))
    return len(starts)


def write(source: Path, target: Path, each: int) -> int:
    """Cut all files of a folder; says how many there are then."""
    with ProcessPoolExecutor() as pool:
        return sum(pool.map(partial(cut, each, source, target), sorted(source.rglob("*.json.gz"))))


def ingested(folder: Path, target: Path, cores: int) -> Figures:
    """Evidence into a linked case, and what that took."""
    from tokentrail import Case

    with Case.open(target) as case:
        started = time.perf_counter()
        case.ingest([str(folder)], workers=cores)
        seconds = time.perf_counter() - started
        spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        status = case.status()
        return {
            "seconds": seconds,
            "user": sum(one.ru_utime for one in spent),
            "system": sum(one.ru_stime for one in spent),
            "records": status.records,
            "credentials": status.credentials,
        }


def apart(folder: Path, target: Path, cores: int) -> Figures:
    """The same in a fresh process."""
    command = [sys.executable, __file__, str(folder), "--cores", str(cores), "--one", str(target)]
    found: Figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return found


def main() -> None:
    parser = evidence.options(__doc__, events=250_000)
    parser.add_argument("--each", type=int, default=10, help="events of a small file")
    parser.add_argument("--small", type=Path, help="the same evidence in small files, if it is there already")
    parser.add_argument("--into", type=Path, help="where the cases are made")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(ingested(asked.folder, asked.one, asked.cores)))
        return
    with bytecode.kept(), tempfile.TemporaryDirectory(dir=asked.into) as parent:
        large, small = asked.folder or Path(parent) / "large", asked.small or Path(parent) / "small"
        if asked.folder is None:
            evidence.write(large, asked.events)
        if asked.small is None:
            print(f"{write(large, small, asked.each):,} small files", file=sys.stderr)
        ratios: list[tuple[float, float]] = []
        for number in range(asked.rounds):
            cases = (Path(parent) / f"{kind}{number}" for kind in ("case-large", "case-small"))
            whole, parts = (
                apart(source, case, asked.cores) for source, case in zip((large, small), cases, strict=True)
            )
            if any(whole[one] != parts[one] for one in ("records", "credentials")):
                raise SystemExit(f"the two cases differ: {whole}, {parts}")
            cpu = [one["user"] + one["system"] for one in (whole, parts)]
            ratios.append((parts["seconds"] / whole["seconds"], cpu[1] / cpu[0]))
            print(
                f"round {number + 1}: {whole['records']:,} events; large files {whole['seconds']:.1f} s, {cpu[0]:.1f} "
                f"of processor time ({whole['system']:.1f} the system's); small {parts['seconds']:.1f} s, "
                f"{cpu[1]:.1f} ({parts['system']:.1f})",
                flush=True,
            )
    wall, spent = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"small files take {wall:.2f} times as long (asked: at most 2); processor time {spent:.2f}")


if __name__ == "__main__":
    main()
