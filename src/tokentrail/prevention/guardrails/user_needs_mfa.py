"""The users whose keys leaked may do nothing without MFA, with keys and tokens alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tokentrail.prevention.documents import AT_SIGN_IN, TO_REGISTER, deny, named, policy
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words, identity_policy
from tokentrail.prevention.rule import GuardrailRule, NotMade


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """
    Deny all but setting up MFA to each of the users.

    What a service forwards for them is let through, since whether it carries their MFA is not documented; what it rests
    on is denied.
    """
    if not evidence.users:
        return NotMade("no IAM user's credential is among the attacker's")
    document = policy(
        deny(
            "NothingWithoutMfa", "*",
            {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false", "aws:ViaAWSService": "false"}},
            but=TO_REGISTER,
        )
    )  # fmt: skip
    return tuple(
        identity_policy(replace(WORDS, title=f"{named(user)} may do nothing without MFA"), document, user)
        for user in evidence.users
    )


WORDS = Words(
    id="user-needs-mfa",
    title="The users whose keys leaked may do nothing without MFA",
    prevents="A leaked key alone does nothing: its owner asks GetSessionToken for a token with the MFA code first, and "
    "works with that.",
    limits="A key that a program uses can't do this; give the program a role instead. Whoever has the key of a user "
    "without a device, and may call iam:EnableMFADevice, registers one of his own: register the owner's first."
    + AT_SIGN_IN,
    stage=3,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="identity-policy",
    references=(
        "IAM User Guide, 'AWS: Allows MFA-authenticated IAM users to manage their own credentials'",
        "IAM User Guide, 'AWS global condition context keys', aws:MultiFactorAuthPresent (BoolIfExists catches "
        "keys too)",
    ),
    make=make,
)
