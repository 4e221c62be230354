"""Calls say that they come from a tool of attackers or testers."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.call_kinds import ATTACK_TOOLS, INTRUDERS_TOOLS, word_pattern
from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.views import CREDENTIAL_DETAILS, CREDENTIAL_EVENTS, FIRST_EVENT
from tokentrail.formatting import at, counted, enumerated, quoted
from tokentrail.lineage.rows import Row

_AGENTS = f"""
    SELECT agent FROM (SELECT DISTINCT agent FROM some_facts WHERE agent IS NOT NULL OFFSET 0)
    WHERE regexp_matches(agent, '{ATTACK_TOOLS}')"""
"""Each text is looked at once, as a case has few of them; without OFFSET the engine would look at each call's."""
_CALLS = f"""
    SELECT d.n, t.tool, t.intruders, count(*) AS calls,
           {FIRST_EVENT} AS head
    FROM some_credential_events d
    JOIN (SELECT DISTINCT agent, lower(regexp_extract(agent, '{ATTACK_TOOLS}', 2)) AS tool,
                 regexp_matches(agent, '{word_pattern(INTRUDERS_TOOLS)}') AS intruders
          FROM tool_agents) t ON t.agent = d.agent
    WHERE NOT d.forwarded GROUP BY d.n, t.tool, t.intruders"""
_CALLS_IN_ALL = """
    SELECT n, tool, intruders, CAST(sum(calls) AS BIGINT) AS calls, min(head) AS head
    FROM {parts} GROUP BY n, tool, intruders"""
_USES = """
    SELECT c.*, c.head.time AS time, coalesce(k.person, k.id) AS person,
           min(c.head.time) OVER (PARTITION BY coalesce(k.person, k.id), c.tool) AS since
    FROM tool_calls c JOIN credential_details k ON k.n = c.n ORDER BY time, c.n, c.tool"""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Gather such calls by principal, until that is a habit of it."""
    if not context.batched_table("tool_agents", _AGENTS):
        return  # as in most cases
    context.batched_table("tool_calls", _CALLS, _CALLS_IN_ALL)
    found: dict[str, list[Row]] = {}
    for row in list(context.rows(_USES)):
        if row["time"] <= row["since"] + context.thresholds["habit_after"]:
            found.setdefault(row["person"], []).append(row)
    known = context.credentials(row["n"] for rows in found.values() for row in rows)
    for person, rows in found.items():
        yield _hit(person, rows, known)


def _hit(person: str, rows: list[Row], known: dict[int, Row]) -> Hit:
    severity: Severity = "medium" if any(row["intruders"] for row in rows) else "low"
    first = rows[0]
    events = tuple(event_of(row["head"]) for row in rows)
    places = tuple(dict.fromkeys(row["n"] for row in rows))
    count = sum(row["calls"] for row in rows)
    tools = enumerated(quoted(tool) for tool in dict.fromkeys(row["tool"] for row in rows))
    return Hit(
        about=(person, first["tool"], events[0]),
        time=first["time"],
        severity=severity,
        why=f"{enumerated(named(known[n]) for n in places)} made {counted(count, 'call')}, first at "
        f"{at(first['time'])}, whose user agent names {tools}.",
        subject=first["n"],
        places=places,
        events=events,
        count=count,
        thresholds=("habit_after",),
    )


RULE = Rule(
    id="attack-tool",
    title="A tool of attackers or testers was used",
    severity="medium",
    attack=("T1078.004", "T1580", "T1526"),
    why="Few people trouble to hide what they work with: the system of a tester, or a tool that tries out keys "
    "that it found, names itself with every call.",
    false_alarm="Who is paid to test does so with the same tools, and owners scan their own accounts: scanners "
    "that owners use (Prowler, ScoutSuite, Steampipe, Cartography and others) are told at low severity, and what a "
    "principal used on an earlier day is left out. Ask whether a test was ordered. A user agent is whatever its "
    "caller says: that none is found means nothing.",
    references=(
        "Amazon GuardDuty User Guide, 'PenTest:IAMUser/KaliLinux', 'ParrotLinux' and 'PentooLinux'",
        "Elastic and SigmaHQ, rules for user agents of TruffleHog and of Kali in CloudTrail",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, CREDENTIAL_EVENTS),
    thresholds=("habit_after",),
)
