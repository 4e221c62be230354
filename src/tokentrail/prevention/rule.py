"""The types of the catalogue's entries: audit checks and guardrails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokentrail.detection.model import Severity
from tokentrail.prevention.model import AuditFinding, GuardKind
from tokentrail.prevention.proposal import GuardrailProposal, Words

if TYPE_CHECKING:
    from tokentrail.prevention.estate import Estate
    from tokentrail.prevention.evidence import Evidence


@dataclass(frozen=True, slots=True)
class NotMade:
    """The answer of a guardrail for which the evidence gives no ground, with the reason."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailRule:
    """A guardrail of the catalogue: makes proposals of the evidence."""

    words: Words
    kind: GuardKind
    references: tuple[str, ...]
    make: Callable[[Evidence], Iterable[GuardrailProposal] | NotMade]

    @property
    def id(self) -> str:
        """Its name in every output."""
        return self.words.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check of the audit: finds one kind of weakness."""

    id: str
    title: str
    severity: Severity
    """The worst that it finds."""
    attack: str
    """What an attacker makes of it, in general."""
    blocked: str
    """What keeps it from being reported."""
    needs: str
    """What it looks at."""
    references: tuple[str, ...]
    find: Callable[[Estate], Iterable[AuditFinding]]
