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
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from oracle.credentials import HeldCredential
from oracle.policy_evaluator import Context, denies, trusts
from oracle.request_choices import Apart, Mentions, MintChoice, apart, asks_the_clock, mentions_of, requests

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


@dataclass(frozen=True, slots=True)
class _Bearing:
    """The policies that bear on a credential at a moment."""

    policies: frozenset[frozenset[str | None]]
    """Each as all documents that a request may see of it."""
    documents: frozenset[str]
    mentioned: Mentions
    apart: Apart
    clock: bool
    """Whether some condition asks for the time of the request."""


@lru_cache(maxsize=4096)
def _bearing(policies: frozenset[frozenset[str | None]]) -> _Bearing:
    documents = frozenset(str(text) for texts in policies for text in texts)
    mentioned = mentions_of(documents)
    return _Bearing(policies, documents, mentioned, apart(documents), asks_the_clock(mentioned))


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
        self._banned: set[Place] = set()
        self._bearing: dict[tuple[str, str | None, datetime], _Bearing] = {}
        self._judged: dict[tuple[object, ...], bool] = {}
        """What policies were found to deny or to let in, by all that it depends on."""

    def copy(self) -> IamState:
        """Give a copy, to play on."""
        other = copy.copy(self)
        other._history = {place: list(steps) for place, steps in self._history.items()}
        other._on = defaultdict(set, {entity: set(places) for entity, places in self._on.items()})
        other._arns = dict(self._arns)
        other._banned, other._bearing = set(self._banned), {}
        return other

    @property
    def bans(self) -> bool:
        """Whether somebody in the organisation has banned anything by hand, be it a single session."""
        return bool(self._banned)

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
        if place[0] in ("inline", "attached", "boundary"):
            self._on[place[1]].add(place)
        elif place[0] == "at-target":
            self._on["*"].add(place)
        elif place[0] == "banned":
            self._banned.add(place)
        self._bearing.clear()

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

    def documents(self) -> frozenset[str]:
        """List the policies that deny, of all times: inline, managed, of organisations."""
        kinds = ("inline", "document")
        return frozenset(
            str(value)
            for place, steps in self._history.items()
            if place[0] in kinds
            for _, value in steps
            if value
        )

    def trust_documents(self) -> frozenset[str]:
        """List the trust policies of all times."""
        return frozenset(
            str(value)
            for place, steps in self._history.items()
            if place[0] == "trust"
            for _, value in steps
            if value
        )

    def denied(
        self,
        credential: HeldCredential,
        action: str,
        resource: str,
        at: datetime,
        clock: datetime | None = None,
    ) -> bool:
        """
        Tell whether a request, whatever its sender chooses, must meet an explicit deny, or find its principal gone.

        Args:
            credential: What the request is sent with.
            action: What it asks for.
            resource: And of what.
            at: The moment whose policies are in force.
            clock: The time of the request, if it comes later, with the same policies in force.
        """
        if self._stopped(credential, at):
            return True
        bearing = self._bearing_on(credential, at)
        if not bearing.policies:
            return False
        second = (clock or at) if bearing.clock else None
        asked = (bearing.policies, bearing.apart.of(credential), action, resource, second)
        if asked not in self._judged:
            self._judged[asked] = not any(
                _undenied(bearing.policies, context, action, resource)
                for context in requests(credential.context(clock or at), bearing.mentioned)
            )
        return self._judged[asked]

    def may_mint(
        self,
        giver: HeldCredential,
        role: str,
        name: str,
        choice: MintChoice,
        *,
        seen_before: bool,
        at: datetime,
    ) -> bool:
        """
        Tell whether one call of AssumeRole gets past every deny on the caller and through the role's trust policy.

        Args:
            giver: The caller.
            role: The role's ARN.
            name: The session's name.
            choice: What else the session has for good.
            seen_before: Whether the log shows the caller in the role, which counts until the trust policy is written anew.
            at: When.
        """
        if self._stopped(giver, at):
            return False
        trusting = frozenset(self.seen(("trust", role), at))
        if trusting == {None} and not seen_before:
            return False
        bearing = self._bearing_on(giver, at)
        policies = bearing.policies
        trusts = frozenset(str(text) for text in trusting if text is not None)
        mentioned = mentions_of(bearing.documents, trusts)
        asked = (
            policies, trusting, apart(bearing.documents, trusts).of(giver), role, choice, seen_before,
            name if "sts:rolesessionname" in mentioned else "", at if asks_the_clock(mentioned) else None,
        )  # fmt: skip
        if asked not in self._judged:
            fixed = {**giver.context(at), **choice.context(giver, name)}
            self._judged[asked] = any(
                all(
                    _undenied(policies, context, action, role)
                    for action in ("sts:AssumeRole", *choice.actions)
                )
                and any(
                    _lets_in(document, giver, context, choice, seen_before=seen_before)
                    for document in trusting
                )
                for context in requests(fixed, mentioned, minting=True)
            )
        return self._judged[asked]

    def _stopped(self, credential: HeldCredential, at: datetime) -> bool:
        """Tell whether a credential's principal is gone, or somebody in the organisation has banned it by hand."""
        if self.seen(("gone", credential.identity_arn), at) == {True}:
            return True
        if not self._banned or not self._under_control(credential):
            return False
        names = {
            credential.account, credential.identity_arn, credential.principal_arn, credential.principal, credential.id,
            credential.person,
        }  # fmt: skip
        return any(place[1] in names and self.seen(place, at) == {True} for place in self._banned)

    def _bearing_on(self, credential: HeldCredential, at: datetime) -> _Bearing:
        """Give the policies that bear on a credential; the same ones as long as nothing changes."""
        under = self._under_control(credential)
        key = (credential.identity_arn, credential.account if under else None, at)
        if key not in self._bearing:
            places = [*self._on[credential.identity_arn], *(self._on["*"] if under else ())]
            found = (self._seen_documents(place, credential, at) for place in places)
            self._bearing[key] = _bearing(frozenset(texts for texts in found if None not in texts))
        return self._bearing[key]

    def _seen_documents(
        self, place: Place, credential: HeldCredential, at: datetime
    ) -> frozenset[str | None]:
        if place[0] == "inline":
            return frozenset(None if text is None else str(text) for text in self.seen(place, at))
        if place[0] == "boundary":
            names = self.seen(place, at)
            return frozenset(text for name in names for text in self._managed(name, at))
        if place[0] == "at-target" and not self._covers(place[1], credential):
            return frozenset({None})
        if self.seen(place, at) != {True}:
            return frozenset({None})
        return self._managed(place[2], at)

    def _managed(self, name: Value, at: datetime) -> frozenset[str | None]:
        """Give what a request may see of a managed policy or service control policy."""
        if name is None:
            return frozenset({None})
        if name in _MANAGED:
            return frozenset({_MANAGED[str(name)]})
        return frozenset(
            None if text is None else str(text) for text in self.seen(("document", str(name)), at)
        )

    def _under_control(self, credential: HeldCredential) -> bool:
        if credential.kind == "outsider":
            return False
        return credential.account != self.management and SERVICE_LINKED not in credential.identity_arn

    @staticmethod
    def _covers(target: str, credential: HeldCredential) -> bool:
        return target == credential.account or target.startswith(("r-", "ou-"))


def _undenied(
    policies: Iterable[frozenset[str | None]], context: Context, action: str, resource: str
) -> bool:
    """Tell whether a request gets past all policies, of each of which it may see one of several states."""
    return not any(
        all(denies(str(document), context, action, resource) for document in documents)
        for documents in policies
    )


def _lets_in(
    document: Value, giver: HeldCredential, context: Context, choice: MintChoice, *, seen_before: bool
) -> bool:
    """
    Tell whether a trust policy lets a caller in: where none is known, as seen before.

    A trust policy that names the caller itself needs no more; one that names its account needs the caller's own
    permission, for which only a success in the log speaks.
    """
    if document is None:
        return seen_before
    text = str(document)
    named = seen_before or f'"{giver.principal_arn}"' in text or giver.kind == "outsider"
    return named and all(trusts(text, context, action) for action in ("sts:AssumeRole", *choice.actions))
