"""API keys are made to expire within a quarter of a year."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.alike import everywhere
from tokentrail.prevention.documents import deny
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words
from tokentrail.prevention.rule import GuardrailRule

_DAYS = 90
_ENDLESS = ("codecommit.amazonaws.com", "cassandra.amazonaws.com")
"""Services whose service-specific credentials can't expire (IAM API Reference, 'CreateServiceSpecificCredential')."""


def make(evidence: Evidence) -> Iterable[Proposal]:
    """Deny making a key that lasts longer, or for ever: `IfExists` holds of a request that names no days."""
    condition = {
        "NumericGreaterThanIfExists": {"iam:ServiceSpecificCredentialAgeDays": str(_DAYS)},
        "StringNotEquals": {"iam:ServiceSpecificCredentialServiceName": list(_ENDLESS)},
    }
    return everywhere(
        evidence, WORDS, deny("ApiKeysExpire", "iam:CreateServiceSpecificCredential", condition)
    )


WORDS = Words(
    id="api-keys-expire",
    title=f"New API keys expire within {_DAYS} days",
    prevents="A key that leaked, or that a thief made, invokes models for years; nobody remembers that it is there.",
    limits="Keys that are there go on. Credentials of CodeCommit and Keyspaces have no expiry and are let through.",
    stage=1,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="scp",
    references=(
        "Amazon Bedrock User Guide, 'Control permissions for generating and using Amazon Bedrock API keys'",
        "IAM User Guide, 'IAM and AWS STS condition context keys' (iam:ServiceSpecificCredentialAgeDays)",
    ),
    make=make,
)
