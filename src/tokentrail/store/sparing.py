"""Processes without pandas, which nothing of ours needs but Spark, and which Arrow loads wherever it is installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Hidden:
    """Finds no pandas, wherever it is."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Leave every other name to who comes next."""
        if name == "pandas":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def hide_pandas() -> None:
    """
    Let nothing in this process find pandas: Arrow looks for it before its first array, and loading it takes longer than
    all else that a process of ours loads.
    """
    sys.meta_path.insert(0, _Hidden)


def look_for_no_pandas() -> None:
    """
    Have Arrow look for pandas now and find none, where others may want it later: it looks only once.

    For programs of ours; a caller's script is not asked to do without, since Arrow would take its series for lists.
    """
    hide_pandas()
    try:
        import pyarrow as pa

        pa.array([])
    finally:
        sys.meta_path.remove(_Hidden)
