"""The laws of what is kept of busy credentials: answers are those of reading all that they did."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_laws_incremental_linking import adding_always, cut, was_added_to
from test_laws_increments import SEEDS, days, fed

from evidence import copied, held, text
from forged import forged
from strategies import worlds
from tokentrail import Case
from tokentrail.case import views
from tokentrail.lineage import activity_cache, lookup
from tokentrail.store.merge import merge_small
from tokentrail.store.tidying import DATABASE
from tokentrail.testing import World, native
from work import some


@contextmanager
def kept(least: int = 0, share: float = 9.0, taken: float = 0) -> Iterator[None]:
    """
    However small a case is, and however little a credential did, it is kept what it did, but for so many calls.

    What comes later is kept, too, if it is that share of the case, with what came before and is at most so many times as
    much.
    """
    shared = mock.patch.multiple(views, _SHARE=share, _WORTH=0, _TAKEN=taken)
    with mock.patch.object(views, "_MANY", 0), mock.patch.object(activity_cache, "BUSY", least), shared:
        yield


def traced(case: Case) -> str:
    """The inventory, and the trace of each credential up and down, and of all of them."""
    case.close()
    every = list(case.credentials())
    ids = [one.id for one in every]
    return text(
        [*every, case.overview(), *(case.trace([one]) for one in ids), *([case.trace(ids)] if ids else [])]
    )


def read(case: Case) -> str:
    """The same from all that they did."""
    with mock.patch.object(activity_cache.Busy, "may_tell", return_value=False):
        return traced(case)


def unkept(case: Case, key: str) -> str:
    """The trace of a credential from all that was done, read anew."""
    case.close()
    with mock.patch.object(activity_cache.Busy, "may_tell", return_value=False):
        return text([case.trace([key])])


@given(worlds(rare=True, edits=True, largest=12), SEEDS, st.booleans(), st.integers(0, 3))
def test_what_is_kept_tells_what_reading_all_does(world: World, seed: int, false: bool, least: int) -> None:
    """However records came and were repeated, forged or not, and whatever was linked again since it was kept."""
    records = forged(world.records(), seed, 0.05 + seed % 8 / 20) if false else world.records()
    share = (0.0, 0.3, 9.0)[seed % 3]
    with kept(least, share, seed % 2), adding_always(), fed(*cut(records, seed)) as case:
        assert traced(case) == read(case)


@given(worlds(rare=True, edits=True, largest=8), SEEDS)
def test_segments_that_were_merged_are_read_again(world: World, seed: int) -> None:
    parts = cut(world.records(), seed)
    with (
        kept(share=seed % 2),
        adding_always(),
        fed(*parts, *parts[:1]) as case,
        mock.patch("tokentrail.store.merge.AT_ONCE", 2),
    ):
        case.newest()
        merge_small(case.folder)

        assert traced(case) == read(case)


@contextmanager
def noted() -> Iterator[set[int]]:
    """The segments of which calls are read."""
    found = set[int]()
    asked = lookup.Lookup._read

    def reading(self: lookup.Lookup, places: Sequence[int], who: Any) -> Any:
        found.update(segment for segment, _ in who)
        return asked(self, places, who)

    with mock.patch.object(lookup.Lookup, "_read", reading):
        yield found


def test_no_call_that_was_rolled_up_is_read() -> None:
    """After more came, what is new is."""
    *first, last = days(4)
    with kept(), adding_always(), held(*first) as case:
        [key] = [one.id for one in case.credentials() if one.kind == "long_term_key"][:1]
        old = set(case._views.open(None).engine.known_segments())
        with noted() as segments:
            case.trace([key])
        assert not segments
        add(case, last)
        assert was_added_to(case)
        with noted() as segments:
            found = text([case.trace([key])])
        assert segments and segments.isdisjoint(old)
        assert found == unkept(case, key)


@pytest.mark.parametrize(("taken", "expected"), [(0, [1, 2, 3, 3, 4]), (2, [1, 2, 2, 2, 2])])
def test_what_came_later_is_rolled_up_by_itself(taken: float, expected: list[int]) -> None:
    """Once it is a share of the case, with what is as small: then no call is read, and the first set is as it was."""
    first, *rest = days(5)
    with kept(share=0.3, taken=taken), adding_always(), held(first) as case:
        [key] = [one.id for one in case.credentials() if one.kind == "long_term_key"][:1]
        told = [len(activity_cache.sets(case._views.open(None).derived))]
        for records in rest:
            add(case, records)
            told.append(len(activity_cache.sets(case._views.open(None).derived)))
        assert was_added_to(case)
        assert expected == told
        with noted() as segments:
            found = text([case.trace([key])])
        assert not segments
        last = activity_cache._called(told[-1] - 1)
        assert 1 == (case._views.open(None).derived / f"{last}_apis.parquet").stat().st_nlink
        assert 1 == len({path.stat().st_ino for path in case.path.glob("derived/*/busy_apis.parquet")})
        assert found == unkept(case, key)


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_of_a_damaged_set_the_calls_are_read_and_of_no_other(damage: str) -> None:
    """Each set stands for itself: what is said of the segments of the others is believed."""
    first, *rest = days(3)
    with kept(share=0.0), adding_always(), held(first) as case:
        [key] = [one.id for one in case.credentials() if one.kind == "long_term_key"][:1]
        old = set(case._views.open(None).engine.known_segments())
        for records in rest:
            add(case, records)
        folder = case._views.open(None).derived
        assert 3 == len(activity_cache.sets(folder))
        case.close()
        path = folder / "busy1_apis.parquet"
        data = path.read_bytes()
        path.unlink()
        if damage == "cut":
            path.write_bytes(data[: len(data) // 2])
        with noted() as segments:
            found = text([case.trace([key])])
        assert segments and segments.isdisjoint(old)
        assert found == unkept(case, key)


def add(case: Case, records: Any) -> None:
    """Have a case read more."""
    path = case.path.with_name("more.json")
    path.write_bytes(native(records))
    case.ingest([str(path)], workers=1)


def test_a_record_that_turns_up_again_is_counted_once() -> None:
    """Where the older one of two counts no more, what was rolled up with it is not believed."""
    first, *rest = days(3)
    poorer = [{name: value for name, value in one.items() if name != "userAgent"} for one in first]
    with kept(), adding_always(), held(poorer, *rest) as case:
        add(case, first)

        assert was_added_to(case)
        assert traced(case) == read(case)


KEPT = ["busy.json", *(f"busy_{name}.parquet" for name in activity_cache._KEPT)]


@pytest.fixture(name="of_two_days", scope="module")
def _of_two_days(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A case of two days of which it is kept what was done, for tests that take a copy of it, and what it tells."""
    folder = tmp_path_factory.mktemp("busy") / "case"
    with kept(), held(*days(2)) as case:
        expected = traced(case)
        case.close()
        copied(case.path, folder)
    return folder, expected


@pytest.mark.parametrize(("name", "damage"), some(product(KEPT, ("missing", "empty", "cut", "another's")), 3))
def test_what_is_kept_may_be_damaged(
    name: str, damage: str, of_two_days: tuple[Path, str], tmp_path: Path
) -> None:
    """Then all is read, and nothing is said of it: it is but the quicker way."""
    whole, expected = of_two_days
    copied(whole, tmp_path / "case")
    with kept(), Case.open(tmp_path / "case") as case:
        [path] = case.path.glob(f"derived/*/{name}")
        data = path.read_bytes()
        path.unlink()
        if damage == "another's":
            other = "grown.json" if name == KEPT[0] else DATABASE
            shutil.copyfile(path.with_name(other), path)
        elif damage != "missing":
            path.write_bytes(b"" if damage == "empty" else data[: len(data) // 2])

        assert expected == traced(case)


def test_nothing_is_kept_of_a_small_case() -> None:
    with held(*days(2)) as case:
        folder = case._views.open(None).derived

        assert not [one for one in folder.iterdir() if one.name.startswith("busy")]
