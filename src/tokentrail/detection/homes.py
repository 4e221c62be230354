"""Whether an address is as new to somebody as it looks."""

from __future__ import annotations

from tokentrail.detection.scene import Scene


def familiar(scene: Scene, person: str | None, ip: str | None, before: int) -> bool:
    """
    Whether somebody had called from the same owner's network, in the same country, before.

    Providers give out new addresses every day; without databases of owners and countries nothing is familiar.
    """
    if person is None or ip is None or not scene.addresses.knows_owners:
        return False
    earlier = scene.rows(
        "SELECT ip FROM homes WHERE person = ? AND first < ? AND ip <> ?", (person, before, ip)
    )
    return any(scene.addresses.same_owner(ip, row["ip"]) for row in earlier)
