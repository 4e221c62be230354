"""
What records say of a credential, put together in Python as `8_credentials.sql` does in SQL; tests compare the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tokentrail.lineage.busy import SEEN
from tokentrail.lineage.grow import CONSOLE
from tokentrail.lineage.rows import Row

_SESSION = re.compile("arn:.*:sts::.*:assumed-role/.*/.*", re.DOTALL)
_NAMES_SEEN = SEEN[SEEN.index("arn") :]
_OF_ONE_PERSON = ("origin_subject", "origin_issuer")
FROM_ISSUING_CALL = {
    "api": "api", "issue_event": "event_id", "issue_text": "event_id_text", "issue_ip": "ip", "issue_agent": "agent",
    "issue_account": "account",
    "child_arn": "child_arn", "role_arn": "role_arn", "session_name": "session_name", "mfa_serial": "mfa_serial",
    "target": "target", "subject": "subject",
}  # fmt: skip
"""By column of the result, the column of the issuing call that it comes from."""
_BY_CHILD_ID = frozenset({"GetFederationToken", "CreateSession", "GetCredentialsForIdentity"})
"""Calls, besides those that assume a role, whose answer names the principal id."""


def merged(identities: Sequence[Row]) -> dict[str, Any]:
    """
    Merge what the identities of one credential say: of values that differ, the lowest; MFA if any says so.

    A session whose calls name several persons is no one's.
    """
    mfa = [one["mfa"] for one in identities if one["mfa"] is not None]
    account = min((one["account"] for one in identities if one["account"]), default="")
    return {
        "seen_account": account if identities else None,
        "principal_id": min((one["principal_id"] for one in identities if one["principal_id"]), default=None),
        "mfa": any(mfa) if mfa else None,
        **{
            name: min((one[name] for one in identities if one[name] is not None), default=None)
            for name in _NAMES_SEEN
        },
        **{name: _only({one[name] for one in identities} - {None}) for name in _OF_ONE_PERSON},
    }


def _only(values: set[Any]) -> Any:
    return values.pop() if len(values) == 1 else None


def from_records(seen: Mapping[str, Any], call: Row, by: Row | None, *, issued: bool) -> dict[str, Any]:
    """
    The columns of a credential that come from records.

    Args:
        seen: What its uses say, `merged`.
        call: The call that issued it; empty where the evidence holds none.
        by: The identity that made that call.
        issued: Whether the evidence names that identity.
    """
    caller: Row = by or {}
    return {
        **seen,
        "issuer_arn": seen["issuer_arn"]
        if call.get("role_arn")
        else seen["issuer_arn"] or _role_of(seen["arn"]),
        "source_identity": next(
            (one for one in _source_identities(seen, call, caller) if one is not None), None
        ),
        **{name: call.get(column) for name, column in FROM_ISSUING_CALL.items()},
        "child": _child(call, caller),
        "caller_type": caller.get("type") or "" if issued else None,
        "caller_account": caller.get("account") or "" if issued else None,
        "caller_principal": caller.get("principal_id") or "" if issued else None,
        "caller_arn": caller.get("arn"),
        "caller_name": caller.get("user_name"),
        "caller_service": None if caller.get("invoked_by") == CONSOLE else caller.get("invoked_by"),
    }


def _role_of(arn: str | None) -> str | None:
    """The role of a session, by the session's own ARN: it names the role without its path."""
    if arn is None or _SESSION.fullmatch(arn) is None:
        return None
    parts = arn.split(":")
    return f"arn:{parts[1]}:iam::{parts[4]}:role/{arn.split('/')[1]}"


def _source_identities(seen: Mapping[str, Any], call: Row, caller: Row) -> Iterator[str | None]:
    """
    The places where a source identity may stand, the surest first: a chained session has that of the one before.

    Source: IAM User Guide, 'Monitor and control actions taken with assumed roles'.
    """
    yield seen["source_identity"]
    yield call.get("source_identity")
    yield caller.get("source_identity") if call.get("api") == "AssumeRole" else None


def _child(call: Row, caller: Row) -> str | None:
    """The principal id of the issued credential."""
    api = call.get("api")
    if api is None:
        return None
    if api.startswith("AssumeRole") or api in _BY_CHILD_ID:
        return call["child_id"] or ""
    if api == "AssumeRoot":
        return call["target"] or ""
    return call["child_id"] if call["child_id"] is not None else caller.get("principal_id") or ""
