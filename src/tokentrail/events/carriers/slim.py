"""
Records as far as our columns go, written by carriers that tell them anew: what they leave out no column shows.

The same columns come of a slim record as of the whole one, which is what a look at a single record gives.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

import msgspec

from tokentrail.events.loose import Raw
from tokentrail.events.vocabulary import looked_into, name_marks, source_marks

OTHER_KIND = msgspec.ValidationError("an object of another kind")
"""Raised for whatever is told in a way that takes more thought; the ordinary way has it."""
Members: TypeAlias = dict[str, Any]


class Resource(msgspec.Struct, gc=False):
    """One of `resources`."""

    ARN: str | None


class Slim(msgspec.Struct, gc=False, omit_defaults=True):
    """What `record.Record` holds."""

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
    """What of a call says something: nothing (0), its request alone (2), or all of it."""
    return looked_into(name_marks(name) | source_marks(source))


def readable(item: Raw) -> bytes:
    """
    An object's bytes, if all of them are text.

    Raises:
        FAILURES: they aren't, which the decoder sees only in what it keeps.
    """
    raw = bytes(item)
    if not raw.isascii():
        raw.decode()
    return raw
