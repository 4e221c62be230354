"""Open a case wherever it lies: in a folder of this machine, or in a bucket by way of a mirror."""

from __future__ import annotations

from pathlib import Path

from tokentrail.errors import CaseError
from tokentrail.store.folder import CaseFolder
from tokentrail.store.place import folder_of, on_s3


def opened(where: str | Path, *, create: bool) -> CaseFolder:
    """
    Open a case, or start one.

    Args:
        where: A path, its `file:` URI, or `s3://bucket/prefix`.
        create: Start one where there is none.

    Raises:
        CaseError: there is no case, something else lies there, or it can't be reached.
    """
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
    return CaseFolder.open(path, create=create)
