"""
What an attacker might hold that nobody has seen, and what the policies on its principal tell apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tokentrail.containment.principal import Principal
from tokentrail.containment.scene import Scene
from tokentrail.policy.changes import Change
from tokentrail.policy.context import Caller

ANY_NAME = "any-name"
Window = tuple[datetime, datetime]
_EVER: Window = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_AFTER, _BEFORE = re.compile(r"DateGreaterThan", re.IGNORECASE), re.compile(r"DateLessThan", re.IGNORECASE)
_NEGATED = re.compile(r"Not(Equals|Like)", re.IGNORECASE)


@dataclass(slots=True)
class Differences:
    """What the policies on a principal make differences by: dates, and user ids that they leave out."""

    dates: set[datetime] = field(default_factory=set)
    excepted: dict[str, set[Window]] = field(default_factory=dict)
    """With the times of issue of which the statements speak that leave them out."""

    def merge(self, other: Differences) -> None:
        """Take in what others make."""
        self.dates |= other.dates
        for name, windows in other.excepted.items():
            self.excepted.setdefault(name, set()).update(windows)

    def names(self, moment: datetime) -> list[str]:
        """The user ids of which a token that is issued then may fare otherwise than all others."""
        return sorted(
            name
            for name, windows in self.excepted.items()
            if any(since <= moment <= until for since, until in windows)
        )


def differences(changes: Sequence[Change]) -> dict[tuple[str, str], Differences]:
    """
    What makes differences, by the account and name of the user or role that it is on.

    A managed policy is on whom it is attached to, at any time. What is on a group, or on no user or role that is seen,
    is by the account and no name, and what an organisation says by neither.
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
    return (change.account, name) if name else None


def _managed(change: Change) -> str:
    """The managed policy that a change writes."""
    arn = change.asked("policyArn") or change.answered("policy", "arn")
    path = change.asked("path") or "/"
    return _resource(arn) if arn else f"{change.account}:policy{path}{change.asked('policyName')}"


def _resource(arn: str) -> str:
    """An ARN's account and resource, whatever its partition."""
    return arn.split(":", 4)[-1]


def imagined(scene: Scene, principal: Principal, moment: datetime, user_id: str | None) -> Iterator[Caller]:
    """What an attacker might hold unseen: a session under any name, or a user's or root's token of any kind."""
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
    """The user ids that a document names in a negated condition, and of which times of issue the statement speaks."""
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
    """The times of issue that conditions admit, or more."""
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
