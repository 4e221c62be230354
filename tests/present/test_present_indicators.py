"""Indicators for other tools: CSV, STIX 2.1 and a layer of ATT&CK Navigator, inert whatever the evidence holds."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest
import stix2
from html_cases import poisoned, report_data
from present_cases import NINE

from hostile import HOSTILE
from tokentrail.present.formats.indicators import indicators_csv, indicators_stix, navigator_layer
from tokentrail.present.formats.markdown import incident_markdown
from tokentrail.present.views.report import ReportData
from tokentrail.results import AttackerActivity, UsedFrom

POISON = (*HOSTILE, "](javascript:alert(1))|`x`|", "' OR '' = '", "\\", "%_*", " =1+1", '"=cmd|x', "|+1;-1")


def used(name: str) -> UsedFrom:
    return UsedFrom(name=name, calls=3, first=NINE, last=NINE)


def incident(
    addresses: tuple[str, ...] = ("192.0.2.7",), agents: tuple[str, ...] = ("aws-cli/2",)
) -> ReportData:
    """An incident with these addresses and user agents, and a finding."""
    activity = AttackerActivity(
        first=NINE, first_call="s3:ListBuckets", first_event="e-1", last=NINE, calls=3,
        addresses=tuple(map(used, addresses)), tools=tuple(map(used, agents)), shared_from=(),
    )  # fmt: skip
    finding = {
        "id": "f", "rule": "attack-tool", "title": "Attack tool", "severity": "high", "time": "2026-11-23T09:00:00Z",
        "attack": ["T1078.004", "no technique"], "count": 1,
    }  # fmt: skip
    return replace(report_data(), activity=activity, findings=(finding,))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def objects(text: str, kind: str) -> list[dict[str, Any]]:
    return [one for one in json.loads(text)["objects"] if one["type"] == kind]


def test_the_three_kinds_of_indicators_stand_in_csv_and_stix() -> None:
    """Every tainted key id, address and user agent is a row of the CSV and an indicator of the STIX bundle."""
    found = incident(addresses=("192.0.2.7", "2001:db8::7", "ec2.amazonaws.com"))
    keys = {name for one in found.trace.credentials if one.tainted for name in one.access_key_ids}
    listed, bundle = rows(indicators_csv(found)), indicators_stix(found)
    patterns = {one["pattern"] for one in objects(bundle, "indicator")}

    assert {one["value"] for one in listed} == keys | {
        "192.0.2.7",
        "2001:db8::7",
        "ec2.amazonaws.com",
        "aws-cli/2",
    }
    assert patterns == {f"[user-account:user_id = '{key}']" for key in keys} | {
        "[ipv4-addr:value = '192.0.2.7']", "[ipv6-addr:value = '2001:db8::7']",
        "[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'aws-cli/2']",
    }  # fmt: skip
    assert "1 more are left out" in objects(bundle, "report")[0]["description"]
    assert objects(bundle, "report")[0]["external_references"] == [
        {"source_name": "mitre-attack", "external_id": "T1078.004"}
    ]
    assert bundle == indicators_stix(found)


def test_what_another_reads_is_a_valid_bundle() -> None:
    """The STIX library reads the bundle back, and its report refers to every indicator."""
    bundle = stix2.parse(indicators_stix(incident()))
    report = next(one for one in bundle.objects if one.type == "report")
    assert {one.id for one in bundle.objects if one.type == "indicator"} <= set(report.object_refs)


def test_a_cut_user_agent_matches_by_its_beginning() -> None:
    """A user agent of which only the first 160 characters are known becomes a pattern that what begins so matches."""
    (pattern,) = [
        one["pattern"]
        for one in objects(indicators_stix(incident(agents=("a.b" + "c" * 157,))), "indicator")
        if "User-Agent" in one["pattern"]
    ]
    assert pattern.endswith(f"MATCHES '^a\\\\.b{'c' * 157}']")


def test_a_layer_has_the_techniques_of_the_findings() -> None:
    """The layer lists each technique once, scored by the worst finding, and nothing that is no technique."""
    layer = json.loads(navigator_layer(incident()))
    assert (layer["domain"], layer["versions"]["layer"]) == ("enterprise-attack", "4.5")
    assert [(one["techniqueID"], one["score"]) for one in layer["techniques"]] == [("T1078.004", 4)]


@pytest.mark.parametrize("poison", POISON, ids=[ascii(one)[:14] for one in POISON])
def test_hostile_evidence_is_inert_for_other_tools(poison: str) -> None:
    """No formula begins a cell, no pattern gains a condition, and all is printable, bounded ASCII or visible text."""
    found = poisoned(incident(agents=("", f"{poison} tool")), poison)
    found = replace(found, findings=incident().findings)
    table, bundle = indicators_csv(found), indicators_stix(found)
    layer, markdown = navigator_layer(found), incident_markdown(found)

    for row in rows(table):
        assert all(not (cell or "").lstrip(" \"'|;,").startswith(("=", "+", "-", "@")) or cell.startswith("'")
                   for cell in row.values())  # fmt: skip
        assert all(len(cell or "") <= 1_100 for cell in row.values())
    for one in objects(bundle, "indicator"):
        assert stix2.parse(one).pattern == one["pattern"]
        assert "\n" not in one["pattern"]
        assert len(one["pattern"]) <= 2_200
    assert bundle.isascii() and layer.isascii()
    assert all(shown == "\n" or shown.isprintable() for shown in table + markdown)


@pytest.mark.parametrize("poison", POISON, ids=[ascii(one)[:14] for one in POISON])
def test_hostile_evidence_is_inert_in_markdown(poison: str) -> None:
    """In Markdown, what evidence chose stands in code spans or the drawing alone: nothing outside them differs."""

    def outside(text: str) -> list[str]:
        before, _, behind = text.partition("```mermaid")
        plain = before + behind.partition("```")[2]
        return plain.split("`")[::2]

    assert outside(incident_markdown(poisoned(incident(), poison))) == outside(incident_markdown(incident()))
