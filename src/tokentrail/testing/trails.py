"""
The evidence as its carriers bring it: the files of a trail in S3, lines, arrays, LookupEvents pages.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from tokentrail.testing.ids import Ids
from tokentrail.testing.names import Json

Layout = Literal["s3", "flat"]


def native(records: Iterable[Json]) -> bytes:
    """Give the content of a log file: one line of JSON, `{"Records": [...]}`."""
    return _compact({"Records": list(records)})


def json_array(records: Iterable[Json]) -> bytes:
    """Give a plain JSON array of records."""
    return _compact(list(records))


def json_lines(records: Iterable[Json]) -> bytes:
    """Give one record a line."""
    return b"".join(_compact(record) + b"\n" for record in records)


def lookup_events(records: Iterable[Json]) -> bytes:
    """
    Give what `aws cloudtrail lookup-events` prints: newest first, the record as a text within, no data
    events.

    "Viewing recent management events with the AWS CLI", AWS CloudTrail User Guide.
    """
    managed = [record for record in records if record["managementEvent"]]
    managed.sort(key=lambda record: str(record["eventTime"]), reverse=True)
    return _compact({"Events": [_looked_up(record) for record in managed]})


def files(records: Iterable[Json], ids: Ids, *, minutes: int = 5) -> Iterator[tuple[str, bytes]]:
    """
    Cut records into log files as CloudTrail does, and name each as it would be in the bucket, without `.gz`.

    "CloudTrail log file name format" and "Finding your CloudTrail log files", AWS CloudTrail User Guide: one
    set of files for each recipient account and region, delivered about every five minutes.
    """
    parts: dict[tuple[str, str, datetime], list[Json]] = {}
    for record in records:
        moment = datetime.fromisoformat(str(record["eventTime"]))
        minute = moment.minute - moment.minute % minutes
        delivered = moment.replace(minute=minute, second=0) + timedelta(minutes=minutes)
        key = (str(record["recipientAccountId"]), str(record["awsRegion"]), delivered)
        parts.setdefault(key, []).append(record)
    for (account, region, delivered), part in sorted(parts.items(), key=lambda item: item[0]):
        folder = f"AWSLogs/{account}/CloudTrail/{region}/{delivered:%Y/%m/%d}"
        name = f"{account}_CloudTrail_{region}_{delivered:%Y%m%dT%H%MZ}_{ids.file_name()}.json"
        yield f"{folder}/{name}", native(part)


def write(
    records: Iterable[Json], folder: Path, ids: Ids, *, layout: Layout, compress: bool, minutes: int
) -> list[Path]:
    """Write log files into a folder."""
    written = []
    for key, content in files(records, ids, minutes=minutes):
        path = folder / (key if layout == "s3" else key.rpartition("/")[2])
        path.parent.mkdir(parents=True, exist_ok=True)
        if compress:
            path = path.with_name(path.name + ".gz")
            content = gzip.compress(content, mtime=0)
        path.write_bytes(content)
        written.append(path)
    return sorted(written)


def _looked_up(record: Json) -> Json:
    identity = record["userIdentity"]
    named: Json = {
        "EventId": record["eventID"],
        "EventName": record["eventName"],
        "ReadOnly": "true" if record["readOnly"] else "false",
        "AccessKeyId": identity.get("accessKeyId"),
        "EventTime": datetime.fromisoformat(str(record["eventTime"])).timestamp(),
        "EventSource": record["eventSource"],
        "Username": identity.get("userName")
        or str(identity.get("principalId", "")).rpartition(":")[2]
        or None,
        "Resources": [
            {"ResourceType": resource["type"], "ResourceName": resource["ARN"]}
            for resource in record.get("resources", [])
            if "ARN" in resource
        ],
        "CloudTrailEvent": _compact(record).decode(),
    }
    return {key: value for key, value in named.items() if value is not None}


def _compact(value: object) -> bytes:
    return msgspec.json.encode(value)
