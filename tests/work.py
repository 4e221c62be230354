"""How much work something is, without a clock: the same on any machine, whatever else runs there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def calls(do: Callable[[], object], named: str | None = None) -> int:
    """How many Python functions, or those of a name, are called, and generators resumed, in this thread."""
    counted, before = 0, sys.getprofile()

    def count(frame: FrameType, event: str, what: Any) -> None:
        nonlocal counted
        counted += event == "call" and named in (None, frame.f_code.co_name)

    sys.setprofile(count)
    try:
        do()
    finally:
        sys.setprofile(before)
    return counted


def growth(do: Callable[[int], Callable[[], object]], size: int) -> float:
    """How much more work a third lot of so many things is than a second one: 1 where each is as much among many."""
    do(1)()  # what is done once in a process
    first, second, third = (calls(do(size * lots)) for lots in (1, 2, 3))
    return (third - second) / (second - first)
