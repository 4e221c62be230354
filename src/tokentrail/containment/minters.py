"""
Who else can bring back the subjects of a plan: what minted them, and whoever made or changed what they act through.

None of these is ended by a plan that starts below them, and a responder who starts at a session that looked odd may not
know of the key that reset its user's password, or changed the code of its function.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from tokentrail.containment.scene import Minter
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trace import starts_of


def minters(forest: Forest, subjects: Sequence[str], tainted: Set[str]) -> tuple[Minter, ...]:
    """Those above some subjects, the nearest first: what they descend from, then who made what they act through."""
    starts = starts_of(forest, subjects)
    if not starts:
        return ()
    above = forest.ancestors(starts) - starts
    found = [Minter(name) for _, name in _living(forest, above, tainted)]
    known, fresh = starts | above, starts | above
    while fresh:
        links = {link["parent"]: link for link in forest.links.above(fresh) if link["parent"] not in known}
        fresh = set[int]()
        for maker, link in links.items():
            led = {maker, *forest.ancestors({maker})} - known
            names = dict(_living(forest, led, tainted))
            [own] = forest.chosen_rows({maker})
            found += [
                Minter(name, _led(link, None if n == maker else own["id"])) for n, name in names.items()
            ]
            known |= led
            fresh |= led
    return tuple(found)


def _living(forest: Forest, places: Set[int], tainted: Set[str]) -> Iterator[tuple[int, str]]:
    rows = forest.chosen_rows(places) if places else ()
    pairs = zip(rows, forest.credentials(rows), strict=True)
    found = [(row["n"], one) for row, one in pairs if one.id not in tainted and one.may_mint]
    return ((n, one.id) for n, one in sorted(found, key=lambda pair: -pair[1].depth))


def _led(link: Row, maker: str | None) -> str:
    made = f"whose {link['api']} made or set the {link['what'].replace('_', ' ')} {link['thing']} that led to a subject"
    return made if maker is None else f"from which {maker} descends, {made}"
