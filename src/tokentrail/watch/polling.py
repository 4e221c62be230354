"""Follow a folder, or a prefix of a bucket, by listing it again and again, since neither announces new files."""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tokentrail.errors import SourceError
from tokentrail.sources import aws, trail
from tokentrail.sources.files import BytesObject, lying_in, without_case
from tokentrail.sources.interface import Access, Failed, Wanted
from tokentrail.sources.listing import Lister, bucket_and_prefix
from tokentrail.sources.queue import AT_ONCE
from tokentrail.sources.s3 import FINAL, LARGEST, TOO_LARGE, S3Object
from tokentrail.watch.feed_buffer import Arrived, Backoff, RetryQueue
from tokentrail.watch.interface import Arrival, Behind, Lost

SETTLED = 0.4
"""Seconds for which a file must not have changed before it is read, since another process may still be writing it."""
FOLDER_EVERY = 0.25
"""Seconds between two looks at a folder."""
BUCKET_EVERY = 5.0
"""Seconds between two listings of a bucket."""
_OVERLAP = timedelta(days=1)
"""How far before the newest object each listing begins: an object may be put late into the folder of the day before."""
_BACK, _BACK_EVERY = timedelta(days=31), 3600.0
"""
How far back a listing begins every so many seconds: after a bucket could not be written, CloudTrail tries for 30 days.

Source: AWS CloudTrail User Guide, 'Getting and viewing your CloudTrail log files'.
"""
_LOOKED_AT, _LIVELY, _RECENT = 5.0, 86_400.0, 10_000
"""
Files that may grow after they were read: seconds between two checks; the age in seconds up to which a file is checked;
and how many files are, those that were read last.
"""


class PollingFeed(Arrived, ABC):
    """The part that is common to both: a thread that looks for new objects, fetches them and waits."""

    def __init__(self, every: float, clock: Callable[[], float]) -> None:
        super().__init__()
        self._every, self._clock = every, clock
        self._trouble: str | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._open = 0
        """How many objects were brought and are not in the case yet."""
        self._idle = False
        """Whether the last look found nothing new."""
        self._ahead = 0
        """How many objects were listed and not fetched yet."""

    @abstractmethod
    def check(self) -> None:
        """Check that the source exists."""

    @abstractmethod
    def look(self) -> Iterator[Arrival]:
        """Look once, and yield what is new, fetched."""

    def start(self) -> None:
        """Begin to follow; see `Feed`."""
        self.check()
        self._thread.start()

    def kept(self, arrivals: Sequence[Arrival]) -> None:
        """The case holds these."""
        with self._lock:
            self._open -= len(arrivals)

    def behind(self) -> Behind:
        """How far it is behind."""
        held, oldest = self._buffer.held()
        return Behind(waiting=self._ahead, held=held, oldest=oldest)

    def drained(self) -> bool:
        """Whether the last look brought nothing, and the case has all that was brought before."""
        with self._lock:
            return self._idle and not self._open

    def troubles(self) -> Sequence[str]:
        """What hinders it now."""
        return [self._trouble] if self._trouble else []

    def stop(self) -> None:
        """Stop following."""
        self._over.set()
        self._buffer.close()
        if self._thread.ident is not None:
            self._thread.join(5)

    def lose(self, name: str, reason: str, *, final: bool = True) -> None:
        """Note an object that can't be read, and whether it is given up for good."""
        with self._lock:
            self._lost.append(Lost(name=name, reason=reason, final=final))

    def _follow(self) -> None:
        """Look again and again; any error ends the thread and is raised by `take`, so that it does not go unnoticed."""
        try:
            self._look_again()
        except BaseException as error:  # noqa: BLE001 - raised by `take`
            self._failure = error

    def _look_again(self) -> None:
        backoff = Backoff()
        while not self._over.is_set():
            brought = 0
            try:
                for arrival in self.look():
                    with self._lock:
                        self._idle = False
                        self._open += 1
                    if not self._buffer.put(arrival):
                        return
                    brought += 1
            except (Failed, SourceError, OSError) as error:
                self._trouble = str(error)
                self._over.wait(backoff.failed())
                continue
            backoff.worked()
            self._trouble = None
            with self._lock:
                self._idle = not brought and not self.unsettled()
            self._over.wait(self._every)

    def unsettled(self) -> bool:
        """Whether there is anything that can't be read yet."""
        return False


class FolderFeed(PollingFeed):
    """
    Follows a folder and all folders in it; a file is read once it has stopped changing.

    A file that grows later is read again as a whole, a minute after that was seen, then after two, up to an hour. Its
    repeated records count once, but each version of the file is kept as evidence.
    """

    def __init__(
        self, folder: str, *, every: float = FOLDER_EVERY, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(every, clock)
        self._folder = Path(folder)
        self._folders: dict[str, tuple[int, list[str]]] = {}
        """By folder: when it last changed (0 for just now), and the folders in it."""
        self._read: set[int] = set()
        """Hashes of the path and the state (size and time) of each file that was read."""
        self._changing: dict[str, tuple[tuple[int, int], float]] = {}
        """By file that may still be written: its state, and when that was first seen."""
        self._unread = RetryQueue[str]()
        """Files that could not be read."""
        self._recent: dict[str, tuple[int, int]] = {}
        """The files that were read last, with their state then."""
        self._growing = RetryQueue[str]()
        """Files that have grown since they were read."""
        self._looked_at = 0.0
        """When `_recent` was last checked."""
        self._shut: list[str] = []
        """Sentences about folders that could not be listed at the last look."""

    def check(self) -> None:
        """Check that it is a folder."""
        if not self._folder.is_dir():
            raise SourceError(
                f"{self._folder}: no such folder. Give a folder, s3://BUCKET/PREFIX, or sqs:URL to watch."
            )

    def unsettled(self) -> bool:
        """Whether a file is still being written."""
        return bool(self._changing)

    def look(self) -> Iterator[Arrival]:
        """Read the files that are new, and have stopped changing."""
        if not self._folder.is_dir():
            raise SourceError(
                f"{self._folder}: is no folder any more. Nothing is read until there is one again."
            )
        shut = list[str]()
        self._see_growing()
        again = (*self._changing, *self._unread.due(), *self._growing.due())
        changed = {*self._changed(str(self._folder), shut), *again}
        self._shut = shut
        for path in sorted(changed):
            data = self._settled(path)
            if data is not None:
                yield Arrival(object=BytesObject(path, data), at=self._clock())

    def troubles(self) -> Sequence[str]:
        """What hinders it now, folders that can't be listed among it; the others are followed all the same."""
        return [*super().troubles(), *self._shut]

    def _changed(self, folder: str, shut: list[str]) -> Iterator[str]:
        """Yield the files of folders that have changed since the last look; `shut` gets those that can't be listed."""
        try:
            stamp = os.stat(folder).st_mtime_ns
            before = self._folders.get(folder)
            if before is None or before[0] != stamp:
                files, below = _entries(folder)
                fresh = (
                    time.time_ns() - stamp < 2_000_000_000
                )  # it may change again without its time telling so
                self._folders[folder] = (0 if fresh else stamp, below)
                yield from files
            for one in self._folders[folder][1]:
                yield from self._changed(one, shut)
        except FileNotFoundError:
            self._folders.pop(folder, None)
        except OSError as error:
            self._folders.pop(folder, None)
            shut.append(f"{folder}: can't be looked into: {error.strerror}.")

    def _see_growing(self) -> None:
        """Check whether files have changed since they were read, which the time of their folder does not show."""
        now = time.monotonic()
        if now - self._looked_at < _LOOKED_AT:
            return
        self._looked_at = now
        for path, state in list(self._recent.items()):
            try:
                found = os.stat(path)
            except OSError:
                del self._recent[path]
                continue
            if (found.st_size, found.st_mtime_ns) != state:
                if path not in self._growing:
                    self._growing.put_off(path, path)
            elif time.time() - found.st_mtime > _LIVELY:
                del self._recent[path]

    def _settled(self, path: str) -> bytes | None:
        """Read a file that has stopped changing; `None` for any other, or one that was read or can't be."""
        try:
            found = os.stat(path)
            state = (found.st_size, found.st_mtime_ns)
            known = hash((path, state))
            now = time.monotonic()
            before = self._changing.get(path)
            if known in self._read:
                for held in (self._unread, self._growing):
                    held.over(path)
                self._changing.pop(path, None)
                return None
            old = time.time() - found.st_mtime > SETTLED * 5 and before is None
            if not old and (before is None or before[0] != state):
                self._changing[path] = (state, now)
                return None
            if before is not None and now - before[1] < SETTLED:
                return None
            small = found.st_size <= LARGEST
            data = lying_in(str(self._folder), path, found.st_size).read() if small else None
        except OSError as error:
            self._changing.pop(path, None)
            self._not_read(path, error)
            return None
        self._changing.pop(path, None)
        self._unread.over(path)
        self._read.add(known)
        if data is None:
            self.lose(path, TOO_LARGE)
            return None
        self._follow_on(path, state)
        return data

    def _follow_on(self, path: str, state: tuple[int, int]) -> None:
        """Note a file that was read among those that may grow."""
        self._recent.pop(path, None)
        self._recent[path] = state
        if len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]
        if path in self._growing:
            self._growing.put_off(path, path)

    def _not_read(self, path: str, error: OSError) -> None:
        if isinstance(error, FileNotFoundError):
            self._unread.over(path)
            return
        named = path in self._unread
        again = self._unread.put_off(path, path)
        if not named:
            self.lose(path, f"can't be read: {error.strerror}", final=not again)


def _entries(folder: str) -> tuple[list[str], list[str]]:
    """The files that may hold logs, and the folders, directly in a folder; links to folders are not followed."""
    files: list[str] = []
    folders: list[str] = []
    with os.scandir(folder) as found:
        for one in without_case(found):
            if one.is_dir(follow_symlinks=False):
                folders.append(one.path)
            elif one.is_file():
                known = trail.name(one.path)
                if known is None or known.kind in trail.LOGS:
                    files.append(one.path)
    return files, sorted(folders)


class BucketFeed(PollingFeed):
    """
    Follows a prefix of a bucket.

    Args:
        source: `s3://bucket/prefix`.
        access: How AWS is reached.
        held: The identities of objects that the case holds already, which are not fetched.
        wanted: Which accounts and regions.
        every: Seconds between two listings.
    """

    def __init__(
        self, source: str, access: Access, held: Iterable[str], *, wanted: Wanted, every: float = BUCKET_EVERY,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        super().__init__(every, clock)
        self._bucket, self._prefix = bucket_and_prefix(source)
        self._access, self._wanted = access, wanted
        self._seen = {hash(one) for one in held}
        self._unread = RetryQueue[S3Object]()
        self._newest: datetime | None = None
        self._looked_back = 0.0

    def check(self) -> None:
        """Check that the bucket can be listed."""
        try:
            aws.ask(
                self._access, "s3", "list_objects_v2", Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1,
                **aws.payer(self._access),
            )  # fmt: skip
        except Failed as failed:
            from tokentrail.sources.words import refused

            raise SourceError(refused(failed, "listed", f"s3://{self._bucket}/{self._prefix}")) from failed

    def look(self) -> Iterator[Arrival]:
        """List what is new, and fetch it, several objects at once."""
        wanted, now = self._wanted, time.monotonic()
        back = self._newest is None or now - self._looked_back >= _BACK_EVERY
        if self._newest is not None:
            since = self._newest - (_BACK if back else _OVERLAP)
            wanted = Wanted(since=since, accounts=wanted.accounts, regions=wanted.regions)
        contents = Lister(self._access, self._bucket, wanted).contents(self._prefix)
        self._looked_back = now if back else self._looked_back
        listed = [
            S3Object(self._access, self._bucket, one.key, one.size, one.etag) for one in contents.objects
        ]
        fresh = [one for one in listed if hash(one.identity) not in self._seen] + self._unread.due()
        self._ahead = len(fresh)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for start in range(0, len(fresh), AT_ONCE):
                some = fresh[start : start + AT_ONCE]
                for there, data in zip(some, pool.map(_read, some), strict=True):
                    self._seen.add(hash(there.identity))
                    self._ahead -= 1
                    if isinstance(data, OSError):
                        self._not_read(there, data)
                    else:
                        self._unread.over(there.identity)
                        yield Arrival(object=BytesObject(there.name, data, there.identity), at=self._clock())
        written = [known.written for one in listed if (known := trail.name(one.key)) and known.written]
        if len(written) == len(listed) and written:  # else names tell no days, and all is listed again
            # Whoever may write there may name an object after any day.
            self._newest = min(datetime.fromtimestamp(self._clock(), UTC), max(written))

    def _not_read(self, there: S3Object, error: OSError) -> None:
        """Put off an object that is denied, archived or cut off; give up one that is gone or was replaced."""
        named = there.identity in self._unread
        again = error.errno not in FINAL and self._unread.put_off(there.identity, there)
        if not again:
            self._unread.over(there.identity)
        if not (named and again):
            self.lose(there.name, error.strerror or str(error), final=not again)

    def stop(self) -> None:
        """Stop following."""
        super().stop()
        aws.close(self._access)


def _read(one: S3Object) -> bytes | OSError:
    try:
        return one.read(LARGEST)
    except OSError as error:
        return error
