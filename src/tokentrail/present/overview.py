"""
An inventory in a few lines: how many credentials of which kind are in which state, and where to start
looking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from tokentrail.lineage.model import Credential, Kind, State
from tokentrail.present import words
from tokentrail.present.paper import Paper, Part, pad

_CANDIDATES: frozenset[Kind] = frozenset(["long_term_key", "session_token"])
_MOST = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A credential that an investigation might start from."""

    id: str
    kind: Kind
    account: str | None
    principal: str | None
    state: State
    minted: int
    """Credentials whose parent it is."""
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """An inventory, counted."""

    credentials: int
    counts: tuple[tuple[Kind, State, int], ...]
    candidates: tuple[Candidate, ...]
    """Long-term keys and session tokens, those that minted most first."""


def overview(credentials: Iterable[Credential]) -> Overview:
    """Count an inventory, holding on to no more of it than the possible subjects."""
    counts: Counter[tuple[Kind, State]] = Counter()
    minted: Counter[str] = Counter()
    found: list[Credential] = []
    for one in credentials:
        counts[one.kind, one.state] += 1
        if one.parent is not None:
            minted[one.parent] += 1
        if one.kind in _CANDIDATES:
            found.append(one)
    found.sort(key=lambda one: (-minted[one.id], -one.events, one.id))
    return Overview(
        credentials=counts.total(),
        counts=tuple((kind, state, count) for (kind, state), count in sorted(counts.items())),
        candidates=tuple(
            Candidate(
                id=one.id, kind=one.kind, account=one.account, principal=one.principal, state=one.state,
                minted=minted[one.id], events=one.events,
            )
            for one in found[:_MOST]
        ),
    )  # fmt: skip


def write_overview(found: Overview, paper: Paper) -> None:
    """Write the counts, then the possible subjects."""
    states = get_args(State)
    paper.line((f"{'KIND':<28}" + "".join(f"{state.upper():>10}" for state in states), "bold"))
    by_kind: dict[str, dict[str, int]] = {}
    for kind, state, count in found.counts:
        by_kind.setdefault(kind, {})[state] = count
    for name, counts in by_kind.items():
        paper.line(f"{name:<28}" + "".join(f"{counts.get(state, 0) or '-':>10}" for state in states))
    paper.line(f"{words.number(found.credentials, 'credential')} in all")
    if found.candidates:
        _candidates(found.candidates, paper)


def _candidates(candidates: Sequence[Candidate], paper: Paper) -> None:
    paper.heading("Possible subjects: long-term keys and session tokens, those that minted most first")
    paper.line((f"{'CREDENTIAL':<22}{'KIND':<15}{'STATE':<9}{'MINTED':>7}{'CALLS':>8}  PRINCIPAL", "bold"))
    for one in candidates:
        state: Part = (pad(one.state, 9), words.STYLES[one.state])
        name = f"{one.account or '-'} {words.principal(one.principal)}"
        paper.line(f"{one.id:<22}{one.kind:<15}", state, f"{one.minted:>7,}{one.events:>8,}  {name}")
