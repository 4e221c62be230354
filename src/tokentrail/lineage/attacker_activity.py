"""When, from where and with which tools the attacker's credentials were used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokentrail.lineage.activity import time_of
from tokentrail.lineage.addresses import parse_address
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Trace
from tokentrail.lineage.rows import Row, event_id
from tokentrail.lineage.trace import Narrowing
from tokentrail.results import AttackerActivity, UsedFrom

_MOST = 200_000
"""Pairs of an address and a user agent that are looked at, by first use: who makes up more has hidden in none."""
_AGENT = 160
"""Characters of a user agent by which tools are told apart."""
_CALLS = f"""
SELECT n, ip, agent, calls, first, last, head FROM (
  SELECT n, ip, left(trim(agent, '[]'), {_AGENT}) AS agent, count(*) AS calls, min(time) AS first, max(time) AS last,
         min(struct_pack(time := time, event_id := event_id, event_id_text := event_id_text, source := source,
                         name := name)) AS head
  FROM acts GROUP BY ALL)
ORDER BY first, n, ip, agent LIMIT {_MOST}"""


def attacker_activity(forest: Forest, found: Trace, narrowing: Narrowing) -> AttackerActivity:
    """Sum up the calls of a trace's tainted credentials; of the subjects' own, those that the narrowing admits."""
    tainted = {one.id for one in found.credentials if one.tainted}
    made = {link.child for link in found.links if link.parent in tainted and link.parent != link.child}
    ids = {place: name for name in sorted(tainted) for place in forest.places_of_ids([name])}
    every = forest.done_by(ids, _CALLS) if ids else ()
    subjects = {place for place, name in ids.items() if name not in made}
    counted = [row for row in every if row["n"] not in subjects or _admitted(narrowing, row)]
    first = min((row["head"] for row in counted), key=lambda head: head["time"], default=None)
    shared = _used_from_several([row for row in counted if row["n"] in subjects])
    return AttackerActivity(
        first=time_of(first["time"]) if first else None,
        first_call=_call(first) if first else None,
        first_event=event_id(first["event_id"], first["event_id_text"]) if first else None,
        last=time_of(max(row["last"] for row in counted)) if counted else None,
        calls=sum(row["calls"] for row in counted),
        addresses=_used(counted, "ip"),
        tools=_used(counted, "agent"),
        shared_from=tuple(sorted(_used(shared, "ip"), key=lambda one: (one.first, one.name))),
    )


def _call(head: Row) -> str:
    return f"{(head['source'] or '?').removesuffix('.amazonaws.com')}:{head['name'] or '?'}"


def _admitted(narrowing: Narrowing, row: Row) -> bool:
    return narrowing.admits(time_of(row["last"]), row["ip"])


def _used(counted: Iterable[Row], column: str) -> tuple[UsedFrom, ...]:
    """The values of a column, the most used first."""
    by_name: dict[str, list[Row]] = {}
    for row in counted:
        if row[column]:
            by_name.setdefault(row[column], []).append(row)
    used = (
        UsedFrom(
            name=name,
            calls=sum(row["calls"] for row in alike),
            first=time_of(min(row["first"] for row in alike)),
            last=time_of(max(row["last"] for row in alike)),
        )
        for name, alike in by_name.items()
    )
    return tuple(sorted(used, key=lambda one: (-one.calls, one.name)))


def _used_from_several(own: Sequence[Row]) -> list[Row]:
    """The uses of those subjects that were used from several addresses."""
    addresses: dict[int, set[str]] = {}
    for row in own:
        if parse_address(row["ip"]):  # a service that calls for somebody is no place
            addresses.setdefault(row["n"], set()).add(row["ip"])
    return [row for row in own if len(addresses.get(row["n"], ())) > 1]
