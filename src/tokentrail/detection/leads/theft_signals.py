"""
The signals of theft that leads are ranked by, each a query over the calls of all leads.

The queries read the tables of `lead_tables`, and the views that a signal names besides. Each
returns rows of `lead`, `strength` (up to 1), `detail` (a text or names), and `heads`: first calls, each with its
`time`, `event_id`, `event_id_text` and the credential's `n`. Calls in the console are left out where the console makes
many by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokentrail.detection.call_kinds import (
    ATTACK_TOOLS,
    BY_HAND,
    DESKTOP,
    INFRASTRUCTURE,
    NAMED_BY_A_LIBRARY,
    WINDOWS,
)
from tokentrail.detection.leads.lead_tables import (
    CALL_KINDS,
    LEAD_CALLS,
    LEAD_COUNT,
    OUTSIDE_IPS,
    LeadTable,
)  # fmt: skip
from tokentrail.detection.views import CREDENTIAL_DETAILS, View
from tokentrail.detection.workloads import SIGNED_THERE, WORKLOADS

_FEW = 5
"""Events that a reason names."""
_HOUR, _TEN_MINUTES = 6, 2
"""Slots of ten minutes that an hour takes; what lies within ten minutes may fall into two."""
_EACH_KIND = "lead, source, name, 1 AS weight"
"""Counts different calls."""
_EACH_CALL = "lead, n, source, name, agent, ip, region, read_only, slot, calls AS weight"
"""Counts calls: rows of `lead_calls` differ in one of these."""
_BROAD, _VERY_BROAD = 8, 40
"""Kinds of read calls in an hour from which on they are many, and from which on they are as many as can count."""
_REFUSED, _OFTEN_REFUSED = 3, 10
"""The same of kinds of calls that are refused within ten minutes."""
_SECRETS, _MANY_SECRETS = 5, 20
"""The same of reads of secrets within an hour."""
_IDLE_DAYS = 10
"""Days without a call after which a long-term key counts as one that wakes up."""
_TOOL_MOST = 100
"""Characters of a user agent's first word that tell a tool: a caller may send a new text with each call."""
_HABIT_DAYS = 1
"""Days of calls before a region or tool counts as new to a principal."""
_ADDRESS = r"^(([0-9]{1,3}[.]){3}[0-9]{1,3}|[0-9a-fA-F]{1,4}:[0-9a-fA-F:]{2,40})$"
_PRIVATE = (
    r"^(10[.]|127[.]|192[.]168[.]|172[.](1[6-9]|2[0-9]|3[01])[.]|100[.](6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])[.]|"
    r"f[cd])"
)
"""Addresses of one's own network (RFC 1918, RFC 6598, RFC 4193), as calls through an endpoint of a VPC have."""
_NETWORK = """CASE WHEN contains(c.ip, ':') THEN array_to_string(string_split(c.ip, ':')[:3], ':')
                     ELSE array_to_string(string_split(c.ip, '.')[:2], '.') END"""
"""The first 16 bits of an address, or the first 48 of one of IPv6."""
_DENIED = r"(?i)(access ?denied|unauthorized|not ?authorized|forbidden)"
_HEADS = f"list(c.head ORDER BY c.head)[:{_FEW}]"
_BY_CALL = "list(DISTINCT c.name ORDER BY c.name)"
_MANUAL = "NOT coalesce(c.console, FALSE)"


def _text(value: str) -> str:
    """A text as SQL has it."""
    return "'" + value.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A sign of theft, and the query for the leads that show it."""

    id: str
    says: str
    """The clause of a reason; `{detail}` stands for the row's."""
    sql: str
    reads: tuple[LeadTable, ...]
    """The tables of leads that the query reads."""
    views: tuple[View, ...] = ()
    """The views that the query reads besides."""


def _calls_of_kind(kind: str, strength: str, where: str = "c.error IS NULL") -> str:
    """The query for leads that made calls of a kind; `kinds` counts the different ones, `calls` all of them."""
    return f"""
        SELECT lead, {strength} AS strength, detail, heads FROM (
          SELECT c.lead, count(DISTINCT c.name) AS kinds, sum(c.calls) AS calls, {_BY_CALL} AS detail, {_HEADS} AS heads
          FROM lead_calls c JOIN call_kinds k ON k.source = c.source AND k.name = c.name
          WHERE k.kind = {_text(kind)} AND {where} GROUP BY c.lead)"""


def _busiest(rows: str, slots: int, counted: str, least: int, strength: str) -> str:
    """
    The query for leads by the stretch of time in which the most happened.

    Args:
        rows: A query for rows of `lead_calls`.
        slots: The length of the stretch in slots of ten minutes.
        counted: What is counted, over `lead`, `slot` and what the rows have: the columns of each row that counts once.
        least: The count from which on a lead shows the signal.
        strength: The strength, by `most`, the count.
    """
    return f"""
        WITH rows AS ({rows}),
        stretches AS (
          SELECT lead, start, CAST(sum(weight) AS BIGINT) AS total FROM (
            SELECT DISTINCT {counted}, unnest(range(slot - {slots - 1}, slot + 1)) AS start FROM rows)
          GROUP BY lead, start),
        best AS (SELECT lead, max(total) AS most, arg_max(start, (total, -start)) AS start FROM stretches
                 GROUP BY lead HAVING max(total) >= {least})
        SELECT b.lead, CAST(any_value(b.most) AS VARCHAR) AS detail, {_HEADS} AS heads,
               {strength.replace("most", "any_value(b.most)")} AS strength
        FROM best b JOIN rows c ON c.lead = b.lead AND c.slot BETWEEN b.start AND b.start + {slots - 1}
        GROUP BY b.lead"""


_MORE_KINDS = "least(1.0, 0.5 + kinds / 6.0)"

SIGNALS: tuple[Signal, ...] = (
    Signal(
        id="workload-on-desktop",
        says="a workload's credential was used with a person's tool ({detail})",
        reads=(LEAD_CALLS,),
        views=(CREDENTIAL_DETAILS,),
        sql=f"""
            SELECT c.lead, max(CASE WHEN w.platform <> 'ec2' THEN 1.0
                                    WHEN regexp_matches(c.agent, {_text(DESKTOP)}) THEN 0.9 ELSE 0.4 END) AS strength,
                   min(c.agent) AS detail, {_HEADS} AS heads
            FROM lead_calls c JOIN ({WORKLOADS}) w ON w.n = c.n
            WHERE (regexp_matches(c.agent, {_text(DESKTOP)}) OR regexp_matches(c.agent, {_text(WINDOWS)}))
              AND {SIGNED_THERE}
            GROUP BY c.lead""",
    ),
    Signal(
        id="workload-outside",
        says="a workload's credential was used from outside AWS ({detail})",
        reads=(LEAD_CALLS, OUTSIDE_IPS),
        views=(CREDENTIAL_DETAILS,),
        sql=f"""
            SELECT c.lead, max(CASE WHEN w.platform IN ('lambda', 'ecs') THEN 1.0 ELSE 0.5 END) AS strength,
                   min(c.ip) AS detail, {_HEADS} AS heads
            FROM lead_calls c JOIN ({WORKLOADS}) w ON w.n = c.n JOIN outside_ips o ON o.ip = c.ip
            WHERE w.platform NOT IN ('cluster', 'device') AND {SIGNED_THERE} GROUP BY c.lead""",
    ),
    Signal(
        id="workload-moved",
        says="a workload's credential was used from {detail} networks",
        reads=(LEAD_CALLS,),
        views=(CREDENTIAL_DETAILS,),
        sql=f"""
            WITH visits AS (
              SELECT c.lead, c.n, {_NETWORK} AS network, regexp_matches(c.ip, {_text(_PRIVATE)}) AS private,
                     min(c.head) AS head
              FROM lead_calls c JOIN ({WORKLOADS}) w ON w.n = c.n
              WHERE regexp_matches(c.ip, {_text(_ADDRESS)}) AND {SIGNED_THERE} GROUP BY ALL),
            moved AS (SELECT n, any_value(lead) AS lead, count(*) AS networks, count(*) FILTER (NOT private) AS public,
                             list(head ORDER BY head)[:{_FEW}] AS heads
                      FROM visits GROUP BY n HAVING count(*) > 1)
            SELECT lead, max(CASE WHEN public > 1 THEN 1.0 ELSE 0.4 END) AS strength,
                   CAST(max(networks) AS VARCHAR) AS detail, arg_max(heads, (public, networks, -heads[1].time)) AS heads
            FROM moved GROUP BY lead""",
    ),
    Signal(
        id="attack-tool",
        says="a tool of attackers or testers was used ({detail})",
        reads=(LEAD_CALLS,),
        sql=f"""
            SELECT c.lead, 1.0 AS strength,
                   min(regexp_extract(c.agent, {_text(ATTACK_TOOLS)}, 2)) AS detail, {_HEADS} AS heads
            FROM lead_calls c WHERE regexp_matches(c.agent, {_text(ATTACK_TOOLS)}) GROUP BY c.lead""",
    ),
    Signal(
        id="whoami-first",
        says="from an address, GetCallerIdentity came first (kinds of calls after it: {detail})",
        reads=(LEAD_CALLS,),
        sql=f"""
            WITH asked AS (
              SELECT n, ip, min(head) AS head FROM lead_calls c
              WHERE name = 'GetCallerIdentity' AND source = 'sts.amazonaws.com' AND {_MANUAL}
                AND NOT regexp_matches(coalesce(agent, ''), {_text(INFRASTRUCTURE)}) GROUP BY n, ip),
            there AS (
              SELECT c.lead, any_value(a.head) AS asked, min(c.head) AS first, count(DISTINCT c.name) - 1 AS others
              FROM lead_calls c JOIN asked a ON a.n = c.n AND a.ip IS NOT DISTINCT FROM c.ip
              WHERE {_MANUAL} GROUP BY c.lead, c.n, c.ip)
            SELECT lead, least(1.0, max(others) / 3.0) AS strength, CAST(max(others) AS VARCHAR) AS detail,
                   list(asked ORDER BY asked)[:{_FEW}] AS heads
            FROM there WHERE asked.time = first.time AND others > 0 GROUP BY lead""",
    ),
    Signal(
        id="broad-reading",
        says="{detail} different kinds of read calls were made within an hour",
        reads=(LEAD_CALLS,),
        sql=_busiest(
            f"SELECT c.* FROM lead_calls c WHERE c.read_only AND {_MANUAL}",
            _HOUR,
            _EACH_KIND,
            _BROAD,
            f"least(1.0, ln(most / {_BROAD // 2}) / ln({2 * _VERY_BROAD // _BROAD}))",
        ),
    ),
    Signal(
        id="refused",
        says="{detail} different kinds of calls were refused within ten minutes",
        reads=(LEAD_CALLS,),
        sql=_busiest(
            f"SELECT c.* FROM lead_calls c WHERE regexp_matches(c.error, {_text(_DENIED)}) AND {_MANUAL}",
            _TEN_MINUTES,
            _EACH_KIND,
            _REFUSED,
            f"least(1.0, most / {_OFTEN_REFUSED}.0 + 0.4)",
        ),
    ),
    Signal(
        id="incident-calls",
        says="calls were made that are rare here and known from incidents ({detail})",
        reads=(LEAD_CALLS, CALL_KINDS, LEAD_COUNT),
        sql=f"""
            WITH made AS (
              SELECT c.lead, c.source, c.name, min(c.head) AS head FROM lead_calls c
              JOIN call_kinds k ON k.source = c.source AND k.name = c.name AND k.kind = 'incident'
              GROUP BY c.lead, c.source, c.name),
            weighed AS (
              SELECT *, 1 - ln(count(*) OVER (PARTITION BY source, name)) / ln((SELECT leads FROM lead_count) + 1)
                     AS rarity FROM made)
            SELECT c.lead, least(1.0, sum(c.rarity) / 2) AS strength, {_BY_CALL} AS detail, {_HEADS} AS heads
            FROM weighed c WHERE c.rarity > 0.3 GROUP BY c.lead""",
    ),
    Signal(
        id="key-mints",
        says="a long-term key got temporary credentials ({detail})",
        reads=(LEAD_CALLS, CALL_KINDS),
        views=(CREDENTIAL_DETAILS,),
        sql=f"""
            SELECT c.lead, 0.7 AS strength, {_BY_CALL} AS detail, {_HEADS} AS heads
            FROM lead_calls c JOIN call_kinds k ON k.source = c.source AND k.name = c.name
            JOIN credential_details n ON n.n = c.n
            WHERE k.kind = 'mint' AND c.error IS NULL AND n.kind = 'long_term_key' GROUP BY c.lead""",
    ),
    Signal(
        id="data-by-hand",
        says="data or secrets were read with a person's tool ({detail})",
        reads=(LEAD_CALLS, CALL_KINDS),
        sql=_calls_of_kind(
            "data",
            "least(1.0, 0.6 + ln(calls) / 10)",
            f"c.error IS NULL AND {_MANUAL} AND regexp_matches(c.agent, {_text(BY_HAND)})",
        ),
    ),
    Signal(
        id="secrets-read",
        says="secrets were read {detail} times within an hour",
        reads=(LEAD_CALLS, CALL_KINDS),
        sql=_busiest(
            f"""SELECT c.* FROM lead_calls c JOIN call_kinds k ON k.source = c.source AND k.name = c.name
                WHERE k.kind = 'secret' AND c.error IS NULL AND {_MANUAL}""",
            _HOUR,
            _EACH_CALL,
            _SECRETS,
            f"least(1.0, ln(most) / ln({_MANY_SECRETS}))",
        ),
    ),
    Signal(
        id="refused-then-allowed",
        says="a call was refused, and allowed after an own change to IAM ({detail})",
        reads=(LEAD_CALLS, CALL_KINDS),
        sql=f"""
            WITH refused AS (
              SELECT lead, source, name, min(head) AS head FROM lead_calls
              WHERE regexp_matches(error, {_text(_DENIED)}) GROUP BY lead, source, name),
            written AS (
              SELECT c.lead, c.name, min(c.head.time) AS first, max(c.last) AS last FROM lead_calls c
              JOIN call_kinds k ON k.source = c.source AND k.name = c.name
              WHERE k.kind = 'iam_write' AND c.error IS NULL AND c.lead IN (SELECT lead FROM refused)
              GROUP BY c.lead, c.name),
            allowed AS (
              SELECT lead, source, name, max(last) AS last FROM lead_calls
              WHERE error IS NULL AND lead IN (SELECT lead FROM written) GROUP BY lead, source, name)
            SELECT c.lead, 1.0 AS strength, {_BY_CALL} AS detail, {_HEADS} AS heads FROM refused c
            JOIN allowed a ON a.lead = c.lead AND a.source = c.source AND a.name = c.name
            JOIN written w ON w.lead = c.lead AND w.name <> c.name
            WHERE c.head.time <= w.last AND w.first <= a.last AND c.head.time < a.last GROUP BY c.lead""",
    ),
    Signal(
        id="persistence",
        says="something was made or changed that lets somebody back in, or do more ({detail})",
        reads=(LEAD_CALLS, CALL_KINDS),
        sql=_calls_of_kind("persistence", _MORE_KINDS),
    ),
    Signal(
        id="destruction",
        says="data, backups or keys were deleted ({detail})",
        reads=(LEAD_CALLS, CALL_KINDS),
        sql=_calls_of_kind("destruction", _MORE_KINDS),
    ),
    Signal(
        id="blinding",
        says="logs or detection were turned off or cut down ({detail})",
        reads=(LEAD_CALLS, CALL_KINDS),
        sql=_calls_of_kind("blinding", "1.0"),
    ),
    Signal(
        id="opened-to-others",
        says="something was opened or shared ({detail})",
        reads=(LEAD_CALLS, CALL_KINDS),
        sql=_calls_of_kind("opening", _MORE_KINDS),
    ),
    Signal(
        id="host-entry",
        says="a way into hosts was used ({detail})",
        reads=(LEAD_CALLS, CALL_KINDS),
        sql=_calls_of_kind("host_entry", _MORE_KINDS),
    ),
    Signal(
        id="lone-network",
        says="calls came from a network that nobody else here uses ({detail})",
        reads=(LEAD_CALLS, LEAD_COUNT),
        sql=f"""
            WITH networks AS (
              SELECT lead, {_NETWORK} AS network, min(ip) AS ip FROM lead_calls c
              WHERE regexp_matches(ip, {_text(_ADDRESS)}) GROUP BY ALL),
            lone AS (SELECT *, count(*) OVER (PARTITION BY network) AS users, count(*) OVER (PARTITION BY lead) AS own
                     FROM networks)
            SELECT c.lead, CASE WHEN any_value(l.own) > 1 THEN 1.0 ELSE 0.6 END AS strength, min(l.ip) AS detail,
                   {_HEADS} AS heads
            FROM lone l JOIN lead_calls c ON c.lead = l.lead AND c.ip = l.ip
            WHERE l.users = 1 AND (SELECT leads FROM lead_count) > 1 GROUP BY c.lead""",
    ),
    Signal(
        id="unnamed-session",
        says="a role session has a name that a library or tool made up ({detail})",
        reads=(LEAD_CALLS,),
        views=(CREDENTIAL_DETAILS,),
        sql=f"""
            SELECT c.lead, 0.7 AS strength, min(k.session_name) AS detail, {_HEADS} AS heads
            FROM credential_details k JOIN lead_calls c ON c.n = k.n
            WHERE regexp_matches(k.session_name, {_text(NAMED_BY_A_LIBRARY)})
              AND k.kind IN ('assumed_role', 'assumed_role_web_identity') GROUP BY c.lead""",
    ),
    Signal(
        id="root-or-no-mfa",
        says="{detail}",
        reads=(LEAD_CALLS,),
        views=(CREDENTIAL_DETAILS,),
        sql=f"""
            SELECT c.lead, max(CASE WHEN k.arn LIKE '%:root' THEN 0.9 ELSE 0.6 END) AS strength,
                   CASE WHEN bool_or(k.arn LIKE '%:root') THEN 'the root user acted'
                        ELSE 'somebody signed in to the console without MFA' END AS detail, {_HEADS} AS heads
            FROM credential_details k JOIN lead_calls c ON c.n = k.n
            WHERE (k.kind = 'console_session' AND k.mfa IS FALSE AND k.arn LIKE '%:user/%')
               OR (k.arn LIKE 'arn:%:iam::%:root' AND k.kind IN ('console_session', 'long_term_key', 'session_token'))
            GROUP BY c.lead""",
    ),
    Signal(
        id="new-habit",
        says="a region or tool was new to its principal ({detail})",
        reads=(LEAD_CALLS,),
        views=(CREDENTIAL_DETAILS,),
        sql=f"""
            WITH calls AS (
              SELECT c.lead, c.region, c.console, c.head, k.person,
                     left(split_part(split_part(coalesce(c.agent, ''), ' ', 1), '/', 1), {_TOOL_MOST}) AS tool
              FROM lead_calls c JOIN credential_details k ON k.n = c.n WHERE k.person IS NOT NULL),
            known AS (SELECT person, min(head.time) AS since FROM calls GROUP BY person),
            habits AS (
              SELECT person, what, value, min(head) AS head, arg_min(lead, head) AS lead FROM (
                SELECT person, 'region' AS what, region AS value, head, lead FROM calls WHERE region IS NOT NULL
                UNION ALL SELECT person, 'tool', tool, head, lead FROM calls
                WHERE tool <> '' AND NOT coalesce(console, FALSE)) GROUP BY person, what, value),
            rare AS (SELECT *, count(*) OVER (PARTITION BY what, value) AS users FROM habits)
            SELECT c.lead, least(1.0, 0.4 + count(*) / 10.0) AS strength,
                   list(DISTINCT c.value ORDER BY c.value) AS detail, {_HEADS} AS heads
            FROM rare c JOIN known k ON k.person = c.person
            WHERE c.head.time >= k.since + {_HABIT_DAYS * 86_400} AND c.users <= 2 GROUP BY c.lead""",
    ),
    Signal(
        id="woken-key",
        says="a long-term key was used after {detail} days without a call",
        reads=(LEAD_CALLS,),
        views=(CREDENTIAL_DETAILS,),
        sql=f"""
            WITH calls AS (
              SELECT c.lead, c.head, lag(c.last) OVER (PARTITION BY c.n ORDER BY c.head) AS before FROM lead_calls c
              JOIN credential_details k ON k.n = c.n WHERE k.kind = 'long_term_key')
            SELECT lead, 0.7 AS strength, CAST(max(head.time - before) // 86400 AS VARCHAR) AS detail,
                   list(head ORDER BY head)[:{_FEW}] AS heads
            FROM calls WHERE head.time - before >= {_IDLE_DAYS * 86_400} GROUP BY lead""",
    ),
)
