"""
Find credentials that hosts, portals and sign-ins of the attacker's handed out after a containment plan was carried out.

They descend from no subject of the plan. A host that is still open gives the thief its next session; one that was
cleaned and opened again gives it to the owner, and the log looks the same. So each source is reported once, and once
more for each address from which credentials of the plan were used, however many credentials it hands out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime

from tokentrail.case.views import View
from tokentrail.containment.incident.taint import subjects_by_now, used_from
from tokentrail.containment.model import Plan
from tokentrail.lineage.model import Trace, TracedCredential
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trace import Narrowing, family


@dataclass(frozen=True, slots=True)
class Source:
    """A host, portal or sign-in that hands out credentials, and those from it that the plan does not know of."""

    name: str
    """The principal of the first credential that it handed out, or that one's id."""
    handed: dict[str, TracedCredential] = field(default_factory=dict)
    """By id: what it handed out, and all that was minted with it; the oldest first."""

    def before(self, moment: datetime) -> list[TracedCredential]:
        """Those that began before a moment or at an unknown time: the plan's steps should have ended them."""
        return [one for one in self.handed.values() if (began := _began(one)) is None or began < moment]

    def since(self, moment: datetime) -> list[TracedCredential]:
        """Those that began at a moment or later."""
        return [one for one in self.handed.values() if (began := _began(one)) and began >= moment]

    def used_at(
        self, addresses: Set[str], moment: datetime, calls: Mapping[str, Sequence[Row]]
    ) -> dict[str, tuple[TracedCredential, Row]]:
        """
        The first call from each of some addresses, with the credential that made it, of those since a moment.

        Args:
            addresses: The addresses.
            moment: The moment.
            calls: The calls of credentials, by id.
        """
        made = [(row, one) for one in self.since(moment) for row in calls.get(one.id, ())]
        found = dict[str, tuple[TracedCredential, Row]]()
        for row, one in sorted(made, key=lambda each: each[0]["time"]):
            if row["ip"] in addresses:
                found.setdefault(row["ip"], (one, row))
        return found


def sources(view: View, plan: Plan, narrowing: Narrowing, found: Trace) -> list[Source]:
    """
    The sources that have handed out credentials that a plan does not know of.

    Args:
        view: The evidence.
        plan: The plan.
        narrowing: Which calls of its subjects count as the attacker's.
        found: The family of all credentials that the plan knows of.
    """
    covered, since = view.covered(), plan.as_of.timestamp()
    subjects = subjects_by_now(view.forest(None), found, covered, plan.lag, narrowing, plan.tainted, since)
    known = {one.id for one in found.credentials if one.tainted} | {*plan.tainted}
    if known.issuperset(subjects):
        return []
    now = family(view.forest(None), subjects, narrowing=narrowing, gaps=()).credentials
    more = {one.id: one for one in now if one.tainted and one.id not in known}
    named = dict[str, Source]()
    for one in more.values():
        first = _first(one, more)
        name = first.principal or first.id
        named.setdefault(name, Source(name)).handed[one.id] = one
    return [*named.values()]


def seen_at(plan: Plan, found: Trace) -> frozenset[str]:
    """The addresses from which the tainted credentials of a plan were used."""
    return frozenset(used_from(one for one in found.credentials if one.id in plan.tainted))


def _first(one: TracedCredential, more: Mapping[str, TracedCredential]) -> TracedCredential:
    """The topmost ancestor of a credential among some; forged evidence may make a ring of parents."""
    passed = {one.id}
    while one.parent and one.parent in more and one.parent not in passed:
        one = more[one.parent]
        passed.add(one.id)
    return one


def _began(one: TracedCredential) -> datetime | None:
    return one.issued_at or one.first_used
