"""
Find candidates: credentials that may meet a condition, by the records that hold a name or a text.

Describing every credential of a large case takes gigabytes. So candidates are found first; only these are described,
and the condition decides among them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import pyarrow as pa

from tokentrail.store.interface import Engine

Thing = TypeVar("Thing")
EVERYWHERE = {f"some_{name}": name for name in ("events", "identities", "issuances")}
"""The tables of segments with all of these."""
_FOUND = """
SELECT DISTINCT f.n FROM credentials f JOIN (
  SELECT w.n FROM credential_identities w JOIN named_identities i ON i.segment = w.segment AND i.identity = w.identity
  UNION ALL
  SELECT f.n FROM credentials f JOIN named_identities i ON i.segment = f.segment AND i.identity = f.identity
  UNION ALL
  SELECT f.n FROM credentials f JOIN named_calls c
  ON c.segment = f.segment AND c.object = f.object AND c.ordinal = f.ordinal
  UNION ALL
  {others}
) s ON s.n = f.n WHERE ({among}) ORDER BY f.n"""
_NAMED = "split_part({}, '/', -1) IN (SELECT name FROM asked_names)"
_WITHIN = "split_part({}, ':', 5) IN (SELECT account FROM asked_accounts)"
_HOLDS = "contains(lower({}), lower(?))"
_IN_IDENTITY = ("i.arn", "i.issuer_arn", "i.principal_id")
_IN_ISSUANCE = ("c.child_arn", "c.role_arn", "c.session_name", "c.ip")
HASHED = {
    "identities": (
        "split_part(arn, '/', -1)",
        "CASE WHEN issuer_arn IS NOT NULL THEN split_part(issuer_arn, '/', -1) "
        "WHEN arn LIKE '%:assumed-role/%' THEN split_part(arn, '/', 2) END",
        "split_part(principal_id, ':', 1)",
        "split_part(principal_id, ':', -1)", "on_behalf_of", "origin_subject",
        "CASE WHEN key_id NOT LIKE 'AKIA%' OR type IN ('AssumedRole', 'Role', 'FederatedUser') THEN key_id END",
    ),
    "issuances": (
        "split_part(child_arn, '/', -1)", "split_part(role_arn, '/', -1)", "session_name",
        "split_part(child_id, ':', 1)", "split_part(child_id, ':', -1)", "split_part(target, ':', 1)",
        "key_id",
    ),
    "(SELECT DISTINCT segment, ip FROM events)": ("ip",),
}  # fmt: skip
"""By table, the names that segments are found by: what stands behind an ARN's last slash, the role's name in the ARN of
a session without issuer, both parts of a principal id, whom somebody acts for, and the keys of calls,
but for long-term ones, which are in most segments."""
_IN_FOREST = ("k.id", "array_to_string(k.keys, ' ')")


def by_names(
    engine: Engine, names: Sequence[str], among: str = "TRUE", accounts: Collection[str] = ()
) -> list[int]:
    """
    Credentials with an ARN that ends in one of some names: their own, their role's or their issuer's; and sessions
    that were requested under one of these names.

    Args:
        engine: Knows the derived tables and the evidence.
        names: The last part of an ARN, or the whole of one without a slash.
        among: A condition on the `credentials` table, known as `f`.
        accounts: Those of the ARNs; all where none is given, since roles are often called alike in many.
    """
    engine.register("asked_names", pa.table({"name": pa.array(names, pa.string())}))
    engine.register("asked_accounts", pa.table({"account": pa.array(sorted(accounts), pa.string())}))
    seen, issued = (
        " OR ".join(_called(column, within=bool(accounts)) for column in columns)
        for columns in (_IN_IDENTITY[:2], _IN_ISSUANCE[:3])
    )
    others = "SELECT n FROM credentials WHERE created_owner IN (SELECT name FROM asked_names)"
    register_recorded(engine, seen, issued, some=engine.holding(names=names))
    return _places(engine, _FOUND.format(others=others, among=among))


def _called(column: str, *, within: bool) -> str:
    """Whether a column ends in one of the names asked for, and is of one of the accounts if it is an ARN."""
    named = _NAMED.format(column)
    return f"({named} AND {_WITHIN.format(column)})" if within and column.endswith("arn") else named


def by_text(engine: Engine, text: str, among: str = "TRUE", parameters: Sequence[str] = ()) -> list[int]:
    """Credentials of which a name, key or address contains a text, in any case; `among` as in `by_names`."""
    seen, issued, own = (
        " OR ".join(map(_HOLDS.format, listed)) for listed in (_IN_IDENTITY, _IN_ISSUANCE, _IN_FOREST)
    )
    others = f"""SELECT k.n FROM credentials k WHERE {own}
  UNION ALL
  SELECT w.n FROM credential_identities w JOIN (
    SELECT DISTINCT e.segment, e.identity FROM facts e WHERE {_HOLDS.format("e.ip")}
  ) e ON e.segment = w.segment AND e.identity = w.identity"""
    register_recorded(engine, seen, issued, (text,) * len(_IN_IDENTITY), (text,) * len(_IN_ISSUANCE))
    asked = (text,) * (len(_IN_FOREST) + 1)
    return _places(engine, _FOUND.format(others=others, among=among), (*asked, *parameters))


def earliest(engine: Engine, places: Collection[int], most: int) -> list[int]:
    """Of some credentials those that began first, as far as the evidence tells."""
    if len(places) <= most:
        return sorted(places)
    engine.register("begun", pa.table({"n": pa.array(sorted(places), pa.int64())}))
    sql = "SELECT f.n FROM credentials f JOIN begun b ON b.n = f.n"
    return _places(engine, f"{sql} ORDER BY coalesce(f.issued_at, f.first) NULLS FIRST, f.n LIMIT {most}")


def hashes(engine: Engine) -> Iterator[pa.RecordBatch]:
    """The hashes of the names in an engine's segments, each with its `segment`."""
    for table, names in HASHED.items():
        listed = ", ".join(f"hash({name}) AS name_{place}" for place, name in enumerate(names))
        yield from engine.batches(f"SELECT segment, {listed} FROM {table}")


def register_recorded(
    engine: Engine,
    seen: str,
    issued: str,
    of_seen: Sequence[Any] = (),
    of_issued: Sequence[Any] = (),
    some: Mapping[str, str] = EVERYWHERE,
) -> tuple[pa.Table, pa.Table]:
    """
    Register the identities and the issuing calls that meet conditions, as `named_identities` and `named_calls`.

    This is a query of its own: an engine that does not know how few there are would join in the wrong order.

    Args:
        engine: Knows the evidence.
        seen: The condition on an identity `i`.
        issued: The condition on an issuing call `c`.
        of_seen: The parameters of `seen`.
        of_issued: The parameters of `issued`.
        some: The segments to look in, if it is known which may hold them (`Engine.holding`).

    Returns:
        Both tables; each row has `key_id`, and `created` where the record has a time.
    """
    said = engine.table(
        f"SELECT i.segment, i.identity, i.key_id, i.created FROM {some['some_identities']} i WHERE {seen}",
        of_seen,
    )
    engine.register("named_identities", said)
    calls = engine.table(
        "SELECT c.segment, c.object, c.ordinal, c.api, c.key_id, c.time AS created "
        f"FROM {some['some_issuances']} c WHERE {issued}",
        of_issued,
    )
    engine.register("named_calls", calls)
    return said, calls


def places_in(found: pa.Table) -> set[int]:
    """The places that a table names."""
    return {row["n"] for row in found.select(["n"]).to_pylist()}


def _places(engine: Engine, sql: str, parameters: Sequence[str] = ()) -> list[int]:
    return [row["n"] for row in engine.rows(sql, parameters)]


def batches(things: Sequence[Thing], most: int) -> Iterator[Sequence[Thing]]:
    """Cut a sequence into batches."""
    return (things[start : start + most] for start in range(0, len(things), most))
