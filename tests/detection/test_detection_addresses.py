"""What databases of the user know of addresses, and what rules make of it."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet
from rule_cases import ELSEWHERE, GATEWAY, TOOL, ada, world

from evidence import held
from tokentrail.aws.ip_ranges import AwsRanges
from tokentrail.detection.addresses import Address, Addresses
from tokentrail.detection.model import Finding
from tokentrail.errors import UsageError
from tokentrail.testing import World

HOSTING, CARRIER = "203.0.113.0/24", "192.0.2.0/24"
RANGES = {
    "syncToken": "1", "createDate": "2026-11-01-00-00-00",
    "prefixes": [
        {"ip_prefix": "198.51.100.0/25", "region": "eu-west-1", "service": "AMAZON", "network_border_group": "eu-west-1"},
        {"ip_prefix": "198.51.100.0/25", "region": "eu-west-1", "service": "EC2", "network_border_group": "eu-west-1"},
        {"ip_prefix": "198.51.0.0/16", "region": "GLOBAL", "service": "AMAZON", "network_border_group": "GLOBAL"},
    ],
    "ipv6_prefixes": [
        {"ipv6_prefix": "2001:db8:a::/48", "region": "us-east-1", "service": "EC2", "network_border_group": "us-east-1"},
    ],
}  # fmt: skip


def database(path: Path, kind: str, rows: dict[str, dict[str, object]], version: int = 6) -> Path:
    """A small MaxMind database."""
    writer = MMDBWriter(version, database_type=kind, ipv4_compatible=version == 6)
    for network, record in rows.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return path


@pytest.fixture(name="files", scope="module")
def _files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Countries, owners, and AWS's ranges."""
    folder = tmp_path_factory.mktemp("geo")
    country = {
        network: {"country": {"iso_code": code}} for network, code in ((HOSTING, "NL"), (CARRIER, "DE"))
    }
    owners = {
        HOSTING: {"autonomous_system_number": 64501, "autonomous_system_organization": "Example Hosting"},
        CARRIER: {"autonomous_system_number": 64502, "autonomous_system_organization": "Example Carrier"},
        "198.18.0.0/24": {
            "autonomous_system_number": 64502,
            "autonomous_system_organization": "Example Carrier",
        },
        "2001:db8:c::/48": {"autonomous_system_number": 64502},
    }
    (folder / "ip-ranges.json").write_text(json.dumps(RANGES))
    return {
        "country": database(folder / "country.mmdb", "GeoLite2-Country", country),
        "owner": database(folder / "asn.mmdb", "GeoLite2-ASN", owners),
        "aws": folder / "ip-ranges.json",
    }


@pytest.fixture(name="known", scope="module")
def _known(files: dict[str, Path]) -> Addresses:
    return Addresses.read([files["country"], files["owner"]], files["aws"])


def judged(place: World, rule: str, known: Addresses | None) -> tuple[Finding, ...]:
    """What a rule finds in a world."""
    with held(place) as case:
        return case.detect(rules=[rule], addresses=known)


def test_files_tell_country_owner_and_aws(known: Addresses) -> None:
    """What each file knows comes together; the longest network of AWS's counts, and of one network the plainest name."""
    assert known.of(ELSEWHERE) == Address(ip=ELSEWHERE, country="NL", asn=64501, owner="Example Hosting")
    assert known.of("198.51.100.23").aws == "EC2 eu-west-1"
    assert known.of("198.51.100.200").aws == "AMAZON GLOBAL"
    assert known.of("2001:db8:a::7").aws == "EC2 us-east-1"
    assert known.of("2001:db8:c::7").asn == 64502
    assert known.in_words(ELSEWHERE) == f"{ELSEWHERE} (NL, AS64501 Example Hosting, not AWS)"


@pytest.mark.parametrize(
    "source", ["s3.amazonaws.com", "AWS Internal", "10.0.0.7", "100.64.1.1", "fd00::1", "", "1.2.3"]
)
def test_what_leads_nowhere_is_not_looked_up(source: str, known: Addresses) -> None:
    """Names of services, private addresses and odd texts have no country, and are not outside AWS."""
    assert known.of(source) == Address(ip=source)
    assert not known.outside_aws(source)
    assert known.in_words(source) == source


def test_without_files_only_aws_is_known() -> None:
    """An address is told as it is, but for AWS's own, which the shipped ranges tell; EC2's among them by name."""
    none = Addresses()

    assert none.in_words(ELSEWHERE) == ELSEWHERE
    assert none.in_words(GATEWAY) == f"{GATEWAY} (AWS EC2)"
    assert none.in_words("13.248.1.1") == "13.248.1.1 (AWS)"
    assert none.outside_aws(ELSEWHERE) and not none.outside_aws(GATEWAY)
    assert not none.same_owner(ELSEWHERE, ELSEWHERE)


@pytest.mark.parametrize("mapped", ["::ffff:10.0.0.7", f"::ffff:{GATEWAY}"])
def test_an_ipv4_address_as_ipv6_is_the_same_address(mapped: str) -> None:
    """Neither a private address nor AWS's is outside AWS for being written as IPv6."""
    assert not Addresses().outside_aws(mapped)
    assert Addresses().outside_aws(f"::ffff:{ELSEWHERE}")


def test_ranges_are_old_half_a_year_later(known: Addresses) -> None:
    """The day of the user's file counts; a file without a day is never called old."""
    day = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())

    assert [known.are_old(day + 86_400 * days) for days in (-400, 182, 183, 10**12)] == [
        False,
        False,
        True,
        True,
    ]
    assert not Addresses(ranges=AwsRanges.of([], None)).are_old(10**15)


def test_flat_databases_are_read_too(tmp_path: Path) -> None:
    """Other change_actors write `country_code`, `asn` and `as_name` side by side; a database of IPv4 alone says nothing of IPv6."""
    path = database(
        tmp_path / "lite.mmdb", "lite", {HOSTING: {"country_code": "NL", "asn": "AS64501", "as_name": "H"}}, 4
    )
    known = Addresses.read([path])

    assert known.of(ELSEWHERE) == Address(ip=ELSEWHERE, country="NL", asn=64501, owner="H")
    assert known.of("2001:db8::1") == Address(ip="2001:db8::1")


def test_odd_records_say_nothing(tmp_path: Path) -> None:
    """Lists, numbers and long texts where a country or number belongs are no country and no number."""
    odd: dict[str, dict[str, object]] = {
        HOSTING: {"country": {"iso_code": ["NL"]}, "asn": "ten", "as_name": 7}
    }

    assert Addresses.read([database(tmp_path / "odd.mmdb", "odd", odd)]).of(ELSEWHERE) == Address(
        ip=ELSEWHERE
    )


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"prefixes": [{"ip_prefix": "1.2.3.4/99", "service": "x", "region": "y"}]}']
)
def test_a_file_of_another_kind_is_wrong_use(text: str, tmp_path: Path) -> None:
    """The message names the file, and what it should have been."""
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"file: not AWS's ip-ranges\.json"):
        Addresses.read(ranges=path)
    with pytest.raises(UsageError, match=r"file: no MaxMind database"):
        Addresses.read([path])


def test_ranges_are_those_that_a_plain_search_finds(known: Addresses) -> None:
    """For any address, the answer is that of looking through all networks one by one."""
    import ipaddress

    chance = random.Random(7)
    for _ in range(300):
        ip = f"{chance.choice(('198.51', '198.52', '203.0'))}.{chance.randrange(90, 110)}.{chance.randrange(256)}"
        inside = [
            one
            for one in RANGES["prefixes"]
            if ipaddress.ip_address(ip) in ipaddress.ip_network(one["ip_prefix"])
        ]

        assert (known.of(ip).aws is not None) == bool(inside)


def _in_turn(address: str, tool: str | None) -> World:
    place = world()
    key = ada(place)
    (key.seen_from(address, tool) if tool else key.seen_from(address)).calls("sts:GetCallerIdentity")
    key.calls("ec2:DescribeInstances")
    return place


def test_the_same_owner_and_country_is_left_alone(tmp_path: Path) -> None:
    """With an owner and a country for both, the same tool is no finding and another one a low one."""
    both: dict[str, dict[str, object]] = {
        network: {"country_code": "DE", "asn": 64502} for network in (CARRIER, "198.18.0.0/24")
    }
    known = Addresses.read([database(tmp_path / "one.mmdb", "lite", both)])

    assert judged(_in_turn("198.18.0.9", None), "two-networks", known) == ()
    assert [one.severity for one in judged(_in_turn("198.18.0.9", TOOL), "two-networks", None)] == ["high"]
    assert [one.severity for one in judged(_in_turn("198.18.0.9", TOOL), "two-networks", known)] == ["low"]


def test_one_owner_has_one_number_in_one_country(tmp_path: Path) -> None:
    """Neither two hosters in one country are one, nor one hoster in two, nor those whose number is not known."""
    rows: dict[str, dict[str, object]] = {
        CARRIER: {"country_code": "DE", "asn": 64502},
        "198.18.0.0/24": {"country_code": "DE", "asn": 64502},
        HOSTING: {"country_code": "DE", "asn": 64501},
        "198.19.0.0/24": {"country_code": "FR", "asn": 64502},
        "198.20.0.0/24": {"country_code": "DE"},
    }
    known = Addresses.read([database(tmp_path / "one.mmdb", "lite", rows)])
    others = ("198.18.0.9", ELSEWHERE, "198.19.0.9", "198.20.0.9")

    assert [True, False, False, False] == [known.same_owner("192.0.2.9", one) for one in others]
    assert not known.same_owner("198.20.0.9", "198.20.0.10")


def test_two_countries_weigh_more(known: Addresses) -> None:
    """The same tool in two countries within minutes is told at low severity, with where each address is."""
    (one,) = judged(_in_turn(ELSEWHERE, None), "two-networks", known)

    assert judged(_in_turn(ELSEWHERE, None), "two-networks", None) == ()
    assert one.severity == "low"
    assert f"{ELSEWHERE} (NL, AS64501 Example Hosting, not AWS)" in one.why
    assert one.why.endswith("in another country.")
    assert [each.country for each in one.addresses] == ["NL", "DE"]


def _moved(address: str, tool: str | None, *, pause: int = 60) -> World:
    """A session that goes on elsewhere and does not come back."""
    place = world()
    session = ada(place).assumes("Dev", "x")
    session.calls("ec2:DescribeInstances", count=9)
    place.wait(pause)
    (session.seen_from(address, tool) if tool else session.seen_from(address)).calls(
        "s3:ListBuckets", count=9
    )
    return place


def test_a_leap_to_another_country_needs_no_return(known: Addresses) -> None:
    """A session that another tool uses a minute later in another country is in two hands; without files nobody knows."""
    (one,) = judged(_moved(ELSEWHERE, TOOL), "two-networks", known)

    assert one.severity == "high"
    assert ", by another tool, " in one.why and one.why.endswith("in another country.")
    assert judged(_moved(ELSEWHERE, TOOL), "two-networks", None) == ()


@pytest.mark.parametrize(
    "place",
    [_moved(ELSEWHERE, None), _moved(ELSEWHERE, TOOL, pause=3 * 3600), _moved("198.51.100.23", TOOL)],
    ids=["the same tool", "hours later", "a country that nobody knows"],
)
def test_who_may_have_moved_is_left_alone(place: World, known: Addresses) -> None:
    """One tool changes its gateway; in some hours one may travel; and what is not known to be far may be near."""
    assert judged(place, "two-networks", known) == ()


def test_a_function_outside_aws_is_found_by_ranges_alone(known: Addresses) -> None:
    """A function's credential that leaves AWS is found, with no other sign than that; the day of the ranges is told."""
    place = world()
    function = place.function("Resize", "resize")
    function.seen_from("198.51.100.23").calls("s3:ListBuckets", count=3)
    function.seen_from(ELSEWHERE, TOOL).calls("s3:ListBuckets")

    (one,) = judged(place, "stolen-workload", known)
    assert one.severity == "high"
    assert (
        "outside AWS, by its address ranges of 2026-11-01; until then its role had been used inside"
        in one.why
    )


def test_a_function_inside_aws_is_left_alone(known: Addresses) -> None:
    """Another address of AWS, a private one and a service's name are no way out of it."""
    place = world()
    function = place.function("Resize", "resize")
    for address in ("198.51.100.23", "198.51.100.99", "10.0.0.7", "s3.amazonaws.com", "2001:db8:a::1"):
        function.seen_from(address).calls("s3:ListBuckets", count=2)

    assert judged(place, "stolen-workload", known) == ()


def test_a_new_address_of_an_old_provider_is_not_new(tmp_path: Path) -> None:
    """A token minted from another address of the user's own provider lacks one sign of a back door."""
    known = Addresses.read([database(tmp_path / "one.mmdb", "lite", {
        network: {"country_code": "DE", "asn": 64502} for network in (CARRIER, "198.18.0.0/24")
    })])  # fmt: skip
    place = world()
    ada(place).seen_from("198.18.0.9", TOOL).gets_session_token(duration=129600)

    (one,) = judged(place, "session-token-back-door", None)
    assert "an address new to" in one.why
    assert judged(place, "session-token-back-door", known) == ()
