"""
Read the steps of `--what-if`, spelled `ACTION:TARGET`, as actions.

The target is all after the first colon: a key id or an ARN. `@TIME` at its end sets the cutoff of a revocation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import get_args

from tokentrail.aws.principals import Principal, arn_of, principal_of_arn
from tokentrail.containment import documents
from tokentrail.containment.incident.incident_model import HeldCredential, IncidentModel
from tokentrail.containment.model import Action
from tokentrail.containment.planned_step import PlannedStep
from tokentrail.containment.planning import actions
from tokentrail.containment.planning.closing_sources import close_source
from tokentrail.containment.planning.scp import statements
from tokentrail.containment.planning.session_deny import DenyTarget, build_session_deny
from tokentrail.errors import UsageError
from tokentrail.formatting import instant, listed
from tokentrail.policy.language.context import LASTING

_ACTIONS: tuple[Action, ...] = get_args(Action)
_ON_KEYS: tuple[Action, ...] = (*actions.DEACTIVATES, "delete-key", "delete-created-key")
_CLOSES: dict[Action, str] = {
    "remove-login-profile": "password", "revert-trust": "trust", "isolate-instance": "host",
    "disable-identity-center-user": "portal", "revoke-sign-in-sessions": "sign_in",
}  # fmt: skip
_ALIKE, _SUGGESTED = 0.85, 3
"""How alike to a target a key id must be to be suggested, of 1; and how many targets are suggested at most."""


def read(incident: IncidentModel, step: str) -> PlannedStep:
    """
    Read one step.

    Raises:
        UsageError: there is no such action, or the target is nothing that it could be about.
    """
    action, colon, target = step.partition(":")
    if not colon or action not in _ACTIONS or not target:
        raise UsageError(
            f"--what-if {step!r}: give ACTION:TARGET, such as deactivate-key:AKIA… or revoke-role-sessions:arn:…; "
            f"actions are {', '.join(_ACTIONS)}."
        )
    if action in _ON_KEYS:
        return actions.of_keys(action, [_key(incident, target, step)])
    if action in _CLOSES:
        return _close(incident, action, target)
    target, cutoff = _cutoff(target)
    move = _ON_PRINCIPALS[action](incident, _principal(incident, target, step), target)
    return _with_cutoff(incident, move, cutoff) if cutoff else move


def principals_named(steps: Sequence[str]) -> frozenset[Principal]:
    """The principals that steps name."""
    found = (principal_of_arn(_cutoff(step.partition(":")[2])[0]) for step in steps)
    return frozenset(one for one in found if one is not None)


def _key(incident: IncidentModel, target: str, step: str) -> HeldCredential:
    found = [one for one in (*incident.held, *incident.innocents) if target in (one.key_id, one.id)]
    if not found:
        keys = {one.key_id for one in (*incident.held, *incident.innocents) if one.kind in LASTING}
        alike = get_close_matches(target.upper(), filter(None, keys), cutoff=_ALIKE)
        raise UsageError(
            f"--what-if {step!r}: no long-term key {target} among the principals of this trace.{_meant(alike)}"
        )
    if found[0].is_masked:
        raise UsageError(
            f"--what-if {step!r}: the evidence masks this key's id, so that no call can name it; deny-user does what "
            "can be done."
        )
    return found[0]


def _principal(incident: IncidentModel, target: str, step: str) -> Principal:
    found = principal_of_arn(target)
    if found is None:
        edges = (end for edge in incident.edges for end in (edge.by, edge.into))
        known = (*(one.principal for one in (*incident.held, *incident.innocents)), *edges)
        name = target.rpartition("/")[2].casefold()
        alike = {arn_of(one) for one in known if one.is_named and one.name.casefold() == name}
        raise UsageError(
            f"--what-if {step!r}: expected the ARN of a user or role, got {target!r}.{_meant(sorted(alike))}"
        )
    return found


def _meant(alike: Sequence[str]) -> str:
    """Suggest targets; none is taken for the one that was meant, as a plan may be carried out."""
    return f" Did you mean {listed(alike, _SUGGESTED)}?" if alike else ""


def _close(incident: IncidentModel, action: Action, target: str) -> PlannedStep:
    """Close a source that the evidence shows; a target that is none makes a move without effect."""
    principal = principal_of_arn(target)
    for source in incident.sources:
        closed = source.kind == _CLOSES[action] and (source.id == target or source.mints == principal)
        provider = action == "revert-trust" and source.kind == "provider" and source.id == target
        if closed or provider:
            alike = {one.name: one for one in incident.sources if one.name[:3] == source.name[:3]}
            found = [close_source(incident, one) for one in alike.values()]
            return found[0] if len(found) == 1 else actions.merged(action, found)
    return PlannedStep(
        action=action, targets=(target,), principals=(principal,) if principal else (), calls=(),
        why="The evidence shows nothing that this would stop. ",
    )  # fmt: skip


def _revoke(action: Action) -> Callable[[IncidentModel, Principal, str], PlannedStep]:
    def build(incident: IncidentModel, principal: Principal, target: str) -> PlannedStep:
        text = documents.text(documents.older(incident.cutoff))
        return actions.with_document(incident, action, actions.REVOKE, text, [principal])

    return build


def _deny(action: Action) -> Callable[[IncidentModel, Principal, str], PlannedStep]:
    def build(incident: IncidentModel, principal: Principal, target: str) -> PlannedStep:
        name, text = (
            (actions.FREEZE, documents.freeze())
            if action == "freeze-role"
            else (actions.DENY, documents.deny_all())
        )
        return actions.with_document(incident, action, name, text, [principal])

    return build


def _deny_sessions(incident: IncidentModel, principal: Principal, target: str) -> PlannedStep:
    """For a session's ARN, deny its session name; for a role's or user's, do what strategy `surgical` does."""
    session = target.partition(":assumed-role/")[2].partition("/")[2]
    if session:
        known = incident.known.get(principal)
        unique = known.unique_id if known and known.unique_id else "*"
        statement = documents.deny({"StringLike": {"aws:userid": f"{unique}:{session}"}})
        return actions.with_document(
            incident, "deny-sessions", actions.SESSIONS, documents.text([statement]), [principal]
        )
    own = [one for one in incident.held if one.principal == principal and one.kind not in LASTING]
    others = tuple(
        one for one in incident.innocents if one.principal == principal and one.kind not in LASTING
    )
    cut = DenyTarget(
        principal=principal, tainted=tuple(own), others=others, kept=others, since=incident.unseen(principal)
    )
    return build_session_deny(incident, cut)


def _control(incident: IncidentModel, principal: Principal, target: str) -> PlannedStep:
    said = statements(incident, [principal], {principal})
    move = actions.deny_by_scp(incident, [(said, [principal])], "")
    return replace(move, shields=frozenset(move.principals))


_ON_PRINCIPALS: dict[str, Callable[[IncidentModel, Principal, str], PlannedStep]] = {
    "deny-user": _deny("deny-user"),
    "revoke-user-sessions": _revoke("revoke-user-sessions"),
    "revoke-role-sessions": _revoke("revoke-role-sessions"),
    "deny-role": _deny("deny-role"),
    "freeze-role": _deny("freeze-role"),
    "deny-sessions": _deny_sessions,
    "delete-user": lambda incident, principal, _: actions.delete_user(
        incident, principal, incident.held, "delete-user"
    ),
    "delete-created-user": lambda incident, principal, _: actions.delete_user(
        incident, principal, incident.held, "delete-created-user"
    ),
    "edit-trust": lambda incident, principal, _: actions.edit_trust(incident, principal),
    "attach-quarantine": lambda incident, principal, _: actions.attach_quarantine(incident, principal),
    "scp-deny": _control,
}


def _cutoff(target: str) -> tuple[str, datetime | None]:
    arn, at, text = target.rpartition("@")
    if not at:
        return target, None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return target, None  # a role's name may hold an @
    return arn, found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _with_cutoff(incident: IncidentModel, move: PlannedStep, cutoff: datetime) -> PlannedStep:
    """The move with a cutoff that the user gave, which `apply` does not move."""
    old, new = instant(incident.cutoff), instant(cutoff)
    calls = tuple(
        replace(call, parameters={name: value.replace(old, new) if isinstance(value, str) else value
                                  for name, value in call.parameters.items()})
        for call in move.calls
    )  # fmt: skip
    return replace(move, calls=calls, cutoff=None)
