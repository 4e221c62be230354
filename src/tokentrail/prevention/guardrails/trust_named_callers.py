"""A role lets in those who ordinarily take it up, and nobody else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tokentrail.aws.principals import in_conditions, principal_of_arn
from tokentrail.prevention.alike import role_by_role
from tokentrail.prevention.documents import NOT_SERVICES, distrust, named, policy
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words, trust_policy
from tokentrail.prevention.rule import GuardrailRule, NotMade

_MOST = 40


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Name the callers that the evidence shows, role by role that the attacker took up."""
    return role_by_role(evidence, _for, otherwise="these roles have too many ordinary callers to name")


def _for(evidence: Evidence, role: str) -> Proposal | None:
    callers = [
        one for one in evidence.callers(role) if one.api == "AssumeRole" and one.caller_type != "AWSService"
    ]
    arns = sorted(
        {in_conditions(one.caller) for one in callers if one.caller and principal_of_arn(one.caller)}
    )
    accounts = sorted({one.caller_account for one in callers if one.caller_account and not one.caller})
    if len(arns) + len(accounts) > _MOST:
        return None
    condition: dict[str, object] = {"BoolIfExists": dict(NOT_SERVICES)}
    if arns:
        condition["ArnNotEquals"] = {"aws:PrincipalArn": arns}
    if accounts:
        condition["StringNotEquals"] = {"aws:PrincipalAccount": accounts}
    who = f"{len(arns) + len(accounts)} callers" if len(arns) + len(accounts) != 1 else "its one caller"
    said = (
        f"{named(role)} lets in {who}"
        if arns or accounts
        else f"{named(role)} lets nobody in, as nobody else uses it"
    )
    return trust_policy(replace(WORDS, title=said), policy(distrust("OnlyNamedCallers", condition)), role)


WORDS = Words(
    id="trust-named-callers",
    title="A role that was abused lets in its ordinary callers only",
    prevents="The leaked credential is refused the role, whatever its own policies allow; so is every other that has "
    "no business there.",
    limits="Only these roles; and who takes the role up too rarely to be in the evidence is refused, so ask "
    "its owner first.",
    stage=1,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="trust-policy",
    references=(
        "IAM User Guide, 'IAM roles trust policies'",
        "IAM User Guide, 'aws:PrincipalArn' (of a session, its role's)",
    ),
    make=make,
)
