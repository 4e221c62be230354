"""
What a live console adds to a page: where to ask about a subject, the slider of time, and the way to the JSON twin.

It is made of links and forms that get; with a script the slider answers at once, without one its button does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from tokentrail.present.document import timestamp
from tokentrail.present.html.markup import Html, tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Where a page stands in a console."""

    path: str
    query: tuple[tuple[str, str], ...]
    """What was asked, without the moment."""
    as_of: datetime | None
    first: datetime | None
    last: datetime | None
    """The span of all evidence."""


def trace_address(subject: str) -> str:
    """The address of a subject's page."""
    return f"/trace?{urlencode({'subject': subject})}"


def console_bar(live: Live) -> Html:
    """Build the bar above a page."""
    asked = [*live.query, *([("as_of", timestamp(live.as_of))] if live.as_of else [])]
    twin = f"{live.path}?{urlencode([*asked, ('format', 'json')])}"
    moment = [("as_of", timestamp(live.as_of))] if live.as_of else []
    return tag(
        "div",
        tag("a", "Case", href="/"),
        tag(
            "form",
            tag("label", "Trace ", tag("input", type="search", name="subject", required=True, autocomplete="off",
                                       spellcheck="false", placeholder="key, ARN, address, instance, event")),
            *_hidden(moment),
            tag("button", "Ask"),
            action="/trace", method="get", role="search",
        ),
        _slider(live),
        tag("a", "As JSON", href=twin),
        class_="console", role="region", aria_label="Console",
    )  # fmt: skip


def _slider(live: Live) -> Html | None:
    if live.first is None or live.last is None or live.first >= live.last:
        return None
    shown = live.as_of or live.last
    first, last = int(live.first.timestamp()), int(live.last.timestamp())
    return tag(
        "form",
        *_hidden(live.query),
        tag("label", "As of ", tag("input", type="range", name="at", id="at-time", min=first, max=last,
                                   value=min(max(int(shown.timestamp()), first), last))),
        tag("output", timestamp(shown), id="at-told", for_="at-time"),
        tag("button", "Show"),
        action=live.path, method="get",
    )  # fmt: skip


def _hidden(values: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> list[Html]:
    return [tag("input", type="hidden", name=name, value=value) for name, value in values]
