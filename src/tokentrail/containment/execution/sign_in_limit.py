"""
How long sign-in sessions of a user or role may last, asked of its account, so that `undo` need not wait ninety days.

A sign-in session lasts twelve hours, or as long as its user or role is allowed (`MaxSigninSessionDuration`, up to
ninety days). A new setting leaves established sessions as they are, so that the present one says nothing about them. So
it is read when the plan is carried out, and before it is relied upon, CloudTrail is asked whether it was changed in the
ninety days before `undo`: what was established earlier is over.
Sources: IAM API Reference, 'GetRole', 'UpdateRole', 'GetLoginProfile', 'UpdateLoginProfile'; AWS CloudTrail API
Reference, 'LookupEvents' (management events of the last ninety days).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from tokentrail.aws.principals import Principal, caseless, principal_of_arn
from tokentrail.containment.execution.cloud import CallFailed, Cloud
from tokentrail.containment.incident.credential_sources import SIGN_IN
from tokentrail.containment.model import Call

USUAL = timedelta(hours=12)
"""The longest sign-in session where nothing is set (AWS Sign-In User Guide; IAM User Guide, 'Enabling custom identity
broker access to the AWS console')."""
_SETTING = "MaxSigninSessionDuration"
_CHANGES: Mapping[str, tuple[str, ...]] = {
    "role": ("UpdateRole",), "user": ("UpdateLoginProfile", "CreateLoginProfile", "UpdateUser"), "root": (),
}  # fmt: skip
"""
By kind of principal: calls that may change the setting. Root has none.

What a new login profile replaced is not known, nor what was set for a user under another name.
"""
_REGIONS = {"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""Where events of IAM are recorded, if not in us-east-1 (CloudTrail User Guide, 'Global service events')."""


def read_limit(arn: str, cloud: Cloud) -> timedelta | None:
    """Read how long sign-in sessions of a user or role may last by its present setting; `None` if that is not told."""
    principal = principal_of_arn(arn)
    if principal is None or principal.kind not in _CHANGES:
        return None
    if principal.is_root:
        return USUAL
    role = principal.kind == "role"
    asked = Call(
        account=principal.account, service="iam", operation="GetRole" if role else "GetLoginProfile",
        parameters={"RoleName" if role else "UserName": principal.name},
    )  # fmt: skip
    try:
        found = cloud.send(asked).body.get("Role" if role else "LoginProfile")
    except CallFailed:
        return None
    if not isinstance(found, Mapping):
        return None
    seconds = found.get(_SETTING)
    if seconds is None:
        return USUAL
    return max(USUAL, timedelta(seconds=seconds)) if isinstance(seconds, int) and seconds < 1 << 31 else None


def is_unchanged(arn: str, cloud: Cloud, until: datetime, now: datetime) -> bool:
    """
    Whether CloudTrail shows that nobody has changed the setting from ninety days ago to a time.

    Raises:
        CallFailed: it can't be asked.
    """
    principal = principal_of_arn(arn)
    if principal is None or principal.kind not in _CHANGES:
        return False
    return not any(
        _changes(event, principal)
        for name in _CHANGES[principal.kind]
        for event in _events(principal, name, cloud, now - SIGN_IN, until)
    )


def _events(principal: Principal, name: str, cloud: Cloud, since: datetime, until: datetime) -> Iterator[Any]:
    asked = Call(
        account=principal.account, service="cloudtrail", operation="LookupEvents",
        region=_REGIONS.get(_partition(principal.account, cloud), "us-east-1"),
        parameters={
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}],
            "StartTime": since, "EndTime": until,
        },
    )  # fmt: skip
    yield from cloud.listed(asked, "Events")


def _partition(account: str, cloud: Cloud) -> str:
    return cloud.caller(account).partition


def _changes(event: Any, principal: Principal) -> bool:
    """Whether an event may have changed the setting of a principal; one that can't be read may have."""
    try:
        record = json.loads(event["CloudTrailEvent"])
        asked = record.get("requestParameters") or {}
        renamed = record.get("eventName") == "UpdateUser"
        name = asked.get("roleName" if principal.kind == "role" else "newUserName" if renamed else "userName")
        another = isinstance(name, str) and caseless(name) != caseless(principal.name)
        if another or record.get("errorCode") is not None:
            return False
        if record.get("eventName") in ("CreateLoginProfile", "UpdateUser"):
            return name is not None
        return any("signinsession" in member.lower() for member in asked)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return True
