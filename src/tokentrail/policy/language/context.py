"""
The values of condition keys in a credential's requests, as far as they are known.

An attacker can choose which of a principal's credentials to use, the session's name, the time and much else. What
depends on such a choice is unknown, never absent.
Which kind of credential carries which key: IAM User Guide, 'AWS global condition context keys',
'IAM policy elements: Variables and tags' (table of principal values) and 'Disabling permissions for
temporary security credentials'.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

from tokentrail.aws.principals import Principal, principal_of_arn


class Presence(enum.Enum):
    """What is known of a condition key whose value is not known."""

    ABSENT = "absent"
    """The request surely does not have it."""
    PRESENT = "present"
    """The request surely has it; the log does not show the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRange:
    """A date key that the request has, and of whose value only bounds are known, both inclusive."""

    earliest: datetime | None = None
    latest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenText:
    """A text that the caller chose: any that a pattern matches, except some."""

    pattern: str
    """With `*` for the part that is free."""
    excluding: frozenset[str] = frozenset()


DATE_KEYS = frozenset({"aws:tokenissuetime", "aws:currenttime", "aws:epochtime"})
"""Keys whose values are times. AWS does not document how their values read as text."""
Known = tuple[str, ...] | Presence | DateRange | ChosenText
Context = Mapping[str, Known]
"""What is known of a request's condition keys, by key in lower case. A key that is not there is unknown."""


# ---------------------------------------------------------------- credentials

CallerKind = Literal[
    "long_term_key", "api_key", "session_token", "federation_token", "assumed_role", "assumed_role_saml",
    "assumed_role_web_identity", "service_role", "root_session", "console_session", "identity_center",
    "oauth_login", "scoped", "delegated", "forwarded", "unknown",
]  # fmt: skip
LASTING: frozenset[CallerKind] = frozenset({"long_term_key", "api_key"})
"""
Kinds of credentials that a user has until somebody ends them: requests with them have no session token.

An API key is a service-specific credential (IAM User Guide, 'API keys for Amazon Bedrock', 'Service-specific
credentials'); it may expire. AWS does not say what its requests tell of a token's time of issue, of MFA and of a
sign-in: of these nothing is known, so that no deny on them ends it.
"""
PrincipalType = Literal["user", "federated_user", "role", "root", "unknown"]

ABSENT = Presence.ABSENT
PRESENT = Presence.PRESENT
_WITHOUT_MFA = frozenset({"assumed_role_saml", "assumed_role_web_identity", "identity_center"})
_UNSURE_SIGN_IN = frozenset({"api_key", "oauth_login", "scoped", "delegated", "forwarded", "unknown"})
_EC2_KEYS = (
    "ec2:sourceinstancearn", "ec2:roledelivery",
    "aws:ec2instancesourcevpc", "aws:ec2instancesourceprivateipv4",
)  # fmt: skip
_CHOSEN: Mapping[PrincipalType, frozenset[str]] = {
    "role": frozenset(
        {
            "aws:multifactorauthpresent", "aws:multifactorauthage", "aws:sourceidentity", "aws:signinsessionarn",
            "aws:federatedprovider", *_EC2_KEYS,
        }
    ),
    "user": frozenset({"aws:multifactorauthpresent", "aws:multifactorauthage", "aws:signinsessionarn"}),
    "root": frozenset(
        {
            "aws:multifactorauthpresent", "aws:multifactorauthage", "aws:signinsessionarn", "aws:assumedroot",
            "aws:userid",
        }
    ),
    "federated_user": frozenset(),
    "unknown": frozenset(),
}  # fmt: skip
"""
Keys that differ between the credentials that can be minted for one principal, by how they are minted.

Sources: AWS STS API Reference, 'AssumeRole' (`SerialNumber` and `TokenCode`, `SourceIdentity`), 'GetSessionToken',
'AssumeRoot'; IAM User Guide, 'AWS global condition context keys'. Tags, the address, the endpoint, the tool and the
region are in no context, and so unknown for every credential.
"""
_TYPES = {"user": "User", "federated_user": "FederatedUser", "role": "AssumedRole", "root": "Account"}


@dataclass(frozen=True, kw_only=True)
class Caller:
    """
    A credential, by all that policies can tell it from others by.

    What follows from these is asked again for each change of policy, and found once.
    """

    kind: CallerKind
    account: str | None
    principal: str | None = None
    """The ARN as which it acts: a user's, an assumed-role session's, a federated user's, or root's."""
    principal_id: str | None = None
    """`AIDA...`, `AROA...:session`, `account:federated name`, or the account id for root."""
    role: str | None = None
    """The role's ARN, with its path, for a role session."""
    session_name: str | None = None
    user_name: str | None = None
    """The IAM user's name; for a federation token, that of the user who asked for it."""
    behind: str | None = None
    """For a federated user: the ARN of the user, or of root, that requested its token, if the log shows it."""
    issued_at: datetime | None = None
    issued_no_later_than: datetime | None = None
    """If `issued_at` is not known: a bound, such as the first use."""
    source_identity: str | None = None
    mfa: bool | None = None
    sign_in_session_arn: str | None = None
    federated_provider: str | None = None
    person: str | None = None
    """For Identity Center: the user id in its directory, if a call shows it (`onBehalfOf`)."""
    origin_subject: str | None = None
    """Whom the identity provider, or a certificate, says that the session acts for, if a call shows it."""
    origin_issuer: str | None = None
    """Who says so."""
    ec2_instance: bool = False
    """Whether it was delivered to an EC2 instance."""
    hypothetical: bool = False
    """Whether it stands for all that an attacker might mint: whatever the minter chooses is unknown."""
    named_unlike: frozenset[str] | None = field(default=None, compare=False)
    """For a hypothetical one that may have any session name: values of `aws:userid` that it does not have."""

    @cached_property
    def acts_as(self) -> Principal:
        """
        The principal whose policies bind the credential; for a federated user, the user behind it.

        No policies bind root's federated users, which count as root's credentials (AWS STS API Reference,
        'GetFederationToken'; the record's `sessionIssuer`).
        """
        return _principal(self)

    @cached_property
    def principal_type(self) -> PrincipalType:
        """The type of principal as which the credential acts."""
        return _type(self)

    @cached_property
    def unique_id(self) -> str | None:
        """The unique id of the user or role, without the session's name, if it is known."""
        unique = (self.principal_id or "").partition(":")[0]
        return unique if unique.startswith(("AIDA", "AROA")) else None

    @cached_property
    def issue_second(self) -> float | None:
        """The time of issue in seconds since 1970; later than all cutoffs for a long-term key; `None` if not known."""
        known = issue_time(self)
        if known is Presence.ABSENT:
            return sys.float_info.max
        return self.issued_at.timestamp() if self.issued_at and isinstance(known, tuple) else None


def _principal(caller: Caller) -> Principal:
    sort = caller.principal_type
    account = caller.account or ""
    if sort == "root":
        return Principal(account, "root", "root")
    if sort == "role":
        found = principal_of_arn(caller.role) or principal_of_arn(caller.principal)
        if found is not None:
            return found if found.account else Principal(account, found.kind, found.name)
    if sort in ("user", "federated_user"):
        found = principal_of_arn(caller.principal) if sort == "user" else None
        if found is not None and found.kind == "user":
            return found
        if caller.user_name:
            return Principal(account, "user", caller.user_name)
    behind = principal_of_arn(caller.behind) if sort == "federated_user" else None
    if behind is not None and behind.is_root:
        return behind
    return Principal(account, "unknown", caller.principal or "")


def _type(caller: Caller) -> PrincipalType:
    resource = _resource(caller.principal)
    if caller.kind == "root_session" or resource == "root":
        return "root"
    if caller.role or resource.startswith("assumed-role/"):
        return "role"
    if caller.kind == "federation_token" or resource.startswith("federated-user/"):
        return "federated_user"
    if caller.user_name or resource.startswith("user/"):
        return "user"
    return "unknown"


def context_of(caller: Caller) -> Context:
    """
    The known condition keys of all requests that a credential makes.

    Keys that differ between calls, such as `aws:SourceIp`, and tags are left out, as they are unknown.
    """
    principal = caller.principal_type
    context: dict[str, Known | None] = {
        "aws:tokenissuetime": issue_time(caller),
        "aws:multifactorauthpresent": _mfa(caller, principal),
        "aws:multifactorauthage": _mfa_age(caller, principal),
        "aws:userid": _user_id(caller, principal),
        "aws:username": _user_name(caller, principal),
        "aws:principalarn": _principal_arn(caller, principal),
        "aws:principalaccount": (caller.account,) if caller.account else None,
        "aws:principaltype": (_TYPES[principal],) if principal in _TYPES else None,
        "aws:principalisawsservice": ("false",),
        "aws:principalservicename": ABSENT,
        "aws:principalservicenameslist": ABSENT,
        "aws:sourceidentity": _source_identity(caller, principal),
        "aws:assumedroot": ("true",) if caller.kind == "root_session" else ABSENT,
        "aws:signinsessionarn": _sign_in_session(caller),
        "aws:federatedprovider": _federated_provider(caller),
        "identitystore:userid": _person(caller),
        "aws:originidentity/subject": _origin(caller, caller.origin_subject),
        "aws:originidentity/issuer": _origin(caller, caller.origin_issuer),
        **{key: PRESENT if caller.ec2_instance else _not_from_ec2(principal) for key in _EC2_KEYS},
    }
    dropped = _chosen(caller, principal) if caller.hypothetical else frozenset()
    return {key: value for key, value in context.items() if value is not None and key not in dropped}


def _chosen(caller: Caller, principal: PrincipalType) -> frozenset[str]:
    """
    The keys whose values a hypothetical credential's minter chooses.

    A service that hands a session to a workload can give neither MFA nor a source identity with it (AWS STS API
    Reference, 'AssumeRole': `SerialNumber` and `TokenCode` are a user's); logs of such sessions show
    `mfaAuthenticated` as false. Whether it is delivered to an instance stays open.
    """
    return frozenset(_EC2_KEYS) if caller.kind == "service_role" else _CHOSEN[principal]


def with_time(context: Context, at: datetime, *, onwards: bool = False) -> Context:
    """Add the time of the request to what is known of it: that very time, or (`onwards`) any from then on."""
    if onwards:
        known: Known = DateRange(earliest=at)
        return {**context, "aws:currenttime": known, "aws:epochtime": known}
    clock = {
        "aws:currenttime": (at.astimezone(UTC).isoformat(),), "aws:epochtime": (str(int(at.timestamp())),)
    }  # fmt: skip
    return {**context, **clock}


def issue_time(caller: Caller) -> Known | None:
    """
    The value of `aws:TokenIssueTime`; requests with a long-term key don't have it; of an API key's AWS says nothing.

    Source: IAM User Guide, 'Revoking IAM role temporary security credentials'.
    AWS does not say whether the token of GetScopedCredentials has its own time of issue or its parent's, nor which one
    a delegated session has, and a forwarded call has a creation date of its own: for these only the latest possible
    time is known.
    """
    if caller.kind == "long_term_key":
        return ABSENT
    if caller.kind == "api_key":
        return None
    if caller.issued_at is not None:
        if caller.kind == "delegated":  # its creation date may be the approver's
            return DateRange(latest=caller.issued_no_later_than or caller.issued_at)
        if caller.kind in ("scoped", "forwarded"):
            return DateRange(latest=caller.issued_at)
        return (caller.issued_at.astimezone(UTC).isoformat(),)
    if caller.issued_no_later_than is not None:
        return DateRange(latest=caller.issued_no_later_than)
    return PRESENT if caller.kind != "unknown" else None


def _mfa(caller: Caller, principal: PrincipalType) -> Known | None:
    """Present for temporary credentials of users and roles, but not for federated ones."""
    if caller.kind == "long_term_key" or principal == "federated_user" or caller.kind in _WITHOUT_MFA:
        return ABSENT
    if caller.kind in ("root_session", "api_key") or caller.mfa is None:
        return None
    return ("true" if caller.mfa else "false",)


def _mfa_age(caller: Caller, principal: PrincipalType) -> Known | None:
    present = _mfa(caller, principal)
    if isinstance(present, tuple):
        return PRESENT if caller.mfa else ABSENT
    return present


def _user_id(caller: Caller, principal: PrincipalType) -> Known | None:
    if caller.kind == "root_session":
        return None
    if principal == "root":
        return (caller.account,) if caller.account else None
    identity = caller.principal_id
    if not identity:
        return None
    if principal == "role" and ":" not in identity:
        return (f"{identity}:{caller.session_name}",) if caller.session_name else None
    if caller.named_unlike is not None and ":" in identity:
        return ChosenText(pattern=f"{identity.partition(':')[0]}:*", excluding=caller.named_unlike)
    return (identity,)


def _user_name(caller: Caller, principal: PrincipalType) -> Known | None:
    if principal == "user":
        name = caller.user_name or _resource(caller.principal).rpartition("/")[2]
        return (name,) if name else None
    return None if principal == "unknown" else ABSENT


def _principal_arn(caller: Caller, principal: PrincipalType) -> Known | None:
    """
    Give the role's ARN for a role session, not the session's.

    A federated user's ARN has `iam` in one of AWS's examples; the logs and the key's reference have `sts`.
    """
    if principal == "role":
        return (caller.role,) if caller.role else None
    if principal == "root":
        return (f"arn:{_partition(caller.principal)}:iam::{caller.account}:root",) if caller.account else None
    if caller.principal is None:
        return None
    if principal == "federated_user":
        arn = caller.principal.replace(":iam::", ":sts::", 1)
        return (arn,) if caller.named_unlike is None else ChosenText(pattern=f"{arn.partition('/')[0]}/*")
    return (caller.principal,)


def _source_identity(caller: Caller, principal: PrincipalType) -> Known | None:
    if caller.source_identity:
        return (caller.source_identity,)
    return None if principal == "unknown" else ABSENT


def _sign_in_session(caller: Caller) -> Known | None:
    """Only what `aws login` and OAuth hand out carries it; console sessions never do."""
    if caller.sign_in_session_arn:
        return (caller.sign_in_session_arn,)
    return None if caller.kind in _UNSURE_SIGN_IN else ABSENT


def _federated_provider(caller: Caller) -> Known | None:
    """Only sessions that OpenID Connect opened carry it."""
    if caller.federated_provider:
        return (caller.federated_provider,)
    return None if caller.kind in ("assumed_role_web_identity", *_UNSURE_SIGN_IN) else ABSENT


def _person(caller: Caller) -> Known | None:
    """
    Only sessions of Identity Center have it (IAM Identity Center User Guide, 'Identity store context keys').

    Not every call in the log shows it, so that it is unknown for a session none of whose calls does.
    """
    if caller.person:
        return (caller.person,)
    portal = caller.kind in ("identity_center", *_UNSURE_SIGN_IN) or "/AWSReservedSSO_" in (caller.role or "")
    return None if portal else ABSENT


def _origin(caller: Caller, value: str | None) -> Known | None:
    """
    Sessions of roles may have it, if whoever let them in propagates identities; others have no such trusted source.

    Which sessions keep it that a role's session opens, AWS says for some services only, and not every record shows it:
    it is unknown for a session none of whose calls does (IAM User Guide, 'Trusted identity propagation with IAM'; IAM
    Roles Anywhere User Guide, 'Trusted identity propagation').
    """
    if value:
        return (value,)
    return ABSENT if caller.kind in ("long_term_key", "session_token", "federation_token") else None


def _not_from_ec2(principal: PrincipalType) -> Known | None:
    return None if principal == "unknown" else ABSENT


def _resource(arn: str | None) -> str:
    """The sixth part of an ARN, where it is one."""
    return (arn or "").split(":", 5)[-1] if arn and arn.count(":") >= 5 else ""


def _partition(arn: str | None) -> str:
    parts = (arn or "").split(":")
    return parts[1] if len(parts) > 1 and parts[1] else "aws"


# ---------------------------------------------------------------- principals

_OF_THE_NAME = frozenset({"aws:principalarn", "aws:principaltype", "aws:userid", "aws:username"})
"""Keys for which a federated user's requests have other values than the IAM user's."""


def context_for(arn: str, *, unique_id: str | None = None, known: bool = True) -> Context:
    """
    The condition keys that all requests of a user, role or root user have.

    Args:
        arn: The ARN of the user, role or root user.
        unique_id: A user's `AIDA...`, if known; not used for a role, since the session's name is open.
        known: Whether the ARN is from IAM; one from a log may lack its path.
    """
    principal = principal_of_arn(arn)
    if principal is None:
        return {}
    if principal.kind == "role":
        caller = Caller(kind="unknown", account=principal.account, role=arn, hypothetical=True)
    else:
        name = arn.rpartition("/")[2] if principal.kind == "user" else None
        caller = Caller(
            kind="unknown", account=principal.account, principal=arn, principal_id=unique_id, user_name=name,
            hypothetical=True,
        )  # fmt: skip
    context = context_of(caller)
    if not known and arn.count("/") == 1:
        return {key: value for key, value in context.items() if key != "aws:principalarn"}
    return context


def federated(context: Context) -> Context:
    """
    The part of a user's context that holds for its federated users, too.

    Their permissions are the user's, restricted by a session policy; their names are their own.
    Source: IAM User Guide, 'Permissions for GetFederationToken'.
    """
    return {key: value for key, value in context.items() if key not in _OF_THE_NAME}
