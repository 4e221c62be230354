"""What is looked for where it was recorded is what looking through all that is known of each credential finds."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import AWAY, HOME, START, held
from strategies import worlds
from tokentrail.containment.incident import build_model, taint_sources
from tokentrail.lineage import forest as forest_room
from tokentrail.lineage import subtree_query
from tokentrail.lineage.link import described
from tokentrail.lineage.rows import caller
from tokentrail.testing import World
from tokentrail.testing.story import story

_PAIRS = """
SELECT DISTINCT by_arn, into_arn, event, link FROM (
  SELECT c.issue_event AS event, c.parent_link AS link,
         CASE WHEN p.issuer_arn IS NOT NULL THEN p.issuer_arn
              WHEN p.kind = 'federation_token' THEN p.caller_arn
              ELSE coalesce(p.arn, p.role_arn, p.child_arn, p.caller_arn) END AS by_arn,
         coalesce(c.issuer_arn, c.role_arn) AS into_arn
  FROM described c JOIN described p ON p.n = c.parent_n
  WHERE c.api IN ('AssumeRole', 'lakeformation:GetDataAccess') AND c.parent_link <> 'created')
WHERE by_arn IS NOT NULL AND into_arn IS NOT NULL"""
"""Who minted whom, told by what is known of both."""
_ASSUMED = """
SELECT DISTINCT coalesce(i.issuer_arn, i.arn) AS by_arn, c.role_arn AS into_arn, c.event_id AS event
FROM issuances c JOIN identities i ON i.segment = c.segment AND i.identity = c.identity WHERE c.api = 'AssumeRole'
UNION
SELECT requester_arn, role_arn, event_id FROM issuances WHERE api = 'AssumeRoleWithWebIdentity' AND requester_arn IS NOT NULL"""
"""Who asked for what, at home or from another partition."""

TENTH = 10
"""Of the texts in a world, each example looks for one of so many, drawn at random."""


def pairs(rows: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Who and what, of some rows."""
    return {(row["by_arn"], row["into_arn"]) for row in rows}


def events(rows: list[dict[str, Any]]) -> set[tuple[str, str, bytes]]:
    """The same, and by which event."""
    return {(row["by_arn"], row["into_arn"], row["event"]) for row in rows}


@given(worlds(rare=True))
def test_who_assumed_which_role(world: World) -> None:
    """All whom the forest shows to have minted are found, and beyond these only who is recorded to have asked."""
    with held(world.records()[: len(world.records()) // 2], world) as case:
        forest, engine = case._views.forest(None), case._views.open(None).engine
        engine.run(f"CREATE TABLE described AS {described()}")
        found = forest.mints()
        minted = engine.rows(_PAIRS)
        assert pairs(minted) <= pairs([*found])
        told = [*engine.rows(_ASSUMED), *(row for row in minted if row["link"] in ("inferred", "matched"))]
        assert events([*found]) <= events(told)


def test_who_signed_in_and_did_nothing_else_at_home_is_seen_to_have_assumed_a_role() -> None:
    """In another account, whose log alone tells of it and names no more than the user's account."""
    world = World(START)
    world.console_sign_in(world.user("ada"), console_share=0).assumes("Deploy", account=AWAY, sides="role")
    with held(world) as case:
        found = case._views.forest(None).mints()

    assert pairs([*found]) == {(f"arn:aws:iam::{HOME}:user/ada", f"arn:aws:iam::{AWAY}:role/Deploy")}


@given(worlds(rare=True), st.integers(0, TENTH - 1))
def test_a_text_is_found_wherever_it_stands(world: World, first: int) -> None:
    """In names, keys and addresses, whatever capitals: those that the whole inventory shows it in, and no others."""
    with held(world.records()) as case:
        forest = case._views.forest(None)
        every = [*forest.inventory()]
        texts = {
            str(value)
            for row in every
            for name, value in row.items()
            if value and name in forest_room._SEARCHED
        }
        texts |= {ip for row in every for ip in row["ips"] or ()} | {
            key for row in every for key in row["keys"] or ()
        }
        for text in sorted({one[len(one) // 3 : len(one) // 3 + 9] for one in texts})[first::TENTH]:
            shown = {
                row["id"]
                for row in every
                if any(
                    text.lower() in str(told).lower()
                    for told in (
                        *(
                            row[name]
                            for name in forest_room._SEARCHED
                            if name in row and row[name] is not None
                        ),
                        " ".join(row["ips"] or ()),
                        " ".join(row["keys"] or ()),
                    )
                )
            }
            assert [row["id"] for row in forest.inventory(None, text.upper())] == [
                row["id"] for row in every if row["id"] in shown
            ]
            kinds = {row["kind"] for row in every if row["id"] in shown}
            for kind in kinds:
                assert {row["id"] for row in forest.inventory(kind, text)} == {
                    row["id"] for row in every if row["id"] in shown and row["kind"] == kind
                }


@given(worlds(rare=True))
def test_whom_a_plan_is_about_is_found_by_name(world: World) -> None:
    """The condition that containment asks of names holds for the same credentials, looked for or looked through."""
    with held(world.records()) as case:
        forest, engine = case._views.forest(None), case._views.open(None).engine
        engine.run(f"CREATE TABLE described AS {described()}")
        rows = engine.rows("SELECT * FROM described ORDER BY n")
        arns = {
            row[name] for row in rows for name in ("arn", "issuer_arn", "role_arn", "caller_arn", "child_arn")
        }
        names = sorted({part for arn in arns if arn for part in str(arn).split("/")[1:]})
        for some in (names[:1], names[::2], names):
            expected = engine.rows(f"SELECT n FROM described WHERE {taint_sources.ACTING_AS}", (some,) * 3)
            assert forest.called(some, taint_sources.ACTING_AS, (some,) * 3) == {row["n"] for row in expected}
            only = "f.kind = 'assumed_role' OR f.kind = 'session_token'"
            kinds = {row["n"] for row in rows if row["kind"] in ("assumed_role", "session_token")}
            assert (
                forest.called(some, taint_sources.ACTING_AS, (some,) * 3, only)
                == {row["n"] for row in expected} & kinds
            )


@given(worlds(rare=True), st.integers(0, 1))
def test_the_living_credentials_of_principals_are_found_by_name_and_account(world: World, first: int) -> None:
    """All that act as one of them, and nobody of the same name elsewhere; a few looked up, or many by a query."""
    with held(world.records()) as case:
        forest = case._views.forest(None)
        now = int(forest.as_of.timestamp())
        every = [
            (row["id"], caller(row).acts_as)
            for row in forest.inventory()
            if row["expires_at"] is None or row["expires_at"] > now
        ]
        named = {who for _, who in every if who.is_named or (who.is_root and who.account)}
        for wanted in ({who} for who in sorted(named)[first::2]):
            expected = {one for one, who in every if who in wanted}
            with pytest.MonkeyPatch.context() as many:
                for fewest in (20, -1):
                    many.setattr(subtree_query, "_FEWEST", fewest)
                    assert {row["id"] for row in build_model._living_of(forest, wanted)} == expected


def test_the_story_shows_each_step_once() -> None:
    """Each pair comes once, with its first event."""
    with held(story().world) as case:
        found = case._views.forest(None).mints()
        assert len(pairs([*found])) == len(found) > 2
        engine = case._views.open(None).engine
        first = {
            (row["by_arn"], row["into_arn"]): row["time"]
            for row in engine.rows(
                "SELECT coalesce(i.issuer_arn, i.arn) AS by_arn, c.role_arn AS into_arn, min(c.time) AS time "
                "FROM issuances c JOIN identities i ON i.segment = c.segment AND i.identity = c.identity "
                "WHERE c.api = 'AssumeRole' GROUP BY ALL"
            )
        }
        assert all(first[row["by_arn"], row["into_arn"]] == row["time"] for row in found)


def test_what_is_kept_of_steps_is_worked_out_anew_where_it_is_damaged() -> None:
    """They are kept in a file beside the forest, on which nothing depends."""
    with held(story(ordinary_day=False).world) as case:
        first = case._views.forest(None).mints()
        [path] = case.path.glob("derived/*/mints.parquet")
        assert case._views.forest(None).mints() == first
        path.write_bytes(b"damaged")
        assert case._views.forest(None).mints() == first
        path.unlink()
        pq.write_table(pa.table({"other": [1]}), path)
        assert case._views.forest(None).mints() == first
