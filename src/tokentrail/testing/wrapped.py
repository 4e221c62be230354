"""
Records within what carries them whole: EventBridge, SQS, CloudWatch Logs, Splunk, archives.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from datetime import datetime

from tokentrail.testing.names import Json
from tokentrail.testing.trails import lookup_events

_DETAIL_TYPES = {
    "AwsApiCall": "AWS API Call via CloudTrail",
    "AwsConsoleSignIn": "AWS Console Sign In via CloudTrail",
    "AwsServiceEvent": "AWS Service Event via CloudTrail",
    "AwsConsoleAction": "AWS Console Action via CloudTrail",
}


def text(value: object) -> str:
    """Write JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def lookup_events_v2(records: Iterable[Json]) -> bytes:
    """Give what version 2 of the AWS CLI prints of LookupEvents: indented, times in ISO 8601."""
    found = json.loads(lookup_events(records))
    for event in found["Events"]:
        event["EventTime"] = datetime.fromtimestamp(event["EventTime"]).astimezone().isoformat()
    return json.dumps(found, indent=4).encode()


def lookup_event_lines(records: Iterable[Json]) -> bytes:
    """Give the elements of LookupEvents answers, one a line, as collectors write them."""
    found = json.loads(lookup_events(records))["Events"]
    return b"".join(text(event).encode() + b"\n" for event in found)


def envelope(record: Json) -> Json:
    """Wrap a record as EventBridge does. "AWS service events delivered via AWS CloudTrail", EventBridge User Guide."""
    return {
        "version": "0",
        "id": record["eventID"],
        "detail-type": _DETAIL_TYPES.get(str(record.get("eventType")), _DETAIL_TYPES["AwsApiCall"]),
        "source": f"aws.{str(record['eventSource']).partition('.')[0]}",
        "account": record["recipientAccountId"],
        "time": record["eventTime"],
        "region": record["awsRegion"],
        "resources": [],
        "detail": record,
    }


def eventbridge(records: Iterable[Json]) -> bytes:
    """Give EventBridge events, one a line, as an archive or a stream to a bucket holds them."""
    return b"".join(text(envelope(record)).encode() + b"\n" for record in records)


def sqs_messages(records: Iterable[Json]) -> bytes:
    """Give what `aws sqs receive-message` prints of a queue behind an EventBridge rule."""
    messages = [
        {
            "MessageId": record["eventID"],
            "ReceiptHandle": "h",
            "MD5OfBody": "0",
            "Body": text(envelope(record)),
        }
        for record in records
    ]
    return json.dumps({"Messages": messages}, indent=4).encode()


def sqs_function_event(records: Iterable[Json]) -> bytes:
    """Give the event by which SQS calls a Lambda function."""
    messages = [
        {
            "messageId": record["eventID"],
            "body": text(envelope(record)),
            "eventSource": "aws:sqs",
            "awsRegion": "us-east-1",
        }
        for record in records
    ]
    return text({"Records": messages}).encode()


def log_subscription(records: Iterable[Json], *, each: int = 50) -> bytes:
    """
    Give what a subscription of CloudWatch Logs delivers to a bucket: one document after the other, no line breaks.

    "Using subscription filters", Amazon CloudWatch Logs User Guide.
    """
    listed = list(records)
    return b"".join(text(_subscribed(listed[at : at + each])).encode() for at in range(0, len(listed), each))


def log_function_event(records: Iterable[Json]) -> bytes:
    """Give the event by which a subscription calls a Lambda function: base64 of gzip."""
    packed = gzip.compress(text(_subscribed(list(records))).encode(), mtime=0)
    return text({"awslogs": {"data": base64.b64encode(packed).decode()}}).encode()


def log_export(records: Iterable[Json]) -> bytes:
    """Give what an export task of CloudWatch Logs writes: a time and a message a line."""
    return b"".join(f"{str(one['eventTime'])[:-1]}.000Z {text(one)}\n".encode() for one in records)


def log_events(records: Iterable[Json]) -> bytes:
    """Give what `aws logs filter-log-events` prints."""
    events = [{**one, "logStreamName": "s", "ingestionTime": 1} for one in _logged(list(records))]
    return json.dumps({"events": events, "searchedLogStreams": []}, indent=4).encode()


def splunk_raw(records: Iterable[Json]) -> bytes:
    """Give Splunk's JSON export of events."""
    return b"".join(
        text(
            {"preview": False, "offset": n, "result": {"_raw": text(one), "sourcetype": "aws:cloudtrail"}}
        ).encode()
        + b"\n"
        for n, one in enumerate(records)
    )


def logstash(records: Iterable[Json]) -> bytes:
    """Give what Logstash's codec `cloudtrail` makes of log files, one event a line."""
    return b"".join(text(_logged_by_stash(one)).encode() + b"\n" for one in records)


def _logged_by_stash(record: Json) -> Json:
    event = {**record, "@timestamp": f"{str(record['eventTime'])[:-1]}.000Z", "@version": "1"}
    del event["eventTime"]
    asked = event.get("requestParameters")
    if isinstance(asked, dict) and not isinstance(asked.get("disableApiTermination", {}), dict):
        event["requestParameters"] = asked | {
            "disableApiTermination": {"value": asked["disableApiTermination"]}
        }
    return event


def zipped(files: Sequence[tuple[str, bytes]]) -> bytes:
    """Pack files into a zip archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name, (2026, 11, 23, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def tarred(files: Sequence[tuple[str, bytes]]) -> bytes:
    """Pack files into a tar archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def _subscribed(records: Sequence[Json]) -> Json:
    return {
        "messageType": "DATA_MESSAGE",
        "owner": "111122223333",
        "logGroup": "aws-cloudtrail-logs",
        "logStream": "111122223333_CloudTrail_us-east-1",
        "subscriptionFilters": ["all"],
        "logEvents": _logged(records),
    }


def _logged(records: Sequence[Json]) -> list[Json]:
    return [
        {
            "id": f"{n:056}",
            "timestamp": int(datetime.fromisoformat(str(one["eventTime"])).timestamp() * 1000),
            "message": text(one),
        }
        for n, one in enumerate(records)
    ]
