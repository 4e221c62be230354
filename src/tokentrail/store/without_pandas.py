"""Keep Arrow from loading pandas, which is slow to load and which only Spark needs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Hidden:
    """A finder on `sys.meta_path` for which pandas is not installed."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Refuse pandas; leave every other name to the next finder."""
        if name == "pandas":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def hide_pandas() -> None:
    """
    Hide pandas from this process for good.

    Arrow imports it before its first array, which takes longer than everything else that such a process loads.
    """
    sys.meta_path.insert(0, _Hidden)


def load_arrow_without_pandas() -> None:
    """
    Make Arrow look for pandas now, while it is hidden: Arrow looks only once, and others may import pandas later.

    Only our own programs do this. In a user's script Arrow must know pandas, or it would take a series for a list.
    """
    hide_pandas()
    try:
        import pyarrow as pa

        pa.array([])
    finally:
        sys.meta_path.remove(_Hidden)
