"""
A case of many days, from one: every segment again for each day, with other keys, sessions, events and times.

    python bench/copies.py CASE TARGET --days 100

What a day's trail holds is made once (bench/evidence.py) and read once; decoding a hundred days of made records
is not what is measured. Long-term keys, users and roles stay the same from day to day, so that their trees grow;
temporary keys, session names and event ids are each day's own. Of the IAM changes, of which made evidence
has far more than a real trail, one in thirty is kept after the first day. The case holds columns, no raw evidence.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec.structs import replace

from tokentrail.events.columns import TABLES
from tokentrail.store.folder import CaseFolder, segment_name
from tokentrail.store.interface import Manifest
from tokentrail.store.segment import write_segment

BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
DAY = 86_400
KEPT = 30
TIMES = frozenset({"time", "created", "expires"})
KEYS = frozenset({"key_id"})
SESSIONS = frozenset({"principal_id", "arn", "child_id", "child_arn"})
IDS = frozenset({"event_id", "shared_id"})


def shifted(name: str, table: pa.Table, day: int, number: int) -> pa.Table:
    """One table of a segment as it would be on a later day."""
    if name == "changes" and day:
        table = table.take(pa.array(range(0, table.num_rows, KEPT), pa.int64()))
    columns: dict[str, Any] = {}
    for field in TABLES[name]:
        column = table[field.name]
        columns[field.name] = _moved(field.name, column, day, number).cast(field.type)
    return pa.table(columns, schema=TABLES[name])


def _moved(name: str, column: Any, day: int, number: int) -> Any:
    if name == "segment":
        return pa.array(np.full(len(column), number, dtype=np.int64))
    if name in KEYS:
        mark = BASE32[day // 32 % 32] + BASE32[day % 32]
        return pc.if_else(pc.starts_with(column, "ASIA"), pc.utf8_replace_slice(column, 18, 20, mark), column)
    if not day:
        return column
    if name in TIMES:
        return pc.add(column, day * DAY)
    if name in SESSIONS:
        mark = f"-{day:03}"
        session = pc.or_(pc.match_substring(column, "AROA"), pc.match_substring(column, ":assumed-role/"))
        return pc.if_else(session, pc.binary_join_element_wise(column, mark, ""), column)
    if name == "session_name":
        return pc.binary_join_element_wise(column, f"-{day:03}", "")
    return _others(column.combine_chunks(), day) if name in IDS else column


def _others(ids: Any, day: int) -> Any:
    """Ids that no other day has."""
    pad = np.frombuffer(hashlib.md5(str(day).encode()).digest(), dtype=np.uint8)
    data = np.frombuffer(ids.buffers()[1], dtype=np.uint8).reshape(-1, 16) ^ pad
    return pa.Array.from_buffers(ids.type, len(ids), [ids.buffers()[0], pa.py_buffer(data.tobytes())])


def _one_day(case: Path, target: Path, day: int) -> int:
    into = CaseFolder.open(target)
    events = 0
    for manifest in CaseFolder.open(case, create=False).snapshot().manifests:
        number = int(hashlib.sha256(f"{manifest.segment} {day}".encode()).hexdigest()[:15], 16)
        name, folder = segment_name(number), case / "segments" / manifest.segment
        if into.segment(name).exists():
            continue
        tables = {one: pq.read_table(folder / f"{one}.parquet") for one in TABLES}
        write_segment(
            {one: shifted(one, table, day, number) for one, table in tables.items()}, into.segment(name)
        )
        objects = tuple(
            replace(one, sha256=hashlib.sha256(f"{one.sha256} {day}".encode()).hexdigest())
            for one in manifest.objects
        )
        into.publish(Manifest(segment=name, objects=objects))
        events += tables["events"].num_rows
    return events


def some(case: Path, target: Path, day: int, events: int) -> None:
    """Add about so many events of a day to a case."""
    into = CaseFolder.open(target)
    for manifest in CaseFolder.open(case, create=False).snapshot().manifests:
        number = int(hashlib.sha256(f"{manifest.segment} {day} {events}".encode()).hexdigest()[:15], 16)
        folder = case / "segments" / manifest.segment
        tables = {one: shifted(one, pq.read_table(folder / f"{one}.parquet"), day, number) for one in TABLES}
        tables["events"] = tables["events"].slice(0, events)
        taken = tables["events"].select(["object", "ordinal"])
        for name in ("issuances", "changes"):
            tables[name] = tables[name].join(taken, ["object", "ordinal"], join_type="left semi")
        write_segment(
            {one: table.select(TABLES[one].names).cast(TABLES[one]) for one, table in tables.items()},
            into.segment(segment_name(number)),
        )
        first = replace(
            manifest.objects[0],
            sha256=hashlib.sha256(f"{manifest.segment} {day} {events}".encode()).hexdigest(),
            records=taken.num_rows,
        )
        into.publish(Manifest(segment=segment_name(number), objects=(first,)))
        events -= taken.num_rows
        if not events:
            return


def write(case: Path, target: Path, days: range) -> Iterator[int]:
    """Add some days to a case; yields how many events each has."""
    CaseFolder.open(target)
    with ProcessPoolExecutor(2) as pool:
        yield from pool.map(_one_day, [case] * len(days), [target] * len(days), days)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--days", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="the day to begin with")
    asked = parser.parse_args()
    print(sum(write(asked.case, asked.target, range(asked.first, asked.first + asked.days))), "events")
