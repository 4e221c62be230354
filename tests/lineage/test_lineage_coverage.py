"""What the evidence lacks, by the accounts and regions that occur in it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tokentrail.lineage.coverage import gaps, warnings
from tokentrail.results import Coverage

ACCOUNT = "111111111111"
WHEN = datetime(2026, 1, 5, 18, tzinfo=UTC)


def covered(region: str | None) -> Coverage:
    """An hour in which a region logged events of every kind."""
    return Coverage(
        account=ACCOUNT,
        region=region,
        first=WHEN,
        last=WHEN,
        hours_seen=1,
        gaps=(),
        read_only_events=True,
        write_events=True,
        data_events=True,
    )


@pytest.mark.parametrize(
    ("regions", "named"),
    [
        (["us-gov-east-1"], "us-gov-west-1"),
        (["us-gov-east-1", None], "us-gov-west-1"),
        (["cn-northwest-1"], "cn-north-1"),
        (["us-iso-west-1"], "us-iso-east-1"),
        (["us-isob-west-1"], "us-isob-east-1"),
        (["us-isof-east-1"], "us-isof-south-1"),
        (["us-west-2", "eu-west-1"], "such as us-east-1"),
        (["us-gov-east-1", "eu-west-1"], "such as us-east-1"),
        (["somewhere"], "such as us-east-1"),
        ([None], "such as us-east-1"),
    ],
)
def test_the_region_of_iam_is_named_by_the_partition_of_the_others(
    regions: list[str | None], named: str
) -> None:
    """
    What lacks the changes of IAM names the region of the account's own partition, as far as its regions tell that.

    Source: CloudTrail User Guide, 'About global service events'; IAM has one region in each partition.
    """
    some = [covered(region) for region in regions]

    [warned], [gap] = warnings(some), gaps(some, {ACCOUNT})
    assert f"no events of the region where changes of IAM are logged, {named}. What made" in warned
    assert f"no events of the region where changes of IAM are logged, {named}: what made" in gap.why


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1", "cn-north-1"])
def test_where_the_region_of_iam_is_covered_nothing_is_lacking(region: str) -> None:
    """Each partition's own region of IAM is one."""
    assert ((), ()) == (warnings([covered(region)]), gaps([covered(region)], {ACCOUNT}))
