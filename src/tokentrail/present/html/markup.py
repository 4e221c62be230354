"""
Markup that can't be broken out of: every text and every attribute is made visible, then escaped, here and nowhere else.

Only what `tag` and `join` return counts as markup; a plain `str` is evidence, whoever wrote it.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

from markupsafe import Markup

from tokentrail.present.safe import safe

_VOID = frozenset(["meta", "input", "br", "hr", "col", "link"])


Html = Markup
"""Text that is markup already."""
Child = str | None
"""What stands within an element: markup as it is, text escaped, `None` nothing."""
Value = str | int | float | bool | None
"""An attribute: `True` is the bare name; `False` and `None` leave it out."""


def escape(text: str) -> Html:
    """Make text visible and inert."""
    return text if isinstance(text, Html) else Html(html.escape(safe(text)))


def lines(text: str) -> Html:
    """Escape text of several lines, which stay lines."""
    return Html("\n".join(html.escape(safe(line)) for line in text.split("\n")))


def prose(text: str) -> Html:
    """Set what stands between backticks as code, in sentences of our own: evidence must not choose elements."""
    if isinstance(text, Html):
        return text
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return join(tag("code", part) if n % 2 else part for n, part in enumerate(parts))


def join(parts: Iterable[Child], between: str = "") -> Html:
    """Put parts one behind the other."""
    return Html(escape(between).join(escape(part) for part in parts if part is not None))


def tag(name: str, /, *children: Child, **attributes: Value) -> Html:
    """
    Build an element.

    Args:
        name: Its name.
        children: What stands in it.
        attributes: `class_` is `class`, `aria_label` is `aria-label`.
    """
    head = name
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        spelled = key.rstrip("_").replace("_", "-")
        head += f" {spelled}" if value is True else f' {spelled}="{_value(value)}"'
    if name in _VOID:
        return Html(f"<{head}>")
    return Html(f"<{head}>{''.join([escape(one) for one in children if one is not None])}</{name}>")


def number(value: float) -> str:
    """Spell a coordinate: one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def _value(value: str | int | float) -> str:
    if isinstance(value, float):
        return number(value)
    return str(value) if isinstance(value, int) else escape(value)
