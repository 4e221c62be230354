"""
Credentials that were used from an address that the attacker used first: they may have been stolen, too.

A key found in a file, or the session of an instance on which the attacker ran commands, descends from no tainted
credential, and no log shows the theft. Its use from an address that only the attacker had used before does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from tokentrail.containment.incident.assumption import Assumption
from tokentrail.lineage import rows
from tokentrail.lineage.addresses import is_public
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trace import Narrowing

_ADDRESSES = 50
"""How many of the attacker's addresses are looked at, the first ones."""
_CROWD = 200
"""An address from which more credentials of others were used than this is taken to be a gateway."""
_STAYS = "SELECT n, ip, min(time) AS first, max(time) AS last FROM acts WHERE ip IS NOT NULL GROUP BY n, ip"

_First = tuple[int, int]
"""The time of the first use of an address, and the place of the credential that was used."""


def neighbours(
    forest: Forest, theirs: Sequence[tuple[Row, Credential]], starts: Set[int], narrowing: Narrowing
) -> Iterator[Assumption]:
    """
    The living credentials, not the attacker's, that were first used at an address after the attacker was.

    Descendants of others among them are left out, since a plan for those ends them too.

    Args:
        forest: The forest of the trace.
        theirs: The attacker's credentials.
        starts: The places of the subjects, which their owner may use too.
        narrowing: Which addresses count as the attacker's.
    """
    found = list(_came_after(forest, {row["n"]: one for row, one in theirs}, starts, narrowing))
    ids = {one.id for one, _ in found}
    yield from (told for one, told in found if one.parent not in ids)  # whose plan ends what it minted, too


def _came_after(
    forest: Forest, own: Mapping[int, Credential], starts: Set[int], narrowing: Narrowing
) -> Iterator[tuple[Credential, Assumption]]:
    brought = dict(
        sorted(_brought(forest, own, starts, narrowing).items(), key=lambda one: one[1])[:_ADDRESSES]
    )
    came = forest.first_from(list(brought), _CROWD, own) if brought else {}
    where: dict[int, str] = {}
    for address, (first, _) in brought.items():
        others = came.get(address, {})
        if all(time >= first for time in others.values()):
            where = dict.fromkeys(others, address) | where
    there = [(one, row, where[row["n"]]) for row, one in _living(forest, where.keys())]
    # Only the first are named in a plan: long-term keys, and those at the attacker's first addresses.
    there.sort(key=lambda each: (each[0].kind != "long_term_key", brought[each[2]]))
    for one, row, address in there:
        by = own[brought[address][1]].id
        yield one, Assumption.of("neighbour", row["id"], row["id"], address=address, by=by)


def _living(forest: Forest, places: Set[int]) -> Iterator[tuple[Row, Credential]]:
    """Those of some credentials that may mint; of most, their expiry says that they don't, and no change is read."""
    listed = forest.chosen_rows(places) if places else ()
    left = [row for row in listed if not rows.expired(row, forest.as_of)]
    return ((row, one) for row, one in zip(left, forest.credentials(left), strict=True) if one.may_mint)


def _brought(
    forest: Forest, own: Mapping[int, Credential], starts: Set[int], narrowing: Narrowing
) -> dict[str, _First]:
    """
    The addresses that the attacker brought, each with the attacker's first use of it.

    The first address of a workload is left out, as it is its host's or a gateway of AWS's. So is the first address of a
    subject that was used elsewhere later, as it may be the owner's. The narrowing may name either as the attacker's.
    Without being named, an address at which a subject was used before the theft does not count.
    """
    stayed = stays(forest, own.keys())
    homes = {
        listed[0]["ip"]
        for n, listed in stayed.items()
        if own[n].kind == "service_role" or (n in starts and len(listed) > 1)
    }
    trusted = Narrowing(trusted_ips=narrowing.trusted_ips)
    found: dict[str, _First] = {}
    for n, listed in stayed.items():
        for row in listed:
            at = row["ip"]
            named = narrowing.names(at)
            came = rows.moment(row["last" if named else "first"])
            admitted = (narrowing if n in starts else trusted).admits(came, at)
            if admitted and (named or at not in homes) and is_public(at):
                found[at] = min(found.get(at, (row["first"], n)), (row["first"], n))
    return found


def stays(forest: Forest, places: Set[int]) -> dict[int, list[Row]]:
    """By place of a credential: the addresses from which it was used, each with the first and last time, in order."""
    found: dict[int, list[Row]] = {}
    for row in forest.done_by(places, _STAYS) if places else ():
        found.setdefault(row["n"], []).append(row)
    for listed in found.values():
        listed.sort(key=lambda row: (row["first"], row["ip"]))
    return found
