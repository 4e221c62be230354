"""The console in a real browser: every view opens, does what it says, asks nobody else, and can be used by everyone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from web_cases import Served, console

from browsing import chromium, expect, needed, room
from tokentrail import Case
from tokentrail.present.html.tree import TRUNK
from tokentrail.testing import World
from tokentrail.testing.story import Story
from work import some

pytestmark = needed
VIEWS = ("/", "/credentials", "/findings", "/evidence", "/trace?subject={key}", "/timeline?subject={key}",
         "/trace?subject={key}&as_of=2026-11-23T10:01:00Z", "/event/{event}")  # fmt: skip
ALIVE = ".lifelines .status .alive"


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(name="opened")
def _opened(browser: Any, served: Served) -> Iterator[Any]:
    """A page that was let in; whatever it complains of, or asks of anybody else, fails the test."""
    complaints: list[str] = []
    contexts = []

    def opened(served: Served = served, **options: Any) -> Any:
        context = room(browser, viewport={"width": 1280, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda one: complaints.append(f"console: {one.text}"))
        page.on("pageerror", lambda one: complaints.append(f"error: {one}"))
        page.on("dialog", lambda one: (complaints.append(f"dialog: {one.message}"), one.dismiss()))
        page.on("request", lambda one: _asked(one, served, complaints))
        page.goto(served.start)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _asked(request: Any, served: Served, complaints: list[str]) -> None:
    if not request.url.startswith((f"http://127.0.0.1:{served.port}/", "data:", "blob:")):
        complaints.append(f"request: {request.url}")


def address(served: Served, told: Story, view: str) -> str:
    """A view's whole address."""
    event = served.get("/trace.json", subject=told.a.key_id).json["trace"]["credentials"][1]["issued_by"][
        "event_id"
    ]
    return f"http://127.0.0.1:{served.port}" + view.format(key=told.a.key_id, event=event)


def shows_alive(page: Any, count: int) -> None:
    """That so many lines of the picture say that they work."""
    expect(page.locator(ALIVE).locator("visible=true")).to_have_count(count)


@pytest.mark.parametrize("first", some(range(6), 6))
def test_every_view_opens_and_has_no_barrier(opened: Any, served: Served, told: Story, first: int) -> None:
    """Without a complaint or a request to anybody, no wider than the window, and without a violation that axe knows."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    every: dict[str, Any] = {}
    colours = {"runOnly": ["color-contrast"]}  # in which alone dark differs
    for scheme, views, asked in (("light", VIEWS[first::6], every), ("dark", VIEWS[first::12], colours)):
        page = opened(color_scheme=scheme)
        for view in views:
            page.goto(address(served, told, view))
            assert page.locator("h1").inner_text()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
            found = axe.Axe().run(page, options=asked)
            assert [one["id"] for one in found.response["violations"]] == [], (view, scheme)


def test_every_view_fits_a_telephone(opened: Any, served: Served, told: Story) -> None:
    """Nothing sticks out at the side, no row fills the screen for a narrow cell, no call's name or address is broken."""
    page = opened()
    page.set_viewport_size({"width": 375, "height": 700})
    for view in VIEWS:
        page.goto(address(served, told, view))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        assert (
            page.evaluate("Math.max(0, ...[...document.querySelectorAll('td')].map(one => one.offsetHeight))")
            < 300
        ), view
    page.goto(address(served, told, "/timeline?subject={key}"))
    cells = page.locator("#timeline tr:nth-child(1) td").evaluate_all(
        "all => all.map(one => getComputedStyle(one).whiteSpace)"
    )
    assert cells[:5] == ["nowrap"] * 5


def test_the_start_page_leads_to_the_story(opened: Any, served: Served, told: Story) -> None:
    """The token is gone from the address; the first lead is a click from its lifelines."""
    page = opened()
    expect(page).to_have_url(f"http://127.0.0.1:{served.port}/")
    page.click(f"#first a:has-text('{told.a.key_id}')")
    expect(page.locator("h1")).to_contain_text("3 of the attacker's 5 credentials still work")
    shows_alive(page, 4)  # and a colleague's


def test_any_subject_can_be_traced(opened: Any, told: Story) -> None:
    """By typing a key, an address or an ARN; by a search where nothing answers."""
    page = opened()
    for subject, first in (
        (told.b.key_id, "3 of the attacker's 3"),
        ("203.0.113.77", "3 of the attacker's 5"),
    ):
        page.fill("input[name=subject]", subject)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/trace?subject={subject}")
        assert first in page.inner_text("h1"), subject


def test_the_slider_goes_back_in_time(opened: Any, served: Served, told: Story) -> None:
    """By keyboard and pointer; the address says the moment, and a reload shows the same."""
    page = opened()
    page.goto(address(served, told, "/trace?subject={key}"))
    shows_alive(page, 4)
    slider = page.locator("#at-time")
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_url("**as_of=*")
    assert "The attacker's credential still works" in page.inner_text("h1")
    page.locator("#at-time").evaluate(
        "(one) => { one.value = Date.parse('2026-11-23T10:11:00Z') / 1000;"
        " for (const kind of ['input', 'change']) one.dispatchEvent(new Event(kind)); }"
    )
    page.wait_for_url("**as_of=2026-11-23T10%3A11%3A00Z*")
    assert "2 of the attacker's 3 credentials still work" in page.inner_text("h1")
    page.reload()
    assert "2 of the attacker's 3 credentials still work" in page.inner_text("h1")
    page.click("text=Newest")
    shows_alive(page, 4)


def test_the_story_can_be_stepped_through(opened: Any, served: Served, told: Story) -> None:
    """From turn to turn, forth and back, by the arrows and by the list."""
    page = opened()
    page.goto(address(served, told, "/trace?subject={key}&as_of=2026-11-23T10:00:00Z"))
    for turn in ("10:02:00", "10:12:00"):
        page.click("a.step:has-text('▸')")
        shows_moment(page, turn)
    page.click("a.step:has-text('◂')")
    shows_moment(page, "10:02:00")
    page.click("summary:has-text('Turns of the story')")
    page.click(".turns a:has-text('AWSRevokeOlderSessions')")
    shows_moment(page, "10:12:00")


def shows_moment(page: Any, clock: str) -> None:
    """That the page is as of a moment of the day of the leak."""
    expect(page.locator("#at-told")).to_have_text(f"2026-11-23T{clock}Z")


def test_what_was_set_survives_a_reload(opened: Any, served: Served, told: Story) -> None:
    """The step, the search in the tree and the filter of the calls stand in the address."""
    page = opened()
    page.goto(address(served, told, "/trace?subject={key}"))
    page.click("label[for=at-1]")
    page.fill("#find", told.key_ids["E"])
    page.fill("#sift", "GetSecretValue")
    page.wait_for_url(lambda url: all(one in url for one in ("step=1", "find=", "sift=")))
    handed_on = page.url
    page.goto("about:blank")
    page.goto(handed_on)
    assert page.is_checked("#at-1") and page.inner_text("#found") == "1 found"
    assert page.input_value("#sift") == "GetSecretValue"
    shown = page.locator("#calls tr").locator("visible=true").count()
    assert 0 < shown < page.locator("#calls tr").count()


def test_a_time_leads_to_the_raw_record(opened: Any, served: Served, told: Story) -> None:
    """From the timeline, from what was taken, from a finding."""
    page = opened()
    for place in ("#calls a.event", "#taken a.event", "#findings a.event"):
        page.goto(address(served, told, "/trace?subject={key}"))
        page.locator(place).first.click()
        expect(page.locator("pre").filter(has_text='"eventVersion"')).to_be_visible()


def test_lists_are_searched_and_turned_over(opened: Any, served: Served, told: Story) -> None:
    """The inventory by state and text; all calls, page by page."""
    page = opened()
    page.goto(address(served, told, "/credentials"))
    page.select_option("select[name=state]", "active")
    page.fill("input[name=search]", "support")
    page.click("button:has-text('List')")
    page.wait_for_url("**state=active*")
    assert page.input_value("input[name=search]") == "support"
    states = page.locator("#credentials td .state").all_inner_texts()
    assert states and all("still works" in one for one in states)
    page.goto(address(served, told, "/timeline?subject={key}"))
    page.click("text=more ▸")
    page.wait_for_url("**page=2*")
    assert page.locator("#timeline tbody tr").count() > 100


def test_other_plans_are_a_click_away(opened: Any, served: Served, told: Story) -> None:
    """The strategy stands in the address; the plan comes as a file."""
    page = opened()
    page.goto(address(served, told, "/trace?subject={key}"))
    page.click(".strategies a:has-text('surgical')")
    page.wait_for_url("**strategy=surgical*")
    assert "Deny these sessions and no others" in page.inner_text("#plan")
    with page.expect_download() as download:
        page.click("text=The plan as a file")
    assert '"strategy": "surgical"' in Path(download.value.path()).read_text()


def test_it_works_without_a_script(opened: Any, served: Served, told: Story) -> None:
    """Links, forms and the slider's button do it all."""
    page = opened(java_script_enabled=False)
    page.goto(address(served, told, "/trace?subject={key}"))
    page.locator("#at-time").focus()
    page.keyboard.press("Home")
    page.click("#at-show")
    page.wait_for_url("**as_of=*")
    expect(page.locator("h1")).to_be_visible()


def test_another_site_s_page_gets_nothing_out_of_a_browser_that_was_let_in(
    opened: Any, served: Served
) -> None:
    """No image, frame, script or form of a page of another origin shows or learns anything of the case."""
    page = opened()
    hostile = page.context.new_page()
    hostile.route("http://evil.example/", lambda route: route.fulfill(content_type="text/html", body=f"""
        <iframe src="http://127.0.0.1:{served.port}/start.json"></iframe>
        <script>window.got = []; for (const mode of ["cors", "no-cors"])
          fetch("http://127.0.0.1:{served.port}/start.json", {{mode, credentials: "include"}})
            .then((r) => r.text()).then((t) => got.push(t), (e) => got.push("refused"));</script>"""))  # fmt: skip
    statuses: list[int] = []
    hostile.on("response", lambda one: statuses.append(one.status) if "start.json" in one.url else None)
    hostile.goto("http://evil.example/")
    hostile.wait_for_function("got.length == 2")
    assert "case_id" not in "".join(hostile.evaluate("got"))
    assert set(statuses) <= {403}


def test_a_fold_of_a_large_lineage_comes_when_it_is_opened(opened: Any, tmp_path: Path) -> None:
    """Its members are asked of the console, once, and stand in the tree; what they rest on leads to its record."""
    world = World(datetime(2026, 11, 21, 6, 0, tzinfo=UTC))
    key = world.user("support")
    token = key.gets_session_token()
    for n in range(TRUNK + 10):
        token.assumes("Support", f"job-{n}")
    world.write(tmp_path / "logs")
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(tmp_path / "logs")], workers=1)
    with console(tmp_path / "case") as large:
        page = opened(served=large)
        asked: list[str] = []
        page.on("request", lambda one: asked.append(one.url))
        page.goto(f"http://127.0.0.1:{large.port}/trace?subject={key.id}")
        asked.clear()
        fold = page.locator("#tree details.far")
        assert fold.count() == 1 and fold.locator(".cred").count() == 0
        fold.locator("summary").first.click()
        expect(fold.locator(".cred")).to_have_count(100)
        assert len(asked) == 1
        fold.locator("summary").first.click()
        fold.locator("summary").first.click()
        drawn = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        page.evaluate(drawn)  # what must not be asked for would have been by then
        assert len(asked) == 1
        fold.locator(".cred summary").first.click()
        fold.locator("a.event").first.click()
        page.wait_for_url("**/event/*")
        page.go_back()
        page.locator("#find").fill("job-7")
        page.locator("#find").press("Enter")
        page.wait_for_url("**/lineage*")
        expect(page.locator("#tree .cred")).to_have_count(11)
