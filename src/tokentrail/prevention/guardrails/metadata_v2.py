"""Credentials that an instance got by the first version of the metadata service are worth nothing."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.alike import NO_INSTANCE, everywhere
from tokentrail.prevention.documents import deny
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Deny what was delivered by the old service."""
    if not any(way.ec2 is not None for way in evidence.ways):
        return NO_INSTANCE
    denial = deny("MetadataVersion2", "*", {"NumericLessThan": {"ec2:RoleDelivery": "2.0"}})
    return everywhere(evidence, WORDS, denial)


WORDS = Words(
    id="metadata-v2",
    title="Instances' credentials come from IMDSv2 only",
    prevents="A web application that can be made to fetch an address (SSRF) hands out no credentials that work.",
    limits="Whoever runs code on the instance can ask IMDSv2 as well.",
    stage=2,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="scp",
    references=(
        "IAM User Guide, 'ec2:RoleDelivery'",
        "CloudTrail User Guide, 'userIdentity element' (ec2RoleDelivery)",
    ),
    make=make,
)
