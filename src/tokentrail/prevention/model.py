"""
The types of prevention: what the audit finds, what a guardrail is, and how it would have fared.

Field names are those of the JSON that others script against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from tokentrail.detection.model import Severity

GuardKind = Literal["scp", "rcp", "trust-policy", "identity-policy", "setting"]
Stage = Literal[1, 2, 3]
STAGES: dict[Stage, str] = {
    1: "today: one document or setting, and nobody of yours is in its way",
    2: "this week: after a look at whom it would have stopped",
    3: "a project: people or machines have to work otherwise first",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding:
    """A weakness of the account's IAM, and the attack that it allows."""

    id: str
    """The same for the same weakness of the same principal."""
    rule: str
    title: str
    severity: Severity
    account: str | None
    principal: str | None
    """The user, role or account that has it."""
    why: str
    """The facts."""
    attack: str
    """What an attacker makes of it."""
    whence: tuple[str, ...]
    """From whom: ARNs, accounts or providers whose leak begins it; `*` is anybody."""
    whither: tuple[str, ...]
    """To whom: the ARNs that the attacker comes to act as."""
    lives: int | None
    """Seconds for which what leaks lives at the most; `None` where nothing ends it."""
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Ordinary calls of one principal and action that a guardrail would have stopped, or may have."""

    principal: str
    action: str
    calls: int
    first: datetime
    last: datetime
    outcome: Literal["refused", "never made", "undecided"]
    """`never made`: by a credential that would not have come to be, so that this work stops as well."""
    why: str | None = None
    """Of what can't be judged: the condition keys that the log lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackerCall:
    """A call of the attacker's, and what a guardrail would have made of it."""

    credential: str
    action: str
    calls: int
    first: datetime
    last: datetime
    outcome: Literal["refused", "never made", "made", "undecided"]
    """`never made`: by a credential, or through a thing, that would not have come to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """How a guardrail would have fared over the case's whole history."""

    events: int
    """Calls judged: all that got through."""
    attacker_events: int
    attacker_blocked: int
    """Attacker's calls refused, or never made since what makes them would not have come to be."""
    attacker_refused: int
    """Of these, those that it would have refused itself."""
    attacker_undecided: int
    ordinary_events: int
    ordinary_blocked: int
    """Ordinary calls refused or never made, as for the attacker's."""
    ordinary_refused: int
    """Of these, those that it would have refused itself."""
    ordinary_undecided: int
    undecided: int
    """Calls that it can't be judged by, the attacker's and others', as the log lacks a condition key."""
    story_ends_at: datetime | None
    """From then on, no call of the attacker's that a policy can refuse gets through."""
    broken: tuple[Broken, ...]
    """The ordinary calls that it would have refused, or that would never have been made; the most first."""
    undecided_by: tuple[Broken, ...]
    attacker_calls: tuple[AttackerCall, ...]
    """Empty unless the history was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """A policy or setting that would have stopped the attacker, or would stop the next one."""

    id: str
    """The rule's, and for one of several principals its name: `trust-named-callers:MyBucketRole`."""
    rule: str
    """Which guardrail of the catalogue it is; `own` for one of the user's."""
    title: str
    kind: GuardKind
    account: str | None
    target: str | None
    """What it is attached to: an account, a role's or user's ARN; `None` for every account."""
    policy: Mapping[str, Any] | None
    setting: Mapping[str, Any] | None
    """Where it is no policy: the AWS call and its parameters."""
    prevents: str
    limits: str
    stage: Stage
    """By effort: 1 today, 2 this week, 3 a project."""
    attach: str
    """How it is put in place, in words; never done by us."""
    backtest: Backtest


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """The answer of `guard`."""

    as_of: datetime
    subjects: tuple[str, ...]
    """What the attacker's events were taken from: given, or of the findings."""
    attackers: tuple[str, ...]
    """The credentials whose calls count as the attacker's."""
    assumed: str
    """How the attacker's calls were told from others, in a sentence."""
    findings: tuple[AuditFinding, ...]
    guardrails: tuple[Guardrail, ...]
    cannot: tuple[str, ...]
    """What no policy prevents."""
    unmade: tuple[str, ...]
    """Guardrails that the evidence gives no ground for, and why; checks that had nothing to look at."""
    failed: tuple[str, ...] = ()
    """A sentence for each detection rule that ended in an error: what it looks for may be missing from `subjects`."""
