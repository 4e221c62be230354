"""What a call touched: the resource that its request names, and whether its answer held a secret."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tokentrail.events.loose import Each, Raw, text
from tokentrail.events.record import Resource
from tokentrail.events.vocabulary import reads_secret


def arns(resources: list[Resource] | None) -> str | None:
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


def named_resources(members: Sequence[str], requests: Sequence[Raw]) -> list[str | None]:
    """The resource that each request names in its member of `vocabulary.NAMED_BY_REQUEST` or `NAMED_BY_CALL`."""
    every = zip(members, _requests(requests), strict=True)
    return [_named(member, asked) if asked is not None else None for member, asked in every]


def _named(member: str, asked: _Asked) -> str | None:
    found: str | None = getattr(asked, member)
    if found or member != "name":
        return found or None
    return "\n".join(sorted(asked.names)) if asked.names else asked.path or None


def held_secrets(
    names: Sequence[str | None], sources: Sequence[str | None], requests: Sequence[Raw]
) -> list[bool]:
    """Whether the answers of calls that are named as in `vocabulary.SECRET_READS` held the secret itself."""
    return [
        reads_secret(source, name) and _held(name or "", asked or _Asked())
        for name, source, asked in zip(names, sources, _requests(requests), strict=True)
    ]


def _held(name: str, asked: _Asked) -> bool:
    if name.startswith("GetParameter"):
        return asked.withDecryption in (True, "true")
    return name != "DescribeInstanceAttribute" or asked.attribute == "userData"
