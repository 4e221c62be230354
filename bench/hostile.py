"""
What hostile evidence costs: peak memory and seconds of each verb over bombs, huge records, deep chains and the like.

    python bench/hostile.py [CASE ...] [--into FOLDER] [--limit 4096] [--seconds 600]

Each verb is a fresh process at default options; its memory is that of all its processes together, as the system counts
what they do not share (PSS). What takes more than `--limit` MB or `--seconds` is ended, and the table says so. A verb
that refuses ends with words on stderr, whose first line the table shows.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ACCOUNT, KEY = "111122223333", "AKIAIOSFODNN7EXAMPLE"
START = 1_795_424_400
_MB = 1 << 20
_EVERY = 0.05
_TROUBLE = 70
"""What TokenTrail ends with where it met what nobody had foreseen."""
Record = dict[str, Any]


# ---------------------------------------------------------------- records


def at(second: int) -> str:
    """A time of CloudTrail's, some seconds after the start."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START + second))


def user(name: str = "app") -> Record:
    """The leaked key's owner."""
    return {
        "type": "IAMUser", "principalId": f"AIDA{name.upper():A<17}", "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
        "accountId": ACCOUNT, "accessKeyId": KEY, "userName": name,
    }  # fmt: skip


def session(number: int, role: str, began: int) -> Record:
    """A session of a role, by its number."""
    return {
        "type": "AssumedRole", "principalId": f"{unique(role)}:s{number}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/s{number}", "accountId": ACCOUNT,
        "accessKeyId": key(number),
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "principalId": unique(role), "userName": role, "accountId": ACCOUNT,
                              "arn": f"arn:aws:iam::{ACCOUNT}:role/{role}"},
            "attributes": {"creationDate": at(began), "mfaAuthenticated": "false"},
        },
    }  # fmt: skip


def unique(role: str) -> str:
    """A role's unique id."""
    return f"AROA{role.upper():A<17}"[:21]


def key(number: int) -> str:
    """The key id of a session."""
    digits = ""
    for _ in range(16):
        number, digit = divmod(number, 32)
        digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[digit] + digits
    return f"ASIA{digits}"


def call(number: int, who: Record, name: str, source: str = "s3", **members: Any) -> Record:
    """A record of a call."""
    return {
        "eventVersion": "1.11", "userIdentity": who, "eventTime": at(number % 80_000),
        "eventSource": f"{source}.amazonaws.com",
        "eventName": name, "awsRegion": "us-east-1", "sourceIPAddress": "192.0.2.10", "userAgent": "aws-cli/2.31.4",
        "requestParameters": None, "responseElements": None, "requestID": f"r{number}",
        "eventID": f"00000000-0000-4000-8000-{number:012x}", "readOnly": name.startswith(("Get", "List")),
        "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        **members,
    }  # fmt: skip


def assumed(number: int, who: Record, child: int, role: str, began: int) -> Record:
    """A record by which a session is issued."""
    arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
    return call(
        number, who, "AssumeRole", "sts", eventTime=at(began), readOnly=True,
        requestParameters={"roleArn": arn, "roleSessionName": f"s{child}"},
        responseElements={
            "credentials": {"accessKeyId": key(child), "sessionToken": "x", "expiration": at(began + 43_200)},
            "assumedRoleUser": {"assumedRoleId": f"{unique(role)}:s{child}",
                                "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/s{child}"},
        },
    )  # fmt: skip


def first() -> list[Record]:
    """Something sound beside what is hostile, so that each verb has a subject."""
    return [assumed(0, user(), 0, "Deploy", 0), call(1, session(0, "Deploy", 0), "ListBuckets")]


def wrapped(records: Iterator[Record] | list[Record]) -> Iterator[bytes]:
    """Records as a native log file, piece by piece."""
    yield b'{"Records":['
    for number, one in enumerate(records):
        yield (b"," if number else b"") + json.dumps(one, separators=(",", ":")).encode()
    yield b"]}"


def log(folder: Path, records: Iterator[Record] | list[Record], name: str = "log.json.gz") -> None:
    """Write a native log file."""
    with gzip.open(folder / name, "wb", 1) as file:
        for piece in wrapped(records):
            file.write(piece)


# ---------------------------------------------------------------- what is hostile


def gzip_bomb(folder: Path) -> None:
    """Four gigabytes of spaces in 4 MB."""
    with gzip.open(folder / "bomb.json.gz", "wb", 6) as file:
        for _ in range(4096):
            file.write(b" " * _MB)


def gzip_of_records(folder: Path) -> None:
    """460 MB of sound records, as much as one object may expand to by default, in some MB: each is read."""
    one = json.dumps(call(2, user(), "GetObject", requestParameters={"key": "k" * 1_000})).encode()
    with gzip.open(folder / "bomb.json.gz", "wb", 6) as file:
        file.write(b'{"Records":[' + one)
        block = b"," + b",".join([one] * 1_000)
        for _ in range(int(4.6e8) // len(block)):
            file.write(block)
        file.write(b"]}")


def gzip_in_gzip(folder: Path) -> None:
    """The bomb packed five times over."""
    gzip_bomb(folder)
    data = (folder / "bomb.json.gz").read_bytes()
    for _ in range(5):
        data = gzip.compress(data, 6)
    (folder / "bomb.json.gz").write_bytes(data)


def zip_bomb(folder: Path) -> None:
    """A zip of ten zips of ten members of a gigabyte each."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("0.json", "w", force_zip64=True) as member:
            for _ in range(1024):
                member.write(b" " * _MB)
        for number in range(1, 10):
            file.writestr(f"{number}.json", b" " * 64 * _MB)
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as outer:
        for number in range(10):
            outer.writestr(f"{number}.zip", inner.getvalue())


def zstd_bomb(folder: Path) -> None:
    """Four gigabytes of spaces in less than a megabyte."""
    import pyarrow as pa

    with pa.CompressedOutputStream(str(folder / "bomb.json.zst"), "zstd") as file:
        for _ in range(4096):
            file.write(b" " * _MB)


def record_of_200_mb(folder: Path) -> None:
    """One record whose request has a text of 200 MB."""
    log(folder, [*first(), call(2, user(), "PutObject", requestParameters={"key": "k" * (200 * _MB)})])


def document_of_100_mb(folder: Path) -> None:
    """One policy document of a million statements."""
    statement = {
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::some-bucket/some/path/*",
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement] * 1_000_000})
    written = {"userName": "app", "policyName": "p", "policyDocument": text}
    log(folder, [*first(), call(2, user(), "PutUserPolicy", "iam", requestParameters=written)])


def policies(folder: Path) -> None:
    """100,000 inline policies written to one user."""
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*",
                 "Condition": {"DateLessThan": {"aws:TokenIssueTime": at(0)}}}  # fmt: skip
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    log(folder, iter([*first(), *(
        call(n, user(), "PutUserPolicy", "iam",
             requestParameters={"userName": "app", "policyName": f"p{n}", "policyDocument": text})
        for n in range(2, 100_002))]))  # fmt: skip


def resources(folder: Path) -> None:
    """A record of 20,000 resources, a thousand times."""
    listed = [
        {"accountId": ACCOUNT, "type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::b/{n}"} for n in range(20_000)
    ]
    log(folder, iter([*first(), *(call(n, user(), "GetObject", resources=listed) for n in range(2, 102))]))


def key_ids(folder: Path) -> None:
    """A console session that shows 20,000 key ids."""

    def shown(n: int) -> Record:
        who = session(0, "Deploy", 0) | {"accessKeyId": key(n)}
        who["sessionContext"]["attributes"]["mfaAuthenticated"] = "true"
        return call(n, who, "ListBuckets", sessionCredentialFromConsole="true")

    log(folder, iter([*first(), *(shown(n) for n in range(2, 20_002))]))


def deep_chain(folder: Path) -> None:
    """Sessions of two roles that issue one another, 100,000 deep."""

    def chain() -> Iterator[Record]:
        yield from first()
        for n in range(1, 100_001):
            yield assumed(n + 1, session(n - 1, "Deploy" if n == 1 else f"R{n % 2}", max(0, n - 1) % 40_000), n,
                          f"R{(n + 1) % 2}", n % 40_000)  # fmt: skip

    log(folder, chain())


def role_cycles(folder: Path) -> None:
    """Two hundred roles, each of which takes up the next ones in a ring, all over the day."""

    def ring() -> Iterator[Record]:
        yield from first()
        for n in range(20_000):
            who = session(n, f"R{(n - 1) % 200}" if n else "Deploy", max(0, n - 1))
            yield assumed(n + 2, who, n + 1, f"R{n % 200}", n)

    log(folder, ring())


def tiny_files(folder: Path) -> None:
    """100,000 files of one record."""
    for n in range(100_000):
        if n % 1_000 == 0:
            (folder / f"{n // 1_000:03}").mkdir()
        text = b"".join(wrapped([call(n + 2, user(), "ListBuckets")]))
        (folder / f"{n // 1_000:03}" / f"{n}.json").write_bytes(text)
    log(folder, first())


CASES: dict[str, Callable[[Path], None]] = {
    one.__name__: one
    for one in (
        gzip_bomb, gzip_of_records, gzip_in_gzip, zip_bomb, zstd_bomb, record_of_200_mb, document_of_100_mb, policies,
        resources, key_ids, deep_chain, role_cycles, tiny_files,
    )
}  # fmt: skip


# ---------------------------------------------------------------- measuring


@dataclass(frozen=True, slots=True)
class Run:
    """What one command cost."""

    seconds: float
    peak: float
    """MB."""
    code: int
    said: str
    """The first line of stderr, of one that failed."""


def family(pid: int) -> Iterator[int]:
    """A process and all that it started."""
    yield pid
    with suppress(OSError, ValueError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def memory(pid: int) -> float:
    """MB that a process and all that it started take, what they share counted once."""
    total = 0
    for one in family(pid):
        with suppress(OSError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def measured(command: list[str], limit: float, seconds: float) -> Run:
    """Run a command, and end it where it takes too much."""
    started, peak, why = time.perf_counter(), 0.0, ""
    with tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=err, stdin=subprocess.DEVNULL, start_new_session=True
        )
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            spent = time.perf_counter() - started
            if peak > limit or spent > seconds:
                why = f"ended at {peak:,.0f} MB and {spent:.0f} s"
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            time.sleep(_EVERY)
        err.seek(0)
        told = err.read().decode(errors="replace").strip().splitlines()
    failed = process.returncode not in (0, 1)
    line = next((one for one in told if "error" in one.lower() or "can't" in one), told[-1] if told else "")
    return Run(time.perf_counter() - started, peak, process.returncode, why or (line[:160] if failed else ""))


def verbs(evidence: Path, case: Path, page: Path) -> dict[str, list[str]]:
    """The commands that are measured, in order."""
    at_case = ["--case", str(case)]
    return {
        "ingest": ["ingest", str(evidence), *at_case],
        "trace": ["trace", KEY, *at_case],
        "detect": ["detect", *at_case],
        "contain": ["contain", KEY, *at_case],
        "report": ["report", KEY, "-o", str(page), *at_case],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all by default")
    parser.add_argument("--into", type=Path, help="where evidence and cases are made")
    parser.add_argument("--limit", type=float, default=4096, help="MB")
    parser.add_argument("--seconds", type=float, default=600)
    asked = parser.parse_args()
    command = [sys.executable, "-m", "tokentrail"]
    print("| evidence | " + " | ".join(verbs(Path(), Path(), Path())) + " |")
    print("| --- | " + "--- | " * len(verbs(Path(), Path(), Path())))
    with tempfile.TemporaryDirectory(dir=asked.into) as parent:
        for name in asked.cases or CASES:
            folder = Path(parent) / name
            (folder / "logs").mkdir(parents=True)
            CASES[name](folder / "logs")
            if not (folder / "logs" / "log.json.gz").exists():
                log(folder / "logs", first())
            cells, said = [], []
            for verb, words in verbs(folder / "logs", folder / "case", folder / "page.html").items():
                run = measured([*command, *words], asked.limit, asked.seconds)
                cells.append(
                    f"{run.peak:,.0f} MB, {run.seconds:.1f} s"
                    + (f" ({run.code})" if run.code not in (0, 1) else "")
                )
                said += [f"{name} {verb}: {run.said}"] if run.said else []
                if run.code == _TROUBLE:
                    said.append(f"{name} {verb}: ended with {_TROUBLE}")
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
            for line in said:
                print(line, file=sys.stderr, flush=True)
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
