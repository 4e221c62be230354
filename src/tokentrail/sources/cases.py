"""
Recognise cases among logs, as where a case is made in the folder that is read, so that their files are not read.

Otherwise a case would take in its own copies and columns anew with each run. What a user names is read, even in a case.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

MARKER = "case.json"
PARTS = frozenset(
    {
        MARKER, "objects", "segments", "manifests", "notes", "tables", "layers", "spark", "derived", "watch",
        "mirrored",
    }
)  # fmt: skip
"""The names of a case's files and folders, in a folder, a bucket or its mirror; all else beside them is read."""
_SMALL = 128
"""Bytes of a marker, at most: any CloudTrail record has more, whatever its file is called."""


def marks(name: str, size: int, read: Callable[[], bytes]) -> bool:
    """
    Whether a file marks its folder as a case: by its name, its size and its content.

    Args:
        name: The name of the file, without its folder.
        size: Its size in bytes.
        read: Reads it; called only if name and size fit.
    """
    if name != MARKER or size > _SMALL:
        return False
    try:
        found = msgspec.json.decode(read(), type=dict[str, object])
    except (msgspec.DecodeError, UnicodeError, OSError):
        return False
    return {"format", "case_id"} <= found.keys()


def why(where: str) -> str:
    """The reason that is given for a case whose files are not read; `where` is its folder, with a slash at the end."""
    return f"a case of TokenTrail's, no logs; name {where}objects to have its evidence read"
