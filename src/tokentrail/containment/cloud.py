"""
What carrying out needs of AWS: send a call, and say who is calling. `aws` does it; tests may do it otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tokentrail.containment.model import Call

Failure = Literal["missing", "denied", "throttled", "refused", "unanswered", "unknown-operation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallingIdentity:
    """Who makes the calls in one account."""

    account: str
    arn: str
    user_id: str
    access_key_ids: tuple[str, ...]
    """The key in use, and the one behind it where a role was assumed with it."""
    clock_ahead: float = 0.0
    """Seconds by which our clock is ahead of AWS's; less than none where it is behind."""

    @property
    def partition(self) -> str:
        """The part of AWS that the account is in: `aws`, `aws-cn`, `aws-us-gov`."""
        return self.arn.split(":")[1] if self.arn.count(":") > 1 else "aws"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What AWS answered."""

    request_id: str | None
    body: Mapping[str, Any]


class CallFailed(Exception):
    """
    A call that was refused, or that nobody answered.

    Args:
        kind: `missing` where what it names does not exist, `unanswered` where it may or may not have taken effect.
        code: As AWS spells it, such as `AccessDenied`.
        message: In AWS's words.
        request_id: Where AWS gave one.
    """

    def __init__(self, kind: Failure, code: str, message: str, request_id: str | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.kind = kind
        self.code = code
        self.message = message
        self.request_id = request_id


class Cloud(Protocol):
    """The accounts of a plan."""

    def send(self, call: Call) -> Answer:
        """
        Send a call, several at once if need be.

        Raises:
            CallFailed: it was refused or not answered, after all retries.
        """

    def listed(self, call: Call, member: str) -> Sequence[Any]:
        """
        Send a listing call until it has given all, and put together the list that each page holds under `member`.

        Raises:
            CallFailed: a page was refused or not answered.
        """

    def caller(self, account: str) -> CallingIdentity:
        """
        Say who makes the calls in an account.

        Raises:
            ActionRefused: nobody can, or it is in another account.
        """

    def fault(self, call: Call) -> str | None:
        """Say what is wrong with a call before it is sent, in words; `None` where nothing is."""
