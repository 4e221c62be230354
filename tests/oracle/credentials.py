"""
A credential in somebody's hands, as an authorization engine sees it: who it speaks for, since when, until when.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from oracle.policy_evaluator import Value
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
_WITHOUT_MFA = frozenset(
    {"long_term_key", "federation_token", "assumed_role_saml", "assumed_role_web_identity", "identity_center"}
)
"""Kinds whose requests have no keys about MFA ("AWS global condition context keys", IAM User Guide)."""
_OF_INSTANCES = (
    "aws:ec2instancesourcevpc", "aws:ec2instancesourceprivateipv4", "ec2:sourceinstancearn", "ec2:roledelivery",
)  # fmt: skip
"""Keys that only what an EC2 instance was given has."""
ORIGIN = ("aws:originidentity/subject", "aws:originidentity/issuer")
"""Keys of the person for whom a session acts, and of who vouches for that."""
LASTING = frozenset({"long_term_key", "api_key"})
"""Kinds that a user has until they are made inactive or deleted."""
Tags = tuple[tuple[str, str], ...]
"""Session tags, by name in lower case, since names of tags do not differ by case alone."""


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
    mfa: bool = False
    mfa_at: datetime | None = None
    """When MFA was given, where that is known."""
    source_identity: str | None = None
    tags: Tags = ()
    transitive: frozenset[str] = frozenset()
    """Names of the session tags that go with it into further roles."""
    sign_in_session: str | None = None
    provider: str | None = None
    """The OpenID Connect provider that vouched for it."""
    assumed_root: bool = False
    person: str | None = None
    """The user id of the person in the Identity Center directory."""
    origin: tuple[str, str] | None = None
    """The person, and who vouches for that, that an identity provider propagates; `None` if no call shows one."""
    history: tuple[str, ...] = ()
    """How the adversary came to it, a sentence a step."""

    @property
    def session_name(self) -> str:
        """What a role session is called."""
        return self.userid.partition(":")[2]

    def context(self, at: datetime) -> dict[str, Value | None]:
        """
        Give the condition keys on which its requests at a moment have no choice, by lower-case name; `None` is absent.

        "AWS global condition context keys", IAM User Guide: a long-term key has no `aws:TokenIssueTime`; a role's
        `aws:PrincipalArn` is the role's ARN, not the session's; only IAM users have `aws:username`; the age of MFA is
        counted from when it was given.
        """
        keys: dict[str, Value | None] = {
            "aws:currenttime": iso(at),
            "aws:epochtime": str(int(at.timestamp())),
            "aws:userid": self.userid,
            "aws:principalarn": self.principal_arn,
            "aws:principaltype": self.type,
            "aws:principalaccount": self.account,
            "aws:username": self.username,
            "aws:tokenissuetime": iso(self.issued_at) if self.issued_at else None,
            "aws:sourceidentity": self.source_identity,
            "aws:signinsessionarn": self.sign_in_session,
            "aws:federatedprovider": self.provider,
            "aws:assumedroot": "true" if self.assumed_root else None,
            "identitystore:userid": self.person,
            **{f"aws:principaltag/{name}": value for name, value in self.tags},
        }
        if self.kind != "service_role":
            keys |= dict.fromkeys(_OF_INSTANCES)
        return keys | self._origin() | self._mfa(at)

    def _origin(self) -> dict[str, Value | None]:
        """
        Give the keys about whom a session acts for, but for a role's session none of whose calls shows it.

        Nobody chooses them, and AWS does not say which sessions keep them that a session opens: such a one may have any
        of them, or none ("Trusted identity propagation with IAM", IAM User Guide).
        """
        if self.origin is None and self.type == "AssumedRole":
            return {}
        return dict(zip(ORIGIN, self.origin or (None, None), strict=True))

    def _mfa(self, at: datetime) -> dict[str, Value | None]:
        """
        Give the keys about MFA, but for the age of MFA that was given nobody knows when, or any of AssumeRoot's.

        Federated users have none, in the console neither (IAM User Guide, 'AWS global condition context keys').
        """
        if self.kind in _WITHOUT_MFA or self.issued_at is None or self.type == "FederatedUser":
            return {"aws:multifactorauthpresent": None, "aws:multifactorauthage": None}
        if self.assumed_root:
            return {}
        if not self.mfa:
            return {"aws:multifactorauthpresent": "false", "aws:multifactorauthage": None}
        age = (
            {}
            if self.mfa_at is None
            else {"aws:multifactorauthage": str(int((at - self.mfa_at).total_seconds()))}
        )
        return {"aws:multifactorauthpresent": "true", **age}


def held(entry: Entry, origin: tuple[str, str] | None = None) -> HeldCredential:
    """Give a builder's credential as what the evidence shows of it, and the person that its calls show."""
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
        mfa=identity.mfa,
        source_identity=identity.source_identity,
        sign_in_session=identity.sign_in_session,
        provider=identity.federated_provider,
        assumed_root=identity.assumed_root,
        person=str(user) if (user := (identity.on_behalf_of or {}).get("userId")) else None,
        origin=origin,
    )
