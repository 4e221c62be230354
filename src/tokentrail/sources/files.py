"""Evidence on disk: files, folders of them, standard input."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tokentrail.errors import SourceError
from tokentrail.sources.interface import Skipped

_PART = 1 << 20


@dataclass(frozen=True, slots=True)
class FileObject:
    """One file of evidence, read when a worker gets to it."""

    name: str
    size: int

    identity = None
    distant = False

    def read(self) -> bytes:
        """The file's bytes as they are; a small file takes three calls of the system."""
        file = os.open(self.name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts = [os.read(file, self.size + 1)]
            while parts[-1] and sum(map(len, parts)) != self.size:
                parts.append(os.read(file, _PART))
            return b"".join(parts)
        finally:
            os.close(file)


@dataclass(frozen=True, slots=True)
class BytesObject:
    """Evidence that is at hand already, such as standard input."""

    name: str
    data: bytes

    identity = None
    distant = False

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    def read(self) -> bytes:
        """The bytes."""
        return self.data


def objects(sources: Iterable[str]) -> Iterator[FileObject | BytesObject | Skipped]:
    """
    List the evidence objects of files, folders (walked through) and `-` (standard input), in a stable order.

    Raises:
        SourceError: a source does not exist or can't be listed.
    """
    for source in sources:
        if source == "-":
            yield BytesObject("-", sys.stdin.buffer.read())
            continue
        path = Path(source)
        if path.is_dir():
            yield from _folder(path)
        elif path.exists():
            yield _file(str(path))
        else:
            raise SourceError(
                f"{source}: no such file or folder. Give log files, folders of them, - for stdin, s3://BUCKET/PREFIX, "
                "sqs:URL or lookup-events: ."
            )


def _folder(folder: Path) -> Iterator[FileObject | Skipped]:
    """Walk a folder in name order; a link to a folder is not followed, so that loops can't be."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Skipped(str(folder), f"can't be listed: {error.strerror}")
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _folder(Path(entry.path))
        elif entry.is_symlink() and os.path.isdir(entry.path):
            yield Skipped(entry.path, "a link to a folder: not followed")
        else:
            yield _file(entry.path)


def _file(path: str) -> FileObject | Skipped:
    try:
        found = os.stat(path)
    except OSError as error:
        return Skipped(path, f"can't be read: {error.strerror}")
    if not stat.S_ISREG(found.st_mode):
        return Skipped(path, "no regular file")
    return FileObject(path, found.st_size)
