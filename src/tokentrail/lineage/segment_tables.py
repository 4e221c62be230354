"""
Tables of the derived database whose rows each come from one segment; all else of it comes of joining segments.

After an ingest only new segments are read for them, and those of which another record counts than before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa

from tokentrail.lineage.link import facts_of
from tokentrail.store.interface import Engine

_TOGETHER = 200
"""Segments that one query reads."""
_COUNTS = """NOT EXISTS (
  SELECT 1 FROM duplicates l WHERE l.segment = {0}.segment AND l.object = {0}.object AND l.ordinal = {0}.ordinal)"""
"""The condition that a record is not a repeated one."""


class SegmentTable(NamedTuple):
    """Such a table."""

    columns: str
    """With their types, by which the table is told from what somebody put in its place."""
    by: str
    """What it is sorted by; rows of later ingests follow, sorted among themselves."""
    query: str
    """Its rows: `{some_events}` and the like are the tables of the segments asked, `{facts}` the events that count."""


_LASTING = {
    "AssumeRole": 43_200,
    "AssumeRoot": 900,
    "GetFederationToken": 129_600,
    "GetSessionToken": 129_600,
}
LONGEST: Mapping[str, int] = MappingProxyType(_LASTING)
"""Seconds that what each call of STS issues lasts at most; see `lineage.unlisted_credentials`."""
_ACCOUNT_CHANGES = SegmentTable(
    "segment BIGINT, object INTEGER, ordinal INTEGER, time BIGINT, event_id BLOB, event_id_text VARCHAR, "
    "identity INTEGER, account VARCHAR, source VARCHAR, name VARCHAR, request VARCHAR, document VARCHAR, "
    "response VARCHAR, caller_user VARCHAR, in_account VARCHAR, part VARCHAR",
    "part, time",
    f"""
SELECT c.*, CASE WHEN i.type = 'IAMUser' THEN i.user_name END AS caller_user,
       coalesce(c.account, i.account) AS in_account,
       CASE WHEN c.source = 'organizations.amazonaws.com' THEN '' ELSE coalesce(c.account, i.account, '') END AS part
FROM {{some_changes}} c LEFT JOIN {{some_identities}} i ON i.segment = c.segment AND i.identity = c.identity
WHERE c.source IN ('iam.amazonaws.com', 'organizations.amazonaws.com') AND {_COUNTS.format("c")}""",
)
"""
The changes of IAM and Organizations.

`part` is the account of each. It is empty for those of Organizations, which bear on many accounts, and for those of
which no account is known, which may bear on any.
"""
_READS = """coalesce(e.read_only, e.name IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity')
                 OR e.name LIKE 'Describe%' OR e.name LIKE 'List%' OR e.name LIKE 'Head%' OR e.name LIKE 'Lookup%'
                 OR (e.name LIKE 'Get%' AND coalesce(e.source, '') <> 'sts.amazonaws.com'))"""
"""`readOnly` is optional: most records up to eventVersion 1.05 lack it. GetSessionToken and the like are no reads."""
_MANAGES = """coalesce(e.management, NOT coalesce(
             (e.source = 's3.amazonaws.com' AND e.name IN (
               'AbortMultipartUpload', 'CompleteMultipartUpload', 'CopyObject', 'CreateMultipartUpload', 'DeleteObject',
               'DeleteObjects', 'GetObject', 'GetObjectAcl', 'GetObjectTagging', 'GetObjectTorrent', 'HeadObject',
               'ListParts', 'PutObject', 'PutObjectAcl', 'PutObjectTagging', 'RestoreObject', 'SelectObjectContent',
               'UploadPart', 'UploadPartCopy'))
             OR (e.source = 'lambda.amazonaws.com' AND e.name = 'Invoke'), FALSE))"""
"""
`managementEvent` is there since eventVersion 1.06 (CloudTrail User Guide, 'CloudTrail record contents').

Before, trails had data events of S3's objects (Amazon S3 User Guide, 'Amazon S3 CloudTrail events') and of functions.
"""
_COVERED_HOURS = SegmentTable(
    "segment BIGINT, account VARCHAR, region VARCHAR, hour BIGINT, first BIGINT, last BIGINT, "
    "read_only_events BOOLEAN, write_events BOOLEAN, data_events BOOLEAN",
    "account, region, hour, segment",
    f"""
SELECT e.segment, coalesce(e.account, i.account) AS account, e.region, CAST(floor(e.time / 3600) AS BIGINT) AS hour,
       min(e.time) AS first, max(e.time) AS last,
       bool_or({_READS} AND {_MANAGES}) AS read_only_events, bool_or(NOT {_READS} AND {_MANAGES}) AS write_events,
       bool_or(NOT {_MANAGES}) AS data_events
FROM ({{facts}}) e LEFT JOIN {{some_identities}} i ON i.segment = e.segment AND i.identity = e.identity
GROUP BY 1, 2, 3, 4""",
)
"""The hours, since 1970, in which there are events of an account and region, and what kinds of events."""
_VENDED = "s.api = 'lakeformation:GetDataAccess' AND s.session_name IS NOT NULL"
_OPENED = "s.api = 'AssumeRoleWithWebIdentity'"
_REQUESTED_SESSIONS = SegmentTable(
    "whose VARCHAR, segment BIGINT, time BIGINT, what VARCHAR, name VARCHAR",
    "whose, time, segment, what, name",
    f"""
SELECT i.principal_id AS whose, s.segment, s.time, 'session' AS what, s.session_name AS name
FROM {{some_issuances}} s JOIN {{some_identities}} i ON i.segment = s.segment AND i.identity = s.identity
WHERE {_VENDED} AND i.principal_id IS NOT NULL
UNION ALL
SELECT s.requester_arn, s.segment, s.time, 'session', s.session_name FROM {{some_issuances}} s
WHERE {_VENDED} AND s.requester_arn IS NOT NULL
UNION ALL
SELECT s.requester_arn, s.segment, s.time, 'key', s.key_id FROM {{some_issuances}} s
WHERE {_OPENED} AND s.requester_arn IS NOT NULL AND s.key_id IS NOT NULL
UNION ALL
SELECT s.token_id, s.segment, s.time, 'token', coalesce(s.key_id, '') FROM {{some_issuances}} s
WHERE {_OPENED} AND s.token_id IS NOT NULL""",
)
"""
Sessions that were asked for in somebody's name.

`whose` is a principal id, an ARN or the id of a token; `name` is that of the session (`session`), or its key id.
"""
_UNANSWERED_REQUESTS = SegmentTable(
    "caller VARCHAR, segment BIGINT, time BIGINT, event_id BLOB, event_id_text VARCHAR, api VARCHAR, role_arn VARCHAR, "
    "ip VARCHAR, duration BIGINT",
    "caller, time, segment, event_id",
    f"""
SELECT i.key_id AS caller, s.segment, s.time, s.event_id, s.event_id_text, s.api, s.role_arn, s.ip, s.duration
FROM {{some_issuances}} s JOIN {{some_identities}} i ON i.segment = s.segment AND i.identity = s.identity
WHERE s.key_id IS NULL AND i.key_id IS NOT NULL AND s.api IN {tuple(LONGEST)!r}""",
)
"""Calls that issued a credential whose key the log does not show, by the caller's key."""
_PORTAL_SESSIONS = SegmentTable(
    "person VARCHAR, target VARCHAR, segment BIGINT, ip VARCHAR, first BIGINT, last BIGINT",
    "person, target, segment, ip",
    """
SELECT i.on_behalf_of AS person, s.target, s.segment, coalesce(s.ip, '') AS ip, min(s.time) AS first,
       max(s.time) AS last
FROM {some_issuances} s JOIN {some_identities} i ON i.segment = s.segment AND i.identity = s.identity
WHERE s.api IN ('GetRoleCredentials', 'Federate') AND s.target IS NOT NULL AND i.on_behalf_of IS NOT NULL
GROUP BY i.on_behalf_of, s.target, s.segment, s.ip""",
)
"""What IAM Identity Center's access portal gave to people, by their ids in the directory."""
_ASSUMED_ROLES = SegmentTable(
    "segment BIGINT, by_arn VARCHAR, into_arn VARCHAR, api VARCHAR, "
    'first STRUCT("time" BIGINT, "event" BLOB, "text" VARCHAR)',
    "by_arn, into_arn, api, segment",
    f"""
SELECT c.segment, c.by_arn, c.role_arn AS into_arn, c.api,
       min({{{{'time': c.time, 'event': c.event_id, 'text': c.event_id_text}}}}) AS first
FROM (
  SELECT s.*, CASE WHEN s.api = 'AssumeRole' THEN coalesce(i.issuer_arn, i.arn) ELSE s.requester_arn END AS by_arn
  FROM {{some_issuances}} s JOIN {{some_identities}} i ON i.segment = s.segment AND i.identity = s.identity
  WHERE s.api IN ('AssumeRole', 'AssumeRoleWithWebIdentity')
) c
WHERE c.role_arn IS NOT NULL AND c.by_arn IS NOT NULL AND {_COUNTS.format("c")}
GROUP BY c.segment, c.by_arn, into_arn, c.api""",
)
"""
Which principals assumed which roles, with the first event that shows it.

Of a role that was assumed from another partition, the record names who asked for the token.
"""
_KEYLESS_CALLERS = SegmentTable(
    "principal_id VARCHAR, account VARCHAR, segment BIGINT, identity INTEGER",
    "principal_id, segment, identity",
    """
SELECT i.principal_id, i.account, i.segment, i.identity FROM {some_identities} i
WHERE i.type = 'AWSAccount' AND i.key_id IS NULL AND i.principal_id <> ''""",
)
"""Identities of records that name the principal and no key, by principal."""
SEGMENT_TABLES: Mapping[str, SegmentTable] = MappingProxyType(
    {
        "account_changes": _ACCOUNT_CHANGES,
        "assumed_roles": _ASSUMED_ROLES,
        "covered_hours": _COVERED_HOURS,
        "keyless_callers": _KEYLESS_CALLERS,
        "portal_sessions": _PORTAL_SESSIONS,
        "requested_sessions": _REQUESTED_SESSIONS,
        "unanswered_requests": _UNANSWERED_REQUESTS,
    }
)
"""Each by its name."""
COLUMNS = MappingProxyType(
    {"segments": "segment BIGINT", **{name: one.columns for name, one in SEGMENT_TABLES.items()}}
)
"""The columns of each, with their types, and of the list of the segments whose rows they have."""


def carry_over(engine: Engine, path: Path, before: Path, segments: Collection[int]) -> None:
    """
    Make these tables in a new derived database, with the rows that an earlier one has of some segments.

    Args:
        engine: The engine that linked.
        path: The new one.
        before: The earlier one.
        segments: Those in which the same records count.

    Raises:
        CaseError: the earlier one can't be read, or lacks a table.
    """
    engine.open_database(before, COLUMNS, beside=True)
    engine.register("carried_segments", pa.table({"segment": pa.array(sorted(segments), pa.int64())}))
    with engine.changing(path):
        for name in COLUMNS:
            by = SEGMENT_TABLES[name].by if name in SEGMENT_TABLES else "segment"
            engine.run(
                f"CREATE TABLE derived.main.{name} AS SELECT * FROM {name} "
                f"WHERE segment IN (SELECT segment FROM carried_segments) ORDER BY {by}"
            )


def fill(engine: Engine, path: Path) -> None:
    """
    Add to a derived database the rows of the segments that these tables do not have yet.

    Args:
        engine: Knows all segments of the case.
        path: The database, in which the repeated records (`duplicates`) are those of these segments.

    Raises:
        CaseError: a segment can't be read.
    """
    with engine.changing(path):
        engine.run("CREATE OR REPLACE VIEW duplicates AS SELECT * FROM derived.main.duplicates")
        facts = facts_of(engine, "{some_events}")
        listed = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'derived'"
        new = "segments" not in {row["table_name"] for row in engine.rows(listed)}
        if new:
            engine.run("CREATE TABLE derived.main.segments (segment BIGINT)")
        known = {row["segment"] for row in engine.rows("SELECT segment FROM derived.main.segments")}
        fresh = sorted(engine.known_segments() - known)
        for name, table in SEGMENT_TABLES.items():
            made = f"{'CREATE TABLE' if new else 'INSERT INTO'} derived.main.{name}"
            rows = _rows(engine, table.query.replace("{facts}", facts), fresh)
            engine.run(f"{made} {'AS' if new else 'BY NAME'} {rows} ORDER BY {table.by}")
        if fresh:
            engine.run(f"INSERT INTO derived.main.segments VALUES {', '.join(f'({one})' for one in fresh)}")
        engine.run("DROP VIEW duplicates")


def _rows(engine: Engine, query: str, segments: Sequence[int]) -> str:
    """A query for the rows of some segments; of many they are gathered first, as no memory may hold all at once."""
    if len(segments) <= _TOGETHER:
        return query.format_map(engine.narrow(set(segments)))
    made = "CREATE OR REPLACE TEMP TABLE gathered AS"
    for start in range(0, len(segments), _TOGETHER):
        some = engine.narrow(set(segments[start : start + _TOGETHER]))
        engine.run(f"{made} {query.format_map(some)}")
        made = "INSERT INTO gathered"
    return "SELECT * FROM gathered"


class SegmentRows:
    """Looks up rows of these tables, and remembers which of the tables have none, as most cases' few have."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine that knows the derived database."""
        self._engine = engine
        self._empty: dict[str, bool] = {}

    def of(self, name: str, wanted: Collection[str]) -> list[dict[str, Any]]:
        """The rows of a table with some values in the first column that it is sorted by, in its order."""
        if name not in self._empty:
            self._empty[name] = not self._engine.rows(f"SELECT 1 AS one FROM {name} LIMIT 1")
        if self._empty[name]:
            return []
        return self._engine.rows_with(name, SEGMENT_TABLES[name].by, sorted(wanted))
