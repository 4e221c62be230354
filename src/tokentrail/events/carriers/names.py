"""
The names of a record's members, as tables and data lakes spell them, and as CloudTrail does.

Athena and CloudTrail Lake write names in small letters, Splunk joins them by dots, others by underscores or by
nothing: what is left when all but letters and digits is dropped is the same for all of them.
CloudTrail User Guide, 'CloudTrail record contents for management, data, and network activity events' and
'CloudTrail userIdentity element'.
"""

from __future__ import annotations

from typing import Any

TOP = (
    "eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress",
    "userAgent", "errorCode", "errorMessage", "requestParameters", "responseElements", "additionalEventData",
    "requestID", "eventID", "readOnly", "resources", "eventType", "apiVersion", "managementEvent",
    "recipientAccountId", "serviceEventDetails", "sharedEventID", "vpcEndpointId", "vpcEndpointAccountId",
    "eventCategory", "addendum", "sessionCredentialFromConsole", "edgeDeviceDetails", "tlsDetails",
    "insightDetails", "eventContext",
)  # fmt: skip
OPEN = frozenset({"requestParameters", "responseElements", "additionalEventData", "serviceEventDetails"})
"""Members whose own members are a service's, and spelled as the carrier has them."""
_IDENTITY = (
    "type", "principalId", "arn", "accountId", "accessKeyId", "userName", "invokedBy", "identityProvider",
    "credentialId", "onBehalfOf.userId", "onBehalfOf.identityStoreArn",
    "onBehalfOf.identityCenterInstanceArn", "onBehalfOf.subject", "onBehalfOf.subjectType", "onBehalfOf.issuer",
    "onBehalfOf.federatedProviderArn", "inScopeOf.sourceArn",
    "inScopeOf.sourceAccount", "inScopeOf.issuerType", "inScopeOf.credentialsIssuedTo",
    "invokedByDelegate.accountId",
    "sessionContext.attributes.creationDate", "sessionContext.attributes.mfaAuthenticated",
    "sessionContext.sessionIssuer.type", "sessionContext.sessionIssuer.principalId",
    "sessionContext.sessionIssuer.arn", "sessionContext.sessionIssuer.accountId",
    "sessionContext.sessionIssuer.userName", "sessionContext.webIdFederationData.federatedProvider",
    "sessionContext.webIdFederationData.attributes", "sessionContext.sourceIdentity",
    "sessionContext.ec2RoleDelivery", "sessionContext.ec2IssuedInVpc", "sessionContext.assumedRoot",
    "sessionContext.signInSessionArn",
)  # fmt: skip


def bare(name: str) -> str:
    """A name without anything but letters and digits, in small letters."""
    return "".join(filter(str.isalnum, name)).lower()


PATHS = {bare(name): (name,) for name in TOP} | {
    bare(f"userIdentity{path}"): ("userIdentity", *path.split(".")) for path in _IDENTITY
}
"""Where a value of a bare name belongs in a record."""
_IDENTITY_NAMES = {bare(part): part for path in _IDENTITY for part in path.split(".")}
_DEEPEST = 20
_RESOURCE_NAMES = {bare(name): name for name in ("ARN", "accountId", "type", "ARNPrefix")}


def identity(value: Any) -> Any:
    """The same value with the names in it spelled as in `userIdentity`."""
    return _spelled(value, _IDENTITY_NAMES)


def resources(value: Any) -> Any:
    """The same value as the list that `resources` is, names spelled as there; texts are ARNs, pairs are an object's."""
    listed = value if isinstance(value, list) else [] if value is None else [value]
    listed = [dict(one) if _is_pairs(one) else one for one in listed]
    return [{"ARN": one} if isinstance(one, str) else _spelled(one, _RESOURCE_NAMES) for one in listed]


def _is_pairs(value: Any) -> bool:
    """Whether a value is a map as Parquet's reader gives it within a list."""
    return isinstance(value, list) and all(isinstance(one, tuple) for one in value)


def _spelled(value: Any, names: dict[str, str], depth: int = 0) -> Any:
    """The same value with such names in it; what lies deeper than AWS ever writes stays as it is."""
    if depth == _DEEPEST:
        return value
    if isinstance(value, dict):
        return {names.get(bare(name), name): _spelled(item, names, depth + 1) for name, item in value.items()}
    return [_spelled(item, names, depth + 1) for item in value] if isinstance(value, list) else value


def place(record: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Put a value at a path; what stands in the way gives way, since a member can't be a value and an object."""
    for name in path[:-1]:
        inner = record.get(name)
        if not isinstance(inner, dict):
            inner = record[name] = {}
        record = inner
    record.setdefault(path[-1], value)
