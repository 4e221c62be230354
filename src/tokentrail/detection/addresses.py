"""
What is known of an address besides the log: country and owner by MaxMind databases, and whether it is AWS's.

All of it comes from files that the user gives; no network is asked. Sources: MaxMind DB file format 2.0, GeoLite2's and
GeoIP2's Country, City, ASN and ISP databases; AWS General Reference, 'AWS IP address ranges' (ip-ranges.json).
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from tokentrail.errors import UsageError
from tokentrail.lineage.addresses import is_public, parse_address

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One address, and what is known of it."""

    ip: str
    country: str | None = None
    """Two letters, as ISO 3166-1 spells it."""
    asn: int | None = None
    """The number of the autonomous system that announces it."""
    owner: str | None = None
    """The owner of that system."""
    aws: str | None = None
    """Service and region, if AWS lists it as its own, such as `EC2 eu-west-1`."""


class Addresses:
    """Looks up addresses in the given files."""

    def __init__(
        self, databases: Sequence[Any] = (), ranges: Mapping[tuple[int, int], Mapping[int, str]] | None = None
    ) -> None:
        self._databases, self._ranges = databases, ranges
        self._found: dict[str, Address] = {}

    @classmethod
    def read(cls, databases: Sequence[Path] = (), ranges: Path | None = None) -> Addresses:
        """
        Open databases.

        Args:
            databases: MaxMind DB files, of countries, cities, owners, in any number.
            ranges: AWS's ip-ranges.json.

        Raises:
            UsageError: one of them can't be read.
        """
        return cls([_opened(one) for one in databases], _ranges(ranges) if ranges else None)

    @property
    def knows_aws(self) -> bool:
        """Whether it can tell AWS's addresses from others."""
        return self._ranges is not None

    @property
    def knows_owners(self) -> bool:
        """Whether there is any database to ask for owners and countries."""
        return bool(self._databases)

    def of(self, ip: str) -> Address:
        """What is known of an address; only the text, if it is no address."""
        found = self._found.get(ip)
        if found is None:
            found = self._found[ip] = self._looked_up(ip)
        return found

    def in_words(self, ip: str) -> str:
        """An address in words, with what is known of it."""
        one = self.of(ip)
        owner = f"AS{one.asn} {one.owner or ''}".rstrip() if one.asn is not None else one.owner
        known = [each for each in (one.country, owner, one.aws and f"AWS {one.aws}") if each]
        if self.knows_aws and one.aws is None and is_public(ip):
            known.append("not AWS")
        return f"{ip} ({', '.join(known)})" if known else ip

    def outside_aws(self, ip: str) -> bool:
        """Whether an address is surely not AWS's: public, and in none of its ranges."""
        return self.knows_aws and self.of(ip).aws is None and is_public(ip)

    def same_owner(self, one: str, other: str) -> bool:
        """Whether two addresses are known to belong to one network's owner, in one country where that is known."""
        mine, theirs = self.of(one), self.of(other)
        return mine.asn is not None and mine.asn == theirs.asn and mine.country == theirs.country

    def far_apart(self, one: str, other: str) -> bool:
        """Whether two addresses are known to lie in two countries."""
        mine, theirs = self.of(one).country, self.of(other).country
        return None not in (mine, theirs) and mine != theirs

    def _looked_up(self, ip: str) -> Address:
        number = parse_address(ip)
        found = Address(ip=ip)
        if number is None or not is_public(ip):
            return found
        for database in self._databases:
            if number.version == 6 and database.metadata().ip_version == 4:
                continue
            found = _with(found, database.get(str(number)))
        return replace(found, aws=self._aws(number)) if self._ranges is not None else found

    def _aws(self, number: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str | None:
        for length in range(number.max_prefixlen, -1, -1):
            listed = (self._ranges or {}).get((number.version, length))
            if listed and (told := listed.get(int(number) >> (number.max_prefixlen - length))):
                return told
        return None


def _with(found: Address, record: Any) -> Address:
    """Add what a database says; MaxMind's spelling, and the flat one of others."""
    if not isinstance(record, dict):
        return found
    country = record.get("country") or record.get("registered_country")
    code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code") or country
    number = record.get("autonomous_system_number", record.get("asn"))
    asn = str(number).upper().removeprefix("AS") if number is not None else ""
    owner = record.get("autonomous_system_organization") or record.get("as_name")
    return replace(
        found,
        country=code if isinstance(code, str) and len(code) == 2 else found.country,
        asn=int(asn) if asn.isascii() and asn.isdecimal() else found.asn,
        owner=owner if isinstance(owner, str) else found.owner,
    )


def _opened(path: Path) -> Any:
    import maxminddb  # takes its time to load, and few have such files

    try:
        return maxminddb.open_database(str(path), maxminddb.MODE_AUTO)
    except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
        raise UsageError(f"{path}: no MaxMind database that can be read (*.mmdb): {error}.") from error


def _ranges(path: Path) -> dict[tuple[int, int], dict[int, str]]:
    """Networks by version and length, then by their leading bits; the most telling service of each."""
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        rows = [(one["ip_prefix"], one) for one in listed["prefixes"]]
        rows += [(one["ipv6_prefix"], one) for one in listed.get("ipv6_prefixes", ())]
        return _by_length(
            (ipaddress.ip_network(cidr), str(one["service"]), str(one["region"])) for cidr, one in rows
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: not AWS's ip-ranges.json (https://ip-ranges.amazonaws.com/ip-ranges.json): {error}."
        ) from error


def _by_length(rows: Iterable[tuple[_Network, str, str]]) -> dict[tuple[int, int], dict[int, str]]:
    found: dict[tuple[int, int], dict[int, str]] = {}
    for network, service, region in sorted(
        rows, key=lambda row: (row[1] != "AMAZON", row[1] == "EC2", row[1])
    ):
        shift = network.max_prefixlen - network.prefixlen
        by_bits = found.setdefault((network.version, network.prefixlen), {})
        by_bits[int(network.network_address) >> shift] = f"{service} {region}"
    return found
