"""Security Lake's Parquet, composed column by column: the same compiled, in Python, and row by row."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_events_quick import assert_same_place_by_place

from evidence import thinned
from tokentrail.events.carriers import arrow_columns, composing, ocsf, parquet, parquet_opened, parquet_plain
from tokentrail.events.carriers.composing import Rows
from tokentrail.events.carriers.ocsf_plain import parts
from tokentrail.testing import carriers
from tokentrail.testing.story import story
from work import some

RECORDS = thinned(story().world.records(), 5)
VERSIONS = ("1.0", "1.1", "1.5")


def batch_of(version: str, records: list[Any] = RECORDS) -> pa.RecordBatch:
    """Records as a batch of Security Lake's rows."""
    file = pa.BufferReader(carriers.WRITERS[f"ocsf-parquet-{version}"](records))
    table = pq.read_table(file).combine_chunks()
    found: pa.RecordBatch = table.to_batches()[0]
    return found


def as_file(batch: pa.RecordBatch) -> bytes:
    """A batch as a file."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_batches([batch]), sink)
    return sink.getvalue().to_pybytes()


def refuse(row: int) -> bytes:
    """In place of the ordinary way, which no row must need."""
    raise AssertionError(row)


def composed(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> list[bytes | None]:
    """Rows, the same compiled as in Python."""
    made = rows.made()
    with monkeypatch.context() as patch:
        patch.setattr(composing, "_compose", None)
        assert rows.made() == made
    return made


@pytest.mark.parametrize("version", VERSIONS)
def test_rows_are_composed_alike(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows of an account's days are composed, compiled or not, and say what the ordinary way says."""
    batch = batch_of(version)
    found = parquet_plain.texts(batch, refuse)
    monkeypatch.setattr(composing, "_compose", None)

    assert found is not None
    assert parquet_plain.texts(batch, refuse) == found
    assert_same_place_by_place(as_file(batch))


def test_a_slice_gives_its_own_rows() -> None:
    """Columns that are parts of longer ones are read from where they begin."""
    for version in VERSIONS:
        batch = batch_of(version)
        every, some = parquet_plain.texts(batch, refuse), parquet_plain.texts(batch.slice(101, 57), refuse)
        assert every is not None
        assert some is not None
        assert some[0] == every[0][101:158]


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
def test_odd_columns_are_composed_alike(version: str, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Odd values cost a row the quick way at most, and say what the ordinary way says of them."""
    path, change = ODD[at]
    batch = batch_of(version, some_of_each())
    if batch.schema.get_field_index(path.partition(".")[0]) < 0:
        return
    try:
        batch = with_column(batch, path, change)
    except KeyError:
        return  # this version has no such field
    whole = [ocsf.record(row)[0] for row in parquet._objects(batch)]
    assert parquet_plain.texts(batch, whole.__getitem__) is not None
    assert_same_place_by_place(as_file(batch))
    monkeypatch.setattr(composing, "_compose", None)
    assert_same_place_by_place(as_file(batch))


@given(st.lists(st.lists(st.integers(-1, 3), max_size=3)), st.booleans())
def test_runs_are_numbered(runs: list[list[int]], short: bool) -> None:
    """Rows have one number if they have the same run, none and -1 among them."""
    runs = [run[:1] if short else run for run in runs]
    flat = np.array([one for run in runs for one in run], np.int64)
    codes, packed = arrow_columns.distinct_runs(flat, np.array([len(run) for run in runs], np.int64))

    assert [np.frombuffer(packed[code], np.int64).tolist() for code in codes] == runs
    assert len(set(packed)) == len(packed)


DOTTED = st.lists(
    st.builds(
        lambda head, leaves: ".".join((head, *leaves)),
        st.sampled_from(("requestParameters", "responseElements", "additionalEventData")),
        st.lists(
            st.sampled_from(("a", "b", "%s", 'é"', "", "bytesTransferredOut", "bytesTransferredIn", "c[1]")),
            min_size=1,
            max_size=3,
        ),
    ),
    unique=True,
    max_size=6,
)


@given(DOTTED, st.data())
def test_members_by_dotted_names_are_told_alike(names: list[str], data: st.DataObject) -> None:
    """A template, met before or not, says what its members put together one by one do."""
    for _ in range(2):
        values = [data.draw(st.sampled_from(("1", "5.5", "%d", 'x"\\é', "nan", "", True, 7))) for _ in names]
        made = parts(zip(names, values, strict=True))
        found = parquet_opened.told(tuple(names), values)

        assert found.heads == set(made)
        assert found.text == "".join(f',"{name}":{bytes(value).decode()}' for name, value in made.items())


def test_columns_are_put_behind_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Constants, times, texts by number and each row's own, and objects, of which something else makes a row none."""
    rows = Rows(6)
    rows.constant("<")
    rows.times(np.array([1, 1793491202999, -1, (1 << 45) - 1, 0, 1 << 45]))
    rows.texts(np.array([1, -1, 0, 1, 0, 0]), ["é", "b"])
    rows.texts(None, pa.array(["x", "0", "1", "2", "3", "4", "5"], pa.string()).slice(1))
    rows.objects("o", np.array([0, 1, -1, 2, -1, -1]), ['{"a": [1, {}]}', "{}", "[]"])

    assert composed(rows, monkeypatch) == [
        b'<1970-01-01T00:00:00Zb0,"o":{"a": [1, {}]}',
        b'<2026-11-01T00:00:02Z1,"o":{}',
        "<é2".encode(),
        None,
        "<é4".encode(),
        None,
    ]


@pytest.mark.parametrize("time", [-1, 0, 1, 999, 1000, 1793491202999, (1 << 45) - 1, 1 << 45, 1 << 62])
def test_times_count_alike(time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time is composed as a document of that time alone has it: 0 says that the writer knew none."""
    rows = Rows(1)
    rows.times(np.array([time]))

    assert (composed(rows, monkeypatch)[0] or b"").decode() == (ocsf.moment(time, None) or "")


def test_columns_without_texts_are_composed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow keeps no offsets where there are no texts, nor anything where there are no rows."""
    none = pa.StringArray.from_buffers(0, pa.py_buffer(b""), pa.py_buffer(b""))
    for count in (0, 2):
        rows = Rows(count)
        rows.texts(np.full(count, -1), none)
        rows.objects("o", np.full(count, -1), none)
        assert composed(rows, monkeypatch) == [b""] * count
    if composing._compose is not None:
        assert composing._compose(2, (b"x", (b"\xff" * 16, b"", b""))) == [b"x", b"x"]
        assert composing._compose(0, ((None, b"", b""), (b"",))) == []


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=1), st.data())
def test_any_texts_are_composed_alike(texts: list[str], data: st.DataObject) -> None:
    """Whatever the texts are, each row has its own."""
    codes = data.draw(st.lists(st.integers(-1, len(texts) - 1), max_size=20))
    rows = Rows(len(codes))
    rows.texts(np.array(codes, np.int64), texts)
    rows.constant("|")

    assert rows.made() == [("" if code < 0 else texts[code]).encode() + b"|" for code in codes]


@pytest.mark.skipif(composing._compose is None, reason="no C compiler was there when this was installed")
@pytest.mark.parametrize(
    "column",
    [
        (b"1234567",), (b"12345678" * 3,), (None, b"\0" * 4, b""), (b"\x05" + b"\0" * 7, b"\0" * 8, b""), (1, 2, 3), (), "text",
        (b"\0" * 8, b"\0\0\0\0\x09\0\0\0", b"short"), (b"\0" * 8, b"\x02\0\0\0\x01\0\0\0", b"short"), (b"\0" * 8, b"\xff" * 8, b"x"),
        (b"\0" * 8, b"", b""), (b"\0" * 8, b"\0" * 8, b"", 5), (memoryview(b"\0" * 9)[1:], b"\0" * 8, b""), (b"\0" * 8, b"\0" * 3, b""),
    ],
)  # fmt: skip
def test_columns_that_lie_about_themselves_are_refused(column: Any) -> None:
    """Numbers beyond the texts, texts beyond the bytes, and other lengths than that of the rows raise."""
    assert composing._compose is not None
    with pytest.raises((ValueError, TypeError)):
        composing._compose(1, (b"a", column))
