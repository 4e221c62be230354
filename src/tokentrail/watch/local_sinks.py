"""Local sinks: standard output and files, to which findings are written as text or as lines of JSON."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import TextIO

from tokentrail.errors import UsageError
from tokentrail.present.formats.json_csv import write_jsonl
from tokentrail.store.path_safety import check_path
from tokentrail.watch.interface import Notice, SinkFailed

Write = Callable[[Sequence[Notice], TextIO], None]
_TAIL = 8 << 20
"""Bytes at the end of a file that are searched for notices that were written before the watch was killed."""


def as_lines(notices: Sequence[Notice], stream: TextIO) -> None:
    """Write a line of JSON for each notice."""
    write_jsonl((one.shown() for one in notices), stream)


class StreamSink:
    """
    A stream that is open already, such as standard output.

    Args:
        stream: The stream.
        write: Writes notices to it: as text, or `as_lines`.
        alone: Whether it is the only sink, so that a closed pipe ends the watch.
    """

    local = True
    at_once = 1

    def __init__(self, stream: TextIO, write: Write, *, alone: bool = True) -> None:
        self._stream, self._write, self._alone = stream, write, alone
        self.name = self.shown = "standard output"
        self._rest = b""
        """Bytes of the last notices that could not be written yet."""
        self._of: tuple[str, ...] = ()
        """The keys of these notices."""

    def delivered(self) -> frozenset[str]:
        """The keys in the file to which output is redirected, if it is, as lines of JSON."""
        descriptor = self._descriptor()
        if descriptor is not None and self._write is as_lines and stat.S_ISREG(os.fstat(descriptor).st_mode):
            return _told(Path(f"/dev/fd/{descriptor}"))
        return frozenset()

    def deliver(self, notices: Sequence[Notice]) -> None:
        """Write notices, and flush; after a disk was full in the middle of a line, go on with the rest of it."""
        try:
            self._deliver(notices)
        except BrokenPipeError as error:
            if self._alone:
                raise
            raise SinkFailed("nobody reads it any more") from error
        except OSError as error:
            raise SinkFailed(f"{error.strerror}") from error

    def _deliver(self, notices: Sequence[Notice]) -> None:
        descriptor = self._descriptor()
        if descriptor is None or self._stream.isatty():
            self._write(notices, self._stream)
            self._stream.flush()
            return
        keys = tuple(one.key for one in notices)
        if keys != self._of:
            written = StringIO()
            self._write(notices, written)
            text = written.getvalue()
            self._rest, self._of = (
                text.encode(self._stream.encoding or "utf-8", self._stream.errors or "strict"),
                keys,
            )
        self._stream.flush()
        while self._rest:
            self._rest = self._rest[os.write(descriptor, self._rest) :]

    def _descriptor(self) -> int | None:
        try:
            return self._stream.fileno()
        except (OSError, ValueError):
            return None


class FileSink:
    """
    A file that lines of JSON are added to; it is made for its owner alone.

    Raises:
        UsageError: it can't be written.
    """

    local = True
    at_once = 1

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = f"file {path.absolute()}"
        self.shown = str(path)
        check_path(path, UsageError)
        try:
            self._descriptor = self._opened()
        except OSError as error:
            raise UsageError(
                f"{path}: can't be written: {error.strerror}. Name another file with --to."
            ) from error

    def _opened(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)

    def _follow(self) -> None:
        """Open the file anew if it was moved away, as log rotation does."""
        try:
            there = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            there = None
        if there is None or not os.path.samestat(there, os.fstat(self._descriptor)):
            before, self._descriptor = self._descriptor, self._opened()
            os.close(before)

    def delivered(self) -> frozenset[str]:
        """The keys of the notices that the end of the file holds."""
        return _told(self._path)

    def deliver(self, notices: Sequence[Notice]) -> None:
        """Append notices, each on a line of its own, even after a line that was torn off."""
        text = StringIO()
        as_lines(notices, text)
        data = text.getvalue().encode("ascii")
        try:
            self._follow()
            size = os.fstat(self._descriptor).st_size
            if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
                data = b"\n" + data  # a line that was torn off stays one of its own
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fsync(self._descriptor)
        except OSError as error:
            raise SinkFailed(f"{error.strerror}") from error


def _told(path: Path) -> frozenset[str]:
    """The keys of the notices in the last lines of a file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read().split(b"\n")
    except OSError:
        return frozenset()
    found = set()
    for line in lines[:-1]:  # what follows the last line feed was torn off
        try:
            told = json.loads(line)
            found.add(f"{told['id']}.{told['revision']}")
        except (ValueError, KeyError, TypeError):
            continue
    return frozenset(found)
