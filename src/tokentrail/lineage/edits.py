"""The changes to IAM and Organizations that can end a credential, by the account in which they were made."""

from __future__ import annotations

from collections.abc import Mapping, Set
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa

from tokentrail.errors import CaseError
from tokentrail.lineage.idle import IAM, tells_all, without_idle
from tokentrail.lineage.rows import listed
from tokentrail.store.interface import Engine

_EDITS = """
SELECT c.*, CASE WHEN i.type = 'IAMUser' THEN i.user_name END AS caller_user,
       coalesce(c.account, i.account) AS in_account,
       CASE WHEN c.source = 'organizations.amazonaws.com' THEN '' ELSE coalesce(c.account, i.account, '') END AS part
FROM {some_changes} c LEFT JOIN {some_identities} i ON i.segment = c.segment AND i.identity = c.identity
WHERE c.source IN ('iam.amazonaws.com', 'organizations.amazonaws.com') AND NOT EXISTS (
  SELECT 1 FROM losers l WHERE l.segment = c.segment AND l.object = c.object AND l.ordinal = c.ordinal)"""
"""`part` is the account of each. It is empty for those of Organizations, which bear on many accounts, and for those of
which no account is known, which may bear on any."""

_DAMAGED = (CaseError, ValueError, LookupError, RecursionError, pa.ArrowException)
"""What may come of a file that holds something else than was written to it."""


class Edits:
    """The changes of a case, whose table is `edits`: worked out when first asked for, and kept with its layers."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        """Look at a case, by its engine and its derived folder."""
        self._engine = engine
        self._folder = folder
        self._known = False
        self._layers: Mapping[int, int] = {}

    def know(self) -> None:
        """Make sure that the tables are there."""
        if not self._known:
            self._engine.keep_apart("edits", _EDITS, self._folder, "part, time")
            kept = self._engine.keep_less("runs", "edits", "part", self._folder, without_idle)
            self._layers = {segment: number for number, layer in enumerate(kept) for segment in layer}
            self._known = True

    def of(self, accounts: Set[str]) -> pa.Table:
        """Those that bear on some accounts."""
        self.know()
        return self._read("edits", accounts)

    def telling(self, accounts: Set[str]) -> pa.Table:
        """The same without the idle ones, where these were found when the case was linked."""
        self.know()
        if self._layers:
            with suppress(*_DAMAGED):  # all of them tell the same
                found = self._read("runs", accounts)
                found.validate(full=True)
                if self._can_be_told(found):
                    return found
        return self.of(accounts)

    def _read(self, name: str, accounts: Set[str]) -> pa.Table:
        return self._engine.ranges(name, "part", [(part, part) for part in sorted({"", *accounts})])

    def _can_be_told(self, found: pa.Table) -> bool:
        """Whether nothing that was not looked at with them can show that one which was left out was not idle."""
        parts, segments = listed(found["part"]), listed(found["segment"])
        layer = np.array([self._layers.get(one, -1) for one in segments], np.int64)
        for part in {*parts}:
            own = np.array([one == part for one in parts], np.bool_)
            some = found.filter(pa.array(own))
            alike = tells_all(some, layer[own]) if part else IAM not in listed(some["source"])
            if not alike:
                return False
        return True
