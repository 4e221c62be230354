"""
An inventory in a few lines: how many credentials of which kind are in which state, and where to start
looking.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from tokentrail.lineage.model import Candidate, Overview, State
from tokentrail.present import words
from tokentrail.present.paper import Paper, Part, pad


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
