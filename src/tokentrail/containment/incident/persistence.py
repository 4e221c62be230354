"""
What tainted credentials left behind that can mint again: keys, users, passwords, roles, trusts, providers, hosts.

Which call makes what is said in `lineage.creations`. Something that somebody else has put right since hands out nothing
more, but may have handed out credentials before that no log shows yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal
from urllib.parse import unquote

from tokentrail.aws.calls.workload_kinds import WORKLOADS
from tokentrail.aws.principals import Principal, partition_in, principal_of_arn, role_named
from tokentrail.containment.incident.assumption import Assumption
from tokentrail.containment.incident.attacker_action import AttackerAction
from tokentrail.containment.incident.incident_model import EntryPoint, HeldCredential
from tokentrail.containment.incident.persistence_kinds import (
    ENDING,
    ENTERED,
    LEFT,
    counts_as,
    spellings,
    unnamed,
    with_article,
)
from tokentrail.containment.incident.reversal_index import ReversalIndex
from tokentrail.containment.incident.workloads import cluster_of, name_of, roles_of, session_of
from tokentrail.lineage import creations
from tokentrail.lineage.rows import object_of

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


@dataclass(slots=True)
class Leftovers:
    """What was left behind, sorted by what can be done about it."""

    sources: list[EntryPoint] = field(default_factory=list)
    """What hands out credentials, to be closed."""
    keys: set[str] = field(default_factory=set)
    """Ids of long-term keys that the attacker made and used."""
    users: set[Principal] = field(default_factory=set)
    roles: set[Principal] = field(default_factory=set)
    risks: list[Assumption] = field(default_factory=list)
    """What no step takes back."""
    entered: list[Assumption] = field(default_factory=list)
    """What the attacker got into that has a role: the proof assumes that no credentials were taken."""
    uncertain: set[str] = field(default_factory=set)
    """Ids of things that the owner of the leaked key may have made."""


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What shows whether what an action left is still there, and with which roles."""

    reversals: ReversalIndex
    held: Sequence[HeldCredential]
    """The tainted credentials."""
    keys: Set[str | None]
    """The ids of the long-term keys among them."""
    roles: Mapping[tuple[str, str | None], Set[Principal]]
    """By account and session name: the roles of the sessions among them."""


def left_behind(
    actions: Sequence[AttackerAction],
    held: Sequence[HeldCredential],
    reversals: ReversalIndex,
) -> Leftovers:
    """
    Find what actions left behind.

    Args:
        actions: The changes that tainted credentials made.
        held: The tainted credentials, expired ones too, since their sources can hand out more.
        reversals: What was undone, put right, ended or deleted since.
    """
    seen = _Evidence(reversals, held, {one.key_id for one in held}, _roles_by_name(held))
    found = Leftovers()
    untold: dict[tuple[str, str], list[str]] = {}
    entered: dict[tuple[str, str], list[str]] = {}
    names = spellings({one.caller.session_name or "" for one in held})
    for action in actions:
        for made, thing in creations.made(action.name, action.request, action.response, action.source):
            what = counts_as(made, object_of(action.request))
            seen_in_use = session_of(what, thing or "") in names
            works = _works_by_itself(action, what) or seen_in_use
            over = what in ("policy", "boundary", "instance_profile") and (
                reversals.is_of_deleted(action, found.users | found.roles)
                or _QUARANTINE in (action.asked("policyArn") or "")
            )
            if over or (what in LEFT and action.name not in _HOSTING and reversals.undone(action)):
                continue
            if what in _KEYLIKE:
                found.sources.extend(_keylike(found, action, what, thing, seen.keys))
            elif action.name in _HOSTING:
                found.sources.extend(_profile(action, thing, seen.reversals))
            elif what in ENTERED and not seen_in_use and not (what in WORKLOADS and works):
                entered.setdefault((action.by, what), []).append(_said(action, thing))
            elif what in LEFT or not works:
                called = LEFT.get(what) or with_article(WORKLOADS[what].called)
                untold.setdefault((action.by, called), []).append(_said(action, thing))
            else:
                _enter(found, action, what, thing, seen)
    for (by, what), calls in untold.items():
        found.risks.append(Assumption.of("left_behind", by, what=what, calls=tuple(calls)))
    for (by, what), calls in entered.items():
        kind = "certificate" if what == "private_certificate" else "entered"
        found.entered.append(Assumption.of(kind, by, how=what, calls=tuple(calls)))
    own_made = found.users | found.roles
    kept = [one for one in found.sources if one.kind not in ENDING or one.mints not in own_made]
    known = {one.name for one in kept if one.mints.kind != "unknown"}
    found.sources = [one for one in kept if one.mints.kind != "unknown" or one.name not in known]
    return found


def _said(action: AttackerAction, thing: str | None) -> str:
    """A call that left something, and where, in words."""
    admitted = unquote(action.asked("principalArn") or "")  # as EKS has it in an address
    return action.said(
        dict.fromkeys([thing, *_listed(action, "instanceIds"), action.asked("target"), admitted])
    )


def _works_by_itself(action: AttackerAction, what: str) -> bool:
    """Whether what was made gets credentials of its own, as far as the call shows."""
    workload = WORKLOADS.get(what)
    return workload is None or workload.without_role or bool(_roles(action, what))


def _enter(found: Leftovers, action: AttackerAction, what: str, thing: str | None, seen: _Evidence) -> None:
    before = len(found.sources)
    if what == "access_key":
        found.sources.extend(_key(found, action, thing, seen.keys))
    elif what in ("provider", "trust_anchor", "anywhere_profile"):
        found.sources.extend(_provider(action, thing or "", seen.reversals, seen.held))
    elif what in WORKLOADS:
        found.sources.extend(_host(action, what, thing or "", seen))
    elif what in _NAMED:
        found.sources.extend(_of_name(action, what, thing, seen.reversals))
    for source in found.sources[before:]:
        if not action.certain:
            found.uncertain.add(source.id)
        if source.kind == "user":
            found.users.add(source.mints)
        elif source.kind == "role":
            found.roles.add(source.mints)


def _of_name(
    action: AttackerAction, what: str, thing: str | None, reversals: ReversalIndex
) -> Iterator[EntryPoint]:
    """
    The source that a made or changed user, role, password or trust policy is.

    Only ChangePassword names no user: it changes the caller's own password (IAM API Reference, 'ChangePassword').
    """
    name = (thing or (action.user if action.name == "ChangePassword" else None) or "").rpartition("/")[2]
    if not name:
        yield _untold(action, what)
        return
    kind, member = _NAMED[what]
    until = reversals.put_right(action, kind, member, name)
    if until is None or kind in ("password", "trust"):
        yield replace(_standing(action, kind, name, reversals), until=until)


def _standing(action: AttackerAction, kind: str, name: str, reversals: ReversalIndex) -> EntryPoint:
    """The source that a user, role, password or trust policy is, if it is as the attacker left it."""
    if kind == "password":
        return _password(action, name)
    if kind == "trust":
        return _trust(action, name, reversals)
    return _made(action, "user" if kind == "user" else "role", name)


def _made(action: AttackerAction, kind: Literal["user", "role"], name: str) -> EntryPoint:
    return EntryPoint(
        kind=kind, id=name, mints=Principal(action.account, kind, name), account=action.account, made=True,
        since=action.time, why=f"{action.cause} made the {kind} {name}",
    )  # fmt: skip


def _key(
    found: Leftovers, action: AttackerAction, thing: str | None, keys: Set[str | None]
) -> Iterator[EntryPoint]:
    """A key that the attacker created or reactivated: it is a source if the log does not show it in use."""
    made = action.name == "CreateAccessKey"
    if thing and thing in keys:
        if made:
            found.keys.add(thing)
        if not action.certain:
            found.uncertain.add(thing)
        return
    user = action.asked("userName") or (action.user if action.request or action.response else None)
    if not user:
        yield _untold(action, "access_key")
        return
    yield EntryPoint(
        kind="key", id=thing or f"a key of {user} (event {action.event_id})", account=action.account, made=made,
        since=action.time,
        mints=Principal(action.account, "user", user), before={"id": thing} if thing else {},
        why=f"{action.cause} gave {user} a key",
    )  # fmt: skip


def _untold(action: AttackerAction, what: str) -> EntryPoint:
    """A user, role, key or password that the record does not name, as in a table without requests and responses."""
    name = unnamed(action.name, action.event_id)
    return EntryPoint(
        kind="key", id=name, account=action.account, since=action.time,
        mints=Principal(action.account, "unknown", name),
        why=f"{action.cause} made or set {_UNTOLD[what]}, which the record does not "
        "name",
    )  # fmt: skip


def _keylike(
    found: Leftovers, action: AttackerAction, what: str, thing: str | None, keys: Set[str | None]
) -> Iterator[EntryPoint]:
    """
    A credential of a user's that does not expire and that no call of ours ends, such as an SSH key.

    An API key is a credential itself, if the record tells its id.
    """
    if thing and thing in keys:
        if action.name.startswith("Create"):
            found.keys.add(thing)
        if not action.certain:
            found.uncertain.add(thing)
        return
    user = action.asked("userName") or action.user
    yield EntryPoint(
        kind="key", id=thing or unnamed(action.name, action.event_id), account=action.account, since=action.time,
        mints=Principal(action.account, *(("user", user) if user else ("unknown", thing or action.name))),
        why=f"{action.cause} left {LEFT[what]} behind",
    )  # fmt: skip


def _profile(action: AttackerAction, instance: str | None, reversals: ReversalIndex) -> Iterator[EntryPoint]:
    """An instance profile that got a role, or an instance that got a profile."""
    role, profile = action.asked("roleName"), action.asked("instanceProfileName")
    known = profile or instance
    name = known or unnamed(action.name, action.event_id)
    what, region = ("instance_profile", None) if profile else ("instance", action.region)
    yield EntryPoint(
        kind="host", id=name, account=action.account, what=what, since=action.time, named=bool(known),
        until=reversals.ended(what, name, action.account, action.time, (action.source, region)), region=region,
        mints=Principal(action.account, *(("role", role) if role else ("unknown", name))),
        why=f"{action.cause} hands the {WORKLOADS[what].called} {name} "
        f"{f'the role {role}' if role else 'a role'}",
    )  # fmt: skip


def _password(action: AttackerAction, name: str) -> EntryPoint:
    return EntryPoint(
        kind="password", id=name, mints=Principal(action.account, "user", name), account=action.account,
        why=f"{action.name} by {action.by} set the password of {name}", made=True, since=action.time,
    )  # fmt: skip


def _trust(action: AttackerAction, name: str, reversals: ReversalIndex) -> EntryPoint:
    document = reversals.trust_before(action, name)
    return EntryPoint(
        kind="trust", id=name, mints=Principal(action.account, "role", name), account=action.account, since=action.time,
        why=f"UpdateAssumeRolePolicy by {action.by} (event {action.event_id}) changed whom {name} trusts",
        before={"document": document, "now": action.document},
    )  # fmt: skip


def _provider(
    action: AttackerAction, thing: str, reversals: ReversalIndex, held: Iterable[HeldCredential]
) -> Iterator[EntryPoint]:
    """A source for each role that a provider or trust anchor was seen to open; one of an unknown role if for none."""
    held = list(held)
    thing = _provider_id(action, thing, held)
    ends = [
        reversals.put_right(action, "provider", member, thing)
        for member in ("openIDConnectProviderArn", "sAMLProviderArn")
    ] + [
        reversals.put_right(action, "anywhere", member, thing.rpartition("/")[2])
        for member in ("trustAnchorId", "profileId")  # which the log names by id, and what made it by ARN
    ]
    until = min((end for end in ends if end), default=None)
    through = [one for one in held if (name := one.anchor or one.caller.federated_provider) and name in thing]
    if until and any(one.issued_at and one.issued_at > until + _TAKES_EFFECT for one in through):
        until = None  # somebody opened it again, whether or not the evidence has the record
    entered = {one.principal for one in through}
    entered |= {role for one in _listed(action, "roleArns") if (role := principal_of_arn(one))}
    for role in sorted(entered) or [Principal(action.account, "unknown", thing)]:
        yield EntryPoint(
            kind="provider", id=thing, mints=role, account=action.account, made=action.name.startswith("Create"),
            region=action.region, until=until, since=action.time,
            why=f"{action.cause} lets identities of its maker in through {thing}",
        )  # fmt: skip


def _provider_id(action: AttackerAction, thing: str, held: Iterable[HeldCredential]) -> str:
    """
    The ARN of an identity provider that a call made, which its request tells where the record lacks the answer.

    It ends in the provider's name, or in its URL without the scheme (IAM User Guide, 'IAM identifiers').
    """
    kind, member = _PROVIDERS.get(action.name, ("", ""))
    name = action.asked(member) if kind and not thing.startswith("arn:") else None
    if not name:
        return thing or unnamed(action.name, action.event_id)
    partition = partition_in((one.caller.principal or "" for one in held), action.account)
    return f"arn:{partition}:iam::{action.account}:{kind}/{name.removeprefix('https://')}"


def _listed(action: AttackerAction, name: str) -> list[str]:
    """A request parameter's texts, if it is a list."""
    value = object_of(action.request).get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _roles_by_name(held: Iterable[HeldCredential]) -> dict[tuple[str, str | None], set[Principal]]:
    found: dict[tuple[str, str | None], set[Principal]] = {}
    for one in held:
        if one.principal.kind == "role":
            found.setdefault((one.principal.account, one.caller.session_name), set()).add(one.principal)
    return found


def _host(action: AttackerAction, what: str, thing: str, seen: _Evidence) -> Iterator[EntryPoint]:
    """
    A source for each role that a workload runs with; one of an unknown role if none is known.

    A service can be given roles of its own account only (IAM User Guide, 'Grant a user permissions to pass a role to
    an AWS service').
    """
    known = name_of(what, thing)
    name = known or unnamed(action.name, action.event_id)
    door = WORKLOADS[what].door
    until = seen.reversals.ended(what, name, action.account, action.time, (action.source, action.region))
    roles = {role for one in _roles(action, what) if (role := role_named(one, action.account))}
    roles |= seen.roles.get((action.account, session_of(what, thing) or name), set())
    for mints in sorted(roles) or [Principal(action.account, "unknown", name)]:
        yield EntryPoint(
            kind="provider" if door else "host", id=name, mints=mints, account=action.account, made=_makes(action),
            region=action.region, what=what, named=bool(known), until=until,
            cluster=cluster_of(thing) or action.asked("cluster"),
            since=action.time, why=f"{action.cause}: the {WORKLOADS[what].called} "
            f"{name} {'hands out the role that the attacker gave it' if door else 'runs what the attacker put there'}",
        )  # fmt: skip


def _makes(action: AttackerAction) -> bool:
    """Whether a call makes a new thing, rather than changing one."""
    return action.name.startswith(("Create", "Run", "Start", "Schedule", "Register", "Request", "Retry"))


def _roles(action: AttackerAction, what: str) -> list[str]:
    return roles_of(what, object_of(action.request), object_of(action.response))


def roles_given(action: AttackerAction) -> list[Principal]:
    """The roles that an action gave to workloads whose sessions don't have the workload's name."""
    kinds = [what for what, _ in creations.made(action.name, action.request, action.response, action.source)]
    named = (
        one for what in kinds if what in WORKLOADS and what not in _BY_NAME for one in _roles(action, what)
    )
    return [role for one in named if (role := role_named(one, action.account))]


def roles_let_in(action: AttackerAction) -> list[Principal]:
    """The roles that an action gave to a profile of IAM Roles Anywhere, for all with a trust anchor's certificate."""
    if action.source.startswith("rolesanywhere.") and action.name in ("CreateProfile", "UpdateProfile"):
        return [role for one in _listed(action, "roleArns") if (role := principal_of_arn(one))]
    return []
