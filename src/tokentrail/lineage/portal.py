"""
What IAM Identity Center's access portal gave to people for accounts of which the case has no log.

The directory's own log tells which account's and permission set's credentials somebody was given; the session itself
shows in the log of that account alone.
Source: IAM Identity Center User Guide, 'IAM Identity Center information in CloudTrail' (`GetRoleCredentials`, and
`Federate` where somebody goes on to the console; both name account and permission set in `serviceEventDetails`).
"""

from __future__ import annotations

from collections.abc import Collection, Set

from tokentrail.lineage.model import Gap
from tokentrail.lineage.rows import moment
from tokentrail.lineage.segment_tables import rows_with
from tokentrail.store.interface import Engine

_ADDRESSES = 3


class Portal:
    """Looks up what it gave to whom."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine that knows the derived database."""
        self._engine = engine

    def unlogged(self, people: Collection[str], covered: Set[str | None]) -> tuple[Gap, ...]:
        """For some people, by their ids in the directory: which accounts they were let into that are not covered."""
        found: dict[tuple[str, str, str], list[tuple[int, int, str]]] = {}
        for row in rows_with(self._engine, "portal_sessions", people).to_pylist():
            account, _, role = row["target"].partition("/")
            if account not in covered:
                found.setdefault((account, role, row["person"]), []).append(
                    (row["first"], row["last"], row["ip"])
                )
        return tuple(_gap(*one, seen) for one, seen in sorted(found.items()))


def _gap(account: str, role: str, person: str, seen: list[tuple[int, int, str]]) -> Gap:
    addresses = sorted({ip for _, _, ip in seen if ip})
    listed = ", ".join(addresses[:_ADDRESSES]) + (" and others" if len(addresses) > _ADDRESSES else "")
    return Gap(
        account=account,
        region=None,
        start=moment(min(first for first, _, _ in seen)),
        end=moment(max(last for _, last, _ in seen)),
        why=f"the access portal gave {person} credentials of {role} in this account{listed and f', from {listed}'} "
        "(GetRoleCredentials, Federate); the case has no log of the account, so that their session shows nowhere",
    )
