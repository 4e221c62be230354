"""
Sign-in sessions of `aws login` that tainted credentials opened and that were not yet seen in use.

The record of the grant names no key, so that the inventory has no credential for it before one is used. Its refresh
token is valid for twelve hours or as long as its user or role may stay signed in (`credential_sources.SIGN_IN`), and
credentials that it is exchanged for later are newer than any cutoff (AWS Sign-In User Guide, 'Sign in through the AWS
CLI').
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

import pyarrow.compute as pc

from tokentrail.containment.incident.credential_sources import SIGN_IN, TaintedCredential, refreshing
from tokentrail.containment.incident.incident_model import Source
from tokentrail.lineage import rollups, rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.trace import Narrowing

_CALL = "CreateOAuth2Token"
_GRANTS = """
SELECT a.n, a.time, a.ip, i.sign_in_session FROM acts a JOIN issuances i
  ON i.segment = a.segment AND i.object = a.object AND i.ordinal = a.ordinal
WHERE i.api LIKE 'CreateOAuth2Token%' ORDER BY a.time, a.event_id"""


def logins(
    forest: Forest,
    tainted: Iterable[TaintedCredential],
    ids: Mapping[int, str],
    own: Set[str],
    narrowing: Narrowing,
) -> Iterator[Source]:
    """
    The sign-in sessions.

    One whose credentials are known is also found by `credential_sources.behind`; `once` merges them.

    Args:
        forest: The forest of the trace.
        tainted: The tainted credentials.
        ids: The ids of the same, by place.
        own: The ids of those that may also be in their owner's hands.
        narrowing: Which acts of these are the attacker's.
    """
    seen = {one.held.id: one for one in tainted}
    calls: Any = forest.rolled_up(ids, rollups.APIS)
    places = set(calls.filter(pc.starts_with(calls["name"], _CALL))["n"].to_pylist())
    told = {one.credential.parent for one in seen.values() if one.held.kind == "oauth_login"}
    for row in forest.done_by(places, _GRANTS) if places else ():
        one, time = ids[row["n"]], rows.moment(row["time"])
        if time is None or forest.as_of - time >= SIGN_IN:
            continue
        if one in own and not narrowing.admits(time, row["ip"]):
            continue
        if row["sign_in_session"] or one not in told:
            yield refreshing(seen[one].held, row["sign_in_session"])
