"""Tokens that an IAM user's key mints are worth nothing without MFA."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.alike import everywhere
from tokentrail.prevention.documents import AT_SIGN_IN, TO_REGISTER, deny
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words
from tokentrail.prevention.rule import GuardrailRule


def make(evidence: Evidence) -> Iterable[Proposal]:
    """Deny everything to users' temporary credentials without MFA; long-term keys carry no such key and go on."""
    denial = deny(
        "UserTokensNeedMfa", "*",
        {
            "Bool": {"aws:MultiFactorAuthPresent": "false"},
            "Null": {"aws:TokenIssueTime": "false"},
            "ArnLike": {"aws:PrincipalArn": f"arn:{evidence.partition}:iam::*:user/*"},
            "BoolIfExists": {"aws:ViaAWSService": "false"},
        },
        but=TO_REGISTER,
    )  # fmt: skip
    return everywhere(evidence, WORDS, denial)


WORDS = Words(
    id="tokens-need-mfa",
    title="GetSessionToken's tokens are worth nothing without MFA",
    prevents="GetSessionToken can't be denied, but what its 36-hour token may do can: minted with a leaked key alone, "
    "it takes up no role and reads nothing, so that deactivating the key is enough again.",
    limits="The leaked key itself goes on, and so do roles that it takes up directly. Console users without MFA are "
    "stopped until they register a device; so may whoever has a leaked key of a user without one, if the key may call "
    "iam:EnableMFADevice: register the owner's first." + AT_SIGN_IN,
    stage=1,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="scp",
    references=(
        "IAM User Guide, 'Permissions for GetSessionToken' (it can't be denied)",
        "IAM User Guide, 'AWS global condition context keys', aws:MultiFactorAuthPresent",
    ),
    make=make,
)
