"""The AWS address ranges that ship with the package, and how they are made."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import random
from datetime import date
from importlib import resources
from pathlib import Path
from types import ModuleType

import pytest

from tokentrail.aws.ip_ranges import SHIPPED, AwsRanges, Network, read_ranges, shipped_ranges

PAGE = Path(__file__).parents[2] / "docs" / "detection.md"
TOOL = Path(__file__).parents[2] / "tools" / "aws_ranges.py"


def label(ranges: AwsRanges, ip: str) -> str | None:
    return ranges.label_of(ipaddress.ip_address(ip))


@pytest.fixture(name="tool", scope="module")
def _tool() -> ModuleType:
    """The tool that writes the shipped list."""
    spec = importlib.util.spec_from_file_location("aws_ranges", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(name="listed", scope="module")
def _listed() -> list[tuple[Network, str]]:
    """The networks of the shipped list, as it is written."""
    text = resources.files("tokentrail.aws").joinpath(SHIPPED).read_text()
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    return [(ipaddress.ip_network(network), service) for network, service in rows]


@pytest.mark.parametrize(
    ("ip", "service"),
    [
        ("3.225.16.109", "EC2"), ("52.45.102.28", "EC2"), ("18.236.253.47", "EC2"), ("2600:1f18::7", "EC2"),
        ("13.248.1.1", "AMAZON"), ("2600:9000:2000::1", "AMAZON"),
        ("203.0.113.77", None), ("192.0.2.10", None), ("198.51.100.7", None), ("10.0.0.7", None), ("8.8.8.8", None),
        ("2001:db8::7", None), ("fd00::1", None), ("2003:e1::7", None),
    ],
)  # fmt: skip
def test_the_shipped_ranges_tell_aws_from_others(ip: str, service: str | None) -> None:
    """Instances of real evidence and known networks of AWS are in, as IPv4 and IPv6; other people's are not."""
    assert label(shipped_ranges(), ip) == service


def test_the_shipped_ranges_say_of_which_day_they_are() -> None:
    """The list begins with its day, which the page names."""
    day = shipped_ranges().as_of

    assert day is not None and day >= date(2026, 10, 26)
    assert f"These are of {day.day} {day:%B %Y}" in PAGE.read_text()


def test_the_shipped_list_is_merged(listed: list[tuple[Network, str]]) -> None:
    """No network can be put together with another of its label, and each of EC2's lies in AWS's."""
    for version in (4, 6):
        networks = [network for network, _ in listed if network.version == version]
        rented = [network for network, service in listed if network.version == version and service == "EC2"]
        whole = [*ipaddress.collapse_addresses(networks)]  # type: ignore[type-var]
        assert [*ipaddress.collapse_addresses(rented)] == sorted(rented)  # type: ignore[type-var]
        assert {*networks} - {*rented} <= {*whole} <= {*networks}


def test_an_address_has_the_label_of_the_smallest_network_that_holds_it(
    listed: list[tuple[Network, str]],
) -> None:
    """For addresses at the edges of networks and anywhere, the answer is that of looking through all of them."""
    chance = random.Random(7)
    edges = [
        network.network_address + offset
        for network, _ in chance.sample(listed, 60)
        for offset in (0, network.num_addresses - 1, network.num_addresses)
        if int(network.network_address) + offset < 2**network.max_prefixlen
    ]
    anywhere = [ipaddress.IPv4Address(chance.getrandbits(32)) for _ in range(60)]
    for address in (*edges, *anywhere):
        holding = [(network.prefixlen, service) for network, service in listed if address in network]
        assert shipped_ranges().label_of(address) == max(holding, default=(0, None))[1]


def test_what_the_tool_writes_tells_the_same_as_what_it_read(tool: ModuleType, tmp_path: Path) -> None:
    """Merging loses no address and adds none, and keeps EC2's apart; networks of both versions may touch and overlap."""
    chance = random.Random(7)
    prefixes = [
        {"ip_prefix": f"3.0.{4 * chance.randrange(8)}.0/{chance.choice((20, 22, 23, 24))}", "region": "r", "service": name}
        for name in ("AMAZON", "S3", "EC2")
        for _ in range(8)
    ]  # fmt: skip
    prefixes = [
        one | {"ip_prefix": str(ipaddress.ip_network(one["ip_prefix"], strict=False))} for one in prefixes
    ]
    sixes = [
        {"ipv6_prefix": f"2600:{n}::/32", "region": "r", "service": name}
        for n, name in ((2, "EC2"), (3, "S3"))
    ]
    path = tmp_path / "ip-ranges.json"
    path.write_text(
        json.dumps({"createDate": "2026-11-01-00-00-00", "prefixes": prefixes, "ipv6_prefixes": sixes})
    )
    day, *lines = tool.lines(*tool.published(path))
    rows = [line.split("\t") for line in lines]
    made = AwsRanges.of(((ipaddress.ip_network(network), service) for network, service in rows), None)

    assert day == "date\t2026-11-01"
    for number in range(0, 2**14, 61):
        address = ipaddress.ip_address(f"3.0.{number >> 8}.{number & 255}")
        services = {one["service"] for one in prefixes if address in ipaddress.ip_network(one["ip_prefix"])}
        assert made.label_of(address) == ("EC2" if "EC2" in services else "AMAZON" if services else None)
    assert [label(made, f"2600:{n}::1") for n in (1, 2, 3)] == [None, "EC2", "AMAZON"]


@pytest.mark.parametrize("created", [None, 7, [], "", "yesterday", "2026-13-01-00-00-00", "9" * 10_000])
def test_a_file_without_a_day_is_read_all_the_same(created: object, tmp_path: Path) -> None:
    """What stands for `createDate` may be missing or odd; then the ranges are of no known day."""
    path = tmp_path / "ip-ranges.json"
    row = {"ip_prefix": "198.51.100.0/24", "service": "EC2", "region": "eu-west-1"}
    path.write_text(json.dumps({"createDate": created, "prefixes": [row]}))

    assert read_ranges(path).as_of is None
    assert label(read_ranges(path), "198.51.100.7") == "EC2 eu-west-1"
