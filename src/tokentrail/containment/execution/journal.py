"""
The journal, a file of JSON lines beside the plan: the state before each call, the call, and what came of it.

One line is on the disk before a call is sent, and another after its answer. So a run that is killed at any moment can
be continued, and all that it did can be undone. Lines are never rewritten; if the last line is incomplete, it is
moved to a file of its own.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tokentrail.errors import ActionRefused
from tokentrail.store.path_safety import check_path

JOURNAL_VERSION = 1
_SECRET = frozenset(
    {
        "secretaccesskey",
        "sessiontoken",
        "token",
        "password",
        "servicepassword",
        "base32stringseed",
        "qrcodepng",
    }
)
"""Members of AWS's parameters and answers that must not be written to a journal, in lower case."""
Line = dict[str, Any]


def journal_path(plan: Path) -> Path:
    """Where the journal of a plan file is."""
    return plan.with_name(plan.name + ".journal.jsonl")


class Journal:
    """
    A journal that is open for writing, by one process at a time.

    Args:
        path: The file; see `journal_path`.
        plan: The digest of its plan (`planfile.digest`).
        run: The id of this run.
    """

    def __init__(self, path: Path, *, plan: str, run: str) -> None:
        self.path = path
        self.run = run
        self._plan = plan
        self._lock = threading.Lock()
        self._descriptor = _opened(path)
        try:
            self.lines = _read_and_repaired(self._descriptor, path)
            _insist_on_plan(self.lines, plan, path)
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def write(self, line: Mapping[str, Any], at: datetime) -> int:
        """
        Write a line through to the disk.

        Returns:
            The line's number, by which later lines refer to it.

        Raises:
            ActionRefused: it can't be written, so that no call may be sent.
        """
        return self.write_all([line], at)[0]

    def write_all(self, lines: Sequence[Mapping[str, Any]], at: datetime) -> list[int]:
        """Write several lines through to the disk with one write; see `write`."""
        with self._lock:
            lines = lines if self.lines else [self._head(), *lines]
            first = len(self.lines) + 1
            whole: list[Line] = [
                {"seq": first + place, "run": self.run, "at": stamp(at), **without_secrets(dict(line))}
                for place, line in enumerate(lines)
            ]
            text = "".join(json.dumps(one, ensure_ascii=True, separators=(",", ":")) + "\n" for one in whole)
            try:
                _write_whole(self._descriptor, text.encode("ascii"))
                os.fsync(self._descriptor)
            except OSError as error:
                raise ActionRefused(
                    f"{self.path}: the journal can't be written: {error.strerror or error}. Nothing is sent without "
                    "it. Make room, and run the same command again."
                ) from error
            self.lines += whole
            return [one["seq"] for one in whole if one["kind"] != "journal"]

    def _head(self) -> Line:
        """The first line, written together with the first entry, so that a run that was refused leaves no journal."""
        return {"kind": "journal", "version": JOURNAL_VERSION, "plan": self._plan}


def read(path: Path, *, plan: str) -> list[Line]:
    """
    Read a journal without changing it; an incomplete last line is left out.

    Raises:
        ActionRefused: the journal is damaged, or another plan's.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ActionRefused(f"{path}: the journal can't be read: {error.strerror or error}.") from error
    lines, _ = _parsed(content, path)
    _insist_on_plan(lines, plan, path)
    return lines


def holds_other_plan(path: Path, plan: str) -> bool:
    """Whether there is a journal of another plan, or one that can't be read as this plan's."""
    try:
        read(path, plan=plan)
    except ActionRefused:
        return True
    return False


def stamp(moment: datetime) -> str:
    """Spell a time to the microsecond."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def moment(text: str) -> datetime:
    """Read a time that `stamp` spelled."""
    return datetime.fromisoformat(text)


def without_secrets(value: Any) -> Any:
    """Replace members that must not be written down, and spell values that JSON doesn't have."""
    if isinstance(value, Mapping):
        return {
            str(name): "(not kept)" if str(name).lower() in _SECRET else without_secrets(one)
            for name, one in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [without_secrets(one) for one in value]
    if isinstance(value, datetime):
        return stamp(value)
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _opened(path: Path) -> int:
    import fcntl  # no part of Python on Windows, where no case is opened, but help is given

    check_path(path, ActionRefused)
    try:
        descriptor = _opened_to_add(path, os.O_RDWR)
    except OSError as error:
        raise ActionRefused(
            f"{path}: the journal can't be opened: {error.strerror or error}. Nothing is sent without it; move the "
            "plan to a folder that can be written."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        why = (
            "another process is carrying out or taking back this plan. Wait until it has ended."
            if isinstance(error, BlockingIOError)
            else f"the journal can't be locked: {error.strerror or error}. Move the plan to a disk of this machine."
        )
        raise ActionRefused(f"{path}: {why}") from error
    return descriptor


def _opened_to_add(path: Path, access: int) -> int:
    """Open a file to append; links and pipes are refused, since whoever handed over the plan could put one there."""
    adding = os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    return os.open(path, access | adding, 0o600)


def _read_and_repaired(descriptor: int, path: Path) -> list[Line]:
    """Read all lines; move an incomplete last one aside, and add the line break that a complete last one may lack."""
    content = b""
    while piece := os.pread(descriptor, 1 << 20, len(content)):
        content += piece
    lines, torn = _parsed(content, path)
    if torn:
        aside = _opened_to_add(path.with_name(path.name + ".torn"), os.O_WRONLY)
        try:
            _write_whole(aside, torn + b"\n")
            os.fsync(aside)
        finally:
            os.close(aside)
        os.ftruncate(descriptor, len(content) - len(torn))
    elif not content:
        _keep_entry(path.parent)
    elif not content.endswith(b"\n"):
        _write_whole(descriptor, b"\n")
    os.fsync(descriptor)
    return lines


def _keep_entry(folder: Path) -> None:
    """Write a folder's entry for a new file through to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that does so by itself, or not at all (fsync(2))
            raise
    finally:
        os.close(descriptor)


def _parsed(content: bytes, path: Path) -> tuple[list[Line], bytes]:
    """The lines, and the bytes of an incomplete last one."""
    lines: list[Line] = []
    pieces = content.split(b"\n")
    for number, piece in enumerate(pieces, 1):
        if not piece:
            continue
        try:
            line = json.loads(piece)
            if not isinstance(line, dict) or line.get("seq") != len(lines) + 1:
                raise ValueError("not the next line of a journal")
        except (ValueError, RecursionError) as error:
            if number == len(pieces):
                return lines, piece
            raise ActionRefused(
                f"{path}: line {number} is damaged: {error}. It tells what was there before, so nothing is sent on a "
                "guess. Restore the file; or move it away to begin anew, and take back by hand what it tells."
            ) from error
        lines.append(line)
    return lines, b""


def _insist_on_plan(lines: list[Line], plan: str, path: Path) -> None:
    if not lines:
        return
    first = lines[0]
    if first.get("kind") != "journal" or first.get("version") != JOURNAL_VERSION:
        raise ActionRefused(
            f"{path}: no journal of this version of TokenTrail. PlannedStep it away to begin anew."
        )
    if first.get("plan") != plan:
        raise ActionRefused(
            f"{path}: the journal of another plan, which lay in the same file before. Save this plan under another "
            "name; the journal is what `undo` needs to take back the other."
        )


def _write_whole(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
