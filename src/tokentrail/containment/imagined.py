"""
Credentials that an attacker might hold without the log showing it, and what policies tell such credentials apart by.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tokentrail.containment.principal import Principal, caseless
from tokentrail.containment.scene import Scene
from tokentrail.policy.changes import Change
from tokentrail.policy.context import Caller

ANY_NAME = "any-name"
"""Stands for any session name that policies don't mention."""
Window = tuple[datetime, datetime]
"""The first and the last time of issue."""
_EVER: Window = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_AFTER, _BEFORE = re.compile(r"DateGreaterThan", re.IGNORECASE), re.compile(r"DateLessThan", re.IGNORECASE)
_NEGATED = re.compile(r"Not(Equals|Like)", re.IGNORECASE)


@dataclass(slots=True)
class Differences:
    """The dates and user ids by which the policies on a principal treat its credentials differently."""

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


def differences(changes: Sequence[Change]) -> dict[tuple[str, str], Differences]:
    """
    The differences that policies make, by account and name of the user or role.

    A managed policy counts for all to whom it was ever attached. One on a group, or on no known user or role, is under
    the account and an empty name; an organisation's policy is under an empty account and name.
    """
    found: dict[tuple[str, str], Differences] = {}
    attached: dict[str, set[tuple[str, str]]] = {}
    for change in changes:
        if (whom := _whom(change)) and (arn := change.asked("policyArn")):
            attached.setdefault(_resource(arn), set()).add(whom)
    for change in changes:
        document = change.document("policyDocument") or change.document("content")
        if not isinstance(document, str):
            continue
        whom = _whom(change)
        everybody = "" if change.event_source.startswith("organizations.") else change.account
        for one in (whom,) if whom else attached.get(_managed(change), ((everybody, ""),)):
            docs = found.setdefault(one, Differences())
            docs.dates |= _dates(document)
            for name, window in _excepted(document):
                docs.excepted.setdefault(name, set()).add(window)
    return found


def _whom(change: Change) -> tuple[str, str] | None:
    name = change.asked("roleName") or change.asked("userName")
    return (change.account, caseless(name)) if name else None


def _managed(change: Change) -> str:
    """The managed policy that a change writes."""
    arn = change.asked("policyArn") or change.answered("policy", "arn")
    path = change.asked("path") or "/"
    return _resource(arn) if arn else f"{change.account}:policy{path}{change.asked('policyName')}"


def _resource(arn: str) -> str:
    """An ARN's account and resource, whatever its partition."""
    return arn.split(":", 4)[-1]


def imagined(scene: Scene, principal: Principal, moment: datetime, user_id: str | None) -> Iterator[Caller]:
    """
    The credentials that an attacker might have minted unseen for a principal in a second.

    Args:
        scene: The scene.
        principal: For a role, sessions; for a user or root, tokens of every kind.
        moment: The time of issue.
        user_id: Their `aws:userid`; `None` for one that no policy mentions.
    """
    known = scene.known.get(principal)
    arn, unique = scene.arn(principal), known.unique_id if known else None
    account, partition = principal.account, arn.split(":")[1]
    if principal.kind == "role":
        who = user_id or (f"{unique}:{ANY_NAME}" if unique else None)
        name = who.partition(":")[2] if who else ANY_NAME
        for person in scene.persons.get(principal, (None,)):
            yield Caller(
                kind="assumed_role", account=account, role=arn, principal_id=who, session_name=name, issued_at=moment,
                principal=f"arn:{partition}:sts::{account}:assumed-role/{principal.name}/{name}", mfa=False,
                person=person,
            )  # fmt: skip
    elif principal.kind == "root":
        yield Caller(
            kind="session_token", account=account, principal=arn, principal_id=account, issued_at=moment
        )
        if scene.federates(principal):
            yield Caller(
                kind="federation_token", account=account, principal_id=f"{account}:{ANY_NAME}", behind=arn,
                principal=f"arn:{partition}:sts::{account}:federated-user/{ANY_NAME}", issued_at=moment,
            )  # fmt: skip
    elif principal.kind == "user":
        common = {"account": account, "user_name": principal.name, "issued_at": moment}
        yield Caller(kind="session_token", principal=arn, principal_id=unique, mfa=False, **common)  # type: ignore[arg-type]  # each fits its field, which a dict does not tell
        guest = user_id if user_id and ":" in user_id else f"{account}:{ANY_NAME}"
        federated = f"arn:{partition}:sts::{account}:federated-user/{guest.partition(':')[2]}"
        yield Caller(kind="federation_token", principal=federated, principal_id=guest, **common)  # type: ignore[arg-type]  # each fits its field, which a dict does not tell
    else:
        yield Caller(kind="unknown", account=account, principal=arn, issued_at=moment)


def _excepted(document: str) -> Iterator[tuple[str, Window]]:
    """The user ids in negated conditions of a document, each with the times of issue to which the statement applies."""
    try:
        statements = json.loads(document).get("Statement", [])
    except (ValueError, AttributeError, RecursionError):
        return
    for statement in statements if isinstance(statements, list) else [statements]:
        conditions = statement.get("Condition", {}) if isinstance(statement, dict) else {}
        told = [
            (str(operator), key.casefold(), values if isinstance(values, list) else [values])
            for operator, keys in (conditions.items() if isinstance(conditions, dict) else ())
            if isinstance(keys, dict)
            for key, values in keys.items()
        ]
        window = _window(told)
        for operator, key, values in told:
            if key == "aws:userid" and _NEGATED.search(operator):
                yield from ((str(one).replace("*", ANY_NAME), window) for one in values)


def _window(told: Sequence[tuple[str, str, Sequence[object]]]) -> Window:
    """The times of issue that a statement's conditions admit, or a wider window if that is not clear."""
    since, until = _EVER
    for operator, key, values in told:
        dates = _dates(" ".join(map(str, values))) if key == "aws:tokenissuetime" else set()
        if len(dates) == len(values) and _AFTER.search(operator):
            since = max(since, min(dates))
        elif len(dates) == len(values) and _BEFORE.search(operator):
            until = min(until, max(dates))
    return since, until


def _dates(text: str) -> set[datetime]:
    return {moment for one in _TIME.findall(text) if (moment := _at(one)) is not None}


def _at(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text).replace(microsecond=0)
    except ValueError:
        return None
    return found if 1970 < found.year < 9000 else None
