"""Roles of instances whose credentials work anywhere."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.formatting import short
from tokentrail.policy.language.context import PRESENT, Known
from tokentrail.policy.language.documents import Malformed
from tokentrail.prevention.estate import HOUR, Estate, finding
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "instance-roles-roam"
_LIFE = 6 * HOUR
"""What an instance is handed lives about six hours (Amazon EC2 User Guide, 'IAM roles for Amazon EC2')."""


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Take each role for instances whose stolen credentials no policy stops."""
    stolen: dict[str, Known] = {
        "aws:tokenissuetime": PRESENT, "ec2:sourceinstancearn": PRESENT, "ec2:roledelivery": ("2.0",),
        "aws:ec2instancesourcevpc": ("vpc-0123456789abcdef0",), "aws:ec2instancesourceprivateipv4": ("10.255.255.254",),
    }  # fmt: skip
    for role in estate.roles:
        if isinstance(role.trust, Malformed) or "ec2.amazonaws.com" not in role.trust.services:
            continue
        if estate.stops(role, stolen):
            continue
        yield finding(
            _NAME, CHECK.title, "medium", role.arn,
            why=f"No policy ties credentials that an instance got for {short(role.arn)} to the instance's VPC.",
            attack=CHECK.attack, whence=(role.arn,), whither=(role.arn,), lives=_LIFE,
            fix="Attach the SCP of guardrail instance-pinned, and ask for IMDSv2.",
        )  # fmt: skip


CHECK = Check(
    id=_NAME,
    title="An instance's credentials work off its VPC",
    severity="medium",
    attack="What a web application is tricked into fetching from the metadata service works at the thief's for six "
    "hours, and again as long as the hole is open.",
    blocked="policies deny such a credential, from outside, what a thief tries",
    needs="snapshot",
    references=("IAM User Guide, 'aws:Ec2InstanceSourceVpc'",),
    find=find,
)
