"""
Whether the log shows that a person shut a host, and that it was handed no session since.

An instance that is stopped or terminated or has no profile is handed no session. If it is started or given a profile
again, it is handed one at once (Amazon EC2 User Guide, 'Instance metadata and user data', 'IAM roles for Amazon EC2'),
which the log shows as the service's AssumeRole under the instance's name. A task or build that was stopped never runs
again: whoever starts one starts another host (Amazon ECS API Reference, 'StopTask'; AWS CodeBuild API Reference,
'StopBuild').
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from tokentrail.aws.calls.names import operation_of
from tokentrail.aws.calls.workload_kinds import WORKLOADS
from tokentrail.containment.incident.taint_sources import SESSION_NAMED
from tokentrail.containment.incident.workloads import name_of, session_of, texts_at
from tokentrail.lineage.forest import Forest
from tokentrail.policy.history.changes import Change

_HOSTS = {"ec2.amazonaws.com": "instance", "ecs.amazonaws.com": "task", "codebuild.amazonaws.com": "build"}
"""By service: its kind of host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The last call that shut a host."""

    time: datetime
    call: str
    event_id: str


def closed(forest: Forest, hosts: Mapping[str, Collection[str]], since: datetime) -> dict[str, Closing]:
    """
    Find the call that shut each host, by host; hosts that were handed a session since are left out.

    Args:
        forest: The evidence.
        hosts: The ids of instances, tasks and builds, which are never used again, each with the ARNs of the roles whose
            sessions it was handed.
        since: The time from which on calls count.
    """
    found: dict[str, Closing] = {}
    for change in forest.removals() if hosts else ():
        if change.time >= since:
            for one in _shut(change):
                if one in hosts and (one not in found or found[one].time < change.time):
                    found[one] = Closing(time=change.time, call=change.event_name, event_id=change.event_id)
    return {
        one: closing
        for one, closing in found.items()
        if not _handed(forest, _called(one, closing), hosts[one], closing.time)
    }


def _shut(change: Change) -> Iterator[str]:
    """The ids of the hosts that a change shut."""
    what = _HOSTS.get(change.event_source)
    if what is None:
        return
    host, operation = WORKLOADS[what], operation_of(change.event_name)
    path = host.ended_by.get(operation) or host.shut_by.get(operation)
    if path is not None:
        record = change.response if path.startswith("~") else change.request
        for thing in texts_at(record, path.removeprefix("~").split(".")):
            yield name_of(what, thing)


def _called(host: str, closing: Closing) -> str:
    """The name that a host's sessions have."""
    return (closing.call == "StopBuild" and session_of("build", host)) or host


def _handed(forest: Forest, host: str, roles: Iterable[str], since: datetime) -> bool:
    """Whether a host was handed a session at or after a time; one counts too if the log shows only its use."""
    names = [host, *(one.rpartition("/")[2] for one in roles)]
    among = f"coalesce(f.issued_at, f.first, 0) >= {int(since.timestamp())}"
    return bool(forest.called(names, SESSION_NAMED, ([host], [host]), among))
