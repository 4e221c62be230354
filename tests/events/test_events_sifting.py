"""Records are sifted before they are decoded, and no record that may meet a question is lost by it."""

from __future__ import annotations

import json
from array import array
from typing import Any

import pytest
from events_cases import native, raw, record
from hypothesis import given, settings
from hypothesis import strategies as st

from tokentrail.events.quick import compiled
from tokentrail.events.sifting import Need, Needs, Sieve, Sifted

pytestmark = pytest.mark.skipif(not compiled(), reason="no C compiler was there when this was installed")

MEMBERS = ("errorMessage", "requestParameters", "userIdentity")
BITS = 60


def sifted(
    data: bytes, needs: Needs, *, ordinals: list[int], masks: list[int], columns: int = 1
) -> Sifted | None:
    """What the compiled way says of some records, each asked the questions of a mask."""
    split = [mask >> (BITS * at) & ((1 << BITS) - 1) for mask in masks for at in range(columns)]
    return Sieve(MEMBERS, needs).sift(
        data, array("i", ordinals).tobytes(), array("Q", split).tobytes(), columns, BITS
    )


def left(
    data: bytes, needs: Needs, *, ordinals: list[int], masks: list[int], columns: int = 1
) -> list[int] | None:
    """The questions that are left of each mask."""
    found = sifted(data, needs, ordinals=ordinals, masks=masks, columns=columns)
    if found is None:
        return None
    numbers = memoryview(found.masks).cast("Q").tolist()
    return [
        sum(part << (BITS * at) for at, part in enumerate(numbers[start : start + columns]))
        for start in range(0, len(numbers), columns)
    ]


texts = st.text(st.sampled_from('abcABC"\\\\é\u0130\u212a.-_0 '), max_size=40)
words = st.lists(st.text("abc.-_0", min_size=1, max_size=4).map(str.encode), min_size=1, max_size=3)
bars = st.none() | st.tuples(st.sampled_from(["<", "<=", ">", ">="]), st.sampled_from([0.0, 7.0, 12.5, 1e15]))
questions, members = st.sampled_from([0, 1, 61]), st.sampled_from(MEMBERS)
names = st.sampled_from([(b"a",), (b"b",), (b"ab", b"c")])
needed = st.lists(
    st.builds(Need, questions, members, words.map(tuple), bars, st.none())
    | st.builds(Need, questions, members, names, st.none(), members),
    max_size=5,
)
numbers = st.one_of(
    st.sampled_from([7, 12, 12.5, -1, 1e3, 10**15 - 1, 10**15, 10**16, True, None, [], {}]),
    st.sampled_from(["7", "07", " 7", "7 ", "12", "", "7e1", "1_0", "\u0667", '7"', "9" * 16]),
)
rows = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "errorMessage": texts,
            "requestParameters": st.dictionaries(st.text("abcABC._", max_size=2) | texts, texts | numbers),
        },
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None)
@given(rows=rows, needs=needed, plain=st.booleans(), data=st.data())
def test_both_ways_leave_the_same_questions(
    rows: list[dict[str, Any]], needs: list[Any], plain: bool, data: st.DataObject
) -> None:
    """What the compiled way leaves of questions is what looking at each member's spelling leaves; values are the same."""
    records = [record(**members) for members in rows]
    spelled = [json.dumps(one, ensure_ascii=plain).encode() for one in records]
    ordinals = data.draw(st.lists(st.integers(0, len(rows)), unique=True, min_size=1).map(sorted))
    mask = 0b11 | 1 << 61
    found = sifted(native(*spelled), needs, ordinals=ordinals, masks=[mask] * len(ordinals), columns=2)
    assert found is not None

    there = [one for one in ordinals if one < len(rows)]
    expected = [
        Sieve(MEMBERS, needs).left(mask, lambda name, at=at: json.dumps(records[at][name], ensure_ascii=plain).encode()
                                   if records[at].get(name) is not None else b"")  # type: ignore[misc]
        for at in there
    ]  # fmt: skip
    assert found.count == len(there)
    assert expected == left(native(*spelled), needs, ordinals=there, masks=[mask] * len(there), columns=2)
    for place, at in enumerate(there):
        for name in MEMBERS:
            assert getattr(found.record(place), name) == records[at].get(name)


def test_letters_that_may_be_spelled_otherwise_leave_a_question_open() -> None:
    """A word may stand in an escape, or be made of letters that are another's capital; case alone matters to none."""
    needs = [Need(0, "requestParameters", (b"kali",))]
    for text, open_ in (
        (b'"KaLi"', 1),
        (b'"kal"', 0),
        (b'"k\\u0061li"', 1),
        (b'"\xe2\x84\xaaali"', 1),
        (b'"\\\\x kal"', 0),
        (b"null", 0),
    ):
        data = native(raw(requestParameters="HERE").replace(b'"HERE"', text))

        assert left(data, needs, ordinals=[0], masks=[1]) == [open_]


@pytest.mark.parametrize(
    ("request_", "open_"),
    [
        (b'{"durationSeconds":43200}', 1),
        (b'{"durationSeconds":43199}', 0),
        (b'{"DURATIONSECONDS" : "900" , "x":1}', 0),
        (b'{"durationSeconds":"43200"}', 1),
        (b'{"durationSeconds":900,"inner":[{"durationSeconds":50000}]}', 1),
        (b'{"durationSeconds":900.5}', 1),
        (b'{"durationSeconds":" 900"}', 1),
        (b'{"durationSeconds":"900s"}', 1),
        (b'{"durationSeconds":[900]}', 1),
        (b'{"durationSeconds":null}', 1),
        (b'{"durationSeconds":0000000000000000}', None),
        (b'{"durationSeconds":"0000000000000001"}', 1),
        (b'{"minimumDurationSeconds":50000}', 0),
        (b'{"text":"\\"durationSeconds\\":50000"}', 0),
        (b'{"duration\\u0053econds":50000}', 1),
        (b'{"x":"\\u0021","durationSeconds":900}', 1),
        (b'["durationSeconds"]', 1),
        (b'"durationSeconds"', 1),
        (b"{}", 0),
    ],
)
def test_a_number_is_compared_where_it_is_plain(request_: bytes, open_: int | None) -> None:
    """What is surely on the wrong side of a bar meets nothing; whatever is no plain number leaves the question open."""
    needs = [Need(0, "requestParameters", (b"durationseconds",), (">=", 43200.0))]
    data = native(raw(requestParameters="HERE").replace(b'"HERE"', request_))

    assert (None if open_ is None else [open_]) == left(data, needs, ordinals=[0], masks=[1])
    if open_ is not None:
        assert open_ == Sieve(MEMBERS, needs).left(1, lambda name: request_)


@pytest.mark.parametrize(
    ("request_", "message", "open_"),
    [
        (b'{"roleArn":"arn:role/X"}', b'"by ARN:ROLE/x, again"', 1),
        (b'{"roleArn":"arn:role/X"}', b'"by arn:role/Y"', 0),
        (b'{"ROLEARN" : "arn:role/X", "inner":[{"rolearn":"arn:role/Y"}]}', b'"by arn:role/Y"', 1),
        (b'{"roleArn":"arn:role/X"}', b'"by arn:role\\/Y"', 1),
        (b'{"roleArn":"arn:role\\/X"}', b'"by arn:role/Y"', 1),
        (b'{"roleArn":"arn:role/\xc3\xa9"}', b'"by arn:role/Y"', 1),
        (b'{"roleArn":"arn:role/X"}', b'"by \xc3\xa9"', 1),
        (b'{"role\\u0041rn":"Y"}', b'"Y"', 1),
        (b'{"roleArn":["X"]}', b'"Y"', 1),
        (b'{"roleArn":7}', b'"Y"', 1),
        (b'{"roleArn":""}', b'"Y"', 0),
        (b'{"roleArn":null}', b'"null"', 0),
        (b'{"theRoleArn":"Y"}', b'"Y"', 0),
        (b'{"text":"roleArn","other":"Y"}', b'"Y"', 0),
        (b'{"roleArn":"%s"}' % (b"x" * 2048), b'"Y"', 0),
        (b'{"roleArn":"%s"}' % (b"x" * 2049), b'"Y"', 1),
        (b"null", b'"Y"', 0),
        (b"[%s]" % b",".join([b'{"roleArn":"X"}'] * 64), b'"Y"', 0),
        (b"[%s]" % b",".join([b'{"roleArn":"X"}'] * 65), b'"Y"', 1),
    ],
)
def test_a_text_is_looked_for_where_another_member_names_it(
    request_: bytes, message: bytes, open_: int
) -> None:
    """A record in which one member surely holds nothing that the other says under a name meets nothing."""
    needs = [Need(0, "errorMessage", (b"rolearn",), None, "requestParameters")]
    spelled = {"requestParameters": request_, "errorMessage": message}
    data = raw(requestParameters="HERE", errorMessage="THERE")
    data = native(data.replace(b'"HERE"', request_).replace(b'"THERE"', message))

    assert [open_] == left(data, needs, ordinals=[0], masks=[1])
    assert open_ == Sieve(MEMBERS, needs).left(1, lambda name: spelled[name])


def test_words_are_found_wherever_they_stand() -> None:
    """At the beginning, the end, and across any step of sixteen letters, and nowhere past the end."""
    for before in range(70):
        for after in (0, 1, 15, 16, 17):
            text = "." * before + "wOrd" + "." * after
            data = native(raw(requestParameters=text))

            assert left(data, [Need(0, "requestParameters", (b"word",))], ordinals=[0], masks=[1]) == [1]
            assert left(
                data, [Need(0, "requestParameters", (b"ward", b"wordy"))], ordinals=[0], masks=[1]
            ) == [0]


def test_of_a_member_twice_the_last_counts() -> None:
    """As for everybody who reads the record."""
    data = native(raw(errorMessage="b").replace(b'{"eventVersion"', b'{"errorMessage":"a","eventVersion"'))
    found = sifted(data, [], ordinals=[0], masks=[1])

    assert found is not None
    assert found.record(0).errorMessage == "b"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"Records":[]}',
        b'{"Records":null}',
        native(raw())[:-1],
        native(raw())[:-40],
        native(raw()) + b"x",
        native(raw(), b"1"),
        native(raw(), b'{"a":01}'),
        native(raw(), b'{"a":"\x01"}'),
        native(b'{"\\u0061":1}', raw()),
        native(raw(), b"[" * 100 + b"]" * 100),
        native(raw()).replace(b'"Records"', b'"Records":[],"Records"'),
        b"[" + raw() + b"]",
    ],
)
def test_what_is_no_clean_native_file_is_left_to_others(data: bytes) -> None:
    """It is refused as a whole, even where the damage lies behind the last record that was asked for."""
    assert sifted(data, [], ordinals=[0], masks=[1]) is None


def test_wrong_questions_are_errors() -> None:
    """What does not fit together is refused before anything is read."""
    with pytest.raises(ValueError, match="a mask for each ordinal"):
        sifted(native(raw()), [], ordinals=[0], masks=[])
    with pytest.raises(ValueError, match="a need of what is not there"):
        sifted(native(raw()), [Need(99, MEMBERS[0], (b"x",))], ordinals=[0], masks=[1])
