"""
Findings in the formats of others: OCSF Detection Finding, and the AWS Security Finding Format.

Sources: Open Cybersecurity Schema Framework 1.5.0, class Detection Finding (2004) with the profile `cloud`. AWS
Security Hub User Guide, 'Required top-level ASFF attributes', and API Reference, 'AwsSecurityFinding': 256 characters
of title, 1,024 of description, 512 of recommendation, 32 resources, 2,048 of each product field; 'BatchImportFindings
for finding providers': an update whose `UpdatedAt` is not later than that of what is there is ignored; severity and
types are updated by `FindingProviderFields`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import TextIO

from tokentrail.detection.addresses import Address
from tokentrail.detection.model import SEVERITIES, Finding
from tokentrail.present.document import Document, timestamp
from tokentrail.present.formats.json_csv import write_json, write_jsonl
from tokentrail.present.safe import ELLIPSIS, safe

PRODUCT_ARN = "arn:aws:securityhub:REGION:ACCOUNT:product/ACCOUNT/default"
"""What stands in for the product of whoever imports the findings."""
NO_ACCOUNT = "000000000000"
"""What stands in for the account of a finding that has none; the format insists on one."""
_TITLE, _DESCRIPTION, _RECOMMENDATION, _FIELD, _ID, _RESOURCES = 256, 1024, 512, 2048, 512, 32
_DETECTION_FINDING, _CREATE = 2004, 1
_SEVERITIES = ("Informational", "Low", "Medium", "High", "Critical")
_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_KEY = re.compile(r"(?:AKIA|ASIA)[0-9A-Z]{12,124}", re.ASCII)
_IAM = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:(user|role)/", re.ASCII)
_STOLEN = "TTPs/Credential Access"
"""The place of what is not in the table: all that is looked for here is about credentials."""
_TACTICS = {
    "T1021": "Lateral Movement",  # Remote Services
    "T1078": "Initial Access",  # Valid Accounts
    "T1087": "Discovery",  # Account Discovery
    "T1098": "Persistence",  # Account Manipulation
    "T1136": "Persistence",  # Create Account
    "T1199": "Initial Access",  # Trusted Relationship
    "T1484": "Privilege Escalation",  # Domain or Tenant Policy Modification
    "T1525": "Persistence",  # Implant Internal Image
    "T1526": "Discovery",  # Cloud Service Discovery
    "T1528": "Credential Access",  # Steal Application Access Token
    "T1530": "Collection",  # Data from Cloud Storage
    "T1548": "Privilege Escalation",  # Abuse Elevation Control Mechanism
    "T1550": "Lateral Movement",  # Use Alternate Authentication Material
    "T1552": "Credential Access",  # Unsecured Credentials
    "T1555": "Credential Access",  # Credentials from Password Stores
    "T1556": "Persistence",  # Modify Authentication Process
    "T1562": "Defense Evasion",  # Impair Defenses
    "T1566": "Initial Access",  # Phishing
    "T1580": "Discovery",  # Cloud Infrastructure Discovery
    "T1648": "Execution",  # Serverless Execution
    "T1651": "Execution",  # Cloud Administration Command
}
"""
The tactic of each technique that the catalogue names, which its parts share: of several that ATT&CK gives, the one that
the catalogue means. Sources: MITRE ATT&CK for Enterprise; tactics as the Security Hub User Guide, 'Types
taxonomy for ASFF', spells them.
"""
_EFFECTS = {
    "T1485": "Data Destruction",  # Data Destruction
    "T1486": "Data Destruction",  # Data Encrypted for Impact
    "T1490": "Data Destruction",  # Inhibit System Recovery
    "T1496": "Resource Consumption",  # Resource Hijacking
    "T1537": "Data Exfiltration",  # Transfer Data to Cloud Account
}
"""What techniques of ATT&CK's tactics 'Impact' and 'Exfiltration' bring about, for which Security Hub has no tactic."""
_IAM_TYPES = {"user": "AwsIamUser", "role": "AwsIamRole"}


def write_ocsf(findings: Iterable[Finding], stream: TextIO) -> None:
    """Write a Detection Finding of OCSF on each line."""
    write_jsonl((ocsf(one) for one in findings), stream)


def write_asff(findings: Iterable[Finding], stream: TextIO, as_of: datetime | None = None) -> None:
    """
    Write one document as Security Hub's BatchImportFindings takes it, but that it takes 100 findings at a time.

    Args:
        findings: The findings.
        stream: Where to.
        as_of: The moment up to which the evidence was judged.
    """
    write_json({"Findings": [asff(one, as_of) for one in findings]}, stream)


def ocsf(finding: Finding) -> Document:
    """Turn a finding into a Detection Finding of OCSF."""
    time = _milliseconds(finding.time)
    account = _account(finding)
    severity = SEVERITIES.index(finding.severity)
    return {
        "activity_id": _CREATE,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": _DETECTION_FINDING,
        "class_name": "Detection Finding",
        "type_uid": _DETECTION_FINDING * 100 + _CREATE,
        "type_name": "Detection Finding: Create",
        "time": time,
        "severity_id": severity + 1,
        "severity": _SEVERITIES[severity],
        "status_id": 1,
        "status": "New",
        "message": safe(finding.why),
        "finding_info": {
            "uid": safe(finding.id),
            "title": safe(finding.title),
            "desc": safe(finding.why),
            "types": _types(finding),
            "created_time": time,
            "analytic": {
                "type_id": 1, "type": "Rule", "uid": safe(finding.rule), "name": safe(finding.title),
            },
            "attacks": [_attack(one) for one in finding.attack],
        },
        "metadata": {
            "product": {"name": "TokenTrail", "vendor_name": "TokenTrail", "version": version("tokentrail")},
            "version": "1.5.0",
            "profiles": ["cloud"],
        },
        "cloud": {"provider": "AWS"} | ({"account": {"uid": account}} if account else {}),
        "resources": [{"uid": safe(one), "type": kind} for kind, one in _resources(finding)],
        "evidences": [
            *({"data": {"event_id": safe(one)}} for one in finding.events),
            *({"src_endpoint": _endpoint(one)} for one in finding.addresses),
        ],
        "remediation": {"desc": safe(finding.next)},
        "unmapped": {
            "accounts": _safe_all(finding.accounts),
            "count": finding.count,
            "false_alarm": safe(finding.false_alarm),
            "subject": safe(finding.subject) if finding.subject is not None else None,
            "thresholds": _safe_all(finding.thresholds),
        },
    }  # fmt: skip


def _endpoint(one: Address) -> Document:
    """Where calls came from, as OCSF's Network Endpoint has it."""
    found: Document = {"ip": safe(one.ip)}
    if one.country is not None:
        found["location"] = {"country": safe(one.country)}
    if one.asn is not None:
        found["autonomous_system"] = {"number": one.asn} | ({"name": safe(one.owner)} if one.owner else {})
    return found


def asff(finding: Finding, as_of: datetime | None = None) -> Document:
    """
    Turn a finding into one of the AWS Security Finding Format.

    It is updated at the moment up to which the evidence was judged, where one is told: its own time stays the same
    however much evidence is added to it.
    """
    fields = {
        "rule": finding.rule,
        "subject": finding.subject or "",
        "accounts": " ".join(finding.accounts),
        "attack": " ".join(finding.attack),
        "events": " ".join(finding.events),
        "count": str(finding.count),
        "falseAlarm": finding.false_alarm,
        "thresholds": " ".join(finding.thresholds),
        "addresses": " ".join(one.ip for one in finding.addresses),
    }
    resources = [{"Type": kind, "Id": _cut(one, _ID)} for kind, one in _resources(finding) if one]
    rated = {
        "Severity": {"Label": _SEVERITIES[SEVERITIES.index(finding.severity)].upper()},
        "Types": _types(finding),
    }
    return {
        "SchemaVersion": "2018-10-08",
        "Id": _cut(f"tokentrail/{finding.id}", _ID),
        "ProductArn": PRODUCT_ARN,
        "GeneratorId": _cut(f"tokentrail/{finding.rule}", _ID),
        "AwsAccountId": _account(finding) or NO_ACCOUNT,
        **rated,
        "FindingProviderFields": rated,
        "CreatedAt": timestamp(finding.time),
        "UpdatedAt": timestamp(max(finding.time, as_of or finding.time)),
        "Title": _cut(finding.title, _TITLE) or "-",
        "Description": _cut(finding.why, _DESCRIPTION) or "-",
        "Resources": resources[:_RESOURCES] or [{"Type": "Other", "Id": _cut(f"tokentrail/{finding.id}", _ID)}],
        "Remediation": {"Recommendation": {"Text": _cut(finding.next, _RECOMMENDATION) or "-"}},
        "ProductFields": {f"tokentrail/{name}": _cut(text, _FIELD) for name, text in fields.items() if text},
    }  # fmt: skip


def _account(finding: Finding) -> str | None:
    """The first account that is one: an account id in evidence may be anything."""
    return next((one for one in finding.accounts if _ACCOUNT.fullmatch(one)), None)


def _types(finding: Finding) -> list[str]:
    """The finding's places in Security Hub's taxonomy, a namespace and a category; techniques stand elsewhere."""
    if not finding.attack:
        return ["Unusual Behaviors/User"]
    known = (_type(one.partition(".")[0]) for one in finding.attack)
    return list(dict.fromkeys(one for one in known if one)) or [_STOLEN]


def _type(technique: str) -> str | None:
    """The type of a technique in Security Hub's taxonomy."""
    if technique in _EFFECTS:
        return f"Effects/{_EFFECTS[technique]}"
    return f"TTPs/{_TACTICS[technique]}" if technique in _TACTICS else None


def _attack(technique: str) -> Document:
    parent, _, part = technique.partition(".")
    return {"technique": {"uid": safe(parent)}} | (
        {"sub_technique": {"uid": safe(technique)}} if part else {}
    )


def _resources(finding: Finding) -> Iterator[tuple[str, str]]:
    """What it is about, the subject first, with the types that Security Hub has for it."""
    subject = (finding.subject,) if finding.subject else ()
    for one in dict.fromkeys((*subject, *finding.credentials)):
        yield ("AwsIamAccessKey" if _KEY.fullmatch(one) else "Other"), one
    for one in finding.principals:
        entity = _IAM.match(one)
        yield (_IAM_TYPES[entity[1]] if entity else "Other"), one


def _safe_all(texts: Sequence[str]) -> list[str]:
    return [safe(one) for one in texts]


def _cut(text: str, limit: int) -> str:
    """Make text safe, and cut it to so many characters as UTF-16 counts them, the last being `…`."""
    shown = safe(text)
    if len(shown.encode("utf-16-le")) <= 2 * limit:
        return shown
    return shown.encode("utf-16-le")[: 2 * (limit - 1)].decode("utf-16-le", "ignore") + ELLIPSIS


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
