"""
Small pieces that every section of the page uses: badges, states, sections, figures, tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokentrail.containment.model import Plan
from tokentrail.lineage.model import Credential
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.dossier import Names
from tokentrail.present.html.markup import Child, Html, join, prose, tag
from tokentrail.present.safe import brief
from tokentrail.spelling import more


def section(anchor: str, title: str, *children: Child, note: str | None = None) -> Html:
    """Build a section of the page, with its heading and a sentence below it."""
    return tag(
        "section", tag("h2", title, id=f"{anchor}-title"), tag("p", prose(note), class_="note") if note else None,
        *children,
        id=anchor, aria_labelledby=f"{anchor}-title",
    )  # fmt: skip


def badge(one: Credential, names: Names) -> Html:
    """A credential's name in its shape: square for the attacker's, round for a colleague's."""
    side, whose = "mine" if getattr(one, "tainted", False) else "theirs", names.whose(one)
    alive = "live" if one.state in ("active", "unknown") else "dead"
    called = names.called(one)
    return tag("span", called, class_=f"badge {side} {alive}", title=f"{whose}: {brief(one.id)}")


def reference(credential: str, names: Names) -> Html:
    """A credential's name, leading to its place in the tree."""
    short = brief(names.short(credential), 60)
    place = names.place(credential)
    if place is None:
        return tag("code", short)
    return tag("a", short, href=place, class_="ref", title=brief(credential))


def references(credentials: Sequence[str], names: Names, most: int = 12) -> Html:
    """Several of them, and how many more there are."""
    shown = [reference(one, names) for one in credentials[:most]]
    return join([join(shown, ", "), more(len(credentials) - most)])


def event(event_id: str, names: Names) -> Html:
    """An event's id, leading to its raw record where there is a way to it."""
    place = names.record(event_id)
    shown = tag("code", brief(event_id, 60))
    return shown if place is None else tag("a", shown, href=place, class_="event", title="the raw record")


def happened(time: str, event_id: str, names: Names) -> Html:
    """A moment, leading to the raw record of what happened then."""
    shown, place = tag("time", time), names.record(event_id)
    return shown if place is None else tag("a", shown, href=place, class_="event", title="the raw record")


def state(one: Credential) -> Html:
    """Whether it works: sign and word."""
    sign = tag("span", words.SIGNS[one.state], aria_hidden="true")
    return tag("span", sign, " ", words.STATES[one.state], class_=f"state {one.state}")


def conditions(plan: Plan) -> str:
    """Say on how many conditions a proof rests, wherever its verdict stands: who reads on is told which."""
    held = len(plan.proof.holds_if)
    return f", on {words.number(held, 'condition')}" if held else ""


def unstolen(plan: Plan, names: Names, most: int) -> Html | None:
    """Name the credentials that must not have been stolen, if the plan is to be complete."""
    others = plan.proof.may_be_stolen if plan.proof.complete else ()
    if not others:
        return None
    return join([join((_unstolen(one, names) for one in others[:most]), ", "), more(len(others) - most)])


def _unstolen(credential: str, names: Names) -> Html:
    """A credential by its whole id, since that is looked up, and with whose it is, where the page knows."""
    shown, place = tag("code", brief(credential)), names.place(credential)
    named = shown if place is None else tag("a", shown, href=place, class_="ref")
    person = names.people.get(credential)
    return join([named, f" ({brief(person, 40)})"]) if person else named


def figure(value: str, what: str) -> Html:
    """A number, and what it counts."""
    return tag("div", tag("dt", what), tag("dd", value))


def table(
    heads: Sequence[str], rows: Iterable[Sequence[Child]], *, caption: str, numbers: Sequence[int] = ()
) -> Html:
    """Build a table; the columns named in `numbers` stand to the right."""
    cells = tag("tr", *(tag("th", head, scope="col", class_="n" if n in numbers else None)
                        for n, head in enumerate(heads)))  # fmt: skip
    body = [
        tag("tr", *(tag("td", cell, class_="n" if n in numbers else None) for n, cell in enumerate(row)))
        for row in rows
    ]
    return tag(
        "div",
        tag("table", tag("caption", caption), tag("thead", cells), tag("tbody", *body)),
        class_="wide", tabindex=0, role="region", aria_label=caption,
    )  # fmt: skip


def bullets(sentences: Iterable[Child], class_: str | None = None) -> Html | None:
    """List sentences; nothing where there is none."""
    items = [tag("li", one) for one in sentences]
    return tag("ul", *items, class_=class_) if items else None


def and_more(count: int, most: int, where: str) -> Html | None:
    """Say how many are not shown, and where they are."""
    return tag("p", prose(f"… and {count - most:,} more; {where}"), class_="note") if count > most else None


def when(plan: Plan) -> str:
    """The moment of a plan."""
    return timestamp(plan.as_of)
