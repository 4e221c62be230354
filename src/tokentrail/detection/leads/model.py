"""The types of leads: a lead as others script against it, and its reasons."""

from __future__ import annotations

from dataclasses import dataclass

from tokentrail.lineage.model import State
from tokentrail.results import NotebookLine

STRONG = 3.0
"""The score from which on a lead is strong: at least three signals that hardly anybody else here shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One signal that a lead shows."""

    signal: str
    why: str
    """What was seen, and how many leads of this case show the like, in a sentence."""
    having: int
    """The leads that show the signal."""
    of: int
    """All leads."""
    events: tuple[str, ...]
    """Ids of events that show it: the first ones, in order of time."""
    strength: float
    """How plainly the lead shows the signal, up to 1."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Lead(NotebookLine):
    """A credential, or the sessions of one principal, with all that came of them, ranked by what speaks for theft."""

    rank: int
    """From 1, the lead to look at first."""
    credential: str
    """The root of the lineage."""
    credentials: tuple[str, ...]
    """The credentials that show the signals; the one to trace stands first."""
    principal: str | None
    account: str | None
    score: float
    """The sum over the reasons of strength times rarity; rarity is 1 for what one lead alone shows."""
    strong: bool
    reasons: tuple[Reason, ...]
    """The weightiest first."""
    state: State
    """The best state among `credentials`: whether something still works."""
    next: str
    """The command to run next."""
