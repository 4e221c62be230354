"""
Link records: from the columns of all segments to credentials with parents, roots and depths.

The joins are SQL (`sql/*.sql`, in order); the numbering of the forest is arithmetic on arrays. Nothing here depends on
the order in which records arrived.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path

from tokentrail.events.columns import TABLES
from tokentrail.lineage.trees import number
from tokentrail.store.interface import Engine, Step
from tokentrail.store.tidying import DATABASE

LINKING = 24
"""Part of the name of what is derived: a case that was linked otherwise is linked anew."""

CONSOLE = "signin.amazonaws.com"
"""Who invoked what a console session called, until 2020 or so: no service that calls in somebody's name."""
SERVICE = f"nullif(i.invoked_by, '{CONSOLE}')"
"""The service that called in the name of an identity `i`."""
REDUCED = ("people", "issuing", "makings", "duplicates")
"""What linking needs of records, and all that it needs: it is worked out for some segments as `new_<name>`."""
KEYHOLDERS = "CREATE TABLE new_keyholders AS SELECT * FROM new_people WHERE class = 'long'"
"""The few people with a long-term key by themselves: such a key may act in any segment."""
KEPT = (*REDUCED, "keyholders")
"""What is kept of segments, for what comes later to be added to."""

_ROOM = 2_000
"""Records below which dropping a table takes longer than its room is worth: the engine closes in a moment."""
_WIDE = frozenset({"sightings", "calls", "seen", "lives", "parents"})
"""Tables with a row for each credential, or nearly, and much in it."""
_COMMENT = re.compile(r"--[^\n]*")
_MAKES = re.compile(r"CREATE (TABLE|VIEW) (\w+)")
_WORD = re.compile(r"\w+")
_REDUCING = ("1_reduced",)
LINKING_FILES = ("2_sightings", "3_issued", "4_credentials", "5_births", "6_named", "7_created")

_SPOKEN = {"e": "events", "i": "identities", "s": "issuances", "c": "changes"}
_PLACED = frozenset({"segment", "object", "ordinal", "event_id", "event_id_text", "identity"})
"""What says where a record is, or which."""
_TOLD = tuple(
    f"{table}.{name}"
    for table, whole in _SPOKEN.items()
    for name in TABLES[whole].names
    if name not in _PLACED
)
"""All that a record may tell."""
_FULLER = (
    "s.key_id IS NULL", "i.key_id IS NULL",
    " + ".join(f"CASE WHEN {one} IS NULL THEN 1 ELSE 0 END" for one in _TOLD),
    *(f"{one} NULLS LAST" for one in _TOLD),
)  # fmt: skip
"""
Of two copies of a record the one with keys comes first, then the one that tells more: what a carrier leaves out another
one may hold.
"""
_DUPLICATES = """
CREATE TABLE new_duplicates AS
SELECT event_id, segment, object, ordinal FROM (
  SELECT e.event_id, e.segment, e.object, e.ordinal, row_number() OVER (PARTITION BY e.event_id ORDER BY
    {order}, e.segment, e.object, e.ordinal) AS place
  FROM events e
  JOIN repeats r ON r.event_id = e.event_id
  LEFT JOIN identities i ON i.segment = e.segment AND i.identity = e.identity
  LEFT JOIN issuances s ON s.segment = e.segment AND s.object = e.object AND s.ordinal = e.ordinal
  LEFT JOIN changes c ON c.segment = e.segment AND c.object = e.object AND c.ordinal = e.ordinal
) WHERE place > 1
"""
"""Of records with one event id one counts: the fuller one, and between equals it does not matter which."""

_AT_ONCE = (
    "CREATE VIEW elsewhere AS SELECT segment, identity, CAST(-1 AS BIGINT) AS ck FROM people WHERE FALSE",
    "CREATE VIEW every_issuing AS SELECT * FROM issuing",
    "CREATE VIEW every_people AS SELECT * FROM people",
)
"""Where all is linked at once, nobody was linked before, and all calls are at hand."""

BY_AGE = "SELECT ck, coalesce(parent_ck, -1) AS parent_ck FROM parents ORDER BY coalesce(moment, 0), id"
"""Credentials by time, then id."""

_BOUNDS = """
SELECT s.first, s.last, p.credentials, p.roots > q.roots AS rings FROM span s
CROSS JOIN (SELECT count(*) AS credentials, count(*) - count(parent) AS roots FROM places) p
CROSS JOIN (SELECT count(*) - count(parent_ck) AS roots FROM parents) q"""

_FACTS = """
SELECT e.* FROM {events} e
WHERE NOT EXISTS (SELECT 1 FROM {duplicates} l
                  WHERE l.segment = e.segment AND l.object = e.object AND l.ordinal = e.ordinal)
"""


@dataclass(frozen=True, slots=True)
class ForestSize:
    """How large a derived forest is, and the span of its evidence in seconds since 1970; stored as `grown.json`."""

    records: int
    credentials: int
    first: int | None
    last: int | None
    rings: bool = False
    """Whether the links from child to parent formed a ring, as forged evidence can make them; it was cut somewhere."""
    added: int = 0
    """How many rows of credentials were written since all of them were linked at once (`lineage.increment`)."""


@cache
def statements(name: str) -> list[str]:
    """The statements of one file of `sql/`."""
    text = _COMMENT.sub("", (resources.files("tokentrail.lineage") / "sql" / name).read_text())
    return [one.strip() for one in text.split(";") if one.strip()]


def link_all(engine: Engine, folder: Path) -> ForestSize:
    """
    Derive the forest from the engine's `events`, `identities`, `issuances` and `changes` into a database in `folder`.

    Its tables are `credentials` (one row each, numbered as `n`, those of a tree one after the other),
    `credential_identities` (n ← segment, identity), `links` (what acts through things that others made, beyond
    parents), and what else `OUTPUT` lists.

    Args:
        engine: Joins.
        folder: Where to write.
    """
    engine.register("suspects", engine.suspects())
    set_aside(engine)
    [total] = engine.table("SELECT count(*) AS records FROM events").to_pylist()
    known = [f"CREATE VIEW {name} AS SELECT * FROM new_{name}" for name in REDUCED]
    return link_reduced(engine, folder, [*reductions(engine), *known], total["records"])


def reductions(engine: Engine) -> list[str]:
    """The statements that work out what linking needs of an engine's segments, less its `new_duplicates`."""
    register_facts(engine, "new_duplicates")
    return listed_in(_REDUCING)


def link_reduced(engine: Engine, folder: Path, first: Sequence[str], records: int) -> ForestSize:
    """
    Derive the forest of all segments, and write it to a folder.

    Args:
        engine: Joins.
        folder: Where to write.
        first: Statements that make the `REDUCED` of all segments; others may run beside.
        records: How many records there are, repeated ones counted each time.
    """
    listed = [*first, *_AT_ONCE, *listed_in(LINKING_FILES)]
    ordered = [
        step._replace(wide=made is not None and made[1] in _WIDE)
        for step in in_order(listed, [BY_AGE, *OUTPUT.values(), _BOUNDS])
        for made in [made_by(step.sql)]
    ]
    engine.run_all(ordered if records >= _ROOM else ordered[: len(listed)])
    engine.register("placement", number(engine.table(BY_AGE)))
    engine.run("CREATE TABLE places AS SELECT * FROM placement")
    engine.keep_tables(folder / DATABASE, OUTPUT)
    [lost] = engine.table("SELECT count(*) AS records FROM lost").to_pylist()
    [found] = engine.table(_BOUNDS).to_pylist()
    return ForestSize(
        records - lost["records"], found["credentials"], found["first"], found["last"], found["rings"]
    )


def set_aside(engine: Engine) -> None:
    """
    Make `new_duplicates`: of records with one event id all but one, among the engine's segments.

    Args:
        engine: Knows as `suspects` which event ids may occur more than once.
    """
    engine.run("""
        CREATE TABLE repeats AS SELECT event_id FROM events WHERE event_id IN (SELECT event_id FROM suspects)
        GROUP BY event_id HAVING count(*) > 1""")
    if engine.table("SELECT event_id FROM repeats LIMIT 1").num_rows:
        engine.run(_DUPLICATES.format(order=", ".join(_FULLER)))
    else:
        engine.run(
            "CREATE TABLE new_duplicates AS SELECT event_id, segment, object, ordinal FROM events WHERE FALSE"
        )


def register_facts(engine: Engine, duplicates: str = "duplicates") -> None:
    """Register `facts`: the events without repeated records (`duplicates`), of which most cases have none."""
    engine.run(f"CREATE VIEW facts AS {facts_of(engine, 'events', duplicates)}")


def facts_of(engine: Engine, events: str, duplicates: str = "duplicates") -> str:
    """A query for the events that count, without repeated ones."""
    lost = engine.table(f"SELECT 1 AS one FROM {duplicates} LIMIT 1").num_rows
    return _FACTS.format(events=events, duplicates=duplicates) if lost else f"SELECT * FROM {events}"


def made_by(statement: str) -> tuple[str, str] | None:
    """What a statement makes: `TABLE` or `VIEW`, and its name."""
    found = _MAKES.match(statement)
    return (found[1], found[2]) if found else None


def listed_in(files: Iterable[str]) -> list[str]:
    """The statements of some files of `sql/`."""
    return [one for name in files for one in statements(f"{name}.sql")]


@lru_cache(1_000)
def _words(statement: str) -> frozenset[str]:
    return frozenset(_WORD.findall(statement))


def in_order(listed: Sequence[str], later: Iterable[str] = ()) -> list[Step]:
    """
    Each statement as a step after the earlier ones that it builds on; then the tables dropped that nobody needs.

    Args:
        listed: Statements, each after those that it names.
        later: Queries that come after: the tables that they name stay.
    """
    made = [_MAKES.match(one) for one in listed]
    places = {found[2]: place for place, found in enumerate(made) if found}
    behind: list[frozenset[int]] = []
    for place, one in enumerate(listed):
        named = frozenset(at for name in _words(one) if (at := places.get(name, place)) < place)
        views = (behind[at] for at in named if listed[at].startswith("CREATE VIEW"))
        behind.append(named.union(*views))
    stay = {places[name] for one in later for name in _words(one) if name in places}
    stay = stay.union(*(behind[at] for at in stay if listed[at].startswith("CREATE VIEW")))
    users = [{at} for at in range(len(listed))]
    for user, needs in enumerate(behind):
        for at in needs:
            users[at].add(user)
    drops = [
        Step(f"DROP TABLE {name}", frozenset(users[at]))
        for name, at in places.items()
        if at not in stay and listed[at].startswith("CREATE TABLE")
    ]
    return [*map(Step, listed, behind), *drops]


def described(some: Mapping[str, str] | None = None, *, addresses: bool = True) -> str:
    """
    The query for all that is known of each credential.

    Args:
        some: Of those in `chosen` alone, from their `acts` and these tables (of `Engine.narrow`) with all about them.
        addresses: Whether to tell where they were used from, which only their `acts` say.
    """
    [text] = statements("8_credentials.sql")
    sources = _EVERY if some is None else _EVERY | _CHOSEN
    if not addresses:
        sources = sources | {"acts": "(SELECT n, id AS ip FROM credentials LIMIT 0)"}
    for name, source in (*sources.items(), *(some or {}).items()):
        text = text.replace(f"{{{name}}}", source)
    return text


ROOTS = "(SELECT n, id FROM credentials WHERE parent_n IS NULL)"
"""The credentials at the top of each tree, which are few beside all."""
_KIN = """(SELECT k.n, k.id FROM credentials k
               JOIN (SELECT parent_n AS n FROM chosen UNION SELECT root_n FROM chosen) h ON h.n = k.n)"""
_EVERY = {
    "credentials": "credentials",
    "kin": "credentials",
    "roots": ROOTS,
    "credential_identities": "credential_identities",
    "identities": "identities",
    "callers": "identities",
    "issuances": "issuances",
    "acts": """(SELECT w.n, e.ip FROM facts e
               JOIN credential_identities w ON w.segment = e.segment AND w.identity = e.identity)""",
}
_CHOSEN = {
    "credentials": "chosen",
    "kin": _KIN,
    "roots": _KIN,
    "credential_identities": "their_places",
    "identities": "{some_identities}",
    "callers": """(SELECT p.* FROM {some_identities} p
                   JOIN (SELECT DISTINCT segment, identity FROM chosen) h
                     ON h.segment = p.segment AND h.identity = p.identity)""",
    "issuances": """(SELECT c.* FROM {some_issuances} c
                     JOIN (SELECT DISTINCT segment, object, ordinal FROM chosen) h
                       ON h.segment = c.segment AND h.object = c.object AND h.ordinal = c.ordinal)""",
    "acts": "acts",
}


OUTPUT = {
    "credentials": """
        SELECT o.n, o.parent AS parent_n, o.root AS root_n, o.depth, p.id,
               CASE WHEN o.parent IS NULL THEN NULL ELSE p.parent_link END AS parent_link,
               p.kind,
               CASE WHEN p.form = 'long' THEN nullif(f.account, '') END AS key_account, y.keys,
               c.segment, c.object, c.ordinal, c.identity, p.issued_time, p.issued_at, p.expires_at, p.expires_bound,
               p.events, p.errors, p.first, p.last,
               CASE WHEN m.ck IS NOT NULL THEN p.created_what END AS created_what, m.thing AS created_thing,
               m.api AS created_api, m.event_id AS created_event, m.event_id_text AS created_text,
               m.time AS created_time, m.owner AS created_owner, m.ip AS created_ip, m.agent AS created_agent
        FROM places o JOIN parents p ON p.ck = o.ck LEFT JOIN forms f ON f.ck = o.ck
        LEFT JOIN calls c ON c.call = p.call LEFT JOIN keyrings y ON y.ck = o.ck LEFT JOIN made_by m ON m.ck = o.ck
        ORDER BY o.n""",
    "names": """
        SELECT name, n, own FROM (
          SELECT p.id AS name, o.n, TRUE AS own FROM parents p JOIN places o ON o.ck = p.ck
          UNION ALL
          SELECT y.name, o.n, FALSE FROM (SELECT ck, unnest(keys) AS name FROM keyrings) y JOIN places o ON o.ck = y.ck
        ) ORDER BY name, n, own""",
    "credential_identities": """
        SELECT o.n, w.segment, w.identity FROM credential_identities w JOIN places o ON o.ck = w.ck
        ORDER BY o.n, w.segment, w.identity""",
    "links": """
        SELECT c.n AS child, m.n AS parent, t.what, t.thing, t.api, t.event_id, t.event_id_text, t.time
        FROM makers t JOIN places c ON c.ck = t.ck JOIN places m ON m.ck = t.maker
        WHERE NOT (t.place = 1 AND c.parent IS NOT DISTINCT FROM m.n)
        ORDER BY child, time, parent, what, thing, api, event_id""",
    "duplicates": "SELECT segment, object, ordinal FROM lost ORDER BY segment, object, ordinal",
}  # fmt: skip
"""The query of each table that is derived."""
COLUMNS = {
    "credentials": "n BIGINT, parent_n BIGINT, root_n BIGINT, depth BIGINT, id VARCHAR, parent_link VARCHAR, "
    "kind VARCHAR, key_account VARCHAR, keys VARCHAR[], segment BIGINT, object INTEGER, ordinal INTEGER, "
    "identity INTEGER, issued_time BIGINT, issued_at BIGINT, expires_at BIGINT, expires_bound BIGINT, "
    "events BIGINT, errors BIGINT, first BIGINT, last BIGINT, created_what VARCHAR, "
    "created_thing VARCHAR, created_api VARCHAR, created_event BLOB, "
    "created_text VARCHAR, created_time BIGINT, created_owner VARCHAR, created_ip VARCHAR, created_agent VARCHAR",
    "names": "name VARCHAR, n BIGINT, own BOOLEAN",
    "credential_identities": "n BIGINT, segment BIGINT, identity INTEGER",
    "links": "child BIGINT, parent BIGINT, what VARCHAR, thing VARCHAR, api VARCHAR, event_id BLOB, "
    "event_id_text VARCHAR, time BIGINT",
    "duplicates": "segment BIGINT, object INTEGER, ordinal INTEGER",
}
"""Those of each table with their types, by which it is told from what somebody put in its place."""
