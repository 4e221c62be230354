"""
An index of roles by the principals that their trust policies may let in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tokentrail.policy.arn import Identity
from tokentrail.policy.document import Malformed
from tokentrail.policy.holders import Role
from tokentrail.policy.trust import Principals, Who


class TrustIndex:
    """Roles by the principals that their trust policies may let in, so that only those roles are judged."""

    def __init__(self, roles: Iterable[Role]) -> None:
        """Index some roles."""
        self._by_account: dict[str, list[Role]] = defaultdict(list)
        self._by_identity: dict[Identity, list[Role]] = defaultdict(list)
        self._by_unique_id: dict[str, list[Role]] = defaultdict(list)
        self._anyone: list[Role] = []
        for role in roles:
            self._by_identity[role.identity].append(role)
            for principals in () if isinstance(role.trust, Malformed) else role.trust.naming():
                self._enter(role, principals)
            if isinstance(role.trust, Malformed):
                self._anyone.append(role)

    def _enter(self, role: Role, principals: Principals) -> None:
        if principals.anyone or principals.inverted or principals.unclear:
            self._anyone.append(role)
        for account in principals.accounts:
            self._by_account[account].append(role)
        for identity in principals.identities | {one for one, _ in principals.sessions}:
            self._by_identity[identity].append(role)
        for unique_id in principals.unique_ids:
            self._by_unique_id[unique_id].append(role)

    def candidates(self, who: Who) -> tuple[list[Role], list[Role]]:
        """
        Find every role whose trust policy may let a principal in, and the principal's own.

        The second list has the roles that only trust its account, so that identity policies must allow the call.
        """
        ids = self._by_unique_id
        gone = (
            ids.get(who.unique_id, [])
            if who.unique_id
            else [role for roles in ids.values() for role in roles]
        )
        named = {role.arn: role for role in (*self._anyone, *self._by_identity.get(who.identity, ()), *gone)}
        account = {role.arn: role for role in self._by_account.get(who.identity.account, ())}
        return list(named.values()), [role for arn, role in account.items() if arn not in named]
