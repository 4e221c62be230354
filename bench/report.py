"""
How long the page of a large theft takes to write, how big it is, and how it scrolls in Chromium.

    python bench/report.py [--credentials 5000] [--events 200000] [--keep FOLDER]

One leaked key, and what a machine made of it in two days: tokens, sessions of thirty roles in three accounts, sessions
of sessions, with a colleague among them. The page's time is compared with that of `trace` and `contain` alone, which
it can't do without: the ratio is what the page itself costs. Then the console shows the same: the start page, the first
view of the theft, and moves of the slider, none of which it has been asked before; in processor time, so that others on
the machine don't count. Scrolling is measured where there is a Chromium: the
median and the worst of the times between two frames, while the page is scrolled from top to bottom.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from starlette.datastructures import QueryParams

from tokentrail import Case
from tokentrail.present.document import document, timestamp
from tokentrail.present.html.page import report_page
from tokentrail.report_data import Question, gather
from tokentrail.testing import Credential, World
from tokentrail.web.console_queries import ConsoleQueries

ACCOUNTS = ("111122223333", "444455556666", "777788889999")
CALLS = (
    ("s3:GetObject", {"bucketName": "ledgers", "key": "2026/{n}.parquet"}),
    ("ec2:DescribeInstances", None),
    ("secretsmanager:GetSecretValue", {"secretId": "prod/db/{n}"}),
    ("s3:ListObjects", {"bucketName": "ledgers"}),
)
SCROLL = """async () => {
  const times = []; let before = performance.now();
  const step = Math.max(400, document.documentElement.scrollHeight / 300);
  for (let at = 0; at < document.documentElement.scrollHeight; at += step) {
    scrollTo({top: at, behavior: "instant"});
    await new Promise(requestAnimationFrame);
    const now = performance.now(); times.push(now - before); before = now;
  }
  times.sort((a, b) => a - b);
  return [times[times.length >> 1], times[times.length - 1]];
}"""


def theft(credentials: int, events: int) -> tuple[World, str]:
    """The evidence, and the leaked key."""
    world, draw = World(datetime(2026, 11, 21, 6, 0, tzinfo=UTC), tick=0.2), random.Random(6)
    key = world.user("support")
    held: list[Credential] = [key.gets_session_token(duration=129_600)]
    each = max(events // credentials - 1, 1)
    for n in range(credentials - 2):
        if n % 400 == 399:
            world.user("ada").assumes("Support1", "ada").calls("s3:ListBuckets", count=3)
        parent = held[0] if n % 3 else draw.choice(held[-40:])
        role = f"Support{n % 10}"
        minted = parent.assumes(role, f"job-{n}", account=ACCOUNTS[n % 3])
        action, params = CALLS[n % 4]
        minted.calls(action, params, count=each, every=0.5, error="AccessDenied" if n % 17 == 0 else None)
        held.append(minted)
    return world, key.id


def timed(what: str, work: Callable[[], object]) -> tuple[float, object]:
    began = time.perf_counter()
    done = work()
    spent = time.perf_counter() - began
    print(f"{what:<44}{spent:8.2f} s")
    return spent, done


def scrolled(page: Path) -> None:
    """Measure how the page opens and scrolls."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("no chromium here: scrolling was not measured")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1280, "height": 1000})
        timed("chromium: open", lambda: shown.goto(page.as_uri(), wait_until="load"))
        middle, worst = shown.evaluate(SCROLL)
        print(f"{'chromium: between frames, median / worst':<44}{middle:8.0f} ms / {worst:.0f} ms")
        browser.close()


def live(folder: Path, key: str, newest: datetime) -> None:
    """Measure what a person at the console waits for."""
    answers = ConsoleQueries(folder)

    def page(what: str, query: list[tuple[str, str]]) -> None:
        began = time.process_time()
        text = answers.trace(QueryParams(query)).html() if query else answers.start(QueryParams()).html()
        spent = time.process_time() - began
        print(f"{f'console: {what}':<44}{spent:8.2f} s of processor time, {len(text.encode()) / 1e6:.2f} MB")

    subject = ("subject", key)
    page("start page", [])
    page("first view", [subject])
    for hours in (1, 5, 9, 20):
        page(f"as of {hours} h before", [subject, ("as_of", timestamp(newest - timedelta(hours=hours)))])
    told = json.dumps(answers.trace(QueryParams([subject])).twin(), indent=2)
    print(f"{'console: a page of the twin':<44}{len(told) / 1e6:8.2f} MB")
    answers.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--credentials", type=int, default=5000)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--keep", type=Path, help="where case and page stay")
    asked = parser.parse_args()
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="bench-report-"))
    folder.mkdir(parents=True, exist_ok=True)
    with Case.open(folder / "case") as case:
        if not case.newest():
            world, _ = theft(asked.credentials, asked.events)
            world.write(folder / "logs")
            case.ingest([str(folder / "logs")])
        key = next(
            one.id for one in case.credentials(kind="long_term_key") if "support" in (one.principal or "")
        )
        at = case.newest()
        assert at is not None
        moment = at - timedelta(hours=1)
        print(f"subject {key}, {case.status().records:,} events, {case.status().credentials:,} credentials")
        traced, _ = timed("trace", lambda: case.trace([key]))
        planned, _ = timed("contain", lambda: case.contain([key]))
        _, findings = timed("detect", lambda: case.detect())
        assert isinstance(findings, tuple)
        told = [document(one) for one in findings]
        paged, text = timed("page, its own trace and plan included",
                            lambda: report_page(gather(case, Question(subjects=(key,)), told)))  # fmt: skip
        assert isinstance(text, str)
        print(f"page / (trace + contain)                     {paged / (traced + planned):8.2f} x")
        print(f"size                                         {len(text.encode()) / 1e6:8.2f} MB (bar: 10)")
        timed(
            "page as of an hour before", lambda: gather(case, Question(subjects=(key,), as_of=moment), told)
        )
    live(folder / "case", key, at)
    page = folder / "page.html"
    page.write_text(text)
    scrolled(page)
    if asked.keep is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
