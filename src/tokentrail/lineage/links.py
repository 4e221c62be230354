"""Links other than to a parent: what acts through a thing that a credential made or changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pyarrow as pa

from tokentrail.lineage.rows import Row
from tokentrail.store.interface import Engine


class Links:
    """The links of a forest: rows with `parent` and `child`, by place, and what was made, by which call and when."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine that knows the forest."""
        self._engine = engine
        self._any: bool | None = None

    def below(self, places: Collection[int]) -> Sequence[Row]:
        """Those from some credentials to what acts through things that they made or changed."""
        return self._with("parent", places)

    def above(self, places: Collection[int]) -> Sequence[Row]:
        """Those to some credentials from whoever made or changed what they act through."""
        return self._with("child", places)

    def _with(self, end: str, places: Collection[int]) -> Sequence[Row]:
        if self._any is None:
            self._any = bool(self._engine.rows("SELECT 1 AS one FROM links LIMIT 1"))
        if not self._any:
            return []
        self._engine.register("added", pa.table({"n": pa.array(sorted(places), pa.int64())}))
        return self._engine.table(
            f"SELECT l.* FROM links l JOIN added s ON s.n = l.{end} ORDER BY l.child, l.time, l.parent, l.what"
        ).to_pylist()
