"""
What is measured against what; each contestant runs in a process of its own and tells seconds, events and more.

    python bench/contestants.py NAME FOLDER CORES

`floor` is the least that any reader in Python must do: gunzip and decode just the fields that the columns hold,
then throw them away. Everything else here does more, and is worth what it does more.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec

TASK_BYTES = 6 << 20
Result = dict[str, float]


@contextmanager
def scratch() -> Iterator[Path]:
    """
    A folder to write to; it stays where `BENCH_SCRATCH` names one.

    For minutes ext4 takes no inode again that was deleted, and looks through all of these whenever a file is made: a
    millisecond for each, once a few cases were removed.
    """
    kept = os.environ.get("BENCH_SCRATCH")
    if kept:
        yield Path(tempfile.mkdtemp(dir=kept))
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def tasks(folder: Path) -> list[list[str]]:
    """The evidence in tasks of a few megabytes, as `tokentrail ingest` cuts it."""
    found: list[list[str]] = [[]]
    size = 0
    for path in sorted(folder.rglob("*.json.gz")):
        found[-1].append(str(path))
        size += path.stat().st_size
        if size >= TASK_BYTES:
            found.append([])
            size = 0
    return [task for task in found if task]


# ---------------------------------------------------------------- the floor


@cache
def _floor_decoder() -> Callable[[bytes], Any]:
    """A decoder of all that the columns hold of an event, requests and answers left raw."""
    from tokentrail.events.identity import Identity
    from tokentrail.events.record import Record

    fields: list[tuple[str, Any, Any]] = []
    for one in msgspec.structs.fields(Record):
        if one.name == "userIdentity":
            fields.append((one.name, Identity | None, None))
        else:
            fields.append((one.name, one.type, one.default))
    record = msgspec.defstruct("FloorRecord", fields, gc=False)
    file = msgspec.defstruct("FloorFile", [("Records", list[record])], gc=False)  # type: ignore[valid-type]
    return msgspec.json.Decoder(file).decode


def _read_floor(paths: Sequence[str]) -> int:
    from isal import isal_zlib

    decode = _floor_decoder()
    return sum(len(decode(isal_zlib.decompress(Path(path).read_bytes(), 31)).Records) for path in paths)


# ---------------------------------------------------------------- the kernel alone


def _read_kernel(paths: Sequence[str], compiled: bool = True) -> int:
    from tokentrail.events.kernel import Segment
    from tokentrail.store.segment import write_segment

    segment = Segment(int.from_bytes(os.urandom(7), "big"), compiled=compiled)
    events = sum(segment.add(Path(path).read_bytes()).records for path in paths)
    with scratch() as folder:
        write_segment(segment.tables(), folder / "segment")
    return events


# ---------------------------------------------------------------- processes


def _start() -> None:
    gc.disable()
    import tokentrail.events.kernel
    import tokentrail.store.segment  # noqa: F401 - a process that has just started would pay for it in its first task


Reader = Callable[[Sequence[str]], int]


def _timed(read: Reader, paths: Sequence[str]) -> tuple[int, float]:
    """Events read, and seconds of processor time that they took."""
    started = time.process_time()
    return read(paths), time.process_time() - started


def _in_processes(read: Reader, folder: Path, cores: int) -> Result:
    """Read all tasks; processes are started and warm before the clock runs."""
    work = tasks(folder)
    if cores == 1:
        _start()
        read(work[0][:3])
        started = time.perf_counter()
        done = [_timed(read, task) for task in work]
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "events": sum(one for one, _ in done), "cpu": sum(cpu for _, cpu in done)}
    with get_context("spawn").Pool(cores, _start) as pool:
        pool.map(read, [work[0][:3]] * cores * 2, chunksize=1)
        started = time.perf_counter()
        done = list(pool.imap_unordered(partial(_timed, read), work))
        seconds = time.perf_counter() - started
        pool.close()
        pool.join()
    return {"seconds": seconds, "events": sum(one for one, _ in done), "cpu": sum(cpu for _, cpu in done)}


def floor(folder: Path, cores: int) -> Result:
    return _in_processes(_read_floor, folder, cores)


def kernel(folder: Path, cores: int) -> Result:
    return _in_processes(_read_kernel, folder, cores)


def python(folder: Path, cores: int) -> Result:
    """The kernel as it is where no compiler was there."""
    return _in_processes(partial(_read_kernel, compiled=False), folder, cores)


# ---------------------------------------------------------------- the whole way


def case(folder: Path, cores: int) -> Result:
    """From gzip to a committed case, and on to one that can be traced; start-up of workers counts."""
    from tokentrail.case import Case
    from tokentrail.sources.files import FileObject, objects
    from tokentrail.store.folder import CaseFolder
    from tokentrail.store.ingest import ingest
    from tokentrail.store.tasks import Options
    from tokentrail.store.without_pandas import load_arrow_without_pandas

    load_arrow_without_pandas()  # as the program does
    with scratch() as parent:
        path = parent / "case"
        started, before = time.perf_counter(), sum(os.times()[:4])
        given = [one for one in objects([str(folder)]) if isinstance(one, FileObject)]
        list(ingest(CaseFolder.open(path), given, options=Options(), workers=cores))
        committed, cpu, megabytes = time.perf_counter(), sum(os.times()[:4]) - before, _megabytes()
        with Case.open(path) as opened:
            opened.newest()  # grows the forest, which every answer rests on
            linked = time.perf_counter()
            rows = opened.status().credentials
        columns = sum(one.stat().st_size for one in path.rglob("*.parquet") if one.stem in _TABLES)
        events = _count(path)
    return {
        "seconds": committed - started,
        "cpu": cpu,
        "linked": linked - started,
        "events": events,
        "credentials": rows,
        "column_bytes": columns / events,
        "megabytes": megabytes,
    }


def _megabytes() -> float:
    """The peak of resident memory of the largest process so far: this one, or a worker that has ended."""
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in both) / 1024


_TABLES = ("events", "identities", "issuances", "changes", "rejected")


def _count(path: Path) -> int:
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(one).num_rows for one in path.rglob("events.parquet"))


# ---------------------------------------------------------------- others

_IDENTITY = """STRUCT("type" VARCHAR, principalId VARCHAR, arn VARCHAR, accountId VARCHAR, accessKeyId VARCHAR,
  userName VARCHAR, invokedBy VARCHAR, identityProvider VARCHAR, sessionContext STRUCT(
    attributes STRUCT(creationDate VARCHAR, mfaAuthenticated VARCHAR), sourceIdentity VARCHAR, ec2RoleDelivery VARCHAR,
    sessionIssuer STRUCT("type" VARCHAR, principalId VARCHAR, arn VARCHAR, userName VARCHAR)))"""
_RECORD = f"""STRUCT(eventTime VARCHAR, eventSource VARCHAR, eventName VARCHAR, awsRegion VARCHAR,
  sourceIPAddress VARCHAR, userAgent VARCHAR, errorCode VARCHAR, eventID VARCHAR, sharedEventID VARCHAR,
  recipientAccountId VARCHAR, readOnly BOOLEAN, managementEvent BOOLEAN, sessionCredentialFromConsole VARCHAR,
  additionalEventData STRUCT(bytesTransferredOut DOUBLE, signInSessionArn VARCHAR),
  resources STRUCT(ARN VARCHAR)[], userIdentity {_IDENTITY}, requestParameters JSON, responseElements JSON)"""
_DUCKDB = """
COPY (
  SELECT filename, r.* EXCLUDE (requestParameters, responseElements, resources, eventTime, eventID),
    epoch(r.eventTime::TIMESTAMP)::BIGINT AS time, r.eventID::UUID AS event_id,
    list_aggregate([x.ARN FOR x IN r.resources], 'string_agg', chr(10)) AS resource,
    CASE WHEN r.eventSource = 'sts.amazonaws.com' THEN r.responseElements->>'$.credentials.accessKeyId' END AS key_id,
    CASE WHEN r.eventSource = 'sts.amazonaws.com' THEN r.responseElements->>'$.credentials.expiration' END AS expires,
    CASE WHEN r.eventSource = 'sts.amazonaws.com'
      THEN r.responseElements->>'$.assumedRoleUser.assumedRoleId' END AS child_id,
    CASE WHEN r.eventSource = 'sts.amazonaws.com' THEN r.requestParameters->>'$.roleArn' END AS role_arn,
    CASE WHEN r.eventSource = 'iam.amazonaws.com' AND NOT r.readOnly THEN r.requestParameters END AS request
  FROM (SELECT filename, unnest(Records) AS r FROM read_json($files, format = 'unstructured', records = true,
        auto_detect = false, maximum_object_size = 268435456, filename = true, columns = {columns}))
) TO '{target}' (FORMAT parquet, COMPRESSION zstd)
"""


def duckdb(folder: Path, cores: int) -> Result:
    """DuckDB's own JSON reader with every setting that helps it, to the same columns in zstd Parquet."""
    import duckdb as engine

    files = [path for task in tasks(folder) for path in task]
    with scratch() as parent:
        target = parent / "all.parquet"
        connection = engine.connect(config={"threads": cores, "preserve_insertion_order": False})
        sql = _DUCKDB.replace("{columns}", f"{{'Records': '{_RECORD}[]'}}").replace("{target}", str(target))
        started = time.perf_counter()
        connection.execute(sql, {"files": files})
        seconds = time.perf_counter() - started
        [events] = connection.execute(f"SELECT count(*) FROM '{target}'").fetchone() or (0,)
        size = target.stat().st_size
    return {"seconds": seconds, "events": events, "column_bytes": size / events}


def trailscraper(folder: Path, cores: int) -> Result:
    """Its `select` over a tenth of the evidence, printing every record; it knows one process only."""
    import subprocess

    program = os.environ.get("TRAILSCRAPER") or shutil.which("trailscraper")
    if program is None:
        return {}
    with tempfile.TemporaryDirectory() as parent:
        for path in [Path(path) for task in tasks(folder) for path in task][::10]:
            target = Path(parent) / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        started = time.perf_counter()
        command = [program, "select", "--log-dir", parent, "--from", "2000-01-01", "--to", "2100-01-01"]
        out = subprocess.run(command, check=True, capture_output=True).stdout
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "events": len(json.loads(out)["Records"])}


CONTESTANTS: dict[str, Callable[[Path, int], Result]] = {
    one.__name__: one for one in (floor, kernel, python, case, duckdb, trailscraper)
}


def measure(name: str, folder: Path, cores: int) -> Iterator[tuple[str, float]]:
    started = sum(os.times()[:4])
    result = CONTESTANTS[name](folder, cores)
    yield "cpu", sum(os.times()[:4]) - started
    yield "megabytes", _megabytes()
    yield from result.items()


if __name__ == "__main__":
    print(json.dumps(dict(measure(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))))
