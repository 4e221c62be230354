"""
One raw record, laid out; its secrets were blanked before it came here.
"""

from __future__ import annotations

import json
from typing import Any

from tokentrail.present.html.console import Live, console_bar
from tokentrail.present.html.markup import join, lines, tag
from tokentrail.present.html.page import footer, whole


def record_page(record: Any, sha256: str, ordinal: int, version: str, live: Live) -> str:
    """Build the page."""
    text = json.dumps(record, indent=2, ensure_ascii=True)
    body = join([
        console_bar(live),
        tag("header", tag("h1", "One record"),
            tag("p", f"Number {ordinal} of the evidence object ", tag("code", sha256), ".", class_="lead")),
        tag("main", tag("section", tag("h2", "As CloudTrail wrote it, secrets blanked", id="record-title"),
                        tag("pre", lines(text), tabindex=0), aria_labelledby="record-title")),
        footer(version),
    ])  # fmt: skip
    return whole("A record · TokenTrail", body, live=True)


def refusal_page(title: str, told: str, version: str, live: Live) -> str:
    """Say why there is no answer."""
    body = join([
        console_bar(live), tag("header", tag("h1", title)), tag("main", tag("p", told)), footer(version),
    ])  # fmt: skip
    return whole(f"{title} · TokenTrail", body, live=True)
