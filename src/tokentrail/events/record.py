"""
The type of a CloudTrail record, with the fields that lineage needs, and how to read one from bytes that may be hostile.

Field names and types: CloudTrail User Guide, 'CloudTrail record contents for management, data, and network
activity events' and 'CloudTrail userIdentity element'.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

import msgspec

from tokentrail.events.fields import fields
from tokentrail.events.loose import FAILURES, clean, is_text
from tokentrail.events.values import ACCOUNT_DIGITS

MISSING = msgspec.Raw(b"null")
ABSENT = msgspec.Raw()


class Resource(msgspec.Struct, gc=False):
    """One element of `resources`."""

    ARN: str | None = None


class CrossPartition(msgspec.Struct, gc=False):
    """
    Who of another partition of AWS asked for the token by which a role was assumed.

    Source: IAM User Guide, 'Auditing cross-partition identity federation'.
    """

    sourcePrincipalArn: str | None = None


class Additional(msgspec.Struct, gc=False):
    """The members of `additionalEventData` that lineage reads."""

    bytesTransferredOut: float | None = None
    signInSessionArn: str | None = None
    grant_type: str | None = None
    success: str | bool | None = None
    MFAUsed: str | None = None
    SwitchFrom: str | None = None
    explicitTrustGrant: bool | None = None
    lakeFormationPrincipal: str | None = None
    lakeFormationRoleSessionName: str | None = None
    crossPartitionData: CrossPartition | None = None
    callWithBearerToken: str | bool | None = None


class Record(msgspec.Struct, gc=False):
    """A CloudTrail record. Nested members that are needed of few events are not decoded."""

    userIdentity: msgspec.Raw = MISSING
    eventSource: str | None = None
    awsRegion: str | None = None
    sourceIPAddress: str | None = None
    userAgent: str | None = None
    errorCode: str | None = None
    requestParameters: msgspec.Raw = MISSING
    responseElements: msgspec.Raw = MISSING
    additionalEventData: Additional | None = None
    readOnly: bool | None = None
    resources: list[Resource] | None = None
    managementEvent: bool | None = None
    recipientAccountId: str | None = None
    serviceEventDetails: msgspec.Raw = MISSING
    sharedEventID: str | None = None
    sessionCredentialFromConsole: str | bool | None = None
    vpcEndpointId: str | None = None
    vpcEndpointAccountId: str | None = None
    eventTime: str | None = None
    eventName: str | None = None
    eventID: str | None = None


class SoundRecord(Record, gc=False, kw_only=True):
    """
    A record that has all that an event needs, as the decoder itself checks at hardly any cost.

    Fields that it declares again must stand last here and in `Record`: batches hold both types, and take their fields
    by position.
    """

    eventTime: Annotated[str, msgspec.Meta(min_length=20, max_length=20)]
    eventName: Annotated[str, msgspec.Meta(min_length=1)]
    eventID: Annotated[str, msgspec.Meta(min_length=1)]


class LogFile(msgspec.Struct, gc=False):
    """A native log file, or a single record."""

    Records: list[SoundRecord] | None = None
    eventName: msgspec.Raw = ABSENT


decode_file = msgspec.json.Decoder(LogFile).decode
decode_array = msgspec.json.Decoder(list[SoundRecord]).decode
decode_lines = msgspec.json.Decoder(SoundRecord).decode_lines
decode_one = msgspec.json.Decoder(SoundRecord).decode
decode_record = msgspec.json.Decoder(Record).decode

_TEXT = (
    "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress", "userAgent", "errorCode",
    "eventID", "sharedEventID", "recipientAccountId", "vpcEndpointId", "vpcEndpointAccountId",
)  # fmt: skip
_FLAGS = ("readOnly", "managementEvent")
_RAW = ("userIdentity", "requestParameters", "responseElements", "serviceEventDetails")
_ADDITIONAL = (
    "signInSessionArn", "grant_type", "MFAUsed", "SwitchFrom", "lakeFormationPrincipal", "lakeFormationRoleSessionName",
)  # fmt: skip

CUT_OFF = "cut off in the middle of a record"
UNREADABLE = "unreadable"
"""The error code of a record whose own can't be read."""
_BAD_JSON = "not valid JSON"

Note = tuple[str, str]
"""A field that could not be read, and why."""


def read(raw: bytes) -> tuple[Record, list[Note]] | str:
    """
    Read one record. A field that can't be read is left out with a note; the others are kept.

    Returns:
        The record and its notes, or the reason why nothing of it could be used.
    """
    try:
        if is_text(raw):
            return decode_record(raw), []
    except FAILURES:
        pass
    parts = fields(raw)
    if parts is None:
        return CUT_OFF if raw[:1] == b"{" else "not a JSON object"
    notes: list[Note] = []
    values = {name: _value(parts[name], name, notes) for name in Record.__struct_fields__ if name in parts}
    record = _coerce(values, notes)
    noted = {name for name, _ in notes}
    for name in _RAW:
        if name in parts and name not in noted:
            setattr(record, name, msgspec.Raw(parts[name]))
        elif values.get(name) is not None:
            setattr(record, name, msgspec.Raw(msgspec.json.encode(values[name])))
    if record.errorCode is None and _may_have_failed(raw, parts, notes):
        record.errorCode = UNREADABLE
    return record, notes


def _may_have_failed(raw: bytes, parts: Mapping[str, bytes], notes: list[Note]) -> bool:
    """Whether a damaged record may have an error code: a failed call must never pass for one that issued something."""
    if parts.get("errorCode", b"null") != b"null":
        return True
    return b"errorCode" in raw and "errorCode" not in parts and any(why == _BAD_JSON for _, why in notes)


def _value(raw: bytes, name: str, notes: list[Note]) -> Any:
    """Decode the value of a field: strictly, else forgivingly with a note; `None` with a note if both fail."""
    try:
        return msgspec.json.decode(raw)
    except FAILURES:
        pass
    try:
        value = clean(json.loads(raw.decode("utf-8", "replace"), strict=False))
    except (ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        notes.append((name, "nested too deeply" if deep else _BAD_JSON))
        return None
    notes.append((name, "repaired: invalid characters or numbers"))
    return value


def _coerce(values: Mapping[str, Any], notes: list[Note]) -> Record:
    """Make a record of decoded values of any types; members that stay raw are left to the caller."""
    record = Record()
    for name in _TEXT:
        setattr(record, name, _text(values.get(name), name, notes))
    for name in _FLAGS:
        setattr(record, name, _flag(values.get(name), name, notes))
    console = values.get("sessionCredentialFromConsole")
    record.sessionCredentialFromConsole = _flag(console, "sessionCredentialFromConsole", notes)
    record.additionalEventData = _additional(values.get("additionalEventData"), notes)
    record.resources = _resources(values.get("resources"), notes)
    return record


def _text(value: Any, name: str, notes: list[Note]) -> str | None:
    if value is None or isinstance(value, str):
        return value
    notes.append((name, f"a {type(value).__name__} where text is expected"))
    if not isinstance(value, int | float):
        return None
    return str(value).zfill(ACCOUNT_DIGITS) if name.endswith("AccountId") else str(value)


def _flag(value: Any, name: str, notes: list[Note]) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    notes.append((name, f"a {type(value).__name__} where true or false is expected"))
    return None


def _number(value: Any, name: str, notes: list[Note]) -> float | None:
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        notes.append((name, "a number beyond all that can be counted"))
        return None


def _additional(value: Any, notes: list[Note]) -> Additional | None:
    if isinstance(value, str) and value[:1] == "{":
        # Some pipelines write it as JSON in a text, to have fewer fields to index.
        with suppress(*FAILURES):
            value = msgspec.json.decode(value)
    if not isinstance(value, dict):
        if value is not None:
            notes.append(("additionalEventData", f"a {type(value).__name__} where an object is expected"))
        return None
    return Additional(
        bytesTransferredOut=_number(
            value.get("bytesTransferredOut"), "additionalEventData.bytesTransferredOut", notes
        ),
        success=_flag(value.get("success"), "additionalEventData.success", notes),
        explicitTrustGrant=_flag(
            value.get("explicitTrustGrant"), "additionalEventData.explicitTrustGrant", notes
        ),
        crossPartitionData=_cross_partition(value.get("crossPartitionData"), notes),
        callWithBearerToken=_flag(
            value.get("callWithBearerToken"), "additionalEventData.callWithBearerToken", notes
        ),
        **{name: _text(value.get(name), f"additionalEventData.{name}", notes) for name in _ADDITIONAL},
    )


def _cross_partition(value: Any, notes: list[Note]) -> CrossPartition | None:
    name = "additionalEventData.crossPartitionData"
    if not isinstance(value, dict):
        if value is not None:
            notes.append((name, f"a {type(value).__name__} where an object is expected"))
        return None
    return CrossPartition(_text(value.get("sourcePrincipalArn"), f"{name}.sourcePrincipalArn", notes))


def _resources(value: Any, notes: list[Note]) -> list[Resource] | None:
    if value is None:
        return None
    items = value if isinstance(value, list) else [value]
    arns = [item.get("ARN", item.get("arn")) if isinstance(item, dict) else None for item in items]
    kept = [Resource(ARN=arn) for arn in arns if isinstance(arn, str)]
    if len(kept) < len(items) or not isinstance(value, list):
        notes.append(("resources", "an element without a readable ARN"))
    return kept
