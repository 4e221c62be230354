"""
One index over the log: which call reversed what another call did, and when.

Which call reverses which is said in `aws.calls`. A call reverses another only if it names the very same thing, in the
same account, service and, outside IAM, region, and came later. Each call that left something is judged by itself, so
that a thing made again counts again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote

from tokentrail.aws.calls.catalogue import Removal, every_reviewed
from tokentrail.aws.calls.names import operation_of, service_of
from tokentrail.aws.calls.reversals import FOR_GOOD, PUTS_RIGHT, RESTORES
from tokentrail.aws.calls.workload_kinds import WORKLOADS
from tokentrail.aws.principals import Principal, told_caseless
from tokentrail.containment.incident.attacker_action import AttackerAction
from tokentrail.containment.incident.workloads import ended_by, name_of, session_of
from tokentrail.events.values import uuid_bytes
from tokentrail.lineage import creations
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential
from tokentrail.lineage.rows import object_of
from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.ledger import NAME_PARAMETERS, EntityKind, NameBindings, principals_named
from tokentrail.policy.language.documents import Document, Malformed, parse

_VERSION_PARAMETERS = ("qualifier", "versionName", "documentVersion")
"""Parameters with which a deletion is only of a version (AWS Lambda and Systems Manager API References)."""
_SETTINGS = {
    "UpdateLoginProfile": ("maxSigninSessionDuration", "resetMaxSigninSessionDuration"),
    "UpdateSAMLProvider": (
        "contextProvider", "identityCenterInstanceArn", "removeContextProvider", "removeIdentityCenterInstance",
        "addPrivateKey", "removePrivateKey", "assertionEncryptionMode",
    ),
}  # fmt: skip
"""
By call: the parameters of what it may change instead of a password or an identity provider's metadata.

A password is in no record, so a call with such a parameter may have set none (IAM API Reference, the page of each).
"""
_ONLY_WITH = {
    "UpdateRole": ("maxSessionDuration", "maxSigninSessionDuration", "resetMaxSigninSessionDuration")
}
"""By call: the parameters of which it has one where it is about a protection (IAM API Reference, 'UpdateRole')."""
_SET_TRUST = ("CreateRole", "AcquireRole", "UpdateAssumeRolePolicy")
"""The calls that set a role's trust policy."""
_ANYBODYS = ("Delete", "Remove")
"""How calls to IAM begin that count as reversals even if the attacker made them."""
_PUT_RIGHT_SERVICES = frozenset({"iam", "rolesanywhere"})
_PUT_RIGHT_MEMBERS = (
    "userName", "roleName", "openIDConnectProviderArn", "sAMLProviderArn", "trustAnchorId", "profileId",
)  # fmt: skip
_PUT_RIGHT_CALLS = frozenset({*_SET_TRUST, *(name for names in PUTS_RIGHT.values() for name in names)})
_RENAMED: tuple[EntityKind, ...] = ("user", "group")
"""What can be renamed, so that a later call of the old name is about another (IAM API Reference)."""
PASSWORD_CHANGES = PUTS_RIGHT["password"]
SECOND_FACTOR = "EnableMFADevice"
"""A second factor may be restored by another device: the device counts for nothing, only whose it is."""


class _Member(NamedTuple):
    """A member in which the call that leaves something and the call that undoes it must agree."""

    path: str
    """Its path in the request that undoes."""
    own: str
    """Its path in the request that leaves something, or after `~` in the response."""
    several: bool
    """Whether it may have several values."""
    optional: bool
    """Whether it may be missing in both."""

    @classmethod
    def read(cls, text: str) -> _Member:
        """Take in a member as the catalogue spells it."""
        path, _, own = text.rstrip("*?").partition("=")
        return cls(path, own or path, text.endswith("*"), text.endswith("?"))


_RULES: Mapping[tuple[str, str], Sequence[tuple[frozenset[str], Sequence[_Member]]]] = {
    (one.service, one.operation): [
        (way.operations, tuple(map(_Member.read, way.members))) for way in one.reversed_by
    ]
    for one in every_reviewed() if one.reversed_by
}  # fmt: skip
"""By service and operation that leaves something: the operations that undo it, and the members that must agree."""


def _paths() -> dict[str, set[str]]:
    """By reversing operation: the paths of its request at which it may name what it reverses."""
    found: dict[str, set[str]] = {}
    for rules in _RULES.values():
        for operations, members in rules:
            for operation in operations:
                found.setdefault(operation, set()).update(member.path for member in members)
    for operation in _PUT_RIGHT_CALLS:
        found.setdefault(operation, set()).update(_PUT_RIGHT_MEMBERS)
    for one in every_reviewed():
        for operation in one.removes.restored_by if one.removes and one.service in _IAM else ():
            found.setdefault(operation, set()).update(one.removes.members if one.removes else ())
    return found


_IAM = frozenset({"iam", "organizations"})
"""Services whose things are in no region."""
_UNDOING = frozenset(name for rules in _RULES.values() for names, _ in rules for name in names)
_NAMED_BY = {
    call: frozenset(
        member.path for rules in _RULES.values() for names, members in rules if call in names for member in members
    )
    for call in _UNDOING
}  # fmt: skip
"""By undoing operation: the paths by which it may name what it undoes."""
_PATHS = _paths()
_ENDING = frozenset(operation for workload in WORKLOADS.values() for operation in workload.ended_by)


class ReversalIndex:
    """The calls of the log that reverse something, whoever made them, by what they name."""

    def __init__(
        self, changes: Iterable[Change], removals: Iterable[Change] = (), own: Set[str] = frozenset()
    ) -> None:
        """
        Index the calls that may reverse something.

        Args:
            changes: The calls to IAM and Organizations.
            removals: The calls to other services, with their regions if they may matter (`named`).
            own: The ids of the attacker's changes: of those to IAM, only deletions put right what others of them did.
        """
        self._by: dict[tuple[str, str, str], list[Change]] = {}
        """By account, operation, and each text by which it names something; a pipeline may make thousands."""
        self._own = own
        self._restored: dict[str, datetime] = {}
        changes = tuple(changes)
        self._names = NameBindings(changes)
        self.deleted: Mapping[Principal, datetime] = self._names.deleted()
        """When users and roles were deleted whose names nobody got since."""
        for change in (*changes, *removals):
            self._add(change, operation_of(change.event_name))

    def _add(self, change: Change, operation: str) -> None:
        if operation in _PATHS or operation in _ENDING:
            for text in {
                "",
                *_texts(change, _PATHS.get(operation, ())),
                *(name for _, name in _ended_names(change)),
            }:
                self._by.setdefault((change.account, operation, text), []).append(change)
        if thing := change.asked(RESTORES.get(operation, "")):
            self._restored[thing] = max(change.time, self._restored.get(thing, change.time))

    def _naming(self, account: str, operation: str, texts: Set[str]) -> Sequence[Change]:
        """The calls of one operation that name the rarest of some texts."""
        return min((self._by.get((account, operation, one), ()) for one in texts), key=len)

    def _counts(self, one: Change) -> bool:
        """Whether a call counts as somebody's who puts right what the attacker did."""
        return (
            one.event_id not in self._own
            or one.event_name.startswith(_ANYBODYS)
            or service_of(one.event_source) not in _IAM
        )

    def undone(self, action: AttackerAction) -> datetime | None:
        """When what an action left was undone; `None` if it was not, or if no call surely is about the same thing."""
        service = service_of(action.source)
        anywhere = service in _IAM
        for operations, members in _RULES.get((service, operation_of(action.name)), ()):
            wanted = _wanted(action, members)
            if wanted is None or (not anywhere and action.region is None):
                continue
            texts = {"", *(value for _, value in wanted)}
            for one in (
                one for name in sorted(operations) for one in self._naming(action.account, name, texts)
            ):
                if (
                    one.event_source == action.source
                    and (one.time > action.time or (one.time == action.time and one.event_name in FOR_GOOD))
                    and (anywhere or one.region == action.region)
                    and all(value in (_texts_at(one.request, path) or {""}) for path, value in wanted)
                    and not _of_one_version(one)
                    and not self._renamed(action, one.time)
                    and not any(self._restored.get(value, one.time) > one.time for _, value in wanted)
                ):
                    return one.time
        return None

    def _renamed(self, action: AttackerAction, until: datetime) -> bool:
        """Whether the user or group of an action was renamed before `until`, so that its old name means another."""
        return any(
            self._names.renamed_between(action.account, kind, name, action.time, until)
            for kind in _RENAMED
            if (name := action.asked(NAME_PARAMETERS[kind]))
        )

    def is_of_deleted(self, action: AttackerAction, going: Collection[Principal]) -> bool:
        """Whether an action was done to a user or role deleted since, or that a plan deletes or denies (`going`)."""
        return any(
            one in going or (one in self.deleted and self.deleted[one] >= action.time)
            for one in principals_named(action.account, action.asked)
        )

    def put_right(self, action: AttackerAction, kind: str, member: str, value: str) -> datetime | None:
        """
        When somebody put right what an action did; `None` if nobody has.

        A change in the same second does not count, as it may have come before. A trust policy that still names whom the
        attacker let in is not put right, nor is what somebody enabled again since.
        """
        added = (
            trusted(action.document) - trusted(self.trust_before(action, value))
            if action.document
            else frozenset()
        )
        found = (
            change.time
            for change in sorted(
                self._said_of(action, PUTS_RIGHT[kind], member, value), key=lambda change: change.time
            )
            if change.time > action.time
            and not sets_something_else(change)
            and self._restored.get(value, change.time) <= change.time
            and not (change.event_name == "UpdateAssumeRolePolicy" and _still_lets_in(change, added))
            and not (
                member == NAME_PARAMETERS["user"]
                and self._names.renamed_between(action.account, "user", value, action.time, change.time)
            )
        )
        return next(found, None)

    def trust_before(self, action: AttackerAction, role: str) -> str | None:
        """The text of a role's trust policy before an action, if the evidence has it."""
        earlier = [
            one for one in self._said_of(action, _SET_TRUST, "roleName", role) if one.time < action.time
        ]
        if not earlier:
            return None
        last = max(earlier, key=lambda one: one.order)
        document = last.document("policyDocument") or last.document("assumeRolePolicyDocument")
        return document if isinstance(document, str) else None

    def _said_of(self, action: AttackerAction, names: Sequence[str], member: str, value: str) -> list[Change]:
        """The calls of some names that name a value in a member, without the attacker's own."""
        told = told_caseless(member, value) or ""
        return [
            one
            for name in names
            for one in self._by.get((action.account, name, told), ())
            if self._counts(one)
            and service_of(one.event_source) in _PUT_RIGHT_SERVICES
            and told_caseless(member, one.asked(member)) == told
        ]

    def ended(
        self,
        kind: str,
        name: str,
        account: str,
        since: datetime | None,
        where: tuple[str | None, str | None] = (None, None),
    ) -> datetime | None:
        """
        When somebody ended a workload after it was made; `None` if nobody did.

        Args:
            kind: Its kind.
            name: Its name, or that of its sessions.
            account: Its account.
            since: When it was made, if known.
            where: Its service and region, if known: a workload of the same name in another is a different one.
        """
        source, region = where
        found = (
            one.time
            for operation in WORKLOADS[kind].ended_by
            for one in self._by.get((account, operation, name), ())
            if self._counts(one)
            and (kind, name) in _ended_names(one)
            and (since is None or one.time >= since)
            and (not source or one.event_source == source)
            and (region is None or one.region in (None, region))
        )
        return min(found, default=None)

    def restored(self, action: AttackerAction, removal: Removal) -> datetime | None:
        """When somebody last added again, in IAM or Organizations, what an action removed; `None` if nobody did."""
        members = [
            one for one in removal.members if SECOND_FACTOR not in removal.restored_by or one == "userName"
        ]
        wanted = {one: told_caseless(one, action.asked(one)) for one in members}
        texts = {value for value in wanted.values() if value} or {""}
        found = (
            one.time
            for operation in removal.restored_by
            for one in self._naming(action.account, operation, texts)
            if one.event_source == action.source
            and (one.event_id not in self._own or operation.startswith(("Attach", "Add")))
            and is_about_protection(operation, one.request)
            and all(
                value is not None and told_caseless(name, one.asked(name)) == value
                for name, value in wanted.items()
            )
        )
        return max(found, default=None)


def is_about_protection(operation: str, request: Mapping[str, Any]) -> bool:
    """Whether a call changes the protection that it may be about."""
    return operation not in _ONLY_WITH or any(one in request for one in _ONLY_WITH[operation])


def sets_something_else(change: Change) -> bool:
    """Whether a change that may put a password or a provider right may only have set how sessions by it are."""
    others = _SETTINGS.get(change.event_name, ())
    return any(one in change.request for one in others) and "sAMLMetadataDocument" not in change.request


def trusted(text: str | None) -> frozenset[str]:
    """The principals that a trust policy names, as it spells them; none if it can't be parsed."""
    document = parse(text)
    return frozenset() if isinstance(document, Malformed) else _trusted(document)


def _trusted(document: Document) -> frozenset[str]:
    return frozenset(
        text for one in document.statements for text in (one.principals.texts if one.principals else ())
    )


def _still_lets_in(change: Change, added: frozenset[str]) -> bool:
    document = parse(change.document("policyDocument"))
    return isinstance(document, Malformed) or not added or bool(added & _trusted(document))


def named(change: Change) -> set[str]:
    """The texts by which a call may name what it undoes or ends; an empty one if it undoes, and names nothing."""
    paths = _NAMED_BY.get(operation_of(change.event_name))
    texts = set() if paths is None else _texts(change, paths) or {""}
    return texts | {name for _, name in ended_by(change)}


def names_of(action: AttackerAction) -> set[str]:
    """The texts by which a later call may name what an action left; an empty one if a call may name nothing."""
    found: set[str] = set()
    for _, members in _RULES.get((service_of(action.source), operation_of(action.name)), ()):
        wanted = _wanted(action, members)
        if wanted is not None:
            found |= {value for _, value in wanted if value} or {""}
    return found


def _texts(change: Change, paths: Iterable[str]) -> set[str]:
    return {value for path in paths for value in _texts_at(change.request, path)}


def _ended_names(change: Change) -> Iterator[tuple[str, str]]:
    """The workloads that a change may end: kind and name, and kind and name of the sessions."""
    for kind, name in ended_by(change):
        yield kind, name
        if session := session_of(kind, name):
            yield kind, session


def _wanted(action: AttackerAction, members: Sequence[_Member]) -> list[tuple[str, str]] | None:
    """What an undoing call must name: paths and their values; `None` if the action's record does not have them all."""
    found, several = [], [member for member in members if member.several]
    for member in members:
        record = action.response if member.own.startswith("~") else action.request
        values = _texts_at(object_of(record), member.own.lstrip("~")) or ({""} if member.optional else set())
        if len(values) != 1 and not member.several:
            return None
        found += [(member.path, value) for value in sorted(values)]
    return found if not several or len(found) > len(members) - len(several) else None


def _texts_at(value: Any, path: str) -> set[str]:
    """The texts and whole numbers at a path, through lists."""
    at = [value]
    for name in path.split("."):
        inner = [one.get(name) for one in at if isinstance(one, Mapping)]
        at = [each for one in inner for each in (one if isinstance(one, list) else [one])]
    texts = (str(one) if type(one) is int and 0 <= one < 2**63 else one for one in at)
    return {_compared(path, one) for one in texts if isinstance(one, str) and one}


def _compared(path: str, text: str) -> str:
    """A text as it is compared: IAM's names without case; EKS's ARNs, which are parts of a URL, decoded."""
    return unquote(text) if path == "principalArn" else told_caseless(path, text) or ""


def _of_one_version(change: Change) -> bool:
    """Whether a call deletes only a version; for a function's URL or permission, `qualifier` is a part of the name."""
    own = _NAMED_BY[operation_of(change.event_name)]
    return any(change.request.get(name) for name in _VERSION_PARAMETERS if name not in own)


def removals(forest: Forest, actions: Sequence[AttackerAction], names: Set[str]) -> list[Change]:
    """
    All such calls; their region is filled in only for those that may matter.

    Args:
        forest: The evidence.
        actions: The attacker's changes: calls that may have ended what they made matter.
        names: Names of hosts whose end matters too.
    """
    known = names | {
        name_of(what, thing)
        for action in actions
        for what, thing in creations.made(action.name, action.request, action.response, action.source)
        if thing and what in WORKLOADS
    }.union(*(names_of(action) for action in actions))
    found = list(forest.removals())
    regions = _regions(forest, {one.event_id for one in found if not known.isdisjoint(named(one))})
    return [replace(one, region=regions.get(one.event_id)) for one in found]


def issued_where(forest: Forest, some: Iterable[Credential]) -> dict[str, str]:
    """By id of a credential that a service issued: the region in which it did, which is the function's or host's."""
    events = {one.id: one.issued_by.event_id for one in some if one.kind == "service_role" and one.issued_by}
    regions = _regions(forest, set(events.values()))
    return {id: region for id, event in events.items() if (region := regions.get(event))}


def _regions(forest: Forest, events: Set[str]) -> dict[str, str | None]:
    raw = {one: packed for one in events if (packed := uuid_bytes(one))}
    found = forest.regions(raw.values())
    return {one: found.get(packed) for one, packed in raw.items()}
