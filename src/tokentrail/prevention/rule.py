"""What an audit check and a guardrail are made of; each lives in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokentrail.detection.model import Severity
from tokentrail.prevention.model import AuditFinding, GuardKind
from tokentrail.prevention.proposal import Proposal, Words

if TYPE_CHECKING:
    from tokentrail.prevention.estate import Estate
    from tokentrail.prevention.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Nothing:
    """That the evidence gives no ground for a guardrail, and why."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """One idea of a guardrail."""

    words: Words
    kind: GuardKind
    references: tuple[str, ...]
    make: Callable[[Evidence], Iterable[Proposal] | Nothing]

    @property
    def id(self) -> str:
        """The same as the file's name."""
        return self.words.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One idea of a weakness."""

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
