"""Java's `toString()` of maps and lists."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.events.carriers.tostring import parse
from tokentrail.testing.tabled import java

NAMES = st.from_regex(r"[a-z][a-zA-Z]{0,8}", fullmatch=True)
WORDS = st.from_regex(r"[A-Za-z0-9/+:@.-][A-Za-z0-9/+:@. -]{0,12}[A-Za-z0-9/+:@.-]", fullmatch=True).filter(
    lambda one: one != "null"
)
VALUES = st.recursive(
    WORDS,
    lambda inner: st.dictionaries(NAMES, inner, max_size=4) | st.lists(inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{a=1, b={c=2}}", {"a": "1", "b": {"c": "2"}}),
        ("{expiration=Nov 30, 2024, 8:43:17 PM, x=1}", {"expiration": "Nov 30, 2024, 8:43:17 PM", "x": "1"}),
        ("{sessionToken=abc==, accessKeyId=ASIA1}", {"sessionToken": "abc==", "accessKeyId": "ASIA1"}),
        (
            "{tags=[{key=a, value=b}, {key=c, value=d}]}",
            {"tags": [{"key": "a", "value": "b"}, {"key": "c", "value": "d"}]},
        ),
        ("{keys=[one, two], none=null, empty={}}", {"keys": ["one", "two"], "none": None, "empty": {}}),
        ('{filter={"a": "b, roleArn=c"}, roleArn=d}', {"filter": {"a": "b, roleArn=c"}, "roleArn": "d"}),
        ('{policyDocument={"a": 1}, x=y}', {"policyDocument": '{"a": 1}', "x": "y"}),
        ('{policy={"Statement": []}}', {"policy": '{"Statement": []}'}),
        ('{policy={"arn": "a"}}', {"policy": {"arn": "a"}}),
        ("{policy={arn=a, policyName=b}}", {"policy": {"arn": "a", "policyName": "b"}}),
        ("{a=b} c=d}", {"a": "b} c=d"}),
        ("{roleArn=x, note=y, roleArn=evil}", {"roleArn": "x", "note": "y"}),
        ("plain, text", "plain, text"),
        ("null", None),
        ("", None),
    ],
)
def test_known_texts(text: str, expected: object) -> None:
    """Commas in values stay, JSON inside is JSON, policies stay text (not what is told of one), the first of two stands."""
    assert expected == parse(text)


@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=5))
def test_what_is_written_is_read(value: dict[str, object]) -> None:
    """Maps and lists of plain values come back as they were written."""
    assert value == parse(java(value))


@given(st.text(max_size=80) | st.text(alphabet='{}[]=,"a \\', max_size=80))
def test_any_text(text: str) -> None:
    """No text at all raises."""
    parse(text)
    parse("{" + text)
    parse("{a=" + text + "}")


@pytest.mark.parametrize(
    "unit", ["{a=", "[", "{a={", ", a=", '{"', 'a={"', "}", "{a=[", '={"a":[', "{a={b=}x", ", ", "]}"]
)
def test_hostile_texts_end_soon(unit: str) -> None:
    """No megabyte of anything takes more than seconds."""
    started = time.thread_time()
    for head in ("{", "{a=", "["):
        parse(head + unit * (300_000 // len(unit)))

    assert time.thread_time() - started < 60
