"""
The templates of the pages: the one environment that renders them, and what stands in it beside a page's own data.

All that a template prints is made visible and inert by `safe`, then escaped, unless it is `Markup`. Which filters a
template may use is named here: none of them declares text to be markup that was not built by us.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from tokentrail import formatting
from tokentrail.formatting import more
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.svg import escape
from tokentrail.present.html.view_models import first
from tokentrail.present.safe import brief, safe
from tokentrail.present.views import damage
from tokentrail.present.views.plan import indented

if TYPE_CHECKING:
    from jinja2 import Environment

_LAYOUT = re.compile(r"(?<=[>}])\n\s*(?=[<{])")


def render(template: str, /, **view: Any) -> Markup:
    """Render a template with the data that it shows; a name that it has not been given is an error."""
    return Markup(_environment().get_template(template).render(view))  # noqa: S704  # its environment escapes


def visible(value: object) -> object:
    """Make what a template prints visible and inert; `None` prints nothing."""
    if isinstance(value, Markup):
        return value
    return "" if value is None else safe(str(value))


def lines(text: str) -> Markup:
    """Make text of several lines visible and inert; they stay lines."""
    return Markup("\n").join(map(escape, text.split("\n")))


def code_apart(text: str) -> list[tuple[str, bool]]:
    """Split a sentence at its backticks, and say of each part whether it is code; of an odd number none counts."""
    parts = text.split("`")
    return [(part, n % 2 == 1) for n, part in enumerate(parts)] if len(parts) % 2 else [(text, False)]


@cache
def _environment() -> Environment:
    """Build the environment when the first page is made, since the command line starts faster without Jinja2."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    made = Environment(
        loader=FunctionLoader(_source), autoescape=True, finalize=visible, undefined=StrictUndefined
    )
    made.filters = {
        "brief": brief, "code_apart": code_apart, "comma": "{:,}".format, "default": made.filters["default"],
        "first": first, "join": made.filters["join"], "indented": indented, "length": len,
        "lines": lines, "more": more, "tenth": "{:.1f}".format, "timestamp": timestamp,
    }  # fmt: skip
    made.globals |= {"damage": damage, "formatting": formatting, "words": words}
    return made


def _source(name: str) -> str:
    """
    Read a template.

    A line break between two tags is layout, and no white space on the page: it becomes a comment, which keeps the
    numbers of lines in messages.
    """
    text = (resources.files("tokentrail.present.html") / "templates" / name).read_text("utf-8")
    return _LAYOUT.sub("{#\n#}", text.strip())
