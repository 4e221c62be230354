"""
The evidence as carriers bring it.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

from tokentrail.testing import World, json_array, json_lines, lookup_events, native

NAME = re.compile(
    r"AWSLogs/(\d{12})/CloudTrail/([a-z0-9-]+)/\d{4}/\d\d/\d\d/\1_CloudTrail_\2_\d{8}T\d{4}Z_[A-Za-z0-9]{16}\.json\.gz"
)


def _busy(world: World) -> World:
    session = world.user("ada").assumes("Deploy", account="444455556666")
    session.calls("s3:ListBuckets", count=3, every=300, region="eu-central-1")
    session.calls("s3:GetObject", {"bucketName": "b", "key": "k"})
    return world


def test_the_bucket_is_laid_out_as_aws_does(world: World, tmp_path: Path) -> None:
    """
    Each file lies under its account, region and day, and holds five minutes of that account and region
    only.
    """
    for path in _busy(world).write(tmp_path):
        match = NAME.fullmatch(path.relative_to(tmp_path).as_posix())
        assert match is not None
        records = json.loads(gzip.decompress(path.read_bytes()))["Records"]
        assert {match.groups()} == {(r["recipientAccountId"], r["awsRegion"]) for r in records}
        assert 1 == len({int(r["eventTime"][14:16]) // 5 for r in records})


def test_writing_loses_and_repeats_nothing(world: World, tmp_path: Path) -> None:
    """The files together hold the records, in either layout, compressed or not."""
    expected = sorted(record["eventID"] for record in _busy(world).records())
    for layout in ("s3", "flat"):
        paths = world.write(tmp_path / layout, layout, gzip=False)
        records = [record for path in paths for record in json.loads(path.read_bytes())["Records"]]
        assert expected == sorted(record["eventID"] for record in records)


def test_the_same_world_writes_the_same_files(tmp_path: Path, world: World) -> None:
    """Names and bytes follow from the seed."""
    twin = World(world.now)
    first, second = _busy(world).write(tmp_path / "a"), _busy(twin).write(tmp_path / "b")

    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_plain_shapes_hold_the_records(world: World) -> None:
    """Native, array and lines are the same records in other wrapping."""
    records = _busy(world).records()

    assert {"Records": records} == json.loads(native(records))
    assert records == json.loads(json_array(records))
    assert records == [json.loads(line) for line in json_lines(records).splitlines()]


def test_lookup_events_has_no_data_events_and_is_newest_first(world: World) -> None:
    """LookupEvents gives management events, newest first, each record as a text."""
    records = _busy(world).records()
    events = json.loads(lookup_events(records))["Events"]
    times = [event["EventTime"] for event in events]

    assert sorted(times, reverse=True) == times
    assert len(records) - 1 == len(events)
    assert {"GetObject"}.isdisjoint(event["EventName"] for event in events)
    assert all(json.loads(event["CloudTrailEvent"])["eventID"] == event["EventId"] for event in events)
    assert all(event["ReadOnly"] in ("true", "false") for event in events)
