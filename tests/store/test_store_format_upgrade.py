"""A case of an older format is brought to this version's: from its own evidence, whole at any moment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from fake_bucket import FakeBucket

from evidence import START
from shell import ran
from tokentrail import Case
from tokentrail.errors import CaseError
from tokentrail.events.columns import TABLES
from tokentrail.present.document import document
from tokentrail.store import mirror
from tokentrail.store.folder import FORMAT, CaseFolder
from tokentrail.store.interface import Manifest
from tokentrail.store.tidying import DATABASE
from tokentrail.testing import World, native

LACKED = {
    "identities": ("delegate", "origin_subject", "origin_issuer"),
    "issuances": ("requester_arn", "token_id"),
}
"""The columns that segments of format 3 did not have."""
RECEIVED_AT = 1_700_000_000


def written_logs(folder: Path, count: int = 3) -> list[Path]:
    """Log files, each of which belongs into a segment of its own; the last repeats records of the first."""
    folder.mkdir()
    logs = []
    for number in range(count):
        world = World(START, seed=number)
        session = world.user("ada").assumes(f"Deploy{number}")
        session.calls("s3:ListBuckets", count=5)
        path = folder / f"{number}.json"
        path.write_bytes(native(world.records()))
        logs.append(path)
    again = json.loads(logs[0].read_bytes())["Records"][:2]
    (folder / "again.json").write_text(json.dumps({"Records": again}))
    return [*logs, folder / "again.json"]


def ingested(case: Path, logs: Sequence[Path], *, reference: bool = False) -> None:
    """Make a case with a segment for each log."""
    with Case.open(case) as opened:
        for log in logs:
            opened.ingest([str(log)], reference=reference)


def made_older(case: Path, version: int = 3, *, columns: bool = False) -> None:
    """Make a case what an older version would have left; with `columns`, its segments have them all."""
    for path in (case / "segments").iterdir():
        for table, names in () if columns else LACKED.items():
            rows = pq.read_table(path / f"{table}.parquet").drop_columns(list(names))
            pq.write_table(rows, path / f"{table}.parquet")
    for path in (case / "manifests").iterdir():
        os.utime(path, (RECEIVED_AT, RECEIVED_AT))
    shutil.rmtree(case / "derived")
    (case / "derived").mkdir()
    marker = json.loads((case / "case.json").read_text())
    (case / "case.json").write_text(json.dumps({**marker, "format": version}))


def answers(case: Path) -> list[object]:
    """What is answered from a case: credentials, coverage and counts."""
    with Case.open(case, create=False) as opened:
        status = document(opened.status())
        return [document(one) for one in opened.credentials()] + [status]


def manifests(case: Path) -> list[Manifest]:
    """The manifests that count, in the order of their segments."""
    marker = json.loads((case / "case.json").read_text())
    return list(CaseFolder(case, marker["case_id"]).snapshot().manifests)


@pytest.fixture(name="logs")
def _logs(tmp_path: Path) -> list[Path]:
    return written_logs(tmp_path / "logs")


@pytest.fixture(name="older")
def _older(logs: list[Path], tmp_path: Path) -> Path:
    ingested(tmp_path / "older", logs)
    return tmp_path / "older"


def test_a_case_of_an_older_format_answers_like_a_new_one(older: Path) -> None:
    """Columns that its segments lack are made anew from its evidence when it is opened, and its format is the new one."""
    expected = answers(older)
    made_older(older)

    assert expected == answers(older)
    assert FORMAT == json.loads((older / "case.json").read_text())["format"]
    for path in (older / "segments").iterdir():
        for table, schema in TABLES.items():
            assert set(schema.names) <= set(pq.read_schema(path / f"{table}.parquet").names)


def test_an_upgrade_keeps_the_chain_of_custody(older: Path) -> None:
    """Objects keep their order, names, hashes, places and the time at which they came in; no evidence is written."""
    before = manifests(older)
    evidence = {path: path.stat() for path in (older / "objects").rglob("*") if path.is_file()}
    made_older(older)
    answers(older)

    after = manifests(older)
    assert [one.objects for one in before] == [one.objects for one in after]
    assert len(before) == len(list((older / "manifests").iterdir())), "the old ones are gone"
    assert {RECEIVED_AT} == {path.stat().st_mtime for path in (older / "manifests").iterdir()}
    assert evidence.keys() == {path for path in (older / "objects").rglob("*") if path.is_file()}
    assert all(path.stat().st_mtime_ns == was.st_mtime_ns for path, was in evidence.items())


def test_segments_with_all_columns_stay(older: Path) -> None:
    """Only what lacks columns is read again: of a case that lacks none, evidence is not even needed."""
    expected = answers(older)
    made_older(older, columns=True)
    shutil.rmtree(older / "objects")
    before = {one.segment for one in manifests(older)}

    assert expected == answers(older)
    assert before == {one.segment for one in manifests(older)}


def test_an_upgrade_reads_evidence_where_it_was_left(logs: list[Path], tmp_path: Path) -> None:
    """Logs of a case made with --reference are read where they lie, and stay there."""
    case = tmp_path / "case"
    ingested(case, logs, reference=True)
    expected = answers(case)
    made_older(case)

    assert expected == answers(case)
    assert all(log.exists() for log in logs)
    assert {str(log) for log in logs} == {one.reference for each in manifests(case) for one in each.objects}


def test_evidence_that_is_gone_stops_the_upgrade_in_words(logs: list[Path], tmp_path: Path) -> None:
    """Nothing is lost in silence: the message names the log, and how to go on with or without its records."""
    case = tmp_path / "case"
    ingested(case, logs, reference=True)
    expected = answers(case)
    made_older(case)
    shutil.move(logs[1], tmp_path / "elsewhere.json")

    with pytest.raises(
        CaseError, match=rf"{logs[1].name}.*Put it back.*or remove .*manifests/[0-9a-f]*\.json"
    ):
        Case.open(case, create=False)
    shutil.move(tmp_path / "elsewhere.json", logs[1])
    assert expected == answers(case)


def test_evidence_that_changed_stops_the_upgrade(logs: list[Path], tmp_path: Path) -> None:
    """Columns are only made from the very bytes that were received."""
    case = tmp_path / "case"
    ingested(case, logs, reference=True)
    made_older(case)
    logs[0].write_bytes(logs[1].read_bytes())

    with pytest.raises(CaseError, match="changed since it was read"):
        Case.open(case, create=False)


_KILLED = """
import os, signal, sys
left = int(sys.argv[2])
def counting(function):
    def call(*arguments, **named):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return call
import tokentrail.store.format_upgrade, tokentrail.case
for name in ("open", "replace", "rename", "unlink", "rmdir", "mkdir"):
    setattr(os, name, counting(getattr(os, name)))
tokentrail.case.Case.open(sys.argv[1], create=False)
"""


def test_an_upgrade_that_is_killed_anywhere_goes_on_later(tmp_path: Path) -> None:
    """Whichever of its changes to the disk is its last, the case then answers as it would have."""
    older = tmp_path / "older"
    ingested(older, written_logs(tmp_path / "logs", count=1))
    expected = answers(older)
    made_older(older)
    objects = sorted(one.sha256 for each in manifests(older) for one in each.objects)
    changes = 0
    ended = -signal.SIGKILL
    while ended == -signal.SIGKILL:
        case = tmp_path / f"killed-{changes}"
        shutil.copytree(older, case)
        ended = subprocess.run(
            [sys.executable, "-c", _KILLED, str(case), str(changes)], check=False, timeout=60
        ).returncode
        assert objects == sorted(one.sha256 for each in manifests(case) for one in each.objects)
        assert expected == answers(case)
        shutil.rmtree(case)
        changes += 4
    assert ended == 0
    assert changes > 8, "it was killed now and then"


def test_two_may_upgrade_a_case_at_once(older: Path) -> None:
    """Whoever comes second finds the same segments in place; each record counts once."""
    expected = answers(older)
    made_older(older)
    opening = "import sys; from tokentrail import Case; Case.open(sys.argv[1], create=False)"
    both = [subprocess.Popen([sys.executable, "-c", opening, str(older)]) for _ in range(2)]

    assert [0, 0] == [one.wait(60) for one in both]
    assert expected == answers(older)


def test_who_may_not_write_is_told_what_to_do(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a drive that is protected against writing, the message says to copy the case, and nothing is tried."""
    made_older(older)
    monkeypatch.setattr(CaseFolder, "writable", property(lambda _: False))

    with pytest.raises(CaseError, match=r"format 3.*Copy it to where you can write.*--case"):
        Case.open(older, create=False)
    assert 3 == json.loads((older / "case.json").read_text())["format"]


@pytest.mark.parametrize("name", ["segments", "manifests"])
def test_an_older_case_that_leads_elsewhere_is_left_alone(name: str, older: Path, tmp_path: Path) -> None:
    """Whoever made the case would have us write into, and remove, what its links lead to."""
    made_older(older)
    elsewhere = tmp_path / "elsewhere"
    (older / name).rename(elsewhere)
    (older / name).symlink_to(elsewhere)
    before = sorted((one, one.stat().st_mtime_ns) for one in elsewhere.rglob("*"))
    with pytest.raises(CaseError, match=f"{name}: a link"):
        Case.open(older, create=False)
    assert before == sorted((one, one.stat().st_mtime_ns) for one in elsewhere.rglob("*"))


def test_an_older_case_in_a_bucket_is_told_the_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is not updated there: the message says how to copy it, open the copy and put that back."""
    monkeypatch.setenv("TOKENTRAIL_MIRRORS", str(tmp_path / "mirrors"))
    bucket = FakeBucket(held={"case.json": b'{"format": 3, "case_id": "x"}'}, times={"case.json": 0.0})

    with pytest.raises(
        CaseError, match=r"format 3.*aws s3 sync s3://cases/leak DIR.*tokentrail status --case DIR"
    ):
        mirror.opened(bucket, create=False)


def test_a_verb_says_that_it_updates_the_case(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr, once; stdout is what it is of a new case."""
    expected = ran(monkeypatch, ["credentials", "--case", older, "--format", "jsonl"])
    made_older(older)
    first, second = (
        ran(monkeypatch, ["credentials", "--case", older, "--format", "jsonl"]) for _ in range(2)
    )

    assert expected.out == first.out == second.out
    assert "of an older format. Its columns are read again" in " ".join(first.err.split())
    assert not second.err


def test_rebuilding_makes_all_that_is_derived_anew(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage to derived tables that no check finds is gone after `rebuild`, and nothing else has changed."""
    expected = answers(older)
    kept = {
        path: path.stat().st_mtime_ns
        for name in ("objects", "segments")
        for path in (older / name).rglob("*")
    }
    for database in (older / "derived").glob(f"*/{DATABASE}"):
        with duckdb.connect(str(database)) as other:
            other.execute("DELETE FROM credentials WHERE n = (SELECT min(n) FROM credentials)")
    assert expected != answers(older)

    rebuilt = ran(monkeypatch, ["rebuild", "--case", older, "--format", "json"])

    assert 0 == rebuilt.code
    assert len(expected) - 1 == json.loads(rebuilt.out)["credentials"]
    assert expected == answers(older)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}


def test_what_cant_be_written_is_not_rebuilt(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`rebuild` says so in words, and leaves what was derived in place."""
    before = sorted((older / "derived").iterdir())
    monkeypatch.setattr(CaseFolder, "writable", property(lambda _: False))

    refused = ran(monkeypatch, ["rebuild", "--case", older])

    assert 2 == refused.code
    assert "nothing can be written here" in refused.err
    assert before == sorted((older / "derived").iterdir())


def test_a_case_in_a_bucket_is_not_rebuilt_from_here(
    logs: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The message says what to remove in the bucket and here."""
    monkeypatch.setenv("TOKENTRAIL_MIRRORS", str(tmp_path / "mirrors"))
    with Case(mirror.opened(FakeBucket(), create=True)) as case:
        case.ingest([str(logs[0])])
        with pytest.raises(CaseError, match=r"s3://cases/leak/tables/.*the next ingest"):
            case.rebuild()
