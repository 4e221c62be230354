"""Run rules over a context: hits become findings, with names, a stable id and the command that answers them."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from tokentrail.detection.allow_list import Allowed
from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.detection.context import DetectionContext, Source
from tokentrail.detection.merge_findings import merge_findings
from tokentrail.detection.model import Finding, Hit, Rule, Severity, at_least
from tokentrail.detection.rule_failures import Failures
from tokentrail.detection.views import CREDENTIAL_DETAILS, IDENTITY_CREDENTIALS
from tokentrail.errors import UsageError
from tokentrail.lineage.rows import OWNER, Row, moment, owner

if TYPE_CHECKING:
    from tokentrail.detection.sigma.reading import SigmaRules

_AT_ONCE = 2
"""Rules that are asked at a time."""
_LEFT_OUT = "{:,} of what was found is left out, as the allow-list says."
_EXPIRED = "{:,} of the allow-list's entries no longer count: their day has come."
_TOO_FEW = (
    "The evidence spans less than {0:g} days: baseline rules need {0:g} days of logs (habit_days) and may miss things: "
    "{1}."
)
_SUMMARY = (
    "n", "coalesce(nullif(issued_at, 0), nullif(issued_time, 0), first, 0) AS age", "id", "root_n", "seen_account",
    "arn", "root_id", "coalesce(seen_account, '') = '' OR coalesce(arn, '') = '' AS unseen",
)  # fmt: skip
_SUMMARISED_AT_ONCE = 1_000


def chosen(names: Sequence[str] | None) -> tuple[Rule, ...]:
    """
    The rules of some names, or all.

    Raises:
        UsageError: no rule has such a name.
    """
    if names is None:
        return CATALOGUE
    known = {one.id: one for one in CATALOGUE}
    for name in names:
        if name not in known:
            raise UsageError(f"{name!r}: no such rule. `tokentrail rules` lists them: {', '.join(known)}.")
    return tuple(one for one in CATALOGUE if one.id in names)


def detect(
    context: DetectionContext,
    rules: Sequence[Rule] = CATALOGUE,
    *,
    failures: Failures,
    sigma: SigmaRules | None = None,
    min_severity: Severity = "info",
    allowed: Allowed | None = None,
    said: Callable[[str], None] | None = None,
    together: bool = True,
) -> tuple[Finding, ...]:
    """
    Run rules; what later rules find may depend on what earlier ones found suspicious.

    Args:
        context: What to judge.
        rules: Of the catalogue.
        failures: Notes each rule that ends in an error, which costs no other.
        sigma: Anybody's rules.
        min_severity: What is less is left out.
        allowed: What is left out as harmless.
        said: Told what the answer lacks, in sentences.
        together: Whether a story is one finding; who sees the end of a story alone must tell it hit by hit, as its
            first hit is what it is known by.

    Returns:
        Findings by time, then id.
    """
    hits = [
        (rule, hit)
        for rule, hit in _all_hits(context, rules, sigma, failures)
        if at_least(hit.severity, min_severity)
    ]
    if allowed is not None:
        kept = [
            (told, hit)
            for told, (found, hit) in zip(hits, _told(context, [*map(_acting, hits)]), strict=True)
            if not allowed.covers(found, context, _places(hit))
        ]
        if said and len(kept) < len(hits):
            said(_LEFT_OUT.format(len(hits) - len(kept)))
        if said and (expired := allowed.expired(context.as_of)):
            said(_EXPIRED.format(expired))
        hits = [told for told, _ in kept]
    if said:
        _say_what_is_short(context, rules, said)
    found = [one for one, _ in _told(context, merge_findings(context, hits, together=together))]
    return tuple(sorted(found, key=lambda one: (one.time, one.id)))


def _acting(told: tuple[Rule, Hit]) -> tuple[Rule, Hit]:
    """The credentials that an allow-list judges: those that acted, without those that they only descend from."""
    rule, hit = told
    return rule, replace(hit, subject=hit.places[0]) if hit.places and hit.subject not in hit.places else hit


def _say_what_is_short(context: DetectionContext, rules: Iterable[Rule], said: Callable[[str], None]) -> None:
    """Say which rules need more days of evidence than there are, if any do."""
    first, last = context.history()
    days = context.thresholds["habit_days"]
    silent = [one.id for one in rules if "habit_days" in one.thresholds]
    if silent and last and last - first < 86_400 * days:
        said(_TOO_FEW.format(days, ", ".join(silent)))


def _told(context: DetectionContext, hits: Sequence[tuple[Rule, Hit]]) -> Iterator[tuple[Finding, Hit]]:
    """Hits as findings, in their order."""
    places = [_places(hit) for _, hit in hits]
    with ThreadPoolExecutor(1, "sources") as beside:
        asked = beside.submit(_sources, context, {event for _, hit in hits for event in hit.events})
        summaries = _CredentialSummaries(context, {n for some in places for n in some})
        sources = asked.result()
    for (rule, hit), named in zip(hits, summaries.each(places), strict=True):
        yield _finding(context, rule, hit, named, sources), hit


def _all_hits(
    context: DetectionContext, rules: Sequence[Rule], sigma: SigmaRules | None, failures: Failures
) -> list[tuple[Rule, Hit]]:
    """The hits of the catalogue's rules, then those of Sigma rules, whose records are read meanwhile."""
    if sigma is None or not sigma.simple:
        return _hits(context, rules, failures)
    from tokentrail.detection.sigma.matching import sigma_hits  # pySigma takes its time to load

    with ThreadPoolExecutor(1, "sigma") as beside:
        found = beside.submit(sigma_hits, context, sigma, failures)
        return [
            *_hits(context, rules, failures),
            *((rule, _bounded(context, hit)) for rule, hit in found.result()),
        ]


def _hits(context: DetectionContext, rules: Sequence[Rule], failures: Failures) -> list[tuple[Rule, Hit]]:
    hits: list[tuple[Rule, Hit]] = []
    occurring = context.occurring(frozenset[str]().union(*(rule.prefilter for rule in rules)))
    rules = [rule for rule in rules if not rule.prefilter or not rule.prefilter.isdisjoint(occurring)]
    for late in (False, True):
        fresh = [*_found(context, [rule for rule in rules if rule.late is late], failures)]
        context.prepare((CREDENTIAL_DETAILS,))
        context.suspect(
            hit.subject for _, hit in fresh if hit.subject is not None and at_least(hit.severity, "medium")
        )
        hits += fresh
    return hits


def _found(
    context: DetectionContext, rules: Sequence[Rule], failures: Failures
) -> Iterator[tuple[Rule, Hit]]:
    """
    What some rules find, rule by rule.

    Two are asked at a time, as most of what they ask is small; where it is not, it keeps the processors busy by
    itself, and what two ask would be in memory side by side.
    """
    at_once = 1 if context.large else min(_AT_ONCE, os.cpu_count() or 1)
    with ThreadPoolExecutor(at_once, "rules") as pool:
        for rule, hits in zip(rules, pool.map(partial(_asked, context, failures), rules), strict=True):
            yield from ((rule, hit) for hit in hits)


def _asked(context: DetectionContext, failures: Failures, rule: Rule) -> list[Hit]:
    """What a rule finds; one that fails costs what it would have found since."""
    found: list[Hit] = []
    with failures.isolated("rule", rule.id), context.apart():
        context.prepare(rule.reads)
        found.extend(_bounded(context, hit) for hit in rule.find(context))
    return found


def _bounded(context: DetectionContext, hit: Hit) -> Hit:
    """A hit with no more events than its finding lists, since some hits have very many."""
    return replace(hit, events=_events(context, hit), count=max(hit.count, len({*filter(None, hit.events)})))


class _CredentialSummary(NamedTuple):
    """What findings say about a credential."""

    age: int
    """When it was issued or, if the log does not show that, first used, in seconds since 1970."""
    id: str
    root: int
    account: str | None
    principal: str | None
    root_id: str


class _CredentialSummaries:
    """
    The summaries of some credentials, by their numbers.

    The findings of ten million events may name a hundred thousand credentials. As objects these would take most of the
    memory of a detection, so that they are kept as columns, from which each finding takes its own.
    """

    def __init__(self, context: DetectionContext, places: Set[int]) -> None:
        self._columns = _summary_columns(context, places) if context.large else None
        known = {} if context.large else context.credentials(places)
        self._rows = {n: _summary(row) for n, row in known.items()}

    def each(self, asked: Iterable[Sequence[int]]) -> Iterator[list[_CredentialSummary]]:
        """For each finding, given by its credentials' places, the summaries of these in their order."""
        for some in _in_batches(asked):
            told = iter(self._of([n for places in some for n in places]))
            for places in some:
                yield list(islice(told, len(places)))

    def _of(self, places: list[int]) -> Iterable[_CredentialSummary]:
        if self._columns is None:
            return (self._rows[n] for n in places)
        n = self._columns["n"].to_numpy()
        at = np.searchsorted(n, places)
        assert np.array_equal(n[at], places)  # else a finding would name another credential
        found = self._columns.take(at)
        return (
            _CredentialSummary(*row)
            for row in zip(*(found[name].to_pylist() for name in _CredentialSummary._fields), strict=True)
        )


def _in_batches(asked: Iterable[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    """Findings in batches: to look up the credentials of each finding by itself would take too long."""
    some: list[Sequence[int]] = []
    held = 0
    for places in asked:
        some.append(places)
        held += len(places)
        if held >= _SUMMARISED_AT_ONCE:
            yield some
            some, held = [], 0
    if some:
        yield some


def _summary(row: Row) -> _CredentialSummary:
    who = (row["seen_account"], row["arn"])
    age = row["issued_at"] or row["issued_time"] or row["first"] or 0
    account, principal = who if all(who) else owner(row)
    return _CredentialSummary(age, row["id"], row["root_n"], account, principal, row["root_id"])


def _summary_columns(context: DetectionContext, places: Set[int]) -> pa.Table:
    """The summaries as columns, sorted by place; for unused credentials, more columns are read to find their owner."""
    import pyarrow.compute as pc  # takes its time to load, for large cases alone

    told = context.columns_of(places, _SUMMARY).sort_by("n")
    unseen = told["unseen"].combine_chunks()
    asked = context.columns_of(told["n"].filter(unseen).to_numpy().tolist(), ("n", *OWNER)).sort_by("n")
    owners = [owner(row) for some in asked.to_batches(_SUMMARISED_AT_ONCE) for row in some.to_pylist()]
    accounts, principals = (pa.array([one[at] for one in owners], pa.string()) for at in (0, 1))
    return pa.table(
        {
            "n": told["n"],
            "age": told["age"],
            "id": told["id"],
            "root": told["root_n"],
            "account": pc.replace_with_mask(told["seen_account"].combine_chunks(), unseen, accounts),
            "principal": pc.replace_with_mask(told["arn"].combine_chunks(), unseen, principals),
            "root_id": told["root_id"],
        }
    )


def identity(rule: str, about: Iterable[str]) -> str:
    """The stable id of a finding."""
    return hashlib.sha256("\0".join((rule, *about)).encode()).hexdigest()[:16]


def answer(subject: str) -> str:
    """The command that contains a credential."""
    return f"tokentrail contain {shlex.quote(subject)}"


def _sources(context: DetectionContext, events: Set[str]) -> dict[str, Source]:
    """The sources of events, as `DetectionContext.sources` gives them, queried beside other threads."""
    with context.apart():
        context.prepare((IDENTITY_CREDENTIALS,) if events else ())
        return context.sources(events)


def _places(hit: Hit) -> tuple[int, ...]:
    """The places of the credentials that a finding names: its subject first, each once."""
    return tuple(dict.fromkeys(hit.places if hit.subject is None else (hit.subject, *hit.places)))


def _events(context: DetectionContext, hit: Hit) -> tuple[str, ...]:
    """The events that a finding lists."""
    return tuple(dict.fromkeys(one for one in hit.events if one))[: context.thresholds.whole("most_events")]


def _finding(
    context: DetectionContext,
    rule: Rule,
    hit: Hit,
    named: Sequence[_CredentialSummary],
    sources: dict[str, Source],
) -> Finding:
    subject = named[0].id if hit.subject is not None else None
    when = moment(hit.time)
    assert when is not None
    lineages = {one.root for one in named}
    came_from = sorted(
        (time, ip)
        for time, ip, root in (sources[one] for one in hit.events if one in sources)
        if not lineages or root in lineages  # not the responder's, whose step the finding rests on too
    )
    return Finding(
        id=identity(rule.id, hit.about),
        rule=rule.id,
        title=rule.title,
        severity=hit.severity,
        time=when,
        subject=subject,
        credentials=tuple(one.id for one in sorted(named, key=lambda one: one[:2])),
        principals=tuple(sorted({*hit.principals, *(one.principal for one in named if one.principal)})),
        accounts=tuple(sorted({*hit.accounts, *(one.account for one in named if one.account)})),
        events=hit.events,
        addresses=tuple(context.addresses.of(ip) for ip in dict.fromkeys(ip for _, ip in came_from)),
        count=hit.count,
        why=hit.why,
        false_alarm=rule.false_alarm,
        attack=rule.attack,
        next=answer(subject) if subject else "look at its events, and ask who made them",
        thresholds=context.thresholds.shown(hit.thresholds),
        root=named[0].root_id if hit.subject is not None else None,
    )
