"""What the names of objects say of the part of a source that was asked for, and what is told of the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from tokentrail.sources import trail
from tokentrail.sources.interface import Wanted
from tokentrail.spelling import counted, listed


@dataclass(slots=True)
class Part:
    """Chooses by names, and remembers what it passes over."""

    untold: int = 0
    """Objects whose names tell nothing, though a part was asked for: they are read."""
    taken: int = 0
    """Objects that are of the part, as their names tell."""
    passed: int = 0
    """Objects of another account, region or time."""
    accounts: set[str] = field(default_factory=set)
    """What these are of, ..."""
    regions: set[str] = field(default_factory=set)
    times: tuple[datetime, datetime] | None = None
    """... and the first and the last time in their names."""

    def takes(self, name: trail.Name | None, asked: Wanted) -> bool:
        """Whether an object, whose name tells this, is to be read."""
        if name is None:
            self.untold += 1
            return True
        if trail.wanted(name, asked):
            self.taken += 1
            return True
        self.passed += 1
        self.accounts.add(name.account)
        self.regions.add(name.region)
        if name.written:
            self._reach(name.written, name.written)
        return False

    def leaves(self, parent: trail.Step, folder: str) -> None:
        """Remember a folder that isn't gone into, by its own name."""
        if parent == "service":
            self.regions.add(folder)
        elif parent != "account":
            self.accounts.add(folder)

    def take_in(self, other: Part) -> None:
        """Add what was met elsewhere."""
        self.untold += other.untold
        self.taken += other.taken
        self.passed += other.passed
        self.accounts |= other.accounts
        self.regions |= other.regions
        if other.times:
            self._reach(*other.times)

    def _reach(self, first: datetime, last: datetime) -> None:
        self.times = (min(first, self.times[0]), max(last, self.times[1])) if self.times else (first, last)

    def said(self, source: str, asked: Wanted) -> list[str]:
        """
        What a user should know who asked for a part, in sentences.

        Args:
            source: What they named.
            asked: The part.
        """
        if not (asked.accounts or asked.regions or asked.since or asked.until):
            return []
        found = []
        if self.untold:
            many = counted(self.untold, "object")
            found.append(
                f"{source}: {many} whose names tell no account, region or day: read whatever they hold."
            )
        if self.passed:
            found.append(
                f"{source}: {counted(self.passed, 'object')} passed over, whose names tell another account, region or "
                "time than asked for."
            )
        if not self.taken and (self.passed or not self.untold):
            found.append(f"{source}: no name tells of what was asked for.{self._others()}")
        return found

    def _others(self) -> str:
        parts = [f"account {listed(sorted(self.accounts))}"] if self.accounts else []
        parts += [f"region {listed(sorted(self.regions))}"] if self.regions else []
        if self.times:
            first, last = (f"{one:%Y-%m-%dT%H:%MZ}" for one in self.times)
            parts.append(f"{first} to {last}" if first != last else first)
        return f" Names tell {'; '.join(parts)}." if parts else ""
