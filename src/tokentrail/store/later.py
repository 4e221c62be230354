"""
Tables that came later than others, and replace some of their rows: large files stay as they are while a case grows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from tokentrail.store.ranges import Range

Values: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"


@dataclass(frozen=True, slots=True)
class Gone:
    """Which rows of an earlier table count no more: those with any of some values, or of some pairs of them."""

    by: Mapping[str, Values]
    """By column: its values, sorted."""
    pairs: pa.Table | None = None
    """Values of several columns that are gone together."""
    _pairs: frozenset[tuple[Any, ...]] = field(init=False)

    def __post_init__(self) -> None:
        rows = zip(*(column.to_pylist() for column in self.pairs.columns), strict=True) if self.pairs else ()
        object.__setattr__(self, "_pairs", frozenset(rows))

    def tables(self, name: str) -> dict[str, tuple[pa.Table, list[str]]]:
        """What is gone as tables, by names that begin so: each with its columns, which are those of the rows."""
        found = {
            f"{name}_gone_{column}": (pa.table({column: pa.array(values, pa.int64())}), [column])
            for column, values in self.by.items()
            if len(values)
        }
        if self.pairs is not None and self.pairs.num_rows:
            found[f"{name}_gone_pairs"] = (self.pairs, self.pairs.column_names)
        return found

    def still_wanted(self, by: str, wanted: Sequence[Range]) -> Sequence[Range]:
        """Those of some ranges of a column of which some row may still count: not single values that are gone."""
        values = self.by.get(by)
        if values is None or not len(values) or not wanted:
            return wanted
        lows, highs = np.array(wanted, np.int64).T
        there = values[np.minimum(np.searchsorted(values, lows), len(values) - 1)] == lows
        return [one for one, gone in zip(wanted, (there & (lows == highs)).tolist(), strict=True) if not gone]

    def left(self, rows: pa.Table) -> pa.Table:
        """Those of few rows that still count."""
        keep = np.ones(rows.num_rows, dtype=bool)
        for column, values in self.by.items():
            if len(values) and rows.num_rows:
                asked = rows[column].to_numpy()
                at = np.minimum(np.searchsorted(values, asked), len(values) - 1)
                keep &= values[at] != asked
        if self._pairs and self.pairs is not None:
            told = zip(*(rows[name].to_pylist() for name in self.pairs.column_names), strict=True)
            keep &= np.fromiter((one not in self._pairs for one in told), dtype=bool, count=rows.num_rows)
        return rows if keep.all() else rows.filter(pa.array(keep))
