"""What a traced lineage created, learned and touched, summed up once for text, page and summary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter

from tokentrail import formatting
from tokentrail.formatting import counted, listed
from tokentrail.lineage.model import SecretRead, Trace
from tokentrail.present import words
from tokentrail.present.document import timestamp

_FEW = 3
MADE = "Created or changed: persists until deleted"
ALONE = "Calls whose records name the principal and no key: not counted above"


@dataclass(slots=True)
class Tally:
    """Calls of one kind on one thing, over all tainted credentials."""

    name: str
    call: str
    count: int = 0
    errors: int = 0
    bytes_out: int = 0
    inside: int = 0
    """Things within it that are counted with it, such as the objects of a bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSecret:
    """A secret that the attacker has read, by whichever call and however often."""

    what: str | None
    """Its name or ARN; `None` if no record names it."""
    reads: tuple[SecretRead, ...]
    """In order of time."""


@dataclass(slots=True)
class Unkeyed:
    """Calls of one kind in one account's log, that name the principal and no key."""

    account: str
    call: str
    count: int = 0
    errors: int = 0
    first: str = ""
    last: str = ""
    things: set[str] = field(default_factory=set)
    by: set[str] = field(default_factory=set)
    """The credentials that may have made them."""
    further: int = 0
    """How many may have at once, where the trace does not list all of them."""
    told: bool = False
    """Whether records with their keys tell of such calls as well."""

    @property
    def sentence(self) -> str:
        """What is to be known of them."""
        failed = f", {self.errors:,} of them failed" if self.errors else ""
        things = sorted(self.things, key=lambda one: (len(one), one))  # a bucket before what lies in it
        on = f", on {listed(things, 1)}" if things else ""
        by = listed(sorted(self.by), _FEW)
        if self.further:
            others = max(len(self.by), self.further) - _FEW
            by = f"{', '.join(sorted(self.by)[:_FEW])} and at least {others:,} more"
        same = "; records with its key tell of such calls too, which may be the same" if self.told else ""
        when = self.first if self.first == self.last else f"{self.first} to {self.last}"
        return f"{self.call} in the log of {self.account}, {when}{failed}{on}; maybe by {by}{same}"


def resources(trace: Trace, tainted: set[str]) -> list[Tally]:
    """Sum up resources, the most bytes first; what lies in a bucket that is listed counts as inside it."""
    used = [one for one in trace.resources if one.credential in tainted]
    outers = {(one.arn, one.event_name or "?") for one in used if "/" not in one.arn}
    inside: dict[tuple[str, str], set[str]] = {}
    tallies: dict[tuple[str, str], Tally] = {}
    for one in used:
        key = (one.arn, one.event_name or "?")
        outer, slash, rest = one.arn.partition("/")
        if slash and (outer, key[1]) in outers and outer.startswith("arn:aws"):
            if rest:
                inside.setdefault((outer, key[1]), set()).add(rest)
            continue
        tally = tallies.get(key) or tallies.setdefault(key, Tally(*key))
        tally.count += one.count
        tally.errors += one.errors
        tally.bytes_out += one.bytes_out or 0
    for key, things in inside.items():
        tallies[key].inside = len(things)
    return sorted(tallies.values(), key=lambda one: (-one.bytes_out, -one.count, one.name, one.call))


def known_secrets(trace: Trace, tainted: set[str]) -> list[KnownSecret]:
    """The secrets that tainted credentials have read, each once, by first read: the number that every face shows."""
    found: dict[str, list[SecretRead]] = {}
    for one in trace.secrets_read:
        if one.credential in tainted:
            named = [what for what in dict.fromkeys((one.what or "").split("\n")) if what]
            for what in named or [f"\n{one.event_id}"]:
                found.setdefault(what, []).append(one)
    return [
        KnownSecret(what=None if what.startswith("\n") else what, reads=tuple(reads))
        for what, reads in found.items()
    ]


def volume(trace: Trace, tainted: set[str]) -> tuple[str, str]:
    """How much got out, and what is counted; where no record counts bytes, how many objects were fetched."""
    if any(one.bytes_out is not None for one in trace.resources if one.credential in tainted):
        return formatting.size(total_bytes(trace, tainted)), "got out"
    fetched = sum(
        one.count - one.errors
        for one in trace.apis
        if one.credential in tainted and one.event_name == "GetObject"
    )
    if fetched:
        return "?", f"volume unknown: {counted(fetched, 'GetObject call')}, sizes not logged"
    return "?", "volume unknown: no data events in the logs"


def calls(trace: Trace, tainted: set[str]) -> list[Tally]:
    """Sum up calls, the most frequent first."""
    tallies: dict[str, Tally] = {}
    for one in trace.apis:
        if one.credential in tainted:
            name = words.call(one.event_source, one.event_name)
            tally = tallies.setdefault(name, Tally(name, name))
            tally.count += one.count
            tally.errors += one.errors
    return sorted(tallies.values(), key=lambda one: (-one.count, one.name))


def unkeyed(trace: Trace, tainted: set[str]) -> list[Unkeyed]:
    """Sum up the calls whose records name the principal alone, by account and call, the most frequent first."""
    found: dict[tuple[str, str], Unkeyed] = {}
    for one in trace.by_principal:
        if not tainted.isdisjoint(one.credentials):
            key = (one.account or "an account that is not told", words.call(one.event_source, one.event_name))
            tally = found.setdefault(key, Unkeyed(*key))
            tally.count += one.count
            tally.errors += one.errors
            tally.first = min(tally.first or timestamp(one.first), timestamp(one.first))
            tally.last = max(tally.last, timestamp(one.last))
            tally.things.update(one.arns)
            tally.by |= tainted.intersection(one.credentials)
            if one.further:
                tally.further = max(tally.further, len(one.credentials) + one.further)
            tally.told = tally.told or one.with_key > 0
    return sorted(found.values(), key=lambda one: (-one.count, one.account, one.call))


def total_bytes(trace: Trace, credentials: Iterable[str]) -> int:
    """Add up what some credentials got out, each event once: a bucket's line already holds its objects'."""
    return sum(map(attrgetter("bytes_out"), resources(trace, set(credentials))))


def total_calls(trace: Trace, credentials: Iterable[str]) -> int:
    """Count the calls of some credentials."""
    return sum(map(attrgetter("count"), calls(trace, set(credentials))))
