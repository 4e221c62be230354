"""
Which of a user's API keys may have made calls whose records show no key id.

`4_credentials.sql` gives such calls to a key where only one of the user's can have made them. Where several can, they
stay a credential of their own (`events.bearer`), and its detail names those that the evidence shows.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from tokentrail.aws.principals import caseless
from tokentrail.events.bearer import BEARER_KEY
from tokentrail.lineage.rows import Row
from tokentrail.policy.history.changes import Change

CHANGES = frozenset({
    "CreateServiceSpecificCredential", "ResetServiceSpecificCredential", "UpdateServiceSpecificCredential",
    "DeleteServiceSpecificCredential",
})  # fmt: skip
"""The calls to IAM that make, change or delete an API key."""
_STILL_WORKS = 60
"""Seconds for which a key that was closed may still work, as in `4_credentials.sql`."""
_Key = tuple[str, str]
"""Account and id."""


def is_keyless(row: Row) -> bool:
    """Whether a described row stands for calls with an API key whose records show no key id."""
    return str(row["id"]).startswith(BEARER_KEY)


def with_candidates(found: Iterable[Row], changes: Iterable[Change]) -> list[Row]:
    """
    Rows of keyless calls, each with the ids of the API keys that may have made them (`candidates`).

    Args:
        found: The rows, for which `is_keyless` holds.
        changes: The changes that `CHANGES` names, of the accounts of these rows.
    """
    by_key: dict[_Key, list[Change]] = defaultdict(list)
    for one in changes:
        if key_id := _key_id(one):
            by_key[one.account, key_id].append(one)
    return [{**row, "candidates": sorted(_of(row, by_key))} for row in found]


def _of(row: Row, by_key: dict[_Key, list[Change]]) -> Iterable[str]:
    service = str(row["id"]).split(":")[1]
    user = caseless(str(row["arn"] or "").rpartition("/")[2])
    account = row["seen_account"] or row["key_account"]
    for (where, key_id), changes in by_key.items():
        users = {caseless(one) for change in changes if (one := _told(change, "userName"))}
        services = {one.partition(".")[0] for change in changes if (one := _told(change, "serviceName"))}
        if where == account and users == {user} and services <= {service} and _worked(changes, row):
            yield key_id


def _key_id(change: Change) -> str | None:
    return _told(change, "serviceSpecificCredentialId")


def _told(change: Change, name: str) -> str | None:
    return change.asked(name) or change.answered("serviceSpecificCredential", name)


def _worked(changes: Iterable[Change], row: Row) -> bool:
    """Whether a key worked at some time between the first and the last of the calls."""
    first, last = row["first"] or -math.inf, row["last"] or math.inf
    since: float | None = -math.inf
    for one in sorted(changes, key=lambda one: one.order):
        time = one.time.timestamp()
        closes = one.event_name.startswith("Delete") or (one.asked("status") or "Active") != "Active"
        if one.event_name.startswith("Create"):
            since = time
        elif closes and since is not None:
            if since <= last and time + _STILL_WORKS >= first:
                return True
            since = None
        elif not closes and since is None:
            since = time
    return since is not None and since <= last
