"""What CloudTrail's digests prove of the evidence: by account and region, and where an answer rests on less."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from tokentrail.lineage.model import Gap
from tokentrail.results import Coverage, LogPeriod

_WHY = {
    "altered": "log files or digests of these hours were altered (tokentrail verify-logs)",
    "missing": "log files or digests of these hours are missing (tokentrail verify-logs)",
}


def proven(covered: Iterable[Coverage], periods: Sequence[LogPeriod]) -> tuple[Coverage, ...]:
    """The same coverage, with what the digests prove of it."""
    return tuple(replace(one, digest=_digest(one, periods)) for one in covered)


def _digest(one: Coverage, periods: Sequence[LogPeriod]) -> str | None:
    own = [
        period
        for period in periods
        if (period.account, period.region) == (one.account, one.region)
        and period.end > one.first and period.start <= one.last
    ]  # fmt: skip
    if not own:
        return None
    for verdict in ("altered", "missing"):
        hours = sum(_hours(period) for period in own if period.verdict == verdict)
        if hours:
            return f"{verdict}: {hours} hour{'s' if hours > 1 else ''}"
    lacking = sum(period.not_in_case for period in own)
    if lacking:
        return f"partial: the case lacks {lacking} log file{'s' if lacking > 1 else ''} of these hours"
    word = "complete" if _covers(own, one.first, one.last) else "partial"
    return f"{word}, by {'signature' if all(period.proof == 'signature' for period in own) else 'hash chain'}"


def _hours(period: LogPeriod) -> int:
    return max(1, round((period.end - period.start).total_seconds() / 3600))


def _covers(periods: Sequence[LogPeriod], first: datetime, last: datetime) -> bool:
    reached = first
    for one in sorted(periods, key=lambda one: one.start):
        if one.start > reached:
            return False
        reached = max(reached, one.end)
    return reached >= last


def gaps(periods: Iterable[LogPeriod], accounts: set[str]) -> tuple[Gap, ...]:
    """What an answer about some accounts lacks, by their digests."""
    return tuple(
        Gap(account=one.account, region=one.region, start=one.start, end=one.end, why=_WHY[one.verdict])
        for one in periods
        if one.account in accounts and one.verdict in _WHY
    )
