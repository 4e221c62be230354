"""
Add new records to a forest: only what they touch (`affected_rows`) is linked again; all else stays as it is.

The derived database is copied, and in the copy the rows of what was linked again are replaced.

A credential that was there before keeps its number, and new ones get higher numbers. But for the numbers, the result is
the same as linking everything at once; tests compare the two. If too much is touched for this to be quicker, or the
part alone can't decide (`_ODD`), `TooMuch` is raised, and everything is linked.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from tokentrail.lineage import segment_tables
from tokentrail.lineage.affected_rows import Naming, TooMuch, Touched
from tokentrail.lineage.link import (
    KEPT,
    LINKING_FILES,
    OUTPUT,
    ForestSize,
    in_order,
    listed_in,
    made_by,
    statements,
)
from tokentrail.lineage.trees import NONE, Ring, depths_and_roots, positions
from tokentrail.store.interface import Engine
from tokentrail.store.tidying import DATABASE

SHARE = 0.25
"""If twice this share of a case is touched, or this share of a forest was added later, everything is linked at once."""
_GIVEN = " ".join(f"{begin}{name}" for name in KEPT for begin in ("new_", "all_", "removed_"))
_FRESH = """
CREATE TABLE fresh_segments AS
SELECT segment FROM new_people UNION SELECT segment FROM new_issuing UNION SELECT segment FROM new_makings
EXCEPT SELECT segment FROM removed_segments"""
"""Segments of which the earlier forest knows nothing."""
_LINKED = "parents credential_identities makers made_by forms calls keyrings lost"
_FOREIGN = """
CREATE TABLE foreign_calls AS
SELECT segment, object, ordinal, time, caller_account, caller_principal FROM all_issuing
WHERE caller_type = 'AWSAccount' AND caller_principal <> ''"""
"""Calls from other accounts: their caller is inferred where exactly one credential can have made them."""
_BY_OTHERS = """
SELECT i.* FROM all_issuing i JOIN moved q ON q.segment = i.segment AND q.identity = i.identity
UNION ALL
SELECT i.* FROM all_issuing i JOIN (
  SELECT f.segment, f.object, f.ordinal FROM foreign_calls f JOIN changed c ON c.principal = f.caller_principal
  WHERE f.time >= c.start AND f.time < coalesce(c.finish, f.time + 1)
  UNION
  SELECT f.segment, f.object, f.ordinal FROM foreign_calls f
  JOIN nameless c ON c.session_name = split_part(f.caller_principal, ':', -1)
    AND split_part(c.role_arn, ':', 5) = f.caller_account
  UNION
  SELECT f.segment, f.object, f.ordinal FROM foreign_calls f
  WHERE f.caller_principal LIKE 'AIDA%' AND f.caller_account IN (SELECT account FROM keyed_accounts)
  UNION
  SELECT f.segment, f.object, f.ordinal FROM foreign_calls f JOIN keys_changed m ON m.account = f.caller_account
  WHERE f.time >= m.time
) f ON f.segment = i.segment AND f.object = i.object AND f.ordinal = i.ordinal"""
"""
Issuing calls whose caller may come out differently: calls by identities that turned out to be another credential's, and
calls from other accounts for which, since credentials or keys came, went or changed, another one may be the only
possible caller.
"""
_PLACE = "segment, object, ordinal"
_BEFORE = f"SELECT {_PLACE} FROM older_duplicates WHERE event_id IN (SELECT event_id FROM repeats)"
_NOW = f"SELECT {_PLACE} FROM new_duplicates WHERE segment NOT IN (SELECT segment FROM fresh)"


class _Through(NamedTuple):
    """Queries for all that may act through made things of some kinds: at least what `7_created.sql` would join."""

    kinds: tuple[str, ...]
    people: str
    """The query for rows of `all_people` that show the `id` of such a thing (`{made}`)."""
    issuing: str


_USER = "':user/(?:.*/)?([^/]+)$', 1"
_SERIAL = "regexp_replace(lower({}), '^0+', '')"
_LATER_PEOPLE = "(p.created < 0 OR p.created >= m.time)"
_LATER_CALL = "i.time + 900 >= m.time"
"""A session begins at most so much later than the call that issued it: with a sign-in URL (`5_births.sql`)."""
_THROUGH = (
    _Through(
        ("user", "login_profile", "login_setting"),
        f"""SELECT p.* FROM all_people p JOIN {{made}} m
        ON caseless(m.id) = caseless(regexp_extract(p.user_arn, {_USER}))
        WHERE p.user_arn IS NOT NULL""",
        f"""SELECT i.* FROM all_issuing i JOIN {{made}} m
        ON caseless(m.id) = caseless(regexp_extract(i.caller_user_arn, {_USER}))
        WHERE i.caller_user_arn IS NOT NULL AND {_LATER_CALL}""",
    ),
    _Through(
        ("role", "trust"),
        f"""SELECT p.* FROM all_people p JOIN {{made}} m ON caseless(m.id) = caseless(split_part(p.issuer_arn, '/', -1))
        WHERE p.issuer_arn IS NOT NULL AND {_LATER_PEOPLE}""",
        f"""SELECT i.* FROM all_issuing i JOIN {{made}} m ON caseless(m.id) = caseless(split_part(i.role_arn, '/', -1))
        WHERE i.role_arn IS NOT NULL AND {_LATER_CALL}""",
    ),
    _Through(
        ("directory_user",),
        f"SELECT p.* FROM all_people p JOIN {{made}} m ON m.id = p.person WHERE {_LATER_PEOPLE}",
        "SELECT i.* FROM all_issuing i WHERE FALSE",
    ),
    _Through(
        ("provider", "trust_anchor"),
        f"SELECT p.* FROM all_people p JOIN {{made}} m ON m.id = p.federated_provider WHERE {_LATER_PEOPLE}",
        f"SELECT i.* FROM all_issuing i JOIN {{made}} m ON m.id = i.caller_provider WHERE {_LATER_CALL}",
    ),
    _Through(
        ("private_certificate",),
        f"""SELECT p.* FROM all_people p JOIN {{made}} m ON m.id = {_SERIAL.format("split_part(p.principal, ':', -1)")}
        WHERE {_LATER_PEOPLE}""",
        f"""SELECT i.* FROM all_issuing i JOIN {{made}} m ON m.id = {_SERIAL.format("i.session_name")}
        WHERE i.session_name IS NOT NULL AND {_LATER_CALL}""",
    ),
    _Through(  # of the sessions that partners were delegated there are few
        ("delegation",),
        "SELECT p.* FROM all_people p WHERE p.class = 'delegated' AND EXISTS (SELECT 1 FROM {made} m)",
        "SELECT i.* FROM all_issuing i WHERE i.api = 'GetDelegatedAccessToken' AND EXISTS (SELECT 1 FROM {made} m)",
    ),
    _Through(
        ("instance", "instance_profile", "function", "task", "build"),
        "SELECT p.* FROM all_people p JOIN {made} m ON m.id = split_part(p.principal, ':', -1) "
        f"WHERE {_LATER_PEOPLE}",
        f"SELECT i.* FROM all_issuing i JOIN {{made}} m ON m.id = i.session_name WHERE {_LATER_CALL}",
    ),
)
_MADE = """(
  SELECT id, min(time) AS time FROM touched_makings WHERE what IN ({}) AND id IS NOT NULL GROUP BY id)"""
_SEARCHED = 100
"""Beginnings of ids that are searched for one by one at most; of more it is quicker to read all ids."""
_OWN_NAMES = "SELECT n FROM stored_names WHERE name >= ? AND name < ? AND own"
_BEGINNINGS = """
SELECT p.id AS name FROM parents p JOIN handles h ON h.ck = p.ck WHERE h.old IS NULL AND contains(p.id, '@')
UNION SELECT id FROM touched_forest WHERE n IN (SELECT n FROM vanished)"""
"""
What ids may begin with that tell another one apart, by an "@" and what follows: those that are new, if they have that
themselves, and those that are no more.
"""
_LONGER = f"""
SELECT 1 AS one FROM (
  SELECT s.n, array_to_string(string_split(s.name, '@')[:k], '@') AS beginning FROM (
    SELECT n, name, unnest(range(1, len(string_split(name, '@')))) AS k FROM stored_names
    WHERE own AND contains(name, '@')
  ) s
) WHERE n NOT IN (SELECT n FROM touched_before) AND beginning IN (SELECT name FROM ({_BEGINNINGS})) LIMIT 1"""
_ODD = {
    "an id is another one's too": """
        handles WHERE old IS NOT NULL AND old NOT IN (SELECT n FROM touched_before)""",
    "a key looks like an id that tells two apart": "known_key WHERE contains(name, '@')",
    "an id tells apart what dates do not": r"parents WHERE regexp_matches(id, '@[IGKL]\|')",
    "an id told apart what dates do not": r"""
        touched_forest WHERE regexp_matches(id, '@[IGKL]\|')""",
    "a caller is touched that was not linked": """
        parents WHERE parent_ck < -1 AND -parent_ck - 1 IN (SELECT n FROM touched_before)""",
    "a maker is touched that was not linked": """
        makers WHERE maker < -1 AND -maker - 1 IN (SELECT n FROM touched_before)""",
    "a call came that shows who was admitted before a trust policy was changed": """
        (SELECT * FROM new_issuing UNION ALL SELECT * FROM removed_issuing) i
        JOIN all_makings m ON m.what = 'trust' AND caseless(m.id) = caseless(split_part(i.role_arn, '/', -1))
        WHERE i.time < m.time AND NOT EXISTS (
          SELECT 1 FROM new_makings n WHERE n.segment = m.segment AND n.object = m.object AND n.ordinal = m.ordinal)""",
    "a session came that shows who was admitted before a trust policy was changed": """
        (SELECT * FROM new_people UNION ALL SELECT * FROM removed_people) p
        JOIN all_makings m ON m.what = 'trust' AND caseless(m.id) = caseless(split_part(p.issuer_arn, '/', -1))
        WHERE p.federated_provider <> '' AND p.created >= 0 AND p.created < m.time AND NOT EXISTS (
          SELECT 1 FROM new_makings n WHERE n.segment = m.segment AND n.object = m.object AND n.ordinal = m.ordinal)""",
    "a parent is no more": """
        stored_credentials WHERE parent_n IN (SELECT n FROM vanished) AND n NOT IN (SELECT n FROM touched_before)""",
    "a maker is no more": """
        stored_links WHERE parent IN (SELECT n FROM vanished) AND child NOT IN (SELECT n FROM touched_before)""",
}
"""Cases that a part of the forest can't decide: the reason, and the rows that show the case."""


_STORED = ("credentials", "names", "credential_identities", "links")
_MOST = 1_500_000
"""Credentials whose place is found at once at most; each takes some memory."""
_UPROOTED = """
SELECT DISTINCT s.root_n FROM touched_forest s
JOIN numbered p ON p.n = s.n WHERE p.parent_n IS DISTINCT FROM s.parent_n"""
"""The roots of trees in which a credential got another parent."""
_KIN = f"""
SELECT n, parent_n, root_n, depth FROM stored_credentials
WHERE root_n IN ({_UPROOTED}) AND n NOT IN (SELECT n FROM touched_before)"""
"""What else lies in these trees."""
_OUTSIDE = """
SELECT n, root_n, depth FROM stored_credentials
WHERE n IN (SELECT parent_n FROM numbered UNION SELECT parent_n FROM kin)
  AND n NOT IN (SELECT n FROM numbered UNION SELECT n FROM kin)"""
"""Parents in other trees, all of which stay where they are."""
_CHANGES = (
    """
    DELETE FROM derived.main.credentials WHERE n IN (SELECT n FROM touched_before)""",
    """
    UPDATE derived.main.credentials s SET root_n = c.root, depth = c.depth FROM carried c WHERE s.n = c.n""",
    f"INSERT INTO derived.main.credentials BY NAME {OUTPUT['credentials']}",
    """
    DELETE FROM derived.main.names WHERE n IN (SELECT n FROM touched_before)""",
    f"INSERT INTO derived.main.names BY NAME {OUTPUT['names']}",
    """
    DELETE FROM derived.main.credential_identities
    WHERE n IN (SELECT n FROM vanished) OR segment IN (SELECT segment FROM removed_segments)""",
    """
    DELETE FROM derived.main.credential_identities s USING moved m
    WHERE m.segment = s.segment AND m.identity = s.identity""",
    """
    INSERT INTO derived.main.credential_identities BY NAME
    SELECT o.n, w.segment, w.identity FROM credential_identities w JOIN places o ON o.ck = w.ck
    WHERE w.ck >= 0 AND NOT EXISTS (
      SELECT 1 FROM had h WHERE h.segment = w.segment AND h.identity = w.identity AND h.n = o.n
        AND h.segment NOT IN (SELECT segment FROM removed_segments))
    ORDER BY o.n, w.segment, w.identity""",
    """
    DELETE FROM derived.main.links WHERE child IN (SELECT n FROM touched_before)""",
    f"INSERT INTO derived.main.links BY NAME {OUTPUT['links']}",
    """
    DELETE FROM derived.main.duplicates""",
    f"INSERT INTO derived.main.duplicates BY NAME {OUTPUT['duplicates']}",
    *(
        f"DELETE FROM derived.main.{name} WHERE segment IN (SELECT segment FROM removed_segments)"
        for name in segment_tables.COLUMNS
    ),
)
"""
What becomes of each table: rows of what was linked again are replaced, and what lies below it gets its root and depth.

Of the tables of segments those rows are removed that count no more; `segment_tables.fill` adds what is lacking then.
"""


def add(
    engine: Engine,
    base: Path,
    into: Path,
    first: Sequence[str],
    records: int,
    before: ForestSize,
    naming: Naming,
) -> ForestSize:
    """
    Derive the forest of all evidence from an earlier one.

    Args:
        engine: Knows which of the earlier one's segments count no more (`removed_segments`).
        base: The folder of the earlier one.
        into: Where to write the later one.
        first: Statements that make the `KEPT` of all segments (`all_`), of new ones (`new_`), and of what counts no
            more (`removed_`).
        records: How many records there are, repeated ones counted each time.
        before: How large the earlier one is.
        naming: Returns the segments that may hold keys.

    Raises:
        TooMuch: it would not pay, or can't be done.
        CaseError: the earlier forest can't be read.
        OSError: it can't be copied.
    """
    shutil.copyfile(base / DATABASE, into / DATABASE)
    with engine.changing(into / DATABASE):
        return _added(engine, first, records, before, naming)


def _added(
    engine: Engine, first: Sequence[str], records: int, before: ForestSize, naming: Naming
) -> ForestSize:
    """Add to the forest of the open database."""
    for name in _STORED:
        engine.run(f"CREATE VIEW stored_{name} AS SELECT * FROM derived.main.{name}")
    engine.run_all(in_order(first, [_GIVEN]))
    engine.run(_FOREIGN)
    engine.run(_FRESH)
    part = Touched(engine, _most(engine), naming)
    part.touch_new()
    _link(engine)
    while part.touch_more(*_further(engine), "touched_makings"):
        _link(engine)
    for why, rows in _ODD.items():
        if engine.rows(f"SELECT 1 AS one FROM {rows} LIMIT 1"):
            raise TooMuch(why)
    if _tells_apart(engine):
        raise TooMuch("an id may be another one's too")
    _place(engine)
    for one in _CHANGES:
        engine.run(one)
    return _size(engine, records, before)


def _place(engine: Engine) -> None:
    """
    Make `places`, the numbers, parents, roots and depths of what was linked again, and `carried`: what lies below it.

    Raises:
        TooMuch: there is a ring of parents, or too much lies in the trees concerned.
    """
    for one in statements("add_3_numbered.sql"):
        engine.run(one)
    engine.run(f"CREATE TABLE kin AS {_KIN}")
    rows = engine.table("SELECT n, parent_n FROM numbered UNION ALL SELECT n, parent_n FROM kin")
    if rows.num_rows > _MOST:
        raise TooMuch(f"the places of {rows.num_rows} credentials are to be found anew")
    outside = engine.table(_OUTSIDE)
    names, parents = (rows[one].fill_null(pa.scalar(NONE)).to_numpy() for one in ("n", "parent_n"))
    try:
        depth, top = depths_and_roots(positions(names, parents), cut=False)
    except Ring as error:
        raise TooMuch("parents go round in a ring") from error
    others, roots, depths = (outside[one].to_numpy() for one in ("n", "root_n", "depth"))
    above = positions(others, parents[top])
    inside = above != NONE
    root, lower = names[top].copy(), depth.copy()
    root[inside] = roots[above[inside]]
    lower[inside] += depths[above[inside]] + 1
    found = {"n": names, "root": root, "depth": lower}
    engine.register(
        "found_places", pa.table({name: pa.array(one, pa.int64()) for name, one in found.items()})
    )
    for one in statements("add_4_places.sql"):
        engine.run(one)


def _size(engine: Engine, records: int, before: ForestSize) -> ForestSize:
    """How large the forest is now."""
    [size] = engine.rows(
        """
        SELECT (SELECT count(*) FROM parents) AS linked, (SELECT count(*) FROM touched_before) AS before,
               (SELECT count(*) FROM lost) AS lost"""
    )
    spans, known = "SELECT first, last FROM new_people UNION ALL SELECT ?, ?", [before.first, before.last]
    if engine.rows("SELECT 1 AS one FROM removed_people LIMIT 1"):
        spans, known = "SELECT first, last FROM all_people", []  # of ten million, which takes a while
    [found] = engine.rows(f"SELECT min(first) AS first, max(last) AS last FROM ({spans})", known)
    return ForestSize(
        records - size["lost"],
        before.credentials - size["before"] + size["linked"],
        found["first"],
        found["last"],
        added=before.added + size["linked"],
    )


def _most(engine: Engine) -> int:
    """The number of rows that may be touched."""
    [found] = engine.rows(
        "SELECT (SELECT count(*) FROM all_people) + (SELECT count(*) FROM all_issuing) AS linked"
    )
    return int(found["linked"] * 2 * SHARE)  # most are of busy keys, whose rows soon become one


def _link(engine: Engine) -> None:
    """Link the touched rows, and compare the result with the earlier forest."""
    listed = listed_in(LINKING_FILES)
    for what, name in filter(None, map(made_by, listed)):
        engine.run(f"DROP {what} IF EXISTS {name}")
    for one in statements("add_1_part.sql"):
        engine.run(one)
    engine.run_all(in_order(listed, [_LINKED]))
    for one in statements("add_2_compared.sql"):
        engine.run(one)


def _tells_apart(engine: Engine) -> bool:
    """Whether an id that is not touched tells one apart from another that is new, or is no more."""
    names = engine.rows(f"{_BEGINNINGS} LIMIT {_SEARCHED + 1}")
    if len(names) > _SEARCHED:
        return bool(engine.rows(_LONGER))
    wanted: list[tuple[str, str]] = []
    for low in sorted(f"{row['name']}@" for row in names):
        if not wanted or not low.startswith(wanted[-1][0]):
            wanted.append((low, low[:-1] + chr(ord("@") + 1)))  # all that begin so come before that
    if not wanted:
        return False
    ranged = " UNION ALL ".join([_OWN_NAMES] * len(wanted))
    theirs = {row["n"] for row in engine.rows(ranged, [end for ends in wanted for end in ends])}
    return bool(theirs - {row["n"] for row in engine.rows("SELECT n FROM touched_before")})


def _further(engine: Engine) -> tuple[str, str]:
    """Queries for the rows of `all_people` and `all_issuing` that depend on what came out differently."""
    people, issuing = ["SELECT * FROM all_people LIMIT 0"], [_BY_OTHERS]
    made = {row["what"] for row in engine.rows("SELECT DISTINCT what FROM touched_makings")}
    for one in _THROUGH:
        if not made.isdisjoint(one.kinds):
            some = _MADE.format(", ".join(f"'{what}'" for what in one.kinds))
            people.append(one.people.format(made=some))
            issuing.append(one.issuing.format(made=some))
    return " UNION ALL ".join(f"({one})" for one in people), " UNION ALL ".join(f"({one})" for one in issuing)


def set_aside_anew(engine: Engine, fresh: Iterable[int]) -> set[int]:
    """
    Find the older segments in which other records count now, and make `new_duplicates` complete for these, too.

    New segments almost never change older ones. But if a new record repeats an old event id, the old record may be the
    one that no longer counts; then its segment must be reduced again.

    Args:
        engine: Knows `repeats`, the `new_duplicates` among all segments that were looked at, and `older_duplicates`.
        fresh: The numbers of the new segments.

    Returns:
        The numbers of those older segments.
    """
    engine.register("fresh", pa.table({"segment": pa.array(sorted(fresh), pa.int64())}))
    changed = f"SELECT DISTINCT segment FROM (({_BEFORE} EXCEPT {_NOW}) UNION ALL ({_NOW} EXCEPT {_BEFORE}))"
    again = engine.table(changed)
    engine.register("again", again)
    engine.run("""
        CREATE TABLE settled AS
        SELECT * FROM new_duplicates
        WHERE segment IN (SELECT segment FROM fresh) OR segment IN (SELECT segment FROM again)
        UNION ALL
        SELECT event_id, segment, object, ordinal FROM older_duplicates
        WHERE segment IN (SELECT segment FROM again) AND event_id NOT IN (SELECT event_id FROM repeats)""")
    engine.run("DROP TABLE new_duplicates")
    engine.run("CREATE VIEW new_duplicates AS SELECT * FROM settled")
    return {row["segment"] for row in again.to_pylist()}


def union_of(name: str, begins: Iterable[str]) -> str:
    """A query for one of `KEPT` over several tables, whose names begin so, such as `new_` and `older_`."""
    return " UNION ALL ".join(f"SELECT * FROM {one}{name}" for one in begins)


def all_segments(begins: Iterable[str], called: str = "") -> list[str]:
    """Statements that make a view of each of `KEPT`, with the prefix `called`, over tables with some prefixes."""
    every = tuple(begins)
    return [f"CREATE VIEW {called}{name} AS {union_of(name, every)}" for name in KEPT]
