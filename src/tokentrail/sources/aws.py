"""
The one place in which AWS is called to read evidence, and to read and write a case in a bucket.

Clients are made when they are first needed, and all failures become `Failed`. The user agent of each call holds
`tokentrail/VERSION run/RUN`, and the sessions of roles that are assumed are named `TokenTrail-RUN`, so that our own
calls can be recognised in the log.
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
How often the SDK tries a call that is throttled, or fails for a fault of AWS or the network.

Its adaptive mode is not used, since it slows all calls of a client when one is throttled: 100 objects, each refused in
15 of 100 tries, took 33 seconds with it and 3 without.
"""
_ANYWHERE = "us-east-1"
_CHUNK = 1 << 20
_PART = 64 << 20
"""Bytes of a part; larger files are uploaded in parts."""
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
    "LimitExceededException": "throttled", "MaxConcurrentQueriesException": "throttled",
    "PreconditionFailed": "changed", "412": "changed", "ConditionalRequestConflict": "changed",
    "RequestTimeout": "network",
    "AWS.SimpleQueueService.NonExistentQueue": "missing", "QueueDoesNotExist": "missing", "NotFound": "missing",
    "NotFoundException": "missing", "ResourceNotFoundException": "missing",
    "EventDataStoreNotFoundException": "missing",
}  # fmt: skip
_SIGN_IN = (
    sdk.SSOError, sdk.TokenRetrievalError, sdk.RefreshWithMFAUnsupportedError, sdk.LoginError,
)  # fmt: skip
_NO_CREDENTIALS = (
    sdk.NoCredentialsError, sdk.PartialCredentialsError, sdk.ProfileNotFound, sdk.CredentialRetrievalError,
    sdk.InvalidConfigError, sdk.ConfigParseError, sdk.ConfigNotFound,
)  # fmt: skip
_CUT = (sdk.IncompleteReadError, sdk.ResponseStreamingError, sdk.ReadTimeoutError, URLLib3SSLError)
"""Errors of an answer that ended too soon; the last one, of a damaged TLS record, is not one of the SDK's own."""


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
    Call AWS, with as many tries as the SDK makes.

    Args:
        access: How AWS is reached.
        service: The service as the SDK spells it.
        operation: The operation as the SDK's methods spell it, such as `list_objects_v2`.
        region: The region; by default the SDK's own choice.
        asked: The parameters.

    Raises:
        Failed: it was refused, or could not be made.
    """
    with _explained():
        return getattr(_clients.get(access, service, region), operation)(**asked)


def body(access: Access, *, start: int, same: dict[str, str], **asked: Any) -> Iterator[tuple[int, bytes]]:
    """
    Read an object of S3 in pieces, from a byte on; each piece comes with its position in the object.

    Args:
        access: How AWS is reached.
        start: The first byte.
        same: Parameters that demand the same version of the object as before (`IfMatch`). If there are none, they are
            added, so that pieces of an object and of one that replaced it are never joined.
        asked: The other parameters.

    Raises:
        Failed: it was refused, is gone or was changed; or the answer ended too soon (`cut`), and can be continued.
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
    Put a file into S3, in parts if it is large; the object appears as a whole or not at all.

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
    """The region in which services are called if none is named."""
    return str(_clients.get(access, "sts", None).meta.region_name)


def payer(access: Access) -> dict[str, str]:
    """The parameter by which a requester agrees to pay, if the access says so."""
    return {"RequestPayer": "requester"} if access.request_payer else {}


def close(access: Access) -> None:
    """Close the clients of a run."""
    _clients.close(access.run)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn the SDK's errors into `Failed`."""
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
    """The SDK's loader of API descriptions, shared by all sessions, since these are large."""
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
    """A cache of role sessions in a folder; if that can't be written, as without a home, each is requested anew."""

    def __setitem__(self, key: str, value: Any) -> None:
        with suppress(OSError):
            super().__setitem__(key, value)


def _cache() -> Path:
    """The folder in which the AWS CLI caches the sessions of roles that profiles assume."""
    return Path(os.path.expanduser("~"), ".aws", "cli", "cache")


def _session(access: Access) -> boto3.Session:
    core = _core(access.profile)
    return boto3.Session(botocore_session=_as_role(core, access) if access.role_arn else core)


def _as_role(base: CoreSession, access: Access) -> CoreSession:
    """A session of a role, which is renewed for as long as the credentials behind it work."""
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
