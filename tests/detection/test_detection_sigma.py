"""Sigma rules run on the case as they would on the raw records, and none is dropped in silence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from detection_cases import ada, world

from evidence import held
from tokentrail.case import Case
from tokentrail.detection.model import Finding
from tokentrail.detection.sigma.reading import SigmaRules, read_rules
from tokentrail.errors import UsageError
from tokentrail.testing.story import Story, story

Json = dict[str, Any]


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


@pytest.fixture(name="told", scope="module")
def _told() -> Story:
    return story()


@pytest.fixture(name="case", scope="module")
def _case(told: Story) -> Iterator[Case]:
    with held(told.world) as case:
        yield case


def sigma(found: tuple[Finding, ...]) -> list[Finding]:
    """The findings of Sigma rules."""
    return [one for one in found if one.rule.startswith("sigma:")]


def judged(case: Case, rules: SigmaRules) -> list[Finding]:
    """What Sigma rules alone find."""
    return sigma(case.detect(rules=[], sigma=rules))


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
    "keyword": "k: [support-eu]\ncondition: k",
    "error": "s: {errorMessage|contains: explicit deny}\ncondition: s",
}


@pytest.mark.parametrize("name", DETECTIONS)
def test_the_case_gives_what_the_raw_records_give(name: str, told: Story, case: Case, tmp_path: Path) -> None:
    """Columns first and raw records after find exactly what judging every raw record would."""
    rules = read(tmp_path, rule(DETECTIONS[name]))
    assert rules.unusable == ()
    (one,) = rules.simple

    expected = {record["eventID"] for record in told.world.records() if one.condition.matches(record)}
    found = judged(case, rules)

    assert sum(finding.count for finding in found) == len(expected)
    assert {event for finding in found for event in finding.events} <= expected
    assert expected or name in ("odd characters", "cased")


def test_columns_alone_decide_where_they_can(tmp_path: Path) -> None:
    """A rule on columns reads no raw record; one on a nested field reads those that its columns leave over."""
    plain, nested = read(
        tmp_path, rule(DETECTIONS["columns"]), rule(DETECTIONS["not nested"], title="B")
    ).simple

    assert plain.condition.exact
    assert not nested.condition.exact
    assert "e.name" in nested.condition.over.text


def test_findings_carry_the_lineage(told: Story, case: Case, tmp_path: Path) -> None:
    """A finding of a Sigma rule names its credentials, and stands for one lineage."""
    text = rule(
        "s: {eventName: AssumeRole, requestParameters.roleSessionName|startswith: support}\ncondition: s",
        title="Support takes up a role",
        extra="tags: [attack.t1550.001, attack.persistence]\nfalsepositives: [Support at work]",
    )
    (one,) = judged(case, read(tmp_path, text))

    assert set(one.credentials) == {told.a.key_id, told.b.key_id}
    assert (one.severity, one.count, one.attack) == ("high", 3, ("T1550.001",))
    assert one.next == f"tokentrail contain {one.subject}"
    assert one.false_alarm == "Support at work"


COUNTS = {
    "event_count": ("type: event_count\n  rules: [read]\n  group-by: [userIdentity.arn]\n  timespan: 10m\n  condition: {gte: 110}", 1),
    "value_count": ("type: value_count\n  rules: [read]\n  group-by: [userIdentity.accessKeyId]\n  timespan: 1h\n  condition: {gte: 100, field: requestParameters.key}", 3),
    "temporal": ("type: temporal\n  rules: [mint, cut]\n  group-by: [recipientAccountId]\n  timespan: 30m", 1),
    "temporal_ordered": ("type: temporal_ordered\n  rules: [mint, cut]\n  group-by: [recipientAccountId]\n  timespan: 30m", 1),
    "wrong order": ("type: temporal_ordered\n  rules: [cut, mint]\n  group-by: [recipientAccountId]\n  timespan: 30m", 0),
    "too short": ("type: event_count\n  rules: [read]\n  group-by: [userIdentity.arn]\n  timespan: 10s\n  condition: {gte: 200}", 0),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_correlations_are_counted_in_time_and_group(name: str, case: Case, tmp_path: Path) -> None:
    """Counts, different values, and several rules within a span; the rules that are counted are no findings."""
    text, expected = COUNTS[name]
    rules = read(
        tmp_path,
        rule(
            "s: {eventName: GetObject}\nf: {errorCode|exists: true}\ncondition: s and not f",
            title="Read",
            name="read",
        ),
        rule("s: {eventName: GetSessionToken}\ncondition: s", title="Mint", name="mint"),
        rule("s: {eventName: UpdateAccessKey}\ncondition: s", title="Cut", name="cut"),
        f"title: Several\nlevel: medium\ncorrelation:\n  {text}\n",
    )
    assert rules.unusable == ()
    found = [one for one in judged(case, rules) if one.title == "Several"]

    assert len(found) == expected
    assert all(one.credentials and one.subject for one in found)
    assert not {"Read" if "read" in text else "Mint"} & {one.title for one in judged(case, rules)}


UNUSABLE = {
    "old pipe": (rule("s: {eventName: GetSecretValue}\ncondition: s | count() by userIdentity.arn > 20"), "pipe"),
    "windows": (rule("s: {eventName: x}\ncondition: s", source="security"), "not CloudTrail"),
    "placeholder": (rule("s: {userIdentity.userName|expand: '%admins%'}\ncondition: s"), "placeholder"),
    "unknown name": (rule("s: {eventName: x}\ncondition: other"), "other"),
    "bad expression": (rule("s: {eventName|re: '('}\ncondition: s"), "expression"),
    "look-around": (rule("s: {eventName|re: '(?!x)'}\ncondition: s"), "expression"),
    "time of day": (rule("s: {eventTime|hour: 3}\ncondition: s"), "can't be run"),
    "no yaml": ("title: [", "can't be read"),
    "no rule": ("hello: world\n", "rule"),
    "nothing": ("", "no Sigma rule"),
    "correlation of nothing": ("title: C\ncorrelation: {type: event_count, rules: [gone], timespan: 1m, condition: {gte: 2}}\n", "gone"),
    "median": ("title: C\ncorrelation: {type: value_median, rules: [gone], timespan: 1m, condition: {gte: 2, field: x}}\n", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_run_is_listed_with_its_reason(name: str, tmp_path: Path) -> None:
    """Nothing is dropped in silence, and one bad file costs no other."""
    text, reason = UNUSABLE[name]
    rules = read(tmp_path, text, rule(DETECTIONS["columns"], title="Good"))

    (bad,) = rules.unusable
    assert reason.lower() in bad.problem.lower()
    assert bad.file.endswith("00.yml")
    assert [one.rule.title for one in rules.simple] == ["Good"]


def test_two_rules_of_one_id_are_told_apart(tmp_path: Path) -> None:
    """The second rule of an id is listed, not run."""
    rules = read(tmp_path, rule(DETECTIONS["columns"]), rule(DETECTIONS["case"]))

    assert len(rules.simple) == 1
    assert "has the id of a rule in" in rules.unusable[0].problem


def test_a_folder_without_rules_is_wrong_use(tmp_path: Path) -> None:
    """A folder that is not there, or is empty, is said."""
    for folder in (tmp_path / "gone", tmp_path):
        with pytest.raises(UsageError, match="no folder with Sigma rules"):
            read_rules([folder])


def test_sigma_findings_do_not_depend_on_order(tmp_path: Path) -> None:
    """The same records in another order and twice give the same findings."""
    rules = read(tmp_path, rule(DETECTIONS["not"]), rule(DETECTIONS["request"], title="B"))
    place = world()
    ada(place).assumes("Deploy", "support-eu").assumes("Build", "y")
    records = place.records()
    with held(records) as one, held(records[::-1], records[::2]) as other:
        assert judged(one, rules) == judged(other, rules) != []
