"""No principal of a foreign account takes up a role of ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokentrail.prevention.documents import NOT_SERVICES, policy
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words, rcp
from tokentrail.prevention.rule import GuardrailRule, NotMade


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Let in the organisation, or the accounts that the case shows to be ours, and partners that ordinarily come."""
    ours = evidence.accounts
    if not ours:
        return NotMade("the evidence shows no account at work")
    partners = sorted(
        {
            one.caller_account
            for one in evidence.mints
            if not one.theirs
            and one.caller_account
            and one.caller_account not in ours
            and one.api == "AssumeRole"
        }
    )
    organisations = sorted(set(evidence.organisations.values()))
    condition: dict[str, Any] = {"BoolIfExists": dict(NOT_SERVICES)}
    if organisations:
        condition["StringNotEqualsIfExists"] = {"aws:PrincipalOrgID": organisations}
        if partners:
            condition["StringNotEqualsIfExists"]["aws:PrincipalAccount"] = partners
    else:
        condition["StringNotEqualsIfExists"] = {"aws:PrincipalAccount": sorted({*ours, *partners})}
    statement = {
        "Sid": "OwnOrganisation", "Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole", "Resource": "*",
        "Condition": condition,
    }  # fmt: skip
    return (rcp(WORDS, policy(statement), evidence.organisations, ours),)


WORDS = Words(
    id="own-organisation",
    title="Foreign accounts take up none of your roles",
    prevents="A trust policy that the thief opens to an account of his own lets nobody in.",
    limits="It binds no service-linked role and nothing in the management account. Without the organisation's id in "
    "the evidence it lists accounts: replace them by aws:PrincipalOrgID.",
    stage=2,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="rcp",
    references=("AWS Organizations User Guide, 'Resource control policies (RCPs)'",),
    make=make,
)
