"""The page in a real browser: it opens from a file, says nothing to anybody, and does what its switches say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from html_cases import ALIVE, GONE, TOKEN, deep, large, poisoned, report_data
from present_cases import KEY

from browsing import chromium, expect, needed, room
from hostile import HOSTILE
from tokentrail.present.html.page import lifelines_file, report_page

pytestmark = needed


@pytest.fixture(name="browser", scope="module")
def _browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


class Opened:
    """A page that was opened, and what it did without being asked."""

    def __init__(self, browser: Any, file: Path, **context: Any) -> None:
        self.context = room(browser, **context)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda one: self.complaints.append(f"console: {one.text}"))
        self.page.on("pageerror", lambda one: self.complaints.append(f"error: {one}"))
        self.page.on("dialog", lambda one: (self.complaints.append(f"dialog: {one.message}"), one.dismiss()))
        self.page.on("request", self._request)
        self.page.goto(file.as_uri())

    def _request(self, request: Any) -> None:
        if not request.is_navigation_request() or not request.url.startswith("file:"):
            self.complaints.append(f"request: {request.url}")

    def shown(self, selector: str) -> list[str]:
        """The texts of what can be seen."""
        return [one.inner_text().strip() if hasattr(one, "inner_text") else "" for one in
                self.page.locator(selector).locator("visible=true").all()]  # fmt: skip


@pytest.fixture(name="opened")
def _opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    made: list[Opened] = []

    def opened(text: str, suffix: str = "html", **context: Any) -> Opened:
        file = tmp_path / f"page-{len(made)}.{suffix}"
        file.write_text(text, "utf-8")
        made.append(Opened(browser, file, **context))
        return made[-1]

    yield opened
    for one in made:
        one.context.close()
        assert one.complaints == []


def statuses(one: Opened) -> list[str]:
    """What the right end of each line says."""
    return [each.text_content() for each in
            one.page.locator(".lifelines .status .verdict").locator("visible=true").all()]  # fmt: skip


def test_the_page_opens_from_a_file_without_a_word(opened: Any) -> None:
    """No console message, no error, no request, at any width and in either light."""
    for scheme, width in (("light", 375), ("dark", 1280), ("light", 1920)):
        one = opened(
            report_page(report_data()), color_scheme=scheme, viewport={"width": width, "height": 800}
        )
        assert "2 of the attacker's 4 credentials still work" in one.page.inner_text("h1")
        assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hostile_evidence_does_nothing(opened: Any) -> None:
    """All kinds of poison in all texts: no dialog, no request, no script, and the page still works."""
    for poison in ("".join(HOSTILE[:-2]), HOSTILE[-2]):
        one = opened(report_page(poisoned(report_data(), poison)))
        assert one.page.locator("script").count() == 1
        assert one.page.locator("img, iframe, object, embed").count() == 0
        one.page.click("label[for=at-1]")
        one.page.fill("#find", "script")
        expect(one.page.locator("#found")).to_have_text(re.compile("found"))


def test_hostile_evidence_does_nothing_in_the_picture_alone(opened: Any) -> None:
    """The same for the SVG file."""
    one = opened(lifelines_file(poisoned(report_data(), HOSTILE[2])), "svg")
    assert one.page.evaluate("document.querySelectorAll('script').length") == 0


def test_steps_end_bars_and_leave_survivors_lit(opened: Any) -> None:
    """Now, after step 1, after step 2: by mouse and by keyboard."""
    one = opened(report_page(report_data()))
    assert statuses(one) == ["ended", "still works", "ended", "still works", "ended"]
    assert one.page.locator(".until1").is_visible() and not one.page.locator(".from1").first.is_visible()
    one.page.click("label[for=at-1]")
    assert statuses(one) == ["ended", "ended by step 1", "ended", "still works", "ended"]
    assert not one.page.locator(".until1").is_visible() and one.page.locator(".until2").is_visible()
    one.page.keyboard.press("ArrowRight")
    assert one.page.is_checked("#at-2")
    assert statuses(one) == ["ended", "ended by step 1", "ended", "ended by step 2", "ended"]
    assert one.shown(".told > p") == [
        "After step 2: Revoke the sessions of the role: role/MyBucketRole. D ends; nothing of the attacker's is left. "
        "Cut off as well: 1 credential of others."
    ]


def test_steps_work_without_script(opened: Any) -> None:
    """The switch is a matter of style."""
    one = opened(report_page(report_data()), java_script_enabled=False)
    one.page.click("label[for=at-1]")
    assert one.page.locator("#at-1").is_checked()
    assert one.page.locator(".lifelines .planned").locator("visible=true").count() == 1
    assert not one.page.locator("#find").is_visible()


def test_the_tree_can_be_searched(opened: Any) -> None:
    """By key, name or address; what is found is shown with the way to it, and counted."""
    one = opened(report_page(large(900)))
    one.page.keyboard.press("/")
    one.page.keyboard.type("ASIA0000000000000777")
    expect(one.page.locator("#found")).to_have_text("1 found")
    assert one.page.locator("#tree .hit").is_visible()
    assert KEY in one.page.inner_text("#tree .way summary >> nth=0")
    one.page.fill("#find", "")
    expect(one.page.locator("#found")).to_have_text("")


def test_the_tree_folds(opened: Any) -> None:
    """All at once, both ways."""
    one = opened(report_page(large(900)))
    one.page.click("[data-fold=open]")
    assert one.page.locator("#tree details:not([open])").count() == 0
    one.page.click("[data-fold=shut]")
    assert one.page.locator("#tree details[open]").count() == 0


def test_a_deep_tree_fits_a_telephone(opened: Any) -> None:
    """The sixtieth of a chain can be read: it lay beyond the edge, with nothing to scroll."""
    one = opened(report_page(deep(60)), viewport={"width": 360, "height": 700})
    one.page.click("[data-fold=open]")
    place = one.page.locator("#tree li").last.bounding_box()
    assert place["x"] + place["width"] <= 360 and place["width"] > 120


def test_the_timeline_can_be_filtered(opened: Any) -> None:
    """By any word, and to the marked calls; what is printed then says that it is not all."""
    one = opened(report_page(report_data()))
    every = one.page.locator("#calls tr").count()
    one.page.check("#marked")
    marked = one.page.locator("#calls tr").locator("visible=true").count()
    assert 0 < marked < every
    one.page.fill("#sift", "nothing like it")
    expect(one.page.locator("#sifted")).to_have_text(f"0 of {every} lines")
    one.page.emulate_media(media="print")
    expect(one.page.locator("#sifted")).to_be_visible()
    assert not one.page.locator("#sift").is_visible() and not one.page.locator("#found").is_visible()


def test_a_name_in_the_picture_leads_to_its_place(opened: Any) -> None:
    """By keyboard too; what is folded opens."""
    one = opened(report_page(report_data()))
    one.page.click("[data-fold=shut]")
    one.page.focus(".lifelines a >> nth=3")
    one.page.keyboard.press("Enter")
    place = one.page.locator("#tree li:target")
    expect(place).to_be_visible()
    assert ALIVE in place.inner_text()


def test_the_script_can_be_copied(opened: Any) -> None:
    """What is copied is the script, to the letter."""
    one = opened(report_page(report_data()), permissions=["clipboard-read", "clipboard-write"])
    one.page.click("text=The plan as a script")
    one.page.click("[data-copy=script]")
    expect(one.page.locator("[data-copy=script]")).to_have_text(
        re.compile("^(Copied|Selected: press Ctrl[+]C)$")
    )
    if one.page.inner_text("[data-copy=script]") == "Copied":
        assert one.page.evaluate("navigator.clipboard.readText()") == one.page.text_content("#script")


def test_ids_can_be_copied(opened: Any) -> None:
    """A button comes beside an id that the pointer is on, copies the whole id, and folds nothing."""
    one = opened(report_page(report_data()), permissions=["clipboard-read", "clipboard-write"])
    row = one.page.locator("#tree summary code").first
    row.hover()
    folded = one.page.locator("#tree details[open]").count()
    one.page.click(".copy")
    expect(one.page.locator(".copy")).to_have_text(re.compile("^(Copied|Selected: press Ctrl[+]C)$"))
    assert one.page.locator("#tree details[open]").count() == folded
    if one.page.inner_text(".copy") == "Copied":
        assert one.page.evaluate("navigator.clipboard.readText()") == row.text_content()
    assert one.complaints == []


def test_ids_can_be_copied_by_the_keyboard(opened: Any) -> None:
    """The button comes beside a name that has the focus, is the next to have it, and copies the id behind the name."""
    one = opened(report_page(report_data()), permissions=["clipboard-read", "clipboard-write"])
    name = one.page.locator("#plan a.ref").first
    name.focus()
    one.page.keyboard.press("Tab")
    expect(one.page.locator(".copy")).to_be_focused()
    one.page.keyboard.press("Enter")
    expect(one.page.locator(".copy")).to_have_text(re.compile("^(Copied|Selected: press Ctrl[+]C)$"))
    if one.page.inner_text(".copy") == "Copied":
        assert one.page.evaluate("navigator.clipboard.readText()") == name.get_attribute("title")
    assert one.complaints == []


def test_what_leads_off_the_page_tells_nobody_whence(opened: Any) -> None:
    """Links to ATT&CK, AWS's documentation and console are followed by a click alone, without a referrer."""
    one = opened(report_page(report_data()))
    away = one.page.locator("a[href^='https:']")
    assert {link.get_attribute("rel") for link in away.all()} == {"noreferrer noopener"}
    places = " ".join(link.get_attribute("href") for link in away.all())
    assert "attack.mitre.org/techniques/T" in places and "docs.aws.amazon.com/IAM/" in places
    assert "console.aws.amazon.com/iam/home#/" in places
    assert one.complaints == []


def test_a_print_has_the_marked_calls(opened: Any) -> None:
    """Of the timeline, what mints, makes, changes or fails is printed, and it is said that it is not all."""
    one = opened(report_page(report_data()))
    every = one.page.locator("#calls tr").count()
    assert one.page.locator("#calls tr").locator("visible=true").count() == every
    one.page.emulate_media(media="print")
    marked = one.page.locator("#calls tr.marked").count()
    assert one.page.locator("#calls tr").locator("visible=true").count() == marked < every
    expect(one.page.locator("#timeline .printed")).to_be_visible()


def test_a_print_has_all_of_it(opened: Any, tmp_path: Path) -> None:
    """Folded parts open for the printer, and fold again."""
    one = opened(report_page(report_data()))
    folded = one.page.locator("details:not([open])").count()
    one.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert one.page.locator("details:not([open])").count() == 0
    one.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert one.page.locator("details:not([open])").count() == folded
    one.page.pdf(path=str(tmp_path / "page.pdf"), prefer_css_page_size=True)
    assert (tmp_path / "page.pdf").stat().st_size > 20_000


def test_ids_can_be_found_in_the_page(opened: Any) -> None:
    """Each stands in the page's own text."""
    text = opened(report_page(report_data())).page.evaluate("document.body.textContent")
    assert all(one in text for one in (KEY, TOKEN, GONE, ALIVE))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier(opened: Any, scheme: str) -> None:
    """Names, roles, order, contrast: no violation of axe-core's rules."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    one = opened(report_page(report_data()), color_scheme=scheme)
    found = axe.Axe().run(one.page)
    assert [violation["id"] for violation in found.response["violations"]] == []
