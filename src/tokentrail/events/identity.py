"""
Decode `userIdentity`, once for each of its spellings in a segment.

Sources: CloudTrail User Guide, 'CloudTrail userIdentity element'; EMR Serverless User Guide, 'Audit identity with
simplified trusted identity propagation' (`onBehalfOf` of Identity Center and of a federated identity).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tokentrail.events.bearer import stand_ins
from tokentrail.events.loose import filled, text
from tokentrail.events.masked_ids import any_masked, is_masked, key_ids, principal_ids
from tokentrail.events.members import Members
from tokentrail.events.values import WITHHELD


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
    subject: str | None = None
    issuer: str | None = None


class _InScopeOf(msgspec.Struct, gc=False):
    credentialsIssuedTo: str | None = None


class _Delegate(msgspec.Struct, gc=False):
    accountId: str | None = None


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
    invokedByDelegate: _Delegate | None = None
    apiKeyService: str | None = None
    """No member of AWS's: what `bearer.marked` adds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LostMembers:
    """The places of identities of which some member could not be used."""

    odd: list[int]
    """Of those of which some member has another type than expected."""
    masked_keys: list[int]
    """Of those whose access key id is masked."""
    masked_principals: list[int]
    """Of those whose principal id is masked."""


def columns(raws: Sequence[bytes], *, compiled: bool = True) -> tuple[list[Sequence[Any]], LostMembers]:
    """
    Read identities: the columns of `columns.IDENTITIES` from `type` on, `created` still as text.

    Returns:
        The columns, and the places of the identities of which some member could not be used.
    """
    odd: list[int] = []
    (
        kinds, ids, arns, accounts, keys, users, invokers, providers, created, factors, issuer_kinds, issuer_ids,
        issuer_arns, _, federations, sources, deliveries, roots, sign_ins, behalves, subjects, vouchers, scopes,
        delegates, key_services,
    ) = _identities(raws, odd, compiled=compiled)  # fmt: skip
    principals, masked_principals = principal_ids(filled(ids), arns, kinds)
    keys, masked_keys = key_ids(_key_ids(keys, ids), principals, kinds, filled(created))
    keys = stand_ins(keys, principals, kinds, created, key_services)
    lost = LostMembers(odd=odd, masked_keys=masked_keys, masked_principals=masked_principals)
    return [
        kinds,
        principals,
        filled(arns),
        filled(accounts),
        keys,
        filled(users),
        created,
        [_TRUTH.get(value) for value in factors],
        issuer_kinds,
        _unmasked(filled(issuer_ids)),
        filled(issuer_arns),
        [federation or provider or None for federation, provider in zip(federations, providers, strict=True)],
        filled(sources),
        filled(deliveries),
        [_TRUTH.get(value) for value in roots],
        filled(sign_ins),
        filled(invokers),
        filled(behalves),
        filled(subjects),
        filled(vouchers),
        filled(scopes),
        filled(delegates),
    ], lost


def _key_ids(keys: Sequence[str | None], principals: Sequence[str | None]) -> Sequence[str | None]:
    """
    Access key ids, with `None` for values that are none.

    CloudTrail leaves the member empty at times (CloudTrail User Guide, 'CloudTrail userIdentity element'), and some
    services log "Unknown", or the principal's id once more. Kept, these would pass for long-term keys.
    """
    return [
        None if key in ("", "Unknown", WITHHELD) or key == principal else key
        for key, principal in zip(keys, principals, strict=True)
    ]


def _unmasked(ids: Sequence[str | None]) -> Sequence[str | None]:
    """Ids with `None` for masked ones."""
    return [None if is_masked(one) else one for one in ids] if any_masked(ids) else ids


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
        onBehalfOf=_OnBehalfOf(
            **{name: text(value, "onBehalfOf", name) for name in _OnBehalfOf.__struct_fields__}
        ),
        inScopeOf=_InScopeOf(credentialsIssuedTo=text(value, "inScopeOf", "credentialsIssuedTo")),
        invokedByDelegate=_Delegate(accountId=text(value, "invokedByDelegate", "accountId")),
        apiKeyService=text(value, "apiKeyService"),
    )


_identities = Members(Identity, _forgiving)
_TRUTH = {True: True, False: False, "true": True, "false": False, "True": True, "False": False}
