"""Allow-lists: findings about known automation, left out on purpose and until a day."""

from __future__ import annotations

import fnmatch
import ipaddress
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.model import Finding
from tokentrail.detection.views import CREDENTIAL_IPS
from tokentrail.errors import UsageError

_IPS = "SELECT DISTINCT s.ip FROM credential_ips s JOIN judged_credentials o ON o.n = s.n"
_NAMES = frozenset({"rule", "principal", "address", "until", "why"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of an allow-list; a finding must meet all that it names."""

    rule: str | None = None
    principal: str | None = None
    """A glob that every principal of the finding must match."""
    address: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    """A network that every address of its credentials must lie in."""
    until: datetime | None = None
    """From then on it no longer counts."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """An allow-list."""

    entries: tuple[Entry, ...]

    @classmethod
    def read(cls, path: Path) -> Allowed:
        """
        Read an allow-list: TOML with `[[suppress]]` tables, or JSON with a list of objects.

        Raises:
            UsageError: it can't be read, or an entry makes no sense.
        """
        try:
            text = path.read_text()
            listed = json.loads(text) if path.suffix == ".json" else tomllib.loads(text).get("suppress")
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: the allow-list can't be read: {error}.") from error
        if isinstance(listed, Mapping):
            listed = listed.get("suppress")
        if not isinstance(listed, list):
            raise UsageError(
                f"{path}: an allow-list is a list of [[suppress]] tables, each with rule, principal, address, until."
            )
        return cls(tuple(_entry(one, f"{path}, entry {place}") for place, one in enumerate(listed, 1)))

    def expired(self, as_of: datetime) -> int:
        """How many entries no longer count at a time."""
        return sum(one.until is not None and as_of >= one.until for one in self.entries)

    def covers(self, finding: Finding, context: DetectionContext, places: Sequence[int]) -> bool:
        """Whether an entry that still counts matches a finding, whose credentials are at some places in the forest."""
        return any(_meets(entry, finding, context, places) for entry in self.entries)


def _entry(given: Any, where: str) -> Entry:
    if (
        not isinstance(given, Mapping)
        or not set(given) <= _NAMES
        or not set(given) & {"rule", "principal", "address"}
    ):
        raise UsageError(f"{where}: give rule, principal or address (and until, why); nothing else is known.")
    try:
        address, rule = given.get("address"), _text(given.get("rule"))
        if rule is not None and not _may_name(rule):
            raise ValueError(f"no rule is named {rule!r}; `tokentrail rules` lists them")
        return Entry(
            rule=rule,
            principal=_text(given.get("principal")),
            address=ipaddress.ip_network(_text(address) or "", strict=False) if address is not None else None,
            until=_until(given.get("until")),
        )
    except ValueError as error:
        raise UsageError(f"{where}: {error}.") from error


def _may_name(pattern: str) -> bool:
    """Whether a glob may match a rule's name; names of Sigma rules depend on which folders are given."""
    return (
        pattern[:1] in "*?["
        or pattern.startswith("sigma")
        or any(fnmatch.fnmatchcase(one.id, pattern) for one in CATALOGUE)
    )


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _until(value: Any) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 the zone is set below
    found = value if isinstance(value, datetime) else datetime.fromisoformat(_text(value) or "")
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _meets(entry: Entry, finding: Finding, context: DetectionContext, places: Sequence[int]) -> bool:
    if entry.until is not None and context.as_of >= entry.until:
        return False
    if entry.rule is not None and not fnmatch.fnmatchcase(finding.rule, entry.rule):
        return False
    if entry.principal is not None and not (
        finding.principals and all(fnmatch.fnmatchcase(one, entry.principal) for one in finding.principals)
    ):
        return False
    return entry.address is None or _from_there(entry.address, context, places)


def _from_there(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network, context: DetectionContext, places: Sequence[int]
) -> bool:
    context.prepare((CREDENTIAL_IPS,))
    context.add_credentials("judged_credentials", places)
    found = {row["ip"] for row in context.rows(_IPS)}
    return bool(found) and all(ipaddress.ip_address(one) in network for one in found)
