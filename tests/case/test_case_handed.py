"""What a robbed host, a portal or a sign-in handed out since: every answer about a subject counts it alike."""

from __future__ import annotations

import html
import io
import json
from collections.abc import Iterator

import pytest

from evidence import START, held
from shell import ran
from tokentrail import Case
from tokentrail.case import guard_answer, source_issued
from tokentrail.lineage.model import Trace
from tokentrail.present.html.page import report_page
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.present.text.trace_text import write_trace
from tokentrail.report_data import Question, finding_subjects, gather, turns
from tokentrail.testing import Credential, World

THIEF, HOUR = "203.0.113.77", 3600


@pytest.fixture(scope="module")
def robbed() -> Iterator[tuple[Case, Credential, Credential, Credential, Credential]]:
    """A host whose thief had three sessions one after the other, of which the last lives, and minted with that."""
    world = World(START)
    first = world.instance("Web")
    first.seen_from(THIEF).calls("s3:ListBuckets")
    world.wait(8 * HOUR)
    between = first.rotates()
    between.seen_from(THIEF).calls("s3:ListBuckets", count=5)
    world.wait(8 * HOUR)
    after = between.rotates()
    minted = after.seen_from(THIEF).assumes("Ops", "x")
    minted.calls("s3:ListBuckets")
    world.user("bystander").calls("s3:ListBuckets")
    with held(world) as case:
        yield case, first, between, after, minted


Robbed = tuple[Case, Credential, Credential, Credential, Credential]


def written(trace: Trace) -> str:
    """A trace as text, in one line."""
    told = io.StringIO()
    write_trace(trace, TextWriter(told))
    return " ".join(told.getvalue().split())


def test_a_trace_names_what_was_handed_out_since(robbed: Robbed) -> None:
    """Of a session that has run out it read as if all was over; what counts beside it is told with its state."""
    case, first, between, after, minted = robbed
    trace = case.trace([first.id])
    states = {one.credential: one.state for one in trace.handed or ()}

    assert [first.id] == [one.id for one in trace.credentials]
    assert states == {between.id: "expired", after.id: "active", minted.id: "active"}
    assert "3 credentials more count as the attacker's, 2 still work: " in written(trace)
    assert case.trace([first.id], down=False).handed is None
    assert "the evidence shows no other since" in written(case.trace([after.id]))


def test_a_page_counts_what_its_plan_ends(robbed: Robbed) -> None:
    """Its head said that nothing works any more, above a plan that ends two; its calls and pictures left them out."""
    case, first, *others = robbed
    found = gather(case, Question(subjects=(first.id,)), [{"credentials": [others[1].id]}])
    tainted = {one.id for one in found.trace.credentials if one.tainted}
    told = found.calls.lines(telling="", room=100, run=1)
    page = html.unescape(report_page(found))

    assert tainted == {first.id, *(one.id for one in others)} > set(found.plan.tainted if found.plan else ())
    assert (first.id,) == found.trace.subject and found.findings and not found.elsewhere
    assert told.events - told.began == 8
    assert "2 of the attacker's 4 credentials still work" in page
    assert any(f"{others[0].session_name}" in one.what for one in turns(found.trace))


def test_a_trace_that_follows_tells_descent_from_the_rest(robbed: Robbed) -> None:
    """What was handed out stands in the tree, and is not said to descend from the subject."""
    case, first, *others = robbed
    said = written(case.trace([first.id], followed=True))

    assert f"No credentials descend from {first.id}." in said and "here they are named" not in said
    assert all(f"{one.id} " in said for one in others)


def test_a_lead_counts_what_works_behind_its_host(robbed: Robbed) -> None:
    """The console's first page called a lead over while the thief held the next session."""
    case, first, *others = robbed
    told = [
        {"subject": one.id, "severity": "high", "time": "", "id": "x", "title": "t"}
        for one in (first, others[1])
    ]
    (subject,) = finding_subjects(case, json.loads(json.dumps(told)), None).shown

    assert (subject.subject, subject.credentials, subject.alive) == (first.id, 4, 2)


def test_what_may_work_is_not_told_as_working_beside_the_picture() -> None:
    """Nobody knows how long a console session lasts: the head of the page said that it may work, its picture that it does."""
    world = World(START)
    session = world.console_sign_in(world.user("ada"), ip=THIEF)
    session.calls("s3:ListBuckets")
    with held(world) as case:
        page = html.unescape(report_page(gather(case, Question(subjects=(session.id,)))))

    assert "The attacker's credential may still work" in page
    assert "A may work." in page and "A works" not in page


@pytest.mark.parametrize("form", ["csv", "jsonl", "dot", "mermaid"])
def test_a_format_without_a_place_for_it_has_it_beside(
    robbed: Robbed, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """A table of one session that has run out would be all that a script sees: what works besides goes to stderr."""
    case, first, *_ = robbed
    told = ran(monkeypatch, ["trace", first.id, "--case", case.path, "--format", form])

    assert "3 credentials more count as the attacker's" in " ".join(told.err.split())
    assert "more count" not in told.out


def test_of_too_large_a_lineage_it_is_said_that_nobody_looked(
    robbed: Robbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To follow sources makes an object of each credential: beyond a number none is, and no answer passes for whole."""
    case, first, *_ = robbed
    for room in (source_issued, guard_answer):
        monkeypatch.setattr(room, "MOST_FOLLOWED", 0)
    trace = case.trace([first.id])

    assert trace.handed is None and "they were not looked for" in written(trace)
    assert "handed out since is not counted" in case.guard([first.id]).assumed
