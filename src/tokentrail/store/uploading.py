"""
Upload what is new in a mirror to its bucket, in an order that leaves a whole case wherever an upload is killed.

Evidence and columns are uploaded before the manifest that makes them visible, and derived tables before the file that
says they are complete. The next upload continues. Evidence is never removed from a bucket, nor anything else that is
less than a day old by the bucket's own clock.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from tokentrail.events.columns import TABLES
from tokentrail.store import keys
from tokentrail.store.folder import CaseFolder, write_atomically
from tokentrail.store.interface import Bucket, Manifest, Put
from tokentrail.store.layers import LAYERS
from tokentrail.store.received import document

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


def complete(bucket: Bucket, name: str) -> Iterator[tuple[str, list[str]]]:
    """The complete uploads of derived tables under a name: the prefix and the files of each."""
    found: dict[str, list[str]] = {}
    for one in bucket.listed(f"tables/{name}/"):
        if match := keys.DERIVED.fullmatch(one.key):
            found.setdefault(match[1], []).append(match[3])
    return ((prefix, files) for prefix, files in found.items() if keys.GROWN in files and _fits(files))


def _fits(files: Iterable[str]) -> bool:
    """Whether no file has the name of a folder that another file is in."""
    return {LAYERS, *(one.partition("/")[0] for one in files if "/" in one)}.isdisjoint(files)


def upload_derived(bucket: Bucket, folder: Path) -> None:
    """Upload derived tables, if nobody has; files of layers only once, however many derived tables share them."""
    if not (folder / keys.GROWN).exists() or next(complete(bucket, folder.name), None):
        return
    prefix = f"tables/{folder.name}/{secrets.token_hex(8)}"
    there = {one.key for one in bucket.listed("layers/")}
    layers: dict[str, str] = {}
    for path in sorted((folder / LAYERS).glob("*")):
        sha256 = digest_of(path) if keys.LAYER_FILE.fullmatch(path.name) else None
        if sha256 is not None:
            layers[path.name] = sha256
            if f"layers/{sha256}" not in there:
                bucket.put(f"layers/{sha256}", path)
    bucket.put(f"{prefix}/{keys.LAYER_FILES}", json.dumps(layers).encode())
    for path in sorted(one for one in folder.rglob("*") if one.is_file() and one.parent.name != LAYERS):
        name = path.relative_to(folder).as_posix()
        if name != keys.GROWN and keys.DERIVED.fullmatch(f"{prefix}/{name}"):
            bucket.put(f"{prefix}/{name}", path)
    bucket.put(f"{prefix}/{keys.GROWN}", (folder / keys.GROWN).read_bytes())


def layer_files(bucket: Bucket, prefix: str) -> dict[str, str]:
    """The files of layers that belong to derived tables, and their SHA-256; none if that can't be read."""
    try:
        found = document(bucket.read(f"{prefix}/{keys.LAYER_FILES}") or b"{}")
        if all(keys.LAYER_FILE.fullmatch(name) and keys.SHA256.fullmatch(one) for name, one in found.items()):
            return dict(found)
    except (ValueError, TypeError, AttributeError):
        pass
    return {}


def tidy(bucket: Bucket, derived: str | None) -> None:
    """
    Remove what nobody will read any more: parts of killed uploads, older derived tables, and their layers.

    Args:
        bucket: The bucket.
        derived: The name of the derived tables that are to stay; nothing derived is removed without it.
    """
    named, _ = keys.segments_in(bucket)
    parts, errands = bucket.listed("segments/"), bucket.listed("spark/")
    tables = bucket.listed("tables/") if derived is not None else ()
    layers = bucket.listed("layers/") if derived is not None else ()
    newest = max((one.changed for one in (*parts, *errands, *tables, *layers)), default=0.0)

    def old(one: Put) -> bool:
        return newest - one.changed > _ABANDONED_AFTER

    known = set(named)
    stale = [
        one.key
        for one in parts
        if old(one) and (match := keys.PART.fullmatch(one.key)) and match[1] not in known
    ]
    stale += [one.key for one in errands if old(one) and keys.ERRAND.fullmatch(one.key)]
    sets: dict[str, list[Put]] = {}
    for one in tables:
        if match := keys.DERIVED.fullmatch(one.key):
            sets.setdefault(match[1], []).append(one)
    gone = {
        prefix for prefix, files in sets.items() if all(map(old, files)) and prefix.split("/")[1] != derived
    }
    # What says that they are all there goes first: what is half removed is not complete.
    bucket.remove([f"{prefix}/{keys.GROWN}" for prefix in sorted(gone)])
    stale += [one.key for prefix in sorted(gone) for one in sets[prefix]]
    old_layers = [one for one in layers if old(one) and keys.LAYER.fullmatch(one.key)]
    if old_layers:
        wanted = {one for prefix in sets.keys() - gone for one in layer_files(bucket, prefix).values()}
        stale += [one.key for one in old_layers if one.key.removeprefix("layers/") not in wanted]
    bucket.remove(stale)
