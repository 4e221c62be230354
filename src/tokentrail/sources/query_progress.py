"""What a source that is asked has answered, as a note of the case, so that the next run asks for the remainder only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tokentrail.errors import SourceError
from tokentrail.sources import spans
from tokentrail.sources.interface import Notes
from tokentrail.sources.spans import Span


@dataclass(slots=True)
class QueryProgress:
    """The questions that were answered, by spans of time, and what was learned of the keys that are followed."""

    note: str
    """The name of the note."""
    done: dict[str, list[Span]] = field(default_factory=dict)
    """By place and question: the spans of time that were answered."""
    followed: dict[str, Any] = field(default_factory=dict)
    """By subjects: the state of `Following`."""

    @classmethod
    def of(cls, notes: Notes, name: str) -> QueryProgress:
        """
        Read a note of the case.

        Raises:
            SourceError: it is damaged.
        """
        found = notes.note(name) or {}
        try:
            done = {
                str(each): [(int(a), int(b)) for a, b in some] for each, some in found.get("done", {}).items()
            }
            return cls(name, done, dict(found.get("followed", {})))
        except (AttributeError, TypeError, ValueError) as error:
            raise SourceError(
                f"the case's note {name}.json is damaged ({error}). Remove it from the case's notes/ to ask anew."
            ) from error

    def remaining(self, name: str, wanted: Span) -> list[Span]:
        """What of a span of time a question is still to be asked for."""
        return spans.remaining(wanted, self.done.get(name, ()))

    def add(self, name: str, answered: Iterable[Span]) -> None:
        """Count spans of time as answered."""
        self.done[name] = spans.merged([*self.done.get(name, []), *answered])

    def keep(self, notes: Notes) -> None:
        """Write the note."""
        notes.place_note(self.note, {"done": self.done, "followed": self.followed})
