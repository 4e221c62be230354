"""Addresses, and what stands in their place."""

from __future__ import annotations

import pytest

from tokentrail.lineage import addresses


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("203.0.113.7", True),
        ("10.0.0.7", False),
        ("2001:db8::7", True),
        ("fe80::1%eth0", False),
        ("ec2.amazonaws.com", False),
    ],
)
def test_what_several_networks_may_have_is_not_public(text: str, public: bool) -> None:
    """Neither is what is no address."""
    assert public == addresses.is_public(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:0:7:aaaa::1", "2001:db8:0:7::/64"),
        ("2001:DB8:0:7::2", "2001:db8:0:7::/64"),
        ("::5", "::/64"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
        ("ec2.amazonaws.com", "ec2.amazonaws.com"),
    ],
)
def test_of_ipv6_the_network_tells_a_subscriber_apart(text: str, line: str) -> None:
    """Of IPv4 the address does, and what is no address tells itself."""
    assert line == addresses.line_of(text)


@pytest.mark.parametrize("text", ["9" * 10_000, "fe80::1%" + "x" * 10_000])
def test_what_is_longer_than_any_address_is_not_remembered(text: str) -> None:
    """A log full of planted addresses of 10 KB would fill memory, each looked at once."""
    before = addresses._parse_address.cache_info()

    assert addresses.parse_address(text) is None
    assert not addresses.is_public(text)
    assert before == addresses._parse_address.cache_info()
