"""
The sources behind tainted credentials, which can hand out more: hosts, passwords, portals, sign-ins, providers.

An expired credential points to its source as well as a living one does: whoever controls the source gets the next.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow.compute as pc

from tokentrail.aws.calls.catalogue import every_reviewed
from tokentrail.aws.principals import Principal, caseless, principal_of_arn
from tokentrail.containment.incident.assumption import Assumption
from tokentrail.containment.incident.attacker_action import AttackerAction
from tokentrail.containment.incident.incident_model import ALWAYS, EntryPoint, HeldCredential
from tokentrail.containment.incident.reversal_index import (
    PASSWORD_CHANGES,
    ReversalIndex,
    sets_something_else,
)
from tokentrail.containment.incident.source_kinds import certified
from tokentrail.containment.incident.taint_sources import NAMED_OR_SIGNED_IN, SESSION_NAMED
from tokentrail.containment.incident.workloads import session_of
from tokentrail.formatting import short
from tokentrail.lineage import rollups, rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential
from tokentrail.lineage.trace import Narrowing
from tokentrail.policy.account.reach import Reach
from tokentrail.policy.history.changes import Change

_PORTAL = timedelta(days=90)
"""
How long a sign-in to the access portal may last (IAM Identity Center User Guide, 'Configure the session duration of the
AWS access portal and IAM Identity Center integrated applications').
"""
SIGN_IN = timedelta(days=90)
"""
How long a sign-in session of `aws login` may refresh its credentials: twelve hours, unless its user or role has another
`MaxSigninSessionDuration`, which may have been set before the evidence begins (AWS Sign-In User Guide, see `GRANTED`;
IAM API Reference, 'UpdateRole' and 'UpdateLoginProfile').
"""
SIGNED_IN = frozenset({"console_session", "assumed_role_saml"})
"""Kinds of what a person may have got by signing in to the console as a user or role (see `SIGN_IN`)."""
GRANTED = timedelta(minutes=15)
"""The longest life of credentials that `aws login` gets (AWS Sign-In User Guide, 'Sign in through the AWS CLI')."""
_ANYWHERE = "rolesanywhere.amazonaws.com"
_OF_THEIR_OWN = {"ecs-tasks.amazonaws.com": "task", "codebuild.amazonaws.com": "build"}
"""By service that gives each run of a workload its own session name: the kind of workload."""
_FEDERATED = frozenset({"assumed_role_saml", "assumed_role_web_identity"})
_PASSWORDS_GIVEN = frozenset(
    one.operation for one in every_reviewed() if one.creates and one.creates.kind == "login_profile"
)
_PROVIDERS_GONE = {
    "DeleteSAMLProvider": "sAMLProviderArn", "DeleteOpenIDConnectProvider": "openIDConnectProviderArn",
}  # fmt: skip
_GRANT = "CreateOAuth2Token"
_GRANTS = """
SELECT a.n, a.time, a.ip, i.sign_in_session FROM acts a JOIN issuances i
  ON i.segment = a.segment AND i.object = a.object AND i.ordinal = a.ordinal
WHERE i.api LIKE 'CreateOAuth2Token%' ORDER BY a.time, a.event_id"""
_BY_SOMEBODY = frozenset(
    {
        "assumed_role",
        "session_token",
        "federation_token",
        "root_session",
        "console_session",
        "scoped",
        "delegated",
        "unknown",
    }
)
"""Kinds of credentials that are minted with another credential or a password; the others come from other sources."""


@dataclass(frozen=True, slots=True)
class TaintedCredential:
    """A tainted credential in the form that proofs use, with what else finding its source needs."""

    held: HeldCredential
    credential: Credential
    target: str | None = None
    """Of a SAML session: the provider's ARN."""
    region: str | None = None
    """The region in which a service issued it to a function or host, if known."""


def behind(
    tainted: Iterable[TaintedCredential],
    reversals: ReversalIndex,
    as_of: datetime,
    shut: Container[tuple[str | None, Principal]] = (),
) -> Iterator[EntryPoint]:
    """
    The hosts, certificates, portals and sign-in sessions behind tainted credentials, whether these live or not.

    Args:
        tainted: The tainted credentials.
        reversals: What was ended since.
        as_of: The time of the plan.
        shut: Trust anchors that the plan closes anyway, each with its role: their certificates need not be revoked.
    """
    for seen in tainted:
        one, credential = seen.held, seen.credential
        name, arn = one.caller.session_name or one.id, one.caller.sign_in_session_arn
        match one.kind:
            case "service_role" if certified(credential):
                if (one.anchor, one.principal) not in shut:
                    why = f"whoever holds the certificate {name} is given a new session at any time"
                    yield replace(_source("provider", name, one, why), what="certificate", region=seen.region)
            case "service_role" if "/aws-service-role/" not in (one.caller.role or ""):
                issued = credential.issued_by.source_ip if credential.issued_by else None
                by = issued if issued and issued.endswith(".amazonaws.com") else None
                # If nobody is known to have started it, a service may have started another in its place.
                own = _OF_THEIR_OWN.get(by or "") if credential.parent_link == "created" else None
                what = "instance" if name.startswith("i-") else own or "function"
                why = f"{name} is handed a new session whenever the old one runs out"
                where = (None, seen.region)
                until = reversals.ended(what, name, one.principal.account, one.issued_at, where)
                known = (
                    what if what in ("instance", "task") else None
                )  # by a build's id alone it can't be stopped
                found = _source("host", name, one, why)
                yield replace(found, what=known, until=until, region=seen.region, service=by)
            case "identity_center" if _lasts(one, _PORTAL, as_of):
                person = credential.identity or name
                why = f"the access portal hands {person} a new session at any time"
                yield replace(_source("portal", person, one, why), person=name)
            case kind if kind == "oauth_login" or (arn and not credential.parent):
                if _lasts(one, SIGN_IN, as_of):
                    yield refreshing(one, arn)


def refreshing(one: HeldCredential, arn: str | None) -> EntryPoint:
    """The sign-in session that handed out a credential, or that it opened; both act as the same principal."""
    why = "the sign-in session refreshes its credentials by itself"
    return _source("sign_in", arn or f"sign-in of {one.id}", one, why)


def logins(
    forest: Forest,
    tainted: Iterable[TaintedCredential],
    ids: Mapping[int, str],
    own: Set[str],
    narrowing: Narrowing,
) -> Iterator[EntryPoint]:
    """
    The sign-in sessions of `aws login` that tainted credentials opened, whether they were seen in use or not.

    The record of the grant names no key, so that the inventory has no credential for it before one is used. Its refresh
    token is valid for twelve hours or as long as its user or role may stay signed in (`SIGN_IN`), and credentials that
    it is exchanged for later are newer than any cutoff (AWS Sign-In User Guide, 'Sign in through the AWS CLI'). A
    session whose credentials are known is also found by `behind`; `once` merges them.

    Args:
        forest: The forest of the trace.
        tainted: The tainted credentials.
        ids: The ids of the same, by place.
        own: The ids of those that may also be in their owner's hands.
        narrowing: Which acts of these are the attacker's.
    """
    seen = {one.held.id: one for one in tainted}
    calls: Any = forest.rolled_up(ids, rollups.APIS)
    places = set(calls.filter(pc.starts_with(calls["name"], _GRANT))["n"].to_pylist())
    told = {one.credential.parent for one in seen.values() if one.held.kind == "oauth_login"}
    for row in forest.done_by(places, _GRANTS) if places else ():
        one, time = ids[row["n"]], rows.moment(row["time"])
        if time is None or forest.as_of - time >= SIGN_IN:
            continue
        if one in own and not narrowing.admits(time, row["ip"]):
            continue
        if row["sign_in_session"] or one not in told:
            yield refreshing(seen[one].held, row["sign_in_session"])


def passwords(
    tainted: Iterable[TaintedCredential], actions: Collection[AttackerAction], changes: Sequence[Change]
) -> Iterator[EntryPoint]:
    """
    The passwords with which the attacker signed in, until somebody else changed them.

    A user's console session needed one even if its sign-in is not in the evidence, since that may have been logged in
    another region (AWS CloudTrail User Guide, 'AWS Management Console sign-in events').
    """
    own = {action.event_id for action in actions}
    for seen in tainted:
        one, credential = seen.held, seen.credential
        unseen = one.kind == "console_session" and credential.origin == "not_in_evidence"
        by_user = credential.origin == "console_sign_in" or (unseen and one.caller.principal_type == "user")
        if not by_user or credential.issued_at is None:
            continue
        user, issued = one.principal.name, credential.issued_at
        given = (
            action.time
            for action in actions
            if action.name in _PASSWORDS_GIVEN
            and action.account == one.principal.account
            and caseless(action.asked("userName") or action.user or "") == caseless(user)
            and action.time <= issued
        )
        changed = (
            change.time
            for change in changes
            if change.event_name in PASSWORD_CHANGES
            and change.account == one.principal.account
            and caseless(change.asked("userName") or change.caller_user or "") == caseless(user)
            and change.time >= issued
            and change.event_id not in own
            and not sets_something_else(change)
        )
        found = _source("password", user, one, f"whoever signed in as {user} knows the password")
        yield replace(found, since=max(given, default=ALWAYS), until=min(changed, default=None))


def doubtful_resets(
    tainted: Iterable[TaintedCredential], actions: Sequence[AttackerAction], changes: Sequence[Change]
) -> Iterator[Assumption]:
    """
    The proof's assumptions that somebody who reset a password which the attacker knows set another one.

    A record shows no password. With `PasswordResetRequired` a call may have set none: then the attacker's still signs
    in, and chooses the next one (IAM API Reference, 'UpdateLoginProfile').
    """
    own, known = {action.event_id for action in actions}, dict[tuple[str, str], tuple[str, datetime]]()
    for seen in tainted:
        if seen.credential.origin == "console_sign_in" and seen.credential.issued_at:
            user = seen.held.principal
            known[user.account, caseless(user.name)] = user.name, seen.credential.issued_at
    for action in actions:
        if action.name in _PASSWORDS_GIVEN and (name := action.asked("userName") or action.user):
            known[action.account, caseless(name)] = name, action.time
    for (account, user_name), (name, since) in known.items():
        later = [
            change for change in changes
            if change.event_name in PASSWORD_CHANGES and change.account == account and change.time > since
            and caseless(change.asked("userName") or change.caller_user or "") == user_name
            and change.event_id not in own and not sets_something_else(change)
        ]  # fmt: skip
        if later and all(map(_may_set_none, later)):
            first = later[0]
            yield Assumption.of(
                "password_reset", name, call=first.event_name, time=first.time, event=first.event_id
            )


def _may_set_none(change: Change) -> bool:
    return change.event_name == "UpdateLoginProfile" and "passwordResetRequired" in change.request


def providers(
    tainted: Iterable[TaintedCredential], changes: Sequence[Change], as_of: datetime
) -> Iterator[EntryPoint]:
    """
    The identity providers that let the attacker in until now; the proof assumes that they no longer do.

    A provider that was deleted lets nobody in (IAM API Reference, 'DeleteSAMLProvider').
    """
    for seen in tainted:
        one, credential = seen.held, seen.credential
        if one.kind not in _FEDERATED:
            continue
        name = seen.target or one.caller.federated_provider or credential.identity or one.id
        ends = [
            change.time
            for change in changes
            if change.event_name in _PROVIDERS_GONE
            and change.account == one.principal.account
            and (one.issued_at is None or change.time >= one.issued_at)
            and name in (change.asked(_PROVIDERS_GONE[change.event_name]) or "")
        ]
        why = f"the identity provider of {one.id} lets in whom it knows"
        found = replace(_source("provider", name, one, why), until=min([*ends, as_of]), assumed=not ends)
        yield replace(found, person=credential.identity or one.caller.session_name)


def by_trust(found: Iterable[EntryPoint], reach: Reach | None) -> Iterator[EntryPoint]:
    """Identity providers, and with snapshots each also for other roles whose trust policies may let its person in."""
    for one in found:
        yield one
        for arn in () if reach is None else reach.admitting(one.id, one.person):
            role = principal_of_arn(arn)
            if role is not None and role != one.mints:
                why = f"the trust policy of {short(arn)} may let in whom the identity provider {short(one.id)} knows"
                yield replace(one, mints=role, account=role.account, why=why)


def strangers(tainted: Iterable[TaintedCredential], deleted: Container[Principal]) -> Iterator[Assumption]:
    """
    Tainted credentials whose minter is not in the evidence, which is assumed to mint no more.

    An unknown minter can't be ended: whoever assumed a role from another account, or with a key that leaked together
    with the session, can assume it again. Behind calls that a service made for a session there is one that nobody has
    seen, of which it is not known who minted it or signed in.
    """
    told = set[tuple[Principal, str]]()
    for seen in tainted:
        one, credential = seen.held, seen.credential
        why = credential.origin_detail or ""
        by_password = one.kind == "console_session" and one.caller.principal_type == "user"
        minted = credential.origin == "not_in_evidence" and one.kind in _BY_SOMEBODY and not by_password
        if not (minted or credential.origin == "forwarded_call") or one.principal in deleted:
            continue
        if (one.principal, why) not in told:
            told.add((one.principal, why))
            yield Assumption.of("stranger", one.id, principal=one.principal, why=why)


def nameless(tainted: Iterable[TaintedCredential]) -> Iterator[Assumption]:
    """The tainted credentials of which no principal is known, so that nothing can be denied to it."""
    found: dict[bool, list[str]] = {}
    for seen in tainted:
        one = seen.held.principal
        if one.kind == "unknown" and not one.name and seen.credential.state in ("active", "unknown"):
            issued = seen.credential.issued_by
            guest = issued is not None and issued.api == "GetCredentialsForIdentity"
            found.setdefault(guest, []).append(seen.held.id)
    for guest, ids in sorted(found.items()):
        yield Assumption.of("nameless_guest" if guest else "nameless", credentials=tuple(sorted(ids)))


def signed_out(tainted: Iterable[TaintedCredential], as_of: datetime) -> Iterator[Assumption]:
    """
    The proof's assumption that sign-ins are over which last twelve hours unless a setting allows more.

    Source: IAM API Reference, 'UpdateLoginProfile' and 'UpdateRole', MaxSigninSessionDuration, which root has none of;
    nor do federated users.
    """
    over = sorted(
        seen.held.id for seen in tainted
        if seen.held.kind in SIGNED_IN and seen.credential.state == "expired"
        and not seen.held.principal.is_root and ":federated-user/" not in (seen.held.caller.principal or "")
        and _lasts(seen.held, SIGN_IN, as_of)
    )  # fmt: skip
    if over:
        yield Assumption.of("signed_out", credentials=tuple(over))


def taken_over(
    forest: Forest, sources: Sequence[EntryPoint], tainted: Set[str]
) -> tuple[list[EntryPoint], list[Assumption]]:
    """
    Replace function sources whose role is not known by one for each role that the function was seen with.

    The call that changes a function's code names no role (AWS Lambda API Reference, 'UpdateFunctionCode'). The new code
    can steal sessions that the function was handed before, since they are in its environment (AWS Lambda Developer
    Guide, 'Working with Lambda environment variables').

    Returns:
        The sources; and the living sessions that are not tainted and that such a function holds.
    """
    wanted = {
        (one.account, one.id) for one in sources if one.what == "function" and one.mints.kind == "unknown"
    }
    if not wanted:
        return list(sources), []
    names = sorted({name for _, name in wanted})
    found = forest.chosen_rows(forest.called(names, SESSION_NAMED, (names, names), "f.kind = 'service_role'"))
    roles: dict[tuple[str, str], set[Principal]] = {}
    held = []
    for row, one in zip(found, forest.credentials(found), strict=True):
        caller = rows.caller(row)
        host, role = (caller.account or "", caller.session_name or ""), caller.acts_as
        if host in wanted and role.kind == "role":
            roles.setdefault(host, set()).add(role)
            if one.state in ("active", "unknown") and one.id not in tainted:
                held.append(Assumption.of("carried_off", one.id, one.id, function=host[1]))
    known: list[EntryPoint] = []
    for source in sources:
        of = (source.account, source.id)
        seen = roles.get(of) if source.what == "function" and source.mints.kind == "unknown" else None
        known += [replace(source, mints=role) for role in sorted(seen)] if seen else [source]
    return known, held


def entry_points(forest: Forest, theirs: Iterable[TaintedCredential]) -> Iterator[Assumption]:
    """Portals, certificates and SAML sign-ins behind tainted credentials, with other roles that each has opened."""
    first: dict[tuple[str, str, str], datetime | None] = {}
    own = set()
    for seen in theirs:
        one = seen.credential
        own.add(seen.held.principal)
        key = _way(seen.held.caller.session_name, one.kind, seen.target, certified=certified(one))
        if key is not None:
            known = first.setdefault(key, one.issued_at)
            first[key] = min(known, one.issued_at) if known and one.issued_at else None
    names = sorted({name for _, name, _ in first})
    kept = "f.kind IN ('identity_center', 'service_role', 'assumed_role_saml')"
    found = forest.called_rows(names, NAMED_OR_SIGNED_IN, (names, names), kept) if names else ()
    opened = {
        (_way(caller.session_name, row["kind"], row["target"], certified=True), caller.acts_as)
        for row in found
        for caller in (rows.caller(row),)
    }
    for key in sorted(first):
        others = sorted(role for way, role in opened if way == key and role not in own)
        way, name, _ = key
        yield Assumption.of("entry_point", way=way, name=name, since=first[key], opened=tuple(others))


def _way(name: str | None, kind: str, target: str | None, *, certified: bool) -> tuple[str, str, str] | None:
    """What let a person or machine in: its kind and name; for SAML also the provider's name, without account."""
    match kind:
        case "identity_center" if name:
            return "portal", name, ""
        case "service_role" if name and certified:
            return "certificate", name, ""
        case "assumed_role_saml" if name:
            return "saml", name, (target or "").partition(":saml-provider/")[2]
    return None


def settled(source: EntryPoint, margin: timedelta, as_of: datetime) -> EntryPoint:
    """
    The same source; if somebody has shut it, with the margin added, since it may hand out until that took effect.

    One that may still be running although it was told to stop, as a task may, counts as open.
    """
    if source.until is None or source.assumed:
        return source
    if source.lingers and source.until + source.lingers > as_of:
        return replace(source, until=None)
    return replace(source, until=source.until + margin)


def once(sources: Iterable[EntryPoint]) -> list[EntryPoint]:
    """
    Merge equal sources: one for each principal that it hands out, the one that is open longest.

    A source that is known only by its sessions is left out if a source of the same name, of which more is known, may be
    the same.
    """
    found: dict[Any, EntryPoint] = {}
    for one in sources:
        known = found.setdefault((one.name, one.mints), one)
        longer = one if _longer(one, known) else known
        since = min(filter(None, (one.since, known.since)), default=None)
        found[one.name, one.mints] = replace(longer, since=since)
    placed: dict[Any, list[EntryPoint]] = {}
    for one in found.values():
        if one.what and one.region:
            for called in {one.id, session_of(one.what, one.id) or one.id}:
                placed.setdefault(((one.kind, one.account, called), one.mints), []).append(one)
    for name, one in list(found.items()):
        alike = [other for other in placed.get((one.name[:3], one.mints), []) if _same(one, other)]
        if alike and not all(_longer(one, other) for other in alike):
            del found[name]
    return [found[name] for name in sorted(found, key=repr)]


def _same(one: EntryPoint, other: EntryPoint) -> bool:
    """Whether a source may be the same as another, of which more is known; ids of tasks and builds are unique."""
    if other.made and not one.made and other.what and session_of(other.what, other.id):
        return True
    return not (one.what and one.region) and one.region in (None, other.region)


def _longer(one: EntryPoint, other: EntryPoint) -> bool:
    return other.until is not None and (one.until is None or one.until > other.until)


def _lasts(one: HeldCredential, longest: timedelta, as_of: datetime) -> bool:
    """Whether its source may still hand out, given how long that does so at most after the credential was issued."""
    return one.issued_at is None or one.issued_at + longest > as_of


def _source(kind: Any, name: str, one: HeldCredential, why: str) -> EntryPoint:
    return EntryPoint(kind=kind, id=name, mints=one.principal, account=one.principal.account, why=why)
