"""What holds for findings whatever the evidence: order, repetition and damage don't matter."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import replace
from typing import Any

import pytest
from case_tables import FIRES
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rule_cases import world

from evidence import held
from tokentrail.detection import run
from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.present.document import document
from tokentrail.testing.story import story

Json = dict[str, Any]


def judged(*files: list[Json]) -> list[str]:
    """The findings of some files, as bytes would show them."""
    with held(*files) as case:
        return [json.dumps(document(one)) for one in case.detect()]


class _Evidence(list[Json]):
    """Records that Hypothesis need not spell out: the seed says how they were damaged."""

    def __repr__(self) -> str:
        return f"<{len(self)} records>"


@pytest.fixture(name="records", scope="module")
def _records() -> list[Json]:
    """The story without the ordinary day, and what every rule is for, all in one case."""
    place = world()
    for acts in FIRES.values():
        for act in acts[:1]:
            act(place)
            place.wait(600)
    return _Evidence([*story(ordinary_day=False).world.records(), *place.records()])


@pytest.fixture(name="found", scope="module")
def _found(records: list[Json]) -> list[str]:
    return judged(records)


def test_the_evidence_of_the_laws_is_rich(found: list[str]) -> None:
    """The laws are tried on evidence in which many rules find something."""
    assert len({json.loads(one)["rule"] for one in found}) >= 15


@settings(max_examples=3)
@given(seed=st.integers(0, 2**32), parts=st.integers(1, 4))
def test_order_repetition_and_split_change_nothing(
    records: list[Json], found: list[str], seed: int, parts: int
) -> None:
    """Any order, repetition and division into files of the same records gives the same bytes."""
    chance = random.Random(seed)
    mixed = [*records, *chance.sample(records, len(records) // 5)]
    chance.shuffle(mixed)

    assert judged(*(mixed[part::parts] for part in range(parts))) == found


@settings(max_examples=3)
@given(seed=st.integers(0, 2**32))
@example(seed=2373)  # a call without a name, by a token that can't make it
def test_damaged_records_break_no_rule(records: list[Json], seed: int) -> None:
    """Whatever fields are missing, empty or of another kind, rules go on, and ids stay one to a finding."""
    chance = random.Random(seed)
    damaged = [_damaged(copy.deepcopy(one), chance) if chance.random() < 0.3 else one for one in records]
    found = [json.loads(one) for one in judged(damaged)]

    assert len({one["id"] for one in found}) == len(found)


@settings(max_examples=3)
@given(seed=st.integers(0, 2**32))
def test_a_rule_that_is_not_asked_had_nothing_to_say(records: list[Json], seed: int) -> None:
    """Where the evidence holds nothing of a rule's prefilter, asking the rule all the same brings nothing more."""
    calls = sorted({one["eventName"] for one in records})
    left = set(random.Random(seed).sample(calls, len(calls) // 3))
    some = [one for one in records if one["eventName"] in left]
    found = judged(some)
    asked = tuple(replace(rule, prefilter=frozenset()) for rule in CATALOGUE)

    assert sum(not rule.prefilter.isdisjoint(left) for rule in CATALOGUE) < sum(
        bool(one.prefilter) for one in CATALOGUE
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run, "CATALOGUE", asked)
        assert judged(some) == found


def _damaged(record: Json, chance: random.Random) -> Json:
    """Take something out of a record, or put something else in."""
    place = record
    while True:
        name = chance.choice(sorted(place))
        if isinstance(place[name], dict) and place[name] and chance.random() < 0.7:
            place = place[name]
            continue
        match chance.randint(0, 2):
            case 0:
                del place[name]
            case 1:
                place[name] = None
            case _:
                place[name] = ""
        return record
