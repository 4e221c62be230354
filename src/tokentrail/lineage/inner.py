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
_LONGEST = 100
"""Characters of what is looked at: an address has 45, and what is remembered of others must not fill memory."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parsed(text: str | None) -> Address | None:
    """An address; `None` for what is none, such as the name of a service."""
    return _parsed(text) if text and len(text) <= _LONGEST else None


def is_public(text: str) -> bool:
    """Whether a text is an address, and none that several networks may have within themselves."""
    address = parsed(text)
    return address is not None and not _is_inner(address)


@lru_cache(maxsize=65_536)
def _parsed(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@lru_cache(maxsize=65_536)
def _is_inner(address: Address) -> bool:
    return any(address in one for one in _INNER)
