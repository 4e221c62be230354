"""
Whether the user or role that an IAM thing belongs to still exists: what does not exist needs no deny.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tokentrail.containment.execution.cloud import CallFailed, Cloud
from tokentrail.containment.model import Call

Owner = Literal["User", "Role"]
_LOOK: dict[Owner, str] = {"User": "GetUser", "Role": "GetRole"}


def owner_gone(account: str, owner: Owner, name: str, cloud: Cloud) -> bool:
    """
    Whether a user or role does not exist; one that we may not read is assumed to exist.

    Sources: IAM API Reference, 'GetUser' and 'GetRole', which answer NoSuchEntity for what does not exist.

    Raises:
        CallFailed: AWS did not say.
    """
    call = Call(account=account, service="iam", operation=_LOOK[owner], parameters={f"{owner}Name": name})
    try:
        cloud.send(call)
    except CallFailed as failure:
        if failure.kind not in ("missing", "denied"):
            raise
        return failure.kind == "missing"
    return False


def insist_on_name(account: str, user: str, access_key_id: str, cloud: Cloud) -> None:
    """
    Check that a key that was not found with its user does not belong to another name: an attacker may rename users.

    Source: IAM API Reference, 'GetAccessKeyLastUsed', which names the user that owns a key.

    Raises:
        CallFailed: the key belongs to a user of another name, or AWS does not answer.
    """
    asked = {"AccessKeyId": access_key_id}
    try:
        owner = cloud.send(
            Call(account=account, service="iam", operation="GetAccessKeyLastUsed", parameters=asked)
        )
    except CallFailed as failure:
        if failure.kind in ("unanswered", "throttled"):
            raise
        return  # there is no such key, or nobody may ask
    name = owner.body.get("UserName")
    if name not in (None, user):
        raise CallFailed(
            "refused", "UserRenamed", f"access key {access_key_id} is there, and its user {user} is called {name} by "
            "now: ingest newer logs and plan again",
        )  # fmt: skip


def no_more(what: str) -> str:
    """Say that something does not exist and needs no deny; of a user, that it may have been renamed instead."""
    said = f"there is no {what} any more, and what is gone needs no denial"
    renamed = "; if it was renamed (UpdateUser), it lives on: then ingest newer logs and plan again"
    return said + renamed if what.startswith("user ") else said


def taken_from(present: Mapping[str, Any], original: Mapping[str, Any]) -> str | None:
    """Say what a user no longer has, without TokenTrail's policies, which are reported by themselves."""
    lists = {member: was for member, was in original.items() if isinstance(was, list)}
    found = [
        f"{member.replace('_', ' ')} {', '.join(gone)}"
        for member, was in lists.items()
        if (gone := [one for one in was if one not in present.get(member, ()) and "TokenTrail-" not in one])
    ]
    found += ["its password"] if original.get("login_profile") and not present.get("login_profile") else []
    told = f"its deletion was broken off after it took {'; '.join(found)}: put back by hand what must be"
    return told if found else None
