"""
What a live console adds to a page: where to ask, the moments of the story and the slider of time, and the way to the
JSON twin.

It is made of links and forms that get, so that each view has an address of its own; with a script the slider answers
at once, without one its button does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

from tokentrail.present.document import timestamp
from tokentrail.present.html.markup import Html, tag
from tokentrail.present.safe import brief
from tokentrail.spelling import more

Query = tuple[tuple[str, str], ...]
STORY = ("subject", "since", "source_ip", "trusted_ip", "strategy")
"""What an address may say of a subject."""
_PLACES = (
    ("/", "Start"), ("/credentials", "Credentials"), ("/findings", "Findings"), ("/evidence", "Evidence"),
)  # fmt: skip
_NARROWING = (
    ("since", "Minted since", "2026-11-23T09:41:00Z"), ("source_ip", "from", "203.0.113.0/24"),
    ("trusted_ip", "but not from", "192.0.2.0/24"),
)  # fmt: skip
_STORIES = ("/trace", "/timeline", "/lineage")
"""Pages about a subject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A moment at which something about the attacker's credentials changed."""

    time: datetime
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Where a page stands in a console."""

    path: str
    query: Query = ()
    """What was asked, without the moment."""
    as_of: datetime | None = None
    first: datetime | None = None
    last: datetime | None = None
    """The span that the slider goes over."""
    newest: datetime | None = None
    """The newest evidence, which may be later than the span."""
    turns: tuple[Turn, ...] = ()
    addresses: tuple[str, ...] = ()
    """From where the subject was used: what narrowing offers."""
    looking: bool = False
    """Whether detection is still looking at the newest evidence."""


def address(path: str, query: Iterable[tuple[str, str]] = (), as_of: datetime | None = None) -> str:
    """Spell the address of a view."""
    asked = [*query, *([("as_of", timestamp(as_of))] if as_of else [])]
    return f"{path}?{urlencode(asked)}" if asked else path


def trace_address(subject: str, live: Live | None = None) -> str:
    """The address of a subject's page, at the moment of the page that leads there."""
    return address("/trace", [("subject", subject)], live.as_of if live else None)


def lineage_address(live: Live, *more: tuple[str, str]) -> str:
    """The address of a part of a subject's lineage, as of the page's moment."""
    return address("/lineage", [*story(live), *more], live.as_of)


def story(live: Live) -> Query:
    """What a page's address says of the subject, and nothing of what else it lists."""
    return tuple((name, value) for name, value in live.query if name in STORY)


def event_address(event_id: str) -> str:
    """The address of an event's raw record."""
    return f"/event/{quote(event_id, safe='')}"


def twin(live: Live) -> str:
    """The address of a page's JSON twin."""
    path = "/start.json" if live.path == "/" else f"{live.path}.json"
    return address(path, live.query, live.as_of)


def console_bar(live: Live) -> Html:
    """Build the bar above a page."""
    moment = asked_moment(live)
    return tag(
        "div",
        tag(
            "div",
            tag("nav", *(_place(path, name, live) for path, name in _PLACES), aria_label="Console"),
            tag(
                "form",
                tag("label", "Trace ", tag("input", type="search", name="subject", required=True, autocomplete="off",
                                           spellcheck="false", placeholder="key, ARN, address, instance, event")),
                *hidden(moment), tag("button", "Trace"), action="/trace", method="get", role="search",
            ),
            tag("a", "As JSON", href=twin(live), class_="twin"),
            class_="asking",
        ),
        _slider(live),
        tag("div", _turns(live), _narrowing(live), class_="asking") if live.path in _STORIES else None,
        class_="console", role="region", aria_label="Console",
    )  # fmt: skip


def _place(path: str, name: str, live: Live) -> Html:
    here = "page" if path == live.path else None
    return tag("a", name, href=address(path, (), live.as_of), aria_current=here)


def _slider(live: Live) -> Html | None:
    if live.first is None or live.last is None:
        return None
    shown = live.as_of or live.newest or live.last
    begin = min(live.first, shown)
    end = max(live.last, live.as_of or live.last)  # `now` is later than all evidence, and no less asked
    if begin == end:
        return None
    first, last = _seconds(begin), _seconds(end)
    marks = sorted({_seconds(one.time) for one in live.turns if begin <= one.time <= end})
    anchor = _anchor(live)
    return tag(
        "form",
        *hidden(live.query),
        tag("label", "As of", for_="at-time"),
        _step(live, shown, anchor, back=True),
        tag("input", type="range", name="at", id="at-time", min=first, max=last, step=1,
            value=_seconds(min(shown, end)), list="at-turns", aria_valuetext=timestamp(shown)),
        tag("datalist", *(tag("option", value=one) for one in marks), id="at-turns"),
        _step(live, shown, anchor, back=False),
        tag("output", timestamp(shown), id="at-told", for_="at-time"),
        tag("button", "Show", id="at-show"),
        tag("a", "Newest", href=address(live.path, live.query) + anchor) if live.as_of else
        tag("span", "the newest evidence", class_="soft"),
        action=live.path + anchor, method="get", class_="time",
    )  # fmt: skip


def _step(live: Live, shown: datetime, anchor: str, *, back: bool) -> Html:
    """Lead to the turn before or after the moment that is shown."""
    near = [one for one in live.turns if (one.time < shown if back else one.time > shown)]
    sign, name = ("◂", "The turn before") if back else ("▸", "The turn after")
    if not near:
        return tag("span", sign, class_="step off", aria_hidden="true")
    turn = near[-1] if back else near[0]
    told = f"{name}: {timestamp(turn.time)} {brief(turn.what, 120)}"
    there = address(live.path, live.query, turn.time) + anchor
    return tag("a", sign, href=there, class_="step", title=told, aria_label=told)


def _anchor(live: Live) -> str:
    """Where a page about another moment opens: at the picture, if it has one."""
    return "#lifelines" if live.path == "/trace" else ""


def _turns(live: Live) -> Html | None:
    if not live.turns:
        return None
    anchor = _anchor(live)
    items = [
        tag("li", tag("a", tag("time", timestamp(one.time)), " ", brief(one.what, 160),
                      href=address(live.path, live.query, one.time) + anchor,
                      aria_current="true" if one.time == live.as_of else None))
        for one in live.turns
    ]  # fmt: skip
    return tag("details", tag("summary", f"Turns of the story: {len(live.turns):,}"), tag("ol", *items, class_="plain"),
               class_="turns")  # fmt: skip


def _narrowing(live: Live) -> Html:
    """Ask what counts as the attacker's."""
    given: dict[str, list[str]] = {}
    for name, value in live.query:
        given.setdefault(name, []).append(value)
    fields = [
        tag("label", f"{told} ", tag("input", type="text", name=name, value=" ".join(given.get(name, ())),
                                     placeholder=hint, autocomplete="off", spellcheck="false",
                                     list="seen-times" if name == "since" else "seen-addresses"))
        for name, told, hint in _NARROWING
    ]  # fmt: skip
    kept = [(name, value) for name, value in live.query if name in ("subject", "strategy")]
    moment = asked_moment(live)
    some = narrowed(live)
    return tag(
        "details",
        tag("summary", "What counts as the attacker's: " + ("narrowed" if some else "the subject and all from it")),
        _offered("seen-times", [(timestamp(one.time), brief(one.what, 80)) for one in live.turns]),
        _offered("seen-addresses", [(one, "") for one in live.addresses]),
        tag("form", *hidden([*kept, *moment]), *fields, tag("button", "Narrow"), action=live.path, method="get",
            class_="tools"),
        class_="turns", open=some,
    )  # fmt: skip


def _offered(name: str, values: Iterable[tuple[str, str]]) -> Html:
    """What a field offers to be chosen from the evidence; anything else can be typed."""
    return tag("datalist", *(tag("option", told or None, value=value) for value, told in values), id=name)


def narrowed(live: Live) -> bool:
    """Whether a page's address narrows what counts as the attacker's."""
    return bool({name for name, _ in live.query} & {name for name, _, _ in _NARROWING})


def spread(turns: Sequence[Turn], most: int) -> tuple[Turn, ...]:
    """Put turns of one second together, and keep so many, evenly, the first and the last among them."""
    by_time: dict[datetime, list[str]] = {}
    for one in turns:
        by_time.setdefault(one.time, []).append(one.what)
    merged = [
        Turn(time=time, what="; ".join(what[:3]) + more(len(what) - 3))
        for time, what in sorted(by_time.items())
    ]
    if len(merged) <= most:
        return tuple(merged)
    places = sorted({round(n * (len(merged) - 1) / (most - 1)) for n in range(most)})
    return tuple(merged[place] for place in places)


def turning(live: Live, page: int, more: bool) -> list[tuple[str, str]]:
    """The ways to the page before and after, of a list of many pages: what each is called, and its address."""
    rest = [(name, value) for name, value in live.query if name != "page"]
    ways = [("◂ before", page - 1)] if page > 1 else []
    ways += [("more ▸", page + 1)] if more else []
    return [(told, address(live.path, [*rest, ("page", str(to))], live.as_of)) for told, to in ways]


def asked_moment(live: Live) -> Query:
    """What a form of a page sends along so that its answer is about the same moment."""
    return (("as_of", timestamp(live.as_of)),) if live.as_of else ()


def hidden(values: Iterable[tuple[str, str]]) -> list[Html]:
    """Fields of a form that are sent along unseen."""
    return [tag("input", type="hidden", name=name, value=value) for name, value in values]


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
