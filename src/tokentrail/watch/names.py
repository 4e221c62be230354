"""
By what a record is found again when later ones turn out to be about the same credential. Pure.

A name says what it is a name of by its first letter:

    k  access key id            of a credential that was issued, of a key that was changed
    b  principal and second     of a session that was issued: its call may bear no key
    c  access key id            of whoever called
    p  principal and creation   of a session that called: what stays where each call bears another key
    s  shared id                of the two records of one issuing call in two accounts
    u, r, g  user, role, group  that a change is about
    i  inline policy            of one of them: what denies and what lifts the denial
    m  managed policy           that a change is about; `o` stands for all of Organizations
    h, v  host, provider        an instance, a function, an identity provider that a change made
    d  deeds of a user          with any of its credentials
    t  who takes up which role  a habit, as is
    e  the same, with an identity  of sessions that bear a source identity: it takes many to make a habit of one
    a  who does what            of changes and of sign-ins
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Row = dict[str, Any]

_CLOSE = 2
"""Seconds between an issuing call and the creation date that its session bears, at most; see `4_credentials.sql`."""
_TOLD = re.compile(
    r'"(accessKeyId|userName|newUserName|roleName|groupName|newGroupName|policyName|policyArn|permissionsBoundary|functionName|instanceId'
    r'|openIDConnectProviderArn|sAMLProviderArn)":"([^"]+)"'
)
_HOLDERS = {"userName": "u", "newUserName": "u", "roleName": "r", "groupName": "g", "newGroupName": "g"}
_POLICIES = frozenset({"policyArn", "permissionsBoundary"})
_INLINE = frozenset({"PutUserPolicy", "PutRolePolicy", "PutGroupPolicy"})
_USER = ":user/"
_ORGANIZATIONS = "organizations.amazonaws.com"
HABITS = frozenset("dtea")
"""First letters of names that tell how things are done, not who made what."""
DEEDS = frozenset("cp") | HABITS
"""Those of names that tell what was done: asked for once it is known who came from whom."""
ORGANISED = "o"
"""The name of all changes to an organisation: they may end any credential."""


def of_caller(identity: Row) -> list[str]:
    """The names that all records of a caller have."""
    names = []
    if identity["key_id"]:
        names.append(f"c{identity['key_id']}")
    if identity["principal_id"] and identity["created"] is not None:
        names.append(f"p{identity['principal_id']}@{identity['created']}")
    return names


def deeds_of(identity: Row) -> str | None:
    """The name of what a user does with any credential; of roles there are too many sessions to tell anything."""
    arn = identity["arn"] or ""
    return f"d{arn}" if _USER in arn else None


def above(identity: Row) -> Iterator[str]:
    """What a caller rests on: the call that issued its key, and what was changed of it, its user or its role."""
    if identity["key_id"]:
        yield f"k{identity['key_id']}"
    if identity["issuer_arn"]:
        yield _holder("r", identity["issuer_arn"])
    elif _USER in (identity["arn"] or ""):
        yield _holder("u", identity["arn"])


def else_above(identity: Row) -> Iterator[str]:
    """What else leads to the call that issued a session, and to what made its host or provider: where no key does."""
    principal, created = identity["principal_id"], identity["created"]
    if principal and created is not None:
        yield from (f"b{principal}@{second}" for second in range(created - _CLOSE, created + _CLOSE + 1))
        yield f"h{identity['account']}/{principal.rpartition(':')[2]}"
    if identity["federated_provider"]:
        yield f"v{identity['federated_provider']}"


def person(identity: Row) -> str:
    """Whose habits a caller has, nearly: its role or its user."""
    return identity["issuer_arn"] or identity["arn"] or ""


def of_issuance(issuance: Row, caller: Row) -> Iterator[str]:
    """The names that a call has for what it issues; all are worth asking for when one arrives."""
    if issuance["key_id"]:
        yield f"k{issuance['key_id']}"
    child = issuance["child_id"] or (caller["principal_id"] if issuance["role_arn"] is None else None)
    if child:
        yield f"b{child}@{issuance['time']}"
    if issuance["shared_id"] is not None:
        yield f"s{issuance['shared_id'].hex()}"
    if issuance["role_arn"]:
        yield f"t{person(caller)}>{issuance['role_arn']}"
        if issuance["source_identity"]:
            yield f"e{person(caller)}>{issuance['role_arn']}"
    if issuance["api"] in ("GetSessionToken", "GetFederationToken", "GetSigninToken"):
        yield f"a{person(caller)}>{issuance['api']}"


def around(issuance: Row, caller: Row) -> Iterator[str]:
    """What else is asked for when an issuing call arrives: what was changed of its role, and what that has lost."""
    if issuance["role_arn"]:
        yield _holder("r", issuance["role_arn"])
        if not issuance["source_identity"]:
            yield f"e{person(caller)}>{issuance['role_arn']}"


def of_change(change: Row, caller: Row) -> Iterator[str]:
    """
    The names of what a change is about, and of its kind.

    A policy that is put without a denial has the name of that policy alone: it matters where it lifts one.
    """
    yield from about(change, caller)
    account = change["account"] or caller["account"]
    told = _told(change)
    harmless = change["name"] in _INLINE and '"Deny"' not in (change["document"] or "")
    for member, what in told:
        if member == "accessKeyId":
            yield f"k{what}"
        elif member in _HOLDERS and not harmless:
            yield f"{_HOLDERS[member]}{account}/{what}"
        elif member in ("instanceId", "functionName"):
            yield f"h{account}/{_last(what)}"
        elif member.endswith("ProviderArn"):
            yield f"v{what}"
    yield f"a{person(caller)}>{change['name']}"


def about(change: Row, caller: Row) -> Iterator[str]:
    """
    What a change must be seen with: other changes to the same policies, groups, or organisation.

    A user that is renamed keeps what was done to it under its old name (IAM API Reference, 'UpdateUser').
    """
    if change["source"] == _ORGANIZATIONS:
        yield ORGANISED
    account = change["account"] or caller["account"]
    told = _told(change)
    holders = [f"{_HOLDERS[member]}{account}/{what}" for member, what in told if member in _HOLDERS]
    renamed = any(member == "newUserName" for member, _ in told)
    yield from (one for one in holders if renamed or one.startswith("g"))
    for member, what in told:
        if member == "policyName":
            yield from (f"i{one}/{what}" for one in holders)
        elif member in _POLICIES:
            yield f"m{what}"


def kept(change: Row, caller: Row) -> Iterator[str]:
    """The names under which a change is kept: whoever attaches a policy changes nothing of that policy."""
    attached = change["name"].startswith(("Attach", "Detach"))
    return (one for one in of_change(change, caller) if not (attached and one[0] == "m"))


def _told(change: Row) -> list[tuple[str, str]]:
    return [*dict.fromkeys(_TOLD.findall(f"{change['request'] or ''}{change['response'] or ''}"))]


def _holder(kind: str, arn: str) -> str:
    """A user or role by account and name, as the changes to it tell it."""
    return f"{kind}{arn.split(':', 5)[4] if arn.count(':') >= 5 else ''}/{_last(arn)}"


def _last(text: str) -> str:
    """What follows the last slash or colon; all of it where nothing does."""
    return text[max(text.rfind("/"), text.rfind(":")) + 1 :] or text
