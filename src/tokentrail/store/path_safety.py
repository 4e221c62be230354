"""
What a case, and a file that is written, must be like, so that nobody else leads TokenTrail to another file.

A case may come from somebody else, who may have put symbolic links into it; and another user of this machine may put
one where a file is about to be written. These are the rules, and all of them:

- No link at the end of a path is followed, neither in place of a case nor of what lies in one nor of a file to write.
- On the way to it, links of one's own and of root's are followed, as macOS's `/tmp` is one, and nobody else's.
- A case of one's own that others may write is closed to them. Where that has no effect, as on exFAT, no modes are kept.
- Another user's case, and one of root's that others may write, answers and is not written. To root every case is its
  own: in a container nobody else may be there, while the volume keeps the owner that it had outside.
- What lies in a case belongs to who opens it, to root, or to whom the case belongs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tokentrail.errors import CaseError, TokenTrailError, UsageError

_FIXED = (
    "case.json", "objects", "objects/packs", "segments", "manifests", "notes", "derived", "derived/.spill", "watch",
    "mirrored",
)  # fmt: skip
"""What is written, or led to, under names that every case has."""
_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_ALONE = 0o700
_MOST_LINKS = 40
"""Links on the way to a file, of which the system follows no more."""
_DEVICES = ("/dev", "/dev/fd", "/proc/self/fd")
"""Where `/dev/stdout` lies, which is a link and may be named all the same: nobody else puts any there."""


def may_write(case: Path) -> bool:
    """
    Check the folder of a case and what lies under fixed names in it; whether anything may be written there.

    Raises:
        CaseError: it is a link, holds one, or something in it is another user's.
    """
    check_path(case)
    found, me = os.lstat(case), os.geteuid()
    if found.st_uid == me and found.st_mode & _OTHERS:
        with suppress(OSError):  # read-only
            case.chmod(_ALONE)
    owners = {me, 0, found.st_uid}
    for name in _FIXED:
        with suppress(FileNotFoundError, NotADirectoryError):
            _see(f"{case}/{name}", os.lstat(f"{case}/{name}"), owners)
    if found.st_uid == 0 and me:
        return not found.st_mode & _OTHERS
    return found.st_uid == me or not me


def read_only_error(case: Path) -> CaseError:
    """The error of who would write to a case that `may_write` does not allow."""
    return CaseError(
        f"{case}: belongs to another user, or others may write in it, so that it answers and nothing is written to it. "
        f"Copy it and name the copy: `cp -r {case} NEW`, --case NEW."
    )


def check_no_link(path: str) -> None:
    """
    See that no link lies in place of something in a case.

    Raises:
        CaseError: one does.
    """
    if os.path.islink(path):
        raise _foreign(path)


def check_regular_files(folder: str) -> None:
    """
    See that a folder of a case is one, and holds files and folders alone.

    To open a pipe, which Parquet's readers do, would wait for ever; a link may lead to any file of one's own.

    Raises:
        CaseError: it is none, or holds something else.
    """
    check_no_link(folder)
    left = [folder]
    while left:
        with suppress(FileNotFoundError), os.scandir(left.pop()) as entries:
            for one in entries:
                if one.is_dir(follow_symlinks=False):
                    left.append(one.path)
                elif not _is_file(one):
                    raise _foreign(one.path)


def check_path(path: Path, error: type[TokenTrailError] = CaseError) -> None:
    """
    See that no link lies at the end of a path, nor another user's on the way to it.

    Raises:
        TokenTrailError: one does, as an error of the given kind.
    """
    for link, owner, is_last in _links(path):
        if is_last:
            raise error(
                f"{path}: is a link, which is not followed here. Name {os.path.realpath(link)} itself."
            )
        if owner not in (0, os.geteuid()):
            raise error(
                f"{path}: on the way there {link} is another user's link, which is not followed. If you trust it, name "
                f"{os.path.realpath(path)} itself."
            )


def write_file(path: Path, content: bytes) -> None:
    """
    Write a file that a user named, for an answer to go to, or one in a folder that was named.

    Raises:
        UsageError: it lies behind a link, has another name besides, or can't be written.
    """
    try:
        if str(path.absolute().parent) in _DEVICES:
            path.write_bytes(content)
            return
        check_path(path, UsageError)
        # Cut short only once it is known to be the file that was named.
        descriptor = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0), 0o666
        )
        with os.fdopen(descriptor, "wb") as file:
            found = os.fstat(descriptor)
            if stat.S_ISREG(found.st_mode):
                if found.st_nlink > 1:
                    raise UsageError(
                        f"{path}: is the same file as another name's. Remove it, or name another file."
                    )
                file.truncate()
            file.write(content)
    except OSError as error:
        raise UsageError(f"{path}: can't be written: {error.strerror or error}.") from error


def _see(path: str, found: os.stat_result, owners: set[int]) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise _foreign(path)
    if found.st_uid not in owners:
        raise CaseError(
            f"{path}: belongs to neither you nor the owner of the case. Copy the case (`cp -r`) and name the copy with "
            "--case, or remove what is not yours."
        )


def _foreign(path: str) -> CaseError:
    what = "a link" if os.path.islink(path) else "no regular file"
    return CaseError(f"{path}: {what}. It is none of TokenTrail's; remove it.")


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is one, or was until a moment ago."""
    try:
        return entry.is_file(follow_symlinks=False) or stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return True


def _links(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Each link on the way to a path, as the system would go it: its owner, and whether it is the very end."""
    at, left, followed = "/", [*reversed(path.absolute().parts[1:])], 0
    while left:
        part = left.pop()
        if part == "..":
            at = os.path.dirname(at)
            continue
        here = os.path.join(at, part)
        try:
            found = os.lstat(here)
        except OSError:  # not there yet, or not to be seen: whoever opens it is told
            return
        if not stat.S_ISLNK(found.st_mode):
            at = here
            continue
        yield here, found.st_uid, not left
        followed += 1
        if followed > _MOST_LINKS:
            return
        target = os.readlink(here)
        at = "/" if target.startswith("/") else at
        left += [one for one in reversed(target.split("/")) if one not in ("", ".")]
