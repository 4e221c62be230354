"""Leads: the attacker's credential stands first, each reason says how rare it is, and nothing quiet is called strong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings

from evidence import held, real
from noisy_company import START, NoisyCompany
from strategies import worlds
from tokentrail import Case
from tokentrail.detection.call_kinds import call_kinds
from tokentrail.detection.leads.model import Lead
from tokentrail.testing import Credential, World
from tokentrail.testing.credential import WorkloadSession

ATTACKER = "203.0.113.77"
AWS_CLI = "aws-cli/2.15.30 Python/3.11.8 Linux/6.5.0-kali3-amd64 exe/x86_64.kali.2023"
MAC = "aws-cli/2.17.1 md/awscrt#0.20.11 ua/2.0 os/macos#23.5.0 md/arch#arm64"
DISCOVERY = [
    "iam:ListUsers",
    "iam:ListRoles",
    "iam:GetAccountAuthorizationDetails",
    "s3:ListBuckets",
    "ec2:DescribeInstances",
    "lambda:ListFunctions20150331",
    "rds:DescribeDBInstances",
    "secretsmanager:ListSecrets",
    "kms:ListKeys",
    "ses:GetSendQuota",
]
Attack = Callable[[World], str]


def _key_takes_an_object(world: World) -> str:
    """A long-term key assumes a role and takes objects."""
    key = world.user("ben").seen_from(ATTACKER, MAC)
    session = key.assumes("Developer", "botocore-session-1732611111")
    session.calls("s3:GetObject", {"bucketName": "customers", "key": "{n}"}, count=8, data=True)
    return key.id


def _looks_around(session: Credential, agent: str) -> None:
    stolen = session.seen_from(ATTACKER, agent)
    stolen.calls("sts:GetCallerIdentity")
    for action in ("s3:ListBuckets", "iam:ListRoles", "ec2:DescribeInstances", "dynamodb:ListTables"):
        stolen.calls(action)


def _stolen_from(session: WorkloadSession, agent: str = MAC) -> str:
    session.calls("dynamodb:GetItem", {"tableName": "orders"}, count=3)
    _looks_around(session, agent)
    return session.id


def _function_on_a_laptop(world: World) -> str:
    """The credentials of a Lambda function are used from a laptop."""
    return _stolen_from(world.function("OrdersFunction", "orders"))


def _task_on_a_laptop(world: World) -> str:
    """The credentials of an ECS task are used from a laptop."""
    return _stolen_from(world.task("CheckoutTask"))


def _instance_by_proxy(world: World) -> str:
    """The credentials of an instance are used through a proxy elsewhere."""
    return _stolen_from(world.instance("WebServer"), "aws-cli/2.15.30 Python/3.11.8 Linux/5.15.0")


def _enumeration(world: World) -> str:
    """A key that may do nearly nothing asks for everything."""
    key = world.user("cleo").seen_from(ATTACKER, AWS_CLI)
    key.calls("sts:GetCallerIdentity")
    for action in DISCOVERY:
        key.denied(action)
    return key.id


ATTACKS = (
    _key_takes_an_object, _function_on_a_laptop, _task_on_a_laptop, _instance_by_proxy, _enumeration,
)  # fmt: skip


@pytest.fixture(name="quiet", scope="module")
def _quiet() -> Iterator[tuple[Lead, ...]]:
    """The leads of a company at work."""
    with held(NoisyCompany(days=2).works()) as case:
        yield case.leads()


def test_ordinary_days_have_no_strong_lead(quiet: tuple[Lead, ...]) -> None:
    """Where nothing is wrong, leads are listed all the same, and each is called weak."""
    assert quiet
    assert not [lead for lead in quiet if lead.strong]


def test_ranks_follow_the_score(quiet: tuple[Lead, ...]) -> None:
    """Ranks count from one, and no lead stands before one with a higher score."""
    assert [lead.rank for lead in quiet] == [*range(1, len(quiet) + 1)]
    assert [lead.score for lead in quiet] == sorted((lead.score for lead in quiet), reverse=True)


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_attacker_is_among_the_first_three_in_an_ordinary_company(attack: Attack) -> None:
    """What intruders do first makes their credential one of the first three leads among those of a company at work."""
    company = NoisyCompany(days=2)
    world = company.works()
    world.at(START + timedelta(days=2, hours=3))
    stolen = attack(world)
    with held(world) as case:
        first = case.leads(limit=3)

    assert [lead for lead in first if stolen in lead.credentials], first
    assert all(lead.next == f"tokentrail trace {lead.credentials[0]}" for lead in first)


def test_a_reason_says_how_many_do_the_like() -> None:
    """Two of three leads that call from a network of their own: each is told that two do, of three."""
    world = World(START)
    for name, ip in (("ada", "192.0.2.1"), ("ben", "192.0.2.2"), ("cleo", ATTACKER)):
        world.user(name).seen_from(ip).calls("s3:ListBuckets", count=2)
    with held(world) as case:
        leads = case.leads()
    reasons = [reason for lead in leads for reason in lead.reasons if reason.signal == "lone-network"]

    assert [(reason.having, reason.of) for reason in reasons] == [(1, 3)]
    assert "1 of 3 leads here does this" in reasons[0].why


def test_a_workload_outside_aws_is_a_reason() -> None:
    """A function's credential from outside AWS speaks for theft; not from AWS, nor a link that somebody else opened."""
    world = World(START)
    for number, (ip, agent) in enumerate(
        (
            (ATTACKER, "aws-sdk-rust/1.3 os/linux"),
            ("52.45.102.28", "Boto3/1.40"),
            (ATTACKER, "Mozilla/5.0 Firefox/140"),
        )
    ):
        function = world.function(f"Fn{number}", f"fn-{number}")
        function.seen_from(ip, agent).calls("s3:GetObject", {"bucketName": "b", "key": "k"})
    with held(world) as case:
        told = [
            lead.principal
            for lead in case.leads()
            for one in lead.reasons
            if one.signal == "workload-outside"
        ]

    assert [(name or "").rpartition("/")[2] for name in told] == ["fn-0"]


def test_what_all_do_counts_nothing() -> None:
    """A signal that every lead shows adds nothing to a score, or next to nothing where there are few."""
    world = World(START)
    for number in range(40):
        world.user(f"user{number}").seen_from(f"198.51.{number}.1", AWS_CLI).calls("s3:ListBuckets")
    with held(world) as case:
        leads = case.leads()

    assert all(lead.score < 0.1 for lead in leads)


def test_terraform_asks_who_it_is_and_is_no_intruder() -> None:
    """GetCallerIdentity comes first in each run of Terraform, which is left out; by hand it is a reason."""
    world = World(START)
    for name, agent in (("ci", "HashiCorp Terraform/1.9.5 aws-sdk-go-v2/1.30"), ("ada", MAC)):
        user = world.user(name).seen_from(ATTACKER, agent)
        user.calls("sts:GetCallerIdentity")
        user.calls("s3:ListBuckets")
        user.calls("ec2:DescribeInstances")
    with held(world) as case:
        asked = {
            lead.principal
            for lead in case.leads()
            if any(one.signal == "whoami-first" for one in lead.reasons)
        }

    assert asked == {world.user("ada").arn}


def test_a_change_of_one_s_own_permissions_opens_what_was_refused() -> None:
    """A refused call, an own policy, and the call again: the credential that did so is told of it, and no other."""
    world = World(START)
    thief, colleague = world.user("ben"), world.user("ada")
    for user in (thief, colleague):
        user.denied("s3:GetBucketPolicy")
    thief.iam("AttachUserPolicy", userName="ben", policyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    for user in (thief, colleague):
        user.calls("s3:GetBucketPolicy")
    with held(world) as case:
        told = [
            lead.credential
            for lead in case.leads()
            for one in lead.reasons
            if one.signal == "refused-then-allowed"
        ]

    assert told == [thief.id]


def test_a_window_hides_what_lies_outside() -> None:
    """With since and until, only calls between them speak for or against anybody."""
    world = World(START)
    world.user("ada").calls("s3:ListBuckets")
    world.wait(3600)
    middle = world.now
    world.user("ben").calls("s3:ListBuckets")
    with held(world) as case:
        assert {lead.principal for lead in case.leads(until=middle)} == {world.user("ada").arn}
        assert {lead.principal for lead in case.leads(since=middle)} == {world.user("ben").arn}


@pytest.mark.parametrize(
    "words", ["=1+1", "\x1b[31mred", "<script>", "kali" * 3000, "'; DROP TABLE known; --", ""]
)
def test_the_attacker_s_words_are_repeated_only_in_part_and_quoted(words: str) -> None:
    """Whatever a user agent and a session name hold, leads are ranked, and no reason repeats more than a line of it."""
    world = World(START)
    key = world.user("ada").seen_from(ATTACKER, f"{words} pacu {words}")
    key.assumes("Developer", "botocore-session-1").calls("s3:ListBuckets")
    with held(world) as case:
        [lead] = case.leads()

    assert lead.reasons
    assert all(len(reason.why) < 400 and "\x1b" not in reason.why for reason in lead.reasons)


@given(world=worlds(largest=12, together=5))
@settings(max_examples=3, deadline=None)
def test_every_root_that_acts_is_in_a_lead_and_order_changes_nothing(world: World) -> None:
    """Leads are never empty where a credential acted, and evidence in any order gives the same leads."""
    with held(world) as case, held(list(reversed(world.records()))) as turned:
        leads = case.leads()
        acted = [one for one in case.credentials() if one.events and one.kind != "forwarded"]
        assert leads or not [one for one in acted if "/aws-service-role/" not in (one.principal or "")]
        assert leads == turned.leads()


@pytest.mark.parametrize(
    ("source", "name", "kind"),
    [
        ("iam.amazonaws.com", "CreateAccessKey", "persistence"),
        ("lambda.amazonaws.com", "UpdateFunctionCode20150331v2", "persistence"),
        ("cloudtrail.amazonaws.com", "StopLogging", "blinding"),
        ("ec2.amazonaws.com", "ModifySnapshotAttribute", "opening"),
        ("ssm.amazonaws.com", "SendCommand", "host_entry"),
        ("kms.amazonaws.com", "ScheduleKeyDeletion", "destruction"),
        ("email.amazonaws.com", "GetSendQuota", "incident"),
    ],
)
def test_what_a_call_does_comes_from_the_catalogue(source: str, name: str, kind: str) -> None:
    """A call is of the kind that the call catalogue, or a list of calls known from incidents, says."""
    assert kind in call_kinds(source, name)


def test_a_call_without_a_name_is_of_no_kind() -> None:
    """A damaged record has no source or name, and is of no kind."""
    assert not [*call_kinds(None, None)]


@pytest.mark.parametrize(
    ("folder", "credential"),
    [("invictus-aws-dataset", "AKIATFQR7NSC8Q4X20BJ"), ("flaws1-slice-umccr", "AKIA3Z2XBVUDFQ9TU4MD")],
)
def test_the_key_of_a_real_attack_stands_first(folder: str, credential: str, tmp_path: Path) -> None:
    """In real evidence of an attack, the attacker's key is the first lead."""
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(real(folder))])
        [first] = case.leads(limit=1)

    assert first.credential == credential
