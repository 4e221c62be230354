"""
Cases that lie among logs, as where the folder to be read is the one that the case is made in: their files are no logs.

Read as such, a case took in its own copies and columns anew with each run. Who names what lies in a case has it read.
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
"""What a case is made of, in a folder, a bucket or the mirror of one; all else beside it is read."""
_SMALL = 128
"""Bytes of a marker at most; of a record of CloudTrail's, whatever its file is called, there are more."""


def marks(name: str, size: int, read: Callable[[], bytes]) -> bool:
    """
    Whether a file is what marks the folder that it lies in as a case, and not another one of that name.

    Args:
        name: What it is called.
        size: In bytes.
        read: Reads it, if that is all that tells.
    """
    if name != MARKER or size > _SMALL:
        return False
    try:
        found = msgspec.json.decode(read(), type=dict[str, object])
    except (msgspec.DecodeError, UnicodeError, OSError):
        return False
    return {"format", "case_id"} <= found.keys()


def why(where: str) -> str:
    """Why the files of a case are not read."""
    return f"a case of TokenTrail's, no logs; name {where}objects to have its evidence read"
