"""
A case that Spark read in gives the answers of one that this machine did, byte for byte.

At local[2], where a task is tried twice. Needs Java, and the extra `spark`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import mul
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from parity_cases import Evidence, everything

from evidence import HOME, REAL
from patience import until
from tokentrail import Case
from tokentrail.errors import CaseError, SourceError
from tokentrail.store.folder import CaseFolder
from tokentrail.store.task_exchange import FolderExchange, name_of
from tokentrail.testing import native
from tokentrail.testing.story import story

if TYPE_CHECKING:
    from tokentrail.spark import Cluster

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java, which is not installed here"),
    pytest.mark.filterwarnings("default"),  # what Spark itself warns of is not ours
]


def both(folder: Path, sources: list[str], cluster: Cluster) -> tuple[Case, Case]:
    """The same evidence, read by this machine and by Spark."""
    local, spread = Case.open(folder / "local"), Case.open(folder / "spark")
    local.ingest(sources, workers=1)
    spread.ingest(sources, engine=cluster)
    return local, spread


def test_what_is_read_in_two_steps_comes_out_the_same(
    tmp_path: Path, cluster: Cluster, evidence: Evidence
) -> None:
    """The story and random worlds, a part twice and some unreadable: findings, traces and inventory are equal."""
    local, spread = Case.open(tmp_path / "local"), Case.open(tmp_path / "spark")
    with local, spread:
        spread.ingest([str(evidence.part)], engine=cluster)
        local.ingest([str(evidence.part)])
        assert everything(local) == everything(spread)

        spread.ingest([str(evidence.folder)], engine=cluster)
        assert evidence.answers == everything(spread)


def test_real_evidence_comes_out_the_same_and_a_job_that_runs_again_adds_nothing(
    tmp_path: Path, cluster: Cluster
) -> None:
    """All of the published logs beside the project, in two steps on Spark, the first of them repeated."""
    if not REAL.exists():
        pytest.skip(f"the real evidence is not at {REAL}")
    folders = sorted(str(one) for one in REAL.iterdir() if one.is_dir())
    local, spread = Case.open(tmp_path / "local"), Case.open(tmp_path / "spark")
    with local, spread:
        local.ingest(folders)
        spread.ingest(folders[:4], engine=cluster)
        spread.ingest(folders, engine=cluster)
        expected = everything(local)
        assert expected == everything(spread)

        again = spread.ingest(folders[:4], engine=cluster)
        assert 0 == again.records.new
        spread.close()
        shutil.rmtree(spread.path / "derived")

        assert expected == everything(spread), "what Spark read in is linked on this machine too"


def test_small_files_are_kept_by_executors_as_by_this_machine(tmp_path: Path, cluster: Cluster) -> None:
    """A record a file: every one of them comes back from the archives that executors wrote."""
    logs = tmp_path / "logs"
    logs.mkdir()
    for number, record in enumerate(story().world.records()):
        (logs / f"{number:04}.json").write_bytes(native([record]))
    local, spread = both(tmp_path, [str(logs)], cluster)
    shown = []
    with local, spread:
        for case in (local, spread):
            events = sorted(
                case.timeline([one.id for one in case.credentials()]), key=lambda one: one.event_id
            )
            shown.append(json.dumps([case.record(one.object, one.ordinal) for one in events]))
            assert list((case.path / "objects" / "packs").iterdir())

    assert shown[0] == shown[1]


def test_the_folders_of_days_are_walked_by_executors(tmp_path: Path, cluster: Cluster) -> None:
    """A trail's layout on disk, with a file beside it: what the driver does not list comes out the same."""
    records = story().world.records()
    each = len(records) // 4
    for number in range(5):
        day = tmp_path / f"logs/AWSLogs/{HOME}/CloudTrail/us-east-1/2026/11/{20 + number}"
        day.mkdir(parents=True)
        part = records[number * each : (number + 1) * each]
        (day / f"{HOME}_CloudTrail_us-east-1_202611{20 + number}T0000Z_A.json").write_bytes(native(part))
    (tmp_path / "logs" / "all.json").write_bytes(native(records[: each * 2]))
    with mock.patch.object(cluster, "elsewhere", wraps=cluster.elsewhere) as asked:
        local, spread = both(tmp_path, [str(tmp_path / "logs")], cluster)
    with local, spread:
        assert [5] == [len(one.args[2]) for one in asked.call_args_list]
        assert everything(local) == everything(spread)
        assert 0 == spread.ingest([str(tmp_path / "logs")], engine=cluster).records.new


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> CaseFolder:
    return CaseFolder.open(tmp_path / "case")


def test_tasks_for_every_core_are_one_job(folder: CaseFolder, cluster: Cluster) -> None:
    """However many tasks there are, all cores have some at any time; answers come in the order of what was asked."""
    tracker = cluster._session.sparkContext.statusTracker()
    before = set(tracker.getJobIdsForGroup(None))  # type: ignore[arg-type]  # those of no group
    answers = list(cluster.elsewhere(folder, float, list(range(40))))
    jobs = set(tracker.getJobIdsForGroup(None)) - before  # type: ignore[arg-type]

    assert answers == [float(n) for n in range(40)]
    assert len(jobs) == 3  # of sixteen tasks each, eight for each of two cores


def test_an_answer_that_is_large_goes_through_the_case(folder: CaseFolder, cluster: Cluster) -> None:
    """Spark takes a gigabyte of answers for a job: what is more than a little of it is left, and taken from there."""
    sizes = [1, 300_000, 0, 99_000, 200_000]
    with mock.patch.object(FolderExchange, "take", autospec=True, side_effect=FolderExchange.take) as taken:
        answers = list(cluster.elsewhere(folder, partial(mul, "x"), sizes))

    assert answers == ["x" * size for size in sizes]
    assert taken.call_count == 2  # by this process; executors take tasks
    assert not list((folder.path / "derived").iterdir())


def test_a_job_beside_what_fails_is_given_up(folder: CaseFolder, cluster: Cluster, tmp_path: Path) -> None:
    """An error is told as soon as the tasks that are under way have ended, not once all of the job beside are done."""
    from tokentrail.store import spark_tasks

    done, place = tmp_path / "done", FolderExchange(folder.path / "derived" / ".spark-0")
    done.mkdir()

    def work(number: bytes) -> bytes:
        time.sleep(0.2)
        (done / number.decode()).touch()
        return number

    place.begin()
    numbers = [str(number).encode() for number in range(40)]
    for number in numbers:
        place.leave(name_of(number), number)
    with ThreadPoolExecutor(1) as pool:
        with suppress(SourceError), spark_tasks._cancelled(cluster._session) as tag:
            job = pool.submit(
                spark_tasks._job, cluster._session, tag, [name_of(one) for one in numbers], place, work
            )
            until(lambda: any(done.iterdir()))
            raise SourceError("another failed")
        assert job.exception() is not None
    assert len(list(done.iterdir())) < len(numbers)


def test_what_an_executor_can_do_at_the_second_try_is_done(folder: CaseFolder, cluster: Cluster) -> None:
    """Spark's own attempts stay, and words of one that is past are not raised for another task's."""

    def work(name: str) -> str:
        from pyspark import TaskContext

        context = TaskContext.get()
        if name == "b" or not context or not context.attemptNumber():
            raise SourceError(f"{name}: try {context.attemptNumber() if context else None}")
        return name

    assert ["a", "c"] == list(cluster.elsewhere(folder, work, ["a", "c"]))
    with pytest.raises(SourceError) as found:
        list(cluster.elsewhere(folder, work, ["a", "b", "c"]))
    assert "b: try 1" == str(found.value)
    assert not list((folder.path / "derived").iterdir())


def test_an_error_of_an_executor_is_raised_as_on_one_machine(folder: CaseFolder, cluster: Cluster) -> None:
    """Its kind, its words and what caused it; nothing of Spark's is about it. A fault says where it is."""

    def work(kind: str) -> None:
        if kind == "fault":
            raise KeyError(kind)
        if kind == "disk":
            raise FileNotFoundError(2, "No such file or directory", "/mnt/a\udc80")
        raise CaseError("x\x1b[31m") from ValueError("because")

    with pytest.raises(CaseError) as found:
        list(cluster.elsewhere(folder, work, ["case"]))
    assert "x\x1b[31m" == str(found.value)
    assert ("ValueError", "because") == (type(found.value.__cause__).__name__, str(found.value.__cause__))
    assert found.value.__suppress_context__
    with pytest.raises(OSError, match=r"^\[Errno 2\] No such file or directory: '/mnt/a"):
        list(cluster.elsewhere(folder, work, ["disk"]))
    with pytest.raises(Exception, match="fault") as fault:
        list(cluster.elsewhere(folder, work, ["fault"]))
    assert ("KeyError", "'fault'") == (type(fault.value).__name__, str(fault.value))
    assert any("in work" in one for one in fault.value.__notes__), "where it happened"


def test_an_executor_that_is_lost_is_said_in_words(folder: CaseFolder, cluster: Cluster) -> None:
    """As a worker process is that was killed: what to do next, and how Spark puts it behind that."""

    def work(_: str) -> None:
        os._exit(1)

    with pytest.raises(SourceError, match=r"lost.*run the same ingest again") as found:
        list(cluster.elsewhere(folder, work, ["a"]))
    assert "\n" not in str(found.value)
    assert found.value.__cause__ is not None


_LISTED = (
    "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a.json</Key><ETag>1</ETag><Size>2</Size>"
    "</Contents></ListBucketResult>"
)
_EXPIRED = "<Error><Code>ExpiredToken</Code><Message>The \x9b31mtoken has expired.</Message></Error>"


class _Bucket(BaseHTTPRequestHandler):
    """A bucket that can be listed, and whose first byte can be read; then the credentials expire."""

    def do_GET(self) -> None:
        if "list-type" in self.path:
            status, body = 200, _LISTED
        else:
            status, body = (206, "{") if self.headers["Range"] == "bytes=0-0" else (400, _EXPIRED)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


def test_the_command_tells_an_error_of_an_executor_as_on_one_machine(tmp_path: Path) -> None:
    """
    To the letter, with its cause and the same exit code, and without a line of a stack trace.

    No executor runs an `org.py` that lies in the current folder, as among the evidence: `pickle` asks for one.
    """
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYSPARK"))}
    (tmp_path / "org.py").write_text("open('ran', 'w')")
    keys = {
        "AWS_ACCESS_KEY_ID": "AKIARESPONDER0000001",
        "AWS_SECRET_ACCESS_KEY": "none",
        "HOME": str(tmp_path),
    }
    ran = [
        subprocess.run(
            [
                *(sys.executable, "-m", "tokentrail", "ingest", "-v"),
                *("--endpoint-url", f"http://127.0.0.1:{server.server_port}", "s3://logs/"),
                *("--case", str(tmp_path / "case"), *engine),
            ],
            capture_output=True,
            check=False,
            cwd=tmp_path,
            env=clean | keys | {"AWS_DEFAULT_REGION": "us-east-1"},
        )
        for engine in ((), ("--engine", "spark", "--master", "local[2]"))
    ]
    server.shutdown()
    server.server_close()
    local, spread = (one.stderr.decode() for one in ran)

    assert [(2, b"")] * 2 == [(one.returncode, one.stdout) for one in ran]
    assert re.fullmatch(r"Error: s3://logs/a\.json: could not be read \(.*\n(caused by .*\n)+", local)
    assert spread.endswith(f"\n{local}")
    assert not re.search(r"^\s+at |Traceback|Exception", spread, re.MULTILINE)
    assert "\x9b" not in spread
    assert not (tmp_path / "ran").exists()
