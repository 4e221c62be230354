"""The laws of calls in bulk: what the engine counts and picks is what one gets call by call."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from evidence import held
from strategies import worlds
from tokentrail.present.text.timeline_text import RUN, runs
from tokentrail.testing import World

TELLING = "Assume|Get(SessionToken|SecretValue)"


@given(worlds(rare=True), st.integers(1, 20))
def test_lines_are_the_calls_grouped_one_by_one(world: World, room: int) -> None:
    """Like calls in a row are one line; of telling ones and others the first are kept, and the rest is counted."""
    with held(world.records()) as case:
        for one in list(case.credentials())[:3]:
            every = list(runs(case.timeline([one.id])))
            found = case.call_lines([one.id], telling=TELLING, room=room, run=RUN)
            told = [
                bool(run.first.error_code or re.match(TELLING, run.first.event_name or "")) for run in every
            ]
            kept = [n for n, tells in enumerate(told) if told[: n + 1].count(tells) <= room]

            assert [(every[n].first, every[n].last.time, every[n].count, told[n]) for n in kept] == [
                (line.first, line.until, line.count, line.telling) for line in found.lines
            ]
            assert sum(run.count for run in every) == found.events
            assert sum(run.first.began for run in every) == found.began
            assert len(every) - len(kept) == found.left_out
            assert found.events - sum(every[n].count for n in kept) == found.left_events


@given(worlds(rare=True), st.integers(1, 400))
def test_ticks_count_every_call_of_the_window_once(world: World, places: int) -> None:
    """Each call within the stretch of time falls into one place, under its credential and outcome."""
    with held(world.records()) as case:
        ids = [one.id for one in case.credentials()][:3]
        calls = [one for one in case.timeline(ids) if not one.began]
        if not calls:
            return
        start, end = calls[len(calls) // 4].time, calls[-1].time + timedelta(seconds=0.5)
        within = [one for one in calls if start <= one.time <= end]
        found = list(case.ticks(ids, start=start, end=end, places=places))
        counted: Counter[tuple[str, bool]] = Counter()
        for one in found:
            counted[one.credential, one.failed] += one.count

        assert Counter((one.credential, bool(one.error_code)) for one in within) == counted
        assert all(0 <= one.place <= places for one in found)
        assert len(found) == len({(one.credential, one.place, one.failed) for one in found})


@given(worlds(rare=True), st.integers(0, 1))
def test_speakers_found_in_one_go_are_those_found_one_by_one(world: World, first: int) -> None:
    """Roles, users and sessions: looking for many at once finds what each alone does, by its most exact meaning."""
    with held(world.records()) as case:
        listed = list(case.credentials())
        names = sorted({name for one in listed for name in (one.role, one.principal) if name})
        names += [name.replace(":role/", ":role/team/").replace(":user/", ":user/team/") for name in names]
        names = names[first::2]
        forest = case._views.forest(None)  # the two ways lie below what a case offers
        expected = set[int]().union(*(forest.speaking_for(one) for one in names))

        assert expected == forest.speaking_for_any(names)
