"""
The only module that calls AWS to contain: a client for each account and service, by profile, by an assumed role, or by
the SDK's default credentials.

Each call has `tokentrail/VERSION run/RUN` in its user agent, and each assumed role the session name `TokenTrail-RUN`,
so that our own events in the log can be told from others.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

import boto3
from botocore import credentials as sdk_credentials
from botocore import exceptions as sdk
from botocore.config import Config
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.handlers import json_decode_policies
from botocore.parsers import ResponseParserError
from botocore.session import Session as CoreSession
from botocore.validate import ParamValidator

from tokentrail import __version__
from tokentrail.containment.execution.cloud import Answer, CallFailed, CallFault, CallingIdentity, Failure
from tokentrail.containment.model import Call
from tokentrail.errors import ActionRefused

Got = TypeVar("Got")
_ATTEMPTS = 4
"""How often the SDK itself sends a call at most, if it is throttled or fails by a fault of AWS or the network."""
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds to wait before each further attempt at a call that is still throttled after the SDK's own attempts."""
_ANYWHERE = "us-east-1"
"""The region if none is configured: IAM, STS and Organizations are the same from every region of the partition."""
_KINDS: dict[str, Failure] = {
    "NoSuchEntity": "missing", "NoSuchEntityException": "missing", "PolicyNotFoundException": "missing",
    "TargetNotFoundException": "missing", "PolicyNotAttachedException": "missing",
    "ResourceNotFoundException": "missing", "ClusterNotFoundException": "missing",
    "InvalidAssociationID.NotFound": "missing", "InvalidInstanceID.NotFound": "missing",
    "AccessDenied": "denied", "AccessDeniedException": "denied", "UnauthorizedOperation": "denied",
    "InvalidClientTokenId": "denied", "ExpiredToken": "denied", "UnrecognizedClientException": "denied",
    "SignatureDoesNotMatch": "denied", "AuthFailure": "denied",
    "Throttling": "throttled", "ThrottlingException": "throttled", "RequestLimitExceeded": "throttled",
    "TooManyRequestsException": "throttled",
    "ConcurrentModification": "throttled", "ConcurrentModificationException": "throttled",
    "EntityTemporarilyUnmodifiable": "throttled", "PolicyChangesInProgressException": "throttled",
}  # fmt: skip
"""
What AWS's error codes mean. A call on something that somebody else is changing at that moment counts as throttled and
is tried again, since AWS refuses it only for seconds (IAM API Reference, 'DeleteUser' and 'DeleteLoginProfile'; AWS
Organizations API Reference, 'AttachPolicy').
"""


class Accounts:
    """
    AWS accounts, each called with its own session of the SDK.

    Args:
        run: The id of this run.
        profiles: By account: the name of a profile in the SDK's configuration.
        role_arn: The role to assume in all other accounts, where `{account}` stands for the account's id.
        endpoint_url: An address to call instead of AWS, for local stacks.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        run: str,
        *,
        profiles: Mapping[str, str] | None = None,
        role_arn: str | None = None,
        endpoint_url: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._run = run
        self._profiles = dict(profiles or {})
        self._role_arn = role_arn
        self._endpoint_url = endpoint_url
        self._sleep = sleep
        self._config = Config(
            user_agent_extra=f"tokentrail/{__version__} run/{run}",
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            connect_timeout=10,
            read_timeout=30,
            max_pool_connections=32,
        )
        self._described = _core_session()
        self._lock = threading.RLock()
        self._sessions: dict[str, tuple[boto3.Session, tuple[str, ...]]] = {}
        self._clients: dict[tuple[str, str, str | None], Any] = {}
        self._callers: dict[str, CallingIdentity] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            client.close()

    def caller(self, account: str) -> CallingIdentity:
        """
        Say with which identity calls are made in an account.

        Raises:
            ActionRefused: no credentials work there, or they are of another account.
        """
        with self._lock:
            if account in self._callers:
                return self._callers[account]
            try:
                answer = self._answered(self._client(account, "sts", None).get_caller_identity)
                keys = self._keys(account)
            except (sdk.HTTPClientError, sdk.ConnectionError, ResponseParserError) as error:
                raise ActionRefused(
                    f"account {account}: AWS can't be reached: {_first_line(error)}. Look after the network, the "
                    "region that is configured, or --endpoint-url if you gave it."
                ) from error
            except (sdk.BotoCoreError, sdk.ClientError) as error:
                raise ActionRefused(
                    f"account {account}: no credentials that work for it: {_first_line(error)}. {self._remedy(account)}"
                ) from error
            if answer["Account"] != account:
                raise ActionRefused(
                    f"account {account}: the credentials at hand are of account {answer['Account']} "
                    f"({answer['Arn']}), and the plan acts in {account}. {self._remedy(account)}"
                )
            found = CallingIdentity(
                account=account, arn=answer["Arn"], user_id=answer["UserId"], access_key_ids=keys,
                clock_ahead=_clock_ahead(answer),
            )  # fmt: skip
            self._callers[account] = found
            return found

    def send(self, call: Call) -> Answer:
        """Send a call; see `Cloud`."""
        method = self._method(call)
        body = self._patiently(lambda: method(**call.parameters))
        metadata = body.pop("ResponseMetadata", {})
        return Answer(request_id=metadata.get("RequestId"), body=body)

    def listed(self, call: Call, member: str) -> Sequence[Any]:
        """List what a paged call gives on all pages; see `Cloud`."""
        with self._lock:
            client = self._client(call.account, call.service, call.region)
        name = _python_name(client, call.operation)

        def pages() -> list[Any]:
            found = client.get_paginator(name).paginate(**call.parameters)
            return [one for page in found for one in page.get(member, [])]

        return self._patiently(pages)

    def _patiently(self, ask: Callable[[], Got]) -> Got:
        """Make a call, and again as long as AWS throttles it, after each of `_PAUSES`."""
        for pause in (*_PAUSES, None):
            try:
                return self._answered(ask)
            except sdk.ClientError as error:
                failure = _failed(error)
                if failure.kind != "throttled" or pause is None:
                    raise failure from error
                self._sleep(pause)
            except (sdk.BotoCoreError, ResponseParserError) as error:
                raise CallFailed(
                    _kind_of_sdk_error(error), type(error).__name__, _first_line(error)
                ) from error
        raise AssertionError("the last pause is None")

    def _answered(self, ask: Callable[[], Got]) -> Got:
        """
        Make a call, and again if its answer can't be parsed, such as a load balancer's page with status 500 or more.

        The SDK itself repeats other failed calls, as often as is done here, but not these (botocore,
        `parsers.ResponseParserError`, which derives from none of its other errors).
        """
        for pause in _PAUSES[: _ATTEMPTS - 1]:
            with suppress(ResponseParserError):
                return ask()
            self._sleep(pause)
        return ask()

    def fault(self, call: Call) -> CallFault | None:
        """Say what is wrong with a call, by the SDK's description of AWS's API."""
        try:
            model = self._described.get_service_model(call.service)
        except sdk.UnknownServiceError:
            return _unknown(f"service {call.service}")
        if call.operation not in model.operation_names:
            return _unknown(f"call {call.service}:{call.operation}")
        shape = model.operation_model(call.operation).input_shape
        report = ParamValidator().validate(dict(call.parameters), shape) if shape else None
        if report is None or not report.has_errors():
            return None
        return CallFault(kind="wrong-parameters", message=report.generate_report())

    def _method(self, call: Call) -> Callable[..., dict[str, Any]]:
        try:
            with self._lock:
                client = self._client(call.account, call.service, call.region)
            method: Callable[..., dict[str, Any]] = getattr(client, _python_name(client, call.operation))
            return method
        except (sdk.BotoCoreError, sdk.ClientError) as error:
            raise CallFailed(_kind_of_sdk_error(error), type(error).__name__, _first_line(error)) from error

    def _client(self, account: str, service: str, region: str | None) -> Any:
        """A client, made once. It returns policy documents as text, as AWS has them, without parsing them."""
        key = (account, service, region)
        if key not in self._clients:
            session, _ = self._session(account)
            client = session.client(
                service,
                region_name=region or session.region_name or _ANYWHERE,
                endpoint_url=self._endpoint_url,
                config=self._config,
            )
            elsewhere = self._endpoint_url or _configured_endpoint(session, service)
            if elsewhere:
                client.meta.events.register("before-call", functools.partial(_keep_at, elsewhere))
            if service == "iam":
                client.meta.events.unregister("after-call.iam", json_decode_policies)
            self._clients[key] = client
        return self._clients[key]

    def _session(self, account: str) -> tuple[boto3.Session, tuple[str, ...]]:
        """The session for an account, and the ids of the keys with which its role was assumed, if it is a role's."""
        if account not in self._sessions:
            if account in self._profiles or not self._role_arn:
                core = _core_session(self._profiles.get(account))
                self._sessions[account] = (boto3.Session(botocore_session=core), ())
            else:
                self._sessions[account] = self._assumed(self._role_arn.replace("{account}", account))
        return self._sessions[account]

    def _assumed(self, role_arn: str) -> tuple[boto3.Session, tuple[str, ...]]:
        """A session of a role, which the SDK renews as long as the default credentials work, and their key id."""
        base = _core_session()
        source = base.get_credentials()
        if source is None:
            raise sdk.NoCredentialsError
        region = base.get_config_variable("region") or _ANYWHERE
        fetcher = sdk_credentials.AssumeRoleCredentialFetcher(
            functools.partial(
                base.create_client, region_name=region, endpoint_url=self._endpoint_url, config=self._config
            ),
            source,
            role_arn,
            extra_args={"RoleSessionName": f"TokenTrail-{self._run}"},
        )
        core = _core_session()
        core._credentials = sdk_credentials.DeferredRefreshableCredentials(  # the SDK has no public way in
            refresh_using=fetcher.fetch_credentials, method="assume-role"
        )
        return boto3.Session(botocore_session=core), (source.get_frozen_credentials().access_key,)

    def _keys(self, account: str) -> tuple[str, ...]:
        session, behind = self._session(account)
        held = session.get_credentials()
        own = (held.get_frozen_credentials().access_key,) if held else ()
        return tuple(key for key in (*own, *behind) if key)

    def _remedy(self, account: str) -> str:
        if account in self._profiles:
            return f"Look after profile {self._profiles[account]!r} (--profile-for {account}=NAME)."
        if self._role_arn:
            return f"Look after --role-arn, or name a profile: --profile-for {account}=NAME."
        return f"Name a profile with --profile-for {account}=NAME, or a role with --role-arn."


@functools.cache
def _descriptions() -> Any:
    """The SDK's loader of API descriptions, which are large: all sessions share it."""
    return CoreSession().get_component("data_loader")


def _core_session(profile: str | None = None) -> CoreSession:
    core = CoreSession(profile=profile)
    core.register_component("data_loader", _descriptions())
    return core


def _configured_endpoint(session: boto3.Session, service: str) -> str | None:
    """The address to call instead of AWS, if the SDK's configuration or environment names one."""
    core = session._session  # the SDK has no public way in
    found = ConfiguredEndpointProvider(core.full_config, core.get_scoped_config(), service).provide()
    return str(found) if found and not core.get_config_variable("ignore_configured_endpoint_urls") else None


def _keep_at(url: str, params: dict[str, Any], **_: Any) -> None:
    """Send a request to the given address: the SDK's endpoint rules for AWS Sign-In ignore it, and would call AWS."""
    here, there = urlsplit(url), urlsplit(params["url"])
    if there.netloc != here.netloc:
        path = here.path.rstrip("/") + there.path
        params["url"] = urlunsplit((here.scheme, here.netloc, path, there.query, ""))


def _clock_ahead(answer: Mapping[str, Any]) -> float:
    """Seconds by which our clock is ahead of an answer's `Date`, which has whole seconds; 0 without a date."""
    told = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        there = parsedate_to_datetime(told) if told else None
    except ValueError:
        there = None
    return (datetime.now(UTC) - there).total_seconds() if there and there.tzinfo else 0.0


def _python_name(client: Any, operation: str) -> str:
    for name, api_name in client.meta.method_to_api_mapping.items():
        if api_name == operation:
            return str(name)
    raise CallFailed(
        "unknown-operation", "UnknownOperation", f"boto3 {boto3.__version__} knows no {operation}"
    )


def _unknown(what: str) -> CallFault:
    """The fault of a call to what the installed boto3 is too old to know."""
    return CallFault(kind="unknown-operation", message=f"this boto3 ({boto3.__version__}) knows no {what}")


def _failed(error: sdk.ClientError) -> CallFailed:
    told = error.response.get("Error", {})
    code = str(told.get("Code", "Unknown"))
    metadata = error.response.get("ResponseMetadata", {})
    return CallFailed(
        _KINDS.get(code, "refused"), code, str(told.get("Message", "")).rstrip("."), metadata.get("RequestId")
    )


def _kind_of_sdk_error(error: Exception) -> Failure:
    if isinstance(error, sdk.UnknownServiceError):
        return "unknown-operation"
    return "unanswered" if isinstance(error, (sdk.HTTPClientError, ResponseParserError)) else "refused"


def _first_line(error: Exception) -> str:
    if isinstance(error, ResponseParserError):  # its own words hold the whole page
        return "what came back is no answer of AWS's, but perhaps the page of a proxy or a load balancer"
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
