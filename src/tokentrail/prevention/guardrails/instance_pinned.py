"""An instance's credentials work from its own VPC only."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.alike import NO_INSTANCE, everywhere
from tokentrail.prevention.documents import WITHIN_VPCS, deny
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade

_IDENTITY_ONLY = "aws:ec2-infrastructure"
"""
By this role EC2 itself opens an instance's encrypted volumes, from AWS's network. SCPs bind it, and it must be spared:
else no instance with an encrypted volume starts (Amazon EBS User Guide, 'Requirements for Amazon EBS encryption').
"""


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Compare the VPC of the call with that of the instance which the credentials were given to."""
    if not any(way.ec2 is not None for way in evidence.ways):
        return NO_INSTANCE
    denial = deny(
        "InstancesFromTheirVpc", "*",
        {
            "StringNotEquals": {"aws:SourceVpc": "${aws:Ec2InstanceSourceVpc}"},
            "Null": {"ec2:SourceInstanceARN": "false"},
            "BoolIfExists": {"aws:ViaAWSService": "false"},
            "ArnNotLike": {"aws:PrincipalArn": f"arn:{evidence.partition}:iam::*:role/{_IDENTITY_ONLY}"},
        },
        but=WITHIN_VPCS,
    )  # fmt: skip
    return everywhere(evidence, WORDS, denial)


WORDS = Words(
    id="instance-pinned",
    title="Instances' credentials work from their own VPC only",
    prevents="What was read from the metadata service works nowhere else, not even in another account's VPC.",
    limits="Calls to services without an endpoint in the VPC are refused, as is all that goes out through NAT or a "
    "public address; the log does not tell a private call's VPC. Whoever is on the host goes on.",
    stage=3,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="scp",
    references=(
        "IAM User Guide, 'aws:Ec2InstanceSourceVpc'",
        "aws-samples, data-perimeter-policy-examples, 'network_perimeter_ec2_scp'",
    ),
    make=make,
)
