"""
What the audit examines: snapshots of IAM with the SCPs on them, credential reports, and what the case shows.

What a boundary, an SCP or a deny already prevents is no weakness. The evaluator that proofs use decides that too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from tokentrail.aws.principals import account_of
from tokentrail.detection.model import Severity
from tokentrail.policy.account.holders import Holder, Role, User
from tokentrail.policy.account.reach import Reach
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.policy.account.supplements import Report, ReportedUser
from tokentrail.policy.language.context import ABSENT, PRESENT, Context, Known, context_for
from tokentrail.policy.language.evaluate import Call, denied
from tokentrail.policy.language.truth import Truth, some
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.model import AuditFinding

OUTSIDE = "192.88.99.1"
"""An address that nobody can have: its block was returned to IANA (RFC 7526)."""
DAY, HOUR = 86_400, 3_600
TOKEN_LIFE = 36 * HOUR
"""Seconds that a token of GetSessionToken or GetFederationToken lasts, at most (AWS STS API Reference)."""
LONGEST_SESSION = 12 * HOUR
"""Seconds that any role may allow, at most (IAM User Guide, 'Update the maximum session duration for a role')."""
_TRIED = (
    "sts:assumerole",
    "s3:getobject",
    "secretsmanager:getsecretvalue",
    "ec2:runinstances",
    "iam:createaccesskey",
)
"""Actions that a thief tries first: a credential that is denied all of them counts as stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenKey:
    """A credential of a user, as the case shows it."""

    id: str
    kind: str
    account: str | None
    principal: str | None
    mfa: bool | None
    state: str
    used: bool
    made: bool = False
    """Whether the case shows the call that made it."""
    expires: bool = False
    """Whether the case shows that it ends by itself, and when."""


@dataclass(frozen=True, kw_only=True)
class Estate:
    """One or several accounts' IAM, joined with the case."""

    reach: Reach
    evidence: Evidence
    as_of: datetime
    keys: tuple[SeenKey, ...] = ()
    """Long-term keys and tokens of users that the case shows."""
    reports: tuple[Report, ...] = ()
    lengths: Mapping[str, int] = field(default_factory=dict)
    """MaxSessionDuration by role ARN, where told."""

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """The snapshots, by account."""
        return self.reach.snapshots

    @cached_property
    def users(self) -> tuple[User, ...]:
        """Every user of the snapshots."""
        return tuple(one for snapshot in self.snapshots for _, one in sorted(snapshot.users.items()))

    @cached_property
    def roles(self) -> tuple[Role, ...]:
        """Every role of the snapshots, but for service-linked ones, which nobody can edit."""
        return tuple(
            one
            for snapshot in self.snapshots
            for _, one in sorted(snapshot.roles.items())
            if not one.service_linked
        )

    @cached_property
    def ours(self) -> frozenset[str]:
        """The accounts that are known to be the organisation's."""
        return self.evidence.accounts | self.reach.accounts

    @cached_property
    def reported(self) -> tuple[ReportedUser, ...]:
        """Every line of the credential reports."""
        return tuple(one for report in self.reports for one in report.users)

    @cached_property
    def assumable(self) -> Mapping[str, tuple[tuple[str, bool], ...]]:
        """By the ARN of a user or role: the roles that it may assume, and whether that is certain."""
        everybody: Iterable[Holder] = (*self.users, *self.roles)
        return {one.arn: self.reach.edges(one.arn) for one in everybody}

    def longest(self, role: str, *, of_services: bool = True) -> int | None:
        """
        Seconds that sessions of a role may last; `None` if unknown.

        Args:
            role: The ARN of the role.
            of_services: Whether sessions that services issue for what they run count.
        """
        told = self.lengths.get(role)
        found = self.reach.role(role)
        if told is None and found is not None:
            told = found.longest
        most = self.evidence.granted(role) if of_services else self.evidence.asked_for(role)
        if told is None:
            return most if most > HOUR else None
        return max(told, most)

    def session_life(self, role: str) -> int:
        """Seconds that a leaked session of a role lasts, at most."""
        return self.longest(role) or LONGEST_SESSION

    def stops(self, holder: Holder, more: Mapping[str, Known]) -> bool:
        """
        Whether policies deny a thief who has a credential of a user or role all that thieves try first.

        Args:
            holder: The user or role.
            more: Condition keys of the kind of credential, such as `TOKEN` or `KEY`.
        """
        snapshot = next((one for one in self.snapshots if one.account == holder.identity.account), None)
        documents = [one.document for one in holder.denials]
        if snapshot is not None and not snapshot.management:
            documents += [one.document for one in snapshot.controls or ()]
        context = {**self.from_outside(holder), **more}
        return all(
            some(
                denied(document, Call.of((action,), ("arn:aws:s3:::any/thing",), context))
                for document in documents
            )
            is Truth.YES
            for action in _TRIED
        )

    def from_outside(self, holder: Holder) -> Context:
        """Condition keys of a thief's request: from an address that is nobody's, through no VPC and no service."""
        return {
            **context_for(holder.arn, unique_id=holder.unique_id or None),
            "aws:sourceip": (OUTSIDE,),
            "aws:sourcevpc": ABSENT,
            "aws:sourcevpce": ABSENT,
            "aws:vpcsourceip": ABSENT,
            "aws:viaawsservice": ("false",),
            "aws:principalisawsservice": ("false",),
            "aws:currenttime": (self.as_of.astimezone(UTC).isoformat(),),
        }

    @property
    def span(self) -> int:
        """Seconds that the evidence covers."""
        return max(0, self.evidence.last - self.evidence.first)


TOKEN: Mapping[str, Known] = {
    "aws:tokenissuetime": PRESENT, "aws:multifactorauthpresent": ("false",), "aws:multifactorauthage": ABSENT,
}  # fmt: skip
"""Condition keys of a token of GetSessionToken without MFA."""
KEY: Mapping[str, Known] = {
    "aws:tokenissuetime": ABSENT, "aws:multifactorauthpresent": ABSENT, "aws:multifactorauthage": ABSENT,
}  # fmt: skip
"""Condition keys of a long-term key."""


def finding(
    rule: str, title: str, severity: Severity, principal: str, *, why: str, attack: str, whence: Iterable[str],
    whither: Iterable[str], lives: int | None, fix: str, account: str | None = None, about: Sequence[str] = (),
) -> AuditFinding:  # fmt: skip
    """Make a finding, whose id depends only on the rule, the principal and `about`."""
    text = "\0".join((rule, principal, *about))
    return AuditFinding(
        id=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        rule=rule, title=title, severity=severity, account=account or account_of(principal),
        principal=principal, why=why, attack=attack,
        whence=tuple(dict.fromkeys(whence)), whither=tuple(dict.fromkeys(whither)), lives=lives, fix=fix,
    )  # fmt: skip
