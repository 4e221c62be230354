"""
Indicators of an incident, for other tools: as CSV, as STIX 2.1, and its techniques as a layer of ATT&CK Navigator.

Sources: STIX 2.1 (OASIS Standard), 4.7 Indicator, 4.16 Report, 6.12.2 HTTP Request Extension, 6.16 User Account, 9
STIX Patterning. ATT&CK Navigator, 'Layer File Format Definition', version 4.5. MITRE ATT&CK, technique ids.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from tokentrail import formatting
from tokentrail.detection.model import SEVERITIES
from tokentrail.errors import UsageError
from tokentrail.formatting import counted
from tokentrail.present import words
from tokentrail.present.document import Document, columns, document, timestamp
from tokentrail.present.formats.json_csv import indented, write_csv
from tokentrail.present.safe import safe
from tokentrail.present.views.report import ReportData

_AGENT = 160
"""Characters after which the summary of an attacker's activity cuts a user agent."""
_LONGEST = 1_000
"""Characters of a value or note."""
_MOST = 5_000
"""Indicators of one STIX bundle; the bundle says how many more there are."""
_KEY_ID = re.compile(r"[A-Z0-9]{16,128}")
_TECHNIQUE = re.compile(r"T[0-9]{4}(\.[0-9]{3})?")
_NOTES = 5
"""Findings that the comment of one technique lists."""
_COLOURS = ["#fff4d6", "#d13212"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """Something by which the attacker is recognized in other logs."""

    type: Literal["access-key-id", "ip-address", "source", "user-agent"]
    """`source` is what stands for an address in CloudTrail and is none, such as the name of an AWS service."""
    value: str
    first_seen: datetime | None
    last_seen: datetime | None
    calls: int | None
    note: str = ""


def indicators(report_data: ReportData) -> tuple[Indicator, ...]:
    """List the tainted access key ids, then the addresses and user agents of the attacker's calls, each once."""
    found: dict[tuple[str, str], Indicator] = {}
    for indicator in (*_keys(report_data), *_uses(report_data)):
        found.setdefault((indicator.type, indicator.value), indicator)
    return tuple(found.values())


def _keys(report_data: ReportData) -> Iterator[Indicator]:
    for credential in report_data.trace.credentials:
        if credential.tainted:
            for key_id in credential.access_key_ids:
                if _KEY_ID.fullmatch(key_id):
                    yield Indicator(
                        type="access-key-id", value=key_id, first_seen=credential.first_used,
                        last_seen=credential.last_used, calls=None,
                        note=f"{words.kind(credential)} of {words.who(credential)}, {credential.state}",
                    )  # fmt: skip


def _uses(report_data: ReportData) -> Iterator[Indicator]:
    if report_data.activity is None:
        return
    shared = {use.name for use in report_data.activity.shared_from}
    for use in report_data.activity.addresses:
        yield Indicator(
            type="ip-address" if _version(use.name) else "source", value=use.name, first_seen=use.first,
            last_seen=use.last, calls=use.calls,
            note="one of several addresses of a subject: its owner may be among them" if use.name in shared else "",
        )  # fmt: skip
    for use in report_data.activity.tools:
        yield Indicator(
            type="user-agent", value=use.name, first_seen=use.first, last_seen=use.last, calls=use.calls,
            note=f"the first {_AGENT} characters" if len(use.name) >= _AGENT else "",
        )  # fmt: skip


def _version(address: str) -> int | None:
    """The version of an IP address; `None` of what is none."""
    try:
        return ip_address(address).version
    except ValueError:
        return None


def indicators_csv(report_data: ReportData) -> str:
    """Write the indicators as CSV."""
    stream = io.StringIO()
    rows = (document(indicator) for indicator in indicators(report_data))
    write_csv(({**row, "value": _cut(row["value"])} for row in rows), columns(Indicator), stream)
    return stream.getvalue()


def indicators_stix(report_data: ReportData) -> str:
    """
    Write the indicators as a STIX 2.1 bundle: an indicator each, and a report that refers to them.

    The same case and question give the same bytes: ids are made from what they name, times are the answer's.

    Raises:
        UsageError: the `stix2` library, an extra, is not installed.
    """
    try:
        import stix2
    except ImportError as error:
        raise UsageError(
            "STIX needs the stix2 library: pip install 'tokentrail[stix]', or '.[stix]' in a clone. --format "
            "indicators gives the same as CSV without it."
        ) from error
    listed = indicators(report_data)
    by_pattern = {pattern: indicator for indicator in reversed(listed) if (pattern := _pattern(indicator))}
    written = list(reversed(by_pattern.items()))[:_MOST]
    now = report_data.trace.as_of
    author = stix2.Identity(
        id=_id("identity", "TokenTrail"), name="TokenTrail", identity_class="system", created=now, modified=now,
    )  # fmt: skip
    common: dict[str, Any] = {"created": now, "modified": now, "created_by_ref": author.id}
    found = [
        stix2.Indicator(
            id=_id("indicator", report_data.case_id, pattern), name=f"{indicator.type} {_cut(indicator.value)}",
            description=_cut(indicator.note) or None, indicator_types=["malicious-activity"], pattern=pattern,
            pattern_type="stix", valid_from=indicator.first_seen or now, **common,
        )
        for pattern, indicator in written
    ]  # fmt: skip
    report = stix2.Report(
        id=_id("report", report_data.case_id, *report_data.trace.subject, timestamp(now)), published=now,
        name=_verdict(report_data), description=_left_out(len(listed), len(written)), report_types=["indicator"],
        object_refs=[author.id, *(one.id for one in found)],
        external_references=[
            {"source_name": "mitre-attack", "external_id": technique} for technique in _techniques(report_data)
        ],
        **common,
    )  # fmt: skip
    bundle = stix2.Bundle(author, report, *found, id=_id("bundle", report.id))
    return f"{bundle.serialize(indent=2, ensure_ascii=True)}\n"


def _pattern(indicator: Indicator) -> str | None:
    """The pattern that matches an indicator in other logs; `None` of what identifies no attacker."""
    from stix2 import patterns

    value = patterns.StringConstant(_cut(indicator.value))
    match indicator.type:
        case "access-key-id":
            path = patterns.ObjectPath("user-account", ["user_id"])
        case "ip-address":
            path = patterns.ObjectPath(f"ipv{_version(indicator.value)}-addr", ["value"])
        case "user-agent":
            header = ["extensions", "'http-request-ext'", "request_header", "'User-Agent'"]
            path = patterns.ObjectPath("network-traffic", header)
            if len(indicator.value) >= _AGENT:
                begins = patterns.StringConstant(f"^{re.escape(_cut(indicator.value))}")
                return str(patterns.ObservationExpression(patterns.MatchesComparisonExpression(path, begins)))
        case _:
            return None
    return str(patterns.ObservationExpression(patterns.EqualityComparisonExpression(path, value)))


def _left_out(listed: int, written: int) -> str:
    if listed == written:
        return f"{counted(written, 'indicator')}, from AWS CloudTrail."
    return (
        f"{counted(written, 'indicator')}, from AWS CloudTrail. {listed - written:,} more are left out: names "
        f"that are no addresses, and what is beyond the first {_MOST:,}; the CSV has all."
    )


def navigator_layer(report_data: ReportData) -> str:
    """Write the techniques of the findings about an incident as a layer of ATT&CK Navigator, by worst severity."""
    techniques = [
        {
            "techniqueID": technique,
            "score": max(SEVERITIES.index(finding["severity"]) + 1 for finding in findings),
            "comment": _comment(findings),
            "enabled": True,
        }
        for technique, findings in _techniques(report_data).items()
    ]
    layer: Document = {
        "name": _cut(f"TokenTrail {report_data.case_id}"),
        "versions": {"layer": "4.5"},
        "domain": "enterprise-attack",
        "description": f"{_verdict(report_data)} Score: severity of the worst finding, 1 (info) to {len(SEVERITIES)} "
        "(critical).",
        "techniques": techniques,
        "gradient": {"colors": _COLOURS, "minValue": 1, "maxValue": len(SEVERITIES)},
    }
    return f"{indented(layer)}\n"


def _techniques(report_data: ReportData) -> dict[str, list[Document]]:
    """The findings by technique; what a rule of somebody's own names otherwise is no technique."""
    found: dict[str, list[Document]] = {}
    for finding in report_data.findings or ():
        for technique in finding["attack"]:
            if _TECHNIQUE.fullmatch(technique):
                found.setdefault(technique, []).append(finding)
    return dict(sorted(found.items()))


def _comment(findings: Sequence[Document]) -> str:
    told = [f"{one['time']} {one['severity']}: {_cut(one['title'])}" for one in findings[:_NOTES]]
    return "\n".join([*told, *([f"and {len(findings) - _NOTES:,} more"] if len(findings) > _NOTES else [])])


def _verdict(report_data: ReportData) -> str:
    tainted = [credential for credential in report_data.trace.credentials if credential.tainted]
    subjects = formatting.listed(report_data.trace.subject, 3)
    return _cut(
        f"{words.verdict(tainted)}. Traced from {subjects}, as of {timestamp(report_data.trace.as_of)}."
    )


def _cut(text: str) -> str:
    """Text from evidence, visible and not too long."""
    shown = safe(text)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def _id(kind: str, *names: str) -> str:
    """An id made from names: the same in each run, and of no object that another maker would name so."""
    text = "\n".join(("https://tokentrail.invalid", kind, *names))
    return f"{kind}--{uuid5(NAMESPACE_URL, text.encode('utf-8', 'backslashreplace').decode())}"
