"""
Many mutated records beside good ones: no crash, no hang, no good record lost, memory bounded.

    python fuzz/mutate.py --records 1000000

Each file holds good records and mutated ones in turn, in the shape of some carrier. Mutations are of bytes (flipped,
dropped, doubled, cut), of structure (brackets, quotation marks, control characters, invalid UTF-8, lone surrogates,
NaN) and of types (numbers, lists, nulls, huge and deep values wherever a value stands).
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tokentrail.events.kernel import Segment
from tokentrail.testing import World, carriers

Record = dict[str, Any]
GOOD = "good-"
EACH = 40
"""Records of a file, every other one of them mutated."""
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1 << 70, 10**400, 1e308, "", "x" * 10_000, [], {}, [[]], [None], {"a": {"b": []}}, "\u202e\x1b[31m",
    "=cmd|' /C calc'!A0", "null", "\ud800", {"accessKeyId": ["ASIA"]}, "AKIA" + "*" * 16,
)  # fmt: skip
BYTES = (
    b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"\0", b"\x1f", b"\xff", b"\xed\xa0\x80", b"NaN", b"\\ud800", b"1e999",
    b'"Records":[', b'"eventName"', b"null", b" ",
)  # fmt: skip
AROUND = 6_000
"""Bytes shown on either side of a lost record's id: its own and its neighbours'."""


def typed(record: Record, chance: random.Random) -> bytes:
    """A value somewhere in the record replaced, dropped or nested deep."""
    value: Any = json.loads(json.dumps(record))
    at = value
    while True:
        key = chance.choice(list(at) if isinstance(at, dict) else range(len(at)))
        inner = at[key]
        if isinstance(inner, dict | list) and inner and chance.random() < 0.7:
            at = inner
            continue
        break
    kind = chance.random()
    if kind < 0.15 and isinstance(at, dict):
        del at[key]
    elif kind < 0.25:
        at[key] = "DEEP"
        deep = chance.choice((10, 500, 2_000))
        return json.dumps(value).encode().replace(b'"DEEP"', b"[" * deep + b"]" * deep)
    else:
        at[key] = chance.choice(ODD)
    return json.dumps(value).encode("utf-8", "surrogatepass")


def damaged(record: Record, chance: random.Random) -> bytes:
    """Bytes of the record damaged; line feeds are left alone, since they end a line and not a record."""
    raw = bytearray(json.dumps(record).encode())
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        at = chance.randrange(len(raw))
        kind = chance.randrange(5)
        if kind == 0:
            raw[at] = chance.choice([one for one in range(256) if one not in (10, 13)])
        elif kind == 1:
            del raw[at : at + chance.choice((1, 2, 30))]
        elif kind == 2:
            raw[at:at] = chance.choice(BYTES)
        elif kind == 3:
            raw[at:at] = raw[at : at + chance.choice((1, 50))]
        else:
            del raw[at:]
        raw = raw or bytearray(b"{")
    return bytes(raw)


def good(record: Record, number: int) -> Record:
    return {**record, "eventID": f"{GOOD}{number:032}"}


def file(records: list[Record], number: int, chance: random.Random) -> tuple[str, bytes, set[str]]:
    """A file of good and mutated records: its shape, its bytes, and the ids of the good ones."""
    kept = [good(chance.choice(records), number * EACH + n) for n in range(EACH // 2)]
    bad = [chance.choice((typed, damaged))(chance.choice(records), chance) for _ in kept]
    shape = chance.choice(("lines", "native", "array", "lookup", "log-export"))
    if shape in ("lines", "log-export"):
        stamp = b"2026-11-23T00:00:00.000Z " if shape == "log-export" else b""
        data = b"\n".join(
            stamp + one
            for pair in zip((json.dumps(one).encode() for one in kept), bad, strict=True)
            for one in pair
        )
    elif shape == "lookup":
        texts = [
            one for pair in zip((json.dumps(one).encode() for one in kept), bad, strict=True) for one in pair
        ]
        events = [
            json.dumps({"EventId": "x", "CloudTrailEvent": one.decode("utf-8", "replace")}) for one in texts
        ]
        data = ('{"Events":[' + ",".join(events) + "]}").encode()
    else:
        body = b",".join(
            one for pair in zip((json.dumps(one).encode() for one in kept), bad, strict=True) for one in pair
        )
        data = b'{"Records":[' + body + b"]}" if shape == "native" else b"[" + body + b"]"
    return shape, data, {one["eventID"] for one in kept}


def tell(shape: str, data: bytes, done: int, lost: list[str], asked: argparse.Namespace) -> None:
    """Which good records were lost and what lay before and after each; the whole file is kept where asked."""
    for one in lost:
        at = data.find(one.encode())
        print(f"lost {one} ({shape}, seed {asked.seed}, file from {done:,})", flush=True)
        print(
            f"  before: {data[max(0, at - AROUND) : at]!r}\n  after: {data[at : at + AROUND]!r}", flush=True
        )
    if asked.keep is not None:
        asked.keep.mkdir(parents=True, exist_ok=True)
        (asked.keep / f"{asked.seed}-{done:09}-{shape}").write_bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=1_000_000, help="mutated records")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="keep files that lost a good record in this folder")
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    world = World(datetime(2026, 11, 23, tzinfo=UTC), 1)
    session = world.user("ada").assumes("Deploy")
    session.calls("s3:ListBuckets")
    world.user("grace").gets_session_token()
    records = list(world.records())
    assert carriers.WRITERS
    done, lost, slowest, shapes = 0, Counter[str](), 0.0, Counter[str]()
    started = time.monotonic()
    while done < asked.records:
        shape, data, ids = file(records, done, chance)
        at = time.process_time()
        segment = Segment(7)
        segment.add(data)
        found = set(segment.tables()["events"]["event_id_text"].to_pylist())
        slowest = max(slowest, time.process_time() - at)
        lost[shape] += len(ids - found)
        if ids - found:
            tell(shape, data, done, sorted(ids - found), asked)
        shapes[shape] += len(ids)
        done += EACH // 2
        if done % 100_000 == 0:
            print(f"{done:,}: {sum(lost.values()):,} lost, {time.monotonic() - started:,.0f} s", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{done:,} mutated records beside {sum(shapes.values()):,} good ones in {time.monotonic() - started:,.0f} s"
    )
    print(f"slowest file {slowest:.2f} s of processor time, peak memory {peak:,.0f} MB")
    for shape, count in sorted(shapes.items()):
        print(f"  {shape:12}{count:>10,} good, {lost[shape]:,} lost")


if __name__ == "__main__":
    main()
