"""
Look into the few calls that issue, change, reveal or name something, a batch at a time.

The marks of a call's name and source (`vocabulary.Mark`) say which these are. In all functions here, `of` has the
fields of a batch of records by name, and `marks` and `succeeded` have a value for each record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tokentrail.events.carriers.table import structured
from tokentrail.events.change import changes
from tokentrail.events.issuance import ISSUED, issuances
from tokentrail.events.loose import FAILURES, Each, Raw, text
from tokentrail.events.record import Additional, Resource
from tokentrail.events.vocabulary import (
    NAMED_BY_CALL,
    NAMED_BY_REQUEST,
    NAMED_WITH_SERVICE,
    Mark,
    reads_secret,
)

_FALSE = frozenset((False, "false", "False"))
_NOTHING = Additional()
_QUOTE = b'"'
_decode_text = msgspec.json.Decoder(str).decode

Fields = Mapping[str, Sequence[Any]]
Marks = npt.NDArray[np.uint8]


class CallColumns(NamedTuple):
    """Some calls of a batch, and the columns that are filled from their requests and answers."""

    places: list[int]
    """Their places in the batch."""
    columns: Sequence[Sequence[Any]]
    """A value for each of them, column by column."""


ISSUANCE = ("api", "shared_id", "sign_in_session", "explicit_trust", "requester_arn")
"""The columns of `columns.ISSUANCES` that `issued` fills, before those of `issuance.ISSUED`."""
CHANGE = ("request", "document", "response")
"""The columns of `columns.CHANGES` that `changed` fills."""


def network_activity(of: Fields, passing: Sequence[int]) -> list[int]:
    """
    Recognise network activity events, which are to issue, change and reveal nothing.

    Such a record stands beside the call's own one, which has its request and answer. If it counted as well, there
    would be secrets, changes and sessions of which nothing is known (CloudTrail User Guide, 'Logging network activity
    events').

    Args:
        of: The fields of a batch.
        passing: The places of calls that passed a VPC endpoint and don't say whether they only read.

    Returns:
        Those of the places at which there is neither a request nor an answer.
    """
    members = of["requestParameters"], of["responseElements"]
    return [at for at in passing if all(bytes(one[at]) == b"null" for one in members)]


def issued(
    of: Fields, marks: Marks, succeeded: npt.NDArray[np.bool_], *, compiled: bool = True
) -> CallColumns:
    """
    The credentials that successful calls issued: the columns `ISSUANCE` and `issuance.ISSUED`.

    Calls that are known to issue do so even where the log shows no key; others of issuing services do if it does.
    """
    named = Mark.NAMES_ISSUER | Mark.FROM_KEYLESS_ISSUER
    certain = (marks & named) == named
    possible = ~certain & (marks & Mark.FROM_ISSUER > 0)
    answers = of["responseElements"]
    rows = _where(succeeded & certain)
    more = [at for at in _where(succeeded & possible) if b"accessKeyId" in bytes(answers[at])]
    if more:
        rows = sorted(rows + more)
    if not rows:
        return CallColumns([], ())
    details = _at(of["serviceEventDetails"], rows)
    found, successes = issuances(_asked(of, rows), _answered(of, rows), details, compiled=compiled)
    additional: list[Additional] = [one or _NOTHING for one in _at(of["additionalEventData"], rows)]
    services = (NAMED_WITH_SERVICE.get(source, "") for source in _at(of["eventSource"], rows))
    columns = [
        [
            service + name if name else name
            for service, name in zip(services, _at(of["eventName"], rows), strict=True)
        ],
        _at(of["sharedEventID"], rows),
        [one.signInSessionArn for one in additional],
        [one.explicitTrustGrant for one in additional],
        [_requester(one) for one in additional],
        *found,
    ]
    _name_sessions(columns, additional)
    failed = {n for n, one in enumerate(additional) if one.success in _FALSE or not successes[n]}
    if failed:
        left = [n for n in range(len(rows)) if n not in failed]
        rows, columns = _at(rows, left), [_at(column, left) for column in columns]
    return CallColumns(rows, columns)


def _name_sessions(columns: list[Sequence[Any]], additional: Sequence[Additional]) -> None:
    """
    Fill in the names of the sessions that Lake Formation gives, which stand in `additionalEventData` alone.

    Source: AWS Lake Formation Developer Guide, 'Cross-account CloudTrail logging'.
    """
    names = [one.lakeFormationRoleSessionName for one in additional]
    if any(names):
        place = len(ISSUANCE) + ISSUED.index("session_name")
        columns[place] = [own or name or None for own, name in zip(columns[place], names, strict=True)]


def _requester(one: Additional) -> str | None:
    """
    The ARN of the principal for which a service, or another partition of AWS, asked for a session.

    Source: as above; IAM User Guide, 'Auditing cross-partition identity federation'.
    """
    source = one.crossPartitionData and one.crossPartitionData.sourcePrincipalArn
    return one.lakeFormationPrincipal or source or None


def changed(of: Fields, marks: Marks, succeeded: npt.NDArray[np.bool_]) -> CallColumns:
    """The changes that successful calls made: the columns `CHANGE`."""
    rows = _where(succeeded & (marks & Mark.CHANGES > 0))
    if not rows:
        return CallColumns([], ())
    return CallColumns(rows, changes(_at(of["eventName"], rows), _asked(of, rows), _answered(of, rows)))


def secrets(of: Fields, marks: Marks, succeeded: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which calls returned a secret."""
    held = np.zeros(len(marks), dtype=np.bool_)
    rows = _where(succeeded & (marks & Mark.READS_SECRET > 0))
    if rows:
        names, sources = _at(of["eventName"], rows), _at(of["eventSource"], rows)
        held[rows] = [
            reads_secret(source, name) and _held(name or "", asked or _Asked())
            for name, source, asked in zip(names, sources, _requests(_asked(of, rows)), strict=True)
        ]
    return held


def resources(of: Fields, marks: Marks) -> list[str | None]:
    """What each record lists as its resources, else what its request names."""
    found = [
        None if not listed else (listed[0].ARN or None) if len(listed) == 1 else _arns(listed)
        for listed in of["resources"]
    ]
    rows = [at for at in _where(marks & Mark.NAMES_RESOURCE > 0) if found[at] is None]
    for at, name in zip(rows, named(of, rows), strict=True):
        found[at] = name
    return found


def named(of: Fields, rows: list[int]) -> list[str | None]:
    """What the requests at some places name; their sources or names must be marked for it."""
    if not rows:
        return []
    called = zip(_at(of["eventSource"], rows), _at(of["eventName"], rows), strict=True)
    members = [NAMED_BY_REQUEST.get(source) or NAMED_BY_CALL[name] for source, name in called]
    every = zip(members, _requests(_asked(of, rows)), strict=True)
    return [_named(member, asked) if asked is not None else None for member, asked in every]


def _arns(resources: list[Resource] | None) -> str | None:
    """The ARNs that a record lists, joined by a line feed."""
    return "\n".join([one.ARN for one in resources if one.ARN]) or None if resources else None


class _Asked(msgspec.Struct, gc=False):
    """The members of a request that name a resource, or say whether a secret is wanted in the clear."""

    secretId: str | None = None
    name: str | None = None
    names: list[str] | None = None
    path: str | None = None
    functionName: str | None = None
    tableName: str | None = None
    bucketName: str | None = None
    keyId: str | None = None
    dBInstanceIdentifier: str | None = None
    instanceId: str | None = None
    repositoryName: str | None = None
    queueUrl: str | None = None
    topicArn: str | None = None
    withDecryption: bool | str | None = None
    attribute: str | None = None


def _forgiving(value: dict[str, Any]) -> _Asked:
    asked = _Asked()
    for name in _Asked.__struct_fields__:
        setattr(asked, name, text(value, name))
    names, decryption = value.get("names"), value.get("withDecryption")
    asked.names = [item for item in names if isinstance(item, str)] if isinstance(names, list) else None
    asked.withDecryption = decryption if isinstance(decryption, bool | str) else None
    return asked


_requests = Each(_Asked, _forgiving)


def _named(member: str, asked: _Asked) -> str | None:
    """What a request names in its member of `vocabulary.NAMED_BY_REQUEST` or `NAMED_BY_CALL`."""
    found: str | None = getattr(asked, member)
    if found or member != "name":
        return found or None
    return "\n".join(sorted(asked.names)) if asked.names else asked.path or None


def _held(name: str, asked: _Asked) -> bool:
    """Whether the answer of a call that may read a secret held the secret itself."""
    if name.startswith("GetParameter"):
        return asked.withDecryption in (True, "true")
    return name != "DescribeInstanceAttribute" or asked.attribute == "userData"


def _asked(of: Fields, rows: list[int]) -> list[Raw]:
    return list(map(_object, _at(of["requestParameters"], rows)))


def _answered(of: Fields, rows: list[int]) -> list[Raw]:
    return list(map(_object, _at(of["responseElements"], rows)))


def _object(raw: Raw) -> Raw:
    """A request or an answer as an object: some pipelines keep it as JSON in a text, to have fewer fields to index."""
    if memoryview(raw)[:1] != _QUOTE:
        return raw
    try:
        found = structured(_decode_text(raw))
    except FAILURES:
        return raw
    return msgspec.Raw(msgspec.json.encode(found)) if isinstance(found, dict) else raw


def _where(chosen: npt.NDArray[np.bool_]) -> list[int]:
    """The places that are chosen, as Python's own integers, which are ten times as quick to use as NumPy's."""
    return np.flatnonzero(chosen).tolist()


def _at(column: Sequence[Any], rows: list[int]) -> list[Any]:
    return [column[row] for row in rows]
