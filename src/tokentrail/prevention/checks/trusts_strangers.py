"""Roles trusted by anybody, by strangers' accounts or by whole accounts."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.aws.principals import Principal
from tokentrail.detection.model import Severity
from tokentrail.formatting import short
from tokentrail.policy.account.holders import Role
from tokentrail.policy.account.trust import Who, trusts
from tokentrail.policy.language.context import ABSENT, Context
from tokentrail.policy.language.documents import Malformed, Principals
from tokentrail.policy.language.evaluate import Request
from tokentrail.policy.language.truth import Truth
from tokentrail.prevention.estate import OUTSIDE, Estate, finding
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "trusts-strangers"
_STRANGER = "000000000000"
_CHOSEN = ("sts:externalid", "sts:sourceidentity", "sts:rolesessionname")
_SAID: tuple[Context, ...] = (
    dict.fromkeys(_CHOSEN[:2], ABSENT), dict.fromkeys(_CHOSEN, ("whatever",))
)  # fmt: skip
"""What a caller says of itself, who says nothing, or anything (AWS STS API Reference, 'AssumeRole')."""


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Take each role, once for all and once for each account that it trusts as a whole."""
    for role in estate.roles:
        if isinstance(role.trust, Malformed):
            continue
        if _lets_in(role, _STRANGER):
            yield _found(estate, role, "critical", "*", "anybody with an AWS account")
            continue
        accounts = {one for principals in role.trust.naming() for one in principals.accounts}
        foreign = {account for one in role.trust.naming() for account in _foreign(one, estate.ours)}
        for account in sorted(accounts | foreign):
            if not _lets_in(role, account):
                continue
            if account not in estate.ours:
                yield _found(
                    estate,
                    role,
                    "high",
                    account,
                    f"account {account}, which the case does not know as yours,",
                )
            elif account != role.identity.account:
                yield _found(
                    estate,
                    role,
                    "medium",
                    account,
                    f"every principal of account {account} that is allowed to",
                )
            elif account in accounts:
                yield _found(
                    estate, role, "low", account, "every user and role of its own account that is allowed to"
                )


def _foreign(principals: Principals, ours: frozenset[str]) -> Iterator[str]:
    for one in principals.identities:
        if one.account not in ours:
            yield one.account


def _lets_in(role: Role, account: str) -> bool:
    """Whether a caller of an account, who shows nothing, is let in; a user who is named counts for the account."""
    assert not isinstance(role.trust, Malformed)
    named = next(
        (one for p in role.trust.naming() for one in sorted(p.identities, key=str) if one.account == account),
        None,
    )
    root = any(account in p.accounts or p.anyone for p in role.trust.naming())
    identity = named if named is not None and not root else Principal(account, "user", "stranger")
    context: Context = {
        "aws:principalaccount": (account,), "aws:multifactorauthpresent": ABSENT, "aws:multifactorauthage": ABSENT,
        "aws:sourceip": (OUTSIDE,), "aws:sourcevpc": ABSENT, "aws:sourcevpce": ABSENT,
        "aws:sourceidentity": ABSENT, "aws:principalisawsservice": ("false",), "aws:viaawsservice": ("false",),
    }  # fmt: skip
    who = Who(identity=identity)
    return any(
        trusts(role.trust, who, Request({**context, **said}), role=role.arn).truth is Truth.YES
        for said in _SAID
    )


def _found(estate: Estate, role: Role, severity: Severity, whence: str, who: str) -> AuditFinding:
    return finding(
        _NAME, CHECK.title, severity, role.arn, about=(whence,),
        why=f"The trust policy of {short(role.arn)} lets in {who} without a condition that a caller from "
        f"outside would fail.",
        attack=CHECK.attack, whence=(whence,), whither=(role.arn,), lives=estate.session_life(role.arn),
        fix="Name the principals that need it (guardrail trust-named-callers), or ask foreign accounts for an "
        "sts:ExternalId and the own organisation for aws:PrincipalOrgID.",
    )  # fmt: skip


CHECK = Check(
    id=_NAME,
    title="A role is trusted by a whole account, or by strangers",
    severity="critical",
    attack="Any credential over there that leaks, or that its administrators give out, becomes this role.",
    blocked="the trust policy asks for an ExternalId, MFA, an address or an organisation that a stranger "
    "lacks, or denies",
    needs="snapshot",
    references=(
        "IAM User Guide, 'The confused deputy problem'",
        "IAM User Guide, 'AWS JSON policy elements: Principal'",
    ),
    find=find,
)
