"""An instance's credentials work from its own VPC only."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.documents import deny, policy
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words, scp
from tokentrail.prevention.rule import Maker, Nothing


def make(evidence: Evidence) -> Iterable[Proposal] | Nothing:
    """Compare the VPC of the call with that of the instance which the credentials were given to."""
    if not any(way.ec2 is not None for way in evidence.ways):
        return Nothing("no instance's credentials are in the evidence")
    document = policy(
        deny(
            "InstancesFromTheirVpc", "*",
            {
                "StringNotEquals": {"aws:SourceVpc": "${aws:Ec2InstanceSourceVpc}"},
                "Null": {"ec2:SourceInstanceARN": "false"},
                "BoolIfExists": {"aws:ViaAWSService": "false"},
            },
        )
    )  # fmt: skip
    return (scp(WORDS, document, organisations=evidence.organisations, unbound=evidence.unbound),)


WORDS = Words(
    id="instance-pinned",
    title="Instances' credentials work from their own VPC only",
    prevents="What was read from the metadata service works nowhere else, not even in another account's VPC.",
    limits="Calls to services without an endpoint in the VPC are refused, as is all that goes out through NAT "
    "or a public "
    "address; the log does not tell a private call's VPC. Whoever is on the host goes on.",
    stage=3,
)
GUARDRAIL = Maker(
    words=WORDS,
    kind="scp",
    references=("IAM User Guide, 'aws:Ec2InstanceSourceVpc'",),
    make=make,
)
