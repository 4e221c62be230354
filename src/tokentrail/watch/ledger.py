"""
The ledger: which findings went out, as what, and to whom; a line of JSON each, beside the case.

A line is on the disk before a notice is sent, and another after it came through, so that a watch that is killed
anywhere sends what is missing when it starts again, and nothing else. One process writes it at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tokentrail.errors import CaseBusy, CaseError
from tokentrail.watch.interface import Notice

VERSION = 1
_REWRITE_AFTER = 20_000
"""Lines that say nothing new any more, after which the file is written anew."""


@dataclass(slots=True)
class Entry:
    """A finding as it was last sent."""

    notice: Notice
    sent_at: float
    """When that was, in seconds since 1970."""
    asserted: int = 0
    """The last look that found it, counted from the start of this process."""


class Ledger:
    """
    The ledger of a case.

    Raises:
        CaseBusy: another watch has it open.
        CaseError: it can't be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ledger.jsonl"
        self.entries: dict[str, Entry] = {}
        self._due: dict[tuple[str, str], Notice] = {}
        self._superfluous = 0
        self._writing = threading.RLock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CaseError(f"{folder}: the watch's ledger can't be opened: {error.strerror}.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise CaseBusy(f"{folder.parent}: another `tokentrail watch` follows into this case.") from error
        try:
            self._load()
            self._rewrite()
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        os.close(self._lock)

    def send(self, notices: Sequence[Notice], sinks: Sequence[str], now: float) -> None:
        """Note that notices are to be sent, before any is; on the disk when it returns."""
        with self._writing:
            for one in notices:
                self._sent(one, now)
                for sink in sinks:
                    self._due[sink, one.key] = one
            self._write([_line(one, sinks, now) for one in notices])
            os.fsync(self._file.fileno())

    def came_through(self, sink: str, notices: Iterable[Notice]) -> None:
        """Note that notices came through."""
        with self._writing:
            done = [one for one in notices if self._due.pop((sink, one.key), None) is not None]
            self._write([{"what": "done", "sink": sink, "key": one.key} for one in done])
            self._superfluous += 2 * len(done)
            if self._superfluous > _REWRITE_AFTER and self._superfluous > 4 * len(self.entries):
                self._file.close()
                self._rewrite()

    def due(self, sink: str) -> list[Notice]:
        """What is still to be sent to a sink, in order."""
        with self._writing:
            return [one for (where, _), one in self._due.items() if where == sink]

    def _sent(self, notice: Notice, at: float) -> None:
        before = self.entries.get(notice.id)
        self._superfluous += before is not None
        self.entries[notice.id] = Entry(notice, at, before.asserted if before else 0)

    def _load(self) -> None:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise CaseError(f"{self._path}: can't be read: {error.strerror}.") from error
        for number, line in enumerate(data.splitlines(keepends=True), 1):
            try:
                self._read(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                if not line.endswith(b"\n"):
                    return  # torn off when it was written: what it would have said was not done
                raise CaseError(
                    f"{self._path}, line {number}: damaged ({error}). Move the file away: all findings are sent again."
                ) from error

    def _read(self, line: dict[str, Any]) -> None:
        match line["what"]:
            case "ledger":
                if line["version"] != VERSION:
                    raise CaseError(
                        f"{self._path}: written by another TokenTrail (version {line['version']} of the ledger)."
                    )
            case "send":
                notice = _notice(line)
                self._sent(notice, float(line["at"]))
                for sink in line["to"]:
                    self._due[sink, notice.key] = notice
            case "done":
                self._due.pop((line["sink"], line["key"]), None)

    def _rewrite(self) -> None:
        """Write what still counts, and nothing else, in place of the file."""
        waiting: dict[str, list[str]] = {}
        for sink, key in self._due:
            waiting.setdefault(key, []).append(sink)
        notices = {one.key: one for one in self._due.values()}
        last = {one.notice.key: one for one in self.entries.values()}
        lines: list[dict[str, Any]] = [{"what": "ledger", "version": VERSION}]
        for key in dict.fromkeys([*notices, *last]):
            notice = notices[key] if key in notices else last[key].notice
            at = last[key].sent_at if key in last else 0.0
            lines.append(_line(notice, waiting.get(key, []), at))
        lines[1:] = sorted(lines[1:], key=lambda one: (one["at"], one["id"], one["revision"]))
        temporary = self._path.with_name(f".{self._path.name}.new")
        try:
            temporary.write_bytes(b"")
            temporary.chmod(0o600)
            self._file = temporary.open("ab", buffering=0)
            self._write(lines)
            os.fsync(self._file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            raise CaseError(f"{self._path}: can't be written: {error.strerror}.") from error
        self._superfluous = 0

    def _write(self, lines: Sequence[dict[str, Any]]) -> None:
        data = "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in lines).encode("ascii")
        try:
            while data:
                data = data[self._file.write(data) or 0 :]
        except OSError as error:
            raise CaseError(
                f"{self._path}: can't be written: {error.strerror}. Nothing is sent without it: make room."
            ) from error


def _line(notice: Notice, sinks: Sequence[str], at: float) -> dict[str, Any]:
    return {
        "what": "send", "at": at, "to": list(sinks), "id": notice.id, "revision": notice.revision,
        "change": notice.change, "changed": list(notice.changed), "delay": notice.delay, "document": notice.document,
    }  # fmt: skip


def _notice(line: dict[str, Any]) -> Notice:
    return Notice(
        id=line["id"], revision=line["revision"], change=line["change"], changed=tuple(line["changed"]),
        document=line["document"], delay=line["delay"],
    )  # fmt: skip
