"""Spans of time as whole seconds, both ends included: merge them, and find what remains of one. Pure."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[int, int]


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same seconds in as few spans as possible, in order of time."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] <= span[1]):
        if found and start <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def remaining(wanted: Span, done: Iterable[Span]) -> list[Span]:
    """What remains of a span without those that are done, in order of time."""
    found: list[Span] = []
    at = wanted[0]
    for start, end in merged(done):
        if start > at:
            found.append((at, min(start - 1, wanted[1])))
        at = max(at, end + 1)
    found.append((at, wanted[1]))
    return [span for span in found if span[0] <= span[1]]
