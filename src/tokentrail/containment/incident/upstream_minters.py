"""
Who else can bring back the subjects of a plan: what minted them, and whoever made or changed what they act through.

None of these is ended by a plan that starts below them, and a responder who starts at a session that looked odd may not
know of the key that reset its user's password, or changed the code of its function.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from operator import itemgetter

from tokentrail.containment.incident.assumption import Assumption
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trace import starts_of


def minters(forest: Forest, subjects: Sequence[str], tainted: Set[str]) -> tuple[Assumption, ...]:
    """
    Those above some subjects: what they descend from, the nearest first, then who made what they act through.

    Of the latter keys come first: a pipeline's session that changed a function is over soon, the key behind it is not.
    """
    starts = starts_of(forest, subjects)
    if not starts:
        return ()
    above = forest.ancestors(starts) - starts
    found = [
        Assumption.of("minter", one.id, one.id) for _, one in _living(forest, _rows(forest, above), tainted)
    ]
    makers: list[tuple[bool, Assumption]] = []
    known, fresh = starts | above, starts | above
    while fresh:
        links = {link["parent"]: link for link in forest.links.above(fresh) if link["parent"] not in known}
        fresh = {*links, *forest.ancestors(links)} - known if links else set()
        known |= fresh
        rows = _rows(forest, fresh)
        led = _led_to(links, rows)
        for n, one in _living(forest, rows, tainted):
            maker = led[n]
            told = _maker(one.id, links[maker], None if n == maker else rows[maker]["id"])
            makers.append((one.kind != "long_term_key", told))
    return (*found, *(one for _, one in sorted(makers, key=itemgetter(0))))


def _rows(forest: Forest, places: Set[int]) -> dict[int, Row]:
    return {row["n"]: row for row in forest.chosen_rows(places)} if places else {}


def _living(forest: Forest, rows: Mapping[int, Row], tainted: Set[str]) -> list[tuple[int, Credential]]:
    """Those that may still work and are not tainted, the nearest first; of forwarded calls the session behind them."""
    pairs = zip(rows, forest.credentials([*rows.values()]), strict=True)
    found = [(n, one) for n, one in pairs if one.id not in tainted and one.state in ("active", "unknown")]
    return sorted(found, key=lambda pair: -pair[1].depth)


def _led_to(makers: Collection[int], rows: Mapping[int, Row]) -> dict[int, int]:
    """By place, the maker that a credential is, or that descends from it."""
    found = {maker: maker for maker in makers}
    for maker in makers:
        place = rows[maker]["parent_n"]
        while place in rows and place not in found:
            found[place] = maker
            place = rows[place]["parent_n"]
    return found


def _maker(credential: str, link: Row, above: str | None) -> Assumption:
    """That who made something is not the attacker's; `above`: the maker, if it descends from the credential."""
    made = {"api": link["api"], "what": link["what"].replace("_", " "), "thing": link["thing"]}
    if above is None:
        return Assumption.of("maker", credential, credential, **made)
    return Assumption.of("above_maker", credential, credential, maker=above, **made)
