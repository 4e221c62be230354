"""`contain`, and the plan in `investigate`: what they print, in each format, and how they end."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evidence import HOME, START, held, session, user
from evidence import call as record
from shell import Run
from tokentrail.case import Case
from tokentrail.containment.model import Plan
from tokentrail.present.text.plan_text import write_script
from tokentrail.testing import FAKE_SESSION_TOKEN, World, native
from tokentrail.testing.story import Story

FORMATS = ("text", "json", "jsonl", "csv")
EARLY = "2026-11-23T10:01:00Z"
HOSTILE = 'x\'; touch pwned; "$(touch pwned)" `touch pwned`\n\x1b[2Jrm\u202e'
POLICY = "${step.call[0$(touch pwned)].Policy.PolicySummary.Id}"
"""A name that looks like the place of a policy's id, which a script fills in."""


@pytest.fixture(name="hostile", scope="module", params=[HOSTILE, POLICY], ids=["quotes", "place of a policy"])
def _hostile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A case whose user and session are named so that they would run if they could."""
    name: str = request.param
    key = "AKIAIOSFODNN7EXAMPLE"
    thief = user(name, key, userName=name)
    arn = f"arn:aws:iam::{HOME}:role/Deploy"
    records = [
        record("ListBuckets", "2026-11-23T09:00:00Z", thief, source="s3.amazonaws.com"),
        record(
            "AssumeRole", "2026-11-23T09:00:10Z", thief,
            requestParameters={"roleArn": arn, "roleSessionName": name},
            responseElements={
                "credentials": {"accessKeyId": "ASIAIOSFODNN7EXAMPL1", "sessionToken": FAKE_SESSION_TOKEN},
                "assumedRoleUser": {"assumedRoleId": f"AROADEPLOY:{name}", "arn": f"{arn}/{name}"},
            },
        ),
        record(
            "ListBuckets", "2026-11-23T09:00:20Z", session(created="2026-11-23T09:00:10Z", name=name),
            source="s3.amazonaws.com",
        ),
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "log.json").write_bytes(native(records))
    with Case.open(folder / "case") as case:
        case.ingest([str(folder / "log.json")], workers=1)
    return folder / "case", key


@pytest.fixture(name="left", scope="module")
def _left(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Logs of a service-linked role's session, which nothing can end."""
    world = World(START)
    service = world.service("backup.amazonaws.com", "AWSServiceRoleForBackup")
    service.calls("ec2:DescribeVolumes")
    folder = tmp_path_factory.mktemp("left")
    (folder / "log.json").write_bytes(native(world.records()))
    return folder / "log.json", service.id


def test_text_begins_with_the_verdict_and_ends_with_the_proof(run: Run, case: Path, told: Story) -> None:
    """Verdict, steps with what they end and whom they hit, the proof and what it rests on, what goes on."""
    ran = run("contain", told.a.key_id, "--case", case, "--as-of", EARLY)

    assert ran.code == 0
    assert ran.out.startswith("COMPLETE: standard plan, 3 steps, as of 2026-11-23T10:01:00Z\n")
    places = [
        ran.out.index(one)
        for one in (
            "Step 1  deactivate-key", "Step 2  revoke-user-sessions", "Step 3  revoke-role-sessions", "Proof, from logged activity",
            "Not covered by this plan",
        )
    ]  # fmt: skip
    assert places == sorted(places)
    assert f"collateral   {told.ria_before.key_id} (role/MyBucketRole)" in ran.out
    assert "2026-11-23T10:02:00Z" in ran.out


def test_the_plan_in_each_format(run: Run, case: Path, told: Story) -> None:
    """JSON is the whole plan; JSON lines and CSV have a step a line, with the same numbers, actions and ends."""
    whole = json.loads(run("contain", told.a.key_id, "--case", case, "--format", "json").out)
    lines = [
        json.loads(line)
        for line in run("contain", told.a.key_id, "--case", case, "--format", "jsonl").out.splitlines()
    ]
    table = list(
        csv.DictReader(io.StringIO(run("contain", told.a.key_id, "--case", case, "--format", "csv").out))
    )

    assert lines == whole["steps"]
    assert [(str(one["n"]), one["action"]) for one in lines] == [(row["n"], row["action"]) for row in table]
    assert set(table[0]) == set(lines[0])


def test_an_incomplete_plan_is_1_and_printed_all_the_same(
    run: Run, case: Path, told: Story, left: tuple[Path, str]
) -> None:
    """Refuted steps, and a plan that can't be complete, end with 1 and say what is left."""
    ran = run("contain", told.a.key_id, "--case", case, "--what-if", f"deactivate-key:{told.a.key_id}")
    assert ran.code == 1
    assert ran.out.startswith("NOT COMPLETE: given steps, 1 step")
    assert f"{told.b.key_id} (session token of user/support) still works" in " ".join(ran.out.split())

    logs, subject = left
    ran = run("investigate", logs, "--subject", subject, "--format", "json")
    assert ran.code == 1
    assert json.loads(ran.out)["plan"]["proof"]["complete"] is False
    assert run("contain", subject).code == 1


def test_investigate_ends_with_the_plan(run: Run, logs: Path, told: Story) -> None:
    """As JSON lines too: the last line is the plan, which is the one that `contain` makes."""
    ran = run("investigate", logs, "--subject", told.a.key_id, "--format", "jsonl")
    last = json.loads(ran.out.splitlines()[-1])
    alone = json.loads(run("contain", told.a.key_id, "--format", "json").out)

    assert ran.code in (0, 1)  # findings make it 1, whatever the plan is
    assert last.pop("section") == "plan"
    assert last == alone


def test_the_plan_file_is_the_document(run: Run, case: Path, told: Story, tmp_path: Path) -> None:
    """-o writes what --format json prints, says so on stderr, and names `apply` with plan and case, to be pasted."""
    ran = run("contain", told.a.key_id, "--case", case, "--format", "json", "-o", tmp_path / "plan.json")

    assert ran.code == 0
    assert json.loads((tmp_path / "plan.json").read_text()) == json.loads(ran.out)
    assert f"`tokentrail apply {tmp_path / 'plan.json'} --case {case}`" in " ".join(ran.err.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--what-if", "deactivate-key"), "ACTION:TARGET"),
        (("--what-if", "unplug:everything"), "actions are deactivate-key"),
        (("--what-if", "deny-role:MyBucketRole"), "expected the ARN of a user or role"),
        (("--what-if", "delete-key:AKIANOBODYHASTHIS"), "no long-term key"),
        (
            ("--what-if", "deny-role:mybucketrole"),
            "Did you mean arn:aws:iam::111122223333:role/MyBucketRole?",
        ),
        (("--iam", "no-such-file.json"), "no-such-file.json: can't be read"),
        (("--iam", "empty.json"), "get-account-authorization-details"),
        (("--iam", "iam.json", "--iam", "iam.json"), "Two snapshots are of account"),
        (("--strategy", "gentle"), "'surgical'"),
        (("--margin", "4"), "--margin 4"),
        (("--lag", "-1"), "--lag -1"),
        (("--source-ip", "office"), "no IP address or network"),
    ],
)
def test_wrong_use_is_2(
    arguments: tuple[str, ...], said: str, run: Run, case: Path, told: Story, tmp_path: Path
) -> None:
    """Steps, snapshots and numbers that can't be used are told plainly, and nothing is printed."""
    (tmp_path / "empty.json").write_text("{}")
    holder = {"Arn": f"arn:aws:iam::{HOME}:user/ada", "UserName": "ada", "UserId": "AIDAX", "Path": "/"}
    (tmp_path / "iam.json").write_text(json.dumps({"UserDetailList": [holder], "RoleDetailList": []}))
    ran = run("contain", told.a.key_id, "--case", case, *arguments)

    assert (ran.code, ran.out) == (2, "")
    assert said in " ".join(ran.err.split())


def test_an_unknown_subject_is_2(run: Run, case: Path) -> None:
    """As in `trace`."""
    assert run("contain", "AKIANOBODYHASTHIS", "--case", case).code == 2
    assert run("contain", "--case", case).code == 2


def test_what_only_guard_reads_beside_a_snapshot_is_named(
    run: Run, case: Path, told: Story, tmp_path: Path
) -> None:
    """A credential report and a list of roles given with --iam are no error: they are named, and the plan is the same."""
    holder = {"Arn": f"arn:aws:iam::{HOME}:user/ada", "UserName": "ada", "UserId": "AIDAX", "Path": "/"}
    (tmp_path / "iam.json").write_text(json.dumps({"UserDetailList": [holder], "RoleDetailList": []}))
    (tmp_path / "roles.json").write_text(
        json.dumps({"Roles": [{"Arn": f"arn:aws:iam::{HOME}:role/Deploy", "MaxSessionDuration": 7200}]})
    )
    (tmp_path / "report.csv").write_text(
        "user,arn,user_creation_time,password_enabled,mfa_active,access_key_1_active\n"
        f"ada,{holder['Arn']},2020-01-01T00:00:00+00:00,false,false,true\n"
    )
    asked = ("contain", told.a.key_id, "--case", case, "--iam", "iam.json", "--format", "json")
    alone, with_more = run(*asked), run(*asked, "--iam", "report.csv", "--iam", "roles.json")

    assert (alone.code, alone.out) == (with_more.code, with_more.out)
    for name in ("report.csv", "roles.json"):
        assert f"{name}: no IAM snapshot" in with_more.err


def test_a_snapshot_widens_the_proof(run: Run, case: Path, told: Story, tmp_path: Path) -> None:
    """With --iam the scope is trust policies, in JSON and in words."""
    holder = {"Arn": told.user.arn, "UserName": "support", "UserId": told.user.id, "Path": "/"}
    (tmp_path / "iam.json").write_text(json.dumps({"UserDetailList": [holder], "RoleDetailList": []}))
    ran = run("contain", told.a.key_id, "--case", case, "--iam", "iam.json", "--format", "json")

    assert json.loads(ran.out)["proof"]["scope"] == "trust-policies"
    text = run("contain", told.a.key_id, "--case", case, "--iam", "iam.json").out
    assert "Proof, from trust policies and permissions" in text


def test_scps_narrow_what_snapshots_allow(run: Run, case: Path, told: Story, tmp_path: Path) -> None:
    """A role that an SCP keeps the attacker out of needs no step; an SCP of another account changes nothing."""
    able = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    user = {"Arn": told.user.arn, "UserName": "support", "UserId": told.user.id, "Path": "/",
            "UserPolicyList": [{"PolicyName": "all", "PolicyDocument": able}]}  # fmt: skip
    trusting = {
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": told.user.arn}, "Action": "sts:AssumeRole"}]
    }
    role = {"Arn": f"arn:aws:iam::{HOME}:role/Other", "RoleName": "Other", "RoleId": "AROAOTHER", "Path": "/",
            "AssumeRolePolicyDocument": trusting}  # fmt: skip
    denial = {"Statement": [{"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": role["Arn"]}]}
    (tmp_path / "iam.json").write_text(json.dumps({"UserDetailList": [user], "RoleDetailList": [role]}))
    for name, account in (("here.json", HOME), ("there.json", "999988887777")):
        target = {"TargetId": account, "Type": "ACCOUNT"}
        (tmp_path / name).write_text(json.dumps([
            {"Name": "all", "Document": able, "Targets": [target]},
            {"Name": "no", "Document": denial, "Targets": [target]},
        ]))  # fmt: skip
    asked = ("contain", told.a.key_id, "--case", case, "--iam", "iam.json", "--format", "json")

    open_, shut, elsewhere = (
        run(*asked),
        run(*asked, "--scp", "here.json"),
        run(*asked, "--scp", "there.json"),
    )

    assert role["Arn"] in open_.out and role["Arn"] not in shut.out
    assert elsewhere.out == open_.out


def test_an_scp_without_a_snapshot_is_said_to_be_of_no_use(
    run: Run, case: Path, told: Story, tmp_path: Path
) -> None:
    """The plan is the same."""
    (tmp_path / "scp.json").write_text(json.dumps({"Statement": [{"Effect": "Deny", "Action": "*"}]}))
    asked = ("contain", told.a.key_id, "--case", case, "--format", "json")

    found = run(*asked, "--scp", "scp.json")

    assert "of no use without a snapshot" in found.err and found.out == run(*asked).out


def test_report_and_investigate_take_snapshots_too(
    run: Run, case: Path, logs: Path, told: Story, tmp_path: Path
) -> None:
    """Their plans are proved over trust policies as `contain`'s; a file that is none is refused before anything."""
    holder = {"Arn": told.user.arn, "UserName": "support", "UserId": told.user.id, "Path": "/"}
    (tmp_path / "iam.json").write_text(json.dumps({"UserDetailList": [holder], "RoleDetailList": []}))
    (tmp_path / "none.json").write_text("[]")
    asked = ("investigate", logs, "--subject", told.a.key_id, "--case", tmp_path / "own", "--format", "json")
    plan = json.loads(run(*asked, "--iam", "iam.json").out)["plan"]
    refused = [
        run(*asked, "--iam", "none.json"),
        run("report", told.a.key_id, "--case", case, "-o", "x.html", "--iam", "none.json"),
    ]
    page = run("report", told.a.key_id, "--case", case, "-o", "-", "--iam", "iam.json").out

    assert plan["proof"]["scope"] == "trust-policies"
    assert [2, 2] == [one.code for one in refused] and all("none.json" in one.err for one in refused)
    assert "IAM is as in the snapshots" in page


@pytest.mark.parametrize("format_", FORMATS)
def test_the_same_bytes_every_time_and_no_session_token(
    format_: str, run: Run, case: Path, told: Story, tmp_path: Path
) -> None:
    """For the same case and arguments, on stdout and in the file; and no secret is in either."""
    arguments = ("contain", told.a.key_id, "--case", case, "--strategy", "surgical", "--format", format_)
    once, again = (run(*arguments, "-o", tmp_path / name) for name in ("1.json", "2.json"))
    files = [(tmp_path / name).read_bytes() for name in ("1.json", "2.json")]

    assert once.out == again.out
    assert files[0] == files[1]
    assert FAKE_SESSION_TOKEN not in once.out + once.err + files[0].decode()


# ---------------------------------------------------------------- the plan as a script


def ran_in_bash(script: str, folder: Path, stubs: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Run a script with some programs replaced by lines of bash."""
    programs = folder / "stubs"
    programs.mkdir()
    for name, body in stubs.items():
        (programs / name).write_text(f"#!/bin/bash\n{body}\n")
        (programs / name).chmod(0o700)
    (folder / "plan.sh").write_text(script)
    return subprocess.run(
        ["bash", "plan.sh"], cwd=folder, env={"PATH": f"{programs}:{os.environ['PATH']}"}, input=b"\n" * 9,
        capture_output=True, check=False,
    )  # fmt: skip


def called(folder: Path) -> list[list[str]]:
    """What `aws` wrote down, call by call."""
    calls = (folder / "calls").read_text().split("\n\0")[:-1]
    return [one.split("\0")[:-1] for one in calls]


def carried_out(script: str, folder: Path, *, refused: str = "none") -> list[list[str]]:
    """Run a script where `aws` writes down its arguments, and give them call by call; one verb may be refused."""
    noted = f'printf "%s\\0" "$@" >>calls; printf "\\n\\0" >>calls; echo p-1; [[ " $* " != *" {refused} "* ]]'
    done = ran_in_bash(script, folder, {"aws": noted, "sleep": ":"})
    assert done.returncode == 0, done.stderr
    return called(folder)


def test_the_script_makes_the_plans_calls(run: Run, case: Path, told: Story, tmp_path: Path) -> None:
    """In order, by account, with cutoffs of its own time; bash takes it, and its first lines say what it is."""
    ran = run("contain", told.a.key_id, "--case", case, "--as-of", EARLY, "--script")
    assert ran.code == 0
    assert ran.out.startswith("#!/usr/bin/env bash\n# Containment plan of case ")
    assert ": complete." in ran.out.splitlines()[1]
    assert subprocess.run(["bash", "-n"], input=ran.out.encode(), check=False).returncode == 0

    key, put_user, put_role = carried_out(ran.out, tmp_path)
    assert key == [
        "--profile", f"ACCOUNT-{HOME}", "iam", "update-access-key", "--user-name=support",
        f"--access-key-id={told.a.key_id}", "--status=Inactive",
    ]  # fmt: skip
    assert put_user[3:5] == ["put-user-policy", "--user-name=support"]
    assert put_user[5].startswith("--policy-name=TokenTrail-RevokeSessions")
    for one in (put_user, put_role):
        (statement,) = json.loads(one[-1].removeprefix("--policy-document="))["Statement"]
        assert statement["Condition"]["DateLessThan"]["aws:TokenIssueTime"] > "2026-11-23T10:02:00Z"


SLOW_AWS = """
now=$(<clock); echo $((now + SECONDS_EACH)) >clock
printf "%s\\0" "$now" "$@" >>calls; printf "\\n\\0" >>calls"""
"""An aws-cli that takes some seconds for each call, and writes down when it was called."""
GNU_DATE = """
[[ $* == +%s ]] && exec cat clock
[[ $* == *"+60 seconds"* ]] && exec /bin/date -u -d "@$(($(<clock) + 60))" "${@: -1}"
exec /bin/date "$@" """
BSD_DATE = """
[[ $* == +%s ]] && exec cat clock
[[ $2 == -r ]] && exec /bin/date -u -d "@$3" "$4"
exit 1"""
"""Clocks that go on only while the aws-cli works, with the options of GNU's and of BSD's."""


def ran_slowly(plan: Plan, folder: Path, date: str, each: int) -> subprocess.CompletedProcess[bytes]:
    """Run a plan's script where each call takes some seconds."""
    script = io.StringIO()
    write_script(plan, script)
    (folder / "clock").write_text(str(int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp())))
    slow = SLOW_AWS.replace("SECONDS_EACH", str(each))
    return ran_in_bash(script.getvalue(), folder, {"aws": slow, "date": date, "sleep": ":"})


@pytest.mark.parametrize(("date", "each"), [(GNU_DATE, 1), (GNU_DATE, 5), (BSD_DATE, 5), (GNU_DATE, 40)], ids=["fast", "slow", "slow, BSD", "very slow"])  # fmt: skip
def test_each_cutoff_of_a_script_lies_a_margin_after_its_call(date: str, each: int, tmp_path: Path) -> None:
    """
    However long the calls of a step take, each call has a cutoff of a minute after it was sent, or later.

    All roles end up with the same one, so that no session of a role can mint a session of another that outlives it.
    """
    world = World(START)
    key = world.user("support")
    for number in range(80):
        key.assumes(f"Role{number}", "x").calls("s3:ListBuckets")
    with held(world) as case:
        plan = case.contain([key.id])

    done = ran_slowly(plan, tmp_path, date, each)

    assert done.returncode == 0, done.stderr
    last: dict[str, str] = {}
    for sent, *arguments in called(tmp_path):
        if arguments[3] == "put-role-policy":
            (statement,) = json.loads(arguments[-1].removeprefix("--policy-document="))["Statement"]
            cutoff = statement["Condition"]["DateLessThan"]["aws:TokenIssueTime"]
            assert datetime.fromisoformat(cutoff).timestamp() >= int(sent) + plan.margin
            last[arguments[4]] = cutoff
    assert len(last) == 80
    assert len(set(last.values())) == 1
    assert (b"sent again" in done.stderr) == (each > 2)


def test_a_script_says_where_calls_that_can_not_be_sent_again_took_too_long(tmp_path: Path) -> None:
    """AWS makes a policy of one name only once: the script stops, and names what mends it."""
    world = World(START)
    key, robot = world.user("support"), world.user("robot")
    key.assumes("MyBucketRole", "x").calls("s3:ListBuckets")
    for number in range(60):
        robot.assumes("MyBucketRole", f"build-{number:05}")
    robot.calls("s3:ListBuckets")
    with held(world) as case:
        plan = case.contain([key.id], strategy="surgical")
    assert any(call.operation == "CreatePolicy" for call in plan.steps[-1].calls)

    done = ran_slowly(plan, tmp_path, GNU_DATE, 40)

    assert done.returncode == 1
    assert b"carry it out with tokentrail apply" in done.stderr


def test_a_script_of_a_refuted_plan_says_so(run: Run, case: Path, told: Story) -> None:
    """In its first lines; and the exit code is 1."""
    ran = run(
        "contain", told.a.key_id, "--case", case, "--script", "--what-if", f"deactivate-key:{told.a.key_id}"
    )

    assert ran.code == 1
    assert "NOT COMPLETE" in ran.out.splitlines()[1]


def test_a_script_waits_for_what_is_done_by_hand(run: Run, tmp_path: Path) -> None:
    """What a person must do is a comment and a pause; an id that one call answers is given to the next."""
    world = World(START)
    person = world.identity_center("eve@example.com", "Admin")
    person.calls("s3:ListBuckets")
    (tmp_path / "log.json").write_bytes(native(world.records()))
    run("ingest", tmp_path / "log.json")
    ran = run("contain", person.id, "--script", "--management-account", "999999999999")

    assert "Press Enter when it is done" in ran.out
    make, attach = carried_out(ran.out, tmp_path)
    assert make[:4] == ["--profile", "ACCOUNT-999999999999", "organizations", "create-policy"]
    assert attach[3:] == ["attach-policy", "--policy-id=p-1", f"--target-id={HOME}"]


def test_a_script_goes_on_where_a_task_has_ended_by_itself(run: Run, tmp_path: Path) -> None:
    """ECS refuses to stop what it has forgotten: whoever runs the script is asked, and the roles are cut."""
    world = World(START)
    key = world.user("support")
    task = key.runs_task("Job")
    task.calls("s3:ListBuckets")
    (tmp_path / "log.json").write_bytes(native(world.records()))
    run("ingest", tmp_path / "log.json")
    ran = run("contain", key.id, "--script")
    calls = carried_out(ran.out, tmp_path, refused="stop-task")

    assert [
        "ecs",
        "stop-task",
        "--region=us-east-1",
        "--cluster=main",
        f"--task={task.session_name}",
    ] == calls[1][2:]
    assert ["update-access-key", "stop-task", "put-user-policy", "put-role-policy"] == [
        one[3] for one in calls
    ]
    assert "sleep 130" in ran.out and "export AWS_PAGER=" in ran.out


def test_hostile_names_are_inert_in_the_script(run: Run, hostile: tuple[Path, str], tmp_path: Path) -> None:
    """Quotes, substitutions, line breaks and escape sequences in names run nothing, and stay one argument."""
    folder, key = hostile
    ran = run("contain", key, "--case", folder, "--script")
    assert subprocess.run(["bash", "-n"], input=ran.out.encode(), check=False).returncode == 0
    assert "\x1b" not in ran.out and "\u202e" not in ran.out

    calls = carried_out(ran.out, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calls", "plan.sh", "stubs"]
    assert [one[3] for one in calls] == ["update-access-key", "put-user-policy", "put-role-policy"]
    assert all(len(one) == 7 for one in calls)


def test_a_name_that_looks_like_an_option_is_a_name_in_the_script(run: Run, tmp_path: Path) -> None:
    """IAM lets names begin with `-`; each stays the value of the parameter that it is for."""
    world = World(START)
    key = world.user("--debug")
    key.assumes("-Role", "x").calls("s3:ListBuckets")
    (tmp_path / "log.json").write_bytes(native(world.records()))
    run("ingest", tmp_path / "log.json")
    ran = run("contain", key.id, "--script")

    found = [one[4] for one in carried_out(ran.out, tmp_path)]
    assert found == ["--user-name=--debug", "--user-name=--debug", "--role-name=-Role"]


@pytest.mark.parametrize("format_", FORMATS)
def test_hostile_names_are_inert_in_the_plan(format_: str, run: Run, hostile: tuple[Path, str]) -> None:
    """On a terminal nothing moves; in JSON they are escaped, and come back as they were."""
    folder, key = hostile
    ran = run("contain", key, "--case", folder, "--format", format_)

    assert ran.code == 0
    assert "\x1b" not in ran.out
    if format_ == "json":
        found: Any = json.loads(ran.out)
        assert {HOSTILE, POLICY} & {found["steps"][0]["calls"][0]["parameters"]["UserName"]}
