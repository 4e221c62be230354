"""
The line below the picture that explains its shapes.
"""

from __future__ import annotations

from tokentrail.present.html.bars import mark
from tokentrail.present.html.svg import Svg, number, tag

_CHARACTER = 6.4


def legend(y: float, *, crowds: bool) -> Svg:
    """Explain the shapes, in a line below."""
    parts, x = [], 10.0
    entries = (
        ("mine", "attacker's"), ("theirs", "others'"), ("coming", "still to come"), ("gone", "ended early"),
        ("ring", "went on"), ("mint", "minted"),
        ("calls", "calls, refused ones below"),
        *([("crowd", "how many worked at once; survivors solid")] if crowds else []),
    )  # fmt: skip
    for kind, text in entries:
        parts += [_swatch(kind, x, y), tag("text", text, class_="legend", x=x + 32, y=y + 9)]
        x += 48 + len(text) * _CHARACTER
    return tag("g", *parts, class_="legends", aria_hidden="true", transform="translate(0 4)")


def _swatch(kind: str, x: float, y: float) -> Svg:
    if kind == "ring":
        return tag("g", mark("ring", x + 20, y + 5), class_="mine")
    if kind == "coming":
        shape = tag("rect", class_="coming", x=x, y=y, width=26, height=10)
        return tag("g", shape, class_="mine live")
    if kind == "mint":
        tip = tag("path", class_="mint-tip", d=f"M{number(x + 13)} {number(y + 12)}l-4 -6h8z")
        return tag(
            "g", tag("line", class_="mint", x1=x + 13, x2=x + 13, y1=y - 2, y2=y + 6), tip, class_="mine"
        )
    if kind == "gone":
        return tag("g", tag("line", class_="gone", x1=x, x2=x + 26, y1=y + 5, y2=y + 5), mark("cross", x + 2, y + 5),
                   class_="mine")  # fmt: skip
    if kind == "crowd":
        d = f"M{number(x)} {number(y + 11)}c8-14 18-10 26-6v6z"
        return tag("g", tag("path", class_="crowd", d=d), tag("path", class_="crowd-live", d=f"M{number(x + 12)} "
                   f"{number(y + 11)}c6-6 10-4 14-4v4z"), class_="mine")  # fmt: skip
    if kind == "calls":
        high = " ".join(
            f"M{number(x + 3 + n * 4)} {number(y + 8)}v-{h}" for n, h in enumerate((4, 7, 9, 6, 8))
        )
        low = f"M{number(x + 11)} {number(y + 10)}v4M{number(x + 15)} {number(y + 10)}v4"
        return tag(
            "g", tag("path", class_="use", d=high), tag("path", class_="fail", d=low), class_="mine key"
        )
    shape = tag("rect", class_="bar", x=x, y=y, width=26, height=10, rx=2 if kind == "mine" else 5)
    hatch = tag("rect", class_="hatch", x=x, y=y, width=26, height=10, rx=5) if kind == "theirs" else None
    return tag("g", shape, hatch, class_=f"{kind} live")
