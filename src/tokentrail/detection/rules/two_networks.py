"""
One credential in two hands or more.

It was used from two networks in turn, from two countries one right after the other, or from many networks in a day.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.views import CREDENTIAL_DETAILS, CREDENTIAL_EVENTS, CREDENTIAL_IPS, PRINCIPAL_IPS
from tokentrail.formatting import at, counted, enumerated, lasting
from tokentrail.lineage.rows import Row

_PRIVATE = (
    "ip LIKE '10.%' OR ip LIKE '192.168.%' OR ip LIKE '127.%' OR ip LIKE '169.254.%' OR ip LIKE 'f%:%' "
    "OR regexp_matches(ip, '^172[.](1[6-9]|2[0-9]|3[01])[.]') OR regexp_matches(ip, "
    "'^100[.](6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])[.]')"
)
_NETWORKS = f"""
    SELECT *, count(*) OVER (PARTITION BY n, version) AS networks FROM (
      SELECT n, CASE WHEN ip LIKE '%:%' THEN 6 ELSE 4 END AS version, network, min(first) AS first, max(last) AS last
      FROM credential_ips WHERE NOT ({_PRIVATE}) AND n IN (
        SELECT n FROM credential_ips WHERE NOT ({_PRIVATE}) GROUP BY n HAVING min(network) < max(network))
      GROUP BY 1, 2, 3
    ) QUALIFY networks > 1"""
_ARRIVALS = """
    SELECT n, version, network, first FROM (
      SELECT *, sum(step) OVER (PARTITION BY n, version ORDER BY moment, turn ROWS UNBOUNDED PRECEDING) AS about FROM (
        SELECT n, version, network, first, first - {within} AS moment, 0 AS turn, 1 AS step FROM its_networks
        WHERE networks > {most}
        UNION ALL SELECT n, version, network, first, first, 1, 0 FROM its_networks WHERE networks > {most}
        UNION ALL SELECT n, version, network, first, last + {within}, 2, -1 FROM its_networks WHERE networks > {most}
      )
    ) WHERE turn = 1 AND about BETWEEN 2 AND {most}
    UNION ALL SELECT n, version, network, first FROM its_networks WHERE networks <= {most}"""
"""
Networks that a credential came to while it was in the hands of nothing that roams.

In years everybody has many networks: counted are those that it was used from within some weeks before and after.
"""
_CANDIDATES = """
    SELECT a.n, a.version, CASE WHEN min(k.networks) > {most} THEN min(a.first) - {within} END AS since,
           CASE WHEN min(k.networks) > {most} THEN max(a.first) + {within} END AS until
    FROM arrivals a JOIN its_networks k ON k.n = a.n AND k.version = a.version AND k.network = a.network
    GROUP BY a.n, a.version"""
"""What else a credential did in years does not matter, and may be much."""
_TURNS = f"""
    SELECT t.n, t.time, t.ip, t.agent, t.event_id, t.event_id_text, t.network, t.before, t.first_of_network,
           t.ip_before, t.time_before, t.settled
    FROM (
      SELECT v.*, lag(network) OVER (PARTITION BY n, version ORDER BY time, event_id) AS before,
             lag(ip) OVER (PARTITION BY n, version ORDER BY time, event_id) AS ip_before,
             lag(time) OVER (PARTITION BY n, version ORDER BY time, event_id) AS time_before
      FROM (
        SELECT d.n, c.version, d.time, d.ip, d.agent, d.event_id, d.event_id_text, s.network,
               w.first AS first_of_network, (a.n IS NOT NULL) AS settled
        FROM two_homes c JOIN credential_details k ON k.n = c.n
        JOIN credential_ips s ON s.n = c.n AND CASE WHEN s.ip LIKE '%:%' THEN 6 ELSE 4 END = c.version
        JOIN its_networks w ON w.n = c.n AND w.version = c.version AND w.network = s.network
        LEFT JOIN arrivals a ON a.n = c.n AND a.version = c.version AND a.network = s.network
        JOIN credential_events d ON d.n = s.n AND d.ip = s.ip AND NOT d.forwarded
                    AND d.time BETWEEN coalesce(c.since, d.time) AND coalesce(c.until, d.time)
        WHERE k.kind NOT IN ('console_session', 'forwarded', 'service_role') AND NOT ({_PRIVATE.replace("ip", "s.ip")})
      ) v
    ) t WHERE t.before <> t.network OR t.time = t.first_of_network
    ORDER BY t.n, t.time, t.event_id"""
"""Where a credential's address changes network, and where a network first appears."""
_PRINCIPAL_IPS = """
    SELECT h.* FROM principal_ips h JOIN credential_details k ON k.person = h.person
    WHERE k.n IN (SELECT n FROM turned_credentials)"""
_CROWD_THRESHOLDS = ("many_networks", "many_tools", "new_for", "habit_after")
_CROWDED = """
    SELECT DISTINCT w.n FROM (
      SELECT n, count(*) OVER (PARTITION BY n ORDER BY first RANGE BETWEEN {within} PRECEDING AND CURRENT ROW) AS about
      FROM its_networks
    ) w JOIN credential_details k ON k.n = w.n
    WHERE w.about >= {many} AND k.kind NOT IN ('console_session', 'forwarded', 'service_role')"""
_CROWD_NETWORKS = """
    SELECT w.n, w.first, d.ip, d.event_id, d.event_id_text
    FROM its_networks w JOIN crowded c ON c.n = w.n
    JOIN credential_ips s ON s.n = w.n AND s.network = w.network AND s.first = w.first
    JOIN credential_events d ON d.n = s.n AND d.ip = s.ip AND d.time = s.first AND NOT d.forwarded
    QUALIFY row_number() OVER (PARTITION BY w.n, w.network ORDER BY d.ip, d.event_id) = 1
    ORDER BY w.n, w.first, d.event_id"""
_CROWD_TOOLS = r"""
    SELECT d.n, regexp_extract(d.agent, '^\[?([^ \]]+)', 1) AS tool, min(d.time) AS first
    FROM credential_events d JOIN crowded c ON c.n = d.n WHERE NOT d.forwarded AND d.agent IS NOT NULL
    GROUP BY 1, 2 ORDER BY 1, 3"""
_COUNTRIES = 3
"""The least number of countries, if these can be looked up: the addresses of a gateway are in one or two."""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Look for a network that appears late and is used in turn with the old one, then for many at once."""
    bars = context.thresholds
    counts = {"most": bars.whole("most_networks"), "within": bars.whole("roams_within")}
    if not context.table("its_networks", _NETWORKS):
        return
    told = set[int | None]()
    if context.table("arrivals", _ARRIVALS.format(**counts)) and context.table(
        "two_homes", _CANDIDATES.format(**counts)
    ):
        for hit in _in_turn(context):
            told.add(hit.subject)
            yield hit
    yield from (hit for hit in _many_hands(context) if hit.subject not in told)


def _in_turn(context: DetectionContext) -> Iterator[Hit]:
    """Those of one late network: the first that counts of each credential."""
    bars = context.thresholds
    turns: dict[int, list[Row]] = {}
    for row in context.rows(_TURNS):
        turns.setdefault(row["n"], []).append(row)
    known = context.credentials(turns)
    context.add_credentials("turned_credentials", turns)
    homes = {(row["person"], row["ip"]): row for row in context.rows(_PRINCIPAL_IPS)}
    for n, its_turns in sorted(turns.items()):
        for came, back in _signs(context, its_turns, bars["returns_within"]):
            home = homes.get((known[n]["person"], came["ip"]))
            if (
                home is not None
                and home["elsewhere"] >= bars["habit_calls"]
                and came["time"] - home["first"] < bars["new_for"]
                and (hit := _hit(context, known[n], its_turns, came, back))
            ):
                yield hit
                break


def _signs(context: DetectionContext, turns: list[Row], within: float) -> Iterator[tuple[Row, Row | None]]:
    """
    First calls from a network that came later, each with the return to the one before it; then those without one.

    Whoever came may go on to other new networks before the old one is used again, as a thief does from exit to exit.
    The latter are from another country, soon after the last from the one before, which nobody travels as quickly.
    """
    came = [
        (place, row)
        for place, row in enumerate(turns)
        if place
        and row["settled"]
        and row["time"] == row["first_of_network"]
        and row["before"] not in (None, row["network"])
    ]
    for place, row in came:
        if (back := _back(turns, place, within)) is not None:
            yield row, back
    for _, row in came:
        if row["time"] - row["time_before"] <= within and context.addresses.far_apart(
            row["ip"], row["ip_before"]
        ):
            yield row, None


def _back(turns: list[Row], place: int, within: float) -> Row | None:
    """The return to the network before one that came at a place, with nothing but other new ones in between."""
    came = turns[place]
    for row in map(turns.__getitem__, range(place + 1, len(turns))):
        if row["time"] - came["time"] > within:
            return None
        if row["network"] == came["before"]:
            return row
        if row["first_of_network"] < came["time"]:
            return None
    return None


def _hit(context: DetectionContext, known: Row, turns: list[Row], came: Row, back: Row | None) -> Hit | None:
    there = {"ip": came["ip_before"], "network": came["before"]} if back is None else back
    other = came["agent"] not in {row["agent"] for row in turns if row["network"] == there["network"]}
    near = context.addresses.same_owner(came["ip"], there["ip"])
    far = context.addresses.far_apart(came["ip"], there["ip"])
    if not other and (back is None or not far):
        return None  # one machine that changes between office, home and train, or starts a tunnel
    tool = ", by another tool" if other else ", by the same tool"
    before = context.addresses.in_words(there["ip"])
    last = (
        f", {lasting(came['time'] - came['time_before'])} after {before}, in another country"
        if back is None
        else f", and from {before} again at {at(back['time'])}{', in another country' if far else ''}"
    )
    return Hit(
        about=(known["id"], event_of(came)),
        time=came["time"],
        severity=_severity(known, other=other, near=near, far=far),
        why=f"{named(known)} was used from {context.addresses.in_words(came['ip'])} at {at(came['time'])}, where it "
        f"was never used before{tool}{last}.",
        subject=known["n"],
        places=(known["n"],),
        events=tuple(event_of(row) for row in (came, back) if row),
        count=len(turns),
        thresholds=("most_networks", "roams_within", "returns_within", "new_for", "habit_calls"),
    )


@dataclass(frozen=True, slots=True)
class _Crowd:
    """What was new to a credential within a day: the first call from each network, and how many tools."""

    networks: list[Row]
    tools: int


def _many_hands(context: DetectionContext) -> Iterator[Hit]:
    """
    Look for days on which many networks and tools were new to a credential, as if it had been published.

    Somebody who travels uses one tool from many networks, hosted runners use few tools, and a program reaches many
    machines over weeks. A tool is the first word of `userAgent`, with its version.
    """
    bars = context.thresholds
    within = bars.whole("new_for")
    if not context.table("crowded", _CROWDED.format(within=within, many=bars.whole("many_networks"))):
        return
    networks, tools = dict[int, list[Row]](), dict[int, list[Row]]()
    for row in context.rows(_CROWD_NETWORKS):
        networks.setdefault(row["n"], []).append(row)
    for row in context.rows(_CROWD_TOOLS):
        tools.setdefault(row["n"], []).append(row)
    known = context.credentials(networks)
    for n, arrived in sorted(networks.items()):
        crowd = _crowd(context, arrived, tools.get(n, []), within)
        if crowd is not None:
            yield _crowd_hit(context, known[n], crowd)


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


def _crowd_hit(context: DetectionContext, known: Row, crowd: _Crowd) -> Hit:
    first, last = crowd.networks[0]["first"], crowd.networks[-1]["first"]
    addresses = enumerated(
        (context.addresses.in_words(row["ip"]) for row in crowd.networks), of=len(crowd.networks)
    )
    return Hit(
        about=(known["id"], "many hands"),
        time=first,
        severity="high" if known["kind"] == "long_term_key" else "medium",
        why=f"{named(known)} was used from {counted(len(crowd.networks), 'network')} and by "
        f"{counted(crowd.tools, 'tool')} that were new to it within {lasting(max(last - first, 1))} from {at(first)}, "
        f"as a key that was published: {addresses}.",
        subject=known["n"],
        places=(known["n"],),
        events=tuple(event_of(row) for row in crowd.networks),
        count=len(crowd.networks),
        thresholds=_CROWD_THRESHOLDS,
    )


def _severity(known: Row, *, other: bool, near: bool, far: bool) -> Severity:
    """Another tool weighs most; one owner of both addresses takes away, and two countries add."""
    if near or not other:
        return "low"
    return "high" if far or known["kind"] == "long_term_key" else "medium"


RULE = Rule(
    id="two-networks",
    title="A credential is used from two networks that do not fit together",
    severity="high",
    attack=("T1078.004", "T1552.001"),
    why="One credential in two places at a time is in two hands; one that is new to many networks and tools on one "
    "day was published.",
    false_alarm="A laptop between office and phone keeps its tool, and is left out; with --geoip it is told at low "
    "severity where the two are in different countries. A key that a team shares, or that many pipelines are given "
    "on one day, looks as one that was published, unless --geoip tells that all of it lies in one or two countries. "
    "Networks are compared by their first two numbers; with --geoip, one owner in one country is one network. Who "
    "moves to another country and does not come back is told with --geoip alone, and only with another tool.",
    references=(
        "Elastic, issues 5412, 4753 and 5310: noise of address rules, console sessions, IPv6 beside IPv4",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, CREDENTIAL_EVENTS, CREDENTIAL_IPS, PRINCIPAL_IPS),
    thresholds=(
        "most_networks",
        "roams_within",
        "returns_within",
        "new_for",
        "habit_calls",
        "many_networks",
        "many_tools",
        "habit_after",
    ),
)
