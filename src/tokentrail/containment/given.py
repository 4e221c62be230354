"""
Sessions of roles that the attacker gave to what it made or opened: handed out since, and to whom no log tells.

A function's or an instance's session bears its name, and a task's or a build's the id that its start was answered with.
What pods, device aliases, identity pools and what else runs are given does not: of the sessions that a service or a web
identity was given of such a role, some may be the attacker's.
So may those of tasks, pods and builds that took the place of one which was stolen from: the thief comes in again the
way that it came, and each of them has a name of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import NamedTuple

from tokentrail.containment.handed import doing, over, unsure, used_from
from tokentrail.containment.leftovers import Deed, roles_given, roles_let_in
from tokentrail.containment.near import NAMED
from tokentrail.containment.neighbours import stays
from tokentrail.containment.origins import certified
from tokentrail.containment.principal import Principal, of_caller
from tokentrail.containment.scene import Held
from tokentrail.containment.workloads import WORKLOADS, session_of
from tokentrail.lineage import creations, rows
from tokentrail.lineage.addresses import is_public
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trace import Narrowing

_KINDS = frozenset({"service_role", "assumed_role_web_identity"})
_ANYWHERE = "rolesanywhere.amazonaws.com"
_NAMED = frozenset({"ec2.amazonaws.com", "lambda.amazonaws.com", _ANYWHERE})
"""Services whose sessions bear the name of what holds them, for as long as that is there: `handed` follows these."""


_SOME = "some service"
"""What gave a session whose delivery the log does not show, as it lies before the evidence begins."""
_LOOKED_BACK = 86_400
"""Seconds before the theft in which what runs with the role is looked at, for where it calls from: twice a session."""


class Given(NamedTuple):
    """By credential id, why each counts as the attacker's, or may be."""

    certain: dict[str, str]
    doubtful: dict[str, str]
    spent: dict[str, str]
    """Certain ones that leave nothing to end, as in `handed`."""


class Near(NamedTuple):
    """A session of a role that the attacker gave away."""

    row: Row
    one: Credential
    spent: bool
    """Whether it neither lives nor minted or changed something; of those that began before, that is not asked."""


class Opening(NamedTuple):
    """From when on sessions of a role may be the attacker's, though it minted none of them."""

    time: datetime
    why: str
    service: str | None = None
    """The service whose sessions alone count, if it is one's: which gave the role to what was stolen from, say."""


def openings(deeds: Iterable[Deed], theirs: Sequence[tuple[Credential, Held]]) -> dict[Principal, Opening]:
    """The roles that the attacker gave to something whose sessions don't bear its name, or that such a thing lost."""
    found: dict[Principal, Opening] = {}
    seen, known = {own.caller.session_name for _, own in theirs}, {one.id for one, _ in theirs}
    for deed in sorted(deeds, key=lambda one: (one.time, one.event_id)):
        if _called(deed) <= seen:  # then no others are
            continue
        why = f"{deed.name} by {deed.by} (event {deed.event_id}) lets its maker have sessions of its role"
        for role in roles_given(deed):
            found.setdefault(role, Opening(deed.time, why))
        for role in roles_let_in(deed):
            found.setdefault(role, Opening(deed.time, why, _ANYWHERE))
    for one, own in theirs:
        if one.parent_link == "created" and one.parent in known:  # nothing takes the place of what they made
            continue
        service, begins = _given_by(one), one.issued_at
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


def may_open(what: str) -> bool:
    """Whether to make or change a thing of a kind may give a role to something whose sessions don't bear its name."""
    return what in WORKLOADS or what == "anywhere_profile"


def _called(deed: Deed) -> set[str]:
    """What the sessions are called of all that a deed started; nobody's name where one of these is not told."""
    made = creations.made(deed.name, deed.request, deed.response, deed.source)
    return {(session_of(what, thing) if thing else None) or "" for what, thing in made} or {""}


def beside(
    forest: Forest, opened: Mapping[Principal, Opening], known: Set[str], since: Mapping[str, datetime]
) -> list[Near]:
    """The sessions of such roles from a day before, so that they tell who called from where; without those `known`."""
    names = sorted({one.name for one in opened})
    if not names:
        return []
    kinds = ", ".join(f"'{one}'" for one in sorted(_KINDS))
    first = min(one.time for one in opened.values())
    places = forest.called(
        names, NAMED, (names, names),
        f"f.kind IN ({kinds}) AND (f.expires_at IS NULL OR f.expires_at > {int(forest.as_of.timestamp())} "
        f"OR coalesce(f.issued_at, f.first, 0) >= {int(first.timestamp()) - _LOOKED_BACK})",
    )  # fmt: skip
    listed = [
        row for row in forest.chosen_rows(places)
        if row["id"] not in known and of_caller(rows.caller(row)) in opened
    ]  # fmt: skip
    pairs = list(zip(listed, forest.credentials(listed), strict=True))
    dead = {row["n"] for row, one in pairs if not _before(one, first) and over(one, since)}
    busy = doing(forest, dead)
    return [Near(row, one, row["n"] in dead - busy) for row, one in pairs]


def given(
    opened: Mapping[Principal, Opening],
    near: Sequence[Near],
    theirs: Iterable[Credential],
    narrowing: Narrowing,
    homes: Set[str] = frozenset(),
    owners: Set[str] = frozenset(),
) -> Given:
    """
    Tell which of the sessions of such roles are the attacker's.

    Args:
        opened: What `openings` found.
        near: The sessions of these roles, tainted ones aside.
        theirs: The tainted credentials: what was used from an address of theirs is the attacker's too.
        narrowing: Which addresses count.
        homes: Where the attacker's began before they were used elsewhere: of a workload that was robbed, its own.
        owners: Addresses that are the owner's of a subject, as `Handed` has them.
    """
    found = Given({}, {}, {})
    theirs = list(theirs)
    seen_at = {one for one in used_from(theirs) if narrowing.admits(None, one)} - owners
    own = _own_addresses(opened, near, {one.session_name for one in theirs})
    for row, one, spent in near:
        role = of_caller(rows.caller(row))
        way = opened.get(role)
        if way is None or one.kind not in _KINDS or _before(one, way.time):
            continue
        if way.service is not None and not _of_service(_given_by(one), way.service):
            continue
        shared = sorted(seen_at.intersection(used_from([one])))
        if way.service is not None:
            at_home = homes | own.get(role, set())
            shared = [at for at in shared if is_public(at) and (at not in at_home or narrowing.names(at))]
        if shared:
            told = found.spent if spent else found.certain
            told[one.id] = f"{way.why}, and both were used from {shared[0]}"
        elif unsure(one, narrowing) and not spent:
            found.doubtful[one.id] = way.why
    return found


def homes(forest: Forest, theirs: Iterable[tuple[Row, Credential]]) -> set[str]:
    """
    Where workloads that were robbed began their work, if their sessions were used elsewhere, too.

    That is their host's address, or the gateway by which their like leave, whichever the evidence shows first. If it
    begins with the thief it is the thief's: whoever knows better names the attacker's addresses.
    """
    places = {row["n"] for row, one in theirs if one.kind in _KINDS}
    return {listed[0]["ip"] for listed in stays(forest, places).values() if len(listed) > 1}


def _given_by(one: Credential) -> str | None:
    """The service that gave a session to what runs on it, as the log's address tells, or to a certificate's holder."""
    if certified(one):
        return _ANYWHERE
    told = one.issued_by.source_ip if one.kind == "service_role" and one.issued_by else None
    return told if told and told.endswith(".amazonaws.com") else None


def _of_service(gave: str | None, service: str) -> bool:
    return gave == service or (service == _SOME and gave is not None and gave not in _NAMED)


def _own_addresses(
    opened: Mapping[Principal, Opening], near: Iterable[Near], robbed: Set[str | None]
) -> dict[Principal, set[str]]:
    """
    Where workloads that were stolen from call from by themselves: as their like did before the theft.

    Whether these have run out since changes nothing. What is called as a `robbed` one is no like of it, but itself.
    """
    found: dict[Principal, set[str]] = {}
    for row, one, _ in near:
        role = of_caller(rows.caller(row))
        way = opened.get(role)
        if way is None or way.service is None or one.session_name in robbed:
            continue
        if _before(one, way.time):
            found.setdefault(role, set()).update(used_from([one]))
    return found


def _before(one: Credential, other: datetime) -> bool:
    began = one.issued_at or one.first_used
    return began is not None and began < other
