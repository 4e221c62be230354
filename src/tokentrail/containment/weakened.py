"""
What the attacker took away that protected: second factors, boundaries, policies, the log. No step gives it back.

What was the attacker's own, and what somebody gave back since, is not told. Sources: IAM API Reference, AWS CloudTrail
API Reference and Amazon GuardDuty API Reference, the page of each call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from datetime import datetime

from tokentrail.containment.leftovers import Deed, asked
from tokentrail.containment.untold import some_of
from tokentrail.policy.changes import Change

_ROWS = (
    ("DeactivateMFADevice", "a second factor", "userName serialNumber", "EnableMFADevice"),
    ("DeleteUserPermissionsBoundary", "a permissions boundary", "userName", "PutUserPermissionsBoundary"),
    ("DeleteRolePermissionsBoundary", "a permissions boundary", "roleName", "PutRolePermissionsBoundary"),
    ("DeleteUserPolicy", "a policy", "userName policyName", "PutUserPolicy"),
    ("DeleteRolePolicy", "a policy", "roleName policyName", "PutRolePolicy"),
    ("DeleteGroupPolicy", "a policy", "groupName policyName", "PutGroupPolicy"),
    ("DetachUserPolicy", "a policy", "userName policyArn", "AttachUserPolicy"),
    ("DetachRolePolicy", "a policy", "roleName policyArn", "AttachRolePolicy"),
    ("DetachGroupPolicy", "a policy", "groupName policyArn", "AttachGroupPolicy"),
    ("RemoveUserFromGroup", "a group membership", "userName groupName", "AddUserToGroup"),
    ("DeleteLoginProfile", "a password", "userName", "CreateLoginProfile"),
)
_TAKEN = {name: (what, members.split(), giver) for name, what, members, giver in _ROWS}
"""By call: what it takes away, the parameters that name it, and the call that gives it, with the same ones."""
_GIVEN = {giver: members for _, members, giver in _TAKEN.values()}
_FACTOR, _WHOSE = "EnableMFADevice", 3
"""A second factor is given back by another device, too: by the call, account and user."""
_Thing = tuple[str | None, ...]
_BLINDS = {
    "cloudtrail": "StopLogging DeleteTrail UpdateTrail PutEventSelectors DeleteEventDataStore "
    "StopEventDataStoreIngestion",
    "guardduty": "DeleteDetector UpdateDetector",
}
"""By service: the calls that turn off the log, or what watches it, or may narrow it."""
_NAMES = ("name", "trailName", "eventDataStore", "detectorId")


def weakened(deeds: Sequence[Deed], changes: Sequence[Change]) -> Iterator[str]:
    """
    The sentences about what deeds took away, by whom and of which kind.

    Args:
        deeds: The changes of tainted credentials.
        changes: Everybody's changes to IAM, by which it may have been given back.
    """
    told: dict[tuple[str, str], list[str]] = {}
    own = {deed.event_id for deed in deeds}
    before, since = _given(deeds, changes, own)
    for deed in deeds:
        if deed.source.startswith("iam.") and deed.name in _TAKEN:
            what, members, giver = _TAKEN[deed.name]
            named = [asked(deed, one) for one in members]
            thing = giver, deed.account, *named
            back = thing[:_WHOSE] if giver == _FACTOR else thing
            first, last = before.get(thing), since.get(back)
            if (first is None or first > deed.time) and (last is None or last <= deed.time):
                told.setdefault((deed.by, what), []).append(_said(deed, [one for one in named if one]))
        elif deed.name in _BLINDS.get(deed.source.partition(".")[0], "").split():
            named = [asked(deed, each) for each in _NAMES]
            told.setdefault((deed.by, ""), []).append(_said(deed, [one for one in named if one]))
    for (by, what), calls in told.items():
        if what:
            yield f"{by} took away {what}, which no step gives back; look at it by hand: {some_of(calls)}"
        else:
            yield (
                f"{by} turned off the log or what watches it, or changed what it holds, and no step turns it on again: "
                f"what happens there may be in no evidence, of `verify` neither; look at it first: {some_of(calls)}"
            )


def _given(
    deeds: Iterable[Deed], changes: Iterable[Change], own: Set[str]
) -> tuple[dict[_Thing, datetime], dict[_Thing, datetime]]:
    """What the attacker gave first of all, and what anybody else gave last; of second factors, to whom alone."""
    before: dict[_Thing, datetime] = {}
    since: dict[_Thing, datetime] = {}
    for deed in deeds:
        if deed.name in _GIVEN:
            thing = deed.name, deed.account, *(asked(deed, one) for one in _GIVEN[deed.name])
            before[thing] = min(before.get(thing, deed.time), deed.time)
    for one in changes:
        if one.event_name in _GIVEN and one.event_id not in own:
            thing = one.event_name, one.account, *(one.asked(each) for each in _GIVEN[one.event_name])
            thing = thing[:_WHOSE] if one.event_name == _FACTOR else thing
            since[thing] = max(since.get(thing, one.time), one.time)
    return before, since


def _said(deed: Deed, named: Sequence[str]) -> str:
    where = ", ".join(one for one in (deed.account, deed.region) if one)
    on = f" on {', '.join(named)}" if named else ""
    return f"{deed.name}{on} ({where}{', ' if where else ''}event {deed.event_id})"
