"""What was worked out of some text once, for as long as the text keeps coming: carriers repeat themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_MOST = 1 << 12
_LONGEST = 1 << 12
Found = TypeVar("Found")


class Known(dict[Any, Found]):
    """
    `self[text]` is what `find(text)` gave.

    Few and short texts alone are kept, so that evidence can't fill the memory.
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


class Numbers(dict[Any, int]):
    """Numbers what it has not met, in order."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number
