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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from tokentrail.detection.call_kinds import call_kinds
from tokentrail.detection.leads.model import STRONG, Lead, Reason
from tokentrail.detection.leads.theft_signals import SIGNALS
from tokentrail.detection.rule_failures import Failures
from tokentrail.detection.scene import Scene
from tokentrail.detection.tables import began
from tokentrail.detection.wording import counted, listed
from tokentrail.detection.workloads import WORKLOADS
from tokentrail.lineage.model import State
from tokentrail.lineage.rows import Row, event_id, owner
from tokentrail.spelling import quoted

_STATES: tuple[State, ...] = ("active", "unknown", "expired", "ended")
"""From the best for the attacker to the worst."""
_DETAIL_MOST = 120
"""Characters of each text that a reason repeats, which may be the attacker's words."""
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
_CALLS = """
    SELECT l.lead, d.n, d.source, d.name, d.error, trim(d.agent, '[]') AS agent, d.ip, d.region, d.console, d.read_only,
           d.time // 600 AS slot, count(*) AS calls, max(d.time) AS last,
           min(struct_pack(time := d.time, event_id := d.event_id, event_id_text := d.event_id_text, n := d.n)) AS head
    FROM some_deeds d JOIN lead_credentials l ON l.n = d.n
    WHERE NOT d.forwarded AND d.time >= {since} AND d.time < {until} GROUP BY ALL"""
_SIGN_INS = """
    SELECT l.lead, k.n, 'signin.amazonaws.com', 'ConsoleLogin', NULL, NULL, k.issue_ip, NULL, FALSE, FALSE,
           k.issued_time // 600, 1, k.issued_time,
           struct_pack(time := k.issued_time, event_id := k.issue_event, event_id_text := k.issue_text, n := k.n)
    FROM known k JOIN lead_credentials l ON l.n = k.n
    WHERE k.kind = 'console_session' AND k.issue_event IS NOT NULL
      AND k.issued_time >= {since} AND k.issued_time < {until}"""
"""Sign-ins to the console, which are nobody's calls, and may be all that the log has of a session."""
_FOREVER = 1 << 40
"""Seconds since 1970, or before, within which all events lie."""
_NAME_MOST = 128
"""Characters of a service's or call's name: AWS has none that is longer, and a forged one is of no kind."""
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


def rank_leads(
    scene: Scene,
    limit: int | None = None,
    *,
    failures: Failures,
    since: datetime | None = None,
    until: datetime | None = None,
) -> tuple[Lead, ...]:
    """
    Rank the leads of a case, the one that most speaks for theft first.

    Args:
        scene: The case, as rules see it.
        limit: The most leads to return; by default all.
        failures: Notes each signal that ends in an error, which costs no other.
        since: Look only at calls from this time on.
        until: Look only at calls before this time.
    """
    window = {
        "since": int(since.timestamp()) if since else -_FOREVER, "until": int(until.timestamp()) if until else _FOREVER,
    }  # fmt: skip
    scene.table("lead_credentials", _CREDENTIALS)
    scene.table("own_calls", _CALLS.format_map(window), _CALLS_IN_ALL)
    scene.table("lead_calls", f"SELECT * FROM own_calls UNION ALL {_SIGN_INS.format_map(window)}")
    scene.table("lead_count", "SELECT count(DISTINCT lead) AS leads FROM lead_calls")
    _add_call_kinds(scene)
    _add_outside_ips(scene)
    matches: dict[int, list[_Match]] = {
        row["lead"]: [] for row in scene.rows("SELECT DISTINCT lead FROM lead_calls")
    }
    for match in _matches(scene, len(matches), failures):
        matches[match.lead].append(match)
    scores = {lead: sum(match.weight for match in found) for lead, found in matches.items()}
    ids = {
        row["n"]: row["id"]
        for row in scene.rows("SELECT n, id FROM known WHERE n IN (SELECT lead FROM lead_calls)")
    }
    ordered = sorted(matches, key=lambda lead: (-round(scores[lead], 6), ids[lead]))[:limit]
    return tuple(_leads(scene, {lead: matches[lead] for lead in ordered}))


def _add_call_kinds(scene: Scene) -> None:
    """Register which kinds each call in the case is of."""
    calls = [
        (row["source"], row["name"])
        for row in scene.rows(f"""
            SELECT DISTINCT source, name FROM lead_calls
            WHERE length(source) <= {_NAME_MOST} AND length(name) <= {_NAME_MOST}""")
    ]
    rows = [(source, name, kind) for source, name in calls for kind in call_kinds(source, name)]
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    names = ("source", "name", "kind")
    scene.add_table(
        "call_kinds",
        {name: pa.array(values, pa.string()) for name, values in zip(names, columns, strict=True)},
    )


def _add_outside_ips(scene: Scene) -> None:
    """Register the addresses of workloads' calls that are outside AWS."""
    rows = scene.rows(
        f"SELECT DISTINCT c.ip FROM lead_calls c JOIN ({WORKLOADS}) w ON w.n = c.n WHERE c.ip IS NOT NULL"
    )
    outside = [row["ip"] for row in rows if scene.addresses.outside_aws(row["ip"])]
    scene.add_table("outside_ips", {"ip": pa.array(outside, pa.string())})


def _matches(scene: Scene, leads: int, failures: Failures) -> Iterator[_Match]:
    """Every signal of every lead, weighed by how many leads show it."""
    for signal in SIGNALS:
        rows = list[Row]()
        with failures.isolated("signal", signal.id):
            rows = [row for row in scene.rows(signal.sql) if row["heads"]]
        for row in rows:
            rarity = 1 - math.log(len(rows)) / math.log(leads + 1)
            strength = round(float(row["strength"]), 3)
            events = (event_id(head["event_id"], head["event_id_text"]) for head in row["heads"])
            texts = row["detail"] if isinstance(row["detail"], list) else [row["detail"]]
            detail = listed(quoted(str(text or "?")[:_DETAIL_MOST]) for text in texts)
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
    """Leads by the matches of their signals, in their order."""
    weights = {lead: _weights(lead, found) for lead, found in matches.items()}
    scene.seek(n for weighed in weights.values() for n in weighed)
    roots = {
        row["n"]: row["root"]
        for row in scene.rows("SELECT n, root FROM lead_credentials JOIN sought USING (n)")
    }
    rows = {row["n"]: row for row in scene.forest.chosen_rows({*roots, *roots.values()})}
    credentials = scene.forest.credentials([*rows.values()])
    states = {n: credential.state for n, credential in zip(rows, credentials, strict=True)}
    for rank, (lead, found) in enumerate(matches.items(), 1):
        ordered = [n for _, n in sorted((-weight, n) for n, weight in weights[lead].items())]
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
