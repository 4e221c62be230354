"""One story is told once: what a rule found again and again in one lineage becomes one hit, with a count."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from tokentrail.detection.context import DetectionContext
from tokentrail.detection.model import SEVERITIES, Hit, Rule
from tokentrail.detection.views import WORKLOAD_STARTS, with_lineage_start
from tokentrail.formatting import at, counted

Found: TypeAlias = tuple[Rule, Hit]
_TOLD = 2
"""Sentences of a story, after which it is said how much more there is."""
_NODES = f"""
    SELECT n, parent_n, lineage_start FROM ({
    with_lineage_start(
        "SELECT n, parent_n, root_n FROM credential_details WHERE n IN (SELECT n FROM merged_credentials)"
    )
})"""
_CLIMBED = 64
"""Steps up to what a story's credentials descend from: no chain of anybody's design is as long."""


class _Node(NamedTuple):
    parent: int | None
    root: int


def merge_findings(context: DetectionContext, hits: Sequence[Found], *, together: bool = True) -> list[Found]:
    """
    Put together what one rule found of one lineage.

    What comes later than `same_story` after the one before is another story, and later than `same_hole` what came out
    of one hole. A story is known by its first hit, so that it stays the same when more of it comes.

    Args:
        context: Where they were found.
        hits: What was found.
        together: Whether to; else each hit is a story, whose subject alone is settled.
    """
    nodes = _nodes(context, {hit.subject for _, hit in hits if together and hit.subject is not None})
    lineages: dict[tuple[str, int | str], list[Found]] = {}
    apart: list[Found] = []
    for rule, hit in hits:
        if hit.subject is None:
            apart.append((rule, hit))
        elif together and not _is_sigma(rule):
            lineages.setdefault((rule.id, hit.source_key or nodes[hit.subject].root), []).append((rule, hit))
    told: list[list[Found]] = []
    for (_, of), found in lineages.items():
        told += _within(found, context.thresholds["same_hole" if isinstance(of, str) else "same_story"])
    told += [
        [(rule, hit)] for rule, hit in hits if hit.subject is not None and (_is_sigma(rule) or not together)
    ]
    spread = {
        n
        for story in told
        if story[0][1].source_key is None and len(subjects := _subjects(story)) > 1
        for n in subjects
    }
    nodes |= _nodes(context, (spread | context.ancestors(spread)) - nodes.keys())
    return [*apart, *(_one(context, story, nodes) for story in told)]


def _is_sigma(rule: Rule) -> bool:
    """Whether a hit is from a Sigma rule: those already have one hit for each lineage, or group of a correlation."""
    return rule.id.startswith("sigma:")


def _nodes(context: DetectionContext, places: Collection[int]) -> dict[int, _Node]:
    if not places:
        return {}
    context.prepare((WORKLOAD_STARTS,))
    context.add_credentials("merged_credentials", places)
    found = context.arrow(_NODES)
    rows = zip(*(column.to_pylist() for column in found.columns), strict=True)
    return {n: _Node(parent, root) for n, parent, root in rows}


def _within(found: Iterable[Found], gap: float) -> Iterator[list[Found]]:
    """The hits in groups, in which none comes much later than the one before."""
    story: list[Found] = []
    for one in sorted(found, key=lambda one: (one[1].time, one[1].about)):
        if story and one[1].time - story[-1][1].time > gap:
            yield story
            story = []
        story.append(one)
    yield story


def _subjects(story: Iterable[Found]) -> list[int]:
    """The credentials above which a story's subject must be; Sigma rules don't tell the subject from the others."""
    return [
        n for rule, hit in story for n in (hit.places if _is_sigma(rule) else (hit.subject,)) if n is not None
    ]


def _one(context: DetectionContext, story: Sequence[Found], nodes: dict[int, _Node]) -> Found:
    """A story's hits as one hit; a single hit stays as it is."""
    rule, first = story[0]
    if len(story) == 1:
        subjects = _subjects(story)
        return rule, replace(first, subject=_above(subjects, nodes)) if len(subjects) > 1 else first
    hits = [hit for _, hit in story]
    events = tuple(dict.fromkeys(event for hit in hits for event in hit.events))
    listed = all(hit.count == len(set(hit.events)) for hit in hits)
    return rule, replace(
        first,
        severity=max((hit.severity for hit in hits), key=SEVERITIES.index),
        why=_why(hits),
        subject=_above(_subjects(story), nodes) if first.source_key is None else first.subject,
        places=tuple(dict.fromkeys(n for hit in hits for n in (hit.subject, *hit.places) if n is not None)),
        events=events[: context.thresholds.whole("most_events")],
        count=len(events) if listed else sum(hit.count for hit in hits),
        thresholds=tuple(dict.fromkeys(name for hit in hits for name in hit.thresholds)),
        principals=tuple(dict.fromkeys(one for hit in hits for one in hit.principals)),
        accounts=tuple(dict.fromkeys(one for hit in hits for one in hit.accounts)),
    )


def _why(hits: Sequence[Hit]) -> str:
    """The first sentences of a story, each once, and how often the same was found besides."""
    said = list(dict.fromkeys(hit.why for hit in hits))
    more = len(said) - _TOLD
    where = "in this lineage" if hits[0].source_key is None else "of this role"
    rest = f" The same was found {counted(more, 'more time')} {where}, last at {at(hits[-1].time)}."
    return " ".join(said[:_TOLD]) + (rest if more > 0 else "")


def _above(subjects: Sequence[int], nodes: dict[int, _Node]) -> int:
    """The nearest credential that all of some are, or descend from."""
    chain = _chain(subjects[0], nodes)
    for other in set(subjects):
        others = frozenset(_chain(other, nodes))
        chain = [n for n in chain if n in others]
    return chain[0] if chain else nodes[subjects[0]].root


def _chain(place: int, nodes: dict[int, _Node]) -> list[int]:
    """A credential and its ancestors, upwards."""
    chain = [place]
    while len(chain) <= _CLIMBED and (parent := nodes[chain[-1]].parent) is not None:
        chain.append(parent)
    return chain
