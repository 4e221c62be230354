"""
Credentials that an attacker might mint without the log showing it, and what policies tell such credentials apart by.

Whatever the minter chooses (MFA, source identity, provider, sign-in session) is unknown, and so are tags, address,
endpoint, tool and region: a deny counts only if it holds for every value. A service chooses none of the first four.
Only the time of issue and the session name are tried value by value, since the denials that containment writes tell
credentials apart by these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from tokentrail.aws.principals import Principal, caseless
from tokentrail.containment.documents import Person
from tokentrail.containment.incident.incident_model import IncidentModel
from tokentrail.policy.history.changes import Change
from tokentrail.policy.language.conditions import Condition, change_times, wanted
from tokentrail.policy.language.context import Caller
from tokentrail.policy.language.documents import Document, parse

ANY_NAME = "any-name"
"""Stands for any session name that no statement excepts literally."""
Window = tuple[datetime, datetime]
"""The first and the last time of issue."""
_EVER: Window = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_ISSUED, _USER_ID = "aws:tokenissuetime", "aws:userid"
_ISSUE_TIME = frozenset({_ISSUED})
_LONGEST_KEPT = 16_384
"""Characters of the longest document whose differences are kept: IAM stores no longer one."""


@dataclass(slots=True)
class Differences:
    """The times of issue and user ids by which the policies on a principal treat its credentials differently."""

    dates: set[datetime] = field(default_factory=set)
    excepted: dict[str, set[Window]] = field(default_factory=dict)
    """User ids that statements except, each with the times of issue to which those statements apply."""

    def merge(self, other: Differences) -> None:
        """Add another's dates and user ids."""
        self.dates |= other.dates
        for name, windows in other.excepted.items():
            self.excepted.setdefault(name, set()).update(windows)

    def names(self, moment: datetime) -> list[str]:
        """The user ids whose tokens, if issued then, may be treated differently from all others."""
        return sorted(
            name
            for name, windows in self.excepted.items()
            if any(since <= moment <= until for since, until in windows)
        )

    @property
    def literal_names(self) -> frozenset[str]:
        """The excepted user ids that are no patterns."""
        return frozenset(name for name in self.excepted if not _is_pattern(name))


class _Exception(NamedTuple):
    """A user id that a statement excepts, and the times of issue to which the statement applies."""

    user_id: str
    window: Window


class _Told(NamedTuple):
    """What one document tells credentials apart by."""

    dates: frozenset[datetime]
    excepted: tuple[_Exception, ...]


def differences(changes: Sequence[Change]) -> dict[tuple[str, str], Differences]:
    """
    The differences that policies make, by account and name of the user or role.

    A managed policy counts for all to whom it was ever attached, also as a permissions boundary. One on a group, or on
    no known user or role, is under the account and an empty name; an organisation's policy is under an empty account
    and name.
    """
    found: dict[tuple[str, str], Differences] = {}
    attached: dict[str, set[tuple[str, str]]] = {}
    for change in changes:
        for arn in filter(None, (change.asked("policyArn"), change.asked("permissionsBoundary"))):
            if change.event_name not in _VERSIONS:
                attached.setdefault(_resource(arn), set()).add(_subject(change))
    for change in changes:
        document = change.document("policyDocument") or change.document("content")
        if document is None:
            continue
        told = _differences_of(document)
        for subject in _subjects(change, attached):
            docs = found.setdefault(subject, Differences())
            docs.dates |= told.dates
            for user_id, window in told.excepted:
                docs.excepted.setdefault(user_id, set()).add(window)
    return found


_VERSIONS = frozenset(
    {"CreatePolicyVersion", "SetDefaultPolicyVersion", "DeletePolicyVersion", "DeletePolicy"}
)
"""Calls that name a managed policy, and attach it to nobody."""


def _subjects(change: Change, attached: dict[str, set[tuple[str, str]]]) -> set[tuple[str, str]]:
    """Whom the document of a change may concern."""
    if change.event_source.startswith("organizations."):
        return {("", "")}
    if change.event_name in ("CreatePolicy", "CreatePolicyVersion"):
        return attached.get(_managed(change), {(change.account, "")})
    return {_subject(change)}


def _subject(change: Change) -> tuple[str, str]:
    """The account and name of the user or role that a change names; the name is empty for a group."""
    name = change.asked("roleName") or change.asked("userName")
    return change.account, caseless(name) if name else ""


def _managed(change: Change) -> str:
    """The managed policy that a change writes."""
    arn = change.asked("policyArn") or change.answered("policy", "arn")
    path = change.asked("path") or "/"
    return _resource(arn) if arn else f"{change.account}:policy{path}{change.asked('policyName')}"


def _resource(arn: str) -> str:
    """An ARN's account and resource, whatever its partition."""
    return arn.split(":", 4)[-1]


def hypothetical_credentials(
    incident: IncidentModel,
    principal: Principal,
    moment: datetime,
    user_id: str | None,
    unlike: frozenset[str],
) -> Iterator[Caller]:
    """
    The credentials that an attacker might have minted unseen for a principal in a second.

    Args:
        incident: The incident.
        principal: For a role, sessions; for a user or root, tokens of every kind.
        moment: The time of issue.
        user_id: Their `aws:userid`; `None` for any.
        unlike: With any, values of `aws:userid` that they do not have, as these are tried by themselves.
    """
    known = incident.known.get(principal)
    arn, unique = incident.arn(principal), known.unique_id if known else None
    account, partition = principal.account, arn.split(":")[1]
    other = unlike if user_id is None else None
    if principal.kind == "role":
        if user_id and unique and user_id.partition(":")[0] not in (unique, ANY_NAME):
            return  # another principal's
        who = user_id or (f"{unique}:{ANY_NAME}" if unique else None)
        name = who.partition(":")[2] if who else ANY_NAME
        hosted = principal in incident.handed_to_hosts_alone
        for person in incident.persons.get(principal, (Person(),)):
            yield Caller(
                kind="service_role" if hosted else "assumed_role", mfa=False if hosted else None,
                account=account, role=arn, principal_id=who, session_name=name, issued_at=moment,
                principal=f"arn:{partition}:sts::{account}:assumed-role/{principal.name}/{name}",
                person=person.user_id or None, origin_subject=person.subject or None,
                origin_issuer=person.issuer or None, hypothetical=True, named_unlike=other,
            )  # fmt: skip
    elif principal.kind == "root":
        yield Caller(
            kind="session_token", account=account, principal=arn, principal_id=account, issued_at=moment,
            hypothetical=True,
        )  # fmt: skip
        if incident.federates(principal):
            yield Caller(
                kind="federation_token", account=account, principal_id=f"{account}:{ANY_NAME}", behind=arn,
                principal=f"arn:{partition}:sts::{account}:federated-user/{ANY_NAME}", issued_at=moment,
                hypothetical=True, named_unlike=other,
            )  # fmt: skip
    elif principal.kind == "user":
        yield Caller(
            kind="session_token", account=account, principal=arn, principal_id=unique, user_name=principal.name,
            issued_at=moment, hypothetical=True,
        )  # fmt: skip
        guest = user_id if user_id and ":" in user_id else f"{account}:{ANY_NAME}"
        yield Caller(
            kind="federation_token", account=account, principal_id=guest, user_name=principal.name, issued_at=moment,
            principal=f"arn:{partition}:sts::{account}:federated-user/{guest.partition(':')[2]}", hypothetical=True,
            named_unlike=other,
        )  # fmt: skip
    else:
        yield Caller(kind="unknown", account=account, principal=arn, issued_at=moment, hypothetical=True)


def _differences_of(document: object) -> _Told:
    if isinstance(document, str) and len(document) <= _LONGEST_KEPT:
        return _kept_differences(document)
    return _parsed_differences(document)


@lru_cache(maxsize=4096)
def _kept_differences(text: str) -> _Told:
    return _parsed_differences(text)


def _parsed_differences(document: object) -> _Told:
    """What a document's denials tell credentials apart by; one that can't be read denies nothing surely."""
    policy = parse(document)
    denials = policy.denials if isinstance(policy, Document) else ()
    return _Told(
        dates=frozenset(change_times((one for each in denials for one in each.conditions), _ISSUE_TIME)),
        excepted=tuple(one for each in denials for one in _excepted(each.conditions)),
    )


def _excepted(conditions: Sequence[Condition]) -> Iterator[_Exception]:
    """The user ids in a statement's negated conditions, each with the times of issue to which it applies."""
    window = _window(conditions)
    for condition in conditions:
        asked = wanted(condition.operator)
        if condition.key == _USER_ID and asked is not None and asked.operator.negated:
            for value in condition.values:
                wild = asked.operator.wildcards
                yield _Exception(value.replace("*", ANY_NAME) if wild else value, window)


def _is_pattern(user_id: str) -> bool:
    return ANY_NAME in user_id or "?" in user_id


def _window(conditions: Sequence[Condition]) -> Window:
    """The times of issue that a statement's conditions admit, or a wider window if that is not clear."""
    since, until = _EVER
    for condition in conditions:
        asked = wanted(condition.operator)
        if condition.key != _ISSUED or asked is None or asked.if_exists:
            continue
        each = [
            change_times((Condition(operator=condition.operator, key=_ISSUED, values=(value,)),), _ISSUE_TIME)
            for value in condition.values
        ]
        if not all(each) or not each:
            continue
        if asked.operator.name.startswith("DateGreaterThan"):
            since = max(since, min(min(dates) for dates in each))
        elif asked.operator.name.startswith("DateLessThan"):
            until = min(until, max(max(dates) for dates in each))
    return since, until
