"""
The calls that deleted, stopped or shut things of other services than IAM, with their regions.

Things of the same name in two regions are different, and of two the attacker made, one may have been deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import replace

from tokentrail.aws.calls.workload_kinds import WORKLOADS
from tokentrail.containment.incident.persistence import AttackerAction
from tokentrail.containment.incident.reversal_index import named, names_of
from tokentrail.containment.incident.workloads import name_of
from tokentrail.events.values import uuid_bytes
from tokentrail.lineage import creations
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential
from tokentrail.policy.history.changes import Change


def removals(forest: Forest, deeds: Sequence[AttackerAction], names: Set[str]) -> list[Change]:
    """
    All such calls; their region is filled in only for those that may matter.

    Args:
        forest: The evidence.
        deeds: The attacker's changes: calls that may have ended what they made matter.
        names: Names of hosts whose end matters too.
    """
    known = names | {
        name_of(what, thing)
        for deed in deeds
        for what, thing in creations.made(deed.name, deed.request, deed.response, deed.source)
        if thing and what in WORKLOADS
    }.union(*(names_of(deed) for deed in deeds))
    found = list(forest.removals())
    regions = _regions(forest, {one.event_id for one in found if not known.isdisjoint(named(one))})
    return [replace(one, region=regions.get(one.event_id)) for one in found]


def issued_where(forest: Forest, some: Iterable[Credential]) -> dict[str, str]:
    """By id of a credential that a service issued: the region in which it did, which is the function's or host's."""
    events = {one.id: one.issued_by.event_id for one in some if one.kind == "service_role" and one.issued_by}
    regions = _regions(forest, set(events.values()))
    return {id: region for id, event in events.items() if (region := regions.get(event))}


def _regions(forest: Forest, events: Set[str]) -> dict[str, str | None]:
    raw = {one: packed for one in events if (packed := uuid_bytes(one))}
    found = forest.regions(raw.values())
    return {one: found.get(packed) for one, packed in raw.items()}
