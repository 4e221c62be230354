"""
Protections that the attacker removed: second factors, boundaries, policies, the log. No step restores them.

Which call removes what is said in `aws.calls`. What the attacker itself had added, and what somebody restored since, is
left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tokentrail.aws.calls.catalogue import Removal, every_reviewed, reviewed
from tokentrail.aws.calls.names import operation_of, service_of
from tokentrail.aws.principals import Principal, told_caseless
from tokentrail.containment.deleted_principals import done_to_deleted
from tokentrail.containment.leftovers import Deed
from tokentrail.lineage.rows import object_of
from tokentrail.policy.history.changes import Change
from tokentrail.spelling import listed

_RESTORED = {
    (one.service, restoring): one.removes
    for one in every_reviewed() if one.removes for restoring in one.removes.restored_by
}  # fmt: skip
"""By call: the removal that it reverses."""
_GIVE_THE_SAME = frozenset(name for _, name in _RESTORED if name.startswith(("Attach", "Add")))
"""Calls that restore the very same, whoever makes them; with the others, the attacker may have added something else."""
_FACTOR, _WHOSE = "EnableMFADevice", 4
"""A second factor may be restored by another device: only the first four members of a thing count, up to the user."""
_ONLY_WITH = {
    "UpdateRole": ("maxSessionDuration", "maxSigninSessionDuration", "resetMaxSigninSessionDuration")
}
"""By call: the parameters of which it has one where it is about a protection (IAM API Reference, 'UpdateRole')."""
_Thing = tuple[str | None, ...]
"""A protection: a call that adds it, the account, the region, and the values of the parameters that name it."""
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
    first, given, since = _removed_and_added(deeds, changes)
    for deed in deeds:
        known = reviewed(service_of(deed.source), deed.name)
        if known and known.removes and _is_about_it(deed.name, object_of(deed.request)):
            thing = _thing(deed, known.removes)
            back = since.get(_proof_of_return(thing))
            own = thing in given and given[thing] <= first[thing]
            if not own and (back is None or back <= deed.time) and not done_to_deleted(deed, deleted, going):
                named = map(deed.asked, known.removes.members)
                told.setdefault((deed.by, known.removes.what), []).append(deed.said(named))
        elif known and known.verdict == "changes_log":
            told.setdefault((deed.by, ""), []).append(deed.said(map(deed.asked, _NAMES)))
    for (by, what), calls in told.items():
        if what:
            yield f"{by} took away {what}, which no step gives back; look at it by hand: {listed(calls, 3)}"
        else:
            yield (
                f"{by} turned off the log or what watches it, or changed what it holds, and no step turns it on again: "
                f"what happens there may be in no evidence, of `verify` neither; look at it first: {listed(calls, 3)}"
            )


def _removed_and_added(
    deeds: Iterable[Deed], changes: Iterable[Change]
) -> tuple[dict[_Thing, datetime], dict[_Thing, datetime], dict[_Thing, datetime]]:
    """When the attacker first removed each thing, and first added it; and when it was last restored."""
    first: dict[_Thing, datetime] = {}
    given: dict[_Thing, datetime] = {}
    since: dict[_Thing, datetime] = {}
    own = set()
    for deed in deeds:
        own.add(deed.event_id)
        service = service_of(deed.source)
        known = reviewed(service, deed.name)
        if known and known.removes:
            thing = _thing(deed, known.removes)
            first[thing] = min(first.get(thing, deed.time), deed.time)
        elif restored := _RESTORED.get((service, operation_of(deed.name))):
            thing = _thing(deed, restored)
            if None not in thing:  # else it may be another
                given[thing] = min(given.get(thing, deed.time), deed.time)
    for one in changes:
        restored = _RESTORED.get((service_of(one.event_source), one.event_name))
        anew = one.event_id not in own or one.event_name in _GIVE_THE_SAME
        if restored and anew and _is_about_it(one.event_name, one.request):
            told = (told_caseless(each, one.asked(each)) for each in restored.members)
            back = _proof_of_return((_name(restored), one.account, "", *told))
            if None not in back:
                since[back] = max(since.get(back, one.time), one.time)
    return first, given, since


def _is_about_it(name: str, request: Mapping[str, Any]) -> bool:
    return name not in _ONLY_WITH or any(one in request for one in _ONLY_WITH[name])


def _thing(deed: Deed, removal: Removal) -> _Thing:
    """The thing that a deed removes or adds. Outside IAM, one of the same name in another region is another one."""
    anywhere = service_of(deed.source) in ("iam", "organizations")
    named = (told_caseless(one, deed.asked(one)) for one in removal.members)
    return _name(removal), deed.account, "" if anywhere else deed.region, *named


def _name(removal: Removal) -> str:
    return min(removal.restored_by)


def _proof_of_return(thing: _Thing) -> _Thing:
    """What shows that a thing is there again."""
    return thing[:_WHOSE] if thing[0] == _FACTOR else thing
