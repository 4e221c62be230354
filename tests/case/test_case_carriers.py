"""Any carrier gives the same credentials, apart from what it lost."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from evidence import Json, everyday, held, real
from tokentrail import Case
from tokentrail.errors import CaseError
from tokentrail.present.document import document
from tokentrail.testing import FAKE_SESSION_TOKEN, carriers, native
from tokentrail.testing.story import story
from tokentrail.testing.wrapped import tarred, text, zipped
from work import some

Rows = dict[str, Json]

WHOLE = (
    "json-array", "json-lines", "eventbridge", "sqs", "sqs-function", "log-subscription", "log-function", "log-export",
    "log-events", "logstash", "splunk", "splunk-raw-csv", "splunk-table", "lake", "elastic", "ocsf-1.1", "ocsf-1.5",
    "ocsf-parquet-1.1", "ocsf-parquet-1.5",
)  # fmt: skip
"""Carriers that lose nothing which a credential shows."""
_ELASTIC = frozenset({"parent_link", "kind", "origin_detail", "source_identity", "expires_bound", "identity"})
LOST: dict[str, frozenset[str]] = {
    "athena": frozenset({"source_identity", "origin_detail"}),
    "elastic-flattened": _ELASTIC,
    "elastic-text": _ELASTIC,
    "ocsf-1.0": frozenset({"origin_detail"}),
    "ocsf-parquet-1.0": frozenset({"origin_detail"}),
}
"""Carriers that lose something, and in what it may show: docs/evidence.md has the reasons."""
CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zip": lambda data: zipped([("a.json", data)]),
    "tar": lambda data: tarred([("a.json", data)]),
    "tar.gz": lambda data: gzip.compress(tarred([("a.json", data)])),
    "zip of gzip": lambda data: zipped([("a.json.gz", gzip.compress(data))]),
}


def rows(*files: bytes) -> Rows:
    """Credentials by id, as others script against them."""
    with held(*files) as case:
        return {one.id: document(one) for one in case.credentials()}


@pytest.fixture(
    name="records", scope="module", params=["morning", pytest.param("day", marks=pytest.mark.long)]
)
def _records(request: pytest.FixtureRequest) -> list[Json]:
    return everyday() if request.param == "morning" else story().world.records()


@pytest.fixture(name="brought", scope="module")
def _brought(records: list[Json]) -> Callable[[str], bytes]:
    """What a carrier makes of the records."""
    return cache(lambda carrier: carriers.WRITERS[carrier](records))


@pytest.fixture(name="expected", scope="module")
def _expected(records: list[Json]) -> Rows:
    return rows(native(records))


@pytest.mark.parametrize("carrier", some(WHOLE, 2))
def test_a_carrier_that_loses_nothing_gives_the_same_credentials(
    carrier: str, brought: Callable[[str], bytes], expected: Rows
) -> None:
    """Every field of every credential is the same as from CloudTrail's own files."""
    assert expected == rows(brought(carrier))


@pytest.mark.parametrize("carrier", LOST)
def test_a_carrier_that_loses_something_gives_the_same_tree(
    carrier: str, brought: Callable[[str], bytes], expected: Rows
) -> None:
    """The same credentials with the same parents; only what the carrier lost is different, and that is documented."""
    found = rows(brought(carrier))
    differing = {
        name
        for id_ in expected.keys() & found.keys()
        for name, value in expected[id_].items()
        if found[id_][name] != value
    }

    assert expected.keys() == found.keys()
    assert {id_: one["parent"] for id_, one in expected.items()} == {
        id_: one["parent"] for id_, one in found.items()
    }
    assert differing <= LOST[carrier]


@pytest.mark.parametrize("carrier", ["lookup-events", "lookup-events-v2", "lookup-event-lines"])
def test_lookup_events_give_what_management_events_show(carrier: str, records: list[Json]) -> None:
    """LookupEvents has no data events; what the others show is the same."""
    managed = [one for one in records if one["managementEvent"]]

    assert rows(native(managed)) == rows(carriers.WRITERS[carrier](records))


@pytest.mark.parametrize("container", CONTAINERS)
def test_any_container_gives_the_same(container: str, records: list[Json], expected: Rows) -> None:
    """Plain, compressed, or in an archive: the same credentials."""
    assert expected == rows(CONTAINERS[container](native(records)))


def test_all_carriers_at_once_count_each_record_once(
    records: list[Json], brought: Callable[[str], bytes], expected: Rows
) -> None:
    """The same records from every carrier that loses nothing, all in one case, are the records once."""
    with held(native(records), *map(brought, WHOLE)) as case:
        assert expected == {one.id: document(one) for one in case.credentials()}
        assert len(records) == case.status().records


@pytest.mark.parametrize("carrier", some(carriers.WRITERS, 2))
def test_a_raw_record_of_any_carrier_comes_back_without_its_token(carrier: str, records: list[Json]) -> None:
    """Object and ordinal lead to the record, as CloudTrail has it and as the carrier has it; no token in either."""
    issuing = [one for one in records if one["eventName"] in ("AssumeRole", "GetSessionToken")][:6]
    with held(carriers.WRITERS[carrier](issuing)) as case:
        subjects = [
            one["userIdentity"]["accessKeyId"] for one in issuing if one["userIdentity"].get("accessKeyId")
        ]
        events = list(case.timeline(subjects))
        shown = [
            (event, case.record(event.object, event.ordinal, as_carried=carried))
            for event in events
            for carried in (False, True)
        ]

    assert events
    for event, record in shown[::2]:
        assert (event.event_id, event.event_name) == (record["eventID"], record["eventName"])
    assert FAKE_SESSION_TOKEN[:20] not in json.dumps([record for _, record in shown])


def test_a_table_without_ids_says_that_its_calls_count_again(tmp_path: Path, records: list[Json]) -> None:
    """Nothing tells that its calls are those of another file; a table that has the ids says nothing of the kind."""
    told = []
    for ids in (True, False):
        path = tmp_path / f"{ids}.csv"
        chosen = ["eventTime", "eventName", *(["eventID"] if ids else [])]
        path.write_text(
            "\n".join(",".join(map(str, row)) for row in [chosen, [records[0][name] for name in chosen]])
        )
        with Case.open(tmp_path / f"case {ids}") as case:
            told.append(" ".join(case.ingest([str(path)], workers=1).lacking))

    assert [False, True] == ["counts twice" in one for one in told]


@pytest.mark.parametrize(
    ("carrier", "word"),
    [
        ("lookup-events", "management events"), ("athena", "sourceIdentity"), ("elastic-text", "more than one way"),
        ("ocsf-1.0", "flattened"), ("logstash", "@timestamp"), ("eventbridge", "read-only"), ("log-export", "256 KB"),
    ],
)  # fmt: skip
def test_results_say_what_a_carrier_leaves_out(
    carrier: str, word: str, records: list[Json], tmp_path: Path
) -> None:
    """The summary of an ingest, the status of the case and the gaps of a trace say what the carrier lost."""
    path = tmp_path / "evidence"
    path.write_bytes(carriers.WRITERS[carrier](records[:200]))
    with Case.open(tmp_path / "case") as case:
        summary = case.ingest([str(path)], workers=1)
        subject = next(one.id for one in case.credentials() if one.used)
        told = (summary.lacking, case.status().warnings, tuple(one.why for one in case.trace([subject]).gaps))

    assert all(any(word in sentence for sentence in sentences) for sentences in told)


def test_native_files_are_said_to_lose_nothing(records: list[Json]) -> None:
    """CloudTrail's own files need no excuse."""
    with held(native(records[:50])) as case:
        assert [] == [one for one in case.status().warnings if "objects)" in one]


def of_real(*parts: str) -> list[Json]:
    """The records of real native files."""
    return [
        record
        for path in sorted(real(*parts).rglob("*.json"))
        for record in json.loads(path.read_text())["Records"]
    ]


@pytest.fixture(name="invictus", scope="module")
def _invictus() -> tuple[list[Json], Rows]:
    """A real data set, and the credentials that its own files give."""
    records = of_real("invictus-aws-dataset", "CloudTrail")
    return records, rows(native(records))


@pytest.mark.parametrize(
    "carrier",
    some(
        (
            "eventbridge",
            "sqs",
            "log-export",
            "splunk",
            "elastic",
            "ocsf-1.1",
            "ocsf-1.5",
            "ocsf-parquet-1.5",
            "lake",
        ),
        2,
    ),
)
def test_real_records_survive_a_carrier(carrier: str, invictus: tuple[list[Json], Rows]) -> None:
    """Real records, brought by a carrier, give the credentials that the native files give."""
    records, expected = invictus

    assert expected == rows(carriers.WRITERS[carrier](records))


@pytest.mark.parametrize(
    ("parts", "count", "carrier"),
    [
        (("plaso", "jsonl", "aws_cloudtrail.jsonl"), 6, "lookup-events"),
        (("datadog-forwarder", "snapshots", "cloudwatch_log_cloudtrail.json"), 3, "cloudwatch-logs"),
        (("cloud-custodian-cwe", "cwe", "event-cloud-trail-create-bucket.json"), 1, "eventbridge"),
        (("centralized-logging-solution", "pipeline", "log-processor", "test", "datafile", "cloudtrail.log"), 4, ""),
        (("transcribed-rare-events", "logicmonitor_third_party_assumerole.cloudwatch-logs.json"), 1, ""),
    ],
)  # fmt: skip
def test_real_carriers(parts: tuple[str, ...], count: int, carrier: str) -> None:
    """What real tools wrote is read whole."""
    with held(real(*parts).read_bytes()) as case:
        status = case.status()

    assert (count, ()) == (status.records, status.rejected)
    assert not carrier or any("of 1 objects" in one for one in status.warnings)


def test_real_eventbridge_events_are_records_or_known_to_be_none(tmp_path: Path) -> None:
    """Of Cloud Custodian's events those via CloudTrail are read, and the others left out by what they are."""
    folder = real("cloud-custodian-cwe", "cwe")
    with Case.open(tmp_path / "case") as case:
        summary = case.ingest([str(folder)], workers=1)

    assert (23, 3, 8) == (summary.records.read, summary.records.rejected, len(summary.skipped))
    assert {"an EventBridge event that carries no CloudTrail record"} == {
        one.reason for one in summary.skipped
    }


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ({"digestStartTime": "2026-11-23T00:00:00Z", "logFiles": []}, "digest"),
        ({"Records": [{"eventTime": "2026-11-23T00:00:00Z", "eventType": "AwsCloudTrailInsight", "eventCategory": "Insight", "insightDetails": {}}]}, "Insights"),
        ({"Records": [{"eventVersion": "1.0", "eventCategory": "Aggregated", "eventType": "AwsAggregatedEvent", "timeWindow": {}}]}, "summary of data events"),
        ({"messageType": "CONTROL_MESSAGE", "logEvents": [{"id": "", "timestamp": 1, "message": "checking health"}]}, "control message"),
        ({"detail-type": "Scheduled Event", "detail": {}}, "EventBridge"),
        ({"class_uid": 4001, "metadata": {"product": {"name": "Amazon VPC"}}}, "OCSF"),
        ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}, "test notification"),
    ],
)  # fmt: skip
def test_what_is_known_to_hold_no_records_is_left_out_by_name(data: Json, word: str, tmp_path: Path) -> None:
    """Digests, Insights events, summaries and the like are named in the summary, and nothing is missing for them."""
    path = tmp_path / "x.json"
    path.write_bytes(text(data).encode())
    with Case.open(tmp_path / "case") as case:
        summary = case.ingest([str(path)], workers=1)
        status = case.status()

    assert [str(path)] == [one.object for one in summary.skipped]
    assert word in summary.skipped[0].reason
    assert (0, 0, ()) == (summary.objects.read, summary.records.rejected, status.rejected)
    assert not summary.skipped[0].lost


def test_what_is_left_out_of_a_file_that_is_read_is_no_skipped_file(tmp_path: Path) -> None:
    """An Insights event among records is named as a part; the file counts as read, and as nothing else."""
    path = tmp_path / "x.json"
    odd = {"eventTime": "2026-11-23T00:00:00Z", "eventCategory": "Insight", "insightDetails": {}}
    path.write_bytes(text({"Records": [odd, story().world.records()[0]]}).encode())
    with Case.open(tmp_path / "case") as case:
        summary = case.ingest([str(path)], workers=1)

    assert (1, 0) == (summary.objects.read, summary.objects.skipped)
    assert ["in part: an Insights event"] == [one.reason.rpartition(":")[0] for one in summary.skipped]


def test_what_carriers_lost_counts_for_nothing_beside_a_whole_copy() -> None:
    """Of copies of a record the one that tells most counts, whichever is read first."""
    records = story().world.records()[:400]
    whole, lossy = native(records), [carriers.WRITERS[carrier](records) for carrier in sorted(LOST)]

    assert rows(whole) == rows(*lossy, whole)


@pytest.mark.parametrize(
    "member", ["accessKeyId", "principalId", "accountId", "eventName", "eventTime", "eventID", None]
)
def test_copies_that_contradict_each_other_are_told(member: str | None, tmp_path: Path) -> None:
    """
    An event whose copies name different callers, calls or times was altered; one that says less was carried so.

    It is told by the id that it bears, whatever that looks like.
    """
    one, *_ = story().world.records()
    if member == "eventID":
        one["eventID"], member = "no-uuid", "accessKeyId"
    other = json.loads(json.dumps(one))
    if member is None:
        del other["userIdentity"]["accessKeyId"]
    else:
        whole = other if member in other else other["userIdentity"]
        whole[member] = "2026-11-24T00:00:00Z" if member == "eventTime" else f"{whole[member][:-1]}7"
    for name, record in {"a": one, "b": other}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"Records": [record]}))
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(tmp_path / "a.json"), str(tmp_path / "b.json")], workers=1)
        told = [text for text in case.status().warnings if "came in copies" in text]
        traced = [gap.why for gap in case.trace([one["eventID"]]).gaps if "came in copies" in gap.why]
        rests = [text for text in case.contain([one["eventID"]]).proof.holds_if if "came in copies" in text]

    assert told == traced
    assert len(rests) == len(told)
    assert ([] if member is None else [1]) == [1 for text in told if one["eventID"] in text]


def test_what_is_lost_of_an_object_without_rejected_records_is_told_at_once(tmp_path: Path) -> None:
    """An ingest says what it could not read of who called, not `status` alone."""
    [record, *_] = everyday()
    odd = {**record, "userIdentity": {**record["userIdentity"], "userName": ["eve"]}}
    file = tmp_path / "odd.json"
    file.write_bytes(native([odd]))
    with Case.open(tmp_path / "case") as case:
        summary = case.ingest([str(file)], workers=1)
        status = case.status()

    assert [("userIdentity", 1)] == [(one.field, one.count) for one in summary.rejected]
    assert status.rejected == summary.rejected
    assert (1, 0) == (summary.records.read, summary.records.rejected)


@pytest.mark.parametrize("damage", [b"", b"PAR1" + bytes(60) + b"PAR1"])
def test_a_damaged_list_of_what_could_not_be_read_is_told(damage: bytes, tmp_path: Path) -> None:
    """With what is damaged, and what to do, in one sentence."""
    file = tmp_path / "one.json"
    file.write_bytes(native(everyday()[:1]))
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(file)], workers=1)
        [path] = (tmp_path / "case" / "segments").glob("*/rejected.parquet")
        path.write_bytes(damage)
        with pytest.raises(
            CaseError, match=r"rejected\.parquet: damaged \(.*\)\. Remove \w+\.json in the case's"
        ):
            case.status()
