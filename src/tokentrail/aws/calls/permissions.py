"""
Which permissions a logged call needs, by the event's source and name.

Most services use the same name for the event, the operation and its permission; the exceptions that matter are listed.
If the log does not show which permission was needed, the answer is a pattern such as `s3:*`.
Sources: Service Authorization Reference, 'Actions, resources, and condition keys for Amazon S3', '... for AWS
Lambda', '... for Amazon CloudWatch'; Amazon S3 User Guide, 'Amazon S3 CloudTrail events'.
"""

from __future__ import annotations

from functools import lru_cache

from tokentrail.aws.calls.catalogue import facts
from tokentrail.aws.calls.names import operation_of

_PREFIXES = {
    "monitoring": "cloudwatch", "tagging": "tag", "email": "ses", "streams.dynamodb": "dynamodb",
    "cloudcontrolapi": "cloudformation", "iotdata": "iot", "appconfigdata": "appconfig",
    "bedrock-agent": "bedrock", "bedrock-agent-runtime": "bedrock", "bedrock-runtime": "bedrock",
    "bedrock-data-automation": "bedrock", "bedrock-data-automation-runtime": "bedrock",
}  # fmt: skip
"""By the first part of an event's source: the prefix of its permissions (Service Authorization Reference)."""
_UNNAMED = frozenset({"apigateway", "execute-api", "iotdata", "bedrock-agent-runtime", "cognito-identity"})
"""Sources whose events and permissions have different names."""
_S3 = {
    "ListBuckets": "ListAllMyBuckets", "ListObjects": "ListBucket", "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket", "HeadObject": "GetObject", "SelectObjectContent": "GetObject",
    "DeleteObjects": "DeleteObject", "CreateMultipartUpload": "PutObject", "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject", "ListParts": "ListMultipartUploadParts",
    "ListMultipartUploads": "ListBucketMultipartUploads", "ListObjectVersions": "ListBucketVersions",
    "GetBucketEncryption": "GetEncryptionConfiguration", "PutBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration", "PutBucketLifecycle": "PutLifecycleConfiguration",
    "GetBucketReplication": "GetReplicationConfiguration", "PutBucketReplication": "PutReplicationConfiguration",
    "GetBucketCors": "GetBucketCORS", "PutBucketCors": "PutBucketCORS",
    "GetBucketPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutBucketPublicAccessBlock": "PutBucketPublicAccessBlock",
}  # fmt: skip
_S3_BOTH = {"CopyObject": ("GetObject", "PutObject"), "UploadPartCopy": ("GetObject", "PutObject")}
_LAMBDA = {
    "Invoke": "InvokeFunction", "InvokeAsync": "InvokeFunction", "InvokeWithResponseStream": "InvokeFunction",
}  # fmt: skip
_OTHERWISE: dict[tuple[str, str], tuple[str, ...]] = {
    ("bedrock", "Converse"): ("InvokeModel",),
    ("bedrock", "ConverseStream"): ("InvokeModelWithResponseStream",),
    ("sqs", "SendMessageBatch"): ("SendMessage",),
    ("sqs", "DeleteMessageBatch"): ("DeleteMessage",),
    ("sqs", "ChangeMessageVisibilityBatch"): ("ChangeMessageVisibility",),
    ("sns", "PublishBatch"): ("Publish",),
    ("kms", "ReEncrypt"): ("ReEncryptFrom", "ReEncryptTo"),
    ("dynamodb", "TransactGetItems"): ("GetItem",),
    ("dynamodb", "TransactWriteItems"): ("*Item",),
    ("dynamodb", "ExecuteStatement"): ("PartiQL*",),
    ("dynamodb", "BatchExecuteStatement"): ("PartiQL*",),
    ("dynamodb", "ExecuteTransaction"): ("PartiQL*",),
}
"""
Calls of other services without a permission of their own name.

Amazon SQS Developer Guide, 'Amazon SQS batch actions'; Amazon DynamoDB Developer Guide, 'Using IAM with DynamoDB
transactions' (a write is put, updated, deleted or checked, which the log need not tell); Service Authorization
Reference, the pages of Amazon SNS, AWS KMS and Amazon DynamoDB.
"""


_WITH_API_KEYS = frozenset({
    "aws-external-anthropic", "bedrock", "bedrock-mantle", "cloudwatch", "logs", "sagemaker", "xray",
})  # fmt: skip
"""
Prefixes of services that ask for `CallWithBearerToken` beside the permission of the call, where an API key makes it.

Sources: Service Authorization Reference, the pages of these services; Amazon Bedrock User Guide, 'Control permissions
for generating and using Amazon Bedrock API keys' (each endpoint asks for the permission of its own prefix).
"""


def prefix_of(service: str) -> str:
    """The prefix of a service's permissions, by the first part of its events' source."""
    return _PREFIXES.get(service, service)


@lru_cache(maxsize=8192)
def actions_of(source: str | None, name: str | None, *, by_api_key: bool = False) -> tuple[str, ...]:
    """
    Name every permission that a call needs, in lower case, that of the call itself first.

    Args:
        source: The event's source, such as `s3.amazonaws.com`.
        name: The event's name.
        by_api_key: Whether the call was made with an API key.
    """
    own = _actions(source, name)
    service = own[0].partition(":")[0]
    return (*own, f"{service}:callwithbearertoken") if by_api_key and service in _WITH_API_KEYS else own


def _actions(source: str | None, name: str | None) -> tuple[str, ...]:
    if not source or not name:
        return ("*",)
    bare = source.removesuffix(".amazonaws.com")
    service = prefix_of(bare)
    if bare in _UNNAMED or "." in service:
        return ("*",) if "." in service else (f"{service}:*",)
    return tuple(f"{service}:{one}".lower() for one in _names(service, name))


def _names(service: str, name: str) -> tuple[str, ...]:
    if service == "s3":
        if name in _S3_BOTH:
            return _S3_BOTH[name]
        return (_S3.get(name) or facts("s3", name).permission or "*",)
    if service == "lambda":
        plain = operation_of(name)
        return (_LAMBDA.get(plain, plain),)
    if service == "cloudfront":
        return (operation_of(name),)
    return _OTHERWISE.get((service, name), (name,))
