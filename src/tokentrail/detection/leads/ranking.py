"""
Rank credentials by how much speaks for theft.

A lead is a long-term key, or the sessions of one principal that nothing in the evidence issued, with all that they
minted. Its score is the sum, over its signals, of strength times rarity: `1 - log(having) / log(leads + 1)`, where
`having` leads show the signal. So a signal that everybody shows counts nothing, and every reason can say how rare it is.
"""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tokentrail.detection.leads.call_kinds import call_kinds
from tokentrail.detection.leads.model import STRONG, Lead, Reason
from tokentrail.detection.leads.signals import SIGNALS
from tokentrail.detection.scene import Scene
from tokentrail.detection.tables import began
from tokentrail.detection.wording import counted
from tokentrail.lineage.model import State
from tokentrail.lineage.rows import event_id, owner
from tokentrail.spelling import quoted

_STATES: tuple[State, ...] = ("active", "unknown", "expired", "ended")
"""From the best for the attacker to the worst."""
_DETAIL_MOST = 120
"""Characters of a detail, which may be the attacker's words."""
_CREDENTIALS_MOST = 50
"""Credentials that a lead names."""
_CREDENTIALS = f"""
    WITH roots AS (
      SELECT j.n, r.n AS root,
             CASE WHEN r.kind = 'long_term_key' THEN r.id ELSE coalesce(r.person, r.id) END AS principal
      FROM ({began("SELECT n, root_n FROM known")}) j JOIN known r ON r.n = j.began
      WHERE r.kind <> 'forwarded' AND coalesce(r.issuer_arn, r.role_arn, '') NOT LIKE '%:role/aws-service-role/%')
    SELECT n, root, min(root) OVER (PARTITION BY principal) AS lead FROM roots"""
_GROUPED = "lead, n, source, name, error, agent, ip, region, console, read_only, slot"
_CALLS = f"""
    SELECT l.lead, d.n, d.source, d.name, d.error, d.agent, d.ip, d.region, d.console, d.read_only,
           d.time // 600 AS slot, count(*) AS calls, max(d.time) AS last,
           min(struct_pack(time := d.time, event_id := d.event_id, event_id_text := d.event_id_text, n := d.n)) AS head
    FROM some_deeds d JOIN lead_credentials l ON l.n = d.n WHERE NOT d.forwarded
    GROUP BY {_GROUPED.replace("lead, n", "l.lead, d.n")}"""
_CALLS_IN_ALL = f"""
    SELECT {_GROUPED}, CAST(sum(calls) AS BIGINT) AS calls, max(last) AS last, min(head) AS head
    FROM {{parts}} GROUP BY {_GROUPED}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    """A signal that a lead shows."""

    lead: int
    reason: Reason
    weight: float
    credentials: tuple[int, ...]


def rank_leads(scene: Scene, limit: int | None = None) -> tuple[Lead, ...]:
    """
    Rank the leads of a case, the one that most speaks for theft first.

    Args:
        scene: The case, as rules see it.
        limit: The most leads to return; by default all.
    """
    scene.table("lead_credentials", _CREDENTIALS)
    scene.table("lead_calls", _CALLS, _CALLS_IN_ALL)
    scene.table("lead_count", "SELECT count(DISTINCT lead) AS leads FROM lead_calls")
    _add_call_kinds(scene)
    matches: dict[int, list[_Match]] = {row["lead"]: [] for row in scene.rows("SELECT DISTINCT lead FROM lead_calls")}
    for match in _matches(scene, len(matches)):
        matches[match.lead].append(match)
    scores = {lead: sum(match.weight for match in found) for lead, found in matches.items()}
    ids = {row["n"]: row["id"] for row in scene.rows("SELECT n, id FROM known WHERE n IN (SELECT lead FROM lead_calls)")}
    ordered = sorted(matches, key=lambda lead: (-round(scores[lead], 6), ids[lead]))[:limit]
    return tuple(_leads(scene, {lead: matches[lead] for lead in ordered}))


def _add_call_kinds(scene: Scene) -> None:
    """Register which kinds each call in the case is of."""
    calls = [(row["source"], row["name"]) for row in scene.rows("SELECT DISTINCT source, name FROM lead_calls")]
    rows = [(source, name, kind) for source, name in calls for kind in call_kinds(source, name)]
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    names = ("source", "name", "kind")
    scene.add_table(
        "call_kinds", {name: pa.array(values, pa.string()) for name, values in zip(names, columns, strict=True)}
    )


def _matches(scene: Scene, leads: int) -> Iterator[_Match]:
    """Every signal of every lead, weighed by how many leads show it."""
    for signal in SIGNALS:
        rows = [row for row in scene.rows(signal.sql) if row["heads"]]
        for row in rows:
            rarity = 1 - math.log(len(rows)) / math.log(leads + 1)
            strength = round(float(row["strength"]), 3)
            events = (event_id(head["event_id"], head["event_id_text"]) for head in row["heads"])
            detail = quoted(str(row["detail"] or "?")[:_DETAIL_MOST])
            rare = f"{len(rows):,} of {counted(leads, 'lead')} here {'does' if len(rows) == 1 else 'do'} this"
            yield _Match(
                lead=row["lead"], weight=strength * rarity,
                credentials=tuple(dict.fromkeys(head["n"] for head in row["heads"])),
                reason=Reason(
                    signal=signal.id, why=f"{signal.says.format(detail=detail)}: {rare}", having=len(rows), of=leads,
                    events=tuple(event for event in events if event), strength=strength,
                ),
            )  # fmt: skip


def _leads(scene: Scene, matches: Mapping[int, Sequence[_Match]]) -> Iterator[Lead]:
    concerned = {lead: _concerned(lead, found) for lead, found in matches.items()}
    every = {n for places in concerned.values() for n in places} | matches.keys()
    rows = {row["n"]: row for row in scene.forest.chosen_rows(every)}
    states = {
        row["n"]: credential.state
        for row, credential in zip(rows.values(), scene.forest.credentials([*rows.values()]), strict=True)
    }
    for rank, (lead, found) in enumerate(matches.items(), 1):
        places = concerned[lead]
        subject = rows[places[0]]
        account, principal = owner(subject)
        score = round(sum(match.weight for match in found), 2)
        yield Lead(
            rank=rank, credential=rows[lead]["id"], credentials=tuple(rows[n]["id"] for n in places),
            principal=principal, account=account, score=score, strong=score >= STRONG,
            reasons=tuple(match.reason for match in sorted(found, key=lambda match: (-match.weight, match.reason.signal))),
            state=min((states[n] for n in places), key=_STATES.index), next=f"tokentrail trace {shlex.quote(subject['id'])}",
        )  # fmt: skip


def _concerned(lead: int, found: Sequence[_Match]) -> list[int]:
    """The credentials that show a lead's signals, the weightiest first; the root stands for a lead without any."""
    weights = Counter[int]()
    for match in found:
        for n in match.credentials:
            weights[n] += match.weight / len(match.credentials)
    ordered = sorted(weights, key=lambda n: (n != lead, -weights[n], n))
    return ordered[:_CREDENTIALS_MOST] or [lead]

