"""
The picture's section: the lifelines, and a switch that shows them after each step of the plan.

The switch is a group of radio buttons and a style sheet: it needs no script.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.containment.model import Plan
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.flags import Picture, consequence
from tokentrail.present.html.lifelines import lifelines
from tokentrail.present.html.markup import Html, tag
from tokentrail.present.html.pieces import event, section
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


def picture_section(picture: Picture) -> Html:
    """Build the section."""
    plan = picture.plan
    return section(
        "lifelines", "Lifelines",
        tag(
            "div",
            tag("button", "Save as PNG", type="button", data_save="png"),
            tag("button", "Save as SVG", type="button", data_save="svg"),
            class_="saving js", hidden=True,
        ),
        _switch(plan) if plan and plan.steps else None,
        tag("div", *_sentences(picture), class_="told", aria_live="polite"),
        tag("div", lifelines(picture), class_="wide picture", tabindex=0, role="region",
            aria_label="Picture of the lifelines"),
        _actions(picture),
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


def _switch(plan: Plan) -> Html:
    choices = []
    for n in range(len(plan.steps) + 1):
        text = "Now" if n == 0 else f"After step {n}"
        told = None if n == 0 else brief(words.action(plan.steps[n - 1]))
        choices.append(tag("input", type="radio", name="at", id=f"at-{n}", checked=n == 0))
        choices.append(tag("label", text, for_=f"at-{n}", title=told))
    return tag("fieldset", tag("legend", "Show the picture"), *choices, class_="switch")


def _sentences(picture: Picture) -> Iterator[Html]:
    names, plan = picture.names, picture.plan
    tainted = [one for one in picture.trace.credentials if one.tainted]
    sure = [one.id for one in tainted if one.state == "active"]
    maybe = [one.id for one in tainted if one.state == "unknown"]
    gone = [one.id for one in tainted if one.state not in ("active", "unknown")]
    told = [f"{names.listed(sure)} {words.verb(len(sure), 'works', 'work')}"] if sure else []
    told += [f"{names.listed(maybe)} may work"] if maybe else []
    now = "; ".join(told) or "nothing works any more"
    ended = f"{names.listed(gone)} {words.verb(len(gone), 'has', 'have')} ended; " if gone else ""
    yield tag("p", tag("b", "Now: "), f"{ended}{now}.", class_="v0")
    for step in plan.steps if plan else ():
        ends = f"{names.listed(step.ends)} {words.verb(len(step.ends), 'ends', 'end')}" if step.ends else (
            "it stops new ones; none ends at once"
        )  # fmt: skip
        left = (
            f"{names.listed(step.alive_after)} {words.verb(len(step.alive_after), 'goes', 'go')} on"
            if step.alive_after else "nothing of the attacker's is left"
        )  # fmt: skip
        theirs = sum(one.credential not in plan.tainted for one in step.collateral) if plan else 0
        hit = f" Cut off as well: {words.number(theirs, 'credential')} of others." if theirs else ""
        yield tag("p", tag("b", f"After step {step.n}: "), f"{brief(words.action(step), 120)}. ",
                  f"{ends}; {left}.{hit}",
                  class_=f"v{step.n}")  # fmt: skip


def _actions(picture: Picture) -> Html | None:
    """List what was done so far in words."""
    items = [
        tag("li", tag("time", timestamp(one.time)), " ", brief(one.what), ": ", consequence(one, picture.names),
            tag("span", "  event ", event(one.event_id, picture.names), class_="soft"))
        for one in picture.actions[:_MOST]
    ]  # fmt: skip
    if not items:
        return tag("p", "Nothing in the evidence ended any of them before its time.", class_="note")
    more = len(picture.actions) - _MOST
    return tag(
        "details", tag("summary", f"What was done so far: {words.number(len(picture.actions), 'action')}"),
        tag("ol", *items), tag("p", f"and {more:,} more") if more > 0 else None,
    )  # fmt: skip
