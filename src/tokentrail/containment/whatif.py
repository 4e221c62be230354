"""
Read the steps of `--what-if`, spelled `ACTION:TARGET`, as moves.

The target is all after the first colon: a key id or an ARN. `@TIME` at its end sets the cutoff of a revocation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

from tokentrail.aws.principals import Principal, principal_of_arn
from tokentrail.containment import documents, moves
from tokentrail.containment.carving import Cut, carve
from tokentrail.containment.closing_sources import close_source
from tokentrail.containment.controls import statements
from tokentrail.containment.model import Action
from tokentrail.containment.move import Move
from tokentrail.containment.scene import HeldCredential, Scene
from tokentrail.errors import UsageError
from tokentrail.spelling import instant

_ACTIONS: tuple[Action, ...] = get_args(Action)
_ON_KEYS: tuple[Action, ...] = ("deactivate-key", "delete-key", "delete-created-key")
_CLOSES: dict[Action, str] = {
    "remove-login-profile": "password", "revert-trust": "trust", "isolate-instance": "host",
    "disable-identity-center-user": "portal", "revoke-sign-in-sessions": "sign_in",
}  # fmt: skip


def read(scene: Scene, step: str) -> Move:
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
        return moves.of_keys(action, [_key(scene, target, step)])
    if action in _CLOSES:
        return _close(scene, action, target)
    target, cutoff = _cutoff(target)
    move = _ON_PRINCIPALS[action](scene, _principal(target, step), target)
    return _with_cutoff(scene, move, cutoff) if cutoff else move


def principals_named(steps: Sequence[str]) -> frozenset[Principal]:
    """The principals that steps name."""
    found = (principal_of_arn(_cutoff(step.partition(":")[2])[0]) for step in steps)
    return frozenset(one for one in found if one is not None)


def _key(scene: Scene, target: str, step: str) -> HeldCredential:
    found = [one for one in (*scene.held, *scene.innocents) if target in (one.key_id, one.id)]
    if not found:
        raise UsageError(f"--what-if {step!r}: no long-term key {target} among the principals of this trace.")
    if found[0].is_masked:
        raise UsageError(
            f"--what-if {step!r}: the evidence masks this key's id, so that no call can name it; deny-user does what "
            "can be done."
        )
    return found[0]


def _principal(target: str, step: str) -> Principal:
    found = principal_of_arn(target)
    if found is None:
        raise UsageError(f"--what-if {step!r}: {target} is no ARN of a user or role.")
    return found


def _close(scene: Scene, action: Action, target: str) -> Move:
    """Close a source that the evidence shows; a target that is none makes a move without effect."""
    principal = principal_of_arn(target)
    for source in scene.sources:
        closed = source.kind == _CLOSES[action] and (source.id == target or source.mints == principal)
        provider = action == "revert-trust" and source.kind == "provider" and source.id == target
        if closed or provider:
            alike = {one.name: one for one in scene.sources if one.name[:3] == source.name[:3]}
            found = [close_source(scene, one) for one in alike.values()]
            return found[0] if len(found) == 1 else moves.merged(action, found)
    return Move(
        action=action, targets=(target,), principals=(principal,) if principal else (), calls=(),
        why="The evidence shows nothing that this would stop. ",
    )  # fmt: skip


def _revoke(action: Action) -> Callable[[Scene, Principal, str], Move]:
    def build(scene: Scene, principal: Principal, target: str) -> Move:
        text = documents.text(documents.older(scene.cutoff))
        return moves.with_document(scene, action, moves.REVOKE, text, [principal])

    return build


def _deny(action: Action) -> Callable[[Scene, Principal, str], Move]:
    def build(scene: Scene, principal: Principal, target: str) -> Move:
        name, text = (
            (moves.FREEZE, documents.freeze())
            if action == "freeze-role"
            else (moves.DENY, documents.deny_all())
        )
        return moves.with_document(scene, action, name, text, [principal])

    return build


def _deny_sessions(scene: Scene, principal: Principal, target: str) -> Move:
    """For a session's ARN, deny its session name; for a role's or user's, do what strategy `surgical` does."""
    session = target.partition(":assumed-role/")[2].partition("/")[2]
    if session:
        known = scene.known.get(principal)
        unique = known.unique_id if known and known.unique_id else "*"
        statement = documents.deny({"StringLike": {"aws:userid": f"{unique}:{session}"}})
        return moves.with_document(
            scene, "deny-sessions", moves.SESSIONS, documents.text([statement]), [principal]
        )
    own = [one for one in scene.held if one.principal == principal and one.kind != "long_term_key"]
    others = tuple(
        one for one in scene.innocents if one.principal == principal and one.kind != "long_term_key"
    )
    cut = Cut(
        principal=principal, tainted=tuple(own), others=others, kept=others, since=scene.unseen(principal)
    )
    return carve(scene, cut)


def _control(scene: Scene, principal: Principal, target: str) -> Move:
    said = statements(scene, [principal], {principal})
    move = moves.deny_by_scp(scene, [(said, [principal])], "")
    return replace(move, shields=frozenset(move.principals))


_ON_PRINCIPALS: dict[str, Callable[[Scene, Principal, str], Move]] = {
    "deny-user": _deny("deny-user"),
    "revoke-user-sessions": _revoke("revoke-user-sessions"),
    "revoke-role-sessions": _revoke("revoke-role-sessions"),
    "deny-role": _deny("deny-role"),
    "freeze-role": _deny("freeze-role"),
    "deny-sessions": _deny_sessions,
    "delete-user": lambda scene, principal, _: moves.delete_user(scene, principal, scene.held, "delete-user"),
    "delete-created-user": lambda scene, principal, _: moves.delete_user(
        scene, principal, scene.held, "delete-created-user"
    ),
    "edit-trust": lambda scene, principal, _: moves.edit_trust(scene, principal),
    "attach-quarantine": lambda scene, principal, _: moves.attach_quarantine(scene, principal),
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


def _with_cutoff(scene: Scene, move: Move, cutoff: datetime) -> Move:
    """The move with a cutoff that the user gave, which `apply` does not move."""
    old, new = instant(scene.cutoff), instant(cutoff)
    calls = tuple(
        replace(call, parameters={name: value.replace(old, new) if isinstance(value, str) else value
                                  for name, value in call.parameters.items()})
        for call in move.calls
    )  # fmt: skip
    return replace(move, calls=calls, cutoff=None)
