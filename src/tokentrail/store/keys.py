"""
The names under which a case lies in a bucket: those of the case folder, but for what is derived. So a copy of either is
the other, in which what is derived is worked out again.

    case.json, objects/…, segments/…, manifests/…, notes/…   as in a folder
    tables/<fingerprint>/<upload>/<table>    each upload's tables by themselves, complete once `grown.json` is there
    layers/<sha256>                          the files of layers, once however many derived tables go on from them
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
"""What stands first in a name; the last two in the copy of a folder alone."""
GROWN = "grown.json"
"""The last that is put of derived tables."""
LAYER_FILES = "layer-files.json"
"""Which files of layers belong to derived tables, and the SHA-256 of each, by which they lie in the bucket."""
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}"
SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
SEGMENT = re.compile(r"[0-9a-f]{16}", re.ASCII)
"""What segments and layers are called: folders of such names are read, and removed."""
MANIFEST = re.compile(r"manifests/([0-9a-f]{16})\.json", re.ASCII)
NOTE = re.compile(r"notes/([a-z0-9][a-z0-9-]{0,60})\.json", re.ASCII)
PART = re.compile(r"segments/([0-9a-f]{16})/[a-z]+\.parquet", re.ASCII)
DERIVED = re.compile(rf"(tables/([0-9a-f]{{32}}-[0-9]+)/[0-9a-f]{{16}})/({_NAME}(?:/{_NAME})?)", re.ASCII)
"""The prefix of an upload's tables, their fingerprint, and the file."""
LAYER_FILE = re.compile(r"[0-9a-f]{16}\.(?:ids|names|[a-z]+\.parquet)", re.ASCII)
LAYER = re.compile(r"layers/([0-9a-f]{64})", re.ASCII)
_PART = rf"{_NAME}/[0-9]{{6,12}}-[0-9a-f]{{16}}\.parquet"
ERRAND = re.compile(rf"spark/[a-z]+-[0-9a-f]{{16}}/(?:[0-9a-f]{{32,64}}(?:\.words)?|{_PART})", re.ASCII)
"""A task, words of an error, or a part of a table that a cluster links by."""


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
