"""Count what each rule matched in each lineage: how many calls, the first ones, and whose they were."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tokentrail.detection.growing_table import GrowingTable
from tokentrail.detection.scene import Scene
from tokentrail.lineage.rows import Row

_STORY = "rule, coalesce(root_n, -1) AS root, CASE WHEN n IS NULL THEN coalesce(arn, '') ELSE '' END AS lone"
_TALLY = f"""
    SELECT rule, root, lone, list(name) AS names, list(count) AS counts,
           list(DISTINCT account) FILTER (account <> '') AS accounts,
           list_slice(list_sort(flatten(list(first))), 1, {{most}}) AS first
    FROM (
      SELECT {_STORY}, coalesce(nullif(name, ''), '?') AS name, account, count(*) AS count,
             min({{{{'time': time, 'event_id': event_id, 'text': coalesce(event_id_text, '')}}}}, {{most}}) AS first
      FROM ({{matched}}) GROUP BY ALL
    ) GROUP BY ALL"""
CALLERS = "sigma_callers"
_WHO = f"""
    SELECT rule, root, lone, count(*) AS credentials, min(n, {{most}}) AS places
    FROM (SELECT DISTINCT {_STORY}, n FROM {CALLERS} WHERE n % {{turns}} = {{turn}}) GROUP BY ALL"""
_AT_ONCE = 100_000
"""Callers that are counted at once, each for every rule."""
_BATCH = 1_000
"""Rows that are objects at a time."""


@dataclass(slots=True)
class Tally:
    """What a rule matched of one lineage."""

    count: int = 0
    events: list[tuple[int, bytes, str]] = field(default_factory=list)
    """Time, id, and the id's text where it is no UUID."""
    credentials: int = 0
    """How many it was of."""
    places: tuple[int, ...] = ()
    """Some of them: the first."""
    names: Counter[str] = field(default_factory=Counter)
    accounts: set[str] = field(default_factory=set)

    def add(self, row: Row, most: int) -> None:
        """Take in some of it."""
        self.count += sum(row["counts"])
        first = [(one["time"], one["event_id"], one["text"]) for one in row["first"]]
        self.events = heapq.nsmallest(most, (*self.events, *first))
        for name, count in zip(row["names"], row["counts"], strict=True):
            self.names[name] += count
        self.accounts.update(row["accounts"] or ())

    def add_places(self, row: Row, most: int) -> None:
        """Take in some of whose it is, none of them twice."""
        self.credentials += row["credentials"]
        self.places = tuple(heapq.nsmallest(most, (*self.places, *row["places"])))


Tallies: TypeAlias = dict[tuple[int, int, str], Tally]
"""By rule, root, and the caller's name where no credential is known."""


def add_calls(scene: Scene, tallies: Tallies, matched: str, parameters: Sequence[Any]) -> None:
    """Add calls that some rules matched."""
    most = scene.thresholds.whole("most_events")
    found = scene.arrow(_TALLY.format(matched=matched, most=most), parameters)
    for some in found.to_batches(_BATCH):
        for row in some.to_pylist():  # lists of what was first take the engine longer to hand over row by row
            tallies.setdefault((row["rule"], row["root"], row["lone"]), Tally()).add(row, most)


def add_callers(scene: Scene, tallies: Tallies, seen: GrowingTable) -> None:
    """Add whose all calls of some rules were, after the calls; no other call of this adds for these rules."""
    seen.register()
    most = scene.thresholds.whole("most_credentials")
    turns = -(-len(seen) // _AT_ONCE)
    for turn in range(turns):
        for row in scene.rows(_WHO.format(turns=turns, turn=turn, most=most)):
            tallies[row["rule"], row["root"], row["lone"]].add_places(row, most)
