"""
Read the records of objects that are side by side and all of one kind, as a carrier writes them, at once.

A kind is recognised by all of its members, and declines an object with any other. So nothing is read differently here
than one by one (`unwrap`): what is declined costs time, but never a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from tokentrail.events.carriers import logstash, telling
from tokentrail.events.carriers.lost import ELASTIC, EVENTBRIDGE, LOGSTASH, LOOKUP_EVENTS, OCSF, OCSF_1_0
from tokentrail.events.carriers.slim import OTHER_KIND
from tokentrail.events.loose import FAILURES, Raw
from tokentrail.events.piece import Found, flat

VIA_CLOUDTRAIL = ("via CloudTrail", "Via CloudTrail")
"""How the detail type of an EventBridge event ends if it carries a record."""
_ANY = msgspec.Raw()
_HEAD = 100


class Alike(NamedTuple):
    """The records of some objects, one for each, and what brought them."""

    texts: list[bytes]
    carriers: frozenset[str]


class _Event(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """EventBridge User Guide, 'AWS service event metadata'."""

    kind: str = msgspec.field(name="detail-type")
    detail: msgspec.Raw
    version: msgspec.Raw = _ANY
    id: msgspec.Raw = _ANY
    source: msgspec.Raw = _ANY
    account: msgspec.Raw = _ANY
    time: msgspec.Raw = _ANY
    region: msgspec.Raw = _ANY
    resources: msgspec.Raw = _ANY


class _Looked(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """CloudTrail API Reference, 'Event'."""

    CloudTrailEvent: str
    EventId: msgspec.Raw = _ANY
    EventName: msgspec.Raw = _ANY
    EventTime: msgspec.Raw = _ANY
    EventSource: msgspec.Raw = _ANY
    Username: msgspec.Raw = _ANY
    ReadOnly: msgspec.Raw = _ANY
    AccessKeyId: msgspec.Raw = _ANY
    Resources: msgspec.Raw = _ANY


class _Message(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Amazon SQS API Reference, 'Message'."""

    Body: str
    MessageId: msgspec.Raw = _ANY
    ReceiptHandle: msgspec.Raw = _ANY
    MD5OfBody: msgspec.Raw = _ANY
    Attributes: msgspec.Raw = _ANY
    MD5OfMessageAttributes: msgspec.Raw = _ANY
    MessageAttributes: msgspec.Raw = _ANY


class _Delivered(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """AWS Lambda Developer Guide, 'Using Lambda with Amazon SQS'."""

    body: str
    messageId: msgspec.Raw = _ANY
    receiptHandle: msgspec.Raw = _ANY
    attributes: msgspec.Raw = _ANY
    messageAttributes: msgspec.Raw = _ANY
    md5OfBody: msgspec.Raw = _ANY
    md5OfMessageAttributes: msgspec.Raw = _ANY
    eventSource: msgspec.Raw = _ANY
    eventSourceARN: msgspec.Raw = _ANY
    awsRegion: msgspec.Raw = _ANY


class _Whole(msgspec.Struct, gc=False):
    raw: str = msgspec.field(name="_raw")


class _Exported(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Splunk's Search Reference, 'outputs of search/jobs/export'."""

    result: _Whole
    preview: msgspec.Raw = _ANY
    offset: msgspec.Raw = _ANY
    lastrow: msgspec.Raw = _ANY


class _Kept(msgspec.Struct, gc=False):
    original: str


class _Document(msgspec.Struct, gc=False):
    event: _Kept


class _Hit(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Elasticsearch's search API, 'hits'."""

    source: _Document = msgspec.field(name="_source")
    index: msgspec.Raw = msgspec.field(default=_ANY, name="_index")
    id: msgspec.Raw = msgspec.field(default=_ANY, name="_id")
    type: msgspec.Raw = msgspec.field(default=_ANY, name="_type")
    score: msgspec.Raw = msgspec.field(default=_ANY, name="_score")
    version: msgspec.Raw = msgspec.field(default=_ANY, name="_version")
    ignored: msgspec.Raw = msgspec.field(default=_ANY, name="_ignored")
    sort: msgspec.Raw = _ANY
    fields: msgspec.Raw = _ANY


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_looked = msgspec.json.Decoder(_Looked).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_delivered = msgspec.json.Decoder(_Delivered).decode
_decode_exported = msgspec.json.Decoder(_Exported).decode
_decode_hit = msgspec.json.Decoder(_Hit).decode


def _detail(event: Raw | str) -> bytes:
    found = _decode_event(event)
    if not found.kind.endswith(VIA_CLOUDTRAIL) or "Insight" in found.kind:
        raise OTHER_KIND
    return bytes(found.detail)


def _record(item: Raw) -> bytes:
    raw = bytes(item)
    if b'"eventVersion"' not in raw[:_HEAD]:
        raise OTHER_KIND
    return raw


_KINDS: tuple[tuple[Callable[[Any], bytes], str], ...] = (
    (_detail, EVENTBRIDGE),
    (lambda item: _decode_looked(item).CloudTrailEvent.encode(), LOOKUP_EVENTS),
    (lambda item: _detail(_decode_message(item).Body), EVENTBRIDGE),
    (lambda item: _detail(_decode_delivered(item).body), EVENTBRIDGE),
    (lambda item: _decode_exported(item).result.raw.encode(), ""),
    (lambda item: _decode_hit(item).source.event.original.encode(), ""),
    (telling.elastic, ELASTIC),
    (telling.old_ocsf, OCSF_1_0),
    (telling.new_ocsf, OCSF),
    (logstash.record, LOGSTASH),
    (_record, ""),
)


def alike(items: Sequence[Raw], one: Callable[[Raw], Iterator[Found]]) -> Alike | None:
    """
    The records of objects that are of the same kind as the first; `None` if that is of no known kind.

    Args:
        items: The objects.
        one: Reads a single object of any kind: used for the few that are of another kind than the first.
    """
    kind = next((kind for kind in _KINDS if _is(items[0], kind[0])), None)
    if kind is None:
        return None
    text_of, carrier = kind
    texts, carriers = [], {carrier}
    for item in items:
        try:
            texts.append(text_of(item))
        except FAILURES:
            pieces = list(islice(flat(one(item)), 2))
            if len(pieces) != 1 or pieces[0].reason:
                return None
            texts.append(pieces[0].raw)
            carriers.add(pieces[0].carrier)
    return Alike(texts, frozenset(carriers))


def _is(item: Raw, text_of: Callable[[Any], bytes]) -> bool:
    try:
        text_of(item)
    except FAILURES:
        return False
    return True
