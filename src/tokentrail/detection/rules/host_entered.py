"""A credential opens a way into hosts that its principal had never used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tokentrail.aws.calls.names import operation_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.first_uses import (
    FIRST_USE_READS,
    HABITS,
    FirstUse,
    first_uses,
    high_if_suspicious,
    hits_of,
)
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.views import ATTRIBUTED_CHANGES, event_names
from tokentrail.formatting import at, counted
from tokentrail.lineage.rows import object_of

_USER_DATA = """
    SELECT n, request FROM attributed_changes
    WHERE source = 'ec2.amazonaws.com' AND name = 'ModifyInstanceAttribute' AND request LIKE '%"userData"%'"""
_ATTRIBUTE = "ModifyInstanceAttribute"
_NO_ENTRY = frozenset({"CreateKeyPair", "ImportKeyPair"})
"""Such keys open hosts that are started with them, and no others (EC2 API Reference)."""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Look for such calls with two signs of a stranger, or of a lineage that is suspicious already."""
    found = first_uses(context, "host_entry", what="had entered no host")
    if not found:
        return
    started = {row["n"] for row in context.rows(_USER_DATA) if object_of(row["request"])}
    uses = [use for use in found if _enters(use, started)]
    many = context.thresholds.whole("many_hosts")
    judged = [replace(use, signs=_signs(use, many)) for use in uses]
    told = [use for use in judged if len(use.signs) > 1 or use.suspicious]
    yield from hits_of(context, told, high_if_suspicious, _said, "many_hosts")


def _said(use: FirstUse) -> str:
    return f"used a way into hosts ({use.calls}), first at {at(use.time)}"


def _enters(use: FirstUse, started: set[int]) -> bool:
    """Whether it enters anything: of the attributes of an instance, what it runs as it starts does (`started`)."""
    names = {operation_of(row["name"]) for row in use.rows} - _NO_ENTRY
    if names != {_ATTRIBUTE}:
        return bool(names)
    return use.n in started


def _signs(use: FirstUse, many: int) -> tuple[str, ...]:
    ways = {operation_of(row["name"]) for row in use.rows} - _NO_ENTRY
    if use.count >= many:
        return (*use.signs, f"there are {counted(use.count, 'such call')}")
    return (*use.signs, f"there are {len(ways)} such ways") if len(ways) > 1 else use.signs


RULE = Rule(
    id="host-entered",
    title="A credential uses a way into hosts that its principal had never used",
    severity="high",
    attack=("T1021.007", "T1651", "T1552.005"),
    why="Whoever runs commands on a host, or logs in to it, has the credentials of the host's role and whatever "
    "lies on its disks; what is done there is not in the log.",
    false_alarm="Administrators log in to hosts, for the first time too: one sign alone is no finding, and what "
    "the same principal did on an earlier day none either. Ask whoever it was what the host needed.",
    references=(
        "Amazon EC2 API Reference, 'GetPasswordData' and 'ModifyInstanceAttribute' (userData)",
        "AWS Systems Manager API Reference, 'SendCommand' and 'StartSession'",
        "EC2 Instance Connect API Reference, 'SendSSHPublicKey' and 'SendSerialConsoleSSHPublicKey'",
        "Amazon ECS API Reference, 'ExecuteCommand'",
        "Stratus Red Team, aws.execution.ssm-*, aws.lateral-movement.*, aws.execution.ec2-user-data",
    ),
    find=find,
    reads=(*FIRST_USE_READS, ATTRIBUTED_CHANGES),
    late=True,
    thresholds=(*HABITS, "many_hosts"),
    prefilter=event_names("host_entry"),
)
