"""
Compare the findings of a pass with what was sent before, and make notices of new, revised and withdrawn ones. Pure.

A pass is *complete* when it judged all evidence. Only such a pass may withdraw a finding, or let it say less than
before. Any pass may add.
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
class Pass:
    """How a pass looked at the evidence."""

    complete: bool
    settled: bool
    """Whether evidence has stopped coming for now, so that all revisions and withdrawals are sent."""
    now: float
    """Seconds since 1970."""
    delay: float | None = None
    """As in `Notice`."""
    fresh: Set[str] | None = None
    """
    Of an incomplete pass: the ids of the credentials that acted lately, of which a new finding must name one; `None` if
    it need not.
    """
    start: str = ""
    """Of an incomplete pass: the time from which on a finding without credentials is new, as documents spell it."""


def notices(how: Pass, found: Iterable[Document], last: Mapping[str, Entry]) -> Iterator[Notice]:
    """
    Yield the notices to send because of the findings of a pass.

    Args:
        how: The pass.
        found: Its findings.
        last: What the ledger holds of these, by id.
    """
    for document in {one["id"]: one for one in found}.values():
        entry = last.get(document["id"])
        if entry is None:
            if how.complete or _is_recent(document, how):
                yield _notice(document, 1, "new", (), how)
        elif notice := _revision(how, document, entry):
            yield notice


def withdrawn(how: Pass, standing: Iterable[Entry]) -> Iterator[Notice]:
    """
    Yield the notices that withdraw findings, if the pass is complete and evidence has stopped coming.

    Args:
        how: The pass.
        standing: The findings that were sent, and that the pass has not found.
    """
    if how.complete and how.settled:
        for entry in standing:
            yield _notice(entry.notice.document, entry.notice.revision + 1, "withdrawn", (), how)


def _revision(how: Pass, document: Document, entry: Entry) -> Notice | None:
    before = entry.notice
    known = before.document  # of an earlier version it may lack fields
    changed = tuple(name for name in document if document[name] != known.get(name, document[name]))
    if before.change == "withdrawn":
        return _notice(document, before.revision + 1, "revised", changed, how) if how.complete else None
    if not changed:
        return None
    worse = _severity(document) > _severity(known)
    if not how.complete and not worse and not _more(document, known):
        return None
    if worse or how.settled or how.now - entry.sent_at >= REVISED_EVERY:
        return _notice(document, before.revision + 1, "revised", changed, how)
    return None


def _more(document: Document, before: Document) -> bool:
    """Whether a finding has more events or credentials than before, and lacks none of these."""
    return bool(
        document["count"] >= before["count"]
        and set(document["credentials"]) >= set(before["credentials"])
        and (document["count"], len(document["credentials"])) != (before["count"], len(before["credentials"]))
    )


def _is_recent(document: Document, how: Pass) -> bool:
    if how.fresh is None:
        return True
    if document["credentials"]:
        return not how.fresh.isdisjoint(document["credentials"])
    return bool(document["time"] >= how.start)


def _severity(document: Document) -> int:
    return SEVERITIES.index(document["severity"])


def _notice(document: Document, revision: int, change: Any, changed: tuple[str, ...], how: Pass) -> Notice:
    return Notice(
        id=document["id"],
        revision=revision,
        change=change,
        changed=changed,
        document=document,
        delay=how.delay,
    )
