"""
Compare findings with what was sent before, and make notices of those that are new, revised or withdrawn. Pure.

A look is *complete* when it saw all evidence that could matter. Only such a look may withdraw a finding, or let it say
less than before. Any look may add.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from tokentrail.detection.model import SEVERITIES
from tokentrail.watch.interface import Notice
from tokentrail.watch.ledger import Entry

REVISED_EVERY = 60.0
"""Seconds between two revisions of one finding, unless it gets worse, or evidence stops coming."""
Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at the evidence."""

    number: int
    """Counted from the start of the process."""
    since: int
    """The number of the last look before evidence came that this one did not see; its own if it saw all.

    A finding of a look after that one may rest on newer evidence, and is neither withdrawn nor made to say less.
    """
    complete: bool
    settled: bool
    """Whether evidence has stopped coming for now, so that all revisions are sent."""
    now: float
    """Seconds since 1970."""
    delay: float | None = None
    """As in `Notice`."""
    fresh: Set[str] | None = None
    """The ids of credentials and events that came since the last look; `None` if new findings need not concern them."""
    start: str = ""
    """The time from which on it judged evidence, as documents spell it; empty for all."""


def notices(look: Look, found: Iterable[Document], last: Mapping[str, Entry]) -> Iterator[Notice]:
    """
    Yield the notices to send because of the findings of a look.

    Args:
        look: The look.
        found: All its findings, or some of them.
        last: What the ledger holds of these, by id.
    """
    listed = {one["id"]: one for one in found}
    for ident, document in listed.items():
        entry = last.get(ident)
        if entry is None:
            if look.complete or _touches(document, look.fresh):
                yield _notice(document, 1, "new", (), look)
        elif notice := _revision(look, document, entry):
            yield notice


def withdrawn(look: Look, standing: Iterable[Entry]) -> Iterator[Notice]:
    """
    Yield the notices that withdraw findings, if the look is complete and evidence has stopped coming.

    Args:
        look: The look.
        standing: The findings that were sent, and that neither this look nor any after `look.since` has found.
    """
    if look.complete and look.settled:
        for entry in standing:
            yield _notice(entry.notice.document, entry.notice.revision + 1, "withdrawn", (), look)


def _revision(look: Look, document: Document, entry: Entry) -> Notice | None:
    before = entry.notice
    overtaken = entry.found > look.since
    complete = look.complete and not overtaken and before.document["time"] >= look.start
    told = before.document  # an earlier version may have told less
    changed = tuple(name for name in document if document[name] != told.get(name, document[name]))
    if before.change == "withdrawn":
        return _notice(document, before.revision + 1, "revised", changed, look) if complete else None
    if not changed:
        return None
    worse = _severity(document) > _severity(before.document)
    if not complete and not worse and not _more(document, before.document):
        return None
    if worse or look.settled or look.now - entry.sent_at >= REVISED_EVERY:
        return _notice(document, before.revision + 1, "revised", changed, look)
    return None


def _more(document: Document, before: Document) -> bool:
    """Whether a finding has more events or credentials than before, and lacks none of these."""
    return bool(
        document["count"] >= before["count"]
        and set(document["credentials"]) >= set(before["credentials"])
        and (document["count"], len(document["credentials"])) != (before["count"], len(before["credentials"]))
    )


def _touches(document: Document, fresh: Set[str] | None) -> bool:
    return fresh is None or not fresh.isdisjoint((*document["credentials"], *document["events"]))


def _severity(document: Document) -> int:
    return SEVERITIES.index(document["severity"])


def _notice(document: Document, revision: int, change: Any, changed: tuple[str, ...], look: Look) -> Notice:
    return Notice(
        id=document["id"],
        revision=revision,
        change=change,
        changed=changed,
        document=document,
        delay=look.delay,
    )
