"""IP addresses in records: public ones, and private ones as calls through VPC endpoints show them."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

_PRIVATE = tuple(
    ipaddress.ip_network(one)
    for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
                "fc00::/7", "fe80::/10", "::1/128")
)  # fmt: skip
"""Networks without addresses on the internet. Documentation networks count as public: made-up evidence uses them."""
_LONGEST = 100
"""Characters of a text that is parsed at most: an address has 45, and longer texts would fill the cache."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_address(text: str | None) -> Address | None:
    """Parse an address; `None` where the text is none, such as the name of a service."""
    return _parse_address(text) if text and len(text) <= _LONGEST else None


def is_public(text: str) -> bool:
    """Whether a text is an address, and not a private one."""
    address = parse_address(text)
    return address is not None and not _is_private(address)


def line_of(text: str) -> str:
    """
    What tells one subscriber's line from others: the address; of public IPv6 the network of its first 64 bits.

    A host takes a new address within that every day (RFC 8981, 'Temporary Address Extensions for SLAAC'; RFC 4291,
    '2.5.1. Interface Identifiers'). All links have the same local one.
    """
    address = parse_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None and is_public(text):
        return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
    return text


@lru_cache(maxsize=65_536)
def _parse_address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@lru_cache(maxsize=65_536)
def _is_private(address: Address) -> bool:
    return any(address in one for one in _PRIVATE)
