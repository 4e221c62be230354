"""The quick way, compiled, and the ordinary way give the same columns, whatever the bytes are."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import pyarrow as pa
import pytest
from events_cases import USER, edge_cases, issuing, native, raw, real_files, record
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_events_kernel import RECORDS

from evidence import everyday
from tokentrail.events import quick, reading
from tokentrail.events.gunzip import expand
from tokentrail.events.kernel import Batch, ObjectSummary, Segment
from tokentrail.events.quick import Quick, compiled
from tokentrail.testing import carriers
from tokentrail.testing.story import story
from work import some

pytestmark = pytest.mark.skipif(not compiled(), reason="no C compiler was there when this was installed")

Rows = dict[str, list[dict[str, Any]]]
NATIVE = ("cloudtrail", "json-array", "json-lines")
CLEAN = native(raw(), json.dumps(issuing()).encode())


@cache
def morning() -> list[dict[str, Any]]:
    """What nobody changes here."""
    return everyday()


def read(*objects: bytes, compiled: bool, together: bool = True) -> tuple[list[ObjectSummary], Rows]:
    """What one of the ways says of objects; rows in the order of the evidence, identities in place of numbers."""
    if not together:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reading, "_sound_pieces", lambda *_: None)
            patch.setattr(reading, "_quickly", lambda data, lines: None)
            return read(*objects, compiled=False)
    segment = Segment(7, compiled=compiled)
    summaries = [segment.add(data) for data in objects]
    rows: Rows = {name: table.to_pylist() for name, table in segment.tables().items()}
    who = [
        {name: value for name, value in one.items() if name != "identity"} for one in rows.pop("identities")
    ]
    for table in rows.values():
        for row in table:
            if "identity" in row:
                row["identity"] = who[row["identity"]]
        table.sort(
            key=lambda row: (row["object"], -1 if row["ordinal"] is None else row["ordinal"], str(row))
        )
    return summaries, rows


def assert_same(*objects: bytes) -> None:
    """Both ways must give the same."""
    assert read(*objects, compiled=False) == read(*objects, compiled=True)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_an_endpoint_saw_of_a_call_is_not_the_call_once_more(*, compiled: bool) -> None:
    """A network activity event has neither request nor answer, which the call's own record has: it tells no secret."""
    parts = {"eventSource": "iam.amazonaws.com", "vpcEndpointId": "vpce-0123456789abcdef0"}
    calls = [
        {**parts, "eventName": "CreateUser", "requestParameters": {"userName": "eve"}, "readOnly": False},
        {**parts, "eventName": "GetSecretValue", "eventSource": "secretsmanager.amazonaws.com",
         "requestParameters": {"secretId": "s"}},
        {**parts, "eventName": "AssumeRole", "eventSource": "sts.amazonaws.com", "requestParameters": {"roleArn": "r"}},
    ]  # fmt: skip
    seen = [
        {**one, "requestParameters": None, "readOnly": None, "eventType": "AwsVpceEvent"} for one in calls
    ]
    _, rows = read(native(*(raw(**one) for one in (*calls, *seen))), compiled=compiled)

    assert [False, True, False, False, False, False] == [one["secret"] for one in rows["events"]]
    assert (1, 1) == (len(rows["changes"]), len(rows["issuances"]))


def assert_same_place_by_place(*objects: bytes) -> None:
    """So must the way that takes a carrier apart place by place."""
    quick = read(*objects, compiled=True)
    assert read(*objects, compiled=False) == quick
    assert read(*objects, compiled=False, together=False) == quick


def quickly(data: bytes) -> bool:
    """Whether the quick way takes an object."""
    segment = Segment(7)
    quick = Quick.start(segment._labels, segment._identities)
    assert quick is not None
    return quick.add(data, 0) is not None


def test_it_takes_what_cloudtrail_writes() -> None:
    """Native files and arrays go the quick way, white space or not."""
    found = json.loads(CLEAN)

    for data in (CLEAN, json.dumps(found["Records"]).encode(), json.dumps(found, indent=2).encode()):
        assert quickly(data)


def test_it_leaves_other_spellings_alone() -> None:
    """An object of which one record says nothing of its caller, or says it as text, may be another carrier's."""
    silent = json.dumps({name: value for name, value in record().items() if name != "userIdentity"}).encode()
    as_text = raw(userIdentity=json.dumps(record()["userIdentity"]))

    for other in (silent, as_text):
        assert not quickly(native(other, raw()))
        assert not quickly(native(raw(), other))
        assert_same(native(other, raw()), native(raw(), other))


def test_an_empty_error_code_is_none() -> None:
    """What is made of records may have an empty text where CloudTrail has nothing; such a call did not fail."""
    call = json.dumps(issuing(errorCode="")).encode()
    [issued] = read(native(call), compiled=True)[1]["issuances"]

    assert quickly(native(call))
    assert_same(native(call))
    assert issued["key_id"] == "ASIAEXAMPLE"


@pytest.mark.parametrize("carrier", [*NATIVE, "eventbridge", "splunk", "lookup-events"])
def test_a_byte_that_is_no_text_costs_one_character(carrier: str) -> None:
    """Of a file in another encoding all else is read: who called, what was issued; CloudTrail's own shape notes it."""
    who = record()["userIdentity"] | {"userName": "Ann#"}
    call = issuing(requestParameters={"roleSessionName": "Jos#"}, userIdentity=who)
    data = carriers.WRITERS[carrier]([call | {"eventType": "AwsApiCall", "managementEvent": True}]).replace(
        b"#", b"\xe9"
    )
    rows = read(data, compiled=True)[1]

    assert_same(data)
    assert [("ASIAEXAMPLE", "Jos\ufffd", "AKIAEXAMPLE")] == [
        (one["key_id"], one["session_name"], one["identity"]["key_id"]) for one in rows["issuances"]
    ]
    noted = {one["field"] for one in rows["rejected"]}
    assert noted == ({"userIdentity", "requestParameters"} if carrier in NATIVE else set())


def test_it_takes_the_story_whole() -> None:
    """Nothing in a day of an ordinary account, and in an attack on it, needs the ordinary way."""
    data = json.dumps({"Records": story().world.records()}).encode()

    assert quickly(data)
    assert_same(data)


@pytest.mark.parametrize("path", real_files(), ids=str)
def test_real_files_read_alike(path: Any) -> None:
    """Real evidence gives the same rows either way."""
    assert_same(path.read_bytes())


def test_nasty_files_read_alike(tmp_path: Any) -> None:
    """So do the shared generator's edge cases."""
    assert_same(*(path.read_bytes() for path in edge_cases(tmp_path)))


ODD: list[dict[str, Any]] = [
    {"eventID": "not a UUID"}, {"eventID": "0F0E0D0C-0B0A-0908-0706-050403020100"}, {"eventID": "é" * 36}, {"eventID": ""},
    {"eventID": None}, {"eventID": 5}, {"eventName": ""}, {"eventName": None}, {"eventSource": "aws:s3"},
    {"eventTime": "2024-02-30T00:00:00Z"}, {"eventTime": "2024-02-29T23:59:59Z"}, {"eventTime": "2023-02-29T00:00:00Z"},
    {"eventTime": "2000-02-29T00:00:00Z"}, {"eventTime": "1900-02-28T00:00:00Z"}, {"eventTime": "1970-01-01T00:00:00Z"},
    {"eventTime": "2024-03-01 00:00:00Z"}, {"eventTime": "2024-03-01T00:00:60Z"}, {"eventTime": "20240301T000000Z"},
    {"eventTime": "2024-03-01T00:00:00.5Z"}, {"eventTime": None}, {"eventTime": 1700000000}, {"eventTime": "x" * 20},
    {"userAgent": 'say "hi" \\ / \n\t'}, {"userAgent": "日本\u202e"}, {"userAgent": ""}, {"userAgent": None},
    {"userAgent": ["list"]}, {"errorCode": 403}, {"errorCode": ""}, {"errorCode": "AccessDenied"}, {"awsRegion": {}},
    {"readOnly": None}, {"readOnly": "true"}, {"readOnly": False}, {"managementEvent": True}, {"managementEvent": 1},
    {"sessionCredentialFromConsole": "true"}, {"sessionCredentialFromConsole": "True"},
    {"sessionCredentialFromConsole": "TRUE"}, {"sessionCredentialFromConsole": True},
    {"sessionCredentialFromConsole": None}, {"sessionCredentialFromConsole": 1},
    {"additionalEventData": None}, {"additionalEventData": []}, {"additionalEventData": "text"}, {"additionalEventData": {}},
    *({"additionalEventData": {"bytesTransferredOut": value}} for value in (
        0, 5, 5.0, 5.5, -1, 1e3, 2**53, 2**70, 10**400, None, "5", [], True)),
    {"additionalEventData": {"success": "false"}}, {"additionalEventData": {"success": 1}},
    *({"additionalEventData": {name: value}}
      for name in ("lakeFormationRoleSessionName", "lakeFormationPrincipal", "crossPartitionData")
      for value in (None, "", "a", 5, [], {}, True)),
    *({"additionalEventData": {"crossPartitionData": {"sourcePrincipalArn": value, "sourceRegion": [{}]}}}
      for value in (None, "", "arn:\u00e9", 5, [], {})),
    {"eventName": "AssumeRoleWithWebIdentity", "requestParameters": {"webIdentityTokenId": "t"}},
    {"eventName": "GetWebIdentityToken", "responseElements": {"webIdentityTokenId": 5}},
    {"userIdentity": USER | {"invokedByDelegate": {"accountId": 5}}}, {"userIdentity": USER | {"invokedByDelegate": "a"}},
    {"additionalEventData": {"grant_type": 5}}, {"additionalEventData": {"MFAUsed": "No", "other": [{"deep": None}]}},
    {"resources": None}, {"resources": []}, {"resources": {}}, {"resources": [None]}, {"resources": [{}]},
    {"resources": [{"ARN": None}]}, {"resources": [{"ARN": "a"}, {"ARN": ""}, {"ARN": "b"}, {"type": "x"}]},
    {"resources": [{"ARN": 'k"ey é \u2028'}, {"ARN": "b"}]}, {"resources": [{"ARN": 5}]}, {"resources": ["text"]},
    {"userIdentity": None}, {"userIdentity": "text"}, {"userIdentity": USER | {"accessKeyId": 5}}, {"userIdentity": []},
    {"requestParameters": {"bucketName": "b"}}, {"requestParameters": [1, [2, {"a": -0.5e-7}]]}, {"sharedEventID": 5},
    {"vpcEndpointId": "vpce-0a1b2c3d", "vpcEndpointAccountId": "444455556666"}, {"vpcEndpointId": ["vpce-1"]},
    {"vpcEndpointId": "AWS Internal"}, {"vpcEndpointId": None, "vpcEndpointAccountId": 444455556666},
    {"recipientAccountId": None}, {"sourceIPAddress": "AWS Internal"}, {"serviceEventDetails": {"a": 1}},
]  # fmt: skip


@pytest.mark.parametrize("members", ODD, ids=range(len(ODD)))
def test_odd_values_read_alike(members: dict[str, Any]) -> None:
    """Odd values and types cost and give the same either way, beside sound neighbours and in calls that issue."""
    odd = json.dumps(record(**members)).encode()
    issues = json.dumps(issuing(**members)).encode()

    assert_same(native(raw(), odd, raw()), native(issues, odd), CLEAN)


TEXTS = [
    b'{"Records":[]}', b'{"Records":null}', b'{"Records":[{}]}', b"[]", b"[1]", b"{}", b"", b"[", b'{"Records":[', b"nul",
    CLEAN[:-1], CLEAN[:-2], CLEAN + b"x", CLEAN + b" \n", b"\xef\xbb\xbf" + CLEAN, CLEAN.decode().encode("utf-16"),
    CLEAN.replace(b'"Records"', b'"Rec\\u006frds"'), CLEAN.replace(b'"eventName"', b'"event\\u004eame"'),
    CLEAN.replace(b'{"Records":', b'{"a":1,"Records":'), CLEAN[:-1] + b',"Records":[]}', CLEAN.replace(b"},{", b"},,{"),
    CLEAN.replace(b"]}", b",]}"), CLEAN.replace(b"null,", b"nul,", 1), CLEAN.replace(b"true", b"t", 1),
    CLEAN.replace(b"aws-cli/2", b"aws\x01cli"), CLEAN.replace(b"aws-cli/2", b"aws\xffcli"), CLEAN.replace(b"aws-cli/2", b"\xed\xa0\x80"),
    CLEAN.replace(b"aws-cli/2", b"a\\ud800b"), CLEAN.replace(b"aws-cli/2", b"a\\ud83d\\ude00b"), CLEAN.replace(b"aws-cli/2", b"a\\x"),
    CLEAN.replace(b"aws-cli/2", b"a\\u12g4"), CLEAN.replace(b"aws-cli/2", b"aws\\u002dcli/2", 1), CLEAN.replace(b"aws-cli/2", b"a\x00b"),
    CLEAN.replace(b'"readOnly": true', b'"readOnly": true, "readOnly": false'),
    CLEAN.replace(b"null", b"01", 1), CLEAN.replace(b"null", b"-", 1), CLEAN.replace(b"null", b"1.", 1), CLEAN.replace(b"null", b"1e", 1),
    CLEAN.replace(b"null", b"NaN", 1), CLEAN.replace(b"null", b"1E+5", 1), CLEAN.replace(b"null", b"-0", 1), CLEAN.replace(b"null", b"[" * 70 + b"]" * 70, 1),
    CLEAN.replace(b"null", b"[" * 2000 + b"]" * 2000, 1), CLEAN.replace(b"null", b'{"a" 1}', 1), CLEAN.replace(b"null", b"{1:1}", 1),
    CLEAN.replace(b"null", b'{"a":1,}', 1), CLEAN.replace(b"null", b"[1 2]", 1), CLEAN.replace(b"null", b'"\xff"', 1), b"\0" * 30, b"[" + b" " * 100,
    native(*[raw(resources=[{"ARN": "x"}])[:-1] + b',"resources":[{"ARN":"y"},{"ARN":"z"}]}'] * 2),
    native(raw()[:-1] + b',"additionalEventData":{"bytesTransferredOut":7},"additionalEventData":null}'),
    native(raw(), raw(eventSource="aws:s3").replace(b"aws:s3", b"aws:s\\u0033")), CLEAN.replace(b"sts.", b"st\\u0073."),
]  # fmt: skip


@pytest.mark.parametrize("data", TEXTS, ids=range(len(TEXTS)))
def test_damaged_texts_read_alike(data: bytes) -> None:
    """What is no sound document is left to the ordinary way, and leaves nothing behind."""
    assert_same(CLEAN, data, CLEAN)


@given(st.lists(st.lists(RECORDS, max_size=4), max_size=4))
def test_random_records_read_alike(files: list[list[dict[str, Any]]]) -> None:
    """Random records of odd and usual types give the same rows either way."""
    assert_same(*(json.dumps({"Records": one}).encode() for one in files))


def mutated(data: bytes, chance: random.Random) -> bytes:
    """`data` with some bytes, tokens or stretches changed, taken out, doubled or moved."""
    for _ in range(chance.randint(1, 4)):
        at, size = chance.randrange(len(data) + 1), chance.choice((1, 1, 2, 8, 40))
        put = chance.choice(
            (
                b"",
                chance.randbytes(size),
                chance.choice(_TOKENS),
                data[chance.randrange(len(data) + 1) :][:size],
            )
        )
        data = data[:at] + put + data[at + chance.choice((0, 1, size)) :]
        if not data:
            return data
    return data


_TOKENS = (
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"0", b"-1.5e3", b'""', b"\\u0041", b"\\ud800",
    "é".encode(), b"\xff", b"\n", b"\0", b'"eventID":"x",', b'"resources":[{"ARN":"q"}],', b'"readOnly":null,',
)  # fmt: skip


def _mutations(seed: int, count: int) -> None:
    chance = random.Random(seed)
    some = [json.dumps(one).encode() for one in story(ordinary_day=False).world.records()[:60]]
    for _ in range(count):
        data = native(*chance.sample(some, chance.randint(1, 3)))
        assert_same(mutated(data, chance), data)


@settings(max_examples=3)
@given(st.integers(0, 2**32))
def test_mutated_files_read_alike(seed: int) -> None:
    """Bytes that were changed at random never make the two ways differ."""
    _mutations(seed, 40)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
def test_many_mutated_files_read_alike(seed: int) -> None:
    """Nor do they in tens of thousands of tries."""
    _mutations(seed, 5_000)


UNSOUND = b'"\xff"'


@pytest.mark.parametrize(
    "members",
    [
        b'"additionalEventData":{"success":false,"signInSessionArn":%b}', b'"additionalEventData":{"success":%b}',
        b'"additionalEventData":{"success":"false","grant_type":%b}', b'"additionalEventData":{"MFAUsed":%b}',
        b'"additionalEventData":{"SwitchFrom":%b}', b'"additionalEventData":{"other":%b,"success":false}',
        b'"sessionCredentialFromConsole":%b', b'"sharedEventID":%b', b'"requestParameters":{"roleArn":%b}',
        b'"responseElements":{"credentials":{"accessKeyId":%b}}', b'"userIdentity":{"userName":%b}',
        b'"resources":[{"ARN":%b}]', b'"resources":[{"type":%b}]', b'"errorCode":%b', b'"vpcEndpointId":%b',
    ],
)  # fmt: skip
@pytest.mark.parametrize("call", [raw(), json.dumps(issuing()).encode()], ids=["call", "issuing"])
def test_bytes_that_are_no_text_read_alike(members: bytes, call: bytes) -> None:
    """Wherever they stand: no failed call passes for one that issued, and what is noted is noted either way."""
    odd = call[:-1] + b"," + members % UNSOUND + b"}"

    assert_same(native(raw(), odd), CLEAN)


def _session(key: str, **more: Any) -> dict[str, Any]:
    """A caller whom more than the beginning must tell apart from others."""
    arn = "arn:aws:sts::111122223333:assumed-role/a-role-with-a-long-name/a-session-with-a-long-name"
    return {
        "type": "AssumedRole",
        "principalId": "AROAEXAMPLE:session",
        "arn": arn,
        "accessKeyId": key,
        **more,
    }


CALLERS = [
    *(_session(f"ASIAEXAMPLE{number}") for number in "123"), _session("ASIAEXAMPLE1", userName="ada"),
    _session("ASIAEXAMPLE1", userName="ad"), _session("ASIAEXAMPLE"), USER, {"type": "AWSService", "invokedBy": "x"},
]  # fmt: skip


@given(st.lists(st.lists(st.sampled_from(CALLERS), min_size=1, max_size=12), min_size=1, max_size=3))
def test_callers_that_begin_alike_are_told_apart(files: list[list[dict[str, Any]]]) -> None:
    """A caller who was met before is known by how it begins, and taken for another only if spelled alike to its end."""
    records = [native(*(raw(userIdentity=one) for one in callers)) for callers in files]

    assert_same(*records)
    _, rows = read(*records, compiled=True)
    told = [row["identity"]["key_id"] for row in rows["events"]]
    assert told == [one.get("accessKeyId") for callers in files for one in callers]


@pytest.mark.parametrize(
    "again", [b"null", json.dumps(CALLERS[1]).encode(), json.dumps(USER).encode(), b'"text"']
)
def test_the_last_caller_of_a_record_counts(again: bytes) -> None:
    """Also where the first of the two was met before."""
    met = raw(userIdentity=CALLERS[0])
    twice = met[:-1] + b',"userIdentity":' + again + b"}"

    assert_same(native(met, twice, met), native(twice))


def test_a_caller_who_was_met_is_known_up_to_the_end_of_a_file_and_no_further() -> None:
    """A file that ends anywhere in what would be known is read as ever: record for record, no byte behind it."""
    met = native(raw(userIdentity=CALLERS[0]))
    begun = raw(userIdentity=CALLERS[0]).index(b'"userIdentity"')
    for end in range(begun, len(met)):
        assert_same(met, met[:end])


def test_more_callers_than_are_noted_are_told_apart() -> None:
    """Of those that would be noted in one place the last is; the others are read."""
    keys = [f"ASIA{number:016}" for number in range(9_000)] * 2
    callers = [
        {"type": "IAMUser", "principalId": f"AIDA{key}", "accessKeyId": key, "userName": key * 4}
        for key in keys
    ]
    records = native(*(raw(userIdentity=one) for one in callers))

    _, rows = read(records, compiled=True)
    assert [row["identity"]["key_id"] for row in rows["events"]] == keys


@pytest.mark.parametrize("between", [b"\n", b"\r\n", b"\n\n", b" \n "])
@pytest.mark.parametrize("behind", [b'"accountId":', b'"userIdentity":', b'"eventVersion":"1.11",', b"{"])
@pytest.mark.parametrize("damaged", [False, True])
def test_lines_that_break_within_a_record_read_alike(between: bytes, behind: bytes, damaged: bool) -> None:
    """White space is white space: a record of JSON lines that another program has broken is whole."""
    lines = [raw(eventID=str(n)) for n in range(4)]
    assert behind in lines[1]
    lines[1] = lines[1].replace(behind, behind + between, 1)
    if damaged:
        lines[3] = lines[3][:-2]
    data = between.join(lines)

    assert_same(data)
    if not damaged:
        _, rows = read(data, compiled=True)
        assert (4, []) == (len(rows["events"]), rows["rejected"])


def test_an_object_that_breaks_late_leaves_nothing() -> None:
    """Rows, calls and ids of an object that turns out to be damaged at its end are taken back."""
    odd = json.dumps(issuing(eventID="odd", resources=[{"ARN": "left"}])).encode()
    broken = native(odd, raw(), odd) + b"x"
    assert expand(broken).broken is None

    assert_same(CLEAN, broken, CLEAN, native(odd))


def test_an_identity_that_was_taken_back_is_noted_nowhere() -> None:
    """A record with invalid characters is read anew, mended: only that is noted, and nothing of the first record."""
    odd = raw(userIdentity={"type": "IAMUser", "userName": "?"}, eventID="?")
    damaged = native(raw(), odd).replace(b'"?"', b'"\xff"')

    assert_same(damaged)
    segment = Segment(7)
    segment.add(damaged)
    tables = segment.tables()
    assert sorted(tables["identities"]["identity"].to_pylist()) == sorted(
        set(tables["events"]["identity"].to_pylist())
    )
    _, rows = read(damaged, compiled=True)
    assert {(1, "repaired: invalid characters or numbers")} == {
        (one["ordinal"], one["reason"]) for one in rows["rejected"]
    }


@pytest.mark.parametrize("enough", ["_ENOUGH", "_ENOUGH_BYTES"])
def test_many_rows_are_handed_over_in_parts(enough: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than are kept at once, or more of what calls were asked and answered, give the same as a few."""
    many = [raw(eventName=f"Call{n % 50}", resources=[{"ARN": f"arn:{n}"}]) for n in range(300)]
    many += [json.dumps(issuing(requestParameters={"roleArn": f"role/{n}"})).encode() for n in range(300)]
    objects = [native(*many), CLEAN, native(*many[::-1]), CLEAN]
    expected = read(*objects, compiled=False)

    taken: list[int] = []
    monkeypatch.setattr(quick, enough, 500)
    monkeypatch.setattr(Quick, "take", lambda self, own=Quick.take: taken.append(1) or own(self))
    assert read(*objects, compiled=True) == expected
    assert len(taken) == 3  # after each of the large ones, and at the end


SLOW = frozenset({"splunk-raw-csv", "splunk-table", "athena", "lake", "elastic-text"})
"""Carriers that nobody asks speed of: CSV, and Java's `toString()`."""
KINDS = (
    "lookup-events",
    "eventbridge",
    "sqs",
    "log-export",
    "elastic",
    "elastic-flattened",
    "ocsf-1.0",
    "ocsf-1.5",
    "ocsf-parquet-1.5",
)
"""One carrier of each kind."""


@pytest.mark.parametrize(
    "carrier",
    [one for one in carriers.WRITERS if one not in SLOW and not one.startswith("ocsf-parquet")],
)
def test_carriers_go_the_quick_way(carrier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every record of a sound carrier becomes a row without a Python object of its own."""
    ordinary: list[Batch] = []
    monkeypatch.setattr(Segment, "_add_batch", lambda self, batch: ordinary.append(batch))
    segment = Segment(7)
    summary = segment.add(carriers.WRITERS[carrier](morning()))

    told = [one for one in morning() if one["managementEvent"] or not carrier.startswith("lookup")]
    assert summary.records == segment.tables()["events"].num_rows == len(told)
    assert not ordinary


@pytest.mark.parametrize("carrier", sorted(carriers.WRITERS))
def test_carriers_read_alike(carrier: str) -> None:
    """Each carrier gives the same rows at once, in Python, and place by place."""
    assert_same_place_by_place(carriers.WRITERS[carrier](morning()))


@pytest.mark.parametrize("members", some(ODD, 2), ids=range(len(ODD)))
def test_odd_values_in_carriers_read_alike(members: dict[str, Any]) -> None:
    """An odd value in one of a carrier's records gives the same either way, its neighbours included."""
    sound = {"managementEvent": True}
    odd = sound | members
    some = [record(**sound), record(**odd), issuing(**odd), record(eventName="Other", **sound)]
    for carrier in KINDS:
        try:
            data = carriers.WRITERS[carrier](some)
        except (AttributeError, TypeError, ValueError, KeyError, pa.ArrowException):
            continue  # the writer knows no such record
        assert_same_place_by_place(data)


def _each_marked(value: Any, top: Any) -> Iterator[bytes]:
    """The JSON of `top`, time after time with a number too large for a float in another of the objects in `value`."""
    if isinstance(value, dict):
        value["zz"] = "MARK"
        yield json.dumps(top).replace('"MARK"', "1e400").encode()
        del value["zz"]
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _each_marked(inner, top)


@pytest.mark.parametrize(
    "carrier", ["json-lines", "eventbridge", "elastic-flattened", "ocsf-1.0", "ocsf-1.5"]
)
def test_numbers_too_large_cost_no_record(carrier: str) -> None:
    """A number beyond all floats, wherever in an event it stands, costs no record, whatever lies beside it."""
    (event,) = carriers.WRITERS[carrier]([issuing(managementEvent=True)]).splitlines()
    sound = json.loads(event)
    lines = [event, *_each_marked(sound, sound)]
    data = b"\n".join(lines)
    (summary,), rows = read(data, compiled=True)

    assert len(lines) > 3
    assert (len(lines), 0) == (summary.records, summary.rejected)
    assert {"AssumeRole"} == {one["name"] for one in rows["events"]}
    assert_same_place_by_place(data)
    assert_same_place_by_place(raw() + b"\n" + data)


def _mutated_carriers(seed: int, count: int) -> None:
    chance = random.Random(seed)
    some = story(ordinary_day=False).world.records()[:60]
    names = sorted(carriers.WRITERS.keys() - SLOW)
    for _ in range(count):
        data = carriers.WRITERS[chance.choice(names)](chance.sample(some, chance.randint(1, 3)))
        assert_same_place_by_place(mutated(data, chance), data)


@settings(max_examples=3)
@given(st.integers(0, 2**32))
@example(437)  # Parquet, in which a text that is hardly ever read is damaged
def test_mutated_carriers_read_alike(seed: int) -> None:
    """Bytes of carriers that were changed at random never make the ways differ."""
    _mutated_carriers(seed, 25)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
def test_many_mutated_carriers_read_alike(seed: int) -> None:
    """Nor do they in tens of thousands of tries."""
    _mutated_carriers(seed, 3_000)


@pytest.mark.parametrize("carrier", sorted(carriers.WRITERS))
def test_megabyte_events_read_alike(carrier: str) -> None:
    """A record of megabytes, in a request, an answer and a text that is a label, is read whole, its neighbours too."""
    big = "x" * 1_000_000
    some = [
        record(),
        issuing(requestParameters={"roleArn": "arn:aws:iam::111122223333:role/r", "policy": big}),
        record(userAgent=big, responseElements={"items": [{"value": big[:900_000]}] * 2}),
        record(eventName="Last"),
    ]
    some = [{"managementEvent": True} | one for one in some]
    data = carriers.WRITERS[carrier](some)
    (summary,), rows = read(data, compiled=True)

    assert (4, 0) == (summary.records, summary.rejected)
    assert {"ListBuckets", "AssumeRole", "Last"} == {one["name"] for one in rows["events"]}
    assert big in [one["agent"] for one in rows["events"]]
    assert_same_place_by_place(data)


@pytest.mark.parametrize("carrier", sorted(carriers.WRITERS))
def test_carriers_keep_the_endpoint(carrier: str) -> None:
    """Which VPC endpoint a call came through, and whose it is, no carrier loses."""
    through = {"vpcEndpointId": "vpce-0a1b2c3d", "vpcEndpointAccountId": "444455556666"}
    sound = {"managementEvent": True}
    _, rows = read(carriers.WRITERS[carrier]([record(**sound, **through), record(**sound)]), compiled=True)

    told = [(one["endpoint"], one["endpoint_account"]) for one in rows["events"]]
    assert [tuple(through.values()), (None, None)] == told
