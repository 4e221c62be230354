"""
Sessions of roles that the attacker gave to what it made or opened: handed out since, and to whom no log tells.

A function's or an instance's session bears its name. What builds, pods, device aliases and identity pools are given
does not: of the sessions that a service or a web identity was given of such a role, some may be the attacker's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from tokentrail.containment.handed import unsure, used_from
from tokentrail.containment.leftovers import Deed, roles_given
from tokentrail.containment.principal import Principal, of_caller
from tokentrail.lineage import rows
from tokentrail.lineage.model import Credential
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trace import Narrowing

_KINDS = frozenset({"service_role", "assumed_role_web_identity"})


class Given(NamedTuple):
    """By credential id, why each counts as the attacker's, or may be."""

    certain: dict[str, str]
    doubtful: dict[str, str]


def openings(deeds: Iterable[Deed]) -> dict[Principal, Deed]:
    """The roles that the attacker gave to something whose sessions don't bear its name, and the first deed of each."""
    found: dict[Principal, Deed] = {}
    for deed in sorted(deeds, key=lambda one: (one.time, one.event_id)):
        for role in roles_given(deed):
            found.setdefault(role, deed)
    return found


def given(
    opened: Mapping[Principal, Deed],
    near: Iterable[tuple[Row, Credential]],
    theirs: Iterable[Credential],
    narrowing: Narrowing,
) -> Given:
    """
    Tell which of the living sessions of such roles are the attacker's.

    Args:
        opened: What `openings` found.
        near: The sessions of these roles, tainted ones aside.
        theirs: The tainted credentials: what was used from an address of theirs is the attacker's too.
        narrowing: Which addresses count.
    """
    found = Given({}, {})
    seen_at = {one for one in used_from(theirs) if narrowing.admits(None, one)}
    for row, one in near:
        deed = opened.get(of_caller(rows.caller(row)))
        begins = one.issued_at or one.first_used
        if deed is None or one.kind not in _KINDS or _before(begins, deed.time):
            continue
        why = f"{deed.name} by {deed.by} (event {deed.event_id}) lets its maker have sessions of its role"
        shared = sorted(seen_at.intersection(used_from([one])))
        if shared:
            found.certain[one.id] = f"{why}, and both were used from {shared[0]}"
        elif unsure(one, narrowing):
            found.doubtful[one.id] = why
    return found


def _before(one: datetime | None, other: datetime) -> bool:
    return one is not None and one < other
