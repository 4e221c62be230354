"""
What IAM and Organizations hold at each moment, and what each request may still see of it.

IAM is eventually consistent ("Changes that I make are not always immediately visible", IAM User Guide): for
some seconds after a change, a request may meet the old state or the new. Whoever plays against a plan chooses
which, each time.
"""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from datetime import datetime, timedelta

from oracle.credentials import HeldCredential
from oracle.policy_evaluator import denies, trusts

Place = tuple[str, ...]
"""Where something is kept: `("inline", user ARN, policy name)`, `("key", key id)`, ..."""
Value = str | bool | None

DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
QUARANTINES = tuple(
    f"arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine{version}" for version in ("", "V2", "V3")
)
SERVICE_LINKED = ":role/aws-service-role/"
RESERVED = ":role/aws-reserved/"


def _deny(*actions: str) -> str:
    statement = {"Effect": "Deny", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


_QUARANTINED = _deny(
    "sts:GetSessionToken", "sts:GetFederationToken", "iam:CreateUser", "iam:CreateAccessKey", "iam:ListUsers",
    "ec2:RunInstances", "lambda:CreateFunction", "s3:GetObject", "s3:PutObject",
)  # fmt: skip
"""
Some of what the quarantine policies deny; `sts:AssumeRole` is not among it (zoph-io/MAMIP).
"""
_MANAGED = {DENY_ALL: _deny("*"), **dict.fromkeys(QUARANTINES, _QUARANTINED)}


class IamState:
    """
    Keys, policies, trusts and what else decides whether a credential works, by time.

    Args:
        propagation: Seconds within which a change takes effect, early or late as suits the adversary.
        management: The organisation's management account, to which no service control policy applies.
    """

    def __init__(self, propagation: int, management: str | None) -> None:
        self.propagation = timedelta(seconds=propagation)
        self.management = management
        self._history: dict[Place, list[tuple[datetime, Value]]] = {}
        self._on: defaultdict[str, set[Place]] = defaultdict(set)
        self._arns: dict[tuple[str, str, str], str] = {}
        self._judged: dict[tuple[object, ...], bool] = {}
        """What documents were found to deny; that depends on no moment, since no condition asks the clock."""

    def copy(self) -> IamState:
        """Give a copy, to play on."""
        other = copy.copy(self)
        other._history = {place: list(steps) for place, steps in self._history.items()}
        other._on = defaultdict(set, {entity: set(places) for entity, places in self._on.items()})
        other._arns = dict(self._arns)
        return other

    def knows(self, arn: str) -> None:
        """Note that a user or role exists."""
        account, thing = arn.split(":", 5)[4:]
        kind, _, name = thing.partition("/")
        self._arns[account, kind, name.rpartition("/")[2].casefold()] = arn

    def arn(self, account: str, kind: str, name: str) -> str | None:
        """Find the ARN of a user or role by name; names do not differ by case alone."""
        return self._arns.get((account, kind, name.casefold()))

    def put(self, place: Place, value: Value, at: datetime) -> None:
        """Change something, from a moment on."""
        steps = self._history.setdefault(place, [])
        steps.append((at, value))
        steps.sort(key=lambda step: step[0])
        if place[0] in ("inline", "attached"):
            self._on[place[1]].add(place)
        elif place[0] in ("at-target", "banned"):
            self._on["*"].add(place)

    def now(self, place: Place, at: datetime) -> Value:
        """Tell what the control plane says, which sees its own changes at once."""
        return next((value for time, value in reversed(self._history.get(place, [])) if time <= at), None)

    def seen(self, place: Place, at: datetime) -> set[Value]:
        """List what a request at a moment may see: the settled state, and whatever is still on its way."""
        settled: Value = None
        moving: set[Value] = set()
        for time, value in self._history.get(place, ()):
            if time > at:
                break
            if time <= at - self.propagation:
                settled = value
            else:
                moving.add(value)
        return moving | {settled}

    def places(self, kind: str, *beginning: str) -> list[Place]:
        """List the places of a kind, below some others."""
        wanted = (kind, *beginning)
        return [place for place in self._history if place[: len(wanted)] == wanted]

    def denied(self, one: HeldCredential, action: str, resource: str, at: datetime) -> bool:
        """Tell whether a request must meet an explicit deny, or find its principal gone."""
        if self.seen(("gone", one.identity_arn), at) == {True}:
            return True
        places = [*self._on[one.identity_arn], *(self._on["*"] if self._under_control(one) else ())]
        return any(self._stops(place, one, action, resource, at) for place in places)

    def trusted(self, one: HeldCredential, role: str, *, seen_before: bool, at: datetime) -> bool:
        """
        Tell whether a role may be assumed: as seen before, until somebody wrote its trust policy anew.

        A trust policy that names the caller itself needs no more; one that names its account needs the
        caller's own permission, for which only a success in the log speaks.
        """
        for document in self.seen(("trust", role), at):
            if document is None:
                if seen_before:
                    return True
            elif trusts(str(document), one.context()):
                named = f'"{one.principal_arn}"' in str(document)
                if seen_before or named or one.kind == "outsider":
                    return True
        return False

    def _under_control(self, one: HeldCredential) -> bool:
        if one.kind == "outsider":
            return False
        return one.account != self.management and SERVICE_LINKED not in one.identity_arn

    def _stops(self, place: Place, one: HeldCredential, action: str, resource: str, at: datetime) -> bool:
        if place[0] == "banned":
            hit = place[1] in (
                one.account,
                one.identity_arn,
                one.principal_arn,
                one.principal,
                one.id,
                one.person,
            )
            return hit and self.seen(place, at) == {True}
        if place[0] == "inline":
            documents = self.seen(place, at)
        else:
            if place[0] == "at-target" and not self._covers(place[1], one):
                return False
            if self.seen(place, at) != {True}:
                return False
            policy = place[2]
            documents = {_MANAGED[policy]} if policy in _MANAGED else self.seen(("document", policy), at)
        return all(
            document is not None and self._denies(str(document), one, action, resource)
            for document in documents
        )

    def _denies(self, document: str, one: HeldCredential, action: str, resource: str) -> bool:
        who = (
            one.principal_arn,
            one.userid,
            one.issued_at,
            one.source_identity,
            one.sign_in_session,
            one.assumed_root,
            one.person,
        )
        asked = (document, *who, action, resource)
        if asked not in self._judged:
            self._judged[asked] = denies(document, one.context(), action, resource)
        return self._judged[asked]

    @staticmethod
    def _covers(target: str, one: HeldCredential) -> bool:
        return target == one.account or target.startswith(("r-", "ou-"))
