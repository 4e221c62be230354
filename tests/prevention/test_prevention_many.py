"""A large case is looked at some segments at a time, and is told of as a small one is."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_prevention_fates import POLICIES, robbed

from evidence import START, held, in_segments
from strategies import worlds
from tokentrail import Case
from tokentrail.lineage.taint import tainted
from tokentrail.lineage.trace import Narrowing
from tokentrail.prevention import backtest, lots
from tokentrail.prevention import calls as parts
from tokentrail.prevention.calls import Calls
from tokentrail.prevention.evidence import Evidence, Way
from tokentrail.prevention.guard import Given
from tokentrail.prevention.history import History
from tokentrail.prevention.model import Guard
from tokentrail.testing import World
from work import calls

EVERY = Given(
    policies=tuple((f"{n}.json", json.dumps(one).encode()) for n, one in enumerate(POLICIES)), whole=True
)


@contextmanager
def few_at_once() -> Iterator[None]:
    """Have each segment looked at by itself, and what was said of two be put together at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_MOST", 1)
        patch.setattr(parts, "_APART_AT_MOST", 1)
        yield


def both(case: Case, subjects: Sequence[str], **options: Any) -> tuple[Guard, Guard]:
    """What is told of a case as a whole, and by segment."""
    whole = case.guard(subjects, given=EVERY, **options)
    with few_at_once():
        return whole, case.guard(subjects, given=EVERY, **options)


@pytest.fixture(name="robbed_case", scope="module")
def _robbed_case() -> Iterator[tuple[Case, str]]:
    """A theft in four segments, and the key that was stolen."""
    world, key = robbed()
    with in_segments(world.records(), 4) as case:
        yield case, key.id


@given(worlds(rare=True, largest=16), st.integers(0, 30))
def test_by_segment_the_same_is_told(world: World, subject: int) -> None:
    """By the catalogue and each of the user's policies, to the last call."""
    with in_segments(world.records(), 3) as case:
        ids = sorted(one.id for one in case.credentials())
        if ids:
            whole, by_segment = both(case, (ids[subject % len(ids)],))
            assert by_segment == whole


def test_by_segment_the_thief_is_told_from_the_owner(robbed_case: tuple[Case, str]) -> None:
    """Also where the two use one key, whichever way they are told apart; each part was asked, and nothing is left."""
    case, key = robbed_case
    for subjects, options in (
        ((key,), {}), ((key,), {"trusted_ips": ["192.0.2.0/24"]}), ((), {}),
    ):  # fmt: skip
        whole, by_segment = both(case, subjects, **options)
        assert by_segment == whole
        assert any(one.backtest.attacker_events for one in whole.guardrails)
    engine = case._views.open(None).engine
    with few_at_once(), closing(Calls(engine, None)) as asked:
        asked.open()
        asked.keep("told_once", "SELECT count(*) AS calls FROM some_facts")
        assert len(engine.rows("SELECT * FROM told_once")) == 4
    views = "SELECT view_name FROM duckdb_views() WHERE view_name SIMILAR TO '(facts|events)_[0-9]+'"
    assert engine.rows(views) == []
    assert not [one for one in (case.path / "derived").iterdir() if one.name.startswith(".")]


@pytest.mark.parametrize("most", [1, 3, 1_000])
def test_what_parts_said_is_put_together(
    robbed_case: tuple[Case, str], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """However often that is done on the way."""
    case, _ = robbed_case
    with few_at_once():
        monkeypatch.setattr(parts, "_APART_AT_MOST", most)
        engine = case._views.open(None).engine
        with closing(Calls(engine, None)) as asked:
            asked.open()
            grouped = "SELECT name, count(*) AS calls FROM {} GROUP BY name"
            together = "SELECT name, CAST(sum(calls) AS BIGINT) AS calls FROM {parts} GROUP BY name"
            asked.keep("by_name", grouped.format("some_facts"), together)
            found, plain = (
                sorted(engine.rows(one), key=lambda row: str(row["name"]))
                for one in ("SELECT * FROM by_name", grouped.format("facts"))
            )
    assert found == plain
    assert len(plain) > 4


def test_by_segment_a_case_may_lie_anywhere(robbed_case: tuple[Case, str], tmp_path: Path) -> None:
    """Also in a folder whose name looks like a pattern for names."""
    case, key = robbed_case
    folder = tmp_path / "leak [1]" / "what?*{b}'"
    folder.mkdir(parents=True)
    shutil.copytree(case.path, folder / "case")
    with Case.open(folder / "case") as copied:
        whole, by_segment = both(copied, (key,))
    assert by_segment == whole


def test_what_is_kept_in_files_is_removed_when_it_was_told(robbed_case: tuple[Case, str]) -> None:
    """A user's policies may have the attacker's calls grouped again and again."""
    case, key = robbed_case
    scratch = case.path / "derived" / ".spill" / "scratch"  # elsewhere the engine writes nothing
    with few_at_once():
        view = case._views.open(None)
        places = tainted(view.engine, case._views.forest(None), (key,), Narrowing())
        with closing(History(view.engine, places, (), scratch)) as asked:
            for _ in range(3):
                asked.narrow((frozenset({"time"}), None, {}))
                assert sum(batch.num_rows for batch in asked.theirs()) > 3
            assert [one.name for one in scratch.iterdir()] == ["callers-0"]
        assert not list(scratch.iterdir())


def test_one_foreign_principal_decides_no_policy() -> None:
    """Guardrails are written for the partition that most of the organisation's own principals are of."""
    ways = [
        Way(
            theirs=theirs, kind=None, type="IAMUser", account=None, principal=f"arn:{partition}:iam::{n:012}:user/ada",
            forwarded=False, actions=(), ec2=None,
        )
        for n, (partition, theirs) in enumerate(
            [("aws-cn", False), *[("aws", False)] * 3, *[("aws-us-gov", True)] * 9]
        )
    ]  # fmt: skip
    for some, expected in ((ways, "aws"), (ways[::-1], "aws"), (ways[4:], "aws-us-gov"), ([], "aws")):
        assert Evidence(ways=tuple(some), mints=(), used={}, first=0, last=0).partition == expected


def test_why_a_call_is_undecided_names_each_key_once() -> None:
    """In the order of the keys, whichever groups of calls were told first."""
    common = {
        "principal": "ada",
        "type": "IAMUser",
        "source": "s3.amazonaws.com",
        "name": "GetObject",
        "calls": 2,
        "nth": 0,
    }
    rows = [
        {**common, "verdict": "UNKNOWN", "why": why, "first": n, "last": n}
        for n, why in enumerate(["aws:SourceIp\ns3:prefix", "aws:RequestedRegion\ns3:prefix", None])
    ]
    for some in (rows, rows[::-1]):
        told: Any = SimpleNamespace(ordinary=lambda lot, some=some: iter(some))
        [found] = backtest._listed(backtest._ordinary(told, ())[0].undecided, "undecided")
        assert (found.calls, found.why) == (6, "aws:RequestedRegion, aws:SourceIp, s3:prefix")


def owners_of_roles(many: int) -> tuple[World, str]:
    """Users whom the attacker gave a key, and of each two roles that the attacker entered, one beside a colleague."""
    world = World(START, tick=0.5)
    key, ria = world.user("support"), world.user("ria")
    for n in range(many):
        taken = key.creates_access_key(world.user(f"owner-{n}").user)
        ria.assumes(f"Role{n}", "ria").calls("s3:ListBuckets")
        for role in (f"Role{n}", f"Other{n}"):
            taken.assumes(role, f"job-{n}").calls("s3:GetObject", {"bucketName": "b", "key": f"{n}"})
    return world, key.id


def test_guardrails_for_many_principals_are_tested_by_as_many_queries_as_for_few() -> None:
    """Each principal has a guardrail of each kind; alike ones are asked for at once."""
    asked, made = [], []
    for many in (3, 12):
        world, key = owners_of_roles(many)
        with held(world) as case:
            case.guard((key,))
            asked.append(calls(lambda case=case, key=key: made.append(case.guard((key,))), named="_asking"))
    few, most = (Counter(one.rule for one in answer.guardrails) for answer in made)
    assert most["user-needs-mfa"] == 13 and most["trust-named-callers"] == 24 and few["role-as-used"] == 3
    assert asked[0] == asked[1]


def test_a_role_that_stands_in_every_account_is_judged_by_its_own_calls() -> None:
    """Of organisations' roles, which have one name in all accounts, no guardrail is asked about another one's calls."""
    asked = []
    for many in (2, 4, 6):
        world = World(START, tick=0.5)
        key = world.user("support")
        for n in range(many):
            key.assumes("OrganizationAccountAccessRole", account=f"{n:012}").calls("s3:ListBuckets")
        with held(world) as case:
            asked.append(calls(lambda case=case, key=key: case.guard((key.id,)), named="judge"))
    assert asked[2] - asked[1] == asked[1] - asked[0] > 0


@pytest.mark.parametrize("most", [1, pytest.param(2, marks=pytest.mark.long), 5])
def test_alike_guardrails_fare_as_each_does_alone(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """However many are asked for at once, each has its own verdicts, tallies and end of the story."""
    world, key = owners_of_roles(4)
    with held(world) as case:
        whole = case.guard((key,), given=EVERY)
        monkeypatch.setattr(lots, "_LOT", most)
        assert case.guard((key,), given=EVERY) == whole
    ends = {one.backtest.story_ends_at for one in whole.guardrails}
    assert len(ends) > 2 and any(one.backtest.ordinary_blocked for one in whole.guardrails)
