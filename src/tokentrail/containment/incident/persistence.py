"""
What tainted credentials left behind that can mint again: keys, users, passwords, roles, trusts, providers, hosts.

Which call makes what is said in `lineage.creations`. Something that somebody else has put right since hands out nothing
more, but may have handed out credentials before that no log shows yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import unquote

from tokentrail.aws.calls.workload_kinds import WORKLOADS
from tokentrail.aws.principals import Principal, partition_in, principal_of_arn, role_named
from tokentrail.containment.incident.incident_model import HeldCredential, Source
from tokentrail.containment.incident.residual import (
    ENDING,
    ENTERED,
    LEFT,
    counts_as,
    left,
    nothing_taken,
    spellings,
    unnamed,
    with_article,
)
from tokentrail.containment.incident.reversal_index import ReversalIndex
from tokentrail.containment.incident.workloads import cluster_of, name_of, roles_of, session_of
from tokentrail.lineage import creations
from tokentrail.lineage.rows import object_of
from tokentrail.spelling import listed, quoted

_KEYLIKE = frozenset({"ssh_key", "certificate", "service_credential"})
"""Credentials without a time of issue, so that no cutoff ends them."""
_BY_NAME = frozenset({"function", "instance", "instance_profile"})
"""Workloads whose sessions have their name, or their instances'."""
_HOSTING = ("AddRoleToInstanceProfile", "AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation")
"""Calls after which a host is handed a role's sessions."""
_PROVIDERS = {
    "CreateOpenIDConnectProvider": ("oidc-provider", "url"), "CreateSAMLProvider": ("saml-provider", "name"),
}  # fmt: skip
"""By call that makes an identity provider: how its ARN begins, and the parameter in which the ARN ends."""
_TAKES_EFFECT = timedelta(minutes=5)
"""How long what was disabled or deleted may let somebody in, generously (IAM User Guide, 'Troubleshoot IAM')."""
_QUARANTINE = ":aws:policy/AWSCompromisedKeyQuarantine"
_NAMED = {
    "user": ("user", "userName"), "role": ("role", "roleName"), "login_profile": ("password", "userName"),
    "trust": ("trust", "roleName"),
}  # fmt: skip
"""By thing: the kind of source that it is, and the parameter that names it."""
_UNTOLD = {
    "user": "a user", "role": "a role", "login_profile": "a password", "trust": "a role's trust", "access_key": "a key",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackerAction:
    """A successful change that a tainted credential made."""

    by: str
    event_id: str
    time: datetime
    account: str
    source: str
    name: str
    request: str | None
    response: str | None
    document: str | None = None
    """The policy document of the request."""
    user: str | None = None
    """The IAM user that made the change: a call that names no user means the caller's own."""
    certain: bool = True
    """Whether the attacker surely made it, and not perhaps the owner of the leaked key."""
    region: str | None = None

    def asked(self, name: str) -> str | None:
        """A request parameter, if it is text; the caller can put anything there."""
        value = object_of(self.request).get(name)
        return value if isinstance(value, str) else None

    def said(self, things: Iterable[str | None]) -> str:
        """The call, the things that it was done to, and where, in words."""
        where = ", ".join(quoted(one) for one in (self.account, self.region) if one)
        on = f" on {', '.join(named)}" if (named := [quoted(one) for one in things if one]) else ""
        return f"{self.name}{on} ({where}{', ' if where else ''}event {quoted(self.event_id)})"

    @property
    def writes_iam(self) -> bool:
        """Whether it shows that the credential may write IAM or Organizations."""
        return self.source.startswith(("iam.", "organizations."))


@dataclass(slots=True)
class Leftovers:
    """What was left behind, sorted by what can be done about it."""

    sources: list[Source] = field(default_factory=list)
    """What hands out credentials, to be closed."""
    keys: set[str] = field(default_factory=set)
    """Ids of long-term keys that the attacker made and used."""
    users: set[Principal] = field(default_factory=set)
    roles: set[Principal] = field(default_factory=set)
    risks: list[str] = field(default_factory=list)
    """Sentences about what no step takes back."""
    entered: list[str] = field(default_factory=list)
    """Sentences about what the attacker got into that has a role: the proof assumes that no credentials were taken."""
    uncertain: set[str] = field(default_factory=set)
    """Ids of things that the owner of the leaked key may have made."""


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What shows whether that which a deed left is still there, and with which roles."""

    reversals: ReversalIndex
    held: Sequence[HeldCredential]
    """The tainted credentials."""
    keys: Set[str | None]
    """The ids of the long-term keys among them."""
    roles: Mapping[tuple[str, str | None], Set[Principal]]
    """By account and session name: the roles of the sessions among them."""


def left_behind(
    deeds: Sequence[AttackerAction],
    held: Sequence[HeldCredential],
    reversals: ReversalIndex,
) -> Leftovers:
    """
    Find what deeds left behind.

    Args:
        deeds: The changes that tainted credentials made.
        held: The tainted credentials, expired ones too, since their sources can hand out more.
        reversals: What was undone, put right, ended or deleted since.
    """
    seen = _Evidence(reversals, held, {one.key_id for one in held}, _roles_by_name(held))
    found = Leftovers()
    untold: dict[tuple[str, str], list[str]] = {}
    entered: dict[tuple[str, str], list[str]] = {}
    names = spellings({one.caller.session_name or "" for one in held})
    for deed in deeds:
        for made, thing in creations.made(deed.name, deed.request, deed.response, deed.source):
            what = counts_as(made, object_of(deed.request))
            seen_in_use = session_of(what, thing or "") in names
            works = _works_by_itself(deed, what) or seen_in_use
            over = what in ("policy", "boundary", "instance_profile") and (
                reversals.is_of_deleted(deed, found.users | found.roles)
                or _QUARANTINE in (deed.asked("policyArn") or "")
            )
            if over or (what in LEFT and deed.name not in _HOSTING and reversals.undone(deed)):
                continue
            if what in _KEYLIKE:
                found.sources.append(_keylike(deed, what, thing))
            elif deed.name in _HOSTING:
                found.sources.extend(_profile(deed, thing, seen.reversals))
            elif what in ENTERED and not seen_in_use and not (what in WORKLOADS and works):
                entered.setdefault((deed.by, ENTERED[what]), []).append(_said(deed, thing))
            elif what in LEFT or not works:
                called = LEFT.get(what) or with_article(WORKLOADS[what].called)
                untold.setdefault((deed.by, called), []).append(_said(deed, thing))
            else:
                _enter(found, deed, what, thing, seen)
    for (by, what), deeds_told in untold.items():
        found.risks.append(left(by, what, listed(deeds_told, 3)))
    for (by, what), deeds_told in entered.items():
        found.entered.append(nothing_taken(by, what, listed(deeds_told, 3)))
    own_made = found.users | found.roles
    kept = [one for one in found.sources if one.kind not in ENDING or one.mints not in own_made]
    known = {one.name for one in kept if one.mints.kind != "unknown"}
    found.sources = [one for one in kept if one.mints.kind != "unknown" or one.name not in known]
    return found


def _said(deed: AttackerAction, thing: str | None) -> str:
    """A call that left something, and where, in words."""
    admitted = unquote(deed.asked("principalArn") or "")  # as EKS has it in an address
    return deed.said(dict.fromkeys([thing, *_listed(deed, "instanceIds"), deed.asked("target"), admitted]))


def _works_by_itself(deed: AttackerAction, what: str) -> bool:
    """Whether what was made gets credentials of its own, as far as the call shows."""
    workload = WORKLOADS.get(what)
    return workload is None or workload.without_role or bool(_roles(deed, what))


def _enter(found: Leftovers, deed: AttackerAction, what: str, thing: str | None, seen: _Evidence) -> None:
    before = len(found.sources)
    if what == "access_key":
        found.sources.extend(_key(found, deed, thing, seen.keys))
    elif what in ("provider", "trust_anchor", "anywhere_profile"):
        found.sources.extend(_provider(deed, thing or "", seen.reversals, seen.held))
    elif what in WORKLOADS:
        found.sources.extend(_host(deed, what, thing or "", seen))
    elif what in _NAMED:
        found.sources.extend(_of_name(deed, what, thing, seen.reversals))
    for source in found.sources[before:]:
        if not deed.certain:
            found.uncertain.add(source.id)
        if source.kind == "user":
            found.users.add(source.mints)
        elif source.kind == "role":
            found.roles.add(source.mints)


def _of_name(
    deed: AttackerAction, what: str, thing: str | None, reversals: ReversalIndex
) -> Iterator[Source]:
    """
    The source that a made or changed user, role, password or trust policy is.

    Only ChangePassword names no user: it changes the caller's own password (IAM API Reference, 'ChangePassword').
    """
    name = (thing or (deed.user if deed.name == "ChangePassword" else None) or "").rpartition("/")[2]
    if not name:
        yield _untold(deed, what)
        return
    kind, member = _NAMED[what]
    until = reversals.put_right(deed, kind, member, name)
    if until is None or kind in ("password", "trust"):
        yield replace(_standing(deed, kind, name, reversals), until=until)


def _standing(deed: AttackerAction, kind: str, name: str, reversals: ReversalIndex) -> Source:
    """The source that a user, role, password or trust policy is, if it is as the attacker left it."""
    if kind == "password":
        return _password(deed, name)
    if kind == "trust":
        return _trust(deed, name, reversals)
    return _made(deed, "user" if kind == "user" else "role", name)


def _made(deed: AttackerAction, kind: Literal["user", "role"], name: str) -> Source:
    return Source(
        kind=kind, id=name, mints=Principal(deed.account, kind, name), account=deed.account, made=True, since=deed.time,
        why=f"{deed.name} by {deed.by} (event {deed.event_id}) made the {kind} {name}",
    )  # fmt: skip


def _key(
    found: Leftovers, deed: AttackerAction, thing: str | None, keys: Set[str | None]
) -> Iterator[Source]:
    """A key that the attacker created or reactivated: it is a source if the log does not show it in use."""
    made = deed.name == "CreateAccessKey"
    if thing and thing in keys:
        if made:
            found.keys.add(thing)
        if not deed.certain:
            found.uncertain.add(thing)
        return
    user = deed.asked("userName") or (deed.user if deed.request or deed.response else None)
    if not user:
        yield _untold(deed, "access_key")
        return
    yield Source(
        kind="key", id=thing or f"a key of {user} (event {deed.event_id})", account=deed.account, made=made,
        since=deed.time,
        mints=Principal(deed.account, "user", user), before={"id": thing} if thing else {},
        why=f"{deed.name} by {deed.by} (event {deed.event_id}) gave {user} a key",
    )  # fmt: skip


def _untold(deed: AttackerAction, what: str) -> Source:
    """A user, role, key or password that the record does not name, as in a table without requests and responses."""
    name = unnamed(deed.name, deed.event_id)
    return Source(
        kind="key", id=name, account=deed.account, since=deed.time, mints=Principal(deed.account, "unknown", name),
        why=f"{deed.name} by {deed.by} (event {deed.event_id}) made or set {_UNTOLD[what]}, which the record does not "
        "name",
    )  # fmt: skip


def _keylike(deed: AttackerAction, what: str, thing: str | None) -> Source:
    """A credential of a user's that does not expire and that no call of ours ends, such as an SSH key."""
    user = deed.asked("userName") or deed.user
    return Source(
        kind="key", id=thing or unnamed(deed.name, deed.event_id), account=deed.account, since=deed.time,
        mints=Principal(deed.account, *(("user", user) if user else ("unknown", thing or deed.name))),
        why=f"{deed.name} by {deed.by} (event {deed.event_id}) left {LEFT[what]} behind",
    )  # fmt: skip


def _profile(deed: AttackerAction, instance: str | None, reversals: ReversalIndex) -> Iterator[Source]:
    """An instance profile that got a role, or an instance that got a profile."""
    role, profile = deed.asked("roleName"), deed.asked("instanceProfileName")
    name = profile or instance or unnamed(deed.name, deed.event_id)
    what = "instance_profile" if profile else "instance"
    yield Source(
        kind="host", id=name, account=deed.account, what=what, since=deed.time,
        until=reversals.ended(what, name, deed.account, deed.time, (deed.source, None if profile else deed.region)),
        region=None if profile else deed.region,
        mints=Principal(deed.account, *(("role", role) if role else ("unknown", name))),
        why=f"{deed.name} by {deed.by} (event {deed.event_id}) hands the {WORKLOADS[what].called} {name} "
        f"{f'the role {role}' if role else 'a role'}",
    )  # fmt: skip


def _password(deed: AttackerAction, name: str) -> Source:
    return Source(
        kind="password", id=name, mints=Principal(deed.account, "user", name), account=deed.account,
        why=f"{deed.name} by {deed.by} set the password of {name}", made=True, since=deed.time,
    )  # fmt: skip


def _trust(deed: AttackerAction, name: str, reversals: ReversalIndex) -> Source:
    document = reversals.trust_before(deed, name)
    return Source(
        kind="trust", id=name, mints=Principal(deed.account, "role", name), account=deed.account, since=deed.time,
        why=f"UpdateAssumeRolePolicy by {deed.by} (event {deed.event_id}) changed whom {name} trusts",
        before={"document": document, "now": deed.document},
    )  # fmt: skip


def _provider(
    deed: AttackerAction, thing: str, reversals: ReversalIndex, held: Iterable[HeldCredential]
) -> Iterator[Source]:
    """A source for each role that a provider or trust anchor was seen to open; one of an unknown role if for none."""
    held = list(held)
    thing = _provider_id(deed, thing, held)
    ends = [
        reversals.put_right(deed, "provider", member, thing)
        for member in ("openIDConnectProviderArn", "sAMLProviderArn")
    ] + [
        reversals.put_right(deed, "anywhere", member, thing.rpartition("/")[2])
        for member in ("trustAnchorId", "profileId")  # which the log names by id, and what made it by ARN
    ]
    until = min((end for end in ends if end), default=None)
    through = [one for one in held if (name := one.anchor or one.caller.federated_provider) and name in thing]
    if until and any(one.issued_at and one.issued_at > until + _TAKES_EFFECT for one in through):
        until = None  # somebody opened it again, whether or not the evidence has the record
    entered = {one.principal for one in through}
    entered |= {role for one in _listed(deed, "roleArns") if (role := principal_of_arn(one))}
    for role in sorted(entered) or [Principal(deed.account, "unknown", thing)]:
        yield Source(
            kind="provider", id=thing, mints=role, account=deed.account, made=deed.name.startswith("Create"),
            region=deed.region, until=until, since=deed.time,
            why=f"{deed.name} by {deed.by} (event {deed.event_id}) lets identities of its maker in through {thing}",
        )  # fmt: skip


def _provider_id(deed: AttackerAction, thing: str, held: Iterable[HeldCredential]) -> str:
    """
    The ARN of an identity provider that a call made, which its request tells where the record lacks the answer.

    It ends in the provider's name, or in its URL without the scheme (IAM User Guide, 'IAM identifiers').
    """
    kind, member = _PROVIDERS.get(deed.name, ("", ""))
    name = deed.asked(member) if kind and not thing.startswith("arn:") else None
    if not name:
        return thing or unnamed(deed.name, deed.event_id)
    partition = partition_in((one.caller.principal or "" for one in held), deed.account)
    return f"arn:{partition}:iam::{deed.account}:{kind}/{name.removeprefix('https://')}"


def _listed(deed: AttackerAction, name: str) -> list[str]:
    """A request parameter's texts, if it is a list."""
    value = object_of(deed.request).get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _roles_by_name(held: Iterable[HeldCredential]) -> dict[tuple[str, str | None], set[Principal]]:
    found: dict[tuple[str, str | None], set[Principal]] = {}
    for one in held:
        if one.principal.kind == "role":
            found.setdefault((one.principal.account, one.caller.session_name), set()).add(one.principal)
    return found


def _host(deed: AttackerAction, what: str, thing: str, seen: _Evidence) -> Iterator[Source]:
    """
    A source for each role that a workload runs with; one of an unknown role if none is known.

    A service can be given roles of its own account only (IAM User Guide, 'Grant a user permissions to pass a role to
    an AWS service').
    """
    name = name_of(what, thing) or unnamed(deed.name, deed.event_id)
    door = WORKLOADS[what].door
    until = seen.reversals.ended(what, name, deed.account, deed.time, (deed.source, deed.region))
    roles = {role for one in _roles(deed, what) if (role := role_named(one, deed.account))}
    roles |= seen.roles.get((deed.account, session_of(what, thing) or name), set())
    for mints in sorted(roles) or [Principal(deed.account, "unknown", name)]:
        yield Source(
            kind="provider" if door else "host", id=name, mints=mints, account=deed.account, made=_makes(deed),
            region=deed.region, what=what, cluster=cluster_of(thing) or deed.asked("cluster"), until=until,
            since=deed.time, why=f"{deed.name} by {deed.by} (event {deed.event_id}): the {WORKLOADS[what].called} "
            f"{name} {'hands out the role that the attacker gave it' if door else 'runs what the attacker put there'}",
        )  # fmt: skip


def _makes(deed: AttackerAction) -> bool:
    """Whether a call makes a new thing, rather than changing one."""
    return deed.name.startswith(("Create", "Run", "Start", "Schedule", "Register", "Request", "Retry"))


def _roles(deed: AttackerAction, what: str) -> list[str]:
    return roles_of(what, object_of(deed.request), object_of(deed.response))


def roles_given(deed: AttackerAction) -> list[Principal]:
    """The roles that a deed gave to workloads whose sessions don't have the workload's name."""
    kinds = [what for what, _ in creations.made(deed.name, deed.request, deed.response, deed.source)]
    named = (
        one for what in kinds if what in WORKLOADS and what not in _BY_NAME for one in _roles(deed, what)
    )
    return [role for one in named if (role := role_named(one, deed.account))]


def roles_let_in(deed: AttackerAction) -> list[Principal]:
    """The roles that a deed gave to a profile of IAM Roles Anywhere, for all who have a trust anchor's certificate."""
    if deed.source.startswith("rolesanywhere.") and deed.name in ("CreateProfile", "UpdateProfile"):
        return [role for one in _listed(deed, "roleArns") if (role := principal_of_arn(one))]
    return []
