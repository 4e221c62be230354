"""What could not judge the evidence: a rule or signal that fails costs itself, and the answer names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from tokentrail.errors import QueryFailed, TokenTrailError

_FAILED = (
    "The {} {} could not judge this evidence ({}), so that what it looks for may be missing; the others did. That is a "
    "fault of TokenTrail: please report it."
)


class Failures:
    """The rules and signals that ended in an error, as sentences."""

    def __init__(self) -> None:
        self._sentences: dict[str, None] = {}

    @property
    def sentences(self) -> tuple[str, ...]:
        """A sentence for each, in the order in which they failed."""
        return tuple(self._sentences)

    def add(self, what: Literal["rule", "signal"], name: str, why: str) -> None:
        """Note what failed."""
        self._sentences[_FAILED.format(what, name, why)] = None

    @contextmanager
    def isolated(self, what: Literal["rule", "signal"], name: str) -> Iterator[None]:
        """
        Note an error of what runs within, as hostile evidence may make one, and go on behind it.

        Raises:
            TokenTrailError: the case is damaged or busy, or room is wanting: the others would fare no better.
        """
        try:
            yield
        except QueryFailed:
            self.add(what, name, "the engine refuses its query")
        except TokenTrailError:
            raise
        except Exception as error:  # noqa: BLE001  # a rule may fail in any way
            self.add(what, name, type(error).__name__)
