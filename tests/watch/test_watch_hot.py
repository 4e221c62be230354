"""What is judged with each batch: no record is in it twice in one place, and nothing is let go too early."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from zlib import crc32

import pytest
from watch_cases import Json, packed

from evidence import HOME, START
from tokentrail.sources.files import BytesObject
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import StoredObject
from tokentrail.store.merge import AT_ONCE, merge_small
from tokentrail.store.tasks import Options
from tokentrail.testing import World
from tokentrail.testing.story import story
from tokentrail.watch.backlog import keep_all, merged
from tokentrail.watch.held import Held
from tokentrail.watch.hot import HotSet
from tokentrail.watch.intake import Intake, Tables, tables_of
from tokentrail.watch.interface import Arrival
from tokentrail.watch.recall import Recall, Span
from tokentrail.watch.recollection import Recalled, Recollection


def one_more(folder: CaseFolder, name: str) -> tuple[str, Tables, list[StoredObject]]:
    """A segment of a session's records, put into a case."""
    world = World(START, account=HOME, seed=crc32(name.encode()))
    world.user(name, ip="192.0.2.10").assumes("Deploy", name).calls("s3:ListBuckets", count=3)
    return put(folder, name, world.records())


def put(folder: CaseFolder, name: str, *files: list[Json]) -> tuple[str, Tables, list[StoredObject]]:
    """Files of records put into a case as a segment of their own."""
    arrivals = [
        Arrival(object=BytesObject(f"{at}-{name}", packed(one)), at=0.0) for at, one in enumerate(files)
    ]
    taken = Intake(folder, (), Options()).take(arrivals)
    assert taken.segment is not None
    assert taken.tables is not None
    return taken.segment, taken.tables, list(folder.manifest(taken.segment).objects)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> CaseFolder:
    folder = CaseFolder.open(tmp_path / "case")
    (folder.path / "watch").mkdir()
    return folder


@pytest.fixture(name="recall")
def _recall(folder: CaseFolder) -> Iterator[Recall]:
    with closing(Recall(folder.path / "watch")) as recall:
        yield recall


def held(hot: HotSet, table: str = "events") -> int:
    [row] = hot.engine().rows(f"SELECT count(*) AS rows FROM {table}")
    return int(row["rows"])


def test_an_engine_gives_way_to_one_that_holds_the_same(
    folder: CaseFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB keeps something of each dropped table while it is open: it isn't open for ever, and nothing is lost."""
    monkeypatch.setattr("tokentrail.watch.hot._LOOKS", 2)
    hot, engines, rows = HotSet(folder), [], 0
    for name in "abc":
        segment, tables, objects = one_more(folder, name)
        hot.add(int(segment, 16), tables, objects)
        rows += tables["events"].num_rows
        engines.append(hot.engine())
        assert held(hot) == rows  # as after a look, when nothing new waits

    assert engines[0] is engines[1] is not engines[2]
    assert hot.engine() is engines[2]


def test_what_is_handed_on_is_what_lies_in_the_case(folder: CaseFolder) -> None:
    """Whoever judges gets the columns of a new segment as a later watch reads them, row by row and type by type."""
    segment, tables, _ = put(folder, "all", story().world.records())

    read = tables_of(folder, segment)
    assert tables.keys() == read.keys()
    for name, table in tables.items():
        assert table.num_rows
        by = [(one, "ascending") for one in ("object", "ordinal", "identity") if one in table.column_names]
        assert table.sort_by(by).equals(read[name].sort_by(by))


def test_what_a_sweep_chose_of_newest_records_is_not_there_twice(folder: CaseFolder) -> None:
    """Two rows in one place would both be set aside as repetitions of each other, and nothing be found in them."""
    segment, tables, objects = one_more(folder, "a")
    hot = HotSet(folder)
    hot.add(int(segment, 16), tables, objects)
    before = held(hot), held(hot, "identities")

    hot.sweep_begins()
    hot.swept(tables)

    assert before == (held(hot), held(hot, "identities"))


def test_what_a_sweep_saw_sooner_than_a_look_is_not_there_twice(folder: CaseFolder) -> None:
    """A segment that came, and that a sweep chose from, before any look was taken of it is there once as well."""
    segment, tables, objects = one_more(folder, "a")
    hot = HotSet(folder)

    hot.sweep_begins()
    hot.swept(tables)
    hot.add(int(segment, 16), tables, objects)

    assert held(hot) == tables["events"].num_rows
    assert held(hot, "issuances") == tables["issuances"].num_rows


def test_what_came_while_a_sweep_ran_stays(folder: CaseFolder) -> None:
    """What is carried of segments that a sweep can't have seen is not replaced by what it chose of others."""
    hot = HotSet(folder)
    older, seen, objects = one_more(folder, "a")
    hot.add(int(older, 16), seen, objects)
    hot.sweep_begins()
    newer, unseen, objects = one_more(folder, "b")
    hot.add(int(newer, 16), unseen, objects)
    hot.carry(frozenset(), unseen)

    hot.swept(seen)

    assert seen["events"].num_rows + unseen["events"].num_rows == held(hot)
    assert hot.others(frozenset()) == {int(older, 16), int(newer, 16)}


def test_segments_go_one_by_one_though_they_were_joined(folder: CaseFolder) -> None:
    """Many small segments are held as one table; those that go are in it no more, and those that stay are."""
    hot = HotSet(folder)
    listed = [one_more(folder, f"j{number}") for number in range(60)]
    for segment, tables, objects in listed:
        hot.add(int(segment, 16), tables, objects)
    kept = listed[10:]

    hot.carry(
        {int(segment, 16) for segment, _, _ in kept},
        {name: table[:0] for name, table in listed[0][1].items()},
    )

    assert held(hot) == sum(tables["events"].num_rows for _, tables, _ in kept)
    assert held(hot, "identities") == sum(tables["identities"].num_rows for _, tables, _ in kept)
    assert hot.others(frozenset()) == {int(segment, 16) for segment, _, _ in kept}


def test_what_cant_be_asked_for_again_is_not_let_go() -> None:
    """The oldest of what is held goes first, but nothing of which the records are not kept yet."""
    account = Held(most=100)
    for number in range(6):
        account.add(number, 25)
    for number in (0, 1, 2, 4):
        account.kept(number, Span(number * 25, number * 25 + 25))

    assert account.full
    assert account.let_go() == {0, 1, 2, 4}
    assert account.newest == {3, 5} == account.unkept
    assert not account.whole


def test_what_a_watch_did_not_see_come_is_kept_once(folder: CaseFolder, recall: Recall) -> None:
    """Evidence of another ingest can be asked for as soon as a sweep has seen it; what was merged is not kept again."""
    names = [f"c{number}" for number in range(AT_ONCE)]
    listed = [one_more(folder, name) for name in names]
    segment, tables, objects = listed[0]
    recall.keep(int(segment, 16), tables, objects)

    keep_all(folder, recall)
    merge_small(folder, partial(merged, recall))
    keep_all(folder, recall)

    keys = [f"k{one}" for _, found, _ in listed for one in found["issuances"].column("key_id").to_pylist()]
    assert len(names) == len(keys) == len(list(recall.numbers(keys)))
    assert {int(one.segment, 16) for one in folder.snapshot().manifests} == recall.spans().keys()


def test_what_is_yet_to_be_told_is_neither_kept_nor_merged(folder: CaseFolder, recall: Recall) -> None:
    """By what is kept a watch that was killed knows what it has told: a sweep beside leaves the rest as it is."""
    listed = [one_more(folder, f"d{number}")[0] for number in range(AT_ONCE + 2)]
    settled = set(listed[2:])

    keep_all(folder, recall, settled)
    merge_small(folder, partial(merged, recall), settled)

    assert recall.spans().keys().isdisjoint(int(one, 16) for one in listed[:2])
    assert set(listed[:2]) < {one.segment for one in folder.snapshot().manifests}
    assert len(folder.snapshot().manifests) == 3


def test_a_damaged_file_is_made_again(folder: CaseFolder) -> None:
    """What can't be read is worked out from the case, and nobody is asked."""
    segment, tables, objects = one_more(folder, "a")
    with closing(Recall(folder.path / "watch")) as recall:
        recall.keep(int(segment, 16), tables, objects)
    for path in (folder.path / "watch").glob("recall.sqlite*"):
        path.write_bytes(b"no database")

    with closing(Recall(folder.path / "watch")) as recall:
        assert {} == recall.spans()
        keep_all(folder, recall)
        assert {int(segment, 16)} == recall.spans().keys()


def test_records_are_found_as_they_were(folder: CaseFolder, recall: Recall) -> None:
    """A credential's records come back column by column, and raw, from where they lie; those that are held do not."""
    segment, tables, objects = one_more(folder, "a")
    span, _ = recall.keep(int(segment, 16), tables, objects)
    hot, recollection = HotSet(folder), Recollection(recall)
    touched = Recollection(recall).note(tables)

    assert recollection.find(touched, [span], 100) is None
    found = Recollection(recall).find(touched, [], 100)

    assert found is not None
    hot.recall(found)
    shown = [
        name
        for name in tables["issuances"].column_names
        if name not in ("segment", "object", "ordinal", "identity")
    ]
    assert (
        tables["issuances"].select(shown).to_pylist() == found.tables["issuances"].select(shown).to_pylist()
    )
    places = [(found.segment, 0, ordinal) for ordinal in range(found.tables["events"].num_rows)]
    raw = {place: record["eventName"] for place, record in hot.read(places)}
    assert [*raw.values()] == found.tables["events"].column("name").to_pylist()


def test_raw_records_of_small_objects_that_came_together_are_read(folder: CaseFolder, recall: Recall) -> None:
    """Several files in one segment lie in one archive: from it the newest are read, and those that were recalled."""
    world = World(START, account=HOME)
    world.user("ada", ip="192.0.2.10").assumes("Deploy", "run").calls("s3:ListBuckets", count=3)
    records = world.records()
    segment, tables, objects = put(folder, "small", *([one] for one in records))
    number = int(segment, 16)
    assert [segment] * len(records) == [one.pack for one in objects]

    recall.keep(number, tables, objects)
    found = Recollection(recall).find(Recollection(recall).note(tables), [], 100)
    assert found is not None
    hot = HotSet(folder)
    hot.add(number, tables, objects)
    hot.recall(found)
    newest = [(number, at, 0) for at in range(len(records))]
    older = [(found.segment, 0, at) for at in range(found.tables["events"].num_rows)]

    assert [one["eventID"] for one in records] == [one["eventID"] for _, one in hot.read(newest)]
    recalled = [record["eventName"] for _, record in hot.read(older)]
    assert recalled
    assert recalled == found.tables["events"].column("name").to_pylist()


def test_raw_records_of_what_is_carried_are_read(folder: CaseFolder) -> None:
    """Of a segment that was let go but for a few records, by a look or by a sweep, those are still read, and others."""
    world = World(START, account=HOME)
    world.user("ada", ip="192.0.2.10").assumes("Deploy", "run").calls("s3:ListBuckets", count=5)
    records = world.records()
    segment, tables, objects = put(folder, "small", *([one] for one in records))
    number = int(segment, 16)
    few, other = (tables | {"events": tables["events"].slice(at, 2)} for at in (0, 3))
    hot, swept = HotSet(folder), HotSet(folder)
    hot.add(number, tables, objects)
    hot.carry(frozenset(), few)
    swept.swept(other)

    for one in (hot, swept):
        found = [record for _, record in one.read([(number, at, 0) for at in range(len(records))])]
        assert [one["eventID"] for one in records] == [one["eventID"] for one in found]
        assert one.others(frozenset()) == {number}


def test_what_is_let_go_is_found_again_through_what_led_to_it(folder: CaseFolder, recall: Recall) -> None:
    """A session's call asks anew for the call that issued its token's token, once that is judged no more."""
    world = World(START, account=HOME)
    token = world.user("ada", ip="192.0.2.10").gets_session_token()
    minted = len(world.records())
    session = token.assumes("Deploy", "run")
    assumed = len(world.records())
    session.calls("s3:ListBuckets", count=2)
    records = world.records()
    recollection, held = Recollection(recall), {}
    found = []
    for place, part in enumerate(
        (records[:minted], records[minted:assumed], records[assumed:-1], records[-1:])
    ):
        if place == 3:
            recollection.let_go([0])
            del held[0]
        segment, tables, objects = put(folder, f"{place}.json", part)
        found.append(recollection.find(recollection.note(tables), held.values(), 100))
        held[place], names = recall.keep(int(segment, 16), tables, objects)
        recollection.kept(place, names)

    *before, last = found
    assert [None, None, None] == before
    assert last is not None
    assert ["GetSessionToken"] == last.tables["events"].column("name").to_pylist()


def test_what_led_somewhere_is_forgotten_when_nobody_asks_for_it(folder: CaseFolder, recall: Recall) -> None:
    """Each session leads to its role for as long as it is judged, and not for as long as the watch runs."""
    recollection, held, remembered = Recollection(recall), {}, []
    for place in range(24):
        segment, tables, objects = one_more(folder, f"user-{place}")
        recollection.find(recollection.note(tables), held.values(), 100)
        held[place], names = recall.keep(int(segment, 16), tables, objects)
        recollection.kept(place, names)
        if place >= 4:
            recollection.let_go([place - 4])
            del held[place - 4]
            remembered.append(recollection.remembered)

    assert 0 < remembered[3]
    assert max(remembered) <= remembered[3] + 8


def test_the_oldest_of_what_was_recalled_goes_first() -> None:
    """Half of the room is left then, for what was recalled last; as long as there is room, nothing goes."""
    account = Held(most=800)
    for number in (-1, -2, -3, -4):
        account.recall(number, 25)
    assert account.forget() == frozenset()

    account.recall(-5, 25)
    assert account.forget() == {-1, -2, -3}
    assert account.forget() == frozenset()


def test_what_was_recalled_and_is_let_go_is_asked_for_again(folder: CaseFolder, recall: Recall) -> None:
    """Whichever part of what was recalled goes: with what is asked for next, all of a credential is there again."""
    names = ("a", "b")
    kept = {name: one_more(folder, name) for name in names}
    for segment, tables, objects in kept.values():
        recall.keep(int(segment, 16), tables, objects)
    recollection = Recollection(recall)
    first = {name: recollection.find(recollection.note(kept[name][1]), [], 100) for name in names}
    hot = HotSet(folder)
    for one in first.values():
        assert one is not None
        hot.recall(one)

    gone, stays = first["a"], first["b"]
    assert gone is not None and stays is not None
    recollection.forget([gone.segment])
    hot.forget([gone.segment])
    touched = recollection.note(kept["a"][1])
    touched.add(recollection.note(kept["b"][1]))
    again = recollection.find(touched, [], 100)

    assert again is not None
    assert again.segment not in (gone.segment, stays.segment)
    assert events(again) == events(gone)
    assert events(again).isdisjoint(events(stays))
    hot.recall(again)
    assert held(hot) == len(events(again)) + len(events(stays))


def events(found: Recalled) -> set[bytes]:
    """The ids of events that were recalled, each of them once."""
    listed = found.tables["events"].column("event_id").to_pylist()
    assert len(listed) == len(set(listed))
    return set(listed)
