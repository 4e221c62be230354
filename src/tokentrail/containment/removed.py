"""
What somebody did away with that is not IAM's, and where.

In another region a thing of the same name is another one, and whoever made one in each may have deleted one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tokentrail.containment.leftovers import Deed
from tokentrail.containment.workloads import WORKLOADS, name_of, removing
from tokentrail.events.values import uuid_bytes
from tokentrail.lineage import creations
from tokentrail.lineage.forest import Forest
from tokentrail.policy.changes import Change


def removals(forest: Forest, deeds: Sequence[Deed]) -> list[Change]:
    """All such calls; of those that may have ended what deeds made, also in which region that was."""
    made = {
        name_of(what, thing)
        for deed in deeds
        for what, thing in creations.made(deed.name, deed.request, deed.response, deed.source)
        if thing and what in WORKLOADS
    }
    found = list(forest.removals())
    asked = {one.event_id for one in found if not made.isdisjoint(removing(one))}
    raw = {one: bytes_ for one in asked if (bytes_ := uuid_bytes(one))}
    regions = forest.regions(raw.values())
    return [
        replace(one, region=regions.get(raw[one.event_id])) if one.event_id in raw else one for one in found
    ]
