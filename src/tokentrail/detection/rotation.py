"""Whether a key was ended in an ordinary rotation."""

from __future__ import annotations

from tokentrail.detection.cuts import Cut
from tokentrail.detection.scene import Scene

_AFTER = """
    SELECT DISTINCT d.ip FROM deeds d JOIN known k ON k.n = d.n
    WHERE k.n > ? AND k.n < ? AND d.time > ? AND d.error IS NULL AND NOT d.forwarded"""
_NEXT_KEY = """
    SELECT s.ip, h.first FROM known k JOIN stays s ON s.n = k.n
    JOIN homes h ON h.person = k.person AND h.ip = s.ip
    WHERE k.kind = 'long_term_key' AND k.n <> ? AND k.person = ?"""


def rotated(scene: Scene, cut: Cut) -> bool:
    """
    Whether the user has another key, and all that the ended key minted is used from addresses of that other key, which
    the user had already used days before.

    A thief may create a second key too, but does not use it from an address that was the user's before.
    """
    row = cut.row
    if row["person"] is None or not cut.call.endswith("AccessKey"):
        return False
    settled = cut.done_at - scene.thresholds.whole("new_for")
    known = {one["ip"] for one in scene.rows(_NEXT_KEY, (row["n"], row["person"])) if one["first"] <= settled}
    used = {one["ip"] for one in scene.rows(_AFTER, (row["n"], row["n"] + row["span"], cut.done_at))}
    return bool(known) and used <= known
