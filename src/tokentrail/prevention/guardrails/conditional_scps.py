"""
SCPs of one denial for all accounts: the condition is all in which they differ.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable

from tokentrail.aws.calls.permissions import actions_of
from tokentrail.prevention.documents import (
    AT_SIGN_IN,
    TO_REGISTER,
    WITHIN_VPCS,
    Json,
    deny,
    everywhere,
)
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import GuardrailProposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade

_DAYS = 90
"""After so many days API keys are to expire."""
_ENDLESS = ("codecommit.amazonaws.com", "cassandra.amazonaws.com")
"""Services whose service-specific credentials can't expire (IAM API Reference, 'CreateServiceSpecificCredential')."""
_IDENTITY_ONLY = "aws:ec2-infrastructure"
"""
By this role EC2 itself opens an instance's encrypted volumes, from AWS's network. SCPs bind it, and it must be spared:
else no instance with an encrypted volume starts (Amazon EBS User Guide, 'Requirements for Amazon EBS encryption').
"""
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


def _rule(
    statement: Callable[[Evidence], Json | NotMade], words: Words, references: tuple[str, ...]
) -> GuardrailRule:
    """A guardrail of one denial, which is made of the evidence."""

    def make(evidence: Evidence) -> tuple[GuardrailProposal] | NotMade:
        denial = statement(evidence)
        return denial if isinstance(denial, NotMade) else everywhere(evidence, words, denial)

    return GuardrailRule(words=words, kind="scp", references=references, make=make)


def _users_tokens_without_mfa(evidence: Evidence) -> Json:
    """All that users' temporary credentials do without MFA; long-term keys carry no such key and go on."""
    return deny(
        "UserTokensNeedMfa", "*",
        {
            "Bool": {"aws:MultiFactorAuthPresent": "false"},
            "Null": {"aws:TokenIssueTime": "false"},
            "ArnLike": {"aws:PrincipalArn": f"arn:{evidence.partition}:iam::*:user/*"},
            "BoolIfExists": {"aws:ViaAWSService": "false"},
        },
        but=TO_REGISTER,
    )  # fmt: skip


def _from_another_vpc(evidence: Evidence) -> Json:
    """Calls from another VPC than that of the instance which the credentials were given to."""
    return deny(
        "InstancesFromTheirVpc", "*",
        {
            "StringNotEquals": {"aws:SourceVpc": "${aws:Ec2InstanceSourceVpc}"},
            "Null": {"ec2:SourceInstanceARN": "false"},
            "BoolIfExists": {"aws:ViaAWSService": "false"},
            "ArnNotLike": {"aws:PrincipalArn": f"arn:{evidence.partition}:iam::*:role/{_IDENTITY_ONLY}"},
        },
        but=WITHIN_VPCS,
    )  # fmt: skip


def _of_instances(statement: Callable[[Evidence], Json]) -> Callable[[Evidence], Json | NotMade]:
    """A statement that is made only if instances are at work."""

    def made(evidence: Evidence) -> Json | NotMade:
        if any(way.ec2 is not None for way in evidence.ways):
            return statement(evidence)
        return NotMade(
            "no record in the evidence says that its credential is an instance's (ec2RoleDelivery)"
        )

    return made


def _longer_lasting_keys(evidence: Evidence) -> Json:
    """Making a key that lasts longer, or for ever: `IfExists` holds of a request that names no days."""
    condition = {
        "NumericGreaterThanIfExists": {"iam:ServiceSpecificCredentialAgeDays": str(_DAYS)},
        "StringNotEquals": {"iam:ServiceSpecificCredentialServiceName": list(_ENDLESS)},
    }
    return deny("ApiKeysExpire", "iam:CreateServiceSpecificCredential", condition)


def _elsewhere(evidence: Evidence) -> Json | NotMade:
    """Calls to other regions than ordinary ones; those to services that are let through anywhere say nothing of it."""
    regions = sorted({region for region, source, name in evidence.regions if not _anywhere(source, name)})
    if not regions:
        return NotMade("no ordinary call tells its region")
    return deny("OnlyKnownRegions", "*", {"StringNotEquals": {"aws:RequestedRegion": regions}}, but=_GLOBAL)


def _anywhere(source: str, name: str) -> bool:
    return all(_LET_THROUGH.match(one) for one in actions_of(source, name or "any"))


TOKENS_NEED_MFA = _rule(
    _users_tokens_without_mfa,
    Words(
        id="tokens-need-mfa",
        title="GetSessionToken's tokens are worth nothing without MFA",
        prevents="GetSessionToken can't be denied, but what its 36-hour token may do can: minted with a leaked key "
        "alone, it takes up no role and reads nothing, so that deactivating the key is enough again.",
        limits="The leaked key itself goes on, and so do roles that it takes up directly. Console users without MFA "
        "are stopped until they register a device; so may whoever has a leaked key of a user without one, if the key "
        "may call iam:EnableMFADevice: register the owner's first." + AT_SIGN_IN,
        stage=1,
    ),
    references=(
        "IAM User Guide, 'Permissions for GetSessionToken' (it can't be denied)",
        "IAM User Guide, 'AWS global condition context keys', aws:MultiFactorAuthPresent",
    ),
)
INSTANCE_PINNED = _rule(
    _of_instances(_from_another_vpc),
    Words(
        id="instance-pinned",
        title="Instances' credentials work from their own VPC only",
        prevents="What was read from the metadata service works nowhere else, not even in another account's VPC.",
        limits="Calls to services without an endpoint in the VPC are refused, as is all that goes out through NAT or a "
        "public address; the log does not tell a private call's VPC. Whoever is on the host goes on.",
        stage=3,
    ),
    references=(
        "IAM User Guide, 'aws:Ec2InstanceSourceVpc'",
        "aws-samples, data-perimeter-policy-examples, 'network_perimeter_ec2_scp'",
    ),
)
METADATA_V2 = _rule(
    _of_instances(lambda _: deny("MetadataVersion2", "*", {"NumericLessThan": {"ec2:RoleDelivery": "2.0"}})),
    Words(
        id="metadata-v2",
        title="Instances' credentials come from IMDSv2 only",
        prevents="A web application that can be made to fetch an address (SSRF) hands out no credentials that work.",
        limits="Whoever runs code on the instance can ask IMDSv2 as well.",
        stage=2,
    ),
    references=(
        "IAM User Guide, 'ec2:RoleDelivery'",
        "CloudTrail User Guide, 'userIdentity element' (ec2RoleDelivery)",
    ),
)
API_KEYS_EXPIRE = _rule(
    _longer_lasting_keys,
    Words(
        id="api-keys-expire",
        title=f"New API keys expire within {_DAYS} days",
        prevents="A key that leaked, or that a thief made, invokes models for years; nobody remembers that it is "
        "there.",
        limits="Keys that are there go on. Credentials of CodeCommit and Keyspaces have no expiry and are let through.",
        stage=1,
    ),
    references=(
        "Amazon Bedrock User Guide, 'Control permissions for generating and using Amazon Bedrock API keys'",
        "IAM User Guide, 'IAM and AWS STS condition context keys' (iam:ServiceSpecificCredentialAgeDays)",
    ),
)
KNOWN_REGIONS = _rule(
    _elsewhere,
    Words(
        id="known-regions",
        title="Only the regions that you use can be used",
        prevents="Machines and keys hidden where nobody looks.",
        limits="Services that live in one region for all are let through.",
        stage=2,
    ),
    references=(
        "IAM User Guide, 'AWS: Denies access to AWS based on the requested Region'",
        "AWS Control Tower Controls Reference Guide, 'Deny access to AWS based on the requested AWS Region'",
    ),
)
