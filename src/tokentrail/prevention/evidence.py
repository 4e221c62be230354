"""
What is ordinary in the organisation, as the case shows it: who works from where, assumes which role, and uses what.

Guardrails are made from ordinary calls alone; the attacker's calls only decide for which principals they are made.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa

from tokentrail.aws.calls.permissions import actions_of
from tokentrail.aws.principals import Principal, is_account, partition_of, principal_of_arn
from tokentrail.events.vocabulary import VPC_ENDPOINT
from tokentrail.lineage.link import SERVICE
from tokentrail.lineage.rows import Row
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.prevention.history import LINKED, PRINCIPAL, REFUSED, THEIRS, WHOSE, History
from tokentrail.prevention.request_context import is_principal, private, service_linked

_WAYS = frozenset({"ec2_delivery"})
_REGIONS = f"""
    SELECT DISTINCT e.region, e.source, i.type,
                    CASE WHEN e.source IN ('s3.amazonaws.com', 'signin.amazonaws.com') THEN e.name END AS name,
                    CASE WHEN i.account IS NOT NULL THEN '' END AS home, {LINKED} AS linked
    FROM some_facts e
    JOIN some_identities i ON i.segment = e.segment AND i.identity = e.identity
    {WHOSE.format("e")}
    WHERE NOT {THEIRS.format("e")} AND e.region IS NOT NULL
      AND (e.error IS NULL OR NOT regexp_matches(e.error, '{REFUSED}'))"""
_MINTS = f"""
    SELECT s.api, s.role_arn, i.type, {SERVICE} AS invoked_by,
           {PRINCIPAL} AS caller,
           i.account AS caller_account, w.kind AS caller_kind,
           s.source_identity IS NOT NULL AS attributed, s.ip, s.subject,
           coalesce(nullif(i.federated_provider, ''), CASE WHEN i.type IN ('WebIdentityUser', 'SAMLUser')
                                                      THEN i.principal_id END) AS provider,
           {THEIRS.format("s")} AS theirs, count(*) AS calls, max(s.expires - s.time) AS granted
    FROM some_issuances s
    JOIN some_identities i ON i.segment = s.segment AND i.identity = s.identity
    {WHOSE.format("s")}
    WHERE s.role_arn IS NOT NULL AND (s.key_id IS NOT NULL OR s.child_id IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM duplicates l
                      WHERE l.segment = s.segment AND l.object = s.object AND l.ordinal = s.ordinal)
      AND NOT EXISTS (SELECT 1 FROM some_twins d
                      WHERE d.segment = s.segment AND d.object = s.object AND d.ordinal = s.ordinal)
    GROUP BY ALL"""
_MINTED = """
    SELECT * EXCLUDE (calls, granted), CAST(sum(calls) AS BIGINT) AS calls, max(granted) AS granted
    FROM {parts} GROUP BY ALL"""
_SESSIONS = f"""
    SELECT i.issuer_arn AS role, max(e.time - i.created) AS used FROM some_facts e
    JOIN some_identities i ON i.segment = e.segment AND i.identity = e.identity
    {WHOSE.format("e")}
    WHERE i.issuer_arn IS NOT NULL AND i.created IS NOT NULL AND {SERVICE} IS NULL AND NOT {THEIRS.format("e")}
    GROUP BY i.issuer_arn"""
_LONGEST = "SELECT role, max(used) AS used FROM {parts} GROUP BY role"
_ENDPOINTS = f"""
    SELECT DISTINCT e.endpoint FROM some_facts e
    JOIN some_identities i ON i.segment = e.segment AND i.identity = e.identity
    {WHOSE.format("e")}
    WHERE {SERVICE} IS NULL AND NOT {THEIRS.format("e")} AND regexp_matches(e.endpoint, '^{VPC_ENDPOINT}$')"""
_DISTINCT = "SELECT DISTINCT * FROM {parts}"
_SPAN = "SELECT coalesce(min(time), 0) AS first, coalesce(max(time), 0) AS last FROM facts"
_ORGANISATION = re.compile(r"AWSLogs/(o-[a-z0-9]{10,32})/([0-9]{12})/")
_WHOLE = 8
"""Addresses used of a range (/24, or /64 of IPv6) from which on the whole range counts as ordinary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A group of calls of one principal: by action and a few other things, and by address if that was asked for."""

    theirs: bool
    """Whether they are the attacker's."""
    kind: str | None
    type: str
    account: str | None
    principal: str | None
    forwarded: bool
    """Whether a service forwarded them (`invokedBy`)."""
    actions: tuple[str, ...]
    """The IAM actions that the call may be."""
    ec2: str | None
    """`ec2RoleDelivery` of an instance's credential: the version of the metadata service that gave it."""
    ip: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mint:
    """A group of calls with which one caller assumed one role."""

    theirs: bool
    api: str
    role: str
    caller: str | None
    """A user, role or service; `None` for one who signs in through a provider."""
    caller_type: str
    caller_account: str | None
    caller_kind: str | None
    attributed: bool
    """Whether a SourceIdentity was set."""
    ip: str | None
    subject: str | None
    provider: str | None
    calls: int
    granted: int | None
    """The longest life granted, in seconds."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is ordinary in the organisation, and what the attacker did."""

    ways: tuple[Way, ...]
    """All calls, without addresses."""
    ways_by_address: tuple[Way, ...] = ()
    """Ordinary calls with addresses: only of IAM users, and of roles that the attacker used."""
    regions: frozenset[tuple[str, str, str]] = frozenset()
    """Regions of ordinary calls to which policies apply, with the event source and, for some, the event name."""
    mints: tuple[Mint, ...]
    used: Mapping[str, int]
    """By role: for how many seconds after its beginning an ordinary session was used, at most."""
    first: int
    """The second of the first record."""
    last: int
    """The second of the last record."""
    organisations: Mapping[str, str] = field(default_factory=dict)
    """By account: the id of its organisation, as far as names of evidence objects show it."""
    endpoints: tuple[str, ...] = ()
    """VPC endpoints that ordinary calls from private addresses came through."""
    snapshots: tuple[Snapshot, ...] = ()

    @cached_property
    def accounts(self) -> frozenset[str]:
        """The accounts of principals with ordinary calls, and of snapshots."""
        seen = {
            way.account
            for way in self.ways
            if way.account and is_account(way.account) and not way.theirs and way.type != "AWSAccount"
        }
        return frozenset(seen | {one.account for one in self.snapshots})

    @cached_property
    def partition(self) -> str:
        """The partition (`aws`, `aws-cn`, `aws-us-gov`) of most ordinary principals, or else of the attacker's."""
        named = {
            (way.theirs, way.principal)
            for way in self.ways
            if way.principal and principal_of_arn(way.principal)
        }
        ordinary = {principal for theirs, principal in named if not theirs}
        found = Counter(map(partition_of, ordinary or {principal for _, principal in named}))
        return min(found, key=lambda one: (-found[one], one), default="aws")

    @cached_property
    def users(self) -> tuple[str, ...]:
        """The IAM users whose credentials the attacker used."""
        return self._theirs("user")

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """The roles whose sessions the attacker used, without service-linked ones."""
        return self._theirs("role")

    @cached_property
    def unbound(self) -> frozenset[str]:
        """The management accounts, which no SCP binds, as far as snapshots show them."""
        return frozenset(one.account for one in self.snapshots if one.management)

    def _theirs(self, kind: str) -> tuple[str, ...]:
        found = {way.principal for way in self.ways if way.theirs and way.principal}
        return tuple(
            sorted(
                one
                for one in found
                if (who := principal_of_arn(one)) is not None
                and who.kind == kind
                and "/aws-service-role/" not in one
            )
        )

    def ordinary(self, test: Callable[[Way], bool] = lambda way: True) -> Iterator[Way]:
        """Ways of others than the attacker."""
        return (way for way in self.ways if not way.theirs and test(way))

    def addresses(self, test: Callable[[Way], bool]) -> Iterator[Way]:
        """Ways of others than the attacker, with their addresses."""
        return filter(test, self.ways_by_address)

    def callers(self, role: str) -> tuple[Mint, ...]:
        """The ordinary assumptions of a role."""
        return tuple(one for one in self._mints_of.get(principal_of_arn(role), ()) if not one.theirs)

    def granted(self, role: str) -> int:
        """The longest duration that a session of a role was granted, in seconds; 0 if none was seen."""
        return max((one.granted or 0 for one in self._mints_of.get(principal_of_arn(role), ())), default=0)

    def asked_for(self, role: str) -> int:
        """The same without sessions that services issue for what they run, which the role's maximum doesn't limit."""
        mints = self._mints_of.get(principal_of_arn(role), ())
        return max((one.granted or 0 for one in mints if one.caller_type != "AWSService"), default=0)

    @cached_property
    def _mints_of(self) -> Mapping[Principal | None, tuple[Mint, ...]]:
        found: dict[Principal | None, list[Mint]] = defaultdict(list)
        for one in self.mints:
            found[principal_of_arn(one.role)].append(one)
        return {role: tuple(mints) for role, mints in found.items()}

    def roles_assumed(self) -> tuple[str, ...]:
        """The roles that the attacker assumed with AssumeRole."""
        return tuple(sorted({one.role for one in self.mints if one.theirs and one.api == "AssumeRole"}))


def networks_of(ways: Iterable[Way]) -> tuple[tuple[str, ...], bool]:
    """
    The networks of the public addresses of some calls, and whether any call came from a private address.

    A range (/24, or /64 of IPv6) is one network if at least `_WHOLE` of its addresses were used; else each address is.
    """
    inside = False
    by_range: dict[str, set[str]] = defaultdict(set)
    for way in ways:
        if way.forwarded or way.ip is None:
            continue
        inner = private(way.ip)
        if inner:
            inside = True
        elif inner is False:
            by_range[_range(way.ip)].add(way.ip)
    found = []
    for network, addresses in by_range.items():
        found += (
            [network]
            if len(addresses) >= _WHOLE
            else [f"{one}/{128 if ':' in one else 32}" for one in addresses]
        )
    return tuple(sorted(found)), inside


def _range(address: str) -> str:
    size = 64 if ":" in address else 24
    return str(ipaddress.ip_network(f"{address}/{size}", strict=False))


def gather(history: History, objects: Iterable[str], snapshots: Sequence[Snapshot]) -> Evidence:
    """
    Gather the evidence of a case.

    Args:
        history: The calls.
        objects: The names of the evidence objects.
        snapshots: Snapshots of IAM.
    """
    [span] = list(history.query(_SPAN))
    ways = tuple(_way(row) for row in history.ways(_WAYS))
    organisations = {
        account: organisation for name in objects for organisation, account in _ORGANISATION.findall(name)
    }
    return Evidence(
        ways=ways,
        ways_by_address=tuple(_ways_by_address(history, ways)),
        regions=frozenset(
            (row["region"], row["source"] or "", row["name"] or "")
            for row in history.over_batches(_REGIONS, _DISTINCT)
            if is_principal(row) and not service_linked(row)
        ),
        mints=tuple(_mint(row) for row in history.over_batches(_MINTS, _MINTED)),
        used={row["role"]: max(0, row["used"]) for row in history.over_batches(_SESSIONS, _LONGEST)},
        first=span["first"],
        last=span["last"],
        organisations=organisations,
        endpoints=tuple(sorted(row["endpoint"] for row in history.over_batches(_ENDPOINTS, _DISTINCT))),
        snapshots=tuple(snapshots),
    )


def _way(row: Row) -> Way:
    return Way(
        theirs=row["theirs"], kind=row["kind"], type=row["type"] or "", account=row["home"],
        principal=row["principal"], forwarded=row["forwarded"],
        actions=actions_of(row["source"], row["name"], by_api_key=row["kind"] == "api_key"),
        ec2=row.get("ec2_delivery"), ip=row.get("ip"),
    )  # fmt: skip


def _ways_by_address(history: History, ways: Iterable[Way]) -> Iterator[Way]:
    """The ordinary calls, with addresses, of IAM users and of the roles that the attacker used."""
    theirs = sorted({way.principal for way in ways if way.theirs and way.principal})
    history.add_table("used_by_them", principal=pa.array(theirs, pa.string()))
    wanted = "NOT theirs AND (type = 'IAMUser' OR principal IN (SELECT principal FROM used_by_them))"
    for row in history.ways(frozenset({"ip"}), wanted):
        yield _way(row)


def _mint(row: Row) -> Mint:
    by_service = row["type"] == "AWSService"
    return Mint(
        theirs=row["theirs"], api=row["api"], role=row["role_arn"],
        caller=row["invoked_by"] if by_service else row["caller"], caller_type=row["type"] or "",
        caller_account=row["caller_account"] if is_account(row["caller_account"]) else None,
        caller_kind=row["caller_kind"], attributed=row["attributed"], ip=row["ip"], subject=row["subject"],
        provider=row["provider"],
        calls=row["calls"], granted=row["granted"],
    )  # fmt: skip
