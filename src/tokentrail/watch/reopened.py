"""
What the sources behind the attacker's credentials hand out after a plan was carried out: it descends from no subject.

A host that is not shut gives the thief its next session. One that was cleaned and opened again gives it to the owner,
which no log tells apart; so each is told once, and once more for each address from which credentials of the plan were
used, however often it hands out another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from tokentrail.containment.attackers import followed
from tokentrail.containment.handed import used_from
from tokentrail.containment.model import Plan
from tokentrail.lineage.model import Trace, TracedCredential
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trace import Narrowing, family
from tokentrail.watch.judging import Sight


@dataclass(frozen=True, slots=True)
class Source:
    """Something that hands out credentials of the attacker's, and what it has handed out that no plan knows of."""

    name: str
    handed: dict[str, TracedCredential] = field(default_factory=dict)
    """By id, what it handed out and all that was minted with it; the oldest first."""

    def before(self, moment: datetime) -> list[TracedCredential]:
        """Those that began before a moment, or nobody knows when: its steps should have ended them."""
        return [one for one in self.handed.values() if (began := _began(one)) is None or began < moment]

    def since(self, moment: datetime) -> list[TracedCredential]:
        """Those that began at a moment or later."""
        return [one for one in self.handed.values() if (began := _began(one)) and began >= moment]

    def used_at(
        self, addresses: Set[str], moment: datetime, calls: Mapping[str, Sequence[Row]]
    ) -> dict[str, tuple[TracedCredential, Row]]:
        """Of those since a moment the first call from each of some addresses."""
        made = [(row, one) for one in self.since(moment) for row in calls.get(one.id, ())]
        found = dict[str, tuple[TracedCredential, Row]]()
        for row, one in sorted(made, key=lambda each: each[0]["time"]):
            if row["ip"] in addresses:
                found.setdefault(row["ip"], (one, row))
        return found


def sources(sight: Sight, plan: Plan, narrowing: Narrowing, found: Trace) -> list[Source]:
    """
    What has handed out more than a plan knows of.

    Args:
        sight: The evidence.
        plan: The plan.
        narrowing: What of its subjects counts.
        found: What descends from all that it knows of.
    """
    covered, since = sight.covered(), plan.as_of.timestamp()
    subjects = followed(sight.forest, found, covered, plan.lag, narrowing, plan.tainted, since)
    known = {one.id for one in found.credentials if one.tainted} | {*plan.tainted}
    if known.issuperset(subjects):
        return []
    now = family(sight.forest, subjects, narrowing=narrowing, gaps=()).credentials
    more = {one.id: one for one in now if one.tainted and one.id not in known}
    named = dict[str, Source]()
    for one in more.values():
        first = _first(one, more)
        name = first.principal or first.id
        named.setdefault(name, Source(name)).handed[one.id] = one
    return [*named.values()]


def seen_at(plan: Plan, found: Trace) -> frozenset[str]:
    """The addresses from which what a plan knows of was used."""
    return frozenset(used_from(one for one in found.credentials if one.id in plan.tainted))


def _first(one: TracedCredential, more: Mapping[str, TracedCredential]) -> TracedCredential:
    """What was handed out, of which a credential descends; evidence may hold a ring."""
    passed = {one.id}
    while one.parent and one.parent in more and one.parent not in passed:
        one = more[one.parent]
        passed.add(one.id)
    return one


def _began(one: TracedCredential) -> datetime | None:
    return one.issued_at or one.first_used
