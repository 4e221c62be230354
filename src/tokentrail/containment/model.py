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
    """As boto3 names its client: `iam`, `organizations`, `ec2`, `signin`."""
    operation: str
    parameters: Mapping[str, Any]


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
class Proof:
    """Whether the steps end all of the attacker's credentials, relative to `scope`."""

    complete: bool
    scope: Scope
    survivors: tuple[Survivor, ...]
    counterexample: tuple[str, ...]
    holds_if: tuple[str, ...]


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
