"""A case in a bucket: what is fetched, what is given, in which order, and what of a bucket is not looked at."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, cast
from unittest import mock

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_bucket import DeniedBucket, FakeBucket, Killed
from starlette.datastructures import QueryParams

from evidence import START, copied, text
from tokentrail import Case
from tokentrail.case import linking
from tokentrail.case.views import View
from tokentrail.errors import CaseError, CaseReplaced, NoRoom, UsageError
from tokentrail.lineage.link import KEPT, OUTPUT
from tokentrail.sources.bucket import S3Bucket
from tokentrail.store import keys, mirror, uploading
from tokentrail.store.duck import DuckEngine
from tokentrail.store.layers import FOR_LINKING
from tokentrail.store.merge import merge_small
from tokentrail.testing import World, native
from tokentrail.web import console_queries
from work import some

DAY = 24 * 3600
DEEP = b"[" * 200_000
Machine = Callable[[str], None]
Given = Callable[[int], FakeBucket]


@pytest.fixture(name="machine")
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Sit down at another machine: one whose mirrors lie elsewhere."""

    def sit(name: str) -> None:
        monkeypatch.setenv("TOKENTRAIL_MIRRORS", str(tmp_path / name))

    sit("one")
    return sit


@pytest.fixture(name="files", scope="module")
def _files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three log files."""
    found, folder = [], tmp_path_factory.mktemp("logs")
    for number in range(3):
        world = World(START, seed=number)
        ada = world.user(f"ada{number}")
        ada.gets_session_token().assumes("Deploy").calls("s3:ListBuckets", count=3)
        path = folder / f"{number}.json"
        path.write_bytes(native(world.records()))
        found.append(str(path))
    return found


@pytest.fixture(name="logs")
def _logs(files: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The same, each of which becomes a segment."""
    monkeypatch.setattr("tokentrail.store.tasks.TASK_OBJECTS", 1)
    return files


@contextmanager
def opened(bucket: FakeBucket, *, create: bool = False) -> Iterator[Case]:
    with Case(mirror.opened(bucket, create=create)) as case:
        yield case


def ingest(bucket: FakeBucket, logs: list[str]) -> int:
    """Ingest from the machine at hand; how many records were new."""
    with opened(bucket, create=True) as case:
        return case.ingest(logs, workers=1).records.new


def again(bucket: FakeBucket) -> FakeBucket:
    """Another bucket that holds the same."""
    return FakeBucket(held=dict(bucket.held), times=dict(bucket.times), clock=bucket.clock)


@pytest.fixture(name="given", scope="module")
def _given(files: list[str], tmp_path_factory: pytest.TempPathFactory) -> Given:
    """Buckets of one's own, into which a machine that nobody sits at put the case of the first so many log files."""

    @cache
    def made(count: int) -> FakeBucket:
        bucket = FakeBucket()
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("TOKENTRAIL_MIRRORS", str(tmp_path_factory.mktemp("mirrors")))
            patched.setattr("tokentrail.store.tasks.TASK_OBJECTS", 1)
            ingest(bucket, files[:count])
        return bucket

    return lambda count: again(made(count))


def everything(case: Case) -> str:
    listed = list(case.credentials())
    events = list(case.timeline([one.id for one in listed]))
    records = [case.record(one.object, one.ordinal) for one in events]
    return text([*listed, case.trace([listed[0].id]), *case.detect()]) + json.dumps(
        sorted(records, key=lambda one: str(one["eventID"]))
    )


@pytest.fixture(name="expected", scope="module")
def _expected(files: list[str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a case in a folder answers of the same evidence."""
    with (
        mock.patch("tokentrail.store.tasks.TASK_OBJECTS", 1),
        Case.open(tmp_path_factory.mktemp("local") / "case") as case,
    ):
        case.ingest(files, workers=1)
        return everything(case)


def test_another_machine_gives_the_answers_of_a_folder(
    logs: list[str], machine: Machine, expected: str
) -> None:
    """Inventory, trace, findings and raw records; evidence is fetched only when a raw record is asked for."""
    bucket = FakeBucket()
    ingest(bucket, logs)
    machine("two")

    with opened(bucket) as case:
        list(case.credentials())
        assert not [one for one in bucket.read_ if one.startswith("objects/")]
        assert expected == everything(case)
        assert [one for one in bucket.read_ if one.startswith("objects/")]


def test_a_reader_writes_nothing_into_the_bucket(logs: list[str], machine: Machine) -> None:
    """Not even where what is derived is not there yet, and must be worked out."""
    bucket = FakeBucket()
    ingest(bucket, logs)
    for key in [one for one in bucket.held if one.startswith("tables/")]:
        del bucket.held[key]
    machine("two")
    bucket.written.clear()

    with opened(bucket) as case:
        everything(case)
        case.status()
    assert not bucket.written


def test_a_second_machine_adds_and_repeats_nothing(logs: list[str], machine: Machine, expected: str) -> None:
    """What the bucket holds is not read again, and each segment, object and layer is put once."""
    bucket = FakeBucket()
    assert 0 < ingest(bucket, logs[:2])
    machine("two")

    with opened(bucket, create=True) as case:
        summary = case.ingest(logs, workers=1)
        assert (1, 2) == (summary.objects.read, summary.objects.repeated)
    assert 3 == len([one for one in bucket.held if one.startswith("manifests/")])
    put = [one for one in bucket.written if not one.startswith("-")]
    assert len(put) == len(set(put))
    assert 0 == ingest(bucket, logs)
    assert len(put) == len(bucket.written), "an ingest that brings nothing puts nothing"
    machine("three")
    with opened(bucket) as case:
        assert expected == everything(case)


@pytest.mark.parametrize("step", [6, pytest.param(1, marks=pytest.mark.long)])
def test_a_giver_killed_at_any_put_leaves_a_whole_case(
    step: int, logs: list[str], machine: Machine, tmp_path: Path
) -> None:
    """Whatever was put until then, the case opens, holds nothing half, and the next ingest makes it complete."""
    with Case.open(tmp_path / "local") as local:
        local.ingest(logs[:2], workers=1)
        expected = text(local.credentials())
    whole = FakeBucket()
    ingest(whole, logs[:2])
    for count in range(len(whole.written))[::-step]:
        machine(f"killed-{count}")
        bucket = FakeBucket()
        bucket.puts_left = count
        with pytest.raises(Killed):
            ingest(bucket, logs[:2])
        bucket.puts_left = None
        machine(f"looks-{count}")
        if "case.json" in bucket.held:
            with opened(bucket) as case:
                objects = case.folder.snapshot().objects().values()
                case.folder.at_hand(objects)
                assert all(case.folder.locate(one).read() for one in objects)
                assert sum(one.records for one in objects) == case.status().records
        machine(f"killed-{count}" if count % 2 else f"next-{count}")
        ingest(bucket, logs[:2])
        machine(f"late-{count}")
        with opened(bucket) as case:
            assert expected == text(case.credentials())
        assert next(keys_of(bucket, keys.DERIVED)), "what was derived is there as well"


def keys_of(bucket: FakeBucket, pattern: object) -> Iterator[str]:
    return (one for one in bucket.held if pattern.fullmatch(one))  # type: ignore[attr-defined]


def derived_in(bucket: FakeBucket) -> dict[str, str]:
    """The files of what was derived, by path: the name in the bucket of each; there must be one list of them."""
    [listing] = keys_of(bucket, keys.DERIVED)
    return {path: f"tables/{one}" for path, one in json.loads(bucket.held[listing]).items()}


def forge(bucket: FakeBucket, **changed: bytes) -> None:
    """List other content for some derived files, as whoever may write to the bucket can."""
    [listing] = keys_of(bucket, keys.DERIVED)
    files = json.loads(bucket.held[listing])
    for path, content in changed.items():
        files[path] = hashlib.sha256(content).hexdigest()
        bucket.put(f"tables/{files[path]}", content)
    bucket.put(listing, json.dumps(files).encode())


def test_of_two_who_start_a_case_at_once_the_first_ones_id_stands(machine: Machine) -> None:
    """The second finds that there is one, and goes on with it."""
    bucket = FakeBucket()

    class Late(FakeBucket):
        def read(self, key: str) -> bytes | None:
            first = not self.read_
            return super().read(key) if not first or self.read_.append(key) else None

    late = Late(held=bucket.held, times=bucket.times)
    with opened(bucket, create=True) as one, opened(late, create=True) as two:
        assert one.case_id == two.case_id


def test_a_place_with_something_else_in_it_is_refused(machine: Machine) -> None:
    """Nothing is put there; an empty mark of a folder is nothing else."""
    bucket = FakeBucket(held={"photos/1.jpg": b"x"}, times={"photos/1.jpg": 0.0})
    with pytest.raises(CaseError, match="holds something that is no case"):
        mirror.opened(bucket, create=True)
    assert not bucket.written

    marked = FakeBucket(held={"": b""}, times={"": 0.0})
    assert mirror.opened(marked, create=True).case_id


def test_where_no_case_is_the_message_says_how_to_start_one(machine: Machine) -> None:
    """A reader starts none."""
    bucket = FakeBucket()
    with pytest.raises(CaseError, match=r"no case here.*tokentrail ingest SOURCE --case s3://cases/leak"):
        mirror.opened(bucket, create=False)
    assert not bucket.written


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff", b'{"format": 99, "case_id": "../../x"}', b'{"format": 3}', b"1" * 10_000]
)
def test_what_is_no_case_is_refused_in_words(content: bytes, machine: Machine, tmp_path: Path) -> None:
    """A `case.json` of anything, or of a newer format."""
    bucket = FakeBucket(held={"case.json": content}, times={"case.json": 0.0})
    with pytest.raises(CaseError, match="s3://cases/leak: "):
        mirror.opened(bucket, create=True)
    assert [tmp_path / "one"] == [one for one in tmp_path.iterdir() if one.name == "one"]


HOSTILE = [
    "manifests/../../../etc/passwd", "manifests/.json", "manifests/0123456789abcdef.json.exe",
    "manifests//0123456789abcdef.json", "manifests/０123456789abcdef.json", "manifests/0123456789ABCDEF.json",
    "manifests/0123456789abcdef.json\n", "notes/../../x.json", "notes/.hidden.json", "notes/a/b.json",
]  # fmt: skip


def test_names_that_are_none_of_a_cases_are_not_looked_at(
    logs: list[str], machine: Machine, expected: str, tmp_path: Path
) -> None:
    """They are never read, become no path, and `status` says how many stand among the manifests."""
    bucket = FakeBucket()
    ingest(bucket, logs)
    hostile = [*HOSTILE, "tables/../../../x", "tables/.x", "tables/a/b/c", f"tables/{'a' * 32}-1.json/x"]
    for key in hostile:
        bucket.held[key], bucket.times[key] = b"{}", 0.0
    machine("two")
    before = {one for one in tmp_path.rglob("*") if "two" not in one.parts}

    with opened(bucket) as case:
        assert expected == everything(case)
        [said] = [one for one in case.status().warnings if "does not look at" in one]
    assert "7 names" in said
    assert not set(hostile) & set(bucket.read_)
    assert before == {one for one in tmp_path.rglob("*") if "two" not in one.parts}
    ingest(bucket, logs)
    assert set(hostile) <= bucket.held.keys(), "nor are they removed"


def test_a_manifest_that_names_paths_fetches_none(logs: list[str], machine: Machine, tmp_path: Path) -> None:
    """Evidence and archives go by hashes and by names of segments; of another name nothing is read or written."""
    bucket = FakeBucket()
    ingest(bucket, logs[:1])
    [key] = keys_of(bucket, keys.MANIFEST)
    told = json.loads(bucket.held[key])
    [stored] = told["objects"]
    bucket.held["objects/packs/../../../../x.tar"] = b"x"
    for change in (
        {"sha256": "../../../../x"}, {"sha256": "a" * 63 + "/"}, {"pack": "../../../../x"}, {"reference": "/etc/passwd"},
    ):  # fmt: skip
        bucket.held[key] = json.dumps(told | {"objects": [stored | change]}).encode()
        machine(f"m{change}".replace("/", "_").replace(".", "_"))
        bucket.read_.clear()
        with opened(bucket) as case:
            case.folder.at_hand(case.folder.snapshot().objects().values())
        assert not [one for one in bucket.read_ if one.startswith("objects/")]
    assert not list(tmp_path.glob("**/x*"))


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"segment": "ffffffffffffffff", "objects": []}', DEEP, b'{"x":' + DEEP]
)
def test_a_damaged_manifest_is_named_by_its_place_in_the_bucket(
    content: bytes, given: Given, machine: Machine
) -> None:
    """It says what to remove, and what to do then."""
    bucket = given(1)
    [key] = keys_of(bucket, keys.MANIFEST)
    bucket.held[key] = content
    machine("two")
    with pytest.raises(CaseError, match=rf"s3://cases/leak/{key}: damaged manifest.*Remove it and ingest"):
        mirror.opened(bucket, create=False)


def test_a_segment_that_lacks_a_part_is_not_made_visible(logs: list[str], machine: Machine) -> None:
    """It is said which, and nothing of it counts here; once it is there again, the case opens."""
    bucket = FakeBucket()
    ingest(bucket, logs[:1])
    [part] = [one for one in bucket.held if one.endswith("/events.parquet")]
    content = bucket.held.pop(part)
    machine("two")
    with pytest.raises(CaseError, match=rf"{part}: is missing"):
        mirror.opened(bucket, create=False)

    bucket.held[part] = content
    with opened(bucket) as case:
        assert case.status().records


def test_what_is_gone_from_the_bucket_is_gone_here_and_does_not_come_back(
    logs: list[str], machine: Machine, tmp_path: Path
) -> None:
    """
    A segment that was taken out of the bucket counts no more in mirrors that had it, and is not put there again.

    Who had it is told so, until its logs are read in again: a rule that lets objects expire may have removed it.
    """
    bucket = FakeBucket()
    ingest(bucket, logs[:2])
    gone = next(keys_of(bucket, keys.MANIFEST))
    machine("two")
    ingest(bucket, logs[2:])
    machine("one")
    with opened(bucket):
        pass
    del bucket.held[gone]
    for name in ("one", "two"):
        machine(name)
        with opened(bucket, create=True) as case:
            assert 2 == len(case.folder.snapshot().manifests)
            case.ingest([logs[2]], workers=1)
            assert any("1 evidence object no more that" in one for one in case.status().warnings)
    assert gone not in bucket.held
    ingest(bucket, logs)
    with opened(bucket) as case:
        assert not any("no more that" in one for one in case.status().warnings)


def test_merged_segments_count_as_in_a_folder(
    logs: list[str], machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A case that was copied into a bucket with what others replaced: those are not fetched, nor given again."""
    monkeypatch.setattr("tokentrail.store.merge.AT_ONCE", 2)
    with Case.open(tmp_path / "local") as case:
        case.ingest(logs, workers=1)
        merge_small(case.folder)
        expected = everything(case)
    bucket = FakeBucket()
    for path in (tmp_path / "local").rglob("*"):
        if path.is_file():
            bucket.put(str(path.relative_to(tmp_path / "local")), path)

    for _ in range(2):
        with opened(bucket, create=True) as case:
            assert 1 == len(list((case.path / "segments").iterdir()))
            assert 0 == case.ingest(logs, workers=1).records.new
            assert expected == everything(case)
    assert 4 == len(list(keys_of(bucket, keys.MANIFEST))), (
        "they may go at any time, and by nobody's hand here"
    )


def test_a_copy_of_the_bucket_is_a_case_in_a_folder(
    logs: list[str], machine: Machine, expected: str, tmp_path: Path
) -> None:
    """With all that lies there, whatever of it a folder has no use for; more can be ingested into it."""
    bucket = FakeBucket()
    ingest(bucket, logs[:2])
    for key, content in bucket.held.items():
        (tmp_path / "copy" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / key).write_bytes(content)
    with Case.open(tmp_path / "copy") as case:
        case.ingest(logs, workers=1)
        assert expected == everything(case)


@pytest.mark.parametrize(("few", "first"), [(2_000, 2), (0, 2), (0, 1)])
def test_layers_lie_in_the_bucket_once_and_an_ingest_goes_on_from_them(
    few: int, first: int, logs: list[str], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Tables that were derived one after the other share them; another machine fetches what answers need, and the rest
    only to ingest.

    So it is where names are kept, as in a case of more than a few records, and where more comes than there was.
    """
    monkeypatch.setattr("tokentrail.store.duck._FEW", few)
    bucket = FakeBucket()
    ingest(bucket, logs[:first])
    files = derived_in(bucket)
    kinds = {path: path.partition(".")[2] for path in files if path.startswith("layers/")}
    answers = {key for path, key in files.items() if kinds.get(path) not in FOR_LINKING}
    machine("two")
    with opened(bucket) as case:
        list(case.credentials())
    assert FOR_LINKING <= {*kinds.values()}
    assert answers == {*keys_of_files(bucket.read_)}
    bases = linked_from(monkeypatch)
    ingest(bucket, logs)
    assert [first] == bases, "linked from the layers of the segments that were there"


def test_who_reads_a_case_in_a_bucket_asks_no_evidence_again_that_the_giver_asked(
    logs: list[str], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is covered, which changes end credentials, and who is named where: as on the machine that read it in."""
    monkeypatch.setattr("tokentrail.store.duck._FEW", 0)
    bucket = FakeBucket()
    ingest(bucket, logs[:2])
    with opened(bucket) as case:
        [arn, *_] = [one.principal for one in case.credentials() if one.principal]
        expected = text([*case.status().coverage, case.trace([arn])])
    machine("two")
    with opened(bucket) as case, mock.patch.object(DuckEngine, "write", side_effect=AssertionError):
        assert expected == text([*case.status().coverage, case.trace([arn])])
        derived = case._views.open(None).derived
        assert list(derived.glob("layers/*.names"))
        assert not list(derived.glob("layers/*.ids"))
    ingest(bucket, logs)
    names = keys_of_files(bucket.read_)
    with opened(bucket) as case:
        case.status()
    assert names == keys_of_files(bucket.read_), "who gave it has it"


def keys_of_files(some: list[str]) -> list[str]:
    """Of some names in a bucket those of derived files."""
    return [one for one in some if keys.DERIVED_FILE.fullmatch(one)]


def linked_from(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many segments each linking from now on takes over what they were reduced to."""
    bases: list[int] = []
    grow = linking._link_all

    def seen(*given: Any) -> Any:
        bases.append(len(given[3].segments()))
        return grow(*given)

    monkeypatch.setattr(linking, "_link_all", seen)
    return bases


def test_who_read_what_another_gave_links_from_what_it_has_whole(
    logs: list[str], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where newer tables were fetched to read them alone, and those of now were not given yet."""
    bucket = FakeBucket()
    ingest(bucket, logs[:1])
    machine("two")
    ingest(bucket, logs[:2])
    machine("one")
    with opened(bucket) as case:
        list(case.credentials())
    machine("two")
    with mock.patch("tokentrail.store.uploading.upload_derived", side_effect=Killed), pytest.raises(Killed):
        ingest(bucket, logs)
    machine("one")
    bases = linked_from(monkeypatch)
    with opened(bucket) as case:
        list(case.credentials())
    assert [1] == bases


@pytest.mark.parametrize("lost", ["ids", "keyholders.parquet", "people.parquet"])  # what is asked names none
def test_an_ingest_fetches_what_is_missing_of_layers(
    lost: str, logs: list[str], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after one that was killed while it fetched them, or where a system tidies file by file."""
    bucket = FakeBucket()
    ingest(bucket, logs[:2])
    machine("two")
    with opened(bucket) as case:
        list(case.credentials())
        derived = case._views.open(None).derived
        assert case.folder.mirror is not None
        case.folder.mirror.fetch_layers(derived)
    for path in derived.glob(f"layers/*.{lost}"):
        path.unlink()
    bases = linked_from(monkeypatch)
    ingest(bucket, logs)
    assert [2] == bases


def test_an_ingest_gives_what_it_linked_whatever_it_can_ask_beyond(logs: list[str], machine: Machine) -> None:
    """What evidence covers is asked for others' sake: where there is no room for that, they ask for themselves."""
    bucket = FakeBucket()
    with mock.patch.object(View, "covered", side_effect=NoRoom("no room")):
        ingest(bucket, logs)
    assert "grown.json" in derived_in(bucket)


def test_files_of_layers_that_are_only_for_linking_are_all_that_linking_keeps() -> None:
    """Their list stands in the store, which knows nothing of linking."""
    assert FOR_LINKING == {"ids", *(f"{one}.parquet" for one in KEPT)}


@pytest.mark.parametrize("damage", ["content", "files", "names", "gone"])
def test_layers_that_are_not_what_they_were_are_left_alone(
    damage: str, given: Given, logs: list[str], machine: Machine, expected: str, tmp_path: Path
) -> None:
    """Their bytes are compared by hash and their names by shape; the case is then linked from its segments."""
    bucket = given(2)
    files = derived_in(bucket)
    for key in [key for path, key in files.items() if path.startswith("layers/")]:
        if damage == "content":
            bucket.held[key] = b"x"
        elif damage == "gone":
            del bucket.held[key]
    if damage == "files":
        forge(bucket, **{"../../../x.parquet": b"x"})
    elif damage == "names":
        listed = json.loads(bucket.held[files["layers.json"]])
        forge(
            bucket, **{"layers.json": json.dumps([one | {"name": "../../../x"} for one in listed]).encode()}
        )
    machine("two")
    ingest(bucket, logs)
    with opened(bucket) as case:
        assert expected == everything(case)
    assert not list(tmp_path.glob("**/x.*"))


def test_what_is_old_and_nobodys_is_removed_and_nothing_younger(logs: list[str], machine: Machine) -> None:
    """By the bucket's clock: parts without a manifest, older tables and their layers, files of jobs; no evidence."""
    bucket = FakeBucket()
    ingest(bucket, logs[:2])
    first = {one for one in bucket.held if one.startswith("tables/")}
    stale = {
        "segments/0123456789abcdef/events.parquet": b"x", "spark/tasks-0123456789abcdef/" + "a" * 64: b"x",
        "objects/packs/0123456789abcdef.tar": b"x", "objects/ab/" + "c" * 62: b"x",
    }  # fmt: skip
    for key, content in stale.items():
        bucket.put(key, content)
    bucket.clock += DAY - 1
    ingest(bucket, logs[:2])
    assert stale.keys() | first <= bucket.held.keys(), "a day is not over yet"

    bucket.clock += 2
    ingest(bucket, logs)
    left = {one for one in stale if one in bucket.held}
    assert {one for one in stale if one.startswith("objects/")} == left
    files = {*derived_in(bucket).values()}
    assert files == {*keys_of_files([*bucket.held])} != first
    assert 3 == len(list(keys_of(bucket, keys.MANIFEST)))


def test_a_note_goes_both_ways_and_one_that_was_not_given_yet_stays(machine: Machine) -> None:
    """What another machine noted comes here; what was noted here and not given is not overwritten by what is there."""
    bucket = FakeBucket()
    with opened(bucket, create=True) as case:
        case.folder.place_note("digests", {"from": "one"})
        assert case.folder.mirror is not None
        case.folder.mirror.upload()
    machine("two")
    with opened(bucket) as case:
        assert {"from": "one"} == case.folder.note("digests")
        case.folder.place_note("digests", {"from": "two"})
        case.refresh()
        assert {"from": "two"} == case.folder.note("digests"), "nobody has given it yet"
        assert case.folder.mirror is not None
        case.folder.mirror.upload()
    machine("one")
    with opened(bucket) as case:
        assert {"from": "two"} == case.folder.note("digests")


def test_what_was_read_before_a_source_failed_is_in_the_bucket(logs: list[str], machine: Machine) -> None:
    """As it is in a folder: the other sources are read again, this one is not."""
    bucket = FakeBucket()
    with opened(bucket, create=True) as case, pytest.raises(UsageError):
        case.ingest([logs[0], "sqs:nonsense"], workers=1)
    assert 1 == len(list(keys_of(bucket, keys.MANIFEST)))


def test_what_cant_be_given_after_a_failure_is_said_with_it(logs: list[str], machine: Machine) -> None:
    """Both what ended the ingest and where what was read is; the next ingest gives it."""
    bucket = FakeBucket()
    with opened(bucket, create=True):
        pass
    denied = DeniedBucket(held=bucket.held, times=bucket.times)
    with opened(denied) as case, pytest.raises(CaseError, match="could not be written"):
        case.ingest([logs[0]], workers=1)
    with (
        opened(denied) as case,
        pytest.raises(UsageError, match=r"sqs:.*on this machine.*could not be written"),
    ):
        case.ingest(["sqs:nonsense"], workers=1)
    with opened(denied) as case:
        [said] = [one for one in case.status().warnings if "count here alone" in one]
    assert said.startswith("s3://cases/leak: lacks 1 evidence object that this machine read in")
    ingest(bucket, [])
    for name in ("one", "two"):
        machine(name)
        with opened(bucket) as case:
            assert 1 == case.status().objects
            assert not [one for one in case.status().warnings if "count here alone" in one]


def test_a_mirror_is_its_owners_and_no_case_by_itself(
    logs: list[str], machine: Machine, tmp_path: Path
) -> None:
    """Mode 0700; opened by its path, it is refused with what to say instead; deleted, it is made again."""
    bucket = FakeBucket()
    ingest(bucket, logs)
    [path] = (tmp_path / "one").iterdir()
    assert 0o700 == path.stat().st_mode & 0o777
    with pytest.raises(CaseError, match=r"mirror of a case in a bucket.*--case s3://cases/leak"):
        Case.open(path)
    shutil.rmtree(path)
    with opened(bucket) as case:
        assert 3 == case.status().objects


def test_a_folder_with_anything_in_a_mirrors_place_is_a_case_still(tmp_path: Path) -> None:
    """Of a case that somebody handed over: a pipe there is not waited for, and what names no bucket says nothing."""
    for number, content in enumerate((None, b"\xff", b"s3://evil/\x1b[2J", b"; rm -rf")):
        with Case.open(tmp_path / str(number)) as case:
            (case.path / "mirrored").mkdir()
        place = case.path / "mirrored" / "uri"
        os.mkfifo(place) if content is None else place.write_bytes(content)
        with Case.open(case.path, create=False) as case:
            assert not case.status().objects


def test_a_mirror_that_cant_be_made_is_said_with_the_way_out(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable that names another place; without a home folder too."""
    bucket = FakeBucket()
    (tmp_path / "file").touch()
    machine("file")
    with pytest.raises(CaseError, match=r"can't be made here.*TOKENTRAIL_MIRRORS"):
        mirror.opened(bucket, create=True)


def test_another_case_under_the_same_uri_has_a_mirror_of_its_own(logs: list[str], machine: Machine) -> None:
    """A case that was deleted and started again is not mixed with what this machine had of the old one."""
    old, new = FakeBucket(), FakeBucket()
    ingest(old, logs[:2])
    ingest(new, logs[2:])
    with opened(new) as case:
        assert 1 == case.status().objects
    assert 1 == len(list(keys_of(new, keys.MANIFEST)))


def test_an_open_case_that_is_gone_or_another_by_now_is_said_so(
    given: Given, logs: list[str], machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would look empty, or mix two; nothing is put there, and the console opens what is there, mirror and all."""
    bucket, other = given(1), FakeBucket()
    with opened(other, create=True) as begun:
        case_id = begun.case_id
    monkeypatch.setattr(S3Bucket, "at", lambda *_: bucket)
    monkeypatch.setattr(console_queries, "_LOOKED_AFTER", 0.0)
    console = console_queries.ConsoleQueries(bucket.uri)
    with opened(bucket) as case:
        bucket.held.clear()
        for look in (case.refresh, console.refresh):
            with pytest.raises(CaseError, match="no case is there any more"):
                look()
        with mock.patch.object(case.folder.mirror, "download"), pytest.raises(CaseError, match="any more"):
            case.ingest(logs, workers=1)
        bucket.held.update(other.held)
        with pytest.raises(CaseReplaced, match="another case is there by now"):
            case.refresh()
        with mock.patch.object(case.folder.mirror, "download"), pytest.raises(CaseReplaced):
            case.ingest(logs, workers=1)
        assert other.held == bucket.held
    for _ in range(2):
        console.refresh()
        assert case_id == console.evidence(QueryParams()).status.case_id
        shutil.rmtree(tmp_path / "one")
    console.close()


def test_a_case_looks_for_what_others_put_there_when_it_is_told_to(logs: list[str], machine: Machine) -> None:
    """And not again within the time that the one who asks can do with."""
    bucket = FakeBucket()
    ingest(bucket, logs[:1])
    machine("two")
    with opened(bucket) as case:
        machine("one")
        ingest(bucket, logs)
        case.refresh(older_than=3600)
        assert 1 == case.status().objects
        case.refresh()
        assert 3 == case.status().objects


def test_a_watch_follows_into_no_mirror(machine: Machine) -> None:
    """Nor does one that is made from Python; it says what to do instead."""
    from tokentrail.watch.interface import Feed
    from tokentrail.watch.watch import Settings, Watch

    with opened(FakeBucket(), create=True) as case, pytest.raises(UsageError, match="follows into a folder"):
        Watch(case.folder, cast(Feed, None), [], [], cast(Settings, None), print)


def other_columns() -> bytes:
    """A table of Parquet that is none of a case's."""
    written = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}), written)
    return written.getvalue()


def other_database() -> bytes:
    """A database of DuckDB that is none of a case's, and would read other files if it were taken for one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "other.duckdb"
        with duckdb.connect(str(path)) as other:
            for name in OUTPUT:
                other.execute(f"CREATE VIEW {name} AS SELECT * FROM read_text('/etc/hostname')")
        return path.read_bytes()


NO_JSON = (b"garbage", other_columns())


@pytest.fixture(name="derived_anew", scope="module")
def _derived_anew(files: list[str], tmp_path_factory: pytest.TempPathFactory) -> FakeBucket:
    """A bucket whose case was linked by the machine at hand, and what came of it given a second time."""
    bucket = FakeBucket()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TOKENTRAIL_MIRRORS", str(tmp_path_factory.mktemp("mirrors")))
        patched.setattr("tokentrail.store.tasks.TASK_OBJECTS", 1)
        ingest(bucket, files)
        for key in list(keys_of(bucket, keys.DERIVED)):
            del bucket.held[key]
        ingest(bucket, [])
    return bucket


@pytest.mark.parametrize(
    ("file", "content"),
    some(
        [
            *(("grown.json", one) for one in (*NO_JSON, DEEP, b"[1]", b'{"a": 1}', b'{"records": "x"}')),
            *(("derived.duckdb", one) for one in (*NO_JSON, other_database())),
        ],
        4,
    ),
)
def test_what_was_derived_and_is_damaged_in_the_bucket_is_worked_out_anew(
    file: str, content: bytes, derived_anew: FakeBucket, machine: Machine, expected: str
) -> None:
    """Whoever may write there makes nobody fail by it."""
    bucket = again(derived_anew)
    forge(bucket, **{file: content})
    machine("two")

    with opened(bucket) as case:
        assert expected == everything(case)
        assert case.status().coverage
    with opened(bucket) as case:
        assert expected == everything(case)


@pytest.mark.parametrize("fault", ["derived.duckdb/x", "layers", "grown.json/x", "../x", ".x", "a/b/c", "/x"])
def test_derived_files_that_fit_into_no_folder_are_left_alone(
    fault: str, given: Given, machine: Machine, expected: str, tmp_path: Path
) -> None:
    """One whose name begins another's, and one that lies elsewhere: nothing is taken of a list that has it."""
    bucket = given(3)
    forge(bucket, **{fault: b"x"})
    machine("two")
    ingest(bucket, [])
    with opened(bucket) as case:
        assert expected == everything(case)
    assert not list(tmp_path.glob("**/x"))


@pytest.mark.parametrize(
    ("field", "value"), some(product(("records", "gone", "ids", "ends"), (5, ["../../x"])), 3)
)
def test_a_list_of_layers_of_any_shape_makes_no_ingest_fail(
    field: str, value: object, given: Given, logs: list[str], machine: Machine, expected: str
) -> None:
    """What is no list of layers is none; the case is then linked from its segments."""
    bucket = given(2)
    listed = json.loads(bucket.held[derived_in(bucket)["layers.json"]])
    forge(bucket, **{"layers.json": json.dumps([one | {field: value} for one in listed]).encode()})
    machine("two")
    ingest(bucket, logs)
    with opened(bucket) as case:
        assert expected == everything(case)


@pytest.mark.parametrize("content", [b"PAR1", other_columns()])
def test_a_part_that_is_none_is_named_by_its_place_in_the_bucket(
    content: bytes, given: Given, machine: Machine
) -> None:
    """Nothing of it stays here: once it is right again, the case opens."""
    bucket = given(1)
    [part] = [one for one in bucket.held if one.endswith("/identities.parquet")]
    right, bucket.held[part] = bucket.held[part], content
    machine("two")
    with pytest.raises(CaseError, match=rf"{part}: is damaged.*remove manifests/"):
        mirror.opened(bucket, create=False)

    bucket.held[part] = right
    with opened(bucket) as case:
        assert case.status().records


@pytest.fixture(name="read_from", scope="module")
def _read_from(
    given: Given, expected: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[FakeBucket, Path]:
    """A bucket with a case and a note, and the mirrors of a machine that has read all of it, to be copied."""
    bucket, mirrors = given(3), tmp_path_factory.mktemp("mirrors")
    bucket.put("notes/digests.json", b'{"periods": []}')
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TOKENTRAIL_MIRRORS", str(mirrors))
        with opened(bucket) as case:
            assert expected == everything(case)
    return bucket, mirrors


@pytest.mark.parametrize(
    "lost", some(("segments", "segments/*", "segments/*/events.parquet", "objects", "manifests", "derived", "derived/*",
                  "derived/*/*", "derived/*/grown.json", "mirrored", "notes", "case.json"), 2),
)  # fmt: skip
def test_what_a_mirror_has_lost_is_had_again(
    lost: str, read_from: tuple[FakeBucket, Path], machine: Machine, expected: str, tmp_path: Path
) -> None:
    """Systems tidy folders for what is not lasting, file by file, and machines lose their power."""
    bucket, mirrors = read_from
    bucket = again(bucket)
    copied(mirrors, tmp_path / "two")
    machine("two")
    [path] = (tmp_path / "two").iterdir()
    found = list(path.glob(lost))
    assert found
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if lost == "segments/*/events.parquet":
        found[0].touch()

    with opened(bucket) as case:
        assert expected == everything(case)
        assert {"periods": []} == case.folder.note("digests")


def test_a_damaged_note_is_named_by_its_place_in_the_bucket(machine: Machine) -> None:
    """Removed there, it is gone here too, and can be had again."""
    bucket = FakeBucket()
    with opened(bucket, create=True):
        pass
    bucket.put("notes/digests.json", DEEP)
    with (
        opened(bucket) as case,
        pytest.raises(CaseError, match=r"s3://cases/leak/notes/digests\.json: damaged"),
    ):
        case.folder.note("digests")
    bucket.remove(["notes/digests.json"])
    with opened(bucket) as case:
        assert case.folder.note("digests") is None


def test_a_readers_mirror_does_not_grow_for_ever(logs: list[str], machine: Machine) -> None:
    """What newer tables replaced goes after a day, as it does where evidence is ingested."""
    bucket = FakeBucket()
    ingest(bucket, logs[:1])
    machine("two")
    with opened(bucket) as case:
        list(case.credentials())
        [old] = [one for one in (case.path / "derived").iterdir() if one.name[0] != "."]
    for number in (1, 2):
        machine("one")
        ingest(bucket, logs[: number + 1])
        machine("two")
        os.utime(old, (0, 0))
        with opened(bucket) as case:
            list(case.credentials())
    assert not old.exists()


def test_a_full_disk_is_said_with_the_way_out(logs: list[str], machine: Machine) -> None:
    """Which folder it is, and the variable that names another."""

    class Full(FakeBucket):
        def fetch(self, key: str, target: Path) -> bool:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    bucket = FakeBucket()
    ingest(bucket, logs[:1])
    machine("two")
    with pytest.raises(CaseError, match=r"events\.parquet.*No space left.*TOKENTRAIL_MIRRORS"):
        mirror.opened(Full(held=bucket.held, times=bucket.times), create=False)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
        mock.patch.object(uploading.Marks, "set", side_effect=full),
        pytest.raises(CaseError, match=r"No space left.*TOKENTRAIL_MIRRORS"),
    ):
        mirror.opened(bucket, create=False)
