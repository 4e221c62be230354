"""The page that people look at: whole, inert, the same each time, and fit for every reader."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from html_cases import (
    ALIVE,
    GONE,
    LINK,
    NOW,
    RIA,
    TOKEN,
    USER,
    credentials,
    deep,
    failing,
    finding,
    large,
    plan,
    poisoned,
    report_data,
    ria,
    status,
    step,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from present_cases import KEY, NINE, child, credential, event, plain, trace, written

from evidence import counted
from hostile import HOSTILE, Read, read
from tokentrail.containment.model import NotSpared
from tokentrail.lineage.model import IssuedBy
from tokentrail.present.document import timestamp
from tokentrail.present.formats.markdown import incident_markdown
from tokentrail.present.html.case_page import case_page
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.labels import fitted
from tokentrail.present.html.lifelines import LEFT, RIGHT
from tokentrail.present.html.page import asset, lifelines_file, report_page
from tokentrail.present.html.rows import rows
from tokentrail.present.html.svg import Svg, escape, tag
from tokentrail.present.html.templating import lines
from tokentrail.present.html.window import window
from tokentrail.present.safe import safe
from tokentrail.present.text.plan_text import write_plan
from tokentrail.present.text.trace_text import write_trace
from tokentrail.present.views.report import ReportData
from tokentrail.present.words import action
from tokentrail.results import AttackerActivity, UsedFrom

_URL_ATTRIBUTES = {
    "href",
    "src",
    "action",
    "formaction",
    "data",
    "poster",
    "background",
    "srcset",
    "xlink:href",
}


def shape(page: Read) -> list[tuple[str, tuple[str, ...]]]:
    """The elements and the names of their attributes, in order."""
    return [(name, tuple(sorted(attributes))) for name, attributes in page.tags]


def policy(page: Read) -> str:
    """The page's Content-Security-Policy."""
    return next(
        one["content"] for name, one in page.tags if one.get("http-equiv") == "Content-Security-Policy"
    )


@pytest.mark.parametrize("poison", HOSTILE)
def test_hostile_evidence_adds_no_element_and_no_attribute(poison: str) -> None:
    """Whatever a name, agent, policy or key holds, the page has the elements that it has with harmless ones."""
    harmless = read(report_page(poisoned(report_data(), "x" * len(poison))))
    hostile = read(report_page(poisoned(report_data(), poison)))
    assert shape(hostile) == shape(harmless)
    assert hostile.raw["script"] == [asset("page.js")]
    assert len(hostile.raw["style"]) == 1 and poison[:8] not in hostile.raw["style"][0]


@pytest.mark.parametrize("poison", HOSTILE)
def test_nothing_in_a_page_leads_outside_or_runs(poison: str) -> None:
    """No address but of places on the page, no event handler, no inline style, no character that hides or reorders."""
    page = report_page(poisoned(report_data(plan=failing()), poison))
    found = read(page)
    for name, attributes in found.tags:
        assert name not in (
            "iframe",
            "object",
            "embed",
            "img",
            "link",
            "base",
            "form",
            "foreignobject",
            "use",
            "image",
        )
        for key, value in attributes.items():
            assert not key.startswith("on") and key != "style"
            assert key not in _URL_ATTRIBUTES or LINK.fullmatch(value), (name, key, value)
    assert all(one == "\n" or safe(one) == one for one in set(page))


@given(text=st.text(st.characters(codec=None)))
def test_escaped_text_reads_back_as_what_is_safe_to_see(text: str) -> None:
    """Between tags and in attributes, a parser gets back the visible form of the text, and nothing else."""
    found = read(tag("p", text, title=text))
    assert found.said == safe(text)
    assert found.tags == [("p", {"title": safe(text)})]
    assert read(tag("pre", Svg(lines(text)))).said == "\n".join(safe(line) for line in text.split("\n"))


def test_markup_is_told_from_text_by_its_type() -> None:
    """What was built stays; what merely looks like markup is escaped."""
    assert escape("<b>") == "&lt;b&gt;"
    assert escape(tag("b")) == "<b></b>"
    assert tag("p", Svg("<i></i>"), "<i>", None, title=None, tabindex=0) == (
        '<p tabindex="0"><i></i>&lt;i&gt;</p>'
    )


def test_the_policy_allows_our_own_style_and_script_alone() -> None:
    """Hashes fit; nothing else may be loaded, run or asked for."""
    found = read(report_page(report_data()))
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(found.raw[kind][0].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy(found)
    assert policy(found).startswith("default-src 'none'")
    assert "unsafe" not in policy(found)
    assert found.raw["script"] == [asset("page.js")]
    assert not re.search(r"https?:|//[a-z]|url\((?!#)|@import", "".join(found.raw["style"]))


def test_the_same_report_data_gives_the_same_bytes() -> None:
    """A report can be compared with another by its digest."""
    assert report_page(report_data()) == report_page(report_data())
    assert lifelines_file(report_data()) == lifelines_file(report_data())


def test_every_credential_of_the_trace_stands_as_text() -> None:
    """Small or large, each id can be searched for."""
    for one in (report_data(), large(300)):
        said = read(report_page(one)).said
        assert all(each.id in said for each in one.trace.credentials)
    assert RIA in read(report_page(report_data())).said


def test_the_head_says_what_works_and_what_ends_it() -> None:
    """The first lines are the verdict, the survivors, the steps, and whom they hit."""
    head = read(report_page(report_data())).said.partition("Lifelines")[0]
    assert "2 of the attacker's 4 credentials still work" in head
    assert "Proved complete, on 1 condition." in head
    assert "It cuts off a colleague (ria) too." in head
    assert "NOT COMPLETE" in read(report_page(report_data(plan=failing()))).said
    assert "8.0 MB" in head
    assert "more calls name its principal and no key3" in head


def test_the_head_says_where_the_evidence_ends_before_the_answer() -> None:
    """As of today, from logs of last week, that nothing works is no more than that nothing was heard of since."""
    for last, told in (
        (NOW - timedelta(days=6), f", last event {timestamp(NOW - timedelta(days=6))}"),
        (NOW, ""),
    ):
        head = read(report_page(report_data(status=replace(status(), last=last)))).said
        assert f"as of {timestamp(NOW)}{told}2 of the attacker's" in head


def test_the_head_says_what_a_complete_plan_leaves_above() -> None:
    """A session's minter that still works may be what leaked: a hurried reader must not take the plan for the end of it."""
    key, *below = credentials()
    for others, told, ending in (
        ((KEY,), f"Complete only if this key was not stolen, on 1 condition: {KEY}.", "doubt"),
        ((), "Proved complete, on 1 condition.", "good"),
    ):
        planned = plan(proof=replace(plan().proof, may_be_stolen=others))
        above = replace(key, tainted=False)
        shown = report_page(
            report_data(trace=trace(above, *below, as_of=NOW, subject=(TOKEN,)), plan=planned)
        )
        assert told in read(shown).said.partition("Lifelines")[0]
        assert f'<strong class="{ending}">{told.partition(": ")[0]}' in shown
        assert read(shown).said.count("not stolen, on 1 condition: AKIA") == 2 * bool(
            others
        )  # in the head and at the plan


def test_the_head_tells_who_when_and_from_where() -> None:
    """The first call, the dwell time, addresses, tools and a perhaps rightful owner stand above the picture."""

    def used(name: str, first: datetime) -> UsedFrom:
        return UsedFrom(name=name, calls=3, first=first, last=NOW)

    activity = AttackerActivity(
        first=NINE, first_call="sts:GetCallerIdentity", first_event="e-1", last=NINE + timedelta(minutes=75), calls=6,
        addresses=(used("203.0.113.77", NINE), used("192.0.2.21", NOW)),
        tools=(used("APN/1.0 HashiCorp/1.0 Terraform/1.1.2 (+https://www.terraform.io)", NINE),),
        shared_from=(used("192.0.2.21", NINE), used("203.0.113.77", NOW)),
    )  # fmt: skip
    head = read(report_page(report_data(activity=activity))).said.partition("Lifelines")[0]

    assert f"First call{timestamp(NINE)} sts:GetCallerIdentity" in head
    assert "dwell time 1 h 15 min" in head
    assert "From203.0.113.77 (3 calls), 192.0.2.21 (3 calls)" in head
    assert "ToolsTerraform/1.1.2" in head
    assert "narrow with --trusted-ip 192.0.2.21" in head


def test_the_owners_sessions_are_no_colleagues() -> None:
    """What a plan cuts off of the robbed user himself is called the owner's, in the head and at the plan's steps."""
    owner = replace(ria(), id=RIA, principal=USER, role=None, session_name=None)
    head = read(report_page(report_data(bystanders=(owner,)))).said.partition("Lifelines")[0]

    assert "the owner's session (" in head
    assert "colleague" not in head


def test_the_head_says_what_was_narrowed_and_what_works_that_does_not_count() -> None:
    """That nothing of the attacker's works may rest on a network that was trusted: who reads the page must hear of it."""
    key, token, gone, alive = credentials()
    mine = trace(
        key, replace(token, tainted=False), gone, replace(alive, tainted=False), as_of=NOW, subject=(KEY,)
    )
    narrowed = report_data(
        trace=mine, since=NINE, source_ips=("203.0.113.0/24",), trusted_ips=("192.0.2.1", "2001:db8::/32")
    )
    head = read(report_page(narrowed)).said.partition("Lifelines")[0]
    assert "Nothing of the attacker's works any more" in head
    assert (
        f"Only credentials minted from the subject at or after {timestamp(NINE)}, from 203.0.113.0/24 count as the "
        "attacker's and c" in head
    )
    assert "redentials minted from 192.0.2.1, 2001:db8::/32 do not count as the attacker's" in head
    assert "2 of its 3 descendants do not count, of which 2 still work." in head
    assert "descendants" not in read(report_page(report_data())).said.partition("Lifelines")[0]


def test_a_page_about_one_key_says_what_was_found_about_others() -> None:
    """How many findings, and how grave: who was handed the page for one key must not take it for all of the case."""
    others = tuple(finding() | {"severity": one} for one in ("high", "critical", "critical"))
    for mine in ((finding(),), ()):
        said = read(report_page(report_data(findings=mine, elsewhere=others))).said
        assert "credentials on this page: 3 more findings (2 critical, 1 high), tokentrail detect." in said
    assert "Not about the credentials" not in read(report_page(report_data())).said


def test_many_findings_by_one_rule_are_one_past_the_first_on_the_page_too() -> None:
    """Whoever reads of two hundred users phished at once finds the one finding of another kind among them."""
    alike = tuple(finding() | {"id": f"f{n}", "time": f"2026-11-23T09:{n:02}:00Z"} for n in range(40))
    other = finding() | {"id": "other", "title": "A key in public", "severity": "low"}
    said = read(report_page(report_data(findings=(*alike, other)))).said

    assert 7 == said.count(finding()["title"])
    assert f"and 34 more: {finding()['title']}" in said
    assert "2026-11-23T09:06:00Z to 2026-11-23T09:39:00Z" in said
    assert "A key in public" in said
    assert "41 findings, the most severe first" in said


def test_a_policy_that_a_person_attaches_is_laid_out_behind_a_fold() -> None:
    """A policy of ten thousand characters in a sentence can be neither read nor copied."""
    policy = '{"Version":"2012-10-17","Statement":[]}'
    shown = plan(steps=(step(1, calls=(), why=f"Attach this to the account: {policy} On role/A."),))
    page = report_page(report_data(plan=shown))

    assert "Attach this to the account: the policy, 39 characters" in read(page).said
    assert "&quot;Version&quot;: &quot;2012-10-17&quot;,\n" in page


def test_a_step_on_a_permission_set_in_many_accounts_is_called_by_it() -> None:
    """Each account's role of a permission set bears sixteen digits of its own, and no two are called alike."""
    arn = "arn:aws:iam::{0:012}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_{0:016x}"
    targets = tuple(arn.format(number) for number in range(300))
    said = read(report_page(report_data(plan=plan(steps=(step(1, targets=targets),))))).said

    assert "permission set Admin in 300 accounts" in said


def test_a_step_on_one_name_in_many_accounts_counts_the_accounts() -> None:
    """`role/Audit, role/Audit, role/Audit and 297 more` tells nobody where."""
    roles = tuple(f"arn:aws:iam::{account}:role/Audit" for account in ("111122223333", "444455556666"))
    assert action(replace(plan().steps[0], targets=roles)).endswith(": role/Audit in 2 accounts")


def test_the_picture_tells_each_life() -> None:
    """Who minted whom and when, what was done, what it ended and what went on, what becomes of each after each step."""
    said = read(report_page(report_data())).said
    assert "UpdateAccessKey made the key inactive" in said
    assert "ended A · B and C go on" in said
    assert "ended C, and a colleague's: ria · B goes on" in said
    assert "AssumeRole 09:40:00 by B from 203.0.113.77" in said
    assert "until 24 Nov 21:00:00" in said and "23 Nov 2026 09:00" in said
    assert "ended by step 1" in said
    assert "After step 1: Revoke the tokens of the user: user/support. B ends; D goes on." in said


def test_a_run_of_calls_over_days_says_the_day_of_its_end() -> None:
    """Five days of a call an hour are told as that, not as a few hours of one day."""
    days = tuple(event(time=NINE + timedelta(days=n), event_id=f"e-{n}") for n in range(6))
    said = read(report_page(report_data(events=days))).said
    assert f"{timestamp(NINE)} to {timestamp(NINE + timedelta(days=5))}" in said


def test_a_run_of_calls_says_that_what_it_names_is_the_first_ones() -> None:
    """Five policies that were put on five roles are not five of the first role's."""
    roles = tuple(
        event(
            time=NINE + timedelta(seconds=n), event_id=f"e-{n}", resources=(), about=(f"roleName=role-{n}",)
        )
        for n in range(5)
    )
    alone = event(
        time=NINE + timedelta(hours=1), event_name="DeleteTrail", resources=(), about=("name=main",)
    )
    said = read(report_page(report_data(events=(*roles, alone)))).said
    assert "first role-0" in said
    assert "first main" not in said


def test_a_picture_of_years_says_which_year() -> None:
    """On the axis, which has room for it, above a bar and at its end: `01 Jan` of ten years is no date."""
    key, token, *_ = credentials()
    old = replace(
        token, issued_at=NINE - timedelta(days=3300), expires_at=NINE - timedelta(days=3299), state="expired"
    )
    page = lifelines_file(
        report_data(trace=trace(key, old, as_of=NOW, subject=(KEY,)), bystanders=(), plan=None)
    )
    hours = [(float(x), text) for x, text in re.findall(r'class="hour" x="([\d.]+)"[^>]*>([^<]+)<', page)]
    assert len(hours) > 4 and hours.pop() == (LEFT - 66, "UTC")
    assert all(re.fullmatch(r"\d\d? [A-Z][a-z]{2} 20\d\d", text) for _, text in hours)
    assert all(other - one > 100 for (one, _), (other, _) in pairwise(hours))
    assert f"{old.expires_at:%d %b %Y %H:%M}" in page
    assert f"{old.issued_at:%d %b %Y %H:%M} by A" in page
    assert f"as of {NOW:%d %b %H:%M:%S}" in page


def test_what_a_service_handed_to_what_was_started_was_not_taken_up_by_who_started_it() -> None:
    """Of a task the picture says through whom it came: whoever ran it assumed nothing. Its line has room for its id."""
    key, token, gone, alive = credentials()
    issued = IssuedBy(api="AssumeRole", event_id="e", source_ip="ecs-tasks.amazonaws.com", user_agent=None)
    task = replace(alive, kind="service_role", parent_link="created", issued_by=issued)
    said = read(report_page(report_data(trace=trace(key, token, gone, task, as_of=NOW, subject=(KEY,))))).said
    assert "AssumeRole 09:40:00 through B from ecs-tasks.amazonaws.com" in said
    assert f"service's role {ALIVE}" in said


def test_a_session_of_the_access_portal_bears_the_person_and_the_permission_set() -> None:
    """By the name of its role, which AWS makes up, nobody knows either; where both find no room, the person stays."""
    key, token, gone, alive = credentials()
    role = "role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_{}_0123456789abcdef"
    for name, shown in (("x", "eve@x.example · Admin_x"), ("x" * 30, "eve@x.example")):
        one = replace(
            alive, kind="identity_center", session_name="eve@x.example",
            role=f"arn:aws:iam::111122223333:{role.format(name)}",
        )  # fmt: skip
        said = read(
            report_page(report_data(trace=trace(key, token, gone, one, as_of=NOW, subject=(KEY,))))
        ).said
        assert f"{shown}portal session {ALIVE}" in said
        assert f"Identity Center session of eve@x.example (Admin_{name})" in said


@pytest.mark.parametrize(("name", "shown"), [
    ("MyBucketRole", "MyBucketRole"), ("stratus-red-team-l-role-xyz", "stratus-red-team-l-role-xyz"),
    ("PRODUCTION-ADMINISTRATORS-ROLE", 25), ("W" * 64, 17), ("m" * 64, 17), ("\u6f22" * 64, 13),
])  # fmt: skip
def test_a_name_keeps_clear_of_its_bar(name: str, shown: str | int) -> None:
    """Capitals are half as wide again as what a terminal counts; the end of a name, by which names differ, stays."""
    found = fitted(name)
    assert (
        found == shown
        if isinstance(shown, str)
        else len(found) <= shown and found[-1] == name[-1] and "…" in found
    )


def test_attackers_and_colleagues_differ_by_shape_and_word() -> None:
    """Square and filled against round, hatched and with a person's head; and the names say it."""
    page = report_page(report_data())
    names = [one["aria-label"] for name, one in read(page).tags if name == "a" and "aria-label" in one]
    assert [name.partition(":")[0] for name in names] == ["A", "B", "C", "D", "ria"]
    assert ["attacker's" in name for name in names] == [True] * 4 + [False]
    assert "colleague's" in names[4]
    assert page.count('class="person"') == 2
    assert page.count('<rect class="badge"') == 4


def test_a_step_shows_without_script() -> None:
    """Radio buttons and style rules switch the picture; each step has its rule and its sentence."""
    found = read(report_page(report_data()))
    buttons = [one for name, one in found.tags if name == "input" and one["type"] == "radio"]
    assert [one["id"] for one in buttons] == ["at-0", "at-1", "at-2"]
    labels = [one["for"] for name, one in found.tags if name == "label" and "for" in one]
    assert labels == ["at-0", "at-1", "at-2"]
    assert all(f"#lifelines:has(#at-{n}:checked)" in found.raw["style"][0] for n in (1, 2))


def test_each_place_that_is_led_to_exists_once() -> None:
    """Ids are unique, and none is made of evidence."""
    found = read(report_page(report_data()))
    ids = [one["id"] for _, one in found.tags if "id" in one]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z]+(-[a-z0-9]+)?|c\d+", one) for one in ids)
    aimed = {one["href"][1:] for _, one in found.tags if "href" in one}
    assert aimed <= set(ids)
    named = {part for _, one in found.tags for part in one.get("aria-labelledby", "").split()}
    assert named <= set(ids)


def test_readers_who_hear_the_page_get_names() -> None:
    """Language, title, one main heading, a main part, named regions, captions, labels, and no empty heading."""
    found = read(report_page(report_data()))
    names = [name for name, _ in found.tags]
    assert found.tags[0] == ("html", {"lang": "en"})
    assert names.count("h1") == names.count("main") == names.count("nav") == 1
    for name, one in found.tags:
        if name in ("section", "nav") or one.get("role") == "region":
            assert one.get("aria-label") or one.get("aria-labelledby"), (name, one)
        if name == "th":
            assert one.get("scope") == "col"
    assert names.count("table") == names.count("caption")
    levels = [int(name[1]) for name in names if re.fullmatch(r"h[1-6]", name)]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_a_long_lived_token_does_not_squash_the_hours_that_matter() -> None:
    """The window is the incident's; what goes past it has an arrowhead and its end in words."""
    found = window(report_data().trace, (), left=LEFT, right=RIGHT)
    assert found.start < NINE + timedelta(minutes=5) < NOW < found.end < NINE + timedelta(hours=3)
    page = report_page(report_data())
    assert page.count('class="onward"') == 1
    assert "until 24 Nov 21:00:00" in page


def test_a_window_stands_where_there_is_little_to_go_by() -> None:
    """One key without a date, or a trace of nothing that counts, still has a stretch of time."""
    lone = credentials()[0]
    for listed in ((lone,), (credential(tainted=False, issued_at=None, expires_at=None),)):
        one = report_data(trace=trace(*listed, as_of=NOW, subject=(listed[0].id,)), plan=None, bystanders=())
        found = window(one.trace, (), left=LEFT, right=RIGHT)
        assert found.start < found.end
        assert listed[0].id in read(report_page(one)).said


def test_of_lines_that_are_alike_the_first_are_drawn() -> None:
    """Those next to what leaked, and not the ones whose roles come first by the alphabet."""
    one = deep(60)
    laid = rows(one.trace, (), None, window(one.trace, (), left=LEFT, right=RIGHT))
    single = [row.one.id for row in laid if row.single]
    assert 20 < len(single) < 60 and single == [each.id for each in one.trace.credentials[: len(single)]]


def test_many_credentials_fold_into_lines_of_their_kind() -> None:
    """A picture of thousands has a line for each role, which says how many work."""
    one = large(3000)
    found = window(one.trace, (), left=LEFT, right=RIGHT)
    laid = rows(one.trace, (), None, found)
    assert len(laid) == 8
    assert sum(len(row.members) for row in laid) == 3001
    said = read(report_page(one)).said
    assert re.search(r"\d+ of 42[89] work", said)


def test_a_deep_lineage_is_no_deeper_than_a_browser_nests() -> None:
    """A chain of thousands is drawn whole, without recursion, and nested no further than can be read."""
    chain = [credential(id="ASIA0000000000000000", root="ASIA0000000000000000")]
    chain += [child(n, f"ASIA{n - 1:016}") for n in range(1, 3000)]
    page = report_page(
        report_data(trace=trace(*chain, as_of=NOW, subject=(chain[0].id,)), plan=None, bystanders=())
    )
    deepest = depth = 0
    for mark in re.findall(r"<(/?)ul", page):
        depth += -1 if mark else 1
        deepest = max(deepest, depth)
    assert 40 <= deepest <= 60
    assert all(one.id in page for one in chain)


def test_a_loop_of_parents_is_cut() -> None:
    """Broken evidence that makes two credentials each other's parents ends, and both are shown."""
    pair = (child(1, "ASIA0000000000000002"), child(2, "ASIA0000000000000001"))
    said = read(report_page(report_data(trace=trace(*pair, as_of=NOW), plan=None, bystanders=()))).said
    assert all(one.id in said for one in pair)


def test_what_has_no_room_is_counted() -> None:
    """A timeline of very many lines is cut, the telling ones kept, with a sentence that says what is missing."""
    ids = (KEY, TOKEN, GONE, ALIVE)
    many = [
        event(time=NINE + timedelta(seconds=n), event_id=f"e-{n}", credential=ids[n % 4]) for n in range(9000)
    ]
    many.append(
        event(
            time=NOW,
            event_id="last",
            credential=ALIVE,
            event_name="CreateUser",
            event_source="iam.amazonaws.com",
        )
    )
    said = read(report_page(report_data(events=tuple(many)))).said
    assert "iam:CreateUser" in said
    assert "Not on this page, which has no room for them: 7,500 lines with 7,500 calls" in said


@pytest.mark.parametrize(
    ("findings", "told"),
    [
        (None, "Detection was not asked for this page"),
        ((), "Detection ran and found nothing"),
        ((finding(),), "It was used from two networks."),
    ],
)
def test_findings_are_told_from_not_having_looked(findings: object, told: str) -> None:
    """No findings and no search for findings are two sentences."""
    assert told in read(report_page(report_data(findings=findings))).said


def test_why_many_can_not_be_spared_is_told_once() -> None:
    """Each of them is named, on the page and as text: a hundred may share a reason."""
    refused = [(RIA, "it shares a name"), (ALIVE, "nothing ends it"), (GONE, "it shares a name")]
    shown = plan(not_spared=tuple(NotSpared(credential=one, why=why) for one, why in refused))
    text = written(lambda writer: write_plan(shown, writer))

    for said in (read(report_page(report_data(plan=shown))).said, " ".join(text.split())):
        assert f"can't spare {RIA} and {GONE}: it shares a name" in said
        assert f"can't spare {ALIVE}: nothing ends it" in said


def test_the_plan_is_exact() -> None:
    """The policy, laid out; the script, as `contain --script` prints it; collateral, undo and proof."""
    said = read(report_page(report_data())).said
    assert '"Effect": "Deny"' in said
    assert "aws --profile ACCOUNT-111122223333 iam put-role-policy --role-name=MyBucketRole" in said
    assert "IAM is quick" in said
    failed = read(report_page(report_data(plan=failing()))).said
    assert (
        "Apart from these, nothing works after the last step, provided that" in failed
        and "step 1 is carried out by hand" in failed
    )
    assert "after step 1, B mints a new session" in failed
    assert f"can't spare {RIA}: it shares a name" in failed
    assert "No containment plan was asked for." in read(report_page(report_data(plan=None))).said
    assert "Nothing to do" in read(report_page(report_data(plan=plan(steps=())))).said


def test_the_evidence_is_accounted_for() -> None:
    """Read, rejected, missing, digests, and what was left out."""
    said = read(report_page(report_data())).said
    for told in ("40 events from 3 evidence objects", "broken.json.gz, record 4: no JSON", "no data events",
                 "something was left out", "not checked"):  # fmt: skip
        assert told in said


def test_the_picture_stands_alone_as_well_formed_svg() -> None:
    """As a file it is XML with its own style, no script, and leads nowhere."""
    for one in (report_data(), poisoned(report_data(), HOSTILE[2])):
        root = ElementTree.fromstring(lifelines_file(one))
        names = {each.tag.rpartition("}")[2] for each in root.iter()}
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "style" in names and not names & {"script", "a", "foreignObject", "image", "use"}


def test_a_case_without_subject_has_a_page() -> None:
    """It says where an investigation might start, and accuses nobody."""
    found = counted(plain(one) for one in credentials())
    page = read(case_page("c0ffee", found, None, status(), "0.1.0"))
    assert KEY in page.said and TOKEN in page.said
    assert "nothing here counts as an attacker's" in page.said


def test_names_are_letters_while_there_are_few() -> None:
    """A to Z for the attacker's; short ids from the twenty-seventh on; a colleague by session."""
    few = LabelResolver.of(report_data().trace, report_data().bystanders)
    assert [few.short(one.id) for one in credentials()] == ["A", "B", "C", "D"]
    assert few.called(report_data().bystanders[0]) == "ria"
    many = LabelResolver.of(large(30).trace)
    assert many.short(KEY) == "AKIA…XAMPLE"
    assert many.listed([KEY] * 1200) == "1,200 credentials"


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_any_dates_make_a_page(data: st.DataObject) -> None:
    """Missing, equal, reversed and far dates draw something, and never fail."""
    moments = st.none() | st.datetimes(
        min_value=NINE.replace(tzinfo=None) - timedelta(days=900),
        max_value=NINE.replace(tzinfo=None) + timedelta(days=900),
    ).map(lambda one: one.replace(microsecond=0, tzinfo=NINE.tzinfo))
    changed = tuple(
        credential(**{**{name: getattr(one, name) for name in one.__dataclass_fields__},
                      **{name: data.draw(moments) for name in ("issued_at", "expires_at", "ended_at", "first_used")}})
        for one in credentials()
    )  # fmt: skip
    one = report_data(trace=trace(*changed, as_of=NOW, subject=(KEY,)))
    page = read(report_page(one))
    assert all(each.id in page.said for each in changed)
    coordinates = [float(at[key]) for _, at in page.tags for key in ("x", "x1", "x2", "width") if at.get(key)]
    assert all(-20 <= each <= 1400 for each in coordinates)


@pytest.mark.parametrize("count", [2_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_thousands_of_credentials_take_seconds_and_megabytes(count: int) -> None:
    """Of ten thousand the page stays below ten megabytes, and is written in seconds; and of fewer accordingly."""
    one = large(count)
    started = time.thread_time()
    page = report_page(one)
    assert time.thread_time() - started < 60
    assert len(page.encode()) < 1_000 * count
    assert all(each.id in page for each in one.trace.credentials)


@pytest.mark.parametrize("poison", HOSTILE)
def test_hostile_evidence_is_inert_in_markdown(poison: str) -> None:
    """Outside code spans and the drawing stands nothing that an attacker chose: no link, image, mention or HTML."""
    plain_text = re.sub(
        r"```mermaid\n.*?\n```", "", incident_markdown(poisoned(report_data(), poison)), flags=re.DOTALL
    )
    outside = re.sub(r"`[^`\n]*`", "", plain_text)

    assert "`" not in outside
    assert not re.search(r"<[a-z/!]|]\(|@\w|javascript:", outside)
    assert re.sub(r"\d", "", outside).count("\n# ") == 0


def test_each_secret_is_counted_once_and_the_same_everywhere() -> None:
    """Two reads of one secret, and a batch that names it and another, are two secrets in page, text and Markdown."""
    (read,) = report_data().trace.secrets_read
    reads = (read, replace(read, event_id="e-10"), replace(read, event_id="e-11", what="prod/db\nprod/api"))
    shown = report_data(trace=replace(report_data().trace, secrets_read=reads))
    page = read_page(shown)

    assert (
        "2secrets read" in page.partition("Lifelines")[0] or "secrets read2" in page.partition("Lifelines")[0]
    )
    assert "2 secrets read: rotate these" in page
    assert "2 secrets read: rotate these" in written(lambda writer: write_trace(shown.trace, writer))
    assert "- **Secrets read** 2" in incident_markdown(shown)


def read_page(shown: ReportData) -> str:
    """The text of a page."""
    return read(report_page(shown)).said


@pytest.mark.parametrize(
    ("trace_of", "told"),
    [
        ({"resources": ()}, "volume unknown: 7 GetObject calls, sizes not logged"),
        ({"resources": (), "apis": ()}, "volume unknown: no data events in the logs"),
        ({}, "got out8.0 MB"),
    ],
)
def test_an_unknown_volume_says_what_was_fetched(trace_of: dict[str, Any], told: str) -> None:
    """Where no record counts bytes, the head says how many objects were fetched, or that nothing tells."""
    head = read_page(report_data(trace=replace(report_data().trace, **trace_of))).partition("Lifelines")[0]

    assert told in head
