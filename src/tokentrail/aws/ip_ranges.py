"""
AWS's IP address ranges: the list that ships with the package, or an ip-ranges.json of the user's.

Source of both: AWS General Reference / VPC User Guide, 'AWS IP address ranges'. The shipped list is merged: it tells
EC2's networks (hosts, functions, tasks and their NAT gateways call from these) from AWS's others, and no regions.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TypeAlias

from tokentrail.errors import UsageError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

SHIPPED = "ip_ranges.tsv"
"""The list beside this module: a line with the day, then a line for each network and its service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsRanges:
    """AWS's networks at some time."""

    as_of: date | None
    """The day that they are of, where it is known."""
    _labels: Mapping[tuple[int, int], Mapping[int, str]]
    """By version and length of a network: the labels by its leading bits."""

    @classmethod
    def of(cls, networks: Iterable[tuple[Network, str]], as_of: date | None) -> AwsRanges:
        """Take networks with their labels; of one network that is given twice, the later label counts."""
        labels: dict[tuple[int, int], dict[int, str]] = {}
        for network, label in networks:
            shift = network.max_prefixlen - network.prefixlen
            by_bits = labels.setdefault((network.version, network.prefixlen), {})
            by_bits[int(network.network_address) >> shift] = label
        return cls(as_of=as_of, _labels=dict(sorted(labels.items(), reverse=True)))

    def label_of(self, address: Address) -> str | None:
        """The label of the smallest network that holds an address, such as `EC2`; none if it is not AWS's."""
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        number, bits = int(address), address.max_prefixlen
        for (version, length), labels in self._labels.items():
            if version == address.version and (label := labels.get(number >> (bits - length))):
                return label
        return None


@cache
def shipped_ranges() -> AwsRanges:
    """The ranges that ship with the package."""
    text = resources.files("tokentrail.aws").joinpath(SHIPPED).read_text(encoding="ascii")
    (_, day), *rows = (line.split("\t") for line in text.splitlines())
    return AwsRanges.of(
        ((ipaddress.ip_network(network), service) for network, service in rows), date.fromisoformat(day)
    )


def read_ranges(path: Path) -> AwsRanges:
    """
    Read AWS's ip-ranges.json; labels have a region, such as `EC2 eu-west-1`.

    Raises:
        UsageError: it can't be read, or is another kind of file.
    """
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        rows = [(one["ip_prefix"], one) for one in listed["prefixes"]]
        rows += [(one["ipv6_prefix"], one) for one in listed.get("ipv6_prefixes", ())]
        networks = [
            (ipaddress.ip_network(prefix), str(one["service"]), str(one["region"])) for prefix, one in rows
        ]
        as_of = _day(listed.get("createDate"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path}: not AWS's ip-ranges.json (https://ip-ranges.amazonaws.com/ip-ranges.json): {error}."
        ) from error
    # AWS lists each network as AMAZON's, and again as each service's that uses it; EC2 says the most.
    networks.sort(key=lambda row: (row[1] != "AMAZON", row[1] == "EC2", row[1]))
    return AwsRanges.of(((network, f"{service} {region}") for network, service, region in networks), as_of)


def _day(created: object) -> date | None:
    """The day of a `createDate`, such as `2026-10-26-01-11-04`; none where it is missing or of another form."""
    try:
        return datetime.strptime(str(created), "%Y-%m-%d-%H-%M-%S").date()  # noqa: DTZ007 - AWS writes UTC
    except ValueError:
        return None
