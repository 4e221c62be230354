"""
Find credentials that many use at once, as if published: on one day, many networks and tools are new to one.

Somebody who travels uses one tool from many networks, hosted runners use few tools, and a program reaches many machines
over weeks. Here, many networks and many tools are new within a day. A tool is the first word of `userAgent`, with its
version.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.model import Hit
from tokentrail.detection.wording import at, counted, listed, named, span
from tokentrail.lineage.rows import Row

THRESHOLDS = ("many_networks", "many_tools", "new_for", "habit_after")
_CROWDED = """
    SELECT DISTINCT w.n FROM (
      SELECT n, count(*) OVER (PARTITION BY n ORDER BY first RANGE BETWEEN {within} PRECEDING AND CURRENT ROW) AS about
      FROM its_networks
    ) w JOIN credential_details k ON k.n = w.n
    WHERE w.about >= {many} AND k.kind NOT IN ('console_session', 'forwarded', 'service_role')"""
_NETWORKS = """
    SELECT w.n, w.first, d.ip, d.event_id, d.event_id_text
    FROM its_networks w JOIN crowded c ON c.n = w.n
    JOIN credential_ips s ON s.n = w.n AND s.network = w.network AND s.first = w.first
    JOIN credential_events d ON d.n = s.n AND d.ip = s.ip AND d.time = s.first AND NOT d.forwarded
    QUALIFY row_number() OVER (PARTITION BY w.n, w.network ORDER BY d.ip, d.event_id) = 1
    ORDER BY w.n, w.first, d.event_id"""
_TOOLS = r"""
    SELECT d.n, regexp_extract(d.agent, '^\[?([^ \]]+)', 1) AS tool, min(d.time) AS first
    FROM credential_events d JOIN crowded c ON c.n = d.n WHERE NOT d.forwarded AND d.agent IS NOT NULL
    GROUP BY 1, 2 ORDER BY 1, 3"""
_COUNTRIES = 3
"""The least number of countries, if these can be looked up: the addresses of a gateway are in one or two."""


@dataclass(frozen=True, slots=True)
class _Crowd:
    """What was new to a credential within a day: the first call from each network, and how many tools."""

    networks: list[Row]
    tools: int


def many_hands(context: DetectionContext) -> Iterator[Hit]:
    """Look for days on which many networks and tools were new to a credential; it needs the table `its_networks`."""
    bars = context.thresholds
    within = bars.whole("new_for")
    if not context.table("crowded", _CROWDED.format(within=within, many=bars.whole("many_networks"))):
        return
    networks, tools = dict[int, list[Row]](), dict[int, list[Row]]()
    for row in context.rows(_NETWORKS):
        networks.setdefault(row["n"], []).append(row)
    for row in context.rows(_TOOLS):
        tools.setdefault(row["n"], []).append(row)
    known = context.credentials(networks)
    for n, arrived in sorted(networks.items()):
        crowd = _crowd(context, arrived, tools.get(n, []), within)
        if crowd is not None:
            yield _hit(context, known[n], crowd)


def _crowd(context: DetectionContext, networks: list[Row], tools: list[Row], within: int) -> _Crowd | None:
    """The first day on which enough was new; in its first day of use, when all is new, twice as much is required."""
    bars = context.thresholds
    habit = networks[0]["first"] + bars["habit_after"]
    for since, times in ((habit, 1), (networks[0]["first"], 2)):
        came, brought = deque[Row](), deque[int]()
        later = iter([row["first"] for row in tools if row["first"] >= since])
        tool = next(later, None)
        for row in networks:
            if row["first"] < since:
                continue
            came.append(row)
            while tool is not None and tool <= row["first"]:
                brought.append(tool)
                tool = next(later, None)
            while came[0]["first"] < row["first"] - within:
                came.popleft()
            while brought and brought[0] < row["first"] - within:
                brought.popleft()
            if (
                len(came) >= times * bars["many_networks"]
                and len(brought) >= times * bars["many_tools"]
                and _apart(context, came)
            ):
                return _Crowd(list(came), len(brought))
    return None


def _apart(context: DetectionContext, came: deque[Row]) -> bool:
    """Whether the networks are in enough countries; true if that can't be looked up."""
    countries = {context.addresses.of(row["ip"]).country for row in came} - {None}
    return not countries or len(countries) >= _COUNTRIES


def _hit(context: DetectionContext, known: Row, crowd: _Crowd) -> Hit:
    first, last = crowd.networks[0]["first"], crowd.networks[-1]["first"]
    addresses = listed(
        (context.addresses.in_words(row["ip"]) for row in crowd.networks), of=len(crowd.networks)
    )
    return Hit(
        about=(known["id"], "many hands"),
        time=first,
        severity="high" if known["kind"] == "long_term_key" else "medium",
        why=f"{named(known)} was used from {counted(len(crowd.networks), 'network')} and by "
        f"{counted(crowd.tools, 'tool')} that were new to it within {span(max(last - first, 1))} from {at(first)}, "
        f"as a key that was published: {addresses}.",
        subject=known["n"],
        places=(known["n"],),
        events=tuple(event_of(row) for row in crowd.networks),
        count=len(crowd.networks),
        thresholds=THRESHOLDS,
    )
