"""What looks and sweeps found, on its way out: what is new of it is sent, by the ledger and to every sink."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from tokentrail.watch.beat import Counts
from tokentrail.watch.guard import PREFIX
from tokentrail.watch.interface import Notice
from tokentrail.watch.ledger import Entry, Ledger
from tokentrail.watch.outbox import Outbox
from tokentrail.watch.reconcile import Document, Look, notices, withdrawn
from tokentrail.watch.sweep import SweepProcess


@dataclass(slots=True)
class _Long:
    """What a sweep found: some of it is told at a time, as looks wait for that."""

    look: Look
    sweep: SweepProcess
    found: Iterator[Sequence[Document]]
    told: set[str] = field(default_factory=set)
    """Ids of what is out."""


class Teller:
    """
    Tells what was found.

    Args:
        ledger: What was told before.
        outbox: Where it goes.
        counts: Told how much goes out.
        known: Whether what is found is but noted as known, until `first_is_over`; what guards find is told anyway.
    """

    def __init__(self, ledger: Ledger, outbox: Outbox, counts: Counts, *, known: bool) -> None:
        self._ledger, self._outbox, self._counts, self._known = ledger, outbox, counts, known
        self._long: _Long | None = None

    @property
    def busy(self) -> bool:
        """Whether not all is told of what a sweep found."""
        return self._long is not None

    def tell(self, look: Look, found: Sequence[Document]) -> None:
        """Send what is new of what a look found, or of some of it."""
        last = self._ledger.last(one["id"] for one in found)
        sent = list(notices(look, found, last))
        self._send(look, sent)
        self._ledger.found({*last, *(one.id for one in sent)}, look.number)

    def take_back(self, look: Look, found: Collection[str]) -> None:
        """Take back what was told of the evidence, where a look that may tell no longer finds it; see `withdrawn`."""
        gone = list(withdrawn(look, self._standing(look, found)))
        self._send(look, gone)
        self._ledger.found((one.id for one in gone), look.number)

    def tell_all_of(self, sweep: SweepProcess, look: Look) -> None:
        """From now on tell what a sweep found, some of it at a time; `look` is what it was."""
        self._long = _Long(look, sweep, sweep.found())

    def tell_some(self, now: float) -> None:
        """Tell some of what the last sweep found, if there is more of it; at last take back what it did not find."""
        if self._long is None:
            return
        long, look = self._long, replace(self._long.look, now=now)
        some = next(long.found, None)
        if some is None:
            self._long = None
            self.take_back(look, long.told)
            return
        if self._known:  # what was known before is noted as a whole, or not at all
            some = [*some, *chain.from_iterable(long.found)]
        self.tell(look, some)
        long.told.update(one["id"] for one in some)

    def first_is_over(self) -> None:
        """From now on send what is new."""
        self._known = False

    def end(self) -> None:
        """Let go of what is not told: the next sweep finds it again."""
        if self._long is not None:
            self._long.sweep.kill()

    def _send(self, look: Look, told: Sequence[Notice]) -> None:
        known = [one for one in told if self._known and not _is_guard(one)]
        new = [one for one in told if not self._known or _is_guard(one)]
        self._outbox.know(known, look.now)
        self._outbox.send(new, look.now)
        self._counts.notices += len(new)

    def _standing(self, look: Look, found: Collection[str]) -> Iterator[Entry]:
        """What was told of the evidence, and that no look has found since; asked for when it is wanted."""
        standing = self._ledger.standing(found, look.since, look.start)
        yield from (one for one in standing if not _is_guard(one.notice))


def _is_guard(notice: Notice) -> bool:
    """Whether it is about a plan: told whatever else is known, and never withdrawn."""
    return str(notice.document["rule"]).startswith(PREFIX)
