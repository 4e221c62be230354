"""
Three-valued truth: the log shows that something holds, shows that it does not, or leaves it open.

Conditions are joined by Kleene's strong logic, so that an unknown key only matters where it could change the
answer.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable


class Truth(enum.Enum):
    """Whether something holds, as far as the log can tell."""

    NO = 0
    UNDECIDED = 1
    YES = 2

    @classmethod
    def of(cls, value: bool) -> Truth:
        """Turn a known boolean into a truth."""
        return cls.YES if value else cls.NO

    @property
    def opposite(self) -> Truth:
        """The negation; what is undecided stays so."""
        return _OPPOSITE[self]


_OPPOSITE = {Truth.NO: Truth.YES, Truth.UNDECIDED: Truth.UNDECIDED, Truth.YES: Truth.NO}


def every(truths: Iterable[Truth]) -> Truth:
    """Join by AND: `NO` if any is `NO`, `YES` only if all are; `YES` for none at all."""
    result = Truth.YES
    for truth in truths:
        if truth is Truth.NO:
            return Truth.NO
        if truth is Truth.UNDECIDED:
            result = Truth.UNDECIDED
    return result


def some(truths: Iterable[Truth]) -> Truth:
    """Join by OR: `YES` if any is `YES`, `NO` only if all are; `NO` for none at all."""
    result = Truth.NO
    for truth in truths:
        if truth is Truth.YES:
            return Truth.YES
        if truth is Truth.UNDECIDED:
            result = Truth.UNDECIDED
    return result
