"""
Small view models that several sections of a page share: names that lead somewhere, lists that are cut, figures.

A view model holds plain values, chosen and cut; how they are laid out, the templates say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Entry = TypeVar("Entry")
Source = TypeVar("Source")


@dataclass(frozen=True, slots=True)
class Reference:
    """A name or a moment on a page, and where it leads."""

    text: str
    place: str | None = None
    """`None`: it leads nowhere."""
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Excerpt(Generic[Entry]):
    """The first entries of a list, and how many more it has."""

    entries: tuple[Entry, ...] = ()
    left: int = 0


def excerpt(sources: Sequence[Source], most: int, view: Callable[[Source], Entry]) -> Excerpt[Entry]:
    """Show the first so many entries of a list, each by its view."""
    return Excerpt(tuple(map(view, sources[:most])), max(0, len(sources) - most))


def first(entries: Sequence[Entry], most: int) -> Excerpt[Entry]:
    """Show the first so many entries of a list as they are."""
    return Excerpt(tuple(entries[:most]), max(0, len(entries) - most))


@dataclass(frozen=True, slots=True)
class Badge:
    """A credential's name in its shape: square for the attacker's, round for a colleague's."""

    text: str
    side: str
    """`mine` is the attacker's, `theirs` a colleague's: the classes of the style sheet."""
    alive: bool
    title: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, and what it counts."""

    value: str
    what: str
