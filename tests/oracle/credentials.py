"""
A credential in somebody's hands, as an authorization engine sees it: who it speaks for, since when, until
when.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tokentrail.testing.names import iso
from tokentrail.testing.truth import Entry

LONGEST_SESSION = timedelta(hours=12)
"""The longest browser session ("AWS Management Console", AWS Sign-In User Guide), and role session."""
_TYPES = {
    "IAMUser": "User",
    "AssumedRole": "AssumedRole",
    "FederatedUser": "FederatedUser",
    "Root": "Account",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCredential:
    """A credential, and all that policies can ask of it."""

    id: str
    kind: str
    account: str
    identity_arn: str
    """ARN of the user or role whose policies bear on it; of a federated user, the user behind; or root's."""
    principal_arn: str
    """`aws:PrincipalArn`: a role's ARN for its sessions, a federated user's own."""
    principal: str
    """The ARN that its calls show."""
    userid: str
    type: str
    username: str | None = None
    begins: datetime | None = None
    """When it was made, where that is known."""
    issued_at: datetime | None = None
    """`aws:TokenIssueTime`; a long-term key has none."""
    expires: datetime | None = None
    source_identity: str | None = None
    sign_in_session: str | None = None
    assumed_root: bool = False
    person: str | None = None
    """The user id of the person in the Identity Center directory."""
    history: tuple[str, ...] = ()
    """How the adversary came to it, a sentence a step."""

    @property
    def session_name(self) -> str:
        """What a role session is called."""
        return self.userid.partition(":")[2]

    def context(self) -> dict[str, str]:
        """
        Give the condition keys that its requests carry, by lower-case name.

        "AWS global condition context keys", IAM User Guide: a long-term key has no `aws:TokenIssueTime`; a
        role's `aws:PrincipalArn` is the role's ARN, not the session's; only IAM users have `aws:username`.
        """
        keys: dict[str, str | None] = {
            "aws:userid": self.userid,
            "aws:principalarn": self.principal_arn,
            "aws:principaltype": self.type,
            "aws:principalaccount": self.account,
            "aws:username": self.username,
            "aws:tokenissuetime": iso(self.issued_at) if self.issued_at else None,
            "aws:sourceidentity": self.source_identity,
            "aws:signinsessionarn": self.sign_in_session,
            "aws:assumedroot": "true" if self.assumed_root else None,
            "identitystore:userid": self.person,
        }
        return {key: value for key, value in keys.items() if value is not None}


def held(entry: Entry) -> HeldCredential:
    """Give a builder's credential as what the evidence shows of it."""
    identity, shown = entry.identity, entry.show()
    issuer = (identity.issuer or {}).get("arn", identity.arn)
    role = identity.type == "AssumedRole"
    expires = entry.expires_at
    if expires is None and identity.created is not None:
        expires = identity.created + LONGEST_SESSION
    return HeldCredential(
        id=shown.id,
        kind=shown.kind,
        account=identity.account,
        identity_arn=issuer if role or identity.type == "FederatedUser" else identity.arn,
        principal_arn=issuer if role else identity.arn,
        principal=identity.arn,
        userid=identity.principal_id,
        type=_TYPES[identity.type],
        username=identity.user_name if identity.type == "IAMUser" else None,
        begins=identity.created or entry.made_at,
        issued_at=identity.created,
        expires=expires,
        source_identity=identity.source_identity,
        sign_in_session=identity.sign_in_session,
        assumed_root=identity.assumed_root,
        person=str(identity.on_behalf_of["userId"]) if identity.on_behalf_of else None,
    )
