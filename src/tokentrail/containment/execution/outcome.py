"""
The typed results of `apply`, `undo` and `verify`: what was sent, what came of it, what was undone, what is proven.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tokentrail.containment.model import Action, Call

CallOutcome = Literal["done", "already", "failed", "not-sent"]
StepOutcome = Literal["done", "already", "by-person", "failed", "not-reached"]
UndoOutcome = Literal["restored", "already", "kept", "irreversible", "refused", "failed"]
Verdict = Literal["proven", "not-yet-proven", "refuted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallResult:
    """What came of one call: it was sent, or its effect was there already."""

    n: int
    """The number of the step."""
    index: int
    """The place of the plan's call among the step's calls, from 0."""
    part: int
    """The place among the calls that were sent for that one, from 0; to delete a user takes several."""
    call: Call
    outcome: CallOutcome
    at: datetime | None
    request_id: str | None
    error: str | None
    why: str | None = None
    """If the thing to change does not exist: what is gone, so that nothing needed to be sent."""


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
    """The results of the calls that this run made for it."""
    why: str | None
    """What went wrong; `None` if nothing did, or if the step was not reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What one run of `apply` did."""

    run: str
    journal: str
    complete: bool
    """Whether all steps are done, and read back as in place after the last one took effect."""
    steps: tuple[StepDone, ...]
    repeated: tuple[str, ...]
    """What somebody had undone when it was read back, and was done again."""
    stopped: str | None
    """Why the run stopped before all was done; `None` if it did not."""
    notes: tuple[str, ...] = ()
    """What newer evidence shows that no step takes back, and that the plan does not tell of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came of undoing the changes to one thing."""

    thing: str
    account: str
    steps: tuple[int, ...]
    outcome: UndoOutcome
    calls: tuple[Call, ...]
    """The calls that were sent."""
    safe_after: datetime | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHand:
    """A step that a person carried out, which no call of ours undoes."""

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
    """The steps that stay as a person did them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepVerdict:
    """Whether a step holds."""

    n: int
    action: Action
    verdict: Verdict
    reads_back: bool | None
    """Whether its changes are still there; `None` if they could not be read."""
    bites_at: datetime | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialVerdict:
    """Whether a credential of the attacker's is proven to have ended."""

    credential: str
    step: int | None
    """The step that ends it; `None` if none does by itself."""
    verdict: Verdict
    event_id: str | None
    """The event that proves or refutes it, if one does."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A call of the attacker's that was refused, with the id by which AWS says why."""

    credential: str
    event_id: str
    time: datetime
    call: str
    account: str
    region: str | None
    authorization_id: str
    answered: bool = False
    """Whether AWS was asked, and said which statements refused it."""
    ours: bool | None = None
    """Whether a policy of the plan's refused it; `None` if that is not known."""
    steps: tuple[int, ...] = ()
    """The steps that wrote what refused it."""
    by: Literal["identity-based policy", "service control policy"] | None = None
    """The type of the plan's policy that refused it."""
    policies: tuple[str, ...] = ()
    """All policies that refused it, by ARN or, for inline ones, by a name that AWS made up."""
    context: Mapping[str, str] = field(default_factory=dict)
    """The condition keys of the request."""
    why: str = "AWS was not asked (--ask-aws does)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whether a plan that was carried out has held."""

    verdict: Verdict
    evidence_until: datetime | None
    """The time of the newest evidence."""
    looked_back: bool
    """Whether the accounts were read back."""
    steps: tuple[StepVerdict, ...]
    credentials: tuple[CredentialVerdict, ...]
    notes: tuple[str, ...]
    refusals: tuple[Refusal, ...] = ()
    """Calls that were refused since the first step took effect and that AWS can explain: some of each credential."""
