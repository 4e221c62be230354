"""A real browser for the tests of pages, where there is one: Debian's Chromium, as patient as a slow machine needs it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from patience import PATIENCE

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
needed = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here (apt-get install chromium)")
expect = sync_api.expect
expect.set_options(timeout=PATIENCE * 1000)


@contextmanager
def chromium() -> Iterator[Any]:
    """Chromium, until it is no longer needed."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE * 1000
        )
        yield browser
        browser.close()


def room(browser: Any, **options: Any) -> Any:
    """A context of its own, with the same patience."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE * 1000)
    return context
