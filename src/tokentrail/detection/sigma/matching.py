"""
Run Sigma rules over a case: one pass over the columns for all of them, and raw records only where those can't decide.

What a rule matches is told once for each lineage, with a count; a correlation, once for each group.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.scene import Place, Scene
from tokentrail.detection.sigma.correlation import Match, correlated
from tokentrail.detection.sigma.reading import SigmaRules, Simple
from tokentrail.detection.sigma.values import lookup, text
from tokentrail.detection.wording import at, counted, listed, named, short
from tokentrail.lineage.rows import Row, event_id

_CHUNK = 20_000
_FROM = """
    SELECT * FROM (
      SELECT e.segment, e.object, e.ordinal, e.time, e.event_id, e.event_id_text, e.name, i.arn,
             coalesce(e.account, i.account) AS account, w.n, f.root_n, {columns}
      FROM facts e
      LEFT JOIN identities i ON i.segment = e.segment AND i.identity = e.identity
      LEFT JOIN who w ON w.segment = e.segment AND w.identity = e.identity
      LEFT JOIN forest f ON f.n = w.n
    ) WHERE {any} ORDER BY segment, object, ordinal"""


@dataclass(slots=True)
class _Tally:
    """What a rule matched of one lineage."""

    count: int = 0
    events: list[tuple[int, str]] = field(default_factory=list)
    places: set[int] = field(default_factory=set)
    names: Counter[str] = field(default_factory=Counter)
    accounts: set[str] = field(default_factory=set)
    arns: set[str] = field(default_factory=set)

    def add(self, row: Row, event: str, most: int) -> None:
        self.count += 1
        self.events.append((row["time"], event))
        if len(self.events) >= 4 * most:
            self.events = heapq.nsmallest(most, self.events)
        if row["n"] is not None:
            self.places.add(row["n"])
        self.names[row["name"] or "?"] += 1
        if row["account"]:
            self.accounts.add(row["account"])
        if row["arn"] and row["n"] is None:
            self.arns.add(row["arn"])


_Key = tuple[int, int, str]


def sigma_hits(scene: Scene, rules: SigmaRules) -> Iterator[tuple[Rule, Hit]]:
    """Run Sigma rules: what each matched, by lineage, then the correlations."""
    if not rules.simple:
        return
    most = scene.thresholds.whole("most_events")
    counted_by = {name for one in rules.correlations for name in one.of}
    tallies: dict[_Key, _Tally] = {}
    matches: dict[str, list[Match]] = {}
    for number, row, record in _matched(scene, rules.simple, counted_by):
        one = rules.simple[number]
        event = event_id(row["event_id"], row["event_id_text"]) or ""
        if one.shown:
            key = (
                number,
                -1 if row["root_n"] is None else row["root_n"],
                "" if row["n"] is not None else row["arn"] or "",
            )
            tallies.setdefault(key, _Tally()).add(row, event, most)
        for each in rules.correlations:
            if one.rule.id in each.of:
                matches.setdefault(each.rule.id, []).append(_match(each, one.rule.id, row, event, record))
    yield from _alone(scene, rules.simple, tallies, most)
    for each in rules.correlations:
        for hit in correlated(scene, each, matches.get(each.rule.id, [])):
            yield each.rule, hit


def _matched(scene: Scene, rules: Sequence[Simple], counted_by: set[str]) -> Iterator[tuple[int, Row, Any]]:
    """Every match: the rule's number, the row, and the record, where it was read."""
    conditions = [one.condition for one in rules]
    raw = [not one.condition.exact or one.rule.id in counted_by for one in rules]
    columns = ", ".join(f"{one.over.text} AS r{number}" for number, one in enumerate(conditions))
    sql = _FROM.format(columns=columns, any=" OR ".join(f"r{number}" for number in range(len(rules))))
    rows = scene.rows(sql, [value for one in conditions for value in one.over.parameters])
    while chunk := list(islice(rows, _CHUNK)):
        asked = [[number for number in range(len(rules)) if row[f"r{number}"]] for row in chunk]
        wanted = [
            _place(row) for row, of in zip(chunk, asked, strict=True) if any(raw[number] for number in of)
        ]
        records = dict(scene.read(wanted))
        for row, of in zip(chunk, asked, strict=True):
            record = records.get(_place(row))
            for number in of:
                if conditions[number].exact or (record is not None and conditions[number].matches(record)):
                    yield number, row, record


def _place(row: Row) -> Place:
    return row["segment"], row["object"], row["ordinal"]


def _match(correlation: Any, rule: str, row: Row, event: str, record: Any) -> Match:
    group = tuple(
        "\n".join(text(value) for value in lookup(record, names.get(rule) or names[""]))
        for names in correlation.group_by
    )
    value = "\n".join(text(one) for one in lookup(record, correlation.value)) if correlation.value else None
    return Match(row["time"], event, rule, group, value, row["n"], row["arn"] or "", row["account"] or "")


def _alone(
    scene: Scene, rules: Sequence[Simple], tallies: dict[_Key, _Tally], most: int
) -> Iterator[tuple[Rule, Hit]]:
    known = scene.known(n for one in tallies.values() for n in one.places)
    for (number, _, arn), tally in sorted(tallies.items()):
        rule, events = rules[number].rule, heapq.nsmallest(most, tally.events)
        places = sorted(tally.places)
        subject = places[0] if places else None
        who = listed(named(known[n]) for n in places) if places else short(arn or None)
        calls = listed(name for name, _ in sorted(tally.names.items(), key=lambda one: (-one[1], one[0])))
        yield (
            rule,
            Hit(
                about=(known[places[0]]["root_id"] if places else arn,),
                time=events[0][0],
                severity=rule.severity,
                why=f"{counted(tally.count, 'call')} by {who} ({calls}), first at {at(events[0][0])}. {rule.why}",
                subject=subject,
                places=tuple(places),
                events=tuple(event for _, event in events),
                count=tally.count,
                principals=tuple(sorted(tally.arns)),
                accounts=tuple(sorted(tally.accounts)),
            ),
        )
