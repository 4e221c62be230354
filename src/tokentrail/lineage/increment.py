"""
What new segments change in what older ones were reduced to.

Almost always nothing. But where a record turns up a second time, it may be the older one that is set aside; then the
segment that holds it is reduced once more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pyarrow as pa

from tokentrail.lineage.grow import REDUCED
from tokentrail.store.interface import Linker

KEPT = (*REDUCED, "losers")
"""What is kept of reduced segments; of older ones an engine knows it as `older_<name>`."""

_PLACE = "segment, object, ordinal"
_BEFORE = f"SELECT {_PLACE} FROM older_losers WHERE event_id IN (SELECT event_id FROM repeats)"
_NOW = f"SELECT {_PLACE} FROM losers WHERE segment NOT IN (SELECT segment FROM fresh)"


def set_aside_anew(engine: Linker, fresh: Iterable[int]) -> set[int]:
    """
    Settle what is set aside once repeated records were looked for in new segments and in older ones.

    Makes `losers` all that are set aside in the new segments, and in the older ones that this changes; answers these.
    """
    engine.register("fresh", pa.table({"segment": pa.array(sorted(fresh), pa.int64())}))
    changed = f"SELECT DISTINCT segment FROM (({_BEFORE} EXCEPT {_NOW}) UNION ALL ({_NOW} EXCEPT {_BEFORE}))"
    again = engine.table(changed)
    engine.register("again", again)
    engine.run("""
        CREATE TABLE settled AS
        SELECT * FROM losers
        WHERE segment IN (SELECT segment FROM fresh) OR segment IN (SELECT segment FROM again)
        UNION ALL
        SELECT event_id, segment, object, ordinal FROM older_losers
        WHERE segment IN (SELECT segment FROM again) AND event_id NOT IN (SELECT event_id FROM repeats)""")
    engine.run("DROP TABLE losers")
    engine.run("CREATE VIEW losers AS SELECT * FROM settled")
    return {row["segment"] for row in again.to_pylist()}


def rows(name: str, *, together: bool) -> str:
    """The query for a table of what was just reduced, `together` with that of older layers."""
    new = f"SELECT * FROM {name if name == 'losers' else f'new_{name}'}"
    return f"{new} UNION ALL SELECT * FROM older_{name}" if together else new


def count(engine: Linker, table: str) -> int:
    """How many rows a table has."""
    [found] = engine.table(f"SELECT count(*) AS rows FROM {table}").to_pylist()
    return int(found["rows"])


def numbers(names: Collection[str]) -> list[int]:
    """Segments as records name them."""
    return sorted(int(name, 16) for name in names)
