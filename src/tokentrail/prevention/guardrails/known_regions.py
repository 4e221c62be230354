"""Only the regions that are used can be used."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

from tokentrail.aws.calls.permissions import actions_of
from tokentrail.prevention.alike import everywhere
from tokentrail.prevention.documents import deny
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade

_GLOBAL = (
    "account:*", "acm:*", "artifact:*", "aws-marketplace-management:*", "aws-marketplace:*", "aws-portal:*",
    "billing:*", "billingconductor:*", "budgets:*", "ce:*", "chatbot:*", "chime:*", "cloudfront:*",
    "cloudtrail:LookupEvents", "compute-optimizer:*", "consoleapp:*", "consolidatedbilling:*", "cur:*",
    "directconnect:*", "ec2:DescribeRegions", "ecr-public:*", "fms:*", "freetier:*", "globalaccelerator:*",
    "health:*", "iam:*", "invoicing:*", "iq:*", "networkmanager:*", "notifications-contacts:*", "notifications:*",
    "organizations:*", "payments:*", "pricing:*", "route53-recovery-cluster:*", "route53-recovery-control-config:*",
    "route53-recovery-readiness:*", "route53:*", "route53domains:*", "s3:CreateMultiRegionAccessPoint",
    "s3:DeleteMultiRegionAccessPoint", "s3:DescribeMultiRegionAccessPointOperation", "s3:GetAccountPublic*",
    "s3:GetMultiRegionAccessPoint*", "s3:ListAllMyBuckets", "s3:ListMultiRegionAccessPoints",
    "s3:PutAccountPublic*", "s3:PutMultiRegionAccessPointPolicy", "savingsplans:*", "shield:*", "sso:*", "sts:*",
    "support:*", "supportapp:*", "supportplans:*", "sustainability:*", "tag:GetResources", "tax:*",
    "trustedadvisor:*", "waf-regional:*", "waf:*", "wafv2:*",
)  # fmt: skip
"""
What lives in one region for all, or is asked there by what does, as certificates are for CloudFront.

Source: AWS Control Tower Controls Reference Guide, 'Deny access to AWS based on the requested AWS Region', but for what
it spares of services that lie in every region.
"""
_LET_THROUGH = re.compile("|".join(fnmatch.translate(one.lower()) for one in _GLOBAL))


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Take the regions that ordinary calls go to: those to services that are let through anywhere say nothing of it."""
    regions = sorted({region for region, source, name in evidence.regions if not _anywhere(source, name)})
    if not regions:
        return NotMade("no ordinary call tells its region")
    elsewhere = {"StringNotEquals": {"aws:RequestedRegion": regions}}
    return everywhere(evidence, WORDS, deny("OnlyKnownRegions", "*", elsewhere, but=_GLOBAL))


def _anywhere(source: str, name: str) -> bool:
    return all(_LET_THROUGH.match(one) for one in actions_of(source, name or "any"))


WORDS = Words(
    id="known-regions",
    title="Only the regions that you use can be used",
    prevents="Machines and keys hidden where nobody looks.",
    limits="Services that live in one region for all are let through.",
    stage=2,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="scp",
    references=(
        "IAM User Guide, 'AWS: Denies access to AWS based on the requested Region'",
        "AWS Control Tower Controls Reference Guide, 'Deny access to AWS based on the requested AWS Region'",
    ),
    make=make,
)
