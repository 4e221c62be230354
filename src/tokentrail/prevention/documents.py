"""Build policy documents: statements that deny, and conditions that several guardrails share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokentrail.aws.principals import in_conditions, principal_of_arn
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import GuardrailProposal, Words, scp

Json = dict[str, Any]
MOST_NETWORKS = 60
"""Networks in a condition, at most: more would not fit an SCP, and nobody would read them."""
MOST_SPARED = 25
"""Principals that a denial may except; of more, it would neither fit an SCP nor keep anybody from much."""
WITHIN_VPCS = (
    "dax:BatchGetItem", "dax:BatchWriteItem", "dax:ConditionCheckItem", "dax:DeleteItem", "dax:GetItem", "dax:PutItem",
    "dax:Query", "dax:Scan", "dax:UpdateItem", "elasticfilesystem:Client*", "es:ES*", "kafka-cluster:*",
    "neptune-db:*", "rds-db:connect",
)  # fmt: skip
"""
What is asked of machines in a VPC, not of AWS: no network's condition key is there, and no trail shows that it is used.

Source: aws-samples, data-perimeter-policy-examples, 'Network perimeter controls' (what needs an exception to them).
"""
TO_REGISTER = (
    "iam:GetUser", "iam:GetMFADevice", "iam:ListMFADevices", "iam:ListVirtualMFADevices", "iam:EnableMFADevice",
    "iam:CreateVirtualMFADevice", "iam:ResyncMFADevice", "sts:GetSessionToken",
)  # fmt: skip
"""
What somebody without MFA must do to have it, in the console too.

Source: IAM User Guide, 'AWS: Allows MFA-authenticated IAM users to manage their own MFA device on the Security
credentials page'.
"""
AT_SIGN_IN = (
    " Who must change a first or expired password at sign-in can't, unless iam:ChangePassword and "
    "iam:GetAccountPasswordPolicy are excepted too."
)
"""IAM User Guide, 'AWS: Allows MFA-authenticated IAM users to manage their own credentials' (note)."""
NOT_SERVICES: Json = {"aws:PrincipalIsAWSService": "false"}


def policy(*statements: Json) -> Json:
    """A document of the current version."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def deny(
    sid: str, actions: str | Sequence[str], condition: Json | None = None, *, but: Sequence[str] = ()
) -> Json:
    """A statement of an SCP or identity policy; `but` denies all except these."""
    found: Json = {"Sid": sid, "Effect": "Deny"}
    found |= {"NotAction": list(but)} if but else {"Action": actions}
    found |= {"Resource": "*"}
    return found | ({"Condition": condition} if condition else {})


def as_logged(document: Json) -> Json:
    """A simpler document that judges calls of a log alike: `WITHIN_VPCS` are never logged and need no exception."""
    excepted = list(WITHIN_VPCS)
    statements = [
        {name: value for name, value in one.items() if name != "NotAction"} | {"Action": "*"}
        if one.get("NotAction") == excepted
        else one
        for one in document["Statement"]
    ]
    return document | {"Statement": statements}


def distrust(sid: str, condition: Json) -> Json:
    """A denial for a role's trust policy."""
    return {
        "Sid": sid, "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole", "Condition": condition,
    }  # fmt: skip


def principals_that_call(evidence: Evidence, actions: Sequence[str]) -> list[str]:
    """The principals that ordinarily do one of some actions, as conditions spell them."""
    lower = {one.lower() for one in actions}
    found = {way.principal for way in evidence.ordinary(lambda way: bool(lower & set(way.actions)))}
    return sorted({in_conditions(one) for one in found if one and principal_of_arn(one)})


def but_by(able: Sequence[str]) -> Json | None:
    """The condition that the caller is none of some principals; `None` if there are none."""
    return {"ArnNotEquals": {"aws:PrincipalArn": list(able)}} if able else None


def spared_none(able: Sequence[str]) -> str:
    """A sentence for a denial without exceptions, since nobody in the evidence does what it denies; else empty."""
    if able:
        return ""
    return (
        " Nobody did so in the evidence, so that it binds everybody, administrators too: before you attach it, except "
        "a role that may (ArnNotEquals on aws:PrincipalArn)."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The condition that a call comes from other networks, and a sentence about it for the user."""

    condition: Json
    said: str


def elsewhere(networks: Sequence[str], *, inside: bool, evidence: Evidence) -> Network:
    """
    The condition that a call comes from none of some networks, nor through a VPC endpoint that ordinary calls use.

    Source: aws-samples, data-perimeter-policy-examples, 'network perimeter'; IAM User Guide, 'aws:SourceIp' (not
    there for calls through a VPC endpoint), 'aws:SourceVpce'.
    """
    condition: Json = {
        "NotIpAddressIfExists": {"aws:SourceIp": list(networks)},
        "BoolIfExists": {"aws:ViaAWSService": "false"},
    }
    if not inside:
        return Network(
            condition=condition,
            said="Nobody of yours came through a VPC endpoint, so that calls through one are refused too.",
        )
    if 0 < len(evidence.endpoints) <= MOST_NETWORKS:
        condition["StringNotEqualsIfExists"] = {"aws:SourceVpce": list(evidence.endpoints)}
        return Network(
            condition=condition,
            said="The VPC endpoints are those that the records name; add yours if it is not among them.",
        )
    condition["Null"] = {"aws:SourceVpc": "true"}
    count = len(evidence.endpoints)
    named_there = f"{count} VPC endpoints, too many for one policy" if count else "no VPC endpoint"
    return Network(
        condition=condition,
        said=f"The records name {named_there}, so that calls through any VPC are let through: put your VPCs in its "
        "place (StringNotEqualsIfExists on aws:SourceVpc).",
    )


def named(role: str) -> str:
    """The name of a user or role, for titles."""
    return role.rpartition("/")[2]


def everywhere(evidence: Evidence, words: Words, statement: Json) -> tuple[GuardrailProposal]:
    """An SCP of one denial, for all accounts."""
    document = policy(statement)
    return (
        scp(
            words, document, organisations=evidence.organisations, unbound=evidence.unbound, judged=as_logged(document)
        ),
    )  # fmt: skip
