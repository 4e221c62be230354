"""How the forest is derived, and read again."""

from __future__ import annotations

from evidence import START, by_id, held
from tokentrail.lineage.link import in_order
from tokentrail.testing import World


def test_a_statement_waits_for_the_earlier_ones_whose_tables_it_names() -> None:
    """Views count as tables; words that only resemble a name, and the statement's own name, do not."""
    listed = [
        "CREATE TABLE uses AS SELECT 1",
        "CREATE VIEW seen AS SELECT * FROM uses",
        "CREATE TABLE known AS SELECT * FROM seen JOIN known_not",
        "CREATE TABLE apart AS SELECT 2",
    ]

    assert [frozenset(), {0}, {0, 1}, frozenset()] == [one.needs for one in in_order(listed)[:4]]


def test_a_table_is_dropped_once_nobody_names_it_any_more() -> None:
    """Not before those that read it through a view are done, and not if a later query names it."""
    listed = [
        "CREATE TABLE uses AS SELECT 1",
        "CREATE VIEW seen AS SELECT * FROM uses",
        "CREATE TABLE known AS SELECT * FROM seen",
        "CREATE TABLE apart AS SELECT 2",
        "CREATE TABLE behind AS SELECT 3",
        "CREATE VIEW lasting AS SELECT * FROM behind",
    ]

    drops = in_order(listed, ["SELECT * FROM known JOIN lasting"])[len(listed) :]

    assert [("DROP TABLE uses", {0, 1, 2}), ("DROP TABLE apart", {3})] == [
        (one.sql, one.needs) for one in drops
    ]


def test_a_traced_credential_is_described_as_in_the_list_of_all() -> None:
    """What is read for a few credentials from their own segments is what is read for all at once."""
    world = World(START)
    user = world.user("ada")
    user.assumes("Deploy").assumes("Prod")
    with held(world) as case:
        listed = by_id(case.credentials())
        found = case.trace([one.id for one in listed.values() if one.kind == "long_term_key"]).credentials

    fields = next(iter(listed.values())).__dataclass_fields__
    assert {one: listed[one] for one in listed} == {
        one.id: type(listed[one.id])(**{name: getattr(one, name) for name in fields}) for one in found
    }
