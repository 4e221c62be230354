"""
Grow the forest: from columns of records to credentials with parents, roots and places in preorder.

The joins are SQL (`sql/*.sql`, in order), so that one machine and a cluster do the same; the numbering of the
forest is arithmetic on arrays. Nothing here depends on the order in which records arrived.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from tokentrail.lineage.number import number
from tokentrail.store.interface import Engine

_COMMENT = re.compile(r"--[^\n]*")

_LOSERS = """
CREATE TABLE losers AS
SELECT segment, object, ordinal FROM (
  SELECT e.segment, e.object, e.ordinal, row_number() OVER (PARTITION BY e.event_id ORDER BY
    CASE WHEN s.key_id IS NULL THEN 1 ELSE 0 END, CASE WHEN i.key_id IS NULL THEN 1 ELSE 0 END,
    e.time, e.source, e.name, e.account, e.region, coalesce(e.error, ''), e.ip, e.agent, e.resource, e.bytes_out,
    e.read_only, e.management, e.console, i.type, i.key_id, i.principal_id, i.arn, i.account, i.created, i.mfa,
    i.issuer_arn, i.invoked_by, i.source_identity, s.key_id, s.child_id, s.role_arn, s.expires, s.session_name,
    c.request, c.document, c.response, e.segment, e.object, e.ordinal) AS place
  FROM events e
  JOIN repeats r ON r.event_id = e.event_id
  LEFT JOIN identities i ON i.segment = e.segment AND i.identity = e.identity
  LEFT JOIN issuances s ON s.segment = e.segment AND s.object = e.object AND s.ordinal = e.ordinal
  LEFT JOIN changes c ON c.segment = e.segment AND c.object = e.object AND c.ordinal = e.ordinal
) WHERE place > 1
"""
"""Of records with one event id one counts: the fuller one, and between equals it does not matter which."""

_FACTS = """
CREATE VIEW facts AS SELECT e.* FROM events e
WHERE NOT EXISTS (SELECT 1 FROM losers l WHERE l.segment = e.segment AND l.object = e.object AND l.ordinal = e.ordinal)
"""


@dataclass(frozen=True, slots=True)
class Grown:
    """How large the forest came out."""

    records: int
    credentials: int
    first: int | None
    last: int | None


def statements(name: str) -> list[str]:
    """The statements of one file of `sql/`."""
    text = _COMMENT.sub("", (resources.files("tokentrail.lineage") / "sql" / name).read_text())
    return [one.strip() for one in text.split(";") if one.strip()]


def grow(engine: Engine, folder: Path) -> Grown:
    """
    Derive the forest from the engine's `events`, `identities`, `issuances` and `changes` into Parquet in `folder`.

    Writes `credentials` (one row a credential, in preorder: descendants of row `n` are rows `n+1` to `n+size-1`),
    `who` (segment, identity → n), `links` (what acts through things that others made, beyond parents), `made`.
    """
    total = _facts(engine)
    for name in ("1_sightings", "2_issued", "3_credentials", "4_births", "5_named", "6_created"):
        for statement in statements(f"{name}.sql"):
            engine.run(statement)
    order = number(engine.table("SELECT ck, id, parent_ck, moment FROM parents"))
    engine.register("placement", order)
    engine.run("CREATE TABLE places AS SELECT * FROM placement")
    for name, query in _OUTPUT.items():
        engine.write(query, folder / f"{name}.parquet")
    bounds = engine.table("SELECT min(first) AS first, max(last) AS last FROM uses").to_pylist()[0]
    return Grown(total, order.num_rows, bounds["first"], bounds["last"])


def _facts(engine: Engine) -> int:
    """Set aside repeated records; answers how many distinct ones there are."""
    engine.run(
        "CREATE TABLE repeats AS "
        "SELECT event_id, count(*) AS copies FROM events GROUP BY event_id HAVING count(*) > 1"
    )
    found = engine.table(
        "SELECT count(*) AS ids, coalesce(sum(copies), 0) AS copies FROM repeats"
    ).to_pylist()[0]
    total = engine.table("SELECT count(*) AS records FROM events").to_pylist()[0]["records"]
    if found["ids"]:
        engine.run(_LOSERS)
        engine.run(_FACTS)
    else:
        engine.run("CREATE TABLE losers (segment BIGINT, object INT, ordinal INT)")
        engine.run("CREATE VIEW facts AS SELECT * FROM events")
    return int(total - found["copies"] + found["ids"])


_OUTPUT = {
    "credentials": """
        SELECT o.n, o.parent AS parent_n, o.root AS root_n, o.depth, o.size, p.id, o.parent_id, o.root_id,
               CASE WHEN o.parent IS NULL THEN NULL ELSE p.parent_link END AS parent_link,
               p.created_what, p.created_thing, p.created_api, p.created_event, p.created_text, p.created_time,
               p.created_owner, p.created_ip, p.created_agent,
               d.ck, d.kind, y.keys, d.type, d.seen_account, d.principal_id, d.arn, d.mfa, d.issuer_type, d.issuer_arn,
               d.federated_provider, coalesce(d.seen_source_identity, d.source_identity) AS source_identity,
               d.ec2_delivery, d.sign_in_session, d.on_behalf_of, d.in_scope_of, d.console, d.birth, d.loose, d.twin,
               d.api, d.issue_event, d.issue_text, d.issue_ip, d.issue_agent, d.issued_time, d.child, d.child_arn,
               d.role_arn, d.session_name, d.mfa_serial, d.target, d.subject, d.caller_type, d.caller_account,
               d.caller_principal, d.caller_arn, d.caller_name, d.caller_service,
               d.issued_at, d.expires_at,
               CASE WHEN d.expires_at IS NULL AND d.longest IS NOT NULL
                    THEN coalesce(d.issued_at, d.first) + d.longest END AS expires_bound,
               d.events, d.errors, d.first, d.last, u.ips
        FROM places o JOIN parents p ON p.ck = o.ck JOIN lives d ON d.ck = o.ck
        LEFT JOIN keys y ON y.ck = o.ck LEFT JOIN usage u ON u.ck = o.ck
        ORDER BY o.n""",
    "who": "SELECT w.segment, w.identity, o.n FROM who w JOIN places o ON o.ck = w.ck ORDER BY w.segment, w.identity",
    "links": """
        SELECT c.n AS child, m.n AS parent, t.what, t.thing, t.api, t.event_id, t.event_id_text, t.time
        FROM makers t JOIN places c ON c.ck = t.ck JOIN places m ON m.ck = t.maker
        WHERE NOT (t.place = 1 AND c.parent IS NOT DISTINCT FROM m.n)
        ORDER BY child, time, parent, what""",
    "losers": "SELECT * FROM losers ORDER BY segment, object, ordinal",
}  # fmt: skip
