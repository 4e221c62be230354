"""Whether a new address of somebody belongs to a network that they have used before."""

from __future__ import annotations

from tokentrail.detection.context import DetectionContext


def familiar(context: DetectionContext, person: str | None, ip: str | None, before: int) -> bool:
    """
    Whether somebody had called before from a network of the same owner in the same country.

    Providers assign new addresses every day. Without databases of owners and countries, the answer is always no.
    """
    if person is None or ip is None or not context.addresses.knows_owners:
        return False
    earlier = context.rows(
        "SELECT ip FROM principal_ips WHERE person = ? AND first < ? AND ip <> ?", (person, before, ip)
    )
    return any(context.addresses.same_owner(ip, row["ip"]) for row in earlier)
