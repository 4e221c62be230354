"""
Which credentials of a simulated AWS are the attacker's, once some are: an answer of the judge's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from oracle.credentials import HeldCredential
from oracle.policy_evaluator import listed
from oracle.simulated_aws import EntryPoint, SimulatedAws


def tainted_ids(aws: SimulatedAws, subjects: Iterable[str]) -> frozenset[str]:
    """
    Follow a theft: what stolen credentials minted and made, what acts through that, and so on.

    Whoever acts as a user or role that they created, by a password or trust that they set, or on a host that
    they started or gave other code, is theirs too.
    """
    found = set(subjects)
    while True:
        theirs = [entry_point for entry_point in aws.entry_points if entry_point.by in found]
        more = {
            one.id
            for one in aws.credentials.values()
            if aws.parents[one.id] in found or any(_through(entry_point, one, aws) for entry_point in theirs)
        }
        if more <= found:
            return frozenset(found)
        found |= more


def _through(entry_point: EntryPoint, one: HeldCredential, aws: SimulatedAws) -> bool:
    """Tell whether a credential came to be through something made."""
    since = one.begins is not None and one.begins >= entry_point.at
    if entry_point.kind in ("user", "role"):
        return one.identity_arn == entry_point.what and (since or one.begins is None)
    if entry_point.kind == "password":
        return one.identity_arn == entry_point.what and aws.origins[one.id] == "console_sign_in" and since
    if entry_point.kind == "host":
        return one.session_name == entry_point.what and one.kind == "service_role" and since
    return one.identity_arn == entry_point.what and since and _is_outsiders(one, aws)


def _is_outsiders(one: HeldCredential, aws: SimulatedAws) -> bool:
    parent = aws.credentials.get(aws.parents[one.id] or "")
    return one.kind == "assumed_role" and parent is None


def external_principals(aws: SimulatedAws, tainted: frozenset[str]) -> Iterator[HeldCredential]:
    """
    List principals of accounts that the evidence does not know, whom stolen credentials let into a role.
    """
    ours = {one.account for one in aws.credentials.values()}
    roles = {
        entry_point.what
        for entry_point in aws.entry_points
        if entry_point.kind in ("role", "trust") and entry_point.by in tainted
    }
    for role in sorted(roles):
        document = aws.iam.now(("trust", role), aws.at)
        for statement in listed(json.loads(str(document))["Statement"]) if document else ():
            principal = statement.get("Principal")
            named = listed(principal.get("AWS", [])) if isinstance(principal, dict) else [principal]
            for text in named:
                account = text if text.isdigit() else "999999999999" if text == "*" else text.split(":")[4]
                if account not in ours:
                    arn = text if "/" in text else f"arn:aws:iam::{account}:role/Outsider"
                    yield HeldCredential(
                        id=arn, kind="outsider", account=account, identity_arn=arn, principal_arn=arn, principal=arn,
                        userid="AROAOUTSIDER:x", type="AssumedRole",
                        history=(f"{arn} lies outside, and {role.rpartition('/')[2]} was made to trust it",),
                    )  # fmt: skip
