"""
What every actor shares: the clock, the identifiers, the accounts, and the records written so far.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from tokentrail.testing.ids import Ids
from tokentrail.testing.names import Json, Role, User, copied, iso
from tokentrail.testing.records import Call, record
from tokentrail.testing.truth import Entry, TrueCredential, true_credentials

DEFAULT_ACCOUNT = "111122223333"


class Stage:
    """The clock, the accounts, and the trail. `World` adds the ways to bring actors onto it."""

    def __init__(self, start: datetime, *, seed: int, account: str, region: str, tick: float) -> None:
        self.ids = Ids(seed)
        self.account_id = account
        """The account that actors belong to when nothing else is said."""
        self.region = region
        self._start = start.astimezone(UTC)
        self._now = self._start
        self._tick = timedelta(seconds=tick)
        self._records: list[Json] = []
        self._entries: list[Entry] = []
        self._roles: dict[tuple[str, str], Role] = {}
        self._sessions: set[tuple[str, str]] = set()
        self._logging = True

    @property
    def now(self) -> datetime:
        """The time of the next call, in whole seconds, as CloudTrail has it."""
        return self._now.replace(microsecond=0)

    def at(self, when: datetime | str) -> datetime:
        """
        Set the clock, forwards or back; records come out in order of time all the same.

        Args:
            when: A time; or `HH:MM[:SS]` on the clock's present day; or an ISO 8601 date and time, in UTC.
        """
        if isinstance(when, str):
            text = when if "-" in when else f"{self.now:%Y-%m-%d}T{when}"
            when = datetime.fromisoformat(text)
        self._now = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
        return self.now

    def wait(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0) -> datetime:
        """Let time pass."""
        self._now += timedelta(seconds=seconds, minutes=minutes, hours=hours)
        return self.now

    @contextmanager
    def unlogged(self) -> Iterator[None]:
        """
        Lose what happens inside: no record of it is written, as when a trail was off or its files are
        missing.
        """
        before, self._logging = self._logging, False
        try:
            yield
        finally:
            self._logging = before

    @property
    def logging(self) -> bool:
        """Whether calls are being written down."""
        return self._logging

    @property
    def truth(self) -> list[TrueCredential]:
        """What the evidence written so far says of each credential that it shows."""
        return true_credentials(self._entries)

    def records(self) -> list[Json]:
        """Copy out the records in order of event time; of those in one second, the first written is first."""
        return [copied(one) for one in sorted(self._records, key=lambda written: str(written["eventTime"]))]

    def repeat(self, *records: Json) -> None:
        """Deliver records once more, as CloudTrail may: same event id, another file."""
        self._records.extend(copied(one) for one in records)

    def role(self, name: str, *, path: str = "/", account: str | None = None) -> Role:
        """Give the role of that name (or ARN), made when first asked for."""
        partition = "aws"
        if name.startswith("arn:"):
            _, partition, _, _, account, _ = name.split(":", 5)
            path, _, name = name.partition(":role")[2].rpartition("/")
            path += "/"
        account = account or self.account_id
        if (account, name) not in self._roles:
            made = Role(
                name=name, account=account, id=self.ids.principal("AROA", account), path=path, partition=partition
            )  # fmt: skip
            self._roles[account, name] = made
        return self._roles[account, name]

    def enter(self, entry: Entry) -> Entry:
        """Put a credential among those that the truth speaks of."""
        self._entries.append(entry)
        return entry

    def fresh_second(self, principal_id: str) -> datetime:
        """
        Give a time at which this principal has no session yet, moving the clock on if need be.

        Principal id and creation date are all that ties a console session's calls together, so that two
        sessions of one second could not be told apart by anybody.
        """
        while (principal_id, iso(self.now)) in self._sessions:
            self.wait(1)
        self._sessions.add((principal_id, iso(self.now)))
        return self.now

    def log(self, call: Call, identity: Json, *, account: str) -> Json:
        """Write a call into an account's trail at the present second."""
        written = record(
            call, identity, self.now, account=account, event_id=self.ids.uuid(), request_id=self.ids.uuid()
        )
        if self._logging:
            self._records.append(written)
        return written

    def pass_tick(self) -> None:
        """Let the time pass that a call takes."""
        self._now += self._tick

    def new_user(self, name: str, account: str, path: str = "/") -> User:
        """Make an IAM user with an id of its own."""
        return User(name=name, account=account, id=self.ids.principal("AIDA", account), path=path)
