"""
The tables that signals read: who the leads are, what they called, and of which kinds these calls are.

`lead_credentials` has the credentials of each lead, `lead_calls` the calls of these credentials, counted for each ten
minutes, `lead_count` how many leads there are, `call_kinds` the kinds of each call, and `outside_ips` the addresses
outside AWS that workloads called from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from tokentrail.detection.call_kinds import call_kinds
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.views import (
    CREDENTIAL_DETAILS,
    CREDENTIAL_EVENTS,
    WORKLOAD_STARTS,
    View,
    with_lineage_start,
)  # fmt: skip
from tokentrail.detection.workloads import WORKLOADS

_LEADS = f"""
    WITH roots AS (
      SELECT j.n, r.n AS root, r.id, coalesce(r.issued_at, r.first, 0) AS began,
             CASE WHEN r.kind = 'long_term_key' THEN r.id ELSE coalesce(r.person, r.id) END AS principal
      FROM ({with_lineage_start("SELECT n, root_n FROM credential_details")}) j
      JOIN credential_details r ON r.n = j.lineage_start
      WHERE r.kind <> 'forwarded' AND coalesce(r.issuer_arn, r.role_arn, '') NOT LIKE '%:role/aws-service-role/%')
    SELECT n, root, first_value(root) OVER (PARTITION BY principal ORDER BY began, id) AS lead FROM roots"""
_GROUPED = "lead, n, source, name, error, agent, ip, region, console, read_only, slot"
_CALLS = """
    SELECT l.lead, d.n, d.source, d.name, d.error, trim(d.agent, '[]') AS agent, d.ip, d.region, d.console, d.read_only,
           d.time // 600 AS slot, count(*) AS calls, max(d.time) AS last,
           min(struct_pack(time := d.time, event_id := d.event_id, event_id_text := d.event_id_text, n := d.n)) AS head
    FROM some_credential_events d JOIN lead_credentials l ON l.n = d.n
    WHERE NOT d.forwarded AND d.time >= {since} AND d.time < {until} GROUP BY ALL"""
_CALLS_IN_ALL = f"""
    SELECT {_GROUPED}, CAST(sum(calls) AS BIGINT) AS calls, max(last) AS last, min(head) AS head
    FROM {{parts}} GROUP BY {_GROUPED}"""
_SIGN_INS = """
    SELECT l.lead, k.n, 'signin.amazonaws.com', 'ConsoleLogin', NULL, NULL, k.issue_ip, NULL, FALSE, FALSE,
           k.issued_time // 600, 1, k.issued_time,
           struct_pack(time := k.issued_time, event_id := k.issue_event, event_id_text := k.issue_text, n := k.n)
    FROM credential_details k JOIN lead_credentials l ON l.n = k.n
    WHERE k.kind = 'console_session' AND k.issue_event IS NOT NULL
      AND k.issued_time >= {since} AND k.issued_time < {until}"""
"""Sign-ins to the console, which are nobody's calls, and may be all that the log has of a session."""
_NAME_MOST = 128
"""Characters of a service's or call's name: AWS has none that is longer, and a forged one is of no kind."""
_CALL_NAMES = f"""
    SELECT DISTINCT source, name FROM lead_calls
    WHERE length(source) <= {_NAME_MOST} AND length(name) <= {_NAME_MOST}"""
_WORKLOAD_IPS = (
    f"SELECT DISTINCT c.ip FROM lead_calls c JOIN ({WORKLOADS}) w ON w.n = c.n WHERE c.ip IS NOT NULL"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWindow:
    """The calls that leads are ranked by: from a time on, until before another, in seconds since 1970."""

    since: int = -(1 << 40)
    until: int = 1 << 40
    """All events lie within the defaults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadTable:
    """A table that signals read."""

    name: str
    prepare: Callable[[DetectionContext, TimeWindow], None]
    """Makes it."""
    needs: tuple[LeadTable, ...] = ()
    """The tables that making it reads."""
    reads: tuple[View, ...] = ()
    """The views that making it reads."""


def _prepare_credentials(context: DetectionContext, window: TimeWindow) -> None:
    context.table("lead_credentials", _LEADS)


def _prepare_calls(context: DetectionContext, window: TimeWindow) -> None:
    bounds = {"since": window.since, "until": window.until}
    context.batched_table("own_calls", _CALLS.format_map(bounds), _CALLS_IN_ALL)
    context.table("lead_calls", f"SELECT * FROM own_calls UNION ALL {_SIGN_INS.format_map(bounds)}")


def _prepare_count(context: DetectionContext, window: TimeWindow) -> None:
    context.table("lead_count", "SELECT count(DISTINCT lead) AS leads FROM lead_calls")


def _prepare_kinds(context: DetectionContext, window: TimeWindow) -> None:
    calls = [(row["source"], row["name"]) for row in context.rows(_CALL_NAMES)]
    rows = [(source, name, kind) for source, name in calls for kind in call_kinds(source, name)]
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    names = ("source", "name", "kind")
    context.add_table(
        "call_kinds",
        {name: pa.array(values, pa.string()) for name, values in zip(names, columns, strict=True)},
    )


def _prepare_outside_ips(context: DetectionContext, window: TimeWindow) -> None:
    outside = [row["ip"] for row in context.rows(_WORKLOAD_IPS) if context.addresses.outside_aws(row["ip"])]
    context.add_table("outside_ips", {"ip": pa.array(outside, pa.string())})


LEAD_CREDENTIALS = LeadTable(
    name="lead_credentials", prepare=_prepare_credentials, reads=(CREDENTIAL_DETAILS, WORKLOAD_STARTS)
)
LEAD_CALLS = LeadTable(
    name="lead_calls", prepare=_prepare_calls, needs=(LEAD_CREDENTIALS,),
    reads=(CREDENTIAL_DETAILS, CREDENTIAL_EVENTS),
)  # fmt: skip
LEAD_COUNT = LeadTable(name="lead_count", prepare=_prepare_count, needs=(LEAD_CALLS,))
CALL_KINDS = LeadTable(name="call_kinds", prepare=_prepare_kinds, needs=(LEAD_CALLS,))
OUTSIDE_IPS = LeadTable(
    name="outside_ips", prepare=_prepare_outside_ips, needs=(LEAD_CALLS,), reads=(CREDENTIAL_DETAILS,)
)
LEAD_TABLES = (LEAD_CREDENTIALS, LEAD_CALLS, LEAD_COUNT, CALL_KINDS, OUTSIDE_IPS)
"""In the order in which they are prepared: each after those that it needs."""
