"""
Find the credentials that some records belong to: those that made calls, and those that calls issued.

Few records are looked up by their key ids; for many, a query over the whole forest takes less time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from tokentrail.lineage.candidates import places_in
from tokentrail.lineage.link import facts_of
from tokentrail.lineage.subtree_query import LOOKED_UP
from tokentrail.store.interface import Engine

_CALLED = """
SELECT DISTINCT e.segment, e.identity, i.key_id, i.created FROM ({}) e
LEFT JOIN {} i ON i.segment = e.segment AND i.identity = e.identity WHERE {}"""
_CAME = """
SELECT * FROM (
  SELECT e.ip, e.segment, e.identity, any_value(i.key_id) AS key_id, any_value(i.created) AS created,
         any_value(i.principal_id) AS principal, min(e.time) AS first
  FROM ({}) e LEFT JOIN {} i ON i.segment = e.segment AND i.identity = e.identity
  WHERE e.ip IN (SELECT unnest(?))
    AND NOT EXISTS (SELECT 1 FROM besides b WHERE b.segment = e.segment AND b.identity = e.identity)
  GROUP BY e.ip, e.segment, e.identity)
QUALIFY count(DISTINCT coalesce(principal || ' ' || created::VARCHAR, key_id)) OVER (PARTITION BY ip) <= ?"""
"""A session of the console shows many keys, all under one principal and time: none is counted twice."""
_ACTING_FOR = """
SELECT i.segment, i.identity, i.key_id, i.created, i.on_behalf_of, i.origin_subject, i.origin_issuer FROM {} i
WHERE i.on_behalf_of IN (SELECT unnest($1)) OR i.origin_subject IN (SELECT unnest($1))"""
_FIRST_EVENT = """
SELECT e.segment, e.identity, min({{'time': e.time, 'event': e.event_id, 'text': e.event_id_text}}) AS first
FROM ({}) e SEMI JOIN named_identities i ON i.segment = e.segment AND i.identity = e.identity GROUP BY ALL"""
_WHO = "FROM credential_identities w JOIN named_identities i ON i.segment = w.segment AND i.identity = w.identity"
_ISSUED = """
SELECT f.n FROM credentials f
JOIN named_calls c ON c.segment = f.segment AND c.object = f.object AND c.ordinal = f.ordinal"""
_IDENTITIES = pa.schema({"segment": pa.int64(), "identity": pa.int64()})
Identity = tuple[int, int]
"""A segment, and the number of an identity in it."""


class ActingFor(NamedTuple):
    """That the calls of a credential name a person (`onBehalfOf`)."""

    n: int
    """The credential's place."""
    person: str
    issuer: str | None
    """Who vouches for the name; `None` for the user id of a directory of IAM Identity Center."""
    time: int
    """Of the first such call."""
    event_id: bytes | None
    event_text: str | None


def callers(engine: Engine, some: Mapping[str, str], where: str, value: Any) -> set[int]:
    """The credentials that made the calls that meet a condition on facts `e`, in some segments."""
    facts = facts_of(engine, some["some_events"])
    called = engine.table(_CALLED.format(facts, some["some_identities"], where), (value,))
    return set(_owners(engine, called).values())


def first_from(
    engine: Engine, addresses: Sequence[str], most: int, besides: Collection[int]
) -> dict[str, dict[int, int]]:
    """
    The credentials that called from some addresses, with the time of the first call, by address and place.

    Args:
        engine: Knows the forest, and all evidence.
        addresses: The addresses.
        most: An address from which more credentials than this called is left out.
        besides: The places of credentials that are left out, and do not count.
    """
    own = engine.rows_with("credential_identities", "n", sorted(besides))
    engine.register("besides", pa.Table.from_pylist(own, _IDENTITIES))
    some = engine.holding(names=addresses)
    events = facts_of(engine, some["some_events"])
    came = engine.table(_CAME.format(events, some["some_identities"]), (list(addresses), most))
    found: dict[str, dict[int, int]] = {}
    owners = _owners(engine, came)
    for row in came.to_pylist():
        n = owners.get((row["segment"], row["identity"]))
        if n is not None:
            there = found.setdefault(row["ip"], {})
            there[n] = min(there.get(n, row["first"]), row["first"])
    return {ip: there for ip, there in found.items() if len(there) <= most}


def acting_for(engine: Engine, persons: Sequence[str]) -> list[ActingFor]:
    """
    The credentials whose calls name some persons, each with the first such call: the earliest first.

    A person is named by the user id in a directory of Identity Center, or by the subject that the identity provider or
    the certificate vouched for. AWS puts it into the session, and no caller can change it (IAM User Guide, 'Trusted
    identity propagation with IAM').
    """
    some = engine.holding(names=persons)
    named = engine.table(_ACTING_FOR.format(some["some_identities"]), (list(persons),))
    if not named.num_rows:
        return []
    owners = _owners(engine, named)
    engine.register("named_identities", named)
    events = engine.table(_FIRST_EVENT.format(facts_of(engine, some["some_events"]))).to_pylist()
    firsts = {(row["segment"], row["identity"]): row["first"] for row in events}
    found: dict[tuple[int, str, str | None], ActingFor] = {}
    asked = frozenset(persons)
    for row in named.to_pylist():
        where = row["segment"], row["identity"]
        if where not in owners or where not in firsts:
            continue
        names = {(row["on_behalf_of"], None), (row["origin_subject"], row["origin_issuer"])}
        for person, issuer in names:
            if person in asked:
                first = firsts[where]
                one = ActingFor(owners[where], person, issuer, first["time"], first["event"], first["text"])
                before = found.setdefault(one[:3], one)
                found[one[:3]] = min(before, one, key=lambda told: (told.time, told.event_id or b""))
    return sorted(found.values(), key=lambda one: (one.time, one.n, one.person, one.issuer or ""))


def seen_as(engine: Engine, identities: pa.Table) -> set[int]:
    """The credentials of some recorded identities (`named_identities`), and perhaps others with one of their keys."""
    return _bearing(engine, identities, f"SELECT w.n {_WHO}")


def issued_by(engine: Engine, calls: pa.Table) -> set[int]:
    """The credentials that some calls (`named_calls`) issued, and perhaps others with one of the keys of these."""
    return _bearing(engine, calls, _ISSUED)


def issued_by_all(engine: Engine) -> set[int]:
    """The credentials that some calls (`named_calls`) issued, and no others."""
    return places_in(engine.table(_ISSUED))


def _bearing(engine: Engine, recorded: pa.Table, every: str) -> set[int]:
    """The credentials of recorded identities or issuing calls: by their keys, or by a query."""
    keys = _keys(recorded)
    if keys is None:
        return places_in(engine.table(every))
    return {row["n"] for row in engine.rows_with("names", "name", keys)}


def _owners(engine: Engine, called: pa.Table) -> dict[Identity, int]:
    """The credential of each caller, by segment and identity: each identity is of one (`4_credentials.sql`)."""
    keys = _keys(called)
    if keys is None:
        engine.register("named_identities", called)
        owned = engine.table(f"SELECT DISTINCT w.segment, w.identity, w.n {_WHO}").to_pylist()
    else:
        bearing = {row["n"] for row in engine.rows_with("names", "name", keys)}
        owned = engine.rows_with("credential_identities", "n", sorted(bearing))
    theirs = {(row["segment"], row["identity"]) for row in called.select(["segment", "identity"]).to_pylist()}
    told = ((row["segment"], row["identity"], row["n"]) for row in owned)
    return {(segment, identity): n for segment, identity, n in told if (segment, identity) in theirs}


def _keys(recorded: pa.Table) -> list[str] | None:
    """
    The key ids by which to find the credentials of recorded identities or calls; `None` where a query must find them.

    Rows with neither key id nor time belong to no credential. A query is needed for rows with a time alone, and for
    many rows.

    Args:
        recorded: Has the columns `key_id`, and `created` where the rows have a time.
    """
    rows = recorded.select(["key_id", "created"]).to_pylist()
    keyless = any(not row["key_id"] and row["created"] is not None for row in rows)
    if keyless or len(rows) > LOOKED_UP:
        return None
    return sorted({row["key_id"] for row in rows if row["key_id"]})
