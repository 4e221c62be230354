"""The laws of the forest: order, repetition and splitting of evidence don't matter, and what was done is found."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from unittest import mock

import pyarrow.parquet as pq
from hypothesis import assume, given
from hypothesis import strategies as st

from evidence import AWAY, HOME, answers, by_id, counted, held, text
from strategies import FIFTY_WORLDS, TOGETHER, worlds
from tokentrail import Case, Credential
from tokentrail.lineage.link import OUTPUT
from tokentrail.lineage.segment_tables import COLUMNS
from tokentrail.lineage.trace import Trace
from tokentrail.testing import FAKE_SESSION_TOKEN, TrueCredential, World
from tokentrail.testing.names import Json

SEEDS = st.integers(0, 999)


def everything(case: Case) -> str:
    """All that a case answers, as JSON: the inventory and the trace of every credential."""
    listed = list(case.credentials())
    ids = [one.id for one in listed]
    lines = case.call_lines(ids[:1], telling="Assume", room=9, run=2)
    return text([*listed, case.trace(ids), case.trace(ids[-1:]), *case.timeline(ids[:1]), lines])


def places_forgotten(answer: str) -> str:
    """The same without what names evidence objects, which do differ when evidence is cut differently."""
    import re

    return re.sub(r'"object": "[0-9a-f]*", "ordinal": \d+', "", answer)


def shuffled(records: Sequence[Json], seed: int) -> list[list[Json]]:
    """The records in another order, some twice, spread over several files."""
    chance = random.Random(seed)
    again = [*records, *chance.sample(records, len(records) // 2)]
    chance.shuffle(again)
    pieces = chance.randint(1, 5)
    return [again[start::pieces] for start in range(pieces)]


@FIFTY_WORLDS
@given(worlds(rare=True, edits=True, together=TOGETHER), SEEDS)
def test_order_repetition_and_splitting_change_nothing(world: World, seed: int) -> None:
    """Any permutation, repetition and split of the same records gives byte-identical answers."""
    records = world.records()
    with held(records) as case:
        expected = places_forgotten(everything(case))

    with held(*shuffled(records, seed)) as case:
        assert expected == places_forgotten(everything(case))


@given(worlds(rare=True, edits=True), st.integers(0, 200))
def test_an_overview_counts_what_the_inventory_lists(world: World, hours: int) -> None:
    """At any moment, though what has run out is counted and not looked at; and those who minted most are the same."""
    with held(world) as case:
        for as_of in (None, world.now + timedelta(hours=hours), world.now - timedelta(hours=1)):
            assert counted(case.credentials(as_of=as_of)) == case.overview(as_of=as_of)
            listed = [one.id for one in case.credentials(as_of=as_of)]
            assert set(case.called([*listed[::2], "nobody"], as_of=as_of)) == set(
                case.called(listed[::2], as_of=as_of)
            )
            assert sorted(one.id for one in case.called(listed[::2], as_of=as_of)) == sorted(listed[::2])


@given(worlds(rare=True, edits=True), SEEDS)
def test_ingesting_in_two_steps_is_ingesting_at_once(world: World, seed: int) -> None:
    """What was asked in between leaves no trace, and a second ingest of the same brings no new record."""
    import tempfile
    from pathlib import Path

    from tokentrail.testing import native

    records = world.records()
    cut = seed % (len(records) + 1)
    with held(records) as whole:
        expected = places_forgotten(everything(whole))
    with tempfile.TemporaryDirectory() as folder, Case.open(Path(folder) / "case") as case:
        first, second, both = (Path(folder) / name for name in ("1.json", "2.json", "3.json"))
        first.write_bytes(native(records[cut:]))
        second.write_bytes(native(records[:cut]))
        both.write_bytes(native(records[::-1]))
        case.ingest([str(first)])
        list(case.credentials())
        case.ingest([str(second)])
        assert expected == places_forgotten(everything(case))

        again = case.ingest([str(first), str(second), str(both)])
        assert 0 == again.records.new
        assert expected == places_forgotten(everything(case))


_COMPARED = (
    ("kind", "kind"), ("account", "account"), ("principal", "principal"), ("parent", "parent"), ("link", "parent_link"),
    ("origin", "origin"), ("root", "root"), ("depth", "depth"), ("issued_at", "issued_at"), ("expires_at", "expires_at"),
    ("access_key_ids", "access_key_ids"),
)  # fmt: skip


def differences(world: World, found: dict[str, Credential]) -> list[tuple[str, object, object]]:
    """Where the answer differs from the truth, beyond the parents that the builder leaves to the reader."""
    truth: dict[str, TrueCredential] = {one.id: one for one in world.truth}
    assert set(truth) == set(found)
    guessed = {one.id for one in found.values() if _beyond_the_truth(one)}
    wrong = []
    for true in truth.values():
        one = found[true.id]
        hangs_elsewhere = bool(guessed.intersection(_ancestry(one, found)))
        for theirs, ours in _COMPARED:
            if hangs_elsewhere and ours in ("parent", "parent_link", "origin", "root", "depth"):
                continue
            if getattr(true, theirs) != getattr(one, ours):
                wrong.append((f"{true.id}.{ours}", getattr(true, theirs), getattr(one, ours)))
    return wrong


def _beyond_the_truth(one: Credential) -> bool:
    """A role-side-only assumption with one possible caller; a sign-in through a password or user that was made."""
    return one.parent_link == "inferred" or (one.parent_link == "created" and one.kind != "long_term_key")


def _ancestry(one: Credential, found: dict[str, Credential]) -> list[str]:
    line = [one.id]
    while (parent := found[line[-1]].parent) is not None:
        line.append(parent)
    return line


@FIFTY_WORLDS
@given(worlds(together=TOGETHER))
def test_linking_the_records_of_a_world_gives_its_truth(world: World) -> None:
    """link(records(world)) = world.truth, for the ways in that AWS documents in full."""
    assert [] == differences(world, answers(world))


@FIFTY_WORLDS
@given(worlds(rare=True, together=TOGETHER))
def test_linking_the_rarer_ways_in_gives_the_truth_too(world: World) -> None:
    """link(records(world)) = world.truth with aws login, sign-in tokens, scoped, root and certificate sessions."""
    assert [] == differences(world, answers(world))


@FIFTY_WORLDS
@given(worlds(rare=True, together=TOGETHER), SEEDS)
def test_the_answer_at_a_moment_knows_nothing_later(world: World, seed: int) -> None:
    """The answer as of T is that of a case which only holds the records up to T."""
    records = world.records()
    assume(records)
    moment = world.now.fromisoformat(str(records[seed % len(records)]["eventTime"]))
    earlier = [one for one in records if world.now.fromisoformat(str(one["eventTime"])) <= moment]
    with held(earlier) as case:
        expected = places_forgotten(everything(case))

    with held(records) as case:
        listed = list(case.credentials(as_of=moment))
        ids = [one.id for one in listed]
        got = [
            *listed, case.trace(ids, as_of=moment), case.trace(ids[-1:], as_of=moment),
            *case.timeline(ids[:1], as_of=moment),
            case.call_lines(ids[:1], telling="Assume", room=9, run=2, as_of=moment),
        ]  # fmt: skip
        assert expected == places_forgotten(text(got))


@FIFTY_WORLDS
@given(worlds(rare=True, together=TOGETHER))
def test_a_trace_holds_exactly_the_line_above_and_the_tree_below(world: World) -> None:
    """Descendants are the closure over parents and created links; ancestors the parents of parents; nothing else."""
    with held(world) as case:
        found = by_id(case.credentials())
        edges: Trace = case.trace(list(found))
        children: dict[str, set[str]] = {}
        for link in edges.links:
            children.setdefault(link.parent, set()).add(link.child)
        for one in found.values():
            below, fresh = {one.id}, [one.id]
            while fresh:
                added = children.get(fresh.pop(), set()) - below
                below |= added
                fresh += added
            down = {item.id for item in case.trace([one.id], up=False).credentials}
            up = {item.id for item in case.trace([one.id], down=False).credentials}
            assert below == down
            assert set(_ancestry(one, found)) == up
            assert (len(up) - 1, _ancestry(one, found)[-1]) == (one.depth, one.root)


@given(worlds(rare=True))
def test_few_credentials_are_described_as_many_are(world: World) -> None:
    """The short way, for traces of few, gives what the way for any number gives; and if few is one, with many calls."""
    with held(world) as case:
        expected = everything(case)
        for few in (0, 1):
            case.close()
            with (
                mock.patch("tokentrail.lineage.subtree_query.LOOKED_UP", few),
                mock.patch("tokentrail.lineage.forest.LOOKED_UP", few),
            ):
                assert expected == everything(case)


@given(worlds(rare=True))
def test_the_parents_of_the_inventory_are_the_links_of_the_trace(world: World) -> None:
    """Each parent stands as a link of the same name, and what hangs below a link began no earlier than its call."""
    with held(world) as case:
        found = by_id(case.credentials())
        links = case.trace(list(found)).links
    expected = {(one.parent, one.id, one.parent_link) for one in found.values() if one.parent}

    assert expected <= {(one.parent, one.child, one.link) for one in links}


@given(worlds(rare=True))
def test_session_tokens_are_in_no_answer(world: World) -> None:
    """No result, no repr and no table holds a session token, though every issuing record does."""
    records = world.records()
    with held(records) as case:
        listed = list(case.credentials())
        ids = [one.id for one in listed]
        trace, line, status = case.trace(ids), list(case.timeline(ids)), case.status()
        shown = repr((listed, trace, line, status)) + text([*listed, trace, *line, status])
        stored = "".join(
            str(pq.read_table(path).to_pylist()) for path in case.path.glob("segments/*/*.parquet")
        )
        engine = case._views.open(None).engine
        derived = "".join(str(engine.rows(f"SELECT * FROM {name}")) for name in (*OUTPUT, *COLUMNS))
        table = str(case.credentials_table().to_pylist())

        assert FAKE_SESSION_TOKEN not in shown + table + stored + derived


@given(worlds(), st.sampled_from([HOME, AWAY]))
def test_filters_choose_among_what_is_listed(world: World, account: str) -> None:
    """Filters by account, kind, state and principal give what filtering the whole list gives, in its order."""
    with held(world) as case:
        every = list(case.credentials())
        assume(every)
        some = every[len(every) // 2]
        assert [one for one in every if one.account == account] == list(case.credentials(account=account))
        assert [one for one in every if one.kind == some.kind] == list(case.credentials(kind=some.kind))
        assert [one for one in every if one.state == some.state] == list(case.credentials(state=some.state))
        assert [one for one in every if some.principal in (one.principal, one.role)] == list(
            case.credentials(principal=some.principal)
        )
