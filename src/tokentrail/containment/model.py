"""
The typed results of containment: a plan, its steps, its proof.

Field names are those of the plan's JSON, which others script against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from tokentrail.results import NotebookTable

Strategy = Literal["standard", "surgical", "scorched"]
Scope = Literal["observed-edges", "trust-policies"]
Action = Literal[
    "deactivate-key", "delete-key", "deny-user", "revoke-user-sessions", "revoke-role-sessions", "deny-sessions",
    "deny-role", "freeze-role", "delete-user", "remove-login-profile", "revert-trust", "delete-created-key",
    "delete-created-user", "isolate-instance", "scp-deny", "revoke-sign-in-sessions",
    "disable-identity-center-user", "edit-trust", "attach-quarantine", "deactivate-api-key",
]  # fmt: skip
PLAN_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One AWS API call, spelled as in the API: `PutRolePolicy`, `RoleName`; documents are JSON text."""

    account: str
    service: str
    """The name of boto3's client: `iam`, `organizations`, `ec2`, `lambda`, `ecs`, `codebuild`, `signin` and others."""
    operation: str
    parameters: Mapping[str, Any]
    region: str | None = None
    """`None` for IAM and Organizations, which are the same in all regions."""


def iam(account: str, operation: str, **parameters: object) -> Call:
    """A call to IAM."""
    return Call(account=account, service="iam", operation=operation, parameters=parameters)


_KEY_CALLS = {
    ("UpdateAccessKey", "Inactive"): "AccessKeyId", ("DeleteAccessKey", None): "AccessKeyId",
    ("UpdateServiceSpecificCredential", "Inactive"): "ServiceSpecificCredentialId",
    ("DeleteServiceSpecificCredential", None): "ServiceSpecificCredentialId",
}  # fmt: skip
"""By call of IAM's, and status, after which no request is made with a key: the parameter that names the key."""


def key_off(call: Call) -> str | None:
    """The long-term key or API key that a call makes inactive or deletes, if it does."""
    status = call.parameters.get("Status")
    member = _KEY_CALLS.get((call.operation, status if isinstance(status, str) else None))
    return str(call.parameters.get(member)) if member else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """A credential that a step ends although its owner uses it legitimately."""

    credential: str
    principal: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One action, on one principal or on several at once; its calls are sent together.

    From `by_hand` on stands what the proof takes it to do besides its calls, so that the plan can be proved again over
    newer evidence.
    """

    n: int
    action: Action
    account: str | None
    """`None` if the principals are in several accounts; empty if it is not known, so that the step has no call."""
    principal: str | None
    """The ARN that it acts on; `None` if there are several."""
    principals: tuple[str, ...]
    targets: tuple[str, ...]
    """What `--what-if ACTION:TARGET` would name: key ids for keys, ARNs for the rest."""
    calls: tuple[Call, ...]
    """Empty if a person must do it; `why` then says how."""
    cutoff: datetime | None
    """The cutoff in its policy documents, which `apply` moves to its own clock plus the margin, but never earlier."""
    ends: tuple[str, ...]
    """The ids of tainted credentials that live before the step and not after it."""
    alive_after: tuple[str, ...]
    """The ids of tainted credentials that live after it."""
    collateral: tuple[Collateral, ...]
    undo: tuple[Call, ...]
    safe_to_undo_after: datetime | None
    """When all that it ended has expired by itself; `None` if that never happens, as with a leaked key."""
    reversible: bool
    bites_within: int
    """Seconds until it takes effect at the latest (IAM is eventually consistent)."""
    needs: tuple[str, ...]
    """The permissions that whoever carries it out needs, such as `iam:PutRolePolicy`."""
    why: str
    by_hand: tuple[Call, ...] = ()
    """The calls that a person's work amounts to, which are never sent."""
    closes: tuple[tuple[str, ...], ...] = ()
    """The sources that hand out nothing after it: kind, account, id, and of a workload its kind and region."""
    shuts: tuple[str, ...] = ()
    """The ARNs of roles that nobody can assume after it."""
    spares: tuple[tuple[str, datetime, str | None], ...] = ()
    """What its documents except for an innocent session: principal, second of issue, and `aws:userid` if known."""
    by_portal: bool = False
    """Whether Identity Center makes the change, since it alone can edit its roles."""
    signed_in: tuple[str, ...] = ()
    """Those of its principals, as ARNs, of whose sign-in sessions it ends some, which may last up to ninety days."""
    safe_but_for_sign_ins: datetime | None = None
    """As `safe_to_undo_after`, without the sign-in sessions of `signed_in`."""

    @property
    def keys_off(self) -> frozenset[str]:
        """The long-term keys and API keys that its calls make inactive or delete, so that they make no request."""
        return frozenset(filter(None, map(key_off, self.calls)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """What still works after the last step, or can be minted then."""

    credential: str
    """A credential id, or words for a credential that would be minted."""
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
    """`goes-on` if a credential or source is simply not ended, `mints` if a new credential is minted."""
    by: str
    """What is used for it: a credential id; `new-N`, made by move N; or the id of a source, such as an instance's."""
    by_kind: str
    """The kind of that credential, `minted`, or the kind of the source: `host`, `password`, `trust` and the like."""
    by_principal: str | None
    """The ARN that it acts as, if known."""
    call: str | None
    """The call that mints, such as `AssumeRole`; `null` if none is needed or known."""
    principal: str | None
    """The ARN of the role, user or root that the new credential acts as."""
    session_name: str | None
    """The session name that it must have; `null` if any will do."""
    makes: str | None
    """`new-N`, by which later moves name the new credential."""
    expires_at: datetime | None
    survives: bool
    """Whether it works after the last step."""
    step: int | None
    """The last step that acts on its principal."""
    cutoff: datetime | None
    """The cutoff of that step, which does not cover it."""
    why: str | None
    """For a source: how it is known to be one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A way around the steps that can be replayed: when the steps are sent, and what the attacker does when."""

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
    """`None` if the plan is complete."""
    may_be_stolen: tuple[str, ...] = ()
    """
    The ids of credentials of others that no step ends and that may be the attacker's, too: those that conditions of
    `holds_if` take to be their owners'. If one was stolen, the attacker goes on with it.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSpared:
    """A credential that was to be spared and can't be."""

    credential: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan(NotebookTable):
    """An ordered set of steps, and its proof."""

    version: int
    case_id: str
    as_of: datetime
    subjects: tuple[str, ...]
    strategy: Strategy | None
    """`None` for steps given by `--what-if`."""
    margin: int
    """Seconds between sending a cutoff and the time that it names."""
    lag: int
    """Seconds by which the log may be late: for so long before the newest evidence, sessions may be missing in it."""
    narrowing: Mapping[str, Any]
    """`since`, `source_ips` and `trusted_ips` as given, so that `apply` and `verify` can trace again."""
    tainted: tuple[str, ...]
    steps: tuple[Step, ...]
    proof: Proof
    not_spared: tuple[NotSpared, ...]
    residual_risks: tuple[str, ...]
