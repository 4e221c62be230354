"""The inventory is read some credentials at a time."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from evidence import START, held, text
from tokentrail.lineage import forest, rows
from tokentrail.lineage.model import Credential, State
from tokentrail.lineage.state import Judge
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


def test_what_works_is_listed_without_judging_what_has_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many sessions few still run: each state lists what the whole inventory says of it, and reads no more."""
    world = World(START)
    key = world.user("ada")
    for number in range(9):
        key.assumes(f"Old{number}").calls("s3:ListBuckets")
    world.wait(hours=13)
    key.assumes("New").calls("s3:ListBuckets")
    read: list[str] = []
    credential = rows.credential

    def counting(row: dict[str, Any], judge: Judge) -> Credential:
        read.append(row["id"])
        return credential(row, judge)

    with held(world) as case:
        whole = list(case.credentials())
        monkeypatch.setattr(rows, "credential", counting)
        for state in get_args(State):
            assert [one for one in whole if one.state == state] == list(case.credentials(state=state))
        read.clear()
        running = list(case.credentials(state="active"))

    assert [key.id] + [one.id for one in whole if one.role and one.role.endswith("New")] == [
        one.id for one in running
    ]
    assert [one.id for one in running] == read
