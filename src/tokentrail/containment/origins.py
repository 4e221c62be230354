"""
What stands behind tainted credentials and hands out more of them: hosts, passwords, portals, sign-ins, providers.

A credential that has run out says as much of what handed it out as one that lives: whoever holds that is handed the
next.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tokentrail.containment.leftovers import Deed
from tokentrail.containment.principal import Principal
from tokentrail.containment.righted import PASSWORD_CHANGES
from tokentrail.containment.scene import ALWAYS, HeldCredential, Source
from tokentrail.containment.workloads import Removals, session_of
from tokentrail.lineage.model import Credential
from tokentrail.policy.changes import Change
from tokentrail.policy.context import principal_of

_PORTAL = timedelta(days=90)
"""
How long a sign-in to the access portal may last (IAM Identity Center User Guide, 'Configure the session duration of the
AWS access portal and IAM Identity Center integrated applications').
"""
SIGN_IN = timedelta(hours=12)
"""How long `aws login` refreshes its credentials (AWS Sign-In User Guide, 'Sign in through the AWS CLI')."""
GRANTED = timedelta(minutes=15)
"""How long what `aws login` is granted lives at most (the same, 'Sign in through the AWS CLI')."""
_ANYWHERE = "rolesanywhere.amazonaws.com"
_OF_THEIR_OWN = {"ecs-tasks.amazonaws.com": "task", "codebuild.amazonaws.com": "build"}
"""Services that give each thing that somebody starts a session name of its own, and what that is."""
_FEDERATED = frozenset({"assumed_role_saml", "assumed_role_web_identity"})
_PASSWORDS_GIVEN = frozenset({"CreateLoginProfile", "UpdateLoginProfile", "ChangePassword"})
_PROVIDERS_GONE = {
    "DeleteSAMLProvider": "sAMLProviderArn", "DeleteOpenIDConnectProvider": "openIDConnectProviderArn",
}  # fmt: skip
_BY_SOMEBODY = frozenset(
    {
        "assumed_role",
        "session_token",
        "federation_token",
        "root_session",
        "console_session",
        "scoped",
        "unknown",
    }
)
"""Kinds that are minted with another credential, or a password: of the others, what hands them out is a source."""


@dataclass(frozen=True, slots=True)
class TaintedCredential:
    """A credential as a proof sees it, and what else is known of it."""

    held: HeldCredential
    credential: Credential
    target: str | None = None
    """Of a SAML session: its provider."""
    region: str | None = None
    """Where AWS gave it to a function or host, if that is known."""


def behind(
    tainted: Iterable[TaintedCredential],
    removals: Iterable[Change],
    as_of: datetime,
    shut: Container[tuple[str | None, Principal]] = (),
) -> Iterator[Source]:
    """
    What hands out more of tainted credentials, whether these live or not: all but passwords.

    Args:
        tainted: The tainted credentials.
        removals: Everybody's calls that took away, stopped or shut what is not IAM's.
        as_of: The moment of the plan.
        shut: What of the attacker's is shut anyway, and whom it lets in as: then a certificate need not be revoked.
    """
    removed = Removals(removals)
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
                # Of what nobody is known to have started, a service may have started another in its place.
                own = _OF_THEIR_OWN.get(by or "") if credential.parent_link == "created" else None
                what = "instance" if name.startswith("i-") else own or "function"
                why = f"{name} is handed a new session whenever the old one runs out"
                where = (None, seen.region)
                until = removed.gone_at(what, name, one.principal.account, one.issued_at, where)
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


def refreshing(one: HeldCredential, arn: str | None) -> Source:
    """The sign-in session that gave a credential, or that it opened, which speaks for the same principal."""
    why = "the sign-in session refreshes its credentials by itself"
    return _source("sign_in", arn or f"sign-in of {one.id}", one, why)


def passwords(
    tainted: Iterable[TaintedCredential], deeds: Collection[Deed], changes: Sequence[Change]
) -> Iterator[Source]:
    """
    Passwords that an attacker has signed in with, until somebody else changed them.

    A user's browser session whose sign-in is not in the evidence had one too: it is logged in whichever region the
    user was sent to (AWS CloudTrail User Guide, 'AWS Management Console sign-in events').
    """
    own = {deed.event_id for deed in deeds}
    for seen in tainted:
        one, credential = seen.held, seen.credential
        unseen = one.kind == "console_session" and credential.origin == "not_in_evidence"
        by_user = credential.origin == "console_sign_in" or (unseen and principal_of(one.caller) == "user")
        if not by_user or credential.issued_at is None:
            continue
        user, issued = one.principal.name, credential.issued_at
        given = (
            deed.time
            for deed in deeds
            if deed.name in _PASSWORDS_GIVEN
            and deed.account == one.principal.account
            and (deed.asked("userName") or deed.user) == user
            and deed.time <= issued
        )
        changed = (
            change.time
            for change in changes
            if change.event_name in PASSWORD_CHANGES
            and change.account == one.principal.account
            and (change.asked("userName") or change.caller_user) == user
            and change.time >= issued
            and change.event_id not in own
        )
        found = _source("password", user, one, f"whoever signed in as {user} knows the password")
        yield replace(found, since=max(given, default=ALWAYS), until=min(changed, default=None))


def providers(
    tainted: Iterable[TaintedCredential], changes: Sequence[Change], as_of: datetime
) -> Iterator[Source]:
    """
    Identity providers that let the attacker in, up to this moment: that they do so no more is what a proof rests on.

    A provider that was deleted lets nobody in any more (IAM API Reference, 'DeleteSAMLProvider').
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


def strangers(
    tainted: Iterable[TaintedCredential], deleted: Container[Principal]
) -> Iterator[tuple[str, Principal, str]]:
    """
    Tainted credentials of which the evidence does not show who minted them, and what it says instead.

    Nobody can end what is not known: whoever assumed a role from another account, or by a key that leaked with the
    session, assumes it again.
    """
    told = set[tuple[Principal, str]]()
    for seen in tainted:
        one, credential = seen.held, seen.credential
        why = credential.origin_detail or ""
        by_password = one.kind == "console_session" and principal_of(one.caller) == "user"
        if (
            credential.origin != "not_in_evidence"
            or one.kind not in _BY_SOMEBODY
            or by_password
            or one.principal in deleted
        ):
            continue
        if (one.principal, why) not in told:
            told.add((one.principal, why))
            yield one.id, one.principal, why


def certified(one: Credential) -> bool:
    """
    Whether IAM Roles Anywhere gave it to the holder of a certificate, by whose serial number it is named.

    Its CreateSession is in the log, and the AssumeRole that this wraps (IAM Roles Anywhere User Guide, 'The
    CreateSession operation'; the calls' `eventName`, and `sourceIPAddress`).
    """
    issued = one.issued_by
    return issued is not None and (issued.api == "CreateSession" or issued.source_ip == _ANYWHERE)


def settled(source: Source, margin: timedelta, as_of: datetime) -> Source:
    """
    What somebody has shut may hand out until that has taken effect everywhere.

    What goes on for longer than any cutoff lies ahead, as a task may that has been told to stop, is open still.
    """
    if source.until is None or source.assumed:
        return source
    if source.lingers and source.until + source.lingers > as_of:
        return replace(source, until=None)
    return replace(source, until=source.until + margin)


def once(sources: Iterable[Source]) -> list[Source]:
    """
    Each source once for each principal that it hands out; one that hands out longer stands for all alike.

    One of which only its sessions tell, and not all that it is, stands for one of its name that may be the same.
    """
    found: dict[Any, Source] = {}
    for one in sources:
        known = found.setdefault((one.name, one.mints), one)
        longer = one if _longer(one, known) else known
        since = min(filter(None, (one.since, known.since)), default=None)
        found[one.name, one.mints] = replace(longer, since=since)
    placed: dict[Any, list[Source]] = {}
    for one in found.values():
        if one.what and one.region:
            for called in {one.id, session_of(one.what, one.id) or one.id}:
                placed.setdefault(((one.kind, one.account, called), one.mints), []).append(one)
    for name, one in list(found.items()):
        alike = [other for other in placed.get((one.name[:3], one.mints), []) if _same(one, other)]
        if alike and not all(_longer(one, other) for other in alike):
            del found[name]
    return [found[name] for name in sorted(found, key=repr)]


def _same(one: Source, other: Source) -> bool:
    """Whether a source may be another, of which more is known: no region has a second task or build of one id."""
    if other.made and not one.made and other.what and session_of(other.what, other.id):
        return True
    return not (one.what and one.region) and one.region in (None, other.region)


def _longer(one: Source, other: Source) -> bool:
    return other.until is not None and (one.until is None or one.until > other.until)


def _lasts(one: HeldCredential, longest: timedelta, as_of: datetime) -> bool:
    """Whether what handed it out, at the longest from then on, still hands out."""
    return one.issued_at is None or one.issued_at + longest > as_of


def _source(kind: Any, name: str, one: HeldCredential, why: str) -> Source:
    return Source(kind=kind, id=name, mints=one.principal, account=one.principal.account, why=why)
