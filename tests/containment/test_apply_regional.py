"""Calls to services that are another one in each region: each goes where its plan says, and is taken back there."""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from carry_cases import HOME, Stand, call, plan_of, step

from tokentrail.containment import planfile
from tokentrail.containment.execution.aws import Accounts
from tokentrail.containment.execution.history import history
from tokentrail.containment.execution.outcome import Applied, Undone
from tokentrail.containment.execution.undo import Undo
from tokentrail.containment.model import Call, Plan
from tokentrail.containment.verification.verify import verify
from tokentrail.errors import UsageError

NEAR, FAR = "us-east-1", "eu-west-1"
ANCHOR = "49e25ec3-bdfe-4150-8683-b4ea4ee85cfd"
SIGN_IN = f"arn:aws:signin:{FAR}:{HOME}:session/5d0d7a37-2f43-4c5b-9a43-6a1d5e1ac1f1"

ends_sign_ins = pytest.mark.skipif(
    not hasattr(boto3.client("signin", region_name=FAR), "batch_revoke_sessions"),
    reason="this boto3 knows no BatchRevokeSessions yet: such a step is left to a person",
)


def regional(service: str, operation: str, region: str = FAR, **parameters: Any) -> Call:
    return replace(call(operation, service, **parameters), region=region)


def carried(stand: Stand, plan: Plan, url: str) -> Applied:
    """Apply a plan at an address."""
    with Accounts("run-1", endpoint_url=url) as cloud:
        return stand.apply(plan, cloud=cloud)


def taken_back(stand: Stand, plan: Plan, url: str) -> Undone:
    """Undo it there, three days later."""
    stand.clock.now += timedelta(days=3)
    with stand.journal(plan) as journal, Accounts("run-1", endpoint_url=url) as cloud:
        undo = Undo(plan, cloud, journal, clock=stand.clock, reactivate_leaked_key=False)
        return undo.go(undo.look())


def instances(url: str, region: str) -> tuple[Any, str]:
    """A client, and an instance of that region that runs."""
    ec2 = boto3.client("ec2", endpoint_url=url, region_name=region)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    return ec2, ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]


def state(ec2: Any, instance: str) -> str:
    found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    return str(found["State"]["Name"])


def test_an_instance_is_stopped_in_its_own_region_and_started_there_again(
    stand: Stand, moto_url: str
) -> None:
    """StopInstances goes to the region that the call names, not to the one that the shell is set to."""
    (far, wanted), (near, other) = instances(moto_url, FAR), instances(moto_url, NEAR)
    plan = plan_of(step(1, "isolate-instance", regional("ec2", "StopInstances", InstanceIds=[wanted])))

    assert carried(stand, plan, moto_url).complete
    assert ("stopped", "running") == (state(far, wanted), state(near, other))
    assert taken_back(stand, plan, moto_url).complete
    assert ("running", "running") == (state(far, wanted), state(near, other))


def test_an_instance_loses_its_role_and_gets_it_back(stand: Stand, moto_url: str) -> None:
    """DisassociateIamInstanceProfile, and the same profile on the same instance afterwards."""
    ec2, instance = instances(moto_url, FAR)
    stand.iam.create_instance_profile(InstanceProfileName="web")
    made = ec2.associate_iam_instance_profile(InstanceId=instance, IamInstanceProfile={"Name": "web"})
    association = made["IamInstanceProfileAssociation"]["AssociationId"]
    plan = plan_of(
        step(
            1,
            "isolate-instance",
            regional("ec2", "DisassociateIamInstanceProfile", AssociationId=association),
        )
    )

    assert carried(stand, plan, moto_url).complete
    assert [] == ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    assert taken_back(stand, plan, moto_url).complete
    (back,) = ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    assert instance == back["InstanceId"] and back["IamInstanceProfile"]["Arn"].endswith("/web")


@pytest.mark.parametrize("reserved", [None, 7])
def test_a_function_runs_no_more_until_it_is_taken_back(
    stand: Stand, moto_url: str, reserved: int | None
) -> None:
    """Its reserved concurrency becomes 0, and afterwards what it was; in each region that of its own."""
    stand.iam.create_role(RoleName="Send", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}]}))  # fmt: skip
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("send.py", "")
    far, near = (boto3.client("lambda", endpoint_url=moto_url, region_name=one) for one in (FAR, NEAR))
    for client, held in ((far, reserved), (near, 7)):
        client.create_function(
            FunctionName="send", Role=f"arn:aws:iam::{HOME}:role/Send", Runtime="python3.12", Handler="send.go",
            Code={"ZipFile": code.getvalue()},
        )  # fmt: skip
        if held is not None:
            client.put_function_concurrency(FunctionName="send", ReservedConcurrentExecutions=held)
    stops = [
        regional("lambda", "PutFunctionConcurrency", one, FunctionName="send", ReservedConcurrentExecutions=0)
        for one in (FAR, NEAR)
    ]
    plan = plan_of(step(1, "isolate-instance", *stops))

    def now() -> list[int | None]:
        told = (one.get_function_concurrency(FunctionName="send") for one in (far, near))
        return [one.get("ReservedConcurrentExecutions") for one in told]

    assert carried(stand, plan, moto_url).complete
    assert [0, 0] == now()
    assert taken_back(stand, plan, moto_url).complete
    assert [reserved, 7] == now()


class Stub:
    """AWS Sign-In, IAM Roles Anywhere, ECS and CodeBuild, as far as plans call them: one state for each region, over HTTP."""

    def __init__(self, sts: str) -> None:
        self.calls: list[tuple[str, str]] = []
        """Region and path of each call, as its signature and its request line say."""
        self.revoked: set[tuple[str, str]] = set()
        self.disabled: set[tuple[str, str]] = set()
        self.stopped: set[tuple[str, str]] = set()
        self.gone: set[str] = set()
        self.stopping = 0
        """How often what was stopped is still running when it is asked for."""
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                scope = re.search(
                    r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/", self.headers["Authorization"] or ""
                )
                assert scope is not None
                region, service = scope.groups()
                if service == "sts":
                    self._answers(sts.encode(), "text/xml")
                    return
                path = (self.headers["X-Amz-Target"] or self.path).rpartition(".")[2]
                stub.calls.append((region, path))
                self._answers(json.dumps(stub.answer(region, path, json.loads(body or b"{}"))).encode())

            do_GET = do_POST  # noqa: N815  # as the base class wants it

            def _answers(self, content: bytes, kind: str = "application/json") -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, region: str, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        """What the service answers, in the shapes of its API Reference."""
        if path == "/get-session":
            arn = asked["sessionArn"]
            return {"sessionArn": arn, "status": "REVOKED" if (region, arn) in self.revoked else "ACTIVE"}
        if path == "/batch-revoke-sessions":
            self.revoked |= {(region, arn) for arn in asked["sessionArns"]}
            return {"revokedSessions": [{"sessionArn": arn} for arn in asked["sessionArns"]], "errors": []}
        if path in ("DescribeTasks", "StopTask", "BatchGetBuilds", "StopBuild"):
            return self.runs(region, path, asked)
        kind, _, rest = path.lstrip("/").partition("/")
        number, _, verb = rest.partition("/")
        if verb == "disable":
            self.disabled.add((region, number))
        elif verb == "enable":
            self.disabled.discard((region, number))
        told = {f"{kind}Id": number, "enabled": (region, number) not in self.disabled}
        return {"trustAnchor" if kind == "trustanchor" else "profile": told}

    def runs(self, region: str, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        """What ECS and CodeBuild answer of a task or build, which may take its time to stop."""
        name = asked.get("task") or asked.get("id") or (asked.get("tasks") or asked["ids"])[0]
        if path.startswith("Stop"):
            self.stopped.add((region, name))
            settings = [{"name": "DATABASE_PASSWORD", "value": "hunter2"}]
            overrides = {"containerOverrides": [{"name": "c", "environment": settings}]}
            return {"task": {"overrides": overrides, "createdAt": 1.5}, "build": {"environment": {
                "type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL",
                "environmentVariables": settings}}}  # fmt: skip
        if name in self.gone:
            gone = {"failures": [{"arn": name, "reason": "MISSING"}], "tasks": []}
            return gone if path == "DescribeTasks" else {"builds": [], "buildsNotFound": [name]}
        told = (region, name) in self.stopped
        over = told and self.stopping <= 0
        self.stopping -= told
        if path == "DescribeTasks":
            return {
                "tasks": [{"lastStatus": "STOPPED" if over else "STOPPING" if told else "RUNNING"}],
                "failures": [],
            }
        return {
            "builds": [
                {"id": name, "buildStatus": "STOPPED" if over else "IN_PROGRESS", "buildComplete": over}
            ]
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


_STS = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    f"<Arn>arn:aws:iam::{HOME}:user/responder</Arn><UserId>AIDARESPONDER</UserId><Account>{HOME}</Account>"
    "</GetCallerIdentityResult></GetCallerIdentityResponse>"
)


@pytest.fixture(name="stub")
def _stub() -> Iterator[Stub]:
    made = Stub(_STS)
    yield made
    made.close()


@ends_sign_ins
def test_a_sign_in_session_is_revoked_where_it_began_and_read_back(stand: Stand, stub: Stub) -> None:
    """BatchRevokeSessions in the session's own region; it reads back as revoked, and nothing brings it back."""
    plan = plan_of(
        step(1, "revoke-sign-in-sessions", regional("signin", "BatchRevokeSessions", sessionArns=[SIGN_IN]))
    )

    assert carried(stand, plan, stub.url).complete
    assert {(FAR, SIGN_IN)} == stub.revoked
    assert {FAR} == {region for region, _ in stub.calls}
    with stand.journal(plan) as journal, Accounts("run-1", endpoint_url=stub.url) as cloud:
        verified = verify(plan, history(journal.lines), cloud, None, now=stand.clock.now)
    assert verified.looked_back and verified.steps[0].reads_back
    undone = taken_back(stand, plan, stub.url)
    assert ["irreversible"] == [one.outcome for one in undone.things]


@ends_sign_ins
def test_a_session_that_is_revoked_already_is_left_alone(stand: Stand, stub: Stub) -> None:
    """It stands already: nothing is sent but the question."""
    stub.revoked.add((FAR, SIGN_IN))
    plan = plan_of(
        step(1, "revoke-sign-in-sessions", regional("signin", "BatchRevokeSessions", sessionArns=[SIGN_IN]))
    )

    assert carried(stand, plan, stub.url).complete
    assert {"/get-session"} == {path for _, path in stub.calls}


@pytest.mark.parametrize(
    ("operation", "parameter"), [("DisableTrustAnchor", "trustAnchorId"), ("DisableProfile", "profileId")]
)
def test_a_trust_anchor_or_profile_is_shut_in_its_region(
    stand: Stand, stub: Stub, operation: str, parameter: str
) -> None:
    """It lets nobody in any more, and does again once it is taken back."""
    plan = plan_of(step(1, "revert-trust", regional("rolesanywhere", operation, **{parameter: ANCHOR})))

    assert carried(stand, plan, stub.url).complete
    assert {(FAR, ANCHOR)} == stub.disabled
    assert taken_back(stand, plan, stub.url).complete
    assert set() == stub.disabled


TASK, BUILD = "0af2e1c4d96b4f0d8a0b6a1d2f3e4c5b", "site:3f6a1c1e-0e0c-4b51-8d0f-7b0c2a7e9f10"
STOPS = {
    "task": regional("ecs", "StopTask", cluster="main", task=TASK),
    "build": regional("codebuild", "StopBuild", id=BUILD),
}


def tasks(url: str, region: str) -> tuple[Any, str]:
    """A client, and a task of that region that runs."""
    ecs = boto3.client("ecs", endpoint_url=url, region_name=region)
    ecs.create_cluster(clusterName="main")
    ecs.register_task_definition(
        family="miner", containerDefinitions=[{"name": "c", "image": "i", "memory": 64}]
    )
    made = ecs.run_task(cluster="main", taskDefinition="miner", launchType="FARGATE")["tasks"][0]
    return ecs, made["taskArn"].rpartition("/")[2]


def test_a_task_is_stopped_in_its_own_region(stand: Stand, moto_url: str) -> None:
    """StopTask goes where the call says, to the one task, and what it did reads back."""
    (far, wanted), (near, other) = tasks(moto_url, FAR), tasks(moto_url, NEAR)
    plan = plan_of(step(1, "isolate-instance", regional("ecs", "StopTask", cluster="main", task=wanted)))

    assert carried(stand, plan, moto_url).complete
    assert "STOPPED" == far.describe_tasks(cluster="main", tasks=[wanted])["tasks"][0]["lastStatus"]
    assert "RUNNING" == near.describe_tasks(cluster="main", tasks=[other])["tasks"][0]["desiredStatus"]
    with stand.journal(plan) as journal, Accounts("run-1", endpoint_url=moto_url) as cloud:
        verified = verify(plan, history(journal.lines), cloud, None, now=stand.clock.now)
    assert verified.steps[0].reads_back and "proven" == verified.steps[0].verdict


@pytest.mark.parametrize("over", ["ended", "forgotten", "cluster gone"])
def test_a_task_that_is_over_needs_no_call(stand: Stand, moto_url: str, over: str) -> None:
    """One that has ended, one that ECS knows no more, and one whose cluster is gone: each stands already."""
    ecs, wanted = tasks(moto_url, FAR)
    if over == "ended":
        ecs.stop_task(cluster="main", task=wanted)
    given = {
        "cluster": "other" if over == "cluster gone" else "main",
        "task": TASK if over == "forgotten" else wanted,
    }
    plan = plan_of(step(1, "isolate-instance", regional("ecs", "StopTask", **given)))
    done = carried(stand, plan, moto_url)

    assert done.complete
    (result,) = done.steps[0].deeds
    assert "already" == result.outcome and (over == "ended") == (result.why is None)


@pytest.mark.parametrize("refused", ["DescribeTasks", "StopTask"])
def test_who_may_not_stop_a_task_is_told_and_nothing_goes_on(stand: Stand, refused: str) -> None:
    """A session without ecs:DescribeTasks or ecs:StopTask ends the run there, with the permission's name."""
    _, wanted = tasks(stand.wire.url, FAR)
    stand.wire.before = lambda action: (400, "AccessDeniedException") if action == refused else None
    plan = plan_of(step(1, "isolate-instance", regional("ecs", "StopTask", cluster="main", task=wanted)))
    done = stand.apply(plan)

    assert not done.complete and "AccessDeniedException" in (done.stopped or "")
    assert [] == [one for one in done.steps[0].deeds if one.outcome != "failed"]


@pytest.mark.parametrize("kind", STOPS)
@pytest.mark.parametrize("slow", [0, 1, 99])
def test_what_was_stopped_is_waited_for_until_it_has_ended(
    stand: Stand, stub: Stub, kind: str, slow: int
) -> None:
    """
    A container may pay no heed for minutes: it is told again, and one that never ends is no success.

    What was stopped never runs again, and undo says so; what else the step did is taken back all the same.
    """
    stub.stopping = slow
    shut = regional("rolesanywhere", "DisableTrustAnchor", trustAnchorId=ANCHOR)
    plan = plan_of(step(1, "isolate-instance", STOPS[kind], shut))
    done = carried(stand, plan, stub.url)

    assert {(FAR, TASK if kind == "task" else BUILD)} == stub.stopped and {FAR} == {
        one for one, _ in stub.calls
    }
    assert done.complete == (slow < 99) and bool(done.repeated) == (slow > 0)
    assert done.complete or "still runs, though it was told to stop" in (done.stopped or "")
    assert "hunter2" not in json.dumps(stand.lines())
    if slow == 0:
        undone = taken_back(stand, plan, stub.url)
        assert ["irreversible", "restored"] == sorted(
            one.outcome for one in undone.things
        ) and undone.complete


@pytest.mark.parametrize("kind", STOPS)
def test_what_ended_by_itself_is_not_stopped(stand: Stand, stub: Stub, kind: str) -> None:
    """It is forgotten after a while: nothing is sent but the question."""
    stub.gone |= {TASK, BUILD}
    done = carried(stand, plan_of(step(1, "isolate-instance", STOPS[kind])), stub.url)

    assert done.complete and set() == stub.stopped
    assert "has ended" in (done.steps[0].deeds[0].why or "")


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (call("StopInstances", "ec2", InstanceIds=["i-1"]), "must name its region"),
        (regional("ec2", "StopInstances", region="eu-west-1/../x", InstanceIds=["i-1"]), "is no region"),
        (regional("iam", "DeleteUser", UserName="x"), "must not name a region"),
    ],
)
def test_a_call_without_its_region_is_refused_before_any_is_sent(
    stand: Stand, given: Call, fault: str
) -> None:
    """A plan file whose regional call names no region, or names one for IAM, is at odds with itself."""
    planfile.save(plan_of(step(1, "isolate-instance", given)), stand.file)

    with pytest.raises(UsageError, match=fault):
        planfile.load(stand.file)


@ends_sign_ins
def test_the_environment_s_address_holds_for_every_service(
    stand: Stand, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With AWS_ENDPOINT_URL set, no call goes to AWS, though the SDK's own rules for Sign-In pass it over."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", stub.url)
    plan = plan_of(
        step(1, "revoke-sign-in-sessions", regional("signin", "BatchRevokeSessions", sessionArns=[SIGN_IN]))
    )

    with Accounts("run-1") as cloud:
        assert stand.apply(plan, cloud=cloud).complete
    assert {(FAR, SIGN_IN)} == stub.revoked
