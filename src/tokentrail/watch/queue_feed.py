"""
Follow a queue of SQS: messages are received as long as there is room, held until the case has what they name, and
only then deleted. A message that can't be read blocks nobody: it is named and left for the queue's redrive policy.
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
from tokentrail.watch.buffer import Arrived, Patience
from tokentrail.watch.interface import Arrival, Behind, Lost

_RECEIVERS = 2
_WAIT = 2
"""Seconds for which one call waits for a first message; stopping may take as long."""
_IN_FLIGHT = 20_000
"""Messages held at most; SQS lets 120,000 be in flight (SQS Developer Guide, 'Message quotas')."""
_ASKED_EVERY = 5.0
_HELD_FOR = 30.0
"""Seconds for which a watch holds messages at a time: those of one that was killed come again after as many."""
_AWAY = 900
"""Seconds for which a message whose object is refused is kept away at most."""
_UNTOLD = 1 << 30
"""Objects of a message that is not read yet: SQS may bring one again, and what came of it before is counted down."""
_NAMED = 10_000
"""Poison messages whose ids are remembered, so that each is named once."""


@dataclass(slots=True)
class _Held:
    """A message that was received and not yet deleted."""

    message: Message
    left: int
    """Objects that the case does not have yet."""
    until: float


class QueueFeed(Arrived):
    """
    A queue, followed.

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
        """Poison messages: whether they stay in the queue."""
        self._troubles: dict[str, str] = {}
        self._empty: set[int] = set()
        """Receivers whose last answer held no message."""
        self._last = clock()
        """When a message last came."""
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def check(self) -> None:
        """See that it is a queue that may be read."""
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
        """Delete the messages of which the case now has all objects."""
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
        """How far it is behind; the queue itself is asked every few seconds."""
        self._ask(_ASKED_EVERY)
        held, oldest = self._buffer.held()
        return Behind(waiting=self._settings.waiting, held=held, oldest=oldest)

    def _ask(self, every: float) -> None:
        """Ask the queue how much waits, if that was asked so many seconds ago."""
        now = self._clock()
        if now - self._asked_at < every:
            return
        self._asked_at = now
        try:
            self._settings = self._queue.settings()
        except (Failed, SourceError) as error:
            self._troubles["asking"] = self._told("counting", error)
        else:
            self._troubles.pop("asking", None)

    def drained(self) -> bool:
        """Whether the queue had no message when last asked, none is held, and none may come from a reader that died."""
        with self._lock:
            idle = len(self._empty) == _RECEIVERS and not self._held
        return idle and not self._may_come_again()

    def _may_come_again(self) -> bool:
        """
        Whether another reader holds messages, which come again if it was killed, or some have just come again.

        A message that is not deleted is seen again when its visibility timeout ends (SQS Developer Guide, 'Amazon SQS
        visibility timeout'); whoever holds one for longer than a watch does is alive.
        """
        if self._clock() - self._last >= max(self._settings.visibility, _HELD_FOR) + _WAIT:
            return False
        self._ask(1.0)
        return self._settings.waiting + self._settings.in_flight > sum(self._named.values())

    def troubles(self) -> Sequence[str]:
        """What hinders it now."""
        return sorted(set(self._troubles.values()))

    def stop(self) -> None:
        """Stop; messages that are held come again when their time is up, or at once if SQS can be told so."""
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
        """Whatever goes wrong in a thread is told to who takes: else nobody would know that nothing comes."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised by `take`
            self._failure = error

    def _receive(self) -> None:
        patience = Patience()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while not self._over.is_set():
                if not self._buffer.room(_WAIT) or len(self._held) >= _IN_FLIGHT:
                    self._over.wait(0.1)
                    continue
                try:
                    self._receive_once(pool)
                except (Failed, SourceError) as error:
                    self._troubles["receiving"] = self._told("receiving", error)
                    self._over.wait(patience.failed())
                else:
                    patience.worked()
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
                self._held[one.id] = _Held(one, _UNTOLD, now + self._settings.visibility)
        try:
            for told in pool.map(self._queue.resolve, messages):
                self._take_in(told)
        except BaseException:
            self._forget(messages)
            raise

    def _take_in(self, told: ResolvedMessage) -> None:
        message = told.message
        if told.poison is not None:
            self._poisoned(told)
        elif not told.objects:
            self._forget([message])
            self._delete([message])
            return
        with self._lock:
            if told.poison is None:
                self._named.pop(message.id, None)
            if message.id in self._held:
                self._held[message.id].left = len(told.objects)
        for one in told.objects:
            token = None if told.poison is not None else message.id
            self._buffer.put(Arrival(object=one, at=message.sent or self._clock(), token=token))

    def _poisoned(self, told: ResolvedMessage) -> None:
        message = told.message
        final = not self._settings.dead_letters and told.given_up(self._give_up, self._clock())
        self._forget([message])
        if final:
            self._delete([message])
        elif told.refused:  # not again and again, as it may be many
            away = min(self._settings.visibility * 2 ** min(message.receives, 10), _AWAY)
            self._attempt("holding", lambda: self._queue.hold([message], away))
        with self._lock:
            if message.id in self._named and not final:
                return
            self._named[message.id] = not final
            if len(self._named) > _NAMED:
                del self._named[next(iter(self._named))]
            self._lost.append(
                Lost(name=f"{QUEUE}{self._queue.url}#{message.id}", reason=told.poison or "", final=final)
            )

    def _forget(self, messages: Sequence[Message]) -> None:
        with self._lock:
            for one in messages:
                self._held.pop(one.id, None)

    def _delete(self, messages: Sequence[Message]) -> None:
        self._attempt("deleting", lambda: self._queue.delete(messages))

    def _attempt(self, doing: str, call: Callable[[], None]) -> None:
        """What fails here does no harm: a message that is not deleted comes again, and is known then."""
        try:
            call()
        except (Failed, SourceError) as error:
            self._troubles[doing] = self._told(doing, error)
        else:
            self._troubles.pop(doing, None)

    def _told(self, doing: str, error: Failed | SourceError) -> str:
        """What hinders it, where, and what to do about it; an object's error says so itself."""
        if isinstance(error, SourceError):
            return str(error)
        where = f"{QUEUE}{self._queue.url}"
        return f"{where}: {doing} messages failed ({error}). {next_step(error, where)}"

    def _hold(self) -> None:
        """Keep what is held from others, well before its time is up."""
        while not self._over.wait(max(1.0, self._settings.visibility / 6)):
            now, span = self._clock(), max(self._settings.visibility, int(_HELD_FOR))
            with self._lock:
                due = [one for one in self._held.values() if one.until - now < span / 2]
                for one in due:
                    one.until = now + span
            if due:
                self._attempt("holding", partial(self._queue.hold, [one.message for one in due], span))
