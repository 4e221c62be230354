"""
Who there is to act: accounts, IAM users, roles; and the `userIdentity` that each shows in a record.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

Json = dict[str, Any]
"""A decoded JSON object: a record, or a part of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An IAM user."""

    name: str
    account: str
    id: str
    path: str = "/"

    @property
    def arn(self) -> str:
        """The user's ARN."""
        return f"arn:aws:iam::{self.account}:user{self.path}{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """An IAM role."""

    name: str
    account: str
    id: str
    path: str = "/"
    partition: str = "aws"

    @property
    def arn(self) -> str:
        """The role's ARN."""
        return f"arn:{self.partition}:iam::{self.account}:role{self.path}{self.name}"

    def session_arn(self, session_name: str) -> str:
        """Give the ARN of a session of this role; it never holds the role's path."""
        return f"arn:{self.partition}:sts::{self.account}:assumed-role/{self.name}/{session_name}"

    def session_id(self, session_name: str) -> str:
        """Give the principal id of a session of this role."""
        return f"{self.id}:{session_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """
    Everything that a record's `userIdentity` can say of a credential, save the key id.

    "CloudTrail userIdentity element", AWS CloudTrail User Guide.
    """

    type: str
    principal_id: str
    arn: str
    account: str
    user_name: str | None = None
    issuer: Json | None = None
    created: datetime | None = None
    """The session's `creationDate`; none for long-term keys, whose records hold no `sessionContext`."""
    mfa: bool = False
    source_identity: str | None = None
    federated_provider: str | None = None
    delivery: str | None = None
    in_scope_of: Json | None = None
    on_behalf_of: Json | None = None
    credential_id: str | None = None
    sign_in_session: str | None = None
    assumed_root: bool = False
    delegate: str | None = None
    """The account of the partner that acts under this identity, which somebody delegated to it."""

    def element(
        self, key_id: str | None, *, invoked_by: str | None = None, names_person: bool = True
    ) -> Json:
        """
        Write the `userIdentity` element, in the order of keys that CloudTrail has.

        Args:
            key_id: The access key id that the record shows, if any.
            invoked_by: The service that forwards the call.
            names_person: Whether an Identity Center session says on whose behalf; some services leave it out.
        """
        element: Json = {
            "type": self.type,
            "principalId": self.principal_id,
            "arn": self.arn,
            "accountId": self.account,
        }
        if key_id is not None:
            element["accessKeyId"] = key_id
        if self.user_name is not None:
            element["userName"] = self.user_name
        if self.created is not None:
            element["sessionContext"] = self._context(self.created)
        if invoked_by is not None:
            element["invokedBy"] = invoked_by
        if self.on_behalf_of is not None and names_person:
            element["onBehalfOf"] = self.on_behalf_of
        if self.delegate is not None:
            element["invokedByDelegate"] = {"accountId": self.delegate}
        if self.in_scope_of is not None:
            element["inScopeOf"] = self.in_scope_of
        if self.credential_id is not None and names_person:
            element["credentialId"] = self.credential_id
        return element

    def _context(self, created: datetime) -> Json:
        context: Json = {}
        if self.issuer is not None:
            context["sessionIssuer"] = self.issuer
        if self.federated_provider is not None:
            context["webIdFederationData"] = {"federatedProvider": self.federated_provider, "attributes": {}}
        context["attributes"] = {
            "creationDate": iso(created),
            "mfaAuthenticated": "true" if self.mfa else "false",
        }
        optional: Json = {
            "sourceIdentity": self.source_identity,
            "ec2RoleDelivery": self.delivery,
            "assumedRoot": "true" if self.assumed_root else None,
            "signInSessionArn": self.sign_in_session,
        }
        context.update({key: value for key, value in optional.items() if value is not None})
        return context


def copied(value: Any) -> Any:
    """Copy decoded JSON; `copy.deepcopy` takes five times as long over what can only be a tree."""
    if isinstance(value, dict):
        return {name: copied(one) for name, one in value.items()}
    if isinstance(value, list):
        return [copied(one) for one in value]
    return value


def iso(moment: datetime) -> str:
    """Write a time as CloudTrail does in `eventTime` and `creationDate`."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def user_identity(user: User, *, created: datetime | None = None, mfa: bool = False) -> Identity:
    """Give the identity of a user's long-term key or, with a creation date, of a session of the user's."""
    return Identity(
        type="IAMUser",
        principal_id=user.id,
        arn=user.arn,
        account=user.account,
        user_name=user.name,
        created=created,
        mfa=mfa,
    )


def role_identity(
    role: Role, session_name: str, created: datetime, *, mfa: bool = False, source_identity: str | None = None
) -> Identity:
    """Give the identity of a role session."""
    return Identity(
        type="AssumedRole",
        principal_id=role.session_id(session_name),
        arn=role.session_arn(session_name),
        account=role.account,
        issuer=issuer(role),
        created=created,
        mfa=mfa,
        source_identity=source_identity,
    )


def issuer(principal: Role | User) -> Json:
    """Write a `sessionIssuer` element."""
    return {
        "type": "Role" if isinstance(principal, Role) else "IAMUser",
        "principalId": principal.id,
        "arn": principal.arn,
        "accountId": principal.account,
        "userName": principal.name,
    }
