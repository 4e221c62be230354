"""
Spell questions about CloudTrail's records as a query of SQL, in the dialect of Athena and CloudTrail Lake (Trino's).

Values come from evidence, which is hostile: each is a quoted literal, and stands in a query's parameters where the
service takes these, else in its place in the text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tokentrail.sources.following import Question
from tokentrail.sources.query_service import Query
from tokentrail.sources.spans import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of records: by which expressions it is searched, and by which partitions it is bounded."""

    name: str
    """The table as it stands in the text of a query."""
    select: str
    fields: Mapping[str, str]
    """By what is searched by, a condition with `{}` for a parameter; of equalities, an expression alone."""
    account: str
    region: str
    time: str
    numeric: bool = False
    """Whether `time` is milliseconds since 1970, and no text."""
    time_format: str = "%Y-%m-%dT%H:%M:%SZ"
    """How a time that is no number is spelled."""
    inline: bool = False
    """Whether values stand in the text, as the service takes no parameters."""
    days: str | None = None
    """The partition column of days."""
    day_format: str = ""
    date_parts: bool = False
    """Whether the partitions are `year`, `month` and `day`."""
    iceberg: bool = False
    """Whether the table is partitioned by `time_dt`."""
    partitions: Mapping[str, str] = field(default_factory=dict)
    """Partition columns of `account` and `region`."""

    def query(self, questions: Sequence[Question], accounts: Iterable[str], regions: Iterable[str]) -> Query:
        """The query that answers some questions at once, as each query costs what it scans."""
        parts = _Parts(self)
        window = min(one.window[0] for one in questions), max(one.window[1] for one in questions)
        bounds = [*parts.days(window)]
        for column, values in ((self.account, sorted(accounts)), (self.region, sorted(regions))):
            if values:
                bounds.append(parts.among(column, values))
                partition = self.partitions.get("account" if column == self.account else "region")
                if partition:
                    bounds.append(parts.among(partition, values))
        grouped: dict[tuple[Span, str], list[str]] = defaultdict(list)
        for one in questions:
            grouped[one.window, one.attribute].append(one.value)
        wanted = [
            f"({parts.between(span)} AND {parts.matches(self.fields[attribute], values)})"
            for (span, attribute), values in grouped.items()
        ]
        where = "\n  AND ".join([*bounds, "(" + "\n    OR ".join(wanted) + ")"])
        text = f"SELECT {self.select}\nFROM {self.name}\nWHERE {where}"
        return Query(text=text, parameters=tuple(parts.parameters), questions=tuple(questions))


class _Parts:
    """Puts conditions together, and collects their parameters, if there are any, in the order in which they stand."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.parameters: list[str] = []

    def _mark(self, value: str) -> str:
        if self._table.inline:
            return literal(value)
        self.parameters.append(literal(value))
        return "?"

    def among(self, column: str, values: Iterable[str]) -> str:
        return f"{column} IN ({', '.join(map(self._mark, values))})"

    def matches(self, condition: str, values: Sequence[str]) -> str:
        if "{}" not in condition:
            return self.among(condition, values)
        return "(" + " OR ".join(condition.replace("{}", self._mark(one)) for one in values) + ")"

    def between(self, span: Span) -> str:
        if self._table.numeric:
            self.parameters += [str(span[0] * 1000), str(span[1] * 1000 + 999)]
            return f"{self._table.time} BETWEEN ? AND ?"
        start, end = (datetime.fromtimestamp(one, UTC).strftime(self._table.time_format) for one in span)
        return f"{self._table.time} BETWEEN {self._mark(start)} AND {self._mark(end)}"

    def days(self, span: Span) -> Iterable[str]:
        """Bounds by partition, with a day more at the end since logs are filed by when they were delivered."""
        table = self._table
        first = datetime.fromtimestamp(span[0], UTC)
        last = datetime.fromtimestamp(span[1], UTC) + timedelta(days=1)
        if table.days:
            start, end = (self._mark(one.strftime(table.day_format)) for one in (first, last))
            yield f"{table.days} BETWEEN {start} AND {end}"
        if table.date_parts:
            self.parameters += [f"{first:%Y%m%d}", f"{last:%Y%m%d}"]
            parts = ("year", 10000), ("month", 100), ("day", 1)
            number = " + ".join(f'CAST("{name}" AS integer) * {factor}' for name, factor in parts)
            yield f"{number} BETWEEN ? AND ?"
        if table.iceberg:
            start, end = (self._mark(f"{one:%Y-%m-%d %H:%M:%S}") for one in (first, last))
            yield f'"time_dt" BETWEEN CAST({start} AS timestamp) AND CAST({end} AS timestamp)'


def literal(value: str) -> str:
    """
    A text as a literal of SQL, which is what Athena expects of an execution parameter that is a text.

    Nothing but the quote itself has a meaning within one (Trino documentation, 'Data types', 'VARCHAR').
    """
    return "'" + value.replace("'", "''") + "'"
