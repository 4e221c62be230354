"""
The names under which a case lies in a bucket: those of the case folder, but for what is derived. So a copy of either is
the other, in which what is derived is worked out again.

    case.json, objects/…, segments/…, manifests/…, notes/…   as in a folder
    tables/<fingerprint>-<version>.json      names what was derived, file by file, each by its SHA-256
    tables/<sha256>                          these files, each once however many of the former name it
    spark/<job>/…                            what a driver and its executors tell each other, for as long as a job runs

Whoever may write to the bucket chooses names in it: one that has not exactly such a shape is looked at by nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tokentrail.store.interface import Bucket, Manifest, Put

CASE = "case.json"
OURS = frozenset(
    {CASE, "objects", "segments", "manifests", "notes", "tables", "layers", "spark", "derived", "watch"}
)
"""What stands first in a name: `layers` in buckets of older versions, the last two in the copy of a folder alone."""
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}"
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
SEGMENT = re.compile(r"[0-9a-f]{16}", re.ASCII)
"""What segments and layers are called: folders of such names are read, and removed."""
MANIFEST = re.compile(r"manifests/([0-9a-f]{16})\.json", re.ASCII)
NOTE = re.compile(r"notes/([a-z0-9][a-z0-9-]{0,60})\.json", re.ASCII)
PART = re.compile(r"segments/([0-9a-f]{16})/[a-z]+\.parquet", re.ASCII)
DERIVED = re.compile(r"tables/([0-9a-f]{32}-[0-9]+)\.json", re.ASCII)
"""What names the files that were derived from some segments."""
DERIVED_FILE = re.compile(r"tables/([0-9a-f]{64})", re.ASCII)
DERIVED_PATH = re.compile(rf"{_NAME}(?:/{_NAME})?", re.ASCII)
"""Where such a file lies below the folder of what was derived."""
JOB_FILE = re.compile(r"spark/[a-z]+-[0-9a-f]{16}/[0-9a-f]{32,64}(?:\.error)?", re.ASCII)
"""A task, its answer, or words of an error."""


def manifest_key(segment: str) -> str:
    """Where a segment's manifest lies."""
    return f"manifests/{segment}.json"


def part_key(segment: str, table: str) -> str:
    """Where a table of a segment lies."""
    return f"segments/{segment}/{table}.parquet"


def evidence_key(sha256: str, pack: str | None) -> str | None:
    """Where an evidence object lies; `None` for what no object or archive can be called."""
    if pack is not None:
        return f"objects/packs/{pack}.tar" if SEGMENT.fullmatch(pack) else None
    return f"objects/{sha256[:2]}/{sha256[2:]}" if SHA256.fullmatch(sha256) else None


def evidence_keys(manifest: Manifest) -> Iterator[str]:
    """Where the case's own copies of a segment's evidence lie, each once."""
    named = (evidence_key(one.sha256, one.pack) for one in manifest.objects if one.reference is None)
    yield from dict.fromkeys(key for key in named if key is not None)


def segments_in(bucket: Bucket) -> tuple[list[str], int]:
    """The segments whose manifests a bucket holds, and how many other names stand beside these."""
    listed = bucket.listed("manifests/")
    found = [match[1] for one in listed if (match := MANIFEST.fullmatch(one.key))]
    return found, len(listed) - len(found) - _folder_marks(listed)


def _folder_marks(listed: Iterable[Put]) -> int:
    """Empty objects that merely stand for a folder, as consoles make them."""
    return sum(1 for one in listed if one.key.endswith("/"))
