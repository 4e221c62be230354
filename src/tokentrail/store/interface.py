"""What the store asks of others, and what it offers: evidence objects in, an engine over columns out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import pyarrow as pa

from tokentrail.store.later import Gone


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
        """What stays the same as long as the object where it lies does; `None` if only its bytes tell."""

    @property
    def distant(self) -> bool:
        """Whether reading it waits for a network, so that several should be read at once."""

    @property
    def place(self) -> str | None:
        """Where its bytes stay on this file system; `None` if they don't, as of what came through a pipe."""

    def read(self) -> bytes:
        """All of its bytes."""


class Put(Protocol):
    """What a bucket holds under a name."""

    @property
    def key(self) -> str:
        """The name, below the case's own."""

    @property
    def changed(self) -> float:
        """When it was put there, in seconds since 1970, by the bucket's own clock."""


class Bucket(Protocol):
    """
    Where a case lies that machines share without a file system: names and bytes, each put whole or not at all.

    It pickles and can be compared, so that executors of a cluster reach the same. A name begins below the case.
    Each method raises `CaseError`, in words for a person, where the bucket can't be reached or refuses.
    """

    def __hash__(self) -> int:
        """The same for what reaches the same."""

    @property
    def uri(self) -> str:
        """What a user calls it."""

    def listed(self, prefix: str, most: int | None = None) -> Sequence[Put]:
        """What is there under names that begin so, in order of name; the first `most` of them."""

    def read(self, key: str) -> bytes | None:
        """The bytes of something small; `None` if nothing has that name."""

    def fetch(self, key: str, target: Path) -> bool:
        """Write what has a name to a new file, whole or not at all; whether anything has it."""

    def put(self, key: str, data: bytes | Path) -> None:
        """Put bytes, or those of a file, in place of what had that name."""

    def put_new(self, key: str, data: bytes) -> bool:
        """Put bytes where nothing has that name; whether that was so."""

    def remove(self, keys: Sequence[str]) -> None:
        """Remove what has these names, as far as that is allowed."""

    def close(self) -> None:
        """Let go of connections; they are made again when needed."""


class Step(NamedTuple):
    """A statement among others that are run together."""

    sql: str
    needs: frozenset[int]
    """The places of those that it comes after."""
    driven_by: str | None = None
    """The table without whose rows it makes none: where that is empty, an engine need not ask."""
    wide: bool = False
    """Whether the table that it makes tells much of each credential: of very many it had better not be in memory."""


class Linker(Protocol):
    """Runs the SQL that links: a dialect that DuckDB and Spark share, over tables that it knows by name."""

    def run(self, sql: str) -> None:
        """Run a statement for its effect."""

    def run_all(self, listed: Sequence[Step]) -> None:
        """Run statements, each after those that it needs; several at once if that is quicker."""

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The rows of a query."""

    def register(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table known under a name."""

    def write(self, sql: str, path: Path) -> None:
        """Write the rows of a query to a Parquet file, or a folder of them."""

    def write_all(self, queries: Mapping[Path, str]) -> None:
        """Write the rows of some queries to their files; several at once if that is quicker."""

    def suspects(self) -> pa.Table | None:
        """Ids of events that may occur more than once, as `event_id`; `None` where a query is as quick."""


class Engine(Linker, Protocol):
    """Answers queries over what was derived, too."""

    def made(self, sql: str) -> int:
        """Run a statement that makes a table or adds to one; how many rows it came to."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query that has few."""

    def apart(self) -> AbstractContextManager[None]:
        """For as long as a thread asks beside others: what it registers and makes for a time is its own."""

    def as_written(self) -> AbstractContextManager[None]:
        """Meanwhile join tables in the order of each query, which names the largest first."""

    def each(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[dict[str, Any]]:
        """The rows of a query, read some at a time."""

    def batches(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[pa.RecordBatch]:
        """The rows of a query, a batch at a time."""

    def narrow(self, segments: Set[int]) -> dict[str, str]:
        """How a query names each table of segments with some of them alone: by `some_<name>`."""

    def holding(self, *, events: Collection[bytes] = (), names: Collection[str] = ()) -> dict[str, str]:
        """
        The same with the segments alone that may hold any of some events or names; whole where that isn't known.

        Args:
            events: Their ids, as columns have them.
            names: As `lineage.candidates.HASHED` takes them from columns.
        """

    def park(self, sql: str, path: Path) -> None:
        """Write the rows of a query, in any order, to a Parquet file that is read again soon and then forgotten."""

    def view(self, name: str, path: Path) -> None:
        """Make a Parquet file, or a folder of them, known under a name."""

    def grown(self, name: str, path: Path, later: Path, gone: Gone) -> None:
        """Make a Parquet file known under a name, less what is gone of it, and with the rows of a later one."""

    def ranges(self, name: str, by: str, wanted: Sequence[tuple[Any, Any]]) -> pa.Table:
        """
        Few rows of what is known by `view` and sorted by a column, quicker than by a query.

        Args:
            name: As it was given to `view`; always with the same column.
            by: The column; what is null stands last.
            wanted: Lowest and highest value of each range, in order and without overlaps.
        """

    def keep(self, name: str, sql: str, path: Path) -> None:
        """Make the rows of a query known under a name, from `path`; they are written there if they are not yet."""

    def keep_apart(self, name: str, sql: str, folder: Path, by: str = "ALL", *, anew: bool = False) -> None:
        """
        The same for rows that are each of one segment: after an ingest only those of new segments are asked for.

        Args:
            name: The name.
            sql: The query, whose rows have `segment`, with names as of `narrow` in braces.
            folder: Where all is derived from the same segments.
            by: What they are sorted by, where `ranges` is to find some: in each layer by itself.
            anew: Whether to ask again, as what was kept can't be read.
        """

    def release(self) -> None:
        """Give back to the system what tables and joins have let go of."""

    def remember_files(self, remember: bool) -> None:
        """From now on keep what the ends of files say, as is quicker, or read it anew each time."""

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
    """How far it was allowed to expand, where that is not the usual bound."""
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
