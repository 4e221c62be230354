"""What columns of the forest hold, as Python has it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from tokentrail.lineage.model import SecretRead
from tokentrail.lineage.rows import _provider, event_id, event_ids, made_of, object_of


@pytest.mark.parametrize(
    "text",
    [
        '{"userName": "a", "n": 123456789012345678901234567890, "x": [1.5, null, true], "twice": 1, "twice": 2}',
        '{"userName": "\\ud800"}',
        '{"n": 1e400}',
        '{"a": "\\u0000\\ud83d\\ude00é"}',
    ],
)
def test_what_a_column_of_json_holds_is_what_pythons_own_reader_says(text: str) -> None:
    """Half a surrogate pair and numbers beyond all bounds too, which the quicker reader refuses."""
    assert object_of(text) == json.loads(text)


@pytest.mark.parametrize("text", [None, "", "[1]", "null", '"text"', "3"])
def test_what_is_no_object_is_an_empty_one(text: str | None) -> None:
    """Members are asked of it."""
    assert object_of(text) == {}


@pytest.mark.parametrize("before", ["", '"half a pair":"\\ud800",'])
def test_what_is_nested_too_deeply_counts_as_no_object(before: str) -> None:
    """A column of a case that somebody else made may nest as deeply as they like: no answer ends over it."""
    assert object_of("{" + before + '"a":' + "[" * 100_000 + "]" * 100_000 + "}") == {}


@pytest.mark.parametrize("kind", [pa.binary(16), pa.binary()])
def test_event_ids_of_a_column_are_spelled_as_one_by_one(kind: pa.DataType) -> None:
    """Whole columns of ids, slices of them, and those with none or an odd one read as each id by itself."""
    raws = [bytes(range(start, start + 16)) for start in (0, 16, 100, 240 - 16)]
    texts: list[str | None] = [None] * 4
    for some, odd in (
        (raws, texts),
        ([*raws[:2], None, raws[3]], [None, None, "Odd", None]),
        ([None] * 4, texts),
        ([], []),
    ):
        table = pa.table({"raw": pa.array(some, kind), "text": pa.array(odd, pa.string())})
        for part in (table, table.slice(1, 2)):
            told = zip(part["raw"].to_pylist(), part["text"].to_pylist(), strict=True)
            assert event_ids(part["raw"], part["text"]) == [event_id(*one) or "" for one in told]
    short = pa.table({"raw": pa.array([b"ab", b"cd"], pa.binary()), "text": pa.nulls(2, pa.string())})
    assert event_ids(short["raw"], short["text"]) == [event_id(b"ab", None), event_id(b"cd", None)]


def test_records_made_together_are_those_made_one_by_one() -> None:
    """In the order that is asked for, and of no class whose members are other ones."""
    some = [
        SecretRead(credential=by, event_id=f"{place}", time=datetime(2026, 1, place, tzinfo=UTC), event_name="G", what=None)
        for place, by in enumerate("abc", 1)
    ]  # fmt: skip
    members = {name: [getattr(one, name) for one in some] for name in SecretRead.__dataclass_fields__}

    assert made_of(SecretRead, [2, 0], members) == (some[2], some[0])
    assert made_of(SecretRead, [], members) == ()
    with pytest.raises(TypeError, match="SecretRead"):
        made_of(SecretRead, [0], {"what": [None]})


@pytest.mark.parametrize(
    ("principal", "provider"),
    [
        ("arn:aws:iam::111122223333:oidc-provider/example.com/id/A1:aud:sub:with:colons",
         "arn:aws:iam::111122223333:oidc-provider/example.com/id/A1"),
        ("accounts.google.com:app:sub", "accounts.google.com"),
        ("cognito-identity.amazonaws.com:us-east-1:pool:us-east-1:identity", "cognito-identity.amazonaws.com"),
        ("arn:aws:iam::111122223333:oidc-provider/example.com", None),
        ("arn:aws:iam::111122223333:role/x:y", None),
        ("https://example.com:aud", None),
        ("nothing", None),
        ("." * 1_000_000, None),
        (None, None),
    ],
)  # fmt: skip
def test_the_provider_of_a_web_identity_is_what_its_callers_id_begins_with(
    principal: str | None, provider: str | None
) -> None:
    """`<provider>:<audience>:<subject>`; what is spelled otherwise names none, as long as it may be."""
    assert provider == _provider({"api": "AssumeRoleWithWebIdentity", "caller_principal": principal})
