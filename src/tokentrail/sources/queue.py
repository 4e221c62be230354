"""
An SQS queue of notifications about evidence: receive messages, hold them, fetch what they name, and delete them.

A message that can't be read is left in the queue: it comes again, until the redrive policy moves it to a dead-letter
queue. A queue without one would deliver it for ever, so that it is deleted after some receives, and named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tokentrail.errors import SourceError, UsageError
from tokentrail.sources import aws, notifications
from tokentrail.sources.files import BytesObject
from tokentrail.sources.interface import QUEUE, Access, Failed
from tokentrail.sources.notifications import Named, Unreadable
from tokentrail.sources.s3 import FINAL, LARGEST, S3Object
from tokentrail.sources.words import refused

AT_ONCE = 16
"""Objects fetched at once."""
GIVE_UP = 5
"""Receives after which a message that can't be read is deleted, if the queue has no dead-letter queue."""
REFUSED_FOR = 86_400.0
"""
Seconds for which a message stays at least if what it names is refused, and there is no dead-letter queue.

A KMS key or policy that was changed by mistake, or by an attacker, may be restored within a day, and what a deleted
message names would not be read then.
"""
_MOST = 10
"""Messages in one call (SQS API Reference, 'ReceiveMessage' and 'DeleteMessageBatch')."""
_REGION = re.compile(
    r"https://(?:[a-z0-9-]+\.)?sqs(?:-fips)?\.([a-z]+(?:-[a-z]+)+-\d+)\.|https://([a-z0-9-]+)\.queue\."
)
_OLDEST = "https://queue.amazonaws.com/"
"""The old name of us-east-1's endpoint, as other regions' are `REGION.queue.…` (the SDK's list of endpoints)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as it was received."""

    id: str
    receipt: str
    body: str
    sent: float
    """Seconds since 1970."""
    receives: int


@dataclass(slots=True)
class ResolvedMessage:
    """A message with the evidence objects that it names, or with the reason why it can't be read."""

    message: Message
    objects: list[BytesObject] = field(default_factory=list)
    ignored: tuple[str, ...] = ()
    poison: str | None = None
    """Why it, or an object that it names, can't be read."""
    refused: bool = False
    """Whether nothing is wrong with it, but an object that it names is denied, or archived: that may change."""

    def given_up(self, give_up: int, now: float) -> bool:
        """Whether to delete it, if the queue has no dead-letter queue; `give_up` is the number of receives for that."""
        if self.message.receives < give_up:
            return False
        return not self.refused or now - self.message.sent >= REFUSED_FOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a queue is set up, and how much it holds."""

    visibility: int
    """Seconds for which no other reader gets a message that was received."""
    dead_letters: bool
    waiting: int
    in_flight: int


class Queue:
    """
    One queue.

    Args:
        url: `sqs:` and the queue's URL.
        access: How AWS is reached.

    Raises:
        UsageError: no queue is named.
    """

    def __init__(self, url: str, access: Access) -> None:
        self.url = url.removeprefix(QUEUE)
        if not self.url.startswith(("https://", "http://")):
            raise UsageError(
                f"{url}: names no queue. Give sqs: and its URL, such as "
                "sqs:https://sqs.eu-west-1.amazonaws.com/111122223333/trail."
            )
        found = _REGION.match(self.url)
        self.region = (
            (found[1] or found[2]) if found else "us-east-1" if self.url.startswith(_OLDEST) else None
        )
        """Where it is, as far as its URL says."""
        self._access = access

    def settings(self) -> Settings:
        """
        Request the queue's settings, and how much it holds.

        Raises:
            Failed: it was refused, or there is no such queue.
        """
        names = (
            "VisibilityTimeout", "RedrivePolicy", "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
        )  # fmt: skip
        found = self._ask("get_queue_attributes", AttributeNames=list(names)).get("Attributes", {})
        return Settings(
            visibility=int(found.get("VisibilityTimeout", 30)),
            dead_letters="deadLetterTargetArn" in found.get("RedrivePolicy", ""),
            waiting=int(found.get("ApproximateNumberOfMessages", 0)),
            in_flight=int(found.get("ApproximateNumberOfMessagesNotVisible", 0)),
        )

    def checked(self) -> Settings:
        """
        Request the same before anything is read, with an error for the user.

        Raises:
            SourceError: it was refused, or there is no such queue.
        """
        try:
            return self.settings()
        except Failed as failed:
            raise SourceError(refused(failed, "read", f"{QUEUE}{self.url}")) from failed

    def receive(self, wait: int) -> list[Message]:
        """
        Receive some messages, waiting up to so many seconds for the first.

        Raises:
            Failed: it was refused.
        """
        answer = self._ask(
            "receive_message",
            MaxNumberOfMessages=_MOST,
            WaitTimeSeconds=wait,
            AttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
        )
        return [
            Message(
                id=str(one["MessageId"]),
                receipt=str(one["ReceiptHandle"]),
                body=str(one["Body"]),
                sent=int(one.get("Attributes", {}).get("SentTimestamp", 0)) / 1000,
                receives=int(one.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
            )
            for one in answer.get("Messages", ())
        ]

    def delete(self, messages: Sequence[Message]) -> None:
        """
        Delete messages. One that can't be deleted comes again, and its objects are known then.

        Raises:
            Failed: it was refused.
        """
        for some in _tens(messages):
            entries = [{"Id": str(n), "ReceiptHandle": one.receipt} for n, one in enumerate(some)]
            self._ask("delete_message_batch", Entries=entries)

    def hold(self, messages: Sequence[Message], seconds: int) -> None:
        """
        Keep messages from others for so many seconds from now.

        Raises:
            Failed: it was refused.
        """
        for some in _tens(messages):
            entries = [
                {"Id": str(n), "ReceiptHandle": one.receipt, "VisibilityTimeout": seconds}
                for n, one in enumerate(some)
            ]
            self._ask("change_message_visibility_batch", Entries=entries)

    def resolve(self, message: Message) -> ResolvedMessage:
        """
        Read a message, and fetch the objects that it names.

        Raises:
            SourceError: no object can be fetched any more, which is no fault of this message.
        """
        try:
            notice = notifications.read(message.body)
        except Unreadable as why:
            return ResolvedMessage(message, poison=str(why))
        if notice.event:
            name = f"{QUEUE}{self.url}#{message.id}"
            return ResolvedMessage(
                message, [BytesObject(name, message.body.encode("utf-8", "surrogatepass"))]
            )
        told = ResolvedMessage(message, ignored=notice.ignored, poison=notice.unreadable)
        for named in notice.objects:
            found = self._fetch(named)
            if isinstance(found, OSError):
                told.poison = f"s3://{named.bucket}/{named.key}: {found.strerror}"
                told.refused = told.refused or found.errno not in FINAL
            else:
                told.objects.append(found)
        return told

    def _fetch(self, named: Named) -> BytesObject | OSError:
        told = S3Object(self._access, named.bucket, named.key, named.size, _quoted(named.etag))
        now = replace(told, etag="")  # whatever lies there by now, if it was written again
        for there in (told, now) if named.etag else (now,):
            try:
                return BytesObject(there.name, there.read(LARGEST), there.identity if there.etag else None)
            except OSError as error:
                failed = error
        return failed

    def _ask(self, operation: str, **asked: Any) -> Any:
        return aws.ask(self._access, "sqs", operation, self.region, QueueUrl=self.url, **asked)


def _quoted(etag: str) -> str:
    bare = etag.strip('"')
    return f'"{bare}"' if bare else ""


def _tens(messages: Sequence[Message]) -> list[Sequence[Message]]:
    return [messages[start : start + _MOST] for start in range(0, len(messages), _MOST)]
