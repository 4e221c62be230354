"""A subject's lineage: what it descends from, what descends from it, and what all of them did."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tokentrail.errors import UsageError
from tokentrail.lineage import creations, rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import (
    ApiUse,
    Created,
    Gap,
    Link,
    ResourceUse,
    SecretRead,
    TimelineEvent,
    Trace,
    TracedCredential,
)  # fmt: skip
from tokentrail.lineage.rows import Row, event_id, moment

_APIS = """
SELECT n, source, name, count(*) AS count, count(error) AS errors, min(time) AS first, max(time) AS last
FROM acts GROUP BY n, source, name"""
_RESOURCES = """
SELECT n, arn, name, count(*) AS count, count(error) AS errors, sum(bytes_out) AS bytes_out, min(time) AS first,
       max(time) AS last
FROM (SELECT *, unnest(string_split(resource, chr(10))) AS arn FROM acts WHERE resource IS NOT NULL)
GROUP BY n, arn, name"""
_SECRETS = "SELECT n, event_id, event_id_text, time, name, resource FROM acts WHERE secret AND error IS NULL"
_TIMELINE = "SELECT * FROM acts ORDER BY time, event_id"


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


def _within(address: str, allowed: Iterable[str]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(one, strict=False) for one in allowed)


def trace(
    forest: Forest,
    subjects: Sequence[str],
    *,
    up: bool,
    down: bool,
    narrowing: Narrowing,
    gaps: tuple[Gap, ...],
) -> Trace:
    """Trace subjects through the forest."""
    starts = set[int]().union(*(forest.resolve(subject) for subject in subjects))
    below, extra = forest.descendants(starts) if down else (starts, [])
    above = forest.ancestors(starts) if up else set()
    listed = {row["n"]: row for row in forest.chosen_rows(below | above)}
    links = _links(listed, extra)
    tainted = _tainted(forest, starts, listed, links, narrowing)
    judge = forest.judge_of(listed.values())
    ids = {n: row["id"] for n, row in listed.items()}
    credentials = tuple(
        sorted(
            (_traced(rows.credential(row, judge), n in tainted) for n, row in listed.items()),
            key=lambda one: (one.issued_at or one.first_used or forest.as_of, one.id),
        )
    )
    return Trace(
        as_of=forest.as_of,
        subject=tuple(subjects),
        credentials=credentials,
        links=tuple(
            sorted(
                (link for _, _, link in links),
                key=lambda one: (one.time or forest.as_of, one.child, one.parent),
            )
        ),
        created=_created(forest, ids),
        principals=tuple(sorted({one.principal for one in credentials if one.principal})),
        apis=_apis(forest, ids),
        resources=_resources(forest, ids),
        secrets_read=_secrets(forest, ids),
        gaps=gaps + _orphans(credentials),
    )


def timeline(
    forest: Forest, subjects: Sequence[str], objects: dict[int, tuple[str, ...]]
) -> Iterable[TimelineEvent]:
    """The events of subjects and of all that descends from them, in order."""
    starts = set[int]().union(*(forest.resolve(subject) for subject in subjects))
    below, _ = forest.descendants(starts)
    done = forest.done_by(below, _TIMELINE, whole=True)
    ids = {row["n"]: row["id"] for row in forest.chosen_rows(below)}
    for row in done:
        held = objects.get(row["segment"], ())
        yield TimelineEvent(
            time=_time(row["time"]),
            event_id=event_id(row["event_id"], row["event_id_text"]) or "",
            credential=ids[row["n"]],
            account=row["account"],
            region=row["region"],
            event_source=row["source"],
            event_name=row["name"],
            error_code=row["error"],
            source_ip=row["ip"],
            user_agent=row["agent"],
            resources=tuple((row["resource"] or "").split("\n")) if row["resource"] else (),
            object=held[row["object"]] if row["object"] < len(held) else "",
            ordinal=row["ordinal"],
        )


def _traced(found: Any, tainted: bool) -> TracedCredential:
    values = {name: getattr(found, name) for name in type(found).__dataclass_fields__}
    return TracedCredential(**values, tainted=tainted)


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
    addresses = forest.addresses(made)
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


def _created(forest: Forest, ids: dict[int, str]) -> tuple[Created, ...]:
    found = []
    for row in forest.changed_by(ids):
        for what, thing in creations.made(row["name"], row["request"], row["response"], row["source"]):
            found.append(
                Created(
                    by=ids[row["n"]],
                    event_id=event_id(row["event_id"], row["event_id_text"]) or "",
                    time=_time(row["time"]),
                    event_name=row["name"],
                    what=what,
                    id=thing,
                )
            )
    return tuple(sorted(found, key=lambda one: (one.time, one.event_id, one.id or "")))


def _apis(forest: Forest, ids: dict[int, str]) -> tuple[ApiUse, ...]:
    found = (
        ApiUse(
            credential=ids[row["n"]],
            event_source=row["source"],
            event_name=row["name"],
            count=row["count"],
            errors=row["errors"],
            first=_time(row["first"]),
            last=_time(row["last"]),
        )
        for row in forest.done_by(ids, _APIS)
    )
    return tuple(
        sorted(
            found, key=lambda one: (one.first, one.credential, one.event_source or "", one.event_name or "")
        )
    )


def _resources(forest: Forest, ids: dict[int, str]) -> tuple[ResourceUse, ...]:
    found = (
        ResourceUse(
            credential=ids[row["n"]],
            arn=row["arn"],
            event_name=row["name"],
            count=row["count"],
            errors=row["errors"],
            bytes_out=int(row["bytes_out"]) if row["bytes_out"] is not None else None,
            first=_time(row["first"]),
            last=_time(row["last"]),
        )
        for row in forest.done_by(ids, _RESOURCES)
    )
    return tuple(sorted(found, key=lambda one: (one.first, one.credential, one.arn, one.event_name or "")))


def _secrets(forest: Forest, ids: dict[int, str]) -> tuple[SecretRead, ...]:
    found = (
        SecretRead(
            credential=ids[row["n"]],
            event_id=event_id(row["event_id"], row["event_id_text"]) or "",
            time=_time(row["time"]),
            event_name=row["name"],
            what=row["resource"],
        )
        for row in forest.done_by(ids, _SECRETS)
    )
    return tuple(sorted(found, key=lambda one: (one.time, one.event_id)))


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


def _time(seconds: int) -> datetime:
    found = moment(seconds)
    assert found is not None
    return found
