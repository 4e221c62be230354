"""Send what is new among the findings of looks and sweeps, as the ledger knows, to every sink."""

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
class _SweepFindings:
    """The findings of a sweep, which are sent some at a time, since looks wait meanwhile."""

    look: Look
    sweep: SweepProcess
    found: Iterator[Sequence[Document]]
    told: set[str] = field(default_factory=set)
    """The ids of those that `tell` has had."""


class Teller:
    """
    Sends what was found.

    Args:
        ledger: Knows what was sent before.
        outbox: Sends notices.
        counts: Counts what is sent.
        known: Whether findings are only noted as known, until `first_is_over`; those of guards are sent anyway.
    """

    def __init__(self, ledger: Ledger, outbox: Outbox, counts: Counts, *, known: bool) -> None:
        self._ledger, self._outbox, self._counts, self._known = ledger, outbox, counts, known
        self._from_sweep: _SweepFindings | None = None

    @property
    def busy(self) -> bool:
        """Whether some findings of a sweep have yet to be sent."""
        return self._from_sweep is not None

    def tell(self, look: Look, found: Sequence[Document]) -> None:
        """Send what is new among the findings of a look, or among some of them."""
        last = self._ledger.last(one["id"] for one in found)
        sent = list(notices(look, found, last))
        self._send(look, sent)
        self._ledger.found({*last, *(one.id for one in sent)}, look.number)

    def take_back(self, look: Look, found: Collection[str]) -> None:
        """
        Withdraw findings that a look no longer finds, if it is one that may do so; see `reconcile.withdrawn`.

        Args:
            look: The look.
            found: The ids of all its findings.
        """
        gone = list(withdrawn(look, self._standing(look, found)))
        self._send(look, gone)
        self._ledger.found((one.id for one in gone), look.number)

    def begin_telling(self, sweep: SweepProcess, look: Look) -> None:
        """Have `tell_some` send the findings of a sweep from now on, as those of a look."""
        self._from_sweep = _SweepFindings(look, sweep, sweep.found())

    def tell_some(self, now: float) -> None:
        """Send some more findings of the last sweep; when there are none left, withdraw what it did not find."""
        if self._from_sweep is None:
            return
        waiting, look = self._from_sweep, replace(self._from_sweep.look, now=now)
        some = next(waiting.found, None)
        if some is None:
            self._from_sweep = None
            self.take_back(look, waiting.told)
            return
        if self._known:  # the past is noted as a whole, or not at all
            some = [*some, *chain.from_iterable(waiting.found)]
        self.tell(look, some)
        waiting.told.update(one["id"] for one in some)

    def first_is_over(self) -> None:
        """From now on send findings, rather than note them as known."""
        self._known = False

    def end(self) -> None:
        """Drop what is not sent yet of a sweep: the next one finds it again."""
        if self._from_sweep is not None:
            self._from_sweep.sweep.kill()

    def _send(self, look: Look, told: Sequence[Notice]) -> None:
        known = [one for one in told if self._known and not _is_guard(one)]
        new = [one for one in told if not self._known or _is_guard(one)]
        self._outbox.know(known, look.now)
        self._outbox.send(new, look.now)
        self._counts.notices += len(new)

    def _standing(self, look: Look, found: Collection[str]) -> Iterator[Entry]:
        """Findings that were sent and no look has found since, without those of guards; read only when iterated."""
        standing = self._ledger.standing(found, look.since, look.start)
        yield from (one for one in standing if not _is_guard(one.notice))


def _is_guard(notice: Notice) -> bool:
    """Whether a notice is a guard's, about a containment plan: it is always sent, and never withdrawn."""
    return str(notice.document["rule"]).startswith(PREFIX)
