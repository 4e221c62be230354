"""
Empty a queue once: what its messages name goes into the case, batch after batch, until no message is left.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from tokentrail.errors import SourceError, UsageError
from tokentrail.sources.interface import QUEUE, Access, Batch, Failed, Skipped, Wanted
from tokentrail.sources.queue import AT_ONCE, GIVE_UP, Message, Queue, ResolvedMessage
from tokentrail.sources.words import next_step, refused
from tokentrail.spelling import counted

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

    told: list[ResolvedMessage] = field(default_factory=list)
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
    held: dict[str, Message] = {}
    failed: set[str] = set()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            ended = False
            while not ended:
                found = _received(queue, pool, held, failed)
                ended = found.ended
                if found.told:
                    yield _batch(queue, found, held, failed, dead_letters=settings.dead_letters)
            yield from _elsewhere(source, settings.in_flight, queue.settings().in_flight - len(held))
        except Failed as error:
            raise SourceError(refused(error, "read", source)) from error
        finally:
            with suppress(Failed):  # they come again by themselves
                queue.hold(list(held.values()), 0)


def _received(queue: Queue, pool: ThreadPoolExecutor, held: dict[str, Message], failed: Set[str]) -> _Round:
    """
    Receive a batch, of messages that are held until they are deleted, or it is all over.

    Those that can't be read as well: given back before, they came again in place of what was not received yet.
    """
    found = _Round()
    while len(found.told) < _MESSAGES and found.size < _BYTES and not found.ended:
        messages = queue.receive(_WAIT)
        queue.hold(messages, _HELD)
        held.update((one.id, one) for one in messages)  # of several receipts, the last one counts
        fresh = [one for one in messages if one.id not in failed]
        for told in pool.map(queue.resolve, fresh):
            found.told.append(told)
            found.size += sum(each.size for each in told.objects)
        found.ended = not messages
    return found


def _elsewhere(source: str, before: int, after: int) -> Iterator[Batch]:
    """
    Say what another reader holds, as an ingest that was killed does for some minutes: it is not read.

    Only what was held before anything was received, as SQS tells late of what is deleted (SQS API Reference,
    'GetQueueAttributes': the numbers are approximate).
    """
    if others := max(min(before, after), 0):
        many = f"about {counted(others, 'message')}"
        told = (
            f"{source}: {many} held by another reader, or by one that was killed: not read. Run it again in "
            f"{_HELD // 60} minutes."
        )
        yield Batch([], said=[told])


def _batch(
    queue: Queue, found: _Round, held: dict[str, Message], failed: set[str], *, dead_letters: bool
) -> Batch:
    skipped: list[Skipped] = []
    done: list[Message] = []
    ignored: Counter[str] = Counter()
    for one in found.told:
        ignored.update(one.ignored)
        if one.poison is None:
            done.append(one.message)
            continue
        dropped = not dead_letters and one.given_up(GIVE_UP, time.time())
        if dropped:
            done.append(one.message)
        else:
            failed.add(one.message.id)
        fate = f"deleted after {one.message.receives} receives" if dropped else "left in the queue"
        skipped.append(Skipped(f"{QUEUE}{queue.url}#{one.message.id}", f"{one.poison}; {fate}"))
    skipped += (
        Skipped(queue.url, f"{count:,} × {why}", lost=False) for why, count in sorted(ignored.items())
    )
    objects = [each for one in found.told for each in one.objects]
    return Batch(objects, skipped, kept=partial(_kept, queue, done, held))


def _kept(queue: Queue, done: Sequence[Message], held: dict[str, Message]) -> None:
    """The case holds what could be read: delete those messages."""
    try:
        queue.delete(done)
    except Failed as failed:
        where = f"{QUEUE}{queue.url}"
        raise SourceError(
            f"{where}: messages that were read could not be deleted ({failed}). The case holds what they name; they "
            f"come again, and nothing counts twice. {next_step(failed, where)}"
        ) from failed
    for one in done:
        held.pop(one.id, None)
