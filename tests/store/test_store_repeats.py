"""Events that occur more than once are found without a table of all ids."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokentrail.store.repeats import suspects


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
