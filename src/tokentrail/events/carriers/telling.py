"""
Rewrite Elastic documents and OCSF events as CloudTrail records, compiled if possible.

`native/tell.c` is the hot loop. What it declines, and everything if it was not compiled, is rewritten by
`elastic_plain` and `ocsf_plain`, which give the same bytes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from tokentrail.events.carriers import actors, elastic_plain, ocsf_plain
from tokentrail.events.carriers.known import Numbers
from tokentrail.events.loose import Raw
from tokentrail.events.vocabulary import looked_into, name_marks, source_marks

if TYPE_CHECKING:
    from tokentrail.events._tell import Teller

_WANTED = bytes(map(looked_into, range(64)))
_decode_text = msgspec.json.Decoder(str).decode


def teller() -> Teller | None:
    """A new compiled `Teller`, with empty caches; `None` if it was not compiled."""
    try:
        from tokentrail.events._tell import Teller
    except ImportError:  # no compiler was there when it was installed
        return None
    labels = Numbers(), Numbers(), Numbers(), Numbers()
    marks = source_marks, name_marks, ocsf_plain.KINDS.__getitem__
    seed = secrets.randbits(64)  # so that nobody can make up labels that all fall into one place
    return Teller(labels, marks, _WANTED, _decode_text, actors.pieces, actors.STAND_INS, seed)


def _first(
    compiled: Callable[[bytes], bytes | None] | None, otherwise: Callable[[Raw], bytes]
) -> Callable[[Raw], bytes]:
    """A function that tries the compiled way, if there is one, and then the other."""
    if compiled is None:
        return otherwise

    def record(item: Raw) -> bytes:
        raw = bytes(item)
        return compiled(raw) or otherwise(raw)

    return record


_teller = teller()
elastic = _first(None if _teller is None else _teller.elastic, elastic_plain.record)
"""The record of an Elastic document; raises `FAILURES` for an object of another kind, as the two below do."""
old_ocsf = _first(None if _teller is None else _teller.old_ocsf, ocsf_plain.old_record)
"""The same for an OCSF event of version 1.0."""
new_ocsf = _first(None if _teller is None else _teller.ocsf, ocsf_plain.new_record)
"""The same for an OCSF event of a later version."""
