"""The inventory is read some credentials at a time."""

from __future__ import annotations

import pytest

from evidence import START, held, text
from tokentrail.lineage import forest
from tokentrail.testing import World


def test_the_inventory_is_the_same_however_many_are_read_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Order, addresses and all else do not depend on where one part ends, nor on a trace in between."""
    world = World(START)
    users = [world.user(name) for name in ("ada", "grace", "support")]
    for user in users:
        user.assumes("Deploy").assumes("Prod").calls("s3:ListBuckets")
    with held(world) as case:
        expected = text(case.credentials())
        monkeypatch.setattr(forest, "_AT_ONCE", 2)
        listed = []
        for one in case.credentials():
            case.trace([one.id])
            listed.append(one)

        assert expected == text(listed)
