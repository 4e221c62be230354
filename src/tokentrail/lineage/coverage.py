"""What the evidence covers: accounts, regions, hours, and what kinds of events occur in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise

from tokentrail.aws.principals import IAM_REGIONS
from tokentrail.lineage.model import Gap, GapKind
from tokentrail.lineage.rows import damaged, moment
from tokentrail.results import Coverage, HourGap
from tokentrail.store.interface import Engine

_ORDERED = """
SELECT account, region, list(DISTINCT hour ORDER BY hour) AS hours, min(first) AS first, max(last) AS last,
       bool_or(read_only_events) AS read_only_events, bool_or(write_events) AS write_events,
       bool_or(data_events) AS data_events
FROM covered_hours GROUP BY 1, 2 ORDER BY account NULLS FIRST, region NULLS FIRST"""
_COMMERCIAL = "us-east-1"
_PARTITIONED = {one.rsplit("-", 2)[0]: one for one in IAM_REGIONS - {_COMMERCIAL}}
"""
The region of IAM in partitions other than the commercial one, by how their regions' names begin.

`us-gov-east-1` is of `us-gov`, `cn-northwest-1` of `cn`; no commercial region has a name that begins so (the SDK's list
of partitions).
"""
_LATE = timedelta(hours=1)
"""Logs come within some minutes, and now and then later: no more is said of the last hour."""


def coverage(engine: Engine) -> tuple[Coverage, ...]:
    """Coverage by account and region, of an engine that knows the derived database."""
    clock = cache(_at)  # an organisation's thousands of regions fall silent in the same few hundred hours
    return tuple(
        Coverage(
            account=row["account"],
            region=row["region"],
            first=_at(row["first"]),
            last=_at(row["last"]),
            hours_seen=len(row["hours"]),
            gaps=_gaps(row["hours"], clock),
            read_only_events=row["read_only_events"],
            write_events=row["write_events"],
            data_events=row["data_events"],
        )
        for row in engine.rows(_ORDERED)
    )


def _gaps(hours: Sequence[int], clock: Callable[[int], datetime]) -> tuple[HourGap, ...]:
    return tuple(
        HourGap(start=clock((before + 1) * 3600), end=clock(after * 3600))
        for before, after in pairwise(hours)
        if after > before + 1
    )


def warnings(covered: Iterable[Coverage]) -> tuple[str, ...]:
    """What the evidence lacks, in words."""
    accounts: dict[str | None, list[Coverage]] = {}
    for one in covered:
        accounts.setdefault(one.account, []).append(one)
    found = []
    for account, regions in sorted(accounts.items(), key=lambda item: item[0] or ""):
        name = account or "unknown account"
        if not any(one.read_only_events for one in regions):
            found.append(
                f"{name}: no read-only management events. AssumeRole, AssumeRoleWithSAML and AssumeRoleWithWebIdentity "
                "are logged as read-only, so they are missing: sessions will seem to come from nowhere."
            )
        if not any(one.write_events for one in regions):
            found.append(
                f"{name}: no management events that change anything. What made or ended keys, tokens, users and "
                "policies, GetSessionToken too, would not show: what seems to work may have been ended."
            )
        elif not any(one.region in IAM_REGIONS for one in regions):
            found.append(
                f"{name}: no events of the region where changes of IAM are logged, {_iam_region(regions)}. What made "
                "or ended keys, users and policies would not show: what seems to work may have been ended."
            )
        if not any(one.data_events for one in regions):
            found.append(f"{name}: no data events. Reads of S3 objects and the like would not show.")
    return tuple(found)


def gaps(covered: Iterable[Coverage], accounts: set[str]) -> tuple[Gap, ...]:
    """What an answer about some accounts lacks."""
    concerned = [one for one in covered if one.account in accounts]
    found = [
        Gap(
            account=one.account,
            region=one.region,
            start=gap.start,
            end=gap.end,
            why="no events in these hours",
            kind="silent_hours",
        )
        for one in concerned
        for gap in one.gaps
    ]
    for account in sorted(accounts):
        own = [one for one in concerned if one.account == account]
        if not own:
            found.append(
                Gap(account=account, region=None, start=None, end=None, why="no evidence of this account")
            )
            continue
        first, last = min(one.first for one in own), max(one.last for one in own)
        if not any(one.read_only_events for one in own):
            found.append(
                Gap(account=account, region=None, start=first, end=last,
                    why="no read-only management events: AssumeRole calls are missing")
            )  # fmt: skip
        if not any(one.write_events for one in own):
            found.append(
                Gap(account=account, region=None, start=first, end=last,
                    why="no management events that change anything: what made or ended keys, tokens and policies does "
                        "not show")
            )  # fmt: skip
        elif not any(one.region in IAM_REGIONS for one in own):
            found.append(
                Gap(account=account, region=None, start=first, end=last,
                    why=f"no events of the region where changes of IAM are logged, {_iam_region(own)}: what made or "
                        "ended keys, users and policies does not show")
            )  # fmt: skip
        if not any(one.data_events for one in own):
            found.append(
                Gap(account=account, region=None, start=first, end=last, kind="no_data_events",
                    why="no data events: reads of S3 objects and the like do not show")
            )  # fmt: skip
    return tuple(found)


def _iam_region(covered: Iterable[Coverage]) -> str:
    """Where changes of IAM are logged, by the partition that an account's regions are of."""
    told = {_PARTITIONED.get(one.region.rsplit("-", 2)[0]) for one in covered if one.region}
    return (told.pop() if len(told) == 1 else None) or f"such as {_COMMERCIAL}"


def ended(covered: Sequence[Coverage], accounts: set[str], as_of: datetime) -> tuple[Gap, ...]:
    """Where the evidence ends, if that is long before the moment of the answer: what works then may have been ended."""
    if as_of - max((one.last for one in covered), default=as_of) <= _LATE:
        return ()
    last = {account: [one.last for one in covered if one.account == account] for account in sorted(accounts)}
    return tuple(
        Gap(account=account, region=None, start=max(own), end=as_of,
            why="the evidence ends before the moment of the answer: what was done, minted and ended since is not in it")
        for account, own in last.items() if own
    )  # fmt: skip


def weightiest_first(found: Iterable[Gap]) -> tuple[Gap, ...]:
    """What kinds of evidence and whose origin is missing, then silent hours, the longest first: there may be many."""
    return tuple(sorted(found, key=_weight))


def _weight(one: Gap) -> tuple[bool, timedelta]:
    if one.kind != "silent_hours" or one.start is None or one.end is None:
        return False, timedelta()
    return True, one.start - one.end


def left_out(sentences: Iterable[str], kind: GapKind = "missing_log") -> tuple[Gap, ...]:
    """What the evidence leaves out, as gaps of whatever accounts."""
    return tuple(
        Gap(account=None, region=None, start=None, end=None, why=one, kind=kind) for one in sentences
    )


def _at(seconds: int) -> datetime:
    found = moment(seconds)
    if found is None:
        raise damaged(f"{seconds} is no time that a calendar has")
    return found
