"""The queries that make the tables of a context; a query with names `some_...` is run for some segments at a time."""

from __future__ import annotations

from dataclasses import dataclass

from tokentrail.detection.call_kinds import CallKind, calls_of
from tokentrail.lineage.link import SERVICE

FIRST_EVENT = "min(struct_pack(time := d.time, event_id := d.event_id, event_id_text := d.event_id_text))"
"""The first of grouped events `d`."""
NOTABLE_KINDS: tuple[CallKind, ...] = (
    "guard",
    "host_entry",
    "code",
    "model",
    "model_access",
    "secret_batch",
    "retention",
)
"""The kinds of calls that the view `notable_calls` holds."""
_VERSIONS = {"lambda": ("", "20150331", "20150331v2", "20181031")}
"""By service: what may follow an operation in `eventName`, its API's version (see `operation_of`)."""


def event_names(kind: CallKind) -> frozenset[str]:
    """The names that events of a kind of calls may have."""
    return frozenset(name + end for service, name in calls_of(kind) for end in _VERSIONS.get(service, ("",)))


def _of_kind(kind: CallKind) -> str:
    """The condition for credential_events `d` of a kind."""
    services: dict[str, list[str]] = {}
    for service, name in calls_of(kind):
        services.setdefault(service, []).extend(name + end for end in _VERSIONS.get(service, ("",)))
    return " OR ".join(
        f"d.source = '{service}.amazonaws.com' AND d.name IN ({', '.join(map(repr, names))})"
        for service, names in services.items()
    )


def network_of(ip: str) -> str:
    """The SQL expression for the network of an address: its first two numbers."""
    return (
        f"CASE WHEN {ip} LIKE '%:%' THEN split_part({ip}, ':', 1) || ':' || split_part({ip}, ':', 2) "
        f"ELSE split_part({ip}, '.', 1) || '.' || split_part({ip}, '.', 2) END"
    )


def is_address(ip: str) -> str:
    """The SQL condition for a text that is an address, and no name of a service."""
    return (
        f"(regexp_matches({ip}, '^([0-9]{{1,3}}[.]){{3}}[0-9]{{1,3}}$') "
        f"OR regexp_matches({ip}, '^[0-9a-fA-F.]*:[0-9a-fA-F:.]*$'))"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A view of the evidence, which rules name in their queries."""

    name: str
    query: str
    """The query for its rows; empty where the context has its own way to make it."""
    needs: tuple[View, ...] = ()
    """The views that the query reads."""
    stored: bool = True
    """Whether its rows are worked out once and kept; else the query is run whenever the view is read."""
    batched: bool = False
    """Whether the query is run for one batch of segments at a time."""
    combine: str | None = None
    """For counts of batches of segments, called `{parts}`: the query that puts them together."""
    filed: bool = False
    """Whether it is kept in files in a large case."""
    order: str | None = None
    """What a file of it is sorted by, where batches of segments look only for their own rows."""
    file_per_batch: bool = False
    """Whether each batch of segments has a file of its own, so that reading all batches opens each file once."""


CREDENTIAL_DETAILS = View(
    name="credential_details",
    query="",
    filed=True,
)
"""A row for each credential, with everything that is known of it; made by `credential_details`."""
IDENTITY_ROOTS = View(
    name="identity_roots",
    query="""
        SELECT w.segment, w.identity, w.n, f.root_n FROM credential_identities w JOIN credentials f ON f.n = w.n""",
    stored=False,
    filed=True,
    order="segment",
)
"""The credential and root of each identity that has one."""
IDENTITY_CREDENTIALS = View(
    name="identity_credentials",
    query=f"""
        SELECT i.segment, i.identity, w.n, w.root_n, {SERVICE} IS NOT NULL AS forwarded
        FROM some_identities i LEFT JOIN some_identity_roots w ON w.segment = i.segment AND w.identity = i.identity""",
    batched=True,
    needs=(IDENTITY_ROOTS,),
    filed=True,
    file_per_batch=True,
)
"""The credential and root of each identity, and whether a service forwards its calls."""
CREDENTIAL_EVENTS = View(
    name="credential_events",
    query="""
        SELECT a.n, e.*, a.forwarded FROM facts e
        JOIN identity_credentials a ON a.segment = e.segment AND a.identity = e.identity
        WHERE a.n IS NOT NULL""",
    needs=(IDENTITY_CREDENTIALS,),
    stored=False,
)
"""A row for each event of a credential, with the `n` of the credential."""
CREDENTIAL_IPS = View(
    name="credential_ips",
    query=f"""
        SELECT * FROM (
          SELECT n, ip, {network_of("ip")} AS network,
                 count(*) AS events, count(*) - count(error) AS done, min(time) AS first, max(time) AS last
          FROM some_credential_events WHERE NOT forwarded AND ip IS NOT NULL GROUP BY n, ip
        ) WHERE {is_address("ip")}""",
    batched=True,
    needs=(CREDENTIAL_EVENTS,),
    combine="""
        SELECT n, ip, min(network) AS network, CAST(sum(events) AS BIGINT) AS events, CAST(sum(done) AS BIGINT) AS done,
               min(first) AS first, max(last) AS last
        FROM {parts} GROUP BY n, ip""",
    filed=True,
)
"""Which credential called from which address, how often, and from when to when."""
PRINCIPAL_IPS = View(
    name="principal_ips",
    query="""
        SELECT *, CAST(coalesce(sum(events) OVER (PARTITION BY person ORDER BY first, ip
                                                  ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
                       AS BIGINT) AS elsewhere
        FROM (SELECT k.person, s.ip, CAST(sum(s.events) AS BIGINT) AS events, min(s.first) AS first, max(s.last) AS last
              FROM credential_ips s JOIN credential_details k ON k.n = s.n
              WHERE k.person IS NOT NULL GROUP BY k.person, s.ip)""",
    needs=(CREDENTIAL_IPS, CREDENTIAL_DETAILS),
    filed=True,
)
"""Which principal called from which address since when, and how often from earlier addresses (`elsewhere`)."""
NOTABLE_CALLS = View(
    name="notable_calls",
    query=f"""
        SELECT d.n, CASE {" ".join(f"WHEN {_of_kind(kind)} THEN '{kind}'" for kind in NOTABLE_KINDS)} END AS kind,
               d.source, d.name, d.region, d.ip, count(*) AS calls,
               {FIRST_EVENT} AS head
        FROM some_credential_events d
        WHERE d.name IN ({", ".join(repr(name) for kind in NOTABLE_KINDS for name in sorted(event_names(kind)))})
          AND d.error IS NULL AND NOT d.forwarded GROUP BY ALL""",
    batched=True,
    needs=(CREDENTIAL_EVENTS,),
    combine="""
        SELECT n, kind, source, name, region, ip, CAST(sum(calls) AS BIGINT) AS calls, min(head) AS head
        FROM {parts} GROUP BY n, kind, source, name, region, ip""",
    filed=True,
)
"""Calls of `NOTABLE_KINDS` by credential and address, with how many there are and the first."""
S3_CALLS = View(
    name="s3_calls",
    query="""
        SELECT d.n, d.name, count(*) AS calls, CAST(coalesce(sum(d.bytes_out), 0) AS BIGINT) AS bytes,
               min(d.time) AS first, max(d.time) AS last
        FROM some_credential_events d
        WHERE d.source = 's3.amazonaws.com' AND d.error IS NULL
          AND d.name IN ('GetObject', 'CopyObject', 'DeleteObject', 'DeleteObjects') GROUP BY d.n, d.name""",
    batched=True,
    needs=(CREDENTIAL_EVENTS,),
    combine="""
        SELECT n, name, CAST(sum(calls) AS BIGINT) AS calls, CAST(sum(bytes) AS BIGINT) AS bytes,
               min(first) AS first, max(last) AS last
        FROM {parts} GROUP BY n, name""",
    filed=True,
)
"""How many objects each credential read, copied and deleted."""
ATTRIBUTED_CHANGES = View(
    name="attributed_changes",
    query=f"""
        SELECT c.*, w.n, i.arn AS by_arn, i.type AS by_type, {SERVICE} AS by_service,
               coalesce(c.account, i.account) AS in_account
        FROM some_changes c
        LEFT JOIN (SELECT i.segment, i.identity, i.arn, i.type, i.invoked_by, i.account
                   FROM some_identities i
                   SEMI JOIN some_changes h ON h.segment = i.segment AND h.identity = i.identity) i
          ON i.segment = c.segment AND i.identity = c.identity
        LEFT JOIN (SELECT w.segment, w.identity, w.n FROM some_identity_roots w
                   SEMI JOIN some_changes h ON h.segment = w.segment AND h.identity = w.identity) w
          ON w.segment = c.segment AND w.identity = c.identity
        WHERE NOT EXISTS (SELECT 1 FROM duplicates l WHERE l.segment = c.segment AND l.object = c.object
                          AND l.ordinal = c.ordinal)""",
    batched=True,
    needs=(IDENTITY_ROOTS,),
    filed=True,
)
"""A row for each change, with the credential and principal that made it."""
CHANGE_ACTORS = View(
    name="change_actors",
    query="SELECT n, kind, person FROM credential_details WHERE n IN (SELECT n FROM attributed_changes)",
    needs=(ATTRIBUTED_CHANGES, CREDENTIAL_DETAILS),
)
"""The credentials that made changes, with their principals."""
WORKLOAD_STARTS = View(
    name="workload_starts",
    query="",
    needs=(CREDENTIAL_DETAILS,),
)
"""
Credentials with the innermost session (`host`) of what somebody started that they are or descend from.

Such a session's lineage is another's, yet starts anew there, as what runs has other hands in it.
"""
HOSTED = "SELECT n FROM credential_details WHERE parent_link = 'created' AND kind = 'service_role'"
"""The sessions of what somebody started."""
VIEWS = (
    CREDENTIAL_DETAILS, IDENTITY_ROOTS, IDENTITY_CREDENTIALS, CREDENTIAL_EVENTS, CREDENTIAL_IPS, PRINCIPAL_IPS,
    NOTABLE_CALLS, S3_CALLS, ATTRIBUTED_CHANGES, CHANGE_ACTORS, WORKLOAD_STARTS,
)  # fmt: skip
LOGGED = """
    SELECT account FROM events WHERE account IS NOT NULL
    UNION SELECT i.account FROM identities i
    SEMI JOIN (SELECT DISTINCT segment, identity FROM events WHERE account IS NULL) e
      ON e.segment = i.segment AND e.identity = i.identity
    WHERE i.account IS NOT NULL AND i.type <> 'AWSAccount'"""
"""The accounts that the case has a log of: of a record without recipient that is its caller's, unless that came in from
another (AWS CloudTrail User Guide, 'CloudTrail record contents', recipientAccountId)."""
BATCHED_TABLES = ("identities", "events", "changes")
"""Tables of the derived database of which each segment has a file: a query that names few files opens no others."""
BATCH_QUERIES = {
    "credential_events": CREDENTIAL_EVENTS.query.replace("facts", "some_facts").replace(
        "identity_credentials", "some_identity_credentials"
    )
}
"""The queries for the rows of a batch of segments of views that are not stored."""


def with_lineage_start(query: str) -> str:
    """Add `lineage_start` to rows with `n` and `root_n`: the workload session that starts it, else its root."""
    return (
        f"SELECT k.*, coalesce(s.host, k.root_n) AS lineage_start FROM ({query}) k "
        "LEFT JOIN workload_starts s ON s.n = k.n"
    )
