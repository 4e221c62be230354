"""What lies in the folders of regions can be listed elsewhere, several folders at once, with the same outcome."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cloud_cases import BUCKET, Cloud, Refusal

from evidence import AWAY, HOME, START
from tokentrail.errors import SourceError
from tokentrail.sources import files, listing
from tokentrail.sources.interface import Wanted
from tokentrail.sources.listing import Contents, Lister
from work import some

HERE = f"AWSLogs/{HOME}/CloudTrail/us-east-1/"
DAYS = [START + timedelta(days=number) for number in (-40, -2, -1, 0, 1, 2, 400)]
PARTS = [
    Wanted(),
    Wanted(accounts=frozenset({HOME}), regions=frozenset({"us-east-1"})),
    Wanted(since=START),
    Wanted(until=START),
    Wanted(since=START - timedelta(days=1), until=START + timedelta(days=1)),
]
PREFIXES = ["", "AWSLogs/", f"AWSLogs/{HOME}/", HERE, f"{HERE}2026/1"]
SOME = 3
"""Pieces that are enough where some regions are divided further and others not: there all is asked for from everywhere."""


class Elsewhere:
    """Does work on what has been pickled, as another machine would, and remembers what on."""

    def __init__(self) -> None:
        self.things: list[str] = []

    def __call__(self, work: Callable[[Any], Any], things: Sequence[Any]) -> Iterator[Any]:
        self.things += things
        sent = pickle.dumps(work)
        return (pickle.loads(pickle.dumps(pickle.loads(sent)(one))) for one in things)


def names(kind: str = "CloudTrail") -> Iterator[str]:
    """Log files of two accounts, two regions and some days, as CloudTrail names them."""
    for account, region, day in itertools.product((HOME, AWAY), ("us-east-1", "eu-west-1"), DAYS):
        yield (
            f"AWSLogs/{account}/{kind}/{region}/{day:%Y/%m/%d}/{account}_{kind}_{region}_{day:%Y%m%dT%H%MZ}_A.json.gz"
        )


OTHERS = (
    "readme.txt", "export/all.json", "export/2026/11/24/part.json", f"{HERE}stray.json", f"{HERE}2026/stray.json",
    f"{HERE}2026/11/stray.json", f"{HERE}2026/11/23/deep/er.json", f"{HERE}odd/folder/a.json", f"{HERE}2026-11/a.json",
)  # fmt: skip


def fill(cloud: Cloud) -> None:
    """A bucket with logs, with digests among them, and with what stands where nothing should."""
    for name in (*names(), *OTHERS):
        cloud.put(name, b"{}")
    digest = f"{HOME}_CloudTrail-Digest_us-east-1_{START:%Y%m%dT%H%MZ}_D.json.gz"
    cloud.put(f"{HERE}{START:%Y/%m/%d}/{digest}", b"{}")


@pytest.mark.parametrize("enough", some([1, SOME, 20, 1_000], 2))
def test_a_bucket_is_listed_alike_wherever_its_folders_are(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, enough: int
) -> None:
    """The same objects, skips and counts for each part that may be wanted, however finely regions are divided."""
    monkeypatch.setattr(listing, "SHARDS", enough)
    fill(cloud)
    for prefix, wanted in (
        itertools.product(PREFIXES, PARTS) if enough == SOME else [*zip(PREFIXES, PARTS, strict=True)]
    ):
        lister = Lister(cloud.access, BUCKET, wanted)
        found: Contents = lister.contents(prefix)

        assert found.objects
        assert found == lister.contents(prefix, Elsewhere())


def test_regions_are_divided_by_day_only_where_they_are_few(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With enough regions each is one piece; else years, months and days are, but for those before what is wanted."""
    fill(cloud)
    lister = Lister(cloud.access, BUCKET, Wanted(since=START, regions=frozenset({"us-east-1"})))
    days, regions = Elsewhere(), Elsewhere()
    lister.contents("AWSLogs/", days)
    monkeypatch.setattr(listing, "SHARDS", 2)
    lister.contents("AWSLogs/", regions)

    assert regions.things == [f"AWSLogs/{one}/CloudTrail/us-east-1/" for one in sorted((HOME, AWAY))]
    assert f"{HERE}{START:%Y/%m/%d}/" in days.things
    assert f"{HERE}{START - timedelta(days=1):%Y/%m/%d}/" not in days.things


def test_a_listing_that_is_denied_elsewhere_is_explained(cloud: Cloud) -> None:
    """The same words as where this process lists."""
    fill(cloud)
    day = f"{HERE}{START:%Y/%m/%d}/"
    cloud.wire.fault = lambda one: (
        Refusal(403, "AccessDenied", "Access Denied") if one.asked.get("prefix") == day else None
    )
    with pytest.raises(SourceError, match="s3:ListBucket"):
        Lister(cloud.access, BUCKET, Wanted()).contents("", Elsewhere())


@pytest.mark.parametrize("enough", [1, 3, 20, 1_000])
def test_a_folder_is_walked_alike_wherever_its_folders_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, enough: int
) -> None:
    """The same files in the same order, links and all."""
    monkeypatch.setattr(files, "SHARDS", enough)
    for name in (*names(), *OTHERS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"{}")
    (tmp_path / HERE / "loop").symlink_to(tmp_path)
    elsewhere = Elsewhere()
    for folder in (tmp_path, tmp_path / HERE, tmp_path / HERE / "2026", tmp_path / "export"):
        found = list(files.objects([str(folder)]))

        assert found
        assert found == list(files.objects([str(folder)], elsewhere))
    assert elsewhere.things
    assert all("/CloudTrail/" in one for one in elsewhere.things), (
        "what has no regions is walked by this process"
    )
