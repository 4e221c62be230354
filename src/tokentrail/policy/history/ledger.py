"""
The users, groups, roles, keys and policies of all accounts over time, by the changes in the log.

Names are compared without case, as in IAM (IAM User Guide, 'IAM and AWS STS quotas': names are unique regardless of
case). A name is not an identity: a user or role that is created under the name of a deleted one is another one, with
another unique id (IAM User Guide, 'IAM identifiers').
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from tokentrail.aws.principals import Principal, caseless
from tokentrail.policy.history.changes import Change, in_order
from tokentrail.policy.history.managed import UNSEEN, Reader, aws_owned
from tokentrail.policy.history.timeline import PlacedPolicy, Step, step
from tokentrail.policy.language.documents import Document, Malformed

EntityKind = Literal["user", "group", "role"]
BEGINNING = datetime.min.replace(tzinfo=UTC)
NAME_PARAMETERS: Mapping[EntityKind, str] = {"user": "userName", "role": "roleName", "group": "groupName"}
"""By kind: the request parameter by which IAM calls name a user, role or group."""
_PRINCIPALS: tuple[Literal["role", "user"], ...] = ("role", "user")
_CREATES: Mapping[str, EntityKind] = {
    "CreateUser": "user", "CreateRole": "role", "AcquireRole": "role", "CreateGroup": "group",
}  # fmt: skip
_DELETES: Mapping[str, EntityKind] = {"DeleteUser": "user", "DeleteRole": "role", "DeleteGroup": "group"}
_RENAMES: Mapping[str, tuple[EntityKind, str]] = {
    "UpdateUser": ("user", "newUserName"), "UpdateGroup": ("group", "newGroupName"),
}  # fmt: skip
"""Calls that rename, unless they only move to another path: the kind, and the parameter with the new name."""
NAME_CALLS = frozenset({*_CREATES, *_DELETES, *_RENAMES})
"""The calls after which a name means another user, role or group, or none (IAM API Reference, the page of each)."""


@dataclass(slots=True, kw_only=True)
class Slot:
    """A place for a policy: an inline policy's name, or an attachment."""

    label: str
    """Its name or ARN, as first written."""
    steps: list[Step[PlacedPolicy]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Attachment:
    """Whether a managed policy is attached, or set as permissions boundary, over time."""

    arn: str
    steps: list[Step[bool]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True, eq=False)
class Entity:
    """One user, group or role, from its creation to its deletion, through renames."""

    kind: EntityKind
    account: str
    name: str
    """The first known name."""
    present_name: str
    """The last known name."""
    unique_id: str | None = None
    born: Step[None] | None = None
    died: Step[None] | None = None
    replaced: bool = False
    """Whether its deletion was not seen, but only that another got its name."""
    inline: dict[str, Slot] = field(default_factory=dict)
    attached: dict[str, Attachment] = field(default_factory=dict)
    boundary: dict[str, Attachment] = field(default_factory=dict)
    groups: list[tuple[Entity, list[Step[bool]]]] = field(default_factory=list)

    def put_inline(self, name: str, change: Change, held: PlacedPolicy) -> None:
        """
        Enter that an inline policy was put, or deleted (`None`).

        A policy that denies nothing is entered only if it replaces one that did: most policies never deny anything, and
        automation writes them by the thousand.
        """
        slot = self.inline.get(name.casefold())
        if slot is None and not takes_away(held):
            return
        if slot is None:
            slot = self.inline[name.casefold()] = Slot(label=name)
        if takes_away(held) or takes_away(slot.steps[-1].value):
            slot.steps.append(step(change, held))

    def attachment(self, arn: str) -> Attachment:
        """The attachment of a managed policy, be it attached or not."""
        return self.attached.setdefault(arn.casefold(), Attachment(arn=arn))

    def bound_by(self, arn: str | None, change: Change) -> None:
        """Enter that the permissions boundary was set, or removed (`None`); there is one at most."""
        for other in self.boundary.values():
            if arn is None or other.arn.casefold() != arn.casefold():
                other.steps.append(step(change, False))
        if arn is not None:
            place = self.boundary.setdefault(arn.casefold(), Attachment(arn=arn))
            place.steps.append(step(change, True))

    def membership(self, group: Entity) -> list[Step[bool]]:
        """The steps of the user's membership in a group, to be added to."""
        for member_of, steps in self.groups:
            if member_of is group:
                return steps
        steps = []
        self.groups.append((group, steps))
        return steps

    def ends(self, change: Change) -> None:
        """Enter that it was deleted, with all that was in force on it."""
        self.died = step(change, None)
        for slot in self.inline.values():
            slot.steps.append(step(change, None))
        for place in (*self.attached.values(), *self.boundary.values()):
            place.steps.append(step(change, False))
        for _, steps in self.groups:
            steps.append(step(change, False))


@dataclass(frozen=True, slots=True, kw_only=True)
class NameBinding:
    """That a name means an entity, or nobody, from `start` on."""

    start: datetime
    seen: datetime
    """The time of the first change that shows it."""
    entity: Entity | None
    """`None` if a rename freed the name."""
    inclusive: bool = False
    """Whether a credential issued in that very second is the entity's."""
    renamed: bool = False
    """Whether the entity took the name by being renamed."""

    def covers(self, moment: datetime) -> bool:
        """Whether a credential issued at a time was issued under this binding or a later one."""
        return self.start <= moment if self.inclusive else self.start < moment

    @property
    def is_taken(self) -> bool:
        """Whether a call shows that the entity got the name; else calls only name it."""
        return self.renamed or (self.entity is not None and self.entity.born is not None)

    @property
    def is_told(self) -> bool:
        """Whether a call shows that the entity got the name, or that it is gone."""
        return self.is_taken or (self.entity is not None and self.entity.died is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rename:
    """That a user or group was renamed."""

    time: datetime
    old_name: str
    entity: Entity
    later: int
    """The place of the old name's first binding after it."""


_Name = tuple[str, EntityKind, str]
"""An account, a kind, and a name without case."""


class NameBindings:
    """Which user, group or role each name meant when, by the calls that created, renamed and deleted them."""

    def __init__(self, changes: Iterable[Change] = ()) -> None:
        """Enter those of some changes, in any order, that bind names."""
        self._bindings: dict[_Name, list[NameBinding]] = {}
        self._renames: dict[_Name, list[_Rename]] = {}
        for change in in_order(one for one in changes if one.event_name in NAME_CALLS):
            self.enter(change)

    def enter(self, change: Change) -> Entity | None:
        """Enter a change that creates, renames or deletes, after all before it; any other changes nothing."""
        if not change.event_source.startswith("iam."):
            return None
        name = change.event_name
        if kind := _CREATES.get(name):
            return self._create(kind, change)
        if kind := _DELETES.get(name):
            if entity := self.named(kind, change):
                entity.ends(change)
            return entity
        return self._rename(*_RENAMES[name], change) if name in _RENAMES else None

    def named(self, kind: EntityKind, change: Change) -> Entity | None:
        """The entity that a change names, at its time; `None` if it names none of the kind."""
        name = change.asked(NAME_PARAMETERS[kind])
        return self.entity(kind, change, name) if name else None

    def entity(self, kind: EntityKind, change: Change, name: str) -> Entity:
        """The entity that a name means at the time of a change; a new one if the name was not known."""
        bindings = self._of(kind, change, name)
        start = BEGINNING
        if bindings:
            last = bindings[-1]
            if last.entity is not None and last.entity.died is None:
                return last.entity
            start = last.start if last.entity is None else _end(last.entity)
        entity = Entity(kind=kind, account=change.account, name=name, present_name=name)
        bindings.append(NameBinding(start=start, seen=change.time, entity=entity))
        return entity

    def _create(self, kind: EntityKind, change: Change) -> Entity | None:
        """Enter a creation; another entity that had the name must have been deleted before."""
        name = change.asked(NAME_PARAMETERS[kind])
        if name is None:
            return None
        bindings = self._of(kind, change, name)
        earlier = bindings[-1].entity if bindings else self.entity(kind, change, name)
        if earlier is not None and earlier.died is None:
            earlier.ends(change)
            earlier.replaced = True
        entity = Entity(
            kind=kind, account=change.account, name=name, present_name=name, born=step(change, None),
            unique_id=change.answered(kind, f"{kind}Id"),
        )  # fmt: skip
        bindings.append(NameBinding(start=change.time, seen=change.time, entity=entity, inclusive=True))
        return entity

    def _rename(self, kind: EntityKind, parameter: str, change: Change) -> Entity | None:
        """Enter a renaming; all that the entity has stays with it."""
        name, new_name = change.asked(NAME_PARAMETERS[kind]), change.asked(parameter)
        if name is None or new_name is None or name == new_name:
            return None
        entity = self.entity(kind, change, name)
        entity.present_name = new_name
        old, new = self._of(kind, change, name), self._of(kind, change, new_name)
        if old is not new:
            start = change.time if new else BEGINNING
            new.append(
                NameBinding(start=start, seen=change.time, entity=entity, inclusive=True, renamed=True)
            )
            old.append(NameBinding(start=change.time, seen=change.time, entity=None))
        rename = _Rename(time=change.time, old_name=name, entity=entity, later=len(old))
        self._renames.setdefault((change.account, kind, caseless(name)), []).append(rename)
        return entity

    def of(self, principal: Principal) -> list[NameBinding]:
        """Who has had a user's or role's name, in order."""
        kind: EntityKind = "role" if principal.kind == "role" else "user"
        return self._bindings.get((principal.account, kind, caseless(principal.name)), [])

    def unique_id(self, principal: Principal) -> str | None:
        """The unique id of the last user or role of a name, if its creation shows it."""
        bearers = (one.entity for one in reversed(self.of(principal)) if one.is_told)
        return next((one.unique_id for one in bearers if one is not None), None)

    def deleted(self) -> dict[Principal, datetime]:
        """
        When users and roles were deleted whose names nobody got since.

        A user that was renamed is not among them, even if another user that got its old name was deleted.
        """
        found: dict[Principal, datetime] = {}
        for (account, kind, name), bindings in self._bindings.items():
            last = next((one.entity for one in reversed(bindings) if one.is_told), None)
            if kind != "group" and last and last.died and (account, kind, name) not in self._renames:
                found[Principal(account, kind, name)] = last.died.time
        return found

    def present_names(self) -> dict[Principal, str]:
        """The present names of renamed users by their old names, unless another user got the old name."""
        return {old: now for old, now, passed_on in self._renamed_users() if not passed_on}

    def namesakes(self) -> dict[Principal, str]:
        """The present names of renamed users by their old names, which other users got since."""
        return {old: now for old, now, passed_on in self._renamed_users() if passed_on}

    def _renamed_users(self) -> Iterator[tuple[Principal, str, bool]]:
        """The old name of each user that has another by now, its present name, and whether another user got the old."""
        for (account, kind, name), renames in self._renames.items():
            for one in renames if kind == "user" else ():
                later = (each for each in self._bindings[account, kind, name][one.later :] if each.is_taken)
                passed_on = any(each.entity is not one.entity for each in later)
                if one.entity.present_name != one.old_name:
                    yield Principal(account, "user", one.old_name), one.entity.present_name, passed_on

    def renamed_between(
        self, account: str, kind: EntityKind, name: str, since: datetime, until: datetime
    ) -> bool:
        """Whether the user or group of a name was renamed in a time, both ends included: then it means another."""
        renames = self._renames.get((account, kind, caseless(name)), ())
        return any(since <= one.time <= until for one in renames)

    def _of(self, kind: EntityKind, change: Change, name: str) -> list[NameBinding]:
        return self._bindings.setdefault((change.account, kind, caseless(name)), [])


def principals_named(account: str, asked: Callable[[str], str | None]) -> list[Principal]:
    """The role and the user that an IAM call names; `asked` gives a parameter of its request."""
    named = ((kind, asked(NAME_PARAMETERS[kind])) for kind in _PRINCIPALS)
    return [Principal(account, kind, name) for kind, name in named if name]


@dataclass(slots=True, kw_only=True)
class Key:
    """A long-term access key."""

    owner: Entity | None = None
    steps: list[Step[str]] = field(default_factory=list)
    """`Active`, `Inactive`, `Deleted`."""


@dataclass(slots=True, kw_only=True)
class ManagedPolicy:
    """A customer's managed policy: its versions, and the default one's document over time."""

    versions: dict[str, Document | Malformed] = field(default_factory=dict)
    steps: list[Step[PlacedPolicy]] = field(default_factory=list)


class Ledger:
    """What is known of the identities of all accounts, once all changes are entered in order."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self.read = Reader()
        self.names = NameBindings()
        self.keys: dict[tuple[str, str], Key] = {}
        self.policies: dict[str, ManagedPolicy] = {}

    def key(self, change: Change, key_id: str) -> Key:
        """The record of a long-term key."""
        return self.keys.setdefault((change.account, key_id), Key())

    def policy(self, arn: str) -> ManagedPolicy:
        """The record of a customer's managed policy."""
        return self.policies.setdefault(_named(arn), ManagedPolicy())

    def documents_of(self, arn: str) -> tuple[list[Step[PlacedPolicy]], PlacedPolicy]:
        """The documents of a managed policy over time, and that before the first change that was seen."""
        owned = aws_owned(arn)
        if owned is not None:
            return [], owned
        known = self.policies.get(_named(arn))
        return (known.steps if known else []), UNSEEN


def takes_away(held: PlacedPolicy) -> bool:
    """Whether an inline policy denies anything, or may, as it can't be read."""
    return isinstance(held, Malformed) or (held is not None and bool(held.denials))


def _end(entity: Entity) -> datetime:
    return entity.died.time if entity.died else BEGINNING


def _named(arn: str) -> str:
    """A policy's ARN without its partition, which is not always known; an account is in one partition only."""
    return arn.casefold().split(":", 2)[-1]
