"""Reading one record from bytes that may be hostile."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from events_cases import issuing, native, raw, record, tables
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.events.record import MISSING, Record, SoundRecord, read

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.none()), st.just({"a": 1})
)


def test_records_are_taken_apart_alike() -> None:
    """Records read quickly and carefully have the same fields in the same places: a batch may hold both."""
    assert SoundRecord.__struct_fields__ == Record.__struct_fields__


def sound(data: bytes) -> tuple[Record, dict[str, str]]:
    """A record that must be readable, and its notes by field."""
    outcome = read(data)
    assert not isinstance(outcome, str), outcome
    found, notes = outcome
    return found, dict(notes)


OTHERS = [name for name in Record.__struct_fields__ if name != "errorCode"]


def plain(found: Record, name: str) -> Any:
    """A field's value, the bytes of one that stays raw."""
    value = getattr(found, name)
    return bytes(value) if isinstance(value, msgspec.Raw) else value


def test_a_sound_record_has_no_notes() -> None:
    """All is well with an ordinary record."""
    found, notes = sound(raw())

    assert {} == notes
    assert ("ListBuckets", True, "aws-cli/2") == (found.eventName, found.readOnly, found.userAgent)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("value", [7, "seven", True, 1.5, [1], {"a": 1}, None])
def test_a_wrong_type_costs_its_field_only(name: str, value: Any) -> None:
    """Whatever stands in one field, every other field is read, and a lost value is noted."""
    found, notes = sound(json.dumps(record(**{name: value})).encode())
    untouched = sound(json.dumps(record()).encode())[0]

    assert {one: plain(untouched, one) for one in OTHERS if one != name} == {
        one: plain(found, one) for one in OTHERS if one != name
    }
    assert {one.split(".")[0] for one in notes} <= {name}
    if value is not None and getattr(found, name) in (None, MISSING):
        assert notes


def test_numbers_where_text_is_expected_are_kept_as_text() -> None:
    """A number in a text field is spelled out, with a note."""
    found, notes = sound(raw(eventID=403))

    assert ("403", "a int where text is expected") == (found.eventID, notes["eventID"])


@pytest.mark.parametrize("value", [403, 1.5, True, False, [], {}, ["AccessDenied"], {"a": 1}, 0])
def test_an_error_code_of_any_type_is_an_error(value: Any) -> None:
    """A call whose `errorCode` is anything but null or absent never counts as successful."""
    assert sound(json.dumps(record(errorCode=value)).encode())[0].errorCode is not None


@pytest.mark.parametrize(
    "spelling",
    [
        b'"errorCode":NaN',
        b'"errorCode":"\\ud800"',
        b'"errorCode":"Access\xe9Denied"',
        b'"errorCode":' + b"[" * 1_200 + b"]" * 1_200,
        b'"errorCode":nonsense',
        b'"error\\u0043ode":"AccessDenied","userAgent":NaN',
        b'"userAgent":"x" "errorCode":"AccessDenied"',
    ],
)
def test_a_damaged_error_code_is_an_error(spelling: bytes) -> None:
    """However an `errorCode` is damaged, its call issues nothing."""
    one = json.dumps(issuing()).encode().replace(b'"readOnly"', spelling + b', "readOnly"')
    rows = tables(native(one))

    assert 1 == len(rows["events"])
    assert rows["events"][0]["error"] is not None
    assert [] == rows["issuances"]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b'"caf\xe9"', "caf\N{REPLACEMENT CHARACTER}"),
        (b'"x\\ud800y"', "x?y"),
        (b'"tab\there"', "tab\there"),
        (b'"ok\\u0000z"', "ok\0z"),
        (b"NaN", None),
        (b"nonsense", None),
    ],
)
def test_damaged_text_is_repaired_or_dropped(value: bytes, kept: str | None) -> None:
    """Invalid UTF-8, lone surrogates and control characters are replaced, what is no JSON is dropped; both noted."""
    found, notes = sound(raw().replace(b'"aws-cli/2"', value))

    assert kept == found.userAgent
    assert ("userAgent" in notes) == (value != b'"ok\\u0000z"')


@pytest.mark.parametrize("depth", [20_000, 200_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_nesting_costs_one_field(depth: int, opening: bytes, closing: bytes) -> None:
    """Nesting of any depth costs at most the field that has it."""
    middle = b"1" if closing == b"}" else b""
    found, notes = sound(
        raw().replace(
            b'"requestParameters":null', b'"requestParameters":' + opening * depth + middle + closing * depth
        )
    )

    assert {"requestParameters": "nested too deeply"} == notes
    assert "ListBuckets" == found.eventName


def test_duplicate_names_take_the_last() -> None:
    """Of a name that occurs twice the last counts, in the quick and the careful reader alike."""
    twice = raw(eventName="First").replace(b'"awsRegion"', b'"eventName":"Last","awsRegion"')

    assert "Last" == sound(twice)[0].eventName
    assert "Last" == sound(twice.replace(b'"aws-cli/2"', b"NaN"))[0].eventName


def test_a_megabyte_event() -> None:
    """An event of megabytes is read like any other."""
    found, notes = sound(raw(requestParameters={"policy": "x" * 4_000_000}, userAgent=7))

    assert ["userAgent"] == list(notes)
    assert len(bytes(found.requestParameters)) > 4_000_000


@pytest.mark.parametrize("data", [b"null", b"7", b'"text"', b"[1]", b"", b"nonsense"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    """Only a JSON object can be a record."""
    assert "not a JSON object" == read(data)


@given(st.dictionaries(st.sampled_from(Record.__struct_fields__), ODD), st.booleans())
def test_any_values(values: dict[str, Any], failed: bool) -> None:
    """No combination of values raises, and none turns a failed call into a successful one."""
    error = {"errorCode": "AccessDenied"} if failed else {}
    found, _ = sound(json.dumps({**record(**values), **error}).encode())

    assert not failed or "AccessDenied" == found.errorCode
