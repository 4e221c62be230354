"""
How long before its cutoff a step is sent, how late the log may be, and which of either no proof could rest on.
"""

from __future__ import annotations

from tokentrail.errors import UsageError

MARGIN, LAG = 60, 900
"""Seconds, by default: from sending a cutoff to the moment that it names; by which the log may be late."""
PROPAGATION = 5
"""
Seconds that IAM was measured to take until a change bites (3 to 4), rounded up: a margin below, or without time for
sending, is refused.

AWS itself puts the cutoff of the console's revocation about 30 seconds ahead (IAM User Guide, 'Revoking IAM role
temporary security credentials'), and says that changes may take longer ('Troubleshoot IAM', 'Changes that I make are
not always immediately visible').
"""


LEAST_MARGIN = 10
SENDING = 10
"""Seconds of a margin that are left for sending all calls of a step."""


def bites_within(margin: int) -> int:
    """
    How long IAM may take for the proof to hold, of a margin.

    The last call of a step is sent no later than this before its cutoff, so that all have taken effect by then.
    """
    return max(PROPAGATION, margin - SENDING)


def check_margin(margin: int, lag: int) -> None:
    """
    Refuse a margin or a lag that no proof could rest on.

    Raises:
        UsageError: the margin is shorter than IAM takes, or the lag negative.
    """
    if margin < LEAST_MARGIN:
        raise UsageError(
            f"--margin {margin}: IAM takes up to {PROPAGATION} seconds until a change bites, and sending takes a few, "
            f"so that what is minted meanwhile would outlive the cutoff. Give {LEAST_MARGIN} or more; {MARGIN} is the "
            "default."
        )
    if lag < 0:
        raise UsageError(f"--lag {lag}: give the seconds by which the log may be late, 0 or more.")
