"""Guard after containment: what shows that a plan did not hold is told, and nothing else; and when it is over."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from watch_cases import Json, Remembering, packed, watched

from evidence import START, held
from tokentrail import Case
from tokentrail.containment import planfile
from tokentrail.containment.execution.history import history
from tokentrail.containment.execution.journal import Journal, journal_path
from tokentrail.containment.execution.undone_steps import step_changes, undone_by
from tokentrail.containment.model import Call, Plan
from tokentrail.policy.history.changes import Change
from tokentrail.testing import World
from tokentrail.testing.story import Story, story
from tokentrail.watch.guard import Guard

HOME = "111122223333"
CLOSED = f"arn:aws:iam::{HOME}:policy/Closed"


@pytest.fixture(name="told", scope="module")
def _told() -> Story:
    return story(ordinary_day=False)


def time_of(record: Json) -> datetime:
    return datetime.fromisoformat(str(record["eventTime"]))


def planned(told: Story, folder: Path, until: datetime) -> tuple[Path, Plan]:
    """The plan that could be made at a moment, as a file."""
    (folder / "log.json.gz").write_bytes(
        packed([one for one in told.world.records() if time_of(one) <= until])
    )
    with Case.open(folder / "before") as case:
        case.ingest([str(folder / "log.json.gz")])
        plan = case.contain([told.key_ids["A"]])
    planfile.save(plan, folder / "plan.json")
    return folder / "plan.json", plan


def guarded(
    told: Story, folder: Path, path: Path, at: datetime, extra: Sequence[Json] = (), *, days: int = 0
) -> list[Json]:
    """What guard tells of the whole story, and of more records, so many days later."""
    now = (told.moments.end + timedelta(days=days, hours=1)).timestamp()
    sink = Remembering()
    watched(folder / "case", [[told.world.records()], [list(extra)]] if extra else [[told.world.records()]], sink,
            guards=[Guard(path, at)], clock=lambda: now)  # fmt: skip
    return [one for one in sink.standing().values() if one["rule"].startswith("guard-")]


def change(name: str, when: datetime, **asked: str) -> Json:
    """A successful call of IAM by somebody else."""
    return {
        "eventVersion": "1.09", "eventTime": f"{when:%Y-%m-%dT%H:%M:%SZ}", "eventSource": "iam.amazonaws.com",
        "eventName": name, "awsRegion": "us-east-1", "sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli/2",
        "userIdentity": {
            "type": "IAMUser", "principalId": "AIDAEXAMPLE000000001", "accountId": "111122223333",
            "arn": "arn:aws:iam::111122223333:user/mallory", "accessKeyId": "AKIAEXAMPLE000000001", "userName": "mallory",
        },
        "requestParameters": asked, "responseElements": None, "eventID": f"0000{when:%d%H%M%S}-0000-4000-8000-000000000001",
        "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": "111122223333",
    }  # fmt: skip


def test_what_goes_on_after_a_plan_is_told_at_once(told: Story, tmp_path: Path) -> None:
    """A plan that nobody carried out: each tainted credential that goes on is told once, and each child that it mints."""
    first = told.moments.key_deactivated
    path, plan = planned(told, tmp_path, first - timedelta(seconds=1))

    found = guarded(told, tmp_path, path, first)

    children = {one["subject"] for one in found if one["rule"] == "guard-new-child"}
    successes = {one["subject"] for one in found if one["rule"] == "guard-success"}
    assert children >= {told.key_ids["D"], told.key_ids["E"]}
    assert successes
    assert children.isdisjoint(plan.tainted)
    assert {one["severity"] for one in found} == {"critical"}


def test_a_plan_that_holds_raises_nothing_until_it_is_over(told: Story, tmp_path: Path) -> None:
    """
    Where nothing tainted acts any more, guard is silent, and tells when the last credential has expired.

    That it has by the clock is not enough: logs that have not come may tell of another.
    """
    last = max(time_of(one) for one in told.world.records())
    path, plan = planned(told, tmp_path, last)
    later = []
    for account in sorted({arn.split(":")[4] for step in plan.steps for arn in step.principals}):
        later.append(change("CreateGroup", last + timedelta(days=2, seconds=len(later))))
        later[-1]["recipientAccountId"] = later[-1]["userIdentity"]["accountId"] = account

    assert [] == guarded(told, tmp_path, path, last, days=3)
    found = guarded(told, tmp_path / "later", path, last, later, days=3)

    assert ["guard-over"] == [one["rule"] for one in found]
    assert found[0]["next"].startswith("tokentrail undo")


def test_whoever_takes_back_a_step_is_told(told: Story, tmp_path: Path) -> None:
    """
    Lifting a policy or key of the plan is told, with who did it; the same call on another thing is not.

    So is what is lifted before it has taken effect: whoever may write IAM does so within seconds. A tainted credential
    whose user agent bears the id of a run of ours, as the log shows it, is no run of ours.
    """
    last = max(time_of(one) for one in told.world.records())
    path, plan = planned(told, tmp_path, last)
    with Journal(journal_path(path), plan=planfile.digest(plan), run="run-1") as journal:
        for step in plan.steps:
            sent, bites = (f"{last + timedelta(seconds=after):%Y-%m-%dT%H:%M:%SZ}" for after in (0, 600))
            journal.write({"kind": "step", "verb": "apply", "n": step.n, "outcome": "done", "sent_at": sent,
                           "bites_at": bites, "cutoff": None}, last)  # fmt: skip
    put = next(call for step in plan.steps for call in step.calls if call.operation.startswith("Put"))
    kind = "Role" if "RoleName" in put.parameters else "User"
    who = put.parameters[f"{kind}Name"]
    lifted = {f"{kind.lower()}Name": who, "policyName": put.parameters["PolicyName"]}
    extra = [
        change(f"Delete{kind}Policy", last + timedelta(seconds=5), **lifted),
        change(f"Delete{kind}Policy", last + timedelta(minutes=6), **{**lifted, "policyName": "another"}),
    ]
    for one in extra:
        one["recipientAccountId"] = one["userIdentity"]["accountId"] = put.account
    thief = next(one["userIdentity"] for one in told.world.records()
                 if one["userIdentity"].get("accessKeyId") == told.key_ids["A"])  # fmt: skip
    disguised = change(f"Delete{kind}Policy", last + timedelta(minutes=7), **lifted)
    extra += [{**disguised, "userIdentity": thief, "userAgent": "tokentrail/0.1 run/run-1"}]

    found = [one for one in guarded(told, tmp_path, path, last, extra) if one["rule"] == "guard-step-undone"]

    assert [extra[0]["eventID"], disguised["eventID"]] == [one["events"][0] for one in found]
    assert "mallory" in found[0]["why"]
    assert {one["severity"] for one in found} == {"critical"}


def test_the_same_policy_sent_again_takes_nothing_back(told: Story, tmp_path: Path) -> None:
    """Writing a step's policy again with the same or a later cutoff is no undoing; an earlier cutoff is."""
    last = max(time_of(one) for one in told.world.records())
    path, plan = planned(told, tmp_path, last)
    step, put = next(
        (step, call)
        for step in plan.steps
        for call in step.calls
        if step.cutoff and "PolicyDocument" in call.parameters
    )
    kind = "Role" if "RoleName" in put.parameters else "User"
    assert step.cutoff is not None
    spelled = f"{step.cutoff:%Y-%m-%dT%H:%M:%SZ}"
    extra = []
    for minutes, shift in ((5, 600), (6, -600)):
        moved = f"{step.cutoff + timedelta(seconds=shift):%Y-%m-%dT%H:%M:%SZ}"
        one = change(
            put.operation, last + timedelta(minutes=minutes),
            **{f"{kind.lower()}Name": put.parameters[f"{kind}Name"], "policyName": put.parameters["PolicyName"],
               "policyDocument": put.parameters["PolicyDocument"].replace(spelled, moved)},
        )  # fmt: skip
        one["recipientAccountId"] = one["userIdentity"]["accountId"] = put.account
        extra.append(one)
    assert json.loads(extra[0]["requestParameters"]["policyDocument"])

    found = [one for one in guarded(told, tmp_path, path, last, extra) if one["rule"] == "guard-step-undone"]

    assert [extra[1]["eventID"]] == [one["events"][0] for one in found]


def told_of(world: World, plan: Plan, done: Collection[int], folder: Path) -> list[Json]:
    """What guard tells of a world after some steps of a plan took effect, five minutes after it was made."""
    planfile.save(plan, folder / "plan.json")
    at = plan.as_of + timedelta(minutes=5)
    with Journal(journal_path(folder / "plan.json"), plan=planfile.digest(plan), run="run-1") as journal:
        spelled = f"{at:%Y-%m-%dT%H:%M:%SZ}"
        for n in done:
            journal.write({"kind": "step", "verb": "apply", "n": n, "outcome": "done", "sent_at": spelled,
                           "bites_at": spelled, "cutoff": None}, at)  # fmt: skip
    sink = Remembering()
    watched(folder / "case", [[world.records()]], sink, guards=[Guard(folder / "plan.json", at)],
            clock=lambda: world.now.timestamp())  # fmt: skip
    return [one for one in sink.standing().values() if one["rule"].startswith("guard-")]


def test_a_step_that_is_not_done_has_ended_nothing_yet(tmp_path: Path) -> None:
    """What goes on before its own step is done is no alarm; a key that answers GetCallerIdentity once inactive is one."""
    world = World(START)
    user = world.user("ada")
    token = user.gets_session_token()
    with held(world) as case:
        plan = case.contain([user.id])
    assert "deactivate-key" == plan.steps[0].action and token.id in plan.steps[1].ends
    world.wait(1200)
    token.calls("s3:ListBuckets")
    user.calls("sts:GetCallerIdentity")

    found = told_of(world, plan, {1}, tmp_path)

    assert [("guard-success", user.id)] == [(one["rule"], one["subject"]) for one in found]


def test_what_a_service_does_in_a_credential_s_name_is_no_alarm(tmp_path: Path) -> None:
    """The service was asked before the steps took effect, and acts with a session of its own."""
    world = World(START)
    key = world.user("ada")
    session = key.assumes("Deploy")
    session.calls("s3:ListBuckets")
    with held(world) as case:
        plan = case.contain([key.id])
    world.wait(1200)
    session.via("cloudformation.amazonaws.com").calls("s3:ListBuckets")
    session.calls("sts:GetCallerIdentity")

    assert [] == told_of(world, plan, {1, 2, 3}, tmp_path)


def test_a_plan_is_guarded_from_the_first_start_on_where_nobody_says_since_when(
    told: Story, tmp_path: Path
) -> None:
    """A restart forgets nothing of what was done before it and comes after it; what is named outright counts more."""
    path, _ = planned(told, tmp_path, told.moments.end)
    for minutes, assumed, minute in ((0, True, 0), (30, True, 0), (40, False, 40)):
        guard = Guard(path, START + timedelta(minutes=minutes), assumed=assumed)
        guard.begun_in(tmp_path)
        assert f"carried out by 2026-11-23T09:{minute:02}:00Z" in guard.told()[0]


def test_what_a_host_hands_out_after_the_plan_is_told_once(tmp_path: Path) -> None:
    """
    Not again at each rotation, as it may be the owner's; but once more where it was used from the thief's address.

    What the host had before the steps took effect and what works after them, they did not end.
    """
    world = World(START)
    first = world.instance("Web")
    first.seen_from("203.0.113.77").calls("s3:ListBuckets")
    with held(world) as case:
        plan = case.contain([first.id])
    world.wait(60)
    before = first.rotates()
    world.wait(3600)
    before.calls("s3:ListBuckets")
    second, third, fourth = (first.rotates() for _ in range(3))
    second.calls("s3:ListBuckets")
    third.seen_from("203.0.113.77").calls("s3:ListBuckets")
    fourth.seen_from("203.0.113.77").calls("s3:ListBuckets")

    found = told_of(world, plan, [one.n for one in plan.steps], tmp_path)

    assert {
        ("guard-success", "critical", before.id), ("guard-source-open", "high", second.id),
        ("guard-source-open", "critical", third.id),
    } == {(one["rule"], one["severity"], one["subject"]) for one in found}  # fmt: skip
    assert 3 == len(found)


@pytest.mark.parametrize(
    ("name", "asked", "document", "step"),
    [
        ("DetachPolicy", {"policyId": "p-made", "targetId": HOME}, None, 1),
        ("DisablePolicyType", {"policyType": "SERVICE_CONTROL_POLICY", "rootId": "r-abcd"}, None, 1),
        ("DisablePolicyType", {"policyType": "TAG_POLICY", "rootId": "r-abcd"}, None, None),
        ("RemoveAccountFromOrganization", {"accountId": HOME}, None, 1),
        ("RemoveAccountFromOrganization", {"accountId": "444455556666"}, None, None),
        ("UpdatePolicy", {"policyId": "p-made"}, "{}", 1),
        ("UpdatePolicy", {"policyId": "p-made", "name": "another"}, None, None),
        ("DetachPolicy", {"policyId": "p-other", "targetId": HOME}, None, None),
        ("CreatePolicyVersion", {"policyArn": CLOSED, "setAsDefault": True}, "{}", 2),
        ("CreatePolicyVersion", {"policyArn": CLOSED}, "{}", None),
        ("SetDefaultPolicyVersion", {"policyArn": CLOSED, "versionId": "v1"}, None, 2),
        ("SetDefaultPolicyVersion", {"policyArn": f"{CLOSED}2", "versionId": "v1"}, None, None),
    ],
)
def test_what_an_attached_policy_says_is_guarded_too(
    name: str, asked: Json, document: str | None, step: int | None
) -> None:
    """
    A policy that the plan had yet to make is known by the id in its journal; to rewrite one takes it back, too.

    So does what takes all SCPs from its target; a delegated administrator may detach what the management account attached.
    """
    attached = {"UserName": "ada", "PolicyArn": CLOSED}
    control = Call(
        account="222233334444", service="organizations", operation="AttachPolicy",
        parameters={"PolicyId": "p-made", "TargetId": HOME},
    )  # fmt: skip
    made = {"account": HOME, "service": "iam", "operation": "AttachUserPolicy", "parameters": attached}
    now = datetime.now(UTC).isoformat()
    lines = [
        {"kind": "already", "verb": "apply", "n": n, "index": 0, "seq": n, "at": now, "thing": str(n), "meant": meant,
         "before": {}, "wanted": {}, "cutoff": None}
        for n, meant in ((1, {**dataclasses.asdict(control)}), (2, made))
    ]  # fmt: skip
    things = step_changes(cast("Plan", SimpleNamespace(steps=())), history(lines))

    of_iam = name in ("CreatePolicyVersion", "SetDefaultPolicyVersion")
    written = {} if document is None else {"policyDocument" if of_iam else "content": document}
    logged = Change(
        time=datetime.now(UTC), event_id="e-1", account="" if of_iam else "999988887777", event_name=name,
        event_source=f"{'iam' if of_iam else 'organizations'}.amazonaws.com", request=asked | written,
    )  # fmt: skip
    found = undone_by(things, logged)

    assert step == (found.step if found else None)
