"""Read a queue once: put what its messages name into the case, batch by batch, until no message is left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from tokentrail.errors import SourceError, UsageError
from tokentrail.formatting import counted
from tokentrail.sources.interface import QUEUE, Access, Batch, Failed, Skipped, Wanted
from tokentrail.sources.queue import AT_ONCE, GIVE_UP, Message, Queue, ResolvedMessage
from tokentrail.sources.words import next_step, refused

_MESSAGES = 500
_BYTES = 48 << 20
"""Messages, and bytes of objects, after which a batch is complete."""
_HELD = 600
"""Seconds for which messages are kept from other readers: enough to put a batch into the case."""
_WAIT = 1
"""
Seconds for which a call waits for a first message.

If it waits at all, all of the queue's servers are asked, so that an empty answer means an empty queue (SQS Developer
Guide, 'Amazon SQS short and long polling').
"""


@dataclass(slots=True)
class _Round:
    """What was received for one batch."""

    resolved: list[ResolvedMessage] = field(default_factory=list)
    size: int = 0
    """Bytes of their objects."""
    ended: bool = False
    """Whether the queue is empty."""


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
                if found.resolved:
                    yield _batch(queue, found, held, failed, dead_letters=settings.dead_letters)
            yield from _elsewhere(source, settings.in_flight, queue.settings().in_flight - len(held))
        except Failed as error:
            raise SourceError(refused(error, "read", source)) from error
        finally:
            with suppress(Failed):  # they come again by themselves
                queue.hold(list(held.values()), 0)


def _received(queue: Queue, pool: ThreadPoolExecutor, held: dict[str, Message], failed: Set[str]) -> _Round:
    """
    Receive a batch of messages, which are kept from other readers until they are deleted or all is over.

    Those that can't be read are kept too; given back, they would come again instead of others.

    Args:
        queue: The queue.
        pool: Fetches what messages name.
        held: All messages that are held, by id; received ones are added.
        failed: The ids of messages that could not be read.
    """
    found = _Round()
    while len(found.resolved) < _MESSAGES and found.size < _BYTES and not found.ended:
        messages = queue.receive(_WAIT)
        queue.hold(messages, _HELD)
        held.update((one.id, one) for one in messages)  # of several receipts, the last one counts
        fresh = [one for one in messages if one.id not in failed]
        for resolved in pool.map(queue.resolve, fresh):
            found.resolved.append(resolved)
            found.size += sum(each.size for each in resolved.objects)
        found.ended = not messages
    return found


def _elsewhere(source: str, before: int, after: int) -> Iterator[Batch]:
    """
    Say that another reader holds messages, which are not read; for some minutes, an ingest that was killed does.

    Only as many count as were in flight before anything was received, since SQS reports deletions late (SQS API
    Reference, 'GetQueueAttributes': the numbers are approximate).
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
    """Make a batch of what was received; messages that can't be read are named, and added to `failed` or given up."""
    skipped: list[Skipped] = []
    done: list[Message] = []
    ignored: Counter[str] = Counter()
    for one in found.resolved:
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
    objects = [each for one in found.resolved for each in one.objects]
    return Batch(objects, skipped, kept=partial(_kept, queue, done, held))


def _kept(queue: Queue, done: Sequence[Message], held: dict[str, Message]) -> None:
    """Delete messages, as the case holds their objects now."""
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
