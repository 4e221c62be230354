"""
The window: the newest evidence of a case, with what earlier evidence tells of the credentials that act in it.

A case of hundreds of millions of events can't be judged as a whole twice a minute. So a pass over a large case judges
the newest segments whole, and of all earlier ones, however old they are, what rules look back at:

- the credentials that act in these segments, all above them, the newest of the same lineages, and those whose keys a
  change in them names, with all that descends from these;
- the first credentials of each habit of the same principals (who minted what kind of session from where in a lineage),
  and the first and last of those with which each principal made a kind of change;
- of all these, the first calls from each address with each tool, reads of each secret, refused attempts to assume a
  role, and copies of objects;
- all changes.

Everything is asked of the case itself, in a few queries: nothing is kept from one pass to the next. Earlier calls are
looked for in the oldest segments, which show habits, and in those just before the window. What is counted over very
many calls (objects that one session copies slowly) counts only as far as the window reaches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tokentrail.case.views import View
from tokentrail.lineage.derived_database import reopen
from tokentrail.lineage.link import facts_of
from tokentrail.store.duck import DuckEngine
from tokentrail.store.interface import Snapshot
from tokentrail.store.literals import reading
from tokentrail.store.tidying import DATABASE

_OF_A_PRINCIPAL, _OF_A_HABIT, _OF_A_LINEAGE, _OF_A_CHANGE = 11, 4, 20, 3
"""
How many credentials are looked back at: the first of each principal (rules see a habit in ten), and of what one
principal mints of another (in three), the newest of each lineage, and the first and last with which somebody made a
kind of change.
"""
_CALLS, _REFUSED, _COPIED = 5, 40, 1_000
"""
The first calls of one kind that are looked back at (rules ask for five), of each credential or, where it only shows a
habit, of its principal; and of each credential refused attempts to assume a role, and copies of objects, as what one
session copies is compared with what earlier ones did.
"""
_OLDEST, _BEFORE = 1_000_000, 4_000_000
"""Records among which earlier calls are looked for: the oldest of the case, and those just before the window."""
_IN_WINDOW = "segment IN (SELECT segment FROM window_segments)"
_PERSON = "coalesce(i.issuer_arn, i.arn)"
_CREDENTIALS = (
    f"""
    CREATE TABLE acting AS
    SELECT DISTINCT n FROM credential_identities WHERE {_IN_WINDOW}
    UNION SELECT n FROM credentials WHERE {_IN_WINDOW}""",
    f"""
    CREATE TABLE persons AS
    SELECT w.n, min({_PERSON}) AS person FROM credential_identities w
    JOIN identities i ON i.segment = w.segment AND i.identity = w.identity GROUP BY w.n""",
    """
    CREATE TABLE actors AS SELECT DISTINCT person FROM persons SEMI JOIN acting USING (n) WHERE person IS NOT NULL""",
    f"""
    CREATE TABLE habits AS
    SELECT f.n FROM credentials f JOIN persons p ON p.n = f.n JOIN actors a ON a.person = p.person
    LEFT JOIN credentials m ON m.n = f.parent_n
    LEFT JOIN persons q ON q.n = f.parent_n LEFT JOIN actors b ON b.person = q.person
    QUALIFY row_number() OVER (
              PARTITION BY p.person, f.kind, f.depth ORDER BY coalesce(f.issued_time, f.first), f.id
            ) <= {_OF_A_PRINCIPAL}
         OR b.person IS NOT NULL AND row_number() OVER (
              PARTITION BY p.person, q.person, f.kind, m.kind, f.depth ORDER BY coalesce(f.issued_time, f.first), f.id
            ) <= {_OF_A_HABIT}""",
    f"""
    CREATE TABLE kin AS
    SELECT n FROM credentials WHERE root_n IN (SELECT root_n FROM credentials SEMI JOIN acting USING (n))
    QUALIFY row_number() OVER (PARTITION BY root_n ORDER BY coalesce(issued_time, first) DESC, id DESC)
            <= {_OF_A_LINEAGE}""",
    f"""
    CREATE TABLE named AS
    WITH RECURSIVE below AS (
      SELECT a.n FROM names a JOIN (
        SELECT unnest(regexp_extract_all(request, '"accessKeyId":"([^"]+)"', 1)) AS name FROM changes WHERE {_IN_WINDOW}
      ) c ON c.name = a.name
      UNION SELECT f.n FROM credentials f JOIN below b ON f.parent_n = b.n)
    SELECT n FROM below""",
    f"""
    CREATE TABLE makers AS
    SELECT w.n FROM changes c JOIN credential_identities w ON w.segment = c.segment AND w.identity = c.identity
    JOIN persons p ON p.n = w.n
    QUALIFY row_number() OVER (PARTITION BY p.person, c.name ORDER BY c.time, c.event_id) <= {_OF_A_CHANGE}
         OR row_number() OVER (PARTITION BY p.person, c.name ORDER BY c.time DESC, c.event_id) <= {_OF_A_CHANGE}""",
    "CREATE TABLE concerned AS SELECT n FROM acting UNION SELECT n FROM kin UNION SELECT n FROM named",
    """
    CREATE TABLE judged AS
    WITH RECURSIVE above AS (
      SELECT n, parent_n FROM credentials WHERE n IN (
        SELECT n FROM concerned UNION SELECT n FROM habits UNION SELECT n FROM makers)
      UNION SELECT f.n, f.parent_n FROM credentials f JOIN above a ON f.n = a.parent_n)
    SELECT DISTINCT n FROM above""",
    f"""
    CREATE TABLE earlier AS
    WITH calls AS (
      SELECT e.segment, e.object, e.ordinal, e.time, e.event_id, e.ip, e.agent, w.n, p.person,
             c.n IS NOT NULL AS concerned, CASE WHEN e.secret THEN e.resource END AS secret,
             e.name = 'AssumeRole' AND e.error IS NOT NULL AS refused,
             e.source = 's3.amazonaws.com' AND e.name IN ('GetObject', 'CopyObject') AS copied
      FROM {{earlier_facts}} e JOIN credential_identities w ON w.segment = e.segment AND w.identity = e.identity
      JOIN judged j ON j.n = w.n LEFT JOIN persons p ON p.n = w.n LEFT JOIN concerned c ON c.n = w.n)
    SELECT segment, object, ordinal FROM calls
    QUALIFY row_number() OVER (
      PARTITION BY CASE WHEN concerned OR person IS NULL OR secret IS NOT NULL OR refused OR copied THEN n END,
                   person, ip, agent, secret, refused, copied ORDER BY time, event_id
    ) <= CASE WHEN refused THEN {_REFUSED} WHEN copied THEN {_COPIED} ELSE {_CALLS} END
    UNION SELECT segment, object, ordinal FROM (
      SELECT segment, object, ordinal FROM {{earlier_facts}} ORDER BY time, event_id LIMIT 1)""",
)
"""The tables of what a window holds, each from those before it; the first record tells since when there is evidence."""
_EVIDENCE = {
    "events": """
        SELECT e.* FROM {earlier_events} e SEMI JOIN earlier p
        ON p.segment = e.segment AND p.object = e.object AND p.ordinal = e.ordinal""",
    "identities": f"""
        SELECT i.* FROM identities i WHERE i.{_IN_WINDOW} OR (i.segment, i.identity) IN (
          SELECT (w.segment, w.identity) FROM credential_identities w SEMI JOIN judged j ON j.n = w.n
          UNION SELECT (c.segment, c.identity) FROM changes c
          UNION SELECT (f.segment, f.identity) FROM credentials f SEMI JOIN judged j ON j.n = f.n
          WHERE f.identity IS NOT NULL)""",
    "issuances": f"""
        SELECT s.* FROM issuances s WHERE s.{_IN_WINDOW} OR (s.segment, s.object, s.ordinal) IN (
          SELECT (f.segment, f.object, f.ordinal) FROM credentials f SEMI JOIN judged j ON j.n = f.n
          WHERE f.ordinal IS NOT NULL)""",
}
"""What is written of the evidence; of the window's own segments the events are read where they are."""
_DERIVED = {
    "credentials": "SELECT * FROM credentials SEMI JOIN judged USING (n) ORDER BY n",
    "names": "SELECT * FROM names SEMI JOIN judged USING (n) ORDER BY name, n, own",
    "credential_identities": "SELECT * FROM credential_identities SEMI JOIN judged USING (n) "
    "ORDER BY n, segment, identity",
    "links": "SELECT * FROM links WHERE child IN (SELECT n FROM judged) AND parent IN (SELECT n FROM judged) "
    "ORDER BY child, time, parent, what, thing, api, event_id",
    "duplicates": "SELECT * FROM duplicates ORDER BY segment, object, ordinal",
}


class _WindowEngine(DuckEngine):
    """An engine that always reads all of the evidence that it knows, as that is little."""

    def narrow(self, segments: Set[int]) -> dict[str, str]:
        """How a query names each table of segments: whole."""
        return self.everywhere()


class Window:
    """A window, with its own engine; close it when it is judged."""

    def __init__(
        self, engine: DuckEngine, derived: Path, records: int, acting: frozenset[str], first: int
    ) -> None:
        self.engine, self.derived, self.records = engine, derived, records
        self.acting = acting
        """The ids of the credentials that act in the newest segments."""
        self.first = first
        """The time of the first event of these, in seconds since 1970."""

    def close(self) -> None:
        """Let go of the engine."""
        self.engine.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Which segments a pass judges whole, and in which it looks for earlier calls."""

    whole: frozenset[str]
    earlier: frozenset[str]


def extent(
    times: Mapping[str, int], records: Mapping[str, int], unjudged: Set[str], most: int, since: int | None
) -> Extent:
    """
    Choose the segments that are judged whole: all that no pass has judged, and the newest others while there is room.

    Args:
        times: By segment, the time of its newest event.
        records: By segment, how many it has.
        unjudged: The segments that no pass has judged.
        most: How many records are judged whole.
        since: The time before which no segment is chosen that a pass has judged.
    """
    newest = sorted(times, key=lambda one: (times[one], one), reverse=True)
    whole = {one for one in times if one in unjudged}
    room = most - sum(records[one] for one in whole)
    recent = [one for one in newest if one not in whole and (since is None or times[one] >= since)]
    whole.update(_first(recent, records, room))
    rest = [one for one in newest if one not in whole]
    return Extent(
        whole=frozenset(whole),
        earlier=frozenset(
            (*_first(rest, records, _BEFORE), *_first(rest[::-1], records, _OLDEST), *rest[-1:])
        ),
    )


def _first(segments: Sequence[str], records: Mapping[str, int], most: int) -> Iterator[str]:
    """The first of some segments that together have no more than so many records."""
    for one in segments:
        most -= records[one]
        if most < 0:
            return
        yield one


def window_of(view: View, snapshot: Snapshot, reach: Extent, scratch: Path) -> Window:
    """
    Make the window of some segments.

    Args:
        view: The view of all evidence.
        snapshot: The case.
        reach: The newest segments, and those in which earlier calls are looked for.
        scratch: A folder to make, which the caller removes.
    """
    derived, evidence = scratch / "derived", scratch / "evidence"
    for folder in (derived, evidence):
        folder.mkdir(mode=0o700, parents=True)
    numbers = [int(one, 16) for one in sorted(reach.whole)]
    engine = view.engine
    events = engine.narrow({int(one, 16) for one in reach.earlier})["some_events"]
    places = {"earlier_events": events, "earlier_facts": f"({facts_of(engine, events)})"}
    with engine.aside():
        engine.register("given_segments", pa.table({"segment": pa.array(numbers, pa.int64())}))
        engine.run("CREATE TABLE window_segments AS SELECT * FROM given_segments")
        for statement in _CREDENTIALS:
            engine.run(statement.format_map(places))
        for name, query in _EVIDENCE.items():
            engine.park(query.format_map(places), evidence / f"{name}.parquet")
        engine.keep_tables(derived / DATABASE, _DERIVED)
        acting = frozenset(
            row["id"] for row in engine.each("SELECT id FROM credentials SEMI JOIN acting USING (n)")
        )
        [first] = engine.rows(f"SELECT coalesce(min(time), 0) AS first FROM events WHERE {_IN_WINDOW}")
    folders = [snapshot.folders[name] for name in sorted(reach.whole)]
    records = sum(
        one.records for each in snapshot.manifests if each.segment in reach.whole for one in each.objects
    )
    within = [scratch, view.derived, *{one.parent for one in snapshot.folders.values()}]
    opened = _WindowEngine(scratch / "spill", threads=1, within=within)
    try:
        for name in ("events", "identities", "issuances"):
            opened.segments(name, folders)
            files = [evidence / f"{name}.parquet"]
            files += [folder / "events.parquet" for folder in folders] if name == "events" else []
            opened.run(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {reading(files)}")
        opened.segments("changes", list(snapshot.folders.values()))
        reopen(opened, derived, view.derived)
    except BaseException:
        opened.close()
        raise
    return Window(opened, derived, records, acting, int(first["first"]))
