"""Tell what Sigma rules matched: a hit for each rule and lineage, with a count, the first calls, and who made them."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named, short
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.sigma.reading import SigmaRules
from tokentrail.detection.views import CREDENTIAL_DETAILS, IDENTITY_CREDENTIALS
from tokentrail.formatting import FEW, at, counted, enumerated
from tokentrail.lineage.rows import Row, event_id

HIT_READS = (IDENTITY_CREDENTIALS, CREDENTIAL_DETAILS)
"""The views that hits and correlations are told from."""
MATCHED = "sigma_matched"
"""The table of which rule matched which record: `rule`, `segment`, `object`, `ordinal`."""
MATCHED_CALLS = f"""
    FROM some_facts e
    JOIN some_{MATCHED} r ON r.segment = e.segment AND r.object = e.object AND r.ordinal = e.ordinal"""
FIRST = "{'time': time, 'event_id': event_id, 'text': coalesce(event_id_text, '')}"
"""What tells a call, in the order of their times."""
_STORY = "r.rule, coalesce(i.root_n, -1) AS root, CASE WHEN i.n IS NULL THEN coalesce(i.arn, '') ELSE '' END AS lone"
"""What makes one hit: a rule and a lineage, or a caller of whom no credential is known."""
_THEIRS = f"""
    {MATCHED_CALLS}
    LEFT JOIN (
      SELECT i.segment, i.identity, i.arn, i.account, w.n, w.root_n FROM some_identities i
      LEFT JOIN some_identity_credentials w ON w.segment = i.segment AND w.identity = i.identity
    ) i ON i.segment = e.segment AND i.identity = e.identity
    WHERE r.rule IN (SELECT rule FROM sigma_shown)"""
"""Callers are brought together with their credentials before anything else: they are fewer than calls."""
_CALLS = f"""
    SELECT {_STORY}, coalesce(nullif(e.name, ''), '?') AS name, coalesce(e.account, i.account) AS account,
           count(*) AS count, min({{call}}, {{most}}) AS first {_THEIRS} GROUP BY ALL"""
_CALLERS = f"SELECT DISTINCT {_STORY}, i.n {_THEIRS} AND i.n IS NOT NULL"
_HITS = """
    WITH calls AS (
      SELECT rule, root, lone, list(name ORDER BY count DESC, name) AS names, CAST(sum(count) AS BIGINT) AS count,
             flatten(list(accounts)) AS accounts, list_slice(list_sort(flatten(list(first))), 1, {most}) AS first
      FROM (SELECT rule, root, lone, name, sum(count) AS count,
                   list(DISTINCT account) FILTER (account <> '') AS accounts,
                   list_slice(list_sort(flatten(list(first))), 1, {most}) AS first
            FROM sigma_calls GROUP BY rule, root, lone, name)
      GROUP BY rule, root, lone),
    callers AS (
      SELECT rule, root, lone, count(*) AS credentials,
             [one.n FOR one IN min(
               {{'age': coalesce(c.issued_at, c.first, c.created_time, 0), 'id': c.id, 'n': c.n}}, {places})] AS places
      FROM (SELECT DISTINCT rule, root, lone, n FROM sigma_callers) JOIN credentials c USING (n)
      GROUP BY rule, root, lone)
    SELECT * FROM calls LEFT JOIN callers USING (rule, root, lone) ORDER BY rule, root, lone"""
_BATCH = 1_000
"""Hits that are told at a time."""


def rule_hits(context: DetectionContext, rules: SigmaRules) -> Iterator[tuple[Rule, Hit]]:
    """What each rule matched that is a finding by itself."""
    most, places = map(context.thresholds.whole, ("most_events", "most_credentials"))
    shown = [number for number, one in enumerate(rules.simple) if one.shown]
    context.add_table("sigma_shown", {"rule": pa.array(shown, pa.int32())})
    context.batched_table("sigma_calls", _CALLS.format(most=most, call=FIRST))
    context.batched_table("sigma_callers", _CALLERS)
    for some in context.arrow(_HITS.format(most=most, places=places)).to_batches(_BATCH):
        rows = some.to_pylist()
        known = context.credentials(n for row in rows for n in (row["places"] or ())[:FEW])
        for row in rows:
            rule = rules.simple[row["rule"]].rule
            yield rule, _hit(rule, row, known)


def _hit(rule: Rule, row: Row, known: dict[int, Row]) -> Hit:
    places = tuple(row["places"] or ())
    some = [named(known[n]) for n in places[:FEW]]
    who = enumerated(some, of=row["credentials"]) if places else short(row["lone"] or None)
    first = row["first"][0]["time"]
    return Hit(
        about=(known[places[0]]["root_id"] if places else row["lone"],),
        time=first,
        severity=rule.severity,
        why=f"{counted(row['count'], 'call')} by {who} ({enumerated(row['names'])}), first at {at(first)}. {rule.why}",
        subject=places[0] if places else None,
        places=places,
        events=tuple(event_id(one["event_id"], one["text"] or None) or "" for one in row["first"]),
        count=row["count"],
        principals=(row["lone"],) if row["lone"] else (),
        accounts=tuple(sorted(set(row["accounts"] or ()))),
    )
