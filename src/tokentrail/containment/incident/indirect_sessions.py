"""
Sessions that may be the attacker's though only one side of how they came to be is in the evidence.

Lake Formation, another partition of AWS and partners with delegated access get sessions in somebody's name. Where the
evidence holds both sides, lineage joins them. Where it holds one, nothing tells whose the session is, or which session
there is: the proof then rests on a condition, which names what there is.
Source: AWS Lake Formation Developer Guide, 'Cross-account CloudTrail logging'; IAM User Guide, 'Auditing
cross-partition identity federation' and 'Temporary delegation'; IAM API Reference, 'AcceptDelegationRequest' and
'SendDelegationToken'.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import timedelta
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from tokentrail.aws.principals import Principal
from tokentrail.containment.incident.assumption import Assumption
from tokentrail.containment.incident.attacker_action import AttackerAction
from tokentrail.containment.incident.credential_sources import TaintedCredential
from tokentrail.containment.incident.incident_model import HeldCredential
from tokentrail.containment.incident.taint_sources import SESSION_NAMED
from tokentrail.formatting import quoted
from tokentrail.lineage import rollups, rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import State
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trace import Narrowing

_FEDERATES = "GetWebIdentityToken"
_DELEGATING = frozenset({"AcceptDelegationRequest", "SendDelegationToken"})
_ASKED = """
SELECT a.n, a.time, a.ip, a.event_id, a.event_id_text, i.api, i.session_name, i.token_id
FROM acts a JOIN issuances i
  ON i.segment = a.segment AND i.object = a.object AND i.ordinal = a.ordinal
WHERE i.api IN ('lakeformation:GetDataAccess', 'GetWebIdentityToken') ORDER BY a.time, a.event_id"""
DATA_LIFE = timedelta(hours=12)
"""
How long a session of Lake Formation's lasts at most.

Source: AWS Lake Formation API Reference, 'GetTemporaryGlueTableCredentials' (DurationSeconds).
"""


class Asked(NamedTuple):
    """What the attacker asked Lake Formation and STS for; of a record that names nothing, the event."""

    sessions: Mapping[str, int]
    """The names of the sessions that Lake Formation gave, with the second in which each was last asked for."""
    tokens: Set[str]
    """The ids of the tokens that STS gave."""


def asked(forest: Forest, ids: Mapping[int, str], subjects: Set[str], narrowing: Narrowing) -> Asked:
    """
    What the attacker was given, by name.

    Args:
        forest: The forest of the trace.
        ids: The ids of the tainted credentials, by place.
        subjects: The ids of those that may also be in their owner's hands.
        narrowing: Which calls of these are the attacker's.
    """
    calls: Any = forest.rolled_up(ids, rollups.APIS)
    named = pc.is_in(calls["name"].cast(pa.string()), value_set=pa.array([_FEDERATES, "GetDataAccess"]))
    places: set[int] = {*calls.filter(named)["n"].to_pylist()}
    sessions, tokens = dict[str, int](), set[str]()
    for row in forest.done_by(places, _ASKED) if places else ():
        if ids[row["n"]] in subjects and not narrowing.admits(rows.moment(row["time"]), row["ip"]):
            continue
        event = f"event {rows.event_id(row['event_id'], row['event_id_text'])}"
        if row["api"] == _FEDERATES:
            tokens.add(row["token_id"] or event)
        else:
            name = row["session_name"] or event
            sessions[name] = max(row["time"], sessions.get(name, 0))
    return Asked(sessions, tokens)


def unseen_grants(
    forest: Forest, given: Asked, tainted: Iterable[TaintedCredential], actions: Iterable[AttackerAction]
) -> Iterator[Assumption]:
    """What the attacker was given, or gave a partner, and whose use is not in the evidence."""
    since = int((forest.as_of - DATA_LIFE).timestamp())
    held = [one.held for one in tainted]
    names = {one.caller.session_name for one in held}
    left = sorted(name for name, time in given.sessions.items() if name not in names and time > since)
    known = _session_names(forest, left)
    if unused := [name for name in left if name not in known]:
        yield _grant("data_access", unused, None)
    opened = {one.whose for one in forest.requests.of(sorted(given.tokens)) if one.what == "token"}
    if unused := sorted(given.tokens - opened):
        yield _grant("token", unused, None)
    yield from _delegations(actions, held)


def _grant(kind: str, names: Iterable[str], principal: Principal | None) -> Assumption:
    return Assumption.of(kind, names=tuple(map(quoted, names)), principal=principal)


def _session_names(forest: Forest, names: Sequence[str]) -> set[str]:
    """Those of some names under which a session is in the evidence."""
    found = forest.called_rows(names, SESSION_NAMED, (names, names)) if names else ()
    return {name for row in found if (name := rows.caller(row).session_name)}


def _delegations(actions: Iterable[AttackerAction], held: Sequence[HeldCredential]) -> Iterator[Assumption]:
    """The requests that each credential of the attacker's accepted or sent, whether a partner was seen or not."""
    by = {one.id: one.principal for one in held}
    found: dict[str, set[str]] = {}
    for action in actions:
        if action.name in _DELEGATING and action.by in by:
            found.setdefault(action.by, set()).add(
                action.asked("delegationRequestId") or f"event {action.event_id}"
            )
    for credential, requests in sorted(found.items()):
        yield _grant("delegation", sorted(requests), by[credential])


def possible_sessions(
    forest: Forest,
    given: Asked,
    tainted: Sequence[TaintedCredential],
    others: Iterable[tuple[Row, HeldCredential, State]],
) -> list[Assumption]:
    """
    Credentials that may still work, are not tainted, and whose records name one of the attacker's principals.

    Args:
        forest: The forest of the trace.
        given: What the attacker was given.
        tainted: All credentials of the attacker's.
        others: The other living credentials of the principals within reach.
    """
    found = {
        row[
            "id"
        ]: f"account {row['delegate']} acts with it by a delegation that nobody in the evidence accepted"
        for row, one, state in others
        if one.kind == "delegated" and row["parent_id"] is None and state in ("active", "unknown")
    }
    found |= _requested(forest, given, tainted)
    for one in tainted:
        found.pop(one.held.id, None)
    return [Assumption.of("possible", one, one, why=why) for one, why in sorted(found.items())]


def _requested(forest: Forest, given: Asked, tainted: Sequence[TaintedCredential]) -> dict[str, str]:
    """The credentials that were asked for in the names of the attacker's principals, with the reason for each."""
    since = (forest.as_of - DATA_LIFE).timestamp()
    recent = [one for one in forest.requests.of(sorted(_names(tainted))) if one.time > since]
    sources = {one.name: one.whose for one in recent if one.what == "key"}
    names = sorted({one.name for one in recent if one.what == "session"} | given.sessions.keys())
    listed = [
        *(forest.called_rows(names, SESSION_NAMED, (names, names)) if names else ()),
        *forest.named(sorted(sources)),
    ]
    unnamed = {None, *_forwarded(forest, listed)}
    listed = [row for row in listed if row["parent_n"] in unnamed]
    return {
        one.id: f"{sources[one.id]} asked for the token that opened it"
        if one.id in sources
        else "Lake Formation gave it to a principal of the attacker's"
        for one in forest.credentials(listed)
        if one.may_mint
    }


def _names(tainted: Iterable[TaintedCredential]) -> set[str]:
    """By what records name the attacker's principals: unique ids, and the ARNs of users and roles."""
    callers = [one.held.caller for one in tainted]
    named = (name for one in callers for name in (one.principal_id, one.role or one.principal))
    return {name for name in named if name}


def _forwarded(forest: Forest, listed: Iterable[Row]) -> set[int]:
    """The parents that are calls of a service on behalf of somebody, whose credential no record tells."""
    parents = {row["parent_n"] for row in listed if row["parent_n"] is not None}
    return (
        {row["n"] for row in forest.chosen_rows(parents) if row["kind"] == "forwarded"} if parents else set()
    )
