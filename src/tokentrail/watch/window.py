"""
The window: the newest evidence of a case, with what earlier evidence tells of the credentials that act in it.

A case of hundreds of millions of events can't be judged as a whole twice a minute. So a pass over a large case judges
the newest segments whole, and of all earlier ones, however old they are, what rules look back at:

- the credentials that act in these segments, all above them, the newest of the same lineages, those whose keys a change
  in them names (with all that descends from these), and those that made changes;
- the first credentials of each habit of the same principals (who minted what kind of session from where in a lineage);
- of all these, the first calls from each address with each tool, reads of each secret, and refused attempts to assume
  a role;
- all changes.

Everything is asked of the case itself, in a few queries: nothing is kept from one pass to the next. What is counted
over very many calls (objects that one session copies slowly) counts only as far as the window reaches.
"""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

import pyarrow as pa

from tokentrail.case.views import View
from tokentrail.lineage.grow import reopen
from tokentrail.store.duck import DuckEngine
from tokentrail.store.interface import Snapshot
from tokentrail.store.literals import reading

_OF_A_HABIT, _OF_A_LINEAGE = 12, 20
"""
The first credentials of each habit that are looked back at (rules see a habit in ten), and the newest of each lineage.
"""
_CALLS, _REFUSED, _COPIED = 10, 40, 1_000
"""The first calls of one kind, refused attempts to assume a role, and copies of objects, of each credential that are
looked back at: what one session copies is compared with what earlier ones did."""
_IN_WINDOW = "segment IN (SELECT segment FROM window_segments)"
_PERSON = "coalesce(i.issuer_arn, i.arn)"
_CREDENTIALS = (
    f"""
    CREATE TABLE acting AS
    SELECT DISTINCT n FROM who WHERE {_IN_WINDOW} UNION SELECT n FROM forest WHERE {_IN_WINDOW}""",
    """
    CREATE TABLE persons AS
    SELECT w.n, min(coalesce(i.issuer_arn, i.arn)) AS person FROM who w
    JOIN identities i ON i.segment = w.segment AND i.identity = w.identity GROUP BY w.n""",
    f"""
    CREATE TABLE habits AS
    SELECT f.n FROM forest f JOIN persons p ON p.n = f.n
    LEFT JOIN forest m ON m.n = f.parent_n LEFT JOIN persons q ON q.n = f.parent_n
    WHERE p.person IN (SELECT person FROM persons SEMI JOIN acting USING (n))
    QUALIFY row_number() OVER (PARTITION BY p.person, q.person, f.kind, m.kind, f.depth
                               ORDER BY coalesce(f.issued_time, f.first), f.n) <= {_OF_A_HABIT}""",
    f"""
    CREATE TABLE kin AS
    SELECT n FROM forest WHERE root_n IN (SELECT root_n FROM forest SEMI JOIN acting USING (n))
    QUALIFY row_number() OVER (PARTITION BY root_n ORDER BY coalesce(issued_time, first) DESC, n DESC)
            <= {_OF_A_LINEAGE}""",
    f"""
    CREATE TABLE named AS
    SELECT f.n FROM forest f JOIN (
      SELECT DISTINCT t.n, t.span FROM forest t JOIN names a ON a.n = t.n JOIN (
        SELECT unnest(regexp_extract_all(request, '"accessKeyId":"([^"]+)"', 1)) AS name FROM changes WHERE {_IN_WINDOW}
      ) c ON c.name = a.name
    ) k ON f.n >= k.n AND f.n < k.n + k.span""",
    """
    CREATE TABLE judged AS
    WITH RECURSIVE above AS (
      SELECT n, parent_n FROM forest WHERE n IN (
        SELECT n FROM acting UNION SELECT n FROM habits UNION SELECT n FROM kin UNION SELECT n FROM named
        UNION SELECT w.n FROM who w SEMI JOIN changes c ON c.segment = w.segment AND c.identity = w.identity)
      UNION SELECT f.n, f.parent_n FROM forest f JOIN above a ON f.n = a.parent_n)
    SELECT DISTINCT n FROM above""",
    f"""
    CREATE TABLE earlier AS
    WITH calls AS (
      SELECT e.segment, e.object, e.ordinal, e.time, e.event_id, w.n, e.ip, e.agent, e.error,
             CASE WHEN e.secret THEN e.resource END AS secret,
             e.name = 'AssumeRole' AND e.error IS NOT NULL AS refused,
             e.source = 's3.amazonaws.com' AND e.name IN ('GetObject', 'CopyObject') AS copied
      FROM facts e JOIN who w ON w.segment = e.segment AND w.identity = e.identity SEMI JOIN judged j ON j.n = w.n
      WHERE NOT (e.{_IN_WINDOW}))
    SELECT segment, object, ordinal FROM calls
    QUALIFY row_number() OVER (PARTITION BY n, ip, agent, secret, refused, copied ORDER BY time, event_id)
            <= CASE WHEN refused THEN {_REFUSED} WHEN copied THEN {_COPIED} ELSE {_CALLS} END
    UNION SELECT segment, object, ordinal FROM (
      SELECT segment, object, ordinal FROM facts ORDER BY time, event_id LIMIT 1)""",
)
"""The tables of what a window holds, each from those before it; the first record tells since when there is evidence."""
_EVIDENCE = {
    "events": f"""
        SELECT e.* FROM events e SEMI JOIN earlier p
        ON p.segment = e.segment AND p.object = e.object AND p.ordinal = e.ordinal WHERE NOT (e.{_IN_WINDOW})""",
    "identities": f"""
        SELECT i.* FROM identities i WHERE i.{_IN_WINDOW} OR (i.segment, i.identity) IN (
          SELECT (w.segment, w.identity) FROM who w SEMI JOIN judged j ON j.n = w.n
          UNION SELECT (c.segment, c.identity) FROM changes c
          UNION SELECT (f.segment, f.identity) FROM forest f SEMI JOIN judged j ON j.n = f.n
          WHERE f.identity IS NOT NULL)""",
    "issuances": f"""
        SELECT s.* FROM issuances s WHERE s.{_IN_WINDOW} OR (s.segment, s.object, s.ordinal) IN (
          SELECT (f.segment, f.object, f.ordinal) FROM forest f SEMI JOIN judged j ON j.n = f.n
          WHERE f.ordinal IS NOT NULL)""",
}
"""What is written of the evidence; of the window's own segments the events are read where they are."""
_DERIVED = {
    "forest": "SELECT * FROM forest SEMI JOIN judged USING (n) ORDER BY n",
    "creations": "SELECT * FROM creations SEMI JOIN judged USING (n) ORDER BY n",
    "names": "SELECT * FROM names SEMI JOIN judged USING (n) ORDER BY name, n, own",
    "who": "SELECT * FROM who SEMI JOIN judged USING (n) ORDER BY n, segment, identity",
    "links": "SELECT * FROM links WHERE child IN (SELECT n FROM judged) AND parent IN (SELECT n FROM judged) "
    "ORDER BY child, time, parent, what, thing, api, event_id",
    "losers": "SELECT * FROM losers ORDER BY segment, object, ordinal",
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


def window_of(view: View, snapshot: Snapshot, segments: Set[str], scratch: Path) -> Window:
    """
    Make the window of some segments.

    Args:
        view: The view of all evidence.
        snapshot: The case.
        segments: The newest segments.
        scratch: A folder to make, which the caller removes.
    """
    derived, evidence = scratch / "derived", scratch / "evidence"
    for folder in (derived, evidence):
        folder.mkdir(mode=0o700, parents=True)
    numbers = [int(one, 16) for one in sorted(segments)]
    engine = view.engine
    with engine.aside():
        engine.register("given_segments", pa.table({"segment": pa.array(numbers, pa.int64())}))
        engine.run("CREATE TABLE window_segments AS SELECT * FROM given_segments")
        for statement in _CREDENTIALS:
            engine.run(statement)
        for name, query in _EVIDENCE.items():
            engine.park(query, evidence / f"{name}.parquet")
        for name, query in _DERIVED.items():
            engine.write(query, derived / f"{name}.parquet")
        acting = frozenset(
            row["id"] for row in engine.each("SELECT id FROM forest SEMI JOIN acting USING (n)")
        )
        [first] = engine.rows(f"SELECT coalesce(min(time), 0) AS first FROM events WHERE {_IN_WINDOW}")
    folders = [snapshot.folders[name] for name in sorted(segments)]
    records = sum(
        one.records for each in snapshot.manifests if each.segment in segments for one in each.objects
    )
    opened = _WindowEngine(scratch / "spill", threads=1)
    try:
        for name in ("events", "identities", "issuances"):
            opened.segments(name, folders)
            files = [evidence / f"{name}.parquet"]
            files += [folder / "events.parquet" for folder in folders] if name == "events" else []
            opened.run(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {reading(files)}")
        opened.segments("changes", list(snapshot.folders.values()))
        reopen(opened, derived)
    except BaseException:
        opened.close()
        raise
    return Window(opened, derived, records, acting, int(first["first"]))
