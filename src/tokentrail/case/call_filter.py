"""
Which calls of a timeline are wanted: by time, by name, and by whether they failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from tokentrail.lineage.model import TimelineEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """What calls must be like to be listed."""

    since: datetime | None = None
    until: datetime | None = None
    names: tuple[re.Pattern[str], ...] = ()
    errors: bool = False
    """Whether only calls that failed are listed."""

    @classmethod
    def of(
        cls,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        calls: Sequence[str] = (),
        errors: bool = False,
    ) -> Self:
        """
        Build a filter.

        Args:
            since: Only calls from this time on.
            until: Only calls before this time.
            calls: Only these calls, such as `GetObject`, `s3:*` or `iam:Create*`, whatever the case; all by default.
            errors: Only calls that failed.
        """
        return cls(since=since, until=until, names=tuple(map(_pattern, calls)), errors=errors)

    def fits(self, event: TimelineEvent) -> bool:
        """Whether a call is wanted."""
        if (self.since and event.time < self.since) or (self.until and event.time >= self.until):
            return False
        if self.errors and event.error_code is None:
            return False
        name = event.event_name or ""
        service = (event.event_source or "").removesuffix(".amazonaws.com")
        return not self.names or any(
            one.fullmatch(name) or one.fullmatch(f"{service}:{name}") for one in self.names
        )

    def only(self, events: Iterable[TimelineEvent]) -> Iterable[TimelineEvent]:
        """Those of some calls that are wanted."""
        return (one for one in events if self.fits(one))


def _pattern(text: str) -> re.Pattern[str]:
    """What a name with asterisks matches."""
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.IGNORECASE)
