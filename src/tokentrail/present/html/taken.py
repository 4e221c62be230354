"""
What was taken: secrets read, resources touched, things made, calls.
"""

from __future__ import annotations

from tokentrail.lineage.model import Trace
from tokentrail.present import words
from tokentrail.present.damage import ALONE, MADE, calls, known_secrets, resources, unkeyed
from tokentrail.present.document import timestamp
from tokentrail.present.html.dossier import Names
from tokentrail.present.html.markup import Html, tag
from tokentrail.present.html.pieces import and_more, happened, reference, references, section, table
from tokentrail.present.safe import brief

_MOST = 200
_ALL = "`tokentrail trace --format json` has all of them"


def taken_section(trace: Trace, names: Names) -> Html:
    """Build the section, over all that counts as the attacker's."""
    tainted = {one.id for one in trace.credentials if one.tainted}
    parts = [*_secrets(trace, names, tainted), *_made(trace, names, tainted), *_resources(trace, tainted),
             *_calls(trace, tainted), *_named_alone(trace, tainted)]  # fmt: skip
    if not parts:
        parts = [
            tag("p", "Nothing was touched, made or learned, as far as the evidence shows.", class_="empty")
        ]
    return section(
        "taken", "Taken and left behind", *parts,
        note="By all credentials that count as the attacker's. Bytes are those that CloudTrail's data events count.",
    )  # fmt: skip


def _secrets(trace: Trace, names: Names, tainted: set[str]) -> list[Html | None]:
    found = known_secrets(trace, tainted)
    if not found:
        return []
    rows = [
        (happened(timestamp(one.reads[0].time), one.reads[0].event_id, names), f"{len(one.reads):,}",
         brief(one.what or "of unknown name"), words.listed(dict.fromkeys(read.event_name for read in one.reads), 3),
         references(list(dict.fromkeys(read.credential for read in one.reads)), names, 3))
        for one in found[:_MOST]
    ]  # fmt: skip
    return [
        tag(
            "h3", f"{words.number(len(found), 'secret')} read: rotate {words.verb(len(found), 'it', 'these')}"
        ),
        table(("First", "Times", "Secret", "Call", "By"), rows, caption="Secrets read", numbers=(1,)),
        and_more(len(found), _MOST, _ALL),
    ]


def _made(trace: Trace, names: Names, tainted: set[str]) -> list[Html | None]:
    found = [one for one in trace.created if one.by in tainted]
    if not found:
        return []
    rows = [
        (happened(timestamp(one.time), one.event_id, names), one.what.replace("_", " "), brief(one.id or "-"),
         one.event_name, reference(one.by, names))
        for one in found[:_MOST]
    ]  # fmt: skip
    return [
        tag("h3", MADE),
        table(("Time", "Kind", "What", "Call", "By"), rows, caption="Made or changed"),
        and_more(len(found), _MOST, _ALL),
    ]


def _resources(trace: Trace, tainted: set[str]) -> list[Html | None]:
    found = resources(trace, tainted)
    if not found:
        return []
    rows = [
        (words.size(one.bytes_out) if one.bytes_out else "-", f"{one.count:,}",
         f"{one.errors:,}" if one.errors else "-", one.call,
         brief(one.name) + (f" and {one.inside:,} in it" if one.inside else ""))
        for one in found[:_MOST]
    ]  # fmt: skip
    heads = ("Bytes out", "Calls", "Failed", "Call", "Resource")
    return [
        tag("h3", "Resources touched, the most bytes first"),
        table(heads, rows, caption="Resources touched", numbers=(0, 1, 2)),
        and_more(len(found), _MOST, _ALL),
    ]


def _calls(trace: Trace, tainted: set[str]) -> list[Html | None]:
    found = calls(trace, tainted)
    if not found:
        return []
    rows = [
        (f"{one.count:,}", f"{one.errors:,}" if one.errors else "-", brief(one.name)) for one in found[:_MOST]
    ]
    listed = table(("Calls", "Failed", "Call"), rows, caption="Calls", numbers=(0, 1))
    return [
        tag("details", tag("summary", f"Calls, the most frequent first: {len(found):,} kinds"), listed,
            and_more(len(found), _MOST, _ALL)),
    ]  # fmt: skip


def _named_alone(trace: Trace, tainted: set[str]) -> list[Html | None]:
    found = unkeyed(trace, tainted)
    if not found:
        return []
    rows = [(f"{one.count:,}", brief(one.sentence)) for one in found[:_MOST]]
    return [
        tag("h3", ALONE),
        table(("Calls", "What, where and when"), rows, caption="Calls of the principal", numbers=(0,)),
        and_more(len(found), _MOST, _ALL),
    ]
