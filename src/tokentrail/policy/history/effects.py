"""
What the changes in the log did to a credential: whether it was ended, by what, and since when.

An ending counts only as long as it lasts: a policy that was removed, or a key that was reactivated, ends nothing.
Which call does what: `replay` and `organisation`. Sources: IAM User Guide, 'Revoking IAM role temporary security
credentials' and 'Disabling permissions for temporary security credentials'.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from tokentrail.aws.principals import Principal
from tokentrail.formatting import quoted
from tokentrail.policy.history.changes import Change, in_order
from tokentrail.policy.history.effective_policies import (
    EffectivePolicies,
    Ending,
    Note,
    Place,
    earliest,
    ended_by,
)
from tokentrail.policy.history.ledger import Attachment, Entity, Key, Ledger, NameBinding
from tokentrail.policy.history.replay import enter
from tokentrail.policy.history.service_control_policies import Organisation
from tokentrail.policy.history.timeline import PlacedPolicy, Step, gated, has_clock, step_at
from tokentrail.policy.language.context import LASTING, Caller
from tokentrail.policy.language.documents import Document

__all__ = ["Effects", "Ending", "Note", "accounts", "name_of"]

_SERVICE_LINKED = ":role/aws-service-role/"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The user or role of a credential, or why it is not known."""

    entity: Entity | None = None
    doubt: str | None = None


class Effects:
    """
    The effects of a set of changes on any credential, at any time.

    It takes all changes of all accounts, in any order, repeated or not.
    """

    def __init__(
        self, changes: Iterable[Change], *, lasting: bool = False, management_account: str | None = None
    ) -> None:
        """
        Enter the changes, in the order in which they happened.

        Args:
            changes: The changes.
            lasting: Count a deny on conditions about the time of the request (`aws:CurrentTime`) only if it holds at
                any later time, too: whoever can wait escapes any other.
            management_account: The organisation's management account, if known: no service control policy binds it
                (AWS Organizations User Guide, 'Service control policies (SCPs)').
        """
        self._lasting, self._management_account = lasting, management_account
        self._ledger = Ledger()
        self._organisation = Organisation(self._ledger.read)
        for change in in_order(changes):
            enter(self._ledger, change)
            self._organisation.enter(change)
        self._standings: dict[int, _Standings] = {}
        self._controls: dict[str, _Standings] = {}

    def ended(self, caller: Caller, key_id: str | None, as_of: datetime) -> Ending | None:
        """
        Tell what has ended a credential by a moment, changes of that very second included.

        Args:
            caller: The credential.
            key_id: Its access key id; it matters for long-term keys alone.
            as_of: The moment.

        Returns:
            The earliest ending that still stands then, or `None`.
        """
        if caller.issued_at is not None and caller.issued_at > as_of:
            return None
        found = self._find(caller, key_id, as_of)
        standings = self._standing_on(caller, found.entity, as_of)
        return earliest(
            ending
            for ending in (
                self._key_ending(caller, key_id, as_of),
                _death(found.entity, caller, as_of),
                *(item.ending(caller) for item in standings),
            )
            if ending is not None
        )

    def retired(self, caller: Caller, key_id: str | None, as_of: datetime) -> Ending | None:
        """Tell what has kept a long-term key from signing any request by a moment, if anything: no policy does."""
        found = self._find(caller, key_id, as_of)
        endings = (self._key_ending(caller, key_id, as_of), _death(found.entity, caller, as_of))
        return earliest(one for one in endings if one is not None)

    def denies(self, caller: Caller, key_id: str | None, action: str, as_of: datetime) -> bool:
        """
        Tell whether a credential is surely denied an action on every resource at a moment.

        Args:
            caller: The credential.
            key_id: Its access key id; it matters for long-term keys alone.
            action: Such as `sts:AssumeRole`.
            as_of: The moment.
        """
        found = self._find(caller, key_id, as_of)
        return any(item.denies(caller, action) for item in self._standing_on(caller, found.entity, as_of))

    def partly(self, caller: Caller, key_id: str | None, as_of: datetime) -> tuple[Note, ...]:
        """Tell what limits a credential at a moment without ending it, and what the log leaves open."""
        found = self._find(caller, key_id, as_of)
        notes = [
            note for item in self._standing_on(caller, found.entity, as_of) for note in item.notes(caller)
        ]
        if found.doubt:
            notes.append(
                Note(certainty="undecided", at=None, event_id=None, event_name=None, sentence=found.doubt)
            )
        return tuple(sorted(notes, key=lambda note: (note.at or as_of, note.event_id or "", note.sentence)))

    def deleted(self) -> dict[Principal, datetime]:
        """When users and roles were deleted whose names nobody got since."""
        return self._ledger.names.deleted()

    def _standing_on(
        self, caller: Caller, entity: Entity | None, as_of: datetime
    ) -> Iterator[EffectivePolicies]:
        if entity is not None:
            yield self._standing(entity, as_of)
        bound = caller.account != self._management_account and _SERVICE_LINKED not in (caller.role or "")
        if caller.account and bound:
            yield self._controlled(caller.account, as_of)

    def _standing(self, entity: Entity, as_of: datetime) -> EffectivePolicies:
        known = self._standings.get(id(entity))
        if known is None:
            known = _Standings(list(_places(entity, self._ledger)), lasting=self._lasting)
            self._standings[id(entity)] = known
        return known.at(as_of)

    def _controlled(self, account: str, as_of: datetime) -> EffectivePolicies:
        known = self._controls.get(account)
        if known is None:
            places = [
                Place(
                    label=f"service control policy {quoted(control.policy)} at {quoted(control.target)}",
                    steps=control.steps,
                    doubt=control.doubt,
                )
                for control in self._organisation.controls(account)
            ]
            known = self._controls[account] = _Standings(places, lasting=self._lasting)
        return known.at(as_of)

    def _key(self, caller: Caller, key_id: str | None) -> Key | None:
        if caller.kind not in LASTING or caller.account is None or key_id is None:
            return None
        return self._ledger.keys.get((caller.account, key_id))

    def _key_ending(self, caller: Caller, key_id: str | None, as_of: datetime) -> Ending | None:
        """Find since when a long-term key has not been active; tokens made with it go on."""
        key = self._key(caller, key_id)
        index = step_at(key.steps, as_of) if key else -1
        if key is None or index < 0 or key.steps[index].value == "Active":
            return None
        while index > 0 and key.steps[index - 1].value != "Active":
            index -= 1
        done = "deleted the key" if key.steps[index].value == "Deleted" else "made the key inactive"
        return ended_by(key.steps[index], caller, f"{key.steps[index].event_name} {done}", unusable=True)

    def _find(self, caller: Caller, key_id: str | None, as_of: datetime) -> _Found:
        """Find whose credential it is: by the key's owner, the unique id, or the time of issue."""
        key = self._key(caller, key_id)
        if key is not None and key.owner is not None:
            return _Found(entity=key.owner)
        named = _named(caller)
        if named is None:
            return _Found()
        begun = [binding for binding in self._ledger.names.of(named) if binding.seen <= as_of]
        unique = caller.unique_id
        for binding in reversed(begun):
            if unique is not None and binding.entity is not None and binding.entity.unique_id == unique:
                return _Found(entity=binding.entity)
        return _by_name(begun, caller, as_of, f"{named.kind} {quoted(named.name)}")


class _Standings:
    """What is in force on a user, role or account over time; it is computed anew only if something changed."""

    def __init__(self, places: Sequence[Place], *, lasting: bool) -> None:
        self._places, self._lasting = places, lasting
        self._last: tuple[datetime, EffectivePolicies] | None = None

    def at(self, as_of: datetime) -> EffectivePolicies:
        """What is in force at a time; the last answer is reused if nothing changed in between."""
        if self._last is None or not self._alike(self._last[0], as_of):
            self._last = as_of, EffectivePolicies.at(self._places, as_of, lasting=self._lasting)
        return self._last[1]

    def _alike(self, one: datetime, other: datetime) -> bool:
        if one == other:
            return True
        return not self._by_clock and bisect_right(self._turns, one) == bisect_right(self._turns, other)

    @cached_property
    def _turns(self) -> list[datetime]:
        return sorted({step.time for place in self._places for step in place.steps})

    @cached_property
    def _by_clock(self) -> bool:
        return any(
            isinstance(step.value, Document) and has_clock(step.value)
            for place in self._places for step in place.steps
        )  # fmt: skip


def accounts(callers: Iterable[Caller]) -> frozenset[str] | None:
    """The accounts whose changes, besides the organisation's, affect some credentials; `None` if one is not known."""
    found = set[str]()
    for caller in callers:
        named = _named(caller)
        mine = {one for one in (caller.account, named and named.account) if one}
        if not mine:
            return None
        found |= mine
    return frozenset(found)


def name_of(caller: Caller) -> str | None:
    """The name of the user or role whose policies apply to a credential; a key's owner may have had others."""
    named = _named(caller)
    return named.name if named else None


def _named(caller: Caller) -> Principal | None:
    """The user or role whose policies bind the credential."""
    principal = caller.acts_as
    return principal if principal.is_named else None


def _by_name(begun: Sequence[NameBinding], caller: Caller, as_of: datetime, title: str) -> _Found:
    """Pick whose credential it is, among those who had the name at some time, none of whom is known to have its id."""
    held = [(binding, binding.entity) for binding in begun if binding.entity is not None]
    possible = [pair for pair in held if caller.unique_id is None or pair[1].unique_id is None]
    if caller.issued_at is not None:
        return _by_issue(possible, caller.issued_at, as_of, title)
    known = [entity for _, entity in possible if not (entity.replaced and _gone(entity, as_of))]
    candidates = known or [entity for _, entity in possible]
    if len(candidates) > 1:
        return _Found(
            doubt=f"there has been more than one {title}, and which this is of is not in the evidence"
        )
    return _Found(entity=candidates[0] if candidates else None)


def _by_issue(
    possible: Sequence[tuple[NameBinding, Entity]], issued: datetime, as_of: datetime, title: str
) -> _Found:
    """Pick who had the name at the time of issue, unless it may be somebody who was renamed or not seen."""
    covering = [index for index, (binding, _) in enumerate(possible) if binding.covers(issued)]
    if not covering:
        return _Found()
    entity = possible[covering[-1]][1]
    if entity.died is not None and issued > entity.died.time:
        return _Found(doubt=f"the {title} was gone when this was issued, and its return was not seen")
    if _gone(entity, as_of) and any(binding.renamed for binding, _ in possible[covering[-1] + 1 :]):
        return _Found(doubt=f"the {title} was gone, and another has been renamed to it since")
    return _Found(entity=entity)


def _gone(entity: Entity, as_of: datetime) -> bool:
    return entity.died is not None and entity.died.time <= as_of


def _death(entity: Entity | None, caller: Caller, as_of: datetime) -> Ending | None:
    """Find whether the user or role is gone; another one of its name does not revive its credentials."""
    if entity is None or entity.died is None or not _gone(entity, as_of):
        return None
    title = f"{entity.kind} {quoted(entity.name)}"
    if entity.replaced:
        sentence = f"{title} was made anew, so the one that this is of was gone by then"
    else:
        sentence = f"{entity.died.event_name} removed the {title}"
    return ended_by(entity.died, caller, sentence, unusable=caller.kind in LASTING)


def _places(entity: Entity, ledger: Ledger) -> Iterator[Place]:
    """Every policy that applies to a user or role over time: its own, its boundary, and those of its groups."""
    where = f"{entity.kind} {quoted(entity.name)}"
    yield from _policies(entity, ledger, where)
    for bound in entity.boundary.values():
        label = f"permissions boundary {quoted(bound.arn)} of {where}"
        yield Place(label=label, steps=_attached(bound, ledger), boundary=True)
    for group, gate in entity.groups:
        for place in _policies(
            group, ledger, f"group {quoted(group.name)}, with member {quoted(entity.name)},"
        ):
            yield Place(label=place.label, steps=gated(gate, place.steps))


def _policies(entity: Entity, ledger: Ledger, where: str) -> Iterator[Place]:
    for slot in entity.inline.values():
        yield Place(label=f"inline policy {quoted(slot.label)} of {where}", steps=slot.steps)
    for place in entity.attached.values():
        steps = _attached(place, ledger)
        yield Place(label=f"managed policy {quoted(place.arn)} of {where}", steps=steps)


def _attached(place: Attachment, ledger: Ledger) -> Sequence[Step[PlacedPolicy]]:
    documents, before = ledger.documents_of(place.arn)
    return gated(place.steps, documents, before)
