"""
Raw records as a page shows them; their secrets were blanked before they came here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tokentrail.present.safe import brief
from tokentrail.results import RawRecord

_LONG = 40_000
"""Characters of one record that a page shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRecord:
    """A record, and where it lies in the evidence."""

    headline: str
    """When, and which call."""
    event_id: str
    object: str
    ordinal: int
    name: str
    """The file or S3 key of the evidence object."""
    text: str
    """The record as JSON, a line for each value."""
    anchor: str | None
    """Its place on the page."""


def shown_record(one: RawRecord, anchor: str | None = None) -> ShownRecord:
    """Lay a record out."""
    return ShownRecord(
        headline=_headline(one.record), event_id=one.event_id, object=one.object, ordinal=one.ordinal, name=one.name,
        text=_text(one.record), anchor=anchor,
    )  # fmt: skip


def _text(record: Any) -> str:
    text = json.dumps(record, indent=2, ensure_ascii=True)
    more = f"\n... and {len(text) - _LONG:,} more characters" if len(text) > _LONG else ""
    return text[:_LONG] + more


def _headline(record: Any) -> str:
    """Say in a line what a record tells: when, and which call."""
    if not isinstance(record, Mapping):
        return "a record of another shape"
    told = [
        record.get(name) for name in ("eventTime", "eventSource", "eventName", "errorCode", "sourceIPAddress")
    ]
    return brief("  ".join(one for one in told if isinstance(one, str)), 300)
