"""
Credentials that the sources behind tainted ones handed out since: a plan counts them as the attacker's, no trace does.

A trace follows what credentials mint. Sources (hosts, passwords, portals, sign-ins) are not credentials, but whoever
controls one gets the sessions that it hands out. A host or a sign-in session (`aws login`) has one holder, so all that
it hands out from its first tainted credential on is the attacker's. By a password, portal, certificate or identity
provider the owner may come in again too: there, what was used from an address of the attacker's is the attacker's, and
the proof assumes that the rest is the owner's.

A session is `spent` if it had expired by the time when the log stops being complete, and minted and changed nothing.
Nothing of it is left to end, so that a plan leaves it out; but the addresses from which it was used are the attacker's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from tokentrail.aws.principals import caseless
from tokentrail.containment.incident.credential_sources import TaintedCredential
from tokentrail.containment.incident.incident_model import EntryPoint, WayKind
from tokentrail.containment.incident.reversal_index import PASSWORD_CHANGES, sets_something_else
from tokentrail.containment.incident.service_removals import issued_where
from tokentrail.containment.incident.shared_ip_credentials import stays
from tokentrail.containment.incident.source_kinds import SOURCE_KINDS, certified
from tokentrail.lineage import rows
from tokentrail.lineage.addresses import line_of, parse_address
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential, Trace
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trace import Narrowing, family, starts_of
from tokentrail.policy.history.changes import Change

SESSION_NAMED = """
session_name IN (SELECT unnest(?)) OR split_part(coalesce(principal_id, child), ':', -1) IN (SELECT unnest(?))"""
_NAMED_OR_SIGNED_IN = f"{SESSION_NAMED} OR kind IN ('console_session', 'oauth_login')"
_LAMBDA = "lambda.amazonaws.com"
_ONE_HOLDER = frozenset({"host", "sign_in"})
"""Kinds of sources with one holder, to which nobody else signs in."""

SourceKey = tuple[str, ...]
"""What identifies a source: its kind, and what tells it from others of that kind."""


@dataclass(slots=True)
class BeyondTrace:
    """The credentials that count as the attacker's beyond a trace, and those that may."""

    subjects: list[str]
    """The subjects of the trace, and the ids of the credentials that were handed out."""
    why: dict[str, str] = field(default_factory=dict)
    """By credential id: why it counts, though the trace does not call it tainted."""
    doubts: list[tuple[str, str]] = field(default_factory=list)
    """The ids of living credentials that are either the owner's or the attacker's, each with the reason."""
    spent: dict[str, str] = field(default_factory=dict)
    """By id of a `spent` credential: why it counts."""
    owners: frozenset[str] = frozenset()
    """Addresses of the owner, from which the subjects were used before the theft."""


@dataclass(frozen=True, slots=True)
class _First:
    """The first tainted credential of a source."""

    id: str
    begins: int


class _HandedOut(NamedTuple):
    """A credential that a source handed out."""

    one: Credential
    why: str
    certain: bool
    """Whether it is the attacker's for sure."""
    spent: bool


def follow(
    forest: Forest,
    trace: Trace,
    narrowing: Narrowing,
    unseen_since: Mapping[str, datetime],
    also: Mapping[str, str] | None = None,
    spent: Mapping[str, str] | None = None,
) -> BeyondTrace:
    """
    Find what the sources behind tainted credentials handed out, what that minted, and what its sources handed out.

    Args:
        forest: The forest of the trace.
        trace: The trace of the subjects.
        narrowing: What of the subjects counts as the attacker's; also applied to sign-ins.
        unseen_since: By account, when the log stops telling all: a credential that had expired by then, and only made
            calls, is spent.
        also: By credential id: what else counts as the attacker's, and why.
        spent: By credential id: spent ones that count too, and why, since their sources can hand out more.
    """
    found = BeyondTrace(
        list(trace.subject), spent=dict(spent or {}), owners=_owners(forest, trace, narrowing)
    )
    theirs: dict[str, Credential] = {one.id: one for one in trace.credentials if one.tainted}
    theirs |= {one.id: one for one in forest.credentials(forest.named(sorted(found.spent)))}
    first, doubtful = dict[SourceKey, _First](), dict[str, str]()
    while True:
        first |= {key: one for key, one in _sources(forest, theirs).items() if key not in first}
        handed_out = list(_handed_out(forest, first, theirs, narrowing, unseen_since, found.owners))
        doubtful |= {each.one.id: each.why for each in handed_out if not each.certain}
        over_now = {each.one.id: each.one for each in handed_out if each.certain and each.spent}
        found.spent |= {each.one.id: each.why for each in handed_out if each.one.id in over_now}
        theirs |= over_now
        fresh = {each.one.id: each.why for each in handed_out if each.certain and not each.spent}
        fresh |= {id: why for id, why in (also or {}).items() if id not in theirs}
        if not fresh and not over_now:
            break
        if not fresh:
            continue
        found.why |= fresh
        found.subjects += sorted(fresh)
        for one in family(forest, found.subjects, narrowing=narrowing, gaps=()).credentials:
            if one.tainted and one.id not in theirs:
                theirs[one.id] = one
                found.why.setdefault(one.id, f"it descends from {one.parent}")
    found.doubts = list(living_doubtful(forest, doubtful, theirs))
    return found


def _owners(forest: Forest, trace: Trace, narrowing: Narrowing) -> frozenset[str]:
    """Where the subjects were used before the theft; none unless `--attacker-since` alone tells the two apart."""
    if narrowing.since is None or narrowing.source_ips or narrowing.trusted_ips:
        return frozenset()
    begins = narrowing.since.timestamp()
    places = starts_of(forest, trace.subject)
    used = (row for listed in stays(forest, places).values() for row in listed)
    return frozenset(row["ip"] for row in used if row["first"] < begins)


def _handed_out(
    forest: Forest, first: Mapping[SourceKey, _First], theirs: Mapping[str, Credential], narrowing: Narrowing,
    unseen_since: Mapping[str, datetime], owners: Set[str],
) -> Iterator[_HandedOut]:  # fmt: skip
    """The credentials that sources handed out from their first tainted one on, and why each counts."""
    changes = _passwords(forest, first, theirs)
    seen_at = attackers_lines(theirs.values(), narrowing, owners)
    candidates = list(_candidates(forest, first, theirs, unseen_since))
    places = _functions(forest, (one for _, one, _ in candidates))
    for row, one, spent in candidates:
        begins = _begins(row)
        for key in _source_keys(row, one, places.get(one.id)):
            known = first.get(key)
            if known is None or begins < known.begins:
                continue
            why = f"{_in_words(key)} handed it out after {known.id}"
            if key[0] in _ONE_HOLDER:
                yield _HandedOut(one, why, True, spent)
            elif narrowing.since is None or begins >= narrowing.since.timestamp():
                shared = used_at(one, seen_at)
                if shared:
                    at = line_of(shared[0])
                    yield _HandedOut(one, f"{why}, and both were used from {at}", True, spent)
                elif unsure(one, narrowing) and not _renewed(changes, key, known, begins):
                    yield _HandedOut(one, why, False, spent)


def _sources(forest: Forest, theirs: Mapping[str, Credential]) -> dict[SourceKey, _First]:
    """The sources behind tainted credentials, each with the first credential that it handed out."""
    found: dict[SourceKey, _First] = {}
    places = _functions(forest, theirs.values())
    for row in forest.named([one.id for one in theirs.values() if one.kind in SOURCE_KINDS]):
        one = theirs.get(row["id"])
        for key in _source_keys(row, one, places.get(one.id)) if one is not None else ():
            if key[0] == "password" and one is not None and one.kind == "oauth_login":
                continue  # it may have been stolen without the password
            known = found.get(key)
            if known is None or _begins(row) < known.begins:
                found[key] = _First(row["id"], _begins(row))
    return found


def _functions(forest: Forest, some: Iterable[Credential]) -> dict[str, str]:
    """By credential id: the region of the function to which Lambda gave it."""
    return issued_where(forest, [one for one in some if one.issued_by and one.issued_by.source_ip == _LAMBDA])


def _source_keys(row: Row, one: Credential, region: str | None) -> Iterator[SourceKey]:
    """The sources that may have handed out a credential; `region` is its function's, if a function has it."""
    caller = rows.caller(row)
    principal, name = caller.acts_as, caller.session_name or ""
    match one.kind:
        case "service_role" if name and certified(one):
            yield "certificate", principal.account, name
        case "service_role" if name and "/aws-service-role/" not in (caller.role or ""):
            yield from (
                ("host", principal.account, of, name) for of in _of_host(name, principal.name, region)
            )
        case "oauth_login":
            if caller.sign_in_session_arn:
                yield "sign_in", caller.sign_in_session_arn
            if one.parent is None:
                yield "password", principal.account, principal.kind, principal.name
        case "console_session" if one.origin == "console_sign_in":
            yield "password", principal.account, principal.kind, principal.name
        case "identity_center" if name:
            yield "portal", name
        case "assumed_role_saml" | "assumed_role_web_identity":
            provider = row["target"] or caller.federated_provider
            if provider:
                yield "provider", provider, one.identity or name


def _of_host(name: str, role: str, region: str | None) -> tuple[str, ...]:
    """
    What tells a host from others of the same name: nothing for an instance, since its id is unique.

    For others it is the role; for a function, whose role may change, also its region.
    """
    if name.startswith("i-"):
        return ("",)
    return (role, f"function in {region}") if region else (role,)


def _candidates(
    forest: Forest,
    first: Mapping[SourceKey, _First],
    theirs: Mapping[str, Credential],
    unseen_since: Mapping[str, datetime],
) -> Iterator[tuple[Row, Credential, bool]]:
    """The credentials, not yet tainted, that some sources may have handed out, and whether each is spent."""
    if not first:
        return
    sessions = sorted({key[-1] for key in first if key[0] != "password"})
    acting = [
        end for one in theirs.values() if one.kind in SOURCE_KINDS for end in (one.principal, one.role) if end
    ]
    kinds = ", ".join(f"'{one}'" for one in SOURCE_KINDS)
    begins = min(one.begins for one in first.values())
    places = forest.called(
        sorted({*sessions, *(one.rpartition("/")[2] for one in acting)}), _NAMED_OR_SIGNED_IN, (sessions, sessions),
        f"f.kind IN ({kinds}) AND coalesce(f.issued_at, f.first, 0) >= {begins}",
    )  # fmt: skip
    listed = [row for row in forest.chosen_rows(places) if row["id"] not in theirs]
    pairs = list(zip(listed, forest.credentials(listed), strict=True))
    dead = {row["n"] for row, one in pairs if expired_before_log_ends(one, unseen_since)}
    spent = dead - that_minted_or_changed(forest, dead)
    yield from ((row, one, row["n"] in spent) for row, one in pairs)


def that_minted_or_changed(forest: Forest, places: set[int]) -> set[int]:
    """Those of some credentials, by place, that minted a credential or changed something."""
    if not places:
        return set()
    below, extra = forest.descendants(places)
    parents = {row["parent_n"] for row in forest.chosen_rows(below)} | {link["parent"] for link in extra}
    return places & (parents | {row["n"] for row in forest.changed_by(places)})


def expired_before_log_ends(one: Credential, unseen_since: Mapping[str, datetime]) -> bool:
    """Whether a credential had expired by the time, by account, up to which the log is complete."""
    end = one.expires_at or one.expires_bound
    started = unseen_since.get(one.account or "")
    return end is not None and started is not None and end <= started


def _begins(row: Row) -> int:
    return int(row["issued_at"] or row["first"] or 0)


def ways_in(forest: Forest, theirs: Iterable[TaintedCredential]) -> Iterator[EntryPoint]:
    """Portals, certificates and SAML sign-ins behind tainted credentials, with other roles that each has opened."""
    first: dict[tuple[WayKind, str, str], datetime | None] = {}
    own = set()
    for seen in theirs:
        one = seen.credential
        own.add(seen.held.principal)
        key = _way(seen.held.caller.session_name, one.kind, seen.target, certified=certified(one))
        if key is not None:
            known = first.setdefault(key, one.issued_at)
            first[key] = min(known, one.issued_at) if known and one.issued_at else None
    names = sorted({name for _, name, _ in first})
    kept = "f.kind IN ('identity_center', 'service_role', 'assumed_role_saml')"
    found = forest.called_rows(names, _NAMED_OR_SIGNED_IN, (names, names), kept) if names else ()
    opened = {
        (_way(caller.session_name, row["kind"], row["target"], certified=True), caller.acts_as)
        for row in found
        for caller in (rows.caller(row),)
    }
    for key in sorted(first):
        others = sorted(role for way, role in opened if way == key and role not in own)
        yield EntryPoint(key[0], key[1], first[key], tuple(others))


def _way(
    name: str | None, kind: str, target: str | None, *, certified: bool
) -> tuple[WayKind, str, str] | None:
    """What let a person or machine in: its kind and name; for SAML also the provider's name, without account."""
    match kind:
        case "identity_center" if name:
            return "portal", name, ""
        case "service_role" if name and certified:
            return "certificate", name, ""
        case "assumed_role_saml" if name:
            return "saml", name, (target or "").partition(":saml-provider/")[2]
    return None


def unsure(one: Credential, narrowing: Narrowing) -> bool:
    """Whether the narrowing leaves it open whose a sign-in is, as it was not used from the owner's addresses only."""
    used = set(used_from([one]))
    return not used or any(narrowing.admits(None, address) for address in used)


def _passwords(forest: Forest, first: Iterable[SourceKey], theirs: Mapping[str, Credential]) -> list[Change]:
    """The password changes that others than the attacker made, in accounts where the attacker knows a password."""
    accounts = {key[1] for key in first if key[0] == "password"}
    if not accounts:
        return []
    places = {row["n"] for row in forest.named(sorted(theirs))}
    own = {rows.event_id(row["event_id"], row["event_id_text"]) for row in forest.changed_by(places)}
    return [
        one
        for one in forest.changes(accounts)
        if one.event_name in PASSWORD_CHANGES and one.event_id not in own and not sets_something_else(one)
    ]


def _renewed(changes: Iterable[Change], key: SourceKey, first: _First, begins: int) -> bool:
    """Whether a password was changed between the theft and a sign-in, so that the thief did not make the sign-in."""
    return key[0] == "password" and any(
        one.account == key[1]
        and caseless(one.asked("userName") or one.caller_user or "") == caseless(key[-1])
        and first.begins <= one.time.timestamp() <= begins
        for one in changes
    )


def attackers_lines(theirs: Iterable[Credential], narrowing: Narrowing, owners: Set[str]) -> set[str]:
    """The lines (`line_of`) from which tainted credentials were used, as far as these may be the attacker's."""
    told = {line_of(one) for one in used_from(theirs) if narrowing.admits(None, one)}
    return told - set(map(line_of, owners))


def used_at(one: Credential, lines: Set[str]) -> list[str]:
    """The addresses from which a credential was used that belong to some lines, sorted."""
    return sorted({at for at in used_from([one]) if line_of(at) in lines})


def used_from(some: Iterable[Credential]) -> Iterator[str]:
    """The addresses from which credentials were used or signed in, without names of AWS services."""
    for one in some:
        issued = (one.issued_by.source_ip,) if one.issued_by and one.kind == "console_session" else ()
        yield from (text for text in (*one.source_ips, *issued) if text and parse_address(text))


def living_doubtful(
    forest: Forest, doubtful: Mapping[str, str], theirs: Collection[str]
) -> Iterator[tuple[str, str]]:
    """The doubtful sign-ins and their descendants that may still work, each with the reason for the doubt."""
    left = sorted(doubtful.keys() - set(theirs))
    if not left:
        return
    places = {row["n"] for row in forest.named(left)}
    below, _ = forest.descendants(places)
    listed = forest.chosen_rows(below | places)
    credentials: Sequence[Credential] = forest.credentials(listed)
    for one in sorted(credentials, key=lambda one: (one.issued_at or forest.as_of, one.id)):
        if one.may_mint and one.id not in theirs:
            yield one.id, doubtful.get(one.id) or f"it descends from {one.parent}"


_IN_WORDS = {
    "host": "the host {}", "sign_in": "the sign-in session", "password": "the password of {}",
    "certificate": "the certificate {}", "portal": "the access portal of {}",
    "provider": "the identity provider of {}",
}  # fmt: skip


def _in_words(key: SourceKey) -> str:
    return _IN_WORDS[key[0]].format(key[-1])
