"""Credentials that come later find the places that they would have if all had been placed at once."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.lineage.graft import Above, Kin, NoPlace, grafted
from tokentrail.lineage.number import GAP, labelled, number


@st.composite
def forests(draw: st.DrawFn) -> tuple[pa.Table, set[int]]:
    """Credentials, and which of them were there before: their parents were too."""
    count = draw(st.integers(1, 40))
    parents = [draw(st.one_of(st.none(), st.integers(0, one - 1))) if one else None for one in range(count)]
    moments = [draw(st.integers(0, 3)) for _ in parents]
    ids = [f"ASIA{one:04}" for one in draw(st.permutations(range(count)))]
    before: set[int] = set()
    for one, parent in enumerate(parents):
        if (parent is None or parent in before) and draw(st.booleans()):
            before.add(one)
    rows = pa.table({
        "who": pa.array(range(count), pa.int64()), "parent": pa.array(parents, pa.int64()),
        "moment": pa.array(moments, pa.int64()), "id": pa.array(ids, pa.string()),
    })  # fmt: skip
    return rows, before


def placed(rows: pa.Table) -> dict[int, dict[str, int]]:
    """All at once: a place of each."""
    ordered = rows.sort_by([("moment", "ascending"), ("id", "ascending")])
    given = pa.table({"ck": ordered["who"], "parent_ck": ordered["parent"].fill_null(-1)})
    return {row["ck"]: row for row in labelled(number(given)).to_pylist()}


@given(forests())
def test_what_is_placed_later_stands_where_it_would_have(forest: tuple[pa.Table, set[int]]) -> None:
    """Order, depth, roots and what lies in each tree are those of placing all at once; earlier places stay."""
    rows, before = forest
    told = {row["who"]: row for row in rows.to_pylist()}
    there = placed(rows.filter(pa.array([one in before for one in told])))
    fresh = rows.filter(pa.array([one not in before for one in told]))
    above = {one: Above(there[one]["n"], there[one]["root"], there[one]["depth"]) for one in before}
    kin: dict[int | None, Kin] = {}
    for parent in (None, *before):
        siblings = sorted(
            (one for one in before if told[one]["parent"] == parent),
            key=lambda one: (told[one]["moment"], told[one]["id"]),
        )
        starts = np.array([there[one]["n"] for one in siblings], np.int64)
        moments = np.array([told[one]["moment"] for one in siblings], np.int64)
        over = there.get(-1 if parent is None else parent)
        end = over["n"] + over["span"] if over else GAP * (2 * len(there) + 1)
        spans = np.array([there[one]["span"] for one in siblings], np.int64)
        ids = {there[one]["n"]: told[one]["id"] for one in siblings}
        used = int(starts[0]) - GAP if siblings else end - GAP
        kin[parent] = Kin(starts, starts + spans, moments, ids, used, end)

    came = {row["who"]: row for row in grafted(fresh, above, kin).to_pylist()}

    found, expected = there | came, placed(rows)
    order = sorted(told, key=lambda one: found[one]["n"])
    assert sorted(told, key=lambda one: expected[one]["n"]) == order
    for one, row in found.items():
        parent = told[one]["parent"]
        assert row["parent"] == (None if parent is None else found[parent]["n"])
        assert expected[one]["depth"] == row["depth"]
        inside = [other for other in order if row["n"] <= found[other]["n"] <= row["n"] + row["span"]]
        assert [other for other in inside if found[other]["root"] != row["root"]] == []
        wanted = expected[one]
        assert len(inside) == (wanted["span"] // GAP + 1) // 2
    assert all(row["n"] % GAP for row in came.values())


def test_a_ring_of_parents_is_not_placed() -> None:
    """Where it is cut depends on all of it, and what lies below it may have its place already."""
    rows = pa.table({"who": [1, 2], "parent": [2, 1], "moment": [5, 6], "id": ["a", "b"]})

    with pytest.raises(NoPlace):
        grafted(rows, {}, {})


def test_very_many_find_no_room() -> None:
    """Where there are more of them than numbers between two places."""
    rows = pa.table({
        "who": pa.array(range(5), pa.int64()), "parent": pa.array([None] * 5, pa.int64()),
        "moment": pa.array([0] * 5, pa.int64()), "id": pa.array(list("abcde"), pa.string()),
    })  # fmt: skip
    none = np.empty(0, np.int64)
    no_roots = Kin(none, none, none, {}, 0, 8)
    with mock.patch("tokentrail.lineage.graft.GAP", 8), pytest.raises(NoPlace):
        grafted(rows, {}, {None: no_roots})
