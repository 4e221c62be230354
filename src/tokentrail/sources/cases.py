"""
Cases that lie among logs, as where the folder to be read is the one that the case is made in: their files are no logs.

Read as such, a case took in its own copies and columns anew with each run. Who names what lies in a case has it read.
"""

from __future__ import annotations

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


def marks(name: str, size: int) -> bool:
    """Whether a file is what marks the folder that it lies in as a case."""
    return name == MARKER and size <= _SMALL


def why(where: str) -> str:
    """Why the files of a case are not read."""
    return f"a case of TokenTrail's, no logs; name {where}objects to have its evidence read"
