"""
Things that outlive the token that made them: what was made, and by what id it will be known.

Which call makes what, and where its id stands, is said in `aws.calls`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from tokentrail.aws.calls.catalogue import CallFacts, every_reviewed, reviewed
from tokentrail.aws.calls.names import operation_of, service_of
from tokentrail.lineage.rows import object_of

_SHARED = (
    ("add", "remove", ("launchPermission",)), ("add", "remove", ("createVolumePermission",)),
    ("valuesToAdd", "valuesToRemove", ()), ("accountIdsToAdd", "accountIdsToRemove", ()),
)  # fmt: skip
"""
How a request names with whom a thing is shared from then on, and with whom no more: the members, and where they lie.

Source: API References of Amazon EC2, Amazon RDS and AWS Systems Manager.
"""
OPERATIONS = frozenset(one.operation for one in every_reviewed() if one.creates)
"""The operations that leave anything behind."""
_SEVERAL = {"instance": ("instancesSet.items", "instanceId"), "task": ("tasks", "taskArn")}
"""By kind of which one call may make several: the path of their list in the response, and the id of each."""
_LIKELIEST = ("iam", "ec2", "lambda", "ecs", "ssm", "s3", "glue", "codebuild")
"""The services that are meant, where the service is not told and several have such a call."""


def made(
    name: str, request: str | None, response: str | None, source: str | None = None
) -> list[tuple[str, str | None]]:
    """
    What a successful call left behind: kind and id of each thing; nothing for calls that leave nothing.

    A key that was made active again counts as made: it works because of this call. Names of IAM's calls occur in
    other services too (`transfer:CreateUser`), where they make nothing of the kind. A dry run leaves things as they are
    (AWS Lambda API Reference, 'UpdateFunctionCode': DryRun).
    """
    known = reviewed(service_of(source), name) if source is not None else _of_any_service(operation_of(name))
    if known is None or known.creates is None:
        return []
    asked, answered = object_of(request), object_of(response)
    if asked.get("dryRun") is True or any(_takes_back(asked, given) for given in _SHARED):
        return []
    if known.operation == "UpdateAccessKey" and _text(asked, "status") != "Active":
        return []
    kind = known.creates.kind
    if kind in _SEVERAL and (several := _several(kind, answered)) is not None:
        return several
    told = (_told(path, asked, answered) for path in known.creates.id_paths)
    return [(kind, next(filter(None, told), None))]


@cache
def _by_operation() -> dict[str, list[CallFacts]]:
    """The calls that leave something, by operation."""
    found: dict[str, list[CallFacts]] = {}
    for one in every_reviewed():
        if one.creates:
            found.setdefault(one.operation, []).append(one)
    return found


def _of_any_service(operation: str) -> CallFacts | None:
    """What is known of a call whose service is not told."""
    found = _by_operation().get(operation, [])
    likeliest = (one for service in _LIKELIEST for one in found if one.service == service)
    return next(likeliest, found[0] if found else None)


def _several(kind: str, answered: Mapping[str, Any]) -> list[tuple[str, str | None]] | None:
    """Each thing in the list of an answer; `None` if there is no such list."""
    path, member = _SEVERAL[kind]
    value: Any = answered
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return [(kind, _text(one, member)) for one in value] if isinstance(value, list) else None


def _takes_back(asked: Mapping[str, Any], given: tuple[str, str, tuple[str, ...]]) -> bool:
    """Whether a request only ends that something is shared."""
    added, removed, inside = given
    member: Any = asked
    for name in inside:
        member = member.get(name) if isinstance(member, Mapping) else None
    return isinstance(member, Mapping) and bool(member.get(removed)) and not member.get(added)


def _told(path: str, asked: Mapping[str, Any], answered: Mapping[str, Any]) -> str | None:
    """A text at a path of a request, or with `~` of its answer."""
    return _text(answered if path.startswith("~") else asked, *path.removeprefix("~").split("."))


def _text(value: Any, *path: str) -> str | None:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None
