"""An evidence object as it was received, and one record of it; loads quickly, for processes that need no more."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from tokentrail.errors import CaseError
from tokentrail.events.loose import FAILURES


def received(path: str, sha256: str) -> bytes:
    """
    An evidence object as it was received.

    Raises:
        CaseError: it is gone, or no longer the one that was read.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CaseError(f"{path}: evidence object {sha256[:12]} can't be read ({error.strerror}).") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CaseError(f"{path}: changed since it was read as evidence {sha256[:12]}.")
    return data


def decoded(raw: bytes) -> Any:
    """One record, whatever state it is in, secrets and all: not to be shown."""
    try:
        return msgspec.json.decode(raw)
    except FAILURES:
        pass
    text = raw.decode("utf-8", "replace")
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return {"unreadable": text}
