"""
Which credentials count as the attacker's: those that a trace calls tainted, and what the attacker's sources issued.

One worklist finds them: each new credential adds the sources behind it, and those that it opened or changed; each
source adds the credentials that it issued; each of these adds its descendants. What a source with one holder issued is
the attacker's. By other sources the owner may come in again too: there, what was used from an address of the attacker's
is the attacker's, and the proof assumes that the rest is the owner's.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import inf

from tokentrail.aws.principals import caseless
from tokentrail.containment.incident.attacker_action import AttackerAction
from tokentrail.containment.incident.incident_model import LONGEST, HeldCredential
from tokentrail.containment.incident.reversal_index import PASSWORD_CHANGES, sets_something_else
from tokentrail.containment.incident.shared_ip_credentials import stays
from tokentrail.containment.incident.taint_sources import (
    ONE_HOLDER,
    SIGNING_IN,
    WORKLOAD_KINDS,
    CredentialSource,
    Issued,
    SourceKey,
    behind,
    changed,
    issued_by,
    opened_roles,
    spent_among,
)
from tokentrail.events.bearer import BEARER_KEY
from tokentrail.lineage import rows
from tokentrail.lineage.addresses import is_public, line_of, parse_address
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential, Trace
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trace import Narrowing, family, starts_of
from tokentrail.policy.history.changes import Change
from tokentrail.policy.language.context import LASTING
from tokentrail.results import Coverage

_Reasons = dict[str, str]
"""By credential id: why the credential counts, or may count, as the attacker's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedTaint:
    """The credentials that count as the attacker's, beyond those that a trace calls so."""

    subjects: Sequence[str]
    """The subjects of the trace, and the ids of the credentials that sources issued."""
    why: Mapping[str, str]
    """By id of a credential that the trace does not call tainted: why it counts."""
    spent: Mapping[str, str]
    """By id of a credential that counts and is spent (`spent_among`): why it counts."""
    doubts: Sequence[tuple[str, str]]
    """The ids of living credentials that are either the owner's or the attacker's, each with the reason."""
    tainted: list[str]
    """The ids of all that count, without spent ones."""
    pairs: list[tuple[Row, Credential]]
    """The described rows of the tainted ones, each with the credential."""
    held: list[HeldCredential]
    """The same credentials in the form that proofs use."""
    actions: list[AttackerAction]
    """The changes that they made."""


def extended_taint(
    forest: Forest, trace: Trace, unseen_since: Mapping[str, datetime], narrowing: Narrowing
) -> ExtendedTaint:
    """
    Find the credentials that count as the attacker's.

    Args:
        forest: The forest of the trace.
        trace: The trace of the subjects.
        unseen_since: By account, when the log stops being complete (`log_ends`).
        narrowing: What of the subjects counts as the attacker's; also applied to sign-ins.
    """
    return _Worklist(forest, trace, unseen_since, narrowing).run()


@dataclass(slots=True)
class _Worklist:
    """The search for credentials that count as the attacker's."""

    forest: Forest
    trace: Trace
    unseen_since: Mapping[str, datetime]
    narrowing: Narrowing
    subjects: list[str] = field(init=False)
    why: _Reasons = field(default_factory=dict)
    spent: _Reasons = field(default_factory=dict)
    credentials: dict[str, Credential] = field(default_factory=dict)
    """All that count, by id."""
    sources: dict[SourceKey, CredentialSource] = field(default_factory=dict)
    """The sources that issued some of them."""
    opened: dict[SourceKey, CredentialSource] = field(default_factory=dict)
    """The sources that they opened or changed."""
    issued: dict[str, Issued] = field(default_factory=dict)
    """By id: what these sources may have issued and does not count."""
    searched: dict[SourceKey, CredentialSource] = field(default_factory=dict)
    """The sources whose credentials are among `issued`."""

    owners: frozenset[str] = field(init=False)
    """The lines (`line_of`) from which the subjects were used before the theft."""

    def __post_init__(self) -> None:
        """Begin with the subjects."""
        self.subjects = list(self.trace.subject)
        self.owners = _owners(self.forest, self.trace, self.narrowing)

    def run(self) -> ExtendedTaint:
        """
        Follow sources until they issued nothing more that counts.

        Sources that sessions name come first: of a workload whose sessions are all known, no role need be searched.
        """
        fresh: list[Credential] = [one for one in self.trace.credentials if one.tainted]
        while True:
            while fresh:
                self._enter(fresh)
                fresh = self._taint(self._certain(self.sources, frozenset()))
            pairs, held, actions = self._described()
            self.opened = {one.key: one for one in opened_roles(actions, _both_forms(pairs, held))}
            self.opened |= {one.key: one for one in changed(self.forest, actions)}
            at_home = home_addresses(self.forest, pairs) if self.opened else set()
            fresh = self._taint(self._certain(self.opened, at_home))
            if not fresh:
                break
        return ExtendedTaint(
            subjects=self.subjects, why=self.why, spent=self.spent, doubts=list(self._doubts(at_home)),
            tainted=sorted(self._tainted()), pairs=pairs, held=held, actions=actions,
        )  # fmt: skip

    def _enter(self, fresh: Iterable[Credential]) -> None:
        """Count credentials as the attacker's, and the sources behind them from then on."""
        fresh = list(fresh)
        self.credentials |= {one.id: one for one in fresh}
        for id in self.issued.keys() & self.credentials.keys():
            del self.issued[id]
        for one in behind(self.forest, fresh):
            known = self.sources.get(one.key)
            if known is None or one.since < known.since:
                self.sources[one.key] = one

    def _taint(self, certain: Mapping[str, str]) -> list[Credential]:
        """Those that are the attacker's for sure, given with reasons, and their descendants that count with them."""
        chosen = [self.issued[id] for id in certain]
        spent = spent_among(self.forest, chosen, self.unseen_since)
        self.spent |= {id: why for id, why in certain.items() if id in spent}
        found = [one.credential for one in chosen if one.credential.id in spent]
        living = sorted(certain.keys() - spent)
        if living:
            self.why |= {id: certain[id] for id in living}
            self.subjects += living
            below = family(self.forest, living, narrowing=self.narrowing, gaps=()).credentials
            known = self.credentials.keys() | spent
            found += [one for one in below if one.tainted and one.id not in known]
            for one in found:
                if one.id not in spent:
                    self.why.setdefault(one.id, f"it descends from {one.parent}")
        return found

    def _tainted(self) -> set[str]:
        return {one.id for one in self.trace.credentials if one.tainted} | self.why.keys()

    def _described(self) -> tuple[list[tuple[Row, Credential]], list[HeldCredential], list[AttackerAction]]:
        """All that count, without spent ones, in both forms; and what they changed."""
        listed = self.forest.named(sorted(self._tainted()))
        pairs = [(row, self.credentials[row["id"]]) for row in listed]
        actions = list(_actions(self.forest, self.subjects, listed, self.narrowing))
        return pairs, [held_of(row, one) for row, one in pairs], actions

    def _certain(self, sources: Mapping[SourceKey, CredentialSource], at_home: Set[str]) -> dict[str, str]:
        """What some sources issued that is the attacker's for sure, by id, with the reason for each."""
        return {one.credential.id: why for one, why, certain in self._judged(sources, at_home) if certain}

    def _doubts(self, at_home: Set[str]) -> Iterator[tuple[str, str]]:
        """The living credentials that sources issued to the owner or to the attacker, with all below them."""
        password_changes = self._password_changes()
        doubtful = {
            one.credential.id: why
            for one, why, certain in self._judged(self.sources | self.opened, at_home)
            if not certain and not self._is_renewed(one, password_changes)
        }
        yield from living_doubtful(self.forest, doubtful, self.credentials)

    def _judged(
        self, sources: Mapping[SourceKey, CredentialSource], at_home: Set[str]
    ) -> Iterator[tuple[Issued, str, bool]]:
        """What some sources may have issued: why it counts, and whether it is the attacker's for sure."""
        if not sources:
            return
        self._search(sources)
        lines = attackers_lines(self.credentials.values(), self.narrowing) - self.owners
        homes = self._homes(sources, at_home)
        for one in self.issued.values():
            for source in (sources[key] for key in one.sources if key in sources):
                if not source.may_have_issued(one) or not self._counts(source, one):
                    continue
                if source.kind in ONE_HOLDER:
                    yield one, source.why, True
                    continue
                shared = used_at(one.credential, lines)
                if source.service is not None:
                    own = homes[source.key]
                    shared = [
                        at for at in shared
                        if is_public(at) and (line_of(at) not in own or self.narrowing.names(at))
                    ]  # fmt: skip
                if shared:
                    yield one, f"{source.why}, and both were used from {line_of(shared[0])}", True
                elif unsure(one.credential, self.narrowing):
                    yield one, source.why, False

    def _search(self, sources: Mapping[SourceKey, CredentialSource]) -> None:
        """Find what some sources may have issued, if any of them is new."""
        if any(self.searched.get(key) != one for key, one in sources.items()):
            self.searched |= sources
            found = issued_by(self.forest, sources, self.credentials)
            self.issued |= {one.credential.id: one for one in found}

    def _counts(self, source: CredentialSource, one: Issued) -> bool:
        """Whether the narrowing admits what a source issued: by a sign-in's time, as a sign-in is one of its own."""
        since = self.narrowing.since
        return source.kind not in SIGNING_IN or since is None or one.began >= since.timestamp()

    def _homes(
        self, sources: Mapping[SourceKey, CredentialSource], at_home: Set[str]
    ) -> dict[SourceKey, set[str]]:
        """
        By source whose service is known: the lines from which its workloads call, which say nothing of the attacker.

        They are taken from its sessions before the theft. Sessions with the name of a stolen one are left out, since
        they are of the same workload.
        """
        robbed = {one.session_name for one in self.credentials.values()}
        found = {key: set(map(line_of, at_home)) for key, one in sources.items() if one.service is not None}
        for one in self.issued.values() if found else ():
            for key in one.sources:
                if (
                    key in found
                    and 0 < one.began < sources[key].since
                    and one.credential.session_name not in robbed
                ):
                    found[key].update(map(line_of, used_from([one.credential])))
        return found

    def _password_changes(self) -> list[Change]:
        """The password changes that others than the attacker made, in accounts where the attacker knows a password."""
        accounts = {key[1] for key in self.sources if key[0] == "password"}
        if not accounts:
            return []
        places = {row["n"] for row in self.forest.named(sorted(self.credentials))}
        own = {rows.event_id(row["event_id"], row["event_id_text"]) for row in self.forest.changed_by(places)}
        return [
            one
            for one in self.forest.changes(accounts)
            if one.event_name in PASSWORD_CHANGES and one.event_id not in own and not sets_something_else(one)
        ]

    def _is_renewed(self, issued: Issued, changes: Iterable[Change]) -> bool:
        """Whether a password was changed between the theft and a sign-in, so that the thief did not sign in."""
        known = [self.sources[key] for key in issued.sources if key[0] == "password" and key in self.sources]
        return any(
            change.account == one.key[1]
            and caseless(change.asked("userName") or change.caller_user or "") == caseless(one.key[-1])
            and one.since <= change.time.timestamp() <= issued.began
            for one in known
            for change in changes
        )


def _both_forms(
    pairs: Iterable[tuple[Row, Credential]], held: Iterable[HeldCredential]
) -> list[tuple[Credential, HeldCredential]]:
    return [(one, own) for (_, one), own in zip(pairs, held, strict=True)]


# The addresses of the attacker, the owner and the workloads.


def _owners(forest: Forest, trace: Trace, narrowing: Narrowing) -> frozenset[str]:
    """The lines of the owner of a subject; none unless `--attacker-since` alone tells owner and attacker apart."""
    if narrowing.since is None or narrowing.source_ips or narrowing.trusted_ips:
        return frozenset()
    begins = narrowing.since.timestamp()
    used = (row for listed in stays(forest, starts_of(forest, trace.subject)).values() for row in listed)
    return frozenset(line_of(row["ip"]) for row in used if row["first"] < begins)


def home_addresses(forest: Forest, tainted: Iterable[tuple[Row, Credential]]) -> set[str]:
    """
    The first address of each stolen session of a workload, if the session was used from others too.

    It is the workload's own address or gateway, unless the evidence begins with the thief's calls; a user who knows
    better names the attacker's addresses (`Narrowing`).
    """
    places = {row["n"] for row, one in tainted if one.kind in WORKLOAD_KINDS}
    return {listed[0]["ip"] for listed in stays(forest, places).values() if len(listed) > 1}


def attackers_lines(tainted: Iterable[Credential], narrowing: Narrowing) -> set[str]:
    """The lines (`line_of`) from which tainted credentials were used, as far as these may be the attacker's."""
    return {line_of(one) for one in used_from(tainted) if narrowing.admits(None, one)}


def used_at(one: Credential, lines: Set[str]) -> list[str]:
    """The addresses from which a credential was used that belong to some lines, sorted."""
    return sorted({at for at in used_from([one]) if line_of(at) in lines})


def used_from(some: Iterable[Credential]) -> Iterator[str]:
    """The addresses from which credentials were used or signed in, without names of AWS services."""
    for one in some:
        issued = (one.issued_by.source_ip,) if one.issued_by and one.kind == "console_session" else ()
        yield from (text for text in (*one.source_ips, *issued) if text and parse_address(text))


def unsure(one: Credential, narrowing: Narrowing) -> bool:
    """Whether the narrowing leaves it open whose a sign-in is, as it was not used from the owner's addresses only."""
    used = set(used_from([one]))
    return not used or any(narrowing.admits(None, address) for address in used)


def living_doubtful(
    forest: Forest, doubtful: Mapping[str, str], tainted: Container[str]
) -> Iterator[tuple[str, str]]:
    """The doubtful sign-ins and their descendants that may still work, each with the reason for the doubt."""
    if not doubtful:
        return
    places = {row["n"] for row in forest.named(sorted(doubtful))}
    below, _ = forest.descendants(places)
    credentials: Sequence[Credential] = forest.credentials(forest.chosen_rows(below | places))
    for one in sorted(credentials, key=lambda one: (one.issued_at or forest.as_of, one.id)):
        if one.may_mint and one.id not in tainted:
            yield one.id, doubtful.get(one.id) or f"it descends from {one.parent}"


def subjects_by_now(
    forest: Forest, trace: Trace, covered: Sequence[Coverage], lag: int, narrowing: Narrowing, known: Iterable[str],
    spent_after: float = inf,
) -> tuple[str, ...]:  # fmt: skip
    """
    The ids of credentials from which a trace reaches all that counts as the attacker's by now.

    Args:
        forest: The forest.
        trace: The trace of a plan's subjects.
        covered: What the evidence covers.
        lag: Seconds by which the log may be late.
        narrowing: What of the subjects counts.
        known: The ids of the plan's tainted credentials, which count in any case.
        spent_after: A time in seconds since 1970: spent credentials that were used, or began, after it are included,
            since they tell whether a plan held.
    """
    now = extended_taint(forest, trace, log_ends(covered, lag, forest.as_of), narrowing)
    spent = forest.named(sorted(now.spent))
    late = (row["id"] for row in spent if (row["last"] or row["issued_at"] or 0) > spent_after)
    return (
        *now.subjects,
        *late,
        *(row["id"] for row in forest.named(sorted({*known}.difference(now.tainted)))),
    )


def held_of(row: Row, one: Credential) -> HeldCredential:
    """A credential of the forest in the form that proofs use."""
    caller = rows.caller(row)
    return HeldCredential(
        id=one.id,
        caller=caller,
        key_id=one.access_key_ids[0] if one.kind in LASTING and one.access_key_ids else None,
        principal=caller.acts_as,
        expires=one.expires_at or one.expires_bound,
        since=rows.moment(row["created_time"]) if row["created_what"] in ("access_key", "api_key") else None,
        by_user_alone=one.kind == "api_key" and any(key.startswith(BEARER_KEY) for key in row["keys"] or ()),
        anchor=row["created_thing"] if row["created_what"] == "trust_anchor" else None,
    )


def log_ends(covered: Sequence[Coverage], lag: int, as_of: datetime) -> dict[str, datetime]:
    """
    By account, the time up to which the log is complete; after it there may be sessions that no log shows yet.

    That is the log's lag before the newest event of the region that is furthest behind, since a region without events
    can't be told from one whose log is late. A trail without read-only events never shows AssumeRole (IAM User Guide,
    'Logging IAM and AWS STS API calls'), so that there the time is as early as any unseen session can be.
    """
    found: dict[str, datetime] = {}
    for one in covered:
        if one.account is not None:
            since = one.last - timedelta(seconds=lag)
            found[one.account] = min(found.get(one.account, since), since)
    telling = {one.account for one in covered if one.read_only_events}
    return {
        account: since if account in telling else min(since, as_of - LONGEST["user"])
        for account, since in found.items()
    }


def _actions(
    forest: Forest, subjects: Sequence[str], listed: Sequence[Row], narrowing: Narrowing
) -> Iterator[AttackerAction]:
    """The changes that tainted credentials made; of the subjects' own, those that the narrowing admits."""
    starts = starts_of(forest, subjects)
    ids = {row["n"]: row["id"] for row in listed}
    narrowed = bool(narrowing.since or narrowing.source_ips or narrowing.trusted_ips)
    found = forest.changed_by(ids)
    acted = {row["n"] for row in found}
    callers = {row["n"]: rows.caller(row) for row in listed if row["n"] in acted}
    addresses = forest.addresses([row["event_id"] for row in found if row["n"] in starts])
    regions = forest.regions([row["event_id"] for row in found if row["event_id"]])
    for row in found:
        time = rows.moment(row["time"])
        if time is None or (
            row["n"] in starts and not narrowing.admits(time, addresses.get(row["event_id"]))
        ):
            continue
        yield AttackerAction(
            by=ids[row["n"]],
            event_id=rows.event_id(row["event_id"], row["event_id_text"]) or "",
            time=time,
            account=row["account"] or callers[row["n"]].account or "",
            source=row["source"] or "",
            name=row["name"],
            request=row["request"],
            response=row["response"],
            document=row["document"],
            user=callers[row["n"]].user_name,
            certain=narrowed or row["n"] not in starts,
            region=regions.get(row["event_id"]),
        )
