"""CloudTrail Lake and CloudWatch Logs asked by lineage: the trace that all logs give, few rows, and on from a stop."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from asked_cases import ROW, Asked, followed, lineage
from cloud_cases import Answer, Cloud, Refusal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lake_cases import STORE, Lake
from logs_cases import GROUP, Logs, condition

from evidence import AWAY, HOME, START, held, kept
from strategies import worlds
from tokentrail import Case
from tokentrail.errors import SourceError, UsageError
from tokentrail.sources import logs_insights
from tokentrail.sources.following import _text
from tokentrail.sources.interface import Queries
from tokentrail.sources.query_sql import literal
from tokentrail.testing import World
from tokentrail.testing.story import Story, story

SERVICES = (Lake, Logs)
Service = Callable[..., Asked]
each_service = pytest.mark.parametrize("service", SERVICES)


@pytest.fixture(name="told", scope="module")
def _told() -> Story:
    return story()


@each_service
def test_a_story_asked_for_gives_the_trace_that_all_logs_give(
    cloud: Cloud, told: Story, service: Service
) -> None:
    """Credentials, parents, links and states are those of the whole log."""
    records = told.world.records()
    summary = service(cloud, records).ingest(told.a.key_id)
    with Case.open(cloud.case) as case, held(records) as other:
        end = told.moments.end
        whole = lineage(other, told.a.key_id, as_of=end)
        assert whole == lineage(case, told.a.key_id, as_of=end)
        assert not summary.records.rejected
        assert told.a.key_id in whole and told.e.key_id in whole


@each_service
def test_less_than_two_rows_of_a_hundred_are_asked_for(cloud: Cloud, told: Story, service: Service) -> None:
    """The calls of the story's lineage out of 48,000 records, and each row hardly twice."""
    records = told.world.records()
    crowd = World(START - timedelta(hours=9), 7)
    for number in range(60):
        crowd.user(f"user{number}").calls("ec2:DescribeInstances", count=750)
    records += crowd.records()
    asked = service(cloud, records)
    summary = asked.ingest(told.a.key_id)

    assert asked.rows < 0.02 * len(records)
    assert summary.records.read <= asked.rows


@each_service
def test_rows_are_evidence_with_the_query_that_brought_them(
    cloud: Cloud, told: Story, service: Service
) -> None:
    """Query id and text stand beside the rows, on every page."""
    asked = service(cloud, told.world.records(), page=7)
    asked.ingest(told.a.key_id)
    pages = [json.loads(data) for data in kept(Path(cloud.case)).values()]

    assert {one.get("QueryStatement", one.get("queryString")) for one in pages} <= set(asked.texts)
    assert all(one.get("QueryId", one.get("queryId")) for one in pages)
    assert asked.rows == sum(len(one.get("QueryResultRows", one.get("results", []))) for one in pages)


@each_service
def test_a_second_run_asks_for_nothing_again(cloud: Cloud, told: Story, service: Service) -> None:
    """What was answered is noted in the case; another subject is asked for."""
    asked = service(cloud, told.world.records())
    asked.ingest(told.a.key_id)
    asked.texts.clear()
    assert 0 == asked.ingest(told.a.key_id).records.read
    assert not asked.texts

    asked.ingest(told.ria_before.key_id)
    assert asked.texts


@each_service
def test_a_run_that_ended_in_the_middle_goes_on(cloud: Cloud, told: Story, service: Service) -> None:
    """What the first query told is not asked again, and the trace is whole in the end."""
    asked = service(cloud, told.world.records())
    asked.refuse = lambda operation, _: (
        Refusal(400, "ExpiredTokenException") if operation == "StartQuery" and asked.texts else None
    )
    with pytest.raises(SourceError, match="expired"):
        asked.ingest(told.a.key_id)
    asked.refuse = None
    asked.texts.clear()
    asked.ingest(told.a.key_id)

    assert asked.texts and all("CreateUser" not in one for one in asked.texts)
    with Case.open(cloud.case) as case, held(told.world.records()) as other:
        assert lineage(case, told.a.key_id) == lineage(other, told.a.key_id)


@each_service
def test_no_more_is_scanned_than_is_allowed(cloud: Cloud, told: Story, service: Service) -> None:
    """The query that would go beyond is stopped, the summary says so, and the next run goes on."""
    asked = service(cloud, told.world.records())
    first = "00000001-0000-4000-8000-000000000000" if service is Lake else "00000001-query"
    asked.slow = (first,)
    summary = asked.ingest(told.a.key_id, queries=Queries(max_scan=ROW))
    assert [first] == asked.stopped
    assert ["--max-scan" in one.reason and one.lost for one in summary.skipped] == [True]

    asked.slow = ()
    asked.ingest(told.a.key_id)
    with Case.open(cloud.case) as case:
        assert told.e.key_id in lineage(case, told.a.key_id)


@each_service
def test_what_was_scanned_is_counted_and_told(cloud: Cloud, told: Story, service: Service) -> None:
    """Bytes as the service tells them; a cost only at a price that is given."""
    asked = service(cloud, told.world.records())
    first, *_ = asked.ingest(told.a.key_id, queries=Queries(price=5.0)).asked[1:]

    assert f"{len(asked.texts)} queries scanned" in first
    assert int(first.split("scanned ")[1].split(" bytes")[0].replace(",", "")) >= ROW * len(asked.records)
    assert "at 5 a terabyte" in first


@each_service
def test_time_bounds_what_is_scanned(cloud: Cloud, service: Service) -> None:
    """Of ten days, those that are asked for; of a log group one more, for late delivery."""
    world = World(START)
    ada = world.user("ada")
    for _ in range(10):
        ada.calls("ec2:DescribeInstances", count=10)
        world.wait(hours=24)
    asked = service(cloud, world.records())
    summary = asked.ingest(ada.key_id, since=START, until=START + timedelta(hours=23))
    [spent] = [one for one in summary.asked if "scanned" in one]

    assert f"scanned {(10 if service is Lake else 20) * ROW:,} bytes" in spent


@each_service
def test_accounts_and_regions_bound_what_is_asked(cloud: Cloud, service: Service) -> None:
    """An organisation's trail has other accounts' records as well."""
    world = World(START)
    ada = world.user("ada")
    child = ada.assumes(f"arn:aws:iam::{AWAY}:role/Audit")
    child.calls("ec2:DescribeInstances")
    asked = service(cloud, world.records())
    asked.ingest(ada.key_id, accounts=frozenset({HOME}), regions=frozenset({"us-east-1"}))

    with Case.open(cloud.case) as case:
        assert {HOME} == {one.account for one in case.status().coverage}
    assert all(HOME in one and "us-east-1" in one for one in asked.texts)


@each_service
def test_both_records_of_a_call_across_accounts_come_in(cloud: Cloud, service: Service) -> None:
    """The issuing call by the key's id, and by the id that both records share."""
    world = World(START)
    ada = world.user("ada")
    child = ada.assumes(f"arn:aws:iam::{AWAY}:role/Audit")
    child.calls("ec2:DescribeInstances")
    service(cloud, world.records()).ingest(child.key_id)

    with Case.open(cloud.case) as case, held(world) as other:
        assert {HOME, AWAY} == {one.account for one in case.status().coverage}
        assert lineage(case, child.key_id) == lineage(other, child.key_id)


@each_service
def test_calls_that_services_made_for_a_session_are_named_as_not_asked_for(
    cloud: Cloud, service: Service
) -> None:
    """They show other key ids: the session has its parent and state, and the summary says what is missing."""
    world = World(START)
    ada = world.user("ada")
    child = ada.assumes("Deploy")
    child.via("cloudformation.amazonaws.com", fresh_key=True).calls("ec2:DescribeVpcs")
    summary = service(cloud, world.records()).ingest(ada.key_id)

    assert any("calls that services made for a session" in one for one in summary.asked)
    with Case.open(cloud.case) as case, held(world) as other:
        fetched, whole = lineage(case, ada.key_id)[child.key_id], lineage(other, ada.key_id)[child.key_id]
    assert fetched == (ada.key_id, "recorded", *whole[2:])
    assert whole[:2] == (ada.key_id, "matched")


@each_service
def test_more_questions_than_a_query_holds_go_into_several(cloud: Cloud, service: Service) -> None:
    """Four hundred sessions of one key: no query is longer than the service takes, and none is left out."""
    world = World(START)
    ada = world.user("ada")
    children = [ada.assumes("Deploy") for _ in range(400)]
    for one in children:
        one.calls("ec2:DescribeInstances")
    asked = service(cloud, world.records())
    asked.ingest(ada.key_id)

    assert all(len(one) <= 10_000 for one in asked.texts)
    assert all(any(f"{one.key_id}" in text for text in asked.texts) for one in children)
    with Case.open(cloud.case) as case:
        assert {one.key_id for one in children} <= lineage(case, ada.key_id).keys()


HOSTILE = [
    "x') OR 1=1 --", "a' UNION SELECT 1", '"; DROP TABLE events', '"] or ispresent(eventName) or x in ["', "a\\", "a\n",
    "a | limit 1", "#", "`", "\x1b[2J", "%", "", "ü", 7, None, ["a"], "A" * 10_000,
]  # fmt: skip


@each_service
@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda one: repr(one)[:20])
def test_hostile_ids_stay_values(cloud: Cloud, service: Service, hostile: Any) -> None:
    """What a record says is put into a query only as a quoted value, and only where it can be an id."""
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
    asked = service(cloud, records)
    asked.ingest(ada.key_id)

    assert asked.rows < 20
    for one in asked.texts:
        assert not [bad for bad in ("OR 1", "UNION", "DROP", "ispresent", "limit 1\n", "\\") if bad in one]


@each_service
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds(duplicates=True, edits=True, largest=14))
def test_a_trace_fetched_is_the_trace_over_everything(cloud: Cloud, service: Service, world: World) -> None:
    """For keys of a world: the same credentials, parents, links and states, but for what is stated."""
    records = world.records()
    end = max(datetime.fromisoformat(one["eventTime"]) for one in records) if records else START
    with held(records) as whole:
        keys = [one.id for one in whole.credentials() if one.id.startswith("AKIA")]
        for key in keys[:2]:
            shutil.rmtree(cloud.case, ignore_errors=True)
            service(cloud, records).ingest(key)
            with Case.open(cloud.case) as case:
                assert followed(lineage(whole, key, as_of=end), key) == followed(
                    lineage(case, key, as_of=end), key
                )


# ---------------------------------------------------------------- values


@given(value=st.text(max_size=60) | st.sampled_from([one for one in HOSTILE if isinstance(one, str)]))
def test_a_literal_of_sql_is_the_text_and_nothing_else(value: str) -> None:
    """Whatever a text holds, the dialect's parser reads it back as one string."""
    if "\0" in value:
        return
    for dialect in ("athena", "trino", "duckdb"):
        [found] = sqlglot.parse(literal(value), read=dialect)
        assert found is not None and found.is_string and value == found.this


@given(value=st.text(max_size=60) | st.sampled_from([one for one in HOSTILE if isinstance(one, str)]))
def test_a_literal_of_logs_insights_is_the_text_or_refused_in_words(value: str) -> None:
    """A text whose meaning within quotes is not documented is put into no query."""
    if not re.fullmatch(r"[A-Za-z0-9_+=,.@:/-]+", value):
        with pytest.raises(UsageError, match="can't be put into a query") as refusal:
            logs_insights.quoted(value)
        assert "\x1b" not in str(refusal.value) and "\n" not in str(refusal.value)
        return
    told = logs_insights.quoted(value)
    assert told == f'"{value}"'
    holds = condition(f"fields @message | filter x in [{told}] | limit 1")
    assert holds({"x": value}) and not holds({"x": value + "x"}) and not holds({})


def test_an_account_that_is_none_is_refused_in_words(cloud: Cloud) -> None:
    """It would stand in the query's text."""
    world = World(START)
    ada = world.user("ada")
    ada.calls("ec2:DescribeInstances")
    with pytest.raises(UsageError, match="can't be put into a query"):
        Logs(cloud, world.records()).ingest(ada.key_id, accounts=frozenset({'1"] or x in ["'}))


# ---------------------------------------------------------------- results without end


def busy(seconds: int, each: int) -> tuple[World, str]:
    """A key with so many calls in each of some seconds."""
    world = World(START)
    ada = world.user("ada")
    for _ in range(seconds):
        ada.calls("ec2:DescribeInstances", count=each, every=0)
        world.wait(seconds=1)
    return world, ada.key_id


def fetched(cloud: Cloud) -> int:
    """Records of the case."""
    with Case.open(cloud.case) as case:
        return case.status().records


def test_more_rows_than_a_query_gives_come_by_parts_of_its_time(cloud: Cloud, monkeypatch: Any) -> None:
    """Where more match than come, the time is split until all do, and no row is lost."""
    monkeypatch.setattr(logs_insights, "LIMIT", 50)
    world, key = busy(40, 10)
    logs = Logs(cloud, world.records())
    logs.ingest(key)

    assert len(world.records()) == fetched(cloud) == 400
    assert len(logs.spans) > 8 and not logs.read


def test_a_second_that_has_more_than_a_query_gives_is_read_whole(cloud: Cloud, monkeypatch: Any) -> None:
    """By FilterLogEvents, page by page, and that second alone."""
    monkeypatch.setattr(logs_insights, "LIMIT", 50)
    world, key = busy(3, 10)
    ada = world.user("ada")
    ada.calls("ec2:DescribeInstances", count=120, every=0)
    logs = Logs(cloud, world.records(), latest=0, page=30)
    logs.ingest(key)
    logs.ingest(ada.key_id)

    assert 150 == fetched(cloud)
    assert 1 == len(logs.read)


def test_what_was_delivered_late_is_found(cloud: Cloud) -> None:
    """A log event may have the time of its delivery: one that came after the time that is asked about counts."""
    world, key = busy(3, 2)
    until = max(datetime.fromisoformat(one["eventTime"]) for one in world.records())
    Logs(cloud, world.records()).ingest(key, until=until)

    assert 6 == fetched(cloud)


def test_a_query_that_times_out_is_split(cloud: Cloud) -> None:
    """As AWS advises; what it gave until then does not count."""
    world, key = busy(10, 3)
    logs = Logs(cloud, world.records(), timeout=7200)
    logs.ingest(key)

    assert 30 == fetched(cloud)
    assert any(end - start < 7200 for start, end in logs.spans)


def test_fields_behind_the_first_two_hundred_are_no_ground_to_leave_a_record_out(cloud: Cloud) -> None:
    """Logs Insights finds no account in a call with hundreds of parameters: it comes for any account."""
    world = World(START)
    ada = world.user("ada")
    ada.calls("ec2:DescribeInstances")
    records = world.records()
    records[0]["requestParameters"] = {f"name{number}": "x" for number in range(300)}
    records[0] = {
        **{name: records[0][name] for name in ("eventVersion", "userIdentity", "eventTime")},
        **records[0],
    }
    Logs(cloud, records).ingest(ada.key_id, accounts=frozenset({HOME}))

    assert 1 == fetched(cloud)


@pytest.mark.parametrize(("service", "fault"), [(Lake, {"lose": 3}), (Logs, {"limit": 17})])
def test_rows_that_were_found_and_did_not_come_are_named(
    cloud: Cloud, service: Service, fault: dict[str, int]
) -> None:
    """The summary lists them as lost."""
    world, key = busy(2, 10)
    summary = service(cloud, world.records(), **fault).ingest(key)

    assert ["3 rows of the 20 that it found did not come"] == [
        one.reason for one in summary.skipped if one.lost
    ]


@each_service
def test_a_query_that_fails_says_so(cloud: Cloud, service: Service) -> None:
    """With its id, and what to do."""
    world, key = busy(2, 2)
    asked = service(cloud, world.records())
    look = "describe_query" if service is Lake else "get_query_results"
    told = {"QueryStatus": "FAILED", "ErrorMessage": "no luck"} if service is Lake else {"status": "Failed"}
    setattr(asked, look, lambda _: Answer(told))
    with pytest.raises(SourceError, match="did not succeed"):
        asked.ingest(key)


# ---------------------------------------------------------------- wrong use


@each_service
def test_what_is_needed_is_said(cloud: Cloud, told: Story, service: Service) -> None:
    """A subject, a time to begin at, and a name."""
    asked = service(cloud, told.world.records())
    with pytest.raises(UsageError, match="--subject"):
        asked.ingest()
    with pytest.raises(UsageError, match="--since"):
        asked.ingest(told.a.key_id, since=None)
    kind = asked.source.partition(":")[0]
    for name in ("", 'x"; DROP', "a b", "../x\n", "arn:aws:s3:::x"):
        with Case.open(cloud.case) as case, pytest.raises(UsageError, match="give the "):
            case.ingest([f"{kind}:{name}"], access=[cloud.access])


@pytest.mark.parametrize(
    ("source", "service", "region"),
    [
        (f"lake:arn:aws:cloudtrail:eu-west-3:{HOME}:eventdatastore/{STORE}", Lake, "eu-west-3"),
        (f"logs:arn:aws:logs:eu-west-3:{HOME}:log-group:{GROUP}:*", Logs, "eu-west-3"),
    ],
)
def test_an_arn_tells_the_region_that_is_asked(
    cloud: Cloud, source: str, service: Service, region: str, monkeypatch: Any
) -> None:
    """Whatever region the SDK would choose."""
    world, key = busy(1, 1)
    asked = service(cloud, world.records())
    monkeypatch.setattr(type(asked), "source", source)
    monkeypatch.setattr("logs_cases.GROUP", source.removeprefix("logs:").removesuffix(":*"))
    asked.ingest(key)

    assert 1 == fetched(cloud)
    assert all(f"/{region}/" in one.headers["Authorization"] for one in cloud.wire.requests if one.operation)


@each_service
def test_a_dry_run_shows_queries_and_sends_none(
    cloud: Cloud, told: Story, run: Callable[..., Any], service: Service
) -> None:
    """It makes no case, either; options that are Athena's are refused."""
    asked = service(cloud, told.world.records())
    options = ("--subject", told.a.key_id, "--since", "2026-11-22", "--endpoint-url", cloud.wire.url)
    ran = run("ingest", asked.source, *options, "--dry-run")

    assert 0 == ran.code
    assert told.a.key_id in ran.out and "CreateUser" in ran.out
    assert not asked.texts
    assert 0 == run("ingest", asked.source, *options, "--max-scan", "100000000").code
    assert asked.texts
    assert 2 == run("ingest", asked.source, *options, "--workgroup", "ir").code


def test_a_change_that_is_nested_too_deeply_names_nobody() -> None:
    """Whoever makes a call may nest its request as they like: asking for a lineage does not end over it."""
    assert _text('{"userName":' + "[" * 100_000 + "]" * 100_000 + "}", "userName") == ""
