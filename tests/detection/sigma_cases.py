"""Sigma rules for tests: how they are written, read and judged by."""

from __future__ import annotations

from pathlib import Path

from tokentrail.case import Case
from tokentrail.detection.model import Finding
from tokentrail.detection.sigma.reading import SigmaRules, read_rules


def rule(
    detection: str, *, title: str = "A rule", name: str = "", extra: str = "", source: str = "cloudtrail"
) -> str:
    """A Sigma rule around a detection, which is given with its own indentation."""
    lines = [
        f"title: {title}",
        "status: test",
        f"logsource: {{product: aws, service: {source}}}",
        "level: high",
    ]
    if name:
        lines.append(f"name: {name}")
    return (
        "\n".join(
            [*lines, extra, "detection:", *(f"  {line}" for line in detection.strip("\n").splitlines())]
        )
        + "\n"
    )


def read(folder: Path, *texts: str) -> SigmaRules:
    """Rules from files of their own."""
    for number, text in enumerate(texts):
        (folder / f"{number:02}.yml").write_text(text)
    return read_rules([folder])


def sigma(found: tuple[Finding, ...]) -> list[Finding]:
    """The findings of Sigma rules."""
    return [one for one in found if one.rule.startswith("sigma:")]


def judged(case: Case, rules: SigmaRules) -> list[Finding]:
    """What Sigma rules alone find."""
    return sigma(case.detect(rules=[], sigma=rules))


def correlation(way: str, condition: str, *rules: str) -> str:
    """A correlation of rules within ten minutes."""
    condition = f"  condition: {condition}\n" if condition else ""
    return f"title: Several\ncorrelation:\n  type: {way}\n  rules: [{', '.join(rules)}]\n  timespan: 10m\n{condition}"


DETECTIONS = {
    "columns": "s: {eventSource: s3.amazonaws.com, eventName: GetObject}\ncondition: s",
    "case": "s: {eventName: getobject}\ncondition: s",
    "cased": "s: {eventName|cased: getobject}\ncondition: s",
    "several": "s: {eventName: [GetObject, ListObjects, AssumeRole]}\ncondition: s",
    "beginning": "s: {eventName|startswith: Get, eventSource|endswith: .amazonaws.com}\ncondition: s",
    "wildcards": "s: {eventName: 'G?t*j*ct'}\ncondition: s",
    "odd characters": "s: {userAgent|contains: '100%_!'}\ncondition: s",
    "issuer": "s: {userIdentity.sessionContext.sessionIssuer.userName: MyBucketRole}\ncondition: s",
    "request": "s: {requestParameters.roleSessionName: support-eu}\ncondition: s",
    "response": "s: {responseElements.credentials.accessKeyId|startswith: ASIA}\ncondition: s",
    "deep list": "s: {resources.ARN|contains: 'customer-records'}\ncondition: s",
    "whole part": "s: {requestParameters|contains: customer-records}\ncondition: s",
    "not": "s: {eventSource: sts.amazonaws.com}\nf: {userIdentity.type: [AWSService, WebIdentityUser]}\ncondition: s and not f",
    "not nested": "s: {eventName: AssumeRole}\nf: {requestParameters.roleSessionName: support}\ncondition: s and not f",
    "not at all": "f: {userIdentity.sessionContext.sessionIssuer.userName|exists: true}\ncondition: not f",
    "one of": "s_a: {eventName: UpdateAccessKey}\ns_b: {requestParameters.policyName: AWSRevokeOlderSessions}\ncondition: 1 of s_*",
    "null": "s: {eventSource: s3.amazonaws.com, errorCode: null}\ncondition: s",
    "exists": "s: {errorCode|exists: true}\ncondition: s",
    "absent": "s: {invokedBy|exists: false, eventName: Decrypt}\ncondition: s",
    "expression": "s: {userIdentity.arn|re: 'assumed-role/My.*Role/supp'}\ncondition: s",
    "network": "s: {sourceIPAddress|cidr: 203.0.113.0/24}\ncondition: s",
    "flag": "s: {readOnly: false}\ncondition: s",
    "number": "s: {additionalEventData.bytesTransferredOut|gt: 8000000}\ncondition: s",
    "same field": "s: {userIdentity.accountId|fieldref: recipientAccountId, eventName: GetObject}\ncondition: s",
    "same nested field": "s: {userIdentity.sessionContext.sessionIssuer.accountId|fieldref: userIdentity.accountId, eventName: GetObject}\ncondition: s",
    "keyword": "k: [support-eu]\ncondition: k",
    "error": "s: {errorMessage|contains: explicit deny}\ncondition: s",
    "many names": "s:\n  eventName: [A, B, C, D, E, F, G, H, I, GetObject, getcalleridentity]\ncondition: s",
    "many patterns": "s:\n  userAgent|contains: ['100%', b, '(x', c+, d, '[', '\\\\', q, BOTO3, z]\ncondition: s",
    "nested names": "s:\n  requestParameters.roleSessionName: [support-eu, SUPPORT, x]\ncondition: s",
    "flags": "s: {userIdentity.arn|re|i: 'ASSUMED-role/my.*ROLE/supp'}\ncondition: s",
    "expression on a nested field": "s: {requestParameters.roleArn|re: 'role/My[A-Z]'}\ncondition: s",
    "begins as": "s: {userIdentity.arn|fieldref|startswith: userIdentity.sessionContext.sessionIssuer.nothing}\nt: {userIdentity.principalId|fieldref|startswith: userIdentity.sessionContext.sessionIssuer.principalId}\ncondition: s or t",
    "not that network": "s: {eventName: GetObject}\nf: {sourceIPAddress|cidr: ['192.0.0.0/13', '2001:db8::/32', 'fe80::/10']}\ncondition: s and not f",
    "all": "s: {requestParameters.policyDocument|contains|all: [Deny, TokenIssueTime]}\ncondition: s",
    "encoded": "s: {requestParameters.key|base64offset|contains: customer}\nt: {eventName|base64: x}\nu: {eventName: DeleteObject}\ncondition: s or t or not u",
    "hour": "s: {eventTime|hour: 10}\ncondition: s",
    "second factor": "s: {userIdentity.sessionContext.attributes.mfaAuthenticated: 'true'}\ncondition: s",
    "exists in columns": "s: {userIdentity.invokedBy|exists: true}\ncondition: s",
    "issuer's kind": "s: {userIdentity.sessionContext.sessionIssuer.type: Role, eventSource: sts.amazonaws.com}\ncondition: s",
    "three quarters": "s_1: {eventName: AssumeRole}\ns_2: {eventSource: sts.amazonaws.com}\ns_3: {requestParameters.roleSessionName|exists: true}\ncondition: all of s_*",
    "spelled otherwise": "s: {RequestParameters.RoleSessionName: support-eu}\ncondition: s",
    "document in a part": "s:\n  requestParameters|contains|all: ['\"Deny\"', '\"aws:TokenIssueTime\"']\ncondition: s",
}
