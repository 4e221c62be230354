"""Security Lake's Parquet says what its JSON says, whatever stands in its columns."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from events_cases import tables

from evidence import thinned
from tokentrail.testing import carriers
from tokentrail.testing.story import story
from work import some

RECORDS = thinned(story().world.records(), 5)
VERSIONS = ("1.0", "1.1", "1.5")


def batch_of(version: str, records: list[Any]) -> pa.RecordBatch:
    """Records as a batch of Security Lake's rows."""
    file = pa.BufferReader(carriers.WRITERS[f"ocsf-parquet-{version}"](records))
    table = pq.read_table(file).combine_chunks()
    found: pa.RecordBatch = table.to_batches()[0]
    return found


def as_file(batch: pa.RecordBatch, rows: int = 1_000) -> bytes:
    """A batch as a file, in groups of so many rows."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_batches([batch]), sink, row_group_size=rows)
    return sink.getvalue().to_pybytes()


def without_nothing(value: Any) -> Any:
    """A row without what its columns have nothing in."""
    if isinstance(value, dict):
        return {name: without_nothing(one) for name, one in value.items() if one is not None}
    return [without_nothing(one) for one in value] if isinstance(value, list) else value


def as_lines(batch: pa.RecordBatch) -> bytes:
    """The same rows as JSON, one a line."""
    rows = batch.to_pylist(maps_as_pydicts="strict")
    return b"\n".join(json.dumps(without_nothing(row)).encode() for row in rows)


def with_column(batch: pa.RecordBatch, path: str, change: Any) -> pa.RecordBatch:
    """A batch in which each value of a field is what `change` makes of it and of its row."""
    names = path.split(".")
    rows = batch.to_pylist(maps_as_pydicts="strict")
    for at, row in enumerate(rows):
        around = row
        for name in names[:-1]:
            around = around[name] or {}
        around[names[-1]] = change(around.get(names[-1]), at)
    for row in rows:
        row["unmapped"] = list((row["unmapped"] or {}).items())
    return pa.RecordBatch.from_pylist(rows, batch.schema)


ODD: list[tuple[str, Any]] = [
    ("actor.user.credential_uid", lambda was, at: 'A"B'),
    ("actor.user.credential_uid", lambda was, at: "é" if at == 3 else was),
    ("actor.user.credential_uid", lambda was, at: "" if at % 2 else was),
    ("actor.session", lambda was, at: was and was | {"created_time": -5}),
    ("actor.session", lambda was, at: was and was | {"created_time": (0, 1 << 45, 1, None)[at % 4]}),
    ("actor.user.type", lambda was, at: "IdentityCenterUser"),
    ("metadata.uid", lambda was, at: f'id "{at}" \\ é'),
    ("metadata.uid", lambda was, at: ""),
    ("api.request.data", lambda was, at: (None, "", "{}", " {}", "[1]", "{a=b}", '{"a":1}x', '{"a":"é\\u0041"}', "nul")[at % 9]),
    ("api.response", lambda was, at: {"data": '{"a":' * 70 + "1" + "}" * 70, "error": (None, "", "AccessDenied")[at % 3]}),
    ("src_endpoint.ip", lambda was, at: ("", None, "192.0.2.1")[at % 3]),
    ("src_endpoint.domain", lambda was, at: ("", None)[at % 2]),
    ("http_request.user_agent", lambda was, at: ("", None, 'say "hi"\n\u2028')[at % 3]),
    ("unmapped", lambda was, at: (was or {}) | {"requestParameters.a": "1"}),
    ("unmapped", lambda was, at: {"requestParameters.a": "1", "requestParameters.a.b": "2", "requestParameters.c[1].d": "3"}),
    ("unmapped", lambda was, at: {"responseElements.a.b": "1", "responseElements.c": f"%s {at}", "responseElements.a.%d": "%", "requestParameters.é\"": "é"}),
    ("unmapped", lambda was, at: {"additionalEventData.bytesTransferredIn": "7", "additionalEventData.b": "1", "additionalEventData.bytesTransferredOut": "1e999"}),
    ("unmapped", lambda was, at: {"requestParameters.roleArn": "r", "requestParameters.roleSessionName.a": "s", "requestParameters.userName": ""}),
    ("unmapped", lambda was, at: {f"requestParameters.{n}": str(n + at % 2) for n in range(120)}),
    ("user", lambda was, at: {"uuid": ("", None, "u")[at % 3], "name": ("n%s", None, "")[at % 3], "uid": "i"}),
    ("unmapped", lambda was, at: {"requestParameters": "{}", "readOnly": "TRUE", "managementEvent": "", "vpcEndpointId": "v"}),
    ("unmapped", lambda was, at: {"userIdentity.type": "Root", "userIdentity.sessionContext.sourceIdentity": f"ada {at % 3}"}),
    ("unmapped", lambda was, at: {"additionalEventData.bytesTransferredOut": ("5", "1.5", "nan", "")[at % 4], "sharedEventID": "x"}),
    ("resources", lambda was, at: [[], None, [{"uid": None}], [{"uid": "a"}, {"uid": 'b"'}, {"uid": ""}]][at % 4]),
    ("resources", lambda was, at: [[], None, [{"uid": None}], [{"uid": "a"}], [{"uid": ""}]][at % 5]),
    ("class_uid", lambda was, at: 3001),
    ("api.operation", lambda was, at: ("AssumeRole", "ConsoleLogin", "CreateUser", "DeleteRole", "")[at % 5]),
]  # fmt: skip


@cache
def some_of_each() -> list[Any]:
    """A record of every kind of caller and call, with and without an answer."""
    found = {
        (
            one["userIdentity"].get("type"),
            one["eventName"],
            bool(one.get("responseElements")),
            one.get("errorCode"),
        ): one
        for one in RECORDS
    }
    return list(found.values())


@pytest.mark.parametrize(
    ("at", "version"),
    some(
        (
            (at, VERSIONS[(at + turn) % len(VERSIONS)])
            for at in range(len(ODD))
            for turn in range(len(VERSIONS))
        ),
        3,
    ),
)
def test_odd_columns_say_what_the_same_json_says(version: str, at: int) -> None:
    """Odd values in the place of any field: each row gives what its JSON gives, and what is refused is refused in its place."""
    path, change = ODD[at]
    batch = batch_of(version, some_of_each())
    if batch.schema.get_field_index(path.partition(".")[0]) < 0:
        return
    try:
        batch = with_column(batch, path, change)
    except KeyError:
        return  # this version has no such field

    assert tables(as_file(batch)) == tables(as_lines(batch))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_says_the_same_however_its_rows_are_grouped(version: str) -> None:
    """Columns that are parts of longer ones are read from where they begin, and each row is its own."""
    batch = batch_of(version, RECORDS)
    whole = tables(as_file(batch))

    assert whole == tables(as_lines(batch))
    assert whole == tables(as_file(batch, rows=7))
    assert [one["ordinal"] for one in tables(as_file(batch.slice(101, 57)))["events"]] == list(range(57))


KINDS: list[tuple[str, Any]] = [
    ("a caller that is text", ("actor", pa.array(["x"]))),
    ("a caller with lists", ("actor", pa.array([{"user": {"type": "Root", "groups": ["a", None]}}]))),
    (
        "nothing in a struct",
        ("actor", pa.array([None], pa.struct([("user", pa.struct([("type", pa.string())]))]))),
    ),
    ("a call that is text", ("api", pa.array(["x"]))),
    ("a product that is a list", ("metadata", pa.array([{"product": ["CloudTrail"], "uid": "i"}]))),
    ("no map", ("unmapped", pa.array([{"readOnly": "true", "userIdentity.type": "Root"}]))),
    ("a map of numbers", ("unmapped", pa.array([[("readOnly", 1)]], pa.map_(pa.string(), pa.int64())))),
    ("a time of day", ("time", pa.array([1], pa.time64("us")))),
    ("a time in text", ("time", pa.array(["1793491202000"]))),
    ("numbers", ("cloud", pa.array([{"region": 7, "account": {"uid": 111122223333}}]))),
    ("bytes", ("src_endpoint", pa.array([{"ip": b"\xff192.0.2.1"}]))),
]


@pytest.mark.parametrize(("name", "value"), KINDS[:], ids=lambda one: one if isinstance(one, str) else "")
def test_a_column_of_another_type_costs_what_it_says(name: str, value: tuple[str, pa.Array]) -> None:
    """A file whose column has another type than the schema says is read as far as it goes: nothing is raised or lost."""
    column, values = value
    batch = batch_of("1.5", RECORDS[:1])
    made = [values if one == column else batch.column(one) for one in batch.schema.names]
    found = tables(as_file(pa.RecordBatch.from_arrays(made, batch.schema.names)))

    assert found["events"] or found["rejected"], name
