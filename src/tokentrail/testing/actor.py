"""
Whoever calls AWS with a credential: the calls, the denials, and the calls that a service forwards.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tokentrail.testing.ids import Ids
from tokentrail.testing.names import Identity, Json, Role, User
from tokentrail.testing.records import Call, bear, denial
from tokentrail.testing.stage import Stage
from tokentrail.testing.truth import Entry

_NAMES_PERSON = 0.87
"""
The share of an Identity Center session's records that say on whose behalf (trailtool, live probe of 2026).
"""
_TLS_SUITE = "TLS_AES_128_GCM_SHA256"


class Actor:
    """A credential in somebody's hands, at an address."""

    bearer: str | None = None
    """Of which type the API key is that it calls with, if it does: `ABSK` or `SHORT_TERM`."""

    def __init__(self, stage: Stage, entry: Entry, *, ip: str, user_agent: str) -> None:
        self.stage = stage
        self.entry = entry
        self.ip = ip
        """Where its calls come from, unless a call says otherwise."""
        self.user_agent = user_agent

    @property
    def identity(self) -> Identity:
        """Who it speaks for."""
        return self.entry.identity

    @property
    def id(self) -> str:
        """Its id by the rule for a credential's `id`, from what the evidence shows so far."""
        return self.entry.id

    @property
    def key_id(self) -> str:
        """
        The access key id that it acts with; of a session whose calls show many, the one that was issued.
        """
        return self.entry.key or self.entry.issued_key or self.id

    @property
    def arn(self) -> str:
        """The ARN of the principal that it speaks for."""
        return self.identity.arn

    @property
    def account(self) -> str:
        """The account that it belongs to."""
        return self.identity.account

    def seen_from_outside(self, call: Call, account: str) -> Json:
        """
        Write one call as the log of another account has it, whose role or bucket it is about: with no key.

        Source: CloudTrail User Guide, 'CloudTrail userIdentity element' (`AWSAccount`).
        """
        call.ip, call.user_agent = call.ip or self.ip, call.user_agent or self.user_agent
        stranger = {
            "type": "AWSAccount",
            "principalId": self.identity.principal_id,
            "accountId": self.account,
        }
        return self.stage.log(call, stranger, account=account)

    def act(self, call: Call, *, account: str | None = None, key: str | None = None) -> Json:
        """Write one call of this credential, as its own account's trail (or another's) holds it."""
        call.ip, call.user_agent = call.ip or self.ip, call.user_agent or self.user_agent
        if self.bearer:
            bear(call, self.bearer)
        key = key or self._key_shown()
        share = self.entry.console_share
        first = not self.entry.used_directly
        call.from_console = share > 0 and (first or self.stage.ids.chance(share))
        names_person = self.identity.on_behalf_of is not None and self.stage.ids.chance(_NAMES_PERSON)
        element = self.identity.element(key, names_person=names_person)
        if self.stage.logging:
            self.entry.mark_use(key, directly=True)
        return self.stage.log(call, element, account=account or self.account)

    def calls(
        self,
        action: str,
        params: Json | None = None,
        *,
        resources: list[Json] | None = None,
        response: Json | None = None,
        error: str | None = None,
        message: str | None = None,
        count: int = 1,
        every: float = 1.0,
        read_only: bool | None = None,
        data: bool | None = None,
        bytes_out: int | None = None,
        ip: str = "",
        user_agent: str = "",
        region: str | None = None,
        vpc_endpoint: str | None = None,
        endpoint_account: str | None = None,
        owner: str | None = None,
    ) -> list[Json]:
        """
        Call an API, once or often, and pass the time that it takes.

        Args:
            action: Service and operation as in IAM policies: `s3:GetObject`.
            params: The request's parameters, in CloudTrail's spelling. `{n}` in a text becomes the call's
                number.
            resources: What the record lists as touched; for S3 it follows from `bucketName` and `key`.
            response: What AWS answered.
            error: The error code of a call that failed.
            message: Its message; worded for AccessDenied where not given.
            count: How many calls.
            every: Seconds between them.
            read_only: What the record says, where the operation's name misleads.
            data: Whether it is a data event, where the builder does not know.
            bytes_out: Bytes that S3 sent.
            ip: Another address than the credential's usual one.
            user_agent: Another user agent than its usual one.
            region: Another region than the world's.
            vpc_endpoint: The VPC endpoint that it comes through.
            endpoint_account: Whose endpoint that is.
            owner: Another account, whose log alone has it, as that of a bucket's owner may.
        """
        written = []
        for number in range(count):
            call = Call(
                action=action, params=_numbered(params, number), response=response, resources=resources,
                error=error, message=message, read_only=read_only, data=data, ip=ip, user_agent=user_agent,
                region=region or self.stage.region, vpc_endpoint=vpc_endpoint, endpoint_account=endpoint_account,
            )  # fmt: skip
            if error == "AccessDenied" and message is None:
                call.message = denial(self.arn, action, None, explicit=False)
            _dress(call, self.account, self.stage.ids, bytes_out)
            written.append(self.seen_from_outside(call, owner) if owner else self.act(call))
            self.stage.wait(every if number < count - 1 else 0)
        self.stage.pass_tick()
        return written

    def denied(
        self,
        action: str,
        target: Role | User | str | None = None,
        *,
        explicit: bool = False,
        params: Json | None = None,
        **options: Any,
    ) -> list[Json]:
        """
        Be refused: with an explicit deny, or for lack of permission.

        A refused AssumeRole holds no request parameters; its message alone names the role, and a role's own
        account hears nothing of it ("Logging IAM and AWS STS API calls with AWS CloudTrail"; Invictus data).
        """
        resource = target if isinstance(target, str) or target is None else target.arn
        text = denial(self.arn, action, resource, explicit=explicit)
        if action.startswith("sts:"):
            params = None
        return self.calls(action, params, error="AccessDenied", message=text, **options)

    def via(
        self, service: str, *, fresh_key: bool = True, own_date: bool | None = None, internal: bool = False
    ) -> Forwarder:
        """
        Act through an AWS service that calls others in this credential's name.

        Args:
            service: The service, such as `cloudformation.amazonaws.com`.
            fresh_key: Whether the forwarded calls show a key id of their own.
            own_date: Whether they show a creation date of their own, as calls forwarded for an IAM user do in
                the Invictus data; by default, for long-term keys only, which have none to share.
            internal: Whether `invokedBy` says `AWS Internal` rather than the service.
        """
        if own_date is None:
            own_date = self.identity.created is None
        entry = self._forwarded_entry() if own_date else self.entry
        return Forwarder(
            self.stage, entry, "AWS Internal" if internal else service, fresh_key=fresh_key or own_date
        )

    def _key_shown(self) -> str | None:
        if self.entry.fresh_keys:
            return self.stage.ids.access_key("ASIA", self.account)
        return self.entry.key

    def _forwarded_entry(self) -> Entry:
        created = self.stage.fresh_second(self.identity.principal_id)
        return self.stage.enter(
            Entry(
                identity=replace(self.identity, created=created),
                kind="forwarded",
                kind_from_uses="forwarded",
                key=None,
                by_date=True,
            )
        )


class Forwarder:
    """
    A service that calls other services in a credential's name: the credential's activity, under
    `invokedBy`.
    """

    def __init__(self, stage: Stage, entry: Entry, service: str, *, fresh_key: bool) -> None:
        self.stage = stage
        self.entry = entry
        self.service = service
        self.key = stage.ids.access_key("ASIA", entry.identity.account) if fresh_key else entry.key

    def calls(
        self,
        action: str,
        params: Json | None = None,
        *,
        resources: list[Json] | None = None,
        response: Json | None = None,
        count: int = 1,
        every: float = 1.0,
        region: str | None = None,
    ) -> list[Json]:
        """Forward a call, once or often; address and user agent are the service's."""
        written = []
        for number in range(count):
            call = Call(
                action=action, params=_numbered(params, number), response=response, resources=resources,
                ip=self.service, user_agent=self.service, region=region or self.stage.region, host="",
            )  # fmt: skip
            _dress(call, self.entry.identity.account, self.stage.ids, None)
            written.append(self._forward(call))
            self.stage.wait(every if number < count - 1 else 0)
        self.stage.pass_tick()
        return written

    def _forward(self, call: Call) -> Json:
        identity = self.entry.identity
        element = identity.element(self.key, invoked_by=self.service, names_person=False)
        if self.stage.logging:
            self.entry.mark_use(self.key, directly=False)
        return self.stage.log(call, element, account=identity.account)


def _numbered(params: Json | None, number: int) -> Json | None:
    if params is None:
        return None
    return {
        key: value.replace("{n}", str(number)) if isinstance(value, str) else value
        for key, value in params.items()
    }


def _dress(call: Call, account: str, ids: Ids, bytes_out: int | None) -> None:
    """Fill in what S3 and others add to the record of a call, where the caller gave none."""
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
