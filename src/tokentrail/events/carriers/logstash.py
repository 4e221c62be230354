"""
Events of Logstash, which hold a record's members and call its time `@timestamp`.

So its codec `cloudtrail` makes them: it takes `eventTime` away, and puts `disableApiTermination` of a request into an
object (logstash-codec-cloudtrail, `decode`). An event whose time Logstash could not read bears the time at which it
was made instead, and keeps what stood there under `_@timestamp` (Logstash, `Event`).
"""

from __future__ import annotations

import msgspec

from tokentrail.events.carriers.table import moment
from tokentrail.events.loose import FAILURES

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def record(event: bytes) -> bytes:
    """The record of an event, all but its time as it stands there."""
    members = _decode(event)
    del members["@version"]
    time = members.pop("@timestamp")
    members["eventTime"] = _spelled(members.pop("_@timestamp", time))
    return _encode(members)


def _spelled(time: msgspec.Raw) -> msgspec.Raw:
    """A time as CloudTrail spells it; what is no text stays, and is told by whoever reads the record."""
    try:
        return msgspec.Raw(_encode(moment(_decode_text(time))))
    except FAILURES:
        return time
