"""The numbers that rules judge by, with their defaults, and a file of one's own."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

from tokentrail.errors import UsageError

_MOST = 10**15
"""Seconds and bytes that are more than any evidence has, and that can still be added to a time."""
_MOST_DAYS = 10**10
"""Days are reckoned in seconds."""
_MOST_LISTED = 100_000
"""Of what a finding lists or a rule reads for it: they are in memory at once."""
_LEAST = {"deep": 2, "juggled": 1}
"""Counts, beside those whose names say so, with the fewest that can be many; one hop is no chain of sessions yet."""


class Thresholds:
    """Numbers by name."""

    def __init__(self, given: Mapping[str, float] | None = None) -> None:
        self._numbers = {**_defaults(), **(given or {})}

    @classmethod
    def read(cls, path: Path) -> Thresholds:
        """
        Read a TOML file with some of the names of `thresholds.toml`.

        Raises:
            UsageError: it can't be read, or holds another name, or something else than a number that makes sense.
        """
        try:
            given = tomllib.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: thresholds can't be read: {error}.") from error
        known = _defaults()
        for name, value in given.items():
            if name not in known:
                raise UsageError(f"{path}: no threshold is named {name!r}. There are: {', '.join(known)}.")
            if problem := _problem(name, value):
                raise UsageError(f"{path}: {name} = {value!r} makes no sense: it must be {problem}.")
        return cls(given)

    def __getitem__(self, name: str) -> float:
        return self._numbers[name]

    def whole(self, name: str) -> int:
        """A threshold as a whole number."""
        return int(self._numbers[name])

    def shown(self, names: Iterable[str]) -> tuple[str, ...]:
        """Some thresholds, spelled `name=value`."""
        return tuple(f"{name}={self._numbers[name]:.10g}" for name in names)


def _problem(name: str, value: object) -> str | None:
    """What a threshold must be, if it is not."""
    least, most = _bounds(name)
    counts = least > 0
    told = f"a {'whole ' if counts else ''}number from {least} to {most:,}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return told
    fits = least <= value <= most  # which neither infinity nor what is no number (nan) does
    return None if fits and (not counts or value == math.floor(value)) else told


def _bounds(name: str) -> tuple[int, int]:
    if name.startswith("most_"):
        return 1, _MOST_LISTED
    if name.startswith("many_") or name in _LEAST:
        return _LEAST.get(name, 1), _MOST
    return 0, _MOST_DAYS if name.endswith("_days") else _MOST


def _defaults() -> dict[str, float]:
    text = (resources.files("tokentrail.detection") / "thresholds.toml").read_text()
    return dict(tomllib.loads(text))
