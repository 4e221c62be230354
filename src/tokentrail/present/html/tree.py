"""
The lineage as a tree that folds: each credential with whom it came from, what it did and made, and its children.

A report has the whole tree. A page of a console has the trunk of a large lineage: parts for which there is no room are
folded, and fetched from the console when they are opened. The tree is built without recursion, since an attacker
decides how deep a lineage is, and elements are nested no deeper than browsers can.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tokentrail.lineage.model import Credential, Trace, TracedCredential
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.console import Live, hidden, lineage_address, story
from tokentrail.present.html.dossier import Names
from tokentrail.present.html.facts import Doings, doings_of, facts, until
from tokentrail.present.html.markup import Html, join, tag
from tokentrail.present.html.pieces import and_more, badge, section, state
from tokentrail.present.safe import brief

FULL, LISTED = 4000, 16_000
"""Credentials that are told in full, and those that have a line besides; of the rest, the ids stand below."""
_DEEPEST = 40
_MANY = 12
"""Siblings of one kind and role, from which on they fold."""
_OPEN = 60
"""Credentials up to which the tree stands open."""
TRUNK = 250
"""Credentials that a page of a console has room for; of a lineage with more, the rest is a click away."""


@dataclass(slots=True)
class _Tree:
    by_id: dict[str, TracedCredential]
    children: dict[str | None, list[TracedCredential]]
    full: set[str]
    doings: Doings
    names: Names
    open: bool
    far: Live | None = None
    """The console that has what this page has no room for."""
    drawn: set[str] = field(default_factory=set)


def tree_section(trace: Trace, bystanders: Sequence[Credential], names: Names) -> Html:
    """Build the section; where it has no room for all, `names` learns which credentials are on the page."""
    tree = _planted(trace, names)
    rest = [one for one in trace.credentials if one.id not in tree.by_id]
    drawn = _drawn(tree, tree.children[None])
    if tree.far is not None and len(tree.drawn) <= _OPEN:  # a trunk that is short enough to be read at once
        tree.open, tree.drawn = True, set()
        drawn = _drawn(tree, tree.children[None])
    if tree.far is not None:
        names.here = {*tree.drawn, *(one.id for one in bystanders[:TRUNK])}
    count = words.number(len(trace.credentials), "credential")
    return section(
        "lineage", "Lineage",
        _tools() if tree.far is None else search(tree.far),
        tag("div", drawn, class_="tree" if tree.open else "tree big", id="tree"),
        _rest(rest),
        _bystanders(bystanders, names),
        note=f"{count}: whom each came from, what it did, and what it made.",
    )  # fmt: skip


def branch(
    trace: Trace, others: Sequence[Credential], chosen: Sequence[Credential], names: Names, *, alone: bool
) -> Html:
    """Draw some credentials of a lineage in full, each with its children, or alone."""
    tree = _planted(replace(trace, credentials=(*trace.credentials, *map(_innocent, others))), names)
    tree.far, tree.open = names.live, len(chosen) == 1
    names.here = tree.drawn
    if alone:
        tree.children = defaultdict(list)
    picked = [tree.by_id[one.id] for one in chosen]
    return tag("div", _drawn(tree, picked, folded=False), class_="tree", id="tree")


def search(live: Live, text: str = "") -> Html:
    """Ask the console for credentials of a lineage, by whatever is said of them."""
    moment = [("as_of", timestamp(live.as_of))] if live.as_of else []
    return tag(
        "form",
        *hidden([*story(live), *moment]),
        tag("label", "Search ", tag("input", type="search", name="find", id="find", value=text, autocomplete="off",
                                    spellcheck="false", placeholder="key, principal, address, name")),
        tag("button", "Search"), action="/lineage", method="get", class_="tools",
    )  # fmt: skip


def _tools() -> Html:
    return tag(
        "div",
        tag("label", "Search ", tag("input", type="search", id="find", autocomplete="off", spellcheck="false",
                                    placeholder="key, principal, address, name")),
        tag("button", "Open all", type="button", data_fold="open"),
        tag("button", "Fold all", type="button", data_fold="shut"),
        tag("output", id="found", for_="find"),
        class_="tools js", hidden=True,
    )  # fmt: skip


def _planted(trace: Trace, names: Names) -> _Tree:
    """Choose what is told, and arrange it by parent."""
    far = names.live if len(trace.credentials) > TRUNK else None
    ranked = (
        sorted(trace.credentials, key=_importance)
        if len(trace.credentials) > FULL and not far
        else trace.credentials
    )
    full = {one.id for one in (ranked if far else ranked[:FULL])}
    told = full if far else {one.id for one in ranked[: FULL + LISTED]}
    by_id = {one.id: one for one in trace.credentials if one.id in told}
    children: dict[str | None, list[TracedCredential]] = defaultdict(list)
    for one in by_id.values():
        children[above(one, by_id)].append(one)
    return _Tree(by_id, children, full, doings_of(trace), names, len(by_id) <= _OPEN, far)


def above(one: Credential, known: Container[str]) -> str | None:
    """Under which credential another hangs in a tree of those that are known."""
    return one.parent if one.parent in known and one.parent != one.id else None


def group_of(one: Credential) -> tuple[str, str]:
    """What siblings have in common that fold together."""
    return one.kind, one.role or one.principal or ""


def _innocent(one: Credential) -> TracedCredential:
    values = {name: getattr(one, name) for name in Credential.__dataclass_fields__}
    return TracedCredential(**values, tainted=False)


def _importance(one: TracedCredential) -> tuple[bool, bool, int, int, str]:
    return (not one.tainted, one.state not in ("active", "unknown"), one.depth, -one.events, one.id)


@dataclass(frozen=True, slots=True)
class _Group:
    """Siblings that this page has no room for."""

    members: tuple[TracedCredential, ...]


_Work = Html | _Group | tuple[TracedCredential, int]
AnyCredential = TypeVar("AnyCredential", bound=Credential)
_SHUT_ITEM, _SHUT_LIST = Html("</li>"), Html("</ul>")


def _drawn(tree: _Tree, roots: Sequence[TracedCredential], *, folded: bool = True) -> Html:
    """Draw all levels, without recursion; a loop of parents, which only broken evidence has, is cut somewhere."""
    top = _level(tree, roots, 0) if folded else [(one, 0) for one in roots]
    parts: list[Html] = [Html("<ul>")]
    stack: list[_Work] = [_SHUT_LIST, *reversed(top)]
    reached: set[str] = set()
    while True:
        while stack:
            item = stack.pop()
            if isinstance(item, Html):
                parts.append(item)
                continue
            if isinstance(item, _Group):
                parts.append(_kept_afar(tree, item, reached))
                continue
            one, depth = item
            reached.add(one.id)
            tree.drawn.add(one.id)
            parts.append(_head(tree, one))
            stack += reversed(_below(tree, one, depth))
        left = (
            next((one for name, one in tree.by_id.items() if name not in reached), None) if folded else None
        )
        if left is None:
            return join(parts)
        tree.children[left.parent] = [one for one in tree.children[left.parent] if one is not left]
        parts.append(Html("<ul>"))
        stack = [_SHUT_LIST, (left, 0)]


def _below(tree: _Tree, one: TracedCredential, depth: int) -> list[_Work]:
    """What comes after a credential's own words: its children within it, or beside it where it is too deep."""
    shut = Html("</details></li>") if one.id in tree.full else _SHUT_ITEM
    children = tree.children.get(one.id, [])
    if not children:
        return [shut]
    if depth >= _DEEPEST or one.id not in tree.full:
        return [shut, *_level(tree, children, depth)]
    return [Html("<ul>"), *_level(tree, children, depth + 1), _SHUT_LIST, shut]


def _level(tree: _Tree, children: Sequence[TracedCredential], depth: int) -> list[_Work]:
    """List children in order of time; many of one kind and role fold together, those that work first."""
    groups: dict[tuple[str, str], list[TracedCredential]] = {}
    for one in children:
        groups.setdefault(group_of(one), []).append(one)
    work: list[_Work] = []
    for group in groups.values():
        if tree.far is not None and (len(group) > _MANY or len(tree.drawn) > TRUNK):
            work.append(_Group(tuple(group)))
            continue
        if len(group) <= _MANY:
            work += [(one, depth) for one in group]
            continue
        work.append(Html(f'<li class="fold"><details>{_fold(group)}<ul>'))
        work += [(one, depth) for one in living_first(group)]
        work.append(Html("</ul></details></li>"))
    return work


def living_first(group: Sequence[AnyCredential]) -> list[AnyCredential]:
    """Put those that work, or may, before those that don't, each in their order."""
    return sorted(group, key=lambda one: one.state not in ("active", "unknown"))


def _kept_afar(tree: _Tree, group: _Group, reached: set[str]) -> Html:
    """Fold a group that the console has; it and all below it need no other place on the page."""
    assert tree.far is not None
    fresh = [one.id for one in group.members]
    while fresh:
        name = fresh.pop()
        if name not in reached:
            reached.add(name)
            fresh += (one.id for one in tree.children.get(name, ()))
    first = group.members[0]
    kind, of = group_of(first)
    under = above(first, tree.by_id)
    there = lineage_address(tree.far, *([("under", under)] if under else []), ("kind", kind), ("of", of))
    way = tag("p", tag("a", "List them", href=there))
    return tag("li", tag("details", _fold(group.members), way, class_="far"), class_="fold")


def _fold(group: Sequence[TracedCredential]) -> Html:
    first = group[0]
    head = join([
        tag("b", words.kinds(len(group), first)), " of ",
        brief(words.principal(first.role or first.principal)),
        ": ", words.still_work(group), f", {words.number(sum(one.events for one in group), 'call')}",
    ])  # fmt: skip
    return tag("summary", head)


def _head(tree: _Tree, one: TracedCredential) -> Html:
    """A credential's own words, with its element left open for its children."""
    anchor = tree.names.anchors[one.id]
    of = brief(words.who(one), 160)
    line = join([
        badge(one, tree.names), " ", tag("code", one.id), " ", state(one),
        tag("span", f" {words.kind(one)} of {of}", class_="of"),
    ])  # fmt: skip
    if one.id not in tree.full:
        return Html(
            f'<li class="cred leaf" id="{anchor}">{line}{tag("span", f" · {until(one)}", class_="soft")}'
        )
    opened = " open" if tree.open else ""
    leaf = "" if tree.children.get(one.id) else " leaf"
    return Html(
        f'<li class="cred{leaf}" id="{anchor}"><details{opened}>{tag("summary", line)}'
        f"{tag('div', *facts(tree.doings, one, tree.names), class_='facts')}"
    )


def _rest(rest: Sequence[TracedCredential]) -> Html | None:
    """List the ids of those for which there is no room, those that work first."""
    if not rest:
        return None
    return tag(
        "details",
        tag("summary", f"{len(rest):,} more credentials, by id only: {words.still_work(rest)}"),
        tag("p", "They have no place in the tree above, since a page has room for so many. "
            "`tokentrail trace --format jsonl` has all of each."),
        tag("p", " ".join(one.id for one in rest), class_="ids"),
    )  # fmt: skip


def _bystanders(bystanders: Sequence[Credential], names: Names) -> Html | None:
    """List the colleagues in the same roles and users."""
    if not bystanders:
        return None
    items = [
        tag("li", badge(one, names), " ", tag("code", one.id), " ", state(one),
            tag("span", f" {words.kind(one)} of {brief(words.who(one), 160)}; {brief(words.why(one), 300)}",
                class_="of"),
            id=names.anchors[one.id], class_="cred")
        for one in bystanders[: LISTED if names.here is None else TRUNK]
    ]  # fmt: skip
    return tag(
        "details",
        tag("summary", f"Others in the same role or user: {words.number(len(bystanders), 'credential')}"),
        tag("ul", *items), and_more(len(bystanders), len(items), "`tokentrail credentials` lists them all."),
        open=len(bystanders) <= _MANY, class_="tree",
    )  # fmt: skip
