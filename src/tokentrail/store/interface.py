"""
The types of the store: the evidence objects and the bucket that it is given, and the engine that it offers.

A table is *registered* with an engine: queries can then use its name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import pyarrow as pa


class EvidenceObject(Protocol):
    """Something that can be read once; a worker process may do so, so it must pickle."""

    @property
    def name(self) -> str:
        """The name under which the user gave it."""

    @property
    def size(self) -> int:
        """Its bytes as stored."""

    @property
    def identity(self) -> str | None:
        """Such as an ETag: it changes if the object does; `None` if only the bytes tell."""

    @property
    def distant(self) -> bool:
        """Whether reading it waits for a network, so that several should be read at once."""

    @property
    def place(self) -> str | None:
        """The path of its file on this machine; `None` where there is none, as for a pipe."""

    def read(self) -> bytes:
        """All of its bytes."""


class Put(Protocol):
    """A name in a bucket."""

    @property
    def key(self) -> str:
        """The name, below the case's own."""

    @property
    def changed(self) -> float:
        """When it was put there, in seconds since 1970, by the bucket's own clock."""


class Bucket(Protocol):
    """
    A place in an object store that holds a case: bytes by name, each written whole or not at all.

    Names are relative to the case. It can be pickled and compared, so that the executors of a cluster use the same one.
    Each method raises `CaseError`, in words for a person, if the bucket can't be reached or refuses.
    """

    def __hash__(self) -> int:
        """Equal for equal places."""

    @property
    def uri(self) -> str:
        """Its `s3://` address."""

    def listed(self, prefix: str, most: int | None = None) -> Sequence[Put]:
        """The names that begin with a prefix, sorted; the first `most` of them."""

    def read(self, key: str) -> bytes | None:
        """The bytes under a name, which are few; `None` if there are none."""

    def fetch(self, key: str, target: Path) -> bool:
        """Write the bytes under a name to a new file, whole or not at all. Returns whether there are any."""

    def put(self, key: str, data: bytes | Path) -> None:
        """Write bytes, or those of a file, under a name; what was there is replaced."""

    def put_new(self, key: str, data: bytes) -> bool:
        """Write bytes under a name that is not in use. Returns false, and writes nothing, if it is."""

    def remove(self, keys: Sequence[str]) -> None:
        """Remove these names, as far as that is allowed."""

    def close(self) -> None:
        """Let go of connections; they are made again when needed."""


class Step(NamedTuple):
    """One of several statements that an engine runs in an order of its own."""

    sql: str
    needs: frozenset[int]
    """The positions of the statements that must run before it."""
    wide: bool = False
    """Whether its table has a row for each credential and many columns, so that a long one is kept in a file."""


class Engine(Protocol):
    """Runs SQL that links, and that answers, over tables that it knows by name."""

    def run(self, sql: str) -> None:
        """Run a statement for its effect."""

    def run_all(self, listed: Sequence[Step]) -> None:
        """Run statements, each after those that it needs; several at once if that is quicker."""

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The rows of a query."""

    def register(self, name: str, table: pa.Table) -> None:
        """Register an Arrow table."""

    def write(self, sql: str, path: Path) -> None:
        """Write the rows of a query, in its order, to a Parquet file."""

    def keep_tables(self, path: Path, tables: Mapping[str, str]) -> None:
        """Write the rows of some queries, by name, to the tables of a new database file; each in its order."""

    def suspects(self) -> pa.Table:
        """The event ids that may occur more than once, as `event_id`."""

    def made(self, sql: str) -> int:
        """Run a statement that makes a table or adds to one; how many rows it came to."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query that has few."""

    def apart(self) -> AbstractContextManager[None]:
        """Give a thread its own cursor meanwhile: what it registers, and its temporary tables, are its own."""

    def as_written(self) -> AbstractContextManager[None]:
        """Join tables in the order that each query gives meanwhile, which names the largest first."""

    def each(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[dict[str, Any]]:
        """The rows of a query, read some at a time."""

    def batches(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[pa.RecordBatch]:
        """The rows of a query, a batch at a time."""

    def known_segments(self) -> Set[int]:
        """All segments of the evidence."""

    def everywhere(self) -> dict[str, str]:
        """For each table of segments, by `some_<name>`: what a query writes to read all of them."""

    def narrow(self, segments: Set[int]) -> dict[str, str]:
        """For each table of segments, by `some_<name>`: what a query writes to read these segments alone."""

    def holding(self, *, events: Collection[bytes] = (), names: Collection[str] = ()) -> dict[str, str]:
        """
        The same for the segments that may hold any of some events or names; for all of them where that is not known.

        Args:
            events: Event ids, as the column has them.
            names: Names, as `lineage.candidates.HASHED` takes them from columns.
        """

    def park(self, sql: str, path: Path) -> None:
        """Write the rows of a query, in any order, to a Parquet file that is read again soon and then forgotten."""

    def view(self, name: str, path: Path) -> None:
        """Register a Parquet file, or a folder of them."""

    def open_database(self, path: Path, tables: Mapping[str, str], *, beside: bool = False) -> None:
        """
        Register the tables of a database file under their names, only to be read.

        Args:
            path: The file.
            tables: By name, the columns of each with their types, by which it is told from what somebody put in its
                place.
            beside: Leave the tables of one that was opened before known, too.

        Raises:
            CaseError: it can't be read, or lacks a table.
        """

    def changing(self, path: Path) -> AbstractContextManager[None]:
        """Change the tables of a database file meanwhile, which are called `derived.main.` and their names."""

    def rows_with(self, name: str, by: str, wanted: Sequence[Any]) -> list[dict[str, Any]]:
        """
        Read the rows of a table of the open database that have some values, a few rows, in the table's order.

        Args:
            name: The name of the table.
            by: The columns that it is sorted by, separated by commas; the values are those of the first.
            wanted: The values.
        """

    def keep(self, name: str, sql: str, path: Path) -> None:
        """Register the rows of a query, kept in a file; the query is run only if the file is not there."""

    def release(self) -> None:
        """Give the memory of dropped tables and finished joins back to the system."""

    def remember_files(self, remember: bool) -> None:
        """Set whether the footers of Parquet files are kept in memory, which is quicker, or read anew each time."""

    def close(self) -> None:
        """Let go of everything."""


class StoredObject(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
):
    """One evidence object of the case."""

    sha256: str
    name: str
    size: int
    records: int
    rejected: int
    reference: str | None = None
    """Where it lies, if the case holds no copy of its own."""
    source: str | None = None
    """What it was known by where it lay, such as bucket, key and ETag, so that it need not be fetched again."""
    carriers: Sequence[str] = ()
    """What brought its records, other than CloudTrail's own files, by the names of `events.carriers.lost`."""
    bound: int | None = None
    """Bytes that it was allowed to expand to; `None` stands for 2 GiB, as in cases that did not record it."""
    pack: str | None = None
    """The archive in which the case keeps it, if not in a file of its own."""
    at: int = 0
    """The byte of that archive at which it begins."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What makes a segment visible: its parts and the objects that went into it, in their order."""

    segment: str
    objects: tuple[StoredObject, ...]
    replaces: tuple[str, ...] = ()
    """Segments whose records it holds, and which therefore count no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The case at one moment: the segments that were visible."""

    fingerprint: str
    manifests: tuple[Manifest, ...]
    folders: Mapping[str, Path] = field(default_factory=dict)

    def objects(self) -> dict[str, StoredObject]:
        """Every evidence object by its SHA-256."""
        return {one.sha256: one for manifest in self.manifests for one in manifest.objects}
