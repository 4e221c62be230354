"""Nobody but who ordinarily does makes users, keys and passwords."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.alike import but_for_doers
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade

_ACTIONS = (
    "iam:CreateUser", "iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile",
    "iam:CreateServiceSpecificCredential",
)  # fmt: skip


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Spare those who did so in the evidence."""
    return but_for_doers(evidence, WORDS, "NoNewUsersOrKeys", _ACTIONS, do="make users or keys")


WORDS = Words(
    id="no-new-keys",
    title="Users, keys and passwords are made by those who do so today only",
    prevents="The thief's ordinary way to outlast a clean-up; and long-term keys, of which no token can be refused to "
    "be minted, grow no more.",
    limits="Keys that are there go on. Keep a way in for emergencies among those spared.",
    stage=1,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="scp",
    references=("AWS Organizations User Guide, 'SCP examples'",),
    make=make,
)
