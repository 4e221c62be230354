"""Evidence on disk: files, folders, standard input, and names that are none of these."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from evidence import START, answers, by_id
from tokentrail import Case, Credential
from tokentrail.errors import SourceError
from tokentrail.sources.cases import PARTS
from tokentrail.sources.files import LEADS_OUT, BytesObject, FileObject, Skipped, objects
from tokentrail.store.keys import OURS
from tokentrail.store.mirror import _MARKS
from tokentrail.store.tasks import read_all
from tokentrail.testing import World, json_array, json_lines, lookup_events, native
from tokentrail.testing.names import Json


@pytest.fixture(name="records", scope="module")
def _records() -> list[Json]:
    world = World(START)
    world.user("ada").assumes("Deploy").calls("ec2:DescribeInstances", count=2)
    return world.records()


def names(*sources: object) -> list[str]:
    return [one.name for one in objects(str(source) for source in sources)]


def test_a_folder_is_walked_in_order_of_name(tmp_path: Path) -> None:
    """Folders in folders, in an order that does not depend on the disk."""
    for name in ("b/2.json", "b/1.json", "a.json", "c/d/e.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")

    assert [str(tmp_path / name) for name in ("a.json", "b/1.json", "b/2.json", "c/d/e.json")] == names(
        tmp_path
    )


def test_a_case_among_the_logs_is_no_logs(tmp_path: Path, records: list[Json]) -> None:
    """`ingest .` beside the default case took in the case's own copies anew each time; a file of its name is read."""
    (tmp_path / "sub").mkdir()
    for name in ("logs.json", "sub/case.json"):
        (tmp_path / name).write_bytes(native(records) + b"\n" * len(name))
    for _ in range(2):
        with Case.open(tmp_path / "case") as case:
            summary = case.ingest([tmp_path], workers=1)
            assert (2, 0) == (case.status().objects, summary.records.rejected)
            assert [(str(tmp_path / "case"), False)] == [(one.object, one.lost) for one in summary.skipped]
    assert {one.name for one in (tmp_path / "case").iterdir()} <= PARTS
    assert {*OURS, _MARKS} == PARTS, "what the store calls them, which sources don't know"


@pytest.mark.parametrize("text", ['{"id": 1}', "[]", "{", "\0", ""])
def test_a_file_that_is_only_called_like_a_case_s_hides_no_logs(tmp_path: Path, text: str) -> None:
    """Other tools keep a `case.json`: what lies beside it went unread, under --strict too."""
    (tmp_path / "objects").mkdir()
    for name in ("case.json", "objects/a.json"):
        (tmp_path / name).write_text(text)

    assert [str(tmp_path / name) for name in ("case.json", "objects/a.json")] == names(tmp_path)


def test_sources_come_in_the_order_given(tmp_path: Path) -> None:
    """A file named is an object, whatever its name."""
    for name in ("b", "a"):
        (tmp_path / name).write_text("{}")

    assert [str(tmp_path / "b"), str(tmp_path / "a")] == names(tmp_path / "b", tmp_path / "a")


def test_a_source_that_does_not_exist_says_what_may_be_given(tmp_path: Path) -> None:
    """The message names it and the forms."""
    with pytest.raises(SourceError, match=r"gone.*folders"):
        names(tmp_path / "gone")


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    """A loop of links ends: the link is skipped with its reason; a link to a file is the file."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.json").write_text("{}")
    (tmp_path / "in" / "loop").symlink_to(tmp_path)
    (tmp_path / "in" / "file").symlink_to(tmp_path / "in" / "a.json")
    found = list(objects([str(tmp_path)]))

    assert [FileObject, FileObject, Skipped] == [type(one) for one in found]
    assert "not followed" in next(one.reason for one in found if isinstance(one, Skipped))


@pytest.mark.parametrize("spread", [None, lambda work, things: map(work, things)])
def test_a_link_to_a_file_outside_of_the_folder_is_not_followed(tmp_path: Path, spread: Any) -> None:
    """Whoever made a folder of logs does not choose which of one's own files go into the case with them."""
    logs = tmp_path / "AWSLogs" / "111122223333" / "CloudTrail" / "us-east-1"
    logs.mkdir(parents=True)
    (tmp_path / "credentials").write_text("[default]")
    (logs / "a.json").write_text("{}")
    (logs / "b.json").symlink_to(tmp_path / "credentials")
    (logs / "c.json").symlink_to("a.json")
    found = list(objects([str(tmp_path / "AWSLogs")], spread))

    assert ["a.json", "c.json"] == [Path(one.name).name for one in found if isinstance(one, FileObject)]
    assert [LEADS_OUT] == [one.reason for one in found if isinstance(one, Skipped)]
    assert [str(logs / "b.json")] == names(logs / "b.json")


@pytest.mark.parametrize("source", [".", "logs", "logs/", "logs/../logs", "logs/AWSLogs/README", "..", "/"])
def test_a_name_leads_from_where_it_was_given_whoever_lists_and_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """Executors of Spark start elsewhere: no file that a relative name led to was read, and all of them skipped."""
    here, there = tmp_path / "above" / "here", tmp_path / "there"
    region = here / "logs" / "AWSLogs" / "111122223333" / "CloudTrail" / "us-east-1"
    region.mkdir(parents=True)
    there.mkdir()
    (region / "a.json").write_text("{}")
    (region / "gone").symlink_to("nowhere")
    (here / "logs" / "AWSLogs" / "README").write_text("of logs")
    source = str(here) if source == "/" else source
    monkeypatch.chdir(here)

    def elsewhere(work: Any, things: Any) -> Any:
        with chdir(there):
            yield from [work(one) for one in things]

    near, far = list(objects([source])), list(objects([source], elsewhere))
    read = [(one.read(), one.place) for one in near if isinstance(one, FileObject)]
    monkeypatch.chdir(there)

    assert [(one.name, type(one)) for one in near] == [(one.name, type(one)) for one in far]
    assert read == [(one.read(), one.place) for one in far if isinstance(one, FileObject)]
    assert read


def test_links_that_lead_in_circles_are_skipped(tmp_path: Path) -> None:
    """A link to itself, two that lead to each other and folders that link into each other end the walk nowhere."""
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "there").symlink_to(tmp_path / "back")
    (tmp_path / "back").symlink_to(tmp_path / "there")
    for name, other in (("one", "two"), ("two", "one")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "over").symlink_to(tmp_path / other)
    (tmp_path / "two" / "a.json").write_text("{}")
    found = list(objects([str(tmp_path)]))

    assert ["a.json"] == [Path(one.name).name for one in found if isinstance(one, FileObject)]
    assert 5 == len([one for one in found if isinstance(one, Skipped)])
    with pytest.raises(SourceError, match="no such file"):
        names(tmp_path / "self")


def test_a_broken_link_and_a_pipe_are_skipped(tmp_path: Path) -> None:
    """Nothing that can't be read as a file stops or blocks the walk."""
    (tmp_path / "broken").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    found = list(objects([str(tmp_path)]))

    assert [Skipped, Skipped] == [type(one) for one in found]


def test_a_pipe_that_is_named_is_read() -> None:
    """The shell hands `<(command)` over as one."""
    end, other = os.pipe()
    os.write(other, b"{}")
    os.close(other)
    try:
        [found] = objects([f"/dev/fd/{end}"])
    finally:
        os.close(end)

    assert isinstance(found, BytesObject)
    assert found.read() == b"{}"


def test_an_object_travels_to_a_worker(tmp_path: Path) -> None:
    """What is listed pickles, and reads there."""
    (tmp_path / "a.json").write_text("{}")
    (one,) = objects([str(tmp_path)])
    assert isinstance(one, FileObject)

    assert b"{}" == pickle.loads(pickle.dumps(one)).read()


def test_standard_input_is_an_object(
    records: list[Json], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-` reads records from a pipe."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(native(records))))
    with Case.open(tmp_path / "case") as case:
        assert 3 == case.ingest(["-"]).records.new


@pytest.fixture(name="expected", scope="module")
def _expected(records: list[Json]) -> dict[str, Credential]:
    """What CloudTrail's own file shows."""
    return answers(native(records))


@pytest.mark.parametrize("pack", ["plain", "gzip", "members"])
@pytest.mark.parametrize("carrier", [native, json_array, json_lines, lookup_events])
def test_carriers_give_the_same_credentials(
    records: list[Json], expected: dict[str, Credential], tmp_path: Path, carrier: object, pack: str
) -> None:
    """Native files, arrays, lines and LookupEvents output, plain, compressed and in several members: all the same."""
    assert callable(carrier)
    content = carrier(records)
    half = len(content) // 2
    packed = {
        "plain": content, "gzip": gzip.compress(content),
        "members": gzip.compress(content[:half]) + gzip.compress(content[half:]),
    }[pack]  # fmt: skip
    (tmp_path / "other").write_bytes(packed)
    with Case.open(tmp_path / "case") as case:
        assert 3 == case.ingest([str(tmp_path / "other")]).records.new
        assert expected == by_id(case.credentials())


def test_an_unreadable_file_is_skipped_and_the_rest_is_read(records: list[Json], tmp_path: Path) -> None:
    """A file that vanishes between listing and reading costs itself only, and is named."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.json").write_bytes(native(records))
    listed = [*objects([str(tmp_path / "logs")]), FileObject(str(tmp_path / "gone.json"), 7)]
    from tokentrail.store.folder import CaseFolder
    from tokentrail.store.ingest import ingest
    from tokentrail.store.tasks import Options

    folder = CaseFolder.open(tmp_path / "case")
    outcomes = list(
        ingest(folder, [one for one in listed if not isinstance(one, Skipped)], options=Options(), workers=1)
    )

    assert [None, "can't be read: No such file or directory"] == [one.failed for one in outcomes]
    assert 3 == outcomes[0].records


def test_a_cut_off_record_costs_itself_only(records: list[Json], tmp_path: Path) -> None:
    """A file that ends in the middle of a record: what is whole is in, the rest is counted with its place."""
    (tmp_path / "log.jsonl").write_bytes(json_lines(records) + b'{"eventName": "Cut')
    with Case.open(tmp_path / "case") as case:
        summary = case.ingest([str(tmp_path / "log.jsonl")])
        assert (3, 1) == (summary.records.new, summary.records.rejected)
        assert [3] == [one.ordinal for one in summary.rejected]
        assert summary.rejected == case.status().rejected


def test_a_line_that_is_no_record_is_counted(records: list[Json], tmp_path: Path) -> None:
    """A bare number among lines is rejected with its place: nothing disappears."""
    (tmp_path / "log.jsonl").write_bytes(json_lines(records) + b"7\n")
    with Case.open(tmp_path / "case") as case:
        assert 0 < case.ingest([str(tmp_path / "log.jsonl")]).records.rejected


def test_a_bomb_is_stopped_at_its_bound(records: list[Json], tmp_path: Path) -> None:
    """An object that expands beyond the bound is rejected in words, and nothing of it is taken in."""
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b" " * 50_000_000))
    with Case.open(tmp_path / "case") as case:
        summary = case.ingest([str(tmp_path / "bomb.gz")], bound=1_000_000)

    assert 0 == summary.records.new
    assert ["bound"] == ["bound" for one in summary.rejected if "--max-expansion" in one.reason]


@pytest.mark.parametrize("listed", [0, 1, 4_999, 5_000, 5_001, 9_999])
def test_a_file_that_changed_since_it_was_listed_is_read_whole(tmp_path: Path, listed: int) -> None:
    """Whatever size was seen when it was listed, all bytes that are there are read."""
    path = tmp_path / "log.json"
    path.write_bytes(bytes(5_000))

    assert bytes(5_000) == FileObject(str(path), listed).read()


def test_a_file_that_is_larger_than_any_bound_costs_itself_alone(tmp_path: Path) -> None:
    """A terabyte that is one hole is not read, and said to be so; what lies beside it is."""
    world = World(START)
    world.user("ada").assumes("Deploy")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "log.json").write_bytes(native(world.records()))
    with (tmp_path / "logs" / "hole.json").open("wb") as file:
        file.truncate(1 << 40)
    with Case.open(tmp_path / "case") as case:
        summary = case.ingest(tmp_path / "logs")

    assert len(world.records()) == summary.records.new
    [hole] = summary.skipped
    assert hole.object.endswith("hole.json")
    assert "--max-expansion" in hole.reason


def test_a_file_that_memory_cannot_hold_costs_itself_alone() -> None:
    """Where whoever asks allows more than the machine has, that is what is said."""

    class Large:
        """An object that there is no memory for."""

        name, size, identity, distant, place = "large", 1, None, False, None

        def read(self) -> bytes:
            """Fail as Python does."""
            raise MemoryError

    [(_, found)] = read_all([Large()], 1)

    assert isinstance(found, OSError)
    assert "memory" in found.strerror
