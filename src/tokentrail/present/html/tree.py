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

from tokentrail.formatting import counted
from tokentrail.lineage.model import Credential, State, Trace, TracedCredential
from tokentrail.present import words
from tokentrail.present.html.console import Live, Query, asked_moment, lineage_address, story
from tokentrail.present.html.credential_facts import (
    CredentialActivity,
    CredentialFacts,
    doings_of,
    facts_of,
    until,
)
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.view_models import Badge, Excerpt, excerpt
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCredential:
    """A credential in a line: its name, id and state, and what it is."""

    anchor: str
    badge: Badge
    id: str
    state: State
    of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeCredential:
    """A credential of the tree, with what it did and what descends from it."""

    line: ShownCredential
    facts: CredentialFacts | None
    """`None`: the page has room for a line alone."""
    until: str
    leaf: bool
    """Whether nothing descends from it."""
    children: list[TreeEntry] = field(default_factory=list)
    """What is nested in it; where that would be too deep, they follow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFold:
    """Siblings of one kind and role, folded together."""

    kinds: str
    of: str
    works: str
    calls: str
    place: str | None
    """The page of the console that lists them, where this one has no room for them."""
    members: list[TreeEntry] = field(default_factory=list)


TreeEntry = TreeCredential | TreeFold


@dataclass(frozen=True, slots=True)
class TreeView:
    """A tree, or several where parents make a loop, which only broken evidence has."""

    lists: tuple[list[TreeEntry], ...]
    open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageView:
    """What the section of the lineage shows."""

    note: str
    tree: TreeView
    search: Query | None
    """What a search of the console sends along; `None`: the page searches itself."""
    rest: str
    """How many more there are, in words."""
    rest_ids: str
    bystanders: Excerpt[ShownCredential]
    bystander_count: str
    bystanders_open: bool


@dataclass(slots=True)
class _Tree:
    by_id: dict[str, TracedCredential]
    children: dict[str | None, list[TracedCredential]]
    full: set[str]
    doings: CredentialActivity
    names: LabelResolver
    open: bool
    far: Live | None = None
    """The console that has what this page has no room for."""
    drawn: set[str] = field(default_factory=set)


def lineage_view(trace: Trace, bystanders: Sequence[Credential], names: LabelResolver) -> LineageView:
    """Choose what the section shows; where it has no room for all, `names` learns which credentials are on the page."""
    tree = _planted(trace, names)
    rest = [one for one in trace.credentials if one.id not in tree.by_id]
    lists = _grown(tree, tree.children[None])
    if tree.far is not None and len(tree.drawn) <= _OPEN:  # a trunk that is short enough to be read at once
        tree.open = True
    if tree.far is not None:
        names.here = {*tree.drawn, *(one.id for one in bystanders[:TRUNK])}
    count = counted(len(trace.credentials), "credential")
    return LineageView(
        note=f"{count}: whom each came from, what it did, and what it made.", tree=TreeView(lists, tree.open),
        search=None if tree.far is None else searched(tree.far),
        rest=f"{len(rest):,} more credentials, by id only: {words.still_work(rest)}" if rest else "",
        rest_ids=" ".join(one.id for one in rest),
        bystanders=excerpt(
            bystanders, LISTED if names.here is None else TRUNK,
            lambda one: _line(one, names, f"; {brief(words.why(one), 300)}"),
        ),
        bystander_count=counted(len(bystanders), "credential"), bystanders_open=len(bystanders) <= _MANY,
    )  # fmt: skip


def branch(
    trace: Trace,
    others: Sequence[Credential],
    chosen: Sequence[Credential],
    names: LabelResolver,
    *,
    alone: bool,
) -> TreeView:
    """Show some credentials of a lineage in full, each with its children, or alone."""
    tree = _planted(replace(trace, credentials=(*trace.credentials, *map(_innocent, others))), names)
    tree.far, tree.open = names.live, len(chosen) == 1
    names.here = tree.drawn
    if alone:
        tree.children = defaultdict(list)
    picked = [tree.by_id[one.id] for one in chosen]
    return TreeView(_grown(tree, picked, folded=False), tree.open)


def searched(live: Live) -> Query:
    """What a search for credentials of a lineage sends along."""
    return (*story(live), *asked_moment(live))


def _planted(trace: Trace, names: LabelResolver) -> _Tree:
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
    """Siblings that fold together."""

    members: tuple[TracedCredential, ...]
    afar: bool
    """Whether the console has them, since this page has no room."""


_Work = tuple[_Group | TracedCredential, int, list[TreeEntry]]
"""What is to be put into which list, and how deep that is."""
AnyCredential = TypeVar("AnyCredential", bound=Credential)


def _grown(
    tree: _Tree, roots: Sequence[TracedCredential], *, folded: bool = True
) -> tuple[list[TreeEntry], ...]:
    """Build all levels, without recursion; a loop of parents, which only broken evidence has, is cut somewhere."""
    lists: list[list[TreeEntry]] = [[]]
    top = _level(tree, roots, 0, lists[0]) if folded else [(one, 0, lists[0]) for one in roots]
    stack: list[_Work] = [*reversed(top)]
    reached: set[str] = set()
    while True:
        while stack:
            item, depth, into = stack.pop()
            if isinstance(item, _Group):
                fold = _fold(tree, item, reached)
                into.append(fold)
                if not item.afar:
                    stack += [(one, depth, fold.members) for one in reversed(living_first(item.members))]
                continue
            reached.add(item.id)
            tree.drawn.add(item.id)
            shown = _credential(tree, item)
            into.append(shown)
            nested = depth < _DEEPEST and shown.facts is not None
            children = tree.children.get(item.id, [])
            below = (depth + 1, shown.children) if nested else (depth, into)
            stack += reversed(_level(tree, children, *below))
        left = (
            next((one for name, one in tree.by_id.items() if name not in reached), None) if folded else None
        )
        if left is None:
            return tuple(lists)
        tree.children[left.parent] = [one for one in tree.children[left.parent] if one is not left]
        lists.append([])
        stack = [(left, 0, lists[-1])]


def _level(
    tree: _Tree, children: Sequence[TracedCredential], depth: int, into: list[TreeEntry]
) -> list[_Work]:
    """List children in order of time; many of one kind and role fold together."""
    groups: dict[tuple[str, str], list[TracedCredential]] = {}
    for one in children:
        groups.setdefault(group_of(one), []).append(one)
    work: list[_Work] = []
    for group in groups.values():
        afar = tree.far is not None and (len(group) > _MANY or len(tree.drawn) > TRUNK)
        if afar or len(group) > _MANY:
            work.append((_Group(tuple(group), afar), depth, into))
        else:
            work += [(one, depth, into) for one in group]
    return work


def living_first(group: Sequence[AnyCredential]) -> list[AnyCredential]:
    """Put those that work, or may, before those that don't, each in their order."""
    return sorted(group, key=lambda one: one.state not in ("active", "unknown"))


def _fold(tree: _Tree, group: _Group, reached: set[str]) -> TreeFold:
    first = group.members[0]
    return TreeFold(
        kinds=words.kinds(len(group.members), first), of=brief(words.principal(first.role or first.principal)),
        works=words.still_work(group.members), calls=counted(sum(one.events for one in group.members), "call"),
        place=_afar(tree, group, tree.far, reached) if group.afar and tree.far else None,
    )  # fmt: skip


def _afar(tree: _Tree, group: _Group, far: Live, reached: set[str]) -> str:
    """Where the console lists a group; it and all below it need no other place on the page."""
    fresh = [one.id for one in group.members]
    while fresh:
        name = fresh.pop()
        if name not in reached:
            reached.add(name)
            fresh += (one.id for one in tree.children.get(name, ()))
    first = group.members[0]
    kind, of = group_of(first)
    under = above(first, tree.by_id)
    return lineage_address(far, *([("under", under)] if under else []), ("kind", kind), ("of", of))


def _credential(tree: _Tree, one: TracedCredential) -> TreeCredential:
    full = one.id in tree.full
    return TreeCredential(
        line=_line(one, tree.names), facts=facts_of(tree.doings, one, tree.names) if full else None,
        until=until(one), leaf=not full or not tree.children.get(one.id),
    )  # fmt: skip


def _line(one: Credential, names: LabelResolver, more: str = "") -> ShownCredential:
    of = f"{words.kind(one)} of {brief(words.who(one), 160)}{more}"
    return ShownCredential(
        anchor=names.anchors[one.id], badge=names.badge(one), id=one.id, state=one.state, of=of
    )
