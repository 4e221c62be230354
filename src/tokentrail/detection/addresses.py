"""
What is known of an address besides the log: country and owner by MaxMind databases, and whether it is AWS's.

Databases are files of the user's; AWS's ranges ship with the package, or are a file, too. No network is asked. Sources:
MaxMind DB file format 2.0, GeoLite2's and GeoIP2's Country, City, ASN and ISP databases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

from tokentrail.aws.ip_ranges import AwsRanges, read_ranges, shipped_ranges
from tokentrail.errors import UsageError
from tokentrail.lineage.addresses import is_public, parse_address

_TRUSTED_DAYS = 183
"""Days after which AWS's ranges are old. Of EC2's IPv4, lists half a year old lack 0.5 %, and a year old 3.4 %."""


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
    """
    The service, if AWS lists it as its own: `EC2`, or `AMAZON` for all others; by a file of the user's with the region,
    such as `S3 eu-west-1`.
    """


class Addresses:
    """Looks up addresses in the given files, and in AWS's ranges."""

    def __init__(self, databases: Sequence[Any] = (), ranges: AwsRanges | None = None) -> None:
        self._databases, self._given = databases, ranges
        self._found: dict[str, Address] = {}

    @classmethod
    def read(cls, databases: Sequence[Path] = (), ranges: Path | None = None) -> Addresses:
        """
        Open databases.

        Args:
            databases: MaxMind DB files, of countries, cities, owners, in any number.
            ranges: AWS's ip-ranges.json, in place of the ranges that ship with the package.

        Raises:
            UsageError: one of them can't be read.
        """
        return cls([_opened(one) for one in databases], read_ranges(ranges) if ranges else None)

    @property
    def ranges(self) -> AwsRanges:
        """AWS's ranges."""
        return self._given or shipped_ranges()

    def are_old(self, when: int) -> bool:
        """Whether AWS's ranges are known to be much older than a time: AWS has got further ones since."""
        day = self.ranges.as_of
        return day is not None and when >= _seconds(day) + 86_400 * _TRUSTED_DAYS

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
        known = [
            each
            for each in (one.country, owner, one.aws and f"AWS {one.aws}".removesuffix(" AMAZON"))
            if each
        ]
        if self._given is not None and one.aws is None and is_public(ip):
            known.append("not AWS")
        return f"{ip} ({', '.join(known)})" if known else ip

    def outside_aws(self, ip: str) -> bool:
        """Whether an address is surely not AWS's: public, and in none of its ranges."""
        number = parse_address(ip)
        if isinstance(number, IPv6Address) and number.ipv4_mapped is not None:
            ip = str(number.ipv4_mapped)
        return self.of(ip).aws is None and is_public(ip)

    def inside_aws(self, ip: str) -> bool:
        """Whether an address is AWS's, or a private one, as calls through an endpoint of a VPC show it."""
        return parse_address(ip) is not None and not self.outside_aws(ip)

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
        return replace(found, aws=self.ranges.label_of(number))


def _seconds(day: date) -> int:
    """The start of a day, in seconds since 1970."""
    return int(datetime.combine(day, time(), UTC).timestamp())


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
