"""Which addresses networks use within themselves, as calls through a VPC's endpoints show them."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

_INNER = tuple(
    ipaddress.ip_network(one)
    for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
                "fc00::/7", "fe80::/10", "::1/128")
)  # fmt: skip
"""Networks that lead nowhere from outside; those of documentation count as public, since made evidence uses them."""


@lru_cache(maxsize=65_536)
def parsed(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address; `None` for what is none, such as the name of a service."""
    try:
        return ipaddress.ip_address(text or "")
    except ValueError:
        return None


@lru_cache(maxsize=65_536)
def is_public(text: str) -> bool:
    """Whether a text is an address, and none that several networks may have within themselves."""
    address = parsed(text)
    return address is not None and not any(address in one for one in _INNER)
