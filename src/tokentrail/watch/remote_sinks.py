"""
Remote sinks, which are reached over a network: a webhook, an SNS topic, an EventBridge bus, Security Hub.

Each may receive a notice twice, if the process is killed between sending it and noting that. Notices have the finding's
id and revision, by which the receiver can recognise that.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from tokentrail import __version__
from tokentrail.errors import UsageError
from tokentrail.present.document import Document
from tokentrail.present.formats.siem import asff
from tokentrail.sources import aws
from tokentrail.sources.interface import Access, Failed
from tokentrail.watch.interface import Notice, SinkFailed, SinkRefused, finding

_TIMEOUT = 15
_PLAIN = re.compile(r"[!-~]+")
_LARGEST = 240_000
"""Bytes of a message, at most; SNS, SQS and EventBridge accept 256 KB with all that is around it."""
_LISTED = 100
"""Members of each list that are kept of a notice that would be larger; half of them if it still is, and so on."""
_LONGEST = 4_000
"""Characters of each text that are kept of it, likewise."""
_FOR_GOOD = frozenset({400, 413, 415, 422})
"""
HTTP status codes that refuse what was sent (RFC 9110, 15.5), so that sending it again is of no use.

All others are about the address, the way there or the sender, which may change: a secret that ran out, a proxy, a
receiver that is being set up.
"""


def notice_json(notice: Notice) -> str:
    """A notice as JSON; if that would be too large, with its lists and texts cut."""
    shown = notice.shown()
    text, listed, longest = json.dumps(shown, ensure_ascii=True), _LISTED, _LONGEST
    while len(text) > _LARGEST and longest:
        text = json.dumps({**_cut(shown, listed, longest), "cut": True}, ensure_ascii=True)
        listed, longest = max(listed // 2, 1), longest // 2
    return text


def _cut(value: Any, listed: int, longest: int) -> Any:
    match value:
        case dict():
            return {name: _cut(one, listed, longest) for name, one in value.items()}
        case list():
            return [_cut(one, listed, longest) for one in value[:listed]]
        case str():
            return value[:longest]
        case _:
            return value


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        """Go nowhere else: a redirected POST arrives as a GET without its body."""


class WebhookSink:
    """
    A URL that each notice is posted to, as JSON.

    Args:
        url: Where to; a user and password in it are sent as HTTP's basic authentication has them (RFC 7617).
        secret: Signs each body (HMAC-SHA256 in `X-TokenTrail-Signature`), if given.

    Raises:
        UsageError: it is no URL of HTTP.
    """

    local = False
    at_once = 1

    def __init__(self, url: str, secret: str | None = None) -> None:
        self._url, host, self._authorization = _addressed(url)
        self._secret = secret
        self.name = f"webhook {hashlib.sha256(url.encode()).hexdigest()[:16]}"  # its path may be a secret
        self.shown = f"webhook at {host}"
        self._opener = urllib.request.build_opener(_NoRedirect)

    def delivered(self) -> frozenset[str]:
        """Nobody can tell; the key in `Idempotency-Key` lets the receiver know."""
        return frozenset()

    def deliver(self, notices: Sequence[Notice]) -> None:
        """Post them one by one."""
        for one in notices:
            self._post(one)

    def _post(self, notice: Notice) -> None:
        body = notice_json(notice).encode("ascii")
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"tokentrail/{__version__}",
            "Idempotency-Key": notice.key,
        }
        if self._authorization:
            headers["Authorization"] = self._authorization
        if self._secret:
            signed = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-TokenTrail-Signature"] = f"sha256={signed}"
        asked = urllib.request.Request(self._url, data=body, headers=headers, method="POST")  # noqa: S310 - `_addressed` checks it
        try:
            self._opener.open(asked, timeout=_TIMEOUT).close()
        except urllib.error.HTTPError as error:
            error.close()
            raise (SinkRefused if error.code in _FOR_GOOD else SinkFailed)(
                f"HTTP {error.code} {error.reason}"
            ) from error
        except (OSError, HTTPException, ValueError) as error:
            raise SinkFailed(str(getattr(error, "reason", error)) or type(error).__name__) from error


def _addressed(url: str) -> tuple[str, str, str | None]:
    """
    The URL without user and password, its host, and the header that these make.

    Raises:
        UsageError: it is no URL of HTTP; what it may hold that is secret is not shown.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if (
        host is None
        or parts.scheme not in ("https", "http")
        or not url.isascii()
        or not _PLAIN.fullmatch(url)
    ):
        raise UsageError(
            "--to: no webhook. Give a URL such as https://HOST/PATH, what is special in it percent-encoded."
        )
    at = parts.netloc.rpartition("@")[2]
    told = None
    if parts.username is not None:
        both = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        told = f"Basic {base64.b64encode(both.encode()).decode()}"
    return parts._replace(netloc=at).geturl(), at if port else host, told


class _AwsSink:
    """What the sinks in AWS share."""

    local = False
    at_once = 1

    def __init__(self, access: Access, what: str, region: str | None) -> None:
        self._access, self._region = access, region
        self.name = self.shown = what

    def delivered(self) -> frozenset[str]:
        """Nobody can tell; the receiver knows by id and revision."""
        return frozenset()

    def _ask(self, service: str, operation: str, **asked: Any) -> Any:
        try:
            return aws.ask(self._access, service, operation, self._region, **asked)
        except Failed as failed:
            raise SinkFailed(str(failed)) from failed


class TopicSink(_AwsSink):
    """A topic of SNS."""

    def __init__(self, arn: str, access: Access) -> None:
        parts = arn.split(":")
        if len(parts) != 6 or parts[2] != "sns":
            raise UsageError(
                f"{arn}: no ARN of a topic, such as arn:aws:sns:eu-west-1:111122223333:findings."
            )
        super().__init__(access, f"SNS {arn}", parts[3])
        self._arn = arn

    def deliver(self, notices: Sequence[Notice]) -> None:
        """Publish them one by one; a FIFO topic drops what it was told within five minutes."""
        for one in notices:
            names = {"rule": one.document["rule"], "severity": one.document["severity"], "change": one.change}
            fifo = (
                {"MessageGroupId": one.id, "MessageDeduplicationId": one.key}
                if self._arn.endswith(".fifo")
                else {}
            )
            self._ask(
                "sns", "publish", TopicArn=self._arn, Message=notice_json(one),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in names.items()
                },
                **fifo,
            )  # fmt: skip


class BusSink(_AwsSink):
    """A bus of EventBridge."""

    def __init__(self, bus: str, access: Access) -> None:
        if not bus:
            raise UsageError("events: names no bus. Give its name or ARN, such as events:default.")
        super().__init__(access, f"EventBridge {bus}", bus.split(":")[3] if bus.startswith("arn:") else None)
        self._bus = bus

    def deliver(self, notices: Sequence[Notice]) -> None:
        """
        Put them one by one, as 'TokenTrail Finding' of the source `tokentrail`.

        A request of several has no more room than one alone (EventBridge API Reference, 'PutEvents': the total size).
        """
        for one in notices:
            entry = {
                "Source": "tokentrail", "DetailType": "TokenTrail Finding", "Detail": notice_json(one),
                "EventBusName": self._bus,
            }  # fmt: skip
            answer = self._ask("events", "put_events", Entries=[entry])
            if answer.get("FailedEntryCount"):
                why = [str(each.get("ErrorMessage")) for each in answer["Entries"] if each.get("ErrorCode")]
                raise SinkFailed(f"it was not taken: {(why or ['?'])[0]}")


class HubSink(_AwsSink):
    """
    AWS Security Hub of one account and region.

    A finding of the same id is updated there, and one that was withdrawn is archived; findings bear the account that
    imports them, since no other may be named (Security Hub API Reference, 'BatchImportFindings'). An update whose
    `UpdatedAt` is not later than what is there is ignored, and where Security Hub is off, each finding fails with
    `InvalidAccess` (Security Hub User Guide, 'BatchImportFindings for finding providers').
    """

    at_once = 10
    """Which are known by their ids: what is sent again updates itself."""

    def __init__(self, region: str, access: Access) -> None:
        super().__init__(access, f"Security Hub {region or 'of the default region'}", region or None)
        self._account: str | None = None

    def deliver(self, notices: Sequence[Notice]) -> None:
        """Import the last of each finding, a hundred at a time."""
        if self._account is None:
            found = self._ask("sts", "get_caller_identity")
            self._account = str(found["Account"])
            self._partition = str(found["Arn"]).split(":")[1]
        last = list({one.id: one for one in notices}.values())
        for start in range(0, len(last), 100):
            some = last[start : start + 100]
            answer = self._ask(
                "securityhub", "batch_import_findings", Findings=[self._asff(one) for one in some]
            )
            if answer.get("FailedCount"):
                failed = answer.get("FailedFindings", ())
                why = [f"{one['ErrorCode']}, {one['ErrorMessage']}" for one in failed]
                for_good = any(one["ErrorCode"] == "InvalidInput" for one in failed)
                raise (SinkRefused if for_good else SinkFailed)(
                    f"{answer['FailedCount']} of {len(some)} were not taken: {(why or ['?'])[0]}"
                )

    def _asff(self, notice: Notice) -> Document:
        region = self._region or aws.region(self._access)
        product = (
            f"arn:{self._partition}:securityhub:{region}:{self._account}:product/{self._account}/default"
        )
        return asff(finding(notice.document)) | {
            "ProductArn": product,
            "AwsAccountId": self._account,
            "UpdatedAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "RecordState": "ARCHIVED" if notice.change == "withdrawn" else "ACTIVE",
        }
