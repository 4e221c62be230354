"""Evidence on this machine: files, folders, standard input."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter
from pathlib import Path

from tokentrail.errors import SourceError
from tokentrail.sources import cases, trail
from tokentrail.sources.interface import SHARDS, Skipped, Spread

_PART = 1 << 20
_UNFINISHED = re.compile(r"\.(?:[0-9a-f]{62}|[0-9a-f]{16}\.tar)\.[0-9a-f]+-[0-9a-f]+-[0-9a-f]+")
"""The names that a case gives to evidence while it is being written."""
_HALF = "half written by an ingest that was killed, or is running: not read. Name the file itself to read what is there"
LEADS_OUT = "a link to a file outside of the folder: not followed. Name the file itself to read it"


@dataclass(frozen=True, slots=True)
class FileObject:
    """A file of evidence, which a worker process reads."""

    name: str
    size: int
    folder: str = ""
    """The folder that the name is relative to, if the process that reads it may have another working directory."""

    identity = None
    distant = False

    @property
    def place(self) -> str:
        """Its absolute path, by which a case can refer to it."""
        return str(Path(self.folder, self.name).resolve())

    def read(self) -> bytes:
        """The file's bytes as they are; a small file takes three calls of the system."""
        path = os.path.join(self.folder, self.name) if self.folder else self.name
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # it may be a pipe by now
        try:
            data = os.read(file, self.size + 1)
            if len(data) == self.size:
                return data
            parts = [data]
            while parts[-1] and sum(map(len, parts)) != self.size:
                parts.append(os.read(file, _PART))
            return b"".join(parts)
        finally:
            os.close(file)


@dataclass(frozen=True, slots=True)
class BytesObject:
    """Evidence whose bytes are in memory already, such as standard input, or an object that was fetched."""

    name: str
    data: bytes = field(repr=False)
    identity: str | None = None

    distant = False
    place = None

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    def read(self) -> bytes:
        """The bytes."""
        return self.data


def objects(
    sources: Iterable[str], spread: Spread | None = None
) -> Iterator[FileObject | BytesObject | Skipped]:
    """
    List the evidence objects of files, folders (walked through) and `-` (standard input), in a stable order.

    Args:
        sources: Files, folders, `-`.
        spread: Walks through what lies in the folders of regions, if not this process.

    Raises:
        SourceError: a source does not exist or can't be listed.
    """
    for source in sources:
        if source == "-":
            yield BytesObject("-", sys.stdin.buffer.read())
            continue
        check_exist([source])
        path = Path(source)
        if path.is_fifo():  # that is named itself, as the shell's <(…) is; in a folder it might never end
            yield BytesObject(source, path.read_bytes())
        elif spread is not None:
            yield from _for_others(str(path), spread)
        elif path.is_dir():
            yield from _folder(str(path), str(path))
        else:
            yield _file(str(path))


def check_exist(sources: Iterable[str]) -> None:
    """
    See that files and folders are there.

    Raises:
        SourceError: one is not.
    """
    for source in sources:
        if source != "-" and not Path(source).exists():
            raise SourceError(
                f"{source}: no such file or folder. Give log files, folders of them, - for stdin, s3://BUCKET/PREFIX, "
                "sqs:URL, lookup-events:, athena:DATABASE.TABLE, lake:EVENT-DATA-STORE or logs:LOG-GROUP."
            )


def leads_out(path: str, root: str) -> bool:
    """Whether a link leads out of a folder: if followed, its maker could choose which other files become evidence."""
    inside = os.path.realpath(root)
    return os.path.commonpath([inside, os.path.realpath(path)]) != inside


def lying_in(root: str, path: str, size: int) -> FileObject:
    """
    The evidence object of a file in a folder.

    Raises:
        OSError: it is a link that leads out of the folder.
    """
    if os.path.islink(path) and leads_out(path, root):
        raise OSError(errno.EPERM, LEADS_OUT)
    return FileObject(path, size)


def _folder(folder: str, root: str) -> Iterator[FileObject | Skipped]:
    """Walk through a folder in name order; `root` is the folder that the user named, which links must not leave."""
    left = [_entries(folder, root)]
    while left:
        for one in left[-1]:
            if isinstance(one, str):
                left.append(_entries(one, root))
                break
            yield one
        else:
            left.pop()


def _entries(folder: str, root: str) -> Iterator[FileObject | Skipped | str]:
    """What is directly in a folder, in name order; links to folders are not followed, so that there are no loops."""
    try:
        entries = sorted(os.scandir(folder), key=attrgetter("name"))
    except OSError as error:
        yield Skipped(folder, f"can't be listed: {error.strerror}")
        return
    wanted = without_case(entries)
    if len(wanted) < len(entries):
        yield Skipped(folder, cases.why(os.path.join(folder, "")), lost=False)
    for entry in wanted:
        if entry.is_dir(follow_symlinks=False):
            yield entry.path
        elif entry.is_symlink() and os.path.isdir(entry.path):
            yield Skipped(entry.path, "a link to a folder: not followed")
        elif entry.is_symlink() and leads_out(entry.path, root):
            yield Skipped(entry.path, LEADS_OUT)
        elif entry.name[0] == "." and _UNFINISHED.fullmatch(entry.name):
            yield Skipped(entry.path, _HALF)
        else:
            yield _file(entry.path)


def without_case(entries: Iterable[os.DirEntry[str]]) -> list[os.DirEntry[str]]:
    """The entries of a folder, without the parts of a case if it is one."""
    found = list(entries)
    marker = next((one for one in found if one.name == cases.MARKER), None)
    try:
        if marker is None or not marker.is_file():
            return found
        if not cases.marks(marker.name, marker.stat().st_size, Path(marker.path).read_bytes):
            return found
    except OSError:
        return found
    return [one for one in found if one.name not in cases.PARTS]


def _for_others(path: str, spread: Spread) -> Iterator[FileObject | Skipped]:
    """The same for processes with other working directories: objects say what their names are relative to."""
    here = "" if os.path.isabs(path) else os.getcwd()
    whole = os.path.join(here, path)
    for one in _spread(whole, spread) if os.path.isdir(whole) else (_file(whole),):
        name = path + one.name[len(whole) :]
        yield FileObject(name, one.size, here) if isinstance(one, FileObject) else replace(one, name=name)


def _spread(folder: str, spread: Spread) -> Iterator[FileObject | Skipped]:
    """The same in the same order, but other processes walk through the folders of regions, or of their days."""
    listed: list[FileObject | Skipped | str] = [folder]
    while opened := _to_open([one for one in listed if isinstance(one, str)]):
        listed = [
            each
            for one in listed
            for each in (_entries(one, folder) if isinstance(one, str) and one in opened else (one,))
        ]
    walked = spread(partial(_walked, folder), [one for one in listed if isinstance(one, str)])
    for one in listed:
        if isinstance(one, str):
            yield from next(walked)
        else:
            yield one


def _to_open(folders: Sequence[str]) -> set[str]:
    """The folders, of some, that are to be listed here before the folders in them are spread."""
    depths = ((one, trail.date_depth(one.replace(os.sep, "/") + "/")) for one in folders)
    few = len(folders) < SHARDS
    return {one for one, depth in depths if depth is None or (few and depth < trail.DAY)}


def _walked(root: str, folder: str) -> list[FileObject | Skipped]:
    return list(_folder(folder, root))


def _file(path: str) -> FileObject | Skipped:
    try:
        found = os.stat(path)
    except OSError as error:
        return Skipped(path, f"can't be read: {error.strerror}")
    if not stat.S_ISREG(found.st_mode):
        return Skipped(path, "no regular file")
    return FileObject(path, found.st_size)
