"""
The shapes of the lifelines: bars, ticks, marks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from math import log1p

from tokentrail.present.html.call_lines import BIN
from tokentrail.present.html.rows import Row, stopped
from tokentrail.present.html.svg import Svg, join, number, tag
from tokentrail.present.html.window import Window

BAR = 16.0
"""Height of a bar."""


def defs() -> Svg:
    """Define the patterns."""
    return tag(
        "defs",
        tag("pattern", tag("path", class_="hatching", d="M-1 1l2-2M0 6l6-6M5 7l2-2"), id="hatch", width=6, height=6,
            patternUnits="userSpaceOnUse"),
        tag("pattern", tag("path", class_="futuring", d="M0 8l8-8"), id="future", width=8, height=8,
            patternUnits="userSpaceOnUse"),
    )  # fmt: skip


def mark(kind: str, x: float, y: float) -> Svg:
    """Draw a cross (ended), a ring (goes on), a dot (works) or a question mark (may work)."""
    if kind == "cross":
        d = f"M{number(x - 4)} {number(y - 4)}l8 8m0-8l-8 8"
        return join([tag("path", class_="cross-halo", d=d), tag("path", class_="cross", d=d)])
    if kind == "ring":
        return tag("circle", class_="ring", cx=x, cy=y, r=4.2)
    if kind == "query":
        return tag("text", "?", class_="query", x=x, y=y + 5, text_anchor="middle")
    return tag("circle", class_="dot", cx=x, cy=y, r=5)


def bar(row: Row, window: Window, y: float, height: float) -> Svg:
    """
    Draw a line's bar: what was, in one piece; what is to come, in a paler one; what was cut off, as a dashed line.

    A piece that runs past an edge of the picture ends in an arrowhead there.
    """
    if not row.single:
        return crowd(row, window, y, height)
    begin, end = row.start(), row.until()
    left = window.at(begin) if begin else window.left
    alive, stop = row.alive(), row.stop()
    now = window.at(window.now)
    reached = now if alive or stop is None else window.at(stop)
    last = window.right if end is None else window.at(end)
    cut = begin is None or begin < window.start
    onward = bool(alive) and (end is None or end > window.end)
    parts: list[Svg | None] = []
    if not alive and last > reached + 1:
        parts.append(tag("line", class_="gone", x1=reached, x2=last, y1=y + height / 2, y2=y + height / 2))
    if reached > left:
        parts.append(_solid(row, left, reached, y, height, cut))
    if alive and window.now < window.end:
        parts.append(_coming(row, now, last, y, height, onward))
    parts.append(_ticks("use", row.good, window, y + height - 2, height - 4, up=True))
    parts.append(_ticks("fail", row.bad, window, y + height + 1, 6, up=False))
    return join(parts)


def crowd(row: Row, window: Window, y: float, height: float) -> Svg:
    """
    Draw a line of many: how many worked at each moment, the survivors solid, and what is to come of them paler.

    Its height is that of the most at once; how many that is, the line's words tell.
    """
    now, base, tall = window.at(window.now), y + height, height + 5
    every = _working([(one.issued_at, stopped(one) or window.now) for one in row.members], window)
    alive = row.alive()
    still = _working([(one.issued_at, window.now) for one in alive], window)
    coming = _working([(window.now, one.expires_at or one.expires_bound) for one in alive], window)
    most = max([*every.values(), *coming.values(), 1])
    parts: list[Svg | None] = [
        _area("crowd", every, window, base, tall / most, window.left, now),
        _area("crowd-live", still, window, base, tall / most, window.left, now),
    ]
    parts.append(_ticks("fail", row.bad, window, y + height + 1, 5, up=False))
    if alive and window.now < window.end:
        ahead = _area("crowd-coming", coming, window, base, tall / most, now, window.right)
        ends = [row.deaths.get(one.id, 0) for one in alive]
        parts.append(tag("g", ahead, class_=f"until{max(ends)}") if all(ends) else ahead)
    return join(parts)


_Lives = Sequence[tuple[datetime | None, datetime | None]]


def _working(lives: _Lives, window: Window) -> dict[int, int]:
    """Count how many of some spans cover each place of the window; an open one runs on."""
    places = int((window.right - window.left) / BIN) + 1
    change = [0] * (places + 1)
    for begin, end in lives:
        first = int((window.at(begin) - window.left) / BIN) if begin else 0
        last = int((window.at(end) - window.left) / BIN) if end else places - 1
        if (end is None or end > window.start) and (begin is None or begin < window.end):
            change[first] += 1
            change[max(last, first + 1)] -= 1
    return {place: count for place, count in enumerate(accumulate(change)) if count and place < places}


def _area(
    kind: str, counts: Mapping[int, int], window: Window, base: float, scale: float, left: float, right: float
) -> Svg | None:
    """Draw counts as an area of steps, within two edges."""
    d, before = "", 0
    for place in range(int((left - window.left) / BIN), int((right - window.left) / BIN) + 2):
        count = counts.get(place, 0)
        x = min(max(window.left + place * BIN, left), right)
        if count != before:
            top = number(base - count * scale)
            d += f"H{number(x)}V{top}" if before else f"M{number(x)} {number(base)}V{top}"
            d += "z" if not count else ""
        before = count
    if before:
        d += f"H{number(right)}V{number(base)}z"
    return tag("path", class_=kind, d=d) if d else None


def _solid(row: Row, left: float, right: float, y: float, height: float, cut: bool) -> Svg:
    round_ = 2 if row.attackers else height / 2
    wide = max(right - left, 2.0)
    parts = [tag("rect", class_="bar", x=left, y=y, width=wide, height=height, rx=round_)]
    if not row.attackers:
        parts.append(tag("rect", class_="hatch", x=left, y=y, width=wide, height=height, rx=round_))
    if cut:
        half = number(height / 2)
        parts.append(tag("path", class_="head", d=f"M{number(left)} {number(y)}l-9 {half}l9 {half}z"))
    return join(parts)


def _coming(row: Row, now: float, last: float, y: float, height: float, onward: bool) -> Svg:
    """Draw what is to come: it goes when a step of the plan ends it, and a dashed line stays."""
    death = max((row.deaths.get(one.id, 0) for one in row.alive()), default=0)
    ends_all = all(row.deaths.get(one.id) for one in row.alive())
    middle = y + height / 2
    parts = [tag("rect", class_="coming", x=now, y=y + 0.5, width=max(last - now, 2.0), height=height - 1)]
    if onward:
        tip = f"M{number(last)} {number(y - 3)}l11 {number(height / 2 + 3)}l-11 {number(height / 2 + 3)}z"
        parts.append(tag("path", class_="onward", d=tip))
    if not (death and ends_all):
        return join(parts)
    stays = join([
        tag("line", class_="gone", x1=now, x2=last, y1=middle, y2=middle),
        mark("cross", now, middle),
    ])  # fmt: skip
    return join([tag("g", *parts, class_=f"until{death}"), tag("g", stays, class_=f"ending from{death}")])


def _ticks(
    kind: str, bins: Mapping[int, int], window: Window, base: float, height: float, *, up: bool
) -> Svg | None:
    if not bins:
        return None
    most = log1p(max(bins.values()))
    d = "".join(
        f"M{number(window.left + place * BIN + BIN / 2)} {number(base)}"
        f"v{'-' if up else ''}{number(max(height * log1p(count) / most, 2.5))}"
        for place, count in sorted(bins.items())
    )
    return tag("path", class_=kind, d=d)
