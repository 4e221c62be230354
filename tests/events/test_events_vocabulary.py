"""The lists of calls."""

from __future__ import annotations

from botocore.loaders import create_loader
from botocore.regions import EndpointResolver

from tokentrail.events import vocabulary as words
from tokentrail.events.vocabulary import Mark, name_marks, source_marks


def test_each_name_is_in_one_list() -> None:
    """A call issues, changes or reveals: no name is in two lists."""
    assert not words.KEYLESS_ISSUERS & words.CHANGES
    assert not words.SECRET_READS & (words.CHANGES | words.KEYLESS_ISSUERS)


def test_marks_follow_the_lists() -> None:
    """The marks of names and sources are those of the lists they stand in, and they never meet."""
    assert {Mark.NAMES_ISSUER} == {name_marks(name) for name in words.KEYLESS_ISSUERS}
    assert {Mark.CHANGES} == {name_marks(name) for name in words.CHANGES}
    assert {Mark.READS_SECRET} == {
        name_marks(name) for name in words.SECRET_READS - words.NAMED_BY_CALL.keys()
    }
    both = Mark.READS_SECRET | Mark.NAMES_RESOURCE
    assert {both} == {name_marks(name) for name in words.NAMED_BY_CALL}
    assert all(source_marks(source) & Mark.FROM_ISSUER for source in words.ISSUING_SOURCES)
    assert all(source_marks(source) & Mark.NAMES_RESOURCE for source in words.NAMED_BY_REQUEST)
    assert (0, 0) == (name_marks(None), source_marks(None))


def test_sources_are_spelled_as_cloudtrail_does() -> None:
    """Every source is a service's DNS name."""
    assert all(one.endswith(".amazonaws.com") for one in words.ISSUING_SOURCES | set(words.NAMED_BY_REQUEST))


def test_the_region_of_iam_is_known_in_every_partition() -> None:
    """Of each partition that the SDK knows, as evidence may be of any: the region that IAM's endpoint is of."""
    loader = create_loader()
    endpoints = EndpointResolver(loader.load_data("endpoints"))
    found = set()
    for one in loader.load_data("partitions")["partitions"]:
        home = one["outputs"]["implicitGlobalRegion"]
        endpoint = endpoints.construct_endpoint("iam", home, one["id"])
        found.add(endpoint.get("credentialScope", {}).get("region", home))

    assert "eusc-de-east-1" in found and found == words.IAM_REGIONS
