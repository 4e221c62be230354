"""Roles that may do, and trusts that let in, what the evidence never shows."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.aws.principals import Principal, caseless, principal_of_arn
from tokentrail.detection.model import Severity
from tokentrail.formatting import listed, short
from tokentrail.policy.account.holders import Role
from tokentrail.policy.language.documents import Malformed
from tokentrail.policy.language.wildcard import may_overlap
from tokentrail.prevention.estate import DAY, Estate, finding
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "beyond-use"
_LONG_ENOUGH = 30 * DAY


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Compare each role that the case shows in use with what it may do and whom it trusts."""
    days = estate.span / DAY
    severity: Severity = "low" if estate.span >= _LONG_ENOUGH else "info"
    services: dict[Principal | None, set[str]] = {}
    for way in estate.evidence.ordinary():
        services.setdefault(principal_of_arn(way.principal or ""), set()).update(
            action.partition(":")[0] for action in way.actions
        )
    for role in estate.roles:
        used = services.get(principal_of_arn(role.arn))
        if used:
            spare = sorted(_allowed(role) - used)
            if spare:
                yield _found(
                    estate, role, severity, "permissions",
                    f"{short(role.arn)} may use {listed(_said(spare), 6)}; in {days:.1f} days it used only "
                    f"{listed(sorted(used), 6)}.",
                    (role.arn,), "Grant what is used (guardrail role-as-used), and compare with IAM's "
                    "last-accessed data.",
                )  # fmt: skip
        idle = _idle(estate, role)
        if idle:
            yield _found(
                estate, role, severity, "trust",
                f"{short(role.arn)} trusts {listed(idle)}; in {days:.1f} days none of these took it up, others did.",
                idle, "Name only those who take it up (guardrail trust-named-callers).",
            )  # fmt: skip


def _allowed(role: Role) -> set[str]:
    """The services that its identity policies name, if its boundary names them as well; `*` for all."""
    found: set[str] = set()
    for policy in role.policies:
        if isinstance(policy.document, Malformed):
            continue
        for one in policy.document.statements:
            if one.effect == "Allow":
                found |= (
                    {"*"}
                    if one.actions.inverted
                    else {text.partition(":")[0] for text in one.actions.patterns}
                )
    bound = role.bound
    if bound is None or isinstance(bound.document, Malformed):
        return found
    granting = [one for one in bound.document.statements if one.effect == "Allow"]
    if any(one.actions.inverted for one in granting):
        return found
    patterns = [text.partition(":")[0] for one in granting for text in one.actions.patterns]
    return (
        set(patterns)
        if "*" in found
        else {one for one in found if any(may_overlap(text, one) for text in patterns)}
    )


def _said(services: list[str]) -> Iterator[str]:
    for one in services:
        yield "every service" if one == "*" else one


def _idle(estate: Estate, role: Role) -> tuple[str, ...]:
    """The users, roles and accounts that it trusts by name and that never came, where others did."""
    if isinstance(role.trust, Malformed):
        return ()
    came = estate.evidence.callers(role.arn)
    if not came:
        return ()
    callers = {short(one.caller).rpartition("/")[2].casefold() for one in came if one.caller}
    accounts = {one.caller_account for one in came}
    found = []
    for principals in role.trust.naming():
        found += [
            f"arn:aws:iam::{one.account}:{one.kind}/{one.name}"
            for one in principals.identities
            if caseless(one.name) not in callers or one.account not in accounts
        ]
        found += [f"account {one}" for one in principals.accounts if one not in accounts]
    return tuple(sorted(set(found)))


def _found(
    estate: Estate, role: Role, severity: Severity, about: str, why: str, whence: tuple[str, ...], fix: str
) -> AuditFinding:
    return finding(
        _NAME, CHECK.title, severity, role.arn, about=(about,), why=why, attack=CHECK.attack, whence=whence,
        whither=(role.arn,), lives=estate.session_life(role.arn), fix=fix,
    )  # fmt: skip


CHECK = Check(
    id=_NAME,
    title="A role may do, or trusts, more than the evidence shows used",
    severity="low",
    attack="What nobody needs is what a thief uses first: it is watched by nobody.",
    blocked="the boundary does not name the service either; under 30 days of evidence it is told as info",
    needs="snapshot and case",
    references=("IAM User Guide, 'Refine permissions in AWS using last accessed information'",),
    find=find,
)
