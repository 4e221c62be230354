"""How the forest is derived, and read again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from evidence import AWAY, HOME, START, assume_role, by_id, call, held, user
from tokentrail.events.columns import TABLES
from tokentrail.lineage import grow
from tokentrail.lineage.grow import DRIVEN, in_order
from tokentrail.store.duck import DuckEngine
from tokentrail.testing import World
from tokentrail.testing.administration import trust_policy
from tokentrail.testing.story import story


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


def _made() -> World:
    """What a session makes, and what acts through that."""
    world = World(START)
    maker = world.user("ada").assumes("Admin")
    maker.creates_access_key(world.user("grace")).calls("s3:ListBuckets")
    backdoor = maker.creates_user("backdoor")
    maker.iam("CreateLoginProfile", userName="backdoor")
    role = maker.creates_role("Door", {"AWS": f"arn:aws:iam::{AWAY}:root"})
    maker.iam(
        "UpdateAssumeRolePolicy",
        roleName="Hatch",
        policyDocument=trust_policy({"AWS": f"arn:aws:iam::{AWAY}:root"}),
    )
    maker.creates_function("hook", "Work").calls("s3:ListBuckets")
    world.wait(60)
    world.console_sign_in(backdoor).calls("s3:ListBuckets")
    stranger = world.user("mallory", account=AWAY)
    stranger.assumes(role, "in", sides="role")
    stranger.assumes(world.role("Hatch"), "in", sides="role")
    maker.creates_access_key(world.user("idle"))
    caller = world.user("joe")
    caller.calls("s3:ListBuckets")
    caller.assumes("Far", account=AWAY, sides="role")
    maker.deactivates(caller)
    world.wait(minutes=5)
    caller.assumes("Far", "late", account=AWAY, sides="role")
    anchor = {"trustAnchorArn": f"arn:aws:rolesanywhere:us-east-1:{HOME}:trust-anchor/1"}
    maker.calls(
        "rolesanywhere:CreateTrustAnchor", {"name": "t"}, response={"trustAnchor": anchor}, read_only=False
    )
    world.roles_anywhere("Work", "host", anchor=anchor["trustAnchorArn"])
    maker.creates_directory_user(world.person("eve"))
    world.identity_center("eve", "Admin").calls("s3:ListBuckets", count=9)
    maker.gets_data_access("Lake").calls("s3:GetObject", {"bucketName": "lake", "key": "a"})
    maker.delegates(AWAY).calls("s3:ListBuckets")
    return world


def _odd() -> list[dict[str, Any]]:
    """One key id issued twice, one that shows without its bearer, and a role taken up from an account whose trail is not there."""
    stranger = {"type": "AWSAccount", "principalId": "AROAVENDOR:job", "accountId": "999988887777"}
    bare = {"type": "Unknown", "principalId": "", "accountId": "", "accessKeyId": "AKIAIOSFODNN7EXAMPLE"}
    return [
        call("ListBuckets", "2026-11-23T09:10:00Z", user(), source="s3.amazonaws.com"),
        call("GetCallerIdentity", "2026-11-23T09:11:00Z", bare, errorCode="InvalidClientTokenId"),
        assume_role("2026-11-23T09:00:00Z"),
        assume_role("2026-11-23T11:00:00Z"),
        assume_role("2026-11-23T09:00:00Z", key="ASIAIOSFODNN7EXAMPL2", caller=stranger),
    ]


@pytest.fixture(name="linked", scope="module")
def _linked() -> Iterator[tuple[DuckEngine, dict[str, str]]]:
    """All tables of a linking, and the query of each."""
    with held(story().world, _made(), _odd()) as case, closing(DuckEngine(threads=1)) as engine:
        folders = list(case._folder.snapshot().folders.values())
        for name in TABLES:
            engine.segments(name, folders)
            engine.run(f"CREATE TABLE own_{name} AS SELECT * FROM {name}")
            engine.run(f"DROP VIEW {name}")
            engine.run(f"ALTER TABLE own_{name} RENAME TO {name}")  # so that it can be emptied
        grow.set_aside(engine, all_of_them=True)
        known = [f"CREATE TABLE {name} AS SELECT * FROM new_{name}" for name in grow.REDUCED]
        listed = [*grow.reductions(engine), *known, *grow._AT_ONCE, *grow.listed_in(grow.LINKING_FILES)]
        for sql in listed:
            engine.run(sql)
        made = (grow._MAKES.match(sql) for sql in listed)
        yield (
            engine,
            {one[2]: sql[one.end() + len(" AS") :] for one, sql in zip(made, listed, strict=True) if one},
        )


@pytest.mark.parametrize(("table", "driver"), DRIVEN.items())
def test_a_table_has_no_rows_without_those_that_drive_it(
    linked: tuple[DuckEngine, dict[str, str]], table: str, driver: str
) -> None:
    """Whatever else there is: so it may be made without asking."""
    engine, queries = linked
    [before] = engine.rows(f"SELECT count(*) AS many FROM {table}")
    assert before["many"]
    engine.run("BEGIN")
    try:
        for one in _emptied(driver):
            engine.run(f"DELETE FROM {one}")

        assert engine.rows(f"SELECT count(*) AS many FROM ({queries[table]})") == [{"many": 0}]
    finally:
        engine.run("ROLLBACK")


def _emptied(driver: str) -> Iterator[str]:
    """A table, and those that have no rows without it."""
    yield driver
    for table, other in DRIVEN.items():
        if other == driver:
            yield from _emptied(table)
