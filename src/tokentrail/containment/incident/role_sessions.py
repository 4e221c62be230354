"""
Sessions of roles that may be the attacker's although it did not mint them and their names don't show whose they are.

The session of a function or an instance has its name, and that of a task or build the id that its start returned.
Sessions handed to pods, role aliases of devices, identity pools and others have no such name. So if the attacker gave a
role to one of those, later sessions of that role may be the attacker's; such a role is called *opened*.
The same holds for tasks, pods and builds that replace one from which a session was stolen: the thief may get in again
the same way, and each replacement has a new name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import NamedTuple

from tokentrail.aws.principals import Principal
from tokentrail.containment.incident.changed_providers import CameIn
from tokentrail.containment.incident.incident_model import HeldCredential
from tokentrail.containment.incident.living import ACTING_AS, accounts_of
from tokentrail.containment.incident.persistence import AttackerAction, roles_given, roles_let_in
from tokentrail.containment.incident.shared_ip_credentials import stays
from tokentrail.containment.incident.source_issued import (
    attackers_lines,
    expired_before_log_ends,
    that_minted_or_changed,
    unsure,
    used_at,
    used_from,
)
from tokentrail.containment.incident.source_kinds import certified
from tokentrail.containment.incident.workloads import session_of
from tokentrail.lineage import creations, rows
from tokentrail.lineage.addresses import is_public, line_of
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trace import Narrowing

_KINDS = frozenset({"service_role", "assumed_role_web_identity"})
_ANYWHERE = "rolesanywhere.amazonaws.com"
_NAMED = frozenset({"ec2.amazonaws.com", "lambda.amazonaws.com", _ANYWHERE})
"""Services whose sessions have the name of their host or holder, so that `source_issued` can follow them."""


_SOME = "some service"
"""Stands for the service that issued a session, if the evidence begins too late to show it."""
_LOOKED_BACK = 86_400
"""Seconds before the theft for which a role's sessions are read, to learn where its workloads call from."""


class SessionVerdicts(NamedTuple):
    """The sessions that are the attacker's, or may be: by credential id, the reason."""

    certain: dict[str, str]
    doubtful: dict[str, str]
    spent: dict[str, str]
    """Certain ones that are spent, as `source_issued` defines it."""


class RoleSession(NamedTuple):
    """A session of an opened role."""

    row: Row
    one: Credential
    spent: bool
    """Whether it is spent, as `source_issued` defines it; always false if it began before the theft."""


class Opening(NamedTuple):
    """From when on sessions of a role may be the attacker's although it did not mint them, and why."""

    time: datetime
    why: str
    service: str | None = None
    """If given, only sessions that this service issued count: that of the workload from which one was stolen."""


def openings(
    deeds: Iterable[AttackerAction], theirs: Sequence[tuple[Credential, HeldCredential]]
) -> dict[Principal, Opening]:
    """
    The opened roles: given by the attacker to a workload without session names, or stolen from such a workload.

    Args:
        deeds: The changes that the attacker made.
        theirs: The attacker's credentials, in both forms.
    """
    found: dict[Principal, Opening] = {}
    seen, known = {own.caller.session_name for _, own in theirs}, {one.id for one, _ in theirs}
    for deed in sorted(deeds, key=lambda one: (one.time, one.event_id)):
        if _session_names(deed) <= seen:  # the sessions of all that it started are known
            continue
        why = f"{deed.name} by {deed.by} (event {deed.event_id}) lets its maker have sessions of its role"
        for role in roles_given(deed):
            found.setdefault(role, Opening(deed.time, why))
        for role in roles_let_in(deed):
            found.setdefault(role, Opening(deed.time, why, _ANYWHERE))
    for one, own in theirs:
        if (
            one.parent_link == "created" and one.parent in known
        ):  # no service replaces what the attacker started
            continue
        service, begins = _service_of(one), one.issued_at
        if (
            service is None
            and one.kind == "service_role"
            and not (own.caller.session_name or "").startswith("i-")
        ):
            service = _SOME
        if service is None or service in _NAMED or begins is None or "/aws-service-role/" in (one.role or ""):
            continue
        role = own.principal
        if role not in found or (found[role].service and begins < found[role].time):
            why = f"{service} handed it out after {one.id}, to what runs with the same role"
            found[role] = Opening(begins, why, service)
    return found


def _session_names(deed: AttackerAction) -> set[str]:
    """The session names of all that a deed started; an empty one stands for those that the log does not show."""
    made = creations.made(deed.name, deed.request, deed.response, deed.source)
    return {(session_of(what, thing) if thing else None) or "" for what, thing in made} or {""}


def sessions_of(
    forest: Forest, opened: Mapping[Principal, Opening], known: Set[str], unseen_since: Mapping[str, datetime]
) -> list[RoleSession]:
    """The sessions of opened roles, from `_LOOKED_BACK` before the theft on, without those `known`."""
    names = sorted({one.name for one in opened})
    if not names:
        return []
    kinds = ", ".join(f"'{one}'" for one in sorted(_KINDS))
    first = min(one.time for one in opened.values())
    places = forest.called(
        names, ACTING_AS, (names,) * 3,
        f"f.kind IN ({kinds}) AND (f.expires_at IS NULL OR f.expires_at > {int(forest.as_of.timestamp())} "
        f"OR coalesce(f.issued_at, f.first, 0) >= {int(first.timestamp()) - _LOOKED_BACK})", accounts_of(opened),
    )  # fmt: skip
    listed = [
        row for row in forest.chosen_rows(places)
        if row["id"] not in known and rows.caller(row).acts_as in opened
    ]  # fmt: skip
    pairs = list(zip(listed, forest.credentials(listed), strict=True))
    dead = {
        row["n"]
        for row, one in pairs
        if not _before(one, first) and expired_before_log_ends(one, unseen_since)
    }
    busy = that_minted_or_changed(forest, dead)
    return [RoleSession(row, one, row["n"] in dead - busy) for row, one in pairs]


def attackers_of(
    opened: Mapping[Principal, Opening],
    near: Sequence[RoleSession],
    theirs: Iterable[Credential],
    narrowing: Narrowing,
    homes: Set[str] = frozenset(),
    owners: Set[str] = frozenset(),
    came: Iterable[CameIn] = (),
) -> SessionVerdicts:
    """
    Decide which sessions of opened roles, and of changed providers, are the attacker's.

    A session is if it was used from an address of a tainted credential, and doubtful if it may have been.

    Args:
        opened: What `openings` found.
        near: What `sessions_of` found.
        theirs: The tainted credentials.
        narrowing: Which addresses count.
        homes: The workloads' own addresses, by `home_addresses`, which say nothing of the attacker.
        owners: Addresses of the owner of a subject, as `BeyondTrace` has them.
        came: The sessions that came in through providers that the attacker changed.
    """
    found = SessionVerdicts({}, {}, {})
    theirs = list(theirs)
    seen_at = attackers_lines(theirs, narrowing, owners)
    own = _own_addresses(opened, near, {one.session_name for one in theirs})
    for row, one, spent in near:
        role = rows.caller(row).acts_as
        way = opened.get(role)
        if way is None or one.kind not in _KINDS or _before(one, way.time):
            continue
        if way.service is not None and not _of_service(_service_of(one), way.service):
            continue
        shared = used_at(one, seen_at)
        if way.service is not None:
            at_home = set(map(line_of, homes | own.get(role, set())))
            shared = [
                at for at in shared if is_public(at) and (line_of(at) not in at_home or narrowing.names(at))
            ]
        _decide(found, one, way.why, shared, narrowing, spent=spent)
    for one, why, spent in came:
        shared = used_at(one, seen_at)
        _decide(found, one, why, shared, narrowing, spent=spent)
    return found


def _decide(
    found: SessionVerdicts,
    one: Credential,
    why: str,
    shared: Sequence[str],
    narrowing: Narrowing,
    *,
    spent: bool,
) -> None:
    """Add a session where it belongs: `shared` are the attacker's addresses from which it was used."""
    if shared:
        told = found.spent if spent else found.certain
        told[one.id] = f"{why}, and both were used from {line_of(shared[0])}"
    elif unsure(one, narrowing) and not spent:
        found.doubtful[one.id] = why


def home_addresses(forest: Forest, theirs: Iterable[tuple[Row, Credential]]) -> set[str]:
    """
    The first address of each stolen session of a workload, if the session was used from others too.

    It is the workload's own address or gateway, unless the evidence begins with the thief's calls; a user who knows
    better names the attacker's addresses (`Narrowing`).
    """
    places = {row["n"] for row, one in theirs if one.kind in _KINDS}
    return {listed[0]["ip"] for listed in stays(forest, places).values() if len(listed) > 1}


def _service_of(one: Credential) -> str | None:
    """The service that issued a session, by the source address of the issuing event or as IAM Roles Anywhere."""
    if certified(one):
        return _ANYWHERE
    told = one.issued_by.source_ip if one.kind == "service_role" and one.issued_by else None
    return told if told and told.endswith(".amazonaws.com") else None


def _of_service(gave: str | None, service: str) -> bool:
    return gave == service or (service == _SOME and gave is not None and gave not in _NAMED)


def _own_addresses(
    opened: Mapping[Principal, Opening], near: Iterable[RoleSession], robbed: Set[str | None]
) -> dict[Principal, set[str]]:
    """
    By role: the addresses from which its workloads call, taken from its sessions before the theft.

    Sessions with the name of a stolen one (`robbed`) are left out, since they are of the same workload.
    """
    found: dict[Principal, set[str]] = {}
    for row, one, _ in near:
        role = rows.caller(row).acts_as
        way = opened.get(role)
        if way is None or way.service is None or one.session_name in robbed:
            continue
        if _before(one, way.time):
            found.setdefault(role, set()).update(used_from([one]))
    return found


def _before(one: Credential, other: datetime) -> bool:
    began = one.issued_at or one.first_used
    return began is not None and began < other
