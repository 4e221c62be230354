"""
Whether something that was left behind has been undone since, and when.

A call undoes another only if it names the very same thing, in the same account, service and, outside IAM, region, and
came later. Each call that left something is judged by itself, so that a thing made again counts again. Which call
undoes which is said in `aws.calls`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from tokentrail.aws.calls.catalogue import every_reviewed
from tokentrail.aws.calls.names import operation_of, service_of
from tokentrail.aws.calls.reversals import FOR_GOOD, RENAMES, RESTORES
from tokentrail.aws.principals import told_caseless
from tokentrail.lineage.rows import object_of
from tokentrail.policy.history.changes import Change

if TYPE_CHECKING:
    from tokentrail.containment.leftovers import Deed

_VERSION_PARAMETERS = ("qualifier", "versionName", "documentVersion")
"""Parameters with which a deletion is only of a version (AWS Lambda and Systems Manager API References)."""


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


_Rules = Mapping[tuple[str, str], Sequence[tuple[frozenset[str], Sequence[_Member]]]]


def _rules() -> _Rules:
    """By service and operation that leaves something: the operations that undo it, and the members that must agree."""
    return {
        (one.service, one.operation): [
            (way.operations, tuple(map(_Member.read, way.members))) for way in one.reversed_by
        ]
        for one in every_reviewed() if one.reversed_by
    }  # fmt: skip


_RULES = _rules()
_CALLS = frozenset(name for rules in _RULES.values() for names, _ in rules for name in names)
_PATHS = {
    call: frozenset(
        member.path for rules in _RULES.values() for names, members in rules if call in names for member in members
    )
    for call in _CALLS
}  # fmt: skip
"""By undoing operation: the paths by which it may name what it undoes."""


class Undoings:
    """All calls that undo something, by whomever."""

    def __init__(self, changes: Iterable[Change], removals: Iterable[Change]) -> None:
        """
        Index the calls that may undo something.

        Args:
            changes: The calls to IAM and Organizations.
            removals: The calls to other services, with their regions if they may matter (`named`).
        """
        self._by: dict[tuple[str, str, str, str], list[Change]] = {}
        """By service, account, call, and each text by which it names something; a pipeline may make thousands."""
        self._renames: list[Change] = []
        self._restored: dict[str, datetime] = {}
        for one in (*changes, *removals):
            operation = operation_of(one.event_name)
            if operation in _CALLS:
                for text in {"", *named(one)}:
                    self._by.setdefault((one.event_source, one.account, operation, text), []).append(one)
            elif one.event_name in RENAMES:
                self._renames.append(one)
            elif thing := one.asked(RESTORES.get(one.event_name, "")):
                self._restored[thing] = max(one.time, self._restored.get(thing, one.time))

    def of(self, deed: Deed) -> datetime | None:
        """When what a deed left was undone; `None` if it was not, or if no call surely is about the same thing."""
        service = service_of(deed.source)
        anywhere = service in ("iam", "organizations")
        for names, members in _RULES.get((service, operation_of(deed.name)), ()):
            wanted = _wanted(deed, members)
            if wanted is None or (not anywhere and deed.region is None):
                continue
            texts = {"", *(value for _, value in wanted)}
            for one in (one for name in sorted(names) for one in self._naming(deed, name, texts)):
                if (
                    (one.time > deed.time or (one.time == deed.time and one.event_name in FOR_GOOD))
                    and (anywhere or one.region == deed.region)
                    and all(value in (_texts_at(one.request, path) or {""}) for path, value in wanted)
                    and not _of_one_version(one)
                    and not self._renamed(deed, one.time)
                    and not any(self._restored.get(value, one.time) > one.time for _, value in wanted)
                ):
                    return one.time
        return None

    def _naming(self, deed: Deed, name: str, texts: Set[str]) -> Sequence[Change]:
        """The calls of one name that name the rarest of some texts."""
        return min((self._by.get((deed.source, deed.account, name, one), ()) for one in texts), key=len)

    def _renamed(self, deed: Deed, until: datetime) -> bool:
        """Whether the user or group of a deed was renamed before `until`, so that its old name means another."""
        request = object_of(deed.request)
        return any(
            one.account == deed.account
            and deed.time <= one.time <= until
            and _old_name(one, one.request) in (_old_name(one, request), None)
            and (one.asked("newUserName") or one.asked("newGroupName"))
            for one in self._renames
        )


def _old_name(renaming: Change, told: Mapping[str, Any]) -> str | None:
    """What a request tells where a renaming call names whom it renames."""
    name = told.get(member := RENAMES[renaming.event_name])
    return told_caseless(member, name) if isinstance(name, str) and name else None


def named(change: Change) -> set[str]:
    """The texts by which an undoing call may name what it undoes; an empty one if it names nothing."""
    paths = _PATHS.get(operation_of(change.event_name))
    if paths is None:
        return set()
    return {value for path in paths for value in _texts_at(change.request, path)} or {""}


def names_of(deed: Deed) -> set[str]:
    """The texts by which a later call may name what a deed left; an empty one if a call may name nothing."""
    found: set[str] = set()
    for _, members in _RULES.get((service_of(deed.source), operation_of(deed.name)), ()):
        wanted = _wanted(deed, members)
        if wanted is not None:
            found |= {value for _, value in wanted if value} or {""}
    return found


def _wanted(deed: Deed, members: Sequence[_Member]) -> list[tuple[str, str]] | None:
    """What an undoing call must name: paths and their values; `None` if the deed's record does not have them all."""
    found, several = [], [member for member in members if member.several]
    for member in members:
        record = deed.response if member.own.startswith("~") else deed.request
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
    own = _PATHS[operation_of(change.event_name)]
    return any(change.request.get(name) for name in _VERSION_PARAMETERS if name not in own)
