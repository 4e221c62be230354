"""
Small records and files for the tests of `events`, and what the kernel makes of them.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tokentrail.events.kernel import ObjectSummary, Segment

REAL = Path(__file__).parents[3] / "shared" / "data"
GENERATOR = Path(__file__).parents[3] / "shared" / "tools" / "gen.py"
ACCOUNT = "111122223333"
USER = {
    "type": "IAMUser",
    "principalId": "AIDAEXAMPLE",
    "arn": f"arn:aws:iam::{ACCOUNT}:user/ada",
    "accountId": ACCOUNT,
    "accessKeyId": "AKIAEXAMPLE",
    "userName": "ada",
}
TOKEN = "IQoJb3JpZ2luX2VjESessionTokenThatMustNeverShow//+=="


def record(**members: Any) -> dict[str, Any]:
    """A plain, sound record, with some members replaced."""
    return {
        "eventVersion": "1.11",
        "userIdentity": USER,
        "eventTime": "2024-03-01T00:00:00Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "ListBuckets",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "203.0.113.9",
        "userAgent": "aws-cli/2",
        "requestParameters": None,
        "responseElements": None,
        "eventID": "0f0e0d0c-0b0a-0908-0706-050403020100",
        "readOnly": True,
        "recipientAccountId": ACCOUNT,
        **members,
    }


def issuing(name: str = "AssumeRole", source: str = "sts.amazonaws.com", **members: Any) -> dict[str, Any]:
    """A successful call that issues a credential."""
    answer = {
        "credentials": {
            "accessKeyId": "ASIAEXAMPLE",
            "sessionToken": TOKEN,
            "expiration": "Mar 1, 2024, 1:00:00 AM",
        }
    }
    return record(**{"eventName": name, "eventSource": source, "responseElements": answer, **members})


def raw(**members: Any) -> bytes:
    """The same as JSON."""
    return json.dumps(record(**members), separators=(",", ":")).encode()


def native(*raws: bytes) -> bytes:
    """A native log file of raw records."""
    return b'{"Records":[' + b",".join(raws) + b"]}"


def ingest(*objects: bytes) -> tuple[list[ObjectSummary], dict[str, list[dict[str, Any]]]]:
    """What the kernel says of objects, and the rows that it makes of them."""
    segment = Segment(7)
    summaries = [segment.add(data) for data in objects]
    return summaries, {name: table.to_pylist() for name, table in segment.tables().items()}


def tables(*objects: bytes) -> dict[str, list[dict[str, Any]]]:
    """The rows that the kernel makes of objects."""
    return ingest(*objects)[1]


def tables_of(records: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The rows that the kernel makes of sound records."""
    return tables(json.dumps({"Records": list(records)}).encode())


def arrow(*objects: bytes) -> dict[str, pa.Table]:
    """The same as Arrow tables."""
    segment = Segment(7)
    for data in objects:
        segment.add(data)
    return segment.tables()


def edge_cases(folder: Path) -> list[Path]:
    """The nasty files of the shared generator; empty where it is absent."""
    if not GENERATOR.exists():
        return []
    sys.path.insert(0, str(GENERATOR.parent))
    try:
        import gen  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    gen.write_edge_cases(folder)
    return sorted(folder.iterdir())


def real_files() -> list[Path]:
    """Real log files: native and arrays, plain and gzip."""
    return sorted(
        path
        for folder in (
            "invictus-aws-dataset",
            "stratus-detonation-logs",
            "flaws1-slice-umccr",
            "trailscraper",
        )
        for path in (REAL / folder).rglob("*")
        if path.is_file() and path.suffix in (".json", ".gz")
    )


def gzipped(data: bytes) -> bytes:
    """`data` as one gzip member."""
    return gzip.compress(data, 6, mtime=0)
