"""
The names of the calls that issue credentials, change what credentials can do, make lasting things, or read secrets.

What each call does is said in `aws.calls`. An event is first marked by its name and by its source alone, since that is
quick; field paths follow CloudTrail's lower-camel spelling of the API's own output.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntFlag

from tokentrail.aws.calls.catalogue import CallFacts, every_reviewed, reviewed
from tokentrail.aws.calls.credential_delivery import ISSUING_SERVICES
from tokentrail.aws.calls.names import operation_of, service_of

ISSUING_SOURCES = frozenset(f"{service}.amazonaws.com" for service in ISSUING_SERVICES)
"""Services whose successful answers may carry a temporary credential, whatever the call is named."""


def _operations(*conditions: Callable[[CallFacts], bool]) -> frozenset[str]:
    """The operations, of whatever service, of which all of some conditions hold."""
    return frozenset(one.operation for one in every_reviewed() if all(met(one) for met in conditions))


KEYLESS_ISSUERS = _operations(lambda one: one.issues)
"""Operations that issue a credential whose key id the log may not show."""
KEYLESS_SOURCES = ISSUING_SOURCES - {"s3express.amazonaws.com"}
"""
Services whose calls in `KEYLESS_ISSUERS` issue, key or not.

Other services have a CreateSession that issues nothing; that of S3 Express One Zone issues, and shows the key.
"""

NAMED_WITH_SERVICE = {
    "s3express.amazonaws.com": "s3express:",
    "lakeformation.amazonaws.com": "lakeformation:",
}
"""
Issuers of which a call has the name of another's, and what tells it apart: S3 has a GetDataAccess, too.

The CreateSession of S3 Express One Zone gives the caller's own principal a key for one directory bucket, that of IAM
Roles Anywhere a certificate's holder a role (Amazon S3 User Guide, 'CloudTrail log file examples for directory
buckets'; IAM Roles Anywhere User Guide, 'The CreateSession operation').
"""

IAM_CHANGES = _operations(lambda one: one.service == "iam", lambda one: one.changes)
"""IAM calls whose whole request matters to a credential's state or offspring."""

FROM_TEMPLATE = "AcquireRole"
"""The call that makes a role of a template: name and trust policy are in its answer alone (IAM API Reference)."""

POLICY_CHANGES = frozenset({"AttachPolicy", "DetachPolicy", "UpdatePolicy"})
"""Organizations' service control policies; CreatePolicy and DeletePolicy share their names with IAM."""

CHANGES = _operations(lambda one: one.changes)
"""Operations whose result outlives the token that made them, that do away with such a result, or that blind the log."""

HANDED_OUT = _operations(lambda one: one.verdict == "token")
"""Operations whose answer is a token that a service makes for whoever asks, each time another one."""
SECRET_READS = HANDED_OUT | _operations(lambda one: one.verdict == "secret")
"""Operations whose answer is, or may hold, a secret or a token; `reads_secret` knows of which service."""

NAMED_BY_REQUEST = {
    "secretsmanager.amazonaws.com": "secretId",
    "ssm.amazonaws.com": "name",
    "lambda.amazonaws.com": "functionName",
    "dynamodb.amazonaws.com": "tableName",
    "s3.amazonaws.com": "bucketName",
    "kms.amazonaws.com": "keyId",
    "rds.amazonaws.com": "dBInstanceIdentifier",
    "ecr.amazonaws.com": "repositoryName",
    "sqs.amazonaws.com": "queueUrl",
    "sns.amazonaws.com": "topicArn",
}
"""By service: the member of the request that names the resource, for calls whose records have no `resources`."""
NAMED_BY_CALL = {"GetPasswordData": "instanceId", "DescribeInstanceAttribute": "instanceId"}
"""The same for single calls of EC2, most of whose requests need not be looked into."""


class Mark(IntFlag):
    """What to do with an event, by its name and its source: a call is looked into only if it has the marks for it."""

    NAMES_ISSUER = 1
    CHANGES = 2
    READS_SECRET = 4
    FROM_ISSUER = 8
    FROM_KEYLESS_ISSUER = 16
    NAMES_RESOURCE = 32


def name_marks(name: str | None) -> int:
    """The marks of an event's name, with or without the version of the API behind it."""
    operation = operation_of(name or "")
    return (
        Mark.NAMES_ISSUER * (operation in KEYLESS_ISSUERS)
        | Mark.CHANGES * (operation in CHANGES)
        | Mark.READS_SECRET * (operation in SECRET_READS)
        | Mark.NAMES_RESOURCE * (name in NAMED_BY_CALL)
    )


def source_marks(source: str | None) -> int:
    """The marks of an event's source."""
    return (
        Mark.FROM_ISSUER * (source in ISSUING_SOURCES)
        | Mark.FROM_KEYLESS_ISSUER * (source in KEYLESS_SOURCES)
        | Mark.NAMES_RESOURCE * (source in NAMED_BY_REQUEST)
    )


def reads_secret(source: str | None, name: str | None) -> bool:
    """Whether the answer of a call may hold a secret or a token; of any service if the source is not known."""
    if not source:
        return operation_of(name or "") in SECRET_READS
    known = reviewed(service_of(source), name or "")
    return known is not None and known.verdict in ("secret", "token")


def looked_into(marks: int) -> int:
    """Whether a call of such marks is looked into: 1 if it succeeded, 2 if its record lists no resource."""
    keyless = Mark.NAMES_ISSUER | Mark.FROM_KEYLESS_ISSUER
    tells = marks & (Mark.CHANGES | Mark.READS_SECRET | Mark.FROM_ISSUER) or marks & keyless == keyless
    return bool(tells) | 2 * bool(marks & Mark.NAMES_RESOURCE)


VPC_ENDPOINT = "vpce-[0-9a-f]{8,17}"
"""
How AWS names a VPC endpoint, as an expression; in `vpcEndpointId` a service's name may stand instead.

CloudTrail User Guide, 'CloudTrail record contents'; Amazon EC2 User Guide, 'Resource IDs'.
"""
