"""
Slim records: what carriers write when they rebuild a record, with only the members from which columns are filled.

A slim record gives the same columns as the whole one, which is rebuilt when a single record is shown.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from tokentrail.events.loose import Raw
from tokentrail.events.vocabulary import looked_into, name_marks, source_marks

OTHER_KIND = msgspec.ValidationError("an object of another kind")
"""Raised for an object that is not of the expected kind, which is then left to the ordinary way."""
Members: TypeAlias = dict[str, Any]


class Resource(msgspec.Struct, gc=False):
    """One of `resources`."""

    ARN: str | None


class Slim(msgspec.Struct, gc=False, omit_defaults=True):
    """The members of `record.Record`."""

    eventTime: str | None
    eventName: str | None
    eventID: str | None
    userIdentity: msgspec.Raw
    eventSource: str | None = None
    awsRegion: str | None = None
    sourceIPAddress: str | None = None
    userAgent: str | None = None
    errorCode: str | None = None
    requestParameters: msgspec.Raw | Members | None = None
    responseElements: msgspec.Raw | Members | None = None
    additionalEventData: msgspec.Raw | Members | None = None
    serviceEventDetails: msgspec.Raw | Members | None = None
    readOnly: bool | str | None = None
    managementEvent: bool | str | None = None
    resources: msgspec.Raw | list[Resource] | None = None
    recipientAccountId: str | None = None
    sharedEventID: str | None = None
    sessionCredentialFromConsole: bool | str | None = None
    vpcEndpointId: str | None = None
    vpcEndpointAccountId: str | None = None


encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=1 << 12)
def wanted(name: str | None, source: str | None) -> int:
    """Which nested members of a call fill columns: none (0), the request if it lists no resource (2), or all."""
    return looked_into(name_marks(name) | source_marks(source))


def readable(item: Raw) -> bytes:
    """
    The bytes of an object, if they are UTF-8.

    Raises:
        FAILURES: they are not; the decoder checks only values that it keeps.
    """
    raw = bytes(item)
    if not raw.isascii():
        raw.decode()
    return raw
