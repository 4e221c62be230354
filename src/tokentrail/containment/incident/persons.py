"""
The people as whom the attacker acts, so that a policy can name them and spare colleagues.

They are users of IAM Identity Center's directory, or whom an identity provider propagates (IAM User Guide, 'Trusted
identity propagation with IAM').

Most calls of a session show the user id (`onBehalfOf`), some services' do not (TrailTool, 'identity-first sessions':
87 % of a live trail's in 2026). A session none of whose calls shows it is taken to be that of the person whom other
sessions of the same name show, since the portal names sessions after their user. This was observed and is not
documented, so that the proof states it as an assumption.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tokentrail.aws.principals import Principal
from tokentrail.containment.documents import Person
from tokentrail.containment.incident.assumption import Assumption
from tokentrail.containment.incident.incident_model import Edge, EntryPoint, HeldCredential
from tokentrail.containment.incident.taint_sources import SESSION_NAMED
from tokentrail.events.masked_ids import is_stand_in
from tokentrail.lineage import rows
from tokentrail.lineage.forest import Forest
from tokentrail.policy.language.context import Caller

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


def conditions(
    named: Mapping[str, str], told_apart: Mapping[Principal, tuple[Person, ...]]
) -> Iterator[Assumption]:
    """The proof's assumptions, if user ids were taken from session names, or identity providers propagate persons."""
    if named:
        yield Assumption.of("silent_sessions", names=tuple(sorted(named)))
    subjects = sorted({one.subject for each in told_apart.values() for one in each if one.subject})
    if subjects:
        yield Assumption.of("propagated_person", persons=tuple(subjects))


def persons(
    held: Iterable[HeldCredential],
    innocents: Sequence[HeldCredential],
    edges: Iterable[Edge],
    sources: Iterable[EntryPoint],
) -> dict[Principal, tuple[Person, ...]]:
    """
    By role that people come in by: the persons for whom the attacker acts, or acted, there.

    A role is left out if a session of the attacker's does not show its person, or if the role can be entered otherwise
    than through the portal, or through a provider that the attacker did not touch. A person whose laptop was stolen
    works in the same roles: the person's other sessions end with the thief's, and nobody else's, whether or not a
    colleague's calls show a person.
    """
    entered = {edge.into for edge in edges} | {one.mints for one in sources if not _lets_in_a_person(one)}
    theirs: dict[Principal, set[Person]] = {}
    for one in held:
        if one.kind in _WAYS:
            theirs.setdefault(one.principal, set()).add(_WAYS[one.kind](one.caller))
    ways: dict[Principal, set[object]] = {}
    for one in (*held, *innocents):
        ways.setdefault(one.principal, set()).add(_WAYS.get(one.kind))
    return {
        role: tuple(sorted(found))
        for role, found in theirs.items()
        if role not in entered and len(ways[role]) == 1 and Person() not in found
    }


def _lets_in_a_person(source: EntryPoint) -> bool:
    """Whether what a source hands out acts for the person that it is known to let in."""
    return source.kind == "portal" or (source.kind == "provider" and source.person is not None)


def _of_directory(caller: Caller) -> Person:
    return Person(user_id=caller.person or "")


def _of_provider(caller: Caller) -> Person:
    subject, issuer = caller.origin_subject, caller.origin_issuer
    shown = subject and issuer and not is_stand_in(subject) and not is_stand_in(issuer)
    return Person(subject=subject or "", issuer=issuer or "") if shown else Person()


_WAYS: Mapping[str, Callable[[Caller], Person]] = {
    _KIND: _of_directory, "assumed_role_saml": _of_provider, "assumed_role_web_identity": _of_provider,
}  # fmt: skip
"""By kind of session that a person opens from outside: for whom it acts."""


def _is_silent(one: HeldCredential) -> bool:
    return one.kind == _KIND and one.caller.person is None
