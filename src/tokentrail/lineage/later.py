"""
A forest that was added to: the tables that linking wrote once, and beside each a later one that replaces some rows.

Which rows of the first are gone is told by the places of credentials: the row of one that changed (`gone`), and all
that bears the number of one whose place is another now (`unplaced`); and by identities that are somebody else's now.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tokentrail.errors import CaseError
from tokentrail.store.interface import Engine
from tokentrail.store.later import Gone

LATER = ("forest", "creations", "names", "who", "links")
GONE, GONE_WHO = "gone.parquet", "gone_who.parquet"
NO_PLACES = pa.table({"n": pa.array([], pa.int64()), "unplaced": pa.array([], pa.bool_())})
NO_WHO = pa.table({"segment": pa.array([], pa.int64()), "identity": pa.array([], pa.int32())})


def later_file(folder: Path, name: str) -> Path:
    """Where the later rows of a table lie."""
    return folder / f"later_{name}.parquet"


def was_added_to(folder: Path) -> bool:
    """Whether a forest was added to since it was linked: any of the later files tells, and then all must be there."""
    return any(
        path.exists()
        for path in (*(later_file(folder, name) for name in LATER), folder / GONE, folder / GONE_WHO)
    )


def sizes(folder: Path) -> tuple[int, int]:
    """
    How many credentials the first linking of a forest told of, and how many of its rows came later.

    Raises:
        CaseError: it can't be read.
    """
    try:
        first = pq.read_metadata(folder / "forest.parquet").num_rows
        return first, pq.read_metadata(later_file(folder, "forest")).num_rows if was_added_to(folder) else 0
    except (OSError, pa.ArrowException) as error:
        raise CaseError(f"{folder}: its forest can't be read ({error}).") from error


def gone_in(folder: Path) -> tuple[pa.Table, pa.Table]:
    """
    The places of which rows are gone, and the identities; those without a number are all of their segment's.

    Raises:
        CaseError: what says so is missing or damaged.
    """
    if not was_added_to(folder):
        return NO_PLACES, NO_WHO
    try:
        return (
            pq.ParquetFile(folder / GONE).read().cast(NO_PLACES.schema).sort_by("n"),
            pq.ParquetFile(folder / GONE_WHO).read().cast(NO_WHO.schema),
        )
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise CaseError(f"{folder}: what was added to it can't be read ({error}).") from error


def know(engine: Engine, folder: Path, called: str = "") -> None:
    """
    Make the tables of a forest known, under names that begin so.

    Raises:
        CaseError: a table is missing or damaged.
    """
    if not was_added_to(folder):
        for name in LATER:
            engine.view(f"{called}{name}", folder / f"{name}.parquet")
        return
    places, who = gone_in(folder)
    gone = places["n"].to_numpy()
    unplaced = places.filter(places["unplaced"])["n"].to_numpy()
    whole = who.filter(who["identity"].is_null()).sort_by("segment")["segment"].to_numpy()
    pairs = who.filter(who["identity"].is_valid())
    for name, less in {
        "forest": Gone({"n": gone}), "creations": Gone({"n": gone}), "names": Gone({"n": gone}),
        "who": Gone({"n": unplaced, "segment": whole}, pairs), "links": Gone({"child": gone, "parent": unplaced}),
    }.items():  # fmt: skip
        engine.grown(f"{called}{name}", folder / f"{name}.parquet", later_file(folder, name), less)


def know_apart(engine: Engine, folder: Path) -> None:
    """Make the rows that the first linking wrote known as `base_`, and those of the later files alone as `later_`."""
    added = was_added_to(folder)
    for name in LATER:
        engine.view(f"base_{name}", folder / f"{name}.parquet")
        if added:
            engine.view(f"later_{name}", later_file(folder, name))
        else:
            engine.run(f"CREATE OR REPLACE VIEW later_{name} AS SELECT * FROM base_{name} LIMIT 0")
