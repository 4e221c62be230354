"""What each verb prints, in each format, on the story."""

from __future__ import annotations

import csv
import io
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import click
import pytest

from shell import Ran, Run
from tokentrail.cli.options import MOMENT, TimeOfDay, on_day_of_evidence
from tokentrail.testing import FAKE_SESSION_TOKEN, World
from tokentrail.testing.story import Story

FORMATS = ("text", "json", "jsonl", "csv")


def lines(text: str) -> list[Any]:
    """The documents of JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def table(text: str) -> list[dict[str, str]]:
    """The rows of CSV."""
    return list(csv.DictReader(io.StringIO(text)))


def test_ingest_prints_what_came_in(run: Run, told: Story, logs: Path) -> None:
    """Read, new, repeated, rejected; a second run finds all of it held already."""
    ran = run("ingest", logs, "--format", "json")
    shown = json.loads(ran.out)
    assert ran.code == 0
    assert set(shown) >= {"objects", "records", "rejected", "seconds"}
    assert shown["records"]["new"] == shown["records"]["read"] == len(told.world.records())
    again = json.loads(run("ingest", logs, "--format", "jsonl").out)
    assert again["records"]["new"] == 0
    assert again["objects"]["repeated"] == shown["objects"]["read"]
    assert run("ingest", logs).out.startswith("Objects: 0 read, ")


def test_the_same_credentials_in_every_format(run: Run, case: Path, told: Story) -> None:
    """JSON, JSON lines and CSV list the same ids in the same order, and text has each of them."""
    whole = json.loads(run("credentials", "--case", case, "--format", "json").out)
    ids = [one["id"] for one in whole]
    assert len(ids) == len(told.world.truth)
    assert lines(run("credentials", "--case", case, "--format", "jsonl").out) == whole
    assert [row["id"] for row in table(run("credentials", "--case", case, "--format", "csv").out)] == ids
    text = run("credentials", "--case", case).out
    assert [line.split()[0] for line in text.splitlines() if line[0] in "A"] == ids


def test_the_inventory_can_be_narrowed(run: Run, case: Path, told: Story) -> None:
    """By state, kind, principal and account, all of which must fit."""
    narrowed = run(
        "credentials",
        "--case",
        case,
        "--state",
        "active",
        "--kind",
        "session_token",
        "--principal",
        told.user.arn,
        "--account",
        "111122223333",
        "--format",
        "jsonl",
    )
    assert [one["id"] for one in lines(narrowed.out)] == [told.b.key_id]
    assert run("credentials", "--case", case, "--account", "1", "--format", "json").out == "[]\n"


def test_a_trace_in_every_format(run: Run, case: Path, told: Story) -> None:
    """The document holds the lineage; lines and table are its credentials; text has every id."""
    whole = json.loads(run("trace", told.a.key_id, "--case", case, "--format", "json").out)
    ids = [one["id"] for one in whole["credentials"]]
    assert sorted(ids) == sorted(told.key_ids.values())
    assert whole["subject"] == [told.a.key_id]
    assert lines(run("trace", told.a.key_id, "--case", case, "--format", "jsonl").out) == whole["credentials"]
    assert [
        row["id"] for row in table(run("trace", told.a.key_id, "--case", case, "--format", "csv").out)
    ] == ids
    assert all(one in run("trace", told.a.key_id, "--case", case).out for one in ids)


def test_up_and_down_choose_a_direction(run: Run, case: Path, told: Story) -> None:
    """From B: up are A and B, down are B, D and E, and both are the default."""

    def traced(*options: str) -> set[str]:
        ran = run("trace", told.b.key_id, "--case", case, "--format", "jsonl", *options)
        letters = {key_id: letter for letter, key_id in told.key_ids.items()}
        return {letters[one["id"]] for one in lines(ran.out)}

    assert traced("--up") == {"A", "B"}
    assert traced("--down") == {"B", "D", "E"}
    assert traced() == traced("--up", "--down") == {"A", "B", "D", "E"}
    assert "descendants were not" in run("trace", told.b.key_id, "--case", case, "--up").out


@pytest.mark.parametrize(
    ("options", "tainted"),
    [
        ((), "ABCDE"),
        (("--attacker-since", "2026-11-23T09:45:00"), "AC"),
        (("--source-ip", "203.0.113.0/24"), "ABCDE"),
        (("--source-ip", "198.51.100.23"), "A"),
        (("--trusted-ip", "203.0.113.77"), "A"),
        (("--trusted-ip", "192.0.2.0/24"), "ABCDE"),
    ],
)
def test_options_narrow_what_is_the_attackers(
    options: tuple[str, ...], tainted: str, run: Run, case: Path, told: Story
) -> None:
    """Time and address of minting from the subject decide what is tainted, with all that descends from it."""
    ran = run("trace", told.a.key_id, "--case", case, "--format", "jsonl", *options)
    found = {one["id"] for one in lines(ran.out) if one["tainted"]}
    assert found == {told.key_ids[letter] for letter in tainted}


def test_the_moment_of_the_answer_can_be_chosen(run: Run, case: Path, told: Story) -> None:
    """Before the key was deactivated it was active, and D and E were not born; times are UTC by default."""
    for moment in ("2026-11-23T10:01:59", "2026-11-23T10:01:59Z", "2026-11-23T11:01:59.7+01:00"):
        found = lines(run("trace", told.a.key_id, "--case", case, "--as-of", moment, "--format", "jsonl").out)
        assert {one["id"]: one["state"] for one in found} == {
            told.key_ids[letter]: "active" for letter in "ABC"
        }
    assert run("status", "--case", case, "--as-of", "now").code == 0


def test_a_timeline_in_every_format(run: Run, case: Path, told: Story) -> None:
    """The calls of A's descendants in order, one for each line but in text, where like calls are one line."""
    whole = json.loads(run("timeline", told.a.key_id, "--case", case, "--format", "json").out)
    assert [one["time"] for one in whole] == sorted(one["time"] for one in whole)
    assert {one["credential"] for one in whole} == set(told.key_ids.values())
    assert lines(run("timeline", told.a.key_id, "--case", case, "--format", "jsonl").out) == whole
    assert len(table(run("timeline", told.a.key_id, "--case", case, "--format", "csv").out)) == len(whole)
    assert len(run("timeline", told.a.key_id, "--case", case).out.splitlines()) < 80


def test_the_status_in_every_format(run: Run, case: Path) -> None:
    """What the case holds, and coverage by account and region."""
    whole = json.loads(run("status", "--case", case, "--format", "json").out)
    assert set(whole) >= {
        "case_id",
        "objects",
        "records",
        "credentials",
        "first",
        "last",
        "coverage",
        "rejected",
    }
    assert lines(run("status", "--case", case, "--format", "jsonl").out) == [whole]
    rows = table(run("status", "--case", case, "--format", "csv").out)
    assert [row["account"] for row in rows] == [one["account"] for one in whole["coverage"]]
    assert "Every record was read." in run("status", "--case", case).out


def test_investigate_does_it_all(run: Run, logs: Path, told: Story) -> None:
    """Logs in; findings, trace, timeline and a proved plan out; the exit code says that there are findings."""
    ran = run("investigate", logs, "--subject", told.a.key_id, "--format", "json")
    whole = json.loads(ran.out)
    assert ran.code == 1
    assert {one["id"] for one in whole["trace"]["credentials"]} == set(told.key_ids.values())
    assert whole["timeline"] and whole["ingest"]["records"]["new"]
    assert whole["overview"] is None
    assert {one["subject"] for one in whole["findings"]} == {told.a.key_id}
    assert whole["plan"]["proof"]["complete"] and set(whole["plan"]["tainted"]) == set(told.key_ids.values())
    assert "held other evidence" not in ran.err
    sections = lines(run("investigate", logs, "--subject", told.a.key_id, "--format", "jsonl").out)
    assert {one["section"] for one in sections} == {"lead", "finding", "credential", "event", "plan"}


def test_investigate_starts_from_the_worst_finding(run: Run, logs: Path, told: Story) -> None:
    """Without a subject it traces and plans from the credential behind the worst finding, and says so."""
    ran = run("investigate", logs, "--format", "json")
    whole = json.loads(ran.out)
    assert ran.code == 1
    assert f"starts from {told.a.key_id}" in ran.err
    assert whole["trace"]["subject"] == [told.a.key_id]
    assert whole["plan"]["proof"]["complete"]


def test_investigate_says_what_its_start_descends_from(run: Run, tmp_path: Path) -> None:
    """Where the worst finding is a session's, what minted it may be what leaked: the answer names it, and so the plan."""
    place = World(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
    key = place.user("ada")
    session = key.assumes("Admin", "x")
    session.calls("cloudtrail:StopLogging", {"name": "main"})
    place.write(tmp_path / "logs")
    ran = run("investigate", tmp_path / "logs", "--case", tmp_path / "case")
    said, shown = (" ".join(text.split()) for text in (ran.err, ran.out))

    assert f"starts from {session.id}" in said
    assert f"It descends from {key.id}: if that leaked, give it as --subject." in said
    first = "Complete only if this key was not stolen: 1 step. The attacker's credential still works."
    assert shown.startswith(first)
    assert f"not stolen? {key.id} (`tokentrail contain {key.id}` ends it)" in shown


def test_nothing_that_fits_and_nothing_to_read_are_said(run: Run, tmp_path: Path) -> None:
    """An empty answer would look like a good one; how a state is written makes no difference."""
    place = World(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
    place.user("ada").calls("s3:ListBuckets")
    place.write(tmp_path / "logs")
    (tmp_path / "empty").mkdir()
    run("ingest", tmp_path / "logs", "--case", tmp_path / "case")
    empty = run("investigate", tmp_path / "empty", "--case", tmp_path / "new")

    assert "Nothing was there to read." in empty.err and "No CloudTrail records in" in empty.err
    assert (
        "No credential in the evidence fits."
        in run("credentials", "--account", "9", "--case", tmp_path / "case").out
    )
    capitals, plain = (
        run("credentials", "--state", state, "--case", tmp_path / "case") for state in ("Active", "active")
    )
    assert capitals.out == plain.out and "AKIA" in plain.out


def test_investigate_names_where_to_start(run: Run, tmp_path: Path) -> None:
    """Where nothing is found either, it lists the keys and tokens that minted most, and how to go on."""
    place = World(datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
    key = place.user("ada")
    key.assumes("Deploy", "ada").calls("s3:ListBuckets")
    place.write(tmp_path / "quiet")
    ran = run("investigate", tmp_path / "quiet", "--format", "json")
    assert ran.code == 0
    whole = json.loads(ran.out)
    assert (whole["findings"], whole["trace"], whole["plan"]) == ([], None, None)
    assert [one["id"] for one in whole["overview"]["candidates"]] == [key.key_id]
    assert "--subject" in ran.err
    text = run("investigate", tmp_path / "quiet").out
    assert "Nothing found." in text and "Possible subjects" in text
    assert table(run("investigate", tmp_path / "quiet", "--format", "csv").out)[0]["id"] == key.key_id


def test_investigate_says_that_a_case_held_other_evidence(
    run: Run, logs: Path, case: Path, tmp_path: Path
) -> None:
    """An answer that rests on more than the logs given says so; the same logs again are no other evidence."""
    shutil.copytree(case, tmp_path / "copy")
    assert "held other evidence" not in run("investigate", logs, "--case", tmp_path / "copy").err
    other = tmp_path / "other.json"
    other.write_text("[]")
    assert (
        "This case held other evidence before" in run("investigate", other, "--case", tmp_path / "copy").err
    )


@pytest.fixture(name="copied", scope="module")
def _copied(case: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case of the story that may be written to."""
    return Path(shutil.copytree(case, tmp_path_factory.mktemp("copied") / "case"))


Printed = dict[tuple[object, ...], Ran]


@pytest.fixture(name="printed", scope="module")
def _printed() -> Printed:
    """What was run on the story and what came of it: what two tests ask for the first time is run for one of them."""
    return {}


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    "verb", ["ingest", "credentials", "trace", "timeline", "status", "investigate", "detect"]
)
def test_no_session_token_is_ever_printed(
    verb: str, format_: str, run: Run, case: Path, copied: Path, logs: Path, told: Story, printed: Printed
) -> None:
    """The evidence is full of session tokens; no verb prints one in any format, on either stream."""
    arguments = {
        "ingest": (logs, "--case", "new"),
        "investigate": (logs, "--subject", told.a.key_id, "--case", copied),
        "trace": (told.a.key_id, "--case", case),
        "timeline": (told.a.key_id, "--case", case),
    }.get(verb, ("--case", case))
    asked = (verb, *arguments, "--format", format_)
    ran = printed[asked] = printed.get(asked) or run(*asked)
    assert ran.code == (verb in ("investigate", "detect"))
    assert ran.out
    assert FAKE_SESSION_TOKEN not in ran.out + ran.err


@pytest.mark.parametrize("format_", FORMATS)
def test_output_is_the_same_every_time(
    format_: str, run: Run, case: Path, told: Story, printed: Printed
) -> None:
    """The same case and arguments give the same bytes."""
    for verb in (
        ("credentials",),
        ("trace", told.a.key_id),
        ("timeline", told.a.key_id),
        ("status",),
        ("detect",),
    ):
        asked = (*verb, "--case", case, "--format", format_)
        once = printed[asked] = printed.get(asked) or run(*asked)
        assert once.out == run(*asked).out


def test_the_case_may_be_named_by_the_environment(
    run: Run, case: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TOKENTRAIL_CASE stands for --case; but the demo never touches that case."""
    monkeypatch.setenv("TOKENTRAIL_CASE", str(case))
    assert run("status").code == 0
    demo = run("demo", "--format", "json", "--as-of", "2026-11-23T09:45:00Z")
    assert demo.code == 0, demo.err
    assert Path(json.loads(demo.out)["case"]).resolve() != case.resolve()
    shutil.rmtree(json.loads(demo.out)["case"])


def test_the_option_of_before_goes_on_with_a_warning(run: Run, case: Path, told: Story) -> None:
    """`--since` narrows the attacker's use as `--attacker-since` does, and says what to write."""
    old = run("trace", told.a.key_id, "--case", case, "--format", "json", "--since", "2026-11-23T09:45:00")
    new = run(
        "trace", told.a.key_id, "--case", case, "--format", "json", "--attacker-since", "2026-11-23T09:45:00"
    )
    assert old.out == new.out
    assert "write --attacker-since" in old.err and "--attacker-since" not in new.err


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("now", timedelta()), ("10m", timedelta(minutes=10)), ("2h ago", timedelta(hours=2)), ("3D", timedelta(days=3)),
        ("90 min ago", timedelta(minutes=90)), ("45s", timedelta(seconds=45)),
    ],
)  # fmt: skip
def test_times_may_be_given_by_the_clock(text: str, ago: timedelta) -> None:
    """So long ago from now, as people say it."""
    found = MOMENT.convert(text, None, None)
    assert abs(datetime.now(UTC) - ago - found) < timedelta(seconds=30)


def test_a_time_of_day_is_the_last_one() -> None:
    """`10:18` was today or yesterday, in UTC, and never lies ahead."""
    found = MOMENT.convert("10:18", None, None)
    assert (found.hour, found.minute, found.second) == (10, 18, 0)
    assert timedelta() <= datetime.now(UTC) - found < timedelta(days=1)


def test_a_time_of_day_means_the_day_of_the_evidence(run: Run, case: Path, logs: Path, told: Story) -> None:
    """`--attacker-since 09:45` on a case of last week narrows as that day's 09:45 does, and says which day it took."""
    key = told.a.key_id
    for verb in (("trace", key, "--case", case), ("investigate", logs, "--subject", key, "--case", "new")):
        whole = run(*verb, "--format", "json", "--attacker-since", "2026-11-23T09:45:00")
        short = run(*verb, "--format", "json", "--attacker-since", "09:45")
        assert "09:45:00 is 2026-11-23T09:45:00Z, on the evidence's day." in short.err
        if verb[0] == "trace":
            assert short.out == whole.out and "on the evidence's day" not in whole.err
    early = run("credentials", "--case", case, "--as-of", "10:00", "--format", "jsonl")
    assert (
        early.out
        == run("credentials", "--case", case, "--as-of", "2026-11-23T10:00:00Z", "--format", "jsonl").out
    )


@pytest.mark.parametrize(
    ("given", "meant"),
    [("10:00", "23T10:00"), ("23:50", "22T23:50"), ("12:30", "23T12:30"), ("11:10", "23T11:10")],
)
def test_a_time_of_day_lies_within_the_evidence_where_one_does(given: str, meant: str) -> None:
    """It is the last one up to the newest event; of a time that the evidence has on no day, the last day's."""
    first, newest = datetime(2026, 11, 22, 20, tzinfo=UTC), datetime(2026, 11, 23, 11, 10, tzinfo=UTC)
    found = on_day_of_evidence(cast(TimeOfDay, MOMENT.convert(given, None, None)), first, newest)
    assert f"{found:%dT%H:%M}" == meant


def test_a_timeline_in_which_no_call_fits_says_when_there_are_calls(
    run: Run, case: Path, told: Story
) -> None:
    """A window beside the evidence lists nothing, and tells the span of the calls."""
    ran = run("timeline", told.a.key_id, "--case", case, "--since", "2027-01-01")
    assert ran.out == "" or "2026" not in ran.out
    assert "No call fits: there are" in ran.err and "2026-11-23T" in ran.err


@pytest.mark.parametrize("text", ["25:00", "10m later", "999999w", "-5m", "yesterday", ""])
def test_what_is_no_time_is_refused_with_what_one_is(text: str) -> None:
    """The sentence shows the forms."""
    with pytest.raises(click.BadParameter, match="2h ago"):
        MOMENT.convert(text, None, None)


def test_a_timeline_lists_the_calls_that_are_asked_for(run: Run, case: Path, told: Story) -> None:
    """By time, name and outcome, in order; what is left out is counted."""

    def listed(*options: str) -> tuple[list[dict[str, Any]], str]:
        ran = run("timeline", told.a.key_id, "--case", case, "--format", "jsonl", *options)
        return lines(ran.out), " ".join(ran.err.split())

    every, said = listed()
    assert "Left out" not in said
    middle = every[len(every) // 2]["time"]
    late, said = listed("--since", middle)
    assert late == [one for one in every if one["time"] >= middle]
    assert f"Left out: {len(every) - len(late):,} call" in said
    assert listed("--until", middle)[0] == [one for one in every if one["time"] < middle]
    wanted = [
        one
        for one in every
        if one["event_name"].startswith("Assume") or one["event_source"].startswith("s3.")
    ]
    assert wanted and listed("--call", "sts:assume*", "--call", "S3:*")[0] == wanted
    failed = [one for one in every if one["error_code"]]
    assert failed and listed("--errors")[0] == failed
    first, said = listed("--limit", "2")
    assert first == every[:2] and f"{len(every) - 2:,} more fit" in said
    assert listed("--call", "(.*", "--limit", "1")[0] == []


def test_leads_say_how_many_there_are_and_how_many_are_listed(run: Run, case: Path) -> None:
    """A list of the first few is not told as if it were all."""
    every = lines(run("leads", "--case", case, "--limit", "500", "--format", "jsonl").out)
    assert len(every) > 2
    assert run("leads", "--case", case, "--limit", "2").out.startswith(f"{len(every)} leads, the first 2: ")
    assert run("leads", "--case", case, "--limit", "500").out.startswith(f"{len(every)} leads: ")
