"""A cache of what was computed for a text, since carriers repeat the same texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_MOST = 1 << 12
_LONGEST = 1 << 12
Found = TypeVar("Found")


class Known(dict[Any, Found]):
    """
    A bounded cache: `self[text]` is `find(text)`.

    Only so many texts, and only short ones, are kept, so that evidence can't fill the memory.
    """

    def __init__(self, find: Callable[[Any], Found], size: Callable[[Any], int] = len) -> None:
        super().__init__()
        self._find, self._size = find, size

    def __missing__(self, text: Any) -> Found:
        found = self._find(text)
        if self._size(text) <= _LONGEST:
            if len(self) >= _MOST:
                self.clear()
            self[text] = found
        return found
