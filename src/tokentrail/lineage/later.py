"""
The tables of a forest that was added to: those that the first linking wrote, and beside each a file of later rows.

`gone.parquet` names, by place, the rows of the first tables that no longer count: the row of a credential that changed,
and with `unplaced` every row that has the place of one which moved. `gone_who.parquet` names identities that belong to
another credential now.
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
    """The path of the later rows of a table."""
    return folder / f"later_{name}.parquet"


def was_added_to(folder: Path) -> bool:
    """Whether a forest was added to since it was linked: any of the later files tells, and then all must be there."""
    return any(
        path.exists()
        for path in (*(later_file(folder, name) for name in LATER), folder / GONE, folder / GONE_WHO)
    )


def count(folder: Path) -> int:
    """
    The number of later rows.

    Raises:
        CaseError: it can't be read.
    """
    return _rows(later_file(folder, "forest")) if was_added_to(folder) else 0


def linked(folder: Path) -> int:
    """
    The number of credentials of the first linking, from the footer of its table, which of many takes a while.

    Raises:
        CaseError: it can't be read.
    """
    return _rows(folder / "forest.parquet")


def _rows(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise CaseError(f"{path}: can't be read ({error}).") from error


def gone_in(folder: Path) -> tuple[pa.Table, pa.Table]:
    """
    The places and the identities whose rows are gone; an identity that is null stands for its whole segment.

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


def register(engine: Engine, folder: Path, called: str = "") -> None:
    """
    Register the tables of a forest, each under its name with the prefix `called`.

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
        engine.view_amended(f"{called}{name}", folder / f"{name}.parquet", later_file(folder, name), less)


def register_apart(engine: Engine, folder: Path) -> None:
    """Register the tables that the first linking wrote as `base_...`, and the later files alone as `later_...`."""
    added = was_added_to(folder)
    for name in LATER:
        engine.view(f"base_{name}", folder / f"{name}.parquet")
        if added:
            engine.view(f"later_{name}", later_file(folder, name))
        else:
            engine.run(f"CREATE OR REPLACE VIEW later_{name} AS SELECT * FROM base_{name} LIMIT 0")
