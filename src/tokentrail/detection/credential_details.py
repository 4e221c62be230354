"""
The view `credential_details`: a query, or with many credentials, files that queries read in part.

Describing a credential joins records of the segments in which it was issued and used. With many credentials, those
issued in some segments are described at a time, so that the joins need memory for these segments alone; a session is
rarely used in many.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tokentrail.lineage.link import ROOTS, statements
from tokentrail.store.interface import Engine

_TOGETHER = 32_768
"""Credentials that are described at once; with more, the rows are written to files."""
_TURNS = 64
"""Rounds at most, since each reads the whole forest; with more credentials, each round takes more of them."""

_DETAILS = """
    SELECT n, parent_n, root_n, depth, id, root_id, parent_link, created_what, created_owner, created_time,
           created_ip, kind, key_account, seen_account, principal_id, arn, mfa, issuer_type, issuer_arn,
           federated_provider, source_identity, ec2_delivery, in_scope_of, sign_in_session, on_behalf_of,
           origin_subject, origin_issuer, api, issue_event, issue_text, issue_ip, issue_account, issued_time,
           child, child_arn, role_arn, session_name, mfa_serial, target, subject, caller_account, caller_arn,
           caller_name, caller_service, issued_at, expires_at, expires_bound, first, last, {person} AS person,
           coalesce(k.issuer_arn, k.role_arn) AS into_role
    FROM ({described}) k"""
_PERSON = """
    CASE WHEN coalesce(k.issuer_arn, k.role_arn, '') LIKE '%/AWSReservedSSO_%'
              OR k.kind IN ('federation_token', 'assumed_role_saml')
         THEN coalesce(k.arn, k.child_arn, k.issuer_arn, k.role_arn)
         ELSE coalesce(k.issuer_arn, k.arn, k.role_arn, k.child_arn, k.caller_arn) END"""
"""By whose habits a credential is judged: its user's, its role's, or its person's where many share a role."""
_ALL = {
    "credentials": "credentials", "kin": "(SELECT n, id FROM credentials LIMIT 0)", "roots": ROOTS,
    "credential_identities": "credential_identities",
    "identities": "identities", "callers": "identities", "issuances": "issuances",
    "acts": "(SELECT n, CAST(NULL AS VARCHAR) AS ip FROM credential_identities WHERE FALSE)",
}  # fmt: skip
"""No rule needs the id of a parent, or all addresses of a credential: these tables are empty."""
_SOME = {
    "credentials": "described", "credential_identities": "described_places",
    "callers": """(SELECT i.* FROM {identities_there} i
                   SEMI JOIN described h ON h.segment = i.segment AND h.identity = i.identity)""",
    "issuances": "{issuances_there}",
}  # fmt: skip
_USED = (
    "(SELECT i.* FROM {} i SEMI JOIN described_places p ON p.segment = i.segment AND p.identity = i.identity)"
)
"""Narrows identities first: for a long-term key, used in every segment, the engine would else join all identities."""
_WIDE = 4
"""If credentials are used in this many times as many segments as they were issued in, identities are narrowed."""
_SEGMENTS = """
    SELECT segment, count(*) AS credentials FROM credentials GROUP BY segment
    ORDER BY segment IS NOT NULL, min(issued_time), segment"""
_PLACES = "SELECT w.* FROM credential_identities w SEMI JOIN described d ON d.n = w.n"


def all_at_once() -> str:
    """The query for the described rows of all credentials."""
    return _query(_ALL)


def are_many(engine: Engine) -> bool:
    """Whether a case has too many credentials to describe them at once."""
    [row] = engine.rows("SELECT count(*) AS credentials FROM credentials")
    return bool(row["credentials"] > _TOGETHER)


def write_files(engine: Engine, folder: Path) -> None:
    """Write the described rows of all credentials to files in a folder, those of some segments at a time."""
    listed = engine.rows(_SEGMENTS)
    most = max(_TOGETHER, sum(row["credentials"] for row in listed) // _TURNS)
    for number, (segments, where) in enumerate(_turns(listed, most)):
        engine.run(f"CREATE OR REPLACE TEMP TABLE described AS SELECT * FROM credentials WHERE {where}")
        engine.run(f"CREATE OR REPLACE TEMP TABLE described_places AS {_PLACES}")
        used = {row["segment"] for row in engine.rows("SELECT DISTINCT segment FROM described_places")}
        there = {f"{name.removeprefix('some_')}_there": sql for name, sql in engine.narrow(segments).items()}
        sources = {name: source.format_map(there) for name, source in _SOME.items()}
        identities = engine.narrow(used)["some_identities"]
        wide = len(used) > _WIDE * len(segments)
        sources["identities"] = _USED.format(identities) if wide else identities
        engine.park(_query(_ALL | sources), folder / f"{number}.parquet")
        engine.release()
    engine.run("DROP TABLE described")
    engine.run("DROP TABLE described_places")


def _turns(listed: list[dict[str, int | None]], most: int) -> Iterator[tuple[set[int], str]]:
    """Groups of segments with the condition for their credentials; no segment stands for those never seen issued."""
    together: set[int | None] = set()
    held = 0
    for row in listed:
        segment, count = row["segment"], row["credentials"] or 0
        if together and held + count > most:
            yield _seen(together), _among(together)
            together, held = set(), 0
        if count <= most:
            together.add(segment)
            held += count
            continue
        parts = -(-count // most)
        for part in range(parts):
            yield _seen({segment}), f"{_among({segment})} AND n % {parts} = {part}"
    if together:
        yield _seen(together), _among(together)


def _seen(segments: set[int | None]) -> set[int]:
    return {one for one in segments if one is not None}


def _among(segments: set[int | None]) -> str:
    listed = ", ".join(map(str, sorted(_seen(segments)))) or "NULL"
    return f"(segment IN ({listed})" + (" OR segment IS NULL)" if None in segments else ")")


def _query(sources: dict[str, str]) -> str:
    [text] = statements("8_credentials.sql")
    for name, source in sources.items():
        text = text.replace(f"{{{name}}}", source)
    return _DETAILS.format(person=_PERSON, described=text)
