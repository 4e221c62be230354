"""
Upload what is new in a mirror to its bucket, in an order that leaves a whole case wherever an upload is killed.

Evidence and columns are uploaded before the manifest that makes them visible, and derived files before the list that
names them. The next upload continues. Evidence is never removed from a bucket, nor anything else that is
less than a day old by the bucket's own clock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tokentrail.events.columns import TABLES
from tokentrail.store import keys
from tokentrail.store.evidence_read import document
from tokentrail.store.folder import CaseFolder, write_atomically
from tokentrail.store.interface import Bucket, Manifest, Put

_AT_ONCE = 16
"""Requests that are under way at a time: each waits for the network."""
_ABANDONED_AFTER = 24 * 3600
"""Seconds after which a file that no manifest names can't belong to an upload that is still running."""
Found = TypeVar("Found")


class Marks:
    """Marks of the segments that the bucket has or had: one file each, so that several processes may mark at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, segment: str) -> bool:
        """Whether a segment is or was in the bucket."""
        return (self._folder / segment).exists()

    def set(self, segment: str) -> None:
        """Note that a segment is in the bucket."""
        (self._folder / segment).touch(mode=0o600)

    def of_note(self, name: str) -> str | None:
        """The SHA-256 of a note as the bucket had it when it was last looked at."""
        try:
            return (self._folder / f"note.{name}").read_text()
        except OSError:
            return None

    def set_note(self, name: str, sha256: str) -> None:
        """Note how a note is in the bucket."""
        write_atomically(self._folder / f"note.{name}", sha256.encode())


def digest_of(path: Path) -> str | None:
    """The SHA-256 of a file; `None` where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def upload_new(bucket: Bucket, folder: CaseFolder, marks: Marks) -> None:
    """Put the segments that a bucket never had, and notes that were changed."""
    there, _ = keys.segments_in(bucket)
    for manifest in folder.snapshot().manifests:
        if not marks.has(manifest.segment):
            if manifest.segment not in there:
                upload_segment(bucket, folder, manifest)
            marks.set(manifest.segment)
    for path in sorted((folder.path / "notes").glob("*.json")):
        now = digest_of(path)
        if keys.NOTE.fullmatch(f"notes/{path.name}") and now is not None and now != marks.of_note(path.stem):
            bucket.put(f"notes/{path.name}", path.read_bytes())
            marks.set_note(path.stem, now)


def upload_segment(bucket: Bucket, folder: CaseFolder, manifest: Manifest) -> None:
    """Put a segment: its evidence, its columns, and in the end what makes it visible."""
    parts = [keys.part_key(manifest.segment, table) for table in TABLES]
    _put_all(bucket, folder, [*keys.evidence_keys(manifest), *parts])
    key = keys.manifest_key(manifest.segment)
    bucket.put(key, (folder.path / key).read_bytes())


def _put_all(bucket: Bucket, folder: CaseFolder, names: list[str]) -> None:
    for _ in each(lambda key: bucket.put(key, folder.path / key), names):
        pass


def each(work: Callable[..., Found], *things: Iterable[Any]) -> Iterator[Found]:
    """Do work on each of some things, several at a time; answers come in their order."""
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        yield from pool.map(work, *things)
    finally:
        pool.shutdown(cancel_futures=True)


def derived_files(bucket: Bucket, name: str) -> dict[str, str]:
    """The files of derived tables that the bucket lists under a name: the SHA-256 of each by its path; none if none."""
    try:
        found = document(bucket.read(f"tables/{name}.json") or b"{}")
        folders = {path.rpartition("/")[0] for path in found}
        if all(
            keys.DERIVED_PATH.fullmatch(path) and keys.SHA256.fullmatch(one) for path, one in found.items()
        ):
            return (
                dict(found) if folders.isdisjoint(found) else {}
            )  # no file has the name of another one's folder
    except (ValueError, TypeError, AttributeError):
        pass
    return {}


def upload_derived(bucket: Bucket, folder: Path) -> None:
    """Upload derived tables, if nobody has; a file that the bucket holds already is not put again."""
    if not (folder / "grown.json").exists():
        return
    there = {one.key for one in bucket.listed("tables/")}
    listed = derived_files(bucket, folder.name)
    if listed and there.issuperset(f"tables/{one}" for one in listed.values()):
        return
    files: dict[str, str] = {}
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        name, sha256 = path.relative_to(folder).as_posix(), digest_of(path)
        if sha256 is None or not keys.DERIVED_PATH.fullmatch(name):
            continue
        files[name] = sha256
        if f"tables/{sha256}" not in there:
            bucket.put(f"tables/{sha256}", path)
    bucket.put(f"tables/{folder.name}.json", json.dumps(files).encode())


def tidy(bucket: Bucket, derived: str | None) -> None:
    """
    Remove what nobody will read any more: parts of killed uploads, and older derived tables.

    Args:
        bucket: The bucket.
        derived: The name of the derived tables that are to stay; nothing derived is removed without it.
    """
    named, _ = keys.segments_in(bucket)
    parts, exchanged = bucket.listed("segments/"), bucket.listed("spark/")
    tables = bucket.listed("tables/") if derived is not None else ()
    newest = max((one.changed for one in (*parts, *exchanged, *tables)), default=0.0)

    def old(one: Put) -> bool:
        return newest - one.changed > _ABANDONED_AFTER

    known = set(named)
    stale = [
        one.key
        for one in parts
        if old(one) and (match := keys.PART.fullmatch(one.key)) and match[1] not in known
    ]
    stale += [one.key for one in exchanged if old(one) and keys.JOB_FILE.fullmatch(one.key)]
    lists = {match[1]: one for one in tables if (match := keys.DERIVED.fullmatch(one.key))}
    gone = {name for name, one in lists.items() if old(one) and name != derived}
    bucket.remove([lists[name].key for name in sorted(gone)])  # first, so that none names a file that is gone
    older = {
        match[1]: one.key for one in tables if old(one) and (match := keys.DERIVED_FILE.fullmatch(one.key))
    }
    if older:
        wanted = {one for name in lists.keys() - gone for one in derived_files(bucket, name).values()}
        stale += [key for sha256, key in older.items() if sha256 not in wanted]
    bucket.remove(stale)
