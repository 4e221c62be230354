"""
Whether a call shows that a credential still worked after it should have ended.

The one answer for `verify`, for a guarded plan in `watch`, and for the rule `used-after-revocation`:

- Only a success shows it. A refusal shows nothing of the kind, nor does a call that failed otherwise.
- A call that no policy can deny (`UNDENIABLE`) shows nothing of a credential that policies deny everything (AWS STS
  API Reference, 'GetCallerIdentity'; IAM User Guide, 'Controlling permissions for GetSessionToken'). With a key that is
  inactive or deleted, or whose user is, no request can be signed, so that any success shows that the key still works
  (IAM User Guide, 'Manage access keys for IAM users').
- What a service calls in the credential's name shows nothing: it acts with a session of its own, on a request that it
  was given before (IAM User Guide, 'Forward access sessions').
- An event's time is when the call was completed, rounded down to a second (CloudTrail User Guide, 'CloudTrail record
  contents'), and so is a moment that is known from the log. So a call is surely later only if its second is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tokentrail.policy.language.documents import UNDENIABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What should have ended a credential."""

    effective_at: datetime
    """When it had taken effect everywhere at the latest: when it was done, and the time that IAM may take."""
    unusable: bool = False
    """Whether the credential can sign no request since: its key is inactive or deleted. Else policies deny it."""


def called(source: object, name: object) -> str:
    """A call by the service's address and the operation in the log: `s3:GetObject`."""
    return f"{str(source or '?').removesuffix('.amazonaws.com')}:{name or '?'}"


def from_service(address: str | None) -> bool:
    """Whether an event's source address is a service's name, which made the call (CloudTrail User Guide, ibid.)."""
    return address is not None and (address.endswith(".amazonaws.com") or address == "AWS Internal")


def outlives(
    endings: Iterable[Ended], time: datetime, call: str, *, failed: bool = False, forwarded: bool = False
) -> bool:
    """
    Tell whether a call shows that a credential still worked after something should have ended it.

    Args:
        endings: What should have ended the credential, each by itself.
        time: The event's time.
        call: The service and operation, such as `s3:GetObject`.
        failed: Whether the event has an error.
        forwarded: Whether a service made the call in the credential's name.
    """
    if failed or forwarded:
        return False
    deniable = call.lower() not in UNDENIABLE
    return any(time > ended.effective_at and (deniable or ended.unusable) for ended in endings)
