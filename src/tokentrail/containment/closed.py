"""
Whether the log shows that an instance was shut by a person, and has been handed no session since.

A stopped or terminated instance, and one without a profile, is handed none; one that is started or given a profile
again is handed one at once (Amazon EC2 User Guide, 'Instance metadata and user data', 'IAM roles for Amazon EC2'),
which the log shows as an AssumeRole of the service's under the instance's name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from tokentrail.containment.handed import NAMED_SO
from tokentrail.lineage.forest import Forest
from tokentrail.policy.changes import Change

_CALLS = ("StopInstances", "TerminateInstances", "DisassociateIamInstanceProfile")


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The last call that shut an instance."""

    time: datetime
    call: str
    event_id: str


def closed(forest: Forest, instances: Mapping[str, Collection[str]], since: datetime) -> dict[str, Closing]:
    """
    Find what shut instances, by instance; none for one that has been handed a session since.

    Args:
        forest: The evidence.
        instances: Their ids, which no other instance ever has, and the ARNs of the roles that each was handed.
        since: From when on.
    """
    found: dict[str, Closing] = {}
    for change in forest.removals() if instances else ():
        if (
            change.event_source == "ec2.amazonaws.com"
            and change.event_name in _CALLS
            and change.time >= since
        ):
            for one in _instances(change):
                if one in instances and (one not in found or found[one].time < change.time):
                    found[one] = Closing(time=change.time, call=change.event_name, event_id=change.event_id)
    return {
        one: closing
        for one, closing in found.items()
        if not _handed(forest, one, instances[one], closing.time)
    }


def _instances(change: Change) -> Iterator[str]:
    answer = change.response or {}
    association = answer.get("iamInstanceProfileAssociation")
    listed = change.request.get("instancesSet")
    items = listed.get("items") if isinstance(listed, Mapping) else None
    for one in (association, *(items if isinstance(items, list) else ())):
        name = one.get("instanceId") if isinstance(one, Mapping) else None
        if isinstance(name, str):
            yield name


def _handed(forest: Forest, instance: str, roles: Iterable[str], since: datetime) -> bool:
    """Whether an instance was handed a session in a second or after it: one that was seen in use alone counts, too."""
    names = [instance, *(one.rpartition("/")[2] for one in roles)]
    among = f"coalesce(f.issued_at, f.first, 0) >= {int(since.timestamp())}"
    return bool(forest.called(names, NAMED_SO, ([instance], [instance]), among))
