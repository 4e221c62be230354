"""
Find the part of a forest that new records can change: the reduced rows that must be linked again.

Two rows are *tied* where a query of linking may join them: by key, by principal and second, by role and second where an
issuing call does not name whom it issued for, by the id that both sides of a cross-account call share, and so on. Every
row that is tied to a new one, over any number of ties, is *touched* and linked again; all others would give the same
credentials as before. If credentials come out differently then, what depends on them is touched too (`touch_more`),
and linking is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

import pyarrow as pa

from tokentrail.lineage.link import statements
from tokentrail.store.interface import Engine

_MOMENT = "name VARCHAR, second BIGINT"
_TIES = {
    "key": "name VARCHAR", "moment": _MOMENT, "birth": _MOMENT, "use": _MOMENT, "signin": _MOMENT, "issuer": _MOMENT,
    "role": _MOMENT, "shared": "name BLOB", "oauth": "name VARCHAR", "wrapper": _MOMENT, "wrapped": _MOMENT,
    "vended": "name VARCHAR", "token": "name VARCHAR",
}  # fmt: skip
"""
The kinds of ties, with the columns of each. `birth` and `role` lead from calls to the sessions that they may have
issued, `use` and `issuer` from sessions to such calls. `wrapper` leads from a certificate's call whose answer shows no
key to the service's call within it, `wrapped` the other way. `vended` is the name of a session that Lake Formation
gave, `token` the id of a web identity's token.
"""
_NEARLY = ("birth", "use", "issuer", "role", "wrapper", "wrapped")
"""Those that hold for two seconds before and after, too."""
_ABOUT = """
CREATE VIEW about_{0} AS
SELECT name, unnest([second - 2, second - 1, second, second + 1, second + 2]) AS second FROM next_{0}"""
_DATED = "FROM {rows} WHERE class = 'temporary' AND created >= 0"
_OF_ROLE = "SELECT role_arn, time FROM {{rows}} WHERE role_arn IS NOT NULL AND {}"
_SIGNED_IN = "SELECT sign_in_session FROM {rows} WHERE sign_in_session IS NOT NULL"
_VENDED, _IS_VENDED = "split_part(principal, ':', -1)", "principal LIKE '%:AWSLF-%'"
_ANCHORED = "EXISTS (SELECT 1 FROM all_makings WHERE what = 'trust_anchor')"
_OF: Mapping[str, Mapping[str, str]] = {
    "people": {
        "key": "SELECT key FROM {rows} WHERE class <> 'none' AND key <> ''",
        "moment": f"SELECT principal, created {_DATED}",
        "use": f"SELECT principal, created {_DATED}",
        "issuer": f"SELECT issuer_arn, created {_DATED} AND issuer_arn IS NOT NULL",
        "oauth": _SIGNED_IN,
        "vended": f"SELECT {_VENDED} FROM {{rows}} WHERE class = 'temporary' AND {_IS_VENDED}",
    },
    "issuing": {
        "key": "SELECT key FROM {rows} WHERE key <> ''",
        "moment": "SELECT child, time FROM {rows} WHERE child <> ''",
        "birth": "SELECT child, time FROM {rows} WHERE child <> '' "
        "AND (key = '' OR api IN ('GetSigninToken', 'ConsoleLogin'))",
        "signin": "SELECT child, time FROM {rows} WHERE child <> '' AND api = 'GetSigninToken'",
        "role": "SELECT role_arn, time FROM {rows} WHERE child = '' AND role_arn IS NOT NULL",
        "shared": "SELECT shared_id FROM {rows} WHERE shared_id IS NOT NULL",
        "oauth": _SIGNED_IN,
        "vended": "SELECT session_name FROM {rows} WHERE session_name LIKE 'AWSLF-%'",
        "token": "SELECT token_id FROM {rows} WHERE token_id IS NOT NULL",
        "wrapper": _OF_ROLE.format(f"api = 'CreateSession' AND key = '' AND {_ANCHORED}"),
        "wrapped": _OF_ROLE.format(f"api = 'AssumeRole' AND caller_service AND {_ANCHORED}"),
    },
    "makings": {
        "key": "SELECT id FROM {rows} WHERE what IN ('access_key', 'api_key', 'api_key_status') AND id IS NOT NULL"
    },
}
_BY_SIGN_IN = """
INSERT INTO tied_people
SELECT DISTINCT p.* FROM all_people p
JOIN next_signin m ON m.name = p.principal AND p.created BETWEEN m.second - 2 AND m.second + 900
WHERE p.class <> 'none'
  AND NOT EXISTS (SELECT 1 FROM (SELECT segment, identity FROM touched_people
                                 UNION ALL SELECT segment, identity FROM tied_people) t
                  WHERE t.segment = p.segment AND t.identity = p.identity)"""
_UNNAMED = """
SELECT DISTINCT i.caller_account, i.caller_principal FROM touched_issuing i
WHERE i.caller_type = 'AWSAccount' AND i.caller_principal <> '' AND (
  NOT EXISTS (SELECT 1 FROM touched_issuing t WHERE t.shared_id = i.shared_id AND t.caller_type <> 'AWSAccount')
  OR EXISTS (SELECT 1 FROM touched_issuing t
             WHERE t.shared_id = i.shared_id AND t.caller_type <> 'AWSAccount' AND t.caller_class = 'none'))"""
"""The callers from other accounts whose own account's log does not show the call."""
_HOLDERS = """
CREATE TABLE tied_people AS
SELECT p.* FROM all_people p
WHERE p.class <> 'none' AND p.principal IN (SELECT caller_principal FROM unnamed)
  AND NOT EXISTS (SELECT 1 FROM touched_people t WHERE t.segment = p.segment AND t.identity = p.identity)"""
_UNUSED = """
CREATE TABLE tied_issuing AS
SELECT * FROM (
  SELECT i.* FROM all_issuing i WHERE i.child IN (SELECT caller_principal FROM unnamed)
  UNION
  SELECT i.* FROM all_issuing i JOIN unnamed f ON i.session_name = split_part(f.caller_principal, ':', -1)
    AND split_part(i.role_arn, ':', 5) = f.caller_account WHERE i.child = ''
) i
WHERE NOT EXISTS (SELECT 1 FROM touched_issuing t
                  WHERE t.segment = i.segment AND t.object = i.object AND t.ordinal = i.ordinal)"""
_UNUSED_KEYS = """
INSERT INTO next_key
SELECT DISTINCT m.id FROM all_makings m
WHERE m.what = 'access_key' AND m.id IS NOT NULL AND m.id NOT IN (SELECT name FROM known_key)
  AND m.account IN (SELECT caller_account FROM unnamed WHERE caller_principal LIKE 'AIDA%')
  AND NOT EXISTS (SELECT 1 FROM all_people p WHERE p.key = m.id AND p.account = m.account)"""
"""
Ties to every credential that may have made such a call, used or not: a parent is inferred only if there is exactly one.
These include what was issued under the caller's name, and keys that were made and never seen in use.
"""
_API_KEYS = """
INSERT INTO next_key
SELECT DISTINCT name FROM (
  SELECT p.key AS name FROM borne_by p WHERE p.id IN (SELECT name FROM known_key)
  UNION ALL
  SELECT p.id FROM borne_by p WHERE p.key IN (SELECT name FROM known_key)
) WHERE name NOT IN (SELECT name FROM known_key)"""
"""Ties between the calls with API keys that show no key id and the API keys of their account (`4_credentials.sql`)."""
_BORNE_BY = """
CREATE TABLE borne_by AS
SELECT DISTINCT p.key, m.id FROM all_keyholders p
JOIN (SELECT DISTINCT account, id FROM all_makings WHERE what = 'api_key' AND id IS NOT NULL
      UNION SELECT DISTINCT account, id FROM removed_makings WHERE what = 'api_key' AND id IS NOT NULL) m
  ON m.account = p.account WHERE p.key LIKE 'bearer-key:%'"""
_FURTHER_PEOPLE = """
CREATE TABLE tied_people AS
SELECT DISTINCT p.* FROM ({}) p WHERE p.class <> 'none'
  AND NOT EXISTS (SELECT 1 FROM touched_people t WHERE t.segment = p.segment AND t.identity = p.identity)"""
_FURTHER_ISSUING = """
CREATE TABLE tied_issuing AS
SELECT DISTINCT i.* FROM ({}) i
WHERE NOT EXISTS (SELECT 1 FROM touched_issuing t
                  WHERE t.segment = i.segment AND t.object = i.object AND t.ordinal = i.ordinal)"""
_KEYS = "SELECT hash(name) AS hashed FROM next_key"
_NEAR: Mapping[str, str] = {
    "people": f"""
        SELECT segment FROM all_people WHERE created IN (
          SELECT second FROM next_moment UNION SELECT second FROM about_birth UNION SELECT second FROM about_role)
        UNION SELECT segment FROM all_people WHERE sign_in_session IN (SELECT name FROM next_oauth)
        UNION SELECT segment FROM all_people WHERE {_IS_VENDED} AND {_VENDED} IN (SELECT name FROM next_vended)""",
    "issuing": """
        SELECT segment FROM all_issuing WHERE time IN (
          SELECT second FROM next_moment UNION SELECT second FROM about_use UNION SELECT second FROM about_issuer
          UNION SELECT second FROM about_wrapper UNION SELECT second FROM about_wrapped)
        UNION SELECT segment FROM all_issuing WHERE shared_id IN (SELECT name FROM next_shared)
        UNION SELECT segment FROM all_issuing WHERE sign_in_session IN (SELECT name FROM next_oauth)
        UNION SELECT segment FROM all_issuing WHERE token_id IN (SELECT name FROM next_token)
        UNION SELECT segment FROM all_issuing
        WHERE session_name LIKE 'AWSLF-%' AND session_name IN (SELECT name FROM next_vended)""",
}
"""
Queries for the segments of rows that may be tied by something other than a key. They read only a column or two, so that
of most segments nothing else need be read, and each column by itself: what lies at other times is left out then.
"""
_MANY = 1_000_000
"""The limit of touched rows (a share of the case) from which on it is quicker to find these segments first."""
Naming = Callable[[pa.Table], Set[int]]
"""Returns the segments that may hold some keys, given a column of their hashes (`candidates.HASHED`)."""
_OLDER = "segment NOT IN (SELECT segment FROM fresh_segments)"
_FEW_SEGMENTS = 1_000
"""Segments that a query lists at most."""
_NEW = {"people": "SELECT * FROM new_people WHERE class <> 'none'", "issuing": "SELECT * FROM new_issuing"}
"""The new rows that are linked."""
_STEPS = 40
"""Rounds of following ties at most: more would take as long as linking everything."""


class TooMuch(Exception):
    """Raised, with the reason, where everything had better be linked at once."""


class Touched:
    """Collects touched rows of `all_people` and `all_issuing` in `touched_people` and `touched_issuing`."""

    def __init__(self, engine: Engine, most: int, naming: Naming) -> None:
        """
        Begin with no rows.

        Args:
            engine: Knows the reduced tables: of all segments (`all_...`), of new ones (`new_...`), and the rows that no
                longer count (`removed_...`); and the segments of which the forest knows nothing (`fresh_segments`).
            most: Touched rows above which `TooMuch` is raised.
            naming: Returns the segments of keys.
        """
        self._engine = engine
        self._naming = naming
        self._most = most
        self._rows = self._known = self._steps = 0
        self._next: set[str] = set()
        """The ties of which any may be next."""
        for name in ("people", "issuing"):
            engine.run(f"CREATE TABLE touched_{name} AS SELECT * FROM all_{name} LIMIT 0")
        for tie, columns in _TIES.items():
            engine.run(f"CREATE TABLE known_{tie} ({columns})")
            engine.run(f"CREATE TABLE next_{tie} ({columns})")
        for tie in _NEARLY:
            engine.run(_ABOUT.format(tie))
        engine.run(_BORNE_BY)

    def touch_new(self) -> None:
        """Touch the new rows, and all that is tied to them or to rows that no longer count."""
        for name in _OF:
            self._tie(f"new_{name}", name)
            if self._any(f"removed_{name}"):
                self._tie(f"removed_{name}", name)
        self._count(sum(self._engine.made(f"INSERT INTO touched_{name} {new}") for name, new in _NEW.items()))
        self._touch()

    def touch_more(self, people: str, issuing: str, makings: str) -> bool:
        """
        Touch more rows, and all that is tied to them.

        Args:
            people: A query for rows of `all_people`; some may be touched already.
            issuing: The same for `all_issuing`.
            makings: A table of things that were made, whose ties are followed too.

        Returns:
            Whether anything was added.
        """
        before = self._rows, self._known
        self._tie(makings, "makings")
        self._engine.run(_FURTHER_PEOPLE.format(people))
        self._engine.run(_FURTHER_ISSUING.format(issuing))
        if self._add_tied() or self._next:
            self._touch()
        return (self._rows, self._known) > before

    def _touch(self) -> None:
        """Follow the ties, add the rows that are tied, and follow theirs, until there are no new ones."""
        more = True
        while more:
            while self._follow():
                people, issuing, sign_ins = statements("add_0_tied.sql")
                self._engine.run(people.format(among=self._among("people")))
                self._engine.run(issuing.format(among=self._among("issuing")))
                if "moment" in self._next:
                    self._engine.run(sign_ins)
                if "signin" in self._next:
                    self._engine.run(_BY_SIGN_IN)
                self._add_tied()
            self._tie_possible_callers()
            if self._engine.made(_API_KEYS):
                self._next.add("key")
            more = self._add_tied() > 0 or bool(self._next)

    def _tie_possible_callers(self) -> None:
        """Tie every credential that may have made a call which its own account's log does not show."""
        self._engine.run(f"CREATE OR REPLACE TABLE unnamed AS {_UNNAMED}")
        if self._any("unnamed"):
            self._engine.run(_HOLDERS)
            self._engine.run(_UNUSED)
            if self._engine.made(_UNUSED_KEYS):
                self._next.add("key")
        else:
            for name in ("people", "issuing"):
                self._engine.run(f"CREATE TABLE tied_{name} AS SELECT * FROM all_{name} LIMIT 0")

    def _among(self, name: str) -> str:
        """A condition on `segment` that all tied rows meet, so that others need not be read; new ones are touched."""
        if self._most < _MANY:
            return _OLDER
        found = self._engine.rows(f"SELECT * FROM ({_NEAR[name]}) LIMIT {_FEW_SEGMENTS + 1}")
        near = {row["segment"] for row in found} | self._naming(self._engine.table(_KEYS))
        near -= {row["segment"] for row in self._engine.rows("SELECT segment FROM fresh_segments")}
        if len(near) > _FEW_SEGMENTS:
            return _OLDER
        return f"segment IN ({', '.join(map(str, sorted(near)))})" if near else "FALSE"

    def _add_tied(self) -> int:
        """Move the tied rows to the touched ones, and collect their ties. Returns how many there were."""
        taken = 0
        for name in ("people", "issuing"):
            found = self._engine.made(f"INSERT INTO touched_{name} SELECT * FROM tied_{name}")
            if found:
                self._tie(f"tied_{name}", name)
            taken += found
            self._engine.run(f"DROP TABLE tied_{name}")
        self._count(taken)
        return taken

    def _count(self, taken: int) -> None:
        self._rows += taken
        if self._rows > self._most:
            raise TooMuch(f"more than {self._most} rows are tied to what is new")

    def _any(self, table: str) -> bool:
        return bool(self._engine.rows(f"SELECT 1 AS one FROM {table} LIMIT 1"))

    def _tie(self, rows: str, name: str) -> None:
        for tie, query in _OF[name].items():
            if self._engine.made(f"INSERT INTO next_{tie} {query.format(rows=rows)}"):
                self._next.add(tie)

    def _follow(self) -> bool:
        """Reduce the next ties to those that were not followed before. Returns whether there are any."""
        before = self._known
        for tie in sorted(self._next):
            self._engine.run(
                f"CREATE OR REPLACE TABLE next_{tie} AS SELECT * FROM next_{tie} EXCEPT SELECT * FROM known_{tie}"
            )
            found = self._engine.made(f"INSERT INTO known_{tie} SELECT * FROM next_{tie}")
            if not found:
                self._next.remove(tie)
            self._known += found
        self._steps += 1
        if self._steps > _STEPS:
            raise TooMuch(f"what is tied to what is new goes on after {_STEPS} steps")
        return self._known > before
