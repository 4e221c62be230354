"""
The typed results of containment: a plan, its steps, its proof.

Field names are those of the JSON that others script against, so that the plan file is one `document` away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Strategy = Literal["standard", "surgical", "scorched"]
Scope = Literal["observed-edges", "trust-policies"]
Action = Literal[
    "deactivate-key", "delete-key", "deny-user", "revoke-user-sessions", "revoke-role-sessions", "deny-sessions",
    "deny-role", "freeze-role", "delete-user", "remove-login-profile", "revert-trust", "delete-created-key",
    "delete-created-user", "isolate-instance", "scp-deny", "revoke-sign-in-sessions",
    "disable-identity-center-user", "edit-trust", "attach-quarantine",
]  # fmt: skip
PLAN_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One AWS API call, spelled as in the API: `PutRolePolicy`, `RoleName`; documents are JSON text."""

    account: str
    service: str
    """As boto3 names its client: `iam`, `organizations`, `ec2`, `lambda`, `ecs`, `codebuild`, `signin` and others."""
    operation: str
    parameters: Mapping[str, Any]
    region: str | None = None
    """Where, for a service that is another one in each region; `None` for IAM and Organizations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """A credential that is nobody's but its owner's, and that a step ends all the same."""

    credential: str
    principal: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One action, on one principal or on several at once; its calls are sent together."""

    n: int
    action: Action
    account: str | None
    """`None` where the principals lie in several accounts."""
    principal: str | None
    """The ARN that it acts on; `None` where there are several."""
    principals: tuple[str, ...]
    targets: tuple[str, ...]
    """What `--what-if ACTION:TARGET` would name: key ids for keys, ARNs for the rest."""
    calls: tuple[Call, ...]
    """Empty where a person must do it; `why` then tells how."""
    cutoff: datetime | None
    """The moment in its documents that `apply` moves to its own clock plus the margin; never earlier than this."""
    ends: tuple[str, ...]
    """Tainted credentials that live before it and not after it."""
    alive_after: tuple[str, ...]
    collateral: tuple[Collateral, ...]
    undo: tuple[Call, ...]
    safe_to_undo_after: datetime | None
    """When all that it ended has expired by itself; `None` where that never happens, as with a leaked key."""
    reversible: bool
    bites_within: int
    """Seconds until it takes effect at the latest (IAM is eventually consistent)."""
    needs: tuple[str, ...]
    """Permissions of whoever carries it out, such as `iam:PutRolePolicy`."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """What still works after the last step, or can be minted then."""

    credential: str
    """A credential id, or words for one that would be minted."""
    until: datetime | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackerMove:
    """One thing that an attacker does to get past the steps."""

    n: int
    time: datetime
    after_step: int
    """How many of the steps have taken effect by then."""
    does: Literal["goes-on", "mints"]
    """Whether something is simply not ended, or a new credential is minted."""
    by: str
    """A credential id; `new-N`, which move N made; or the id of a source, such as an instance's."""
    by_kind: str
    """The kind of that credential, `minted`, or the kind of the source: `host`, `password`, `trust` and the like."""
    by_principal: str | None
    """The ARN that it acts as, where that is known."""
    call: str | None
    """The call that mints, such as `AssumeRole`; `null` where none is needed or none is known."""
    principal: str | None
    """The ARN of the role, user or root that the new credential acts as."""
    session_name: str | None
    """The name that it must have; `null` where any does."""
    makes: str | None
    """`new-N` for a new credential, by which later moves name it."""
    expires_at: datetime | None
    survives: bool
    """Whether it works after the last step."""
    step: int | None
    """The last step that acts on its principal."""
    cutoff: datetime | None
    """The cutoff of that step, which does not cover it."""
    why: str | None
    """How a source is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A way around the steps, to be played: when the steps are sent, and what the attacker does meanwhile."""

    steps_sent: tuple[datetime, ...]
    moves: tuple[AttackerMove, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Whether the steps end all of the attacker's credentials, relative to `scope`."""

    complete: bool
    scope: Scope
    survivors: tuple[Survivor, ...]
    counterexample: tuple[str, ...]
    """The moves of `replay`, each as a sentence."""
    holds_if: tuple[str, ...]
    replay: Replay | None = None
    """`None` where the plan is complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSpared:
    """A credential that was to be spared and can't be."""

    credential: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An ordered set of steps, and its proof."""

    version: int
    case_id: str
    as_of: datetime
    subjects: tuple[str, ...]
    strategy: Strategy | None
    """`None` for steps that were given (`--what-if`)."""
    margin: int
    """Seconds between sending a cutoff and the moment that it names."""
    lag: int
    """Seconds before the newest evidence from which sessions may exist that no log shows yet."""
    narrowing: Mapping[str, Any]
    """`since`, `source_ips`, `trusted_ips` as given, so that `apply` and `verify` can ask the case again."""
    tainted: tuple[str, ...]
    steps: tuple[Step, ...]
    proof: Proof
    not_spared: tuple[NotSpared, ...]
    residual_risks: tuple[str, ...]
