"""
A timeline as CSV that Timesketch imports: its three columns first, then all of ours.

Source: Timesketch, 'Import data into Timesketch': `message`, `datetime` in ISO 8601, `timestamp_desc`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TextIO

from tokentrail.lineage.model import TimelineEvent
from tokentrail.present import words
from tokentrail.present.document import Document, columns, document
from tokentrail.present.machine import write_csv
from tokentrail.present.timeline import resource

COLUMNS = ("message", "datetime", "timestamp_desc")


def write_timesketch(events: Iterable[TimelineEvent], stream: TextIO) -> None:
    """Write the table, an event at a time."""
    write_csv(_rows(events), (*COLUMNS, *columns(TimelineEvent)), stream)


def _rows(events: Iterable[TimelineEvent]) -> Iterator[Document]:
    for one in events:
        failed = f": {one.error_code}" if one.error_code else ""
        on = f" on {named}" if (named := resource(one)) else ""
        where = f" from {one.source_ip}" if one.source_ip else ""
        call = words.call(one.event_source, one.event_name)
        yield {
            "message": f"{call} {'began' if one.began else 'by'} {one.credential}{where}{on}{failed}",
            "datetime": one.time.isoformat(timespec="seconds"),
            "timestamp_desc": "CloudTrail event time",
            **document(one),
        }
