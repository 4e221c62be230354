"""What the tests of parity share: one Spark for all of them, and evidence with this machine's answers from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from parity_cases import Evidence, drawn, everything

from aws_server import _moto_url  # noqa: F401 - a fixture
from evidence import START
from tokentrail import Case
from tokentrail.testing import World, native
from tokentrail.testing.story import story

if TYPE_CHECKING:
    from tokentrail.spark import Cluster


@pytest.fixture(scope="session")
def cluster(moto_url: str) -> Iterator[Cluster]:
    """
    Spark on this machine.

    Executors have the environment that Spark is started in: by that they reach the bucket.
    """
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed")
    from tokentrail.spark import Cluster

    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKIARESPONDER0000001", "AWS_SECRET_ACCESS_KEY": "none", "AWS_ENDPOINT_URL": moto_url,
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        found = Cluster.start("local[2,2]")
        yield found
        found.stop()


@pytest.fixture(name="evidence", scope="session")
def _evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """The story and some random worlds, some of it twice, some unreadable."""
    folder = tmp_path_factory.mktemp("evidence") / "logs"
    folder.mkdir()
    records = list(story().world.records())
    early = World(START, seed=77)
    early.user("early").assumes("Deploy", "x").calls("s3:ListBuckets", count=5)
    (folder / "early.json").write_bytes(native(early.records()))
    for number, world in enumerate(drawn(40)):
        records += world.records()
        (folder / f"{number}.json").write_bytes(native(world.records()))
    (folder / "all.json").write_bytes(native(records))
    (folder / "broken.json").write_bytes(b'{"Records":[{"eventVersion":"1.08","eventTime":"never"},7]}')
    with Case.open(folder.parent / "case") as case:
        case.ingest([str(folder)], workers=1)
        return Evidence(
            folder=folder, part=folder / "early.json", answers=everything(case), objects=case.status().objects
        )
