"""Athena asked by lineage: the trace that all logs give, few rows, within bounds, and on from where it stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asked_cases import ROW, followed, lineage
from athena_cases import SOURCE, Athena
from cloud_cases import Cloud, Refusal
from hypothesis import HealthCheck, given, settings

from evidence import AWAY, HOME, START, held, kept
from strategies import worlds
from tokentrail import Case
from tokentrail.errors import SourceError, UsageError
from tokentrail.sources.interface import Queries
from tokentrail.testing import World
from tokentrail.testing.story import Story, story

FORMS = ("plain", "projected", "dated", "view", "lake-1", "lake-2")


@pytest.fixture(name="told", scope="module")
def _told() -> Story:
    return story()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_table_gives_the_trace_that_all_logs_give(cloud: Cloud, told: Story, form: str) -> None:
    """CloudTrail's own DDL, with and without partitions, a view over it, and both versions of Security Lake's."""
    records = told.world.records()
    athena = Athena(cloud, records, form)
    summary = athena.ingest(told.a.key_id)
    with Case.open(cloud.case) as case, held(records) as other:
        end = told.moments.end
        whole = lineage(other, told.a.key_id, as_of=end)
        assert whole == lineage(case, told.a.key_id, as_of=end)
        assert not summary.records.rejected
        assert told.a.key_id in whole and told.e.key_id in whole


def test_less_than_two_rows_of_a_hundred_are_asked_for(cloud: Cloud, told: Story) -> None:
    """The story's subject, with the 818 calls of its lineage, out of 48,000 records: what is asked beside is little."""
    records = told.world.records()
    own = sum(one["userIdentity"].get("accessKeyId") in told.key_ids.values() for one in records)
    crowd = World(START - timedelta(hours=9), 7)
    for number in range(60):
        crowd.user(f"user{number}").calls("ec2:DescribeInstances", count=750)
    records += crowd.records()
    athena = Athena(cloud, records)
    athena.ingest(told.a.key_id)

    assert own <= athena.rows <= own + 20
    assert athena.rows < 0.02 * len(records)


def test_rows_are_evidence_with_the_query_that_brought_them(cloud: Cloud, told: Story) -> None:
    """Query id, text and parameters stand beside the rows."""
    athena = Athena(cloud, told.world.records(), page=7)
    athena.ingest(told.a.key_id)
    pages = [json.loads(data) for data in kept(Path(cloud.case)).values()]

    assert {one["QueryString"] for one in athena.requests} >= {one["Query"] for one in pages}
    assert all(one["QueryExecutionId"] and one["ExecutionParameters"] for one in pages)
    assert all("'" not in one["Query"] for one in pages)


def test_a_second_run_asks_for_nothing_again(cloud: Cloud, told: Story) -> None:
    """What was answered is noted in the case; another subject is asked for."""
    athena = Athena(cloud, told.world.records())
    athena.ingest(told.a.key_id)
    athena.requests.clear()
    summary = athena.ingest(told.a.key_id)
    assert not athena.requests
    assert 0 == summary.records.read

    athena.ingest(told.ria_before.key_id)
    assert athena.requests


def test_a_run_that_ended_in_the_middle_goes_on(cloud: Cloud, told: Story) -> None:
    """What the first query told is not asked again, and the trace is whole in the end."""
    athena = Athena(cloud, told.world.records())
    athena.refuse = lambda operation, _: (
        Refusal(400, "ExpiredTokenException")
        if operation == "StartQueryExecution" and athena.requests
        else None
    )
    with pytest.raises(SourceError, match="expired"):
        athena.ingest(told.a.key_id)
    athena.refuse = None
    athena.requests.clear()
    athena.ingest(told.a.key_id)

    assert all("'CreateUser'" not in one["ExecutionParameters"] for one in athena.requests)
    with Case.open(cloud.case) as case, held(told.world.records()) as other:
        assert lineage(case, told.a.key_id) == lineage(other, told.a.key_id)


def test_no_more_is_scanned_than_is_allowed(cloud: Cloud, told: Story) -> None:
    """The query that would go beyond is stopped, the summary says so, and the next run goes on."""
    athena = Athena(cloud, told.world.records())
    athena.slow = ("00000001-query",)
    summary = athena.ingest(told.a.key_id, queries=Queries(max_scan=ROW))
    assert ["00000001-query"] == athena.stopped
    assert ["--max-scan" in one.reason and one.lost for one in summary.skipped] == [True]

    athena.slow = ()
    athena.ingest(told.a.key_id)
    with Case.open(cloud.case) as case:
        assert told.e.key_id in lineage(case, told.a.key_id)


def test_what_was_scanned_is_counted_and_told(cloud: Cloud, told: Story) -> None:
    """Bytes as Athena tells them; a cost only at a price that is given."""
    athena = Athena(cloud, told.world.records())
    first, *_ = athena.ingest(told.a.key_id, queries=Queries(price=5.0)).asked[1:]
    scanned = ROW * len(athena.records)

    assert f"{len(athena.requests)} queries scanned" in first
    assert int(first.split("scanned ")[1].split(" bytes")[0].replace(",", "")) >= scanned
    assert "at 5 a terabyte" in first


@pytest.mark.parametrize("form", ["projected", "dated", "lake-1", "lake-2"])
def test_partitions_bound_what_is_scanned(cloud: Cloud, form: str) -> None:
    """Of ten days, those that are asked for, and one more for late delivery; Iceberg's bounds are to the second."""
    world = World(START)
    ada = world.user("ada")
    for _ in range(10):
        ada.calls("ec2:DescribeInstances", count=10)
        world.wait(hours=24)
    athena = Athena(cloud, world.records(), form)
    summary = athena.ingest(ada.key_id, since=START, until=START + timedelta(days=1))
    [spent] = [one for one in summary.asked if "scanned" in one]

    days = 2 if form == "lake-2" else 3
    assert f"scanned {days * 10 * ROW:,} bytes" in spent


def test_accounts_and_regions_bound_what_is_asked(cloud: Cloud) -> None:
    """An organisation's table has other accounts' records as well."""
    world = World(START)
    ada = world.user("ada")
    child = ada.assumes(f"arn:aws:iam::{AWAY}:role/Audit")
    child.calls("ec2:DescribeInstances")
    athena = Athena(cloud, world.records(), "dated")
    athena.ingest(ada.key_id, accounts=frozenset({HOME}), regions=frozenset({"us-east-1"}))

    with Case.open(cloud.case) as case:
        assert {HOME} == {one.account for one in case.status().coverage}
    assert all(f"'{HOME}'" in one["ExecutionParameters"] for one in athena.requests)


def test_both_records_of_a_call_across_accounts_come_in(cloud: Cloud) -> None:
    """The issuing call by the key's id, and by the id that both records share."""
    world = World(START)
    ada = world.user("ada")
    child = ada.assumes(f"arn:aws:iam::{AWAY}:role/Audit")
    child.calls("ec2:DescribeInstances")
    Athena(cloud, world.records()).ingest(child.key_id)

    with Case.open(cloud.case) as case, held(world) as other:
        assert {HOME, AWAY} == {one.account for one in case.status().coverage}
        assert lineage(case, child.key_id) == lineage(other, child.key_id)


def test_a_user_that_was_made_is_followed(cloud: Cloud) -> None:
    """A key that somebody else makes for the attacker's user leads on."""
    world = World(START)
    ada = world.user("ada")
    made = ada.creates_access_key()
    made.calls("s3:ListBuckets")
    athena = Athena(cloud, world.records())
    athena.ingest(ada.key_id)

    assert f"'{made.key_id}'" in athena.parameters_sent


@pytest.mark.parametrize(
    "hostile", ["x') OR 1=1 --", "a' UNION SELECT 1", '"; DROP TABLE events', "\x1b[2J", "%", 7, None, ["a"]]
)
def test_hostile_ids_stay_values(cloud: Cloud, hostile: Any) -> None:
    """What a record says is put into a query only as a quoted parameter, and only where it can be an id."""
    world = World(START)
    ada = world.user("ada")
    child = ada.assumes("Deploy")
    child.calls("ec2:DescribeInstances")
    world.user("bob").calls("ec2:DescribeInstances", count=30)
    records = world.records()
    for one in records:
        if one["eventName"] == "AssumeRole":
            one["responseElements"]["credentials"]["accessKeyId"] = hostile
            one["sharedEventID"] = hostile
    athena = Athena(cloud, records)
    athena.ingest(ada.key_id)

    assert athena.rows < 20
    assert not [one for one in athena.parameters_sent if "OR 1" in one or "UNION" in one or "DROP" in one]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds(duplicates=True, edits=True, largest=14))
def test_a_trace_fetched_is_the_trace_over_everything(cloud: Cloud, world: World) -> None:
    """For keys of a world: the same credentials, parents, links and states, but for what is stated."""
    records = world.records()
    end = max(datetime.fromisoformat(one["eventTime"]) for one in records) if records else START
    with held(records) as whole:
        keys = [one.id for one in whole.credentials() if one.id.startswith("AKIA")]
        for key in keys[:3]:
            shutil.rmtree(cloud.case, ignore_errors=True)
            Athena(cloud, records).ingest(key)
            with Case.open(cloud.case) as case:
                assert followed(lineage(whole, key, as_of=end), key) == followed(
                    lineage(case, key, as_of=end), key
                )


# ---------------------------------------------------------------- wrong use


def test_what_is_needed_is_said(cloud: Cloud, told: Story) -> None:
    """A subject, a time to begin at, and a table of CloudTrail's."""
    athena = Athena(cloud, told.world.records())
    with pytest.raises(UsageError, match="--subject"):
        athena.ingest()
    with pytest.raises(UsageError, match="--since"):
        athena.ingest(told.a.key_id, since=None)
    athena._types = {"a": "string"}
    with pytest.raises(SourceError, match="not those of CloudTrail's"):
        athena.ingest(told.a.key_id)
    with Case.open(cloud.case) as case, pytest.raises(UsageError, match=r"DATABASE\.TABLE"):
        case.ingest(['athena:x"; DROP'], access=[cloud.access])


def test_a_dry_run_shows_queries_and_sends_none(cloud: Cloud, told: Story, run: Callable[..., Any]) -> None:
    """It makes no case, either."""
    athena = Athena(cloud, told.world.records())
    options = ("--subject", told.a.key_id, "--since", "2026-11-22", "--endpoint-url", cloud.wire.url)
    ran = run("ingest", SOURCE, *options, "--dry-run")

    assert 0 == ran.code
    assert "SELECT" in ran.out and f"'{told.a.key_id}'" in ran.out
    assert not athena.requests
    assert 0 == run("ingest", SOURCE, *options, "--workgroup", "ir", "--output", "s3://results/").code
    assert {"ir"} == {one["WorkGroup"] for one in athena.requests}
    assert {"s3://results/"} == {one["ResultConfiguration"]["OutputLocation"] for one in athena.requests}
    assert 2 == run("ingest", "s3://logs/", "--max-scan", "5").code
