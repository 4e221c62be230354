"""Log files verified by their digests, and what the case remembers of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokentrail.errors import CaseError
from tokentrail.results import LogPeriod, LogVerification, UnlistedLog
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import StoredObject

if TYPE_CHECKING:
    from tokentrail.sources.interface import Access, Wanted

_NOTE = "digests"


def verify_logs(
    folder: CaseFolder,
    sources: Sequence[str],
    access: Access,
    wanted: Wanted,
    keys: Sequence[Path],
    progress: Callable[[int, int], None] | None,
) -> LogVerification:
    """Verify the log files of a case, and remember what that showed."""
    from tokentrail.sources.signatures import from_files  # loads the SDK, which other verbs do without
    from tokentrail.sources.verification import verify

    if folder.mirror is not None:
        folder.mirror.download()
    found = verify(sources, access, wanted, _held(folder), from_files(keys), progress)
    periods = tuple(LogPeriod(**asdict(one)) for one in found.periods)
    _remember(folder, periods, [UnlistedLog(**asdict(one)) for one in found.unlisted])
    if folder.mirror is not None:
        folder.mirror.upload_new()
    return LogVerification(
        periods=periods,
        digests=found.digests,
        files=sum(one.files for one in periods),
        unlisted=tuple(one.name for one in found.unlisted),
        said=found.said,
    )


def noted(folder: CaseFolder) -> tuple[tuple[LogPeriod, ...], tuple[UnlistedLog, ...]]:
    """
    What digests proved of a case, and its log files that no digest of their hours knows, as remembered.

    Raises:
        CaseError: the case's note of it is damaged.
    """
    note = folder.note(_NOTE) or {"periods": ()}
    try:
        return (
            tuple(_period(one) for one in note["periods"]),
            tuple(_unlisted(one) for one in note.get("unlisted", ())),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CaseError(
            "the case's note of what digests prove is damaged. Run `tokentrail verify-logs` again."
        ) from error


def _held(folder: CaseFolder) -> Iterator[Any]:
    from tokentrail.sources.verification import HeldObject

    for one in folder.snapshot().objects().values():
        yield HeldObject(one.name, partial(_read, folder, one))


def _read(folder: CaseFolder, stored: StoredObject) -> bytes:
    """Where it lies is asked when it is read: in a bucket, for one."""
    return folder.locate(stored).read()


def _remember(folder: CaseFolder, fresh: Sequence[LogPeriod], strays: Sequence[UnlistedLog]) -> None:
    """Keep what is proven now; of other accounts, regions and times, what was proven before."""
    spans: dict[tuple[str, str], list[datetime]] = {}
    for one in fresh:
        spans.setdefault((one.account, one.region), []).extend((one.start, one.end))
    try:
        before, strayed = noted(folder)
    except CaseError:  # damaged, and worked out anew by that
        before, strayed = (), ()
    kept = [
        one
        for one in before
        if (span := spans.get((one.account, one.region))) is None
        or one.end <= min(span)
        or one.start >= max(span)
    ]
    together = sorted([*kept, *fresh], key=lambda one: (one.account, one.region, one.start, one.end))
    unlisted = {
        one.name: one
        for one in strayed
        if (span := spans.get((one.account, one.region))) is None or not min(span) <= one.written <= max(span)
    } | {one.name: one for one in strays}
    folder.place_note(
        _NOTE,
        {
            "periods": [_plain(asdict(one)) for one in together],
            "unlisted": [_plain(asdict(unlisted[name])) for name in sorted(unlisted)],
        },
    )


def _plain(one: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in one.items()}


def _period(one: Mapping[str, Any]) -> LogPeriod:
    found = {one.name for one in fields(LogPeriod)}
    values = {name: value for name, value in one.items() if name in found}
    values |= {name: datetime.fromisoformat(one[name]) for name in ("start", "end")}
    return LogPeriod(**{**values, "why": tuple(one["why"])})


def _unlisted(one: Mapping[str, Any]) -> UnlistedLog:
    return UnlistedLog(**{**one, "written": datetime.fromisoformat(one["written"])})
