"""
Run Sigma rules over a case: all of them over the columns, and over the raw records that these leave open.

What rules match goes into a table, from which hits are told: for each rule and lineage, and for each correlation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tokentrail.detection.growing_table import GrowingTable
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.scene import Scene
from tokentrail.detection.sigma.backend import COLUMNS, FLAGS, Query
from tokentrail.detection.sigma.correlation import correlated
from tokentrail.detection.sigma.reading import SigmaRules
from tokentrail.detection.sigma.telling import MATCHED, rule_hits

_BITS = 60
"""Rules that one number holds."""
_TOGETHER = 20_000
"""Records of which rules are asked at a time."""
_MOST_TEXT = 16 << 20
"""Letters of them after which rules are asked sooner."""
_TEXTS = pa.list_(pa.string())
_PLACE = ("segment", "object", "ordinal")
_CALLS = f"""
    SELECT e.segment, e.object, e.ordinal, {", ".join(f'{one} AS "{one}"' for one in (*COLUMNS.values(), *FLAGS.values()))}
    FROM some_facts e LEFT JOIN some_identities i ON i.segment = e.segment AND i.identity = e.identity"""
_ONCE = "LIMIT 1000000000000"
"""
Ends a query whose columns another filters by: the engine then works them out once, where it would put them both into
the filter and behind it.
"""


def sigma_hits(scene: Scene, rules: SigmaRules) -> list[tuple[Rule, Hit]]:
    """What each rule matched, by lineage, then what the correlations found; queried beside other threads."""
    with scene.apart():
        matched = scene.growing_table(MATCHED)
        for start in range(0, len(rules.simple), _BITS):
            block = [one.query for one in rules.simple[start : start + _BITS]]
            for part in scene.parts(_CALLS):  # before there is any text of a rule in it
                _match(scene, block, start, part, matched)
        matched.register()
        return [*rule_hits(scene, rules), *correlated(scene, rules)]


def _match(scene: Scene, queries: Sequence[Query], start: int, calls: str, matched: GrowingTable) -> None:
    """Add what some rules match of some calls."""
    each = ", ".join(f"{one.prefilter} AS q{number}" for number, one in enumerate(queries))
    met = _mask(f"q{number}" for number in range(len(queries)))
    open_ = _mask("FALSE" if one.exact else f"q{number} IS NULL" for number, one in enumerate(queries))
    found = scene.arrow(f"""
        SELECT * FROM (
          SELECT {", ".join(_PLACE)}, {met} AS met, {open_} AS open
          FROM (SELECT {", ".join(_PLACE)}, {each} FROM ({calls})) {_ONCE}
        ) WHERE met <> 0 OR open <> 0""")
    masks = found["met"].to_numpy().copy()
    undecided = np.flatnonzero(found["open"].to_numpy())
    if len(undecided):
        order = [(name, "ascending") for name in _PLACE]
        wanted = found.take(undecided).append_column("row", pa.array(undecided)).sort_by(order)
        masks[wanted["row"].to_numpy()] |= _of_records(scene, queries, wanted)
    for bit in range(len(queries)):
        rows = np.flatnonzero(masks >> bit & 1)
        places = found.select(_PLACE).take(rows)
        matched.add(places.add_column(0, "rule", pa.array(np.full(len(rows), start + bit), pa.int32())))


def _mask(conditions: Iterator[str]) -> str:
    """A number with a bit for each condition that is true."""
    bits = " + ".join(f"CASE WHEN {one} THEN {1 << bit} ELSE 0 END" for bit, one in enumerate(conditions))
    return f"CAST({bits} AS BIGINT)"


@dataclass(slots=True)
class _Asked:
    """Records of which a rule is asked."""

    rows: list[int] = field(default_factory=list)
    texts: list[list[list[str]]] = field(default_factory=list)
    """For each field of the rule, its texts in each record."""


def _of_records(scene: Scene, queries: Sequence[Query], wanted: pa.Table) -> npt.NDArray[np.int64]:
    """For each of some records the rules that it meets, of those that are open."""
    met = np.zeros(len(wanted), np.int64)
    asked: dict[int, _Asked] = {}
    count = size = 0
    open_ = wanted["open"].to_numpy()
    for row, record in scene.scan(wanted):
        count, size = count + 1, size + _add(queries, int(open_[row]), row, record, asked)
        if count >= _TOGETHER or size >= _MOST_TEXT:
            _ask(scene, queries, asked, met)
            count = size = 0
    _ask(scene, queries, asked, met)
    return met


def _add(queries: Sequence[Query], mask: int, row: int, record: Any, asked: dict[int, _Asked]) -> int:
    """Take a record's fields for the rules that are open. Returns how many letters they have."""
    told: dict[Any, list[str]] = {}
    while mask:
        bit = (mask & -mask).bit_length() - 1
        mask &= mask - 1
        fields = queries[bit].fields
        of = asked.setdefault(bit, _Asked([], [[] for _ in fields]))
        of.rows.append(row)
        for texts, one in zip(of.texts, fields, strict=True):
            if one not in told:
                told[one] = one.texts(record)
            texts.append(told[one])
    return sum(len(text) for texts in told.values() for text in texts)


def _ask(scene: Scene, queries: Sequence[Query], asked: dict[int, _Asked], met: npt.NDArray[np.int64]) -> None:
    """Ask the rules of the records that were taken for them, which are then let go."""
    for bit, of in asked.items():
        columns = {f"r{number}": pa.array(texts, _TEXTS) for number, texts in enumerate(of.texts)}
        scene.add_table("sigma_records", {"row": pa.array(of.rows, pa.int64()), **columns})
        found = scene.arrow(f"SELECT row FROM sigma_records WHERE {queries[bit].condition}")
        met[found["row"].to_numpy()] |= 1 << bit
    asked.clear()
