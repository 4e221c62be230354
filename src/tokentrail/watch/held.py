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
"""Records that are judged with each batch, at most; `watch` lowers it where looks take too long."""
_NEWEST, _CARRIED, _RECALLED = 2, 10, 4
"""Where not all fit: `most` is divided by these for the newest segments, carried records, and one recollection."""
_LASTING = 2
"""`recallable` is divided by this for the recalled records that stay from one look to the next."""
_STAY = 8
"""`most` is divided by this for the newest segments that stay when others are let go: few, as that takes long."""


@dataclass(slots=True)
class _Segment:
    rows: int
    span: Span | None = None
    """The numbers of its records in the database of `recall`, once they are stored there."""


class Held:
    """The account: which segments are held whole, the newest last, and how many records were recalled."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.recallable = most // _RECALLED
        """About how many records may be recalled at once."""
        self.whole = True
        """Whether all records of the case are held."""
        self._recalled: dict[int, int] = {}
        """By the number of a recalled segment, the oldest first: how many records it has."""
        self._segments: dict[int, _Segment] = {}

    @property
    def carriable(self) -> int:
        """How many records may be carried."""
        return self.most // _CARRIED

    @property
    def any(self) -> bool:
        """Whether any segment is held whole."""
        return bool(self._segments)

    @property
    def full(self) -> bool:
        """Whether older segments must go."""
        most = self.most if self.whole else self.most // _NEWEST
        return sum(one.rows for one in self._segments.values()) > most

    def recall(self, segment: int, rows: int) -> None:
        """Add a recalled segment."""
        self._recalled[segment] = rows

    def forget(self) -> frozenset[int]:
        """
        Let recalled segments go, if there are many: the oldest, since the newest are most likely needed again.

        Returns:
            Their numbers.
        """
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
        """Note that a segment's records are stored for recall, and under which numbers."""
        if number in self._segments:
            self._segments[number].span = span

    def spans(self) -> list[Span]:
        """The numbers in the database of the records of segments that are held whole."""
        return [one.span for one in self._segments.values() if one.span is not None]

    @property
    def unkept(self) -> frozenset[int]:
        """The numbers of the segments that are not stored for recall yet."""
        return frozenset(number for number, one in self._segments.items() if one.span is None)

    def let_go(self) -> frozenset[int]:
        """
        Let older segments go, but for those that are not stored for recall yet.

        Returns:
            Their numbers.
        """
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
        """The numbers of the segments that are held whole."""
        return frozenset(self._segments)
