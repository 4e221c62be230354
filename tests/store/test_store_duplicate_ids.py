"""Events that occur more than once are found without a table of all ids."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.store.duplicate_ids import OWNERS, Marks, common, owned_by, suspects, twice


def written(folder: Path, ids: list[bytes], name: str) -> Path:
    path = folder / name
    table = pa.table({"event_id": pa.array(ids, pa.binary(16)), "time": pa.array(range(len(ids)))})
    pq.write_table(table, path, compression="none", use_dictionary=False)
    return path


@pytest.mark.parametrize("at_once", [1 << 20, 100, 7])
def test_every_id_that_occurs_twice_is_suspected_however_many_are_sorted_at_once(
    tmp_path: Path, at_once: int
) -> None:
    """Within a file and across files, in one pass and in many, each copy of a repeated id is listed."""
    chance = random.Random(3)
    ids = [chance.randbytes(16) for _ in range(500)]
    again = chance.sample(ids, 40)
    files = [
        written(tmp_path, [*ids[:300], *again[:20]], "1"),
        written(tmp_path, [*ids[300:], *again[20:]], "2"),
    ]

    found = suspects(files, at_once)["event_id"].to_pylist()

    assert sorted([*again, *again]) == sorted(found)


def test_ids_that_share_half_their_bytes_are_suspected_and_left_to_the_exact_count(tmp_path: Path) -> None:
    """Two ids with the same first half are both listed, though neither is repeated."""
    ids = [b"12345678abcdefgh", b"12345678ABCDEFGH", b"other-----------"]

    assert sorted(ids[:2]) == sorted(suspects([written(tmp_path, ids, "1")])["event_id"].to_pylist())


def test_a_case_without_events_has_no_suspects() -> None:
    """No file at all: an empty list."""
    assert [] == suspects([])["event_id"].to_pylist()


MARKS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=30)


def marks(told: list[tuple[int, int]]) -> Marks:
    """Marks of ids that begin so, in segments of such numbers, sorted."""
    return np.sort(np.array([beginning * OWNERS + owner for beginning, owner in told], np.uint64))


@given(MARKS, MARKS)
def test_ids_of_two_layers_that_begin_alike_are_found_with_the_segments_that_hold_them(
    few: list[tuple[int, int]], many: list[tuple[int, int]]
) -> None:
    """All such beginnings, and of the many every segment that has one, however many do."""
    same = {beginning for beginning, _ in few} & {beginning for beginning, _ in many}

    found, owners = common(marks(few), marks(many))

    assert sorted(same) == found.tolist()
    assert {owner for beginning, owner in many if beginning in same} == owners
    both = [beginning for beginning, _ in few]
    assert sorted({one for one in both if both.count(one) > 1}) == twice(marks(few)).tolist()


@given(MARKS)
def test_segments_get_other_numbers_when_layers_become_one(told: list[tuple[int, int]]) -> None:
    """The ids stay the same; without numbers none is told."""
    assert marks([(one, 7 - owner) for one, owner in told]).tolist() == sorted(
        owned_by(marks(told), [7, 6, 5, 4, 3]).tolist()
    )
    assert marks([(one, 0) for one, _ in told]).tolist() == owned_by(marks(told), ()).tolist()


@pytest.mark.parametrize("some", [1, 2, 5])
def test_what_begins_alike_is_found_wherever_it_is_cut(monkeypatch: pytest.MonkeyPatch, some: int) -> None:
    """Marks are looked through some at a time."""
    monkeypatch.setattr("tokentrail.store.duplicate_ids._SOME", some)

    assert [1, 3] == twice(marks([(0, 0), (1, 0), (1, 2), (2, 0), (3, 1), (3, 1), (3, 2)])).tolist()
