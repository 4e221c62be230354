"""Policy documents as logs hold them."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_cases import deny, older_than

from tokentrail.formatting import quoted
from tokentrail.policy.language.conditions import Condition
from tokentrail.policy.language.documents import EVERYTHING, Document, Malformed, parse


def test_the_document_of_the_consoles_revocation_is_read() -> None:
    """The policy that the console writes comes out as one statement with its cutoff."""
    document = parse(older_than(0))

    assert isinstance(document, Document)
    (statement,) = document.statements
    assert (
        Condition(operator="DateLessThan", key="aws:tokenissuetime", values=("2026-11-24T10:00:00.000Z",)),
    ) == statement.conditions


@pytest.mark.parametrize(
    "text",
    [
        '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}',
        '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["*"],"Resource":["*"]}]}',
        '{"Version":"2012-10-17","Statement":[{"Effect":"\\u0044eny","\\u0041ction":"\\u002a"}]}',
        quote('{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*"}]}'),
        quote('{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*"}]}', safe=""),
        '\ufeff {"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*"}]}\n',
    ],
)
def test_one_meaning_has_many_spellings(text: str) -> None:
    """A single statement, a text for a list, escapes and URL encoding make no difference."""
    document = parse(text)

    assert isinstance(document, Document)
    (statement,) = document.statements
    assert (statement.effect, statement.actions, statement.resources) == ("Deny", EVERYTHING, EVERYTHING)


def test_a_document_that_is_already_an_object_is_read() -> None:
    """Some carriers hold the document parsed."""
    assert parse(deny()) == parse(json.loads(deny()))


def test_booleans_and_numbers_in_conditions_are_texts() -> None:
    """IAM takes `true` and `"true"` alike."""
    document = parse(deny({"Bool": {"a": True}, "NumericLessThan": {"b": [3600, 1.5]}}))

    assert isinstance(document, Document)
    assert [item.values for item in document.statements[0].conditions] == [("true",), ("3600", "1.5")]


@pytest.mark.parametrize(
    "text",
    [
        None,
        5,
        "",
        "null",
        "[]",
        "not json",
        '{"Version":"2012-10-17"}',
        '{"Statement":["x"]}',
        '{"Statement":[{"Effect":"deny","Action":"*","Resource":"*"}]}',
        '{"Statement":[{"Effect":"Deny","Resource":"*"}]}',
        '{"Statement":[{"Effect":"Deny","Action":null}]}',
        '{"Statement":[{"Effect":"Deny","Action":"*","NotAction":"*"}]}',
        '{"Statement":[{"Effect":"Deny","Action":"*","Condition":[]}]}',
        '{"Statement":[{"Effect":"Deny","Action":"*","Condition":{"Bool":"x"}}]}',
        '{"Statement":[{"Effect":"Deny","Action":"*","Condition":{"Bool":{"k":{}}}}]}',
        '{"Statement":[{"Effect":"Deny","Effect":"Allow","Action":"*"}]}',
        '{"Statement":[{"Effect":"Deny","Action":"*","Condition":{"NumericEquals":{"k":NaN}}}]}',
        '{"Statement":' * 200_000,
        "[" * 1_000_000,
        '{"a":' + "1" * 10_000 + "}",
        "%" * 1_000,
        "x" * 10_000_000,
        '{"Statement":[{"Effect":"Deny","Action":"' + "*" * 10_000_000 + '"}]}',
    ],
)
def test_what_iam_would_not_have_stored_is_malformed(text: object) -> None:
    """Wrong types, doubled keys, depth and size give a reason, in a moment, and never an exception."""
    begun = time.thread_time()

    assert isinstance(parse(text), Malformed)
    assert time.thread_time() - begun < 60


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
elements = st.sampled_from(["Effect", "Action", "NotAction", "Resource", "Condition", "Principal", "Sid"])


@given(
    document=st.fixed_dictionaries(
        {"Statement": st.lists(st.dictionaries(elements, json_values | st.just("Deny")), max_size=2)}
    ),
    cut=st.integers(0, 200),
)
def test_no_document_breaks_the_reader(document: object, cut: int) -> None:
    """Whatever stands in a document, and wherever it is cut off, reading it gives a value."""
    text = json.dumps(document)

    for spelling in (document, text, text[:cut], quote(text)):
        assert isinstance(parse(spelling), Document | Malformed)


@given(text=st.text(max_size=300))
def test_quoted_text_is_fit_for_a_terminal(text: str) -> None:
    """Text of a log that stands in a sentence has no control characters, is short, and can be encoded."""
    shown = quoted(text)

    assert shown.isprintable()
    assert len(shown) <= 200
    shown.encode()
