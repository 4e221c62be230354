"""Members of many small JSON objects, column by column: compiled or not, the same."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.events import members
from tokentrail.events.loose import text
from tokentrail.events.members import Members
from tokentrail.events.quick import compiled
from tokentrail.events.record import MISSING

needs_compiled = pytest.mark.skipif(not compiled(), reason="no C compiler was there when this was installed")


class Inner(msgspec.Struct):
    name: str | None = None
    flag: str | bool | None = None


class Outer(msgspec.Struct):
    first: str | None = None
    inner: Inner | None = None
    several: list[Inner] | None = None
    count: int | float | str | None = None
    last: str | None = None


def forgiving(value: dict[str, Any]) -> Outer:
    return Outer(first=text(value, "first"), last=text(value, "last"))


READ = Members(Outer, forgiving)


def columns(raws: list[Any], *, compiled: bool) -> tuple[list[list[Any]], list[int]]:
    """What is read, and what could not be."""
    odd: list[int] = []
    return [list(one) for one in READ(raws, odd, compiled=compiled)], odd


def quick(raws: list[Any]) -> Any:
    """What the compiled way says, which is nothing where it refuses."""
    assert members._pluck is not None
    return members._pluck(raws, READ._plan, members._decode_text, MISSING)


USUAL = (
    b'{"first":"a","inner":{"name":"b","flag":true},"several":[{"name":"c","flag":"d"}],"count":5,"last":"e"}'
)


@needs_compiled
def test_usual_objects_are_read_the_compiled_way() -> None:
    """Members inside others have their columns in their places; what is not there, or null, is None."""
    raws = [
        USUAL, MISSING, b"null", b"{}", b' { "last" : "\\u00e9\\"" , "other" : [1,{"first":"no"}] , "inner" : null } ',
        '{"count":"5","several":[],"inner":{},"first":"ä"}'.encode(), USUAL,
    ]  # fmt: skip
    found = quick(raws)

    assert [list(one) for one in found] == [
        ["a", None, None, None, None, "ä", "a"],
        ["b", None, None, None, None, None, "b"],
        [True, None, None, None, None, None, True],
        ["c", None, None, None, None, None, "c"],
        ["d", None, None, None, None, None, "d"],
        [5, None, None, None, None, "5", 5],
        ["e", None, None, None, 'é"', None, "e"],
    ]
    assert columns(raws, compiled=False) == ([list(one) for one in found], [])


@pytest.mark.parametrize(
    "odd",
    [
        b'{"first":5}', b'{"first":"a","first":"b"}', b'{"inner":{"name":"a","name":null}}', b'{"inner":[]}',
        b'{"inner":{},"inner":{"name":"x"}}', b'{"several":[{},{}]}', b'{"several":[null]}', b'{"several":{}}',
        b'{"several":[{"name":5}]}', b'{"several":[{"name":"a"}', b'{"several":[{"name":"a"}}', b'{"count":1.5}',
        b'{"count":-1}', b'{"count":1e3}', b'{"count":01}', b'{"count":true}', b'{"count":12345678901234567890}',
        b'{"first":"\xff"}', b'{"first":"\\ud800"}', b'{"first":"a\x00"}', b'{"first":"a', b'{"first":', b"{", b"", b"5", b"[]",
        b'"text"', USUAL + b"x", USUAL + USUAL, b'{"\\u0066irst":"a"}', b'{"inner":{"flag":1}}', b'{"x":' + b"[" * 70 + b"]" * 70 + b"}",
        msgspec.Raw(USUAL),
    ],
)  # fmt: skip
def test_odd_objects_are_read_alike(odd: Any) -> None:
    """One object that is spelled in another way, among usual ones, is read as where nothing was compiled."""
    raws = [USUAL, odd, b'{"last":"z"}']

    assert columns(raws, compiled=True) == columns(raws, compiled=False)
    assert columns(raws, compiled=True)[0][-1][::2] == ["e", "z"]


@needs_compiled
def test_texts_that_repeat_are_one() -> None:
    """A text that a column had just before is not made again; one that only ends alike is."""
    found = quick([b'{"first":"a long text"}', b'{"first":"a long text"}', b'{"first":"A long text"}'])

    assert found[0][0] is found[0][1]
    assert found[0] == ["a long text", "a long text", "A long text"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "first", "x"]), inner)
    ),
    max_leaves=4,
)
INNER = st.fixed_dictionaries({}, optional={"name": st.text(max_size=3) | JSON, "flag": st.booleans() | JSON})
OUTER = st.fixed_dictionaries({}, optional={
    "first": st.text(max_size=3) | JSON, "inner": INNER | JSON, "several": st.lists(INNER, max_size=2) | JSON,
    "count": st.integers(0, 10**6) | JSON, "last": st.text(max_size=3) | JSON, "more": JSON,
})  # fmt: skip
SPACED = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: ")])


@given(st.lists(st.tuples(OUTER, SPACED, st.booleans()), max_size=4))
def test_any_objects_are_read_alike(many: list[tuple[dict[str, Any], tuple[str, str], bool]]) -> None:
    """Whatever the objects hold, both ways read the same and find the same odd."""
    raws = [
        json.dumps(value, separators=between, ensure_ascii=plain).encode() for value, between, plain in many
    ]

    assert columns(raws, compiled=True) == columns(raws, compiled=False)


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=3), st.integers(0, 120))
def test_damaged_objects_are_read_alike(changes: list[tuple[int, int]], end: int) -> None:
    """So if some bytes of one were changed, or its end is gone."""
    damaged = bytearray(USUAL)
    for at, byte in changes:
        damaged[at % len(damaged)] = byte
    raws = [USUAL, bytes(damaged[: max(end, 1)]), USUAL]

    assert columns(raws, compiled=True) == columns(raws, compiled=False)


@needs_compiled
@pytest.mark.parametrize(
    "plan",
    [
        ((b"a", 9, 0),), ((b"a", 3, 1),), ((b"a", 0, 1), (b"b", 0, 0)), ((b"a", 3, -1),), ((b"a", 0),), (5,),
        ((b"a", 3, 1), (b"b", 3, 1), (b"c", 0, 0)),
    ],
)  # fmt: skip
def test_what_is_no_plan_is_refused(plan: Any) -> None:
    """A plan that doesn't hold together ends in an exception and not in memory that is nobody's."""
    with pytest.raises((ValueError, TypeError, SystemError)):
        members._pluck([USUAL], plan, members._decode_text, MISSING)


@needs_compiled
@pytest.mark.parametrize("kind", [members._OBJECT, members._LIST])
def test_what_fails_on_the_way_is_raised(kind: int) -> None:
    """An error of what makes texts is its own, however deep the text stands, and no refusal."""

    def decode(_: bytes) -> str:
        raise MemoryError

    inner = b'{"t":"\\n"}'
    with pytest.raises(MemoryError):
        members._pluck(
            [b'{"l":%b}' % (inner if kind == members._OBJECT else b"[%b]" % inner)],
            ((b"l", kind, 1), (b"t", 0, 0)),
            decode,
            MISSING,
        )
