"""
The case folder: evidence by hash, segments of columns, manifests that make them visible.

    case.json            what this folder is
    objects/ab/cdef…     evidence as received, named by its SHA-256
    objects/packs/       small evidence objects, those of a segment in one tar archive, by their SHA-256 too
    segments/<id>/       Parquet parts of one segment
    manifests/<id>.json  put in place by rename; a segment without one does not exist
    notes/<name>.json    small documents beside the evidence: how far a source was read, what its digests prove
    watch/               which findings `tokentrail watch` has told, what it has judged, and how far it is
    derived/<hash>/      tables worked out from the segments whose fingerprint it bears; can be deleted at any time

Nothing else is state, so a killed writer leaves a whole case, and readers and writers never wait for each other.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tokentrail.errors import CaseError
from tokentrail.events.columns import SCHEMA_VERSION
from tokentrail.store import path_safety
from tokentrail.store.evidence_read import Location, document
from tokentrail.store.interface import Manifest, Snapshot, StoredObject
from tokentrail.store.keys import SEGMENT
from tokentrail.store.pack import SMALL, Pack
from tokentrail.store.place import folder_of
from tokentrail.store.tidying import forget_databases, tidy

if TYPE_CHECKING:
    from tokentrail.store.mirror import Mirror

FORMAT = 5
_decode_manifest = msgspec.json.Decoder(Manifest).decode
_COUNT = itertools.count()
_MARK = secrets.token_hex(4)
"""With the process and the count, a name that no other writer gives a file, on whichever machine it runs."""


class OlderFormat(CaseError):
    """A case of an older format, which `store.format_upgrade` brings to this one."""

    def __init__(self, path: Path, case_id: str, version: int) -> None:
        super().__init__(f"{path}: a case of format {version}; this TokenTrail reads format {FORMAT}.")
        self.path = path
        self.case_id = case_id


class CaseFolder:
    """A case on disk."""

    def __init__(self, path: Path, case_id: str) -> None:
        self.path = path
        self.case_id = case_id
        self.is_own = True
        """Whether it may be written; see `store.path_safety`."""
        self.mirror: Mirror | None = None
        """What fetches the rest, if this folder stands for a case that lies in a bucket."""
        self._known: dict[str, Manifest] = {}
        self._last: tuple[list[str], Snapshot] | None = None
        self._objects, self._segments, self._visible = (
            str(path / name) for name in ("objects", "segments", "manifests")
        )

    @classmethod
    def open(cls, path: Path, *, create: bool = True) -> CaseFolder:
        """
        Open a case, or start one in an empty or new folder.

        Args:
            path: The folder, or its `file:` URI.
            create: Start one where there is none.

        Raises:
            OlderFormat: its format is older.
            CaseError: there is no case at `path`, the folder holds something else, its format is newer, it is the URI
                of a place that is no folder, or links in it lead elsewhere.
        """
        path = folder_of(path)
        path_safety.check_path(path)
        marker = path / "case.json"
        if not marker.exists():
            if not create:
                raise CaseError(
                    f"{path}: no case here. Start one with `tokentrail ingest SOURCE --case {path}`."
                )
            _start(path, marker)
        is_own = path_safety.may_write(path)
        try:
            found = document(_read(marker))
            version, case_id = int(found["format"]), str(found["case_id"])
        except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise CaseError(f"{marker}: can't be read as a case ({error}).") from error
        if 0 < version < FORMAT:
            if not is_own:
                raise path_safety.read_only_error(path)
            raise OlderFormat(path, case_id, version)
        if version != FORMAT:
            raise CaseError(
                f"{path}: a case of format {version}; this TokenTrail reads format {FORMAT}. "
                "Open it with a newer TokenTrail, or read its evidence again: "
                f"`tokentrail ingest {path / 'objects'} --case NEW`."
            )
        path = path.absolute()  # `a:b/c` alone would be a URI to those who read Parquet
        opened = cls(path, case_id)
        opened.is_own = is_own
        return opened

    def check_writable(self) -> None:
        """
        Check that it may be written.

        Raises:
            CaseError: it is another user's, or others may write it.
        """
        if not self.is_own:
            raise path_safety.read_only_error(self.path)

    def snapshot(self) -> Snapshot:
        """The segments that are visible now."""
        listed = self._listed()
        if self._last is not None and self._last[0] == listed:  # a manifest never changes once it is in place
            return self._last[1]
        manifests = tuple(sorted(self._manifests(_published(listed)), key=lambda one: one.segment))
        names = "\n".join([f"schema {SCHEMA_VERSION}", *(one.segment for one in manifests)])
        found = Snapshot(
            fingerprint=hashlib.sha256(names.encode()).hexdigest()[:32],
            manifests=manifests,
            folders={one.segment: self.segment(one.segment) for one in manifests},
        )
        self._last = (listed, found)
        return found

    def published(self) -> frozenset[str]:
        """The names of all segments, those too that others have replaced."""
        return frozenset(name.removesuffix(".json") for name in _published(self._listed()))

    def _listed(self) -> list[str]:
        """What lies where segments become visible, in the order in which the disk has it: each time the same."""
        return os.listdir(self._visible)

    def manifest(self, segment: str) -> Manifest:
        """
        What makes a segment visible.

        Raises:
            CaseError: there is no such segment, or its manifest is damaged.
        """
        return self._manifest(f"{segment}.json")

    def _manifests(self, names: Set[str]) -> Iterator[Manifest]:
        """Those that count: what a merged segment replaces stays for a while, for those who still read it."""
        known = self._known
        self._known = {name: known.get(name) or self._manifest(name) for name in names}
        replaced = {name for one in self._known.values() for name in one.replaces}
        for name, one in self._known.items():
            if one.segment not in replaced:
                if name not in known:
                    path_safety.check_regular_files(f"{self._segments}/{one.segment}")
                yield one

    def _manifest(self, name: str) -> Manifest:
        path = f"{self._visible}/{name}"
        try:
            return manifest_of(_read(path), name.removesuffix(".json"))
        except (OSError, ValueError) as error:
            raise CaseError(
                f"{path}: damaged manifest ({error}). Remove it and ingest its logs again."
            ) from error

    def segment(self, name: str) -> Path:
        """Where a segment's parts lie."""
        return Path(self._segments, name)

    def locate(self, stored: StoredObject) -> Location:
        """Where the bytes of an object lie; of a case in a bucket, they are fetched first."""
        self.at_hand([stored])
        if stored.reference:
            return Location(stored.reference, outside=True)
        if stored.pack is not None:
            return Location(f"{self._objects}/packs/{stored.pack}.tar", stored.at, stored.size)
        return Location(f"{self._objects}/{stored.sha256[:2]}/{stored.sha256[2:]}")

    def at_hand(self, objects: Iterable[StoredObject]) -> None:
        """Have the bytes of some objects here, as those of a case in a bucket are fetched when they are asked for."""
        if self.mirror is not None:
            self.mirror.fetch_evidence(objects)

    def keep(self, sha256: str, data: bytes) -> None:
        """Keep an object's bytes; they may be there already."""
        self.check_writable()
        folder, name = f"{self._objects}/{sha256[:2]}", sha256[2:]
        path_safety.check_no_link(folder)
        if len(data) > SMALL and os.path.exists(f"{folder}/{name}"):  # small: written sooner than looked for
            return
        _write_in_folder(folder, name, data)

    def keep_pack(self, name: str, pack: Pack) -> None:
        """Keep the small objects of a segment, by whose name the archive goes."""
        self.check_writable()
        _write_in_folder(f"{self._objects}/packs", f"{name}.tar", pack)

    def publish(self, manifest: Manifest, *, received_at: int | None = None) -> None:
        """
        Make a segment visible, all at once.

        Args:
            manifest: What makes it visible.
            received_at: When its evidence came in, in nanoseconds since 1970, if not now: the time that the file bears.
        """
        self.check_writable()
        try:
            text = msgspec.json.encode(manifest)
        except UnicodeEncodeError:  # a file's name that is no text
            text = json.dumps(msgspec.to_builtins(manifest)).encode()
        write_atomically(self.path / "manifests" / f"{manifest.segment}.json", text, modified_at=received_at)

    def note(self, name: str) -> Any:
        """A document that the case keeps beside its evidence, or `None`."""
        path = self.path / "notes" / f"{name}.json"
        try:
            return document(_read(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            where = path if self.mirror is None else f"{self.mirror.bucket.uri}/notes/{path.name}"
            raise CaseError(f"{where}: damaged ({error}). Remove it; it can be had again.") from error

    def place_note(self, name: str, value: Any) -> None:
        """Keep a document, all of it or not at all."""
        self.check_writable()
        (self.path / "notes").mkdir(mode=0o700, exist_ok=True)
        write_atomically(self.path / "notes" / f"{name}.json", json.dumps(value).encode())

    def derived(self, fingerprint: str) -> Path | None:
        """
        The folder of tables that were derived from exactly these segments, if it is complete.

        Raises:
            CaseError: it holds what is no file.
        """
        folder = self.path / "derived" / fingerprint
        if self.mirror is not None and not folder.exists():
            self.mirror.fetch_derived(fingerprint)
        path_safety.check_regular_files(str(folder))
        return folder if folder.exists() else None

    def all_derived(self, ending: str) -> list[Path]:
        """Every complete folder of derived tables whose name ends so."""
        return sorted(
            path
            for path in (self.path / "derived").iterdir()
            if path.name.endswith(ending) and path.name[0] != "." and _holds_files(path)
        )

    def new_derived(self) -> Path:
        """A folder to derive tables into; `place_derived` makes it visible."""
        self.check_writable()
        folder = self.path / "derived" / f".{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700, parents=True)
        return folder

    def place_derived(self, folder: Path, fingerprint: str) -> Path:
        """Make derived tables visible; another process that was quicker derived the same."""
        target = self.path / "derived" / fingerprint
        try:
            folder.rename(target)
        except OSError:
            if not target.exists():
                raise
            shutil.rmtree(folder, ignore_errors=True)
        forget_databases(self.path, target)
        return target

    def forget_derived(self, folder: Path) -> None:
        """Remove derived tables that can't be read."""
        with suppress(FileNotFoundError):
            shutil.rmtree(folder.rename(folder.with_name(f".{secrets.token_hex(8)}")), ignore_errors=True)

    @property
    def writable(self) -> bool:
        """Whether anything can be written here: a case may lie on a drive that is protected against it."""
        derived = self.path / "derived"
        return self.is_own and os.access(derived if derived.exists() else self.path, os.W_OK)

    @contextmanager
    def scratch(self) -> Iterator[Path | None]:
        """Where a folder may be made for a while; nowhere if nothing can be written here."""
        folder = self.path / "derived" / f".{secrets.token_hex(8)}"
        try:
            yield folder if self.writable else None
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def tidy(self) -> None:
        """Remove what killed writers left, and derived tables that newer ones replaced, once they are a day old."""
        tidy(self.path)


def _published(listed: Iterable[str]) -> Set[str]:
    return frozenset(name for name in listed if name.endswith(".json") and name[0] != ".")


def manifest_of(text: bytes, segment: str) -> Manifest:
    """
    The manifest of a segment, as it was written.

    Raises:
        ValueError: it is none.
    """
    try:
        found = _decode_manifest(text)
    except (msgspec.DecodeError, RecursionError):  # the first: names that are no text, which files may bear
        found = msgspec.convert(document(text), Manifest)
    if found.segment != segment or not all(map(SEGMENT.fullmatch, (found.segment, *found.replaces))):
        raise ValueError("it names what is no segment, or not its own")
    return found


def _read(path: Path | str) -> bytes:
    """The bytes of a file, if it is one: somebody may have handed over the case with a pipe in its place."""
    return Location(str(path)).read()


def _holds_files(folder: Path) -> bool:
    try:
        path_safety.check_regular_files(str(folder))
    except CaseError:
        return False
    return True


def new_segment_number() -> int:
    """A number that no other segment bears."""
    return secrets.randbits(62)


def segment_name(number: int) -> str:
    """A segment's folder name."""
    return f"{number:016x}"


def _start(path: Path, marker: Path) -> None:
    if path.exists() and (not path.is_dir() or any(_foreign(path))):
        raise CaseError(f"{path}: holds something that is no case. Choose another folder with --case.")
    lay_out(path)
    if not marker.exists():
        write_atomically(marker, marker_text(), replace=False)


def lay_out(path: Path) -> None:
    """
    Make the folders of a case, for its owner alone.

    Raises:
        CaseError: links lead elsewhere, or what is there is another user's.
    """
    path_safety.check_path(path)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path_safety.may_write(path):
        raise path_safety.read_only_error(path)
    for part in ("objects", "segments", "manifests", "derived"):
        (path / part).mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)


def marker_text() -> bytes:
    """What a new case is known by: the text of its `case.json`."""
    return json.dumps({"format": FORMAT, "case_id": secrets.token_hex(8), "made_by": "tokentrail"}).encode()


def _foreign(path: Path) -> Iterable[Path]:
    # A marker that was not there a moment ago is that of somebody who starts the same case.
    ours = {"case.json", "objects", "segments", "manifests", "notes", "derived", "watch"}
    return (entry for entry in path.iterdir() if entry.name not in ours and not entry.name.startswith("."))


def write_atomically(
    target: str | Path, data: bytes, *, replace: bool = True, modified_at: int | None = None
) -> None:
    """
    Write a file so that readers see it whole or not at all.

    Args:
        target: The file.
        data: Its content.
        replace: Whether to replace a file that is there.
        modified_at: The modification time of the file, in nanoseconds since 1970, if it is not to be now.
    """
    _write_in(*os.path.split(target), data, replace=replace, modified_at=modified_at)


def _write_in_folder(folder: str, name: str, data: bytes | Pack) -> None:
    """The same, in a folder that is made if it is missing."""
    try:
        _write_in(folder, name, data)
    except FileNotFoundError:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        _write_in(folder, name, data)


def _write_in(
    folder: str, name: str, data: bytes | Pack, *, replace: bool = True, modified_at: int | None = None
) -> None:
    target = f"{folder}/{name}"
    temporary = f"{folder}/.{name}.{_MARK}-{os.getpid():x}-{next(_COUNT):x}"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        for piece in (data,) if isinstance(data, bytes) else data.archive():
            written = os.write(file, piece)
            while written < len(piece):
                written += os.write(file, memoryview(piece)[written:])
        if modified_at is not None:
            os.utime(file, ns=(modified_at, modified_at))
    finally:
        os.close(file)
    if replace:
        os.replace(temporary, target)
        return
    try:
        os.link(temporary, target)  # two processes may start a case at once: the first one's id stands
    except FileExistsError:
        os.unlink(temporary)
    except OSError:  # the file system has no hard links, as exFAT has none
        os.replace(temporary, target)
    else:
        os.unlink(temporary)
