"""A theft whose way on is barred by one deny alone, and conditions of that deny that the attacker can escape, or not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tokentrail.testing import Credential, LongTermKey, World

HOME, MANAGEMENT = "111122223333", "999988887777"
START = datetime(2026, 11, 23, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Conditions = Mapping[str, Mapping[str, object]]


def document(*conditions: Conditions) -> str:
    """A deny of everything, a statement for each condition."""
    statements = [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": one} for one in conditions]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def epoch(minutes: int) -> str:
    """So many minutes after the start, in seconds since 1970."""
    return str(int((START + minutes * MINUTE).timestamp()))


def theft(**assumed: Any) -> tuple[World, LongTermKey, Credential]:
    """A stolen key and its session of Deploy."""
    world = World(START)
    key = world.user("support")
    session = key.assumes("Deploy", "x", **assumed)
    session.calls("s3:ListBuckets")
    world.wait(minutes=30)
    key.calls("s3:ListBuckets")
    return world, key, session


def on_role(world: World, text: str) -> None:
    """Write a policy into the role."""
    world.user("admin").iam("PutRolePolicy", roleName="Deploy", policyName="Guard", policyDocument=text)


def on_user(world: World, text: str) -> None:
    """Write a policy into the user."""
    world.user("admin").iam("PutUserPolicy", userName="support", policyName="Guard", policyDocument=text)


def as_boundary(world: World, text: str) -> None:
    """Make a policy the role's permissions boundary."""
    admin, arn = world.user("admin"), f"arn:aws:iam::{HOME}:policy/Guard"
    admin.iam("CreatePolicy", policyName="Guard", policyDocument=text)
    admin.iam("PutRolePermissionsBoundary", roleName="Deploy", permissionsBoundary=arn)


def in_organisation(world: World, text: str) -> None:
    """Attach a service control policy to the account, as the management account's log shows it."""
    admin = world.user("governor", account=MANAGEMENT)
    wanted = {"content": text, "name": "Guard", "type": "SERVICE_CONTROL_POLICY"}
    answer = {"policy": {"policySummary": {"id": "p-guard"}}}
    admin.calls("organizations:CreatePolicy", wanted, response=answer, read_only=False)
    admin.calls("organizations:AttachPolicy", {"policyId": "p-guard", "targetId": HOME}, read_only=False)


PLACES = {"role": on_role, "boundary": as_boundary, "organisation": in_organisation, "user": on_user}


ANYWHERE: dict[str, Conditions] = {
    "unless MFA is present": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
    "unless MFA is fresh": {"NumericGreaterThanIfExists": {"aws:MultiFactorAuthAge": "3600"}},
    "unless MFA is old": {"NumericLessThanIfExists": {"aws:MultiFactorAuthAge": "600"}},
    "where MFA is absent": {"Null": {"aws:MultiFactorAuthAge": "true"}},
    "unless tagged": {"StringNotEquals": {"aws:PrincipalTag/team": "ops"}},
    "unless from an address": {"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "203.0.113.0/24"]}},
    "from an address": {"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}},
    "unless through an endpoint": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}},
    "unless through an account's endpoint": {"StringNotEquals": {"aws:VpceAccount": HOME}},
    "unless through an organisation's endpoint": {"StringNotEquals": {"aws:VpceOrgID": "o-1"}},
    "unless through a unit's endpoint": {"ForAllValues:StringNotLike": {"aws:VpceOrgPaths": "o-1/r-1/ou-1/*"}},
    "unless in a VPC": {"ArnNotLike": {"aws:SourceVpcArn": f"arn:aws:ec2:*:{HOME}:vpc/vpc-1"}},
    "unless in a VPC and from an address": {
        "StringNotEquals": {"aws:SourceVpc": "vpc-1"}, "NotIpAddress": {"aws:VpcSourceIp": "10.0.0.0/8"}
    },
    "unless with a tool": {"StringNotLike": {"aws:UserAgent": "aws-cli/*"}},
    "unless in a region": {"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}},
    "unless through a service": {"Bool": {"aws:ViaAWSService": "false"}},
    "until the afternoon": {"DateLessThan": {"aws:CurrentTime": "2026-11-23T15:00:00Z"}},
    "within a window, in epoch seconds": {
        "DateGreaterThan": {"aws:EpochTime": epoch(0)}, "NumericLessThan": {"aws:EpochTime": epoch(90)}
    },
    "but at night": {"DateNotEquals": {"aws:CurrentTime": "2026-11-24T02:00:00+01:00"}},
    "issued before a second, in epoch seconds": {"DateLessThan": {"aws:TokenIssueTime": epoch(25)}},
    "issued on an earlier day": {"DateLessThan": {"aws:TokenIssueTime": "2026-11-23"}},
}  # fmt: skip
"""Conditions that choices escape, whether the deny is on a user or on a role."""
IN_ROLES: dict[str, Conditions] = {
    "unless a source identity is one": {"StringNotEquals": {"aws:SourceIdentity": "ria"}},
    "where no source identity is set": {"Null": {"aws:SourceIdentity": "true"}},
    "unless a source identity is the thief's": {
        "StringNotLike": {"aws:SourceIdentity": "${aws:PrincipalTag/who, 'ria'}"}
    },
    "unless under a name": {"StringNotLike": {"aws:userid": "*:ria"}},
}
"""Conditions that choices escape where the deny is on a role."""
FIRM: dict[str, Conditions] = {
    "whatever is chosen": {},
    "once a day is past": {"DateGreaterThan": {"aws:CurrentTime": "2026-11-01"}},
    "once a second is past": {"NumericGreaterThan": {"aws:EpochTime": "1700000000"}},
    "issued before next year": {"DateLessThanIfExists": {"aws:TokenIssueTime": "1924992000"}},
    "in this account": {"StringEquals": {"aws:PrincipalAccount": HOME}},
    "unless an AWS root task": {"BoolIfExists": {"aws:AssumedRoot": "false"}},
}
"""Conditions that no choice escapes."""
