"""The laws of increments: what an ingest adds to a linked case makes it what linking all at once would."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_laws_forest import everything, places_forgotten, shuffled

from evidence import START, copied, held, spilling_may_be_forbidden
from strategies import FIFTY_WORLDS, TOGETHER, worlds
from tokentrail import Case
from tokentrail.case import linking
from tokentrail.errors import NoRoom
from tokentrail.lineage import segment_tables
from tokentrail.sources import files
from tokentrail.store import duck, duplicate_ids, layers
from tokentrail.store.duck import DuckEngine
from tokentrail.store.ingest import ingest
from tokentrail.store.merge import merge_small
from tokentrail.store.tasks import Options
from tokentrail.store.tidying import DATABASE
from tokentrail.testing import World, native
from tokentrail.testing.names import Json

SEEDS = st.integers(0, 999)
OUTPUT = ("credentials", "names", "credential_identities", "links", "duplicates", *segment_tables.COLUMNS)


@contextmanager
def fed(*parts: Sequence[Json]) -> Iterator[Case]:
    """A case that was fed in several ingests, and linked after each."""
    with tempfile.TemporaryDirectory() as folder, Case.open(Path(folder) / "case") as case:
        for number, records in enumerate(parts):
            path = Path(folder) / f"{number}.json"
            path.write_bytes(native(records))
            case.ingest([str(path)], workers=1)
        yield case


def derived(case: Case) -> dict[str, list[dict[str, Any]]]:
    """The tables of the newest forest, in their order."""
    case.newest()
    engine = case._views.open(None).engine
    return {name: engine.rows(f"SELECT * FROM {name} ORDER BY ALL") for name in OUTPUT}


def from_the_start(case: Case) -> dict[str, list[dict[str, Any]]]:
    """The tables of a forest that was linked as one of many records, without anything that was derived before."""
    case.close()
    shutil.rmtree(case.path / "derived")
    (case.path / "derived").mkdir()
    with mock.patch.object(linking, "_FILED_FROM", 0), mock.patch.object(duck, "_BUSY", 0):
        return derived(case)


@FIFTY_WORLDS
@given(worlds(rare=True, edits=True, together=TOGETHER), SEEDS)
def test_ingesting_in_parts_gives_the_files_of_linking_at_once(world: World, seed: int) -> None:
    """However records are cut and repeated, the derived tables are byte-identical, and the answers those of one file."""
    with held(world) as whole:
        expected = places_forgotten(everything(whole))
    with fed(*shuffled(world.records(), seed)) as case:
        assert expected == places_forgotten(everything(case))
        assert derived(case) == from_the_start(case)


@given(worlds(rare=True, edits=True), SEEDS)
def test_an_increment_after_segments_were_merged_gives_the_same_files(world: World, seed: int) -> None:
    """Segments that became one are read anew, and what is known of the others stays right."""
    parts = shuffled(world.records(), seed)
    with fed(*parts, *parts[::-1]) as case, mock.patch("tokentrail.store.merge.AT_ONCE", 2):
        case.newest()
        merge_small(case.folder)

        assert derived(case) == from_the_start(case)


def days(count: int) -> list[list[Json]]:
    """The records of a few sessions a day, by day."""
    world, found, before = World(START), [], 0
    ada = world.user("ada")
    for _ in range(count):
        for name in ("Deploy", "ReadOnly"):
            ada.assumes(name).calls("s3:ListBuckets")
        world.wait(hours=24)
        found.append(world.records()[before:])
        before += len(found[-1])
    return found


def world_of(count: int) -> list[Json]:
    """All records of some days."""
    return [one for day in days(count) for one in day]


def segments_read(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The segments whose columns an engine is told of from now on."""
    read: set[str] = set()
    know = DuckEngine.segments

    def known(self: DuckEngine, name: str, folders: Sequence[Path], *, until: int | None = None) -> None:
        read.update(folder.name for folder in folders)
        know(self, name, folders, until=until)

    monkeypatch.setattr(DuckEngine, "segments", known)
    return read


def test_linking_reads_the_new_segments_and_no_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of the columns of records, the fifth ingest reads those of its own segment when it is linked."""
    open_file = duplicate_ids.pq.ParquetFile

    def opened(path: Path) -> object:
        read.add(path.parent.name)
        return open_file(path)

    *earlier, last = days(5)
    (tmp_path / "last.json").write_bytes(native(last))
    with fed(*earlier) as case:
        before = set(case.folder.snapshot().folders)
        list(ingest(case.folder, files.objects([str(tmp_path / "last.json")]), options=Options()))
        snapshot, into = case.folder.snapshot(), case.folder.new_derived()
        read = segments_read(monkeypatch)
        monkeypatch.setattr(duplicate_ids.pq, "ParquetFile", opened)

        grown = linking.derive(
            case.folder, snapshot, into, lambda *_: closing(DuckEngine(records=0, within=[case.path]))
        )

        assert len(world_of(5)) == grown.records
        assert set(snapshot.folders) - before == read


def test_a_record_that_turns_up_again_has_only_the_segments_read_that_may_hold_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A record of the first day comes again with the fourth: segments whose ids are kept apart are not read."""
    large, small, last = days(1)[0] * 1, days(2)[1][:2], days(1)[0][:1]
    (tmp_path / "last.json").write_bytes(native(last))
    with fed(large, small) as case:
        first, second = case.folder.snapshot().manifests
        if len(large) != first.objects[0].records:
            first, second = second, first
        list(ingest(case.folder, files.objects([str(tmp_path / "last.json")]), options=Options()))
        snapshot, into = case.folder.snapshot(), case.folder.new_derived()
        read = segments_read(monkeypatch)

        grown = linking.derive(
            case.folder, snapshot, into, lambda *_: closing(DuckEngine(records=0, within=[case.path]))
        )

        assert len(large) + len(small) == grown.records
        assert set(snapshot.folders) - {second.segment} == read


@pytest.mark.parametrize("apart", [True, False])
def test_a_record_that_turns_up_again_is_looked_for_in_its_segment_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, apart: bool
) -> None:
    """Though the ids of several segments are kept together; of more than can be told apart, it is in all of them."""
    monkeypatch.setattr(layers, "OWNERS", duplicate_ids.OWNERS if apart else 1)
    first, second = days(1)[0][:3], days(2)[1]
    (tmp_path / "last.json").write_bytes(native(second[:1]))
    with fed(first, second) as case:
        before = case.folder.snapshot()
        [older] = [one.segment for one in before.manifests if one.objects[0].records == len(first)]
        [folder] = [one for one in case.folder.all_derived("") if one.name.startswith(before.fingerprint)]
        assert 1 == len(layers.read_layers(folder))
        list(ingest(case.folder, files.objects([str(tmp_path / "last.json")]), options=Options()))
        snapshot, into = case.folder.snapshot(), case.folder.new_derived()
        read = segments_read(monkeypatch)

        linking.derive(
            case.folder, snapshot, into, lambda *_: closing(DuckEngine(records=0, within=[case.path]))
        )

        assert set(snapshot.folders) - ({older} if apart else set()) == read


@pytest.fixture(name="of_two_days", scope="module")
def _of_two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case of two days that was linked after each, for tests that take a copy of it."""
    folder = tmp_path_factory.mktemp("two") / "case"
    with fed(*days(2)) as case:
        case.close()
        copied(case.path, folder)
    return folder


@pytest.mark.parametrize("kind", ["*", "*.ids", "*.people.parquet", "*.duplicates.parquet"])
def test_what_is_derived_may_be_damaged(of_two_days: Path, tmp_path: Path, kind: str) -> None:
    """Layers that can't be read are worked out again: nothing depends on them."""
    (tmp_path / "last.json").write_bytes(native(days(3)[-1]))
    copied(of_two_days, tmp_path / "case")
    with Case.open(tmp_path / "case") as case:
        for path in case.path.glob(f"derived/*/layers/{kind}"):
            path.write_bytes(b"damaged")

        case.ingest([str(tmp_path / "last.json")])

        assert len(world_of(3)) == case.status().records
        assert derived(case) == from_the_start(case)


def test_linking_takes_more_memory_before_it_gives_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What does not fit into the usual memory is linked with all that may be had, from the same layers."""
    monkeypatch.setattr(duck, "_ENOUGH", 200 << 20)
    monkeypatch.setattr(duck, "_EACH", 1)
    link, asked = linking.link_reduced, list[tuple[int, set[str]]]()

    def narrow(engine: DuckEngine, *given: Any) -> Any:
        tables = {str(row["name"]) for row in engine.rows("SELECT view_name AS name FROM duckdb_views()")}
        asked.append((engine._limit, tables))
        if engine._limit == 200 << 20:
            raise NoRoom("a query needs more memory")
        return link(engine, *given)

    *earlier, last = days(3)
    (tmp_path / "last.json").write_bytes(native(last))
    with fed(*earlier) as case:
        monkeypatch.setattr(linking, "link_reduced", narrow)
        case.ingest([str(tmp_path / "last.json")])
        monkeypatch.undo()

        (usual, _), (more, known) = asked
        assert usual == 200 << 20 < more
        assert "kept_people" in known
        assert derived(case) == from_the_start(case)


def test_linking_says_what_to_do_where_no_memory_is_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A query that needs more than may be had is told in words, and leaves the case as it was."""
    first, last = days(2)
    (tmp_path / "last.json").write_bytes(native(last))
    with fed(first) as case:
        before = sorted((case.path / "derived").iterdir())
        spilling_may_be_forbidden(monkeypatch)
        enough = DuckEngine.run_all

        def filled(self: DuckEngine, listed: Any) -> None:
            enough(self, listed)
            self.run("SET memory_limit = '10MB'")
            self.run("SET max_temp_directory_size = '0KB'")
            self.run("CREATE TABLE large AS SELECT hash(range)::VARCHAR AS name FROM range(3_000_000)")

        monkeypatch.setattr(DuckEngine, "run_all", filled)
        with pytest.raises(NoRoom, match=r"more memory than it may take(.|\n)*--since TIME"):
            case.ingest([str(tmp_path / "last.json")])
        monkeypatch.undo()
        assert sorted((case.path / "derived").iterdir()) == before
        assert len(world_of(2)) == case.status().records


def test_layers_stay_few_however_often_something_is_added() -> None:
    """After fifteen ingests of a size there are at most four layers, which count each segment once."""
    with fed(*days(15)) as case:
        snapshot = case.folder.snapshot()
        [folder] = [one for one in case.folder.all_derived("") if one.name.startswith(snapshot.fingerprint)]
        listed = layers.read_layers(folder)

        assert 4 >= len(listed)
        assert sorted(snapshot.folders) == sorted(name for layer in listed for name in layer.records)
        assert all(not layer.gone for layer in listed)


def test_only_the_newest_derived_folders_keep_their_databases() -> None:
    """Each is a whole copy; who has one open goes on with it, and what is added goes on from the newest."""
    first, *rest = days(6)
    with fed(first) as case, Case.open(case.path) as reader:
        expected = list(reader.credentials())
        view = reader._views.open(None)
        for number, day in enumerate(rest):
            path = case.path.with_name(f"more-{number}.json")
            path.write_bytes(native(day))
            case.ingest([str(path)], workers=1)
            case.newest()

        assert 6 == len(list(case.path.glob("derived/*/grown.json")))
        assert 3 == len(list(case.path.glob(f"derived/*/{DATABASE}")))
        assert view.size.credentials == len(expected) == len(view.engine.rows("SELECT n FROM credentials"))
        assert derived(case) == from_the_start(case)
