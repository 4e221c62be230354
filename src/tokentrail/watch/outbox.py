"""Deliver notices: to local sinks at once, to each remote one in a thread of its own, so that no sink waits."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence

from tokentrail.formatting import counted
from tokentrail.watch.feed_buffer import Backoff
from tokentrail.watch.interface import Notice, Sink, SinkFailed, SinkRefused
from tokentrail.watch.ledger import Ledger

_AGAIN = 5.0
"""Seconds after which a local sink that failed is tried again."""
Say = Callable[[str], None]


class _RemoteSink:
    """A remote sink, and the thread that delivers what the ledger has due for it: some at a time, as it may be much."""

    def __init__(self, sink: Sink, ledger: Ledger, say: Say) -> None:
        self.sink, self._ledger, self._say = sink, ledger, say
        self._more = threading.Event()
        self._over = threading.Event()
        self._troubled = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def left(self) -> int:
        """How many notices the sink has yet to receive."""
        return self._ledger.waiting(self.sink.name)

    def wake(self) -> None:
        """Have the thread look for more to deliver."""
        self._more.set()

    def stop(self) -> None:
        self._over.set()
        self._more.set()
        self._thread.join(1)

    def _run(self) -> None:
        """Deliver until stopped; any error is said and tried again, since nothing is delivered without this thread."""
        backoff = Backoff()
        while not self._over.is_set():
            self._more.clear()
            try:
                some = self._ledger.due(self.sink.name, self.sink.at_once)
                if some:
                    self._deliver(some)
            except Exception as why:  # noqa: BLE001 - it would end the thread unsaid
                if self._over.is_set():
                    return
                if not self._troubled:
                    self._say(
                        f"{self.sink.shown} can't be reached: {_worded(why)}. Findings wait, and it is tried again."
                    )
                self._troubled = True
                self._over.wait(backoff.failed())
            else:
                backoff.worked()
                self._troubled = False
                if not some:
                    self._more.wait()

    def _deliver(self, notices: list[Notice]) -> None:
        try:
            self.sink.deliver(notices)
        except SinkRefused as why:
            if len(notices) > 1:  # one of them is at fault: the others shall come through
                for one in notices:
                    self._deliver([one])
                return
            self._say(f"{self.sink.shown} refused the finding {notices[0].key} for good: {why}.")
        self._ledger.came_through(self.sink.name, notices)


def _worded(why: Exception) -> str:
    return str(why) if isinstance(why, SinkFailed) else f"{type(why).__name__}: {why}"


class Outbox:
    """
    Sends notices to all sinks, and has the ledger note each before it is sent and once it was received.

    Args:
        ledger: What earlier runs did not deliver is sent at once.
        sinks: The sinks.
        say: Called with a sentence about each thing that goes wrong.
    """

    def __init__(self, ledger: Ledger, sinks: Sequence[Sink], say: Say) -> None:
        self._ledger, self._say = ledger, say
        self._names = [one.name for one in sinks]
        self._local = [one for one in sinks if one.local]
        self._again_at: dict[str, float] = {}
        """When local sinks that failed are tried again."""
        self._remote = [_RemoteSink(one, ledger, say) for one in sinks if not one.local]
        for sink in sinks:
            due = ledger.due(sink.name)
            through = sink.delivered() if due else frozenset[str]()
            ledger.came_through(sink.name, [one for one in due if one.key in through])
        for name, count in ledger.left_behind(self._names).items():
            say(
                f"{counted(count, 'notice')} that {name} lacks {'waits' if count == 1 else 'wait'} on, since it is not "
                "among the sinks any more: no other is sent them. Name it again with --to, or ask `tokentrail detect`."
            )
        for local in self._local:
            self._deliver(local)
        for remote in self._remote:
            remote.start()

    @property
    def left(self) -> int:
        """How many notices sinks have yet to receive, counted for each sink."""
        local = sum(self._ledger.waiting(name) for name in self._again_at)
        return local + sum(one.left for one in self._remote)

    def send(self, notices: Sequence[Notice], now: float) -> None:
        """Send notices to every sink."""
        if not notices:
            return
        self._ledger.send(notices, self._names, now)
        for local in self._local:
            self._deliver(local)
        for remote in self._remote:
            remote.wake()

    def know(self, notices: Sequence[Notice], now: float) -> None:
        """Note findings as known without sending them."""
        if notices:
            self._ledger.send(notices, (), now)

    def again(self) -> None:
        """Try local sinks again that failed some seconds ago."""
        for sink in self._local:
            if self._again_at.get(sink.name, math.inf) <= time.monotonic():
                self._deliver(sink)

    def _deliver(self, sink: Sink) -> None:
        """Deliver what is due, in order: what did not come through before, and what is new."""
        for one in self._ledger.due(sink.name):
            try:
                sink.deliver([one])
            except SinkFailed as why:
                if sink.name not in self._again_at:
                    self._say(f"{sink.shown} can't be written: {why}. Findings wait, and it is tried again.")
                self._again_at[sink.name] = time.monotonic() + _AGAIN
                return
            self._ledger.came_through(sink.name, [one])
        self._again_at.pop(sink.name, None)

    def flush(self, seconds: float) -> None:
        """Wait until remote sinks have received all notices, for so many seconds at most."""
        end = time.monotonic() + seconds
        while any(one.left for one in self._remote) and time.monotonic() < end:
            time.sleep(0.05)

    def stop(self) -> None:
        """Deliver no more; what is left is sent at the next start."""
        for one in self._remote:
            one.stop()
