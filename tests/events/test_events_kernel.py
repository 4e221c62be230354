"""The kernel: objects in, tables out."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from events_cases import (
    REAL,
    TOKEN,
    arrow,
    edge_cases,
    gzipped,
    ingest,
    issuing,
    native,
    raw,
    real_files,
    record,
    tables,
    tables_of,
)  # fmt: skip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokentrail.events import kernel, reading
from tokentrail.events.columns import TABLES
from tokentrail.events.gunzip import expand
from tokentrail.events.kernel import Segment
from tokentrail.events.split import pieces

TEXT = st.text(max_size=6)
PLAIN = st.none() | st.booleans() | st.integers(-5, 5) | TEXT
RECORDS = st.fixed_dictionaries(
    {
        "eventTime": st.sampled_from(["2024-03-01T00:00:00Z", "2024-03-01T00:00:01Z", "2024-03-01 00:00:02Z"]),
        "eventName": st.sampled_from(["AssumeRole", "CreateUser", "GetSecretValue", "ConsoleLogin", "ListBuckets"]),
        "eventSource": st.sampled_from(["sts.amazonaws.com", "iam.amazonaws.com", "s3.amazonaws.com", "signin.amazonaws.com"]),
        "eventID": st.uuids().map(str) | st.sampled_from(["odd", "ABCDEF01-0000-0000-0000-000000000000"]),
    },
    optional={
        "awsRegion": TEXT,
        "userAgent": TEXT | st.none(),
        "errorCode": st.none() | st.just("AccessDenied"),
        "readOnly": st.none() | st.booleans(),
        "sessionCredentialFromConsole": st.sampled_from(["true", True, None, "false"]),
        "sharedEventID": st.uuids().map(str) | TEXT,
        "recipientAccountId": st.sampled_from(["111122223333", "444455556666"]),
        "userIdentity": st.dictionaries(st.sampled_from(["type", "arn", "accessKeyId"]), st.text(max_size=2)) | st.none(),
        "requestParameters": st.dictionaries(st.sampled_from(["roleArn", "userName", "bucketName", "secretId"]), PLAIN) | PLAIN,
        "responseElements": st.just(issuing()["responseElements"]) | st.dictionaries(st.sampled_from(["user", "ConsoleLogin"]), PLAIN),
        "additionalEventData": st.fixed_dictionaries({}, optional={"bytesTransferredOut": st.integers(0, 9), "success": st.booleans()}),
        "resources": st.none() | st.lists(st.fixed_dictionaries({}, optional={"ARN": TEXT}), max_size=2),
    },
)  # fmt: skip


def test_every_table_has_its_schema() -> None:
    """The tables are those of `columns.TABLES`, empty or not."""
    for objects in ((), (native(),), (native(raw()),), (b"",)):
        assert TABLES == {name: table.schema for name, table in arrow(*objects).items()}


def test_an_event_and_its_columns() -> None:
    """Each member that lineage reads lands in the column that is named for it."""
    one = record(
        errorCode="AccessDenied", sessionCredentialFromConsole="true", managementEvent=False, readOnly=None,
        vpcEndpointId="vpce-0a1b2c3d", vpcEndpointAccountId="444455556666",
        additionalEventData={"bytesTransferredOut": 17.0}, resources=[{"ARN": "arn:x"}],
    )  # fmt: skip
    expected = {
        "segment": 7, "object": 0, "ordinal": 0, "time": 1_709_251_200, "event_id": bytes(range(15, -1, -1)),
        "event_id_text": None, "identity": 0, "account": "111122223333", "region": "us-east-1",
        "source": "s3.amazonaws.com", "name": "ListBuckets", "error": "AccessDenied", "ip": "203.0.113.9",
        "agent": "aws-cli/2", "endpoint": "vpce-0a1b2c3d", "endpoint_account": "444455556666", "read_only": None, "management": False, "console": True, "secret": False,
        "bytes_out": 17, "resource": "arn:x",
    }  # fmt: skip

    assert [expected] == tables_of([one])["events"]


@pytest.mark.parametrize("size", [-1, 1e300, 10**400, None])
def test_sizes_that_make_no_sense(size: float | None) -> None:
    """A byte count below zero or beyond reason is none."""
    assert (
        tables_of([record(additionalEventData={"bytesTransferredOut": size})])["events"][0]["bytes_out"]
        is None
    )


def test_event_ids_in_other_spellings() -> None:
    """An id that is no plain UUID keeps its text and gets a digest; one that is missing is the record's digest."""
    ids = ["Not-A-UUID", "0F0E0D0C-0B0A-0908-0706-050403020100", " " * 36, "-" * 36, None, ""]
    rows = tables_of([record(eventID=one) for one in ids])["events"]

    assert ids[:4] == [one["event_id_text"] for one in rows[:4]]
    assert rows[4]["event_id_text"].startswith("sha256:")
    assert 16 == len(rows[4]["event_id"])
    assert 5 == len({one["event_id"] for one in rows[:5]})


def test_the_digest_of_a_record_ignores_its_layout() -> None:
    """A record without an id has the same digest compact and pretty-printed."""
    one = record(eventID=None)
    rows = tables(json.dumps(one).encode(), json.dumps(dict(reversed(one.items())), indent=3).encode())[
        "events"
    ]

    assert rows[0]["event_id"] == rows[1]["event_id"]


def test_several_objects_share_labels_and_identities() -> None:
    """Objects of a segment are numbered in order; labels and identities are kept once."""
    found = arrow(native(raw(), raw(eventName="Other")), native(), gzipped(native(raw())))

    assert [0, 0, 2] == found["events"]["object"].to_pylist()
    assert 1 == found["identities"].num_rows
    assert ["ListBuckets", "Other"] == found["events"]["name"].chunk(0).dictionary.to_pylist()  # type: ignore[attr-defined]


def test_times_of_an_object() -> None:
    """The summary tells the first and last second of an object."""
    [summary, empty], _ = ingest(native(raw(eventTime="2024-03-01T00:00:09Z"), raw()), native())

    assert (2, 0, 1_709_251_200, 1_709_251_209) == (
        summary.records,
        summary.rejected,
        summary.first,
        summary.last,
    )
    assert (0, None) == (empty.records, empty.first)


def test_more_records_than_a_batch() -> None:
    """Ordinals, places and special calls run on from batch to batch."""
    count = kernel.BATCH * 2 + 5
    rows = tables_of([record(eventName=f"N{n}") for n in range(count - 1)] + [issuing()])

    assert list(range(count)) == [one["ordinal"] for one in rows["events"]]
    assert [count - 1] == [one["ordinal"] for one in rows["issuances"]]
    assert "AssumeRole" == rows["issuances"][0]["api"]


NOT_RECORDS: list[tuple[bytes, str]] = [
    (raw(eventTime=None), "no eventTime"),
    (raw(eventTime="yesterday"), "eventTime can't be read"),
    (b'{"eventSource":"aws:s3","eventTime":"2024-03-01T00:00:00.000Z","eventName":"ObjectCreated:Put"}', "S3 event notification"),
    (b'{"a":1}', "not a CloudTrail record"),
    (b"7", "not a JSON object"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "reason"), NOT_RECORDS)
def test_what_is_no_record_is_refused_alone(one: bytes, reason: str) -> None:
    """A record that can't be used is refused with its place and reason; its neighbours are kept."""
    [summary], rows = ingest(native(raw(), one, raw()))

    assert [0, 2] == [event["ordinal"] for event in rows["events"]]
    assert (2, 1) == (summary.records, summary.rejected)
    assert [(1, None)] == [(found["ordinal"], found["field"]) for found in rows["rejected"]]
    assert reason in rows["rejected"][0]["reason"]


def test_a_lost_field_is_no_rejected_record() -> None:
    """A field's note is listed but not counted: the record is there."""
    [summary], rows = ingest(native(raw(readOnly="perhaps")))

    assert (1, 0) == (summary.records, summary.rejected)
    assert [("readOnly", 0)] == [(one["field"], one["ordinal"]) for one in rows["rejected"]]


def test_an_identity_that_is_partly_lost_is_noted_at_each_of_its_records() -> None:
    """So that what is told does not depend on which records happen to be read into one segment."""
    odd = raw(userIdentity={"type": "IAMUser", "arn": [1, "x"], "accessKeyId": "AKIAIOSFODNN7EXAMPLE"})
    [first, _], rows = ingest(native(odd, raw(), odd), native(odd))

    assert (3, 0) == (first.records, first.rejected)
    assert [(0, 0), (0, 2), (1, 0)] == [(one["object"], one["ordinal"]) for one in rows["rejected"]]
    assert {"userIdentity"} == {one["field"] for one in rows["rejected"]}


def test_a_broken_stream_is_named_and_its_records_kept() -> None:
    """A truncated gzip costs what was cut off, and says so for the object as a whole."""
    records = [raw(eventID=random.Random(n).randbytes(16).hex()) for n in range(500)]
    [summary], rows = ingest(gzipped(native(*records))[:-500])

    assert summary.records > 400
    assert "truncated gzip" in [one["reason"] for one in rows["rejected"] if one["ordinal"] is None]


def accounted(data: bytes) -> None:
    """Each piece of an object is a row or a rejection, found again by its ordinal."""
    [summary], rows = ingest(data)
    found = list(pieces(expand(data).data))
    refused = {
        one["ordinal"] for one in rows["rejected"] if one["field"] is None and one["ordinal"] is not None
    }
    kept = [one["ordinal"] for one in rows["events"]]

    assert sorted([*kept, *refused]) == [n for n, piece in enumerate(found) if piece.raw]
    assert summary.records == len(kept)
    assert summary.rejected == len([one for one in rows["rejected"] if one["field"] is None])
    for event in rows["events"]:
        assert event["name"] is None or event["name"].encode() in found[event["ordinal"]].raw


def test_edge_cases_are_accounted_for(tmp_path: Path) -> None:
    """In every nasty file, records in are rows plus rejections, and ordinals find the raw record again."""
    files = edge_cases(tmp_path)
    if not files:
        pytest.skip("the shared generator of nasty files is not here")
    for path in files:
        data = path.read_bytes()
        accounted(data)
        if path.name.startswith("ok_"):
            assert [] == tables(data)["rejected"], path.name
        elif path.name.startswith("bad_"):
            assert tables(data)["rejected"] or path.name == "bad_trailing_garbage.json.gz", path.name


def test_real_files_are_accounted_for() -> None:
    """In every real log file, records in are rows plus rejections, and nearly all are rows."""
    files = real_files()
    if not files:
        pytest.skip(f"the real evidence is not at {REAL}")
    kept = refused = 0
    for path in files:
        accounted(path.read_bytes())
        [summary], _ = ingest(path.read_bytes())
        kept, refused = kept + summary.records, refused + summary.rejected

    assert kept > 3_000
    assert refused < kept / 100


def test_the_quick_and_the_careful_way_agree_on_real_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real log files give the same tables whichever way they are read."""
    files = real_files()
    if not files:
        pytest.skip(f"the real evidence is not at {REAL}")
    objects = [path.read_bytes() for path in files]
    quick = tables(*objects)
    monkeypatch.setattr(reading, "_quickly", lambda data, lines: None)

    assert quick == tables(*objects)


LAYOUTS: dict[str, Any] = {
    "native": lambda raws: native(*raws),
    "array": lambda raws: b"[" + b",".join(raws) + b"]",
    "lines": lambda raws: b"\n".join(raws),
    "side by side": lambda raws: b"".join(raws),
    "lookup": lambda raws: json.dumps(
        {"Events": [{"CloudTrailEvent": one.decode()} for one in raws]}
    ).encode(),
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(records=st.lists(RECORDS, min_size=1, max_size=5), layout=st.sampled_from(sorted(LAYOUTS)))
def test_every_way_to_read_gives_the_same_tables(records: list[dict[str, Any]], layout: str) -> None:
    """The same records give the same tables read quickly or carefully, in any layout."""
    raws = [json.dumps(record(**one), separators=(",", ":")).encode() for one in records]
    quick = tables(native(*raws))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_quickly", lambda data, lines: None)
        careful = tables(LAYOUTS[layout](raws))

    assert quick == careful
    assert quick == tables(LAYOUTS[layout](raws))
    accounted(LAYOUTS[layout](raws))


@settings(max_examples=60, deadline=None)
@given(
    records=st.lists(RECORDS, min_size=1, max_size=4),
    damage=st.sampled_from([b"NaN", b'"\xff"', b'"\\ud800"', b"7", b"[]", b"{"]),
)
def test_one_bad_record_never_costs_another(records: list[dict[str, Any]], damage: bytes) -> None:
    """Whatever is wrong with one record, the others are read as they would be without it."""
    raws = [json.dumps(record(**one), separators=(",", ":")).encode() for one in records]
    bad = raw().replace(b'"aws-cli/2"', damage)
    hole = (*raws[:1], bad, *raws[1:])
    without, among = tables(native(*raws))["events"], tables(native(*hole))["events"]

    def comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{name: one[name] for name in one if name not in ("ordinal", "identity")} for one in rows]

    def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted(rows, key=lambda one: int(one["ordinal"]))

    others = [one for one in among if one["ordinal"] != 1]
    assert comparable(in_order(without)) == comparable(in_order(others))


PLACES = st.sampled_from(
    ["requestParameters", "responseElements", "additionalEventData", "serviceEventDetails"]
)
NESTS: list[Any] = [
    lambda token: {"credentials": {"accessKeyId": "ASIA", "sessionToken": token}},
    lambda token: {"x": [{"SessionToken": token}]},
    lambda token: {"policyDocument": json.dumps({"sessionToken": token})},
    lambda token: {"content": json.dumps({"a": json.dumps({"session_token": token})})},
    lambda token: {"accessKey": {"accessKeyId": "AKIA", "secretAccessKey": token}, "user": token and {"sessionToken": token}},
    lambda token: {"role": json.dumps({"x-amz-security-token": token})},
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(["AssumeRole", "GetSessionToken", "ConsoleLogin", "CreateAccessKey", "PutRolePolicy", "RunInstances", "Any"]),
    source=st.sampled_from(["sts.amazonaws.com", "iam.amazonaws.com", "signin.amazonaws.com", "ssm.amazonaws.com"]),
    place=PLACES,
    nest=st.sampled_from(NESTS),
    damaged=st.booleans(),
)  # fmt: skip
def test_session_tokens_never_show(name: str, source: str, place: str, nest: Any, damaged: bool) -> None:
    """No table holds a session token or a secret key, whichever call carries it and wherever."""
    one = raw(**{"eventName": name, "eventSource": source, place: nest(TOKEN)})
    rows = tables(native(one.replace(b'"aws-cli/2"', b"NaN") if damaged else one))

    assert 1 == len(rows["events"])
    assert "MustNeverShow" not in str(rows)


def test_no_session_token_of_real_evidence_shows() -> None:
    """No table made of real evidence holds the value of a session token."""
    files = real_files()
    if not files:
        pytest.skip(f"the real evidence is not at {REAL}")
    text = str(tables(*[path.read_bytes() for path in files]))

    assert "IQoJb3Jp" not in text
    assert "FwoGZXIv" not in text


@pytest.mark.parametrize(
    "data", [b"", b"\x1f\x8b", b"\x1f\x8b\x08", gzipped(b""), b"\x1f\x8b" + bytes(40), b"[", b"{", b'"']
)
def test_objects_that_hold_nothing(data: bytes) -> None:
    """An object that holds nothing at all is one rejection, for the object as a whole."""
    [summary], rows = ingest(data)

    assert (0, 1) == (summary.records, len([one for one in rows["rejected"] if one["field"] is None]))
    assert 1 == summary.rejected


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """No bytes raise, gzipped or plain."""
    ingest(data, gzipped(data), b"\x1f\x8b\x08" + data)


def test_a_bound_is_kept() -> None:
    """An object beyond the bound is cut there, its records before the cut are kept."""
    segment = Segment(7, bound=2_000)
    summary = segment.add(gzipped(native(*[raw()] * 100)))

    assert 2 <= summary.records < 5
    assert "bound" in str(segment.tables()["rejected"].to_pylist())
