"""
Run Sigma rules over a case: all of them over the columns, and over the raw records that these leave open.

What rules match goes into a table, from which hits are told: for each rule and lineage, and for each correlation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tokentrail.detection.context import DetectionContext
from tokentrail.detection.growing_table import GrowingTable
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.rule_failures import Failures
from tokentrail.detection.sigma.backend import COLUMNS, FLAGS, Query
from tokentrail.detection.sigma.correlation import correlated
from tokentrail.detection.sigma.hits import HIT_READS, MATCHED, rule_hits
from tokentrail.detection.sigma.reading import SigmaRules
from tokentrail.errors import QueryFailed

_BITS = 60
"""Rules that one number holds."""
_TOGETHER = 20_000
"""Records of which rules are asked at a time."""
_MOST_TEXT = 16 << 20
"""Letters of them after which rules are asked sooner."""
_TEXTS = pa.list_(pa.string())
_KINDS: dict[str, Any] = {
    "rule": pa.int32(),
    "segment": pa.int64(),
    "object": pa.int32(),
    "ordinal": pa.int32(),
}
_MATCHED = pa.schema(list(_KINDS.items()))
_PLACE = ("segment", "object", "ordinal")
_CALLS = """
    SELECT e.segment, e.object, e.ordinal, {columns}
    FROM some_facts e LEFT JOIN some_identities i ON i.segment = e.segment AND i.identity = e.identity""".format(
    columns=", ".join(f'{one} AS "{one}"' for one in (*COLUMNS.values(), *FLAGS.values()))
)
_ONCE = "LIMIT 1000000000000"
"""
Ends a query whose columns another filters by: the engine then works them out once, where it would put them both into
the filter and behind it.
"""


def sigma_hits(context: DetectionContext, rules: SigmaRules, failures: Failures) -> list[tuple[Rule, Hit]]:
    """
    What each rule matched, by lineage, then what the correlations found; queried beside other threads.

    Args:
        context: What to judge.
        rules: The rules.
        failures: Notes each rule that the engine refuses, which costs no other.
    """
    with context.apart():
        queries = {number: one.query for number, one in enumerate(rules.simple)}
        try:
            _match_all(context, queries)
        except QueryFailed:
            _match_all(context, _sound(context, rules, queries, failures))
        context.prepare(HIT_READS)
        return [*rule_hits(context, rules), *correlated(context, rules)]


def _sound(
    context: DetectionContext, rules: SigmaRules, queries: Mapping[int, Query], failures: Failures
) -> dict[int, Query]:
    """The queries that the engine runs over this evidence; each is tried by itself, as one failed among all."""
    sound: dict[int, Query] = {}
    for number, query in queries.items():
        with failures.isolated("rule", rules.simple[number].rule.id):
            _match_all(context, {number: query})
            sound[number] = query
    return sound


def _match_all(context: DetectionContext, queries: Mapping[int, Query]) -> None:
    """Make the table of which rules, by number, matched which records."""
    matched = context.growing_table(MATCHED)
    matched.add(_MATCHED.empty_table())
    numbers = list(queries)
    for start in range(0, len(numbers), _BITS):
        block = {number: queries[number] for number in numbers[start : start + _BITS]}
        for part in context.batches(_CALLS):  # before there is any text of a rule in it
            _match(context, block, part, matched)
    matched.register()


def _match(context: DetectionContext, block: Mapping[int, Query], calls: str, matched: GrowingTable) -> None:
    """Add what some rules match of some calls."""
    queries = list(block.values())
    each = ", ".join(f"{one.prefilter} AS q{bit}" for bit, one in enumerate(queries))
    met = _mask(f"q{bit}" for bit in range(len(queries)))
    open_ = _mask("FALSE" if one.exact else f"q{bit} IS NULL" for bit, one in enumerate(queries))
    found = context.arrow(f"""
        SELECT * FROM (
          SELECT {", ".join(_PLACE)}, {met} AS met, {open_} AS open
          FROM (SELECT {", ".join(_PLACE)}, {each} FROM ({calls})) {_ONCE}
        ) WHERE met <> 0 OR open <> 0""")
    masks = found["met"].to_numpy().copy()
    undecided = np.flatnonzero(found["open"].to_numpy())
    if len(undecided):
        wanted = found.take(undecided).append_column("row", pa.array(undecided))
        wanted = wanted.sort_by([("segment", "ascending"), ("object", "ascending"), ("ordinal", "ascending")])
        asking = _Asking(context, queries, len(wanted))
        open_to = wanted["open"].to_numpy().tolist()
        for row, record in context.scan(wanted):
            asking.add(open_to[row], row, record)
        asking.ask()
        masks[wanted["row"].to_numpy()] |= asking.met
    for bit, number in enumerate(block):
        rows = np.flatnonzero(masks >> bit & 1)
        if len(rows):
            places = found.select(_PLACE).take(rows)
            rule = pa.array(np.full(len(rows), number), pa.int32())
            matched.add(places.add_column(0, "rule", rule).cast(_MATCHED))


def _mask(conditions: Iterator[str]) -> str:
    """A number with a bit for each condition that is true."""
    bits = " + ".join(f"CASE WHEN {one} THEN {1 << bit} ELSE 0 END" for bit, one in enumerate(conditions))
    return f"CAST({bits} AS BIGINT)"


class _Asking:
    """Asks rules of records, many at a time."""

    def __init__(self, context: DetectionContext, queries: Sequence[Query], count: int) -> None:
        self._scene, self._queries = context, queries
        numbers = {
            one: number for number, one in enumerate({one: 0 for each in queries for one in each.fields})
        }
        self._fields = list(numbers)
        self._of = [[numbers[one] for one in each.fields] for each in queries]
        """The fields of each rule, by their numbers."""
        self._rows: dict[int, list[int]] = {}
        self._texts: dict[int, list[list[list[str]]]] = {}
        """For each rule, the records that wait for it: for each field, its texts in each."""
        self._waiting = self._size = 0
        self.met = np.zeros(count, np.int64)
        """For each row the rules that it meets."""

    def add(self, mask: int, row: int, record: Any) -> None:
        """Ask some rules of a record, soon."""
        told: dict[int, list[str]] = {}
        while mask:
            bit = (mask & -mask).bit_length() - 1
            mask &= mask - 1
            of = self._of[bit]
            if bit not in self._rows:
                self._rows[bit], self._texts[bit] = [], [[] for _ in of]
            self._rows[bit].append(row)
            for number, texts in zip(of, self._texts[bit], strict=True):
                one = told.get(number)
                if one is None:
                    one = told[number] = self._fields[number].texts(record)
                    self._size += sum(map(len, one))
                texts.append(one)
        self._waiting += 1
        if self._waiting >= _TOGETHER or self._size >= _MOST_TEXT:
            self.ask()

    def ask(self) -> None:
        """Ask the rules of all records that wait for them."""
        for bit, rows in self._rows.items():
            columns = {f"r{number}": pa.array(texts, _TEXTS) for number, texts in enumerate(self._texts[bit])}
            self._scene.add_table("sigma_records", {"row": pa.array(rows, pa.int64()), **columns})
            found = self._scene.arrow(f"SELECT row FROM sigma_records WHERE {self._queries[bit].condition}")
            self.met[found["row"].to_numpy()] |= 1 << bit
        self._rows.clear()
        self._texts.clear()
        self._waiting = self._size = 0
