"""The queries that make the tables of a scene; a query with names `some_...` is run for some segments at a time."""

from __future__ import annotations

from tokentrail.detection.call_kinds import CallKind, calls_of
from tokentrail.lineage.grow import SERVICE

NOTED: tuple[CallKind, ...] = (
    "guard",
    "host_entry",
    "code",
    "model",
    "model_access",
    "secret_batch",
    "retention",
)
"""The kinds of calls that `noted_calls` holds."""
_VERSIONS = {"lambda": ("", "20150331", "20150331v2", "20181031")}
"""By service: what may follow an operation in `eventName`, its API's version (see `operation_of`)."""


def event_names(kind: CallKind) -> frozenset[str]:
    """The names that events of a kind of calls may have."""
    return frozenset(name + end for service, name in calls_of(kind) for end in _VERSIONS.get(service, ("",)))


def _of_kind(kind: CallKind) -> str:
    """The condition for deeds `d` of a kind."""
    services: dict[str, list[str]] = {}
    for service, name in calls_of(kind):
        services.setdefault(service, []).extend(name + end for end in _VERSIONS.get(service, ("",)))
    return " OR ".join(
        f"d.source = '{service}.amazonaws.com' AND d.name IN ({', '.join(map(repr, names))})"
        for service, names in services.items()
    )


TABLES = {
    "placed": """
        SELECT w.segment, w.identity, w.n, f.root_n FROM credential_identities w JOIN credentials f ON f.n = w.n""",
    "actors": f"""
        SELECT i.segment, i.identity, w.n, w.root_n, {SERVICE} IS NOT NULL AS forwarded
        FROM some_identities i LEFT JOIN some_placed w ON w.segment = i.segment AND w.identity = i.identity""",
    "deeds": """
        SELECT a.n, e.*, a.forwarded FROM facts e
        JOIN actors a ON a.segment = e.segment AND a.identity = e.identity
        WHERE a.n IS NOT NULL""",
    "stays": """
        SELECT * FROM (
          SELECT n, ip, CASE WHEN ip LIKE '%:%' THEN split_part(ip, ':', 1) || ':' || split_part(ip, ':', 2)
                             ELSE split_part(ip, '.', 1) || '.' || split_part(ip, '.', 2) END AS network,
                 count(*) AS events, count(*) - count(error) AS done, min(time) AS first, max(time) AS last
          FROM some_deeds WHERE NOT forwarded AND ip IS NOT NULL GROUP BY n, ip
        ) WHERE regexp_matches(ip, '^([0-9]{1,3}[.]){3}[0-9]{1,3}$')
           OR regexp_matches(ip, '^[0-9a-fA-F.]*:[0-9a-fA-F:.]*$')""",
    "homes": """
        SELECT *, CAST(coalesce(sum(events) OVER (PARTITION BY person ORDER BY first, ip
                                                  ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
                       AS BIGINT) AS elsewhere
        FROM (SELECT k.person, s.ip, CAST(sum(s.events) AS BIGINT) AS events, min(s.first) AS first, max(s.last) AS last
              FROM stays s JOIN known k ON k.n = s.n WHERE k.person IS NOT NULL GROUP BY k.person, s.ip)""",
    "noted_calls": f"""
        SELECT d.n, CASE {" ".join(f"WHEN {_of_kind(kind)} THEN '{kind}'" for kind in NOTED)} END AS kind,
               d.source, d.name, d.region, d.ip, count(*) AS calls,
               min(struct_pack(time := d.time, event_id := d.event_id, event_id_text := d.event_id_text)) AS head
        FROM some_deeds d
        WHERE d.name IN ({", ".join(repr(name) for kind in NOTED for name in sorted(event_names(kind)))})
          AND d.error IS NULL AND NOT d.forwarded GROUP BY ALL""",
    "s3_calls": """
        SELECT d.n, d.name, count(*) AS calls, CAST(coalesce(sum(d.bytes_out), 0) AS BIGINT) AS bytes,
               min(d.time) AS first, max(d.time) AS last
        FROM some_deeds d
        WHERE d.source = 's3.amazonaws.com' AND d.error IS NULL
          AND d.name IN ('GetObject', 'CopyObject', 'DeleteObject', 'DeleteObjects') GROUP BY d.n, d.name""",
    "makers": "SELECT n, kind, person FROM known WHERE n IN (SELECT n FROM changed)",
    "started_hosts": """
        WITH ends AS (
          SELECT n AS place, 1 AS step FROM known WHERE parent_link = 'created' AND kind = 'service_role'
          UNION ALL SELECT n + span, -1 FROM known WHERE parent_link = 'created' AND kind = 'service_role'),
        levels AS (
          SELECT place, step, sum(step) OVER (ORDER BY place, step ROWS UNBOUNDED PRECEDING) AS level FROM ends),
        places AS (SELECT * FROM levels QUALIFY row_number() OVER (PARTITION BY place ORDER BY step DESC, level) = 1)
        SELECT p.place AS n, o.place AS host FROM places p
        ASOF LEFT JOIN (SELECT place, level FROM levels WHERE step = 1) o
          ON o.level = p.level AND p.place >= o.place""",
    "changed": f"""
        SELECT c.*, w.n, i.arn AS by_arn, i.type AS by_type, {SERVICE} AS by_service,
               coalesce(c.account, i.account) AS in_account
        FROM some_changes c
        LEFT JOIN (SELECT i.segment, i.identity, i.arn, i.type, i.invoked_by, i.account
                   FROM some_identities i
                   SEMI JOIN some_changes h ON h.segment = i.segment AND h.identity = i.identity) i
          ON i.segment = c.segment AND i.identity = c.identity
        LEFT JOIN (SELECT w.segment, w.identity, w.n FROM some_placed w
                   SEMI JOIN some_changes h ON h.segment = w.segment AND h.identity = w.identity) w
          ON w.segment = c.segment AND w.identity = c.identity
        WHERE NOT EXISTS (SELECT 1 FROM duplicates l WHERE l.segment = c.segment AND l.object = c.object
                          AND l.ordinal = c.ordinal)""",
}  # fmt: skip
"""
`started_hosts` tells, from each place on until the next, of which session of what somebody started a place is or lies
below: the innermost, as these are ranges within ranges. Such a session's lineage is another's, yet begins anew there,
as what runs has other hands in it.
"""
LOGGED = """
    SELECT account FROM events WHERE account IS NOT NULL
    UNION SELECT i.account FROM identities i
    SEMI JOIN (SELECT DISTINCT segment, identity FROM events WHERE account IS NULL) e
      ON e.segment = i.segment AND e.identity = i.identity
    WHERE i.account IS NOT NULL AND i.type <> 'AWSAccount'"""
"""The accounts that the case has a log of: of a record without recipient that is its caller's, unless that came in from
another (AWS CloudTrail User Guide, 'CloudTrail record contents', recipientAccountId)."""
WHOLE = {
    "stays": """
        SELECT n, ip, min(network) AS network, CAST(sum(events) AS BIGINT) AS events, CAST(sum(done) AS BIGINT) AS done,
               min(first) AS first, max(last) AS last
        FROM {parts} GROUP BY n, ip""",
    "noted_calls": """
        SELECT n, kind, source, name, region, ip, CAST(sum(calls) AS BIGINT) AS calls, min(head) AS head
        FROM {parts} GROUP BY n, kind, source, name, region, ip""",
    "s3_calls": """
        SELECT n, name, CAST(sum(calls) AS BIGINT) AS calls, CAST(sum(bytes) AS BIGINT) AS bytes,
               min(first) AS first, max(last) AS last
        FROM {parts} GROUP BY n, name""",
}
"""What is counted of some segments at a time, put together."""
VIEWS = frozenset({"placed", "deeds"})
SORTED = {"placed": "segment"}
"""What is looked through for some segments at a time, and lies in one file: by what it is sorted there."""
APART = frozenset({"actors"})
"""The same of what lies in a file for each part: who looks through all of them opens each once, not once for each."""
NEEDS = {
    "actors": ("placed",),
    "changed": ("placed",),
    "deeds": ("actors",),
    "stays": ("actors",),
    "homes": ("stays", "known"),
    "noted_calls": ("actors",),
    "s3_calls": ("actors",),
    "makers": ("changed", "known"),
    "started_hosts": ("known",),
}
OWN_FILES = ("identities", "events", "changes")
"""Tables of which each segment has a file: a query that names few files opens no others."""
SPELLED = {"deeds": TABLES["deeds"].replace("facts", "some_facts").replace("actors", "some_actors")}
"""What lies in no file, of some segments."""


def began(query: str) -> str:
    """Add `began` to rows with `n` and `root_n`: the workload session that the lineage began with, else its root."""
    return (
        f"SELECT k.*, coalesce(s.host, k.root_n) AS began FROM ({query}) k "
        "ASOF LEFT JOIN started_hosts s ON k.n >= s.n"
    )
