"""
The typed results of carrying out: what was sent, what came of it, what was taken back, and what is proven.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tokentrail.containment.model import Action, Call

CallOutcome = Literal["done", "already", "failed", "not-sent"]
StepOutcome = Literal["done", "already", "by-person", "failed", "not-reached"]
UndoOutcome = Literal["restored", "already", "kept", "irreversible", "refused", "failed"]
Verdict = Literal["proven", "not-yet-proven", "refuted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """One call, as it was sent or found not to be needed."""

    n: int
    """The step."""
    index: int
    """Its place among the step's calls, from 0."""
    part: int
    """Its place among the calls that carry out that one, from 0; there are several where a user is deleted."""
    call: Call
    outcome: CallOutcome
    at: datetime | None
    request_id: str | None
    error: str | None
    why: str | None = None
    """Why nothing needed to be sent, where what it acts on is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """What came of one step."""

    n: int
    action: Action
    outcome: StepOutcome
    cutoff: datetime | None
    """The cutoff that was sent."""
    sent_at: datetime | None
    bites_at: datetime | None
    """When it takes effect at the latest."""
    deeds: tuple[CallResult, ...]
    """What this run did for it."""
    why: str | None
    """What went wrong, or why it was not reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What one run of `apply` did."""

    run: str
    journal: str
    complete: bool
    """Whether all steps are carried out and stood at the read-back after the last one bit."""
    steps: tuple[StepDone, ...]
    repeated: tuple[str, ...]
    """What somebody had undone by the read-back, and was done again."""
    stopped: str | None
    """Why it stopped, where it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came of taking back the changes to one thing."""

    thing: str
    account: str
    steps: tuple[int, ...]
    outcome: UndoOutcome
    calls: tuple[Call, ...]
    """What was sent."""
    safe_after: datetime | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """A step that a person carried out, of which nothing can be taken back by calls."""

    n: int
    action: Action
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What one run of `undo` did, the newest change first."""

    run: str
    journal: str
    complete: bool
    """Whether nothing was refused and nothing failed."""
    things: tuple[Restored, ...]
    by_hand: tuple[ByHand, ...] = ()
    """What stands as a person left it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepVerdict:
    """Whether a step holds."""

    n: int
    action: Action
    verdict: Verdict
    reads_back: bool | None
    """Whether what it did still stands; `None` where nobody could look."""
    bites_at: datetime | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialVerdict:
    """Whether a credential of the attacker's is proven to have ended."""

    credential: str
    step: int | None
    """The step that ends it."""
    verdict: Verdict
    event_id: str | None
    """The event that proves or refutes."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whether a plan that was carried out has held."""

    verdict: Verdict
    evidence_until: datetime | None
    """The time of the newest evidence."""
    looked_back: bool
    """Whether the accounts were reachable."""
    steps: tuple[StepVerdict, ...]
    credentials: tuple[CredentialVerdict, ...]
    notes: tuple[str, ...]
