"""
The names under which records are stored for recall, and looked up when new records concern the same thing. Pure.

A name is a text whose first letter says what kind of thing the rest names:

    k  access key id             of a credential that a call issued, or of a key that a change is about
    b  principal id and second   of a session that a call issued, whose record may not hold the key id
    c  access key id             of the caller
    p  principal id and creation date  of a calling session, which may use another key id with each call
    s  sharedEventID             of the two records of one issuing call in two accounts
    u, r, g  account and name    of a user, role or group that a change is about
    i  holder and policy name    of an inline policy: the records that write a denial and that lift it
    m  policy ARN                of a managed policy that a change is about
    o  (nothing)                 of all changes in AWS Organizations
    h  account and id            of an instance or a function that a change made
    v  ARN                       of an identity provider that a change made
    d  user ARN                  of all calls of a user, with any of its credentials
    t  person and role           of calls with which a person (`person`) assumes a role
    e  person and role           of those that set a source identity: there must be many before that is usual
    a  person and call           of changes and of sign-ins

The last four show what is usual (`HABITS`); the others say who issued, made or changed what.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Row = dict[str, Any]

_TOLERANCE = 2
"""Seconds between an issuing call and the creationDate of its session, at most; see `4_credentials.sql`."""
_SUBJECT = re.compile(
    r'"(accessKeyId|userName|newUserName|roleName|groupName|newGroupName|policyName|policyArn|permissionsBoundary|functionName|instanceId'
    r'|openIDConnectProviderArn|sAMLProviderArn)":"([^"]+)"'
)
_HOLDERS = {"userName": "u", "newUserName": "u", "roleName": "r", "groupName": "g", "newGroupName": "g"}
_POLICIES = frozenset({"policyArn", "permissionsBoundary"})
_INLINE = frozenset({"PutUserPolicy", "PutRolePolicy", "PutGroupPolicy"})
_USER = ":user/"
_ORGANIZATIONS = "organizations.amazonaws.com"
HABITS = frozenset("dtea")
"""First letters of the names that find what is usual, not who issued or changed what."""
ACTIVITY = frozenset("cp") | HABITS
"""First letters of the names that find what a credential did: looked up only when its lineage is known."""
ORGANISATION = "o"
"""The name of all changes in AWS Organizations, any of which may end any credential."""


def principal_of_caller(identity: Row) -> list[str]:
    """The names that all records of a caller have, by its key and by its session."""
    names = []
    if identity["key_id"]:
        names.append(f"c{identity['key_id']}")
    if identity["principal_id"] and identity["created"] is not None:
        names.append(f"p{identity['principal_id']}@{identity['created']}")
    return names


def of_user(identity: Row) -> str | None:
    """The name of all that a user does; `None` for any other caller: a role has too many sessions to show anything."""
    arn = identity["arn"] or ""
    return f"d{arn}" if _USER in arn else None


def origins(identity: Row) -> Iterator[str]:
    """The names of the call that issued a caller's key, and of changes to that key and to its user or role."""
    if identity["key_id"]:
        yield f"k{identity['key_id']}"
    if identity["issuer_arn"]:
        yield _holder("r", identity["issuer_arn"])
    elif _USER in (identity["arn"] or ""):
        yield _holder("u", identity["arn"])


def fallback_origins(identity: Row) -> Iterator[str]:
    """
    Other names of the call that issued a session, and of the change that made its host or identity provider.

    They are looked up where the access key id finds no issuing call.
    """
    principal, created = identity["principal_id"], identity["created"]
    if principal and created is not None:
        yield from (
            f"b{principal}@{second}" for second in range(created - _TOLERANCE, created + _TOLERANCE + 1)
        )
        yield f"h{identity['account']}/{principal.rpartition(':')[2]}"
    if identity["federated_provider"]:
        yield f"v{identity['federated_provider']}"


def person(identity: Row) -> str:
    """The ARN of a caller's role, else of its user: whose habits count as the caller's."""
    return identity["issuer_arn"] or identity["arn"] or ""


def of_issuance(issuance: Row, caller: Row) -> Iterator[str]:
    """The names of an issuing call: stored with it, and looked up when one arrives."""
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


def context_of_issuance(issuance: Row, caller: Row) -> Iterator[str]:
    """
    Further names that are looked up when an issuing call arrives: those of changes to the role that it assumes.

    If it sets no source identity, earlier calls that did so are looked up too, since rules compare the two.
    """
    if issuance["role_arn"]:
        yield _holder("r", issuance["role_arn"])
        if not issuance["source_identity"]:
            yield f"e{person(caller)}>{issuance['role_arn']}"


def of_change(change: Row, caller: Row) -> Iterator[str]:
    """
    The names of what a change is about, and of its kind of call.

    An inline policy that is written without a denial does not get the name of its holder: it matters only where it
    replaces the same policy, which may have denied something.
    """
    yield from context_of_change(change, caller)
    account = change["account"] or caller["account"]
    subjects = _subjects(change)
    harmless = change["name"] in _INLINE and '"Deny"' not in (change["document"] or "")
    for member, what in subjects:
        if member == "accessKeyId":
            yield f"k{what}"
        elif member in _HOLDERS and not harmless:
            yield f"{_HOLDERS[member]}{account}/{what}"
        elif member in ("instanceId", "functionName"):
            yield f"h{account}/{_last_part(what)}"
        elif member.endswith("ProviderArn"):
            yield f"v{what}"
    yield f"a{person(caller)}>{change['name']}"


def context_of_change(change: Row, caller: Row) -> Iterator[str]:
    """
    The names of other changes that a change must be seen with: to the same policies, groups, or organisation.

    A user that is renamed keeps what was done to it under its old name (IAM API Reference, 'UpdateUser').
    """
    if change["source"] == _ORGANIZATIONS:
        yield ORGANISATION
    account = change["account"] or caller["account"]
    subjects = _subjects(change)
    holders = [f"{_HOLDERS[member]}{account}/{what}" for member, what in subjects if member in _HOLDERS]
    renamed = any(member == "newUserName" for member, _ in subjects)
    yield from (one for one in holders if renamed or one.startswith("g"))
    for member, what in subjects:
        if member == "policyName":
            yield from (f"i{one}/{what}" for one in holders)
        elif member in _POLICIES:
            yield f"m{what}"


def stored_under(change: Row, caller: Row) -> Iterator[str]:
    """The names under which a change is stored: without the policy's where one is attached, which does not alter it."""
    attached = change["name"].startswith(("Attach", "Detach"))
    return (one for one in of_change(change, caller) if not (attached and one[0] == "m"))


def _subjects(change: Row) -> list[tuple[str, str]]:
    """What the request and response of a change name: pairs of a member and its value, each once."""
    return [*dict.fromkeys(_SUBJECT.findall(f"{change['request'] or ''}{change['response'] or ''}"))]


def _holder(kind: str, arn: str) -> str:
    """The name of a user or role by account and name, which are what changes to it hold; `kind` is its first letter."""
    return f"{kind}{arn.split(':', 5)[4] if arn.count(':') >= 5 else ''}/{_last_part(arn)}"


def _last_part(text: str) -> str:
    """What follows the last slash or colon; all of it where nothing does."""
    return text[max(text.rfind("/"), text.rfind(":")) + 1 :] or text
