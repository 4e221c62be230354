"""
A case that Spark read in and linked gives the answers of one that this machine did, byte for byte.

At local[2] and with small partitions, so that every join shuffles. Needs Java, and the extra `spark`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import Phase, given, settings

from evidence import HOME, REAL, text
from strategies import worlds
from tokentrail import Case
from tokentrail.testing import World, native
from tokentrail.testing.story import story

if TYPE_CHECKING:
    from tokentrail.spark import Cluster

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java, which is not installed here"),
    pytest.mark.filterwarnings("default"),  # what Spark itself warns of is not ours
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Spark on this machine, with settings under which even small tables are shuffled."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from tokentrail.spark import Cluster

    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        "--conf spark.sql.shuffle.partitions=3 --conf spark.sql.autoBroadcastJoinThreshold=-1 "
        "--conf spark.default.parallelism=2 --conf spark.sql.files.openCostInBytes=4096 "
        "--conf spark.sql.adaptive.enabled=false --conf spark.sql.codegen.wholeStage=false "
        "--conf spark.sql.codegen.factoryMode=NO_CODEGEN pyspark-shell"
    )
    found = Cluster.start("local[2]")
    found.spread_from = 0
    yield found
    found.stop()


def everything(case: Case) -> str:
    """What a case answers, as JSON: the inventory, a trace of all, one of the last, a timeline, findings, the status."""
    listed = list(case.credentials())
    ids = [one.id for one in listed]
    status = case.status()
    shown = [
        *listed,
        case.trace(ids),
        case.trace(ids[-1:]),
        *case.timeline(ids[:1]),
        *case.detect(),
        *status.coverage,
    ]
    return "\n".join((text(shown), text(status.rejected)))


def both(folder: Path, sources: list[str], cluster: Cluster) -> tuple[Case, Case]:
    """The same evidence, read by this machine and by Spark."""
    local, spread = Case.open(folder / "local"), Case.open(folder / "spark")
    local.ingest(sources, workers=1)
    spread.ingest(sources, engine=cluster)
    return local, spread


def drawn(count: int) -> list[World]:
    """Some random worlds, the same each time."""
    found: list[World] = []

    @settings(max_examples=count, derandomize=True, database=None, phases=[Phase.generate])
    @given(worlds(rare=True))
    def draw(world: World) -> None:
        found.append(world)

    draw()
    return found


def test_the_story_random_worlds_and_their_repetition_come_out_the_same(
    tmp_path: Path, cluster: Cluster
) -> None:
    """Findings, traces and inventory equal, though a part of the records came twice and some can't be read."""
    logs = tmp_path / "logs"
    logs.mkdir()
    records = list(story().world.records())
    for number, world in enumerate(drawn(40)):
        records += world.records()
        (logs / f"{number}.json").write_bytes(native(world.records()))
    (logs / "all.json").write_bytes(native(records))
    (logs / "broken.json").write_bytes(b'{"Records":[{"eventVersion":"1.08","eventTime":"never"},7]}')
    local, spread = both(tmp_path, [str(logs)], cluster)
    with local, spread:
        assert everything(local) == everything(spread)


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


def test_what_is_little_is_linked_by_the_driver(tmp_path: Path, cluster: Cluster) -> None:
    """A case that is read by Spark, linked by this process, and then by Spark as it has grown, is told alike."""
    logs = tmp_path / "logs"
    logs.mkdir()
    records = story().world.records()
    (logs / "1.json").write_bytes(native(records[: len(records) // 2]))
    local, spread = Case.open(tmp_path / "local"), Case.open(tmp_path / "spark")
    with local, spread, mock.patch.object(cluster, "spread_from", len(records)):
        with mock.patch.object(cluster, "link", side_effect=AssertionError):
            spread.ingest([str(logs)], engine=cluster)
        local.ingest([str(logs)])
        assert everything(local) == everything(spread)

        (logs / "2.json").write_bytes(native(records[len(records) // 2 :]))
        with mock.patch.object(cluster, "link", wraps=cluster.link) as far:
            spread.ingest([str(logs)], engine=cluster)
        assert far.called
        local.ingest([str(logs)])
        assert everything(local) == everything(spread)


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
