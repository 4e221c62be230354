"""
The shape of a traced lineage on a page: who descends from whom, what is shown, and what is folded.

A node with many children of one role and kind shows the few that matter most, and counts the rest; if any folded
credential still works, the fold says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tokentrail.lineage.model import Trace, TracedCredential

MANY = 12
"""So many children of one role and kind are folded."""
FEW = 5
"""How many of these are shown."""
VARIED = 40
"""Children of one kind are grouped by role or user only if these are no more than so many."""
MOST = 150
"""Credentials shown in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A credential in its place."""

    one: TracedCredential
    lasts: tuple[bool, ...]
    """For each level down to it: whether it is the last there. Empty at the top."""
    open: bool
    """Whether anything is drawn below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Credentials that are counted, not drawn: siblings of one role and kind, with all below them."""

    siblings: tuple[TracedCredential, ...]
    below: int
    working: int
    """Of the siblings and all below them."""
    maybe: int
    lasts: tuple[bool, ...]


class Family:
    """A trace's credentials by descent."""

    def __init__(self, trace: Trace) -> None:
        self._by_id = {one.id: one for one in trace.credentials}
        self._children: dict[str, list[TracedCredential]] = {one.id: [] for one in trace.credentials}
        tops = []
        for one in trace.credentials:
            if one.parent in self._by_id and one.parent != one.id:
                self._children[one.parent].append(one)
            else:
                tops.append(one)
        self.tops = tuple(tops)
        tainted = {one.id for one in trace.credentials if one.tainted}
        self._made = {
            link.child for link in trace.links if link.parent in tainted and link.parent != link.child
        }
        self._order = self._outwards()
        self._weights = self._weigh()
        self._drawn, self._folded = self._choose()

    def subjects(self) -> tuple[TracedCredential, ...]:
        """Tell the subject's own credentials: the tainted ones that no tainted one minted or made."""
        return tuple(one for one in self._by_id.values() if one.tainted and one.id not in self._made)

    def descendants(self) -> tuple[TracedCredential, ...]:
        """All but the subject's own credentials and what they descend from."""
        known = {one.id for one in self.subjects()}
        for one in self.subjects():
            above = self._by_id.get(one.parent or "")
            while above is not None and above.id not in known:
                known.add(above.id)
                above = self._by_id.get(above.parent or "")
        return tuple(one for one in self._by_id.values() if one.id not in known)

    def hidden(self) -> tuple[TracedCredential, ...]:
        """What is not drawn."""
        return tuple(one for one in self._by_id.values() if one.id not in self._drawn)

    def walk(self) -> Iterator[Node | Fold]:
        """Go through all that is drawn, in drawing order."""
        stack: list[Node | Fold] = list(reversed(self._level(self.tops, None, ())))
        while stack:
            item = stack.pop()
            yield item
            if isinstance(item, Node):
                stack += reversed(self._level(self._children[item.one.id], item.one.id, item.lasts))

    def _level(
        self, children: Sequence[TracedCredential], above: str | None, lasts: tuple[bool, ...]
    ) -> list[Node | Fold]:
        drawn = [one for one in children if one.id in self._drawn]
        folds = self._folded.get(above, [])
        items: list[Node | Fold] = []
        for place, one in enumerate(drawn, 1):
            last = place == len(drawn) and not folds
            below = any(child.id in self._drawn for child in self._children[one.id])
            items.append(
                Node(
                    one=one,
                    lasts=() if above is None else (*lasts, last),
                    open=below or one.id in self._folded,
                )
            )
        for place, siblings in enumerate(folds, 1):
            ways = () if above is None else (*lasts, place == len(folds))
            items.append(self._fold(siblings, ways))
        return items

    def _fold(self, siblings: Sequence[TracedCredential], lasts: tuple[bool, ...]) -> Fold:
        weights = [self._weights[one.id] for one in siblings]
        return Fold(
            siblings=tuple(siblings),
            below=sum(size - 1 for size, _, _ in weights),
            working=sum(working for _, working, _ in weights),
            maybe=sum(maybe for _, _, maybe in weights),
            lasts=lasts,
        )

    def _outwards(self) -> list[TracedCredential]:
        """List all credentials, parents before children."""
        order = list(self.tops)
        for one in order:
            order += self._children[one.id]
        return order

    def _weigh(self) -> dict[str, tuple[int, int, int]]:
        """For each credential: how many there are from it down, how many of these work, how many may."""
        weights: dict[str, tuple[int, int, int]] = {}
        for one in reversed(self._order):
            own = (1, int(one.state == "active"), int(one.state == "unknown"))
            below = [weights[child.id] for child in self._children[one.id]]
            weights[one.id] = tuple(map(sum, zip(own, *below, strict=True)))  # type: ignore[assignment]  # as many as in `own`
        return weights

    def _choose(self) -> tuple[set[str], dict[str | None, list[list[TracedCredential]]]]:
        """Choose what is drawn, the upper levels first, and what is folded under whom."""
        drawn: set[str] = set()
        folded: dict[str | None, list[list[TracedCredential]]] = {}
        waiting: deque[tuple[str | None, Sequence[TracedCredential]]] = deque([(None, self.tops)])
        while waiting:
            above, children = waiting.popleft()
            groups = _groups(children)
            each = min(FEW, max(VARIED // max(len(groups), 1), 1))
            for group in groups:
                few = each if len(group) > MANY or len(children) > VARIED else MANY
                kept = sorted(group, key=self._importance)[: min(few, MOST - len(drawn))]
                drawn.update(one.id for one in kept)
                rest = [one for one in group if one.id not in drawn]
                if rest:
                    folded.setdefault(above, []).append(rest)
            if len(folded.get(above, ())) > MANY:
                folded[above] = [[one for group in folded[above] for one in group]]
            waiting += [(one.id, self._children[one.id]) for one in children if one.id in drawn]
        return drawn, folded

    def _importance(self, one: TracedCredential) -> tuple[bool, int, int, int, str]:
        size, working, maybe = self._weights[one.id]
        return (not one.tainted, -working, -maybe, -size - one.events, one.id)


def _groups(children: Sequence[TracedCredential]) -> list[list[TracedCredential]]:
    """Group siblings by kind and role; those of a kind that are of many roles and users are one group."""
    whose: dict[str, set[str | None]] = {}
    for one in children:
        whose.setdefault(one.kind, set()).add(one.role or one.principal)
    groups: dict[tuple[str, str | None], list[TracedCredential]] = {}
    for one in children:
        of = one.role or one.principal if len(whose[one.kind]) <= VARIED else None
        groups.setdefault((one.kind, of), []).append(one)
    return list(groups.values())
