"""What is asked of each segment once, and kept with its layer."""

from __future__ import annotations

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
