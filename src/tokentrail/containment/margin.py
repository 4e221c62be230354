"""
The margin, by which a step is sent before its cutoff, and the lag, by which the log may be late; and their limits.
"""

from __future__ import annotations

from tokentrail.errors import UsageError

MARGIN, LAG = 60, 900
"""The default margin and the default lag, in seconds."""
PROPAGATION = 5
"""
Seconds until a change to IAM takes effect: 3 to 4 as measured, rounded up.

AWS itself sets the cutoff of the console's revocation about 30 seconds ahead (IAM User Guide, 'Revoking IAM role
temporary security credentials'), and says that changes may take longer ('Troubleshoot IAM', 'Changes that I make are
not always immediately visible').
"""
LEAST_MARGIN = 10
"""A shorter margin, in seconds, is refused: it leaves too little time to send the calls and for them to take effect."""
SENDING = 10
"""Seconds of the margin that are reserved for sending all calls of a step."""


def bites_within(margin: int) -> int:
    """
    The seconds in which each change must take effect for the proof to hold, given the margin.

    The last call of a step is sent at least this long before its cutoff, so that all have taken effect by then.
    """
    return max(PROPAGATION, margin - SENDING)


def check_margin(margin: int, lag: int) -> None:
    """
    Refuse a margin or a lag with which nothing could be proven.

    Raises:
        UsageError: the margin is shorter than `LEAST_MARGIN`, or the lag is negative.
    """
    if margin < LEAST_MARGIN:
        raise UsageError(
            f"--margin {margin}: IAM takes up to {PROPAGATION} seconds until a change bites, and sending takes a few, "
            f"so that what is minted meanwhile would outlive the cutoff. Give {LEAST_MARGIN} or more; {MARGIN} is the "
            "default."
        )
    if lag < 0:
        raise UsageError(f"--lag {lag}: give the seconds by which the log may be late, 0 or more.")
