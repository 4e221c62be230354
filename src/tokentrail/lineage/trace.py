"""A subject's lineage: what it descends from, what descends from it, and what all of them did."""

from __future__ import annotations

import ipaddress
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter

from tokentrail.aws.leaked_strings import secret_given
from tokentrail.errors import SubjectNotFound, UsageError
from tokentrail.formatting import instant
from tokentrail.lineage import activity, rows
from tokentrail.lineage.addresses import parse_address
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential, Gap, Link, NamedPerson, Trace, TracedCredential
from tokentrail.lineage.rows import Row, event_id, moment


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Which of a subject's credentials count as the attacker's: minted since a time, from some addresses only."""

    since: datetime | None = None
    source_ips: tuple[str, ...] = ()
    trusted_ips: tuple[str, ...] = ()

    def admits(self, when: datetime | None, address: str | None) -> bool:
        """Whether something minted then and from there counts; the unknown counts, since it may be the attacker's."""
        if self.since is not None and when is not None and when < self.since:
            return False
        if self.source_ips and address is not None and not _within(address, self.source_ips):
            return False
        return not (self.trusted_ips and address is not None and _within(address, self.trusted_ips))

    def names(self, address: str) -> bool:
        """Whether somebody has said which addresses are the attacker's, and this is one."""
        return bool(self.source_ips or self.trusted_ips) and self.admits(None, address)


def networks(texts: Sequence[str]) -> tuple[str, ...]:
    """Check addresses and networks.

    Raises:
        UsageError: one is neither.
    """
    for text in texts:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError as error:
            raise UsageError(f"{text!r}: no IP address or network (CIDR).") from error
    return tuple(texts)


def _within(address: str, allowed: tuple[str, ...]) -> bool:
    found = parse_address(address)
    if found is None:
        return False
    ends = _ranges(allowed).get(found.version, [])
    place = bisect_left(ends, (int(found), 0))
    return place < len(ends) and ends[place][1] <= int(found)


@lru_cache(maxsize=8)
def _ranges(allowed: tuple[str, ...]) -> dict[int, list[tuple[int, int]]]:
    """By version, the last address of each range and its first: apart from each other, and in order."""
    listed = [ipaddress.ip_network(one, strict=False) for one in allowed]
    four = ipaddress.collapse_addresses(one for one in listed if isinstance(one, ipaddress.IPv4Network))
    six = ipaddress.collapse_addresses(one for one in listed if isinstance(one, ipaddress.IPv6Network))
    return {
        version: [(int(one.broadcast_address), int(one.network_address)) for one in found]
        for version, found in ((4, list(four)), (6, list(six)))
    }


def trace(
    forest: Forest,
    subjects: Sequence[str],
    *,
    up: bool,
    down: bool,
    narrowing: Narrowing,
    gaps: tuple[Gap, ...],
) -> Trace:
    """Trace subjects through the forest: their family, and what all of it did."""
    found, ids = _family(forest, subjects, up=up, down=down, narrowing=narrowing, gaps=gaps)
    apis = activity.apis(forest, ids)
    return replace(
        found,
        created=activity.created(forest, ids),
        apis=apis,
        resources=activity.resources(forest, ids),
        secrets_read=activity.secrets(forest, ids),
        by_principal=forest.keyless.of(found.credentials, apis),
    )


def family(forest: Forest, subjects: Sequence[str], *, narrowing: Narrowing, gaps: tuple[Gap, ...]) -> Trace:
    """Trace subjects and all that descends from them, without what any of them did: that costs the most."""
    return _family(forest, subjects, up=False, down=True, narrowing=narrowing, gaps=gaps)[0]


def starts_of(forest: Forest, subjects: Iterable[str]) -> set[int]:
    """
    The credentials that subjects name.

    Raises:
        SubjectNotFound: nothing answers to some of them; all of these are named, since a list of suspects is long.
        UsageError: a prefix fits several.
    """
    found, unknown = set[int](), dict[str, SubjectNotFound]()
    for subject in subjects:
        try:
            found |= forest.resolve(subject)
        except SubjectNotFound as error:
            unknown[subject] = error
    if len(unknown) > 1:
        named = ", ".join(
            "(a secret, not repeated here)" if secret_given(one) else repr(one) for one in unknown
        )
        raise SubjectNotFound(
            f"{named}: nothing in the case answers to these {len(unknown):,} as of {instant(forest.as_of)}; leave them "
            "out, or ask for each alone."
        )
    for alone in unknown.values():
        raise alone
    return found


def _family(
    forest: Forest,
    subjects: Sequence[str],
    *,
    up: bool,
    down: bool,
    narrowing: Narrowing,
    gaps: tuple[Gap, ...],
) -> tuple[Trace, dict[int, str]]:
    starts = starts_of(forest, subjects)
    below, extra = forest.descendants(starts) if down else (starts, [])
    above = forest.ancestors(starts) if up else set()
    listed = {row["n"]: row for row in forest.chosen_rows(below | above)}
    links = _links(listed, extra)
    tainted = _tainted(forest, starts, listed, links, narrowing)
    told = forest.credentials(list(listed.values()))
    credentials = _traced(
        told,
        [n in tainted for n in listed],
        sorted(
            range(len(told)),
            key=lambda place: (
                told[place].issued_at or told[place].first_used or forest.as_of,
                told[place].id,
            ),
        ),
    )
    found = Trace(
        as_of=forest.as_of,
        subject=tuple(subjects),
        credentials=credentials,
        links=tuple(
            sorted(
                (link for _, _, link in links),
                key=lambda one: (one.time or forest.as_of, one.child, one.parent),
            )
        ),
        created=(),
        principals=tuple(sorted({one.principal for one in credentials if one.principal})),
        apis=(),
        resources=(),
        secrets_read=(),
        gaps=gaps + _orphans(credentials),
        persons=_named(forest, subjects, listed),
    )
    return found, {n: row["id"] for n, row in listed.items()}


def _named(forest: Forest, subjects: Sequence[str], listed: Mapping[int, Row]) -> tuple[NamedPerson, ...]:
    """Why credentials of a trace are a person's whom a subject names; no id of a credential is a person's."""
    ids = {row["id"] for row in listed.values()}
    persons = [subject for subject in subjects if subject not in ids]
    return tuple(
        NamedPerson(
            credential=listed[one.n]["id"],
            person=one.person,
            issuer=one.issuer,
            event_id=event_id(one.event_id, one.event_text) or "",
            time=datetime.fromtimestamp(one.time, UTC),
        )
        for one in (forest.acting_for(persons) if persons else ())
        if one.n in listed
    )


def people(forest: Forest, found: Trace) -> set[str]:
    """Whom of a directory the sessions of a trace act for, or tainted credentials made, by their ids there."""
    sessions = [one.id for one in found.credentials if one.kind == "identity_center"]
    tainted = {one.id for one in found.credentials if one.tainted}
    made = {
        one.id for one in found.created
        if one.what == "directory_user" and one.event_name == "CreateUser" and one.id and one.by in tainted
    }  # fmt: skip
    rows = forest.named(sessions) if sessions else ()
    return made | {row["on_behalf_of"] for row in rows if row["on_behalf_of"]}


def _traced(
    told: Sequence[Credential], tainted: Sequence[bool], order: Sequence[int]
) -> tuple[TracedCredential, ...]:
    """The same, with whether each is tainted, in an order."""
    members = {name: [*map(attrgetter(name), told)] for name in _SAID}
    return rows.made_of(TracedCredential, order, {**members, "tainted": tainted})


_SAID = tuple(one.name for one in fields(Credential))
_Edge = tuple[int, int, Link]


def _links(listed: dict[int, Row], extra: Sequence[Row]) -> list[_Edge]:
    """All edges between listed credentials: parents first, then what acts through things that others made."""
    found: list[_Edge] = []
    for n, row in listed.items():
        parent = row["parent_n"]
        if parent is None or parent not in listed:
            continue
        created = row["parent_link"] == "created"
        event, text = (
            (row["created_event"], row["created_text"])
            if created
            else (row["issue_event"], row["issue_text"])
        )
        link = Link(
            parent=row["parent_id"],
            child=row["id"],
            api=row["created_api"] if created else row["api"],
            event_id=event_id(event, text),
            time=moment(row["created_time"] if created else row["issued_time"]),
            link=row["parent_link"],
            why=rows.detail(row),
        )
        found.append((parent, n, link))
    for row in extra:
        if row["parent"] in listed and row["child"] in listed:
            why = f"acts through the {row['what'].replace('_', ' ')} {row['thing']} that {row['api']} made or set"
            link = Link(
                parent=listed[row["parent"]]["id"],
                child=listed[row["child"]]["id"],
                api=row["api"],
                event_id=event_id(row["event_id"], row["event_id_text"]),
                time=moment(row["time"]),
                link="created",
                why=why,
            )
            found.append((row["parent"], row["child"], link))
    return found


def _tainted(
    forest: Forest, starts: set[int], listed: dict[int, Row], links: Sequence[_Edge], narrowing: Narrowing
) -> set[int]:
    """The subject, what was minted or made from it as `narrowing` admits, and all that descends from those."""
    by_parent: dict[int, list[tuple[int, Link]]] = {}
    for parent, child, link in links:
        by_parent.setdefault(parent, []).append((child, link))
    made = [listed[child]["created_event"] for start in starts for child, link in by_parent.get(start, ())
            if link.link == "created" and listed[child]["created_event"]]  # fmt: skip
    addresses = forest.addresses(made) if narrowing.source_ips or narrowing.trusted_ips else {}
    tainted = set(starts)
    fresh = []
    for start in starts:
        for child, link in by_parent.get(start, ()):
            row = listed[child]
            address = addresses.get(row["created_event"]) if link.link == "created" else row["issue_ip"]
            if narrowing.admits(link.time, address):
                fresh.append(child)
    while fresh:
        node = fresh.pop()
        if node not in tainted:
            tainted.add(node)
            fresh += [child for child, _ in by_parent.get(node, ())]
    return tainted


def _orphans(credentials: Sequence[TracedCredential]) -> tuple[Gap, ...]:
    """For each credential of unknown origin: which evidence would show where it comes from."""
    return tuple(
        Gap(
            account=one.account,
            region=None,
            start=None,
            end=one.issued_at or one.first_used,
            why=f"{one.id}: {one.origin_detail}",
        )
        for one in credentials
        if one.origin == "not_in_evidence"
    )
