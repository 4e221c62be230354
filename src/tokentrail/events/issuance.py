"""What calls that issue say of the credential that came out of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tokentrail.events.loose import Each, Raw, decoded, number, text
from tokentrail.events.record import MISSING
from tokentrail.events.values import seconds

_DEEPEST = 6


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


class _Request(msgspec.Struct, gc=False):
    roleArn: str | None = None
    roleSessionName: str | None = None
    name: str | None = None
    sourceIdentity: str | None = None
    durationSeconds: int | float | str | None = None
    serialNumber: str | None = None
    targetPrincipal: str | None = None


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
    )


_requests = Each(_Request, _forgiving_request)
_answers = Each(_Answer, _forgiving_answer)
_NOTHING_ASKED, _NO_ANSWER = _Request(), _Answer()

Issued = tuple[
    str | None, str | None, str | None, str | None, str | None, str | None, int | None, int | None, str | None,
    str | None, str | None,
]  # fmt: skip
ISSUED = (
    "key_id", "child_id", "child_arn", "role_arn", "session_name", "source_identity", "expires", "duration",
    "mfa_serial", "target", "subject",
)  # fmt: skip
"""The columns of `columns.ISSUANCES` that `issuances` fills, in its order."""


def issuances(requests: Sequence[Raw], answers: Sequence[Raw], details: Sequence[Raw]) -> list[Issued | None]:
    """
    What successful issuing calls say of their credentials; `None` where the answer tells of a failure.

    Source: IAM User Guide, 'Logging IAM and AWS STS API calls with AWS CloudTrail'; AWS Sign-In User Guide,
    'Logging AWS Sign-In API calls'; IAM Roles Anywhere User Guide, 'Logging with AWS CloudTrail'.
    """
    every = zip(_requests(requests), _answers(answers), answers, details, strict=True)
    return [
        _issued(asked or _NOTHING_ASKED, answer or _NO_ANSWER, raw, detail)
        for asked, answer, raw, detail in every
    ]


def _issued(asked: _Request, answer: _Answer, raw: Raw, details: Raw) -> Issued | None:
    if answer.ConsoleLogin not in (None, "Success"):
        return None
    if answer.credentialSet:
        inner = answer.credentialSet[0]
        answer.credentials, answer.assumedRoleUser = inner.credentials, inner.assumedRoleUser
        answer.sourceIdentity = inner.sourceIdentity
    credentials = answer.credentials
    if credentials is None or credentials.accessKeyId is None:
        credentials = _any_credentials(raw)
    child_id, child_arn = _child(answer)
    return (
        credentials.accessKeyId or None,
        child_id,
        child_arn,
        asked.roleArn,
        asked.roleSessionName or asked.name,
        answer.sourceIdentity or asked.sourceIdentity,
        seconds(credentials.expiration),
        number(asked.durationSeconds),
        asked.serialNumber,
        asked.targetPrincipal or (None if details is MISSING else _portal_target(decoded(details))),
        answer.subjectFromWebIdentityToken or answer.subject or answer.subjectArn,
    )


def _child(answer: _Answer) -> tuple[str | None, str | None]:
    """Principal id and ARN that the credential will speak under."""
    role, federated = answer.assumedRoleUser, answer.federatedUser
    if role is not None and (role_id := role.assumedRoleId or role.assumeRoleId):
        return role_id, role.arn
    if federated is not None and federated.federatedUserId:
        return federated.federatedUserId, federated.arn
    return None, (role.arn if role else None) or (federated.arn if federated else None)


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


def _any_credentials(raw: Raw) -> _Credentials:
    if raw is MISSING:
        return _Credentials()
    found = issued_credentials(decoded(raw)) or {}
    return _Credentials(accessKeyId=text(found, "accessKeyId"), expiration=text(found, "expiration"))


def _portal_target(details: dict[str, Any]) -> str | None:
    """Account and permission set that `sso:GetRoleCredentials` names in `serviceEventDetails`."""
    account, role = text(details, "account_id"), text(details, "role_name")
    return f"{account}/{role}" if account and role else None
