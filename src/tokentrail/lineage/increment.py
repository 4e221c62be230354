"""
What new segments change in what older ones were reduced to.

Almost always nothing. But where a record turns up a second time, it may be the older one that is set aside; then the
segment that holds it is reduced once more.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from tokentrail.lineage.grow import KEPT
from tokentrail.store.interface import Linker

_PLACE = "segment, object, ordinal"
_BEFORE = f"SELECT {_PLACE} FROM older_losers WHERE event_id IN (SELECT event_id FROM repeats)"
_NOW = f"SELECT {_PLACE} FROM new_losers WHERE segment NOT IN (SELECT segment FROM fresh)"


def set_aside_anew(engine: Linker, fresh: Iterable[int]) -> set[int]:
    """
    Settle what is set aside once repeated records were looked for in new segments and in older ones.

    Makes `new_losers` all that are set aside in the new segments, and in those older ones that this changes;
    answers the latter.
    """
    engine.register("fresh", pa.table({"segment": pa.array(sorted(fresh), pa.int64())}))
    changed = f"SELECT DISTINCT segment FROM (({_BEFORE} EXCEPT {_NOW}) UNION ALL ({_NOW} EXCEPT {_BEFORE}))"
    again = engine.table(changed)
    engine.register("again", again)
    engine.run("""
        CREATE TABLE settled AS
        SELECT * FROM new_losers
        WHERE segment IN (SELECT segment FROM fresh) OR segment IN (SELECT segment FROM again)
        UNION ALL
        SELECT event_id, segment, object, ordinal FROM older_losers
        WHERE segment IN (SELECT segment FROM again) AND event_id NOT IN (SELECT event_id FROM repeats)""")
    engine.run("DROP TABLE new_losers")
    engine.run("CREATE VIEW new_losers AS SELECT * FROM settled")
    return {row["segment"] for row in again.to_pylist()}


def rows(name: str, begins: Iterable[str]) -> str:
    """The query for a table of `KEPT`, from those whose names begin so, such as `new_` and `older_`."""
    return " UNION ALL ".join(f"SELECT * FROM {one}{name}" for one in begins)


def known(begins: Iterable[str], called: str = "") -> list[str]:
    """The statements that make the `KEPT` of all segments known, by names that begin so, from tables whose do so."""
    every = tuple(begins)
    return [f"CREATE VIEW {called}{name} AS {rows(name, every)}" for name in KEPT]
