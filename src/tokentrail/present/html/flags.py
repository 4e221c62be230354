"""
Actions against the credentials, in the picture: a line across, a flag with words, a mark on each bar that it crosses.

Actions that are too close in the picture to be told apart share a flag; each keeps its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tokentrail.containment.model import Plan
from tokentrail.formatting import listed, verb
from tokentrail.lineage.model import Trace
from tokentrail.present.document import timestamp
from tokentrail.present.html.bars import BAR, mark
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.labels import clock
from tokentrail.present.html.rows import Action, Row
from tokentrail.present.html.svg import Svg, tag
from tokentrail.present.html.window import Window
from tokentrail.present.safe import cut, safe

WIDTH = 1240.0
LANE, HEAD = 34.0, 10.0
FLAGS = 7
"""Flags whose words stand in the picture; of more, the numbers do, and the words stand below it."""
_NEAR = 20.0
"""Actions that lie no farther apart than this share a flag."""
_CHARACTERS = (8.0, 6.9)
"""Width of a character, in bold and in plain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LifelineChart:
    """What the lifelines are drawn from."""

    trace: Trace
    plan: Plan | None
    rows: Sequence[Row]
    actions: Sequence[Action]
    window: Window
    names: LabelResolver
    linked: bool = True
    """Whether a name leads to its place on the page."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand."""

    top: float
    """Where the lines begin."""
    tall: float
    border: int
    """The first colleague's line."""
    bottom: float
    flags: int
    """Flags above the lines."""

    def y(self, place: int) -> float:
        """The top of a line."""
        return self.top + place * self.tall + (28 if place >= self.border else 0)

    def bar(self, place: int) -> float:
        """The top of a line's bar."""
        return self.y(place) + self.tall - BAR - 11


@dataclass(frozen=True, slots=True)
class Cluster:
    """Actions that share a flag."""

    first: int
    """The number of the first of them."""
    actions: tuple[Action, ...]

    @property
    def label(self) -> str:
        """Their numbers."""
        last = self.first + len(self.actions) - 1
        return str(self.first) if last == self.first else f"{self.first}–{last}"

    def together(self) -> Action:
        """All of them as one action: what they ended, and what went on after the last."""
        if len(self.actions) == 1:
            return self.actions[0]
        ends = dict.fromkeys(one.id for each in self.actions for one in each.ends)
        by_id = {one.id: one for each in self.actions for one in each.ends}
        spared = tuple(one for one in self.actions[-1].spared if one.id not in ends)
        what = f"{len(self.actions):,} actions: {listed(dict.fromkeys(one.what for one in self.actions), 2)}"
        return replace(self.actions[-1], what=what, ends=tuple(by_id[one] for one in ends), spared=spared)


def clusters(picture: LifelineChart) -> list[Cluster]:
    """Put actions together that lie too close to be told apart."""
    found: list[Cluster] = []
    left = 0.0
    for n, one in enumerate(picture.actions, 1):
        x = picture.window.at(one.time)
        if found and x - left <= _NEAR:
            found[-1] = replace(found[-1], actions=(*found[-1].actions, one))
        else:
            found.append(Cluster(n, (one,)))
            left = x
    return found


def flag(cluster: Cluster, picture: LifelineChart, layout: Layout, lane: int) -> Svg:
    """Draw the lines of a cluster, its numbers, and its words."""
    window, many = picture.window, layout.flags > FLAGS
    y = HEAD + (0 if many else lane * LANE)
    places = sorted({round(window.at(one.time)) for one in cluster.actions})
    x, half = float(places[0]), 9 + 3.6 * (len(cluster.label) - 1)
    parts = [
        *(tag("line", class_="act", x1=one, x2=one, y1=y + 10, y2=layout.bottom) for one in places),
        tag("rect", class_="act-dot", x=x - half, y=y + 1, width=2 * half, height=18, rx=9),
        tag("text", cluster.label, class_="act-number", x=x, y=y + 14, text_anchor="middle"),
    ]
    if not many:
        parts += _words(cluster, picture, x, y, half)
    told = "; ".join(f"{timestamp(one.time)} {one.what}" for one in cluster.actions)
    return tag("g", tag("title", told), *parts, class_="action")


def _words(cluster: Cluster, picture: LifelineChart, x: float, y: float, half: float) -> Sequence[Svg]:
    """Write what was done, and what came of it, where there is more room."""
    window, whole = picture.window, cluster.together()
    times = dict.fromkeys((clock(cluster.actions[0].time, window), clock(cluster.actions[-1].time, window)))
    before = x > WIDTH * 0.5
    at, anchor = (x - half - 7, "end") if before else (x + half + 7, "start")
    room = at - 8 if before else WIDTH - at - 8
    lines = (f"{' to '.join(times)}  {whole.what}", consequence(whole, picture.names))
    return [
        tag("text", cut(safe(text), int(room / wide)), class_=look, x=at, y=y + down, text_anchor=anchor)
        for text, look, wide, down in zip(lines, ("act-what", "act-ends"), _CHARACTERS, (9, 24), strict=True)
    ]


def consequence(one: Action, names: LabelResolver) -> str:
    """Say what an action ended, and what went on."""
    mine = [other for other in one.ends if other.id in names.letters or getattr(other, "tainted", False)]
    theirs = [other for other in one.ends if other not in mine]
    text = f"ended {names.listed(other.id for other in mine)}"
    if theirs:
        shown = listed((names.called(other) for other in theirs), 3)
        single = "the owner's" if names.whose(theirs[0]) == "owner's" else "a colleague's"
        whose = single if len(theirs) == 1 else f"{len(theirs):,} of others"
        text += f", and {whose}: {shown}"
    if not one.spared:
        return f"{text} · none still works"
    left = names.listed(other.id for other in one.spared)
    return f"{text} · {left} {verb(len(one.spared), 'goes', 'go')} on"


def crossings(cluster: Cluster, picture: LifelineChart, layout: Layout) -> Svg:
    """Mark on each bar what the actions did to it: a cross for an end, a ring for going on."""
    whole, parts = cluster.together(), []
    ended = {other.id: one for one in cluster.actions for other in one.ends}
    spared = {other.id for other in whole.spared}
    for row in picture.rows:
        middle = layout.bar(row.place) + BAR / 2
        if row.single and row.one.id in ended:
            parts.append(mark("cross", picture.window.at(ended[row.one.id].time), middle))
        elif row.single and row.one.id in spared:
            parts.append(mark("ring", picture.window.at(whole.time), middle))
    return tag("g", *parts, aria_hidden="true")
