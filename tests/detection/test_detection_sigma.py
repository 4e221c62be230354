"""Sigma rules run on the case as they would on the raw records, and none is dropped in silence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from rule_cases import ada, world
from sigma.collection import SigmaCollection
from sigma.conditions import ConditionOR
from sigma_cases import DETECTIONS, correlation, judged, read, rule

from evidence import held
from tokentrail.case import Case
from tokentrail.case.raw_records import reader
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.rule_failures import Failures
from tokentrail.detection.run import detect
from tokentrail.detection.sigma.backend import DuckBackend
from tokentrail.detection.sigma.reading import read_rules
from tokentrail.errors import UsageError
from tokentrail.testing import native
from tokentrail.testing.story import Story, story
from work import some

Json = dict[str, Any]


@pytest.fixture(name="told", scope="module")
def _told() -> Story:
    return story()


@pytest.fixture(name="case", scope="module")
def _case(told: Story) -> Iterator[Case]:
    with held(told.world) as case:
        yield case


def over_records(text: str, records: list[Json]) -> list[Json]:
    """Those of some records that a rule matches when all of its fields are looked up in them, and no column is asked."""
    [parsed] = SigmaCollection.from_yaml(text).rules
    backend = DuckBackend(over_columns=False)
    condition = backend.convert_whole(ConditionOR([one.parsed for one in parsed.detection.parsed_condition]))
    columns = {
        name: pa.array([field.texts(one) for one in records], pa.list_(pa.string()))
        for field, name in backend.asked.items()
    }
    asked = pa.table({"row": list(range(len(records))), **columns})
    with duckdb.connect() as engine:
        found = engine.register("asked", asked).execute(
            f"SELECT row FROM asked WHERE {condition} ORDER BY row"
        )
        return [records[row] for (row,) in found.fetchall()]


@pytest.fixture(name="records", scope="module")
def _records(told: Story) -> list[Json]:
    return told.world.records()


@pytest.mark.parametrize("name", some(DETECTIONS, 2))
def test_the_case_gives_what_the_raw_records_give(
    name: str, records: list[Json], case: Case, tmp_path: Path
) -> None:
    """Columns first and raw records after find exactly what judging every raw record would."""
    rules = read(tmp_path, rule(DETECTIONS[name]))
    assert rules.unusable == ()

    expected = {record["eventID"] for record in over_records(rule(DETECTIONS[name]), records)}
    found = judged(case, rules)

    assert sum(finding.count for finding in found) == len(expected)
    assert {event for finding in found for event in finding.events} <= expected
    assert expected or name in ("odd characters", "cased")
    assert len(expected) < len(records) or name == "encoded"


RECORD: Json = {
    "eventName": "GetObject",
    "eventTime": "2026-11-23T10:15:00Z",
    "sourceIPAddress": "203.0.113.77",
    "userAgent": "[Boto3/1.40 md/Bot]",
    "recipientAccountId": "111122223333",
    "userIdentity": {
        "accountId": "111122223333",
        "arn": "arn:aws:sts::111122223333:assumed-role/Reader/ada",
        "principalId": "AROAEXAMPLE:ada",
        "sessionContext": {"sessionIssuer": {"accountId": "444455556666", "principalId": "AROAEXAMPLE"}},
    },
    "requestParameters": {"who": "Ada", "count": 5, "empty": ""},
}
ISSUER = "userIdentity.sessionContext.sessionIssuer"


@pytest.mark.parametrize(
    ("field", "value", "meant"),
    [
        ("eventName|endswith", "OBJECT", True),
        ("eventName|cased|endswith", "OBJECT", False),
        ("eventName", "null", False),
        ("errorCode", "null", True),
        ("requestParameters.empty|exists", "true", False),
        ("userAgent|re", "'boto3/1[.]4'", False),
        ("userAgent|re|i", "'boto3/1[.]4'", True),
        ("sourceIPAddress|cidr", "203.0.113.64/26", True),
        ("sourceIPAddress|cidr", "203.0.113.0/26", False),
        ("requestParameters.count|gt", "5", False),
        ("requestParameters.count|gte", "5", True),
        ("requestParameters.count|lt", "5", False),
        ("requestParameters.count|lte", "5", True),
        ("recipientAccountId|fieldref", "userIdentity.accountId", True),
        ("recipientAccountId|fieldref", f"{ISSUER}.accountId", False),
        ("userIdentity.principalId|fieldref", f"{ISSUER}.principalId", False),
        ("userIdentity.principalId|fieldref|startswith", f"{ISSUER}.principalId", True),
        (f"{ISSUER}.principalId|fieldref|startswith", "userIdentity.principalId", False),
        ("userIdentity.arn|fieldref|endswith", "requestParameters.who", True),
        ("requestParameters.who|fieldref|endswith", "userIdentity.arn", False),
        ("userIdentity.arn|fieldref|endswith", "requestParameters.empty", False),
        ("eventTime|minute", "15", True),
        ("eventTime|hour", "10", True),
        ("eventTime|hour", "15", False),
        ("eventTime|hour", "[15, 10]", True),
        ("eventTime|day", "23", True),
        ("eventTime|week", "48", True),
        ("eventTime|week", "11", False),
        ("eventTime|month", "11", True),
        ("eventTime|year", "2026", True),
        ("eventName|minute", "0", False),
    ],
)
def test_a_condition_means_what_the_standard_says(field: str, value: str, meant: bool) -> None:
    """Of one record, whichever way the case looks: texts without case, an empty one for none, times in UTC."""
    assert bool(over_records(rule(f"s: {{{field}: {value}}}\ncondition: s"), [RECORD])) is meant


def test_columns_alone_decide_where_they_can(tmp_path: Path) -> None:
    """A rule on columns reads no raw record; one on a nested field reads those that its columns leave over."""
    plain, nested = read(
        tmp_path, rule(DETECTIONS["columns"]), rule(DETECTIONS["not nested"], title="B")
    ).simple

    assert plain.query.exact
    assert not nested.query.exact
    assert "e.name" in nested.query.prefilter


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
        rule("s: {eventName: UpdateAccessKey}\ncondition: s", title="Revocation", name="cut"),
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


@pytest.mark.parametrize("pattern", ["(?=evil\\x1b[2J])a", "(evil\\x1b", "(?:evil{1000}){1000}\\x1b"])
@pytest.mark.parametrize("modifier", ["re", "re|i"])
def test_a_pattern_that_can_not_be_run_writes_to_no_terminal(
    modifier: str, pattern: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """RE2 writes nothing to stderr by itself, below Python: the rule is listed with the reason, in plain words."""
    rules = read(tmp_path, rule(f's: {{eventName|{modifier}: "{pattern}"}}\ncondition: s', title="Evil"))

    assert capfd.readouterr() == ("", "")
    (bad,) = rules.unusable
    assert bad.title == "Evil"
    assert re.search(r"invalid: (invalid perl operator|missing|bad|invalid repetition)", bad.problem)


@pytest.mark.parametrize(
    ("way", "condition", "reason"),
    [
        ("event_count", "{eq: 8}", "write gte: 8"),
        ("value_count", "{eq: 8, field: eventName}", "write gte: 8"),
        ("event_count", "{lt: 8}", "compared by lt"),
        ("event_count", "{lte: 8}", "compared by lte"),
        ("value_count", "{neq: 8, field: eventName}", "compared by neq"),
        ("temporal", "{gte: 1}", "leave out its condition"),
        ("temporal", "{eq: 2}", "leave out its condition"),
        ("temporal_ordered", "{lt: 2}", "leave out its condition"),
        ("temporal", "a and not b", "conditions on the rules"),
    ],
)
def test_a_count_that_can_not_be_judged_is_listed(
    way: str, condition: str, reason: str, tmp_path: Path
) -> None:
    """What is no "at least" is not run as if it were one: the reason says what to write instead."""
    rules = read(
        tmp_path,
        rule("s: {eventName: A}\ncondition: s", title="A", name="a"),
        rule("s: {eventName: B}\ncondition: s", title="B", name="b"),
        correlation(way, condition, "a", "b"),
    )

    assert rules.correlations == ()
    (bad,) = rules.unusable
    assert bad.title == "Several" and reason in bad.problem


@pytest.mark.parametrize(
    ("condition", "least"), [("{gte: 3}", 3), ("{gt: 3}", 4), ("{gte: 2.5}", 3), ("{gt: 2.5}", 3)]
)
def test_a_count_must_reach_the_next_whole_number(condition: str, least: int, tmp_path: Path) -> None:
    """`gt` asks for one more than `gte`, and a fraction for the whole number above it."""
    rules = read(
        tmp_path,
        rule("s: {eventName: A}\ncondition: s", name="a"),
        correlation("event_count", condition, "a"),
    )

    (found,) = rules.correlations
    assert found.least == least


@pytest.mark.parametrize(
    ("way", "condition", "told"),
    [
        ("event_count", "{gte: 5}", "15 calls in 2 stretches of time"),
        ("event_count", "{gte: 8}", "9 calls within 10 minutes"),
        ("value_count", "{gte: 5, field: requestParameters.key}", "15 calls in 2 stretches of time"),
        ("temporal", "", "21 calls in 3 stretches of time"),
        ("temporal_ordered", "", "6 calls in 3 stretches of time"),
    ],
)
def test_all_that_meets_a_correlation_is_told_and_not_its_first_few_calls(
    way: str, condition: str, told: str, tmp_path: Path
) -> None:
    """A burst counts as a whole, and a first one that was harmless hides no later one of the same group."""
    evidence = world()
    key = evidence.user("ada")
    for count in (6, 3, 9):
        key.calls("s3:GetObject", {"bucketName": "backups", "key": "{n}"}, count=count)
        key.calls("s3:ListObjects", {"bucketName": "backups"})
        evidence.wait(hours=5)
    rules = read(
        tmp_path,
        rule("s: {eventName: GetObject}\ncondition: s", title="A", name="a"),
        rule("s: {eventName: ListObjects}\ncondition: s", title="B", name="b"),
        correlation(way, condition, *(("a", "b") if way.startswith("temporal") else ("a",))),
    )
    with held(evidence) as case:
        (one,) = (each for each in judged(case, rules) if each.title == "Several")

    assert one.why.startswith(f"{told}, from ")
    assert one.count == len(one.events) == int(told.split()[0])


@pytest.mark.parametrize("second", ["eventSource: s3.amazonaws.com", "requestParameters.key|exists: true"])
@pytest.mark.parametrize(
    ("way", "condition", "found"),
    [
        ("event_count", "{gte: 4}", 1),
        ("event_count", "{gte: 5}", 0),
        ("event_count", "{gte: 8}", 0),
        ("value_count", "{gte: 4, field: requestParameters.key}", 1),
        ("value_count", "{gte: 5, field: requestParameters.key}", 0),
        ("temporal", "", 1),
    ],
)
def test_a_record_that_two_rules_match_counts_once(
    second: str, way: str, condition: str, found: int, tmp_path: Path
) -> None:
    """Four calls that two rules match are four, by columns as by raw records; that both rules matched counts as both."""
    evidence = world()
    key = evidence.user("ada")
    key.calls("s3:GetObject", {"bucketName": "backups", "key": "{n}"}, count=4)
    rules = read(
        tmp_path,
        rule("s: {eventName: GetObject}\ncondition: s", title="A", name="a"),
        rule(f"s: {{{second}}}\ncondition: s", title="B", name="b"),
        correlation(way, condition, "a", "b"),
    )
    assert rules.unusable == ()
    with held(evidence) as case:
        told = judged(case, rules)

    assert len(told) == found
    assert all(one.count == len(one.events) <= 4 for one in told)


def test_the_sixty_rules_of_the_bench_can_all_be_run() -> None:
    """`bench/sigma` has sixty rules and more of the kinds that people write for CloudTrail, correlations among them."""
    rules = read_rules([Path(__file__).parents[2] / "bench" / "sigma"])

    assert rules.unusable == ()
    assert len(rules.simple) >= 60
    assert {one.way for one in rules.correlations} == {
        "event_count",
        "value_count",
        "temporal",
        "temporal_ordered",
    }
    assert sum(not one.query.exact for one in rules.simple) >= 30


def test_no_secret_is_told_as_a_group(told: Story, case: Case, tmp_path: Path) -> None:
    """A correlation that groups by an answer with a session token tells the group with the token blanked."""
    rules = read(
        tmp_path,
        rule("s: {eventName: AssumeRole}\ncondition: s", name="mint"),
        "title: Several\ncorrelation:\n  type: event_count\n  rules: [mint]\n  group-by: [responseElements]\n"
        "  timespan: 1h\n  condition: {gte: 1}\n",
    )
    tokens = {
        credentials["sessionToken"]
        for record in told.world.records()
        if (credentials := (record.get("responseElements") or {}).get("credentials") or {}).get(
            "sessionToken"
        )
    }
    found = judged(case, rules)

    assert tokens and found
    assert not any(token in one.why for one in found for token in tokens)


def test_a_correlation_knows_a_field_by_its_name_in_each_rule(tmp_path: Path) -> None:
    """With aliases, one group is one value, whatever each rule calls it; one of the rules is decided by columns alone."""
    rules = read(
        tmp_path,
        rule("s: {eventName: CreateUser}\ncondition: s", name="made"),
        rule("s: {eventName: CreateAccessKey}\ncondition: s", name="keyed", title="B"),
        "title: Both\ncorrelation:\n  type: temporal\n  rules: [made, keyed]\n  group-by: [who]\n  timespan: 10m\n"
        "  aliases:\n    who:\n      made: requestParameters.userName\n      keyed: responseElements.accessKey.userName\n",
    )
    assert rules.unusable == ()
    place = world()
    admin = ada(place)
    admin.creates_access_key(admin.creates_user("eve"))
    admin.creates_user("mallory")
    with held(place) as case:
        (found,) = judged(case, rules)

    assert "for eve" in found.why


def test_rules_need_no_more_than_a_reader_of_records(tmp_path: Path) -> None:
    """Where records come from elsewhere than a case's files, one by one, the same is found."""
    place = world()
    ada(place).assumes("Deploy", "support-eu")
    ada(place).assumes("Deploy", "other")
    rules = read(tmp_path, rule(DETECTIONS["request"]), rule(DETECTIONS["not nested"], title="B"))
    with held(place) as case:
        view = case._views.open(None)
        plain = DetectionContext(view.engine, case._views.forest(None), None, reader(case._folder))

        failures = Failures()
        assert detect(plain, [], failures=failures, sigma=rules) == case.detect(rules=[], sigma=rules) != ()
        assert not failures.sentences


def test_empty_texts_agree_with_nothing(tmp_path: Path) -> None:
    """An empty text is none, as in `null` and `exists`: two of them are no agreement, in columns or not."""
    place = world()
    ada(place).assumes("Deploy", "a")
    records = place.records()
    for record in records:
        record["userAgent"] = record["apiVersion"] = record["errorMessage"] = ""
    rules = read(
        tmp_path,
        rule("s: {userAgent|fieldref: apiVersion}\ncondition: s"),
        rule("s: {errorMessage|fieldref: apiVersion}\ncondition: s", title="B"),
    )
    with held(records) as case:
        assert judged(case, rules) == []


@pytest.mark.parametrize("condition", ["s", "s and not x"], ids=["columns", "records"])
def test_what_a_call_lacks_is_not_told(condition: str, tmp_path: Path) -> None:
    """A call without an id, an account or a name counts, and no part of the finding is made up for it."""
    place = world()
    ada(place).assumes("Deploy", "a")
    records = place.records()
    for record in records:
        for name in ("eventID", "recipientAccountId", "eventName"):
            record.pop(name, None)
        record["userIdentity"].pop("accountId", None)
    detection = "s: {eventSource: ec2.amazonaws.com}\nx: {requestParameters.reason: a}\ncondition: "
    rules = read(tmp_path, rule(detection + condition))
    with held(records) as case:
        (found,) = judged(case, rules)

    assert found.count == sum(one["eventSource"] == "ec2.amazonaws.com" for one in records) > 1
    assert len(found.events) == found.count
    assert all(one.startswith("sha256:") for one in found.events)
    assert "(?)" in found.why


@pytest.mark.parametrize(("least", "found"), [(1, 1), (2, 0)])
@pytest.mark.parametrize("field", ["errorCode", "requestParameters.reason"], ids=["columns", "records"])
def test_what_is_not_there_is_no_value(field: str, least: int, found: int, tmp_path: Path) -> None:
    """Calls without the field whose values are counted add none: one value and its absence are one."""
    place = world()
    ada(place).calls("s3:ListBuckets", count=3)
    records = place.records()
    records[-1]["errorCode"] = "AccessDenied"
    records[-1]["requestParameters"] = {"reason": "a"}
    rules = read(
        tmp_path,
        rule("s: {eventName: ListBuckets}\ncondition: s", name="listed"),
        "title: Many\nlevel: low\ncorrelation:\n  type: value_count\n  rules: [listed]\n  group-by: "
        f"[userIdentity.arn]\n  timespan: 1h\n  condition: {{gte: {least}, field: {field}}}\n",
    )
    with held(records) as case:
        assert len(judged(case, rules)) == found


def test_a_count_reads_the_records_of_busy_groups_alone(case: Case, tmp_path: Path) -> None:
    """Of records that only a correlation counts none is read of a group that has too few of them in any span."""
    asked: list[int] = []

    def of(least: int) -> int:
        rules = read(
            tmp_path,
            rule("s: {eventName: GetObject}\ncondition: s", name="read"),
            "title: Many\nlevel: low\ncorrelation:\n  type: value_count\n  rules: [read]\n  group-by: "
            f"[userIdentity.arn]\n  timespan: 1h\n  condition: {{gte: {least}, field: requestParameters.key}}\n",
        )
        view = case._views.open(None)
        context = DetectionContext(view.engine, case._views.forest(None), None, reader(case._folder))
        scan = context.scan

        def counted(wanted: Any) -> Any:
            asked.append(len(wanted))
            return scan(wanted)

        context.scan = counted
        failures = Failures()
        assert bool(detect(context, [], failures=failures, sigma=rules)) is bool(asked[-1])
        assert not failures.sentences
        return asked[-1]

    assert of(1) > of(100) > of(100_000) == 0


def test_lost_evidence_is_said(tmp_path: Path) -> None:
    """Where a log file is gone, columns still answer, and it is said how many records could not be read again."""
    place = world()
    ada(place).assumes("Deploy", "support-eu")
    said: list[str] = []
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yml").write_text(rule(DETECTIONS["request"]))
    log = tmp_path / "log.json"
    log.write_bytes(native(place.records()))
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(log)], reference=True, workers=1)
        log.unlink()
        found = case.detect(rules=[], sigma=read_rules([tmp_path / "rules"]), said=said.append)

    assert found == ()
    assert len(said) == 1
    assert said[0].startswith(f"{len(place.records())} records could not be read again")


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
