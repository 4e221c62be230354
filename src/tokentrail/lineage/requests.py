"""
Sessions that were asked for in a principal's name, in a call that names the principal and no credential of it.

Lake Formation names the session, and the other partition's record the token, by which a later record is known.
Source: AWS Lake Formation Developer Guide, 'Cross-account CloudTrail logging'; IAM User Guide, 'Auditing
cross-partition identity federation'.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal, NamedTuple

from tokentrail.lineage.per_segment import PerSegment
from tokentrail.store.interface import Engine

_VENDED = "s.api = 'lakeformation:GetDataAccess' AND s.session_name IS NOT NULL"
_OPENED = "s.api = 'AssumeRoleWithWebIdentity'"
_SESSIONS = f"""
SELECT i.principal_id AS whose, s.segment, s.time, 'session' AS what, s.session_name AS name
FROM {{some_issuances}} s JOIN {{some_identities}} i ON i.segment = s.segment AND i.identity = s.identity
WHERE {_VENDED} AND i.principal_id IS NOT NULL
UNION ALL
SELECT s.requester_arn, s.segment, s.time, 'session', s.session_name FROM {{some_issuances}} s
WHERE {_VENDED} AND s.requester_arn IS NOT NULL
UNION ALL
SELECT s.requester_arn, s.segment, s.time, 'key', s.key_id FROM {{some_issuances}} s
WHERE {_OPENED} AND s.requester_arn IS NOT NULL AND s.key_id IS NOT NULL
UNION ALL
SELECT s.token_id, s.segment, s.time, 'token', coalesce(s.key_id, '') FROM {{some_issuances}} s
WHERE {_OPENED} AND s.token_id IS NOT NULL"""
"""`whose` is a principal id, an ARN or the id of a token; `name` is that of the session (`session`), or its key id."""


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

    def __init__(self, engine: Engine, folder: Path) -> None:
        """Look at a case: the engine knows the evidence, and in the folder lies what is derived from it."""
        self.sessions = PerSegment(engine, folder, "requests", _SESSIONS, "whose, time, segment, what, name")

    def of(self, names: Collection[str]) -> list[RequestedSession]:
        """Those that were asked for in some names, each once."""
        found = (
            RequestedSession(row["whose"], row["what"], row["name"], row["time"])
            for row in self.sessions.of(names)
        )
        return list(dict.fromkeys(found))
