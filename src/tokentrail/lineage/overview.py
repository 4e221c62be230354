"""How many credentials of which kind are in which state, and which an investigation might start from."""

from __future__ import annotations

from collections import Counter

from tokentrail.lineage import rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Candidate, Kind, Overview, State

_CANDIDATES: tuple[Kind, ...] = ("long_term_key", "session_token")
_MOST = 15


def overview(forest: Forest) -> Overview:
    """Count the inventory: one by one only what has not run out, which of years of evidence is little."""
    counts: Counter[tuple[Kind, State]] = Counter()
    for kind, many in forest.run_out().items():
        counts[kind, "expired"] += many
    judge = forest.judge()
    for row in forest.inventory(running=True):
        one = rows.credential(row, judge)
        counts[one.kind, one.state] += 1
    minted = forest.minters(_CANDIDATES, _MOST)
    chosen = forest.chosen_rows(list(minted))
    candidates = [
        Candidate(
            id=one.id, kind=one.kind, account=one.account, principal=one.principal, state=one.state,
            minted=minted[row["n"]], events=one.events,
        )
        for row, one in zip(chosen, forest.credentials(chosen), strict=True)
    ]  # fmt: skip
    return Overview(
        credentials=counts.total(),
        counts=tuple((kind, state, count) for (kind, state), count in sorted(counts.items())),
        candidates=tuple(sorted(candidates, key=lambda one: (-one.minted, -one.events, one.id))),
    )
