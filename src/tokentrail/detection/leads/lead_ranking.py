"""
Rank credentials by how much speaks for theft.

A lead is a long-term key, or the sessions of one principal that nothing in the evidence issued, with all that
they minted. Its score is the sum, over its signals, of strength times rarity: `1 - log(having) / log(leads + 1)`,
where `having` leads show the signal. So a signal that everybody shows counts nothing, and every reason can say how
rare it is.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.leads.lead_tables import (
    LEAD_CALLS,
    LEAD_CREDENTIALS,
    LEAD_TABLES,
    LeadTable,
    TimeWindow,
)  # fmt: skip
from tokentrail.detection.leads.model import STRONG, Lead, Reason
from tokentrail.detection.leads.theft_signals import SIGNALS
from tokentrail.detection.rule_failures import Failures
from tokentrail.formatting import counted, enumerated, quoted
from tokentrail.lineage.model import State
from tokentrail.lineage.rows import Row, owner

_STATES: tuple[State, ...] = ("active", "unknown", "expired", "ended")
"""From the best for the attacker to the worst."""
_DETAIL_MOST = 120
"""Characters of each text that a reason repeats, which may be the attacker's words."""
_CREDENTIALS_MOST = 50
"""Credentials that a lead names."""
_IDS = "SELECT n, id FROM credentials WHERE n IN (SELECT lead FROM {})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    """A signal that a lead shows."""

    lead: int
    reason: Reason
    weight: float
    credentials: tuple[int, ...]


def rank_leads(
    context: DetectionContext,
    limit: int | None = None,
    *,
    failures: Failures,
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[Lead, ...]:
    """
    Rank the leads of a case, the one that most speaks for theft first.

    Args:
        context: The case, as rules see it.
        limit: The most leads to return; by default all.
        failures: Notes each signal that ends in an error, which costs no other, and each table of theirs that does.
        since: Look only at calls from this time on.
        until: Look only at calls before this time.
    """
    window = TimeWindow(**{
        name: int(when.timestamp()) for name, when in (("since", since), ("until", until)) if when is not None
    })  # fmt: skip
    tables = _prepared(context, window, failures)
    if LEAD_CREDENTIALS not in tables:
        return ()
    listed_in = LEAD_CALLS if LEAD_CALLS in tables else LEAD_CREDENTIALS
    ids = {row["n"]: row["id"] for row in context.rows(_IDS.format(listed_in.name))}
    matches: dict[int, list[_Match]] = {lead: [] for lead in ids}
    for match in _matches(context, len(matches), tables, failures):
        matches[match.lead].append(match)
    scores = {lead: sum(match.weight for match in found) for lead, found in matches.items()}
    ordered = sorted(matches, key=lambda lead: (-round(scores[lead], 6), ids[lead]))[:limit]
    return tuple(_leads(context, {lead: matches[lead] for lead in ordered}))


def _prepared(context: DetectionContext, window: TimeWindow, failures: Failures) -> set[LeadTable]:
    """Prepare the tables that signals read; an error costs the table, and the tables and signals that need it."""
    prepared = set[LeadTable]()
    for table in LEAD_TABLES:
        if not prepared.issuperset(table.needs):
            continue
        lost = [signal.id for signal in SIGNALS if _needs(signal.reads, table)]
        with failures.isolated("table", table.name, lost):
            context.prepare(table.reads)
            table.prepare(context, window)
            prepared.add(table)
    return prepared


def _needs(reads: Iterable[LeadTable], table: LeadTable) -> bool:
    """Whether a table is among some, or among those that these need."""
    return any(read is table or _needs(read.needs, table) for read in reads)


def _matches(
    context: DetectionContext, leads: int, tables: Set[LeadTable], failures: Failures
) -> Iterator[_Match]:
    """Every signal of every lead, weighed by how many leads show it."""
    for signal in SIGNALS:
        if not tables >= {*signal.reads}:
            continue
        rows = list[Row]()
        with failures.isolated("signal", signal.id):
            context.prepare(signal.views)
            rows = [row for row in context.rows(signal.sql) if row["heads"]]
        for row in rows:
            rarity = 1 - math.log(len(rows)) / math.log(leads + 1)
            strength = round(float(row["strength"]), 3)
            events = (event_of(head) for head in row["heads"])
            texts = row["detail"] if isinstance(row["detail"], list) else [row["detail"]]
            detail = enumerated(quoted(str(text or "?")[:_DETAIL_MOST]) for text in texts)
            rare = f"{len(rows):,} of {counted(leads, 'lead')} here {'does' if len(rows) == 1 else 'do'} this"
            yield _Match(
                lead=row["lead"], weight=strength * rarity,
                credentials=tuple(dict.fromkeys(head["n"] for head in row["heads"])),
                reason=Reason(
                    signal=signal.id, why=f"{signal.says.format(detail=detail)}: {rare}", having=len(rows), of=leads,
                    events=tuple(event for event in events if event), strength=strength,
                ),
            )  # fmt: skip


def _began(row: Row) -> int:
    """When a credential began, as far as the evidence tells."""
    return next((row[name] for name in ("issued_at", "first", "created_time") if row[name] is not None), 0)


def _leads(context: DetectionContext, matches: Mapping[int, Sequence[_Match]]) -> Iterator[Lead]:
    """Leads by the matches of their signals, in their order."""
    weights = {lead: _weights(lead, found) for lead, found in matches.items()}
    context.add_credentials("ranked_credentials", (n for weighed in weights.values() for n in weighed))
    roots = {
        row["n"]: row["root"]
        for row in context.rows("SELECT n, root FROM lead_credentials JOIN ranked_credentials USING (n)")
    }
    rows = {row["n"]: row for row in context.forest.chosen_rows({*roots, *roots.values()})}
    credentials = context.forest.credentials([*rows.values()])
    states = {n: credential.state for n, credential in zip(rows, credentials, strict=True)}
    for rank, (lead, found) in enumerate(matches.items(), 1):
        weighed = weights[lead]
        ordered = sorted(weighed, key=lambda n: (-weighed[n], _began(rows[n]), rows[n]["id"]))
        root = roots[ordered[0]]
        shown = [root] if root in ordered else []
        places = [*shown, *(n for n in ordered if n != root)][:_CREDENTIALS_MOST]
        account, principal = owner(rows[places[0]])
        score = round(sum(match.weight for match in found), 2)
        reasons = sorted(found, key=lambda match: (-match.weight, match.reason.signal))
        yield Lead(
            rank=rank, credential=rows[root]["id"], credentials=tuple(rows[n]["id"] for n in places),
            principal=principal, account=account, score=score, strong=score >= STRONG,
            reasons=tuple(match.reason for match in reasons), state=min((states[n] for n in places), key=_STATES.index),
            next=f"tokentrail trace {shlex.quote(rows[places[0]]['id'])}",
        )  # fmt: skip


def _weights(lead: int, found: Sequence[_Match]) -> dict[int, float]:
    """How much speaks for each credential of a lead that shows a signal; for a lead without any, its first root."""
    weights: dict[int, float] = {}
    for match in found:
        for n in match.credentials:
            weights[n] = weights.get(n, 0.0) + match.weight / len(match.credentials)
    return weights or {lead: 0.0}
