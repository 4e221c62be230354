"""The console's start page begins with the leads, each with its reasons and the way to its trace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from web_cases import Served, console

from browsing import chromium, needed, room
from evidence import START, held
from hostile import HOSTILE, read
from tokentrail import Case
from tokentrail.present.html.case_page import case_page
from tokentrail.testing import World
from tokentrail.testing.story import Story

KALI = "aws-cli/2.15.30 Python/3.11.8 Linux/6.5.0-kali3-amd64 exe/x86_64.kali.2023"
READS = ("iam:ListUsers", "iam:ListRoles", "s3:ListBuckets", "ec2:DescribeInstances", "kms:ListKeys",
         "lambda:ListFunctions20150331", "rds:DescribeDBInstances", "secretsmanager:ListSecrets")  # fmt: skip


def lost_key() -> tuple[World, str]:
    """A company's keys at work, and one of them in the hands of somebody who is refused and looks about."""
    world = World(START)
    for name in ("ada", "ben", "cleo", "dan"):
        world.user(name).calls("s3:ListBuckets", count=3, every=60)
    thief = world.user("eve").seen_from("203.0.113.77", KALI)
    thief.calls("sts:GetCallerIdentity")
    for action in READS:
        thief.calls(action)
        thief.denied(action)
    return world, thief.key_id


@pytest.fixture(name="lost", scope="module")
def _lost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    """The console of such a case, and the stolen key."""
    folder = tmp_path_factory.mktemp("lost")
    world, key = lost_key()
    world.write(folder / "logs")
    with Case.open(folder / "case") as case:
        case.ingest([str(folder / "logs")], workers=1)
    with console(folder / "case") as served:
        yield served, key


def test_a_strong_lead_comes_first(lost: tuple[Served, str]) -> None:
    """The stolen key stands before all else, with why, and leads to its trace."""
    served, key = lost
    page, twin = served.get("/").text, served.get("/start.json").json
    said = read(page).said

    assert twin["leads"][0]["credential"] == key and twin["leads"][0]["strong"]
    assert f'href="/trace?subject={quote(key)}"' in page
    assert all(one["why"][1:] in said for one in twin["leads"][0]["reasons"][:4])
    assert [one for one in twin["leads"] if not one["reasons"]] and "No sign of theft" not in said
    assert page.index('id="leads"') < min(
        page.find(f'id="{one}"') % len(page) for one in ("first", "start", "kinds")
    )


def test_a_weak_lead_comes_after_what_findings_point_to(served: Served, told: Story) -> None:
    """Where no lead is strong, the subjects of findings stand first, and that the leads are weak is said."""
    twin = served.get("/start.json").json
    weak = [one | {"strong": False} for one in twin["leads"]]
    with held(told.world) as case:
        from tokentrail.report_data import finding_subjects
        from tokentrail.web.background_detection import detected

        found = detected(case)
        subjects = finding_subjects(case, found, None)
        page = case_page(
            case.case_id, case.overview(), found, case.status(), "1", subjects=subjects, leads=weak
        )

    assert page.index('id="first"') < page.index('id="leads"')
    assert "None is strong" in page and "Trace what you know" not in page


def test_leads_of_a_moment_are_those_of_the_evidence_until_then(lost: tuple[Served, str]) -> None:
    """Before the thief comes, the key is no strong lead."""
    served, _ = lost
    then = served.get("/start.json", as_of="2026-11-23T09:04:00Z").json

    assert then["leads"] and not any(one["strong"] for one in then["leads"])


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_lead_repeats_is_text(text: str) -> None:
    """Whatever a log put into a reason, a name or an id stands on the page as text, and breaks nothing."""
    reason = {"signal": "x", "why": text, "having": 1, "of": 2, "events": [text], "strength": 1.0}
    lead: dict[str, Any] = {
        "rank": 1, "credential": text, "credentials": [text], "principal": text, "account": text, "score": 3.0,
        "strong": True, "reasons": [reason], "state": text, "next": text,
    }  # fmt: skip
    with held(World(START)) as case:
        page = case_page(case.case_id, case.overview(), (), case.status(), "1", leads=[lead, {}])

    read(page)


@needed
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_the_leads_fit_a_screen_and_lead_on(lost: tuple[Served, str], width: int, height: int) -> None:
    """At a desk and on a telephone the first lead is in sight, nothing is cut off, and a click traces it."""
    served, key = lost
    with chromium() as browser:
        context = room(browser, viewport={"width": width, "height": height})
        page = context.new_page()
        page.goto(served.start)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.locator("#leads h3 a").first.click()
        page.wait_for_url("**/trace?subject=*")
        assert key in page.content()
        context.close()
