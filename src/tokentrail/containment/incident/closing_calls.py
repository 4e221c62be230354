"""
The call that closes a source, so that it hands out no more credentials, where one call does.

What a person must do where none does is told by `planning.closing_sources`. Sources: the API References of IAM, AWS
Lambda, Amazon EC2, Amazon ECS, AWS CodeBuild, IAM Roles Anywhere and AWS Sign-In, the page of each call.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

from tokentrail.aws.calls.workload_kinds import WORKLOADS
from tokentrail.aws.principals import Principal
from tokentrail.containment.incident.assumption import Assumption
from tokentrail.containment.incident.incident_model import EntryPoint
from tokentrail.containment.incident.workloads import REGION
from tokentrail.containment.model import Call, iam

_TASK = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""How ECS spells the id of a task (Amazon ECS Developer Guide, 'Amazon Resource Names (ARNs) and IDs')."""
_BUILD = re.compile(r"[^:/]+:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""How CodeBuild spells the id of a build: its project and a number of its own. Batches and projects have other ids."""


def closing_call(source: EntryPoint) -> Call | None:
    """
    The call that closes a source; `None` if none does, or the evidence has too little to spell it.

    Hosts and providers of the owner's are left to a person, since the owner's work needs them.
    """
    match source.kind:
        case "password" if not source.mints.is_root:
            return iam(source.account, "DeleteLoginProfile", UserName=source.id)
        case "trust" if document := source.before.get("document"):
            return iam(source.account, "UpdateAssumeRolePolicy", RoleName=source.id, PolicyDocument=document)
        case "sign_in" if source.id.startswith("arn:") and region_of(source):
            return _call(source, "signin", "BatchRevokeSessions", sessionArns=[source.id])
        case "provider" if source.made and source.what is None:
            return _deleting_provider(source)
        case "host" if source.made:
            return _stopping_host(source)
        case _:
            return None


def region_of(source: EntryPoint) -> str | None:
    """The region of a source, by its ARN or the call that made it; `None` if neither says."""
    own = source.id.split(":")[3] if source.id.startswith("arn:") and source.id.count(":") >= 5 else ""
    found = own or source.region or ""
    return found if REGION.fullmatch(found) else None


def running_on(
    sources: Sequence[EntryPoint], made: Container[Principal]
) -> tuple[list[EntryPoint], list[Assumption]]:
    """
    Split off hosts and providers with a role that the attacker made and that no call of ours stops.

    The role is denied for good, so that the proof needs no person to stop them first; but they may run on.

    Args:
        sources: What hands out credentials.
        made: The roles that the attacker made.

    Returns:
        The other sources, and the risk that those split off are, if there are any.
    """
    left = [
        one for one in sources
        if one.kind in ("host", "provider") and one.mints in made and one.until is None and closing_call(one) is None
    ]  # fmt: skip
    named = (
        f"{f'{kind.called} ' if (kind := WORKLOADS.get(one.what or '')) else ''}{one.id} "
        f"({', '.join(filter(None, (one.account, one.region)))})"
        for one in left
    )
    risk = Assumption.of("idle", things=tuple(dict.fromkeys(named)))
    apart = frozenset(left)
    return [one for one in sources if one not in apart], [risk] if left else []


def _deleting_provider(source: EntryPoint) -> Call | None:
    """Delete an identity provider of the attacker's, or disable its trust anchor or profile of IAM Roles Anywhere."""
    if ":oidc-provider/" in source.id:
        return iam(source.account, "DeleteOpenIDConnectProvider", OpenIDConnectProviderArn=source.id)
    if ":saml-provider/" in source.id:
        return iam(source.account, "DeleteSAMLProvider", SAMLProviderArn=source.id)
    what, _, number = source.id.rpartition(":")[2].partition("/")
    if ":rolesanywhere:" not in source.id or not number:
        return None
    if what == "profile":
        return _call(source, "rolesanywhere", "DisableProfile", profileId=number)
    return _call(source, "rolesanywhere", "DisableTrustAnchor", trustAnchorId=number)


def _stopping_host(source: EntryPoint) -> Call | None:
    """
    Stop a host that the attacker made.

    A task or build that was started by a call is not started again, as those of a service or pipeline are.
    """
    if not source.named:
        return None
    match source.what:
        case "instance" if source.id.startswith("i-"):
            return _call(source, "ec2", "StopInstances", InstanceIds=[source.id])
        case "function":
            none = {"FunctionName": source.id, "ReservedConcurrentExecutions": 0}
            return _call(source, "lambda", "PutFunctionConcurrency", **none)
        case "task" if source.cluster and _TASK.fullmatch(source.id):
            return _call(source, "ecs", "StopTask", cluster=source.cluster, task=source.id)
        case "build" if _BUILD.fullmatch(source.id):
            return _call(source, "codebuild", "StopBuild", id=source.id)
        case _:
            return None


def _call(source: EntryPoint, service: str, operation: str, **parameters: object) -> Call | None:
    """A call in the region of a source; `None` if that is not known."""
    region = region_of(source)
    if region is None:
        return None
    return Call(
        account=source.account, service=service, operation=operation, parameters=parameters, region=region
    )
