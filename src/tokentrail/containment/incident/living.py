"""The credentials of a plan's principals that have not expired, the attacker's and others'."""

from __future__ import annotations

from collections.abc import Iterable, Set

from tokentrail.aws.principals import PARTITIONS, Principal, arn_of
from tokentrail.lineage import rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.rows import Row

ACTING_AS = """
split_part(coalesce(issuer_arn, role_arn, arn, caller_arn), '/', -1) IN (SELECT unnest(?))
OR split_part(coalesce(arn, child_arn, caller_arn), '/', -1) IN (SELECT unnest(?))
OR split_part(coalesce(arn, child_arn, caller_arn), '/', -2) IN (SELECT unnest(?))"""
"""Of what was never used and is its caller's own, as a scoped child is, only the ARN of a session may tell the role."""
_OR_MADE_FOR = "OR arn IS NULL AND created_what = 'access_key' AND created_owner IN (SELECT unnest(?))"
"""For a key that was never used, the evidence has no ARN but that of whoever made it."""


def accounts_of(some: Iterable[Principal]) -> Set[str]:
    """The accounts in which to look for ARNs of some principals; none, which means all, if one is not known."""
    found = {one.account for one in some}
    return frozenset() if "" in found else found


def living_of(forest: Forest, reached: Iterable[Principal]) -> list[Row]:
    """The described rows of the credentials of some principals that have not expired."""
    wanted = set(reached)
    roots = {arn_of(one, partition) for one in wanted if one.is_root for partition in PARTITIONS}
    names = sorted({one.name for one in wanted if not one.is_root} | roots)
    alive = f"f.expires_at IS NULL OR f.expires_at > {int(forest.as_of.timestamp())}"
    found = forest.called_rows(
        names, f"{ACTING_AS}\n{_OR_MADE_FOR}", (names,) * 4, alive, accounts_of(wanted)
    )
    return [row for row in found if rows.caller(row).acts_as in wanted]


def federated_in(forest: Forest, reached: Set[Principal]) -> list[Row]:
    """Federation tokens of other users, which an SCP against a user or root of the same account denies too."""
    accounts = {one.account for one in reached if one.kind in ("user", "root")}
    found = forest.rows("kind = 'federation_token' AND expires_at > ?", (int(forest.as_of.timestamp()),))
    users = [(row, rows.caller(row).acts_as) for row in found]
    return [row for row, user in users if user.account in accounts and user not in reached]
