"""
Sigma's correlations: in each group and span of time, how many events, how many values, all rules, or all in order.

Source: Sigma specification, 'Sigma Correlation Rules'.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

import pyarrow as pa

from tokentrail.detection.context import DetectionContext
from tokentrail.detection.growing_table import GrowingTable
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.sigma.backend import COLUMNS, SEEN
from tokentrail.detection.sigma.fields import Field
from tokentrail.detection.sigma.hits import FIRST, MATCHED_CALLS
from tokentrail.detection.sigma.reading import Correlation, SigmaRules
from tokentrail.events.values import hide_secrets
from tokentrail.formatting import at, counted, enumerated, lasting
from tokentrail.lineage.rows import Row, event_id

_BETWEEN = "\x1f"
"""What stands between the fields that group."""
_MOST = 2_000
"""Characters of a field that groups or is counted: more tells nothing apart."""
_TOGETHER = 20_000
"""Records whose fields are put aside at a time."""
_KINDS: dict[str, Any] = {
    "counted": pa.int32(), "segment": pa.int64(), "object": pa.int32(), "ordinal": pa.int32(),
    "grouped": pa.string(), "value": pa.string(),
}  # fmt: skip
_TOLD = pa.schema(list(_KINDS.items()))
_CALL = f"""
    SELECT e.segment, e.object, e.ordinal, e.identity, e.time, e.event_id, e.event_id_text, i.arn,
           coalesce(e.account, i.account) AS account, {{rule}} AS rule, {{grouped}} AS grouped, {{value}} AS value
    {MATCHED_CALLS} AND r.rule = {{rule}}
    LEFT JOIN some_identities i ON i.segment = e.segment AND i.identity = e.identity"""
_WITH_TOLD = """
    JOIN some_sigma_told t ON t.segment = e.segment AND t.object = e.object AND t.ordinal = e.ordinal
    AND t.counted = {counted}"""
_ASKED = """
    SELECT segment, object, ordinal, list(counted ORDER BY counted) AS counted FROM some_sigma_asked
    GROUP BY segment, object, ordinal ORDER BY segment, object, ordinal"""
_SEEN = f"""
    SELECT m.*, w.n, {FIRST} AS event, row_number() OVER (ORDER BY m.grouped, m.time, m.event_id, m.rule) AS pos
    FROM sigma_counted m LEFT JOIN identity_credentials w ON w.segment = m.segment AND w.identity = m.identity"""
"""Few calls are set aside before anybody looks for whose they are: all callers are then not held in memory."""
_SPANS = """
    SELECT *, coalesce(bool_or(reached) OVER after, FALSE) AS belongs,
           CASE WHEN reached AND NOT coalesce(bool_or(reached) OVER before, FALSE) THEN time END AS stretch
    FROM ({reached})
    WINDOW after AS (PARTITION BY grouped ORDER BY time RANGE BETWEEN CURRENT ROW AND {seconds} FOLLOWING),
           before AS (PARTITION BY grouped ORDER BY time RANGE BETWEEN {seconds} PRECEDING AND 1 PRECEDING)"""
"""What belongs to a span that meets a correlation; a stretch is of such spans that have matches in common."""
_IN_ORDER = f"""
    SELECT s.*, o.last AS reached, TRUE AS belongs, CASE WHEN o.last THEN s.pos END AS stretch
    FROM {SEEN} s JOIN sigma_in_order o ON o.pos = s.pos"""
_HITS = """
    SELECT grouped, count(*) AS count, min(event, {most}) AS first, min(met) AS met, max(event.time) AS last,
           count(DISTINCT stretch) AS stretches, arg_min({{'n': n}}, event) AS by,
           [one.n FOR one IN list_slice(list_sort(
             list(DISTINCT {{'age': age, 'id': id, 'n': n}}) FILTER (n IS NOT NULL)), 1, {places})] AS places,
           list(DISTINCT arn) FILTER (n IS NULL AND arn <> '') AS principals,
           list(DISTINCT account) FILTER (account <> '') AS accounts
    FROM (
      SELECT m.*, c.id, coalesce(c.issued_at, c.first, c.created_time, 0) AS age FROM (
        SELECT grouped, event, any_value(n) AS n, any_value(arn) AS arn, any_value(account) AS account,
               min(time) FILTER (reached) AS met, any_value(stretch) AS stretch
        FROM ({spans}) WHERE belongs GROUP BY grouped, event
      ) m LEFT JOIN credentials c ON c.n = m.n
    ) GROUP BY grouped ORDER BY grouped"""


@dataclass(frozen=True, slots=True)
class _Counted:
    """A rule that a correlation counts, and the fields by which it does, as that rule calls them."""

    correlation: int
    rule: int
    group: tuple[str, ...]
    value: str | None

    @property
    def group_told(self) -> bool:
        """Whether records must tell the group."""
        return not all(name in COLUMNS for name in self.group)

    @property
    def told(self) -> bool:
        """Whether records must tell the group or the value."""
        return self.group_told or (self.value is not None and self.value not in COLUMNS)

    def calls(self, number: int, *, told: bool = True) -> str:
        """A query for what the rule matched, with group and value; without those that records must tell if need be."""
        grouped = "t.grouped" if self.group_told else _grouped(self.group)
        value = "''" if self.value is None else f"coalesce({COLUMNS.get(self.value, 't.value')}, '')"
        if not told:
            return _CALL.format(rule=self.rule, grouped="''" if self.group_told else grouped, value="''")
        joined = _WITH_TOLD.format(counted=number) if self.told else ""
        return _CALL.format(rule=self.rule, grouped=grouped, value=value) + joined


def correlated(context: DetectionContext, rules: SigmaRules) -> Iterator[tuple[Rule, Hit]]:
    """For each correlation and group that meets it, all that does."""
    places = {one.rule.id: number for number, one in enumerate(rules.simple)}
    counted_ = [
        _Counted(number, places[name], tuple(_name(names, name) for names in one.group_by),
                 _name(one.value, name) if one.value else None)
        for number, one in enumerate(rules.correlations) for name in dict.fromkeys(one.of)
    ]  # fmt: skip
    _tell(context, rules.correlations, counted_)
    for number, one in enumerate(rules.correlations):
        yield from ((one.rule, hit) for hit in _hits(context, one, number, counted_, places))


def _name(names: dict[str, str], rule: str) -> str:
    """The name of a correlation's field in one of its rules."""
    return names.get(rule) or names[""]


def _grouped(names: Sequence[str]) -> str:
    """The group of a record as SQL, spelled as `_shown` spells what records tell."""
    told = [
        f"replace(substr(coalesce({COLUMNS[name]}, ''), 1, {_MOST}), '{_BETWEEN}', ' ')" for name in names
    ]
    return f" || '{_BETWEEN}' || ".join(told) or "''"


@lru_cache(maxsize=1 << 14)  # who calls is told again and again
def _shown(told: str) -> str:
    """A field's text fit to be shown: without secrets, and not too long."""
    return hide_secrets(told)[:_MOST].replace(_BETWEEN, " ")


def _tell(
    context: DetectionContext, correlations: Sequence[Correlation], counted_: Sequence[_Counted]
) -> None:
    """Read the records that must tell what groups them or what is counted of them."""
    wanted: list[str] = []
    for number, one in enumerate(counted_):
        if one.told:
            calls = one.calls(number, told=False)
            if not one.group_told:  # in a group with too few matches values need not be known
                alike = [
                    each.calls(0, told=False) for each in counted_ if each.correlation == one.correlation
                ]
                enough = f"sigma_enough_{number}"
                _keep_enough(context, enough, correlations[one.correlation], " UNION ALL ".join(alike))
                calls = f"SELECT * FROM ({calls}) WHERE grouped IN (SELECT grouped FROM {enough})"
            wanted.append(f"SELECT segment, object, ordinal, {number} AS counted FROM ({calls})")
    told = context.growing_table("sigma_told")
    told.add(_TOLD.empty_table())
    if wanted:
        context.batched_table("sigma_asked", " UNION ALL ".join(wanted))
        _tell_of(context, counted_, told)
    told.register()


def _tell_of(context: DetectionContext, counted_: Sequence[_Counted], told: GrowingTable) -> None:
    fields = [
        ([Field.of(name) for name in one.group], Field.of(one.value) if one.value else None)
        for one in counted_
    ]
    rows: list[tuple[Any, ...]] = []
    for part in context.batches(_ASKED):
        asked = context.arrow(part)
        columns: list[list[Any]] = [asked[name].to_pylist() for name in asked.column_names]
        segments, objects, ordinals, numbers = columns
        for row, record in context.scan(asked):
            for number in numbers[row]:
                group, value = fields[number]
                grouped = _BETWEEN.join(_shown("\n".join(one.texts(record))) for one in group)
                counts = "\n".join(value.texts(record))[:_MOST] if value else ""
                rows.append((number, segments[row], objects[row], ordinals[row], grouped, counts))
            if len(rows) >= _TOGETHER:
                told.add(_table(rows))
                rows.clear()
    if rows:
        told.add(_table(rows))


def _table(rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.table(
        [pa.array(one, kind.type) for one, kind in zip(columns, _TOLD, strict=True)], schema=_TOLD
    )


def _keep_enough(context: DetectionContext, name: str, correlation: Correlation, calls: str) -> int:
    """
    Keep the groups that may meet a correlation, as they have enough matches in all. Returns how many there are.

    What tells matches apart takes memory, and is left to those who look at these groups.
    """
    context.batched_table(
        "sigma_groups", f"SELECT grouped, rule, count(*) AS matches FROM ({calls}) GROUP BY grouped, rule"
    )
    enough = (
        f"sum(matches) >= {correlation.least}" if correlation.way.endswith("count")
        else f"count(DISTINCT rule) >= {len(set(correlation.of))}"
    )  # fmt: skip
    return context.table(name, f"SELECT grouped FROM sigma_groups GROUP BY grouped HAVING {enough}")


def _hits(
    context: DetectionContext,
    correlation: Correlation,
    number: int,
    counted_: Sequence[_Counted],
    places: dict[str, int],
) -> Iterator[Hit]:
    calls = " UNION ALL ".join(
        one.calls(place) for place, one in enumerate(counted_) if one.correlation == number
    )
    if (
        correlation.way == "value_count"
    ):  # without the field there is no value: as null in a count of distinct values
        calls = f"SELECT * FROM ({calls}) WHERE value <> ''"
    if not _keep_enough(context, "sigma_enough", correlation, calls):
        return
    context.batched_table(
        "sigma_counted", f"SELECT * FROM ({calls}) WHERE grouped IN (SELECT grouped FROM sigma_enough)"
    )
    context.table(SEEN, _SEEN)
    if correlation.query is None:
        _keep_in_order(context, correlation, [places[one] for one in correlation.of])
        spans = _IN_ORDER
    else:
        spans = _SPANS.format(reached=correlation.query, seconds=correlation.seconds)
    most, credentials = map(context.thresholds.whole, ("most_events", "most_credentials"))
    for row in context.rows(_HITS.format(spans=spans, most=most, places=credentials)):
        yield _hit(correlation, row, credentials)


def _keep_in_order(context: DetectionContext, correlation: Correlation, of: Sequence[int]) -> None:
    """Keep the matches of each sequence that meets the rules in their order, as SQL knows no such sequence."""
    ordered = context.rows(f"SELECT grouped, time, rule, pos FROM {SEEN} ORDER BY pos")
    runs = [
        run
        for _, group in groupby(ordered, lambda row: row["grouped"])
        for run in _in_order(of, correlation.seconds, group)
    ]
    rows = [(row["pos"], row is run[-1]) for run in runs for row in run]
    pos, last = pa.array([one for one, _ in rows], pa.int64()), pa.array([one for _, one in rows], pa.bool_())
    context.add_table("sigma_in_order", {"pos": pos, "last": last})


def _in_order(of: Sequence[int], seconds: int, matches: Iterable[Row]) -> Iterator[tuple[Row, ...]]:
    runs: dict[int, tuple[Row, ...]] = {}
    """For each number of rules gone through, the run that began last: it has the most time left."""
    for one in matches:
        for place in range(len(of) - 1, -1, -1):
            if one["rule"] != of[place]:
                continue
            before = runs.get(place, ())
            if place and (not before or before[0]["time"] < one["time"] - seconds):
                continue
            runs[place + 1] = (*before, one)
        if len(of) in runs:
            yield runs[len(of)]
            runs.clear()


def _hit(correlation: Correlation, row: Row, most: int) -> Hit:
    rule = correlation.rule
    places = tuple(row["places"] or ())
    events = [event_id(one["event_id"], one["text"] or None) or "" for one in row["first"]]
    first, last = row["first"][0]["time"], row["last"]
    told = row["grouped"].split(_BETWEEN) if correlation.group_by else []
    by = f" for {enumerated(one or 'nothing' for one in told)}" if told else ""
    within = f" within {lasting(correlation.seconds)}"
    short = last - first <= correlation.seconds
    often = f" in {row['stretches']:,} stretches of time" if row["stretches"] > 1 else ""
    subject = row["by"]["n"]
    return Hit(
        about=(*told, events[0]),
        time=row["met"],
        severity=rule.severity,
        why=f"{counted(row['count'], 'call')}{within if short else often}{by}, from {at(first)} to {at(last)}"
        f"{'' if short else f', as many{within} as the rule asks for'}. {rule.why}",
        subject=subject if subject is not None else (places[0] if places else None),
        places=places,
        events=tuple(events),
        count=row["count"],
        principals=tuple(sorted(row["principals"] or ())[:most]),
        accounts=tuple(sorted(row["accounts"] or ())),
    )
