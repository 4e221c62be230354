"""A successful change that a tainted credential made, as its record tells it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tokentrail.formatting import quoted
from tokentrail.lineage.rows import object_of


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackerAction:
    """A successful change that a tainted credential made."""

    by: str
    event_id: str
    time: datetime
    account: str
    source: str
    name: str
    request: str | None
    response: str | None
    document: str | None = None
    """The policy document of the request."""
    user: str | None = None
    """The IAM user that made the change: a call that names no user means the caller's own."""
    certain: bool = True
    """Whether the attacker surely made it, and not perhaps the owner of the leaked key."""
    region: str | None = None

    @property
    def cause(self) -> str:
        """It as the cause of something, in words: the call, whose it was, and the event."""
        return f"{self.name} by {self.by} (event {self.event_id})"

    def asked(self, name: str) -> str | None:
        """A request parameter, if it is text; the caller can put anything there."""
        value = object_of(self.request).get(name)
        return value if isinstance(value, str) else None

    def said(self, things: Iterable[str | None]) -> str:
        """The call, the things that it was done to, and where, in words."""
        where = ", ".join(quoted(one) for one in (self.account, self.region) if one)
        on = f" on {', '.join(named)}" if (named := [quoted(one) for one in things if one]) else ""
        return f"{self.name}{on} ({where}{', ' if where else ''}event {quoted(self.event_id)})"

    @property
    def writes_iam(self) -> bool:
        """Whether it shows that the credential may write IAM or Organizations."""
        return self.source.startswith(("iam.", "organizations."))
