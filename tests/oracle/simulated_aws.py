"""
A simulated AWS, raised from a builder's world: who holds what, who may assume what, what is denied when.

It knows what the evidence shows up to a moment (the scope that plans call `observed-edges`), keeps IAM's
history since the evidence begins, and carries out the steps of a plan. It reads the builder's own account of
its credentials, and of the records only the IAM calls and their makers.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

from oracle.credentials import LASTING, HeldCredential, held
from oracle.iam_state import IamState
from oracle.operations import Refused, do
from oracle.request_choices import Mentions, MintChoice, mentions_of
from tokentrail.testing.names import Json
from tokentrail.testing.truth import Entry
from tokentrail.testing.world import World

VENDED = "AWSLF-"
"""How the names begin of the sessions that Lake Formation vends (AWS Lake Formation Developer Guide)."""
NEW_NAME = "nobody-has-this-name"
"""A session name that no evidence and no policy has."""
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
PROBES = (
    ("s3:GetObject", "arn:aws:s3:::loot/key"),
    ("ec2:DescribeInstances", "*"),
    ("dynamodb:PutItem", "arn:aws:dynamodb:us-east-1:111122223333:table/orders"),
    ("sts:AssumeRole", "arn:aws:iam::111122223333:role/Any"),
    ("iam:CreateUser", "arn:aws:iam::111122223333:user/new"),
)
"""
What a credential is tried with: it works while one of these is not denied. GetCallerIdentity proves nothing.
"""
_STOPPED = {"isolate-instance": "host", "disable-identity-center-user": "portal",
            "revoke-sign-in-sessions": "sign-in"}  # fmt: skip
_KILLED_AFTER = timedelta(seconds=120)
"""How long a container may pay no heed to StopTask (Amazon ECS API Reference, 'ContainerDefinition', `stopTimeout`)."""


def build_session(build: str) -> str:
    """Name the sessions of a build of CodeBuild, which goes by its project and a number of its own."""
    return f"AWSCodeBuild-{build.rpartition(':')[2]}"


def names_told(text: str) -> tuple[str, ...]:
    """List what may be meant by the name that a plan has for a host, portal or sign-in session."""
    return text, text.rpartition("/")[2], build_session(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPoint:
    """Something made or changed through which somebody may act later on."""

    kind: Literal["user", "password", "role", "trust", "host"]
    what: str
    """A user's or role's ARN; of a host, the name of its sessions."""
    by: str | None
    """The id of the credential that made the call."""
    at: datetime


class SimulatedAws:
    """
    What AWS holds at a moment, and how it answers from then on.

    Args:
        at: The moment; later evidence is not looked at.
        propagation: Seconds within which a change takes effect.
        management: The organisation's management account, if some credential is of it.
    """

    def __init__(self, at: datetime, *, propagation: int = 10, management: str | None = None) -> None:
        self.at = at
        self.iam = IamState(propagation, management)
        self.credentials: dict[str, HeldCredential] = {}
        """What the evidence shows, by id."""
        self.parents: dict[str, str | None] = {}
        self.edges: dict[str, set[str]] = defaultdict(set)
        """Which roles (and accounts' roots) each principal has been seen to assume."""
        self.vends: dict[str, set[str]] = defaultdict(set)
        """Of which roles Lake Formation has been seen to vend sessions to each principal."""
        self.crosses: dict[str, set[str]] = defaultdict(set)
        """Which roles of other partitions each principal's tokens have been seen to open."""
        self.names: dict[str, set[str]] = defaultdict(set)
        """The session names seen in each role."""
        self.newest: dict[str, datetime] = {}
        """The newest evidence of each account."""
        self.entry_points: list[EntryPoint] = []
        self.origins: dict[str, str | None] = {}

    @classmethod
    def of(
        cls, world: World, *, at: datetime | None = None, propagation: int = 10, management: str | None = None
    ) -> Self:
        """Raise a simulated AWS from a world, as of its newest record by default."""
        records = world.records()
        at = at or _time(records[-1])
        made = cls(at, propagation=propagation, management=management)
        origins = dict(_origins(record for record in records if _time(record) <= at))
        entries = [entry for entry in world._entries if entry.shown]
        for entry in sorted(entries, key=lambda one: one.show().depth):
            made._enters(entry, origins.get((entry.identity.principal_id, entry.identity.created)))
        actors = _Actors(entries)
        for record in records:
            if _time(record) <= at:
                account = record["recipientAccountId"]
                made.newest[account] = max(made.newest.get(account, _ALWAYS), _time(record))
                if record.get("errorCode") is None:
                    made._happened(record, actors)
        return made

    def copy(self) -> Self:
        """Give a copy, to play on."""
        other = copy.copy(self)
        other.iam = self.iam.copy()
        return other

    def do(self, call: Mapping[str, Any], at: datetime) -> None:
        """Make one API call, as `operations.do`."""
        do(self.iam, call, at)

    def perform(self, step: Mapping[str, Any], at: datetime) -> None:
        """
        Carry out a step of a plan: its calls, and what a person does by hand.

        Hosts, portals and sign-in sessions are stopped by the step's action, whatever calls go with it; a task of
        ECS goes on until its containers are killed. What somebody else must do, in the management account or in
        Identity Center, is what the plan says that the work amounts to: its documents are judged like any others. An
        SCP of which not even that is told bans whom it names.
        """
        done = calls_of(step)
        for call in done:
            self.do(call, at)
        named = {*step.get("targets", ()), *step.get("principals", ())}
        named |= {step["principal"]} if step.get("principal") else set()
        if source := _STOPPED.get(step["action"]):
            slow = any(call["operation"] == "StopTask" for call in step["calls"])
            for text in named:
                self.iam.put(("stopped", source, text), True, at + slow * _KILLED_AFTER)
        elif not done:
            if step["action"] != "scp-deny":
                raise NotImplementedError(f"{step['action']} without calls")
            for text in named:
                if text == self.iam.management:
                    raise Refused("service control policies do not reach the management account")
                self.iam.put(("banned", text), True, at)

    def stopped(self, source: str, names: set[str], at: datetime) -> bool:
        """Tell whether a host, portal or sign-in session has been taken from the adversary."""
        return any(
            self.iam.seen(place, at) == {True}
            for place in self.iam.places("stopped", source)
            if not names.isdisjoint(names_told(place[2]))
        )

    def valid(self, one: HeldCredential, at: datetime) -> bool:
        """Tell whether a credential has begun, has not expired, and is no key made inactive."""
        if (one.begins and at < one.begins) or (one.expires and at >= one.expires):
            return False
        return one.kind not in LASTING or "Active" in self.iam.seen(("key", one.id), at)

    def may(self, credential: HeldCredential, action: str, at: datetime, resource: str = "*") -> bool:
        """Tell whether some request can get past every deny; whether it is allowed at all is taken for granted."""
        return self.valid(credential, at) and not self.iam.denied(credential, action, resource, at)

    def works(self, credential: HeldCredential, at: datetime) -> bool:
        """Tell whether a credential can still do anything that counts."""
        return self.valid(credential, at) and self.undenied(credential, at)

    def undenied(self, credential: HeldCredential, at: datetime, clock: datetime | None = None) -> bool:
        """Tell the same, had it no expiry; at another time, if given, with the policies of the moment."""
        return any(not self.iam.denied(credential, action, what, at, clock) for action, what in PROBES)

    def may_assume(
        self,
        credential: HeldCredential,
        role: str,
        at: datetime,
        name: str = NEW_NAME,
        choice: MintChoice | None = None,
    ) -> bool:
        """Tell whether a credential can get a session of a role, under a name, with what else is chosen for good."""
        seen_before = role in self.edges.get(credential.principal_arn, ())
        return (
            self.valid(credential, at)
            and self.iam.seen(("gone", role), at) != {True}
            and self.iam.may_mint(
                credential, role, name, choice or MintChoice(source_identity=credential.source_identity),
                seen_before=seen_before, at=at,
            )
        )  # fmt: skip

    def may_be_vended(self, credential: HeldCredential, role: str, at: datetime) -> bool:
        """
        Tell whether Lake Formation gives a credential a session of a role, as it did to its principal before.

        Lake Formation assumes the role, so that a deny of `sts:AssumeRole` to the caller stops nothing; that its trust
        policy still lets Lake Formation in is taken for granted, which is the worse case.
        """
        seen_before = role in self.vends.get(credential.principal_arn, ())
        return seen_before and self._may_ask(credential, "lakeformation:GetDataAccess", role, at)

    def may_cross(self, credential: HeldCredential, role: str, at: datetime) -> bool:
        """
        Tell whether a credential gets into a role of another partition, as its principal did before.

        What is asked for here is a token of `sts:GetWebIdentityToken`; that the role there still trusts it is taken for
        granted. A token that was asked for earlier and not used yet is a condition that plans name.
        """
        seen_before = role in self.crosses.get(credential.principal_arn, ())
        return seen_before and self._may_ask(credential, "sts:GetWebIdentityToken", role, at)

    def _may_ask(self, credential: HeldCredential, action: str, role: str, at: datetime) -> bool:
        """Tell whether somebody else opens a role for whoever may make a call."""
        return self.iam.seen(("gone", role), at) != {True} and self.may(credential, action, at)

    @property
    def mentioned(self) -> Mentions:
        """The condition keys of all policies of all times, with the values they are compared with."""
        return mentions_of(self.iam.documents(), self.iam.trust_documents())

    def alive(self, at: datetime | None = None) -> Iterator[HeldCredential]:
        """List what works at a moment."""
        for one in self.credentials.values():
            if self.works(one, at or self.at):
                yield one

    def _enters(self, entry: Entry, origin: tuple[str, str] | None) -> None:
        one = held(entry, origin)
        if (one.begins and one.begins > self.at) or one.kind == "forwarded":
            return
        self.credentials[one.id] = one
        shown = entry.show()
        self.parents[one.id], self.origins[one.id] = shown.parent, shown.origin
        if one.identity_arn.partition(":role/")[1]:
            self.names[one.identity_arn].add(one.session_name)
        if one.type != "Account":
            self.iam.knows(one.identity_arn)
        if one.kind in LASTING:
            self.iam.put(("owner", one.id), one.identity_arn, _ALWAYS)
            self.iam.put(("key", one.id), "Active", one.begins or _ALWAYS)
        if shown.origin == "console_sign_in":
            self.iam.put(("password", one.identity_arn), True, _ALWAYS)
        parent = self.credentials.get(shown.parent or "")
        assumed = one.kind == "assumed_role" or (one.kind == "console_session" and one.type == "AssumedRole")
        if parent and (
            (assumed and (parent.identity_arn != one.identity_arn or one.kind == "assumed_role"))
            or one.kind == "root_session"
        ):
            found = self.vends if one.session_name.startswith(VENDED) else self.edges
            found[parent.principal_arn].add(one.identity_arn)
        elif parent and one.kind == "assumed_role_web_identity":
            self.crosses[parent.principal_arn].add(one.identity_arn)

    def _happened(self, record: Json, actors: _Actors) -> None:
        """Take in one call that succeeded, if it is one that makes or changes something."""
        name, account, at = record["eventName"], record["userIdentity"].get("accountId"), _time(record)
        wanted, answer = record["requestParameters"] or {}, record["responseElements"] or {}
        by = actors.of(record["userIdentity"])
        if name in ("CreateUser", "CreateRole"):
            self._creates(name, wanted, answer, by, at)
        elif name == "RunInstances":
            for item in answer["instancesSet"]["items"]:
                self.entry_points.append(EntryPoint(kind="host", what=item["instanceId"], by=by, at=at))
        elif name == "RunTask":
            for task in answer["tasks"]:
                self.entry_points.append(
                    EntryPoint(kind="host", what=task["taskArn"].rpartition("/")[2], by=by, at=at)
                )
        elif name == "StartBuild":
            named = build_session(answer["build"]["id"])
            self.entry_points.append(EntryPoint(kind="host", what=named, by=by, at=at))
        elif name in ("CreateFunction20150331", "UpdateFunctionCode20150331v2"):
            self.entry_points.append(EntryPoint(kind="host", what=wanted["functionName"], by=by, at=at))
        elif not record["readOnly"]:
            self._changes(record, account, by, at)

    def _creates(self, name: str, wanted: Json, answer: Json, by: str | None, at: datetime) -> None:
        user = name == "CreateUser"
        arn = str(answer["user" if user else "role"]["arn"])
        self.iam.knows(arn)
        self.entry_points.append(EntryPoint(kind="user" if user else "role", what=arn, by=by, at=at))
        if not user:
            self.iam.put(("trust", arn), wanted["assumeRolePolicyDocument"], at)

    def _changes(self, record: Json, account: str, by: str | None, at: datetime) -> None:
        """Take in a call that may change IAM or Organizations."""
        wanted, answer = record["requestParameters"] or {}, record["responseElements"] or {}
        if record["eventSource"] == "iam.amazonaws.com":
            self._administered(record["eventName"], account, wanted, by, at)
        elif record["eventSource"] == "organizations.amazonaws.com":
            self._governed(record["eventName"], account, wanted, answer, at)

    def _governed(self, name: str, account: str, wanted: Json, answer: Json, at: datetime) -> None:
        """Take in a call to Organizations; of units and roots nobody knows which accounts are in them."""
        parameters = {key[0].upper() + key[1:]: value for key, value in wanted.items()}
        if name == "CreatePolicy":
            parameters["Id"] = answer["policy"]["policySummary"]["id"]
        if not str(parameters.get("TargetId", "0")).isdigit():
            return
        call = {"account": account, "service": "organizations", "operation": name, "parameters": parameters}
        with suppress(NotImplementedError, Refused):  # the log holds more than this simulation needs
            self.do(call, at)

    def _administered(self, name: str, account: str, wanted: Json, by: str | None, at: datetime) -> None:
        parameters = {key[0].upper() + key[1:]: value for key, value in wanted.items()}
        for kind in ("user", "role"):  # one that the log only names, as the object of a change
            label = parameters.get("UserName" if kind == "user" else "RoleName")
            if label and self.iam.arn(account, kind, label) is None:
                self.iam.knows(f"arn:aws:iam::{account}:{kind}/{label}")
        try:
            self.do({"account": account, "service": "iam", "operation": name, "parameters": parameters}, at)
        except (NotImplementedError, Refused):
            return  # the log holds more than this judge needs
        if name in ("CreateLoginProfile", "UpdateLoginProfile"):
            user = str(self.iam.arn(account, "user", parameters["UserName"]))
            self.entry_points.append(EntryPoint(kind="password", what=user, by=by, at=at))
        elif name == "UpdateAssumeRolePolicy":
            role = str(self.iam.arn(account, "role", parameters["RoleName"]))
            self.entry_points.append(EntryPoint(kind="trust", what=role, by=by, at=at))


class _Actors:
    """Which credential a record's `userIdentity` is of."""

    def __init__(self, entries: list[Entry]) -> None:
        self._by_key: dict[str, str] = {}
        self._by_date: dict[tuple[str, datetime], str] = {}
        for entry in entries:
            for key in {*entry.used_keys, entry.key, entry.issued_key} - {None}:
                self._by_key[str(key)] = entry.id
            if entry.identity.created:
                self._by_date[entry.identity.principal_id, entry.identity.created] = entry.id

    def of(self, identity: Json) -> str | None:
        if found := self._by_key.get(identity.get("accessKeyId", "")):
            return found
        created = identity.get("sessionContext", {}).get("attributes", {}).get("creationDate")
        if created is None:
            return None
        return self._by_date.get((identity["principalId"], datetime.fromisoformat(created)))


def _origins(records: Iterable[Json]) -> Iterator[tuple[tuple[str, datetime | None], tuple[str, str]]]:
    """List the sessions whose calls show for whom they act: each by principal and beginning, with person and issuer."""
    for record in records:
        person = record["userIdentity"].get("onBehalfOf") or {}
        created = record["userIdentity"].get("sessionContext", {}).get("attributes", {}).get("creationDate")
        if "subject" in person and created:
            session = record["userIdentity"]["principalId"], datetime.fromisoformat(created)
            yield session, (person["subject"], person["issuer"])


def _time(record: Json) -> datetime:
    return datetime.fromisoformat(record["eventTime"])


def calls_of(step: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Give the calls of a step: those that it sends, or those that a person's work amounts to."""
    calls: Sequence[Mapping[str, Any]] = step["calls"] or step.get("by_hand", ())
    return calls
