"""
The picture's section: the lifelines, and a switch that shows them after each step of the plan.

The switch is a group of radio buttons and a style sheet: it needs no script.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from tokentrail.containment.model import Plan
from tokentrail.formatting import counted, verb
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.flags import LifelineChart, consequence
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.lifelines import lifelines
from tokentrail.present.html.rows import Action
from tokentrail.present.html.view_models import Excerpt, Reference, excerpt
from tokentrail.present.safe import brief

_MOST = 40
_ENDED = {
    "display:none": (".until#",),
    "display:inline": (".from#",),
    "fill:var(--pale)": (".mine.dies# .bar", ".mine.dies# .head", ".dies# .crowd-live"),
    "stroke:var(--own)": (".mine.dies# .use",),
    "fill:var(--ground);stroke:var(--own);stroke-width:1.6": (".mine.dies# .badge",),
    "fill:var(--mine-ink)": (".mine.dies# .letter",),
}
"""How what a step has ended looks; `#` stands for the step."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A view of the picture: now, or after a step of the plan."""

    text: str
    told: str | None
    """The step."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What holds in a view of the picture."""

    lead: str
    told: str


@dataclass(frozen=True, slots=True)
class DoneAction:
    """An action against the credentials that the evidence shows."""

    time: str
    what: str
    consequence: str
    event: Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class LifelinesView:
    """What the section of the picture shows."""

    choices: tuple[Choice, ...]
    sentences: tuple[Sentence, ...]
    """The first is of now, each other of a step."""
    svg: Markup
    actions: Excerpt[DoneAction]
    action_count: str


def lifelines_view(picture: LifelineChart) -> LifelinesView:
    """Choose what the section shows, and draw the picture."""
    steps = picture.plan.steps if picture.plan else ()
    choices = (
        Choice("Now", None),
        *(Choice(f"After step {one.n}", brief(words.action(one))) for one in steps),
    )
    return LifelinesView(
        choices=choices if steps else (), sentences=tuple(_sentences(picture)), svg=lifelines(picture),
        actions=excerpt(picture.actions, _MOST, lambda one: _done(one, picture.names)),
        action_count=counted(len(picture.actions), "action"),
    )  # fmt: skip


def rules(plan: Plan | None) -> str:
    """Write the style rules that show the picture after each step."""
    return "".join(_rules(plan)) if plan else ""


def _rules(plan: Plan) -> Iterator[str]:
    for n in range(1, len(plan.steps) + 1):
        when = f"#lifelines:has(#at-{n}:checked) "
        yield f"{when}.v0:not(.v{n}){{display:none}}"
        yield f"{when}.status>.v{n}{{display:inline}}{when}.told>.v{n}{{display:block}}"
        for rule, parts in _ENDED.items():
            places = [f"{when}{part.replace('#', str(k))}" for k in range(1, n + 1) for part in parts]
            yield f"{','.join(places)}{{{rule}}}"


def _sentences(picture: LifelineChart) -> Iterator[Sentence]:
    names, plan = picture.names, picture.plan
    tainted = [one for one in picture.trace.credentials if one.tainted]
    sure = [one.id for one in tainted if one.state == "active"]
    maybe = [one.id for one in tainted if one.state == "unknown"]
    gone = [one.id for one in tainted if one.state not in ("active", "unknown")]
    told = [f"{names.listed(sure)} {verb(len(sure), 'works', 'work')}"] if sure else []
    told += [f"{names.listed(maybe)} may work"] if maybe else []
    now = "; ".join(told) or "nothing works any more"
    ended = f"{names.listed(gone)} {verb(len(gone), 'has', 'have')} ended; " if gone else ""
    yield Sentence("Now: ", f"{ended}{now}.")
    for step in plan.steps if plan else ():
        ends = f"{names.listed(step.ends)} {verb(len(step.ends), 'ends', 'end')}" if step.ends else (
            "it stops new ones; none ends at once"
        )  # fmt: skip
        left = (
            f"{names.listed(step.alive_after)} {verb(len(step.alive_after), 'goes', 'go')} on"
            if step.alive_after else "nothing of the attacker's is left"
        )  # fmt: skip
        theirs = sum(one.credential not in plan.tainted for one in step.collateral) if plan else 0
        hit = f" Cut off as well: {counted(theirs, 'credential')} of others." if theirs else ""
        yield Sentence(f"After step {step.n}: ", f"{brief(words.action(step), 120)}. {ends}; {left}.{hit}")


def _done(one: Action, names: LabelResolver) -> DoneAction:
    return DoneAction(
        timestamp(one.time), brief(one.what), consequence(one, names), names.event(one.event_id)
    )
