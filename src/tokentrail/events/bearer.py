"""
Recognise calls that were authenticated with an API key, which a record may show without any access key id.

Sources: Amazon Bedrock User Guide, 'Handle compromised long-term and short-term API keys'
(`additionalEventData.callWithBearerToken`) and 'Monitor bedrock-mantle API calls using CloudTrail'
(`requestParameters`: `callWithBearerToken`, `bearerTokenType` of `ABSK` or `SHORT_TERM`). AWS does not say whether a
call with a long-term key shows an access key id; we take both. A short-term key is a presigned query, so that its calls
are calls of the credential that signed it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tokentrail.aws.calls.names import service_of
from tokentrail.events.loose import Raw, decoded

BEARER_KEY = "bearer-key:"
"""How the stand-in begins for the key id of a call with a long-term API key whose record shows none."""
TELLING_SOURCES = frozenset({"bedrock-mantle.amazonaws.com", "aws-external-anthropic.amazonaws.com"})
"""The services that tell it in the request; `native/record.c` leaves their records to the ordinary way."""
_TRUE = frozenset((True, "true", "True"))
_SHORT_TERM = "SHORT_TERM"
_SERVICE = re.compile(r"[a-z0-9-]{1,64}")
Column = Sequence[str | None]


def key_service(source: str | None) -> str:
    """The service whose API keys a call to a service is made with: those of all of Bedrock's endpoints are the same."""
    service = service_of(source)
    return "bedrock" if service.startswith("bedrock") else service


def marked(of: Mapping[str, Sequence[Any]]) -> Sequence[Raw]:
    """
    What each record of a batch says of its caller, with the service of the long-term API key that it may show.

    Args:
        of: The fields of a batch of records by name.
    """
    callers: Sequence[Raw] = of["userIdentity"]
    additional, sources = of["additionalEventData"], of["eventSource"]
    found = [at for at, one in enumerate(additional) if one is not None and one.callWithBearerToken in _TRUE]
    found += [
        at
        for at, source in enumerate(sources)
        if source in TELLING_SOURCES and _with_long_term_key(of["requestParameters"][at])
    ]
    if not found:
        return callers
    told = list(callers)
    for at in {*found}:
        told[at] = _with_service(bytes(callers[at]), key_service(sources[at]))
    return told


def _with_long_term_key(request: Raw) -> bool:
    """Whether a request tells of a bearer token, and does not say that it is a short-term key."""
    told = decoded(request)
    return _is_true(told.get("callWithBearerToken")) and told.get("bearerTokenType") != _SHORT_TERM


def _is_true(value: Any) -> bool:
    return isinstance(value, bool | str) and value in _TRUE


def _with_service(caller: bytes, service: str) -> bytes:
    body = caller.strip()
    if body[:1] != b"{" or body[-1:] != b"}" or not _SERVICE.fullmatch(service):
        return caller
    inner = body[1:-1].strip()
    return b'{%b%b"apiKeyService":"%b"}' % (inner, b"," if inner else b"", service.encode())


def stand_ins(
    keys: Column, principals: Column, kinds: Column, created: Column, services: Column
) -> Sequence[str | None]:
    """
    The access key ids of callers, with a stand-in for that of a user's long-term API key.

    A user that has a session shows its date: what is called then is called with the session's own short-term key.
    """
    if not any(services):
        return keys
    return [
        f"{BEARER_KEY}{service}:{principal}"
        if service
        and key is None
        and principal
        and kind == "IAMUser"
        and not date
        and _SERVICE.fullmatch(service)
        else key
        for key, principal, kind, date, service in zip(
            keys, principals, kinds, created, services, strict=True
        )
    ]
