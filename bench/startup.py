"""
What a command costs from its start to its answer on a small case: processor time, beside loading its libraries alone.

    python bench/startup.py [--rounds 9] [--case DIR --subject ID]

Each contestant is a fresh process that finds its modules compiled; they take turns. The floor imports DuckDB and
PyArrow and ends. A ratio is the median over the rounds of each round's own ratio to the floor. Output goes to a pipe.
Without --case the demo's case is made: 3,029 events, 80 credentials, and the leaked key as the subject.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

import bytecode

_FLOOR = "floor"
_ENTRY = "from tokentrail.cli.root import main; main()"
_ASKED = {"--help": 0.2, "status": 0.45, "trace": 0.45, "contain": 0.45}
"""Seconds of processor time at most, on a machine that does nothing else."""


def processor_seconds(arguments: list[str]) -> float:
    """Run Python with some arguments, its output to a pipe; its processor time."""
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):  # 1: a plan that is not proven
        raise SystemExit(f"{arguments} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def demo(case: str) -> str:
    """Make the demo's case; the leaked key."""
    command = [sys.executable, "-c", _ENTRY, "demo", "--case", case, "--format", "json"]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    leaked: str = told["credentials"]["A"]
    return leaked


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--case")
    parser.add_argument("--subject")
    given = parser.parse_args()
    if (given.case is None) != (given.subject is None):
        parser.error("--case and --subject go together")
    with bytecode.kept("tokentrail.cli.root"), tempfile.TemporaryDirectory() as folder:
        case = given.case or f"{folder}/case"
        subject = given.subject or demo(case)
        contestants = {
            _FLOOR: ["-c", "import duckdb, pyarrow"],
            "--help": ["-c", _ENTRY, "--help"],
            "status": ["-c", _ENTRY, "status", "--case", case],
            "trace": ["-c", _ENTRY, "trace", "--case", case, subject],
            "contain": ["-c", _ENTRY, "contain", "--case", case, subject],
        }
        for arguments in contestants.values():  # compiles modules, and links the case
            processor_seconds(arguments)
        rounds = [
            {name: processor_seconds(arguments) for name, arguments in contestants.items()}
            for _ in range(given.rounds)
        ]
    for name in contestants:
        seconds = statistics.median(one[name] for one in rounds)
        ratio = statistics.median(one[name] / one[_FLOOR] for one in rounds)
        asked = f" (asked: at most {_ASKED[name]:g} s)" if name in _ASKED else ""
        print(f"{name:8} {seconds:.3f} s of processor time, {ratio:.2f} times the floor{asked}")


if __name__ == "__main__":
    main()
