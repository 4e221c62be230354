"""
A case in a bucket, and its mirror: a case folder of this machine, with as much of the case as was needed so far.

Nearly all files of a case never change. So `download` fetches the segments that the mirror lacks, and `upload` puts
those that the bucket lacks. Evidence is fetched only when a raw record is asked for. A segment that was in the bucket
and is gone from there no longer counts here either; one that was never there is put by the next upload.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tokentrail.errors import CaseError, CaseReplaced
from tokentrail.events.columns import TABLES
from tokentrail.store import keys, uploading
from tokentrail.store.evidence_read import Location
from tokentrail.store.folder import (
    CaseFolder,
    OlderFormat,
    lay_out,
    manifest_of,
    marker_text,
    write_atomically,
)
from tokentrail.store.interface import Bucket, Manifest, StoredObject
from tokentrail.store.layers import FOR_LINKING, LAYERS, can_be_linked, hard_link, read_layers
from tokentrail.store.place import on_s3
from tokentrail.store.segment import is_part

_MARKS = "mirrored"
"""The folder in a mirror that names its bucket, and marks the segments that the bucket has or had."""
_GONE = "gone."
"""The beginning of the name, there, of the manifest of a segment that is gone from the bucket."""
_PLACE = "TOKENTRAIL_MIRRORS"
_FEW = 1_000
"""Names that are looked at before a case is started among them."""


def opened(bucket: Bucket, *, create: bool) -> CaseFolder:
    """
    Open the mirror of a case in a bucket, with all that is there now; or start one in a place that is empty.

    Raises:
        CaseError: there is no case, something else is there, the bucket can't be reached, or the mirror not be made.
    """
    text = bucket.read(keys.CASE) or (_started(bucket) if create else None)
    if text is None:
        raise CaseError(
            f"{bucket.uri}: no case here. Start one with `tokentrail ingest SOURCE --case {bucket.uri}`."
        )
    path = _root() / hashlib.sha256(bucket.uri.encode() + b"\n" + text).hexdigest()[:24]
    try:
        lay_out(path)
        (path / _MARKS).mkdir(mode=0o700, exist_ok=True)
        write_atomically(path / _MARKS / "uri", bucket.uri.encode())
        write_atomically(path / keys.CASE, text)
    except OSError as error:
        raise CaseError(
            f"{path}: the mirror of {bucket.uri} can't be made here ({error.strerror}). Name another folder for "
            f"mirrors with {_PLACE}."
        ) from error
    try:
        folder = CaseFolder.open(path, create=False)
    except OlderFormat as error:
        raise CaseError(
            f"{bucket.uri}: {error} In a bucket it can't be updated: copy it (`aws s3 sync {bucket.uri} DIR`), open "
            "the copy (`tokentrail status --case DIR`), which updates it, and sync the copy to another prefix."
        ) from error
    except CaseError as error:
        raise CaseError(f"{bucket.uri}: {error}") from error
    folder.mirror = Mirror(bucket, folder, text)
    folder.mirror.download_all()
    return folder


def mirrored_by(path: Path) -> str | None:
    """The URI of the case that a folder is the mirror of, if it is one."""
    try:
        uri = Location(str(path / _MARKS / "uri")).read().decode()
        return uri if on_s3(uri) else None
    except (OSError, ValueError, CaseError):
        return None


def aside(bucket: Bucket, path: Path) -> CaseFolder:
    """
    A case folder for one task, known as the case in a bucket is, and with nothing of it.

    Raises:
        CaseError: the case is gone.
    """
    text = bucket.read(keys.CASE)
    if text is None:
        raise CaseError(f"{bucket.uri}: no case here any more.")
    lay_out(path)
    write_atomically(path / keys.CASE, text)
    return CaseFolder.open(path, create=False)


def manifests_in(bucket: Bucket) -> list[Manifest]:
    """The manifests of all segments of a bucket that count."""
    names, _ = keys.segments_in(bucket)
    found = [one for _, one in _manifests(bucket, names)]
    replaced = {name for one in found for name in one.replaces}
    return [one for one in found if one.segment not in replaced]


class Mirror:
    """Keeps a mirror and its bucket in step."""

    def __init__(self, bucket: Bucket, folder: CaseFolder, marker: bytes) -> None:
        self.bucket = bucket
        self._marker = marker
        """The content of `case.json` in the bucket, by which another case in its place is noticed."""
        self.foreign = 0
        """How many names among the manifests in the bucket are not TokenTrail's."""
        self._folder = folder
        self._marks = uploading.Marks(folder.path / _MARKS)
        self._downloaded = 0.0

    def download(self, older_than: float = 0.0) -> None:
        """
        Fetch the segments and notes that the bucket has and this folder has not.

        Args:
            older_than: Only if it was last done longer ago than so many seconds.

        Raises:
            CaseReplaced: another case is there by now.
            CaseError: no case is there any more, or it can't be reached.
        """
        if older_than and time.monotonic() - self._downloaded < older_than:
            return
        self._see()
        self.download_all()

    def _see(self) -> None:
        """Check that the bucket still holds this case, so that nothing of another one is mixed in."""
        text = self.bucket.read(keys.CASE)
        if text is None:
            raise CaseError(
                f"{self.bucket.uri}: no case is there any more. Once it is there again, ask again."
            )
        if text != self._marker:
            raise CaseReplaced(f"{self.bucket.uri}: another case is there by now. Open it anew.")

    def download_all(self) -> None:
        """Download from a bucket that was just seen to hold this case."""
        with self._writing(self._folder.path):
            self._download_all()

    def _download_all(self) -> None:
        had = {one for one in self._folder.published() if self._marks.has(one)}
        names, self.foreign = keys.segments_in(self.bucket)
        there = set(names)
        for gone in had - there:
            with suppress(FileNotFoundError):  # another process does the same
                (self._folder.path / keys.manifest_key(gone)).replace(
                    self._folder.path / _MARKS / f"{_GONE}{gone}"
                )
        here = self._folder.published()
        replaced = {name for one in self._folder.snapshot().manifests for name in one.replaces}
        new = list(_manifests(self.bucket, sorted(there - here - replaced)))
        replaced.update(name for _, one in new for name in one.replaces)
        new = [pair for pair in new if pair[1].segment not in replaced]
        # Something of what was fetched before may be gone, as from a place that the system tidies.
        older = [one.segment for one in self._folder.snapshot().manifests if one.segment in there]
        self._fetch_parts([*older, *(one.segment for _, one in new)])
        for text, one in new:
            write_atomically(self._folder.path / keys.manifest_key(one.segment), text)
        for name in there:
            self._marks.set(name)
        self._download_notes()
        if new or had - there:
            with suppress(OSError):  # another process tidies as well
                self._folder.tidy()  # else only who ingests would
        self._downloaded = time.monotonic()

    def _fetch_parts(self, segments: Sequence[str]) -> None:
        """Fetch segments whole, each before its manifest."""
        parts = {keys.part_key(segment, table): table for segment in segments for table in TABLES}
        wanted = [key for key in parts if not _holds_bytes(self._folder.path / key)]
        for key in wanted:
            (self._folder.path / key).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for key, found in zip(wanted, uploading.each(self._fetched, wanted), strict=True):
            if not found or not is_part(self._folder.path / key, parts[key]):
                (self._folder.path / key).unlink(missing_ok=True)
                told = "is damaged" if found else "is missing, though its segment's manifest is there"
                raise CaseError(
                    f"{self.bucket.uri}/{key}: {told}. Run the same command again; if it stays so, remove "
                    f"{keys.manifest_key(key.split('/')[1])} and ingest its logs again."
                )

    def _fetched(self, key: str, to: Path | None = None) -> bool:
        path = to or self._folder.path / key
        with self._writing(path):
            return self.bucket.fetch(key, path)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CaseError(
                f"{path}: what {self.bucket.uri} holds can't be written here ({error.strerror}). Make room, or name "
                f"another folder for mirrors with {_PLACE}."
            ) from error

    def _download_notes(self) -> None:
        """Have notes as they are there, but for those that were changed here and not given yet."""
        folder = self._folder.path / "notes"
        folder.mkdir(mode=0o700, exist_ok=True)
        named = (keys.NOTE.fullmatch(one.key) for one in self.bucket.listed("notes/"))
        there = {match[1] for match in named if match}
        for name in there.union(path.stem for path in folder.glob("*.json")):
            path, known = folder / f"{name}.json", self._marks.of_note(name)
            if uploading.digest_of(path) not in (known, None):
                continue
            text = self.bucket.read(f"notes/{name}.json") if name in there else None
            if text is not None:
                write_atomically(path, text)
                self._marks.set_note(name, hashlib.sha256(text).hexdigest())
            elif known is not None:
                path.unlink(missing_ok=True)

    def fetch_evidence(self, objects: Iterable[StoredObject]) -> None:
        """Fetch the bytes of some evidence objects; what the bucket lacks is left to whoever misses it."""
        wanted = dict.fromkeys(
            keys.evidence_key(one.sha256, one.pack) for one in objects if one.reference is None
        )
        missing = [key for key in wanted if key is not None and not (self._folder.path / key).exists()]
        for key in missing:
            (self._folder.path / key).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for _ in uploading.each(self._fetched, missing):
            pass

    def fetch_derived(self, name: str) -> None:
        """Fetch what was derived from exactly these segments, if anybody gave it, but for what only an ingest needs."""
        files = uploading.derived_files(self.bucket, name)
        wanted = {path: sha256 for path, sha256 in files.items() if not _for_linking(path)}
        if not wanted:
            return
        fresh = self._folder.new_derived()
        try:
            whole = self._fetch_files(fresh, wanted)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        if whole:
            self._folder.place_derived(fresh, name)
        else:
            shutil.rmtree(fresh, ignore_errors=True)  # tidied away meanwhile, or damaged

    def fetch_layers(self, derived: Path) -> None:
        """Fetch the rest of what was derived: an ingest goes on from that."""
        if (layers := read_layers(derived)) and can_be_linked(derived, layers):
            return
        files = uploading.derived_files(self.bucket, derived.name)
        self._fetch_files(derived, {path: one for path, one in files.items() if _for_linking(path)})

    def _fetch_files(self, into: Path, wanted: Mapping[str, str]) -> bool:
        """Fetch derived files into a folder, by path and SHA-256. Returns whether all of them are there."""
        for path in wanted:
            with self._writing(into / path):
                (into / path).parent.mkdir(mode=0o700, exist_ok=True)
        return all(list(uploading.each(self._fetch_file, [into / path for path in wanted], wanted.values())))

    def _fetch_file(self, path: Path, sha256: str) -> bool:
        if uploading.digest_of(path) == sha256:
            return True
        for one in self._folder.path.glob(f"derived/*/{LAYERS}/{path.name}"):  # an earlier ingest's
            with suppress(OSError):
                if uploading.digest_of(one) == sha256:
                    path.unlink(missing_ok=True)
                    hard_link(one, path)
                    return True
        self._fetched(f"tables/{sha256}", path)
        return uploading.digest_of(path) == sha256

    def unshared(self) -> list[StoredObject]:
        """The evidence that counts here alone, as it could not be put into the bucket yet."""
        new = (one for one in self._folder.snapshot().manifests if not self._marks.has(one.segment))
        return [each for one in new for each in one.objects]

    def lost(self) -> list[StoredObject]:
        """The evidence that this folder had from the bucket, which holds it no more."""
        known = self._folder.snapshot().objects()
        gone: dict[str, StoredObject] = {}
        for path in sorted((self._folder.path / _MARKS).glob(f"{_GONE}*")):
            with suppress(OSError, ValueError):
                manifest = manifest_of(path.read_bytes(), path.name.removeprefix(_GONE))
                gone.update((one.sha256, one) for one in manifest.objects if one.sha256 not in known)
        return list(gone.values())

    def upload_new(self) -> None:
        """
        Put segments and notes into the bucket that are here and were never there.

        Raises:
            CaseReplaced: another case is there by now.
            CaseError: no case is there any more, or it can't be put there.
        """
        self._see()
        uploading.upload_new(self.bucket, self._folder, self._marks)

    def upload(self, derived: str | None = None) -> None:
        """
        Put into the bucket what this folder has and the bucket never had, and tidy up there.

        Args:
            derived: The name of the derived tables of what is visible now.
        """
        self.upload_new()
        if derived is not None:
            uploading.upload_derived(self.bucket, self._folder.path / "derived" / derived)
        uploading.tidy(self.bucket, derived)


def _for_linking(path: str) -> bool:
    """Whether a derived file is one of a layer that only an ingest needs; answers need the others."""
    folder, _, name = path.rpartition("/")
    return folder == LAYERS and name.partition(".")[2] in FOR_LINKING


def _holds_bytes(path: Path) -> bool:
    """Whether a file is there, and was not left empty by a machine that lost its power."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _started(bucket: Bucket) -> bytes | None:
    """Start a case; of two that do so at once, the first one's stands."""
    listed = bucket.listed("", most=_FEW)
    foreign = [one.key for one in listed if one.key and one.key.partition("/")[0] not in keys.OURS]
    if foreign:
        raise CaseError(
            f"{bucket.uri}: holds something that is no case. Choose a prefix that is empty, or that of a case."
        )
    bucket.put_new(keys.CASE, marker_text())
    return bucket.read(keys.CASE)


def _root() -> Path:
    """Where mirrors lie: beside what else programs keep that can be had again (XDG Base Directory Specification)."""
    if named := os.environ.get(_PLACE):
        return Path(named).absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    with suppress(RuntimeError):  # no home
        return (cache if cache.is_absolute() else Path.home() / ".cache") / "tokentrail" / "cases"
    raise CaseError(f"no home folder, in which mirrors of cases lie. Name a folder for them with {_PLACE}.")


def _manifests(bucket: Bucket, names: Sequence[str]) -> Iterator[tuple[bytes, Manifest]]:
    """The manifests of some segments, as they lie in a bucket; not those that were removed meanwhile."""
    for name, text in zip(
        names, uploading.each(lambda one: bucket.read(keys.manifest_key(one)), names), strict=True
    ):
        if text is None:
            continue
        try:
            yield text, manifest_of(text, name)
        except ValueError as error:
            raise CaseError(
                f"{bucket.uri}/{keys.manifest_key(name)}: damaged manifest ({error}). Remove it and ingest its logs "
                "again."
            ) from error
