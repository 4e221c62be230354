"""
Choose the moves that end all of an attacker's credentials: minters first, all roles at once, with least collateral.

What keeps the attacker from undoing them comes before all of them, if the organisation's policies can be used.

All roles are cut off in one step: with the same cutoff, no session of one can mint a session of another that survives.
What mints into them (keys, passwords, hosts, trusts, portals, users' tokens) is ended before. Whether the moves
are enough is not decided here, but proven by `game`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from tokentrail.aws.principals import Principal, is_account
from tokentrail.containment import documents
from tokentrail.containment.incident.incident_model import (
    EntryPointKind,
    HeldCredential,
    IncidentModel,
    by_principal,
)
from tokentrail.containment.model import Action, NotSpared, Strategy
from tokentrail.containment.planned_step import PlannedStep
from tokentrail.containment.planning import actions
from tokentrail.containment.planning.closing_sources import centrally, close_source
from tokentrail.containment.planning.scp import deny_by_scps, deny_writes_first, in_permission_sets
from tokentrail.containment.planning.session_deny import DenyTarget, build_session_deny
from tokentrail.containment.proof.game import ContainmentGame
from tokentrail.policy.language.context import LASTING

_CLOSING: tuple[EntryPointKind, ...] = ("key", "portal", "sign_in", "provider", "trust", "password", "host")
_NO_ROOM = (
    "The log or snapshot shows the user at IAM's quotas of policies, so that only its deletion ends it. "
)


@dataclass(frozen=True, slots=True)
class _Needs:
    """What must be ended: that which lives if nothing is done."""

    incident: IncidentModel
    strategy: Strategy
    live: tuple[HeldCredential, ...]
    pools: frozenset[Principal]
    """Principals for which tokens may have been minted unseen, or may still be minted."""
    spared: tuple[HeldCredential, ...]

    @property
    def keys(self) -> list[HeldCredential]:
        """The living long-term keys and API keys, without those of users that the attacker made, as these are ended."""
        gone = self.incident.made_users | {
            one for one in self.pools if one.account in self.incident.without_access
        }
        return [
            one for one in self.live
            if one.kind in LASTING and one.principal not in gone
            and one.principal.account not in self.incident.without_access
            and (is_account(one.principal.account) or one.principal.kind in ("unknown", "root"))  # by hand
        ]  # fmt: skip

    @property
    def deniable(self) -> list[Principal]:
        """Users with a living long-term key whose id the evidence masks: no call can name it, but the user."""
        return sorted(
            {
                one.principal
                for one in self.keys
                if one.is_masked and self.incident.within_reach(one.principal)
            }
        )


def plan_moves(
    incident: IncidentModel, strategy: Strategy, spare: Sequence[str]
) -> tuple[list[PlannedStep], list[NotSpared]]:
    """Choose the moves of a strategy, and say which credentials can't be spared."""
    spared, refused = _spared(incident, spare, strategy)
    game = ContainmentGame(incident, [])
    nothing_done = game.outcome()
    needs = _Needs(
        incident, strategy,
        live=tuple(
            one for one in incident.held
            if nothing_done.lives[one.id].ends > incident.as_of or one.id in game.denied_in_vain
        ),
        pools=frozenset(one for one, pool in nothing_done.pools.items() if pool.life.ends > incident.as_of),
        spared=tuple(spared),
    )  # fmt: skip
    by_scp = list(_scps(needs))
    found = [
        *_keys(needs),
        *_made_users(incident),
        *_sources(incident),
        *by_scp,
        *_users(needs),
        *_roles(needs),
    ]
    first = _first(incident, by_scp) if found else None
    return [*([first] if first else ()), *(move for move in found if move is not first)], refused


def _keys(needs: _Needs) -> Iterator[PlannedStep]:
    """
    End long-term keys, also those that were never seen in use: deactivate them, or delete what the attacker made.

    If the evidence does not show whose a key is, AWS can say (AWS STS API Reference, 'GetAccessKeyInfo'; IAM API
    Reference, 'GetAccessKeyLastUsed').
    """
    seen = [one for one in needs.keys if one.principal.is_named and not one.is_masked]
    unused = [one for one in _closings(needs.incident, "key") if one.calls]
    by_action: dict[Action, list[HeldCredential]] = {
        "deactivate-key": [], "deactivate-api-key": [], "delete-created-key": [],
    }  # fmt: skip
    for one in seen:
        deleted = one.made and needs.incident.delete_created
        off: Action = "deactivate-api-key" if one.kind == "api_key" else "deactivate-key"
        by_action["delete-created-key" if deleted else off].append(one)
    for action, keys in by_action.items():
        parts = [actions.of_keys(action, keys)] if keys else []
        parts += [one for one in unused if one.action == action]
        if parts:
            yield actions.merged(action, parts)
    if needs.deniable:
        yield actions.deny_masked_keys(needs.incident, needs.deniable)
    for one in needs.keys:
        if one.is_masked:
            if one.principal not in needs.deniable:
                yield actions.masked_key_by_hand(one)
            continue
        named = shlex.quote(one.key_id or one.id)
        if not one.principal.is_named and not one.principal.is_root:
            yield actions.merged(
                "deactivate-key", [actions.of_keys("deactivate-key", [one])],
                "The evidence does not tell whose key this is, so that nothing can be proved of it. "
                f"`aws sts get-access-key-info --access-key-id={named}` tells its account; there `aws iam "
                f"get-access-key-last-used --access-key-id={named}` tells its user, and `aws iam update-access-key "
                f"--access-key-id={named} --status=Inactive --user-name=…` ends it. ",
            )  # fmt: skip
        elif one.principal.is_root:
            yield actions.merged(
                "deactivate-key", [actions.of_keys("deactivate-key", [one])],
                f"Sign in to account {one.principal.account} as root and deactivate {one.key_id}. "
                + centrally(one.principal.account, f"delete-access-key --access-key-id={named}"),
            )  # fmt: skip


def _made_users(incident: IncidentModel) -> Iterator[PlannedStep]:
    """
    End users that the attacker made: they stay as evidence, denied everything; or they are deleted.

    They are deleted if that was asked for, and where nothing else ends them.
    """
    users = sorted(one for one in incident.made_users if not incident.barred(one.account))
    held = by_principal(incident.held)
    denied: dict[Principal, PlannedStep] = {}
    for user in users if not incident.delete_created else ():
        move = actions.deny_made_user(incident, user, held.get(user, ()))
        if move is not None:
            denied[user] = move
    deleted = [user for user in users if user not in denied]
    if denied:
        yield actions.merged("deny-user", list(denied.values()))
    if deleted:
        why = "" if incident.delete_created else _NO_ROOM
        listed = [
            actions.delete_user(incident, one, held.get(one, ()), "delete-created-user") for one in deleted
        ]
        yield actions.merged("delete-created-user", listed, why)


def _closings(incident: IncidentModel, kind: EntryPointKind) -> list[PlannedStep]:
    """The moves that close the open sources of a kind, each source once, in the order of their names."""
    once = {
        ("" if kind == "portal" else one.account, *one.name[2:]): one
        for one in incident.sources
        if one.kind == kind and one.until is None and (kind == "portal" or not incident.barred(one.account))
    }
    return [
        close_source(incident, one) for _, one in sorted(once.items()) if one.mints not in incident.made_users
    ]


def _sources(incident: IncidentModel) -> Iterator[PlannedStep]:
    """
    Close the sources, those of one action in one step.

    Irreversible calls are a step of their own, so that the action's other calls can be undone. A person's portal is the
    same for all accounts. In an account without access only a portal can be closed, as that is elsewhere; the rest is
    denied by service control policy (`_scps`). Keys that calls end are ended with the other keys (`_keys`).
    """
    for kind in _CLOSING:
        closings = [one for one in _closings(incident, kind) if kind != "key" or not one.calls]
        for sort in ((True, True), (True, False), (False, True), (False, False)):
            alike = [one for one in closings if (bool(one.calls), one.reversible) == sort]
            if alike:
                yield actions.merged(alike[0].action, alike)


def _scps(needs: _Needs) -> Iterator[PlannedStep]:
    """Deny by service control policy what IAM calls can't; in the management account, by permission sets."""
    incident = needs.incident
    beyond = [
        one for one in sorted({one.principal for one in needs.live} | needs.pools)
        if not incident.within_reach(one) and one.kind != "unknown" and is_account(one.account)
        and not ((known := incident.known.get(one)) and known.service_linked)
    ]  # fmt: skip
    reserved = [
        one for one in beyond
        if one.account == incident.management_account and (known := incident.known.get(one)) and known.reserved
    ]  # fmt: skip
    if reserved:
        yield in_permission_sets(incident, reserved, needs.live)
    yield from deny_by_scps(
        incident, [one for one in beyond if one.account != incident.management_account], needs.live
    )


def _first(incident: IncidentModel, by_scp: Iterable[PlannedStep]) -> PlannedStep | None:
    """
    The service control policies that must come before all other steps, if the attacker may change IAM.

    That is a deny of all that those principals do who may change it, if the plan has that anyway and for good; else a
    deny of changes to IAM. It serves only if it binds all of them.
    """
    manager, writing = incident.management_account, sorted(incident.writing)
    if manager is None or not incident.writers:
        return None
    bound = all(
        one.account != manager
        and is_account(one.account)
        and one.kind != "unknown"
        and not ((known := incident.known.get(one)) and known.service_linked)
        for one in writing
    )
    if not bound or len({incident.partition(one.account) for one in writing}) != 1:
        return None
    for move in by_scp:
        if incident.writing <= move.shields >= {*move.principals}:
            return move
    move = deny_writes_first(incident, writing)
    return move if incident.writing <= move.shields else None


def _users(needs: _Needs) -> Iterator[PlannedStep]:
    """End the tokens of users: those seen, and those that may have been minted since the log stops being complete."""
    incident = needs.incident
    behind = {one.principal for one in needs.live} | needs.pools
    behind |= {one.mints for one in incident.sources if one.kind == "password" and one.until is None}
    behind -= incident.made_users.union(needs.deniable)
    users = sorted(one for one in behind if one.kind == "user" and incident.within_reach(one))
    if needs.strategy == "scorched" and users:
        yield actions.with_document(incident, "deny-user", actions.DENY, documents.deny_all(), users)
    elif users:
        yield _cut(needs, [(user, None) for user in users], "revoke-user-sessions")


def _roles(needs: _Needs) -> Iterator[PlannedStep]:
    """End the sessions of all roles that the attacker has or could have, in one step; deny roles it made for good."""
    incident = needs.incident
    made = sorted(one for one in incident.made_roles if not incident.barred(one.account))
    if made:
        yield actions.with_document(incident, "deny-role", actions.DENY, documents.deny_all(), made)
    live = {one.principal for one in needs.live}
    roles = [
        one for one in sorted(live | needs.pools)
        if one.kind == "role" and one not in incident.made_roles and incident.within_reach(one)
    ]  # fmt: skip
    if needs.strategy == "scorched" and roles:
        yield actions.with_document(incident, "deny-role", actions.DENY, documents.deny_all(), roles)
    elif roles:
        own = live | incident.acted_as | {one.mints for one in incident.sources if one.until is None}
        windows = [(one, None if one in own else incident.unseen(one)) for one in roles]
        yield _cut(needs, windows, "revoke-role-sessions")


def _cut(needs: _Needs, on: Sequence[tuple[Principal, datetime | None]], action: Action) -> PlannedStep:
    """
    Cut off several principals at once: all their tokens before the cutoff, or only tainted and unseen ones.

    Args:
        needs: What to end, and what to spare.
        on: The principals. If one has a time, no tainted token was issued to it before, and only tokens issued since
            are cut off.
        action: The action if tokens of any age are cut off; else it is `deny-sessions`.
    """
    incident = needs.incident
    tainted, others, spared = (
        by_principal(one for one in some if one.kind not in LASTING)
        for some in (incident.held, incident.innocents, needs.spared)
    )
    pieces = []
    for principal, start in on:
        narrow = needs.strategy == "surgical" or start is not None
        cut = DenyTarget(
            principal=principal,
            tainted=tuple(tainted.get(principal, ())),
            others=tuple(others.get(principal, ())),
            kept=tuple((others if narrow else spared).get(principal, ())),
            since=incident.unseen(principal) if narrow else None,
        )
        pieces.append(build_session_deny(incident, cut))
    listed = needs.strategy == "surgical" or all(start for _, start in on)
    return actions.merged("deny-sessions" if listed else action, pieces)


def _spared(
    incident: IncidentModel, spare: Iterable[str], strategy: Strategy
) -> tuple[list[HeldCredential], list[NotSpared]]:
    """Find the credentials to spare, by key id or a unique prefix of a credential's id."""
    found, refused = [], []
    for name in spare:
        matching = [one for one in incident.innocents if one.id.startswith(name) or one.key_id == name]
        why = _cannot_spare(incident, name, matching, strategy)
        if why:
            refused.append(NotSpared(credential=name, why=why))
        else:
            found.append(matching[0])
    return found, refused


def _cannot_spare(
    incident: IncidentModel, name: str, matching: Sequence[HeldCredential], strategy: Strategy
) -> str | None:
    if any(one.startswith(name) for one in incident.tainted):
        handed = [why for one, why in incident.handed.items() if one.startswith(name)]
        if handed:
            return f"it counts as the attacker's: {handed[0]}"
        return "it counts as the attacker's; if not, narrow that with --attacker-since, --source-ip or --trusted-ip"
    if not matching:
        return "no live credential of a principal that this plan touches is called so: nothing here ends it"
    if len(matching) > 1:
        return "several credentials begin so: give more of its id"
    one = matching[0]
    if one.token is not None and one.token in {
        held.token for held in incident.held if held.principal == one.principal
    }:
        return "a tainted credential has the same name and second of issue, so that no policy can tell them apart"
    if strategy == "scorched":
        return "scorched denies everything on its principal: take another strategy"
    if one.kind not in LASTING and one.issued_at is None:
        return "when it was issued is not in the evidence, so that no policy can tell it from the attacker's"
    known = incident.known.get(one.principal)
    if one.principal.is_root or incident.barred(one.principal.account) or (known and known.reserved):
        return "only a service control policy reaches its principal, and it does not tell sessions apart"
    return None
