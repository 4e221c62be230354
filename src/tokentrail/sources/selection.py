"""Choose objects by name when only a part of a source is wanted, and say what was passed over."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from tokentrail.formatting import counted, listed
from tokentrail.sources import trail
from tokentrail.sources.interface import Wanted


@dataclass(slots=True)
class Part:
    """Chooses objects by their names, and counts those that it passes over."""

    unnamed: int = 0
    """Objects whose names say nothing of account, region and time: they are read."""
    taken: int = 0
    """Objects that are of the wanted part by their names."""
    passed: int = 0
    """Objects of another account, region or time."""
    accounts: set[str] = field(default_factory=set)
    """The accounts of objects and folders that were passed over."""
    regions: set[str] = field(default_factory=set)
    """Their regions."""
    times: tuple[datetime, datetime] | None = None
    """The first and the last time in their names."""

    def takes(self, name: trail.Name | None, asked: Wanted) -> bool:
        """Whether an object is to be read; `name` is what its name says, `None` if that is nothing."""
        if name is None:
            self.unnamed += 1
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

    def skip_folder(self, parent: trail.Step, folder: str) -> None:
        """
        Note a folder that is passed over.

        Args:
            parent: What the folder is in.
            folder: Its own name.
        """
        if parent == "service":
            self.regions.add(folder)
        elif parent != "account":
            self.accounts.add(folder)

    def add(self, other: Part) -> None:
        """Add the counts of another."""
        self.unnamed += other.unnamed
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
        Sentences for a user who asked for a part of a source; none if all of it was wanted.

        Args:
            source: The source, as the user named it.
            asked: The part.
        """
        if not (asked.accounts or asked.regions or asked.since or asked.until):
            return []
        found = []
        if self.unnamed:
            many = counted(self.unnamed, "object")
            found.append(
                f"{source}: {many} whose names tell no account, region or day: read whatever they hold."
            )
        if self.passed:
            found.append(
                f"{source}: {counted(self.passed, 'object')} passed over, whose names tell another account, region or "
                "time than asked for."
            )
        if not self.taken and (self.passed or not self.unnamed):
            found.append(f"{source}: no name tells of what was asked for.{self._others()}")
        return found

    def _others(self) -> str:
        parts = [f"account {listed(sorted(self.accounts))}"] if self.accounts else []
        parts += [f"region {listed(sorted(self.regions))}"] if self.regions else []
        if self.times:
            first, last = (f"{one:%Y-%m-%dT%H:%MZ}" for one in self.times)
            parts.append(f"{first} to {last}" if first != last else first)
        return f" Names tell {'; '.join(parts)}." if parts else ""
