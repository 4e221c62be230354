"""Nobody but who ordinarily does makes users, keys and passwords."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.policy.arn import identity_of
from tokentrail.prevention.documents import deny, policy
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words, scp
from tokentrail.prevention.rule import Maker, Nothing

_ACTIONS = (
    "iam:CreateUser", "iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile",
    "iam:CreateServiceSpecificCredential",
)  # fmt: skip
_MOST = 25


def make(evidence: Evidence) -> Iterable[Proposal] | Nothing:
    """Spare those who did so in the evidence."""
    lower = {one.lower() for one in _ACTIONS}
    able = sorted(
        {
            way.principal
            for way in evidence.ordinary(lambda way: bool(lower & set(way.actions)))
            if way.principal and identity_of(way.principal)
        }
    )
    if len(able) > _MOST:
        return Nothing(f"{len(able)} principals make users or keys")
    condition = {"ArnNotEquals": {"aws:PrincipalArn": able}} if able else None
    document = policy(deny("NoNewUsersOrKeys", list(_ACTIONS), condition))
    return (scp(WORDS, document, organisations=evidence.organisations, unbound=evidence.unbound),)


WORDS = Words(
    id="no-new-keys",
    title="Users, keys and passwords are made by those who do so today only",
    prevents="The thief's ordinary way to outlast a clean-up; and long-term keys, of which no token can be "
    "refused to be minted, "
    "grow no more.",
    limits="Keys that are there go on. Keep a way in for emergencies among those spared.",
    stage=1,
)
GUARDRAIL = Maker(
    words=WORDS,
    kind="scp",
    references=("AWS Organizations User Guide, 'SCP examples'",),
    make=make,
)
