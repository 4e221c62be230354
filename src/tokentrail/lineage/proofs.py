"""What CloudTrail's digests prove of the evidence: by account and region, and where an answer rests on less."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from tokentrail.lineage.model import Gap
from tokentrail.results import Coverage, LogPeriod, UnlistedLog

_WHY = {
    "altered": "log files or digests of these hours were altered (tokentrail verify-logs)",
    "missing": "log files or digests of these hours are missing (tokentrail verify-logs)",
}


_DELIVERED = timedelta(hours=1)
"""
The digest of an hour lists what was delivered in it, so that of the next one tells of this hour's last calls, too (AWS
CloudTrail User Guide, 'CloudTrail digest file structure'; 'How CloudTrail works': delivery takes minutes).
"""


def proven(
    covered: Iterable[Coverage], periods: Sequence[LogPeriod], unlisted: Sequence[UnlistedLog]
) -> tuple[Coverage, ...]:
    """The same coverage, with what the digests prove of it."""
    return tuple(
        replace(one, digest=told and f"{told}{_strays(one, unlisted)}")
        for one in covered
        for told in [_digest(one, periods)]
    )


def _strays(one: Coverage, unlisted: Sequence[UnlistedLog]) -> str:
    own = sum((stray.account, stray.region) == (one.account, one.region) for stray in unlisted)
    return f"; no digest knows {_files(own)} of the case" if own else ""


def _files(number: int) -> str:
    return f"{number:,} log file{'s' if number > 1 else ''}"


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
        return f"partial: the case lacks {_files(lacking)} of these hours"
    word = "complete" if _reached(own, one.first) >= one.last else "partial"
    return f"{word}, by {'signature' if all(period.proof == 'signature' for period in own) else 'hash chain'}"


def _hours(period: LogPeriod) -> int:
    return max(1, round((period.end - period.start).total_seconds() / 3600))


def _reached(periods: Sequence[LogPeriod], first: datetime) -> datetime:
    """Until when periods follow each other from a moment on without a hole."""
    reached = first
    for one in sorted(periods, key=lambda one: one.start):
        if one.start > reached:
            break
        reached = max(reached, one.end)
    return reached


def gaps(
    periods: Iterable[LogPeriod], unlisted: Iterable[UnlistedLog], accounts: set[str]
) -> tuple[Gap, ...]:
    """What an answer about some accounts lacks, by their digests."""
    unproven = tuple(
        Gap(account=one.account, region=one.region, start=one.start, end=one.end, why=_WHY[one.verdict])
        for one in periods
        if one.account in accounts and one.verdict in _WHY
    )
    strays: dict[tuple[str, str], list[datetime]] = {}
    for one in unlisted:
        if one.account in accounts:
            strays.setdefault((one.account, one.region), []).append(one.written)
    return unproven + tuple(
        Gap(account=account, region=region, start=min(written), end=max(written),
            why=f"no digest of these hours knows {_files(len(written))} of the case: written by another trail, without "
                "digests, or by anybody (tokentrail verify-logs)")
        for (account, region), written in sorted(strays.items())
    )  # fmt: skip


def but_quiet(found: Iterable[Gap], periods: Iterable[LogPeriod]) -> tuple[Gap, ...]:
    """The gaps, without hours of silence of which digests prove that nothing was delivered that the case lacks."""
    whole = [one for one in periods if one.verdict == "complete" and not one.not_in_case]
    return tuple(one for one in found if not whole or one.kind != "silent_hours" or not _quiet(one, whole))


def _quiet(one: Gap, whole: Sequence[LogPeriod]) -> bool:
    if one.start is None or one.end is None:
        return False
    own = [period for period in whole if (period.account, period.region) == (one.account, one.region)]
    return _reached(own, one.start) - one.end >= _DELIVERED
