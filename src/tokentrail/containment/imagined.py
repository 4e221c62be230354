"""
What an attacker might hold that nobody has seen, and what the policies on its principal tell apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from tokentrail.containment.principal import Principal
from tokentrail.containment.scene import Scene
from tokentrail.policy.changes import Change
from tokentrail.policy.context import Caller

ANY_NAME = "any-name"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_NEGATED = re.compile(r"Not(Equals|Like)", re.IGNORECASE)


@dataclass(slots=True)
class Differences:
    """What the policies on a principal make differences by: dates, and user ids that they leave out."""

    dates: set[datetime] = field(default_factory=set)
    excepted: set[str] = field(default_factory=set)


def differences(changes: Iterable[Change]) -> dict[tuple[str, str], Differences]:
    """What makes differences, by the account and name of the user or role."""
    found: dict[tuple[str, str], Differences] = {}
    for change in changes:
        name = change.asked("roleName") or change.asked("userName")
        document = change.document("policyDocument")
        if name is None or not isinstance(document, str):
            continue
        docs = found.setdefault((change.account, name), Differences())
        docs.dates |= {moment for text in _TIME.findall(document) if (moment := _at(text)) is not None}
        docs.excepted |= set(_excepted(document))
    return found


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


def _excepted(document: str) -> Iterator[str]:
    """The user ids that a document names in a negated condition."""
    try:
        statements = json.loads(document).get("Statement", [])
    except (ValueError, AttributeError, RecursionError):
        return
    for statement in statements if isinstance(statements, list) else [statements]:
        conditions = statement.get("Condition", {}) if isinstance(statement, dict) else {}
        for operator, keys in conditions.items() if isinstance(conditions, dict) else ():
            if not _NEGATED.search(operator) or not isinstance(keys, dict):
                continue
            for key, values in keys.items():
                if key.casefold() == "aws:userid":
                    listed = values if isinstance(values, list) else [values]
                    yield from (str(one).replace("*", ANY_NAME) for one in listed)


def _at(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text).replace(microsecond=0)
    except ValueError:
        return None
    return found if 1970 < found.year < 9000 else None
