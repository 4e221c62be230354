"""
Protections that the attacker removed: second factors, boundaries, policies, the log. No step restores them.

What the attacker itself had added, and what somebody restored since, is left out. Sources: IAM API Reference, AWS
Organizations API Reference, AWS CloudTrail API Reference and Amazon GuardDuty API Reference, the page of each call.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tokentrail.aws.principals import Principal, told_caseless
from tokentrail.containment.deleted_principals import done_to_deleted
from tokentrail.containment.leftovers import Deed
from tokentrail.lineage.rows import object_of
from tokentrail.policy.history.changes import Change
from tokentrail.spelling import listed

_PROTECTIONS = (
    ("iam", "DeactivateMFADevice", "a second factor", "userName serialNumber", "EnableMFADevice"),
    (
        "iam",
        "DeleteUserPermissionsBoundary",
        "a permissions boundary",
        "userName",
        "PutUserPermissionsBoundary",
    ),
    (
        "iam",
        "DeleteRolePermissionsBoundary",
        "a permissions boundary",
        "roleName",
        "PutRolePermissionsBoundary",
    ),
    ("iam", "DeleteUserPolicy", "a policy", "userName policyName", "PutUserPolicy"),
    ("iam", "DeleteRolePolicy", "a policy", "roleName policyName", "PutRolePolicy"),
    ("iam", "DeleteGroupPolicy", "a policy", "groupName policyName", "PutGroupPolicy"),
    ("iam", "DetachUserPolicy", "a policy", "userName policyArn", "AttachUserPolicy"),
    ("iam", "DetachRolePolicy", "a policy", "roleName policyArn", "AttachRolePolicy"),
    ("iam", "DetachGroupPolicy", "a policy", "groupName policyArn", "AttachGroupPolicy"),
    ("iam", "RemoveUserFromGroup", "a group membership", "userName groupName", "AddUserToGroup"),
    ("iam", "DeleteLoginProfile", "a password", "userName", "CreateLoginProfile"),
    ("iam", "UpdateRole", "a limit to how long a role's sessions last", "roleName", "UpdateRole"),
    ("organizations", "DetachPolicy", "a policy of the organisation", "policyId targetId", "AttachPolicy"),
    ("organizations", "UpdatePolicy", "what a policy of the organisation said", "policyId", "UpdatePolicy"),
)
_TAKEN = {
    (service, name): (what, members.split(), giver) for service, name, what, members, giver in _PROTECTIONS
}
"""By call: what it removes, the parameters that name that, and the call that adds it, with the same parameters."""
_GIVEN = {(service, giver): members for (service, _), (_, members, giver) in _TAKEN.items()}
_GIVE_THE_SAME = frozenset(name for _, name in _GIVEN if name.startswith(("Attach", "Add")))
"""Calls that restore the very same, whoever makes them; with the others, the attacker may have added something else."""
_FACTOR, _WHOSE = "EnableMFADevice", 3
"""A second factor may be restored by another device: only the first three members of a thing count, up to the user."""
_ONLY_WITH = {
    "UpdateRole": ("maxSessionDuration", "maxSigninSessionDuration", "resetMaxSigninSessionDuration")
}
"""By call: the parameters of which it has one where it is about a protection (IAM API Reference, 'UpdateRole')."""
_Thing = tuple[str | None, ...]
"""A protection: the call that adds it, the account, and the values of the parameters that name it."""
_BLINDS = {
    "cloudtrail": "StopLogging DeleteTrail UpdateTrail PutEventSelectors DeleteEventDataStore "
    "StopEventDataStoreIngestion",
    "guardduty": "DeleteDetector UpdateDetector",
}
"""By service: the calls that turn off the log or what watches it, or may reduce it."""
_NAMES = ("name", "trailName", "eventDataStore", "detectorId")


def weakened(
    deeds: Sequence[Deed],
    changes: Sequence[Change],
    deleted: Mapping[Principal, datetime],
    going: Collection[Principal],
) -> Iterator[str]:
    """
    Sentences about what deeds removed, by who did it and by kind.

    Args:
        deeds: The changes that tainted credentials made.
        changes: All changes to IAM, by which protections may have been restored.
        deleted: The users and roles that were deleted, and when: they need no protection.
        going: Those that the attacker made, and that a plan deletes or denies.
    """
    told: dict[tuple[str, str], list[str]] = {}
    first, given, since = _taken_and_given(deeds, changes)
    for deed in deeds:
        service = deed.source.partition(".")[0]
        if (service, deed.name) in _TAKEN and _is_about_it(deed.name, object_of(deed.request)):
            (what, members, _), thing = _TAKEN[service, deed.name], _taken(deed)
            back = since.get(_proof_of_return(thing))
            own = thing in given and given[thing] <= first[thing]
            if not own and (back is None or back <= deed.time) and not done_to_deleted(deed, deleted, going):
                told.setdefault((deed.by, what), []).append(deed.said(map(deed.asked, members)))
        elif deed.name in _BLINDS.get(service, "").split():
            named = [deed.asked(each) for each in _NAMES]
            told.setdefault((deed.by, ""), []).append(deed.said(named))
    for (by, what), calls in told.items():
        if what:
            yield f"{by} took away {what}, which no step gives back; look at it by hand: {listed(calls, 3)}"
        else:
            yield (
                f"{by} turned off the log or what watches it, or changed what it holds, and no step turns it on again: "
                f"what happens there may be in no evidence, of `verify` neither; look at it first: {listed(calls, 3)}"
            )


def _taken_and_given(
    deeds: Iterable[Deed], changes: Iterable[Change]
) -> tuple[dict[_Thing, datetime], dict[_Thing, datetime], dict[_Thing, datetime]]:
    """When the attacker first removed each thing, and first added it; and when it was last restored."""
    first: dict[_Thing, datetime] = {}
    given: dict[_Thing, datetime] = {}
    since: dict[_Thing, datetime] = {}
    own = set()
    for deed in deeds:
        own.add(deed.event_id)
        call = deed.source.partition(".")[0], deed.name
        if call in _TAKEN:
            thing = _taken(deed)
            first[thing] = min(first.get(thing, deed.time), deed.time)
        elif call in _GIVEN:
            thing = deed.name, deed.account, *(told_caseless(one, deed.asked(one)) for one in _GIVEN[call])
            if None not in thing:  # else it may be another
                given[thing] = min(given.get(thing, deed.time), deed.time)
    for one in changes:
        members = _GIVEN.get((one.event_source.partition(".")[0], one.event_name))
        anew = one.event_id not in own or one.event_name in _GIVE_THE_SAME
        if members and anew and _is_about_it(one.event_name, one.request):
            told = (told_caseless(each, one.asked(each)) for each in members)
            back = _proof_of_return((one.event_name, one.account, *told))
            if None not in back:
                since[back] = max(since.get(back, one.time), one.time)
    return first, given, since


def _is_about_it(name: str, request: Mapping[str, Any]) -> bool:
    return name not in _ONLY_WITH or any(one in request for one in _ONLY_WITH[name])


def _taken(deed: Deed) -> _Thing:
    _, members, giver = _TAKEN[deed.source.partition(".")[0], deed.name]
    return giver, deed.account, *(told_caseless(one, deed.asked(one)) for one in members)


def _proof_of_return(thing: _Thing) -> _Thing:
    """What shows that a thing is there again."""
    return thing[:_WHOSE] if thing[0] == _FACTOR else thing
