"""What people read: traces, inventories, timelines, holdings."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from html_cases import plan, step
from hypothesis import given
from hypothesis import strategies as st
from present_cases import KEY, NINE, SESSION, TOKEN, child, credential, event, plain, trace, written
from rich.cells import cell_len

from evidence import counted
from tokentrail.containment.model import Call
from tokentrail.lineage.model import (
    ApiUse,
    Created,
    Gap,
    PrincipalUse,
    ResourceUse,
    SecretRead,
    TimelineEvent,
    Trace,
)
from tokentrail.present import words
from tokentrail.present.text.apply_output import write_call, write_calls
from tokentrail.present.text.inventory_text import write_inventory
from tokentrail.present.text.investigation_text import write_overview
from tokentrail.present.text.status_text import held_before, write_ingest, write_status
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.present.text.timeline_text import RUN, ShortNames, runs, write_timeline
from tokentrail.present.text.trace_text import write_trace
from tokentrail.present.words import some_of_each
from tokentrail.results import (
    Coverage,
    HourGap,
    IngestSummary,
    ObjectCounts,
    RecordCounts,
    Rejection,
    SkippedObject,
    Status,
)

BUCKET = "arn:aws:s3:::loot"


def lineage() -> Trace:
    """An inactive key, a token that works, and a session minted by it, with all that a trace can hold."""
    key = credential(
        id=KEY,
        kind="long_term_key",
        role=None,
        principal="arn:aws:iam::111122223333:user/support",
        issued_by=None,
        issued_at=None,
        expires_at=None,
        origin="long_term",
        origin_detail=None,
        state="ended",
        state_reason="UpdateAccessKey made the key inactive",
        ended_at=NINE + timedelta(minutes=30),
        ended_by="3d029ec7",
        events=25,
        errors=3,
    )
    token = child(1, KEY, id=TOKEN, kind="session_token", role=None, principal=key.principal, used=False)
    session = child(2, TOKEN, id=SESSION, parent_link="inferred", origin_detail="the only one alive")
    when = {"first": NINE, "last": NINE}
    return trace(
        key,
        token,
        session,
        created=(
            Created(by=SESSION, event_id="e", time=NINE, event_name="CreateUser", what="user", id="eve"),
        ),
        apis=(
            ApiUse(
                credential=SESSION,
                event_source="s3.amazonaws.com",
                event_name="GetObject",
                count=1204,
                errors=2,
                **when,
            ),
        ),
        resources=tuple(
            ResourceUse(
                credential=SESSION,
                arn=arn,
                event_name="GetObject",
                count=count,
                errors=0,
                bytes_out=size,
                **when,
            )
            for arn, count, size in (
                (BUCKET, 2, 3_000_000),
                (f"{BUCKET}/a", 1, 1_000_000),
                (f"{BUCKET}/b", 1, 2_000_000),
            )
        ),
        secrets_read=(
            SecretRead(
                credential=SESSION, event_id="e", time=NINE, event_name="GetSecretValue", what="prod/database"
            ),
        ),
        gaps=(
            Gap(
                account="111122223333",
                region="us-east-1",
                start=NINE,
                end=NINE + timedelta(hours=1),
                why="no read-only management events: AssumeRole calls are missing",
            ),
        ),
    )


GOLDEN = """\
As of 2026-11-23T09:00:00Z: 2 of the attacker's 3 credentials still work.
2 credentials descend from AKIAIOSFODNN7EXAMPLE, 2 still work.
AKIAIOSFODNN7EXAMPLE itself: ended since 2026-11-23T09:30:00Z: UpdateAccessKey made the key inactive
(event 3d029ec7).

AKIAIOSFODNN7EXAMPLE  ended  ! tainted  long-term key of user/support
│  2026-11-23T09:30:00Z: UpdateAccessKey made the key inactive (event 3d029ec7)
│  made before the evidence begins
│  25 calls, 3 of them refused or failed, 2026-11-23T09:00:00Z, from 203.0.113.77
└─ ASIAIOSFODNN7TOKENBB  active  ! tainted  session token of user/support
   │  valid until 2026-11-23T10:00:00Z
   │  minted 2026-11-23T09:00:01Z by AssumeRole from 203.0.113.77 (recorded)
   │  not used in the evidence
   └─ ASIAIOSFODNN7SESSION  active  ! tainted  role session of MyBucketRole/support
         valid until 2026-11-23T10:00:00Z
         minted 2026-11-23T09:00:02Z by AssumeRole from 203.0.113.77 (inferred: the only one alive)
         3 calls, 1 of them refused or failed, 2026-11-23T09:00:00Z, from 203.0.113.77

Created or changed: persists until deleted
  2026-11-23T09:00:00Z  CreateUser: user eve, by ASIAIOSFODNN7SESSION

1 secret read: rotate it
  2026-11-23T09:00:00Z  prod/database  (GetSecretValue by ASIAIOSFODNN7SESSION)

Resources touched, the most bytes first
   BYTES OUT    CALLS  FAILED  CALL                   RESOURCE
      3.0 MB        2       -  GetObject              arn:aws:s3:::loot and 2 in it

1,204 calls of 1 kind, the most frequent first
                CALLS  FAILED  CALL
                1,204       2  s3:GetObject

Evidence gaps
  - 111122223333/us-east-1, 2026-11-23T09:00:00Z to 2026-11-23T10:00:00Z: no read-only management
    events: AssumeRole calls are missing
"""


def test_a_trace_reads_verdict_first() -> None:
    """The verdict, the tree, what was made, learned and touched, and what is missing, in this order."""
    assert written(lambda writer: write_trace(lineage(), writer)) == GOLDEN


def test_of_very_many_secrets_of_a_call_the_first_are_listed() -> None:
    """A record may be forged to name thousands: they are counted, and a terminal can hold the answer."""
    whole = lineage()
    [read] = whole.secrets_read
    many = replace(read, what="\n".join(f"prod/{number}" for number in range(20_000)))
    text = written(lambda writer: write_trace(replace(whole, secrets_read=(many,)), writer))
    assert "20,000 secrets read: rotate these" in text
    assert "and 19,980 more" in text
    assert len(text.splitlines()) < 60


def test_calls_whose_records_name_the_principal_alone_are_told_apart() -> None:
    """Whose log tells of them and who may have made them; not those of whoever is not the attacker's."""
    one = PrincipalUse(
        principal_id="AROAX:night", credentials=(SESSION, "ASIAOTHER"), account="444455556666",
        event_source="s3.amazonaws.com", event_name="GetObject", arns=(f"{BUCKET}/a", BUCKET), count=3, errors=1,
        first=NINE, last=NINE + timedelta(hours=1), with_key=0,
    )  # fmt: skip
    told = (
        one, replace(one, arns=(f"{BUCKET}/b", BUCKET), last=NINE + timedelta(hours=2), with_key=1204),
        replace(one, credentials=("ASIAOTHER",), event_name="PutObject"),
    )  # fmt: skip
    text = written(lambda writer: write_trace(replace(lineage(), by_principal=told), writer))

    assert (
        """
Calls whose records name the principal and no key: not counted above
                    6  s3:GetObject in the log of 444455556666, 2026-11-23T09:00:00Z to
                       2026-11-23T11:00:00Z, 2 of them failed, on arn:aws:s3:::loot and 2 more;
                       maybe by ASIAIOSFODNN7SESSION; records with its key tell of such calls too,
                       which may be the same
"""
        in text
    )
    assert "PutObject" not in text


def test_a_narrowed_trace_counts_the_attackers_own() -> None:
    """Where not all descendants are tainted, the verdict counts those that are, and only they are marked."""
    whole = lineage()
    narrowed = replace(
        whole, credentials=(*whole.credentials[:2], replace(whole.credentials[2], tainted=False))
    )
    text = written(lambda writer: write_trace(narrowed, writer))
    assert (
        "1 of the descendants counts as the attacker's (! tainted), 1 still works; of the 1 others," in text
    )
    assert f"{SESSION}  active  role session" in text
    assert "Secrets read" not in text


def test_a_subject_of_several_credentials_is_counted() -> None:
    """A role as the subject: its own sessions and their descendants are told apart."""
    one, other = credential(id="ASIAONE"), credential(id="ASIATWO", state="unknown", state_reason="not known")
    text = written(lambda writer: write_trace(trace(one, other, subject=("role/R",)), writer))
    assert "No credentials descend from role/R.\n" in text
    assert "role/R: 2 credentials, of which 1 still works, 1 may." in text


def test_a_trace_says_of_what_it_follows_no_further() -> None:
    """A host's session that has run out says nothing of the thief's next: whoever asks is sent to where that is told."""
    host = credential(origin="service", state="expired")
    text = written(lambda writer: write_trace(trace(host, subject=(SESSION,)), writer))
    alone = written(lambda writer: write_trace(trace(credential(), subject=(SESSION,)), writer))

    assert f"{SESSION} was issued by a host, a sign-in or an identity provider" in text
    assert "`tokentrail contain` does" in " ".join(text.split()) and "handed out" not in alone


def test_accounts_are_named_where_there_are_several() -> None:
    """A lineage across accounts says for each credential which account it is of."""
    text = written(
        lambda writer: write_trace(trace(credential(), child(1, SESSION, account="444455556666")), writer)
    )
    assert "of MyBucketRole/support in 444455556666" in text
    assert "of MyBucketRole/support in 111122223333" in text


def test_the_inventory_shows_every_id_and_time_whole() -> None:
    """Two lines for a credential; an id that is longer than a key id has a line of its own."""
    long_id = "AROAIOSFODNN7EXAMPLE1@2026-11-23T09:00:00Z"
    bounded = credential(
        id=long_id, expires_at=None, expires_bound=NINE, kind="console_session", state="unknown"
    )
    text = written(lambda writer: write_inventory([plain(child(1, KEY)), plain(bounded)], writer))
    assert (
        text
        == """\
CREDENTIAL           KIND                      STATE   ISSUED                 UNTIL
    PRINCIPAL                                    EVENTS  PARENT
ASIA0000000000000001 assumed_role              active  2026-11-23T09:00:01Z   2026-11-23T10:00:00Z
    111122223333 MyBucketRole/support                 3  AKIAIOSFODNN7EXAMPLE
AROAIOSFODNN7EXAMPLE1@2026-11-23T09:00:00Z
                     console_session           unknown 2026-11-23T09:00:00Z <=2026-11-23T09:00:00Z
    111122223333 MyBucketRole/support                 3  none (not_in_evidence)
"""
    )


def test_a_long_name_stands_whole_in_the_inventory() -> None:
    """The person behind a session of the access portal stands at its end, which was cut off."""
    role, person = f"AWSReservedSSO_{'Administrators' * 3}_0123456789abcdef", f"{'ria.' * 12}@corp.example"
    one = credential(principal=f"arn:aws:sts::111122223333:assumed-role/{role}/{person}")
    lines = written(lambda writer: write_inventory([plain(one)], writer)).splitlines()

    assert f"111122223333{role}/{person}" == "".join(line.strip() for line in lines[3:-1]).replace(" ", "")
    assert lines[-1].split() == ["3", "none", "(not_in_evidence)"]


def test_a_timeline_folds_what_is_alike() -> None:
    """
    A run of like calls is one line; the credentials have short names, and a legend.

    What one was about stands below where there is no room for it, and of several that it is the first one's.
    """
    events = [event(time=NINE + timedelta(seconds=n), resources=(f"{BUCKET}/{n}",)) for n in range(RUN)]
    events.append(event(error_code="AccessDenied", event_name="ListBuckets", resources=(), credential=KEY))
    events.append(event(error_code="AccessDenied", event_name="PutObject", resources=(f"{BUCKET}/plans/1",)))
    assert (
        written(lambda writer: write_timeline(events, writer))
        == """\
TIME                 CREDENTIAL  CALL                       FROM            RESULT, RESOURCE
2026-11-23T09:00:00Z ASIA…ESSION s3:GetObject               203.0.113.77    x4 to 09:00:03Z
                                 first loot/0
2026-11-23T09:00:00Z AKIA…XAMPLE s3:ListBuckets             203.0.113.77    ! AccessDenied
2026-11-23T09:00:00Z ASIA…ESSION s3:PutObject               203.0.113.77    ! AccessDenied
                                 loot/plans/1

Credentials
  ASIA…ESSION ASIAIOSFODNN7SESSION
  AKIA…XAMPLE AKIAIOSFODNN7EXAMPLE
"""
    )


def test_what_a_call_failed_with_is_never_cut() -> None:
    """EC2's codes are too long for the line of a long call: they stand below it, and nothing stands below others."""
    code = "Client.InvalidInstanceID.NotFound"
    events = [
        event(error_code=code, event_name="GetObject", resources=()),
        event(error_code=code, event_name="PutObject", resources=(f"{BUCKET}/plans/1",)),
        event(event_name="PutObject", resources=()),
    ]
    text = written(lambda writer: write_timeline(events, writer))

    assert (
        text.partition("\n")[2].partition("\nCredentials")[0]
        == """\
2026-11-23T09:00:00Z ASIA…ESSION s3:GetObject               203.0.113.77
                                 ! Client.InvalidInstanceID.NotFound
2026-11-23T09:00:00Z ASIA…ESSION s3:PutObject               203.0.113.77
                                 ! Client.InvalidInstanceID.NotFound loot/plans/1
2026-11-23T09:00:00Z ASIA…ESSION s3:PutObject               203.0.113.77
"""
    )


def test_of_a_long_timeline_its_ends_are_written_where_that_is_enough() -> None:
    """How many events stand between is told, and the command that lists them; a run of like calls is one line."""
    events = [event(event_name=f"Get{number}", resources=()) for number in range(400)]
    events[200:200] = [event(event_name="PutObject", resources=())] * 50
    text = written(lambda writer: write_timeline(events, writer, whole="tokentrail timeline AKIA"))

    assert "… 250 events between; all: tokentrail timeline AKIA\n" in text
    assert ["Get0 ", "Get99 ", "Get300 ", "Get399 "] == [
        name
        for name in ("Get0 ", "Get99 ", "Get100 ", "PutObject", "Get299 ", "Get300 ", "Get399 ")
        if name in text
    ]
    assert text.replace("\n", "").count("PutObject") == 0
    whole = written(lambda writer: write_timeline(events[:200], writer, whole="tokentrail timeline AKIA"))
    assert whole == written(lambda writer: write_timeline(events[:200], writer))


def test_a_long_timeline_is_written_while_it_is_read() -> None:
    """Of millions of events none are kept but those that are still to be written."""
    stream = io.StringIO()
    written_when_last_was_read: list[str] = []

    def read() -> Iterator[TimelineEvent]:
        yield from (event(event_name=f"Get{number}", resources=()) for number in range(400))
        written_when_last_was_read.append(stream.getvalue())

    write_timeline(read(), TextWriter(stream), whole="tokentrail timeline AKIA")

    assert "Get99 " in written_when_last_was_read[0]


def lines_of(events: Sequence[TimelineEvent]) -> list[str]:
    """What stands behind the address of each line of a timeline."""
    text = written(lambda writer: write_timeline(events, writer))
    return [line[76:] for line in text.partition("\nCredentials")[0].splitlines()[1:]]


def test_a_few_calls_that_fail_between_many_are_counted_in_their_line() -> None:
    """Of a million calls one in a thousand fails: that is a number, not two thousand lines."""
    done, failed = event(resources=()), event(resources=(), error_code="AccessDenied")

    assert lines_of([*[done] * 1_500, failed, failed, *[done] * 3, failed, done]) == ["x1,507, 3 failed"]


def test_of_what_several_calls_were_about_nothing_is_cut_that_says_so() -> None:
    """Where count and failures leave no room for the first one's name, it stands on a line of its own."""
    done = event(resources=(f"{BUCKET}/customers/eu/2025/0000001.parquet",))
    calls = [*[done] * 1_500, event(error_code="AccessDenied"), replace(done, time=NINE + timedelta(days=1))]
    text = written(lambda writer: write_timeline(calls, writer))

    assert (
        text.partition("\n")[2].partition("\nCredentials")[0]
        == """\
2026-11-23T09:00:00Z ASIA…ESSION s3:GetObject               203.0.113.77
                                 x1,502 to 2026-11-24T09:00:00Z, 1 failed
                                 first loot/customers/eu/2025/0000001.parquet
"""
    )


def test_what_begins_or_ends_to_succeed_begins_a_line() -> None:
    """When a deny bites, and when an attempt succeeds at last, are what a responder looks for."""
    done, failed = event(resources=()), event(resources=(), error_code="AccessDenied")

    assert lines_of([*[done] * 9, *[failed] * 4]) == ["x9", "! AccessDenied x4"]
    assert lines_of([*[done] * 9, *[failed] * 4, done]) == ["x9", "! AccessDenied x4", ""]
    assert lines_of([*[failed] * 9, done, *[failed] * 9]) == ["! AccessDenied x9", "", "! AccessDenied x9"]
    assert lines_of([*[done] * 9, failed]) == ["x9", "! AccessDenied"]


def test_one_call_in_many_regions_is_one_line() -> None:
    """A line does not tell its region, and seventeen that say the same tell nothing."""
    assert lines_of([event(region=f"eu-west-{number}", resources=()) for number in range(17)]) == ["x17"]


def test_the_silent_hours_of_a_region_are_one_sentence_where_there_are_many() -> None:
    """Where little goes on there are thousands, which would hide what else is missing; a few are listed."""
    lacking = Gap(account="111122223333", region=None, start=None, end=None, why="no data events")
    silent = [
        Gap(
            account="111122223333",
            region=region,
            start=NINE,
            end=NINE + timedelta(hours=hours),
            why="no events in these hours",
            kind="silent_hours",
        )
        for hours in (9, 5)
        for region in ("eu-west-1", "us-east-1")
    ]
    alone = Gap(
        account="111122223333",
        region="eu-west-3",
        start=NINE,
        end=None,
        why="no events in these hours",
        kind="silent_hours",
    )

    assert 6 == len(words.gaps([lacking, *silent, alone], most=6))
    told = words.gaps([lacking, *silent, alone], most=5)
    assert [
        "111122223333: no data events",
        "111122223333/eu-west-1, 2026-11-23T09:00:00Z to 2026-11-23T18:00:00Z: no events in these hours, the longest "
        "of 2 such stretches",
    ] == told[:2]
    assert "111122223333/eu-west-3, 2026-11-23T09:00:00Z: no events in these hours" == told[-1]
    assert 4 == len(told)


def test_a_run_over_days_says_the_day_of_its_end() -> None:
    """`to 01:00:01Z` would be the first day's."""
    events = [event(time=NINE + timedelta(days=n), resources=()) for n in range(RUN)]
    assert "x4 to 2026-11-26T09" in written(lambda writer: write_timeline(events, writer))


def test_a_legend_keeps_long_short_names_apart_from_what_they_stand_for() -> None:
    """Ids that end alike have longer short names: the legend shows all of each, and a space before the id."""
    ids = ["AKIAALICE00000000001", "AKIABOB0000000000001", "AKIAEVE1000000000001"]
    text = written(lambda writer: write_timeline([event(credential=one) for one in ids], writer))

    assert (
        text.partition("Credentials\n")[2]
        == """\
  AKIA…000001   AKIAALICE00000000001
  AKIA…0000001  AKIABOB0000000000001
  AKIA…00000001 AKIAEVE1000000000001
"""
    )


@given(kinds=st.lists(st.sampled_from(["A", "B"]), max_size=40))
def test_a_timeline_counts_every_call(kinds: list[str]) -> None:
    """However calls follow each other, the runs hold all of them, in order, and no short run."""
    events = [event(event_name=kind, event_id=str(n)) for n, kind in enumerate(kinds)]
    found = list(runs(events))
    assert sum(run.count for run in found) == len(events)
    assert all(run.count == 1 or run.count >= RUN for run in found)
    assert [run.first.event_name for run in found for _ in range(run.count)] == kinds


@given(told=st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from([None, "X", "Y"])), max_size=60))
def test_the_lines_of_a_timeline_hold_every_call(told: list[tuple[str, str | None]]) -> None:
    """Whatever fails between what succeeds, the lines tell of as many calls as there are."""
    events = [event(event_name=name, error_code=code, resources=()) for name, code in told]
    counts = [re.search(r"x(\d+)", line) for line in lines_of(events)]

    assert sum(int(count[1]) if count else 1 for count in counts) == len(events)


@given(ids=st.lists(st.text("ASI0", min_size=1, max_size=24), unique=True, max_size=30))
def test_short_names_are_told_apart(ids: list[str]) -> None:
    """No two credentials have the same short name, whatever their ids, and each keeps its own."""
    names = ShortNames()
    assert len({names.short(one) for one in ids}) == len(ids)
    assert [names.short(one) for one in ids] == [short for short, _ in names.legend()]


def status(**changes: object) -> Status:
    """A case of one account with a gap."""
    values: dict[str, object] = {
        "case_id": "c1",
        "objects": 1,
        "records": 1200,
        "credentials": 2,
        "first": NINE,
        "last": NINE + timedelta(days=1),
        "coverage": (
            Coverage(
                account="111122223333",
                region="us-east-1",
                first=NINE,
                last=NINE,
                hours_seen=2,
                gaps=(HourGap(start=NINE, end=NINE + timedelta(hours=2)),),
                read_only_events=False,
                write_events=True,
                data_events=True,
            ),
        ),
        "rejected": (
            Rejection(object="a.json", ordinal=3, field=None, reason="no JSON", count=1),
            Rejection(object="a.json", ordinal=4, field="eventTime", reason="no time", count=2),
        ),
        "warnings": ("111122223333: no read-only management events.",),
    }
    return Status(**(values | changes))  # type: ignore[arg-type]


def test_the_status_names_the_longest_gaps() -> None:
    """Of years of evidence, the months without any log are told, and not the first quiet hours."""
    gaps = [HourGap(start=NINE + timedelta(days=day), end=NINE + timedelta(days=day, hours=hours))
            for day, hours in enumerate((1, 2, 3, 20, 4))]  # fmt: skip
    [one] = status().coverage
    told = written(lambda writer: write_status(status(coverage=(replace(one, gaps=tuple(gaps)),)), writer))

    assert ["2026-11-26", "2026-11-27", "2026-11-25"] == re.findall("nothing in ([0-9-]+)", told)
    assert "2 more gaps, none of them longer" in told


def test_the_status_of_an_organisation_has_a_line_for_an_account() -> None:
    """Its regions would be thousands of lines; what many accounts lack alike is one sentence."""
    [one] = status().coverage
    gap = HourGap(start=NINE, end=NINE + timedelta(hours=2))
    regions = [
        replace(
            one, account=f"{account:012}", region=region, first=NINE + timedelta(hours=hour), last=NINE, gaps=(gap,) * hour,
            data_events=region == "b", digest=digest,
        )
        for account in range(250)
        for hour, (region, digest) in enumerate((("a", "complete"), ("b", "complete"), ("c", "altered by somebody")))
    ]  # fmt: skip
    lacking = [f"{account:012}: no data events." for account in range(4)]
    lacking += [f"{account:012}: no reads." for account in range(2)]
    told = written(
        lambda writer: write_status(status(coverage=tuple(regions), warnings=(*lacking, "No ids.")), writer)
    )

    assert (
        "000000000007  3 regions       2026-11-23T09:00:00Z  2026-11-23T09:00:00Z       6     3  no    yes"
        in told
    )
    assert 200 == told.count("digests: 1 altered, 2 complete")
    assert "… and 50 more accounts\n" in told
    assert "nothing in" not in told
    assert (
        told.partition("Evidence gaps\n")[2].partition("\n\n")[0]
        == """\
  - 4 accounts (000000000000, 000000000001, 000000000002 and 1 more): no data events.
  - 000000000000: no reads.
  - 000000000001: no reads.
  - No ids."""
    )


def test_the_status_reads_in_words() -> None:
    """What is held, by account and region, what is missing, and what could not be read."""
    assert (
        written(lambda writer: write_status(status(), writer, rejected=True))
        == """\
Case c1: 1,200 events from 1 evidence object, 2 credentials, 2026-11-23T09:00:00Z to
2026-11-24T09:00:00Z.

ACCOUNT       REGION          FIRST                 LAST                   HOURS  GAPS  READS DATA
111122223333  us-east-1       2026-11-23T09:00:00Z  2026-11-23T09:00:00Z       2     1  no    yes
    nothing in 2026-11-23T09:00:00Z to 11:00:00Z
READS: read-only management events occur. DATA: data events occur.

Evidence gaps
  - 111122223333: no read-only management events.

1 record or object rejected and 2 fields lost of records otherwise read.
  - a.json, record 3: no JSON
  - a.json, record 4, field eventTime: no time (2 times)
"""
    )
    assert "--rejected` lists them." in written(lambda writer: write_status(status(), writer))


def summary(read: int = 1, repeated: int = 0) -> IngestSummary:
    """An ingest that lost some."""
    return IngestSummary(
        objects=ObjectCounts(read=read, repeated=repeated, skipped=1),
        records=RecordCounts(read=2, new=1, repeated=1, rejected=2),
        rejected=tuple(
            Rejection(object="a", ordinal=n, field=None, reason="no JSON", count=1) for n in (1, 2)
        ),
        skipped=(SkippedObject(object="d", reason="a digest"),),
        seconds=1.24,
    )


def test_an_ingest_is_summed_up() -> None:
    """Read, held already, skipped; new, repeated, rejected; and why, once for each object and reason."""
    assert (
        written(lambda writer: write_ingest(summary(), writer))
        == """\
Objects: 1 read, 0 held already, 1 skipped.
Records: 2 read, 1 new, 1 repeated, 2 rejected; 1.2 s.
  - d: skipped, a digest
  - a: 2 records: no JSON
"""
    )


def test_other_evidence_is_mentioned() -> None:
    """A case that held something else before is called that; a fresh one, or the same logs again, is not."""
    assert held_before(status(objects=0, records=0), summary()) == []
    assert held_before(status(objects=1), summary(read=0, repeated=1)) == []
    assert "1 object with 1,200 events" in held_before(status(objects=1), summary())[0]
    assert held_before(status(objects=2), summary(read=0, repeated=1)) != []


def test_an_overview_names_where_to_start() -> None:
    """Kinds and states are counted; long-term keys and session tokens stand in order of what they minted."""
    found = counted(plain(one) for one in lineage().credentials)
    assert [(one.id, one.minted) for one in found.candidates] == [(KEY, 1), (TOKEN, 1)]
    text = written(lambda writer: write_overview(found, writer))
    assert "3 credentials in all" in text
    assert "AKIAIOSFODNN7EXAMPLE  long_term_key  ended          1      25  111122223333 user/support" in text


anything = st.text(st.characters(codec=None), max_size=150)


@given(text=anything)
def test_evidence_never_acts_on_a_terminal(text: str) -> None:
    """Whatever the evidence holds in any name, every writer keeps the page's width and shows no control."""
    one = credential(
        id=text or "x",
        principal=text,
        role=text,
        account=text,
        identity=text,
        state_reason=text,
        origin_detail=text,
        source_ips=(text,),
        ended_by=text,
    )
    whole = replace(
        trace(one, child(1, one.id, principal=text)),
        subject=(text,),
        created=(Created(by=one.id, event_id=text, time=NINE, event_name=text, what=text, id=text),),
        resources=(
            ResourceUse(
                credential=one.id,
                arn=text,
                event_name=text,
                count=1,
                errors=0,
                bytes_out=1,
                first=NINE,
                last=NINE,
            ),
        ),
        apis=(
            ApiUse(
                credential=one.id,
                event_source=text,
                event_name=text,
                count=1,
                errors=0,
                first=NINE,
                last=NINE,
            ),
        ),
        secrets_read=(SecretRead(credential=one.id, event_id=text, time=NINE, event_name=text, what=text),),
        gaps=(Gap(account=text, region=text, start=None, end=None, why=text),),
        by_principal=(
            PrincipalUse(
                principal_id=text,
                credentials=(one.id,),
                account=text,
                event_source=text,
                event_name=text,
                arns=(text,),
                count=1,
                errors=0,
                first=NINE,
                last=NINE,
                with_key=0,
            ),
        ),
    )
    call: TimelineEvent = event(
        credential=text,
        event_name=text,
        event_source=text,
        error_code=text,
        source_ip=text,
        resources=(text,),
    )
    lost = Rejection(object=text, ordinal=None, field=text, reason=text, count=1)
    texts = [
        written(lambda writer: write_trace(whole, writer)),
        written(lambda writer: write_inventory([plain(one)], writer)),
        written(lambda writer: write_timeline([call], writer)),
        written(
            lambda writer: write_status(status(rejected=(lost,), warnings=(text,)), writer, rejected=True)
        ),
        written(lambda writer: write_overview(counted([plain(one)]), writer)),
    ]
    for line in "".join(texts).split("\n"):
        assert cell_len(line.rpartition(" ")[0]) <= 100  # a long word stays whole, to be pasted
        assert all(character == " " or unicodedata.category(character)[0] not in "CZ" for character in line)


def test_a_document_that_says_one_thing_twice_is_shown_as_it_will_be_sent() -> None:
    """Of two members of one name a layout has room for one: the text of somebody's plan is then shown itself."""
    twice = '{"Statement": [{"Effect": "Allow"}], "Statement": [{"Effect": "Deny"}]}'
    stream = io.StringIO()
    for text in (twice, '{"Version": "2012-10-17", "Statement": []}'):
        parameters = {"UserName": "ada", "PolicyDocument": text}
        call = Call(account="111122223333", service="iam", operation="PutUserPolicy", parameters=parameters)
        write_call(call, TextWriter(stream))

    assert twice in " ".join(stream.getvalue().split())
    assert '"Version": "2012-10-17"' in stream.getvalue()


def test_of_sentences_that_differ_in_ids_alone_a_few_are_told_and_the_others_counted() -> None:
    """What one sentence says of hundreds hides no other: each kind is told, in the order in which it first came."""
    left = [f"ASIAIOSFODNN7{number:07} left a policy behind on snap-{number}" for number in range(240)]
    told = some_of_each([*left, "step 1 is by hand", "step 2 is by hand", "sessions of SSM go on"])

    more = "and 237 more that say the same of others: -o and --format json list all"
    assert [*left[:3], more, "step 1 is by hand", "step 2 is by hand", "sessions of SSM go on"] == told
    assert left[:4] == some_of_each(left[:4])


def test_before_calls_are_sent_those_that_are_alike_are_shown_once_and_each_is_named() -> None:
    """A plan in two hundred accounts is read before it is agreed to: no call is left out, and none is ten thousand lines."""

    def calls(many: int) -> tuple[Call, ...]:
        document = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
        return tuple(
            Call(
                account=f"{number:012}", service="iam", operation="PutUserPolicy",
                parameters={"UserName": f"u{number}", "PolicyName": "Deny", "PolicyDocument": document},
            )
            for number in range(many)
        )  # fmt: skip

    def shown(many: int) -> str:
        odd = Call(account="9" * 12, service="iam", operation="PutUserPolicy", parameters={"UserName": "odd"})
        return written(lambda writer: write_calls(plan(steps=(step(1, calls=(*calls(many), odd)),)), writer))

    said = " ".join(shown(200).split())
    assert [3, 1] == [shown(3).count('"Statement"'), shown(200).count('"Statement"')]
    assert "the same in 000000000001 (u1), 000000000002 (u2), " in said
    assert not [number for number in range(1, 200) if f"{number:012} (u{number})" not in said]
    assert "UserName: odd" in said
    assert len(shown(200).splitlines()) < 80
