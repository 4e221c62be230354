"""A trace as a graph for other programs."""

from __future__ import annotations

import io
import re

import pytest
from html_cases import Heard, poisoned, report_data

from hostile import HOSTILE
from tokentrail.lineage.model import Trace
from tokentrail.present.formats.graph import write_dot, write_mermaid
from tokentrail.present.text.timeline_text import write_timesketch


def dot(trace: Trace) -> str:
    stream = io.StringIO()
    write_dot(trace, stream)
    return stream.getvalue()


def mermaid(trace: Trace) -> str:
    stream = io.StringIO()
    write_mermaid(trace, stream)
    return stream.getvalue()


def test_a_graph_has_each_credential_and_each_link() -> None:
    """Nodes by descent, edges with the call and the time."""
    found = dot(report_data().trace)
    assert found.startswith("digraph tokentrail {\n") and found.endswith("}\n")
    assert found.count(" -> ") == 3
    assert 'n2 -> n4 [label="AssumeRole 2026-11-23T09:40:00Z"]' in found
    drawn = mermaid(report_data().trace)
    assert drawn.startswith("flowchart LR\n")
    assert drawn.count("-->") == 3
    assert ":::mineLive" in drawn and ":::mineDead" in drawn


@pytest.mark.parametrize("poison", HOSTILE)
def test_a_label_can_not_end_its_string(poison: str) -> None:
    """With poison everywhere, both have as many lines, and outside the strings the same text."""
    plain, hostile = report_data().trace, poisoned(report_data().trace, poison)
    for write in (dot, mermaid):
        shapes = [
            [re.sub(r'"(?:[^"\\]|\\.)*"', '""', line) for line in write(trace).splitlines()]
            for trace in (plain, hostile)
        ]
        assert shapes[0] == shapes[1]
    assert not set("<>&`;{}") & set(
        re.sub(r"<br/>|&|#\d+;", "", "".join(re.findall(r'"([^"]*)"', mermaid(hostile))))
    )


def test_the_timeline_imports_into_timesketch() -> None:
    """Its columns come first; a formula is defused, and ours are all there."""
    stream = io.StringIO()
    heard = report_data().calls
    assert isinstance(heard, Heard)
    write_timesketch(heard.events[:2], stream)
    head, first, *_ = stream.getvalue().splitlines()
    assert head.startswith("message,datetime,timestamp_desc,time,event_id,credential,")
    assert first.startswith("s3:GetObject by AKIAIOSFODNN7EXAMPLE from 203.0.113.77 on loot/a.txt")
    assert ",2026-11-23T09:00:00+00:00,CloudTrail event time," in first
