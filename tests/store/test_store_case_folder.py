"""The case folder: whole at any time, for its owner alone, and plain about what is wrong."""

from __future__ import annotations

import errno
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from evidence import HOME, START, call, copied, user
from tokentrail import Case
from tokentrail.errors import CaseError, SourceError
from tokentrail.events.values import HIDDEN
from tokentrail.store import ingest as store_ingest
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import EvidenceObject
from tokentrail.store.records import blanked
from tokentrail.store.tasks import Options, Outcome
from tokentrail.store.tidying import DATABASE
from tokentrail.store.workers import shared
from tokentrail.testing import FAKE_SESSION_TOKEN, World, json_lines, native
from tokentrail.testing.names import Json
from work import some


def made_up() -> World:
    """A user, a session and a token."""
    world = World(START)
    session = world.user("ada").assumes("Deploy")
    world.user("ada").gets_session_token()
    session.calls("s3:ListBuckets", count=3)
    return world


@pytest.fixture(name="world")
def _world() -> World:
    return made_up()


@pytest.fixture(name="log")
def _log(world: World, tmp_path: Path) -> Path:
    path = tmp_path / "log.json"
    path.write_bytes(native(world.records()))
    return path


def test_everything_in_a_case_is_its_owners_alone(log: Path, tmp_path: Path) -> None:
    """The case is 0700; no file or folder in it can be reached by others."""
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)])
        list(case.credentials())

    assert 0o700 == (tmp_path / "case").stat().st_mode & 0o777
    folders = [path for path in (tmp_path / "case").rglob("*") if path.is_dir()]
    assert {0o700} == {path.stat().st_mode & 0o777 for path in folders}
    assert all(
        0 == path.stat().st_mode & 0o077
        for path in (tmp_path / "case" / "objects").rglob("*")
        if path.is_file()
    )


def test_a_case_lies_where_there_are_no_hard_links(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drives that go from hand to hand have exFAT, which knows none: no case could be begun on one."""

    def refused(*paths: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    later = World(START, seed=2)
    later.user("bob").assumes("Audit").calls("s3:ListBuckets")
    for expected in (3, 5):  # the second time there is something to link from
        with Case.open(tmp_path / "case") as case:
            case.ingest([str(log)])
            assert expected == len(list(case.credentials()))
        log.write_bytes(native(later.records()))
    assert not [path for path in (tmp_path / "case").iterdir() if path.name.startswith(".")]


def test_what_macos_lays_beside_files_is_no_part_of_a_case(log: Path, tmp_path: Path) -> None:
    """A case that came from a Mac, by tar or on an exFAT drive, has `._NAME` beside each file, and `.DS_Store`."""
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)])
        expected = list(case.credentials())
    for path in [*(tmp_path / "case").rglob("*")]:
        beside = path / ".DS_Store" if path.is_dir() else path.with_name(f"._{path.name}")
        beside.write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")

    with Case.open(tmp_path / "case") as case:
        assert expected == list(case.credentials())
        assert 1 == case.ingest([str(log)]).objects.repeated


@pytest.mark.parametrize("linked", [True, False])
def test_a_case_on_a_write_protected_drive_answers(
    linked: bool, log: Path, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is still to be worked out goes to a temporary folder, and goes with the answer; no file of the case changes."""
    path, temporary = tmp_path / "case", tmp_path / "temporary"
    temporary.mkdir()
    with Case.open(path) as case:
        case.ingest([str(log)])
        expected = (list(case.credentials()), case.trace([world.user("ada").key_id]))
    shutil.rmtree(path / "derived")
    if linked:
        (path / "derived").mkdir()
        with Case.open(path) as case:
            list(case.credentials())
    before = {one: one.stat().st_mtime_ns for one in path.rglob("*")}
    monkeypatch.setattr(os, "access", lambda where, how: how != os.W_OK)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    with Case.open(path) as case:
        found = (list(case.credentials()), case.trace([world.user("ada").key_id]))
        assert [*temporary.iterdir()]
    assert expected == found
    assert before == {one: one.stat().st_mtime_ns for one in path.rglob("*")}
    assert not [*temporary.iterdir()]


def test_an_object_is_kept_as_received_under_its_hash(log: Path, tmp_path: Path) -> None:
    """The bytes lie under objects/ by their SHA-256."""
    from hashlib import sha256

    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)])
    digest = sha256(log.read_bytes()).hexdigest()

    assert log.read_bytes() == (tmp_path / "case" / "objects" / digest[:2] / digest[2:]).read_bytes()


@pytest.mark.parametrize("reference", [False, True])
def test_a_raw_record_comes_back_with_its_secrets_blanked(
    world: World, log: Path, tmp_path: Path, reference: bool
) -> None:
    """Object and ordinal of a timeline's event lead to the record as it was, but for session tokens."""
    records: dict[str, Json] = {record["eventID"]: record for record in world.records()}
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)], reference=reference)
        events = list(case.timeline([world.user("ada").id]))
        found = {one.event_id: case.record(one.object, one.ordinal) for one in events}
    for record in records.values():
        answer = record["responseElements"]
        if answer and "credentials" in answer:
            assert FAKE_SESSION_TOKEN in answer["credentials"]["sessionToken"]
            answer["credentials"]["sessionToken"] = found[record["eventID"]]["responseElements"][
                "credentials"
            ]["sessionToken"]

    assert records == found
    assert FAKE_SESSION_TOKEN not in json.dumps(found)


@pytest.mark.parametrize(
    "shape",
    [
        {"responseElements": {"credentials": {"sessionToken": "{}"}}},
        {"responseElements": {"webIdentityToken": "{}"}},
        {"requestParameters": {"tradeInToken": "{}", "newPassword": "{}"}},
        {"fields": {"aws.cloudtrail.response_elements.credentials.sessionToken": ["{}"]}},
        {"Request Parameters": {"Secret_String": [["{}"]]}},
        {
            "requestParameters": {
                "templateURL": "https://b/?u=https%3A%2F%2Fc%3FX-Amz-Security-Token%3D{}%26v%3D1"
            }
        },
        {"responseElements": '{"credentials": {"sessionToken": "{}"}}'},
        {"responseElements": '{"masterUserPassword": "{}", "cut": "of'},
        {"requestParameters": {"environment": [{"name": "AWS_SESSION_TOKEN", "value": "{}"}]}},
    ],
)
def test_no_secret_of_a_raw_record_is_shown_in_any_layout(shape: Json) -> None:
    """By its name, in lists as Elasticsearch has them, in JSON as text and in an encoded URL; what stands beside is."""
    token = "IQoJb3JpZ2luX2VjEJr"
    found = json.dumps(blanked(json.loads(json.dumps({"eventName": "A", **shape}).replace("{}", token))))

    assert token not in found
    assert HIDDEN in found
    assert '"eventName": "A"' in found


@pytest.mark.parametrize("depth", [150, 600, 3000])
def test_a_record_that_is_nested_deeply_is_shown_with_its_secrets_blanked(depth: int, tmp_path: Path) -> None:
    """A caller chooses how deeply what he asks for is nested: neither the record nor a report with it may fail."""
    record = call(
        "PutItem", "2026-11-23T09:00:00Z", user(), requestParameters={"sessionToken": "IQoJb3JpZ2lu"}
    )
    nested = '{"a":' * depth + "[]" + "}" * depth
    (tmp_path / "log.json").write_text(
        json.dumps({"Records": [record]}).replace('"IQo', f'"", "b": {nested}, "sessionToken": "IQo')
    )
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(tmp_path / "log.json")], workers=1)
        [event] = case.timeline(["AKIAIOSFODNN7EXAMPLE"])
        found = json.dumps(case.record(event.object, event.ordinal), indent=1)

    assert "PutItem" in found
    assert HIDDEN in found
    assert "IQoJ" not in found


def test_reference_keeps_no_copy_and_says_when_the_original_is_gone(log: Path, tmp_path: Path) -> None:
    """With --reference the evidence stays where it is; if it goes, answers remain and the raw record says why not."""
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)], reference=True)
        (event, *_) = case.timeline(["AKIA"])
        assert [] == [path for path in (tmp_path / "case" / "objects").rglob("*") if path.is_file()]
        log.unlink()
        assert 3 == len(list(case.credentials()))
        with pytest.raises(CaseError, match="can't be read"):
            case.record(event.object, event.ordinal)


def test_reference_keeps_what_stays_nowhere(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came through a pipe was gone once it was read, and counted as held when it was given again."""
    data = log.read_bytes()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=BytesIO(data)))
    with Case.open(tmp_path / "case") as case:
        case.ingest(["-"], reference=True)
        (event, *_) = case.timeline(["AKIA"])

        assert case.record(event.object, event.ordinal)


def test_a_referenced_object_that_changed_is_not_taken_for_the_one_that_was_read(
    log: Path, tmp_path: Path
) -> None:
    """Other bytes under the same name are other evidence: the raw record is refused, not shown."""
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)], reference=True)
        (event, *_) = case.timeline(["AKIA"])
        log.write_bytes(native([call("Forged", "2026-11-23T09:00:00Z", user())] * 9))
        with pytest.raises(CaseError):
            case.record(event.object, event.ordinal)


@pytest.mark.parametrize(("digest", "ordinal"), [("0" * 64, 0), (None, 99)])
def test_a_record_that_is_not_there_is_refused(
    log: Path, tmp_path: Path, digest: str | None, ordinal: int
) -> None:
    """An unknown object or ordinal is an error in words."""
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)])
        (event, *_) = case.timeline(["AKIA"])
        with pytest.raises(CaseError, match="no"):
            case.record(digest or event.object, ordinal)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    """A folder that holds other things is never made a case, and nothing is put into it."""
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(CaseError, match="no case"):
        Case.open(tmp_path)

    assert ["thesis.tex"] == [path.name for path in tmp_path.iterdir()]


def test_a_file_is_no_case(tmp_path: Path) -> None:
    """A plain file where a case should be is refused in words."""
    (tmp_path / "case").write_text("...")
    with pytest.raises(CaseError, match="case"):
        Case.open(tmp_path / "case")


def test_a_missing_case_is_only_made_when_asked(tmp_path: Path) -> None:
    """With create=False, nothing appears on disk and the message tells how to start a case."""
    with pytest.raises(CaseError, match="tokentrail ingest"):
        Case.open(tmp_path / "case", create=False)

    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": "x", "case_id": "y"}', "null"])
def test_a_damaged_marker_is_named(tmp_path: Path, text: str) -> None:
    """A case.json that can't be read is an error that names it."""
    Case.open(tmp_path / "case").close()
    (tmp_path / "case" / "case.json").write_text(text)
    with pytest.raises(CaseError, match=r"case\.json"):
        Case.open(tmp_path / "case")


def test_a_case_of_another_format_says_so(tmp_path: Path) -> None:
    """A newer format is refused with both numbers."""
    Case.open(tmp_path / "case").close()
    (tmp_path / "case" / "case.json").write_text('{"format": 99, "case_id": "x"}')
    with pytest.raises(CaseError, match="99"):
        Case.open(tmp_path / "case")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"segment": "x"}',
        '{"segment": "x", "objects": [1]}',
        '{"segment": "x", "objects": [{"odd": 1}]}',
    ],
)
def test_a_damaged_manifest_is_named_with_the_way_out(log: Path, tmp_path: Path, text: str) -> None:
    """What can't be read is not passed over: the message names the file and says what to do."""
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)])
    (manifest,) = (tmp_path / "case" / "manifests").iterdir()
    manifest.write_text(text)
    with Case.open(tmp_path / "case") as case, pytest.raises(CaseError, match=f"{manifest.name}.*ingest"):
        list(case.credentials())


def test_a_lost_segment_is_an_error_in_words(log: Path, tmp_path: Path) -> None:
    """A manifest whose Parquet is gone never makes a silent, smaller answer."""
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)])
    for path in [*(tmp_path / "case" / "segments").iterdir(), *(tmp_path / "case" / "derived").iterdir()]:
        shutil.rmtree(path)
    with Case.open(tmp_path / "case") as case, pytest.raises(CaseError):
        list(case.credentials())


def test_derived_tables_can_be_deleted_at_any_time(log: Path, tmp_path: Path) -> None:
    """derived/ is no state: without it the same answers come again."""
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)])
        expected = list(case.credentials())
    shutil.rmtree(tmp_path / "case" / "derived")
    with Case.open(tmp_path / "case") as case:
        assert expected == list(case.credentials())


def test_a_segment_without_manifest_does_not_exist(log: Path, tmp_path: Path) -> None:
    """What a killed writer left, finished or half-written, is in no answer."""
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)])
    (manifest,) = (tmp_path / "case" / "manifests").iterdir()
    manifest.rename(manifest.with_name(f".{manifest.name}.half"))
    with Case.open(tmp_path / "case") as case:
        assert [] == list(case.credentials())
        assert 5 == case.ingest([str(log)]).records.new
        assert 3 == len(list(case.credentials()))


def test_the_same_object_under_another_name_is_a_repeat(log: Path, tmp_path: Path) -> None:
    """Bytes, not names, tell objects apart; in one ingest and in the next."""
    twin = tmp_path / "twin.json"
    twin.write_bytes(log.read_bytes())
    with Case.open(tmp_path / "case") as case:
        first = case.ingest([str(log), str(twin)])
        second = case.ingest([str(twin)])

    assert (1, 1, 5, 5) == (
        first.objects.read,
        first.objects.repeated,
        first.records.new,
        first.records.repeated,
    )
    assert (0, 1, 0, 5) == (
        second.objects.read,
        second.objects.repeated,
        second.records.new,
        second.records.repeated,
    )


def test_the_same_records_in_another_carrier_are_repeats(world: World, log: Path, tmp_path: Path) -> None:
    """JSON lines of records that the case holds bring an object and no new record."""
    lines = tmp_path / "lines.jsonl"
    lines.write_bytes(json_lines(world.records()))
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)])
        expected = list(case.credentials())
        again = case.ingest([str(lines)])
        assert (1, 0, 5) == (again.objects.read, again.records.new, again.records.repeated)
        assert expected == list(case.credentials())


@dataclass(frozen=True)
class Elsewhere:
    """An object that goes wrong in any process but the one that it was made in."""

    name: str
    failure: str
    home: int = field(default_factory=os.getpid)
    size: int = 1 << 20
    identity: str | None = None
    distant: bool = False

    def read(self) -> bytes:
        if os.getpid() == self.home:
            return native([call("ListBuckets", "2026-11-23T09:00:00Z", user(), recipientAccountId=HOME)])
        if self.failure == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise ZeroDivisionError(self.failure)


def read_in_workers(
    case: Path, objects: Sequence[EvidenceObject], monkeypatch: pytest.MonkeyPatch
) -> list[Outcome]:
    """Ingest with a worker beside this process, an object a task."""
    monkeypatch.setattr(store_ingest, "IN_PROCESS_BYTES", 0)
    monkeypatch.setattr("tokentrail.store.tasks.TASK_OBJECTS", 1)
    return list(store_ingest.ingest(CaseFolder.open(case), objects, options=Options(), workers=2))


def test_a_killed_worker_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that the system kills makes an error that says what is kept and how to go on; what was read stays."""
    objects = [Elsewhere("theirs", "killed"), Elsewhere("ours", "killed")]
    with pytest.raises(SourceError, match=r"run the same ingest again.*--workers 1"):
        read_in_workers(tmp_path / "case", objects, monkeypatch)

    [kept] = CaseFolder.open(tmp_path / "case").snapshot().manifests
    assert ["ours"] == [one.name for one in kept.objects]


def test_what_goes_wrong_in_a_worker_is_raised_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of a worker is raised where the ingest was asked for, and tells where it came from."""
    with pytest.raises(ZeroDivisionError, match="odd") as caught:
        read_in_workers(tmp_path / "case", [Elsewhere("a", "odd"), Elsewhere("b", "odd")], monkeypatch)

    assert "in a worker process" in caught.value.__notes__[0]


def test_an_ingest_that_is_given_up_leaves_no_worker() -> None:
    """Workers end with the ingest, also if nobody asks for the rest of it."""
    tasks = [str(number) for number in range(50)]
    outcomes = shared(len, tasks, processes=3, prepare=gc.freeze)
    next(outcomes)
    processes = [one for one in gc.get_objects() if isinstance(one, subprocess.Popen) and one.poll() is None]
    outcomes.close()  # type: ignore[attr-defined]  # a generator

    assert 2 == len(processes)
    assert all(one.poll() is not None for one in processes)


def test_a_task_is_asked_for_when_somebody_is_free() -> None:
    """Of very many tasks no more are in memory than are being done."""
    asked: list[str] = []

    def tasks() -> Iterator[str]:
        for number in range(5):
            asked.append("x" * number)
            yield asked[-1]

    for done, outcome in enumerate(shared(len, tasks(), processes=1, prepare=gc.freeze)):
        assert outcome == done
        assert len(asked) == done + 1


@pytest.mark.parametrize("processes", [1, 2])
def test_tasks_that_cannot_be_told_are_no_end(processes: int) -> None:
    """What goes wrong while a task is asked for is raised, whoever asked."""

    def tasks() -> Iterator[str]:
        yield from ("one", "two", "three")
        raise LookupError("four")

    with pytest.raises(LookupError, match="four"):
        list(shared(len, tasks(), processes=processes, prepare=gc.freeze))


def test_many_segments_read_in_workers_are_the_same_case(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process or two, one segment or many: the same answers."""
    names = []
    for number, record in enumerate(world.records()):
        path = tmp_path / f"{number}.json"
        path.write_bytes(native([record]))
        names.append(str(path))
    with Case.open(tmp_path / "one") as case:
        case.ingest(names, workers=1)
        expected = list(case.credentials())
    monkeypatch.setattr(store_ingest, "IN_PROCESS_BYTES", 0)
    monkeypatch.setattr("tokentrail.store.tasks.TASK_OBJECTS", 1)
    with Case.open(tmp_path / "two") as case:
        summary = case.ingest(names, workers=2)
        assert (5, 5) == (summary.objects.read, summary.records.new)
        assert 5 == len(list((tmp_path / "two" / "manifests").iterdir()))
        assert expected == list(case.credentials())


@pytest.mark.parametrize("given", ["s3://bucket/case", "s3a://bucket/case", "hdfs://host:9000/case"])
def test_a_case_under_the_address_of_something_else_is_refused_in_words(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the scheme and what to give instead, and no folder of that name is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CaseError, match=f"not under {given.partition(':')[0]}:.*Give a path"):
        CaseFolder.open(Path(given))
    assert not [*tmp_path.iterdir()]


def test_a_file_uri_names_its_folder(tmp_path: Path) -> None:
    """`file:///a%20b` is the folder `/a b`."""
    opened = CaseFolder.open(Path((tmp_path / "a b").as_uri()))
    assert tmp_path / "a b" == opened.path
    assert (tmp_path / "a b" / "case.json").exists()


def test_a_folder_with_a_colon_in_its_name_holds_a_case(
    log: Path, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who read Parquet take `inc:42/x.parquet` for the URI of something, which a case's own paths never are."""
    monkeypatch.chdir(tmp_path)
    with Case.open("inc:42") as case:
        case.ingest([str(log)])
        assert len(world.records()) == case.status().records


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_a_folder_whose_name_is_no_utf_8_is_refused_in_words(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine takes names in UTF-8 alone, and would look elsewhere, or fail; nothing is begun."""
    name = b"caf\xe9" if encoding == "utf-8" else b"caf\xc3\xa9"
    path = tmp_path / name.decode(encoding, "surrogateescape")
    monkeypatch.setattr(os, "fsencode", lambda one: str(one).encode(encoding, "surrogateescape"))
    with pytest.raises(CaseError, match=r"must be text in UTF-8\. .*PYTHONUTF8=1"):
        Case.open(path)
    assert not [*tmp_path.iterdir()]


def test_a_file_whose_name_is_no_text_is_kept_and_named(log: Path, tmp_path: Path) -> None:
    """Bytes that are no UTF-8 in a file's name stand in the manifest, and come out of it as they went in."""
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.json")
    log.rename(odd)
    with Case.open(tmp_path / "case") as case:
        assert 1 == case.ingest([odd]).objects.read
    [stored] = CaseFolder.open(tmp_path / "case").snapshot().objects().values()

    assert odd == stored.name


@pytest.mark.parametrize("harm", [{"size": "many"}, {"records": None}, {"sha": "0"}])
def test_a_manifest_that_holds_what_it_never_would_is_named(log: Path, tmp_path: Path, harm: Json) -> None:
    """A member of another type, or an unknown one, is no object of the case: it is damage, and says which file."""
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)])
    [path] = (tmp_path / "case" / "manifests").iterdir()
    found = json.loads(path.read_text())
    found["objects"][0] |= harm
    path.write_text(json.dumps(found))

    with pytest.raises(CaseError, match=f"{path.name}: damaged manifest"):
        CaseFolder.open(tmp_path / "case").snapshot()


_ASKED = """
import sys
from tokentrail.store.without_pandas import hide_pandas
hide_pandas()  # as our own processes do: it takes most of their start
from pathlib import Path
from types import SimpleNamespace
from tokentrail import Case
from tokentrail.errors import CaseError
for name in sys.argv[2:]:
    path = Path(sys.argv[1], name)
    kept = path.rename(path.with_name("kept"))
    os.mkfifo(path)
    try:
        with Case.open(sys.argv[1], create=False) as case:
            print(len(list(case.credentials())))
    except CaseError as error:
        print("pipe" if str(path) in str(error) or "no regular file" in str(error) else error)
    path.unlink()
    kept.rename(path)
"""


def test_a_pipe_in_a_case_makes_nobody_wait(log: Path, tmp_path: Path) -> None:
    """Somebody may hand over a case with a pipe in place of any of its files: none is opened, and it is named."""
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)])
        list(case.credentials())
    there = tmp_path / "case"
    names = [
        next(there.rglob(pattern)).relative_to(there)
        for pattern in (
            "case.json",
            "manifests/*.json",
            "segments/*/events.parquet",
            "derived/*/derived.duckdb",
        )
    ]

    done = subprocess.run(
        [sys.executable, "-c", "import os" + _ASKED, str(there), *map(str, names)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.stdout.splitlines() == ["pipe"] * len(names), done.stderr


def test_a_pipe_among_what_may_be_linked_from_is_left_alone(log: Path, tmp_path: Path) -> None:
    """Older derived tables help to link, and no more: such with a pipe among them are not looked into."""
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)])
    folder = CaseFolder.open(tmp_path / "case", create=False)
    [derived] = (tmp_path / "case" / "derived").iterdir()
    assert [derived] == folder.all_derived(derived.name[-2:])

    os.mkfifo(derived / "pipe")

    assert [] == folder.all_derived(derived.name[-2:])


@pytest.fixture(name="linked", scope="module")
def _linked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any]:
    """A log, a case that holds it and was linked, for tests that take a copy of it, and what it answers."""
    folder = tmp_path_factory.mktemp("linked")
    (folder / "log.json").write_bytes(native(made_up().records()))
    with Case.open(folder / "case") as case:
        case.ingest([str(folder / "log.json")])
        return folder / "log.json", folder / "case", (list(case.credentials()), case.status())


@pytest.mark.parametrize(
    ("content", "name"),
    some(
        product(
            (b"", b"garbage", b"[" * 200_000, None),
            ("grown.json", "derived.duckdb"),
        ),
        2,
    ),
)
def test_derived_tables_that_are_damaged_are_worked_out_anew(
    name: str, content: bytes | None, linked: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    """Or gone, one of them: nothing depends on what is derived, in a case that somebody handed over neither."""
    log, whole, expected = linked
    copied(whole, tmp_path / "case")
    [path] = (tmp_path / "case").glob(f"derived/*/{name}")
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    with Case.open(tmp_path / "case") as case:
        assert expected == (list(case.credentials()), case.status())
        case.ingest([str(log)])
        assert expected == (list(case.credentials()), case.status())
    assert [path] == list((tmp_path / "case").glob(f"derived/*/{name}"))


def test_a_derived_table_of_another_case_is_told_in_words(
    linked: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    """One that can be read and names no segment of the case, in a case that somebody handed over."""
    _, whole, (credentials, _) = linked
    copied(whole, tmp_path / "case")
    [derived] = (tmp_path / "case" / "derived").iterdir()
    with duckdb.connect(str(derived / DATABASE)) as other:
        other.execute("UPDATE credential_identities SET segment = 7")

    with Case.open(tmp_path / "case") as case, pytest.raises(CaseError, match=r"Remove the folder `derived`"):
        case.trace([one.id for one in credentials])


@pytest.mark.parametrize(
    "marker", [b"[" * 200_000, b'{"format": Infinity, "case_id": "x"}', b'{"format": 3}', b"[]"]
)
def test_a_marker_of_anything_is_refused_in_words(marker: bytes, tmp_path: Path) -> None:
    """Of a case that somebody handed over."""
    with Case.open(tmp_path / "case"):
        pass
    (tmp_path / "case" / "case.json").write_bytes(marker)
    with pytest.raises(CaseError, match=r"case\.json: can't be read as a case"):
        Case.open(tmp_path / "case")


def test_two_ingests_at_once_count_nothing_below_zero(log: Path, tmp_path: Path) -> None:
    """What another one brings meanwhile is not counted as this one's."""

    class Busy(list[str]):
        def __iter__(self) -> Iterator[str]:
            with Case.open(tmp_path / "case") as other:
                other.ingest([str(tmp_path / "more.json")], workers=1)
            return super().__iter__()

    world = World(START, seed=7)
    world.user("bea").calls("s3:ListBuckets", count=20)
    (tmp_path / "more.json").write_bytes(native(world.records()))
    with Case.open(tmp_path / "case") as case:
        counts = case.ingest(Busy([str(log)]), workers=1).records
        assert case.status().records > counts.read
    assert (counts.read, 0) == (counts.new, counts.repeated)
