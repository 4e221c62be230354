"""What is asked of each segment once, and kept with its layer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokentrail.errors import CaseError
from tokentrail.store.interface import Engine


def kept_rows(
    engine: Engine, name: str, sql: str, folder: Path, asked: str, by: str = "ALL"
) -> list[dict[str, Any]]:
    """The rows of a query over what is kept of each segment (`Engine.keep_apart`), again if that turns out damaged."""
    engine.keep_apart(name, sql, folder, by)
    try:
        return engine.rows(asked)
    except CaseError:
        engine.keep_apart(name, sql, folder, by, anew=True)
        return engine.rows(asked)


def kept_of(
    engine: Engine, name: str, sql: str, folder: Path, by: str, wanted: Iterable[str]
) -> list[dict[str, Any]]:
    """
    The rows of some names alone, once `kept_rows` made them known, and again if they turn out damaged.

    Whether there are rows at all is in the end of a file, what is damaged further ahead shows only now.
    """
    asked = [(one, one) for one in sorted(wanted)]
    column = by.partition(",")[0]
    try:
        return engine.ranges(name, column, asked).to_pylist()
    except (CaseError, OSError, ValueError):
        engine.keep_apart(name, sql, folder, by, anew=True)
        return engine.ranges(name, column, asked).to_pylist()
