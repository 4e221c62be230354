"""How much work something is, without a clock, and how much of it the tests do that run each time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import pytest


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


def some(every: Iterable[Any], each: int) -> list[Any]:
    """Every so many of a test's cases; the others wait for `-m long`, as they say much the same and take as long."""
    return [
        one
        if number % each == 0
        else pytest.param(*(one if isinstance(one, tuple) else (one,)), marks=pytest.mark.long)
        for number, one in enumerate(every)
    ]
