"""
Combine the reduced tables of new segments with those of older ones.

New segments almost never change older ones. But if a new record repeats an old event id, the old record may be the one
that no longer counts; then its segment must be reduced again.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from tokentrail.lineage.grow import KEPT
from tokentrail.store.interface import Linker

_PLACE = "segment, object, ordinal"
_BEFORE = f"SELECT {_PLACE} FROM older_duplicates WHERE event_id IN (SELECT event_id FROM repeats)"
_NOW = f"SELECT {_PLACE} FROM new_duplicates WHERE segment NOT IN (SELECT segment FROM fresh)"


def set_aside_anew(engine: Linker, fresh: Iterable[int]) -> set[int]:
    """
    Find the older segments in which other records count now, and make `new_duplicates` complete for these, too.

    Args:
        engine: Knows `repeats`, the `new_duplicates` among all segments that were looked at, and `older_duplicates`.
        fresh: The numbers of the new segments.

    Returns:
        The numbers of those older segments.
    """
    engine.register("fresh", pa.table({"segment": pa.array(sorted(fresh), pa.int64())}))
    changed = f"SELECT DISTINCT segment FROM (({_BEFORE} EXCEPT {_NOW}) UNION ALL ({_NOW} EXCEPT {_BEFORE}))"
    again = engine.table(changed)
    engine.register("again", again)
    engine.run("""
        CREATE TABLE settled AS
        SELECT * FROM new_duplicates
        WHERE segment IN (SELECT segment FROM fresh) OR segment IN (SELECT segment FROM again)
        UNION ALL
        SELECT event_id, segment, object, ordinal FROM older_duplicates
        WHERE segment IN (SELECT segment FROM again) AND event_id NOT IN (SELECT event_id FROM repeats)""")
    engine.run("DROP TABLE new_duplicates")
    engine.run("CREATE VIEW new_duplicates AS SELECT * FROM settled")
    return {row["segment"] for row in again.to_pylist()}


def union_of(name: str, begins: Iterable[str]) -> str:
    """A query for one of `KEPT` over several tables, whose names begin so, such as `new_` and `older_`."""
    return " UNION ALL ".join(f"SELECT * FROM {one}{name}" for one in begins)


def all_segments(begins: Iterable[str], called: str = "") -> list[str]:
    """Statements that make a view of each of `KEPT`, with the prefix `called`, over tables with some prefixes."""
    every = tuple(begins)
    return [f"CREATE VIEW {called}{name} AS {union_of(name, every)}" for name in KEPT]
