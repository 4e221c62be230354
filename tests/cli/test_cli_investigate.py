"""What `investigate` prints: one screen, the rest when asked, through a pager where a person looks on."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from evidence import assume_role, call, session, user
from hostile import HOSTILE
from shell import Run
from tokentrail.case import Case
from tokentrail.cli.root import root
from tokentrail.present.text.investigation_text import Investigation, write_screen
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.results import IngestSummary, ObjectCounts, RecordCounts
from tokentrail.testing.story import Story

SCREEN = 45
SCREEN_OF_HOSTILE = 120
"""Lines of a screen whose names and user agents are long, and wrapped."""
EMPTY = IngestSummary(
    objects=ObjectCounts(read=0, repeated=0, skipped=0), records=RecordCounts(read=0, new=0, repeated=0, rejected=0),
    rejected=(), skipped=(), seconds=0.0,
)  # fmt: skip


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def in_order(text: str, *parts: str) -> bool:
    """Whether all of some parts are in a text, in this order."""
    places = [text.find(one) for one in parts]
    return -1 not in places and places == sorted(places)


def test_the_answer_is_one_screen(run: Run, logs: Path, told: Story) -> None:
    """Verdict, who and when, leads, findings, plan and what to run next stand on one screen, in this order."""
    ran = run("investigate", logs, "--subject", told.a.key_id, "--case", "leak")

    assert len(ran.out.splitlines()) <= SCREEN
    assert ran.out.startswith("COMPLETE: 2 steps. 3 of the attacker's 5 credentials still work.\n")
    assert in_order(ran.out, "COMPLETE", "\nsubject ", "\nwhen ", "\nfrom ", "\ndamage ", "\nLeads: ", "\nFindings: ",
                    "\nPlan: ", "\nEvidence gaps", "\nNext\n")  # fmt: skip
    assert f"tokentrail contain {told.a.key_id} -o plan.json --case leak" in ran.out
    assert f"tokentrail report {told.a.key_id} -o report.html --case leak" in ran.out
    assert "tokentrail serve --case leak" in ran.out


def test_the_rest_is_printed_when_asked(run: Run, logs: Path, told: Story) -> None:
    """With --full, leads, findings, lineage, timeline and proof follow the one screen."""
    text = run("investigate", logs, "--subject", told.a.key_id, "--full").out

    assert in_order(text, "COMPLETE", "\nNext\n", "\nLeads\n", "\nFindings\n", "\nLineage\n", "4 credentials descend",
                    "\nTimeline\n", "\nContainment\n", "\nProof, from logged activity\n")  # fmt: skip
    assert all(key in text for key in told.key_ids.values())


def test_the_next_commands_are_narrowed_as_the_answer_is(run: Run, logs: Path, told: Story) -> None:
    """What narrowed the attacker's use narrows the report and the plan that come next, too."""
    narrowed = ("--attacker-since", "2026-11-23T09:41:00Z", "--trusted-ip", "192.0.2.0/24")
    text = run("investigate", logs, "--subject", told.a.key_id, "--case", "leak", *narrowed).out

    asked = "--attacker-since 2026-11-23T09:41:00Z --trusted-ip 192.0.2.0/24"
    assert f"tokentrail contain {told.a.key_id} {asked} -o plan.json --case leak" in text
    assert "Used from several addresses" not in text


def test_who_may_be_the_owner_is_told_with_the_command_that_leaves_him_out(
    run: Run, logs: Path, told: Story
) -> None:
    """A key that was used from its owner's address first is narrowed by the command that the answer gives."""
    text = run("investigate", logs, "--subject", told.a.key_id, "--case", "leak").out

    assert "Used from several addresses: " in text
    assert f"tokentrail investigate {logs} --subject {told.a.key_id} --trusted-ip " in text


def test_a_session_is_told_with_what_made_it(run: Run, logs: Path, told: Story) -> None:
    """An alert may name a session alone: who made it is told, the key that leaked is no part of the plan, and is a lead."""
    out = run("investigate", logs, "--subject", told.d.key_id, "--case", "leak").out
    flat = " ".join(out.split())

    assert in_order(out, "\nsubject    ", "\nmade by    ", "\nwhen ")
    assert in_order(
        flat, f"made by {told.b.key_id} (session token", f"< {told.a.key_id} (long-term key", "start there:"
    )
    assert f"tokentrail investigate {logs} --subject {told.a.key_id} --case leak" in flat
    assert f"in part {told.a.key_id}" in flat
    assert f"strong lead outside this plan still works: {told.b.key_id}" in flat
    assert "\nmade by" not in run("investigate", logs, "--subject", told.a.key_id, "--case", "leak").out


def test_a_service_is_no_place_that_an_owner_calls_from(run: Run, logs: Path, told: Story) -> None:
    """Of the addresses among which may be the owner's, none is a service's name."""
    out = run("investigate", logs, "--subject", told.role.arn, "--case", "leak").out
    assert "amazonaws.com since" not in out


def test_strong_leads_outside_the_plan_are_told(case: Path, told: Story) -> None:
    """Who reads that one key is ended learns that another credential, which works, looks stolen as well."""
    with Case.open(case, create=False) as opened:
        trace, plan = opened.trace([told.b.key_id]), opened.contain([told.b.key_id])
        first, *others = opened.leads()
        ria = next(lead for lead in others if told.ria_after.key_id in lead.credentials)
        found = Investigation(
            summary=EMPTY, logs=("logs",), leads=(first, replace(ria, strong=True, state="active")), findings=(),
            trace=trace, activity=opened.activity(trace), events=(), plan=plan, case="leak",
        )  # fmt: skip
    shown = io.StringIO()
    write_screen(found, TextWriter(shown))
    said = " ".join(shown.getvalue().split())

    assert "! 1 strong lead outside this plan still works: " in said
    assert f"tokentrail trace {ria.credentials[0]} --case leak" in said
    assert f"yes {first.credential}" in said


@pytest.mark.parametrize(("options", "paged"), [((), True), (("--no-pager",), False)])
def test_a_long_answer_goes_through_a_pager_on_a_terminal(
    options: tuple[str, ...], paged: bool, case: Path, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text that is longer than the terminal is paged, unless told not to."""
    shown: list[str] = []
    monkeypatch.setattr(click, "echo_via_pager", shown.append)
    monkeypatch.setattr(sys, "stdin", Terminal())
    out = Terminal()
    with contextlib.redirect_stdout(out):
        root(["trace", told.a.key_id, "--case", str(case), *options], standalone_mode=False)

    assert (len(shown), out.getvalue() == "") == ((1, True) if paged else (0, False))
    assert told.e.key_id in (shown[0] if paged else out.getvalue())


def test_what_is_piped_is_never_paged(case: Path, told: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets the text at once, however long it is."""
    monkeypatch.setattr(click, "echo_via_pager", lambda _: pytest.fail("paged"))
    monkeypatch.setattr(sys, "stdin", Terminal())
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        root(["trace", told.a.key_id, "--case", str(case)], standalone_mode=False)

    assert told.e.key_id in out.getvalue()


def test_a_short_answer_is_not_paged(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits the terminal is printed on it."""
    monkeypatch.setattr(click, "echo_via_pager", lambda _: pytest.fail("paged"))
    monkeypatch.setattr(sys, "stdin", Terminal())
    out = Terminal()
    with contextlib.redirect_stdout(out):
        root(["status", "--case", str(case)], standalone_mode=False)

    assert out.getvalue()


def test_quiet_leaves_errors_alone_on_stderr(run: Run, logs: Path) -> None:
    """With --quiet nothing is said but what goes wrong; the answer is the same."""
    loud, quiet = (
        run("investigate", logs, "--case", name, *more) for name, more in (("a", ()), ("b", ("-q",)))
    )

    assert "Records: " in loud.err and "starts from" in loud.err
    assert quiet.err == ""
    assert quiet.out == loud.out.replace("--case a", "--case b")
    assert "Error: " in run("trace", "AKIAIOSFODNN7NOTHERE", "--case", "a", "--quiet").err


@pytest.mark.parametrize(
    "subject", ["AKIAIOSFODNN7EXAMPLE", "203.0.113.77", "arn:aws:iam::111122223333:role/R"]
)
def test_a_subject_in_place_of_logs_is_told_how_to_be_given(subject: str, run: Run, logs: Path) -> None:
    """Who types the key behind the logs is told of --subject, with the command to paste, and no case is made."""
    ran = run("investigate", logs, subject, "--case", "new")

    assert ran.code == 2
    assert f"tokentrail investigate {logs} --subject {subject}" in ran.err
    assert not Path("new").exists()


def test_a_watch_says_at_once_what_it_watches(run: Run, logs: Path) -> None:
    """Before anything was read: the source, the case, where findings go, and how it ends."""
    said = " ".join(run("watch", logs, "--once", "--case", "followed").err.split())

    assert said.startswith(
        f"Watching {logs}. Evidence goes into followed, findings go to standard output. It ends when"
    )


def test_a_guard_without_a_subject_shows_the_first_five(run: Run, case: Path, told: Story) -> None:
    """Without a subject or a finding, it says that none would have stopped it earlier, and lists five."""
    early = ("--case", case, "--as-of", "2026-11-23T09:40:00Z")
    text = " ".join(run("guard", *early).out.split())
    whole = run("guard", *early, "--history").out

    assert "none of these guardrails would have stopped one earlier" in text
    assert "--history lists them" in text
    assert len(run("guard", *early).out.splitlines()) < len(whole.splitlines())


def test_an_investigation_with_a_page_traces_and_plans_once(
    run: Run, logs: Path, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`investigate --report` asks the case for one trace and one plan, which the screen and the page share."""
    asked: list[str] = []
    for name in ("trace", "contain"):
        ask = getattr(Case, name)

        def counted(*args: Any, ask: Any = ask, name: str = name, **options: Any) -> Any:
            asked.append(name)
            return ask(*args, **options)

        monkeypatch.setattr(Case, name, counted)
    ran = run("investigate", logs, "--subject", told.a.key_id, "--report", "leak.html")

    assert ran.code == 1
    assert asked == ["trace", "contain"]
    assert told.a.key_id in Path("leak.html").read_text("utf-8")


NASTY: tuple[Any, ...] = (
    *HOSTILE, "](javascript:alert(1)) | a | b |`rm -rf`|", "\x1b]0;title\x07\x9b2J\r\n\r\nLeads: 0", ["a", {"b": None}],
    None, {"deep": [[["x" * 10_240]]]}, 10**40,
)  # fmt: skip


@pytest.mark.parametrize("poison", NASTY, ids=[ascii(one)[:14] for one in NASTY])
def test_hostile_fields_are_inert_and_bounded_on_the_screen(run: Run, tmp_path: Path, poison: Any) -> None:
    """Whatever stands in a field that an attacker fills: the screen shows visible text alone, and stays a screen."""
    fields = {"userAgent": poison, "sourceIPAddress": poison, "errorMessage": poison, "awsRegion": poison}
    name = poison if isinstance(poison, str) else "name"
    records = [
        assume_role(name=name, role=f"R{name}"[:900], **fields),
        call("GetSecretValue", "2026-11-23T09:10:00Z", session(name=name, role=f"R{name}"[:900]),
             source="secretsmanager.amazonaws.com", requestParameters={"secretId": poison}, **fields),
        call("CreateAccessKey", "2026-11-23T09:11:00Z", user(), source="iam.amazonaws.com",
             requestParameters={"userName": poison},
             responseElements={"accessKey": {"accessKeyId": "AKIAIOSFODNN7EXAMPL2", "userName": poison}}, **fields),
        *(call(f"Describe{n}", f"2026-11-23T09:{n % 60:02}:30Z", user(), **fields) for n in range(12)),
    ]  # fmt: skip
    (tmp_path / "logs.json").write_text(json.dumps({"Records": records}))
    ran = run("investigate", "logs.json", "--subject", "AKIAIOSFODNN7EXAMPLE", "--case", "c")

    assert ran.code == 1
    assert (
        ran.out.startswith("COMPLETE") or ran.out.startswith("NOT COMPLETE") or ran.out.startswith("Complete")
    )
    assert all(shown == "\n" or shown.isprintable() for shown in ran.out)
    assert ran.out.count("\nLeads: ") == 1
    assert len(ran.out.splitlines()) <= SCREEN_OF_HOSTILE
    assert len(ran.out) <= 40_000
