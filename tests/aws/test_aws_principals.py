"""Where principals live: partitions and regions."""

from __future__ import annotations

from botocore.loaders import create_loader
from botocore.regions import EndpointResolver

from tokentrail.aws.principals import IAM_REGIONS


def test_the_region_of_iam_is_known_in_every_partition() -> None:
    """Of each partition that the SDK knows, as evidence may be of any: the region that IAM's endpoint is of."""
    loader = create_loader()
    endpoints = EndpointResolver(loader.load_data("endpoints"))
    found = set()
    for one in loader.load_data("partitions")["partitions"]:
        home = one["outputs"]["implicitGlobalRegion"]
        endpoint = endpoints.construct_endpoint("iam", home, one["id"])
        found.add(endpoint.get("credentialScope", {}).get("region", home))

    assert "eusc-de-east-1" in found and found == IAM_REGIONS
