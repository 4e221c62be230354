"""The numbers that rules judge by, with their defaults, and a file of one's own."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

from tokentrail.errors import UsageError


class Thresholds:
    """Numbers by name."""

    def __init__(self, given: Mapping[str, float] | None = None) -> None:
        self._numbers = {**_defaults(), **(given or {})}

    @classmethod
    def read(cls, path: Path) -> Thresholds:
        """
        Read a TOML file with some of the names of `thresholds.toml`.

        Raises:
            UsageError: it can't be read, or holds another name or something else than a number.
        """
        try:
            given = tomllib.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: thresholds can't be read: {error}.") from error
        known = _defaults()
        for name, value in given.items():
            if name not in known:
                raise UsageError(f"{path}: no threshold is named {name!r}. There are: {', '.join(known)}.")
            if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
                raise UsageError(f"{path}: {name} must be a number from 0 up.")
        return cls(given)

    def __getitem__(self, name: str) -> float:
        return self._numbers[name]

    def whole(self, name: str) -> int:
        """A threshold as a whole number."""
        return int(self._numbers[name])

    def shown(self, names: Iterable[str]) -> tuple[str, ...]:
        """Some thresholds, spelled `name=value`."""
        return tuple(f"{name}={self._numbers[name]:.10g}" for name in names)


def _defaults() -> dict[str, float]:
    text = (resources.files("tokentrail.detection") / "thresholds.toml").read_text()
    return dict(tomllib.loads(text))
