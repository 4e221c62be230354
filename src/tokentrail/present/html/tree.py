"""
The lineage as a tree that folds: each credential with whom it came from, what it did and made, and its children.

Built without recursion, since an attacker decides how deep a lineage is; no deeper than a browser nests elements.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from tokentrail.lineage.model import ApiUse, Created, Credential, Link, SecretRead, Trace, TracedCredential
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.dossier import Names
from tokentrail.present.html.markup import Html, brief, join, tag
from tokentrail.present.html.pieces import badge, event, happened, reference, section, state
from tokentrail.present.lineage import birth, uses

FULL, LISTED = 4000, 16_000
"""Credentials that are told in full, and those that have a line besides; of the rest, the ids stand below."""
_DEEPEST = 40
_MANY = 12
"""Siblings of one kind and role, from which on they fold."""
_OPEN = 60
"""Credentials up to which the tree stands open."""
_TOP = 8
_KEYS = 20


@dataclass(slots=True)
class _Doings:
    """What each credential did."""

    apis: dict[str, list[ApiUse]] = field(default_factory=lambda: defaultdict(list))
    made: dict[str, list[Created]] = field(default_factory=lambda: defaultdict(list))
    secrets: dict[str, list[SecretRead]] = field(default_factory=lambda: defaultdict(list))
    ties: dict[str, list[Link]] = field(default_factory=lambda: defaultdict(list))


@dataclass(slots=True)
class _Tree:
    by_id: dict[str, TracedCredential]
    children: dict[str | None, list[TracedCredential]]
    full: set[str]
    doings: _Doings
    names: Names
    open: bool


def tree_section(trace: Trace, bystanders: Sequence[Credential], names: Names) -> Html:
    """Build the section."""
    tree, rest = _planted(trace, names)
    count = words.number(len(trace.credentials), "credential")
    return section(
        "lineage", "Lineage",
        tag(
            "div",
            tag("label", "Search ", tag("input", type="search", id="find", autocomplete="off", spellcheck="false",
                                        placeholder="key, principal, address, name")),
            tag("button", "Open all", type="button", data_fold="open"),
            tag("button", "Fold all", type="button", data_fold="shut"),
            tag("output", id="found", for_="find"),
            class_="tools js", hidden=True,
        ),
        tag("div", _drawn(tree), class_="tree" if tree.open else "tree big", id="tree"),
        _rest(rest),
        _bystanders(bystanders, names),
        note=f"{count}: whom each came from, what it did, and what it made.",
    )  # fmt: skip


def _planted(trace: Trace, names: Names) -> tuple[_Tree, list[TracedCredential]]:
    """Choose what is told, and arrange it by parent."""
    ranked = (
        sorted(trace.credentials, key=_importance) if len(trace.credentials) > FULL else trace.credentials
    )
    full = {one.id for one in ranked[:FULL]}
    told = {one.id for one in ranked[: FULL + LISTED]}
    by_id = {one.id: one for one in trace.credentials if one.id in told}
    children: dict[str | None, list[TracedCredential]] = defaultdict(list)
    for one in by_id.values():
        above = one.parent if one.parent in by_id and one.parent != one.id else None
        children[above].append(one)
    tree = _Tree(by_id, children, full, _doings(trace), names, len(by_id) <= _OPEN)
    return tree, [one for one in trace.credentials if one.id not in told]


def _importance(one: TracedCredential) -> tuple[bool, bool, int, int, str]:
    return (not one.tainted, one.state not in ("active", "unknown"), one.depth, -one.events, one.id)


def _doings(trace: Trace) -> _Doings:
    found = _Doings()
    for use in trace.apis:
        found.apis[use.credential].append(use)
    for made in trace.created:
        found.made[made.by].append(made)
    for secret in trace.secrets_read:
        found.secrets[secret.credential].append(secret)
    parents = {one.id: one.parent for one in trace.credentials}
    for link in trace.links:
        if parents.get(link.child) != link.parent:
            found.ties[link.child].append(link)
    return found


_Work = Html | tuple[TracedCredential, int]
_SHUT_ITEM, _SHUT_LIST = Html("</li>"), Html("</ul>")


def _drawn(tree: _Tree) -> Html:
    """Draw all levels, without recursion; a loop of parents, which only broken evidence has, is cut somewhere."""
    parts: list[Html] = [Html("<ul>")]
    stack: list[_Work] = [_SHUT_LIST, *reversed(_level(tree, tree.children[None], 0))]
    drawn: set[str] = set()
    while True:
        while stack:
            item = stack.pop()
            if isinstance(item, Html):
                parts.append(item)
                continue
            one, depth = item
            drawn.add(one.id)
            parts.append(_head(tree, one))
            stack += reversed(_below(tree, one, depth))
        left = next((one for name, one in tree.by_id.items() if name not in drawn), None)
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
    groups: dict[tuple[str, str | None], list[TracedCredential]] = {}
    for one in children:
        groups.setdefault((one.kind, one.role or one.principal), []).append(one)
    work: list[_Work] = []
    for group in groups.values():
        if len(group) <= _MANY:
            work += [(one, depth) for one in group]
            continue
        work.append(_fold(group))
        work += [
            (one, depth) for one in sorted(group, key=lambda one: one.state not in ("active", "unknown"))
        ]
        work.append(Html("</ul></details></li>"))
    return work


def _fold(group: Sequence[TracedCredential]) -> Html:
    first = group[0]
    head = join([
        tag("b", f"{len(group):,} {words.kind(first)}s"), " of ", brief(words.principal(first.role or first.principal)),
        ": ", words.still_work(group), f", {words.number(sum(one.events for one in group), 'call')}",
    ])  # fmt: skip
    return Html(f'<li class="fold"><details>{tag("summary", head)}<ul>')


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
            f'<li class="cred leaf" id="{anchor}">{line}{tag("span", f" · {_until(one)}", class_="soft")}'
        )
    opened = " open" if tree.open else ""
    leaf = "" if tree.children.get(one.id) else " leaf"
    return Html(
        f'<li class="cred{leaf}" id="{anchor}"><details{opened}>{tag("summary", line)}'
        f"{tag('div', *_facts(tree, one), class_='facts')}"
    )


def _until(one: Credential) -> str:
    """When it ends or ended, in a few words."""
    end = one.ended_at or one.expires_at or one.expires_bound
    return timestamp(end) if end else "no end known"


def _facts(tree: _Tree, one: TracedCredential) -> Iterable[Html]:
    doings, names = tree.doings, tree.names
    yield tag("p", brief(words.why(one), 600))
    parent = join([" by ", reference(one.parent, names)]) if one.parent else None
    yield tag("p", brief(birth(one), 600), parent)
    yield from (tag("p", f"Tied to {link.parent} as well ({link.link}{': ' + link.why if link.why else ''})")
                for link in doings.ties.get(one.id, ()))  # fmt: skip
    yield tag("p", brief(uses(one), 600))
    yield from _details(one, names)
    yield from _did(doings, one, names)


def _details(one: TracedCredential, names: Names) -> Iterable[Html]:
    rests = [each for each in (one.issued_by.event_id if one.issued_by else None, one.ended_by) if each]
    if rests and any(names.record(each) for each in rests):
        yield tag("p", "Rests on ", join((event(each, names) for each in rests), ", "))
    agent = one.issued_by.user_agent if one.issued_by else None
    if agent:
        yield tag("p", "Minted with ", tag("code", brief(agent)))
    keys = [key for key in one.access_key_ids if key != one.id]
    if keys:
        more = f" and {len(keys) - _KEYS:,} more" if len(keys) > _KEYS else ""
        yield tag("p", "Keys: ", join((tag("code", key) for key in keys[:_KEYS]), " "), more)
    if one.source_identity:
        yield tag("p", "Source identity ", tag("code", brief(one.source_identity)))


def _did(doings: _Doings, one: TracedCredential, names: Names) -> Iterable[Html]:
    made = [
        tag("li", happened(timestamp(each.time), each.event_id, names),
            f" {each.event_name}: {each.what.replace('_', ' ')} {brief(each.id or '')}")
        for each in doings.made.get(one.id, ())[:_KEYS]
    ]  # fmt: skip
    secrets = [
        tag(
            "li",
            happened(timestamp(each.time), each.event_id, names),
            f" {each.event_name}: {brief(each.what or 'of unknown name')}",
        )
        for each in doings.secrets.get(one.id, ())[:_KEYS]
    ]
    if made:
        yield tag("p", "Made or changed:")
        yield tag("ul", *made, class_="plain")
        yield from _left(len(doings.made[one.id]))
    if secrets:
        yield tag("p", "Secrets read:")
        yield tag("ul", *secrets, class_="plain")
        yield from _left(len(doings.secrets[one.id]))
    calls = sorted(doings.apis.get(one.id, ()), key=attrgetter("count"), reverse=True)
    if calls:
        shown = (
            f"{words.call(each.event_source, each.event_name)} ×{each.count:,}"
            + (f" ({each.errors:,} refused)" if each.errors else "")
            for each in calls
        )
        yield tag("p", "Called ", brief(words.listed(shown, _TOP), 900))


def _left(count: int) -> Iterable[Html]:
    """Say how many are not told here, and where they are."""
    if count > _KEYS:
        yield tag("p", f"and {count - _KEYS:,} more, under ", tag("a", "Taken", href="#taken"))


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
        for one in bystanders[:LISTED]
    ]  # fmt: skip
    return tag(
        "details",
        tag("summary", f"Colleagues in the same role or user: {words.number(len(bystanders), 'credential')}"),
        tag("ul", *items), open=len(bystanders) <= _MANY, class_="tree",
    )  # fmt: skip
