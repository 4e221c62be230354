"""LookupEvents: all that CloudTrail keeps, or what a trace needs, within the API's limits, and on from where it stopped."""

from __future__ import annotations

import itertools
import json
import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cloud_cases import Cloud, Refusal
from history_cases import History, Question
from hypothesis import given
from hypothesis import strategies as st

from evidence import AWAY, HOME, by_id, held, kept
from tokentrail import Case
from tokentrail.errors import SourceError, UsageError
from tokentrail.sources import aws, lookup, spans
from tokentrail.sources.interface import Access
from tokentrail.sources.lookup import Pace
from tokentrail.testing import World
from tokentrail.testing.story import Story, story

START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
END = START + timedelta(days=2)
RATE = lookup.RATE
"""As it is for users; these tests hurry."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "RATE", 10_000.0)


def busy(count: int = 230, **options: str) -> World:
    """A user's calls, more than a few pages."""
    world = World(START, **options)  # type: ignore[arg-type]
    world.user("ada").calls("ec2:DescribeInstances", count=count)
    return world


# ---------------------------------------------------------------- all of it


def test_all_events_of_all_enabled_regions_come_in(cloud: Cloud) -> None:
    """Page by page; each record is the very text that CloudTrail gave."""
    records = busy().records() + busy(60, region="eu-west-1", seed=1).records()  # type: ignore[arg-type]
    history = History(cloud, records)
    summary = history.ingest(until=END)

    assert (290, 290, 0) == (summary.records.read, summary.records.new, summary.records.rejected)
    assert {"eu-west-1": 2, "us-east-1": 5} == {
        region: len(list(some))
        for region, some in itertools.groupby(sorted(one.region for one in history.asked))
    }
    assert "for all that it keeps" in summary.asked[0]
    with Case.open(cloud.case) as case, held(records) as other:
        assert by_id(other.credentials()) == by_id(case.credentials())
    pages = [json.loads(data) for data in kept(Path(cloud.case)).values()]
    events = {event["CloudTrailEvent"] for page in pages for event in page["Events"]}
    assert {json.dumps(one, separators=(",", ":"), ensure_ascii=False) for one in records} == events


def test_a_second_run_asks_for_the_rest_only(cloud: Cloud) -> None:
    """What was answered is not asked again; a longer window asks for what is beyond."""
    history = History(cloud, busy().records())
    history.ingest(until=END)
    history.asked.clear()
    assert 0 == history.ingest(until=END).records.read
    assert not history.asked

    history.ingest(until=END + timedelta(hours=1))
    assert {(END.timestamp() + 1, END.timestamp() + 3600)} == {(one.start, one.end) for one in history.asked}


def test_what_is_newer_than_the_log_s_delay_is_asked_again(cloud: Cloud) -> None:
    """Events of the last minutes may still come in."""
    history = History(cloud, busy().records())
    begun = datetime.now(UTC).timestamp()
    history.ingest(until=datetime.now(UTC))
    history.asked.clear()
    history.ingest(until=datetime.now(UTC))

    assert history.asked
    assert all(one.start >= int(begun) - lookup.LATE for one in history.asked)


def test_expired_credentials_in_the_middle_lose_nothing(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages before are in the case; the next run asks for older ones only."""
    monkeypatch.setattr(lookup, "_PAGES", 2)
    history = History(cloud, busy().records(), regions=("us-east-1",))
    count = itertools.count()
    history.refuse = lambda _: Refusal(400, "ExpiredTokenException", "expired") if next(count) >= 4 else None
    with pytest.raises(SourceError, match=r"expired.*goes on where it stopped"):
        history.ingest(until=END)
    with Case.open(cloud.case) as case:
        oldest = min(one.first for one in case.status().coverage)
        assert 200 == case.status().records
    history.refuse = None
    history.asked.clear()

    assert 30 == history.ingest(until=END).records.new
    assert all(one.end <= oldest.timestamp() for one in history.asked)


def test_a_token_that_has_grown_old_loses_nothing(cloud: Cloud) -> None:
    """It goes on from the oldest event that came."""
    history = History(cloud, busy().records(), regions=("us-east-1",))
    count = itertools.count()
    history.refuse = lambda one: (
        Refusal(400, "InvalidNextTokenException", "old") if one.token and next(count) == 1 else None
    )

    assert 230 == history.ingest(until=END).records.new


def test_several_profiles_are_several_accounts(cloud: Cloud) -> None:
    """Two profiles of one account are asked once; one without access is named, and the others are asked."""
    Path(cloud.folder / "credentials").write_text(
        "".join(
            f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = x\n"
            for name, key in (
                ("one", "AKIAONE"),
                ("same", "AKIASAME"),
                ("two", "AKIATWO"),
                ("out", "AKIAOUT"),
            )
        )
    )
    records = busy(3).records() + busy(4, account=AWAY, seed=2).records()  # type: ignore[arg-type]
    history = History(cloud, records, accounts={"AKIAONE": HOME, "AKIASAME": HOME, "AKIATWO": AWAY})
    access = [Access(profile=one, endpoint_url=cloud.wire.url) for one in ("one", "same", "out", "two")]
    summary = history.ingest(until=END, access=access)

    assert 7 == summary.records.new
    assert 4 == len(history.asked)
    assert [("lookup-events:out", True)] == [(one.object, one.lost) for one in summary.skipped]


def test_a_region_that_is_denied_costs_itself_only(cloud: Cloud) -> None:
    """A service control policy may forbid some regions."""
    history = History(cloud, busy(5).records())
    history.refuse = lambda one: (
        Refusal(400, "AccessDeniedException", "by SCP") if one.region == "eu-west-1" else None
    )
    summary = history.ingest(until=END)

    assert 5 == summary.records.new
    assert [f"lookup-events:{HOME}/eu-west-1"] == [one.object for one in summary.skipped]


def test_regions_can_be_named(cloud: Cloud) -> None:
    """Then ec2:DescribeRegions is not needed."""
    history = History(cloud, busy(5).records())
    history.ingest(until=END, regions=frozenset({"us-east-1"}))

    assert {"us-east-1"} == {one.region for one in history.asked}
    assert not [one for one in cloud.wire.requests if b"DescribeRegions" in one.content]


def test_no_credentials_are_an_error_in_words(cloud: Cloud) -> None:
    """When the one profile does not work, there is nothing to do."""
    History(cloud, [], accounts={})
    with pytest.raises(SourceError, match="--profile"):
        History(cloud, [], accounts={}).ingest(until=END)


# ---------------------------------------------------------------- within limits


def test_the_pace_is_two_calls_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a burst of two, one each half second, whatever the number of threads."""
    now = [0.0]
    made = []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    pace = Pace(lambda: now[0], sleep)
    monkeypatch.setattr(lookup, "RATE", RATE)
    for _ in range(7):
        pace.wait()
        made.append(now[0])

    assert [0, 0, 0.5, 1, 1.5, 2, 2.5] == made


def test_each_account_and_region_has_a_pace_of_its_own(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call has waited for its place's pace, which is no other place's, and waits for nothing else."""
    Path(cloud.folder / "credentials").write_text(
        "".join(
            f"[{key}]\naws_access_key_id = {key}\naws_secret_access_key = x\n" for key in ("AKIA1", "AKIA2")
        )
    )
    waits: list[tuple[int, Pace]] = []
    paces: dict[tuple[str, str], list[Pace]] = defaultdict(list)
    wait, ask = Pace.wait, aws.ask

    def waited(pace: Pace) -> None:
        waits.append((threading.get_ident(), pace))
        wait(pace)

    def asked(
        access: Access, service: str, operation: str, region: str | None = None, **given: object
    ) -> object:
        if operation == "lookup_events":
            [mine] = [one for one in waits if one[0] == threading.get_ident()]
            waits.remove(mine)
            paces[str(access.profile), str(region)].append(mine[1])
        return ask(access, service, operation, region, **given)

    monkeypatch.setattr(Pace, "wait", waited)
    monkeypatch.setattr(aws, "ask", asked)
    records = busy(300).records() + busy(300, region="eu-west-1", seed=1).records()  # type: ignore[arg-type]
    records += busy(300, account=AWAY, seed=2).records()  # type: ignore[arg-type]
    history = History(cloud, records, accounts={"AKIA1": HOME, "AKIA2": AWAY})
    history.ingest(
        until=END, access=[Access(profile=one, endpoint_url=cloud.wire.url) for one in ("AKIA1", "AKIA2")]
    )

    places = {
        ("AKIA1", "us-east-1"): 6, ("AKIA1", "eu-west-1"): 6, ("AKIA2", "us-east-1"): 6, ("AKIA2", "eu-west-1"): 1,
    }  # fmt: skip
    assert places == {place: len(some) for place, some in paces.items()}
    assert [1, 1, 1, 1] == [len(set(map(id, some))) for some in paces.values()]
    assert 4 == len({id(some[0]) for some in paces.values()})
    assert not waits
    assert sum(places.values()) == len(history.asked)


# ---------------------------------------------------------------- following a key


@pytest.fixture(name="told", scope="module")
def _told() -> Story:
    return story()


def shifted(told: Story) -> tuple[list[dict[str, object]], datetime]:
    """The story as of now, since LookupEvents keeps 90 days only."""
    records = told.world.records()
    times = [datetime.fromisoformat(one["eventTime"]) for one in records]
    return records, max(times) + timedelta(hours=1)


def test_following_a_leaked_key_gives_the_trace_that_all_logs_give(
    cloud: Cloud, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its descendants, with their states, and none of the rest of the log."""
    records, end = shifted(told)
    monkeypatch.setattr(lookup, "KEPT", 10**10)
    history = History(cloud, records, accounts={"AKIARESPONDER0000001": told.user.arn.split(":")[4]})
    summary = history.ingest(until=end, subjects=(told.a.key_id,))
    with Case.open(cloud.case) as case, held(records) as other:
        mine, whole = (
            {
                one.id: (one.parent, one.parent_link, one.state, one.ended_by)
                for one in each.trace([told.a.key_id], as_of=end).credentials
            }
            for each in (case, other)
        )

    assert whole == mine
    assert summary.records.new < len([one for one in records if one["managementEvent"]])
    asked = history.counted()
    assert {told.a.key_id, told.b.key_id, told.c.key_id, told.d.key_id, told.e.key_id} <= set(asked)
    assert told.ria_before.key_id not in asked
    assert any("Not asked" in one for one in summary.asked)


def test_the_issuer_of_a_session_is_looked_for_in_the_second_of_its_issue(cloud: Cloud) -> None:
    """A leaked session key leads up to the long-term key behind it, by two short windows."""
    world = World(START)
    ada = world.user("ada")
    first = ada.assumes("Deploy")
    world.wait(hours=1)
    second = first.assumes("Admin")
    world.wait(hours=1)
    second.calls("ec2:DescribeInstances")
    for _ in range(40):
        world.wait(minutes=10)
        ada.assumes("Deploy")
    history = History(cloud, world.records())
    history.ingest(until=END, subjects=(second.key_id,))
    with Case.open(cloud.case) as case:
        found = by_id(case.credentials())
        chain = [second.key_id, found[second.key_id].parent, found[str(found[second.key_id].parent)].parent]

    assert [second.key_id, first.key_id, ada.key_id] == chain
    windows = [one for one in history.asked if one.value == "AssumeRole"]
    assert {120} == {one.end - one.start for one in windows}


def test_a_run_that_ended_in_the_middle_goes_on_following(
    cloud: Cloud, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Children that were learned of are followed though their parent's calls are not asked for again."""
    records, end = shifted(told)
    monkeypatch.setattr(lookup, "KEPT", 10**10)
    history = History(cloud, records, accounts={"AKIARESPONDER0000001": told.user.arn.split(":")[4]})
    seen: list[Question] = []

    def refuse(one: Question) -> Refusal | None:
        seen.append(one)
        return Refusal(400, "ExpiredTokenException") if one.value == told.d.key_id else None

    history.refuse = refuse
    with pytest.raises(SourceError, match="expired"):
        history.ingest(until=end, subjects=(told.a.key_id,))
    history.refuse = None
    history.asked.clear()
    history.ingest(until=end, subjects=(told.a.key_id,))

    assert told.a.key_id not in history.counted()
    assert told.d.key_id in history.counted()
    with Case.open(cloud.case) as case, held(records) as other:
        assert {one.id for one in other.trace([told.a.key_id]).credentials} == {
            one.id for one in case.trace([told.a.key_id]).credentials
        }


def test_a_key_that_was_made_is_followed(cloud: Cloud) -> None:
    """CreateAccessKey by a followed key leads to what the new one did."""
    world = World(START)
    ada = world.user("ada")
    made = ada.creates_access_key()
    made.calls("s3:ListBuckets")
    history = History(cloud, world.records())
    history.ingest(until=END, subjects=(ada.key_id,))

    assert made.key_id in history.counted()


def test_what_is_no_key_is_wrong_use(cloud: Cloud) -> None:
    """Users, roles and addresses can't be followed by LookupEvents."""
    history = History(cloud, [])
    with pytest.raises(UsageError, match="follows access keys"):
        history.ingest(until=END, subjects=("arn:aws:iam::1:user/a",))


def test_a_key_without_uses_says_so(cloud: Cloud) -> None:
    """Nothing found is no silence."""
    summary = History(cloud, busy(3).records()).ingest(until=END, subjects=("AKIANOBODYUSESTHIS00",))

    assert any("No use of the subject" in one for one in summary.asked)


# ---------------------------------------------------------------- stretches of time

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


def seconds(some: list[spans.Span]) -> set[int]:
    return {one for start, end in some for one in range(start, end + 1)}


@given(st.tuples(st.integers(0, 60), st.integers(0, 60)), SPANS)
def test_what_is_left_is_what_is_not_done(wanted: spans.Span, done: list[spans.Span]) -> None:
    """Second by second."""
    assert seconds([wanted]) - seconds(done) == seconds(spans.remaining(wanted, done))
    assert seconds(done) == seconds(spans.merged(done))
