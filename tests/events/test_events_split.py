"""Cutting objects into records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from events_cases import native, raw, record
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.events import fields as cutting
from tokentrail.events import split
from tokentrail.events.carriers import shapes, unwrap
from tokentrail.events.carriers.lost import DIGEST
from tokentrail.events.fields import fields
from tokentrail.events.record import CUT_OFF
from tokentrail.events.split import SWALLOWED, pieces, scan

ONE, TWO, THREE = raw(eventName="One"), raw(eventName="Two"), raw(eventName="Three")


def raws(data: bytes) -> list[bytes]:
    """The records of an object, none of which may be refused."""
    found = list(pieces(data))
    assert not [piece.reason for piece in found if piece.reason]
    return [piece.raw for piece in found]


def test_a_native_file() -> None:
    """The records of `Records`, in order and to the byte."""
    assert [ONE, TWO] == raws(native(ONE, TWO))


def test_an_empty_native_file_holds_nothing() -> None:
    """A file without records has none, and nothing is wrong with it; nor with an empty array."""
    assert [] == list(pieces(b'{"Records":[]}'))
    assert [] == list(pieces(b"[ ]"))


def test_a_pretty_printed_file() -> None:
    """White space between tokens changes nothing but the bytes."""
    pretty = json.dumps({"Records": [json.loads(ONE), json.loads(TWO)]}, indent=2).encode()

    assert [json.loads(ONE), json.loads(TWO)] == [json.loads(one) for one in raws(pretty)]


def test_an_array() -> None:
    """A JSON array of records."""
    assert [ONE, TWO] == raws(b"[" + ONE + b", " + TWO + b"]")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\n\n"])
def test_lines(end: bytes) -> None:
    """JSON lines, whatever ends a line."""
    assert [ONE, TWO, THREE] == raws(end.join([ONE, TWO, THREE]) + end)


def test_lines_of_native_files() -> None:
    """A line may be a whole native file."""
    assert [ONE, TWO, THREE] == raws(native(ONE, TWO) + b"\n" + native(THREE))


def test_a_single_record() -> None:
    """A record alone, compact or pretty-printed."""
    pretty = json.dumps(record(), indent=1).encode()

    assert [ONE] == raws(ONE)
    assert [pretty] == raws(pretty)


def lookup(*records: bytes) -> list[bytes]:
    """Elements of LookupEvents output that carry records."""
    return [json.dumps({"EventId": "x", "CloudTrailEvent": one.decode()}).encode() for one in records]


def test_lookup_events_output() -> None:
    """The records inside LookupEvents output: whole answers, arrays and lines of elements."""
    one, two = lookup(ONE, TWO)

    assert [ONE, TWO] == raws(b'{"Events":[' + one + b"," + two + b'],"NextToken":"t"}')
    assert [ONE, TWO] == raws(b"[" + one + b"," + two + b"]")
    assert [ONE, TWO] == raws(one + b"\n" + two)
    assert [ONE] == raws(one)


def test_a_damaged_lookup_element_gives_its_record_up() -> None:
    """A lone surrogate in one element of LookupEvents output costs a character, not the record."""
    one = lookup(raw(userAgent="x"))[0].replace(b'"x\\', b'"\\ud800\\').replace(b'\\"x', b'\\"\\ud800')

    assert 1 == len(raws(b'{"Events":[' + one + b"]}"))
    assert b"eventName" in raws(b'{"Events":[' + one + b"]}")[0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_byte_order_marks(encoding: str) -> None:
    """A byte-order mark is skipped, UTF-16 with or without one is read."""
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")

    assert [ONE, TWO] == raws(mark + native(ONE, TWO).decode().encode(encoding))
    assert [ONE, TWO] == raws(native(ONE, TWO).decode().encode(encoding))


QUOTED = json.dumps([ONE.decode(), TWO.decode()], indent=4).encode()


@pytest.mark.parametrize(
    "data",
    [
        QUOTED,
        QUOTED.replace(b"\n", b"\r\n"),
        b"".join(json.dumps(one.decode()).encode() + b"\n" for one in (ONE, TWO)),
        json.dumps(native(ONE, TWO).decode()).encode(),
        json.dumps([native(ONE).decode(), native(TWO).decode()]).encode(),
    ],
)
def test_records_that_stand_as_texts(data: bytes) -> None:
    """What `--query 'Events[].CloudTrailEvent'` and `jq` print holds each record as a JSON text."""
    assert [ONE, TWO] == raws(data)


@pytest.mark.parametrize(
    ("damaged", "kept"),
    [
        (QUOTED[:-40], [ONE]),
        (QUOTED[: QUOTED.rindex(b'"')], [ONE]),
        (QUOTED.replace(b"[", b"[x", 1), []),
        (QUOTED.replace(b'",\n', b'", x\n', 1), [ONE, TWO]),
        (
            QUOTED.replace(b"eventVersion", b"event\xffVersion", 1),
            [ONE.replace(b"eventV", "event\ufffdV".encode()), TWO],
        ),
    ],
)
def test_a_damaged_text_costs_itself(damaged: bytes, kept: list[bytes]) -> None:
    """The other texts are read, and what is none is named."""
    found = list(pieces(damaged))

    assert kept == [one.raw for one in found if not one.reason]
    assert (b"\xff" in damaged) != any(one.reason for one in found)


@pytest.mark.parametrize("cut", range(1, len(THREE) + 1, 23))
def test_truncated_json_keeps_whole_records(cut: int) -> None:
    """A file cut inside its last record keeps the ones before, and names the cut."""
    found = list(pieces(native(ONE, TWO, THREE)[: -cut - 2]))

    assert [ONE, TWO] == [piece.raw for piece in found if not piece.reason]
    assert 1 == len([piece for piece in found if piece.reason])


@pytest.mark.parametrize("tail", [b"", b"]", b","])
def test_a_file_cut_between_records_says_so(tail: bytes) -> None:
    """A native file that stops between two records is not taken for a whole one."""
    found = list(pieces(b'{"Records":[' + ONE + b"," + TWO + tail))

    assert [ONE, TWO] == [piece.raw for piece in found if not piece.reason]
    assert ["cut off after its last record"] == [piece.reason for piece in found if piece.reason]


def test_trailing_garbage_costs_nothing() -> None:
    """Brackets too many after the last record cost nothing; text there is named."""
    assert [ONE, TWO] == raws(native(ONE, TWO) + b"}]")
    assert ["text that is part of no record"] == [
        piece.reason for piece in pieces(native(ONE) + b" trailing words") if piece.reason
    ]


def test_records_side_by_side() -> None:
    """Objects without anything between them are told apart, also on one line of many."""
    assert [ONE, TWO] == raws(ONE + TWO)
    assert [ONE, TWO, THREE] == raws(ONE + TWO + b"\n" + THREE)


def test_one_record_that_does_not_close_costs_itself() -> None:
    """A record with a bracket too few ends where the next native record starts."""
    found = list(pieces(native(ONE, TWO.replace(b'"accountId"', b'"accountId":{"a"'), THREE)))

    assert [ONE, THREE] == [piece.raw for piece in found if not piece.reason]
    assert [CUT_OFF] == [piece.reason for piece in found if piece.reason]


def test_one_string_that_does_not_close_costs_itself() -> None:
    """A record with a quotation mark too few ends where the next native record starts."""
    found = list(pieces(native(ONE, TWO.replace(b'"Two"', b'"Two'), THREE)))

    assert [ONE, THREE] == [piece.raw for piece in found if not piece.reason]


def test_brackets_that_close_by_chance_cost_no_neighbour() -> None:
    """A damaged record that another damaged one's brackets close does not swallow the sound one between them."""
    first = raw(list=[{"a": "b"}]).replace(b'"list":[{"a":"b"}]', b'"list":[{"a":"b": [{"c":"d"}]')
    found = list(pieces(native(first, ONE, THREE + b"]}", TWO)))

    assert {ONE, TWO} <= {piece.raw for piece in found if not piece.reason}
    assert CUT_OFF in [piece.reason for piece in found]


def test_records_within_a_sound_record_are_a_part_of_it() -> None:
    """What looks like a record in a request that lists some is none, however its neighbours are damaged."""
    outer = raw(requestParameters={"items": [1, json.loads(ONE), json.loads(TWO)]})
    found = list(pieces(native(THREE.replace(b'"Three"', b'"Three'), outer, THREE)))

    assert [outer, THREE] == [piece.raw for piece in found if not piece.reason]
    assert SWALLOWED in [piece.reason for piece in found]


def test_a_list_of_resources_holds_no_record() -> None:
    """A record whose list of resources lost its end does not swallow its neighbours, though the file's brackets close it."""
    whole = raw(resources=[{"ARN": "a"}])
    assert whole.endswith(b'[{"ARN":"a"}]}')
    for neighbours in ([ONE], [ONE, TWO], [ONE, TWO, THREE, ONE]):
        found = list(pieces(native(whole[:-2], *neighbours)))

        assert neighbours == [piece.raw for piece in found if not piece.reason]
        assert CUT_OFF in [piece.reason for piece in found]


def test_one_line_that_is_cut_off_costs_itself() -> None:
    """Among JSON lines a cut line is refused, the others are kept."""
    found = list(pieces(b"\n".join([ONE, TWO[:-30], THREE])))

    assert [ONE, THREE] == [piece.raw for piece in found if not piece.reason]


def test_a_list_named_records_inside_a_record_is_no_envelope() -> None:
    """`Records` deep inside a request does not hide the records around it, in a damaged file neither."""
    inner = raw(requestParameters={"x": {"Records": [{"a": 1}]}})

    assert [ONE, inner] == [piece.raw for piece in pieces(b"[" + ONE + b"," + inner) if not piece.reason]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b" \n\0", "nothing but white space or zero bytes"),
        (b"Obj\x01\x04\x14avro.codec", "a file of Avro, which is not read: write it as JSON, CSV or Parquet"),
        (
            b"<Error><Code>AccessDenied</Code></Error>",
            "no JSON object in it, and no table with eventName and eventTime",
        ),
        (b'{"digestStartTime":"2024-03-01T00:00:00Z","logFiles":[]}', DIGEST),
        (b"\0\5\x16\7\0\2\0\0Mac OS X        ", "what macOS adds to archives, no record"),
        (b"\0\0\0\1Bud1\0\0\x10\0", "how macOS shows the folder (.DS_Store), no record"),
    ],
)
def test_objects_without_records_are_named(data: bytes, reason: str) -> None:
    """An object that holds no records says what it is, as a whole."""
    assert [(b"", reason)] == [(piece.raw, piece.reason) for piece in pieces(data)]


MOST_LOOKS = 8


def counted(work: Callable[..., Any], looked_at: list[int]) -> Callable[..., Any]:
    """`work`, which notes how many bytes it is given."""

    def counts(data: bytes, *more: Any) -> Any:
        looked_at.append(len(data))
        return work(data, *more)

    return counts


class CountedPattern:
    """An expression that notes how many bytes it walks over."""

    def __init__(self, pattern: re.Pattern[bytes], looked_at: list[int]) -> None:
        self._pattern, self._looked_at = pattern, looked_at
        self.sub = pattern.sub

    def finditer(self, data: bytes, start: int = 0) -> Iterator[re.Match[bytes]]:
        """Walk from match to match."""
        for match in self._pattern.finditer(data, start):
            start_of_string_without_end = match.group() == b'"'
            self._looked_at.append((len(data) if start_of_string_without_end else match.end()) - start)
            start = match.end()
            yield match
        self._looked_at.append(len(data) - start)


@pytest.mark.parametrize(
    "unit",
    [
        b"{", b"[", b'"', b'{"a":', b'{"a":"', b',{"eventVersion":', b"\\", b',{"eventVersion":[{}', b',{"eventVersion":[{}]',
        b'{"a" [,{"eventVersion":1},{"eventVersion":2}]},', b',{"eventVersion":1,,{"eventVersion":{}}', b'{"a":1}{', b"{}{", b'"\\',
        b'\\"',
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [200_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_hostile_input_is_looked_at_a_few_times(
    unit: bytes, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No byte of much of anything is handed to decoders and expressions more than some times."""
    looked_at = []
    places = [(split, name) for name in ("_decode_any", "_decode_list", "_sound_to", "unwrap")]
    for module, name in [*places, (unwrap, "unwrap"), (shapes, "fields")]:
        monkeypatch.setattr(module, name, counted(getattr(module, name), looked_at))
    for module, name in ((cutting, "_TOKEN"), (split, "_START")):
        monkeypatch.setattr(module, name, CountedPattern(getattr(module, name), looked_at))
    data = unit * (size // len(unit))
    list(pieces(data))

    assert len(data) <= sum(looked_at) <= MOST_LOOKS * len(data)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Any bytes at all are cut without an error."""
    list(pieces(data))
    fields(data)


@given(
    st.lists(
        st.sampled_from([ONE, TWO, THREE, b"{", b"}", b"[", b"]", b",", b'"', b"\\", b"\n", b'{"Records":['])
    )
)
def test_whole_records_survive_among_rubble(parts: list[bytes]) -> None:
    """Scanning rubble never fails, and never makes more records than there are."""
    found = [piece.raw for piece in scan(b" ".join(parts)) if not piece.reason]

    assert len(found) <= len(parts)


def test_fields_of_a_record() -> None:
    """Members are cut to their raw values, the last of a name wins, escapes in names are resolved."""
    found = fields(b'{"a" : {"b":[1,"}"]} , "c":"x\\"y","a":2, "error\\u0043ode":"AccessDenied"}')

    assert {"a": b"2", "c": b'"x\\"y"', "errorCode": b'"AccessDenied"'} == found
    assert fields(b"[1]") is None
