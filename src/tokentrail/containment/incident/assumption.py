"""
What a proof rests on, and what no step removes, as data: `proof.assumption_sentences` spells it when a plan is told.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Assumption:
    """An assumption of a proof, or a risk that stays; two are equal if they say the same."""

    kind: str
    """What is assumed; each kind has a sentence of its own."""
    subject: str = ""
    """The credential, principal or thing that it is about; empty if it is about several, or none."""
    remedy: str | None = None
    """What `tokentrail contain` is given to end the subject if it is the attacker's; `None` if that is no way."""
    facts: tuple[tuple[str, Hashable], ...] = ()
    """What else the sentence tells, by name."""

    @classmethod
    def of(cls, kind: str, subject: str = "", remedy: str | None = None, **facts: Hashable) -> Assumption:
        """An assumption with its facts by name."""
        return cls(kind, subject, remedy, tuple(facts.items()))

    def __getitem__(self, name: str) -> Any:
        """A fact by its name."""
        return dict(self.facts)[name]

    def with_facts(self, **facts: Hashable) -> Assumption:
        """The same, with other facts."""
        return replace(self, facts=tuple((dict(self.facts) | facts).items()))
