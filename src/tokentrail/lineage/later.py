"""
The tables of a forest that was added to: those that the first linking wrote, and beside them levels of later rows.

A level has a file for each table, with rows that are new or stand for earlier ones. Its `gone` names, by place, the
rows of the levels below it, down to the first tables, that no longer count: the row of a credential that changed, and
with `unplaced` every row that has the place of one which moved. Its `gone_who` names identities that belong to another
credential now. A new level takes in those above a much larger one: so there are few, and a row is seldom written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tokentrail.errors import CaseError
from tokentrail.store.interface import Engine
from tokentrail.store.ranges import Gone

LATER = ("forest", "creations", "names", "who", "links")
GONE, GONE_WHO = "gone", "gone_who"
NO_PLACES = pa.table({"n": pa.array([], pa.int64()), "unplaced": pa.array([], pa.bool_())})
NO_WHO = pa.table({"segment": pa.array([], pa.int64()), "identity": pa.array([], pa.int32())})
_NAMED = re.compile(r"later_(\d{1,4})_\w+\.parquet")


class Left(NamedTuple):
    """What counts no more below some levels."""

    places: pa.Table
    """`n`, `unplaced`."""
    who: pa.Table
    """`segment`, `identity`; an identity that is null stands for its whole segment."""

    def of(self, name: str) -> Gone:
        """The rows of a table that are meant."""
        gone = _sorted(self.places["n"])
        unplaced = _sorted(self.places.filter(self.places["unplaced"])["n"])
        if name == "who":
            whole = _sorted(self.who.filter(self.who["identity"].is_null())["segment"])
            return Gone({"n": unplaced, "segment": whole}, self.who.filter(self.who["identity"].is_valid()))
        return Gone({"child": gone, "parent": unplaced} if name == "links" else {"n": gone})


def level_file(folder: Path, level: int, name: str) -> Path:
    """The path of a file of a level, from 1."""
    return folder / f"later_{level}_{name}.parquet"


def level_files(folder: Path, level: int) -> list[Path]:
    """The paths of all files of a level."""
    return [level_file(folder, level, name) for name in (*LATER, GONE, GONE_WHO)]


def levels(folder: Path) -> int:
    """The number of levels: any file of one tells that it and those below it are there, and all of them must be."""
    found = (_NAMED.fullmatch(path.name) for path in folder.glob("later_*.parquet"))
    return max((int(one[1]) for one in found if one), default=0)


def sizes(folder: Path) -> list[int]:
    """
    The number of credentials that each level tells of.

    Raises:
        CaseError: they can't be read.
    """
    return [_rows(level_file(folder, level, "forest")) for level in range(1, levels(folder) + 1)]


def gone_in(folder: Path, above: int = 0) -> Left:
    """
    What counts no more at and below a level.

    Raises:
        CaseError: what says so is missing or damaged.
    """
    return _united([_gone(folder, level) for level in range(above + 1, levels(folder) + 1)])


def register(engine: Engine, folder: Path, called: str = "", *, first: int = 0) -> None:
    """
    Register the tables of a forest, each under its name with the prefix `called`.

    Args:
        engine: Where to register them.
        folder: Where they lie.
        called: The prefix.
        first: The lowest level that they have rows of; 0 for all, there must be one else.

    Raises:
        CaseError: a table is missing or damaged.
    """
    last = levels(folder)
    if not last:
        for name in LATER:
            engine.view(f"{called}{name}", folder / f"{name}.parquet")
        return
    gone = [_gone(folder, level) for level in range(first + 1, last + 1)]
    above = [_united(gone[place:]) for place in range(len(gone))]
    for name in LATER:
        files = [level_file(folder, level, name) for level in range(1, last + 1)]
        every = [folder / f"{name}.parquet", *files][first:]
        left = [one.of(name) for one in above]
        engine.view_amended(f"{called}{name}", list(zip(every, [*left, None], strict=True)))


def register_above(engine: Engine, folder: Path, level: int, called: str, whole: str) -> None:
    """Register the tables of the levels above one, if there are any; `whole` is the prefix of those of all."""
    if level < levels(folder):
        register(engine, folder, called, first=level + 1)
        return
    for name in LATER:
        engine.run(f"CREATE OR REPLACE VIEW {called}{name} AS SELECT * FROM {whole}{name} LIMIT 0")


def _gone(folder: Path, level: int) -> Left:
    try:
        return Left(
            pq.ParquetFile(level_file(folder, level, GONE)).read().cast(NO_PLACES.schema),
            pq.ParquetFile(level_file(folder, level, GONE_WHO)).read().cast(NO_WHO.schema),
        )
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise CaseError(f"{folder}: what was added to it can't be read ({error}).") from error


def _united(parts: Sequence[Left]) -> Left:
    return Left(
        pa.concat_tables([NO_PLACES, *(one.places for one in parts)]),
        pa.concat_tables([NO_WHO, *(one.who for one in parts)]),
    )


def _sorted(column: pa.ChunkedArray[pa.Int64Scalar]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.unique(column.to_numpy())


def _rows(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise CaseError(f"{path}: can't be read ({error}).") from error
