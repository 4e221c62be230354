"""The changes to IAM and Organizations that can end a credential, by the account in which they were made."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

import pyarrow as pa

from tokentrail.store.interface import Engine

_EDITS = """
SELECT c.*, CASE WHEN i.type = 'IAMUser' THEN i.user_name END AS caller_user,
       coalesce(c.account, i.account) AS in_account,
       CASE WHEN c.source = 'organizations.amazonaws.com' THEN '' ELSE coalesce(c.account, i.account, '') END AS part
FROM {some_changes} c LEFT JOIN {some_identities} i ON i.segment = c.segment AND i.identity = c.identity
WHERE c.source IN ('iam.amazonaws.com', 'organizations.amazonaws.com') AND NOT EXISTS (
  SELECT 1 FROM duplicates l WHERE l.segment = c.segment AND l.object = c.object AND l.ordinal = c.ordinal)"""
"""`part` is the account of each. It is empty for those of Organizations, which bear on many accounts, and for those of
which no account is known, which may bear on any."""


class Edits:
    """The changes of a case, whose table is `edits`: worked out when first asked for, and kept with its layers."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        """Look at a case, by its engine and its derived folder."""
        self._engine = engine
        self._folder = folder
        self._known = False

    def know(self) -> None:
        """Make sure that the tables are there."""
        if not self._known:
            self._engine.keep_apart("edits", _EDITS, self._folder, "part, time")
            self._known = True

    def of(self, accounts: Set[str]) -> pa.Table:
        """Those that bear on some accounts."""
        self.know()
        return self._engine.ranges("edits", "part", [(part, part) for part in sorted({"", *accounts})])
