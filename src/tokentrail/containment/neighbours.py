"""
What was used from where the attacker had come first: it may have been stolen otherwise than by minting it.

A key that stood in a file, or the session of an instance that commands ran on, descends from nothing of the attacker's,
and no log tells that it was taken. That it works from an address which nobody had but the attacker does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from tokentrail.containment.scene import Neighbour
from tokentrail.lineage import rows
from tokentrail.lineage.addresses import is_public
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trace import Narrowing

_ADDRESSES = 50
"""Addresses of the attacker's that are looked at, the first ones."""
_CROWD = 200
"""Credentials of others at one address beyond which it is a gateway."""
_STAYS = "SELECT n, ip, min(time) AS first, max(time) AS last FROM acts WHERE ip IS NOT NULL GROUP BY n, ip"

_First = tuple[int, int]
"""When somebody was first at an address, and by which credential, by its place."""


def neighbours(
    forest: Forest, theirs: Sequence[tuple[Row, Credential]], starts: Set[int], narrowing: Narrowing
) -> Iterator[Neighbour]:
    """
    Whoever lives, is not the attacker's, and came to an address after the attacker had brought it.

    Args:
        forest: The forest of the trace.
        theirs: The attacker's credentials.
        starts: The places of the subjects, which may have an owner, too.
        narrowing: Which addresses count.
    """
    found = list(_came_after(forest, {row["n"]: one for row, one in theirs}, starts, narrowing))
    ids = {one.id for one, _ in found}
    yield from (told for one, told in found if one.parent not in ids)  # whose plan ends what it minted, too


def _came_after(
    forest: Forest, own: Mapping[int, Credential], starts: Set[int], narrowing: Narrowing
) -> Iterator[tuple[Credential, Neighbour]]:
    brought = dict(
        sorted(_brought(forest, own, starts, narrowing).items(), key=lambda one: one[1])[:_ADDRESSES]
    )
    came = forest.first_from(list(brought), _CROWD + len(own)) if brought else {}
    where: dict[int, str] = {}
    for address, (first, _) in brought.items():
        others = {n: time for n, time in came.get(address, {}).items() if n not in own}
        if len(others) <= _CROWD and all(time >= first for time in others.values()):
            where = dict.fromkeys(others, address) | where
    there = [(one, row, where[row["n"]]) for row, one in _credentials(forest, where.keys()) if one.may_mint]
    # Of many, some are spelled out.
    there.sort(key=lambda each: (each[0].kind != "long_term_key", brought[each[2]]))
    for one, row, address in there:
        yield one, Neighbour(row["id"], address, own[brought[address][1]].id)


def _credentials(forest: Forest, places: Set[int]) -> Iterator[tuple[Row, Credential]]:
    listed = forest.chosen_rows(places) if places else ()
    return zip(listed, forest.credentials(listed), strict=True)


def _brought(
    forest: Forest, own: Mapping[int, Credential], starts: Set[int], narrowing: Narrowing
) -> dict[str, _First]:
    """
    The addresses that the attacker brought, with the first of the attacker's credentials there.

    Not where a workload began its work, as that is its host's or a gateway of AWS's. Nor where a subject did, if it was
    used elsewhere later, and nobody says which addresses are the attacker's: it may be its owner's, and so may
    what was minted there. Where a subject was before the theft nobody brought it to, but who is named for it.
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
    """Where each of some credentials was used, the first address first."""
    found: dict[int, list[Row]] = {}
    for row in forest.done_by(places, _STAYS) if places else ():
        found.setdefault(row["n"], []).append(row)
    for listed in found.values():
        listed.sort(key=lambda row: (row["first"], row["ip"]))
    return found
