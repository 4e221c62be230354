"""
Whom an IAM thing belongs to, and whether that user or role is there at all: what is gone needs no denial.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tokentrail.containment.cloud import CallFailed, Cloud
from tokentrail.containment.model import Call

Owner = Literal["User", "Role"]
_LOOK: dict[Owner, str] = {"User": "GetUser", "Role": "GetRole"}


def owner_gone(account: str, owner: Owner, name: str, cloud: Cloud) -> bool:
    """
    Tell whether a user or role is no more; one that may not be looked at is taken to be there.

    Sources: IAM API Reference, 'GetUser' and 'GetRole', which answer NoSuchEntity for what does not exist.

    Raises:
        CallFailed: it can't be told.
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
    Make sure that a key which a user does not have is not another's, since an attacker may rename the user.

    Source: IAM API Reference, 'GetAccessKeyLastUsed', which names the user that owns a key.

    Raises:
        CallFailed: the key is there under another name, or AWS does not answer.
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
    """Say that something is gone, and what follows; of a user, whom IAM alone can rename, what else it may mean."""
    said = f"there is no {what} any more, and what is gone needs no denial"
    renamed = "; if it was renamed (UpdateUser), it lives on: then ingest newer logs and plan again"
    return said + renamed if what.startswith("user ") else said


def taken_from(present: Mapping[str, Any], original: Mapping[str, Any]) -> str | None:
    """Say what a user had and has no more; policies of ours, which are told by themselves, left out."""
    lists = {member: was for member, was in original.items() if isinstance(was, list)}
    found = [
        f"{member.replace('_', ' ')} {', '.join(gone)}"
        for member, was in lists.items()
        if (gone := [one for one in was if one not in present.get(member, ()) and "TokenTrail-" not in one])
    ]
    found += ["its password"] if original.get("login_profile") and not present.get("login_profile") else []
    told = f"its deletion was broken off after it took {'; '.join(found)}: put back by hand what must be"
    return told if found else None
