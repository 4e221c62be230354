"""What one face shows, all show, with the same counts: text as it is printed, the page, and JSON."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from view_cases import (
    Facts,
    Shown,
    findings_of_json,
    findings_of_page,
    findings_of_text,
    leads_of_json,
    leads_of_page,
    leads_of_text,
    plan_of_json,
    plan_of_page,
    plan_of_text,
    status_of_json,
    status_of_page,
    status_of_text,
    summary_of_json,
    summary_of_markdown,
    summary_of_page,
    summary_of_screen,
    timeline_of_json,
    timeline_of_page,
    timeline_of_text,
    trace_of_json,
    trace_of_page,
    trace_of_text,
)

from evidence import held, real
from strategies import Incident, colleague_assumes, colleague_chains, incidents, played_incident
from tokentrail import Case
from tokentrail.testing.story import story

Face = Callable[[Shown], Facts]
VIEWS: dict[str, tuple[Face, ...]] = {
    "summary": (summary_of_json, summary_of_screen, summary_of_page, summary_of_markdown),
    "plan": (plan_of_json, plan_of_text, plan_of_page),
    "trace": (trace_of_json, trace_of_text, trace_of_page),
    "leads": (leads_of_json, leads_of_text, leads_of_page),
    "findings": (findings_of_json, findings_of_text, findings_of_page),
    "status": (status_of_json, status_of_text, status_of_page),
    "timeline": (timeline_of_json, timeline_of_text, timeline_of_page),
}
CROWD = played_incident(
    [*4 * [(colleague_chains, 0, 0)], (colleague_assumes, 1, 0), (colleague_assumes, 0, 0)], 0
)
"""More colleagues in the thief's role, any of whom may have been robbed as well, than the shortest face lists."""
INVICTUS = ("invictus-aws-dataset", "CloudTrail")


@pytest.fixture(name="demo", scope="module")
def _demo() -> Iterator[Shown]:
    told = story()
    with held(told.world) as case:
        yield Shown.of(case, told.a.key_id)


@pytest.fixture(name="invictus", scope="module")
def _invictus() -> Iterator[Shown]:
    files = str(real(*INVICTUS))
    with tempfile.TemporaryDirectory() as folder, Case.open(Path(folder) / "case") as case:
        case.ingest([files], workers=1)
        yield Shown.of(case, "AKIATFQR7NSC8Q4X20BJ")


@pytest.mark.parametrize("view", VIEWS)
def test_every_face_shows_the_same_of_the_demo(demo: Shown, view: str) -> None:
    """Of the built-in story, text, page and JSON show the same items and counts."""
    agree(demo, view)


@pytest.mark.parametrize("view", VIEWS)
def test_every_face_shows_the_same_of_a_real_attack(invictus: Shown, view: str) -> None:
    """Of an attack with secrets, roles and hosts, text, page and JSON show the same items and counts."""
    agree(invictus, view)


@settings(max_examples=max(6, settings().max_examples))
@example(CROWD)
@given(incident=incidents())
def test_every_face_shows_the_same_of_any_theft(incident: Incident) -> None:
    """Of any theft, in every view, text, page and JSON show the same items and counts."""
    with held(incident.world) as case:
        shown = Shown.of(case, incident.subject)
        for view in VIEWS:
            agree(shown, view)


def agree(shown: Shown, view: str) -> None:
    """See that each face shows what JSON says."""
    said, *faces = VIEWS[view]
    expected = said(shown)
    for face in faces:
        found = face(shown)
        assert {name: expected[name] for name in found} == found, face.__name__
