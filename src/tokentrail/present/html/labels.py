"""
The words of the lifelines: names at the left end, the minting above the bar, the verdict at the right end.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

from rich.cells import cell_len

from tokentrail.containment.model import Plan
from tokentrail.formatting import verb
from tokentrail.lineage.model import Kind
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.bars import BAR, mark
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.rows import Row, name, stopped
from tokentrail.present.html.svg import Svg, join, number, tag
from tokentrail.present.html.window import Window
from tokentrail.present.safe import cut, cut_middle, safe

_WIDE = 28
"""Columns of a name at the left end."""
_NARROW, _BROAD = frozenset("fijlrtI-.,:;/|!' "), frozenset("mwMW@%")
_BRIEF: dict[Kind, str] = {
    "assumed_role_saml": "SAML session", "assumed_role_web_identity": "web identity", "service_role": "service's role",
    "identity_center": "portal session", "oauth_login": "OAuth login", "scoped": "scoped",
    "delegated": "delegated", "forwarded": "forwarded",
    "unknown": "unknown kind",
}  # fmt: skip
"""Kinds whose usual names and a key id lie over a bar that begins at the left end."""
_SHORT_KINDS = {"long_term_key": "key", "session_token": "tok", "federation_token": "tok"}


def told(row: Row, names: LabelResolver) -> str:
    """Tell a line in a sentence, for those who hear it."""
    side = "attacker's" if row.attackers else names.whose(row.one)
    if not row.single:
        return (
            f"{name(row)} of {words.principal(row.one.role or row.one.principal)}, {side}: {_counted(row, 0)}"
        )
    one = row.one
    birth = f", minted {timestamp(one.issued_at)}" if one.issued_at else ""
    parent = f" {words.hand(one)} {names.short(one.parent)}" if one.parent else ""
    return f"{names.called(one)}: {words.kind(one)} of {words.who(one)}, {side}{birth}{parent}; {words.state(one)}"


def badge(row: Row, label: str, y: float) -> Svg:
    """Draw the name: a filled square for the attacker's, a round outline for a colleague's; of many, how many."""
    middle = y + BAR / 2
    shape = (
        tag("rect", class_="badge", x=10, y=middle - 13, width=26, height=26, rx=3)
        if row.attackers
        else tag("circle", class_="badge", cx=23, cy=middle, r=12)
    )
    if not row.single:
        count = len(row.members)
        short = f"{count}" if count < 1000 else f"{count // 1000}k" if count < 1_000_000 else "…"
        return join(
            [shape, tag("text", short, class_="letter many", x=23, y=middle + 4, text_anchor="middle")]
        )
    if not row.attackers:
        return join([shape, _person(23, middle)])
    if len(label) > 2:
        short = _SHORT_KINDS.get(row.one.kind, "ses")
        return join(
            [shape, tag("text", short, class_="letter many", x=23, y=middle + 4, text_anchor="middle")]
        )
    return join([shape, tag("text", label, class_="letter", x=23, y=middle + 5, text_anchor="middle")])


def _person(x: float, y: float) -> Svg:
    return join([
        tag("circle", class_="person", cx=x, cy=y - 3.5, r=3.4),
        tag("path", class_="person", d=f"M{number(x - 6)} {number(y + 7)}a6 6 0 0 1 12 0z"),
    ])  # fmt: skip


def inscription(row: Row, y: float, label: str) -> Iterable[Svg]:
    """Say at the left end whose a line is, and below what it is, and its id."""
    one = row.one
    of = words.part(one.role or one.principal)
    person = words.person(one)
    speaks = f"{person} · {of}" if person else words.part(one.principal or one.role)
    if row.single:
        first = (
            (speaks if cell_len(speaks) <= _WIDE else person or of)
            if row.attackers or label == of
            else f"{label} · {of}"
        )
        second, shown = (
            _BRIEF.get(one.kind) or words.kind(one),
            one.id if "@" not in one.id else cut_middle(one.id, 20),
        )
    elif len({(other.role or other.principal, other.account) for other in row.members}) == 1:
        first, second, shown = of, name(row), one.account or ""
    else:
        first, second, shown = "several roles and users", name(row), ""
    yield tag("text", fitted(safe(first)), class_="what", x=46, y=y + 4)
    kind = tag("tspan", f"{cut(safe(second), 24)} ", class_="kind")
    yield tag("text", kind, cut(safe(shown), 24), class_="id", x=46, y=y + 18)


def caption(row: Row, window: Window, names: LabelResolver, y: float) -> Svg | None:
    """Say above the bar's beginning how, when and from where it was minted."""
    if not row.single:
        return None
    one = row.one
    if not window.holds(one.issued_at) or one.issued_at is None:
        text = f"made {one.issued_at:%d %b %Y}" if one.issued_at else "made before the evidence begins"
        return tag(
            "text", f"◂ {text}" if row.attackers else None, class_="caption", x=window.left + 4, y=y - 4
        )
    issued = one.issued_by
    by = f"{issued.api} " if issued else ""
    parent = f" {words.hand(one)} {names.short(one.parent)}" if one.parent else ""
    where = f" from {issued.source_ip}" if issued and issued.source_ip else ""
    text = cut(safe(f"{by}{clock(one.issued_at, window)}{parent}{where}"), 70)
    x, wide = window.at(one.issued_at), cell_len(text) * 5.9
    before = x + wide > window.right
    return tag("text", text, class_="caption", x=x - 6 if before else x + 8, y=y - 4,
               text_anchor="end" if before else None)  # fmt: skip


def status(row: Row, plan: Plan | None, window: Window, x: float, y: float) -> Svg:
    """Say at the right end what has become of it, now and after each step of the plan."""
    dies = sorted({row.deaths.get(one.id, 0) for one in row.alive()} - {0})
    bounds = [0, *dies, (plan.steps[-1].n + 1 if plan and plan.steps else 1)]
    parts = []
    for begin, end in pairwise(bounds):
        shown = " ".join(f"v{step}" for step in range(begin, end))
        parts.append(tag("g", *_verdict(row, begin, window, x, y), class_=shown))
    return tag("g", *parts, class_="status")


def _verdict(row: Row, step: int, window: Window, x: float, y: float) -> Iterable[Svg]:
    """The sign, the word, and what else there is to say, after a step of the plan."""
    alive, one, middle = row.alive(step), row.one, y + BAR / 2
    word, more, look = "ended" if one.ended_at else "expired", "", ""
    sign = "dot" if alive else "cross"
    if not row.single:
        word = _counted(row, step)
    elif alive:
        sign, word = ("dot", "still works") if one.state == "active" else ("query", "may still work")
        end = one.expires_at or one.expires_bound
        more = _ends(end, row, window) if end else "until somebody ends it"
    elif step and row.alive():
        word, look = f"ended by step {step}", " planned"
    elif end := stopped(one):
        more = _day(end, window)
    yield mark(sign, x, middle)
    shown = f"verdict{' alive' if alive else look}"
    yield tag("text", word, class_=shown, x=x + 12, y=middle + (-1 if more else 4))
    if more:
        yield tag("text", more, class_="when", x=x + 12, y=middle + 12)


def _counted(row: Row, step: int) -> str:
    alive = row.alive(step)
    if not alive:
        return "none works"
    sure = any(one.state == "active" for one in alive)
    return (
        f"{len(alive):,} of {len(row.members):,} {verb(len(alive), 'works', 'work') if sure else 'may work'}"
    )


def _ends(end: datetime, row: Row, window: Window) -> str:
    shown = _day(end, window)
    return f"until {shown}" if row.one.expires_at else f"{shown} at most"


def _day(moment: datetime, window: Window) -> str:
    """Spell a time with its day, and with its year in place of the seconds where that is another one than now."""
    return f"{moment:%d %b %H:%M:%S}" if moment.year == window.now.year else f"{moment:%d %b %Y %H:%M}"


def clock(moment: datetime, window: Window) -> str:
    """Spell a time of the day, with the day where the window holds several."""
    whole = window.end - window.start > timedelta(days=1)
    return _day(moment, window) if whole else f"{moment:%H:%M:%S}"


def fitted(text: str) -> str:
    """
    Cut a name that is safe already in its middle until it fits the left end, by how wide its letters are.

    Columns are a terminal's: twenty-eight capitals would lie over the bar. The measures are those of the widest font
    that the style asks for.
    """
    shown = next((one for room in range(_WIDE, 4, -1) if _width(one := cut_middle(text, room)) <= _WIDE), "")
    return shown or cut(text, 4)


def _width(text: str) -> float:
    """How many columns a bold text takes."""
    return sum(
        0.6
        if letter in _NARROW
        else 1.7
        if letter in _BROAD
        else 1.25
        if letter.isupper()
        else 1.1 * cell_len(letter)
        for letter in text
    )
