"""
The users, groups, roles, keys and policies of all accounts over time, by the changes in the log.

Names are compared without case, as in IAM (IAM User Guide, 'IAM and AWS STS quotas': names are unique regardless of
case). A name is not an identity: a user or role that is created under the name of a deleted one is another one, with
another unique id (IAM User Guide, 'IAM identifiers').
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from tokentrail.aws.principals import Principal, caseless
from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.managed import UNSEEN, Reader, aws_owned
from tokentrail.policy.history.timeline import PlacedPolicy, Step, step
from tokentrail.policy.language.documents import Document, Malformed

EntityKind = Literal["user", "group", "role"]
BEGINNING = datetime.min.replace(tzinfo=UTC)


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
class Tenure:
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
        """Whether a credential issued at a time was issued under this tenure or a later one."""
        return self.start <= moment if self.inclusive else self.start < moment


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
        self.tenures: dict[tuple[str, EntityKind, str], list[Tenure]] = {}
        self.keys: dict[tuple[str, str], Key] = {}
        self.policies: dict[str, ManagedPolicy] = {}

    def entity(self, kind: EntityKind, change: Change, name: str) -> Entity:
        """The entity that a name means at the time of a change; a new one if the name was not known."""
        tenures = self._tenures(kind, change, name)
        start = BEGINNING
        if tenures:
            last = tenures[-1]
            if last.entity is not None and last.entity.died is None:
                return last.entity
            start = last.start if last.entity is None else _end(last.entity)
        entity = Entity(kind=kind, account=change.account, name=name)
        tenures.append(Tenure(start=start, seen=change.time, entity=entity))
        return entity

    def created(self, kind: EntityKind, change: Change, name: str, unique_id: str | None) -> Entity:
        """Enter that a user, group or role was created; another that had its name must have been deleted before."""
        tenures = self._tenures(kind, change, name)
        earlier = tenures[-1].entity if tenures else self.entity(kind, change, name)
        if earlier is not None and earlier.died is None:
            earlier.ends(change)
            earlier.replaced = True
        entity = Entity(
            kind=kind, account=change.account, name=name, unique_id=unique_id, born=step(change, None)
        )
        tenures.append(Tenure(start=change.time, seen=change.time, entity=entity, inclusive=True))
        return entity

    def renamed(self, kind: EntityKind, change: Change, name: str, new_name: str) -> None:
        """Enter that a user or group was renamed; all that it has stays with it."""
        entity = self.entity(kind, change, name)
        old, new = self._tenures(kind, change, name), self._tenures(kind, change, new_name)
        if old is not new:
            start = change.time if new else BEGINNING
            new.append(Tenure(start=start, seen=change.time, entity=entity, inclusive=True, renamed=True))
            old.append(Tenure(start=change.time, seen=change.time, entity=None))

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

    def tenures_of(self, principal: Principal) -> list[Tenure]:
        """Who has had a user's or role's name, in order."""
        kind: EntityKind = "role" if principal.kind == "role" else "user"
        return self.tenures.get((principal.account, kind, caseless(principal.name)), [])

    def _tenures(self, kind: EntityKind, change: Change, name: str) -> list[Tenure]:
        return self.tenures.setdefault((change.account, kind, name.casefold()), [])


def takes_away(held: PlacedPolicy) -> bool:
    """Whether an inline policy denies anything, or may, as it can't be read."""
    return isinstance(held, Malformed) or (held is not None and bool(held.denials))


def _end(entity: Entity) -> datetime:
    return entity.died.time if entity.died else BEGINNING


def _named(arn: str) -> str:
    """A policy's ARN without its partition, which is not always known; an account is in one partition only."""
    return arn.casefold().split(":", 2)[-1]
