"""Where a case is, as a user names it: a folder, the `file:` URI of one, or a place in a bucket."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tokentrail.errors import CaseError

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/.*", re.DOTALL)
_ON_S3 = re.compile(r"s3a?:/{1,2}(.*)", re.DOTALL | re.IGNORECASE)
"""`s3a:` is what Hadoop calls the same; a path has made one of the slashes."""
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", re.ASCII)
"""Older buckets have longer names than new ones may (Amazon S3 User Guide, 'General purpose bucket naming rules')."""


def on_s3(where: str | Path) -> tuple[str, str] | None:
    """
    The bucket and prefix that a URI such as `s3://bucket/prefix` names; `None` for what is no such URI.

    Raises:
        CaseError: it names no bucket, or something that no terminal can show.
    """
    found = _ON_S3.fullmatch(str(where))
    if not found:
        return None
    bucket, _, prefix = found[1].partition("/")
    if not _BUCKET.fullmatch(bucket) or not prefix.isprintable():
        raise CaseError(f"{str(where)!r}: names no bucket and prefix. Give --case s3://BUCKET/PREFIX.")
    return bucket, prefix.strip("/")


def folder_of(path: Path) -> Path:
    """
    The folder that a path or a `file:` URI names; a path has made one of the URI's slashes.

    Raises:
        CaseError: it is the URI of something else, or a path that DuckDB and Arrow, which take UTF-8, can't be told.
    """
    found = _URI.match(str(path))
    if found:
        address = urlsplit(str(path))
        if address.scheme != "file":
            raise CaseError(
                f"{path}: a case lies in a folder or under s3://, not under {found[1]}:. Give a path or "
                "s3://BUCKET/PREFIX; for a case that several machines share, one on a file system that all of them "
                "have mounted (EFS, FSx, NFS)."
            )
        path = Path(unquote(address.path))
    whole = path.absolute()
    if os.fsencode(whole) != str(whole).encode(errors="replace"):
        raise CaseError(
            f"{whole}: the names of a case's folders must be text in UTF-8. Choose others with --case; where the "
            "locale has another encoding, PYTHONUTF8=1 makes Python take UTF-8 all the same."
        )
    return path
