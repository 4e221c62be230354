"""
Raw records, laid out; their secrets were blanked before they came here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tokentrail.present import words
from tokentrail.present.html.dossier import Names
from tokentrail.present.html.markup import Html, brief, join, lines, tag
from tokentrail.results import RawRecord

_LONG = 40_000
"""Characters of one record that a page shows."""


def records_part(records: Sequence[RawRecord], names: Names) -> Html | None:
    """Fold the records that the answer rests on into the page."""
    if not records:
        return None
    return tag(
        "div",
        tag("h3", "The records that this rests on"),
        tag("p", f"{words.number(len(records), 'record')} as CloudTrail wrote them, secrets blanked: what minted and "
            "ended, what was made and learned, and what the findings name.", class_="note"),
        *(_folded(one, names) for one in records),
        class_="records",
    )  # fmt: skip


def record_text(record: Any) -> Html:
    """Lay a record out."""
    text = json.dumps(record, indent=2, ensure_ascii=True)
    more = f"\n... and {len(text) - _LONG:,} more characters" if len(text) > _LONG else ""
    return tag("pre", lines(text[:_LONG] + more), tabindex=0)


def headline(record: Any) -> str:
    """Say in a line what a record tells: when, and which call."""
    if not isinstance(record, Mapping):
        return "a record of another shape"
    told = [
        record.get(name) for name in ("eventTime", "eventSource", "eventName", "errorCode", "sourceIPAddress")
    ]
    return brief("  ".join(one for one in told if isinstance(one, str)), 300)


def whereabouts(one: RawRecord) -> Html:
    """Say where a record lies."""
    named = join([tag("code", brief(one.name, 400)), ", "]) if one.name else None
    return tag(
        "p",
        f"Record number {one.ordinal} of ",
        named,
        "evidence object ",
        tag("code", one.object),
        class_="note",
    )


def _folded(one: RawRecord, names: Names) -> Html:
    return tag(
        "details", tag("summary", headline(one.record), " ", tag("code", brief(one.event_id, 60), class_="soft")),
        whereabouts(one), record_text(one.record), id=names.records.get(one.event_id),
    )  # fmt: skip
