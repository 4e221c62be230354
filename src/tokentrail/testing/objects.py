"""
What S3 and Secrets Manager add to the records of their calls, so that a caller need only say bucket and key.
"""

from __future__ import annotations

from tokentrail.testing.ids import Ids
from tokentrail.testing.records import Call

_TLS_SUITE = "TLS_AES_128_GCM_SHA256"


def dress(call: Call, account: str, ids: Ids, bytes_out: int | None) -> None:
    """Fill in the parts of a record that follow from the request, where the caller gave none."""
    if call.service == "s3" and call.params and "bucketName" in call.params:
        _dress_s3(call, account, ids, bytes_out)
    elif bytes_out is not None:
        call.additional = {**(call.additional or {}), "bytesTransferredOut": bytes_out}


def _dress_s3(call: Call, account: str, ids: Ids, bytes_out: int | None) -> None:
    """
    Add what S3 adds.

    "Examples: CloudTrail log file entries for Amazon S3" (Amazon S3 User Guide), and GetBucketAcl in the
    Invictus data.
    """
    params = call.params or {}
    bucket = str(params["bucketName"])
    host = f"{bucket}.s3.{call.region}.amazonaws.com"
    call.params = {**params, "Host": host}
    call.host = host if call.host is None and not call.ip.endswith(".amazonaws.com") else call.host
    if call.resources is None:
        whole = {"accountId": account, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{bucket}"}
        part = f"arn:aws:s3:::{bucket}/{params.get('key', params.get('prefix', ''))}"
        call.resources = [{"type": "AWS::S3::Object", "ARN": part}, whole] if call.is_data else [whole]
    call.additional = {
        "SignatureVersion": "SigV4",
        "CipherSuite": _TLS_SUITE,
        "bytesTransferredIn": 0,
        "AuthenticationMethod": "AuthHeader",
        "x-amz-id-2": ids.blob(60),
        "bytesTransferredOut": bytes_out if bytes_out is not None else 0,
        **(call.additional or {}),
    }
