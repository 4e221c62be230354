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
from typing import get_args
from urllib.parse import quote, urlencode

from tokentrail.containment.model import Plan, Strategy
from tokentrail.formatting import more
from tokentrail.present.document import timestamp
from tokentrail.present.safe import brief

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWays:
    """What a console leads to from a plan: the plans of other strategies, and the plan as a file."""

    strategies: tuple[tuple[str, str, bool], ...]
    """Name and address of each, and whether it is the plan's own."""
    file: str


def plan_ways(plan: Plan, live: Live) -> PlanWays:
    """Where a console has the plans of other strategies, and this one as a file."""
    rest = [(name, value) for name, value in live.query if name != "strategy"]
    strategies = tuple(
        (one, address(live.path, [*rest, ("strategy", one)], live.as_of) + "#plan", one == plan.strategy)
        for one in get_args(Strategy)
    )
    return PlanWays(strategies=strategies, file=address("/plan.json", live.query, live.as_of))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slider:
    """The slider of time, in seconds since 1970, and the way to the turns before and after."""

    begin: int
    end: int
    value: int
    marks: tuple[int, ...]
    shown: str
    """The moment that is shown."""
    before: Step
    after: Step
    action: str
    newest: str | None
    """The newest evidence, where another moment is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The way to the turn before or after the moment that is shown."""

    sign: str
    place: str | None
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTurn:
    """A turn of the story."""

    time: str
    what: str
    place: str
    here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NarrowingField:
    """A field that narrows what counts as the attacker's."""

    name: str
    told: str
    hint: str
    value: str
    offers: str
    """The list of what the evidence offers to be chosen from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryBar:
    """What the bar has for a page about a subject: its turns, and what counts as the attacker's."""

    turns: tuple[ShownTurn, ...]
    narrowed: bool
    fields: tuple[NarrowingField, ...]
    kept: Query
    times: tuple[tuple[str, str], ...]
    """Moments to choose from, and what happened then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleBar:
    """What the bar above each page of a console shows."""

    places: tuple[tuple[str, str, bool], ...]
    """Address and name of each page of the whole case, and whether it is this one."""
    moment: Query
    twin: str
    slider: Slider | None
    story: StoryBar | None


def console_bar(live: Live) -> ConsoleBar:
    """Choose what the bar shows."""
    places = tuple((address(path, (), live.as_of), name, path == live.path) for path, name in _PLACES)
    return ConsoleBar(
        places=places, moment=asked_moment(live), twin=twin(live), slider=_slider(live),
        story=_story_bar(live) if live.path in _STORIES else None,
    )  # fmt: skip


def _slider(live: Live) -> Slider | None:
    if live.first is None or live.last is None:
        return None
    shown = live.as_of or live.newest or live.last
    begin = min(live.first, shown)
    end = max(live.last, live.as_of or live.last)  # `now` is later than all evidence, and no less asked
    if begin == end:
        return None
    marks = sorted({_seconds(one.time) for one in live.turns if begin <= one.time <= end})
    anchor = _anchor(live)
    return Slider(
        begin=_seconds(begin), end=_seconds(end), value=_seconds(min(shown, end)), marks=tuple(marks),
        shown=timestamp(shown), before=_step(live, shown, back=True), after=_step(live, shown, back=False),
        action=live.path + anchor, newest=address(live.path, live.query) + anchor if live.as_of else None,
    )  # fmt: skip


def _step(live: Live, shown: datetime, *, back: bool) -> Step:
    near = [one for one in live.turns if (one.time < shown if back else one.time > shown)]
    sign, name = ("◂", "The turn before") if back else ("▸", "The turn after")
    if not near:
        return Step(sign=sign, place=None, told="")
    turn = near[-1] if back else near[0]
    told = f"{name}: {timestamp(turn.time)} {brief(turn.what, 120)}"
    return Step(sign=sign, place=address(live.path, live.query, turn.time) + _anchor(live), told=told)


def _anchor(live: Live) -> str:
    """Where a page about another moment opens: at the picture, if it has one."""
    return "#lifelines" if live.path == "/trace" else ""


def _story_bar(live: Live) -> StoryBar:
    given: dict[str, list[str]] = {}
    for name, value in live.query:
        given.setdefault(name, []).append(value)
    fields = tuple(
        NarrowingField(
            name=name, told=told, hint=hint, value=" ".join(given.get(name, ())),
            offers="seen-times" if name == "since" else "seen-addresses",
        )
        for name, told, hint in _NARROWING
    )  # fmt: skip
    kept = [(name, value) for name, value in live.query if name in ("subject", "strategy")]
    return StoryBar(
        turns=tuple(_turn(one, live) for one in live.turns), narrowed=narrowed(live), fields=fields,
        kept=(*kept, *asked_moment(live)),
        times=tuple((timestamp(one.time), brief(one.what, 80)) for one in live.turns),
    )  # fmt: skip


def _turn(one: Turn, live: Live) -> ShownTurn:
    place = address(live.path, live.query, one.time) + _anchor(live)
    return ShownTurn(
        time=timestamp(one.time), what=brief(one.what, 160), place=place, here=one.time == live.as_of
    )


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


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
