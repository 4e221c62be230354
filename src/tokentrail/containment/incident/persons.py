"""
The users of Identity Center's directory as whom the attacker acts, so that a policy can name them and spare colleagues.

Most calls of a session show the user id (`onBehalfOf`), some services' do not (TrailTool, 'identity-first sessions':
87 % of a live trail's in 2026). A session none of whose calls shows it is taken to be that of the person whom other
sessions of the same name show, since the portal names sessions after their user. This was observed and is not
documented, so that the proof states it as an assumption.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tokentrail.aws.principals import Principal
from tokentrail.containment.incident.incident_model import Edge, HeldCredential
from tokentrail.containment.incident.taint_sources import SESSION_NAMED
from tokentrail.lineage import rows
from tokentrail.lineage.forest import Forest
from tokentrail.spelling import listed

_KIND = "identity_center"


def by_name(forest: Forest, held: Iterable[HeldCredential]) -> dict[str, str]:
    """By name of sessions that show no user id: the user id, if all other sessions of that name show the same one."""
    silent = sorted({one.caller.session_name for one in held if _is_silent(one) and one.caller.session_name})
    if not silent:
        return {}
    named = forest.called_rows(silent, SESSION_NAMED, (silent, silent), f"f.kind = '{_KIND}'")
    found: dict[str, set[str]] = {}
    for caller in map(rows.caller, named):
        if caller.session_name in silent and caller.person:
            found.setdefault(caller.session_name, set()).add(caller.person)
    return {name: ids.pop() for name, ids in found.items() if len(ids) == 1}


def with_person(one: HeldCredential, named: Mapping[str, str]) -> HeldCredential:
    """The same credential, with the user id that its session name stands for, if it shows none itself."""
    person = named.get(one.caller.session_name or "") if _is_silent(one) else None
    return replace(one, caller=replace(one.caller, person=person)) if person else one


def conditions(named: Mapping[str, str]) -> Iterator[str]:
    """The proof's assumption, if user ids were taken from session names."""
    if named:
        yield (
            f"of {listed(sorted(named))}, sessions of Identity Center whose calls do not show whose they are belong to "
            "whom others of that name show"
        )


def persons(
    held: Iterable[HeldCredential], innocents: Sequence[HeldCredential], edges: Iterable[Edge]
) -> dict[Principal, tuple[str, ...]]:
    """
    By role of Identity Center: the directory's users as whom the attacker acts, or acted.

    A role is left out if a session of the attacker's does not show its user, or if the role can be entered otherwise
    than through the portal. A person whose laptop was stolen works in the same roles: the person's other sessions end
    with the thief's, and nobody else's, whether or not a colleague's calls show a user id.
    """
    entered = {edge.into for edge in edges}
    theirs: dict[Principal, set[str | None]] = {}
    for one in held:
        if one.kind == _KIND:
            theirs.setdefault(one.principal, set()).add(one.caller.person)
    otherwise = {one.principal for one in (*held, *innocents) if one.kind != _KIND}
    return {
        role: tuple(sorted(filter(None, found)))
        for role, found in theirs.items()
        if role not in entered | otherwise and None not in found
    }


def _is_silent(one: HeldCredential) -> bool:
    return one.kind == _KIND and one.caller.person is None
