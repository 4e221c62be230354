"""Read calls that issue credentials into the columns of `issuances`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from tokentrail.events.loose import Raw, decoded, number, text
from tokentrail.events.members import Members
from tokentrail.events.record import MISSING
from tokentrail.events.values import WITHHELD, seconds

_DEEPEST = 6
_ROOT = re.compile(r"arn:[^:]+:iam::(\d{12}):root", re.ASCII)


class _Credentials(msgspec.Struct, gc=False):
    accessKeyId: str | None = None
    expiration: str | None = None


class _RoleUser(msgspec.Struct, gc=False):
    assumedRoleId: str | None = None
    assumeRoleId: str | None = None
    arn: str | None = None


class _FederatedUser(msgspec.Struct, gc=False):
    federatedUserId: str | None = None
    arn: str | None = None


class _Set(msgspec.Struct, gc=False):
    """What `rolesanywhere:CreateSession` wraps (Roles Anywhere User Guide, 'The CreateSession operation')."""

    credentials: _Credentials | None = None
    assumedRoleUser: _RoleUser | None = None
    sourceIdentity: str | None = None


class _Answer(msgspec.Struct, gc=False):
    credentials: _Credentials | None = None
    assumedRoleUser: _RoleUser | None = None
    credentialSet: list[_Set] | None = None
    federatedUser: _FederatedUser | None = None
    sourceIdentity: str | None = None
    subjectFromWebIdentityToken: str | None = None
    subject: str | None = None
    subjectArn: str | None = None
    ConsoleLogin: str | None = None
    identityId: str | None = None
    webIdentityTokenId: str | None = None


class _Request(msgspec.Struct, gc=False):
    roleArn: str | None = None
    roleSessionName: str | None = None
    name: str | None = None
    sourceIdentity: str | None = None
    durationSeconds: int | float | str | None = None
    serialNumber: str | None = None
    targetPrincipal: str | None = None
    principalArn: str | None = None
    trustAnchorArn: str | None = None
    webIdentityTokenId: str | None = None


def _forgiving_request(value: dict[str, Any]) -> _Request:
    return _Request(**{name: text(value, name) for name in _Request.__struct_fields__})


def _forgiving_answer(value: dict[str, Any]) -> _Answer:
    role, federated = "assumedRoleUser", "federatedUser"
    return _Answer(
        assumedRoleUser=_RoleUser(**{name: text(value, role, name) for name in _RoleUser.__struct_fields__}),
        federatedUser=_FederatedUser(
            text(value, federated, "federatedUserId"), text(value, federated, "arn")
        ),
        sourceIdentity=text(value, "sourceIdentity"),
        subjectFromWebIdentityToken=text(value, "subjectFromWebIdentityToken"),
        subject=text(value, "subject"),
        subjectArn=text(value, "subjectArn"),
        ConsoleLogin=text(value, "ConsoleLogin"),
        identityId=text(value, "identityId"),
        webIdentityTokenId=text(value, "webIdentityTokenId"),
    )


_requests = Members(_Request, _forgiving_request)
_answers = Members(_Answer, _forgiving_answer)

ISSUED = (
    "key_id", "child_id", "child_arn", "role_arn", "session_name", "source_identity", "expires", "duration",
    "mfa_serial", "target", "subject", "token_id",
)  # fmt: skip
"""The columns of `columns.ISSUANCES` that `issuances` fills, in its order."""
Column: TypeAlias = "Sequence[Any]"
"""A value for each call, in their order."""


def issuances(
    requests: Sequence[Raw], answers: Sequence[Raw], details: Sequence[Raw], *, compiled: bool = True
) -> tuple[list[Column], list[bool]]:
    """
    The columns `ISSUED` of some issuing calls; and for each, whether its answer says nothing of a failure.

    Source: IAM User Guide, 'Logging IAM and AWS STS API calls with AWS CloudTrail'; AWS Sign-In User Guide,
    'Logging AWS Sign-In API calls'; IAM Roles Anywhere User Guide, 'Logging with AWS CloudTrail'; Amazon Cognito
    Developer Guide, 'Amazon Cognito logging in AWS CloudTrail' (`identityId`); IAM User Guide, 'Auditing
    cross-partition identity federation' (`webIdentityTokenId`).
    """
    roles, sessions, names, identities, durations, serials, *targets, used_tokens = _requests(
        requests, compiled=compiled
    )
    (
        *told,
        federated_ids,
        federated_arns,
        given,
        web_subjects,
        subjects,
        subject_arns,
        logins,
        people,
        tokens,
    ) = _answers(answers, compiled=compiled)
    keys, expirations, ids, misspelled_ids, arns, given = _of_sets([*told[:5], given], told[5:])
    ids = _either(ids, misspelled_ids)
    keys, expirations = _anywhere(keys, expirations, answers)
    return [
        [None if key in ("", WITHHELD) else key for key in keys],
        [own or federated or None for own, federated in zip(ids, federated_ids, strict=True)],
        [
            arn if own else other if federated else arn or other
            for own, arn, federated, other in zip(ids, arns, federated_ids, federated_arns, strict=True)
        ],
        roles,
        _either(sessions, names),
        _either(given, identities),
        [seconds(one) for one in expirations],
        [number(one) for one in durations],
        serials,
        _either(
            _either(_either([_member_account(one) for one in targets[0]], targets[1]), targets[2]),
            [None if one is MISSING else _portal_target(decoded(one)) for one in details],
        ),
        _either(_either(_either(web_subjects, subjects), subject_arns), people),
        _either(tokens, used_tokens),
    ], [login in (None, "Success") for login in logins]


def _either(first: Column, second: Column) -> Column:
    """Row by row, the first value, or the second if that is absent; an empty text counts as absent."""
    if not any(second) and "" not in first:
        return first
    return [one or other or None for one, other in zip(first, second, strict=True)]


def _of_sets(own: list[Column], sets: list[Column]) -> list[Column]:
    """Row by row, the values of an answer's first credential set, if it has one (`_Set`), else those of its own."""
    if not any(map(any, sets)):
        return own
    wrapped = [any(row) for row in zip(*sets, strict=True)]  # empty texts count as absent
    return [
        [inner if there else mine for there, mine, inner in zip(wrapped, *both, strict=True)]
        for both in zip(own, sets, strict=True)
    ]


def _anywhere(keys: Column, expirations: Column, answers: Sequence[Raw]) -> tuple[Column, Column]:
    """Key ids and expirations; of answers without any in the usual place, from wherever they are."""
    if None not in keys:
        return keys, expirations
    keys, expirations = list(keys), list(expirations)
    for at, key in enumerate(keys):
        if key is None and answers[at] is not MISSING:
            found = issued_credentials(decoded(answers[at])) or {}
            keys[at], expirations[at] = text(found, "accessKeyId"), text(found, "expiration")
    return keys, expirations


def issued_credentials(value: Any, depth: int = 0) -> dict[str, Any] | None:
    """
    Find the object that carries `accessKeyId` in an answer, wherever the API puts it.

    STS: `credentials`; Roles Anywhere: `credentialSet[0].credentials`; others are not documented.
    """
    if depth > _DEEPEST or not isinstance(value, dict | list):
        return None
    if isinstance(value, dict) and isinstance(value.get("accessKeyId"), str):
        return value
    for item in value if isinstance(value, list) else value.values():
        found = issued_credentials(item, depth + 1)
        if found is not None:
            return found
    return None


def _member_account(target: str | None) -> str | None:
    """
    The account whose root `sts:AssumeRoot` is asked for, by its number or by the ARN of its root.

    Source: AWS STS API Reference, 'AssumeRoot' (TargetPrincipal).
    """
    found = _ROOT.fullmatch(target) if target else None
    return found[1] if found else target


def _portal_target(details: dict[str, Any]) -> str | None:
    """Account and permission set that `sso:GetRoleCredentials` and `sso:Federate` name in `serviceEventDetails`."""
    account, role = text(details, "account_id"), text(details, "role_name")
    return f"{account}/{role}" if account and role else None
