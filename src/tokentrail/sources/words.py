"""Describe failures of AWS calls to a person: what failed, where, and what to do next."""

from __future__ import annotations

from tokentrail.sources.interface import Failed

_AGAIN = "Then run the same command again: it goes on where it stopped."
_NEXT = {
    "expired": "The credentials have expired. Sign in again (`aws sso login`, or fresh keys in the environment). "
    + _AGAIN,
    "credentials": "There are no credentials that work. Name a profile with --profile, or look after the SDK's "
    "environment and this machine's clock.",
    "kms": "It is encrypted with a KMS key that these credentials may not use. Grant kms:Decrypt on that key, in its "
    "key policy too if it is another account's, or read with --profile or --role-arn of one that has it.",
    "throttled": "AWS throttled it for longer than the SDK is patient. Wait a little. " + _AGAIN,
    "network": "AWS could not be reached. Look after the network, the proxy and --endpoint-url. " + _AGAIN,
    "missing": "There is nothing of that name. Check the spelling.",
    "changed": "It changed between listing and reading. Run the same command again to read it as it is now.",
    "cut": "The answer ended too soon, several times. " + _AGAIN,
    "other": "Run it again with -v to see the cause.",
}
_ELSEWHERE = (
    "The bucket is in another region than the one that was asked. Set AWS_DEFAULT_REGION to its region; an endpoint "
    "that is set must be the one of that region, and with https:// where it sends others on to that."
)
_FAULT = "AWS failed, for longer than the SDK is patient. Wait a little. " + _AGAIN
_OF_CODE = {
    "InvalidObjectState": "It lies in an archive class. Restore it first (`aws s3api restore-object`).",
    **dict.fromkeys(
        ("PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"), _ELSEWHERE
    ),
    **dict.fromkeys(("InternalError", "InternalFailure", "InternalServerError", "500", "502", "503", "504"), _FAULT),
}  # fmt: skip
_DENIED = {
    "s3": "Access was denied. Reading needs s3:ListBucket and s3:GetObject (docs/policies/read.json); a bucket "
    "whose requester pays needs --request-payer; another account's may need --profile or --role-arn.",
    "sqs": "Access was denied. docs/policies/watch.json lists what a queue and its bucket need; the queue's own policy "
    "may refuse too.",
    "athena": "Access was denied. docs/policies/athena.json lists what queries need; Lake Formation may refuse, too.",
    "lake": "Access was denied. docs/policies/lake.json lists what queries need.",
    "logs": "Access was denied. docs/policies/logs.json lists what queries need.",
    "other": "Access was denied. docs/policies/read.json lists what reading needs.",
}


def refused(failed: Failed, done: str, where: str) -> str:
    """Say that something could not be listed, read or looked up, why, and what to do next."""
    return f"{where}: could not be {done} ({failed}). {next_step(failed, where)}"


def next_step(failed: Failed, where: str) -> str:
    """Say what to do about a failure."""
    if failed.kind == "denied":
        return _DENIED.get(where.partition(":")[0], _DENIED["other"])
    return _OF_CODE.get(failed.code) or _NEXT[failed.kind]
