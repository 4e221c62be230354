"""
The calls to AWS that carrying out needs, as a protocol: `aws` implements it, and tests may do so otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tokentrail.containment.model import Call

Failure = Literal["missing", "denied", "throttled", "refused", "unanswered", "unknown-operation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallingIdentity:
    """The identity with which our own calls in one account are made."""

    account: str
    arn: str
    user_id: str
    access_key_ids: tuple[str, ...]
    """The key in use; if it is an assumed role's, also the key with which the role was assumed."""
    clock_ahead: float = 0.0
    """Seconds by which our clock is ahead of AWS's; negative if it is behind."""

    @property
    def partition(self) -> str:
        """The account's partition of AWS, such as `aws`, `aws-cn` or `aws-us-gov`."""
        return self.arn.split(":")[1] if self.arn.count(":") > 1 else "aws"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """AWS's answer to a call."""

    request_id: str | None
    body: Mapping[str, Any]


class CallFailed(Exception):
    """
    A call that was refused, or that nobody answered.

    Args:
        kind: `missing` if something that the call names does not exist, `unanswered` if it may or may not have taken
            effect.
        code: AWS's error code, such as `AccessDenied`.
        message: AWS's error message.
        request_id: The request's id, if AWS gave one.
    """

    def __init__(self, kind: Failure, code: str, message: str, request_id: str | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.kind = kind
        self.code = code
        self.message = message
        self.request_id = request_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFault:
    """What is wrong with a call, found without sending it."""

    kind: Literal["unknown-operation", "wrong-parameters"]
    """`unknown-operation` if the SDK that is installed has no such service or call."""
    message: str


class Cloud(Protocol):
    """The accounts of a plan."""

    def send(self, call: Call) -> Answer:
        """
        Send a call. Several threads may do so at the same time.

        Raises:
            CallFailed: the call was refused or not answered, after all retries.
        """

    def listed(self, call: Call, member: str) -> Sequence[Any]:
        """
        Send a listing call for all its pages, and join the lists that the pages have under `member`.

        Raises:
            CallFailed: a page was refused or not answered.
        """

    def caller(self, account: str) -> CallingIdentity:
        """
        Say with which identity calls are made in an account.

        Raises:
            ActionRefused: no credentials work there, or they are of another account.
        """

    def fault(self, call: Call) -> CallFault | None:
        """Say what is wrong with a call, without sending it; `None` if nothing is."""
