"""What began long before is told with the record that completes it, though a turn judges a small part of the case."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

import pytest
from watch_cases import Json, Remembering, found, same, watched

from evidence import HOME, START
from noisy_company import NoisyCompany
from tokentrail.testing import World
from tokentrail.testing.story import story
from tokentrail.watch.window import extent
from work import some

HOT = 20
"""Records that a turn judges here; between the parts of a story lie three times as many."""
Told = Iterator[None]
"""A story: what is called until it pauses is its first half."""


def token_mints(world: World) -> Told:
    """A token is minted, and kept."""
    token = world.user("ada", ip="192.0.2.10").gets_session_token(duration=129600)
    yield
    token.assumes("Deploy", "later")


def key_is_cut(world: World) -> Told:
    """A session is minted from a key; later the key is deactivated; still later the session goes on."""
    key = world.user("ada", ip="192.0.2.10")
    session = key.assumes("Deploy", "run", duration=43200)
    session.calls("s3:ListBuckets")
    world.user("root-of-all", ip="192.0.2.11").deactivates(key)
    yield
    session.calls("s3:ListBuckets")


def role_is_revoked(world: World) -> Told:
    """The sessions of a role are revoked, and a token of the same key mints the next one."""
    key = world.user("ada", ip="192.0.2.10")
    token = key.gets_session_token(duration=129600)
    key.assumes("Deploy", "run").calls("s3:ListBuckets")
    world.wait(60)
    world.user("root-of-all", ip="192.0.2.11").revokes_sessions("Deploy")
    yield
    token.assumes("Deploy", "again").calls("s3:ListBuckets")


def session_goes_on_after_a_revocation(world: World) -> Told:
    """The sessions of a role are revoked, and one of them goes on."""
    session = world.user("ada", ip="192.0.2.10").assumes("Deploy", "run", duration=43200)
    session.calls("s3:ListBuckets")
    world.wait(60)
    world.user("root-of-all", ip="192.0.2.11").revokes_sessions("Deploy")
    yield
    session.calls("s3:ListBuckets")


def renamed_user_goes_on(world: World) -> Told:
    """A user is denied everything and renamed, and a key of it goes on under the new name."""
    admin = world.user("root-of-all", ip="192.0.2.11")
    stop = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}
    admin.iam("PutUserPolicy", userName="ada", policyName="Stop", policyDocument=stop)
    world.wait(60)
    admin.iam("UpdateUser", userName="ada", newUserName="lovelace")
    yield
    world.wait(3600)
    world.user("lovelace", ip="192.0.2.10").calls("s3:ListBuckets")


def chain_comes_back(world: World) -> Told:
    """Two roles take up each other in turn, hop by hop, each long after the one before."""
    session = world.user("ada", ip="192.0.2.10").assumes("Deploy", "a")
    for role in ("Audit", "Deploy", "Audit"):
        yield
        session = session.assumes(role, "hop")


def roles_are_tried(world: World) -> Told:
    """A token is refused four roles, and long after a fifth: which, stands in the raw records alone."""
    token = world.user("ada", ip="192.0.2.10").gets_session_token(duration=129600)
    for name in ("One", "Two", "Three", "Four"):
        token.denied("sts:AssumeRole", world.role(name))
    yield
    token.denied("sts:AssumeRole", world.role("Five"))


def made_key_is_used(world: World) -> Told:
    """A token makes a key, and that is cut; what was minted from the key before goes on."""
    maker = world.user("ada", ip="192.0.2.10").assumes("Deploy", "run")
    key = maker.creates_access_key(world.user("bob", ip="192.0.2.12"))
    session = key.assumes("Audit", "kept", duration=43200)
    yield
    world.user("root-of-all", ip="192.0.2.11").deactivates(key)
    world.wait(60)
    session.calls("s3:ListBuckets")


def identity_is_lost(world: World) -> Told:
    """A role whose sessions all bore a source identity is taken up without one."""
    ada = world.user("ada", ip="192.0.2.10")
    for number in range(11):
        shift = ada.assumes("Operators", f"shift-{number}")
        shift.assumes("Deploy", f"run-{number}", source_identity="ada").calls("s3:ListBuckets")
    yield
    ada.assumes("Operators", "late").assumes("Deploy", "bare").calls("s3:ListBuckets")


STORIES: tuple[tuple[Callable[[World], Told], str], ...] = (
    (token_mints, "token-mints-tokens"), (key_is_cut, "outlived-key"), (role_is_revoked, "minted-again"),
    (session_goes_on_after_a_revocation, "used-after-revocation"), (renamed_user_goes_on, "used-after-revocation"),
    (chain_comes_back, "role-juggling"),
    (roles_are_tried, "role-probing"), (made_key_is_used, "outlived-key"),
    (identity_is_lost, "source-identity-lost"),
)  # fmt: skip


def others_work(world: World, count: int) -> None:
    """Let so many records pass, of many who have nothing to do with it."""
    for number in range(count // 10):
        other = world.user(f"service-{number % 40}", ip=f"198.51.100.{number % 40}")
        other.assumes("Backup", f"job-{number}").calls("s3:ListBuckets", count=9, every=0.1)


def parts(story: Callable[[World], Told]) -> list[list[Json]]:
    """The records of a story in its parts, with far more than a turn judges between any two."""
    world = World(START, account=HOME, tick=0.1)
    told, listed, seen = story(world), [], 0
    while True:
        ended = next(told, "ended") == "ended"
        if not ended:
            others_work(world, HOT * 3)
            world.wait(60)
        records = world.records()
        listed.append(records[seen:])
        seen = len(records)
        if ended:
            return listed


def batches(records: Iterable[Json]) -> Iterator[list[list[Json]]]:
    rest = iter(records)
    while some := list(islice(rest, HOT * 2)):
        yield [some]


def told_of(case: Path, records: Iterable[Json]) -> Remembering:
    """What a watch tells of some records, a few at a time."""
    sink = Remembering()
    watched(case, batches(records), sink, hot=HOT)
    return sink


@pytest.mark.parametrize(("story", "rule"), some(STORIES, 3))
def test_what_began_long_before_is_told(story: Callable[[World], Told], rule: str, tmp_path: Path) -> None:
    """A story whose second half comes when far more than a turn judges lies between is told as `detect` tells it."""
    *first, second = parts(story)
    before = told_of(tmp_path / "case", [one for part in first for one in part])
    last = told_of(tmp_path / "case", second)

    whole = {ident for ident, one in found(tmp_path / "case").items() if one["rule"] == rule}
    told = {one.id for one in last.notices if one.document["rule"] == rule and one.change != "withdrawn"}
    assert whole
    assert whole == told
    assert whole.isdisjoint(one.id for one in before.notices)


@pytest.mark.parametrize("late", [60, pytest.param(0, marks=pytest.mark.long)])
def test_a_story_in_small_windows_is_told_as_detect_tells_it(late: int, tmp_path: Path) -> None:
    """The leak and its containment, in order or up to sixty records late, judged a third at a time: the same findings."""
    records, sink, chance = story(ordinary_day=False).world.records(), Remembering(), random.Random(5)
    order = sorted(range(len(records)), key=lambda place: (place + chance.uniform(0, late), place))
    parts = [
        [[records[place] for place in order[start : start + 150]]] for start in range(0, len(order), 150)
    ]
    watched(tmp_path / "case", parts, sink, hot=300)

    assert same(found(tmp_path / "case")) == same(sink.standing())


def test_habits_are_known_from_before_the_window(tmp_path: Path) -> None:
    """A turn that judges a small part of ordinary days tells nothing that all of these days would not show."""
    records, sink = NoisyCompany(days=2).works().records(), Remembering()
    size = -(-len(records) // 5)
    parts = [[records[start : start + size]] for start in range(0, len(records), size)]
    watched(tmp_path / "case", parts, sink, hot=size)

    assert {one.id for one in sink.notices} <= found(tmp_path / "case").keys()


def test_what_no_turn_has_judged_is_in_the_window_and_else_the_newest() -> None:
    """Unjudged segments come first, however old; then the newest while there is room, and none from before `since`."""
    times, records = {"a": 1, "b": 2, "c": 3, "d": 4}, dict.fromkeys("abcd", 10)

    assert {"d", "c"} == extent(times, records, frozenset(), 20, None).whole
    assert {"a", "d"} == extent(times, records, frozenset("a"), 20, None).whole
    assert set("abcd") == extent(times, records, frozenset("abcd"), 1, None).whole
    assert {"d"} == extent(times, records, frozenset(), 40, 4).whole
    assert {"a", "b"} == extent(times, records, frozenset(), 20, None).earlier
