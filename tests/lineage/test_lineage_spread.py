"""Numbering in rounds of joins gives what numbering in one process gives."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.lineage.grow import BY_AGE
from tokentrail.lineage.spread import in_rounds
from tokentrail.lineage.trees import number
from tokentrail.store.duck import DuckEngine


@st.composite
def forests(draw: st.DrawFn) -> pa.Table:
    """Credentials with any parents, rings among them, numbers with gaps, and times that many share."""
    count = draw(st.integers(0, 40))
    cks = draw(st.permutations([7 * one + 1000 * (one % 3) for one in range(count)]))
    parents = [draw(st.one_of(st.none(), st.sampled_from(cks))) for _ in cks]
    moments = [draw(st.one_of(st.none(), st.integers(1, 3))) for _ in cks]
    parents = [None if parent == ck else parent for ck, parent in zip(cks, parents, strict=True)]
    ids = [f"ASIA{one:04}" for one in draw(st.permutations(range(count)))]
    return pa.table({
        "ck": pa.array(cks, pa.int64()), "parent_ck": pa.array(parents, pa.int64()),
        "moment": pa.array(moments, pa.int64()), "id": pa.array(ids, pa.string()),
    })  # fmt: skip


@given(forests())
def test_roots_by_rounds_of_joins_are_those_of_pointer_doubling(rows: pa.Table) -> None:
    """Numbers, parents, roots and depths are the same for any forest, and for rings that false evidence holds."""
    engine = DuckEngine(threads=1)
    engine.register("given_parents", rows)
    engine.run("CREATE TABLE parents AS SELECT * FROM given_parents")
    expected = number(engine.table(BY_AGE))

    in_rounds(engine)

    found = engine.table("SELECT ck, n, parent, root, depth FROM places ORDER BY n")
    engine.close()
    assert expected.to_pylist() == found.to_pylist()


@given(
    st.integers(1, 40).flatmap(
        lambda count: st.lists(st.integers(-3, count + 3), min_size=count, max_size=count)
    )
)
def test_numbers_one_after_the_other_are_looked_up_as_those_with_gaps(parents: list[int]) -> None:
    """How a parent is found does not matter; a number below or above all others is nobody's."""
    near, far = (
        number(
            pa.table(
                {
                    "ck": [gap * one for one in range(len(parents))],
                    "parent_ck": [gap * one for one in parents],
                }
            )
        )
        for gap in (1, 1000)
    )

    assert near.drop_columns("ck") == far.drop_columns("ck")
    assert [1000 * one for one in near["ck"].to_pylist()] == far["ck"].to_pylist()
