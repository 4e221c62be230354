"""
Identity policies of the users and roles whose credentials the attacker had.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tokentrail.prevention.documents import AT_SIGN_IN, TO_REGISTER, deny, named, policy
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import GuardrailProposal, Words, identity_policy
from tokentrail.prevention.rule import GuardrailRule, NotMade


def _user_needs_mfa(evidence: Evidence) -> Iterable[GuardrailProposal] | NotMade:
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
        identity_policy(
            replace(_NEEDS_MFA, title=f"{named(user)} may do nothing without MFA"), document, user
        )
        for user in evidence.users
    )


_NEEDS_MFA = Words(
    id="user-needs-mfa",
    title="The users whose keys leaked may do nothing without MFA",
    prevents="A leaked key alone does nothing: its owner asks GetSessionToken for a token with the MFA code first, and "
    "works with that.",
    limits="A key that a program uses can't do this; give the program a role instead. Whoever has the key of a user "
    "without a device, and may call iam:EnableMFADevice, registers one of his own: register the owner's first."
    + AT_SIGN_IN,
    stage=3,
)
USER_NEEDS_MFA = GuardrailRule(
    words=_NEEDS_MFA,
    kind="identity-policy",
    references=(
        "IAM User Guide, 'AWS: Allows MFA-authenticated IAM users to manage their own credentials'",
        "IAM User Guide, 'AWS global condition context keys', aws:MultiFactorAuthPresent (BoolIfExists catches "
        "keys too)",
    ),
    make=_user_needs_mfa,
)


_MOST_ROLE_AS_USED = 80
"""Actions from which on services are named as a whole."""


def _role_as_used(evidence: Evidence) -> Iterable[GuardrailProposal] | NotMade:
    """Deny each role all that nobody but the attacker did with it."""
    if not evidence.roles:
        return NotMade("no role's session is among the attacker's credentials")
    found = [one for role in evidence.roles if (one := _role_as_used_of(evidence, role)) is not None]
    return tuple(found) or NotMade("nobody but the attacker used these roles")


def _role_as_used_of(evidence: Evidence, role: str) -> GuardrailProposal | None:
    used = {action for way in evidence.ordinary(lambda way: way.principal == role) for action in way.actions}
    if not used:
        return None
    if len(used) > _MOST_ROLE_AS_USED:
        used = {f"{action.partition(':')[0]}:*" for action in used}
    words = replace(_AS_USED, title=f"{named(role)} may do what it is used for")
    return identity_policy(words, policy(deny("OnlyWhatIsUsed", "*", but=sorted(used))), role)


_AS_USED = Words(
    id="role-as-used",
    title="An abused role may do what it is used for",
    prevents="What nobody needs of the role's permissions is of no use to a thief either.",
    limits="Data events that the trail does not record are not among what is used, and what is done once a quarter may "
    "not be in the evidence: compare with IAM Access Analyzer's last-accessed data.",
    stage=2,
)
ROLE_AS_USED = GuardrailRule(
    words=_AS_USED,
    kind="identity-policy",
    references=("IAM User Guide, 'Refine permissions in AWS using last accessed information'",),
    make=_role_as_used,
)
