"""One pass over raw records for all rules that need them: which rules a record is for, and which it meets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from tokentrail.detection.sigma.checks import Check, Judged, Members, members
from tokentrail.detection.sigma.fields import Field
from tokentrail.events.sifting import Need, Needs
from tokentrail.events.values import hide_secrets

BETWEEN = "\x1f"
"""What stands between the fields that group."""
MOST = 2_000
"""Characters of a field that groups or is counted: more tells nothing apart."""
Answer = tuple[int, tuple[tuple[str, str], ...]]
"""The number of a rule that a record meets, and for each of its correlations the group and the value."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a rule needs to judge a record that columns could not decide."""

    rest: Check
    counted: tuple[tuple[tuple[Field, ...], Field | None], ...] = ()
    """For each correlation that counts the rule: the fields that group, and the one whose values are counted."""


_Ready: TypeAlias = tuple[Judged, list[Callable[[Any], tuple[str, str]]]]
"""What judges a record, and what tells its groups and values."""


class Judge:
    """Judges raw records by several rules; it pickles, and does not know where records come from."""

    def __init__(self, asked: Sequence[Asked]) -> None:
        self._asked = tuple(asked)
        self._ready: list[_Ready] = []

    def __reduce__(self) -> Any:
        """How another process makes the same judge: functions don't pickle, so they are made anew there."""
        return Judge, (self._asked,)

    def members(self) -> Members:
        """The members of a record that it looks at; `None` for the whole of it."""
        fields = frozenset(
            field.member
            for one in self._asked
            for group, value in one.counted
            for field in (*group, *([value] if value else []))
        )
        found = members(one.rest for one in self._asked)
        return None if found is None else found | fields

    def needs(self) -> Needs:
        """The words that a record must contain to meet any of the rules."""
        return [
            Need(number, *needle) for number, one in enumerate(self._asked) for needle in one.rest.needles()
        ]

    def __call__(self, mask: int, record: Any) -> list[Answer]:
        """The rules that a record meets, of those whose bits are set in `mask`."""
        ready = self._ready or self._made_ready()
        found: list[Answer] = []
        while mask:
            low = mask & -mask
            mask ^= low
            number = low.bit_length() - 1
            judged, counted = ready[number]
            if judged(record):
                found.append((number, tuple([each(record) for each in counted]) if counted else ()))
        return found

    def _made_ready(self) -> list[_Ready]:
        self._ready = [
            (one.rest.judge(), [_teller(*fields) for fields in one.counted]) for one in self._asked
        ]
        return self._ready


def _teller(group: Sequence[Field], value: Field | None) -> Callable[[Any], tuple[str, str]]:
    """The function that gives a record's group and value for one correlation."""
    grouping = [field.teller() for field in group]
    of_value = value.teller() if value else None

    def told(record: Any) -> tuple[str, str]:
        grouped = BETWEEN.join(shown(each(record)) for each in grouping)
        return grouped, of_value(record)[:MOST] if of_value else ""

    return told


@lru_cache(maxsize=1 << 14)  # who calls is told again and again
def shown(told: str) -> str:
    """A field's text fit to be shown: without secrets, and not too long."""
    return hide_secrets(told)[:MOST].replace(BETWEEN, " ")
