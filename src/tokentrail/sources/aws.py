"""
The one place where evidence's side of TokenTrail calls AWS: clients made when first needed, and failures in words.

Each call carries `tokentrail/VERSION run/RUN` in its user agent, and a role that is assumed the session name
`TokenTrail-RUN`, so that our own lines in the log are known as ours.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore import credentials as sdk_credentials
from botocore import exceptions as sdk
from botocore.config import Config
from botocore.httpsession import URLLib3SSLError
from botocore.parsers import ResponseParserError
from botocore.session import Session as CoreSession
from botocore.utils import JSONFileCache

from tokentrail import __version__
from tokentrail.sources.interface import Access, Failed, Kind

_ATTEMPTS = 8
"""
How often the SDK tries a call that is throttled or meets a fault of AWS or the network.

Not in its adaptive mode, which slows all calls of a client for one that is throttled: of 100 objects, each refused in
15 of 100 tries, it made 33 seconds of 3.
"""
_ANYWHERE = "us-east-1"
_CHUNK = 1 << 20
_PART = 64 << 20
"""Bytes from which on a file is put in parts of so many."""
_CODES: dict[str, Kind] = {
    "NoSuchKey": "missing", "NoSuchVersion": "missing", "NoSuchBucket": "missing", "404": "missing",
    "AccessDenied": "denied", "AccessDeniedException": "denied", "UnauthorizedOperation": "denied", "403": "denied",
    "AllAccessDisabled": "denied", "AuthFailure": "denied", "OptInRequired": "denied",
    "ExpiredToken": "expired", "ExpiredTokenException": "expired", "TokenRefreshRequired": "expired",
    "RequestExpired": "expired",
    "InvalidAccessKeyId": "credentials", "InvalidClientTokenId": "credentials", "InvalidToken": "credentials",
    "UnrecognizedClientException": "credentials", "SignatureDoesNotMatch": "credentials",
    "InvalidSignatureException": "credentials", "RequestTimeTooSkewed": "credentials",
    "SlowDown": "throttled", "Throttling": "throttled", "ThrottlingException": "throttled",
    "RequestLimitExceeded": "throttled", "TooManyRequestsException": "throttled", "ServiceUnavailable": "throttled",
    "PreconditionFailed": "changed", "412": "changed", "ConditionalRequestConflict": "changed",
    "RequestTimeout": "network",
    "AWS.SimpleQueueService.NonExistentQueue": "missing", "QueueDoesNotExist": "missing", "NotFound": "missing",
    "NotFoundException": "missing", "ResourceNotFoundException": "missing",
}  # fmt: skip
_SIGN_IN = (
    sdk.SSOError, sdk.TokenRetrievalError, sdk.RefreshWithMFAUnsupportedError, sdk.LoginError,
)  # fmt: skip
_NO_CREDENTIALS = (
    sdk.NoCredentialsError, sdk.PartialCredentialsError, sdk.ProfileNotFound, sdk.CredentialRetrievalError,
    sdk.InvalidConfigError, sdk.ConfigParseError, sdk.ConfigNotFound,
)  # fmt: skip
_CUT = (sdk.IncompleteReadError, sdk.ResponseStreamingError, sdk.ReadTimeoutError, URLLib3SSLError)
"""The last is what a damaged piece within TLS comes as, which the SDK makes none of its own errors of."""


class _Clients:
    """The clients of this process, by run: made once each, closed together."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._clients: dict[tuple[Access, str, str | None], Any] = {}
        self._sessions: dict[Access, boto3.Session] = {}

    def get(self, access: Access, service: str, region: str | None) -> Any:
        key = (access, service, region)
        with self._lock:
            if key not in self._clients:
                if access not in self._sessions:
                    self._sessions[access] = _session(access)
                self._clients[key] = _client(self._sessions[access], access, service, region)
            return self._clients[key]

    def close(self, run: str) -> None:
        with self._lock:
            for key in [key for key in self._clients if key[0].run == run]:
                self._clients.pop(key).close()
            for access in [access for access in self._sessions if access.run == run]:
                del self._sessions[access]


def _client(session: boto3.Session, access: Access, service: str, region: str | None) -> Any:
    try:
        return session.client(
            service,
            region_name=region or session.region_name or (None if service == "s3" else _ANYWHERE),
            endpoint_url=access.endpoint_url,
            config=_config(access, service),
        )
    except sdk.BotoCoreError:
        raise
    except ValueError as error:  # the address is none
        raise Failed("network", type(error).__name__, _line(error)) from error


_clients = _Clients()


def ask(access: Access, service: str, operation: str, region: str | None = None, **asked: Any) -> Any:
    """
    Call AWS once, as patiently as the SDK is.

    Args:
        access: How to reach it.
        service: As the SDK spells it.
        operation: As Python spells it, such as `list_objects_v2`.
        region: Where; the SDK's own choice by default.
        asked: The parameters.

    Raises:
        Failed: it was refused, or could not be made.
    """
    with _explained():
        return getattr(_clients.get(access, service, region), operation)(**asked)


def body(access: Access, *, start: int, same: dict[str, str], **asked: Any) -> Iterator[tuple[int, bytes]]:
    """
    Read an object of S3 piece by piece, from a byte on; each piece comes with its place in the object.

    Args:
        access: How AWS is reached.
        start: The first byte.
        same: What asks for the very object that was begun; noted in here if it is not known yet, so that pieces of an
            object and of another one that was put in its place are never joined.
        asked: The parameters.

    Raises:
        Failed: it was refused, is gone or was changed; or it ended too soon (`cut`), and can be read on.
    """
    if start:
        asked["Range"] = f"bytes={start}-"
    with _explained():
        answer = _clients.get(access, "s3", None).get_object(**asked, **same, **payer(access))
        if "ETag" in answer:
            same.setdefault("IfMatch", answer["ETag"])
        at = start if "ContentRange" in answer else 0
        stream = answer[
            "Body"
        ]  # not `with`: it would hand out the stream beneath, which tells of no early end
        try:
            while piece := stream.read(_CHUNK):
                yield at, piece
                at += len(piece)
        finally:
            stream.close()


def whole(access: Access, bucket: str, key: str) -> tuple[bytes, dict[str, str]]:
    """
    Read a small object of S3, and its metadata.

    Raises:
        Failed: as in `body`.
    """
    with _explained():
        answer = _clients.get(access, "s3", None).get_object(Bucket=bucket, Key=key, **payer(access))
        return answer["Body"].read(), answer["Metadata"]


def put_file(access: Access, path: Path, bucket: str, key: str) -> None:
    """
    Put a file into S3, in parts if it is large: it is there whole or not at all.

    Raises:
        Failed: it was refused, or could not be made.
    """
    with path.open("rb") as file, _explained():
        client = _clients.get(access, "s3", None)
        if path.stat().st_size <= _PART:
            client.put_object(Bucket=bucket, Key=key, Body=file)
        else:  # one call takes 5 GiB at most (Amazon S3 User Guide, 'Uploading objects')
            parts = TransferConfig(multipart_threshold=_PART, multipart_chunksize=_PART, use_threads=False)
            client.upload_fileobj(file, bucket, key, Config=parts)


def region(access: Access) -> str:
    """The region in which a service is called that none is named for."""
    return str(_clients.get(access, "sts", None).meta.region_name)


def payer(access: Access) -> dict[str, str]:
    """The parameter by which a requester agrees to pay, if so."""
    return {"RequestPayer": "requester"} if access.request_payer else {}


def close(access: Access) -> None:
    """Close the clients of a run."""
    _clients.close(access.run)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn the SDK's errors into ours."""
    try:
        yield
    except sdk.ClientError as error:
        raise _refused(error) from error
    except _CUT as error:
        raise Failed("cut", type(error).__name__, _line(error)) from error
    except _SIGN_IN as error:
        raise Failed("expired", type(error).__name__, _line(error)) from error
    except _NO_CREDENTIALS as error:
        raise Failed("credentials", type(error).__name__, _line(error)) from error
    except (sdk.HTTPClientError, sdk.ConnectionError) as error:
        raise Failed("network", type(error).__name__, _line(error)) from error
    except RecursionError as error:
        # The SDK asks which region a redirection means, and is redirected at that as well.
        raise Failed("other", "PermanentRedirect", "it is sent on, without a word where to") from error
    except OSError as error:
        # What credentials stand in, as a pod's token; a connection's come as the SDK's own.
        raise Failed("credentials", type(error).__name__, _line(error)) from error
    except (sdk.BotoCoreError, ResponseParserError) as error:
        raise Failed("other", type(error).__name__, _line(error)) from error


def _refused(error: sdk.ClientError) -> Failed:
    told = error.response.get("Error", {})
    code, message = str(told.get("Code", "Unknown")), str(told.get("Message", "")).strip().rstrip(".")
    kind = _CODES.get(code, "other")
    if code.startswith("KMS.") or (kind == "denied" and "kms" in message.lower()):
        kind = "kms"
    return Failed(kind, code, message)


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0].rstrip(".")


def _config(access: Access, service: str) -> Config:
    custom = {"s3": {"addressing_style": "path"}} if access.endpoint_url and service == "s3" else {}
    return Config(
        user_agent_extra=f"tokentrail/{__version__} run/{access.run}",
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=64,
        **custom,
    )


@functools.cache
def _descriptions() -> Any:
    """AWS's descriptions of its APIs, which are large, read once for all sessions."""
    return CoreSession().get_component("data_loader")


def _core(profile: str | None) -> CoreSession:
    core = CoreSession(profile=profile)
    core.register_component("data_loader", _descriptions())
    with suppress(sdk.BotoCoreError, KeyError):  # an unknown profile is told of when credentials are needed
        provider = core.get_component("credential_provider").get_provider("assume-role")
        provider.cache = _Sessions(
            str(_cache())
        )  # so that a code for MFA is asked for once, not by each worker
    return core


class _Sessions(JSONFileCache):  # type: ignore[misc]  # the SDK ships no types
    """Sessions of roles in a folder, where it can be written: in a container without a home they are asked for anew."""

    def __setitem__(self, key: str, value: Any) -> None:
        with suppress(OSError):
            super().__setitem__(key, value)


def _cache() -> Path:
    """Where the AWS CLI keeps the sessions of roles that a profile assumes."""
    return Path(os.path.expanduser("~"), ".aws", "cli", "cache")


def _session(access: Access) -> boto3.Session:
    core = _core(access.profile)
    return boto3.Session(botocore_session=_as_role(core, access) if access.role_arn else core)


def _as_role(base: CoreSession, access: Access) -> CoreSession:
    """A session of a role, which renews itself as long as the credentials at hand work."""
    source = base.get_credentials()
    if source is None:
        raise sdk.NoCredentialsError
    fetcher = sdk_credentials.AssumeRoleCredentialFetcher(
        functools.partial(
            base.create_client,
            region_name=base.get_config_variable("region") or _ANYWHERE,
            endpoint_url=access.endpoint_url,
            config=_config(access, "sts"),
        ),
        source,
        access.role_arn,
        extra_args={"RoleSessionName": f"TokenTrail-{access.run}"},
    )
    core = _core(access.profile)
    core._credentials = sdk_credentials.DeferredRefreshableCredentials(  # the SDK has no public way in
        refresh_using=fetcher.fetch_credentials, method="assume-role"
    )
    return core
