"""
The stretch of time that a picture shows, and where in it a moment lies.

A token that is valid for 36 hours must not squeeze the hour in which things happened. So the window is the span of the
incident, with a little before it, and as much of the future as the next few endings need.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tokentrail.lineage.model import Credential, Trace

_LEAST = timedelta(minutes=10)
_BEFORE, _AFTER, _FUTURE = 0.10, 0.10, 0.55
_STEPS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800,
    1209600, 2592000, 7776000, 15552000, 31536000, 63072000, 157680000,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of time, laid out between two edges."""

    start: datetime
    end: datetime
    now: datetime
    """The moment of the answer; what lies after it has not happened."""
    left: float
    right: float

    def at(self, moment: datetime) -> float:
        """Where a moment lies; one outside lies on the edge."""
        part = (moment - self.start) / (self.end - self.start)
        return self.left + min(max(part, 0.0), 1.0) * (self.right - self.left)

    def holds(self, moment: datetime | None) -> bool:
        """Whether a moment lies within."""
        return moment is not None and self.start <= moment <= self.end

    @property
    def years(self) -> bool:
        """Whether it spans several, so that a day needs its year."""
        return self.start.year != self.end.year

    def ticks(self) -> Iterator[datetime]:
        """Yield round moments, as many as their names have room."""
        most = 6 if self.years else 9
        span = (self.end - self.start).total_seconds()
        step = next((one for one in _STEPS if span / one <= most), _STEPS[-1])
        moment = datetime.fromtimestamp(-(-self.start.timestamp() // step) * step, UTC)
        while moment <= self.end:
            yield moment
            moment += timedelta(seconds=step)


def window(trace: Trace, bystanders: Sequence[Credential], *, left: float, right: float) -> Window:
    """Choose the stretch of time that tells a trace's story."""
    tainted = [one for one in trace.credentials if one.tainted] or list(trace.credentials)
    subjects = {one.id for one in tainted} - {link.child for link in trace.links}
    now = trace.as_of
    turns = [one.issued_at for one in tainted if one.issued_at and one.id not in subjects]
    turns += [one.ended_at for one in tainted if one.ended_at]
    turns += [one.first_used for one in tainted if one.first_used and not turns]
    last = [moment for one in tainted for moment in (one.last_used, one.ended_at) if moment]
    begin, end = min([*turns, now]), min(max([*turns, *last], default=now), now)
    if now - end <= 2 * max(end - begin, _LEAST):
        end = now
    span = max(end - begin, _LEAST)
    begin, shown = begin - _BEFORE * span, end + _AFTER * span
    if end == now:
        coming = [
            one.expires_at for one in (*tainted, *bystanders)
            if one.expires_at and now < one.expires_at <= now + _FUTURE * span
        ]  # fmt: skip
        shown = max([shown, *(moment + 0.06 * span for moment in coming)])
    return Window(start=begin, end=shown, now=now, left=left, right=right)
