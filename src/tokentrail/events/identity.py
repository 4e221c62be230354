"""
`userIdentity`, decoded once for each spelling of it that occurs.

CloudTrail User Guide, 'CloudTrail userIdentity element'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import astuple

from tokentrail.events.loose import Each, text


class _Attributes(msgspec.Struct, gc=False):
    creationDate: str | None = None
    mfaAuthenticated: str | bool | None = None


class _Issuer(msgspec.Struct, gc=False):
    type: str | None = None
    principalId: str | None = None
    arn: str | None = None
    userName: str | None = None


class _WebId(msgspec.Struct, gc=False):
    federatedProvider: str | None = None


class _Context(msgspec.Struct, gc=False):
    attributes: _Attributes | None = None
    sessionIssuer: _Issuer | None = None
    webIdFederationData: _WebId | None = None
    sourceIdentity: str | None = None
    ec2RoleDelivery: str | None = None
    assumedRoot: str | bool | None = None
    signInSessionArn: str | None = None


class _OnBehalfOf(msgspec.Struct, gc=False):
    userId: str | None = None


class _InScopeOf(msgspec.Struct, gc=False):
    credentialsIssuedTo: str | None = None


class Identity(msgspec.Struct, gc=False):
    """The members of `userIdentity` that lineage reads."""

    type: str | None = None
    principalId: str | None = None
    arn: str | None = None
    accountId: str | None = None
    accessKeyId: str | None = None
    userName: str | None = None
    invokedBy: str | None = None
    identityProvider: str | None = None
    sessionContext: _Context | None = None
    onBehalfOf: _OnBehalfOf | None = None
    inScopeOf: _InScopeOf | None = None


def columns(raws: Sequence[bytes]) -> tuple[list[Sequence[Any]], list[int]]:
    """
    Read identities: the columns of `columns.IDENTITIES` from `type` on, `created` still as text.

    Returns:
        The columns, and the places of the identities of which some could not be read.
    """
    odd: list[int] = []
    who = _identities(raws, odd)
    kinds, ids, arns, accounts, keys, users, invokers, providers, contexts, behalves, scopes = _columns(
        who, _NOBODY
    )
    attributes, issuers, webs, sources, deliveries, roots, sign_ins = _columns(contexts, _NO_CONTEXT)
    created, factors = _columns(attributes, _NO_ATTRIBUTES)
    issuer_kinds, issuer_ids, issuer_arns, _ = _columns(issuers, _NO_ISSUER)
    (federations,) = _columns(webs, _NO_WEB)
    return [
        kinds,
        _filled(ids),
        _filled(arns),
        _filled(accounts),
        _filled(keys),
        _filled(users),
        created,
        [_TRUTH.get(value) for value in factors],
        issuer_kinds,
        _filled(issuer_ids),
        _filled(issuer_arns),
        [federation or provider or None for federation, provider in zip(federations, providers, strict=True)],
        _filled(sources),
        _filled(deliveries),
        [_TRUTH.get(value) for value in roots],
        _filled(sign_ins),
        _filled(invokers),
        _filled(*_columns(behalves, _NO_BEHALF)),
        _filled(*_columns(scopes, _NO_SCOPE)),
    ], odd


def _columns(structs: Sequence[Any], absent: msgspec.Struct) -> list[Sequence[Any]]:
    """The fields of many structs, field by field; those of `absent` where there is none."""
    if not any(structs):  # often none has one
        return [[None] * len(structs) for _ in absent.__struct_fields__]
    return list(zip(*[astuple(one or absent) for one in structs], strict=True))


def _filled(texts: Sequence[str | None]) -> Sequence[str | None]:
    """No text is as good as an empty one: CloudTrail writes either."""
    return [text or None for text in texts] if "" in texts else texts


def _forgiving(value: dict[str, Any]) -> Identity:
    """Take from any JSON object the members that have the right type."""
    context = value.get("sessionContext")
    context = context if isinstance(context, dict) else {}
    return Identity(
        **{name: text(value, name) for name in Identity.__struct_fields__[:8]},
        sessionContext=_Context(
            attributes=_Attributes(
                creationDate=text(context, "attributes", "creationDate"),
                mfaAuthenticated=text(context, "attributes", "mfaAuthenticated"),
            ),
            sessionIssuer=_Issuer(
                **{name: text(context, "sessionIssuer", name) for name in _Issuer.__struct_fields__}
            ),
            webIdFederationData=_WebId(
                federatedProvider=text(context, "webIdFederationData", "federatedProvider")
            ),
            sourceIdentity=text(context, "sourceIdentity"),
            ec2RoleDelivery=text(context, "ec2RoleDelivery"),
            assumedRoot=text(context, "assumedRoot"),
            signInSessionArn=text(context, "signInSessionArn"),
        ),
        onBehalfOf=_OnBehalfOf(userId=text(value, "onBehalfOf", "userId")),
        inScopeOf=_InScopeOf(credentialsIssuedTo=text(value, "inScopeOf", "credentialsIssuedTo")),
    )


_identities = Each(Identity, _forgiving)
_NOBODY, _NO_CONTEXT, _NO_ATTRIBUTES, _NO_ISSUER = Identity(), _Context(), _Attributes(), _Issuer()
_NO_WEB, _NO_BEHALF, _NO_SCOPE = _WebId(), _OnBehalfOf(), _InScopeOf()
_TRUTH = {True: True, False: False, "true": True, "false": False, "True": True, "False": False}
