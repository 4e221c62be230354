"""
The lifelines: each credential a bar in time, the minting an arrow, what was done against it a line across.

One picture, drawn here without any library, for the page and for a file of its own. Its colours and what a step of the
plan changes are in `lifelines.css`; what is told by colour is told by shape and word as well.
"""

from __future__ import annotations

from datetime import timedelta

from tokentrail.formatting import counted
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.bars import BAR, bar, defs
from tokentrail.present.html.flags import (
    FLAGS,
    HEAD,
    LANE,
    WIDTH,
    Layout,
    LifelineChart,
    clusters,
    crossings,
    flag,
)
from tokentrail.present.html.labels import badge, caption, clock, inscription, status, told
from tokentrail.present.html.legend import legend
from tokentrail.present.html.rows import Row
from tokentrail.present.html.svg import Svg, join, number, tag
from tokentrail.present.html.window import Window

LEFT, RIGHT = 268.0, 1046.0
_TALL, _LOW = 46.0, 36.0
_AXIS = 26.0
_BEFORE = 66.0
"""Where the axis' zone ends, clear of half a date at its left edge."""


def lifelines(picture: LifelineChart, style: str | None = None) -> Svg:
    """
    Draw the picture.

    Args:
        picture: What to draw.
        style: The style sheet to put in, for a file of its own.
    """
    done = clusters(picture)
    layout = _layout(picture, len(done))
    height = layout.bottom + 40
    sheet = tag("style", Svg(style)) if style else None
    return tag(
        "svg",
        tag("title", heading(picture), id="picture-title"),
        sheet,
        defs(),
        tag("rect", class_="ground", width=WIDTH, height=height) if style else None,
        _time(picture, layout),
        *(flag(one, picture, layout, lane) for lane, one in enumerate(done)),
        _hours(picture.window, layout),
        *(_arrow(layout, row, picture.window) for row in picture.rows),
        _border(picture, layout),
        *(_row(picture, layout, row) for row in picture.rows),
        *(crossings(one, picture, layout) for one in done),
        legend(layout.bottom + 24, crowds=any(not row.single for row in picture.rows)),
        viewBox=f"0 0 {number(WIDTH)} {number(height)}", role="group", aria_labelledby="picture-title",
        class_="lifelines", xmlns="http://www.w3.org/2000/svg", width=WIDTH if style else None,
        height=height if style else None,
    )  # fmt: skip


def heading(picture: LifelineChart) -> str:
    """Say in a sentence what the picture shows."""
    tainted = [one for one in picture.trace.credentials if one.tainted]
    count = counted(len(tainted), "credential")
    return f"Lifelines of {count} of the attacker's as of {timestamp(picture.trace.as_of)}: {words.still_work(tainted)}"


def _layout(picture: LifelineChart, flags: int) -> Layout:
    top = HEAD + (flags if flags <= FLAGS else 1) * LANE + _AXIS + 8
    tall = _TALL if len(picture.rows) <= 24 else _LOW
    mine = sum(row.attackers for row in picture.rows)
    border = mine if mine < len(picture.rows) else len(picture.rows) + 1
    bottom = top + len(picture.rows) * tall + (28 if mine < len(picture.rows) else 0) + 4
    return Layout(top, tall, border, bottom, flags)


def _time(picture: LifelineChart, layout: Layout) -> Svg:
    """Draw the axis, the grid, and what has not happened yet."""
    window, axis = picture.window, layout.top - 12
    parts: list[Svg] = []
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
    parts += [
        tag("line", class_="grid", x1=x, x2=x, y1=axis, y2=layout.bottom)
        for x in map(window.at, window.ticks())
    ]
    parts.append(tag("line", class_="axis", x1=window.left, x2=window.right, y1=axis, y2=axis))
    if window.now < window.end:
        parts.append(_now(window, axis, layout.bottom))
    return tag("g", *parts, aria_hidden="true")


def _hours(window: Window, layout: Layout) -> Svg:
    """Write the times on the axis, over the lines that cross it."""
    axis, day, parts = layout.top - 12, None, []
    moments = list(window.ticks())
    whole = len(moments) > 1 and moments[1] - moments[0] >= timedelta(days=1)
    for moment in moments:
        text = f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
        date = f"{moment.day} {moment:%b}" + (
            f" {moment:%Y}" if (window.years and whole) or day is None else ""
        )
        if whole or moment.date() != day:
            text = date if whole else f"{date} {text}"
        day = moment.date()
        parts.append(tag("text", text, class_="hour", x=window.at(moment), y=axis - 5, text_anchor="middle"))
    parts.append(tag("text", "UTC", class_="hour", x=window.left - _BEFORE, y=axis - 5, text_anchor="end"))
    return tag("g", *parts, aria_hidden="true")


def _now(window: Window, top: float, bottom: float) -> Svg:
    x = window.at(window.now)
    text = f"as of {clock(window.now, window)}"
    after = window.right - x > 150
    return join([
        tag("line", class_="now", x1=x, x2=x, y1=top - 2, y2=bottom + 4),
        tag("text", text, class_="now-text", x=x, y=bottom + 16, text_anchor="end"),
        tag("text", " ▸ not yet happened", class_="future-text", x=x + 6, y=bottom + 16) if after else None,
    ])  # fmt: skip


def _arrow(layout: Layout, row: Row, window: Window) -> Svg | None:
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


def _row(picture: LifelineChart, layout: Layout, row: Row) -> Svg:
    y, names = layout.bar(row.place), picture.names
    label = names.called(row.one) if row.single else f"{len(row.members):,}"
    head = [badge(row, label, y), *inscription(row, y, label)]
    sentence = told(row, names)
    above = caption(row, picture.window, names, y) if layout.tall == _TALL else None
    linked = picture.linked and row.single
    left = tag(
        "a" if linked else "g", tag("title", sentence), *head, aria_label=sentence,
        href=names.place(row.one.id) if linked else None, role=None if linked else "img",
    )  # fmt: skip
    return tag(
        "g",
        left,
        tag("g", bar(row, picture.window, y, BAR), above, aria_hidden="true"),
        status(row, picture.plan, picture.window, RIGHT + 26, y),
        class_=_classes(row),
    )  # fmt: skip


def _classes(row: Row) -> str:
    """Whose it is, whether it works, and which step of the plan ends the last of it."""
    alive = row.alive()
    ends = [row.deaths.get(one.id, 0) for one in alive]
    dies = f" dies{max(ends)}" if ends and all(ends) else ""
    return f"row {'mine' if row.attackers else 'theirs'} {'live' if alive else 'dead'}{dies}"


def _border(picture: LifelineChart, layout: Layout) -> Svg | None:
    if layout.border > len(picture.rows):
        return None
    y = layout.y(layout.border) - 14
    return tag(
        "g",
        tag("line", class_="border", x1=0, x2=WIDTH, y1=y - 6, y2=y - 6),
        tag(
            "text",
            "Others in the same role or user: not the attacker's",
            class_="border-text",
            x=10,
            y=y + 10,
        ),
    )
