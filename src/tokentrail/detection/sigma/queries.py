"""The queries of Sigma rules over the tables of a scene; `some_...` tables are read some segments at a time."""

from __future__ import annotations

import re

FROM_ALL = """
    FROM facts e
    LEFT JOIN identities i ON i.segment = e.segment AND i.identity = e.identity"""
FROM_SOME = """
    FROM some_facts e
    LEFT JOIN some_identities i ON i.segment = e.segment AND i.identity = e.identity"""
_THEIRS = """
    SELECT {columns}, w.n, w.root_n FROM some_identities i
    LEFT JOIN some_actors w ON w.segment = i.segment AND w.identity = i.identity"""
"""Callers, brought together with their credentials before anything else: they are fewer than calls."""
BY_THEM = """
    FROM some_facts e LEFT JOIN sigma_theirs i ON i.segment = e.segment AND i.identity = e.identity"""
_OF_CALLERS = re.compile(r"\bi\.(\w+)")
MET = """
    SELECT b.rule, m.time, m.event_id, m.event_id_text, m.name, m.account, m.n, m.root_n, m.arn
    FROM (
      SELECT e.time, e.event_id, e.event_id_text, e.name, coalesce(e.account, i.account) AS account,
             i.n, i.root_n, i.arn, {mask} AS m"""
READ = """
    SELECT r.rule, e.time, e.event_id, e.event_id_text, e.name, coalesce(e.account, i.account) AS account,
           i.n, i.root_n, i.arn"""
CALLING = """
    SELECT b.rule, m.n, m.root_n, '' AS arn FROM (
      SELECT DISTINCT i.n, i.root_n, {mask} AS m"""
EACH = """
      WHERE m <> 0
    ) m
    JOIN sigma_bits b ON (m.m & b.bit) <> 0"""
SEEN = """
    SELECT e.segment, e.identity, e.time, e.event_id, e.event_id_text, e.name,
           coalesce(e.account, i.account) AS account, i.arn, {more}"""
WHOSE = """
    SELECT m.*, w.n FROM sigma_matched m
    LEFT JOIN actors w ON w.segment = m.segment AND w.identity = m.identity
    ORDER BY m.grouped, m.time, m.event_id, m.rule"""
"""Few calls are set aside before anybody looks for whose they are: all callers are then not held in memory."""
JOINED = """
    JOIN {table} r ON r.segment = e.segment AND r.object = e.object AND r.ordinal = e.ordinal"""

ONCE = "LIMIT 1000000000000"
"""
Ends a query whose columns another filters by: the engine then works them out once, where it would put them both into
the filter and behind it.
"""


def callers(*queries: str) -> str:
    """Of callers, what queries name of them."""
    named = frozenset[str]().union(*(_OF_CALLERS.findall(one) for one in queries)) - {"n", "root_n"}
    return _THEIRS.format(columns=", ".join(f"i.{one}" for one in sorted(named)))
