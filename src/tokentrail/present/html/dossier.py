"""
What a page about a subject is made of: results, and the names by which its credentials are called on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from string import ascii_uppercase

from tokentrail.containment.model import Plan
from tokentrail.lineage.model import Credential, TimelineEvent, Trace
from tokentrail.present import words
from tokentrail.present.document import Document
from tokentrail.present.timeline import ShortNames
from tokentrail.results import Status

_SHORTEST = 22
"""A name that is longer than this is called by its short form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """All that one page shows."""

    case_id: str
    trace: Trace
    events: Iterable[TimelineEvent]
    """The trace's events in order; gone through once."""
    status: Status
    version: str
    """Of the program that writes the page."""
    plan: Plan | None = None
    bystanders: tuple[Credential, ...] = ()
    """Credentials of others that speak for the same roles and users."""
    bystander_events: Iterable[TimelineEvent] = ()
    findings: tuple[Document, ...] | None = None
    """`None`: detection was not asked."""
    notes: tuple[str, ...] = ()
    """What was left out of all this before it came here."""


@dataclass(slots=True)
class Names:
    """
    What credentials are called on a page: A to Z where there are few of the attacker's, short ids where there are many.

    A colleague's is called by its session's name, since that is whom people ask.
    """

    letters: Mapping[str, str]
    anchors: Mapping[str, str]
    """The place on the page of each credential, by id; evidence never becomes part of an address."""
    _short: ShortNames = field(default_factory=ShortNames)

    @classmethod
    def of(cls, trace: Trace, bystanders: Iterable[Credential] = ()) -> Names:
        """Name the credentials of a trace, in their order, and some others."""
        tainted = [one.id for one in trace.credentials if one.tainted]
        letters = dict(zip(tainted, ascii_uppercase, strict=False)) if len(tainted) <= 26 else {}
        others = [one.id for one in (*trace.credentials, *bystanders)]
        return cls(letters, {name: f"c{place}" for place, name in enumerate(dict.fromkeys(others), 1)})

    def short(self, credential: str) -> str:
        """What a credential is called: a letter, or a short id."""
        if credential in self.letters:
            return self.letters[credential]
        return self._short.short(credential) if len(credential) >= 16 else credential

    def called(self, one: Credential) -> str:
        """What a credential is called in a sentence: a colleague's by its session."""
        if getattr(one, "tainted", False) or not one.session_name:
            return self.short(one.id)
        return one.session_name if len(one.session_name) <= _SHORTEST else self.short(one.id)

    def listed(self, credentials: Iterable[str], most: int = 4) -> str:
        """List them by name where they have letters or are few; count them where they are many."""
        every = list(credentials)
        if len(every) <= most or all(one in self.letters for one in every):
            return words.joined(self.short(one) for one in every)
        return words.number(len(every), "credential")
