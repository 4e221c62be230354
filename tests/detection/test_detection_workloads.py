"""What tells that a workload's credential is used off its host, and what is ordinary: the rule `stolen-workload`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from rule_cases import EKS, ELSEWHERE, GATEWAY, TOOL, world

from evidence import START, held
from tokentrail.detection.model import Finding
from tokentrail.testing import Credential, World

MAC = "aws-cli/2.17.1 md/awscrt#0.20.11 ua/2.0 os/macos#23.5.0 md/arch#arm64 lang/python#3.11.8"
WINDOWS = "aws-cli/2.17.1 md/awscrt#0.20.11 ua/2.0 os/windows#10 md/arch#amd64 lang/python#3.11.8"
KALI = "aws-cli/2.15.30 Python/3.11.8 Linux/6.5.0-kali3-amd64 exe/x86_64.kali.2023"
WSL = "aws-cli/2.15.30 Python/3.11.8 Linux/5.15.153.1-microsoft-standard-WSL2 exe/x86_64.ubuntu.22"
BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36"
LINUX = "aws-cli/2.17.1 md/awscrt#0.20.11 ua/2.0 os/linux#6.8.0 md/arch#x86_64 lang/python#3.12.3"
IN_LAMBDA = "Boto3/1.40.44 md/Botocore#1.40.44 ua/2.1 os/linux#5.10 exec-env/AWS_Lambda_python3.12"
IN_ECS = "aws-sdk-go-v2/1.30.4 os/linux lang/go#1.22 exec-env/AWS_ECS_FARGATE"
ANOTHER = "34.201.3.4"
"""Of AWS, as `GATEWAY` is."""
Deliver = Callable[[World], Credential]
Act = Callable[[World], object]


def function(place: World) -> Credential:
    return place.function("Resize", "resize").seen_from(GATEWAY, IN_LAMBDA)


def task(place: World) -> Credential:
    return place.task("Orders").seen_from(GATEWAY, IN_ECS)


def pod(place: World) -> Credential:
    return place.pod_identity("Web").seen_from(GATEWAY, TOOL)


def pod_by_web_identity(place: World) -> Credential:
    return place.oidc("Api", "system:serviceaccount:shop:api", provider=EKS, ip=GATEWAY)


def instance(place: World) -> Credential:
    return place.instance("Web", ip=GATEWAY).seen_from(GATEWAY, TOOL)


def judged(*acts: Act) -> tuple[Finding, ...]:
    """What the rule finds in a world in which something happened, one after the other."""
    place = world()
    for act in acts:
        act(place)
    with held(place) as case:
        return case.detect(rules=["stolen-workload"])


def severities(*acts: Act) -> list[str]:
    return [one.severity for one in judged(*acts)]


def used(
    deliver: Deliver, ip: str, agent: str, *, before: bool = True, action: str = "s3:ListBuckets"
) -> Act:
    """A workload that calls from AWS, perhaps, and whose credential then makes a call with a tool from an address."""

    def act(place: World) -> None:
        session = deliver(place)
        if before:
            session.calls("sqs:ReceiveMessage", count=3)
        session.seen_from(ip, agent).calls(action)

    return act


# ---------------------------------------------------------------- a person's computer


@pytest.mark.parametrize("agent", [MAC, KALI, WSL, WINDOWS])
def test_a_containers_credential_on_a_persons_computer_is_stolen(agent: str) -> None:
    """macOS, Windows, Kali and WSL run no function, task or pod that runs on Linux, whatever address they call from."""
    found = judged(*(used(deliver, ANOTHER, agent) for deliver in (function, task, pod, pod_by_web_identity)))

    assert [one.severity for one in found] == ["high"] * 4
    assert all(f"the tool is one of a person's computer ({agent[:40]}" in one.why for one in found)


@pytest.mark.parametrize("deliver", [function, task])
def test_it_needs_no_call_from_home(deliver: Deliver) -> None:
    """A function or task whose own calls are in no log is known by the tool alone."""
    assert severities(used(deliver, ANOTHER, MAC, before=False)) == ["high"]


def test_a_browser_counts_from_outside_aws_alone() -> None:
    """Programs in a function may call themselves Mozilla; a person at a browser is not in AWS."""
    assert severities(used(function, ELSEWHERE, BROWSER, action="iam:ListUsers")) == ["high"]
    assert severities(used(function, GATEWAY, BROWSER, action="iam:ListUsers")) == []


@pytest.mark.parametrize("agent", [MAC, KALI, WSL])
def test_an_instances_credential_on_a_persons_computer_is_told_as_less(agent: str) -> None:
    """AWS has instances with macOS and Kali: from outside AWS such a tool is told, without a call from home at medium."""
    assert severities(used(instance, ELSEWHERE, agent, before=False)) == ["medium"]
    assert severities(used(instance, GATEWAY, agent)) == []


@pytest.mark.parametrize(
    ("deliver", "agent"),
    [
        (instance, WINDOWS), (pod, "Go-http-client/1.1"), (function, "awslambda-worker/1.0 wsl"),
        (function, "aws-sdk-js/3.600 os/linux lang/js md/nodejs#20 exec-env/AWS_Lambda_nodejs20.x"),
        (instance, "aws-sdk-go/1.55 (go1.22; linux; amd64) amazon-ssm-agent/3.3"),
    ],
)  # fmt: skip
def test_ordinary_tools_of_workloads_are_left_alone(deliver: Deliver, agent: str) -> None:
    """Windows on instances, plain HTTP clients of EKS nodes, and a name that holds the letters of WSL are no sign."""
    assert severities(used(deliver, GATEWAY, agent)) == []


def test_tasks_that_run_on_windows_are_left_alone() -> None:
    """Where all of a role's tasks run on Windows, that is no person's computer; where one does, it is."""
    dotnet = "aws-sdk-dotnet-coreclr/3.7 ua/2.0 os/windows#10.0.20348 .NET_Core/8.0"

    assert severities(used(lambda place: task(place).seen_from(GATEWAY, dotnet), ANOTHER, dotnet)) == []
    assert severities(used(task, ANOTHER, dotnet)) == ["high"]


@pytest.mark.parametrize("deliver", [function, task, instance])
def test_what_a_workload_signed_for_others_is_not_used_off_its_host(deliver: Deliver) -> None:
    """Links to objects are opened in browsers anywhere, and whoever checks an identity sends the call itself."""
    sent = (
        ("s3:GetObject", BROWSER), ("s3:PutObject", "curl/8.5.0"), ("s3:HeadObject", "python-requests/2.32"),
        ("sts:GetCallerIdentity", "Go-http-client/1.1"), ("sts:GetCallerIdentity", "Vault/1.17.2"),
    )  # fmt: skip

    assert severities(*(used(deliver, ELSEWHERE, agent, action=action) for action, agent in sent)) == []


@pytest.mark.parametrize("action", ["s3:GetObject", "sts:GetCallerIdentity"])
def test_the_same_calls_by_an_sdk_are(action: str) -> None:
    """An SDK or command line holds the credential: S3 writes some user agents in brackets."""
    assert severities(used(function, ELSEWHERE, f"[{LINUX}]", action=action)) == ["high"]


# ---------------------------------------------------------------- outside AWS


@pytest.mark.parametrize("deliver", [function, task])
@pytest.mark.parametrize("before", [True, False])
def test_a_function_or_task_outside_aws_is_stolen(deliver: Deliver, before: bool) -> None:
    """Outside AWS's ranges it is told as bad without having been seen inside; the day of the ranges is named."""
    (one,) = judged(used(deliver, ELSEWHERE, LINUX, before=before))

    assert one.severity == "high"
    assert "that is outside AWS, by its address ranges of 2026-" in one.why
    assert ("until then its role had been used inside AWS" in one.why) == before
    assert "ECS Anywhere" in one.false_alarm and "your own network" in one.false_alarm


@pytest.mark.parametrize("deliver", [function, task, instance])
def test_what_is_not_surely_outside_is_left_alone(deliver: Deliver) -> None:
    """Names of services, private addresses, endpoints of a VPC, odd texts and AWS's own addresses are not outside."""
    agent = TOOL if deliver is instance else IN_ECS
    ips = (
        "lambda.amazonaws.com", "AWS Internal", "10.0.0.7", "100.64.1.1", "fd00::1", ANOTHER, "2600:1f18::9", "odd", "",
    )  # fmt: skip

    assert severities(*(used(deliver, ip, agent) for ip in ips)) == []


def test_old_ranges_count_for_less() -> None:
    """AWS gets new addresses: half a year after the day of the ranges, being outside them is told at medium severity."""

    def later(place: World) -> None:
        place.at(START + timedelta(days=365))
        used(function, ELSEWHERE, "aws-sdk-rust/1.3 os/linux")(place)

    (one,) = judged(later)
    assert one.severity == "medium"
    assert "which are more than half a year older" in one.why


def test_a_runtimes_own_agent_outside_aws_may_be_a_host_of_ones_own() -> None:
    """ECS Anywhere, or a way out by one's own network: a task's own tool outside AWS is told at medium severity."""
    own = IN_ECS.replace("FARGATE", "EXTERNAL")

    assert severities(used(task, ELSEWHERE, own, before=False)) == ["medium"]
    assert severities(used(task, ELSEWHERE, IN_ECS)) == ["medium"]


def test_an_instance_outside_aws_is_told_where_its_role_was_inside() -> None:
    """An instance in a network of one's own was never inside, and has no command line; one that goes out by it keeps its tools."""
    assert severities(used(instance, ELSEWHERE, TOOL, before=False)) == []
    assert severities(used(instance, ELSEWHERE, LINUX, before=False)) == ["medium"]
    assert severities(used(instance, ELSEWHERE, TOOL)) == []
    assert severities(used(instance, ELSEWHERE, LINUX)) == ["high"]


def test_a_pod_outside_aws_is_told_where_its_role_was_inside() -> None:
    """At medium severity, as clusters reach into networks of one's own; of clusters that are not EKS's nothing is told."""
    provider = "kubernetes.example.com"

    def elsewhere(place: World) -> Credential:
        return place.oidc("Api", "system:serviceaccount:shop:api", provider=provider, ip=GATEWAY)

    assert severities(used(pod, ELSEWHERE, LINUX)) == ["medium"]
    assert severities(used(pod, ELSEWHERE, LINUX, before=False)) == []
    assert severities(used(elsewhere, ELSEWHERE, LINUX)) == []


def functions(place: World, ip: str, count: int) -> Credential:
    """Functions of so many roles, all of which call from one address; the last one's session."""
    for number in range(count):
        session = place.function(f"Fn{number}", f"fn-{number}").seen_from(ip, TOOL)
        session.calls("sqs:ReceiveMessage", count=2)
    return session


@pytest.mark.parametrize(("count", "told"), [(4, ["high"] * 4), (5, [])])
def test_where_most_roles_are_outside_aws_that_tells_nothing(count: int, told: list[str]) -> None:
    """The functions of many roles go out by their owner's network, or their addresses were masked; those of few do not."""
    assert severities(lambda place: functions(place, ELSEWHERE, count)) == told


def test_many_roles_outside_aws_hide_neither_a_laptop_nor_stand_for_all() -> None:
    """A person's computer is told all the same, and where as many roles call from AWS, all that are outside are told."""

    def half(place: World) -> None:
        functions(place, ELSEWHERE, 5)
        for number in range(5):
            place.task(f"Task{number}").seen_from(GATEWAY, TOOL).calls("sqs:ReceiveMessage")

    def laptop(place: World) -> None:
        functions(place, ELSEWHERE, 7).seen_from("203.0.113.90", MAC).calls("s3:ListBuckets")

    assert severities(half) == ["high"] * 5
    assert severities(laptop) == ["high"]


def test_machines_that_systems_manager_reaches_outside_are_left_alone() -> None:
    """A hybrid activation gives credentials to machines outside AWS, where others of the role may be inside."""

    def hybrid(place: World) -> Credential:
        return place.instance("Managed", instance_id="mi-0123456789abcdef0", delivery="", ip=GATEWAY)

    place = world()
    session = hybrid(place)
    session.calls("ssm:UpdateInstanceInformation", count=3)
    session.seen_from(ELSEWHERE, LINUX).calls("ssm:UpdateInstanceInformation")
    records = place.records()
    for one in records:  # delivered by Systems Manager, and not by EC2
        identity = one["userIdentity"]
        identity.get("sessionContext", {}).pop("ec2RoleDelivery", None)
        if identity.get("invokedBy") == "ec2.amazonaws.com":
            identity["invokedBy"] = one["sourceIPAddress"] = one["userAgent"] = "ssm.amazonaws.com"
    with held(records) as case:
        assert case.detect(rules=["stolen-workload"]) == ()


# ---------------------------------------------------------------- siblings, runtimes, people


def test_a_bare_command_line_elsewhere_is_told() -> None:
    """In a function the command line names the runtime, as SDKs do; one that does not, from elsewhere, is none of its."""
    assert severities(used(function, ANOTHER, LINUX)) == ["medium"]
    assert severities(used(task, ANOTHER, LINUX)) == ["medium"]
    assert severities(used(task, ANOTHER, f"{LINUX} exec-env/AWS_ECS_FARGATE")) == []
    assert severities(used(task, GATEWAY, LINUX)) == []
    assert severities(used(task, "10.0.0.7", LINUX)) == []
    assert severities(used(pod, ANOTHER, LINUX)) == []


def unshown(place: World, agent: str, ip: str, name: str = "resize") -> Credential:
    """The session of a function whose delivery is in no log, seen at its runtime."""
    session = place.user("ci").assumes("Resize", name).seen_from(ip, agent)
    session.calls("sqs:ReceiveMessage", count=3)
    return session


@pytest.mark.parametrize(
    ("ip", "agent", "name", "told"),
    [
        (GATEWAY, IN_LAMBDA, "resize", ["high"]), (ELSEWHERE, IN_LAMBDA, "resize", []), (GATEWAY, TOOL, "resize", []),
        (GATEWAY, IN_LAMBDA, "ada@example.com", []),
    ],
    ids=["a runtime in AWS", "a developer's laptop", "no runtime", "a developer's machine in AWS"],
)  # fmt: skip
def test_a_session_is_a_functions_by_its_runtime_in_aws(
    ip: str, agent: str, name: str, told: list[str]
) -> None:
    """Where no delivery is in the log, the runtime's own agent tells a function, but not on a developer's laptop."""
    place = world()
    unshown(place, agent, ip, name).seen_from("203.0.113.90", MAC).calls("s3:ListBuckets")
    records = [one for one in place.records() if one["eventName"] != "AssumeRole"]
    with held(records) as case:
        assert [one.severity for one in case.detect(rules=["stolen-workload"])] == told


def works_there(place: World, ip: str, agent: str = MAC) -> None:
    """A person works from an address."""
    place.user("mallory", ip=ip, user_agent=agent).calls("iam:ListUsers", count=3)


def stolen_first(place: World, ip: str, agent: str) -> None:
    """An instance calls from its own address; another session of it is used from elsewhere alone."""
    host = place.instance("Web", instance_id="i-0dbc91f429e48eeed", ip=GATEWAY).seen_from(GATEWAY, TOOL)
    host.calls("s3:ListBuckets", count=3)
    place.wait(600)
    taken = place.instance("Web", instance_id="i-0dbc91f429e48eeed", delivery="1.0", ip=ip)
    taken.seen_from(ip, agent).calls("ec2:DescribeInstances", count=2)


def test_sessions_of_one_host_are_compared_with_each_other() -> None:
    """A host's session that was never used from the host is told, where a person works at the address it was used from."""

    def act(place: World) -> None:
        works_there(place, ANOTHER)
        stolen_first(place, ANOTHER, LINUX)

    (one,) = judged(act)
    assert one.severity == "medium"
    assert f"its host's other sessions had been used from {GATEWAY} (AWS EC2)" in one.why
    assert "a non-workload identity works from this address" in one.why


def test_one_weak_sign_is_a_lead_and_no_finding() -> None:
    """Another address and tool of a host's session, a person at its address, and a tool of attackers: each alone is none."""

    def person(place: World) -> None:
        works_there(place, GATEWAY)
        instance(place).calls("s3:ListBuckets", count=3)

    def same_tool(place: World) -> None:
        works_there(place, GATEWAY, TOOL)
        function(place).seen_from(GATEWAY, TOOL).calls("s3:ListBuckets", count=3)

    assert severities(lambda place: stolen_first(place, ANOTHER, LINUX)) == []
    assert severities(person) == []
    assert severities(same_tool) == []
    assert severities(used(instance, GATEWAY, "Prowler/4.2 Boto3/1.34")) == []
    assert severities(person, used(instance, GATEWAY, "Prowler/4.2 Boto3/1.34")) == []


def test_two_weak_signs_are_a_finding() -> None:
    """An attack tool where somebody who is no workload uses the same; and a role's task elsewhere with another's tool."""

    def attack(place: World) -> None:
        works_there(place, GATEWAY, "pacu/1.6 Boto3/1.34")
        instance(place).seen_from(GATEWAY, "pacu/1.6 Boto3/1.34").calls("s3:ListBuckets")

    def elsewhere(place: World) -> None:
        task(place).calls("s3:ListBuckets", count=3)
        works_there(place, ANOTHER, "s5cmd/2.2")
        place.task("Orders").seen_from(ANOTHER, "s5cmd/2.2").calls("s3:ListBuckets")

    assert severities(attack) == ["medium"]
    assert severities(elsewhere) == ["medium"]


@pytest.mark.parametrize("field", ["userAgent", "sourceIPAddress", "eventName", "requestParameters"])
def test_without_a_field_nothing_is_made_up(field: str) -> None:
    """A function outside AWS is told without its tool and its call's name, and not without its address."""
    place = world()
    used(function, ELSEWHERE, MAC)(place)
    records = [{name: value for name, value in one.items() if name != field} for one in place.records()]
    with held(records) as case:
        told = [one.severity for one in case.detect(rules=["stolen-workload"])]

    assert told == {"sourceIPAddress": [], "userAgent": ["medium"]}.get(field, ["high"])


@pytest.mark.parametrize("odd", [["x"], None, "\x1b[31m" * 2_000])
@pytest.mark.parametrize("field", ["userAgent", "sourceIPAddress", "eventName"])
def test_odd_values_break_nothing(field: str, odd: object) -> None:
    """Lists, numbers, and long texts with control characters in a field are never repeated as they are."""
    place = world()
    used(function, ELSEWHERE, MAC)(place)
    records = place.records()
    records[-1][field] = odd
    with held(records) as case:
        told = case.detect(rules=["stolen-workload"])

    assert all("\x1b" not in one.why and len(one.why) < 1_000 for one in told)
