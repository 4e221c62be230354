"""
Follow an SQS queue of notifications about log files.

Messages are received while there is room, kept from other readers until the case has the objects that they name, and
only then deleted. A message that can't be read (a poison message) is named, and left to the queue's redrive policy.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from tokentrail.errors import SourceError
from tokentrail.sources import aws
from tokentrail.sources.interface import QUEUE, Access, Failed
from tokentrail.sources.queue import AT_ONCE, GIVE_UP, Message, Queue, ResolvedMessage, Settings
from tokentrail.sources.words import next_step
from tokentrail.watch.feed_buffer import Arrived, Backoff
from tokentrail.watch.interface import Arrival, Behind, Lost

_RECEIVERS = 2
_WAIT = 2
"""Seconds for which a call waits for a first message; stopping may take as long."""
_IN_FLIGHT = 20_000
"""Messages held, at most; SQS allows 120,000 in flight (SQS Developer Guide, 'Message quotas')."""
_ASKED_EVERY = 5.0
"""Seconds between two requests for how much waits in the queue."""
_HELD_FOR = 30.0
"""Seconds for which messages are held at a time; if a watch is killed, its messages come again after as many."""
_AWAY = 900
"""Seconds for which a message whose object is refused is held back, at most."""
_UNRESOLVED = 1 << 30
"""
What is left of a message while its objects are not known, so that it can't fall to 0.

SQS may deliver a message twice, and arrivals of the first delivery are counted down meanwhile.
"""
_NAMED = 10_000
"""Poison messages whose ids are remembered, so that each is named once."""


@dataclass(slots=True)
class _Held:
    """A message that was received and not yet deleted."""

    message: Message
    left: int
    """Objects that the case does not have yet."""
    until: float
    """Until when other readers don't get it, in seconds since 1970."""


class QueueFeed(Arrived):
    """
    Follows a queue.

    Args:
        source: `sqs:` and its URL.
        access: How AWS is reached.
        give_up: Receives after which a message that can't be read is deleted, if there is no dead-letter queue.
    """

    def __init__(
        self, source: str, access: Access, *, give_up: int = GIVE_UP, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__()
        self._queue = Queue(source, access)
        self._access, self._give_up, self._clock = access, give_up, clock
        self._settings = Settings(visibility=30, dead_letters=False, waiting=0, in_flight=0)
        self._asked_at = 0.0
        self._held: dict[str, _Held] = {}
        self._named: dict[str, bool] = {}
        """By the id of a poison message: whether it stays in the queue."""
        self._troubles: dict[str, str] = {}
        """By what failed: a sentence about it."""
        self._empty: set[int] = set()
        """Receivers whose last answer held no message."""
        self._last = clock()
        """When a message last came."""
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def check(self) -> None:
        """Check that the queue exists, and may be read."""
        self._settings = self._queue.checked()

    def start(self) -> None:
        """Begin to follow; see `Feed`."""
        self.check()
        self._threads = [
            threading.Thread(target=self._guarded, args=(self._receive,), daemon=True)
            for _ in range(_RECEIVERS)
        ]
        self._threads.append(threading.Thread(target=self._guarded, args=(self._hold,), daemon=True))
        for one in self._threads:
            one.start()

    def kept(self, arrivals: Sequence[Arrival]) -> None:
        """Delete the messages of which the case has all objects now."""
        done: list[Message] = []
        with self._lock:
            for one in arrivals:
                held = self._held.get(one.token)
                if held is not None:
                    held.left -= 1
                    if not held.left:
                        done.append(self._held.pop(one.token).message)
        self._delete(done)

    def behind(self) -> Behind:
        """How far it is behind; the queue itself is only asked every few seconds."""
        self._ask(_ASKED_EVERY)
        held, oldest = self._buffer.held()
        return Behind(waiting=self._settings.waiting, held=held, oldest=oldest)

    def _ask(self, every: float) -> None:
        """Ask the queue how much waits, if it was last asked at least so many seconds ago."""
        now = self._clock()
        if now - self._asked_at < every:
            return
        self._asked_at = now
        try:
            self._settings = self._queue.settings()
        except (Failed, SourceError) as error:
            self._troubles["asking"] = self._worded("counting", error)
        else:
            self._troubles.pop("asking", None)

    def drained(self) -> bool:
        """Whether all receivers got an empty answer last, no message is held, and none may come from a dead reader."""
        with self._lock:
            idle = len(self._empty) == _RECEIVERS and not self._held
        return idle and not self._may_come_again()

    def _may_come_again(self) -> bool:
        """
        Whether messages may come that another reader holds: they do if it was killed.

        A message that is not deleted is visible again when its visibility timeout ends (SQS Developer Guide, 'Amazon
        SQS visibility timeout'). A reader that holds one for longer than a watch does is alive.
        """
        if self._clock() - self._last >= max(self._settings.visibility, _HELD_FOR) + _WAIT:
            return False
        self._ask(1.0)
        return self._settings.waiting + self._settings.in_flight > sum(self._named.values())

    def troubles(self) -> Sequence[str]:
        """What hinders it now."""
        return sorted(set(self._troubles.values()))

    def stop(self) -> None:
        """Stop, and give held messages back; if that fails, they come again when their visibility timeout ends."""
        self._over.set()
        self._buffer.close()
        for one in self._threads:
            one.join(_WAIT + 3)
        with self._lock:
            held = [one.message for one in self._held.values()]
            self._held.clear()
        self._attempt("giving back", lambda: self._queue.hold(held, 0))
        aws.close(self._access)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Run the work of a thread; any error ends it and is raised by `take`, so that it does not go unnoticed."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised by `take`
            self._failure = error

    def _receive(self) -> None:
        backoff = Backoff()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while not self._over.is_set():
                if not self._buffer.room(_WAIT) or len(self._held) >= _IN_FLIGHT:
                    self._over.wait(0.1)
                    continue
                try:
                    self._receive_once(pool)
                except (Failed, SourceError) as error:
                    self._troubles["receiving"] = self._worded("receiving", error)
                    self._over.wait(backoff.failed())
                else:
                    backoff.worked()
                    self._troubles.pop("receiving", None)

    def _receive_once(self, pool: ThreadPoolExecutor) -> None:
        messages = self._queue.receive(_WAIT)
        now = self._clock()
        with self._lock:
            if messages:
                self._empty.clear()
                self._last = now
            else:
                self._empty.add(threading.get_ident())
            for one in messages:
                self._held[one.id] = _Held(one, _UNRESOLVED, now + self._settings.visibility)
        try:
            for resolved in pool.map(self._queue.resolve, messages):
                self._take_in(resolved)
        except BaseException:
            self._forget(messages)
            raise

    def _take_in(self, resolved: ResolvedMessage) -> None:
        message = resolved.message
        if resolved.poison is not None:
            self._poisoned(resolved)
        elif not resolved.objects:
            self._forget([message])
            self._delete([message])
            return
        with self._lock:
            if resolved.poison is None:
                self._named.pop(message.id, None)
            if message.id in self._held:
                self._held[message.id].left = len(resolved.objects)
        for one in resolved.objects:
            token = None if resolved.poison is not None else message.id
            self._buffer.put(Arrival(object=one, at=message.sent or self._clock(), token=token))

    def _poisoned(self, resolved: ResolvedMessage) -> None:
        message = resolved.message
        final = not self._settings.dead_letters and resolved.given_up(self._give_up, self._clock())
        self._forget([message])
        if final:
            self._delete([message])
        elif resolved.refused:  # not again and again, as it may be many
            away = min(self._settings.visibility * 2 ** min(message.receives, 10), _AWAY)
            self._attempt("holding", lambda: self._queue.hold([message], away))
        with self._lock:
            if message.id in self._named and not final:
                return
            self._named[message.id] = not final
            if len(self._named) > _NAMED:
                del self._named[next(iter(self._named))]
            self._lost.append(
                Lost(name=f"{QUEUE}{self._queue.url}#{message.id}", reason=resolved.poison or "", final=final)
            )

    def _forget(self, messages: Sequence[Message]) -> None:
        with self._lock:
            for one in messages:
                self._held.pop(one.id, None)

    def _delete(self, messages: Sequence[Message]) -> None:
        self._attempt("deleting", lambda: self._queue.delete(messages))

    def _attempt(self, doing: str, call: Callable[[], None]) -> None:
        """Call something whose failure does no harm, and note it as a trouble: messages that it concerns come again."""
        try:
            call()
        except (Failed, SourceError) as error:
            self._troubles[doing] = self._worded(doing, error)
        else:
            self._troubles.pop(doing, None)

    def _worded(self, doing: str, error: Failed | SourceError) -> str:
        """A sentence about a failure: what and where it was, and what to do. A `SourceError` is one itself."""
        if isinstance(error, SourceError):
            return str(error)
        where = f"{QUEUE}{self._queue.url}"
        return f"{where}: {doing} messages failed ({error}). {next_step(error, where)}"

    def _hold(self) -> None:
        """Extend the visibility timeout of all held messages, well before it ends."""
        while not self._over.wait(max(1.0, self._settings.visibility / 6)):
            now, span = self._clock(), max(self._settings.visibility, int(_HELD_FOR))
            with self._lock:
                due = [one for one in self._held.values() if one.until - now < span / 2]
                for one in due:
                    one.until = now + span
            if due:
                self._attempt("holding", partial(self._queue.hold, [one.message for one in due], span))
