"""Small evidence objects lie many in one file, and every one of them comes back as it was received, or not at all."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import START, copied, text
from tokentrail import Case
from tokentrail.detection.sigma.reading import read_rules
from tokentrail.errors import CaseError
from tokentrail.store import merge
from tokentrail.store.evidence_read import received
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import StoredObject
from tokentrail.store.pack import MOST, SMALL, Pack
from tokentrail.testing import World, carriers, native

DAY = 24 * 3600


def named(data: bytes) -> str:
    return sha256(data).hexdigest()


def of_ada() -> World:
    world = World(START)
    session = world.user("ada").assumes("Deploy")
    session.assumes("Prod").calls("s3:GetObject", count=4)
    session.calls("s3:ListBuckets", count=6)
    return world


@pytest.fixture(name="world")
def _world() -> World:
    return of_ada()


def written(world: World, logs: Path) -> Path:
    """A record a file."""
    logs.mkdir()
    for number, record in enumerate(world.records()):
        (logs / f"{number:02}.json").write_bytes(native([record]))
    return logs


@pytest.fixture(name="logs")
def _logs(world: World, tmp_path: Path) -> Path:
    return written(world, tmp_path / "logs")


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case of many small objects, to be copied."""
    folder = tmp_path_factory.mktemp("packed")
    with Case.open(folder / "case") as case:
        case.ingest([str(written(of_ada(), folder / "logs"))], workers=1)
    return folder / "case"


@pytest.fixture(name="packed")
def _packed(made: Path, logs: Path, tmp_path: Path) -> Path:
    """A copy of it, beside the logs that it was made of."""
    copied(made, tmp_path / "case")
    return tmp_path / "case"


def packs(case: Path) -> list[Path]:
    return sorted((case / "objects" / "packs").glob("*"))


def given_back(case: Path) -> list[bytes]:
    """The bytes of each object, as the case gives them back."""
    folder = CaseFolder.open(case)
    return sorted(received(folder.locate(one), one.sha256) for one in folder.snapshot().objects().values())


def raw(case: Path, world: World) -> list[str]:
    """Each record as the case shows it."""
    with Case.open(case) as opened:
        found = {one.event_id: opened.record(one.object, one.ordinal) for one in opened.timeline(["AKIA"])}
    assert found.keys() == {one["eventID"] for one in world.records()}
    return sorted(json.dumps(one, sort_keys=True) for one in found.values())


@given(st.lists(st.binary(max_size=1300), max_size=12))
@pytest.mark.parametrize("at_once", [3, 300])
def test_an_archive_is_what_the_library_would_have_made(at_once: int, bodies: list[bytes]) -> None:
    """Header by header the bytes of `tarfile`, and each object begins where it is said to."""
    pack = Pack()
    places = [pack.add(named(body), body) for body in bodies]
    with mock.patch("tokentrail.store.pack._AT_ONCE", at_once):
        archive = b"".join(pack.archive())
    expected = b""
    for body in bodies:
        member = tarfile.TarInfo(named(body))
        member.size, member.mode, member.mtime = len(body), 0o400, 315_532_800
        expected += member.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % 512)

    assert expected + bytes(1024) == archive
    assert bodies == [archive[at : at + len(body)] for at, body in zip(places, bodies, strict=True)]
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        assert [named(body) for body in bodies] == opened.getnames()


def test_a_pack_that_is_written_again_is_whole(tmp_path: Path) -> None:
    """Whoever removes what is half written makes the case write it anew, from its beginning."""
    case = CaseFolder.open(tmp_path / "case")
    pack = Pack()
    pack.add("0" * 64, b"evidence")
    (tmp_path / "case" / "objects" / "packs").mkdir()
    failing = [FileNotFoundError("gone")]
    replace = os.replace

    def once(source: str, target: str) -> None:
        if failing:
            raise failing.pop()
        replace(source, target)

    with mock.patch("os.replace", once):
        case.keep_pack("name", pack)

    assert b"".join(pack.archive()) == (tmp_path / "case" / "objects" / "packs" / "name.tar").read_bytes()


def test_a_pack_takes_small_objects_up_to_its_bound() -> None:
    """What is large is never packed, and a task whose objects are more than they were said to be fills no memory."""
    pack = Pack()
    assert not pack.fits(bytes(SMALL + 1))
    while pack.fits(bytes(SMALL)):
        pack.add("0" * 64, bytes(SMALL))

    assert MOST - SMALL < sum(map(len, pack.archive())) < MOST + SMALL


def test_small_objects_of_a_task_are_one_file_that_any_tar_opens(
    packed: Path, logs: Path, tmp_path: Path
) -> None:
    """Every member's name is the SHA-256 of its bytes, which are those that were given; no other file is made."""
    given = sorted(one.read_bytes() for one in logs.iterdir())
    [pack] = packs(packed)
    subprocess.run(["tar", "-xf", pack, "-C", tmp_path / "case" / "derived"], check=True)
    found = {one.name: one.read_bytes() for one in (packed / "derived").iterdir() if one.is_file()}

    assert given == sorted(found.values()) == given_back(packed)
    assert all(name == named(data) for name, data in found.items())
    assert [pack] == [one for one in (packed / "objects").rglob("*") if one.is_file()]
    assert 0o600 == pack.stat().st_mode & 0o777


def test_large_objects_and_one_small_one_alone_are_files_of_their_own(
    logs: Path, world: World, tmp_path: Path
) -> None:
    """Nothing is gained by packing them, and whoever looks for them finds them by their hash."""
    large = native([world.records()[0] | {"padding": os.urandom(SMALL).hex()}])
    (logs / "99.json").write_bytes(large)
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(logs)], workers=1)
    with Case.open(tmp_path / "single") as case:
        case.ingest([str(logs / "00.json"), str(logs / "00.json"), str(logs / "99.json")], workers=1)
    alone = (logs / "00.json").read_bytes()

    assert large == (tmp_path / "case" / "objects" / named(large)[:2] / named(large)[2:]).read_bytes()
    assert 1 == len(packs(tmp_path / "case"))
    assert sorted([alone, large]) == given_back(tmp_path / "single")
    assert not packs(tmp_path / "single")


def test_the_same_objects_make_the_same_pack(packed: Path, logs: Path, tmp_path: Path) -> None:
    """No moment, no owner and no chance is in it."""
    with Case.open(tmp_path / "again") as case:
        case.ingest([str(logs)], workers=1)

    [first], [second] = packs(packed), packs(tmp_path / "again")
    assert first.read_bytes() == second.read_bytes()


def test_evidence_of_a_case_can_be_read_in_again(packed: Path, world: World, tmp_path: Path) -> None:
    """`tokentrail ingest CASE/objects --case NEW` finds in packs what was in the files."""
    with Case.open(packed) as case, Case.open(tmp_path / "new") as new:
        summary = new.ingest([str(packed / "objects")])
        assert (1, len(world.records()), 0) == (
            summary.objects.read,
            summary.records.new,
            summary.records.rejected,
        )
        assert text(case.credentials()) == text(new.credentials())

    assert raw(packed, world) == raw(tmp_path / "new", world)


def test_evidence_of_every_kind_can_be_read_in_again(world: World, tmp_path: Path) -> None:
    """Each carrier's small files, packed and plain, whole and cut off, come out of an archive as they came before."""
    logs = tmp_path / "logs"
    logs.mkdir()
    for carrier, written in carriers.WRITERS.items():
        whole = written(world.records())
        for name, data in (("plain", whole), ("packed", gzip.compress(whole, mtime=0))):
            (logs / f"{carrier}-{name}").write_bytes(data)
    (logs / "cut.gz").write_bytes(gzip.compress(native(world.records()), mtime=0)[:-40])
    (logs / "empty").write_bytes(b"")
    with Case.open(tmp_path / "case") as case, Case.open(tmp_path / "new") as new:
        first = case.ingest([str(logs)], workers=1)
        again = new.ingest([str(tmp_path / "case" / "objects")], workers=1)

        assert 1 == again.objects.read
        assert first.records == again.records
        assert sorted(one.reason for one in first.rejected) == sorted(
            one.reason.rpartition(": ")[2] for one in again.rejected
        )
        assert text(case.credentials()) == text(new.credentials())


def test_packs_outlive_the_segments_that_they_came_with(
    logs: Path, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Merged, and what was merged removed and all tidied: each object is still there."""
    monkeypatch.setattr(merge, "AT_ONCE", 2)
    files = sorted(map(str, logs.iterdir()))
    case = tmp_path / "case"
    with Case.open(case) as opened:
        for at in range(0, len(files), 3):
            opened.ingest(files[at : at + 3], workers=1)
        before = len(packs(case))
        assert 2 <= merge.merge_small(opened.folder)
        for path in [*case.rglob("*")]:
            os.utime(path, (time.time() - 3 * DAY,) * 2)
        merge.merge_small(opened.folder)
        opened.folder.tidy()
        assert 1 == len(list((case / "manifests").iterdir()))

    assert before == len(packs(case)) > 2
    assert sorted(Path(one).read_bytes() for one in files) == given_back(case)
    assert len(world.records()) == len(raw(case, world))


def test_what_a_killed_writer_left_of_a_pack_goes_after_a_day(packed: Path) -> None:
    """Half a pack is removed once nobody can be writing it; one that is in place is evidence, and stays."""
    folder = packed / "objects" / "packs"
    [whole] = packs(packed)
    orphan, old, young = folder / "00000000000000aa.tar", folder / ".a.tar.1-2-3", folder / ".b.tar.1-2-3"
    (strange := folder / ".snapshot").mkdir()
    os.utime(strange, (time.time() - 2 * DAY,) * 2)
    for path in (orphan, old, young):
        path.write_bytes(b"...")
    for path in (orphan, old, whole):
        os.utime(path, (time.time() - 2 * DAY,) * 2)
    CaseFolder.open(packed).tidy()

    assert sorted([orphan, strange, young, whole]) == packs(packed)


_KILLED = """
import os, signal, sys
from tokentrail.store.without_pandas import hide_pandas
hide_pandas()  # as our own processes do: it takes most of their start
from tokentrail import Case

case, logs, part, after = sys.argv[1:]
replace = os.replace

def killed(source, target):
    here = f"/{part}/" in str(target)
    if here and not int(after):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
    if here:
        os.kill(os.getpid(), signal.SIGKILL)

with Case.open(case) as opened:
    os.replace = killed
    opened.ingest([logs], workers=1)
"""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("part", ["packs", "manifests"])
def test_a_writer_that_is_killed_loses_nothing_and_repeats_nothing(
    part: str, after: bool, logs: Path, packed: Path, world: World, tmp_path: Path
) -> None:
    """Before a pack is in place or after it, before its manifest is or after: the same ingest again makes it whole."""
    case = tmp_path / "killed"
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED, case, logs, part, str(int(after))], check=False
    ).returncode
    assert -signal.SIGKILL == ended
    visible = int(part == "manifests" and after)
    assert visible == len(CaseFolder.open(case).snapshot().manifests)

    with Case.open(case) as opened, Case.open(packed) as expected:
        summary = opened.ingest([str(logs)], workers=1)
        assert len(world.records()) * (not visible) == summary.records.new
        assert len(world.records()) == opened.status().records
        assert text(expected.credentials()) == text(opened.credentials())
    assert given_back(packed) == given_back(case)


@pytest.mark.parametrize("many", [True, False])
def test_what_a_killed_writer_left_is_no_evidence_of_its_case(
    many: bool, logs: Path, world: World, tmp_path: Path
) -> None:
    """Whoever reads in the case's objects is told of half an archive or object, and has each whole one once."""
    case = tmp_path / "killed"
    given = logs if many else logs / "00.json"
    subprocess.run([sys.executable, "-c", _KILLED, case, given, "objects", "0"], check=False)
    [half] = [one for one in (case / "objects").rglob("*") if one.is_file()]
    half.write_bytes(half.read_bytes()[:-1100])
    with Case.open(case) as opened, Case.open(tmp_path / "new") as new:
        opened.ingest([str(given)], workers=1)
        summary = new.ingest([str(case / "objects")], workers=1)
        [told] = summary.skipped
        assert (str(half), True) == (told.object, told.lost)
        assert "half written" in told.reason
        assert (0, 0) == (summary.records.repeated, summary.records.rejected)
        assert (len(world.records()) if many else 1) == summary.records.new
        named_itself = new.ingest([str(half)], workers=1)
        assert not named_itself.skipped
        assert 1 == named_itself.objects.read


def truncated(pack: Path) -> None:
    pack.write_bytes(pack.read_bytes()[:700])


def changed(pack: Path) -> None:
    data = bytearray(pack.read_bytes())
    for at in range(600, len(data), 512):
        data[at] ^= 1
    pack.write_bytes(data)


def emptied(pack: Path) -> None:
    pack.write_bytes(b"")


def in_its_place(pack: Path) -> None:
    pack.unlink()
    pack.mkdir()


def a_pipe(pack: Path) -> None:
    pack.unlink()
    os.mkfifo(pack)


def a_link_to_a_device(pack: Path) -> None:
    pack.unlink()
    pack.symlink_to("/dev/zero")


def a_link_to_itself(pack: Path) -> None:
    pack.unlink()
    pack.symlink_to(pack)


@pytest.mark.parametrize(
    "harm",
    [
        truncated,
        changed,
        emptied,
        in_its_place,
        a_pipe,
        a_link_to_a_device,
        a_link_to_itself,
        Path.unlink,
    ],
)
def test_a_pack_that_is_no_longer_what_was_read_is_named(harm: Callable[[Path], None], packed: Path) -> None:
    """No record of it is shown: the error names the archive, and answers that need no raw record stay."""
    with Case.open(packed) as case:
        expected = text(case.credentials())
        *_, event = case.timeline(["AKIA"])
        [pack] = packs(packed)
        harm(pack)
        with pytest.raises(CaseError, match=rf"{pack.name}: .*{event.object[:12]}"):
            case.record(event.object, event.ordinal)
        assert expected == text(case.credentials())


@pytest.mark.parametrize(
    "lie",
    [
        {"at": 1 << 40},
        {"at": 1 << 80},
        {"at": -1},
        {"at": 0},
        {"at": 513},
        {"size": 1 << 62},
        {"size": -600},
        {"size": 0},
        {"pack": "../../case"},
        {"pack": "/etc/passwd"},
        {"pack": "0123"},
        {"pack": ""},
        {"pack": "a\0b"},
        {"pack": "\udc80"},
        {"reference": "/dev/zero"},
        {"reference": "a\0b"},
    ],
)
def test_a_manifest_that_points_elsewhere_shows_nothing(lie: dict[str, int | str], packed: Path) -> None:
    """Beyond the end, before the beginning, beside the object or into another file: an error in words."""
    [manifest] = (packed / "manifests").iterdir()
    found = json.loads(manifest.read_text())
    for one in found["objects"]:
        one |= lie
    manifest.write_text(json.dumps(found))

    with pytest.raises(CaseError, match=r"damaged manifest|(?s:.*): .*(can't be read|changed since)"):
        given_back(packed)


@pytest.mark.parametrize("name", ["../../mine", "/mine", "..", "", "0" * 17, "٠" * 16, "000000000000000a\n"])
@pytest.mark.parametrize("member", ["segment", "replaces"])
def test_a_manifest_that_names_no_segment_is_refused(member: str, name: str, packed: Path) -> None:
    """What is replaced is removed: nothing outside the case can be."""
    (packed.parent / "mine").mkdir()
    [manifest] = (packed / "manifests").iterdir()
    found = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(found | {member: name if member == "segment" else [name]}))
    os.utime(manifest, (time.time() - 2 * DAY,) * 2)

    with pytest.raises(CaseError, match="damaged manifest"):
        merge.merge_small(CaseFolder.open(packed))
    assert (packed.parent / "mine").exists()


def test_a_manifest_under_another_name_is_refused(packed: Path) -> None:
    """A copy of one would count its records twice."""
    [manifest] = (packed / "manifests").iterdir()
    (manifest.parent / "00000000000000aa.json").write_bytes(manifest.read_bytes())

    with pytest.raises(CaseError, match=r"00000000000000aa\.json: damaged manifest"):
        CaseFolder.open(packed).snapshot()


def test_a_sweep_reads_packs_and_counts_what_it_could_not(
    packed: Path, logs: Path, world: World, tmp_path: Path
) -> None:
    """Sigma rules find in packs what they find in files, and say how many records they missed of a damaged one."""
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "named.yml").write_text(
        "title: Named\nid: 5f0ca1d0-0000-4000-8000-000000000001\nstatus: test\nlevel: high\n"
        "logsource:\n  product: aws\n  service: cloudtrail\n"
        "detection:\n  a:\n    requestID|re: .+\n  condition: a\n"
    )
    sigma, said = read_rules([rules]), list[str]()
    with Case.open(tmp_path / "beside") as case:
        case.ingest([str(logs)], reference=True, workers=1)
        expected = text(case.detect(rules=[], sigma=sigma))
    with Case.open(packed) as case:
        found = case.detect(rules=[], sigma=sigma, said=said.append)
        assert not said
        assert len(world.records()) == sum(one.count for one in found)
        assert expected == text(found)
        [pack] = packs(packed)
        truncated(pack)
        case.detect(rules=[], sigma=sigma, said=said.append)

    [missed] = said
    assert re.match(r"\d+ records could not be read again", missed)


def test_a_manifest_that_spells_out_what_is_usual_is_read(packed: Path) -> None:
    """As manifests of the format before do: null where nothing is said."""
    [manifest] = (packed / "manifests").iterdir()
    before = CaseFolder.open(packed).snapshot().manifests
    found = json.loads(manifest.read_text())
    usual = {"reference": None, "source": None, "carriers": [], "bound": None}
    found["objects"] = [usual | one for one in found["objects"]]
    manifest.write_text(json.dumps(found | {"replaces": []}))
    [read] = CaseFolder.open(packed).snapshot().manifests

    assert [one.sha256 for one in before[0].objects] == [one.sha256 for one in read.objects]
    assert all(isinstance(one, StoredObject) and one.pack for one in read.objects)
