"""Tables of the raw records that rules matched, and of what correlations count of them."""

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
    """Rows as an Arrow table."""
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table(
        [pa.array(one, field.type) for one, field in zip(columns, schema, strict=True)], schema=schema
    )


def enough_for(correlation: Correlation) -> str:
    """
    The SQL condition that a group must meet, in any span of time, to meet a correlation.

    A record that several rules matched is counted for each of them here, since telling records apart would take memory
    for each. This lets a few more groups through; what judges their matches counts each record once.
    """
    if correlation.way == "event_count":
        return f"sum(matches) >= {correlation.least}"
    if correlation.way == "value_count":
        return f"count(DISTINCT told) >= {correlation.least}"
    return f"count(DISTINCT told) >= {len(set(correlation.of))}"


def name_of(names: dict[str, str], rule: str) -> str:
    """The name of a correlation's field in one of its rules."""
    return names.get(rule) or names[""]


def fields_of(correlation: Correlation, rule: str) -> list[str]:
    """The fields by which a correlation groups or counts, in the names of one of its rules."""
    asked = [*correlation.group_by, *([correlation.value] if correlation.value else [])]
    return [name_of(names, rule) for names in asked]
