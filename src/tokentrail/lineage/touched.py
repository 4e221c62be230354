"""
What new records can change in a forest: the rows of `REDUCED` that linking must look at again.

Rows belong together where linking may join them: by key, by principal and second, by role and second where an issuing
call does not say whom it made, by the id that both sides of a cross-account call share. All that is tied to what is
new, by any number of such steps, is linked again; of everything else linking would say what it said before. What hangs
on credentials that come out otherwise is found afterwards (`further`), and then they are linked once more.
"""

from __future__ import annotations

from tokentrail.lineage.grow import statements
from tokentrail.store.interface import Engine

_TIES = {
    "key": "name VARCHAR", "moment": "name VARCHAR, second BIGINT", "signin": "name VARCHAR, second BIGINT",
    "issuer": "name VARCHAR, second BIGINT", "role": "name VARCHAR, second BIGINT", "shared": "name BLOB",
}  # fmt: skip
_OF_PEOPLE = {
    "key": "SELECT key FROM {rows} WHERE class <> 'none' AND key <> ''",
    "moment": "SELECT principal, created FROM {rows} WHERE class = 'temporary' AND created >= 0",
    "issuer": "SELECT issuer_arn, created FROM {rows} WHERE class = 'temporary' AND created >= 0 AND issuer_arn <> ''",
}
_OF_ISSUING = {
    "key": "SELECT key FROM {rows} WHERE key <> ''",
    "moment": "SELECT child, time FROM {rows} WHERE child <> ''",
    "signin": "SELECT child, time FROM {rows} WHERE child <> '' AND api = 'GetSigninToken'",
    "role": "SELECT role_arn, time FROM {rows} WHERE child = '' AND role_arn IS NOT NULL",
    "shared": "SELECT shared_id FROM {rows} WHERE shared_id IS NOT NULL",
}
_OF_MAKINGS = {"key": "SELECT id FROM {rows} WHERE what = 'access_key' AND id IS NOT NULL"}
_HOLDERS = """
CREATE TABLE tied_people AS
SELECT p.* FROM all_people p
JOIN (
  SELECT DISTINCT i.caller_principal, i.caller_account FROM touched_issuing i
  WHERE i.caller_type = 'AWSAccount' AND i.caller_principal <> '' AND (
    NOT EXISTS (SELECT 1 FROM touched_issuing t WHERE t.shared_id = i.shared_id AND t.caller_type <> 'AWSAccount')
    OR EXISTS (SELECT 1 FROM touched_issuing t
               WHERE t.shared_id = i.shared_id AND t.caller_type <> 'AWSAccount' AND t.caller_class = 'none'))
) h ON h.caller_principal = p.principal AND h.caller_account = p.account
WHERE p.class <> 'none'
  AND NOT EXISTS (SELECT 1 FROM touched_people t WHERE t.segment = p.segment AND t.identity = p.identity)"""
"""Whoever may have made a call that its own account does not show: whether it is the only one, all must tell."""
_FURTHER_PEOPLE = """
CREATE TABLE tied_people AS
SELECT DISTINCT p.* FROM ({}) p WHERE p.class <> 'none'
  AND NOT EXISTS (SELECT 1 FROM touched_people t WHERE t.segment = p.segment AND t.identity = p.identity)"""
_FURTHER_ISSUING = """
CREATE TABLE tied_issuing AS
SELECT DISTINCT i.* FROM ({}) i
WHERE NOT EXISTS (SELECT 1 FROM touched_issuing t
                  WHERE t.segment = i.segment AND t.object = i.object AND t.ordinal = i.ordinal)"""


class TooMuch(Exception):
    """So much is touched, or so rare a thing, that all is linked at once."""


class Touched:
    """Grows `touched_people` and `touched_issuing` among `all_people` and `all_issuing`."""

    def __init__(self, engine: Engine, most: int) -> None:
        """
        Begin with nothing.

        Args:
            engine: Knows all rows, and those that are new (`new_`) and that count no more (`removed_`).
            most: Rows from which on it is too much.
        """
        self._engine = engine
        self._most = most
        self._rows = self._ties = 0
        engine.run("CREATE TABLE touched_people AS SELECT * FROM all_people LIMIT 0")
        engine.run("CREATE TABLE touched_issuing AS SELECT * FROM all_issuing LIMIT 0")
        for tie, columns in _TIES.items():
            engine.run(f"CREATE TABLE known_{tie} ({columns})")
            engine.run(f"CREATE TABLE next_{tie} ({columns})")

    def by_new(self) -> None:
        """Touch what is new, and what is tied to it or to what counts no more."""
        for name in ("people", "issuing", "makings"):
            for begin in ("new_", "removed_"):
                self._tie(
                    f"{begin}{name}",
                    {"people": _OF_PEOPLE, "issuing": _OF_ISSUING, "makings": _OF_MAKINGS}[name],
                )
        self._engine.run("CREATE TABLE tied_people AS SELECT * FROM new_people WHERE class <> 'none'")
        self._engine.run("CREATE TABLE tied_issuing AS SELECT * FROM new_issuing")
        self._touch()

    def further(self, people: str, issuing: str, makings: str) -> bool:
        """
        Touch more, and what is tied to it; whether there was any.

        Args:
            people: A query for rows of `all_people` that may be touched already.
            issuing: The same of `all_issuing`.
            makings: A table of what was made, which may be tied to them.
        """
        self._tie(makings, _OF_MAKINGS)
        self._engine.run(_FURTHER_PEOPLE.format(people))
        self._engine.run(_FURTHER_ISSUING.format(issuing))
        return self._touch()

    def _touch(self) -> bool:
        """Take in what is tied, and what is tied to that, until nothing is."""
        before = self._rows, self._ties
        while self._taken_in():
            while self._moved_on():
                for one in statements("add_0_tied.sql"):
                    self._engine.run(one)
                self._taken_in()
            self._engine.run(_HOLDERS)
            self._engine.run("CREATE TABLE tied_issuing AS SELECT * FROM all_issuing LIMIT 0")
        return (self._rows, self._ties) > before

    def _taken_in(self) -> int:
        """Take in the rows that were found to be tied; how many there are."""
        taken = 0
        for name, ties in (("people", _OF_PEOPLE), ("issuing", _OF_ISSUING)):
            taken += self._engine.made(f"INSERT INTO touched_{name} SELECT * FROM tied_{name}")
            self._tie(f"tied_{name}", ties)
            self._engine.run(f"DROP TABLE tied_{name}")
        self._rows += taken
        if self._rows > self._most:
            raise TooMuch
        return taken or int(
            any(self._engine.rows(f"SELECT 1 AS one FROM next_{tie} LIMIT 1") for tie in _TIES)
        )

    def _tie(self, rows: str, ties: dict[str, str]) -> None:
        for tie, query in ties.items():
            self._engine.run(f"INSERT INTO next_{tie} {query.format(rows=rows)}")

    def _moved_on(self) -> bool:
        """Whether there are ties that were not followed yet: these alone are next."""
        before = self._ties
        for tie in _TIES:
            self._engine.run(
                f"CREATE OR REPLACE TABLE next_{tie} AS SELECT * FROM next_{tie} EXCEPT SELECT * FROM known_{tie}"
            )
            self._ties += self._engine.made(f"INSERT INTO known_{tie} SELECT * FROM next_{tie}")
        return self._ties > before
