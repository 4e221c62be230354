"""
Which guardrails are asked for at once: those that have the case's calls grouped alike, and of these, alike ones.

Where hundreds of principals each have one of their own, each query tells of many of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from tokentrail.prevention.circumstances import ALWAYS
from tokentrail.prevention.proposal import Proposal
from tokentrail.prevention.turning import Turns

HEAVY = frozenset({"time", "resource", "agent", "principal_id"})
"""Columns that tell nearly every call from every other, and so are grouped by only where a policy asks for them."""
Grouping = tuple[frozenset[str], str | None, Turns]
"""Columns, one that is a proposal's own, and the seconds that are told apart."""
Lot = Sequence[Proposal]
"""Proposals that are asked for at once: one, or some that are alike but for whom they are for."""
_LOT = 256


class Chosen(NamedTuple):
    """Groups of calls, in SQL."""

    sql: str
    parameters: Sequence[Any]


def table_of(one: Proposal) -> str:
    """Where the calls are grouped as a proposal asks for."""
    return "narrowed" if grouping(one) is not None else "mintings" if mints(one) else "asked"


def dims_of(one: Proposal) -> list[str]:
    """By what calls are told apart for a proposal, and the proposals of its lot."""
    return sorted({"nth", *ALWAYS, *one.needs, *_alias(one)})


def lots(proposals: Iterable[Proposal]) -> Iterator[Lot]:
    """Those that follow each other and are alike but for whom they are for, some at a time."""
    for (whom, *_), alike in groupby(
        proposals, key=lambda one: (one.whom, one.kind, one.needs, one.where, one.parameters)
    ):
        some = list(alike)
        most = _LOT if whom else 1
        yield from (some[start : start + most] for start in range(0, len(some), most))


def chosen(lot: Lot, table: str) -> Chosen:
    """The groups of calls on which the proposals of a lot bear at all, and on which of them, by its number `nth`."""
    one = lot[0]
    if one.whom is None:
        return Chosen(f"(SELECT *, 0 AS nth FROM {table} WHERE {one.where})", one.parameters)
    return Chosen(
        f"(SELECT t.* EXCLUDE (whom), l.nth FROM (SELECT *, unnest(list_distinct({one.whom})) AS whom FROM {table} "
        f"WHERE {one.where}) t JOIN (SELECT unnest(?) AS whom, unnest(?) AS nth) l ON l.whom = t.whom)",
        (*one.parameters, [each.name for each in lot], list(range(len(lot)))),
    )


def _alias(one: Proposal) -> tuple[str, ...]:
    """The name of a proposal's own column."""
    return (alias_of(one.extra),) if one.extra else ()


def alias_of(extra: str) -> str:
    """The name of such a column."""
    return extra.rpartition(" ")[2]


def grouping(one: Proposal) -> Grouping | None:
    """By what calls are grouped for a proposal, and those that ask for the same, alone."""
    apart = one.extra is not None or bool(one.needs & HEAVY) or bool(one.turns)
    return (one.needs, one.extra, one.turns) if apart else None


def mints(one: Proposal) -> bool:
    """Whether only assumptions of roles matter, of which there are few beside other calls."""
    return one.kind == "trust-policy"
