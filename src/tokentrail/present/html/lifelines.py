"""
The lifelines: each credential a bar in time, the minting an arrow, what was done against it a line across.

One picture, drawn here without any library, for the page and for a file of its own. Its colours and what a step of the
plan changes are in `lifelines.css`; what is told by colour is told by shape and word as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokentrail.containment.model import Plan
from tokentrail.lineage.model import Trace
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.bars import BAR, bar, defs, mark
from tokentrail.present.html.dossier import Names
from tokentrail.present.html.labels import badge, caption, clock, inscription, status, told
from tokentrail.present.html.legend import legend
from tokentrail.present.html.markup import Html, join, number, tag
from tokentrail.present.html.rows import Action, Row
from tokentrail.present.html.window import Window
from tokentrail.present.safe import cut, safe

WIDTH, LEFT, RIGHT = 1240.0, 236.0, 1014.0
_TALL, _LOW = 46.0, 36.0
_LANE, _AXIS, _HEAD = 34.0, 26.0, 10.0
_FLAGS = 7
"""Actions whose words stand in the picture; of more, the numbers do, and the words stand below it."""
_CHARACTER = 6.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What the lifelines are drawn from."""

    trace: Trace
    plan: Plan | None
    rows: Sequence[Row]
    actions: Sequence[Action]
    window: Window
    names: Names
    linked: bool = True
    """Whether a name leads to its place on the page."""


@dataclass(frozen=True, slots=True)
class _Layout:
    top: float
    """Where the lines begin."""
    tall: float
    border: int
    """The first colleague's line."""
    bottom: float

    def y(self, place: int) -> float:
        """The top of a line."""
        return self.top + place * self.tall + (28 if place >= self.border else 0)

    def bar(self, place: int) -> float:
        """The top of a line's bar."""
        return self.y(place) + self.tall - BAR - 11


def lifelines(picture: Picture, style: str | None = None) -> Html:
    """
    Draw the picture.

    Args:
        picture: What to draw.
        style: The style sheet to put in, for a file of its own.
    """
    layout = _layout(picture)
    height = layout.bottom + 40
    sheet = tag("style", Html(style)) if style else None
    return tag(
        "svg",
        tag("title", heading(picture), id="picture-title"),
        sheet,
        defs(),
        tag("rect", class_="ground", width=WIDTH, height=height) if style else None,
        _time(picture, layout),
        *(_action(picture, layout, n, one) for n, one in enumerate(picture.actions, 1)),
        *(_arrow(layout, row, picture.window) for row in picture.rows),
        _border(picture, layout),
        *(_row(picture, layout, row) for row in picture.rows),
        *(_crossing(picture, layout, n, one) for n, one in enumerate(picture.actions, 1)),
        legend(layout.bottom + 24, crowds=any(not row.single for row in picture.rows)),
        viewBox=f"0 0 {number(WIDTH)} {number(height)}", role="group", aria_labelledby="picture-title",
        class_="lifelines", xmlns="http://www.w3.org/2000/svg", width=WIDTH if style else None,
        height=height if style else None,
    )  # fmt: skip


def heading(picture: Picture) -> str:
    """Say in a sentence what the picture shows."""
    tainted = [one for one in picture.trace.credentials if one.tainted]
    count = words.number(len(tainted), "credential")
    return f"Lifelines of {count} of the attacker's as of {timestamp(picture.trace.as_of)}: {words.still_work(tainted)}"


def _layout(picture: Picture) -> _Layout:
    flags = len(picture.actions) if len(picture.actions) <= _FLAGS else 1
    top = _HEAD + flags * _LANE + _AXIS + 8
    tall = _TALL if len(picture.rows) <= 24 else _LOW
    mine = sum(row.attackers for row in picture.rows)
    border = mine if mine < len(picture.rows) else len(picture.rows) + 1
    bottom = top + len(picture.rows) * tall + (28 if mine < len(picture.rows) else 0) + 4
    return _Layout(top, tall, border, bottom)


def _time(picture: Picture, layout: _Layout) -> Html:
    """Draw the axis, the grid, and what has not happened yet."""
    window, axis = picture.window, layout.top - 12
    parts: list[Html] = []
    x = window.at(window.now)
    if window.now < window.end:
        parts.append(
            tag(
                "rect",
                class_="future-ground",
                x=x,
                y=axis,
                width=window.right - x,
                height=layout.bottom - axis,
            )
        )
    day = ""
    for moment in window.ticks():
        x = window.at(moment)
        parts.append(tag("line", class_="grid", x1=x, x2=x, y1=axis, y2=layout.bottom))
        text = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
        if f"{moment:%d %b}" != day:
            day = f"{moment:%d %b}"
            text = f"{moment.day} {moment:%b} {text}"
        parts.append(tag("text", text, class_="hour", x=x, y=axis - 5, text_anchor="middle"))
    parts.append(tag("line", class_="axis", x1=window.left, x2=window.right, y1=axis, y2=axis))
    parts.append(tag("text", "UTC", class_="hour", x=window.left - 10, y=axis - 5, text_anchor="end"))
    if window.now < window.end:
        parts.append(_now(window, axis, layout.bottom))
    return tag("g", *parts, aria_hidden="true")


def _now(window: Window, top: float, bottom: float) -> Html:
    x = window.at(window.now)
    text = f"as of {window.now:%H:%M:%S}"
    after = window.right - x > 150
    return join([
        tag("line", class_="now", x1=x, x2=x, y1=top - 2, y2=bottom + 4),
        tag("text", text, class_="now-text", x=x, y=bottom + 16, text_anchor="end"),
        tag("text", " ▸ not yet happened", class_="future-text", x=x + 6, y=bottom + 16) if after else None,
    ])  # fmt: skip


def _action(picture: Picture, layout: _Layout, n: int, one: Action) -> Html:
    """Draw the line of an action, and its words on a flag."""
    window = picture.window
    x, many = window.at(one.time), len(picture.actions) > _FLAGS
    y = _HEAD + (0 if many else (n - 1) * _LANE)
    parts = [
        tag("line", class_="act", x1=x, x2=x, y1=y + 10, y2=layout.bottom),
        tag("circle", class_="act-dot", cx=x, cy=y + 10, r=9),
        tag("text", str(n), class_="act-number", x=x, y=y + 14, text_anchor="middle"),
    ]
    if not many:
        before = x > WIDTH * 0.5
        flag, anchor = (x - 16, "end") if before else (x + 16, "start")
        room = int((x - 24 if before else WIDTH - x - 24) / _CHARACTER)
        parts += [
            tag("text", cut(safe(f"{clock(one.time, window)}  {one.what}"), room), class_="act-what", y=y + 9,
                x=flag, text_anchor=anchor),
            tag("text", cut(safe(consequence(one, picture.names)), room), class_="act-ends", y=y + 24,
                x=flag, text_anchor=anchor),
        ]  # fmt: skip
    return tag("g", tag("title", f"{timestamp(one.time)} {one.what}"), *parts, class_="action")


def consequence(one: Action, names: Names) -> str:
    """Say what an action ended, and what went on."""
    mine = [other for other in one.ends if other.id in names.letters or getattr(other, "tainted", False)]
    theirs = [other for other in one.ends if other not in mine]
    text = f"ended {names.listed(other.id for other in mine)}"
    if theirs:
        shown = words.listed((names.called(other) for other in theirs), 3)
        whose = "a colleague's" if len(theirs) == 1 else f"{len(theirs):,} of colleagues"
        text += f", and {whose}: {shown}"
    if not one.spared:
        return f"{text} · nothing goes on"
    left = names.listed(other.id for other in one.spared)
    return f"{text} · {left} {words.verb(len(one.spared), 'goes', 'go')} on"


def _crossing(picture: Picture, layout: _Layout, n: int, one: Action) -> Html:
    """Mark on each bar what an action did to it: a cross for an end, a ring for going on."""
    x, parts = picture.window.at(one.time), []
    ends, spared = {other.id for other in one.ends}, {other.id for other in one.spared}
    for row in picture.rows:
        middle = layout.bar(row.place) + BAR / 2
        if row.single and row.one.id in ends:
            parts.append(mark("cross", x, middle))
        elif row.single and row.one.id in spared:
            parts.append(mark("ring", x, middle))
    return tag("g", *parts, aria_hidden="true")


def _arrow(layout: _Layout, row: Row, window: Window) -> Html | None:
    """Draw the minting: from the parent's bar to the child's beginning."""
    if row.parent is None or not window.holds(row.minted) or row.minted is None:
        return None
    x, down = window.at(row.minted), row.parent.place < row.place
    start = layout.bar(row.parent.place) + (BAR if down else 0)
    end = layout.bar(row.place) + (-2 if down else BAR + 2)
    tip = -6 if down else 6
    shape = f"M{number(x)} {number(end)}l-4 {tip}h8z"
    return tag(
        "g",
        tag("line", class_="halo", x1=x, x2=x, y1=start, y2=end),
        tag("line", class_="mint", x1=x, x2=x, y1=start, y2=end + tip / 2),
        tag("circle", class_="mint-dot", cx=x, cy=start - (3 if down else -3), r=2.6),
        tag("path", class_="mint-tip", d=shape),
        aria_hidden="true", class_="mine" if row.attackers else "theirs",
    )  # fmt: skip


def _row(picture: Picture, layout: _Layout, row: Row) -> Html:
    y, names = layout.bar(row.place), picture.names
    label = names.called(row.one) if row.single else f"{len(row.members):,}"
    head = [badge(row, label, y), *inscription(row, y, label)]
    sentence = told(row, names)
    above = caption(row, picture.window, names, y) if layout.tall == _TALL else None
    linked = picture.linked and row.single
    left = tag(
        "a" if linked else "g", tag("title", sentence), *head, aria_label=sentence,
        href=f"#{names.anchors[row.one.id]}" if linked else None, role=None if linked else "img",
    )  # fmt: skip
    return tag(
        "g",
        left,
        tag("g", bar(row, picture.window, y, BAR), above, aria_hidden="true"),
        status(row, picture.plan, RIGHT + 26, y),
        class_=_classes(row),
    )  # fmt: skip


def _classes(row: Row) -> str:
    """Whose it is, whether it works, and which step of the plan ends the last of it."""
    alive = row.alive()
    ends = [row.deaths.get(one.id, 0) for one in alive]
    dies = f" dies{max(ends)}" if ends and all(ends) else ""
    return f"row {'mine' if row.attackers else 'theirs'} {'live' if alive else 'dead'}{dies}"


def _border(picture: Picture, layout: _Layout) -> Html | None:
    if layout.border > len(picture.rows):
        return None
    y = layout.y(layout.border) - 14
    return tag(
        "g",
        tag("line", class_="border", x1=0, x2=WIDTH, y1=y - 6, y2=y - 6),
        tag(
            "text",
            "Colleagues in the same role or user: not the attacker's",
            class_="border-text",
            x=10,
            y=y + 10,
        ),
    )
