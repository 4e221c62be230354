"""Raw records on demand: by object and ordinal, with secrets blanked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Set
from typing import Any

import msgspec

from tokentrail.errors import RecordNotFound
from tokentrail.events.gunzip import UNRECORDED_BOUND, expand
from tokentrail.events.loose import FAILURES
from tokentrail.events.piece import Piece
from tokentrail.events.values import HIDDEN, SECRET_ENDINGS, SECRET_NAMES, hide_secrets, may_hold_secret
from tokentrail.store.evidence_read import decoded, received
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import StoredObject

_NAMING = ("name", "Name", "key", "Key")
"""What names a variable whose value stands beside it (Amazon ECS API Reference, 'KeyValuePair')."""
_DEEPEST = 200
_SEPARATORS = re.compile(r"[\W_]")
_NAMES_SECRET = re.compile(r"(?i)token|secret|password|assertion")
"""In JSON as a text: whether a member may be named as a secret, whatever separates the words of its name."""


def record(folder: CaseFolder, stored: StoredObject, ordinal: int, *, as_carried: bool = False) -> Any:
    """
    One record as CloudTrail wrote it, or would have, but for secrets.

    Args:
        folder: The case.
        stored: The evidence object.
        ordinal: The record's place in it.
        as_carried: Whether to show it as its carrier holds it, where that is another shape.

    Raises:
        CaseError: the object is gone or no longer the one that was read, or holds no such record.
    """
    for _, found in records(folder, stored, {ordinal}, as_carried=as_carried):
        return found
    raise RecordNotFound(f"object {stored.sha256[:12]} holds no record number {ordinal}.")


def records(
    folder: CaseFolder, stored: StoredObject, ordinals: Set[int], *, as_carried: bool = False
) -> Iterator[tuple[int, Any]]:
    """
    Some records of one object, with their ordinals, in order; the object is read once.

    Raises:
        CaseError: the object is gone or no longer the one that was read.
    """
    data = received(folder.locate(stored), stored.sha256)
    for place, piece in _pieces(data, stored, ordinals):
        yield place, _shown(piece.carried if as_carried and piece.carried else piece.raw)


def raw_records(
    folder: CaseFolder, stored: StoredObject, ordinals: Set[int]
) -> Iterator[tuple[int, bytes | msgspec.Raw]]:
    """
    The bytes of some records of one object, secrets and all, in the same way.

    Raises:
        CaseError: the object is gone or no longer the one that was read.
    """
    data = received(folder.locate(stored), stored.sha256)
    listed = _listed(data, stored)
    if listed is None:
        return ((place, piece.raw) for place, piece in _pieces(data, stored, ordinals))
    return ((place, listed[place]) for place in sorted(ordinals) if place < len(listed))


class _File(msgspec.Struct, gc=False):
    """A log file as CloudTrail writes it."""

    Records: list[msgspec.Raw]


_decode_file = msgspec.json.Decoder(_File).decode


def _listed(data: bytes, stored: StoredObject) -> list[msgspec.Raw] | None:
    """All records of an object, if it surely is a log file of CloudTrail's own: to look at each takes longer."""
    if stored.carriers or stored.rejected:
        return None
    try:
        listed = _decode_file(expand(data, bound=stored.bound or UNRECORDED_BOUND).data).Records
    except FAILURES:
        return None
    return listed if len(listed) == stored.records else None


def _pieces(data: bytes, stored: StoredObject, ordinals: Set[int]) -> Iterator[tuple[int, Piece]]:
    from tokentrail.events.reading import (
        every_piece,  # takes its time to load, and many answers need no record
    )

    last = max(ordinals, default=-1)
    for place, piece in enumerate(every_piece(data, bound=stored.bound or UNRECORDED_BOUND)):
        if place > last:
            return
        if place in ordinals:
            yield place, piece


def _shown(raw: bytes) -> Any:
    """A record to be shown: as text if it is nested so deeply that not all who show it could follow."""
    try:
        return blanked(decoded(raw))
    except RecursionError:
        return {"unreadable": hide_secrets(raw.decode("utf-8", "replace"))}


def blanked(value: Any, depth: int = 0) -> Any:
    """
    The same value with session tokens and secret keys blanked, those in nested JSON text too.

    Raises:
        RecursionError: it is nested more deeply than AWS nests anything.
    """
    if depth > _DEEPEST:
        raise RecursionError("nested too deeply")
    if isinstance(value, dict):
        named = {"value", "Value"} if any(_is_secret(str(value.get(one, ""))) for one in _NAMING) else ()
        return {
            hide_secrets(key): _hidden(item, depth)
            if key in named or _is_secret(key)
            else blanked(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [blanked(item, depth + 1) for item in value]
    if isinstance(value, str) and (_NAMES_SECRET.search(value) or may_hold_secret(value)):
        return _blanked_text(value)
    return value


def _blanked_text(text: str) -> str:
    """A text that may hold a secret: JSON is blanked member by member, other text where it names one."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return json.dumps(blanked(json.loads(text, strict=False)))
        except (ValueError, RecursionError):
            pass
    return hide_secrets(f"\n{text}")[1:]  # here it may begin with a secret's name: no policy is written of it


def _is_secret(key: str) -> bool:
    """Whether a name is a secret's, whatever separates its words: tables join names by dots."""
    return _SEPARATORS.sub("", key).lower().endswith(SECRET_ENDINGS) or key.lower() in SECRET_NAMES


def _hidden(value: Any, depth: int) -> Any:
    """A secret's value, or several of them as Elasticsearch lists what a field holds."""
    if isinstance(value, list) and depth < _DEEPEST:
        return [_hidden(one, depth + 1) for one in value]
    return HIDDEN if isinstance(value, str) else blanked(value, depth + 1)
