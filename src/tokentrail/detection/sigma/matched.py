"""What rules matched of raw records, and what correlations count of it, as tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from tokentrail.detection.sigma.reading import Correlation

MATCHED = pa.schema(
    {"rule": pa.int32(), "segment": pa.int64(), "object": pa.int32(), "ordinal": pa.int32()}.items()
)
COUNTED = pa.schema([*MATCHED, ("correlation", pa.int32()), ("grouped", pa.string()), ("value", pa.string())])
TOLD = {"event_count": "''", "value_count": "value", "temporal": "rule", "temporal_ordered": "rule"}
"""What tells apart the matches that a kind of correlation counts."""


def rows_of(rows: Iterable[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """Rows as a table."""
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table(
        [pa.array(one, field.type) for one, field in zip(columns, schema, strict=True)], schema=schema
    )


def enough_for(correlation: Correlation) -> str:
    """
    What a group must hold, in any span of time, to meet a correlation.

    That several rules matched one record is not looked at here, where it would take memory for each record: it lets
    through some groups more, and what judges their matches counts each record once.
    """
    if correlation.way == "event_count":
        return f"sum(matches) >= {correlation.least}"
    if correlation.way == "value_count":
        return f"count(DISTINCT told) >= {correlation.least}"
    return f"count(DISTINCT told) >= {len(set(correlation.of))}"


def name_of(names: dict[str, str], rule: str) -> str:
    """What a field is called in a rule."""
    return names.get(rule) or names[""]


def fields_of(correlation: Correlation, rule: str) -> list[str]:
    """The fields that group or are counted, as a rule calls them."""
    asked = [*correlation.group_by, *([correlation.value] if correlation.value else [])]
    return [name_of(names, rule) for names in asked]
