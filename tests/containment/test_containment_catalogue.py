"""The catalogue of actions agrees with what the calls do, as `policy.effects` reads them (FACTS D2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from tokentrail.aws.principals import KnownPrincipal, Principal
from tokentrail.containment.catalogue import CATALOGUE, OUTLIVES
from tokentrail.containment.incident.incident_model import HeldCredential, IncidentModel
from tokentrail.containment.model import Action
from tokentrail.containment.planned_step import PlannedStep
from tokentrail.containment.planning.whatif import read
from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.effects import Effects
from tokentrail.policy.language.context import Caller

ACCOUNT, KEY, API_KEY = "111122223333", "AKIAIOSFODNN7EXAMPLE", "ACCAIOSFODNN7EXAMPLE"
KEYS = {"key": KEY, "API key": API_KEY}
USER, ROLE = f"arn:aws:iam::{ACCOUNT}:user/support", f"arn:aws:iam::{ACCOUNT}:role/Deploy"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BITES, LATER = NOON + timedelta(seconds=60), NOON + timedelta(hours=1)
_OF_USER = {"account": ACCOUNT, "user_name": "support"}


def session(name: str, issued: datetime = NOON) -> Caller:
    return Caller(
        kind="assumed_role", account=ACCOUNT, role=ROLE, principal_id=f"AROAEXAMPLE:{name}", session_name=name,
        principal=f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/{name}", issued_at=issued, mfa=False,
    )  # fmt: skip


def token(issued: datetime = NOON) -> Caller:
    return Caller(
        kind="session_token",
        principal=USER,
        principal_id="AIDAEXAMPLE",
        issued_at=issued,
        mfa=False,
        **_OF_USER,
    )


CALLERS = {
    "key": Caller(kind="long_term_key", principal=USER, principal_id="AIDAEXAMPLE", **_OF_USER),
    "token": token(),
    "later token": token(BITES),
    "guest": Caller(
        kind="federation_token", principal=f"arn:aws:sts::{ACCOUNT}:federated-user/guest",
        principal_id=f"{ACCOUNT}:guest", issued_at=NOON, **_OF_USER,
    ),
    "console": Caller(
        kind="console_session", principal=USER, principal_id="AIDAEXAMPLE", issued_at=NOON, **_OF_USER
    ),
    "API key": Caller(kind="api_key", principal=USER, principal_id="AIDAEXAMPLE", **_OF_USER),
    "session": session("x"),
    "namesake": session("y"),
    "later session": session("x", BITES),
}  # fmt: skip
TEMPORARY, SESSIONS = {"token", "guest", "console"}, {"session", "namesake"}
ENDS: dict[str, set[str]] = {
    f"deactivate-key:{KEY}": {"key"},
    f"deactivate-api-key:{API_KEY}": {"API key"},
    f"delete-key:{KEY}": {"key"},
    f"delete-created-key:{KEY}": {"key"},
    f"revoke-user-sessions:{USER}": TEMPORARY,
    f"deny-user:{USER}": {*KEYS, "later token", *TEMPORARY},
    f"delete-user:{USER}": {*KEYS, "later token", *TEMPORARY},
    f"delete-created-user:{USER}": {*KEYS, "later token", *TEMPORARY},
    f"attach-quarantine:{USER}": set(),
    f"remove-login-profile:{USER}": set(),
    f"revoke-role-sessions:{ROLE}": SESSIONS,
    f"deny-role:{ROLE}": {"later session", *SESSIONS},
    f"deny-sessions:arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/x": {"session", "later session"},
    f"deny-sessions:{ROLE}": {"session"},
    f"freeze-role:{ROLE}": set(),
    f"edit-trust:{ROLE}": set(),
    f"revert-trust:{ROLE}": set(),
    f"scp-deny:{USER}": {*KEYS, "later token", *TEMPORARY},
    f"scp-deny:{ROLE}": {"later session", *SESSIONS},
    "isolate-instance:i-0123456789abcdef0": set(),
    "disable-identity-center-user:eve@example.com": set(),
    "revoke-sign-in-sessions:arn:aws:signin:us-east-1:111122223333:session/1": set(),
}
"""What each action ends, on a key, the user's tokens and a role's sessions; the role was assumed with the tokens."""


def held(name: str) -> HeldCredential:
    caller = CALLERS[name]
    return HeldCredential(
        id=name,
        caller=caller,
        key_id=KEYS.get(name),
        principal=caller.acts_as,
        expires=None,
    )


def incident() -> IncidentModel:
    """A incident of these credentials, of which one session and the tokens are the attacker's."""
    role = Principal(ACCOUNT, "role", "Deploy")
    given: dict[str, Any] = {
        "case_id": "c", "as_of": NOON, "margin": 60, "lag": 900,
        "held": tuple(held(one) for one in ("key", "API key", "token", "guest", "console", "session")),
        "innocents": (held("namesake"),),
        "known": {role: KnownPrincipal(principal=role, arn=ROLE, unique_id="AROAEXAMPLE")},
        "unseen_since": {ACCOUNT: NOON - timedelta(seconds=900)},
        "management_account": "999999999999",
    }  # fmt: skip
    empty = (("tuple", ()), ("Mapping", {}), ("frozenset", frozenset()))
    for one in (each for each in fields(IncidentModel) if each.init):
        default = next((value for kind, value in empty if str(one.type).startswith(kind)), None)
        given.setdefault(one.name, default)
    return IncidentModel(**given)


def changes(move: PlannedStep, at: datetime = BITES) -> list[Change]:
    return list(move.changes(0, at, BITES))


def ended(found: list[Change], at: datetime) -> set[str]:
    """Whom some changes end."""
    effects = Effects([*found])
    return {name for name, caller in CALLERS.items() if effects.ended(caller, KEYS.get(name), at) is not None}


def test_every_action_has_its_facts() -> None:
    """What it ends, what it leaves, whom else it hits, and where that is written."""
    assert set(get_args(Action)) == set(CATALOGUE)
    for action, facts in CATALOGUE.items():
        assert action == facts.action
        assert all((facts.ends, facts.leaves, facts.hits, facts.source))


def test_every_action_is_in_the_table() -> None:
    """So that none goes unjudged."""
    assert set(get_args(Action)) == {one.partition(":")[0] for one in ENDS}


@pytest.mark.parametrize("step", ENDS)
def test_an_action_ends_what_the_facts_say(step: str) -> None:
    """By the same rules as those by which state reads the log."""
    assert ENDS[step] == ended(changes(read(incident(), step)), LATER)


@pytest.mark.parametrize("step", ENDS)
def test_what_an_action_does_can_be_undone_by_its_own_calls(step: str) -> None:
    """Whatever is called reversible and has calls comes back to what it was; nothing else names calls to undo it."""
    move = read(incident(), step)
    action = move.action
    if not move.reversible or not move.calls:
        assert not move.undo
        return
    if action == "edit-trust":  # what was there before is known to `apply` alone
        return

    assert move.undo
    undone = changes(replace(move, calls=move.undo), LATER)
    undone = [replace(one, event_id=f"z{one.event_id}") for one in undone]
    assert set() == ended([*changes(move), *undone], LATER + timedelta(seconds=1))


def test_a_freeze_forbids_minting_and_no_more() -> None:
    """That is why it ends nothing, and why it helps against roles that assume each other."""
    effects = Effects(changes(read(incident(), f"freeze-role:{ROLE}")))

    for action in ("sts:AssumeRole", "sts:GetFederationToken", "iam:CreateAccessKey"):
        assert effects.denies(CALLERS["session"], None, action, LATER)
    assert not effects.denies(CALLERS["session"], None, "s3:GetObject", LATER)


def test_no_cutoff_names_a_moment_that_nobody_set() -> None:
    """A step has a cutoff if and only if its documents hold it."""
    for step in ENDS:
        move = read(incident(), step)
        texts = [str(value) for call in move.calls for value in call.parameters.values()]
        assert (move.cutoff is not None) == any("2026-11-23T12:01:00Z" in text for text in texts)


def test_what_outlives_a_deny_is_told() -> None:
    """Shells, connections, registries, grants, resource policies, workloads, presigned URLs, secrets."""
    assert len(OUTLIVES) >= 8
    assert isinstance(CATALOGUE, Mapping)
