"""The laws of the index: who is found through it is who is found by looking through all segments."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_laws_incremental_linking import cut
from test_laws_increments import SEEDS, fed

from evidence import START, copied
from forged import forged
from strategies import worlds
from tokentrail import Case
from tokentrail.errors import SubjectNotFound, UsageError
from tokentrail.lineage.forest import Forest
from tokentrail.store import duck, index, layers
from tokentrail.testing import World
from tokentrail.testing.names import Json
from work import some

PART = 32
"""Of the names in a world, each example asks for one of so many, drawn at random."""
SHOWN = (
    "arn", "child_arn", "caller_arn", "role_arn", "issuer_arn", "principal_id", "child", "caller_principal",
    "session_name", "target", "issue_ip",
)  # fmt: skip


@contextmanager
def large() -> Iterator[None]:
    """However small a case is, names are kept of it."""
    with mock.patch.object(duck, "_FEW", 0):
        yield


def outcome(ask: Callable[[], Any]) -> Any:
    """What somebody is answered, if only that nobody is found."""
    try:
        return ask()
    except (SubjectNotFound, UsageError) as error:
        return type(error), str(error)


def both_ways(case: Case, ask: Callable[[Forest], Any]) -> tuple[Any, Any]:
    """An answer with the index, and without it."""
    view = case._views.open(None)
    forest = case._views.forest(None)
    found = outcome(lambda: ask(forest))
    with mock.patch.object(view.engine, "_index", None):
        return found, outcome(lambda: ask(forest))


def subjects(case: Case) -> list[str]:
    """All that somebody may be called in a case, and what is nobody's name."""
    rows = case._views.forest(None).rows("TRUE")
    names = {str(row[one]) for row in rows for one in SHOWN if row[one]}
    names |= {ip for row in rows for ip in row["ips"] or ()}
    names |= {one.partition(":")[0] for one in names} | {one.rpartition("/")[2] for one in names}
    names |= {one.replace(":role/", ":role/service/") for one in names}
    names |= {event.event_id for event in case.timeline([one.id for one in case.credentials()])}
    return sorted({*names, "nobody", "arn:aws:iam::111122223333:role/nobody", "192.0.2.254"})


@given(worlds(rare=True), SEEDS, st.booleans(), st.integers(0, PART - 1))
def test_whoever_answers_to_a_name_is_found(world: World, seed: int, false: bool, first: int) -> None:
    """By ARN, principal, address and event, of forged records too, in however many segments they stand."""
    records = forged(world.records(), seed, 0.05 + seed % 8 / 20) if false else world.records()
    with large(), fed(*cut(records, seed)) as case:
        if not list(case.credentials()):
            return
        for name in subjects(case)[first::PART]:
            found, expected = both_ways(case, lambda forest, name=name: forest.resolve(name))  # type: ignore[misc]
            assert expected == found, name
            found, expected = both_ways(case, lambda forest, name=name: forest.speaking_for_any([name]))  # type: ignore[misc]
            assert expected == found, name


@given(worlds(rare=True), SEEDS)
def test_where_events_happened_is_found(world: World, seed: int) -> None:
    """Their places, addresses and regions."""
    with large(), fed(*cut(world.records(), seed)) as case:
        texts = [one.event_id for one in case.timeline([each.id for each in case.credentials()])][
            seed % 3 :: 3
        ]
        raw = [bytes.fromhex(one.replace("-", "")) for one in texts]
        for ask in (
            lambda forest: forest.places_of([*texts, "none"]),
            lambda forest: forest.addresses(raw),
            lambda forest: forest.regions(raw),
        ):
            found, expected = both_ways(case, ask)
            assert expected == found


def days(count: int) -> list[list[Json]]:
    """The records of a role's session a day, by day."""
    world, found, before = World(START), [], 0
    ada = world.user("ada")
    for number in range(count):
        ada.assumes("Deploy", f"run-{number}").calls("s3:ListBuckets")
        world.wait(hours=24)
        found.append(world.records()[before:])
        before += len(found[-1])
    return found


def segments(case: Case, **sought: Any) -> int | None:
    """In how many segments an engine looks for something; `None` if it looks in all."""
    some = case._views.open(None).engine.holding(**sought)["some_identities"]
    if some == "identities":
        return None
    return 0 if some.endswith("LIMIT 0)") else some.count(".parquet")


def test_a_name_and_an_event_are_looked_for_where_they_may_stand() -> None:
    """And in no other segment; what is nobody's in none."""
    with large(), fed(*days(4)) as case:
        [one] = [each for each in case.credentials() if each.id and str(each.principal).endswith("/run-2")]
        [event] = [each for each in case.timeline([one.id]) if each.event_name == "ListBuckets"]

        assert 1 == segments(case, names=["run-2"])
        assert 2 == segments(case, names=["run-2", "run-0"])
        assert 1 == segments(case, events=[bytes.fromhex(event.event_id.replace("-", ""))])
        assert 0 == segments(case, names=["nobody"])
        assert segments(case, names=["Deploy"]) is None


def ingested(case: Case, *parts: list[Json]) -> None:
    """Ingest some records, all in one segment."""
    path = case.path / "more.json"
    path.write_bytes(json.dumps({"Records": [one for part in parts for one in part]}).encode())
    case.ingest([str(path)])


def test_names_of_a_case_that_was_small_are_kept_once_it_is_large() -> None:
    """A small case is looked through; its segments are marked when more records than it has take them in."""
    first, second, *others = days(8)
    with fed(first, second) as case:
        assert segments(case, names=["run-0"]) is None
        with large():
            ingested(case, *others)
            for number in range(8):
                assert 1 == segments(case, names=[f"run-{number}"])


def spoilt(case: Case, damage: str) -> None:
    """Damage what the index reads."""
    derived = case._views.open(None).derived
    listed = derived / layers.LIST
    told = json.loads(listed.read_text())
    if damage == "of another version":
        told = [{**one, "hashed": one["hashed"] ^ 1} for one in told]
    elif damage == "no list":
        told = {}
    elif damage == "of nothing":
        told = []
    listed.write_text(json.dumps(told))
    for path in (derived / layers.LAYERS).glob(f"*.{layers.NAMES}"):
        if damage == "missing":
            path.unlink()
        elif damage == "empty":
            path.write_bytes(b"")
        elif damage == "cut":
            path.write_bytes(path.read_bytes()[:-3])
        elif damage == "zeros":
            path.write_bytes(bytes(path.stat().st_size))
        elif damage == "zeros but for the last":
            path.write_bytes(bytes(path.stat().st_size - 8) + path.read_bytes()[-8:])


@pytest.fixture(name="of_two_days", scope="module")
def _of_two_days(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A case of two days, for tests that take a copy of it, and the name of its first session."""
    folder = tmp_path_factory.mktemp("two") / "case"
    with large(), fed(*days(2)) as case:
        [name] = [str(one.principal) for one in case.credentials() if str(one.principal).endswith("/run-0")]
        case.close()
        copied(case.path, folder)
    return folder, name


@pytest.mark.parametrize(
    ("damage", "more"),
    [
        *some(
            (
                ("of another version", 6),
                ("no list", 6),
                ("of nothing", 6),
                ("missing", 6),
                ("cut", 6),
                ("empty", 6),
                ("zeros but for the last", 6),
                ("zeros", 6),
            ),
            2,
        ),
        ("missing", 1),
        pytest.param("of another version", 1, marks=pytest.mark.long),
    ],
)
def test_where_the_index_tells_too_little_all_segments_are_looked_through(
    damage: str, more: int, of_two_days: tuple[Path, str], tmp_path: Path
) -> None:
    """After a loss of power, by another version of the engine or in another's folder: nobody is overlooked."""
    folder, name = of_two_days
    _, _, *others = days(2 + more)
    copied(folder, tmp_path / "case")
    with large(), Case.open(tmp_path / "case") as case:
        spoilt(case, damage)
        case.close()

        assert segments(case, names=["run-0"]) is None
        assert case._views.forest(None).resolve(name)

        ingested(case, *others)
        forest = case._views.forest(None)
        for number in range(2 + more):
            assert 1 == len(forest.resolve(name.replace("run-0", f"run-{number}")))
        if more > 1:  # what is taken in is marked
            assert 1 == segments(case, names=["run-0"])


@pytest.mark.parametrize("subject", ["", "\udcff", "arn:aws:iam::111122223333:user/\udcff"])
def test_what_can_be_no_name_names_nobody(subject: str) -> None:
    """However large a case is, it is refused in words, with the index and without it."""
    with large(), fed(*days(2)) as case:
        found, expected = both_ways(case, lambda forest: forest.resolve(subject))
        assert expected == found
        assert UsageError is found[0]


def test_more_segments_than_marks_can_tell_apart_are_all_looked_through() -> None:
    """Numbers of two bytes are too few for more than 65,536."""
    with large(), mock.patch.object(layers, "OWNERS", 1), fed(*days(2)) as case:
        assert segments(case, names=["run-0"]) is None


def test_names_are_known_to_an_engine_as_they_were_to_another() -> None:
    """Hashes of the same engine are the same in each process, and of a text however it came to be."""
    with closing(duck.DuckEngine()) as one, closing(duck.DuckEngine(threads=1)) as other:
        names = ["", "x", "a longer name than twelve bytes", "ärger\x00", *index.KNOWN]
        assert one.hashed(names) == other.hashed(names)
        part = "split_part('y/a longer name than twelve bytes', '/', -1)"
        assert one.hash_fingerprint() == other.hash_fingerprint()
        assert one.hashed(names)[2] == one.rows(f"SELECT hash({part}) AS h")[0]["h"]
