"""Evidence on disk: files, folders of them, standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tokentrail.errors import SourceError
from tokentrail.sources.interface import Skipped


@dataclass(frozen=True, slots=True)
class FileObject:
    """One file of evidence, read when a worker gets to it."""

    name: str
    size: int

    identity = None
    distant = False

    def read(self) -> bytes:
        """The file's bytes as they are."""
        return Path(self.name).read_bytes()


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
            yield _file(path)
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
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _folder(path)
        elif entry.is_symlink() and path.is_dir():
            yield Skipped(entry.path, "a link to a folder: not followed")
        else:
            yield _file(path)


def _file(path: Path) -> FileObject | Skipped:
    try:
        found = path.stat()
    except OSError as error:
        return Skipped(str(path), f"can't be read: {error.strerror}")
    if not path.is_file():
        return Skipped(str(path), "no regular file")
    return FileObject(str(path), found.st_size)
