"""Many credentials: what is known of them lies in files, brought together some segments at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from case_tables import FIRES
from hypothesis import given
from hypothesis import strategies as st
from rule_cases import world

from evidence import in_segments, spilling_may_be_forbidden
from noisy_company import NoisyCompany
from tokentrail import Case
from tokentrail.detection import context, credential_details, views
from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.detection.context import Ancestry, DetectionContext
from tokentrail.detection.rule_failures import Failures
from tokentrail.detection.rules import stolen_workload
from tokentrail.detection.run import detect
from tokentrail.detection.sigma.reading import read_rules
from tokentrail.present.document import document
from tokentrail.store.duck import DuckEngine
from tokentrail.store.temporary_files import new_temporary_folder
from tokentrail.testing.names import Json
from tokentrail.testing.story import story

SIGMA = Path(__file__).parents[2] / "bench" / "sigma"
MORNING = 500
"""Records of a noisy day until about ten."""
NOT_MANY = ("attributed_changes", "change_actors", "notable_calls", "s3_calls", "workload_starts")


def rich() -> list[Json]:
    """What every rule is for, the story, and a noisy morning: keys, chains, and sessions that nobody saw issued."""
    place = world()
    for acts in FIRES.values():
        for act in acts[:1]:
            act(place)
            place.wait(600)
    minted = [*place.records(), *NoisyCompany(days=1).works().records()[:MORNING]]
    unseen = [
        one for number, one in enumerate(minted) if one["eventSource"] != "sts.amazonaws.com" or number % 5
    ]
    return [*story(ordinary_day=False).world.records(), *unseen]


@pytest.fixture(name="case", scope="module")
def _case() -> Iterator[Case]:
    with in_segments(rich(), 5) as case:
        yield case


@pytest.fixture(name="scratch")
def _scratch() -> Iterator[Path]:
    """A folder in which the engine may write."""
    folder = new_temporary_folder()
    yield folder / "tables"
    shutil.rmtree(folder)


def many(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Let a case count as large from a few credentials and changes on."""
    monkeypatch.setattr(credential_details, "_TOGETHER", most)
    monkeypatch.setattr(credential_details, "_TURNS", 1_000)
    monkeypatch.setattr(context, "_MANY_CHANGES", 0)
    monkeypatch.setattr(context, "_TOGETHER", most)
    monkeypatch.setattr(context, "_MOST", most)


@pytest.mark.parametrize("most", [1, 1_000_000])
def test_a_table_tells_how_many_rows_it_has(
    case: Case, scratch: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Asked for at once or in parts, and put together of these: rules ask no more about none."""
    view = case._views.open(None)
    many(monkeypatch, most)
    with closing(DetectionContext(view.engine, case._views.forest(None), scratch=scratch)) as context_:
        context_.prepare((views.CREDENTIAL_EVENTS,))
        assert (len(context_.batches("SELECT n FROM some_credential_events")) > 1) == (most == 1)
        asked = "SELECT n, count(*) AS events FROM some_credential_events WHERE {} GROUP BY n"
        put_together = "SELECT n, sum(events) AS events FROM {parts} GROUP BY n"
        for name, condition, whole in (
            ("all", "TRUE", put_together), ("parts", "TRUE", None), ("none", "FALSE", put_together),
        ):  # fmt: skip
            told = context_.batched_table(name + "_of_them", asked.format(condition), whole)
            assert told == len(context_.arrow(f"SELECT * FROM {name}_of_them"))
            assert (told == 0) == (name == "none")


def test_a_record_that_names_very_many_secrets_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a forged record names is told apart once, not once for each of its parts."""
    spilling_may_be_forbidden(monkeypatch)
    place = world()
    many_names = "\n".join(map(str, range(20_000)))
    place.user("ada").key().calls("secretsmanager:BatchGetSecretValue", resources=[{"ARN": many_names}])
    with in_segments(place.records(), 1) as case:
        view = case._views.open(None)
        view.engine.run("SET memory_limit = '200MB'")
        view.engine.run("SET max_temp_directory_size = '0KB'")
        with closing(DetectionContext(view.engine, case._views.forest(None))) as context_:
            found = detect(
                context_, [one for one in CATALOGUE if one.id == "secrets-swept"], failures=Failures()
            )

    assert [one.count for one in found] == [20_000]


@pytest.mark.parametrize("most", [1, pytest.param(60, marks=pytest.mark.long)])
def test_in_files_the_same_is_known(
    case: Case, scratch: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """However few credentials are brought together at once, each has the row that it has where all are."""
    view = case._views.open(None)
    plain = DetectionContext(view.engine, case._views.forest(None))
    plain.prepare(views.VIEWS)
    expected = {view.name: plain.arrow(f"SELECT * FROM {view.name} ORDER BY ALL") for view in views.VIEWS}
    assert plain.batches("SELECT n FROM some_credential_events") == ["SELECT n FROM credential_events"]
    plain.close()
    many(monkeypatch, most)
    filed = DetectionContext(view.engine, case._views.forest(None), scratch=scratch)

    filed.prepare(views.VIEWS)
    for name, rows in expected.items():
        assert filed.arrow(f"SELECT * FROM {name} ORDER BY ALL") == rows
        assert len(rows) > most or name in NOT_MANY
    parts = filed.batches("SELECT event_id FROM some_credential_events")
    assert len(parts) == 5 or most > 1
    assert sum(filed.arrow(one).num_rows for one in parts) == expected["credential_events"].num_rows
    folders = {path.name for path in scratch.iterdir()}
    combined = {f"{view.name}_whole" for view in views.VIEWS if view.combine and len(parts) > 1}
    assert folders == {view.name for view in views.VIEWS if view.filed} | combined
    apart = [
        "FROM identity_credentials" not in one and "JOIN identity_credentials " not in one for one in parts
    ]
    assert apart == [len(parts) > 1] * len(parts), (
        "each part opens the file with its own identity_credentials, and no other"
    )
    assert len(list((scratch / "credential_details").iterdir())) > 1
    filed.close()


def test_in_files_the_same_is_found(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large case is judged to the same bytes as a small one, again and again, and nothing is left on disk."""
    before = sorted((case.path / "derived").iterdir())
    sigma = read_rules([SIGMA])
    expected = [json.dumps(document(one)) for one in case.detect(sigma=sigma)]
    many(monkeypatch, 7)

    assert [json.dumps(document(one)) for one in case.detect(sigma=sigma)] == expected
    assert [json.dumps(document(one)) for one in case.detect(sigma=sigma)] == expected
    assert len({json.loads(one)["rule"] for one in expected}) > 15
    assert sorted((case.path / "derived").iterdir()) == before


def test_raw_records_are_asked_for_some_segments_at_a_time(
    case: Case, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a large case the same records are read again as in a small one, and no more of them listed at once."""
    view = case._views.open(None)
    sigma = read_rules([SIGMA])

    def listed(beside: Path | None) -> list[pa.Table]:
        tables: list[pa.Table] = []
        context = DetectionContext(view.engine, case._views.forest(None), scratch=beside)
        monkeypatch.setattr(context, "scan", lambda wanted: iter(tables.append(wanted) or ()))
        detect(context, [], failures=Failures(), sigma=sigma)
        context.close()
        return tables

    def asked(tables: list[pa.Table], what: str) -> list[tuple[object, ...]]:
        columns = ("segment", "object", "ordinal", what)
        return sorted(
            tuple(row[name] for name in columns)
            for one in tables
            if what in one.column_names
            for row in one.to_pylist()
        )

    at_once = listed(None)
    many(monkeypatch, 7)
    some = listed(scratch)

    assert max(len(set(one["segment"].to_pylist())) for one in some) == 1 < len(some)
    for what in ("open", "counted"):
        assert asked(some, what) == asked(at_once, what) != []


def test_ancestry_is_that_of_the_forest(case: Case) -> None:
    """What stands above some credentials, and what below them, is what the forest tells."""
    view = case._views.open(None)
    forest = case._views.forest(None)
    places = [
        row["n"] for row in view.engine.rows("SELECT n FROM credentials ORDER BY depth DESC, id LIMIT 9")
    ]
    expected = forest.ancestors(places)
    assert len(expected) > 2
    with closing(DetectionContext(view.engine, forest)) as context:
        assert context.ancestors(places) == expected
        assert context.ancestors([]) == set()
        for root in expected:
            assert set(context.ancestry.below([root])["n"].to_pylist()) == forest._part.trees([root])


def test_one_role_of_thousands_of_sessions_is_judged_in_little_room() -> None:
    """Strangers from 6,000 addresses use a role's sessions for years: no address is compared with each other one."""
    with duckdb.connect(
        config={"memory_limit": "256MB", "max_temp_directory_size": "0B", "threads": 1}
    ) as engine:
        engine.execute("""CREATE TABLE visits AS SELECT i // 3 AS n, concat('ip', i % 6000) AS ip,
                          concat('tool', i % 5) AS agent, 1 AS events, i AS first FROM range(30000) t(i)""")
        engine.execute(
            "CREATE TABLE hosted AS SELECT DISTINCT n, 'role' AS person, n AS host, 'ec2' AS platform FROM visits"
        )
        engine.execute("CREATE TABLE guests AS SELECT '' AS ip, '' AS agent, FALSE AS by_hand")

        assert 30_000 == len(engine.execute(stolen_workload._ABROAD).fetchall())


@given(
    st.integers(1, 60).flatmap(
        lambda count: st.tuples(
            st.tuples(*(st.integers(-1, one - 1) for one in range(count))),
            st.sets(st.integers(0, count - 1)),
            st.sets(st.integers(0, count - 1)),
        )
    )
)
def test_each_credential_is_told_the_nearest_start_above_it(
    forest: tuple[tuple[int, ...], set[int], set[int]],
) -> None:
    """Starts lie within one another and side by side; what counts as nobody's descendant has none but itself."""
    parents, starts, apart = forest
    with closing(DuckEngine(threads=1)) as engine:
        engine.register("given", pa.table({"n": range(len(parents)), "parent_n": parents}))
        engine.run("CREATE TABLE credentials AS SELECT n, nullif(parent_n, -1) AS parent_n FROM given")
        found = Ancestry(engine, nullcontext()).below(starts, apart)
        told = dict(zip(found["n"].to_pylist(), found["start"].to_pylist(), strict=True))

    def nearest(one: int) -> int | None:
        while one not in starts:
            if one in apart or parents[one] < 0:
                return None
            one = parents[one]
        return one

    assert told == {one: top for one in range(len(parents)) if (top := nearest(one)) is not None}
