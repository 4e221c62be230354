"""Few credentials are looked up, many are joined: both ways tell the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import START, held, spilling_may_be_forbidden, text
from forged import forged
from strategies import worlds
from tokentrail import Case
from tokentrail.errors import CaseError
from tokentrail.lineage import callers, creations, forest, lookup, naming, rollups, subtree_query
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.link import described
from tokentrail.lineage.subtree_query import Part
from tokentrail.testing import World
from tokentrail.testing.story import story


def opened(case: Case) -> tuple[Forest, Part, list[int]]:
    """The forest of a case, a part that remembers nothing yet, and the places of all credentials."""
    view = case._views.open(None)
    found = case._views.forest(None)
    return (
        found,
        Part(view.engine),
        [row["n"] for row in view.engine.rows("SELECT n FROM credentials ORDER BY n")],
    )


def told(part_of: Part, places: Sequence[int]) -> dict[str, Any]:
    """All that is told of some credentials: rows, calls, changes."""
    rolled = {}
    for one in rollups.ALL:
        table = part_of.rolled_up(places, one)
        rolled[one.name] = table.column_names, sorted(table.to_pylist(), key=repr)
    keys = ("event_id", "segment", "identity", "object", "ordinal", "n")
    return {
        "rows": [dict(sorted(row.items())) for row in part_of.rows(places)],
        "rolled": rolled,
        "changes": [[row[key] for key in keys] for row in part_of.changes(places, None)],
        "made": [[row[key] for key in keys] for row in part_of.changes(places, creations.OPERATIONS)],
    }


def both_ways(case: Case, monkeypatch: pytest.MonkeyPatch, first: int, each: int) -> None:
    """Compare what is looked up with what is joined: of all at once, of one, and of what a second question repeats."""
    _, looked_up, places = opened(case)
    sums = Part(case._views.open(None).engine)
    groups = [places, *([n] for n in places[first::each]), places[::2], places]
    for group in groups:
        found = told(looked_up, group)
        with monkeypatch.context() as many:
            many.setattr(subtree_query, "LOOKED_UP", -1)
            assert found == told(Part(case._views.open(None).engine), group)
            many.setattr(
                subtree_query, "_AT_ONCE", max(2, len(group) // 2)
            )  # of very many, some are brought together at a time
            assert found == told(Part(case._views.open(None).engine), group)
            many.setattr(subtree_query, "LOOKED_UP", 200)
            many.setattr(lookup, "_CALLS", 3)  # some do more than may be held
            many.setattr(lookup, "_ROWS", 2)
            many.setattr(lookup, "_PAIRS", 0)
            many.setattr(lookup, "_SPELLED", 1)
            assert found == told(Part(case._views.open(None).engine), group)
        with monkeypatch.context() as busy:
            busy.setattr(lookup, "_BUSY", 2)
            assert found == told(sums, group)


THIRD = 3
"""Of the credentials of a world, and of the names in it, each example asks for one of so many, drawn at random."""


@given(worlds(rare=True), st.integers(0, THIRD - 1))
def test_what_is_looked_up_is_what_is_joined(world: World, first: int) -> None:
    with (
        held(world.records()[: len(world.records()) // 2], world) as case,
        pytest.MonkeyPatch.context() as patch,
    ):
        both_ways(case, patch, first, THIRD)


def test_the_story_is_told_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    with held(story(ordinary_day=False).world) as case:
        both_ways(case, monkeypatch, first=0, each=8)


def test_a_session_without_issuer_is_told_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its role is read from its own ARN, however odd that is."""
    records = []
    for arn in (
        "arn:aws:sts::111122223333:assumed-role/Deploy/a", "assumed-role/x", "x:assumed-role/y/z", "arn:::::assumed-role/",
        "arn:a:b:sts::1:assumed-role/x/y", "arn:aws:sts::1:2:assumed-role/x/y/z", "arn:aws:sts:::assumed-role//", None,
    ):  # fmt: skip
        world = World(START)
        world.user("ada").assumes("Deploy", f"s{len(records)}").calls("s3:ListBuckets")
        (*_, record) = world.records()
        record["userIdentity"].update(
            arn=arn, principalId=f"AROADEPLOY:s{len(records)}", accessKeyId=f"ASIA{len(records):016}"
        )
        record["userIdentity"]["sessionContext"].pop("sessionIssuer")
        records.append({**record, "eventID": f"e{len(records)}"})
    with held(records) as case:
        both_ways(case, monkeypatch, first=0, each=1)


@pytest.mark.parametrize("few_ones", [200, -1])
def test_a_record_that_names_very_many_resources_is_told(
    monkeypatch: pytest.MonkeyPatch, few_ones: int
) -> None:
    """Each of a forged record's twenty thousand names is told once, and the whole of them not beside each."""
    monkeypatch.setattr(subtree_query, "LOOKED_UP", few_ones)
    spilling_may_be_forbidden(monkeypatch)
    place = World(START)
    listed = [{"ARN": "\n".join(map(str, range(20_000)))}]
    key = place.user("ada").key()
    key.calls("secretsmanager:BatchGetSecretValue", resources=listed)
    with held(place) as case:
        view = case._views.open(None)
        view.engine.run("SET memory_limit = '200MB'")
        view.engine.run("SET max_temp_directory_size = '0KB'")
        found = case.trace([key.id])

    assert len(found.resources) == 20_000


def test_what_a_busy_key_did_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its calls may be too many to stay at hand beside those of others; what they come to does."""
    place = World(START)
    keys = [place.user(name).key() for name in ("ada", "bob")]
    sessions = [
        [key.assumes(place.role("deploy"), f"{name}-{number}") for number in range(2)]
        for name, key in zip(("ada", "bob"), keys, strict=True)
    ]
    for key in keys:
        for _ in range(30):
            key.calls("s3:ListBuckets")
    monkeypatch.setattr(lookup, "_BUSY", 20)
    monkeypatch.setattr(lookup, "_CALLS", 40)
    with held(place) as case:
        read: list[int] = []
        asked = lookup.Lookup._read

        def noted(self: lookup.Lookup, places: Sequence[int], who: Any) -> Any:
            read.extend(places)
            return asked(self, places, who)

        monkeypatch.setattr(lookup.Lookup, "_read", noted)
        for mine in sessions:
            case.trace([mine[0].id])
        busy = {n for key in keys for n in case._views.forest(None).resolve(key.id)}
        assert busy <= set(read)
        read.clear()
        again = [case.trace([mine[1].id]) for mine in sessions]
        assert busy.isdisjoint(read)
    for key, found in zip(keys, again, strict=True):
        [used] = [one for one in found.apis if one.credential == key.id and one.event_name == "ListBuckets"]
        assert used.count == 30


def test_many_quiet_sessions_are_told() -> None:
    """More identities than a query lists one by one."""
    place = World(START)
    key = place.user("bob").key()
    for number in range(30):
        key.assumes(place.role("deploy"), f"run-{number}").calls("s3:ListBuckets")
    with held(place) as case:
        found = case.trace([key.id])

    assert len(found.credentials) == 31
    assert sum(one.count for one in found.apis if one.event_name == "ListBuckets") == 30


def test_of_a_credential_that_acts_everywhere_no_call_of_others_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor another's identity, though others have the same numbers as it has elsewhere."""
    monkeypatch.setattr("tokentrail.store.tasks.TASK_OBJECTS", 1)
    monkeypatch.setattr(lookup, "_PAIRS", 3)
    monkeypatch.setattr(lookup, "_SPELLED", 3)
    place, days = World(START), list[list[Any]]()
    keys = [place.user(name).key() for name in ("ada", "bob", "eve", "joe")]
    for day in range(6):
        before = len(place.records())
        for key in keys[day % 4 :] + keys[: day % 4]:  # in another order, so that numbers differ
            key.calls("s3:ListBuckets")
        days.append(place.records()[before:])
    with held(*days) as case:
        engine = case._views.open(None).engine
        read: list[int] = []
        table, rows = engine.table, engine.rows

        def counted(ask: Any) -> Any:
            def asked(sql: str, *parameters: Any) -> Any:
                found = ask(sql, *parameters)
                read.append(len(found))
                return found

            return asked

        monkeypatch.setattr(engine, "table", counted(table))
        monkeypatch.setattr(engine, "rows", counted(rows))
        found = case.trace([keys[0].id])

    assert [6] == [one.count for one in found.apis if one.event_name == "ListBuckets"]
    assert 6 <= max(read) < 12


@given(worlds(rare=True))
def test_who_is_above_is_the_same_step_by_step_and_by_ranges(world: World) -> None:
    with held(world) as case, pytest.MonkeyPatch.context() as patch:
        found, _, places = opened(case)
        climbed = [found.ancestors([n]) for n in places]
        patch.setattr(forest, "_CLIMBED", 0)
        assert climbed == [found.ancestors([n]) for n in places]
        patch.setattr(forest, "LOOKED_UP", 0)
        assert climbed == [found.ancestors([n]) for n in places]


@given(worlds(rare=True))
def test_a_trace_is_the_same_whatever_was_asked_before(world: World) -> None:
    with held(world) as case:
        ids = [one.id for one in case.credentials()]
        first = {}
        for one in ids:
            first[one] = text([case.trace([one])])
        for one in reversed(ids):
            assert first[one] == text([case.trace([one])])


@given(worlds(rare=True), st.integers(0, THIRD - 1))
def test_a_name_is_found_where_it_was_recorded_as_by_looking_through_all(world: World, first: int) -> None:
    with held(world) as case:
        found, engine = case._views.forest(None), case._views.open(None).engine
        rows = found.rows("TRUE")
        engine.run(f"CREATE TABLE everybody AS {described()}")
        names = {row[one] for row in rows for one in ("arn", "child_arn", "caller_arn", "role_arn", "issuer_arn",
                 "principal_id", "child", "caller_principal", "session_name", "target", "on_behalf_of")}  # fmt: skip
        names |= {str(one).partition(":")[0] for one in names}
        names |= {str(one).replace(":role/", ":role/service/") for one in names}
        for name in sorted(str(one) for one in names if one)[first::THIRD]:
            for meaning in naming._meanings(name):
                every = engine.rows(f"SELECT n FROM everybody WHERE {meaning.where}", meaning.parameters)
                expected = {row["n"] for row in every}
                assert expected == _meant(found, meaning)
                with pytest.MonkeyPatch.context() as many:
                    many.setattr(callers, "LOOKED_UP", -1)
                    many.setattr(subtree_query, "_FEWEST", -1)
                    assert expected == _meant(found, meaning)


def _meant(found: Forest, meaning: naming.Meaning) -> set[int]:
    return found._part.matching(list(found._candidates(meaning)), meaning.where, meaning.parameters)


@given(worlds(rare=True), st.integers(0, THIRD - 1))
def test_whose_an_event_or_address_is_is_the_same_by_key_ids_and_by_looking_through_all(
    world: World, first: int
) -> None:
    """Also where several credentials bear one key id, of which not all made the call."""
    records = world.records()
    names = {one["eventID"] for one in records[first::THIRD]} | {
        str(one["sourceIPAddress"]) for one in records
    }
    with held(forged(records, first, 0.3)) as case:
        found = case._views.forest(None)
        for name in sorted(names):
            few_ones = found.speaking_for(name) or found._by_event(name)
            with pytest.MonkeyPatch.context() as many:
                many.setattr(callers, "LOOKED_UP", -1)
                assert few_ones == (found.speaking_for(name) or found._by_event(name))


_CAME = """
SELECT e.ip, w.n, min(e.time) AS first FROM facts e
JOIN credential_identities w ON w.segment = e.segment AND w.identity = e.identity GROUP BY ALL"""


@given(worlds(rare=True), st.integers(0, THIRD - 1))
def test_who_came_first_from_an_address_is_told_of_all_but_some(world: World, left_out: int) -> None:
    """Whoever is left out does not count either towards how many may have come from there."""
    with held(world.records()) as case:
        found, _, places = opened(case)
        besides = set(places[left_out::THIRD])
        expected: dict[str, dict[int, int]] = {}
        for row in case._views.open(None).engine.rows(_CAME):
            if row["ip"] is not None and row["n"] not in besides:
                expected.setdefault(row["ip"], {})[row["n"]] = row["first"]
        most = max(map(len, expected.values()), default=0)
        asked = sorted({*expected, "192.0.2.254"})
        with pytest.MonkeyPatch.context() as many:
            for looked_up in (200, -1):
                many.setattr(callers, "LOOKED_UP", looked_up)
                assert found.first_from(asked, most, besides) == expected


@pytest.mark.parametrize("name", ["credentials", "credential_identities"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, CaseError])
def test_what_an_error_left_half_done_is_asked_again(
    name: str, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever ended a question by hand and asks again must not be told that nobody did anything."""
    world = World(START)
    session = world.user("ada").assumes("Deploy")
    session.calls("s3:ListBuckets", count=3)
    with held(world) as case:
        expected = case.trace([session.id])
    with held(world) as case:
        engine = case._views.open(None).engine
        real, left = engine.rows_with, [name]

        def failing(asked: str, *rest: Any) -> Any:
            if asked in left:
                left.remove(asked)
                raise error("by hand")
            return real(asked, *rest)

        monkeypatch.setattr(engine, "rows_with", failing)
        with pytest.raises(error):
            case.trace([session.id])
        assert not left and expected == case.trace([session.id])
