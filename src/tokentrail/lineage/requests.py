"""
Sessions that were asked for in a principal's name, in a call that names the principal and no credential of it.

Lake Formation names the session, and the other partition's record the token, by which a later record is known.
Source: AWS Lake Formation Developer Guide, 'Cross-account CloudTrail logging'; IAM User Guide, 'Auditing
cross-partition identity federation'.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, NamedTuple

from tokentrail.lineage.segment_tables import rows_with
from tokentrail.store.interface import Engine


class RequestedSession(NamedTuple):
    """A session that was asked for in some name."""

    whose: str
    """The principal id or the ARN of the principal for which it was asked, or the id of the token that opened it."""
    what: Literal["session", "key", "token"]
    """Whether it is known by its name, or by its key id; `token` if `whose` is the id of a token."""
    name: str
    time: int
    """The second of the call."""


class Requests:
    """Looks up the sessions that were asked for in the names of some principals, or opened by some tokens."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine that knows the derived database."""
        self._engine = engine

    def of(self, names: Collection[str]) -> list[RequestedSession]:
        """Those that were asked for in some names, each once."""
        found = (
            RequestedSession(row["whose"], row["what"], row["name"], row["time"])
            for row in rows_with(self._engine, "requested_sessions", names).to_pylist()
        )
        return list(dict.fromkeys(found))
