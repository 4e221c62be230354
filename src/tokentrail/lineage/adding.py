"""
Add to a forest: link again what new records touch, and leave everything else, and the files that it lies in, as it is.

What comes out is what linking all at once would say, but for the numbers of places; tests compare both. Where so much is
touched, or so rare a thing happened, that it would not pay or could not be told, `TooMuch` is raised, and all is linked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tokentrail.lineage import later
from tokentrail.lineage.graft import Above, Kin, NoPlace, grafted
from tokentrail.lineage.grow import LINKING_FILES, OUTPUT, REDUCED, Grown, in_order, listed_in, made_by
from tokentrail.lineage.number import GAP
from tokentrail.lineage.touched import TooMuch, Touched
from tokentrail.store.interface import Engine

_SHARE = 0.25
"""If more than that part of a case is touched, or of a forest replaced, all is linked at once."""
_GIVEN = " ".join(f"{begin}{name}" for name in REDUCED for begin in ("new_", "all_", "removed_"))
_LINKED = "parents who makers made_by forms calls keyrings lost"
_PART = (
    "CREATE OR REPLACE VIEW people AS SELECT * FROM touched_people",
    "CREATE OR REPLACE VIEW issuing AS SELECT * FROM touched_issuing",
    # A key that somebody made is told without any use of it.
    """CREATE OR REPLACE VIEW makings AS
    SELECT * FROM all_makings WHERE what <> 'access_key' OR id IN (SELECT name FROM known_key)""",
    "CREATE OR REPLACE VIEW losers AS SELECT * FROM all_losers",
    """CREATE OR REPLACE TABLE elsewhere AS
    SELECT w.segment, w.identity, -w.n - 1 AS ck FROM stored_who w
    JOIN (SELECT segment, identity FROM touched_issuing UNION SELECT segment, identity FROM makings) c
      ON c.segment = w.segment AND c.identity = w.identity
    WHERE NOT EXISTS (SELECT 1 FROM touched_people t WHERE t.segment = w.segment AND t.identity = w.identity)""",
)
_COMPARED = (
    # Whose the identities were, and whether that is told by the later file.
    """CREATE OR REPLACE TABLE had AS
    SELECT w.*, EXISTS (SELECT 1 FROM later_who l WHERE l.segment = w.segment AND l.identity = w.identity) AS later
    FROM (
      SELECT w.n, w.segment, w.identity, FALSE AS removed FROM stored_who w
      JOIN touched_people t ON t.segment = w.segment AND t.identity = w.identity
      UNION ALL
      SELECT w.n, w.segment, w.identity, TRUE FROM stored_who w JOIN removed_segments r ON r.segment = w.segment
    ) w""",
    """CREATE OR REPLACE TABLE handles AS
    SELECT p.ck, s.n AS old FROM parents p LEFT JOIN (SELECT name, n FROM stored_names WHERE own) s ON s.name = p.id""",
    """CREATE OR REPLACE TABLE touched_before AS
    SELECT n FROM had
    UNION
    SELECT f.n FROM stored_forest f JOIN (
      SELECT segment, object, ordinal FROM touched_issuing UNION ALL SELECT segment, object, ordinal FROM removed_issuing
    ) i ON i.segment = f.segment AND i.object = f.object AND i.ordinal = f.ordinal
    UNION
    SELECT n FROM stored_names WHERE own AND name IN (SELECT name FROM known_key)
    UNION
    SELECT n FROM stored_creations WHERE created_what = 'access_key' AND created_thing IN (SELECT name FROM known_key)""",
    "CREATE OR REPLACE TABLE vanished AS SELECT n FROM touched_before WHERE n NOT IN (SELECT old FROM handles WHERE old IS NOT NULL)",
    """CREATE OR REPLACE TABLE moved AS
    SELECT DISTINCT h.segment, h.identity FROM had h
    LEFT JOIN (SELECT w.segment, w.identity, o.old FROM who w JOIN handles o ON o.ck = w.ck) q
      ON q.segment = h.segment AND q.identity = h.identity
    WHERE NOT h.removed AND q.old IS DISTINCT FROM h.n""",
    """CREATE OR REPLACE TABLE touched_makings AS
    SELECT * FROM new_makings UNION ALL SELECT * FROM removed_makings
    UNION ALL SELECT m.* FROM all_makings m JOIN moved q ON q.segment = m.segment AND q.identity = m.identity""",
    # Whose life became another: whoever may have been the only one to make a call may be so no more, or only now.
    """CREATE OR REPLACE TABLE changed AS
    WITH principals AS (
      SELECT DISTINCT w.ck, t.principal, t.account FROM who w
      JOIN touched_people t ON t.segment = w.segment AND t.identity = w.identity
    ), several AS (SELECT ck FROM principals GROUP BY ck HAVING count(*) > 1),
    lives AS (SELECT p.ck, coalesce(p.issued_at, p.first) AS start, coalesce(p.expires_at, p.expires_bound) AS finish FROM parents p),
    before AS (SELECT n, coalesce(issued_at, first) AS start, coalesce(expires_at, expires_bound) AS finish FROM stored_forest)
    SELECT q.principal, least(l.start, b.start) AS start,
           CASE WHEN l.finish IS NOT NULL AND (b.n IS NULL OR b.finish IS NOT NULL) THEN greatest(l.finish, b.finish) END AS finish
    FROM lives l JOIN handles h ON h.ck = l.ck JOIN principals q ON q.ck = l.ck LEFT JOIN before b ON b.n = h.old
    WHERE b.n IS NULL OR l.start IS DISTINCT FROM b.start OR l.finish IS DISTINCT FROM b.finish
       OR l.ck IN (SELECT ck FROM several)
    UNION ALL
    SELECT DISTINCT t.principal, b.start, b.finish FROM had h JOIN vanished v ON v.n = h.n JOIN before b ON b.n = h.n
    JOIN (SELECT segment, identity, principal FROM touched_people
          UNION ALL SELECT segment, identity, principal FROM removed_people) t
      ON t.segment = h.segment AND t.identity = h.identity""",
)
_BY_OTHERS = """
SELECT i.* FROM all_issuing i JOIN moved q ON q.segment = i.segment AND q.identity = i.identity
UNION ALL
SELECT i.* FROM all_issuing i JOIN changed c ON c.principal = i.caller_principal
WHERE i.caller_type = 'AWSAccount' AND i.caller_principal <> '' AND i.time >= coalesce(c.start, i.time)
  AND i.time < coalesce(c.finish, i.time + 1)"""
"""Calls of those who turned out to be somebody else, and calls that nobody but them may have made."""
_LAST = r"'([^/]+)$', 1)"
_THROUGH = {
    ("user", "login_profile"): (
        """SELECT p.* FROM all_people p JOIN {made} m
        ON m.account = p.account AND m.id = regexp_extract(p.user_arn, ':user/(?:.*/)?([^/]+)$', 1)
        WHERE p.user_arn IS NOT NULL AND greatest(p.last, p.created) >= m.time AND greatest(p.last, p.created) >= {since}""",
        """SELECT i.* FROM all_issuing i JOIN {made} m
        ON m.id = regexp_extract(i.caller_user_arn, ':user/(?:.*/)?([^/]+)$', 1)
        WHERE i.caller_user_arn IS NOT NULL AND i.time >= m.time AND i.time >= {since}""",
    ),
    ("role", "trust"): (
        f"""SELECT p.* FROM all_people p JOIN {{made}} m
        ON m.account = split_part(p.issuer_arn, ':', 5) AND m.id = regexp_extract(p.issuer_arn, {_LAST}
        WHERE p.issuer_arn IS NOT NULL AND p.created >= m.time AND p.created >= {{since}}""",
        f"""SELECT i.* FROM all_issuing i JOIN {{made}} m
        ON m.account = split_part(i.role_arn, ':', 5) AND m.id = regexp_extract(i.role_arn, {_LAST}
        WHERE i.role_arn IS NOT NULL AND i.time + 2 >= m.time AND i.time + 2 >= {{since}}""",
    ),
    ("provider",): (
        """SELECT p.* FROM all_people p JOIN {made} m ON m.id = p.federated_provider
        WHERE p.created >= m.time AND p.created >= {since}""",
        """SELECT i.* FROM all_issuing i JOIN {made} m ON m.id = i.caller_provider
        WHERE i.time + 2 >= m.time AND i.time + 2 >= {since}""",
    ),
    ("instance", "function"): (
        """SELECT p.* FROM all_people p JOIN {made} m ON m.id = split_part(p.principal, ':', 2)
        WHERE p.created >= m.time AND p.created >= {since}""",
        """SELECT i.* FROM all_issuing i JOIN {made} m ON m.id = i.session_name
        WHERE i.time + 2 >= m.time AND i.time + 2 >= {since}""",
    ),
}  # fmt: skip
"""By what was made, who may act through it: as `7_created.sql` joins them, from the second that it was made."""
_MADE = "(SELECT account, id, time FROM touched_makings WHERE what IN ({}) AND id IS NOT NULL)"
_ODD = (
    "SELECT 1 AS one FROM handles WHERE old IS NOT NULL AND old NOT IN (SELECT n FROM touched_before)",
    "SELECT 1 AS one FROM parents WHERE parent_ck < -1 AND -parent_ck - 1 IN (SELECT n FROM touched_before)",
    "SELECT 1 AS one FROM makers WHERE maker < -1 AND -maker - 1 IN (SELECT n FROM touched_before)",
    "SELECT 1 AS one FROM stored_forest WHERE parent_n IN (SELECT n FROM vanished) AND n NOT IN (SELECT n FROM touched_before)",
    "SELECT 1 AS one FROM stored_links WHERE parent IN (SELECT n FROM vanished) AND child NOT IN (SELECT n FROM touched_before)",
    "SELECT 1 AS one FROM known_key WHERE contains(name, '@')",
    r"SELECT 1 AS one FROM parents WHERE regexp_matches(id, '@[IGKL]\|')",
    r"""SELECT 1 AS one FROM stored_names
    WHERE own AND regexp_matches(name, '@[IGKL]\|') AND n IN (SELECT n FROM touched_before)""",
)
"""What can't be told from a part: ids that others bear, and kin of those who are no more."""


def add(engine: Engine, base: Path, into: Path, first: Sequence[str], records: int) -> Grown:
    """
    Derive the forest of all evidence from an earlier one.

    Args:
        engine: Knows what segments were reduced to.
        base: The folder of the earlier one.
        into: Where to write; later files, and the earlier ones of the first linking by another name.
        first: Statements that make the `REDUCED` of all segments (`all_`), of new ones (`new_`), and of those that
            the earlier forest knows and that count no more (`removed_`, and `removed_segments`).
        records: How many records there are, repeated ones counted each time.

    Raises:
        TooMuch: it would not pay, or can't be done.
        CaseError: the earlier forest can't be read.
    """
    engine.run_all(in_order(first, [_GIVEN]))
    later.know(engine, base, "stored_")
    _know_files(engine, base)
    part = Touched(engine, _most(engine))
    part.by_new()
    _link(engine)
    while part.further(*_further(engine), "touched_makings"):
        _link(engine)
    if any(engine.rows(f"{sql} LIMIT 1") for sql in _ODD):
        raise TooMuch
    unplaced = _place(engine, base)
    return _written(engine, base, into, unplaced, records)


def _know_files(engine: Engine, base: Path) -> None:
    """Know the rows that the first linking wrote as `base_`, and those of the later files alone as `later_`."""
    for name in ("forest", "creations", "who", "links"):
        engine.view(f"base_{name}", base / f"{name}.parquet")
        if later.is_grown(base):
            engine.view(f"later_{name}", later.later_file(base, name))
        else:
            engine.run(f"CREATE OR REPLACE VIEW later_{name} AS SELECT * FROM base_{name} LIMIT 0")


def _most(engine: Engine) -> int:
    """Rows that may be touched."""
    [found] = engine.rows("""
        SELECT (SELECT count(*) FROM base_forest) AS base, (SELECT count(*) FROM later_forest) AS later,
               (SELECT count(*) FROM all_people) + (SELECT count(*) FROM all_issuing) AS linked""")
    if found["later"] > found["base"] * _SHARE:
        raise TooMuch
    return int(found["linked"] * _SHARE)


def _link(engine: Engine) -> None:
    """Link what is touched, and compare it with what was linked before."""
    listed = listed_in(LINKING_FILES)
    for one in listed:
        made = made_by(one)
        assert made is not None, one
        engine.run(f"DROP {made[0]} IF EXISTS {made[1]}")
    for one in _PART:
        engine.run(one)
    engine.run_all(in_order(listed, [_LINKED]))
    for one in _COMPARED:
        engine.run(one)


def _further(engine: Engine) -> tuple[str, str]:
    """What hangs on credentials that came out otherwise: queries for those who act, and for calls that issue."""
    people, issuing = ["SELECT * FROM all_people LIMIT 0"], [_BY_OTHERS]
    since = {row["what"]: row["since"] for row in engine.rows("SELECT what, min(time) AS since FROM touched_makings GROUP BY what")}
    for whats, (acting, issued) in _THROUGH.items():
        times = [since[what] for what in whats if what in since]
        if times:
            made = _MADE.format(", ".join(f"'{what}'" for what in whats))
            people.append(acting.format(made=made, since=min(times)))
            issuing.append(issued.format(made=made, since=min(times)))
    return " UNION ALL ".join(f"({one})" for one in people), " UNION ALL ".join(f"({one})" for one in issuing)


def _place(engine: Engine, base: Path) -> np.ndarray[Any, np.dtype[np.int64]]:
    """
    Find everybody's place: makes `places` for what was linked again, and `carried` for the rest of later files.

    Answers the places of the first linking that nobody has any more.
    """
    engine.run(f"""
        CREATE TABLE to_place AS
        SELECT p.ck, h.old, p.parent_ck, coalesce(p.moment, 0) AS moment, p.id, s.parent_n, s.root_n, s.depth, s.span,
               h.old % {GAP} = 0 AND coalesce(p.moment, 0) = s.moment AND (
                 (p.parent_ck IS NULL AND s.parent_n IS NULL)
                 OR (coalesce(u.old, -p.parent_ck - 1) = s.parent_n AND s.parent_n % {GAP} = 0)) AS stays
        FROM parents p JOIN handles h ON h.ck = p.ck LEFT JOIN handles u ON u.ck = p.parent_ck
        LEFT JOIN (
          SELECT f.*, coalesce(f.issued_at, f.first, c.created_time, 0) AS moment FROM stored_forest f
          LEFT JOIN stored_creations c ON c.n = f.n
        ) s ON s.n = h.old""")
    engine.run(f"""
        CREATE TABLE dragged AS
        SELECT DISTINCT f.n FROM stored_forest f
        JOIN to_place r ON f.n > r.old AND f.n < r.old + r.span
        WHERE r.old % {GAP} = 0 AND NOT coalesce(r.stays, FALSE) AND f.n % {GAP} = 0""")
    engine.run("""
        CREATE TABLE staying AS
        SELECT * FROM to_place WHERE coalesce(stays, FALSE) AND old NOT IN (SELECT n FROM dragged)""")
    engine.run(f"""
        CREATE TABLE held AS
        SELECT f.n FROM later_forest f WHERE n NOT IN (SELECT n FROM touched_before)
        UNION SELECT n FROM dragged WHERE n NOT IN (SELECT n FROM touched_before)""")
    engine.run(f"""
        CREATE TABLE leaving AS
        SELECT p.ck AS who, p.parent_ck AS parent, p.moment, p.id FROM to_place p
        WHERE p.ck NOT IN (SELECT ck FROM staying)
        UNION ALL
        SELECT -f.n - 1, coalesce(u.ck, -f.parent_n - 1), coalesce(f.issued_at, f.first, c.created_time, 0), f.id
        FROM stored_forest f JOIN held h ON h.n = f.n LEFT JOIN handles u ON u.old = f.parent_n
        LEFT JOIN stored_creations c ON c.n = f.n
        WHERE f.n % {GAP} <> 0 OR f.n IN (SELECT n FROM dragged)""")
    before, _ = later.gone_in(base)
    unplaced = _numbers(engine, f"""
        SELECT old AS n FROM to_place WHERE old % {GAP} = 0 AND ck NOT IN (SELECT ck FROM staying)
        UNION SELECT n FROM dragged UNION SELECT n FROM vanished WHERE n % {GAP} = 0""")
    unplaced = np.union1d(before.filter(before["unplaced"])["n"].to_numpy(), unplaced)
    try:
        engine.register("grafting", _grafted(engine, unplaced))
    except NoPlace as error:
        raise TooMuch from error
    engine.run("CREATE TABLE grafts AS SELECT * FROM grafting")
    engine.run("""
        CREATE TABLE carried AS
        SELECT -who - 1 AS old, n, parent, root, depth, span FROM grafts WHERE who < -1
        UNION ALL
        SELECT f.n, f.n, f.parent_n, f.root_n, f.depth, f.span FROM later_forest f JOIN held h ON h.n = f.n
        WHERE -f.n - 1 NOT IN (SELECT who FROM leaving)""")
    engine.run("""
        CREATE TABLE places AS
        SELECT who AS ck, n, parent, root, depth, span FROM grafts WHERE who >= 0
        UNION ALL
        SELECT ck, old, parent_n, root_n, depth, span FROM staying""")
    # Those whom something that was linked names, and that were not.
    engine.run("""
        INSERT INTO places
        SELECT m.maker, coalesce(c.n, -m.maker - 1), NULL, NULL, NULL, NULL
        FROM (SELECT DISTINCT maker FROM makers WHERE maker < -1) m LEFT JOIN carried c ON c.old = -m.maker - 1""")
    engine.run("""
        CREATE TABLE elsewhere_now AS
        SELECT old, n FROM carried WHERE old <> n
        UNION ALL SELECT h.old, p.n FROM handles h JOIN places p ON p.ck = h.ck WHERE h.old <> p.n""")
    return unplaced


def _grafted(engine: Engine, unplaced: np.ndarray[Any, np.dtype[np.int64]]) -> pa.Table:
    """Places for all that leave theirs, or have none yet."""
    rows = engine.table("SELECT * FROM leaving")
    above = engine.table("""
        SELECT l.parent, s.old AS n, s.root_n, s.depth FROM (SELECT DISTINCT parent FROM leaving) l JOIN staying s ON s.ck = l.parent
        UNION ALL
        SELECT l.parent, f.n, f.root_n, f.depth FROM (SELECT DISTINCT parent FROM leaving WHERE parent < -1) l
        JOIN stored_forest f ON f.n = -l.parent - 1 WHERE l.parent NOT IN (SELECT who FROM leaving)""")
    engine.register("above", above)
    engine.register("unplaced", pa.table({"n": pa.array(unplaced, pa.int64())}))
    roots = "OR b.parent_n IS NULL" if rows["parent"].null_count else ""
    kin = engine.table(f"""
        SELECT b.parent_n, b.n + b.span AS ends, coalesce(b.issued_at, b.first, c.created_time, 0) AS moment, b.id
        FROM base_forest b LEFT JOIN base_creations c ON c.n = b.n
        WHERE (b.parent_n IN (SELECT n FROM above) {roots}) AND b.n NOT IN (SELECT n FROM unplaced)
        ORDER BY b.parent_n NULLS FIRST, b.n""").combine_chunks()
    known = {row["parent"]: Above(row["n"], row["root_n"], row["depth"]) for row in above.to_pylist()}
    return grafted(rows, known, _kin(kin, {one.n: parent for parent, one in known.items()}))


def _kin(rows: pa.Table, called: Mapping[int, int]) -> dict[int | None, Kin]:
    """Siblings by what their parent is called."""
    parent = rows["parent_n"].fill_null(-1).to_numpy()
    starts = np.flatnonzero(np.concatenate(([True], parent[1:] != parent[:-1]))) if len(parent) else parent
    ends, moments = rows["ends"].to_numpy(), rows["moment"].to_numpy()
    found: dict[int | None, Kin] = {}
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(parent)], strict=False):
        one = int(parent[start])
        found[None if one == -1 else called[one]] = Kin(
            ends[start:end], moments[start:end], rows["id"].slice(start, end - start)
        )
    return found


def _numbers(engine: Engine, sql: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.unique(engine.table(sql)["n"].to_numpy())


_WRITTEN = {
    "forest": """
        SELECT * FROM ({linked})
        UNION ALL
        SELECT c.n, c.parent, c.root, c.depth, c.span, s.* EXCLUDE (n, parent_n, root_n, depth, span)
        FROM stored_forest s JOIN carried c ON c.old = s.n
        ORDER BY n""",
    "creations": """
        SELECT * FROM ({linked})
        UNION ALL SELECT c.n, s.* EXCLUDE (n) FROM stored_creations s JOIN carried c ON c.old = s.n
        ORDER BY n""",
    "names": """
        SELECT * FROM ({linked})
        UNION ALL SELECT s.name, c.n, s.own FROM stored_names s JOIN carried c ON c.old = s.n
        ORDER BY name, n, own""",
    "who": """
        SELECT o.n, w.segment, w.identity FROM who w JOIN places o ON o.ck = w.ck
        WHERE w.ck >= 0 AND NOT EXISTS (
          SELECT 1 FROM had h
          WHERE h.segment = w.segment AND h.identity = w.identity AND h.n = o.n AND NOT h.later AND h.n IN (SELECT old FROM staying)
            AND h.segment NOT IN (SELECT segment FROM removed_segments))
        UNION ALL
        SELECT c.n, s.segment, s.identity FROM stored_who s JOIN carried c ON c.old = s.n WHERE c.old <> c.n
        UNION ALL
        SELECT c.n, s.segment, s.identity FROM later_who s JOIN carried c ON c.old = s.n WHERE c.old = c.n
        ORDER BY n, segment, identity""",
    "links": """
        SELECT * FROM ({linked})
        UNION ALL
        SELECT coalesce(c.n, s.child), coalesce(m.n, s.parent), s.* EXCLUDE (child, parent) FROM stored_links s
        LEFT JOIN carried c ON c.old = s.child LEFT JOIN elsewhere_now m ON m.old = s.parent
        WHERE s.child NOT IN (SELECT n FROM touched_before)
          AND (c.n IS NOT NULL OR m.n IS NOT NULL
               OR EXISTS (SELECT 1 FROM later_links l WHERE l.child = s.child AND l.parent = s.parent))
        ORDER BY child, time, parent, what, thing, api, event_id""",
}


def _written(
    engine: Engine, base: Path, into: Path, unplaced: np.ndarray[Any, np.dtype[np.int64]], records: int
) -> Grown:
    """Write the later files; answers how large the whole forest is."""
    for name, query in _WRITTEN.items():
        engine.write(query.format(linked=OUTPUT[name]), later.later_file(into, name))
    engine.write(OUTPUT["losers"], into / "losers.parquet")
    _, who_before = later.gone_in(base)
    engine.register("gone_before", who_before)
    replaced = _numbers(engine, f"SELECT n FROM read_parquet('{_quoted(later.later_file(into, 'forest'))}') WHERE n % {GAP} = 0")
    gone = np.union1d(replaced, unplaced)
    pq.write_table(
        pa.table({"n": pa.array(gone), "unplaced": pa.array(np.isin(gone, unplaced))}).cast(later.NO_PLACES.schema),
        into / later.GONE,
    )
    who = engine.table("""
        SELECT segment, identity FROM gone_before UNION SELECT segment, identity FROM moved
        UNION SELECT segment, NULL FROM removed_segments""")
    pq.write_table(who.cast(later.NO_WHO.schema), into / later.GONE_WHO)
    [found] = engine.rows(f"""
        SELECT (SELECT count(*) FROM base_forest) AS base, (SELECT count(*) FROM lost) AS lost,
               (SELECT count(*) FROM read_parquet('{_quoted(later.later_file(into, 'forest'))}')) AS later,
               (SELECT min(first) FROM all_people) AS first, (SELECT max(last) FROM all_people) AS last""")
    return Grown(
        records - found["lost"], found["base"] - len(gone) + found["later"], found["first"], found["last"]
    )


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
