"""What is tainted, found by places alone, is what a trace says of each credential."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evidence import AWAY, HOME, START, held
from strategies import worlds
from tokentrail import Case
from tokentrail.lineage import naming
from tokentrail.lineage.taint import tainted
from tokentrail.lineage.trace import Narrowing, trace
from tokentrail.testing import World
from tokentrail.testing.administration import trust_policy
from tokentrail.testing.story import story
from work import calls


def alike(case: Case, subjects: list[str], narrowing: Narrowing) -> set[str]:
    """Compare both ways; what they find."""
    view, forest = case._views.open(None), case._views.forest(None)
    places = tainted(view.engine, forest, subjects, narrowing).tolist()
    traced = trace(forest, subjects, up=False, down=True, narrowing=narrowing, gaps=())
    told = {one.id for one in traced.credentials if one.tainted}
    ids = {row["n"]: row["id"] for row in view.engine.rows("SELECT n, id FROM credentials")}

    assert sorted(places) == places
    assert told == {ids[n] for n in places}
    return told


@given(
    worlds(rare=True),
    st.integers(0, 30),
    st.integers(1, 3),
    st.sampled_from([None, 0, 60, 600, 3600]),
    st.booleans(),
    st.integers(0, 3),
)
def test_places_alone_tell_what_a_trace_tells(
    world: World, first: int, count: int, seconds: int | None, trusted: bool, address: int
) -> None:
    """Of one subject or several, one of which may descend from another, since any time and from any address."""
    with held(world) as case:
        listed = sorted(case.credentials(), key=lambda one: one.id)
        assume(listed)
        subjects = [listed[(first + number) % len(listed)].id for number in range(count)]
        ips = tuple(sorted({ip for one in listed for ip in one.source_ips if ip[0].isdigit()}))[
            address : address + 1
        ]
        since = None if seconds is None else START + timedelta(seconds=seconds)
        alike(case, subjects, Narrowing())
        alike(case, subjects, Narrowing(since, *(((), ips) if trusted else (ips, ()))))


def test_of_the_story_the_key_taints_all_that_came_of_it() -> None:
    """Also from an address, and by one that another subject descends from."""
    told = story(ordinary_day=False)
    key = told.key_ids["A"]
    with held(told.world) as case:
        below = alike(case, [key], Narrowing())
        some = alike(case, [key, max(below)], Narrowing(source_ips=("203.0.113.0/24",)))

    assert len(below) > 1
    assert some <= below


def test_what_was_made_counts_from_when_and_where_it_was_made() -> None:
    """As what was minted does: by its own second and address, whether one acts through it or more than one."""
    world = World(START)
    key, stranger = world.user("support"), world.user("mallory", account=AWAY)
    let_in = trust_policy({"AWS": [f"arn:aws:iam::{AWAY}:root"]})
    early = key.creates_access_key(world.user("ada").user)
    early.calls("s3:ListBuckets")
    key.iam("UpdateAssumeRolePolicy", roleName="Early", policyDocument=let_in)
    before = stranger.assumes("Early", account=HOME)
    world.wait(hours=1)
    thief = key.seen_from("203.0.113.77")
    late = thief.creates_access_key(world.user("eve").user)
    thief.iam("UpdateAssumeRolePolicy", roleName="Late", policyDocument=let_in)
    through, minted = stranger.assumes("Late", account=HOME), thief.assumes("Deploy")
    for one in (late, through, minted):
        one.calls("s3:ListBuckets")
    theirs = {key.id, late.id, through.id, minted.id}
    with held(world) as case:
        assert {*theirs, early.id, before.id} == alike(case, [key.id], Narrowing())
        assert theirs == alike(case, [key.id], Narrowing(START + timedelta(minutes=30)))
        assert theirs == alike(case, [key.id], Narrowing(source_ips=("203.0.113.77",)))
        assert {key.id, early.id, before.id} == alike(
            case, [key.id], Narrowing(trusted_ips=("203.0.113.77",))
        )


def test_rows_told_some_at_a_time_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the addresses, of which they tell nothing."""
    monkeypatch.setattr(naming, "_AT_ONCE", 2)
    with held(story(ordinary_day=False).world) as case:
        forest = case._views.forest(None)
        told = [row for rows in forest.known("TRUE") for row in rows]
        whole = [{**row, "ips": None} for row in forest.rows("TRUE")]

    assert len(whole) > 4
    assert whole == told


def test_a_narrowing_by_many_addresses_is_no_more_work_than_by_few() -> None:
    """A list of five hundred addresses, in either version and overlapping, is gone through once and not per credential."""

    def narrowing(many: int) -> Narrowing:
        listed = [f"10.0.{number // 250}.{number % 250}" for number in range(many)]
        return Narrowing(source_ips=(*listed, "10.0.0.0/28", "192.0.2.17/29", "2001:db8::/64", "2001:db8::1"))

    few, some = narrowing(10), narrowing(500)
    admitted = {
        one: some.admits(None, one)
        for one in ("10.0.0.15", "10.0.1.249", "10.0.2.0", "192.0.2.16", "192.0.2.23", "192.0.2.24", "0.0.0.0",
                    "255.255.255.255", "2001:db8::ffff", "2001:db8:0:1::", "::", "ec2.amazonaws.com")
    }  # fmt: skip
    few.admits(None, "10.0.9.1")  # an address is read once

    assert ["10.0.0.15", "10.0.1.249", "192.0.2.16", "192.0.2.23", "2001:db8::ffff"] == [
        one for one, taken in admitted.items() if taken
    ]
    assert calls(lambda: some.admits(None, "10.0.9.1")) == calls(lambda: few.admits(None, "10.0.9.1"))
