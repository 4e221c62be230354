"""
Credentials that were issued and are listed nowhere, as gaps of an answer.

Their keys are not in the log, and nobody is seen to use them; or they are of an account of which the case has no log.

CloudTrail leaves out an answer that is too long, and tools that copy logs leave out others. What such a call issued
stands nowhere until it is used, and works all the same.
Source: CloudTrail User Guide, 'CloudTrail record contents' (`responseElements`); how long each lasts: AWS STS API
Reference, 'AssumeRole', 'GetSessionToken', 'GetFederationToken' (DurationSeconds), 'AssumeRoot'; what a role's session
is given of another role, and a root user by either of the two in the middle, ends within the hour.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence, Set
from datetime import UTC, datetime, timedelta
from typing import Any

from tokentrail.formatting import counted, instant, listed
from tokentrail.lineage.model import Gap, TracedCredential
from tokentrail.lineage.rows import event_id, moment
from tokentrail.lineage.segment_tables import LONGEST, SegmentRows
from tokentrail.store.interface import Engine

_HOUR = 3_600
_END = datetime.max.replace(tzinfo=UTC)
_LISTED = 3
"""Callers, calls and addresses that a sentence names."""


class UnlistedCredentials:
    """Looks up what some people were given, and some credentials minted, that is listed nowhere."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine that knows the derived database."""
        self._rows = SegmentRows(engine)

    def unlogged(self, people: Collection[str], covered: Set[str | None]) -> tuple[Gap, ...]:
        """
        For some people, by their ids in the directory: which accounts they were let into of which there is no log.

        The directory's own log tells which account's and permission set's credentials IAM Identity Center's access
        portal gave to somebody; the session itself shows in the log of that account alone.
        Source: IAM Identity Center User Guide, 'IAM Identity Center information in CloudTrail' (`GetRoleCredentials`,
        and `Federate` where somebody goes on to the console; both name account and permission set in
        `serviceEventDetails`).
        """
        found: dict[tuple[str, str, str], list[tuple[int, int, str]]] = {}
        for row in self._rows.of("portal_sessions", people):
            account, _, role = row["target"].partition("/")
            if account not in covered:
                found.setdefault((account, role, row["person"]), []).append(
                    (row["first"], row["last"], row["ip"])
                )
        return tuple(_portal_gap(*one, seen) for one, seen in sorted(found.items()))

    def unused(
        self,
        credentials: Sequence[TracedCredential],
        admits: Callable[[datetime | None, str | None], bool],
        as_of: datetime,
    ) -> Iterator[Gap]:
        """
        What tainted credentials of a trace minted that may still work and is none of the trace, by account.

        Args:
            credentials: All that the trace has found.
            admits: Whether what a subject minted then, and from there, is the attacker's (`Narrowing.admits`).
            as_of: The moment.
        """
        tainted = {one.id: one for one in credentials if one.tainted}
        keys = {key: one for one in tainted.values() for key in (one.id, *one.access_key_ids)}
        seen = {one.issued_by.event_id for one in credentials if one.issued_by}
        # Of a call across accounts two records tell: the other one issued the same.
        seen_then = {(one.parent, one.issued_at) for one in credentials}
        found: dict[str | None, dict[str | None, tuple[datetime, datetime, str, str]]] = {}
        for row in self._rows.of("unanswered_requests", keys):
            by, time = keys[row["caller"]], moment(row["time"])
            event = event_id(row["event_id"], row["event_id_text"])
            if time is None or time > as_of:
                continue
            longest = _longest(row["api"], by)
            lasts = row["duration"] if 0 < (row["duration"] or 0) < longest else longest
            # A forged time may be the calendar's last.
            until = time + min(timedelta(seconds=lasts), _END - time)
            theirs = by.parent in tainted or admits(time, row["ip"])
            if event in seen or (by.id, time) in seen_then or not theirs or until <= as_of:
                continue
            found.setdefault(by.account, {})[event] = time, until, _named(row), by.id
        for account, calls in sorted(found.items(), key=str):
            yield _unused_gap(account, sorted(calls.values()))


def _longest(api: str, by: TracedCredential) -> int:
    """How many seconds what somebody is issued lasts at most; the same as linking says of what was used."""
    root = api in ("GetFederationToken", "GetSessionToken") and (by.principal or "").endswith(":root")
    return _HOUR if root or (api == "AssumeRole" and by.role) else LONGEST[api]


def _unused_gap(account: str | None, calls: Sequence[tuple[datetime, datetime, str, str]]) -> Gap:
    many = len(calls)
    times, ends, named, callers = zip(*calls, strict=True)
    why = (
        f"{counted(many, 'call')} ({_some(named)}) by {_some(callers)} issued credentials whose keys "
        "the log does not show and that nobody is seen to use: listed nowhere, they may work until "
        f"{instant(max(ends))}"
    )
    return Gap(
        account=account, region=None, start=min(times), end=max(times), why=why, kind="unused_credentials"
    )


def _named(row: dict[str, Any]) -> str:
    role = (row["role_arn"] or "").split(":", 5)[-1]
    return f"{row['api']} of {role}" if role else str(row["api"])


def _some(names: Sequence[str]) -> str:
    return listed(dict.fromkeys(names), _LISTED)


def _portal_gap(account: str, role: str, person: str, seen: list[tuple[int, int, str]]) -> Gap:
    addresses = sorted({ip for _, _, ip in seen if ip})
    shown = ", ".join(addresses[:_LISTED]) + (" and others" if len(addresses) > _LISTED else "")
    return Gap(
        account=account,
        region=None,
        start=moment(min(first for first, _, _ in seen)),
        end=moment(max(last for _, last, _ in seen)),
        why=f"the access portal gave {person} credentials of {role} in this account{shown and f', from {shown}'} "
        "(GetRoleCredentials, Federate); the case has no log of the account, so that their session shows nowhere",
    )
