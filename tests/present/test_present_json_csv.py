"""JSON, JSON lines and CSV."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from present_cases import KEY, NINE, SESSION, credential, event, plain, trace

from tokentrail.lineage.model import Created, Credential, Gap, TimelineEvent, TracedCredential
from tokentrail.present.document import columns, document, timestamp
from tokentrail.present.formats import json_csv
from tokentrail.present.formats.json_csv import (
    indented,
    write_csv,
    write_json,
    write_json_list,
    write_json_of,
    write_jsonl,
)
from tokentrail.results import Coverage, HourGap, IngestSummary, ObjectCounts, RecordCounts

CONTRACT = {
    "id",
    "access_key_ids",
    "kind",
    "account",
    "principal",
    "role",
    "session_name",
    "source_identity",
    "mfa",
    "issued_at",
    "expires_at",
    "expires_bound",
    "issued_by",
    "parent",
    "parent_link",
    "origin",
    "root",
    "depth",
    "state",
    "state_reason",
    "ended_at",
    "ended_by",
    "first_used",
    "last_used",
    "events",
    "errors",
    "source_ips",
    "used",
}


texts = st.text(st.characters(codec=None)) | st.text('\x00\x1f\x7f\u2028\u202e\ud800é😀\\"/\n')
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([0.5, 2.25, 2**64, -(2**70)]) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(shown=anything)
def test_json_is_what_python_writes(shown: Any) -> None:
    """To the byte, half surrogate pairs and numbers of any size among it."""
    assert indented(shown) == json.dumps(shown, ensure_ascii=True, indent=2)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_result_is_written_in_parts_as_in_one(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the byte, however many of its items are turned into text at once."""
    monkeypatch.setattr(json_csv, "_AT_ONCE", 2)
    found = trace(*(credential(id=f"A{n}") for n in range(count)))
    whole, parts = io.StringIO(), io.StringIO()
    write_json(document(found), whole)
    write_json_of(found, parts)

    assert parts.getvalue() == whole.getvalue()


def test_a_credential_has_the_names_of_the_contract() -> None:
    """Every name that others script against is there, with null for what is absent."""
    shown = document(plain(credential()))
    assert set(shown) >= CONTRACT
    assert "tainted" not in shown
    assert shown["issued_by"] == {
        "api": "AssumeRole",
        "event_id": "e-1",
        "source_ip": "203.0.113.77",
        "user_agent": "Boto3",
    }
    assert (shown["issued_at"], shown["parent"]) == ("2026-11-23T09:00:00Z", None)
    assert document(credential())["tainted"] is True


def test_times_are_utc_to_the_second() -> None:
    """A time in another zone is spelled in UTC, and so is one of a year with few digits."""
    assert timestamp(NINE.astimezone(timezone(timedelta(hours=9)))) == "2026-11-23T09:00:00Z"
    assert timestamp(NINE.replace(year=33)) == "0033-11-23T09:00:00Z"


def test_a_span_is_from_and_to() -> None:
    """Gaps are spelled with `from` and `to`, in coverage and in a trace alike."""
    gap = Gap(account="1", region=None, start=NINE, end=None, why="no events")
    assert document(trace(credential(), gaps=(gap,)))["gaps"] == [
        {
            "account": "1",
            "region": None,
            "from": "2026-11-23T09:00:00Z",
            "to": None,
            "why": "no events",
            "kind": "missing_log",
        }
    ]
    covered = Coverage(
        account="1",
        region="x",
        first=NINE,
        last=NINE,
        hours_seen=1,
        gaps=(HourGap(start=NINE, end=NINE),),
        read_only_events=True,
        write_events=True,
        data_events=False,
    )
    assert list(document(covered)["gaps"][0]) == ["from", "to"]


def test_a_trace_has_the_names_of_the_contract() -> None:
    """The parts of a trace are there, in order, empty or not."""
    assert list(document(trace(credential()))) == [
        "as_of",
        "subject",
        "credentials",
        "links",
        "created",
        "principals",
        "apis",
        "resources",
        "secrets_read",
        "gaps",
        "by_principal",
        "handed",
        "persons",
    ]
    made = Created(by=KEY, event_id="e", time=NINE, event_name="CreateUser", what="user", id="eve")
    assert set(document(made)) == {"by", "event_id", "time", "event_name", "what", "id"}


def test_an_ingest_summary_has_the_names_of_the_contract() -> None:
    """Counts of objects and records are nested as others expect them."""
    summary = IngestSummary(
        objects=ObjectCounts(read=1, repeated=0, skipped=0),
        records=RecordCounts(read=2, new=2, repeated=0, rejected=0),
        rejected=(),
        skipped=(),
        seconds=0.1,
    )
    assert document(summary)["objects"] == {"read": 1, "repeated": 0, "skipped": 0}
    assert document(summary)["records"] == {"read": 2, "new": 2, "repeated": 0, "rejected": 0}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(items=st.lists(st.dictionaries(st.text(), json_values, max_size=4), max_size=4))
def test_a_streamed_list_is_what_one_dump_would_be(items: list[dict[str, Any]]) -> None:
    """Writing an item at a time gives the same bytes as writing the list at once."""
    streamed, whole = io.StringIO(), io.StringIO()
    write_json_list(iter(items), streamed)
    write_json(items, whole)
    assert streamed.getvalue() == whole.getvalue()


@given(text=st.text(st.characters(codec=None)))
def test_json_is_printable_ascii(text: str) -> None:
    """Whatever a name holds, JSON shows it in printable ASCII, and gives it back."""
    single, lines = io.StringIO(), io.StringIO()
    write_json({"name": text}, single)
    write_jsonl([{"name": text}], lines)
    for stream in (single, lines):
        assert stream.getvalue().replace("\n", "").isascii()
        assert stream.getvalue().replace("\n", "").isprintable()
        assert json.loads(stream.getvalue()) == {"name": text}


def test_jsonl_is_a_line_for_each() -> None:
    """Each item is one line."""
    stream = io.StringIO()
    write_jsonl([document(event()), document(event(event_name="a\nb"))], stream)
    assert [json.loads(line)["event_name"] for line in stream.getvalue().splitlines()] == [
        "GetObject",
        "a\nb",
    ]


def read_csv(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_csv_has_a_column_for_each_value() -> None:
    """A nested value has columns of its own, a list is joined by spaces, absent is empty."""
    stream = io.StringIO()
    one = credential(source_ips=("203.0.113.77", "10.0.0.1"), issued_by=None)
    write_csv([document(one), document(credential())], columns(TracedCredential), stream)
    head, first, second = read_csv(stream.getvalue())
    assert (
        dict(zip(head, first, strict=True)).items()
        >= {
            "id": SESSION,
            "issued_by_api": "",
            "source_ips": "203.0.113.77 10.0.0.1",
            "tainted": "true",
            "parent": "",
            "depth": "0",
        }.items()
    )
    assert second[head.index("issued_by_source_ip")] == "203.0.113.77"
    empty = io.StringIO()
    write_csv([], columns(Credential), empty)
    assert read_csv(empty.getvalue()) == [list(columns(Credential))]


@given(text=st.text(st.characters(codec=None), min_size=1))
def test_no_cell_is_a_formula_or_acts_on_a_terminal(text: str) -> None:
    """No text of the evidence begins a formula, breaks a row, or moves a cursor."""
    stream = io.StringIO()
    write_csv([document(event(user_agent=text))], columns(TimelineEvent), stream)
    head, row = read_csv(stream.getvalue())
    assert row[head.index("user_agent")].lstrip(' \t"|;,')[:1] not in tuple("=+-@\t\r\n")
    assert stream.getvalue().replace("\n", "").isprintable()


def test_no_formula_begins_where_a_semicolon_cuts_a_cell() -> None:
    """Where the comma parts decimals, spreadsheets cut a cell at each semicolon; what else follows one stays so."""
    stream = io.StringIO()
    write_csv([{"a": "x;=HYPERLINK(1);y", "b": ["Mozilla/5.0 (X11; Linux)", "a;@SUM"]}], ["a", "b"], stream)
    assert read_csv(stream.getvalue())[1] == ["x;'=HYPERLINK(1);y", "Mozilla/5.0 (X11; Linux) a;'@SUM"]


def test_a_formula_behind_white_space_quotes_or_another_delimiter_stays_text() -> None:
    """Spreadsheets drop what stands before a formula, or cut the cell there."""
    hostile = [" =1+1", '"=1+1', "|=cmd", "\u00a0@SUM(1)", "' \t-1+1", "a|=1", 'a; "=1', f"a;{' ' * 99}=1"]
    stream = io.StringIO()
    write_csv([{"a": one} for one in hostile], ["a"], stream)
    cells = [cell for [cell] in read_csv(stream.getvalue())[1:]]
    assert [cell[0] for cell in cells[:5]] == ["'"] * 5
    assert cells[5:] == ["a|'=1", "a;' \"=1", f"a;'{' ' * 99}=1"]


def test_formulas_get_an_apostrophe() -> None:
    """The usual attack on a spreadsheet stays text; a number of ours stays a number."""
    stream = io.StringIO()
    write_csv([{"a": "=HYPERLINK(1)", "b": ["@x", "=y"], "c": -1}], ["a", "b", "c"], stream)
    assert read_csv(stream.getvalue())[1] == ["'=HYPERLINK(1)", "'@x =y", "-1"]
