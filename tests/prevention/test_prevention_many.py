"""A large case is looked at some segments at a time, and is told of as a small one is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_prevention_fates import POLICIES, robbed

from evidence import in_segments
from strategies import worlds
from tokentrail import Case
from tokentrail.prevention import calls
from tokentrail.prevention.calls import Calls
from tokentrail.prevention.guard import Given
from tokentrail.prevention.model import Guard
from tokentrail.testing import World

EVERY = Given(
    policies=tuple((f"{n}.json", json.dumps(one).encode()) for n, one in enumerate(POLICIES)), whole=True
)


@contextmanager
def few_at_once() -> Iterator[None]:
    """Have each segment looked at by itself, and what was said of two be put together at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "_MOST", 1)
        patch.setattr(calls, "_APART_AT_MOST", 1)
        yield


def both(case: Case, subjects: Sequence[str], **options: Any) -> tuple[Guard, Guard]:
    """What is told of a case as a whole, and by segment."""
    whole = case.guard(subjects, given=EVERY, **options)
    with few_at_once():
        return whole, case.guard(subjects, given=EVERY, **options)


@given(worlds(rare=True, largest=16), st.integers(0, 30))
def test_by_segment_the_same_is_told(world: World, subject: int) -> None:
    """By the catalogue and each of the user's policies, to the last call."""
    with in_segments(world.records(), 3) as case:
        ids = sorted(one.id for one in case.credentials())
        if ids:
            whole, by_segment = both(case, (ids[subject % len(ids)],))
            assert by_segment == whole


def test_by_segment_the_thief_is_told_from_the_owner() -> None:
    """Also where the two use one key, whichever way they are told apart; each part was asked, and nothing is left."""
    world, key = robbed()
    with in_segments(world.records(), 4) as case:
        for subjects, options in (
            ((key.id,), {}), ((key.id,), {"trusted_ips": ["192.0.2.0/24"]}), ((), {}),
        ):  # fmt: skip
            whole, by_segment = both(case, subjects, **options)
            assert by_segment == whole
            assert any(one.backtest.attacker_events for one in whole.guardrails)
        engine = case._views.open(None).engine
        with few_at_once(), closing(Calls(engine, None)) as asked:
            asked.keep("told_once", "SELECT count(*) AS calls FROM some_facts")
            assert len(engine.rows("SELECT * FROM told_once")) == 4
        views = "SELECT view_name FROM duckdb_views() WHERE view_name SIMILAR TO '(facts|events)_[0-9]+'"
        assert engine.rows(views) == []
        assert not [one for one in (case.path / "derived").iterdir() if one.name.startswith(".")]


@pytest.mark.parametrize("most", [1, 4, 1_000])
def test_what_parts_said_is_put_together(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """However often that is done on the way."""
    world, _ = robbed()
    with in_segments(world.records(), 5) as case, few_at_once():
        monkeypatch.setattr(calls, "_APART_AT_MOST", most)
        engine = case._views.open(None).engine
        with closing(Calls(engine, None)) as asked:
            grouped = "SELECT name, count(*) AS calls FROM {} GROUP BY name"
            together = "SELECT name, CAST(sum(calls) AS BIGINT) AS calls FROM {parts} GROUP BY name"
            asked.keep("by_name", grouped.format("some_facts"), together)
            found, plain = (
                sorted(engine.rows(one), key=lambda row: str(row["name"]))
                for one in ("SELECT * FROM by_name", grouped.format("facts"))
            )
    assert found == plain
    assert len(plain) > 4
