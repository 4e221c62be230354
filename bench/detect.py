"""
How long judging takes beside ingesting, in one run.

    python bench/detect.py [FOLDER] [--events 1000000] [--rounds 3] [--rules bench/sigma]

Judges by the whole catalogue and the Sigma rules of bench/sigma together. Ingesting and judging take turns, each in
a fresh process, so that a machine that grows slower grows slower for both; ratios are medians of each round's own.
Without FOLDER evidence is made (bench/evidence.py), and so is four times of it, which is ingested and judged once: the
last line says how much more memory judging four times as much took.
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
import tempfile
import time
from pathlib import Path

import bytecode

import evidence

HERE = Path(__file__).parent
Result = dict[str, float]
_LARGER = 4
"""How many times as many events show how memory grows."""


def ingest(folder: Path, case: Path, rules: Path) -> Result:
    from tokentrail import Case

    started = time.perf_counter()
    with Case.open(case) as opened:
        done = opened.ingest([str(folder)])
    return {"seconds": time.perf_counter() - started, "events": done.records.read}


def judge(folder: Path, case: Path, rules: Path) -> Result:
    from tokentrail.cli.memory import LIBRARY_SETTINGS, environment_defaults, keep_few_arenas

    keep_few_arenas()  # as the command does
    with environment_defaults(LIBRARY_SETTINGS):
        from tokentrail import Case

    started = time.perf_counter()
    from tokentrail.detection.sigma.reading import read_rules  # loading pySigma counts

    sigma = read_rules([rules])
    if sigma.unusable:
        raise SystemExit(f"rules that can't be run: {sigma.unusable}")
    with Case.open(case, create=False) as opened:
        found = opened.detect(sigma=sigma)
    return {
        "seconds": time.perf_counter() - started,
        "findings": len(found),
        "rules": len(sigma.simple) + len(sigma.correlations),
        "of_sigma": len({one.rule for one in found if one.rule.startswith("sigma:")}),
    }


def apart(what: str, folder: Path, case: Path, rules: Path) -> Result:
    """Do one thing in a process of its own."""
    command = [
        sys.executable,
        __file__,
        "--do",
        what,
        str(folder),
        "--case",
        str(case),
        "--rules",
        str(rules),
    ]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: Result = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(folder: Path, rules: Path, rounds: int) -> tuple[list[Result], list[Result]]:
    """Ingest and judge in turn."""
    ingested, judged = [], []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="tokentrail-bench-") as scratch:
            case = Path(scratch) / "case"
            print(f"  round {number + 1}: ingest...", file=sys.stderr)
            ingested.append(apart("ingest", folder, case, rules))
            print(f"  round {number + 1}: judge...", file=sys.stderr)
            judged.append(apart("judge", folder, case, rules))
    return ingested, judged


def report(ingested: list[Result], judged: list[Result]) -> None:
    events = ingested[0]["events"]
    ratio, of_processor = (
        statistics.median(b[what] / a[what] for a, b in zip(ingested, judged, strict=True))
        for what in ("seconds", "cpu")
    )
    for name, results in (("ingest", ingested), ("judge", judged)):
        seconds = statistics.median(one["seconds"] for one in results)
        memory = max(one["megabytes"] for one in results)
        cpu = statistics.median(one["cpu"] for one in results)
        print(
            f"{name:8} {events:>10,.0f} events  {seconds:6.2f} s  {events / seconds:>10,.0f} events/s  "
            f"{cpu:6.2f} s of processor  {memory:5.0f} MB at most in a process"
        )
    told = judged[0]
    print(
        f"judging takes {ratio:.2f} x as long as ingesting, and {of_processor:.2f} x the processor time; "
        f"the catalogue and {told['rules']:.0f} Sigma rules gave "
        f"{told['findings']:.0f} findings, {told['of_sigma']:.0f} of the Sigma rules among them"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rules", type=Path, default=HERE / "sigma")
    parser.add_argument("--do", choices=("ingest", "judge"), help=argparse.SUPPRESS)
    parser.add_argument("--case", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.do:
        found = (ingest if asked.do == "ingest" else judge)(asked.folder, asked.case, asked.rules)
        own, below = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        found["cpu"] = own.ru_utime + own.ru_stime + below.ru_utime + below.ru_stime
        found["megabytes"] = max(own.ru_maxrss, below.ru_maxrss) / (
            1024 if sys.platform != "darwin" else 1 << 20
        )
        print(json.dumps(found))
        return
    print(f"{os.cpu_count()} cores")
    with bytecode.kept("tokentrail.detection.sigma.matching", "tokentrail.detection.sigma.reading"):
        if asked.folder:
            report(*measured(asked.folder, asked.rules, asked.rounds))
        else:
            grow(asked)


def grow(asked: argparse.Namespace) -> None:
    """Measure with made evidence, and with several times as much of it."""
    peaks = []
    for times, rounds in ((1, asked.rounds), (_LARGER, 1)):
        with tempfile.TemporaryDirectory(prefix="tokentrail-bench-") as scratch:
            folder = Path(scratch) / "logs"
            evidence.write(folder, asked.events * times)
            ingested, judged = measured(folder, asked.rules, rounds)
            report(ingested, judged)
            peaks.append(max(one["megabytes"] for one in judged))
            shutil.rmtree(folder)
    print(
        f"memory of judging: {peaks[0]:.0f} MB, and {peaks[1]:.0f} MB for {_LARGER} times as many events: "
        f"{peaks[1] / peaks[0]:.2f} x"
    )


if __name__ == "__main__":
    main()
