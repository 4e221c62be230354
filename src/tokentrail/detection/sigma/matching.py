"""
Run Sigma rules over a case: one pass over the columns for all of them, and raw records only where those can't decide.

The matches of a rule become one hit for each lineage, with a count; those of a correlation, one for each group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Self, TypeAlias

import pyarrow as pa

from tokentrail.detection.growing_table import GrowingTable
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.reading import Place
from tokentrail.detection.scene import Scene
from tokentrail.detection.sigma.columns import COLUMNS, FALSE, FEW_VALUES, TRUE, Sql, combined, masked
from tokentrail.detection.sigma.correlation import Match, correlated
from tokentrail.detection.sigma.fields import Field
from tokentrail.detection.sigma.matched import (
    COUNTED,
    MATCHED,
    TOLD,
    enough_for,
    fields_of,
    name_of,
    rows_of,
)
from tokentrail.detection.sigma.queries import (
    BY_THEM,
    CALLING,
    EACH,
    FROM_ALL,
    FROM_SOME,
    JOINED,
    MET,
    ONCE,
    READ,
    SEEN,
    WHOSE,
    callers,
)
from tokentrail.detection.sigma.reading import Correlation, SigmaRules
from tokentrail.detection.sigma.sweep import BETWEEN, MOST, Asked, Judge
from tokentrail.detection.sigma.tally import CALLERS, Tallies, add_callers, add_calls
from tokentrail.detection.wording import FEW, at, counted, listed, named, short
from tokentrail.lineage.rows import event_id

_Match: TypeAlias = tuple[tuple[int, ...], list[tuple[int, str, str]]]
"""A rule and a record that it matched; and for each correlation that counts it its group and value."""

_TOGETHER = 20_000
"""Matches of records that are put aside at a time."""

_BITS = 60
"""Rules that one number holds."""


class SigmaRun:
    """
    One run of rules over a case.

    From the start on columns are looked through, raw records read and what they match told, by threads and by other
    processes, while others may ask the case for other things.
    """

    def __init__(self, scene: Scene, rules: SigmaRules) -> None:
        self._scene, self._rules = scene, rules
        self._counting = {
            number: [place for place, each in enumerate(rules.correlations) if one.rule.id in each.of]
            for number, one in enumerate(rules.simple)
        }
        self._raw: list[int] = []
        self._exact: list[int] = []
        self._threads = ThreadPoolExecutor(3, "sigma")
        self._begun = self._threads.submit(self._begin)
        self._found = self._threads.submit(self._all)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def hits(self) -> list[tuple[Rule, Hit]]:
        """What each rule matched, by lineage, then what the correlations found."""
        return self._found.result()

    def _all(self) -> list[tuple[Rule, Hit]]:
        with self._scene.apart():
            return [*self._told()]

    def _told(self) -> Iterator[tuple[Rule, Hit]]:
        """All hits. What needs no raw records is computed first, while records are read."""
        tallies, reading = self._begun.result()
        found = {number: self._correlated(number) for number in self._by_columns()}
        for table in reading.result():
            table.register()
        self._tally_read(tallies)
        yield from self._hits(tallies)
        for number, one in enumerate(self._rules.correlations):
            for hit in found[number] if number in found else self._correlated(number):
                yield one.rule, hit

    def _begin(self) -> tuple[Tallies, Future[tuple[GrowingTable, GrowingTable]]]:
        """Tally the rules that columns decide, and start reading raw records for the others."""
        with self._scene.apart():
            live = self._live()
            self._raw = [number for number in live if self._needs_records(number)]
            self._exact = [number for number in live if number not in set(self._raw)]
            reading = self._threads.submit(self._gathered, self._swept())
            return self._tallied(), reading

    def _by_columns(self) -> list[int]:
        """The numbers of the correlations whose rules are all decided by columns."""
        read = {number for place in self._raw for number in self._counting[place]}
        return [number for number in range(len(self._rules.correlations)) if number not in read]

    def _correlated(self, number: int) -> list[Hit]:
        correlation, matches = self._rules.correlations[number], self._matches(number)
        events, places = map(self._scene.thresholds.whole, ("most_events", "most_credentials"))
        return list(correlated(correlation, matches, events=events, places=places))

    def _live(self) -> list[int]:
        """The rules that may match anything, judged by the calls, tools, errors and regions that occur in the case."""
        numbers = list(self._counting)
        for which, fields in enumerate(FEW_VALUES):
            telling = [number for number in numbers if self._alone_over(number, which) != TRUE]
            met = set(self._met(telling, which, [COLUMNS[name] for name in fields]))
            numbers = [number for number in numbers if number in met or number not in telling]
        return numbers

    def _alone_over(self, number: int, which: int) -> Sql:
        return self._rules.simple[number].condition.alone[which].over

    def _met(self, numbers: list[int], which: int, columns: list[str]) -> Iterator[int]:
        """Those of some rules that a value of some columns, or a pair of values, may meet."""
        for start in range(0, len(numbers), _BITS):
            block = numbers[start : start + _BITS]
            mask = masked([self._alone_over(number, which) for number in block])
            sql = f"""
                SELECT bit_or({mask.text}) AS live
                FROM (SELECT DISTINCT {", ".join(columns)} FROM facts e) e"""
            [row] = self._scene.rows(sql, mask.parameters)
            yield from (number for at, number in enumerate(block) if (row["live"] or 0) >> at & 1)

    def _needs_records(self, number: int) -> bool:
        one = self._rules.simple[number]
        return not one.condition.exact or any(
            name not in COLUMNS
            for place in self._counting[number]
            for name in fields_of(self._rules.correlations[place], one.rule.id)
        )

    def _wanted(self) -> Iterator[pa.Table]:
        """The records that columns can't decide, with the rules to judge them by as bits; some segments at a time."""
        over = [self._asking(number) for number in self._raw] or [FALSE]
        masks = [masked(over[start : start + _BITS]) for start in range(0, len(over), _BITS)]
        named_masks = ", ".join(f"{one.text} AS m{number}" for number, one in enumerate(masks))
        any_of = " OR ".join(f"m{number} <> 0" for number in range(len(masks)))
        sql = f"""
            SELECT * FROM (SELECT e.segment, e.object, e.ordinal, {named_masks} {FROM_SOME} {ONCE})
            WHERE {any_of} ORDER BY segment, object, ordinal"""
        parameters = [value for one in masks for value in one.parameters]
        return (self._scene.arrow(part, parameters) for part in self._scene.parts(sql))

    def _asking(self, number: int) -> Sql:
        """A condition for the records to read for a rule; if only busy groups can count, only the records of those."""
        one = self._rules.simple[number]
        counting = [self._rules.correlations[place] for place in self._counting[number]]
        if (
            one.shown
            or not one.condition.exact
            or not all(_counts_alone(each, one.rule.id) for each in counting)
        ):
            return one.condition.over
        either = []
        for place, each in zip(self._counting[number], counting, strict=True):
            grouped = _grouped([name_of(names, one.rule.id) for names in each.group_by])
            busy = f"sigma_busy_{number}_{place}"
            matched = f"SELECT {grouped} AS grouped, e.time {FROM_ALL} WHERE {one.condition.over.text}"
            self._scene.add_table(busy, self._busy(each, matched, one.condition.over))
            either.append(Sql(f"({grouped} IN (SELECT grouped FROM {busy}))"))
        return combined([one.condition.over, combined(either, every=False)], every=True)

    def _busy(self, correlation: Correlation, matched: str, over: Sql) -> dict[str, pa.Array[Any]]:
        """The groups with as many matches, within a span of time, as a correlation requires."""
        often = f"SELECT grouped FROM ({matched}) GROUP BY grouped HAVING count(*) >= {correlation.least}"
        groups = self._scene.arrow(often, over.parameters)
        if len(groups):  # in any span of time; mostly none, and there is no need to sort what matched
            self._scene.add_table("sigma_often", {"grouped": groups["grouped"].combine_chunks()})
            sql = f"""
                SELECT DISTINCT grouped FROM (
                  SELECT grouped, count(*) OVER (PARTITION BY grouped ORDER BY time RANGE BETWEEN
                         {correlation.seconds} PRECEDING AND CURRENT ROW) AS matches
                  FROM ({matched}) WHERE grouped IN (SELECT grouped FROM sigma_often)
                ) WHERE matches >= {correlation.least}"""
            groups = self._scene.arrow(sql, over.parameters)
        return {"grouped": groups["grouped"].combine_chunks()}

    def _swept(self) -> Iterator[tuple[Place, list[Any]]]:
        """Read and judge records, once for all rules, when first iterated."""
        judge = Judge([self._asked(number) for number in self._raw])
        return self._scene.sweep(self._scene.collected("sigma_wanted", self._wanted()), _BITS, judge)

    def _gathered(self, swept: Iterator[tuple[Place, list[Any]]]) -> tuple[GrowingTable, GrowingTable]:
        """Tables of which rule matched which of the records read, and of what correlations count of them."""
        with self._scene.apart():
            read, counted = (
                self._scene.growing_table("sigma_read"),
                self._scene.growing_table("sigma_counted"),
            )
            matches = self._matched(swept)
            more = True
            while more:
                some = list(islice(matches, _TOGETHER))
                read.add(rows_of((at for at, _ in some), MATCHED))
                counted.add(rows_of(((*at, *one) for at, each in some for one in each), COUNTED))
                more = len(some) == _TOGETHER
            return read, counted

    def _matched(self, swept: Iterator[tuple[Place, list[Any]]]) -> Iterator[_Match]:
        for place, answers in swept:
            for bit, groups in answers:
                rule = self._raw[bit]
                counted = [(number, *told) for number, told in zip(self._counting[rule], groups, strict=True)]
                yield (rule, *place), counted

    def _asked(self, number: int) -> Asked:
        one = self._rules.simple[number]
        counted_by = []
        for place in self._counting[number]:
            each = self._rules.correlations[place]
            named_group = [name_of(names, one.rule.id) for names in each.group_by]
            group = () if _in_columns(named_group) else tuple(Field.of(name) for name in named_group)
            value = Field.of(name_of(each.value, one.rule.id)) if each.value else None
            counted_by.append((group, value))
        return Asked(one.condition.rest, tuple(counted_by))

    def _tallied(self) -> Tallies:
        """Tally what each rule that columns decide matched, if it is a finding by itself."""
        tallies: Tallies = {}
        shown = [number for number in self._exact if self._rules.simple[number].shown]
        for start in range(0, len(shown), _BITS):
            block = shown[start : start + _BITS]
            mask = masked([self._rules.simple[number].condition.over for number in block])
            bits = pa.array([1 << at for at in range(len(block))], pa.int64())
            self._scene.add_table("sigma_bits", {"rule": pa.array(block, pa.int32()), "bit": bits})
            told = [one.format(mask=mask.text) + BY_THEM + EACH for one in (MET, CALLING)]
            seen = self._scene.growing_table(CALLERS)
            for theirs, calls, who in zip(*map(self._scene.parts, (callers(*told), *told)), strict=True):
                self._scene.table("sigma_theirs", theirs)
                add_calls(self._scene, tallies, calls, mask.parameters)
                seen.add(self._scene.arrow(who, mask.parameters))
            add_callers(self._scene, tallies, seen)
        return tallies

    def _tally_read(self, tallies: Tallies) -> None:
        """Add to the tallies what the rules matched whose records were read."""
        quiet = [number for number in self._raw if not self._rules.simple[number].shown]
        seen = self._scene.growing_table(CALLERS)
        read = READ + BY_THEM + JOINED.format(table="some_sigma_read")
        for theirs, part in zip(*map(self._scene.parts, (callers(read), read)), strict=True):
            self._scene.table("sigma_theirs", theirs)
            self._scene.table("sigma_met", part)
            add_calls(self._scene, tallies, "SELECT * FROM sigma_met", ())
            seen.add(self._scene.arrow("SELECT DISTINCT rule, n, root_n, '' AS arn FROM sigma_met"))
        add_callers(self._scene, tallies, seen)
        for number in quiet:
            for key in [key for key in tallies if key[0] == number]:
                del tallies[key]

    def _hits(self, tallies: Tallies) -> Iterator[tuple[Rule, Hit]]:
        known = self._scene.known(n for one in tallies.values() for n in one.places[:FEW])
        for key, tally in sorted(tallies.items()):
            number, _, arn = key
            rule, places = self._rules.simple[number].rule, tally.places
            some = [named(known[n]) for n in places[:FEW]]
            who = listed(some, of=tally.credentials) if places else short(arn or None)
            calls = listed(name for name, _ in sorted(tally.names.items(), key=lambda one: (-one[1], one[0])))
            yield (
                rule,
                Hit(
                    about=(known[places[0]]["root_id"] if places else arn,),
                    time=tally.events[0][0],
                    severity=rule.severity,
                    why=f"{counted(tally.count, 'call')} by {who} ({calls}), first at {at(tally.events[0][0])}. "
                    f"{rule.why}",
                    subject=places[0] if places else None,
                    places=places,
                    events=tuple(event_id(one, told or None) or "" for _, one, told in tally.events),
                    count=tally.count,
                    principals=(arn,) if arn else (),
                    accounts=tuple(sorted(tally.accounts)),
                ),
            )

    def _matches(self, number: int) -> Iterator[Match]:
        """The matches of a correlation's rules, by group, then by time."""
        correlation = self._rules.correlations[number]
        of = [place for place in (*self._raw, *self._exact) if number in self._counting[place]]
        if not of:
            return
        parts = [self._counted_read(number, place) for place in of if place in self._raw]
        exact = [place for place in of if place not in self._raw]
        parts += [self._counted_exact(number, place) for place in exact]
        parameters = [
            value for place in exact for value in self._rules.simple[place].condition.over.parameters
        ]
        some = " UNION ALL ".join(parts)
        groups = self._groups(correlation, some, parameters)
        if not len(groups):
            return
        self._scene.add_table("sigma_enough", {"grouped": groups["grouped"].combine_chunks()})
        sql = f"SELECT * FROM ({some}) WHERE grouped IN (SELECT grouped FROM sigma_enough)"
        found = pa.concat_tables(self._scene.arrow(part, parameters) for part in self._scene.parts(sql))
        self._scene.add_table("sigma_matched", dict(zip(found.column_names, found.columns, strict=True)))
        for row in self._scene.rows(WHOSE):
            yield Match(
                row["grouped"],
                row["time"],
                (row["event_id"], row["event_id_text"]),
                self._rules.simple[row["rule"]].rule.id,
                row["value"],
                row["n"],
                row["arn"] or "",
                row["account"] or "",
            )

    def _groups(self, correlation: Correlation, some: str, parameters: Sequence[Any]) -> pa.Table:
        """The groups with enough matches, within any span of time, to meet a correlation."""
        each = (
            f"SELECT grouped, {TOLD[correlation.way]} AS told, count(*) AS matches FROM ({some}) GROUP BY ALL"
        )
        enough = f"SELECT grouped FROM ({{held}}) GROUP BY grouped HAVING {enough_for(correlation)}"
        parts = self._scene.parts(each)
        if len(parts) == 1:
            return self._scene.arrow(enough.format(held=parts[0]), parameters)
        held = self._scene.growing_table("sigma_held")
        for part in parts:
            held.add(self._scene.arrow(part, parameters))
        held.register()
        return self._scene.arrow(enough.format(held="SELECT * FROM sigma_held"))

    def _counted_read(self, number: int, place: int) -> str:
        """The query for what a correlation counts of a rule whose records were read; callers are mostly in columns."""
        correlation, rule = self._rules.correlations[number], self._rules.simple[place].rule.id
        names = [name_of(one, rule) for one in correlation.group_by]
        grouped = _grouped(names) if _in_columns(names) else "r.grouped"
        return (
            SEEN.format(more=f"r.rule, {grouped} AS grouped, r.value")
            + FROM_SOME
            + JOINED.format(table="some_sigma_counted")
            + f" AND r.correlation = {number} AND r.rule = {place}"
        )

    def _counted_exact(self, number: int, place: int) -> str:
        """The query for what a correlation counts of a rule that columns decide."""
        correlation, one = self._rules.correlations[number], self._rules.simple[place]
        grouped = _grouped([name_of(each, one.rule.id) for each in correlation.group_by])
        value = COLUMNS[name_of(correlation.value, one.rule.id)] if correlation.value else "''"
        return (
            SEEN.format(more=f"{place} AS rule, {grouped} AS grouped, coalesce({value}, '') AS value")
            + FROM_SOME
            + f" WHERE {one.condition.over.text}"
        )


def _counts_alone(correlation: Correlation, rule: str) -> bool:
    """Whether a correlation counts the matches of one rule, in groups by columns."""
    names = [name_of(one, rule) for one in correlation.group_by]
    return correlation.way.endswith("count") and set(correlation.of) == {rule} and _in_columns(names)


def _in_columns(names: Sequence[str]) -> bool:
    return all(name in COLUMNS for name in names)


def _grouped(names: Sequence[str]) -> str:
    """The group of a record as SQL, spelled as the judge of raw records spells it."""
    told = [f"replace(substr(coalesce({COLUMNS[name]}, ''), 1, {MOST}), '{BETWEEN}', ' ')" for name in names]
    return f" || '{BETWEEN}' || ".join(told) or "''"
