"""
Which credentials of a simulated AWS are the attacker's, once some are: an answer of the judge's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from oracle.evaluator import listed
from oracle.held import Held
from oracle.simulated import Made, Simulated


def stolen(aws: Simulated, subjects: Iterable[str]) -> frozenset[str]:
    """
    Follow a theft: what stolen credentials minted and made, what acts through that, and so on.

    Whoever acts as a user or role that they created, by a password or trust that they set, or on a host that
    they started or gave other code, is theirs too.
    """
    found = set(subjects)
    while True:
        theirs = [made for made in aws.made if made.by in found]
        more = {
            one.id
            for one in aws.credentials.values()
            if aws.parents[one.id] in found or any(_through(made, one, aws) for made in theirs)
        }
        if more <= found:
            return frozenset(found)
        found |= more


def _through(made: Made, one: Held, aws: Simulated) -> bool:
    """Tell whether a credential came to be through something made."""
    since = one.begins is not None and one.begins >= made.at
    if made.kind in ("user", "role"):
        return one.entity == made.what and (since or one.begins is None)
    if made.kind == "password":
        return one.entity == made.what and aws.origins[one.id] == "console_sign_in" and since
    if made.kind == "host":
        return one.session_name == made.what and one.kind == "service_role" and since
    return one.entity == made.what and since and _is_outsiders(one, aws)


def _is_outsiders(one: Held, aws: Simulated) -> bool:
    parent = aws.credentials.get(aws.parents[one.id] or "")
    return one.kind == "assumed_role" and parent is None


def outsiders(aws: Simulated, tainted: frozenset[str]) -> Iterator[Held]:
    """
    List principals of accounts that the evidence does not know, whom stolen credentials let into a role.
    """
    ours = {one.account for one in aws.credentials.values()}
    roles = {made.what for made in aws.made if made.kind in ("role", "trust") and made.by in tainted}
    for role in sorted(roles):
        document = aws.settings.now(("trust", role), aws.at)
        for statement in listed(json.loads(str(document))["Statement"]) if document else ():
            principal = statement.get("Principal")
            named = listed(principal.get("AWS", [])) if isinstance(principal, dict) else [principal]
            for text in named:
                account = text if text.isdigit() else "999999999999" if text == "*" else text.split(":")[4]
                if account not in ours:
                    arn = text if "/" in text else f"arn:aws:iam::{account}:role/Outsider"
                    yield Held(
                        id=arn, kind="outsider", account=account, entity=arn, speaker=arn, principal=arn,
                        userid="AROAOUTSIDER:x", type="AssumedRole",
                        how=(f"{arn} lies outside, and {role.rpartition('/')[2]} was made to trust it",),
                    )  # fmt: skip
