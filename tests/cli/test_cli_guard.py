"""`tokentrail guard`: the first line, formats, files beside the case, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from policy.iam_cases import doc, let, page, root, user
from policy.iam_cases import role as iam_role
from shell import Run
from tokentrail.testing.story import ATTACKER, Story

DENY_S3 = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}}


def written(path: Path, value: Any) -> Path:
    """A file with some JSON."""
    path.write_text(json.dumps(value))
    return path


def test_the_first_line_is_what_would_have_ended_it_and_its_cost(run: Run, case: Path) -> None:
    """On the story: the networks of the keys, from the thief's first call that can be denied, at no cost."""
    ran = run("guard", "--case", case)

    assert ran.out.splitlines()[0] == (
        "Ends at 2026-11-23T09:41:15Z, breaks none of 71 ordinary calls: keys-from-known-networks (scp)"
    )
    assert 1 == ran.code
    assert max(map(len, ran.out.splitlines())) <= 100
    assert "GetSessionToken can't be denied" in ran.out


def test_json_has_the_names_that_scripts_rely_on(run: Run, case: Path, told: Story) -> None:
    """The names of the contract, by subject and address; the same bytes twice."""
    arguments = (
        "guard",
        "--case",
        case,
        "--subject",
        told.a.key_id,
        "--source-ip",
        ATTACKER,
        "--format",
        "json",
    )
    ran = run(*arguments)
    found = json.loads(ran.out)

    assert {"as_of", "findings", "guardrails"} <= set(found)
    for finding in found["findings"]:
        assert {"id", "rule", "severity", "account", "principal", "why", "fix", "from", "to", "lives"} <= set(
            finding
        )
    for one in found["guardrails"]:
        assert {
            "id",
            "title",
            "kind",
            "account",
            "target",
            "policy",
            "prevents",
            "limits",
            "backtest",
        } <= set(one)
        names = {"events", "attacker_blocked", "ordinary_blocked", "undecided", "story_ends_at"}
        assert names <= set(one["backtest"])
    assert set(told.key_ids.values()) == set(found["attackers"])
    assert ran.out == run(*arguments).out


def test_trust_and_tokens_end_it_where_the_sessions_begin(run: Run, case: Path) -> None:
    """The role's named callers end it at C, tokens without MFA at D; nothing ordinary breaks."""
    ran = run("guard", "--case", case, "--format", "json")
    tests = {one["id"]: one["backtest"] for one in json.loads(ran.out)["guardrails"]}

    assert "2026-11-23T09:46:30Z" == tests["trust-named-callers:MyBucketRole"]["story_ends_at"]
    assert "2026-11-23T10:13:20Z" == tests["tokens-need-mfa"]["story_ends_at"]
    assert [0, 0] == [
        tests[name]["ordinary_blocked"] for name in ("trust-named-callers:MyBucketRole", "tokens-need-mfa")
    ]
    assert 18 == tests["user-needs-mfa:support"]["ordinary_blocked"]


def test_lines_and_tables(run: Run, case: Path) -> None:
    """As JSON lines, each says what it is; as CSV, a row is a guardrail."""
    lines = [json.loads(line) for line in run("guard", "--case", case, "--format", "jsonl").out.splitlines()]
    rows = list(csv.DictReader(io.StringIO(run("guard", "--case", case, "--format", "csv").out)))

    assert {"guardrail", "finding"} == {line["section"] for line in lines}
    assert [line["id"] for line in lines if line["section"] == "guardrail"] == [row["id"] for row in rows]
    assert json.loads(rows[0]["policy"])["Statement"]


def test_what_is_written_to_a_folder_can_be_given_again(run: Run, case: Path, tmp_path: Path) -> None:
    """Each file fares as the guardrail that it is of; Terraform and CloudFormation lie beside."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "of-another-run.tf").touch()
    first = run("guard", "--case", case, "-o", tmp_path / "out", "--format", "json")
    assert "1 other file there, which this answer has no part in." in " ".join(first.err.split())
    files = sorted((tmp_path / "out").glob("*.json"))
    policies = [
        path
        for path in files
        if not path.name.startswith("guardrails") and json.loads(path.read_text())["policy"]
    ]
    options = [part for path in policies for part in ("--policy", str(path))]
    again = json.loads(run("guard", "--case", case, "--only", "own", "--format", "json", *options).out)

    numbers = {json.loads(path.read_text())["id"]: path.name for path in policies}
    fared = {one["id"].removeprefix("own:"): one["backtest"] for one in again["guardrails"]}
    for one in json.loads(first.out)["guardrails"]:
        if one["id"] in numbers and one["rule"] != "oidc-subjects":
            assert one["backtest"] == fared[numbers[one["id"]]]
    assert (tmp_path / "out" / "guardrails.tf").read_text().count("resource ") >= 8
    template = json.loads((tmp_path / "out" / "guardrails.cloudformation.json").read_text())
    assert "AWS::Organizations::Policy" in {one["Type"] for one in template["Resources"].values()}


@pytest.mark.parametrize("form", ["terraform", "cloudformation"])
def test_code_alone_on_stdout(run: Run, case: Path, form: str) -> None:
    """`--as` prints nothing else, and `--only` picks one."""
    ran = run("guard", "--case", case, "--as", form, "--only", "tokens-need-mfa")

    assert ran.out.count("MultiFactorAuthPresent") == 1
    assert "keys-from-known-networks" not in ran.out


@pytest.mark.parametrize(
    "asked", [("guard", "--as", "terraform"), ("contain", "--script", "AKIAIOSFODNN7EXAMPLE")]
)
def test_no_format_beside_a_form_of_its_own(run: Run, case: Path, asked: tuple[str, ...]) -> None:
    """Whoever asks for code and for JSON is told so, instead of being given one of them."""
    ran = run(*asked, "--case", case, "--format", "json")

    assert (2, "") == (ran.code, ran.out)
    assert asked[1] in ran.err
    assert "leave out --format json" in ran.err


def test_history_lists_every_call(run: Run, case: Path, told: Story) -> None:
    """What each credential of the thief's did, and whether it was refused, never made, or made."""
    ran = run("guard", "--case", case, "--history", "--only", "tokens-need-mfa", "--format", "json")
    calls = json.loads(ran.out)["guardrails"][0]["backtest"]["attacker_calls"]

    assert {("sts:AssumeRole", "refused")} == {
        (one["action"], one["outcome"]) for one in calls if one["credential"] == told.b.key_id
    }
    assert {"never made"} == {
        one["outcome"] for one in calls if one["credential"] in (told.d.key_id, told.e.key_id)
    }
    assert {"made"} == {one["outcome"] for one in calls if one["credential"] == told.c.key_id}


def test_a_policy_of_one_s_own_and_what_lies_beside_the_case(run: Run, case: Path, tmp_path: Path) -> None:
    """A plain SCP is tested; snapshot, report, list-roles and SCPs reach the audit."""
    details = written(tmp_path / "details.json", page(users=[user("support")], roles=[iam_role("MyBucketRole", doc(let(root("999988887777"))))]))  # fmt: skip
    report = tmp_path / "report.csv"
    report.write_text(
        "user,arn,user_creation_time,password_enabled,password_last_used,mfa_active,access_key_1_active,"
        "access_key_1_last_rotated,access_key_1_last_used_date,access_key_2_active\n"
        "old,arn:aws:iam::111122223333:user/old,2020-01-01T00:00:00+00:00,false,N/A,false,true,"
        "2020-01-01T00:00:00+00:00,N/A,false\n"
    )
    lengths = written(tmp_path / "roles.json", {"Roles": [{"Arn": "arn:aws:iam::111122223333:role/MyBucketRole", "MaxSessionDuration": 43200}]})  # fmt: skip
    scp = written(
        tmp_path / "scp.json", {"Policy": {"PolicySummary": {"Name": "x"}, "Content": json.dumps(DENY_S3)}}
    )
    ran = run(
        "guard", "--case", case, "--iam", details, "--iam", report, "--iam", lengths, "--scp", scp,
        "--policy", written(tmp_path / "own.json", DENY_S3), "--format", "json",
    )  # fmt: skip
    found = json.loads(ran.out)

    assert "own:own.json" in {one["id"] for one in found["guardrails"]}
    rules = {(one["rule"], one["principal"].rpartition("/")[2]) for one in found["findings"]}
    assert {
        ("unused-credentials", "old"),
        ("sessions-too-long", "MyBucketRole"),
        ("trusts-strangers", "MyBucketRole"),
    } <= rules


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "no JSON"),
        ("[]", "no JSON object"),
        ("{}", "no policy that can be judged"),
        (json.dumps({"kind": "trust-policy", "policy": DENY_S3}), "ARN of a role"),
        (json.dumps({"kind": "vpc", "policy": DENY_S3}), "no kind of policy"),
        (json.dumps({"kind": ["scp"], "policy": DENY_S3}), "no kind of policy"),
    ],
)
def test_what_is_no_policy_is_refused_in_words(
    run: Run, case: Path, tmp_path: Path, content: str, said: str
) -> None:
    """With the file, the reason, and the form that it should have."""
    path = tmp_path / "own.json"
    path.write_text(content)
    ran = run("guard", "--case", case, "--policy", path)

    assert 2 == ran.code
    assert said in ran.err and "own.json" in ran.err


@pytest.mark.parametrize(
    ("option", "said"),
    [("--scp", "no service control policy"), ("--iam", "snapshot"), ("--policy", "own.json")],
)
def test_files_that_hold_something_else_are_refused(
    run: Run, case: Path, tmp_path: Path, option: str, said: str
) -> None:
    """An empty object is neither a snapshot, nor a policy, nor an SCP."""
    ran = run("guard", "--case", case, option, written(tmp_path / "own.json", {}))

    assert 2 == ran.code
    assert said in ran.err
