"""
Roll-ups of what busy credentials did, stored when a large case is linked.

A long-term key that is used all day has calls in every segment, and many of the sessions that people ask about descend
from it. Reading all its calls takes a second, those of a session some milliseconds. So the roll-ups of its calls are
stored beside the forest. Calls in segments that came later are read from the evidence and added, until these are many:
then they are rolled up by themselves, in a set of files beside the first.

A stored roll-up is valid for a credential as long as it has the same identities in the segments rolled up, and while
the same records of these count. Calls of which there is no valid one are read.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence, Set
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from tokentrail.errors import CaseError
from tokentrail.events.columns import TABLES
from tokentrail.lineage import rollups
from tokentrail.lineage.link import facts_of
from tokentrail.store.interface import Engine

BUSY = 5_000
"""Calls from which on a credential is busy."""
SEEN = (
    "account", "principal_id", "mfa", "arn", "issuer_type", "issuer_arn", "federated_provider", "source_identity",
    "ec2_delivery", "sign_in_session", "on_behalf_of", "origin_subject", "origin_issuer",
    "in_scope_of", "delegate",
)  # fmt: skip
"""What identities say of their credential."""
IDENTITIES, CHANGES = "identities", "changes"
"""Stored beside the roll-ups: what the identities of each credential say, and the changes that it made."""
_REMEMBERED, _FEW = 64, 20_000
"""Stored rows that are remembered, as whether they can be read is asked before what they say: of how many credentials'
tables, and up to how many rows of each."""
_ROLL_UPS = {one.name: one for one in rollups.ALL}
_KEPT = (*(one.name for one in rollups.ALL), IDENTITIES, CHANGES)
_JOINED = "JOIN busy_who b ON b.segment = {0}.segment AND b.identity = {0}.identity"
_WHO = """
CREATE OR REPLACE TEMP TABLE busy_who AS
SELECT w.n, w.segment, w.identity FROM credential_identities w JOIN credentials f ON f.n = w.n
WHERE f.events > {busy} AND {among}"""
Identity = tuple[int, int]
"""A segment, and the number of an identity in it."""


class _Listed(msgspec.Struct, frozen=True):
    """What was rolled up."""

    segments: frozenset[int] = frozenset()
    credentials: dict[int, str] = {}
    """By place: a hash of its identities in these segments."""


def keep(engine: Engine, folder: Path, segments: Set[int] | None = None) -> None:
    """
    Roll up what busy credentials did, beside their forest.

    Args:
        engine: Knows the forest, and all evidence.
        folder: Where it lies.
        segments: Those to roll up, in a set after those that are there; all by default.

    Raises:
        CaseError: there is no room, or the evidence can't be read.
    """
    called = _called(len(_sets(folder)))
    some = engine.everywhere() if segments is None else engine.narrow(segments)
    among = "TRUE" if segments is None else f"w.segment IN ({', '.join(map(str, sorted(segments)))})"
    engine.run(_WHO.format(busy=BUSY, among=among))
    owned = engine.table("SELECT n, segment, identity FROM busy_who ORDER BY ALL")
    if not owned.num_rows:
        return
    # Without OFFSET an engine rolls up all calls before it looks whose they are, which takes five times as long.
    facts = f"({facts_of(engine, some['some_events'])}) e {_JOINED.format('e')} OFFSET 0"
    engine.run(f"CREATE OR REPLACE TEMP VIEW acts AS SELECT b.n, {rollups.DEEDS_OF_FACTS} FROM {facts}")
    queries = {one.name: one.many for one in rollups.ALL}
    seen = ", ".join(f"i.{name}" for name in SEEN)
    queries[IDENTITIES] = (
        f"SELECT DISTINCT b.n, {seen} FROM {some['some_identities']} i {_JOINED.format('i')}"
    )
    queries[CHANGES] = (
        f"SELECT b.n, c.* FROM ({facts_of(engine, some['some_changes'])}) c {_JOINED.format('c')}"
    )
    for name, sql in queries.items():
        engine.write(f"SELECT * FROM ({sql}) ORDER BY n", _file(folder, called, name))
    n = owned["n"].to_numpy()
    starts = np.flatnonzero(np.diff(n, prepend=-1)).tolist()
    listed = _Listed(
        frozenset(engine.known_segments() if segments is None else segments),
        {
            int(n[start]): _hashed(owned.slice(start, end - start))
            for start, end in zip(starts, [*starts[1:], len(n)], strict=True)
        },
    )
    (folder / f"{called}.json").write_bytes(msgspec.json.encode(listed))


def forget(folder: Path, number: int = 0) -> None:
    """Remove the stored sets of roll-ups from one on, complete or not."""
    while found := [path for path in _files(folder, number) if path.exists()]:
        for path in found:
            path.unlink()
        number += 1


def files(folder: Path) -> list[Path]:
    """The files of the stored sets of roll-ups; none of a set of which any is missing, nor of those after it."""
    return [path for number in range(len(_sets(folder))) for path in _files(folder, number)]


def sets(folder: Path) -> list[frozenset[int]]:
    """The segments of each set that is stored."""
    return [one.segments for one in _sets(folder)]


class Busy:
    """The roll-ups that are stored beside a forest."""

    def __init__(self, engine: Engine, folder: Path | None) -> None:
        """
        Read which credentials were rolled up.

        Args:
            engine: Knows the forest.
            folder: The derived folder; `None` where nothing is stored.
        """
        self._engine = engine
        self._folder = folder
        self._sets = _sets(folder) if folder is not None else []
        self._valid: dict[int, list[int]] = {}
        """By credential: the sets that tell of it and are valid."""
        self._known = set[tuple[int, str]]()
        self._read = OrderedDict[tuple[str, int], pa.Table]()

    def may_tell(self, n: int) -> bool:
        """Whether there is a roll-up of a credential, valid or not."""
        return any(n in one.credentials for one in self._sets)

    def tells(self, n: int, mine: Collection[Identity]) -> bool:
        """Whether any roll-up of a credential is valid, given its identities now; asked before what it says."""
        sets = [number for number, one in enumerate(self._sets) if n in one.credentials]
        read = {number: self._read_all(number, n) for number in sets if self._is_valid(number, n, mine)}
        valid = {number: tables for number, tables in read.items() if tables is not None}
        self._valid[n] = [*valid]
        for name in _KEPT if valid else ():
            self._remember(name, n, [tables[name] for tables in valid.values()])
        return bool(valid)

    def _is_valid(self, number: int, n: int, mine: Collection[Identity]) -> bool:
        """Whether a credential has the same identities in the segments of a set."""
        covered = sorted(one for one in mine if one[0] in self._sets[number].segments)
        segments, identities = zip(*covered, strict=True) if covered else ((), ())
        found = pa.table({
            "segment": pa.array(segments, pa.int64()), "identity": pa.array(identities, pa.int32()),
        })  # fmt: skip
        return _hashed(found) == self._sets[number].credentials[n]

    def _read_all(self, number: int, n: int) -> dict[str, pa.Table] | None:
        """What a set says of a credential; `None` if any of it is damaged."""
        try:
            return {name: self._stored(number, name, n) for name in _KEPT}
        except CaseError:
            return None

    def segments(self, n: int) -> frozenset[int]:
        """The segments in which the calls of a credential were rolled up."""
        return frozenset().union(*(self._sets[number].segments for number in self._valid.get(n, ())))

    def calls(self, n: int) -> int:
        """How many calls of a credential were rolled up."""
        counts: Any = self.rows(rollups.APIS.name, n)["count"].to_numpy()
        return int(counts.sum())

    def rows(self, name: str, n: int) -> pa.Table:
        """
        The stored rows of a credential whose roll-ups are valid (`tells`).

        Args:
            name: The name of a roll-up, or `IDENTITIES` or `CHANGES`.
            n: The place of the credential.

        Raises:
            CaseError: it can't be read.
        """
        known = self._read.get((name, n))
        if known is not None:
            self._read.move_to_end((name, n))
            return known
        return self._remember(name, n, [self._stored(number, name, n) for number in self._valid[n]])

    def _remember(self, name: str, n: int, parts: Sequence[pa.Table]) -> pa.Table:
        """Make one of what the sets say of a credential."""
        found = pa.concat_tables(parts)
        if len(parts) > 1 and name in _ROLL_UPS:
            found = _ROLL_UPS[name].together(found)
        if found.num_rows <= _FEW:
            self._read[name, n] = found
            if len(self._read) > _REMEMBERED:
                self._read.popitem(last=False)
        return found

    def _stored(self, number: int, name: str, n: int) -> pa.Table:
        assert self._folder is not None
        called, schema = f"{_called(number)}_{name}", _schema(name)
        try:
            if (number, name) not in self._known:
                self._engine.view(called, _file(self._folder, _called(number), name))
                self._known.add((number, name))
            found = self._engine.table(f"SELECT * FROM {called} WHERE n = ?", (n,))
            return found.select(schema.names).cast(schema)
        except (OSError, KeyError, pa.ArrowException) as error:
            raise CaseError(f"{self._folder}: what busy credentials did can't be read ({error}).") from error


@cache
def _schema(name: str) -> pa.Schema:
    """The columns of the rows that are stored under a name."""
    for one in rollups.ALL:
        if one.name == name:
            return one.few(rollups.NOTHING).schema
    told = [TABLES[name].field(column) for column in (SEEN if name == IDENTITIES else TABLES[name].names)]
    return pa.schema([pa.field("n", pa.int64()), *told])


def _hashed(owned: pa.Table) -> str:
    """A hash of identities, which are in order."""
    told = [owned[name].to_numpy().astype("<i8").tobytes() for name in ("segment", "identity")]
    return hashlib.sha256(b"".join(told)).hexdigest()


def _sets(folder: Path) -> list[_Listed]:
    """What each set of roll-ups tells of, up to the first that is not complete, or tells of what another one does."""
    found: list[_Listed] = []
    told = set[int]()
    with suppress(OSError, ValueError, RecursionError):
        while all(path.exists() for path in _files(folder, len(found))):
            listed = folder / f"{_called(len(found))}.json"
            one = msgspec.json.decode(listed.read_bytes(), type=_Listed)
            if not told.isdisjoint(one.segments):
                break
            told |= one.segments
            found.append(one)
    return found


def _called(number: int) -> str:
    """What the names of the files of a set begin with."""
    return f"busy{number}" if number else "busy"


def _file(folder: Path, called: str, name: str) -> Path:
    return folder / f"{called}_{name}.parquet"


def _files(folder: Path, number: int) -> Iterator[Path]:
    called = _called(number)
    yield folder / f"{called}.json"
    yield from (_file(folder, called, name) for name in _KEPT)
