"""
`userIdentity`, decoded once for each spelling of it that occurs.

CloudTrail User Guide, 'CloudTrail userIdentity element'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tokentrail.events.loose import Each, text


class _Attributes(msgspec.Struct, gc=False):
    creationDate: str | None = None  # noqa: N815 - CloudTrail's spelling
    mfaAuthenticated: str | bool | None = None  # noqa: N815


class _Issuer(msgspec.Struct, gc=False):
    type: str | None = None
    principalId: str | None = None  # noqa: N815
    arn: str | None = None
    userName: str | None = None  # noqa: N815


class _WebId(msgspec.Struct, gc=False):
    federatedProvider: str | None = None  # noqa: N815


class _Context(msgspec.Struct, gc=False):
    attributes: _Attributes | None = None
    sessionIssuer: _Issuer | None = None  # noqa: N815
    webIdFederationData: _WebId | None = None  # noqa: N815
    sourceIdentity: str | None = None  # noqa: N815
    ec2RoleDelivery: str | None = None  # noqa: N815
    assumedRoot: str | bool | None = None  # noqa: N815
    signInSessionArn: str | None = None  # noqa: N815


class _OnBehalfOf(msgspec.Struct, gc=False):
    userId: str | None = None  # noqa: N815


class _InScopeOf(msgspec.Struct, gc=False):
    credentialsIssuedTo: str | None = None  # noqa: N815


class _Identity(msgspec.Struct, gc=False):
    type: str | None = None
    principalId: str | None = None  # noqa: N815
    arn: str | None = None
    accountId: str | None = None  # noqa: N815
    accessKeyId: str | None = None  # noqa: N815
    userName: str | None = None  # noqa: N815
    invokedBy: str | None = None  # noqa: N815
    identityProvider: str | None = None  # noqa: N815
    sessionContext: _Context | None = None  # noqa: N815
    onBehalfOf: _OnBehalfOf | None = None  # noqa: N815
    inScopeOf: _InScopeOf | None = None  # noqa: N815


def columns(raws: Sequence[bytes]) -> tuple[list[list[Any]], list[int]]:
    """
    Read identities: the columns of `columns.IDENTITIES` from `type` on, `created` still as text.

    Returns:
        The columns, and the places of the identities of which some could not be read.
    """
    odd: list[int] = []
    who = [one or _NOBODY for one in _identities(raws, odd)]
    contexts = [one.sessionContext or _NO_CONTEXT for one in who]
    attributes = [one.attributes or _NO_ATTRIBUTES for one in contexts]
    issuers = [one.sessionIssuer or _NO_ISSUER for one in contexts]
    return [
        [one.type for one in who],
        [one.principalId or None for one in who],
        [one.arn or None for one in who],
        [one.accountId or None for one in who],
        [one.accessKeyId or None for one in who],
        [one.userName or None for one in who],
        [one.creationDate for one in attributes],
        [_truth(one.mfaAuthenticated) for one in attributes],
        [one.type or None for one in issuers],
        [one.principalId or None for one in issuers],
        [one.arn or None for one in issuers],
        [
            (context.webIdFederationData.federatedProvider if context.webIdFederationData else None)
            or one.identityProvider
            or None
            for one, context in zip(who, contexts, strict=True)
        ],
        [one.sourceIdentity or None for one in contexts],
        [one.ec2RoleDelivery or None for one in contexts],
        [_truth(one.assumedRoot) for one in contexts],
        [one.signInSessionArn or None for one in contexts],
        [one.invokedBy or None for one in who],
        [(one.onBehalfOf.userId or None) if one.onBehalfOf else None for one in who],
        [(one.inScopeOf.credentialsIssuedTo or None) if one.inScopeOf else None for one in who],
    ], odd


def _truth(value: str | bool | None) -> bool | None:
    return value if value is None or isinstance(value, bool) else value.lower() == "true"


def _forgiving(value: dict[str, Any]) -> _Identity:
    """Take from any JSON object the members that have the right type."""
    context = value.get("sessionContext")
    context = context if isinstance(context, dict) else {}
    return _Identity(
        **{name: text(value, name) for name in _Identity.__struct_fields__[:8]},
        sessionContext=_Context(
            attributes=_Attributes(
                creationDate=text(context, "attributes", "creationDate"),
                mfaAuthenticated=text(context, "attributes", "mfaAuthenticated"),
            ),
            sessionIssuer=_Issuer(**{name: text(context, "sessionIssuer", name) for name in _Issuer.__struct_fields__}),
            webIdFederationData=_WebId(federatedProvider=text(context, "webIdFederationData", "federatedProvider")),
            sourceIdentity=text(context, "sourceIdentity"),
            ec2RoleDelivery=text(context, "ec2RoleDelivery"),
            assumedRoot=text(context, "assumedRoot"),
            signInSessionArn=text(context, "signInSessionArn"),
        ),
        onBehalfOf=_OnBehalfOf(userId=text(value, "onBehalfOf", "userId")),
        inScopeOf=_InScopeOf(credentialsIssuedTo=text(value, "inScopeOf", "credentialsIssuedTo")),
    )


_identities = Each(_Identity, _forgiving)
_NOBODY, _NO_CONTEXT, _NO_ATTRIBUTES, _NO_ISSUER = _Identity(), _Context(), _Attributes(), _Issuer()
