"""
Objects that lie side by side and are all alike, as a carrier writes them: their records at once.

Each kind is told by all of its members and declines what has another one, so that nothing is read here in another
way than one by one (`unwrap`); what is declined costs time and never a record.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from tokentrail.events.carriers.lost import EVENTBRIDGE, LOOKUP_EVENTS
from tokentrail.events.loose import FAILURES, Raw

VIA_CLOUDTRAIL = ("via CloudTrail", "Via CloudTrail")
"""How the kind of an EventBridge event ends that carries a record."""
_ANY = msgspec.Raw()
_HEAD = 100


class Alike(NamedTuple):
    """The records of some objects, one each, and what brought them."""

    texts: list[bytes]
    carrier: str


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
_Texts: TypeAlias = "list[bytes] | None"


def _details(events: Sequence[Raw | str]) -> _Texts:
    found = [_decode_event(one) for one in events]
    kinds = {one.kind for one in found}
    if any(not kind.endswith(VIA_CLOUDTRAIL) or "Insight" in kind for kind in kinds):
        return None
    return [bytes(one.detail) for one in found]


def _looked_up(items: Sequence[Raw]) -> _Texts:
    return [_decode_looked(one).CloudTrailEvent.encode() for one in items]


def _messages(items: Sequence[Raw]) -> _Texts:
    return _details([_decode_message(one).Body for one in items])


def _delivered(items: Sequence[Raw]) -> _Texts:
    return _details([_decode_delivered(one).body for one in items])


def _exported(items: Sequence[Raw]) -> _Texts:
    return [_decode_exported(one).result.raw.encode() for one in items]


def _documents(items: Sequence[Raw]) -> _Texts:
    return [_decode_hit(one).source.event.original.encode() for one in items]


def _records(items: Sequence[Raw]) -> _Texts:
    return [*map(bytes, items)] if b'"eventVersion"' in bytes(items[0])[:_HEAD] else None


_decode_looked = msgspec.json.Decoder(_Looked).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_delivered = msgspec.json.Decoder(_Delivered).decode
_decode_exported = msgspec.json.Decoder(_Exported).decode
_decode_hit = msgspec.json.Decoder(_Hit).decode

_KINDS: tuple[tuple[Callable[[Sequence[Any]], _Texts], str], ...] = (
    (_details, EVENTBRIDGE),
    (_looked_up, LOOKUP_EVENTS),
    (_messages, EVENTBRIDGE),
    (_delivered, EVENTBRIDGE),
    (_exported, ""),
    (_documents, ""),
    (_records, ""),
)


def alike(items: Sequence[Raw]) -> Alike | None:
    """The records of objects of one kind, which the first of them tells; `None` where one is of another."""
    for texts_of, carrier in _KINDS:
        try:
            if texts_of(items[:1]) is None:
                continue
            texts = texts_of(items)
        except FAILURES:
            continue
        if texts is not None:
            return Alike(texts, carrier)
    return None
