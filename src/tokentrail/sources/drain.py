"""
Empty a queue once: what its messages name goes into the case, batch after batch, until no message is left.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from tokentrail.errors import SourceError, UsageError
from tokentrail.sources.interface import QUEUE, Access, Batch, Failed, Skipped, Wanted
from tokentrail.sources.queue import AT_ONCE, GIVE_UP, Message, Queue, Told
from tokentrail.sources.words import refused

_MESSAGES = 500
_BYTES = 48 << 20
"""Messages, and bytes of objects, that go into the case together."""
_HELD = 600
"""Seconds for which a batch is kept from others: it is read and committed within."""
_WAIT = 1
"""Seconds: an answer that waits asks all of a queue's servers, so that one without a message says that it is empty
(SQS Developer Guide, 'Amazon SQS short and long polling')."""


@dataclass(slots=True)
class _Round:
    """What one batch took from the queue."""

    told: list[Told] = field(default_factory=list)
    size: int = 0
    ended: bool = False


def batches(source: str, access: Access, wanted: Wanted) -> Iterator[Batch]:
    """
    Receive until the queue is empty; each batch's messages are deleted once the case holds its objects.

    Raises:
        SourceError: the queue can't be read, or nothing that it names can.
        UsageError: no queue is named, or a part of one is asked for.
    """
    if wanted != Wanted(subjects=wanted.subjects):
        raise UsageError(
            f"{source}: a queue is read whole, since what is left out could not be told of again. Leave out "
            "--since, --until, --account and --region; or read the bucket itself."
        )
    queue = Queue(source, access)
    settings = queue.checked()
    failed: set[str] = set()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            ended = False
            while not ended:
                found = _received(queue, pool, failed)
                ended = found.ended
                if found.told:
                    yield _batch(queue, found, failed, dead_letters=settings.dead_letters)
        except Failed as error:
            raise SourceError(refused(error, "read", source)) from error


def _received(queue: Queue, pool: ThreadPoolExecutor, failed: set[str]) -> _Round:
    found = _Round()
    while len(found.told) < _MESSAGES and found.size < _BYTES and not found.ended:
        messages = queue.receive(_WAIT)
        queue.hold(messages, _HELD)
        fresh = [one for one in messages if one.id not in failed]
        for told in pool.map(queue.tell, fresh):
            found.told.append(told)
            found.size += sum(each.size for each in told.objects)
        found.ended = not fresh
    return found


def _batch(queue: Queue, found: _Round, failed: set[str], *, dead_letters: bool) -> Batch:
    skipped: list[Skipped] = []
    done: list[Message] = []
    back: list[Message] = []
    ignored: Counter[str] = Counter()
    for one in found.told:
        ignored.update(one.ignored)
        if one.poison is None:
            done.append(one.message)
            continue
        dropped = not dead_letters and one.given_up(GIVE_UP, time.time())
        (done if dropped else back).append(one.message)
        failed.add(one.message.id)
        fate = f"deleted after {one.message.receives} receives" if dropped else "left in the queue"
        skipped.append(Skipped(f"{QUEUE}{queue.url}#{one.message.id}", f"{one.poison}; {fate}"))
    skipped += (
        Skipped(queue.url, f"{count:,} × {why}", lost=False) for why, count in sorted(ignored.items())
    )
    objects = [each for one in found.told for each in one.objects]
    return Batch(objects, skipped, kept=partial(_kept, queue, done, back))


def _kept(queue: Queue, done: Sequence[Message], back: Sequence[Message]) -> None:
    """The case holds what could be read: delete those messages, and give the others back."""
    queue.delete(done)
    queue.hold(back, 0)
