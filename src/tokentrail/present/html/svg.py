"""
Elements of SVG that can't be broken out of: every text and every attribute is made visible, then escaped, here.

Only what `tag` and `join` return counts as markup; a plain `str` is evidence, whoever wrote it. Pages are made by
templates instead (`templating`).
"""

from __future__ import annotations

import html
from collections.abc import Iterable

from markupsafe import Markup

from tokentrail.present.safe import safe

Svg = Markup
"""Text that is markup already."""
Child = str | None
"""What stands within an element: markup as it is, text escaped, `None` nothing."""
Value = str | int | float | None
"""An attribute; `None` leaves it out."""


def escape(text: str) -> Svg:
    """Make text visible and inert."""
    return text if isinstance(text, Svg) else Svg(html.escape(safe(text)))


def join(parts: Iterable[Child]) -> Svg:
    """Put parts one behind the other."""
    return Svg("".join([escape(part) for part in parts if part is not None]))


def tag(name: str, /, *children: Child, **attributes: Value) -> Svg:
    """
    Build an element.

    Args:
        name: Its name.
        children: What stands in it.
        attributes: `class_` is `class`, `aria_label` is `aria-label`.
    """
    head = name
    for key, value in attributes.items():
        if value is not None:
            head += f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
    return Svg(f"<{head}>{join(children)}</{name}>")


def number(value: float) -> str:
    """Spell a coordinate: one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def _value(value: str | int | float) -> str:
    if isinstance(value, float):
        return number(value)
    return str(value) if isinstance(value, int) else escape(value)
