"""
Divide proposals into lots, each of which one query tests.

The proposals of a lot need calls grouped in the same way, and differ only in the principal that they are for. So one
query tests many of them where hundreds of principals each have a guardrail of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from tokentrail.prevention.change_points import ChangePoints
from tokentrail.prevention.proposal import GuardrailProposal
from tokentrail.prevention.request_context import ALWAYS

HEAVY = frozenset({"time", "resource", "agent", "principal_id"})
"""Columns that differ for nearly every call; calls are grouped by them only if a policy needs them."""
Grouping = tuple[frozenset[str], str | None, ChangePoints]
"""The columns, an SQL expression for a column of the proposal's own, and its change points."""
Lot = Sequence[GuardrailProposal]
"""Proposals that one query tests: a single one, or several that differ only in whom they are for."""
_LOT = 256
"""Proposals of a lot, at most."""


class CallGroups(NamedTuple):
    """A query for groups of calls, and its parameters."""

    sql: str
    parameters: Sequence[Any]


def table_of(one: GuardrailProposal) -> str:
    """The table in which the calls are grouped as a proposal needs."""
    return "narrowed" if grouping(one) is not None else "mintings" if mints(one) else "asked"


def columns_of(one: GuardrailProposal) -> list[str]:
    """The columns by which calls are grouped for a proposal, with the number of the proposal in its lot."""
    return sorted({"nth", *ALWAYS, *one.needs, *_alias(one)})


def lots(proposals: Iterable[GuardrailProposal]) -> Iterator[Lot]:
    """Divide proposals into lots; only neighbours in the given order share a lot."""
    for (whom, *_), alike in groupby(
        proposals, key=lambda one: (one.whom, one.kind, one.needs, one.where, one.parameters)
    ):
        some = list(alike)
        most = _LOT if whom else 1
        yield from (some[start : start + most] for start in range(0, len(some), most))


def groups_for(lot: Lot, table: str) -> CallGroups:
    """The groups of calls that a lot may bear on; `nth` is the number in the lot of a proposal that does."""
    one = lot[0]
    if one.whom is None:
        return CallGroups(f"(SELECT *, 0 AS nth FROM {table} WHERE {one.where})", one.parameters)
    return CallGroups(
        f"(SELECT t.* EXCLUDE (whom), l.nth FROM (SELECT *, unnest(list_distinct({one.whom})) AS whom FROM {table} "
        f"WHERE {one.where}) t JOIN (SELECT unnest(?) AS whom, unnest(?) AS nth) l ON l.whom = t.whom)",
        (*one.parameters, [each.name for each in lot], list(range(len(lot)))),
    )


def _alias(one: GuardrailProposal) -> tuple[str, ...]:
    """The name of a proposal's own column."""
    return (alias_of(one.extra),) if one.extra else ()


def alias_of(extra: str) -> str:
    """The name of a column that an SQL expression ends with."""
    return extra.rpartition(" ")[2]


def grouping(one: GuardrailProposal) -> Grouping | None:
    """The grouping of a proposal that needs one of its own; `None` if the common grouping will do."""
    apart = one.extra is not None or bool(one.needs & HEAVY) or bool(one.change_points)
    return (one.needs, one.extra, one.change_points) if apart else None


def mints(one: GuardrailProposal) -> bool:
    """Whether only assumptions of roles matter, of which there are few beside other calls."""
    return one.kind == "trust-policy"
