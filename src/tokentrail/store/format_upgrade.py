"""
Upgrade of a case of an older format: segments that lack columns are made anew from the case's own evidence.

Each new segment becomes visible by a manifest that names the segment whose place it takes. So each record counts once
at any moment, and a killed upgrade goes on where it stopped. The case has its new format only once all of that is done.
Evidence is read where it lies and never written. The new manifest lists the same objects in the same order, with the
same hashes, names and sources, and bears the time at which they came in.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from tokentrail.errors import CaseError
from tokentrail.events.columns import TABLES
from tokentrail.events.gunzip import UNRECORDED_BOUND
from tokentrail.events.kernel import Segment
from tokentrail.store.evidence_read import document, received
from tokentrail.store.folder import FORMAT, CaseFolder, OlderFormat, segment_name, write_atomically
from tokentrail.store.freed_memory import without_collection
from tokentrail.store.ingest import IN_PROCESS_BYTES, prepare_worker
from tokentrail.store.interface import Manifest, StoredObject
from tokentrail.store.segment import is_part, write_segment
from tokentrail.store.workers import WorkerLost, shared

Progress = Callable[[int, int], None]


def upgrade(older: OlderFormat, progress: Progress | None = None) -> CaseFolder:
    """
    Bring a case to the format of this version, and open it.

    Args:
        older: The case, as `CaseFolder.open` refused it.
        progress: Called with bytes of evidence read and bytes in all.

    Raises:
        CaseError: nothing can be written here, or evidence of a segment that lacks columns is gone or changed.
    """
    folder = CaseFolder(older.path.absolute(), older.case_id)
    if not (folder.writable and os.access(folder.path, os.W_OK)):
        raise CaseError(
            f"{older} Nothing can be written here, so it can't be updated. Copy it to where you can write, and name "
            "the copy with --case: it is updated when it is opened."
        )
    try:
        with _locked(folder.path / "case.json"):
            if _format(folder) != FORMAT:
                _make_segments_anew(folder, progress)
                _set_format(folder)
                _remove_replaced(folder)
    except OSError as error:
        raise CaseError(
            f"{older} It can't be updated here ({error.strerror or error}). What is done is kept: run the same "
            "command again to go on."
        ) from error
    return CaseFolder.open(folder.path, create=False)


@contextmanager
def _locked(marker: Path) -> Iterator[None]:
    """Wait for another process that upgrades the same case; where the file system has no locks, go on without one."""
    with marker.open("rb") as file:
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)  # let go of when the file is closed, or the process killed
        yield


def _make_segments_anew(folder: CaseFolder, progress: Progress | None) -> None:
    manifests = folder.snapshot().manifests
    lacking = [one for one in manifests if not _has_all_columns(folder.segment(one.segment))]
    total = sum(map(_size, lacking))
    largest_first = sorted(lacking, key=_size, reverse=True)
    processes = os.cpu_count() or 1 if total >= IN_PROCESS_BYTES else 1
    work = partial(_make_anew, folder.path, folder.case_id, folder.published())
    done = 0
    if progress and total:
        progress(0, total)
    try:
        for size in shared(work, largest_first, processes=processes, prepare=prepare_worker):
            done += size
            if progress:
                progress(done, total)
    except WorkerLost as error:
        raise CaseError(
            f"{folder.path}: a process that updates the case was killed (out of memory?). What is done is kept: run "
            "the same command again to go on."
        ) from error


def _has_all_columns(segment: Path) -> bool:
    return all(is_part(segment / f"{name}.parquet", name) for name in TABLES)


def _size(manifest: Manifest) -> int:
    return sum(one.size for one in manifest.objects)


def _make_anew(path: Path, case_id: str, published: frozenset[str], old: Manifest) -> int:
    """Make one segment anew, and publish it in place of the old one. Returns the bytes of its evidence."""
    folder = CaseFolder(path, case_id)
    number = _number_after(int(old.segment, 16), published)
    objects = []
    with without_collection():
        segment = Segment(number)
        for stored in old.objects:
            segment.bound = stored.bound or UNRECORDED_BOUND
            summary = segment.add(_evidence(folder, old, stored))
            objects.append(
                replace(
                    stored,
                    records=summary.records,
                    rejected=summary.rejected,
                    carriers=tuple(sorted(summary.carriers)),
                )
            )
        target = folder.segment(segment_name(number))
        aside = target.with_name(f".{secrets.token_hex(8)}")
        write_segment(segment.tables(), aside)
    _place(aside, target)
    received_at = (path / "manifests" / f"{old.segment}.json").stat().st_mtime_ns
    folder.publish(
        Manifest(segment=segment_name(number), objects=tuple(objects), replaces=(old.segment, *old.replaces)),
        received_at=received_at,
    )
    return _size(old)


def _number_after(old: int, published: frozenset[str]) -> int:
    """The next free number: the order of segments, which decides between copies of a record, stays what it was."""
    number = old + 1
    while segment_name(number) in published:
        number += 1
    return number


def _evidence(folder: CaseFolder, old: Manifest, stored: StoredObject) -> bytes:
    try:
        return received(folder.locate(stored), stored.sha256)
    except CaseError as error:
        manifest = folder.path / "manifests" / f"{old.segment}.json"
        records = sum(one.records for one in old.objects)
        raise CaseError(
            f"{folder.path}: can't be updated, as the evidence of {stored.name} is not what was read. {error} Put it "
            f"back and run the same command again; or remove {manifest} to go on without the {records:,} records of "
            "its segment."
        ) from error


def _place(aside: Path, target: Path) -> None:
    """Put a segment's folder in place; one that is there already was made from the same evidence."""
    try:
        aside.rename(target)
    except OSError:
        if not _has_all_columns(target):
            shutil.rmtree(target, ignore_errors=True)
            aside.rename(target)
        else:
            shutil.rmtree(aside, ignore_errors=True)


def _format(folder: CaseFolder) -> int:
    return int(document((folder.path / "case.json").read_bytes())["format"])


def _set_format(folder: CaseFolder) -> None:
    marker = folder.path / "case.json"
    write_atomically(marker, json.dumps({**document(marker.read_bytes()), "format": FORMAT}).encode())


def _remove_replaced(folder: CaseFolder) -> None:
    """Remove segments whose place others have taken; what can't be removed counts no more all the same."""
    for manifest in folder.snapshot().manifests:
        for old in manifest.replaces:
            shutil.rmtree(folder.segment(old), ignore_errors=True)
            with suppress(OSError):
                (folder.path / "manifests" / f"{old}.json").unlink(missing_ok=True)
