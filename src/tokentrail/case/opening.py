"""Open a case wherever it lies: in a folder of this machine, or in a bucket by way of a mirror."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from tokentrail.errors import CaseError, CaseReplaced
from tokentrail.store.folder import CaseFolder, OlderFormat
from tokentrail.store.place import folder_of, on_s3

_ON_WINDOWS = (
    "{}: no case is opened on Windows itself, which lacks the modes and locks that cases and journals rest on. "
    "Run TokenTrail in WSL (`wsl --install`)."
)


def opened(
    where: str | Path, *, create: bool, progress: Callable[[int, int], None] | None = None
) -> CaseFolder:
    """
    Open a case, or start one; a case of an older format is brought to this version's first.

    Args:
        where: A path, its `file:` URI, or `s3://bucket/prefix`.
        create: Start one where there is none.
        progress: Called with bytes and bytes in all while evidence is read again for a case of an older format.

    Raises:
        CaseError: there is no case, something else lies there, it can't be reached or upgraded, or this is Windows.
    """
    if sys.platform == "win32":
        raise CaseError(_ON_WINDOWS.format(where))
    place = on_s3(where)
    if place is not None:
        from tokentrail.sources.bucket import S3Bucket  # loads the SDK, which a folder does without
        from tokentrail.store import mirror

        return mirror.opened(S3Bucket.at(*place), create=create)
    from tokentrail.store.mirror import mirrored_by

    path = Path(where)
    if uri := mirrored_by(folder_of(path)):
        raise CaseError(
            f"{path}: is the mirror of a case in a bucket, and lacks part of it. Say --case {uri}."
        )
    try:
        return CaseFolder.open(path, create=create)
    except OlderFormat as older:
        from tokentrail.store.format_upgrade import upgrade  # loads what reads evidence

        return upgrade(older, progress)


def check_and_update(folder: CaseFolder, older_than: float) -> None:
    """
    Check that an open case still exists, and for one in a bucket download what others have added.

    Args:
        folder: The case.
        older_than: Seconds; the bucket is asked only if it was last asked longer ago than that.

    Raises:
        CaseReplaced: another case has taken its place, or its mirror is gone: it must be opened anew.
        CaseError: the case is gone, or the bucket can't be reached.
    """
    gone = not (folder.path / "case.json").exists()
    if gone and folder.mirror is None:
        raise CaseError(f"no case is at {folder.path} any more. Once it is there again, ask again.")
    if gone or CaseFolder.open(folder.path, create=False).case_id != folder.case_id:
        where = folder.mirror.bucket.uri if folder.mirror else folder.path
        raise CaseReplaced(f"{where}: what was opened is not there any more. Open it anew.")
    if folder.mirror is not None:
        folder.mirror.download(older_than)
