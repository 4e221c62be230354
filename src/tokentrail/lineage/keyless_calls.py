"""
Calls of which the record names the principal and no key, such as those in the log of whoever owns what was called.

The owner of a bucket or a file system is told who called from another account by account and principal id alone, so
no credential can be made out: whoever was that principal then may have called.
Source: CloudTrail User Guide, 'CloudTrail userIdentity element' (`AWSAccount`) and 'Receiving CloudTrail log files
from multiple accounts'.

Some of these calls ask for a session in the principal's name (`RequestedSession`): Lake Formation names the session,
and the other partition's record the token, by which a later record is known.
Source: AWS Lake Formation Developer Guide, 'Cross-account CloudTrail logging'; IAM User Guide, 'Auditing
cross-partition identity federation'.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

import pyarrow as pa

from tokentrail.lineage.model import ApiUse, PrincipalUse, TracedCredential
from tokentrail.lineage.rows import moment
from tokentrail.lineage.segment_tables import SegmentRows
from tokentrail.store.interface import Engine

_CALLS = """
SELECT c.principal_id, account, source, name, resource, who, count(*) AS calls, count(error) AS errors,
       min(time) AS first, max(time) AS last
FROM (
  SELECT s.principal_id, e.account, e.source, e.name, e.resource, e.error, e.time
  FROM {events} e JOIN asked_strangers s ON s.segment = e.segment AND s.identity = e.identity
  WHERE coalesce(e.source, '') <> 'sts.amazonaws.com' AND NOT EXISTS (
    SELECT 1 FROM duplicates x WHERE x.segment = e.segment AND x.object = e.object AND x.ordinal = e.ordinal)
) c ASOF JOIN asked_spans l ON l.principal_id = c.principal_id AND c.time >= l.since
WHERE who >= 0 GROUP BY c.principal_id, account, source, name, resource, who ORDER BY ALL"""
"""The calls by who may have made them; of STS it is what mints, which lineage tells of."""
_EVER = 1 << 60
_LAG = 60
"""Seconds for which a change may not be everywhere yet; so much later a key did not call."""
_MOST = 20
"""
Credentials that are listed of those that may have made a call.

A function runs in a thousand places at once, each with a session of the same name: to list them all beside each of its
calls takes a gigabyte for two million pairs, and tells nobody more.
"""
_Who: TypeAlias = tuple[tuple[str, ...], int]
"""Some credentials, and how many more there are."""


class RequestedSession(NamedTuple):
    """A session that was asked for in some name."""

    whose: str
    """The principal id or the ARN of the principal for which it was asked, or the id of the token that opened it."""
    what: Literal["session", "key", "token"]
    """Whether it is known by its name, or by its key id; `token` if `whose` is the id of a token."""
    name: str
    time: int
    """The second of the call."""


class KeylessCalls:
    """Finds such calls."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine that knows the evidence and the derived database."""
        self._engine = engine
        self._rows = SegmentRows(engine)

    def homes(self, principal: str) -> list[str]:
        """The accounts that such records say a principal is of; none where there are no records."""
        return sorted({row["account"] or "" for row in self._callers({principal})})

    def of(self, credentials: Sequence[TracedCredential], apis: Iterable[ApiUse]) -> tuple[PrincipalUse, ...]:
        """
        The calls that some credentials may have made, by what was called.

        Args:
            credentials: The credentials.
            apis: What these called by the records that name their keys.
        """
        who = self._callers({one.principal_id for one in credentials if one.principal_id})
        if not who:
            return ()
        self._engine.register("asked_strangers", pa.Table.from_pylist(who))
        named = {row["principal_id"] for row in who}
        alive = [one for one in credentials if one.principal_id in named]
        spans, listed = _spans(alive)
        self._engine.register("asked_spans", spans)
        events = self._engine.narrow({row["segment"] for row in who})["some_events"]
        keyed = {(one.credential, one.event_source, one.event_name): one.count for one in apis}
        every: dict[str, list[str]] = {}
        for one in alive:
            every.setdefault(one.principal_id or "", []).append(one.id)
        told = _WithKey(keyed, every)
        return tuple(
            _use(row, listed[row["who"]], told) for row in self._engine.rows(_CALLS.format(events=events))
        )

    def _callers(self, principals: Set[str]) -> list[dict[str, Any]]:
        """Where in the evidence the records of some principals are."""
        return self._rows.of("keyless_callers", principals)


class _WithKey:
    """Counts calls of a name that records with the keys of some credentials tell of."""

    def __init__(
        self, keyed: Mapping[tuple[str, str | None, str | None], int], every: Mapping[str, Sequence[str]]
    ) -> None:
        """Take what each called, and the credentials by principal."""
        self._keyed = keyed
        self._every = every
        self._whole: dict[tuple[str, str | None, str | None], int] = {}

    def count(self, who: _Who, principal: str, source: str | None, name: str | None) -> int:
        """Of those that are listed; of all that were the principal where not all are."""
        ids, further = who
        if not further:
            return self._sum(ids, source, name)
        asked = principal, source, name
        if asked not in self._whole:
            self._whole[asked] = self._sum(self._every[principal], source, name)
        return self._whole[asked]

    def _sum(self, ids: Iterable[str], source: str | None, name: str | None) -> int:
        return sum(self._keyed.get((one, source, name), 0) for one in ids)


def _spans(alive: Sequence[TracedCredential]) -> tuple[pa.Table, list[_Who]]:
    """Of each principal: from when on (until the next) which credentials were it, by their place in a list."""
    turns: dict[str, dict[int, list[tuple[bool, tuple[bool, str]]]]] = {}
    for one in alive:
        since, until = _second(one.issued_at, -_EVER), _end(one)
        if since <= until:
            mine, place = turns.setdefault(one.principal_id or "", {}), (not one.tainted, one.id)
            mine.setdefault(since, []).append((True, place))
            mine.setdefault(until + 1, []).append((False, place))
    numbers: dict[_Who, int] = {}
    found: list[tuple[str, int, int]] = []
    for principal, mine in turns.items():
        then: list[tuple[bool, str]] = []
        for since, changes in sorted(mine.items()):
            for begins, place in changes:
                if begins:
                    insort(then, place)
                else:
                    then.pop(bisect_left(then, place))
            who = tuple(sorted(name for _, name in then[:_MOST])), max(len(then) - _MOST, 0)
            found.append((principal, since, numbers.setdefault(who, len(numbers)) if then else -1))
    columns = list(zip(*found, strict=True)) or [(), (), ()]
    types = pa.string(), pa.int64(), pa.int64()
    named = zip(("principal_id", "since", "who"), columns, types, strict=True)
    return pa.table({name: pa.array(column, kind) for name, column, kind in named}), list(numbers)


def _use(row: Mapping[str, Any], who: _Who, told: _WithKey) -> PrincipalUse:
    first, last = moment(row["first"]), moment(row["last"])
    assert first is not None
    assert last is not None
    return PrincipalUse(
        principal_id=row["principal_id"],
        credentials=who[0],
        further=who[1],
        account=row["account"],
        event_source=row["source"],
        event_name=row["name"],
        arns=tuple(filter(None, (row["resource"] or "").split("\n"))),
        count=row["calls"],
        errors=row["errors"],
        first=first,
        last=last,
        with_key=told.count(who, row["principal_id"], row["source"], row["name"]),
    )


def _end(one: TracedCredential) -> int:
    """
    Until when it may have called: a key that was deleted or is inactive goes on for a minute at most.

    Source: IAM User Guide, 'Troubleshooting IAM', 'Changes that I make are not always immediately visible'.
    """
    if one.unusable:
        return _second(one.ended_at, _EVER) + _LAG
    return _second(one.expires_at or one.expires_bound, _EVER)


def _second(when: datetime | None, otherwise: int) -> int:
    return otherwise if when is None else int(when.timestamp())


class Requests:
    """Looks up the sessions that were asked for in the names of some principals, or opened by some tokens."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine that knows the derived database."""
        self._rows = SegmentRows(engine)

    def of(self, names: Collection[str]) -> list[RequestedSession]:
        """Those that were asked for in some names, each once."""
        found = (
            RequestedSession(row["whose"], row["what"], row["name"], row["time"])
            for row in self._rows.of("requested_sessions", names)
        )
        return list(dict.fromkeys(found))
