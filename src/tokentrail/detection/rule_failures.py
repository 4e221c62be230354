"""What could not judge the evidence: a rule or signal that fails costs itself, and the answer names it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypeAlias

from tokentrail.errors import QueryFailed, TokenTrailError
from tokentrail.formatting import joined

_FAILED = (
    "The {} {} could not judge this evidence ({}), so that what it looks for may be missing; the others did. That is a "
    "fault of TokenTrail: please report it."
)
_TABLE_FAILED = (
    "The table {} could not be prepared from this evidence ({}), so that what is looked for by {} may be missing; the "
    "others judged. That is a fault of TokenTrail: please report it."
)
FailedPart: TypeAlias = Literal["rule", "signal", "table"]


class Failures:
    """The rules, signals and tables of signals that ended in an error, as sentences."""

    def __init__(self) -> None:
        self._sentences: dict[str, None] = {}

    @property
    def sentences(self) -> tuple[str, ...]:
        """A sentence for each, in the order in which they failed."""
        return tuple(self._sentences)

    def add(self, part: FailedPart, name: str, why: str, lost: Sequence[str] = ()) -> None:
        """Note what failed, and the signals that are lost with a table."""
        if part == "table":
            self._sentences[_TABLE_FAILED.format(name, why, joined([*lost]) or "nothing")] = None
        else:
            self._sentences[_FAILED.format(part, name, why)] = None

    @contextmanager
    def isolated(self, part: FailedPart, name: str, lost: Sequence[str] = ()) -> Iterator[None]:
        """
        Note an error of what runs within, as hostile evidence may make one, and go on behind it.

        Raises:
            TokenTrailError: the case is damaged or busy, or room is wanting: the others would fare no better.
        """
        try:
            yield
        except QueryFailed:
            self.add(part, name, "the engine refuses its query", lost)
        except TokenTrailError:
            raise
        except Exception as error:  # noqa: BLE001  # a rule may fail in any way
            self.add(part, name, type(error).__name__, lost)
