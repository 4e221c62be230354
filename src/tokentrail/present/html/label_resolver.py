"""What the credentials of a page are called on it, and where each stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from string import ascii_uppercase

from tokentrail.formatting import counted, joined
from tokentrail.lineage.model import Credential, Trace
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.console import Live, event_address, lineage_address, trace_address
from tokentrail.present.html.view_models import Badge, Excerpt, Reference, excerpt
from tokentrail.present.safe import brief
from tokentrail.present.text.timeline_text import ShortNames
from tokentrail.results import RawRecord

_SHORTEST = 22
"""A name that is longer than this is called by its short form."""


@dataclass(slots=True)
class LabelResolver:
    """
    What credentials are called on a page: A to Z where there are few of the attacker's, short ids where there are many.

    A colleague's is called by its session's name, since that is whom people ask.
    """

    letters: Mapping[str, str]
    anchors: Mapping[str, str]
    """The place on the page of each credential, by id; evidence never becomes part of an address."""
    records: Mapping[str, str] = field(default_factory=dict)
    """The place on the page of each record that is on it, by event id."""
    live: Live | None = None
    """The console that the page is shown in, which has all records."""
    people: Mapping[str, str] = field(default_factory=dict)
    """The names of colleagues' sessions, by credential."""
    owners: frozenset[str] = frozenset()
    """Credentials, not the attacker's, of the users whose credentials were stolen: their owners'."""
    here: set[str] | None = None
    """Of a page that is too small for all of them: the credentials that have their place on it."""
    _short: ShortNames = field(default_factory=ShortNames)

    @classmethod
    def of(
        cls,
        trace: Trace,
        bystanders: Sequence[Credential] = (),
        records: Iterable[RawRecord] = (),
        live: Live | None = None,
    ) -> LabelResolver:
        """Name the credentials of a trace, in their order, and some others."""
        tainted = [one.id for one in trace.credentials if one.tainted]
        letters = dict(zip(tainted, ascii_uppercase, strict=False)) if len(tainted) <= 26 else {}
        others = [one.id for one in (*trace.credentials, *bystanders)]
        anchors = {name: f"c{place}" for place, name in enumerate(dict.fromkeys(others), 1)}
        events = dict.fromkeys(one.event_id for one in records)
        people = {one.id: one.session_name for one in bystanders if one.session_name}
        robbed = {one.principal for one in trace.credentials if one.id in trace.subject and one.role is None}
        owners = frozenset(one.id for one in bystanders if one.principal and one.principal in robbed)
        return cls(
            letters,
            anchors,
            {name: f"e{place}" for place, name in enumerate(events, 1)},
            live,
            people,
            owners,
        )

    def place(self, credential: str) -> str | None:
        """Where a credential is told: on this page, on one of its own where this has no room, or nowhere."""
        anchor = self.anchors.get(credential)
        if anchor is None:
            return trace_address(credential, self.live) if self.live else None
        if self.here is None or credential in self.here or self.live is None:
            return f"#{anchor}"
        return lineage_address(self.live, ("find", credential))

    def record(self, event_id: str) -> str | None:
        """Where an event's raw record is shown: on this page, in the console, or nowhere."""
        if event_id in self.records:
            return f"#{self.records[event_id]}"
        return event_address(event_id) if self.live and event_id else None

    def short(self, credential: str) -> str:
        """What a credential is called: a letter, or a short id."""
        if credential in self.letters:
            return self.letters[credential]
        return self._short.short(credential) if len(credential) >= 16 else credential

    def reference(self, credential: str) -> Reference:
        """A credential's name, leading to its place."""
        short, place = brief(self.short(credential), 60), self.place(credential)
        return Reference(short, place, brief(credential) if place else None)

    def references(self, credentials: Sequence[str], most: int = 12) -> Excerpt[Reference]:
        """Several of them, and how many more there are."""
        return excerpt(credentials, most, self.reference)

    def whole(self, credential: str) -> Reference:
        """A credential by its whole id, since that is looked up, leading to its place."""
        return Reference(brief(credential), self.place(credential))

    def person(self, credential: str) -> str:
        """The person whom a colleague's session is named after; nothing where there is none."""
        return brief(self.people.get(credential, ""), 40)

    def traced(self, subject: str, most: int = 200) -> Reference:
        """A subject as it is written, leading to its trace in a console."""
        return Reference(brief(subject, most), trace_address(subject, self.live) if self.live else None)

    def event(self, event_id: str) -> Reference:
        """An event's id, leading to its raw record where there is a way to it."""
        return Reference(brief(event_id, 60), self.record(event_id))

    def moment(self, time: datetime, event_id: str) -> Reference:
        """A moment, leading to the raw record of what happened then."""
        return Reference(timestamp(time), self.record(event_id))

    def badge(self, one: Credential) -> Badge:
        """A credential's name in its shape."""
        side = "mine" if getattr(one, "tainted", False) else "theirs"
        title = f"{self.whose(one)}: {brief(one.id)}"
        return Badge(self.called(one), side, one.state in words.ALIVE, title)

    def called(self, one: Credential) -> str:
        """What a credential is called in a sentence: a colleague's by its session."""
        if getattr(one, "tainted", False):
            return self.short(one.id)
        person = one.session_name or (
            words.principal(one.principal).removeprefix("user/") if "@" in one.id else ""
        )
        return person if 1 < len(person) <= _SHORTEST else self.short(one.id)

    def whose(self, one: Credential) -> str:
        """Whose a credential is taken to be."""
        if getattr(one, "tainted", False):
            return "attacker's"
        return "owner's" if one.id in self.owners else "colleague's"

    def listed(self, credentials: Iterable[str], most: int = 4) -> str:
        """List them by name where they have letters or are few; count them where they are many."""
        every = list(credentials)
        if every and all(one in self.letters for one in every):
            return joined(_runs(self.letters[one] for one in every))
        if len(every) <= most:
            return joined(self.short(one) for one in every)
        return counted(len(every), "credential")


def _runs(letters: Iterable[str]) -> Iterator[str]:
    """Spell three and more letters in a row as the first and the last: `B to T`."""
    run: list[str] = []
    for letter in [*sorted(letters), ""]:
        if run and letter and ord(letter) == ord(run[-1]) + 1:
            run.append(letter)
            continue
        yield from [f"{run[0]} to {run[-1]}"] if len(run) > 3 else run
        run = [letter] if letter else []
