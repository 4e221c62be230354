"""
The account of which records the judge has in its hot set, for the process that decides what to add and to let go. Pure.

The judge may run in another process; here are only the numbers of its segments and records. As long as the case has no
more than `most` records, all of them are hot. Beyond that, the hot set has the newest segments whole, the older records
that these must be seen with (`recollection`), and some that show what is usual (`carrying`). The sweep judges the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokentrail.watch.recall import Span

MOST = 50_000
"""Records that are judged with each batch, as long as that takes no longer than is bearable; see `watch`."""
_NEWEST, _CARRIED, _RECALLED = 2, 10, 4
"""Where not all can be judged: the parts of `most` that the newest, what is carried and what is recalled may be."""
_LASTING = 2
"""The part of what may be recalled at once that is held on to."""
_STAY = 8
"""The part that the newest are when some have gone: letting go takes its time, so that it is not done often."""


@dataclass(slots=True)
class _Segment:
    rows: int
    span: Span | None = None
    """Its records, as `recall` numbers them, once they are kept there."""


class Held:
    """Which segments are held whole, the newest last, and how much was recalled."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.recallable = most // _RECALLED
        """Records that may be recalled at once, about."""
        self.whole = True
        """Whether it is all that the case has."""
        self._recalled: dict[int, int] = {}
        """Records of each segment that was recalled, the oldest first."""
        self._segments: dict[int, _Segment] = {}

    @property
    def carriable(self) -> int:
        """Records that may be carried."""
        return self.most // _CARRIED

    @property
    def any(self) -> bool:
        """Whether anything is held."""
        return bool(self._segments)

    @property
    def full(self) -> bool:
        """Whether older segments must go."""
        most = self.most if self.whole else self.most // _NEWEST
        return sum(one.rows for one in self._segments.values()) > most

    def recall(self, segment: int, rows: int) -> None:
        """Add records that were recalled."""
        self._recalled[segment] = rows

    def forget(self) -> frozenset[int]:
        """Where much was recalled, let the oldest of it go: what was recalled last is likely to be asked for again."""
        held = sum(self._recalled.values())
        gone = set[int]()
        if held > self.recallable // _LASTING:
            for segment in [*self._recalled]:
                if held <= self.recallable // _LASTING // 2:
                    break
                held -= self._recalled.pop(segment)
                gone.add(segment)
        return frozenset(gone)

    def add(self, number: int, rows: int) -> None:
        """Add a segment that is new."""
        self._segments[number] = _Segment(rows)

    def kept(self, number: int, span: Span) -> None:
        """Note which records of the database a segment's are."""
        if number in self._segments:
            self._segments[number].span = span

    def spans(self) -> list[Span]:
        """The records that are held in whole segments, as `recall` numbers them."""
        return [one.span for one in self._segments.values() if one.span is not None]

    @property
    def unkept(self) -> frozenset[int]:
        """The segments that can't be asked for again yet."""
        return frozenset(number for number, one in self._segments.items() if one.span is None)

    def let_go(self) -> frozenset[int]:
        """Let older segments go: all but a quarter of what the newest may be, and what can't be asked for again yet."""
        keep = self.most // _STAY
        newest: dict[int, _Segment] = {}
        for number, one in reversed(self._segments.items()):
            if keep > 0 or one.span is None:
                newest[number] = one
            keep -= one.rows
        gone = frozenset(self._segments.keys() - newest.keys())
        self._segments = dict(reversed(newest.items()))
        self.whole = self.whole and not gone
        return gone

    @property
    def newest(self) -> frozenset[int]:
        """The segments that are held."""
        return frozenset(self._segments)
