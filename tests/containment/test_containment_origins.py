"""What stands behind credentials that have run out, or that were handed out since: hosts, passwords, portals, sign-ins."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from contain_cases import actions, as_given, asked, checked, hit, planned, step

from evidence import AWAY, HOME, START, at, call, held, session
from tokentrail import Case
from tokentrail.aws.principals import Principal
from tokentrail.containment.incident.attacker_action import AttackerAction
from tokentrail.containment.incident.credential_sources import TaintedCredential, once, passwords
from tokentrail.containment.incident.incident_model import ALWAYS, EntryPoint
from tokentrail.containment.incident.taint import held_of
from tokentrail.containment.model import Plan
from tokentrail.testing import Credential, LongTermKey, World
from tokentrail.testing.administration import trust_policy

THIEF, OFFICE, GATEWAY = "203.0.113.77", "198.51.100.10", "198.51.100.11"
HOUR = 3600


def rested(world: World, hours: float) -> None:
    """Let hours pass, after which somebody of no concern makes a call: that dates the evidence."""
    world.wait(hours * HOUR)
    world.user("bystander").calls("s3:ListBuckets")


def rests_on(plan: Plan, said: str) -> bool:
    """Whether a plan's proof rests on something."""
    return any(re.search(said, one) for one in plan.proof.holds_if)


# ---------------------------------------------------------------- what handed out a credential that has run out


def stolen_from(world: World, kind: str) -> Credential:
    """A session that something handed out and that a thief has used."""
    found: dict[str, Credential] = {
        "instance": world.instance("WebServer"),
        "function": world.function("Mailer", "send"),
        "portal": world.identity_center("ada", "Admin", duration=HOUR),
        "sign_in": world.console_sign_in(world.user("ada")).logs_in(),
        "saml": world.saml("Dev", "zoe"),
        "oidc": world.oidc("Deploy", "repo:example/shop:ref:refs/heads/main"),
        "pod": world.oidc(
            "Pod", "system:serviceaccount:shop:web", provider="oidc.eks.us-east-1.amazonaws.com/id/A1"
        ),
        "app": world.cognito("App", "us-east-1:23a7711a"),
    }
    found[kind].seen_from(THIEF).calls("s3:ListBuckets")
    return found[kind]


@pytest.mark.parametrize(
    ("kind", "hours", "first"),
    [
        ("instance", 72, "isolate-instance"),
        ("function", 72, "isolate-instance"),
        ("portal", 72, "disable-identity-center-user"),
        ("sign_in", 3, "revoke-sign-in-sessions"),
    ],
)
def test_what_handed_out_a_credential_that_has_run_out_is_closed_all_the_same(
    kind: str, hours: float, first: str
) -> None:
    """Whoever holds the host, portal or sign-in is handed the next: it is closed, and what nobody has seen is ended."""
    world = World(START)
    session = stolen_from(world, kind)
    rested(world, hours)
    plan = checked(planned(world, session.id))

    assert plan.proof.complete
    assert first == actions(plan)[0] and len(plan.steps) > 1
    assert all(session.id not in one.ends for one in plan.steps)


@pytest.mark.parametrize("federated", [False, True])
def test_a_sign_in_of_a_role_or_federated_user_has_no_password(federated: bool) -> None:
    """Where nothing shows what minted the session, the proof says so; no user of the role's name loses a password."""
    used = session(created="2026-11-23T09:00:00Z")
    if federated:
        used |= {
            "type": "FederatedUser",
            "principalId": f"{HOME}:bob",
            "arn": f"arn:aws:sts::{HOME}:federated-user/bob",
        }
        used["sessionContext"]["sessionIssuer"] = {
            "type": "IAMUser",
            "arn": f"arn:aws:iam::{HOME}:user/ada",
            "userName": "ada",
        }
    login = {name: used[name] for name in ("type", "principalId", "arn", "accountId")}
    records = [
        call("ConsoleLogin", "2026-11-23T09:00:01Z", login, source="signin.amazonaws.com",
             responseElements={"ConsoleLogin": "Success"}, eventType="AwsConsoleSignIn"),
        call("ListBuckets", "2026-11-23T09:05:00Z", used, source="s3.amazonaws.com", sessionCredentialFromConsole="true"),
    ]  # fmt: skip
    with held(records) as case:
        plan = checked(case.contain([f"{used['principalId']}@2026-11-23T09:00:00Z"]))

    assert "remove-login-profile" not in actions(plan)
    assert rests_on(plan, "^whoever minted .* mints no more, as no step ends that")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("saml", "saml-provider/corporate, as zoe, into role/Dev "),
        ("oidc", "as repo:example/shop:ref:refs/heads/main, into role/Deploy "),
        ("pod", "as system:serviceaccount:shop:web, into role/Pod .*though the pod be gone"),
        ("app", "into role/App .*delete-identities --identity-ids-to-delete=us-east-1:23a7711a"),
    ],
)
def test_who_came_in_through_a_provider_may_have_come_again(kind: str, said: str) -> None:
    """The session has run out: its role is cut for what nobody has seen, and the proof rests on the provider, by name."""
    world = World(START)
    session = stolen_from(world, kind)
    rested(world, 72)
    plan = checked(planned(world, session.id))

    assert plan.proof.complete
    assert ["revoke-role-sessions"] == actions(plan)
    assert rests_on(plan, f"identity provider behind the federated sessions.*{said}")


def test_a_provider_that_is_no_more_lets_nobody_in() -> None:
    """It was deleted before the blind window began: no step, and nothing to rest on."""
    world = World(START)
    session = stolen_from(world, "saml")
    world.user("responder").iam(
        "DeleteSAMLProvider", sAMLProviderArn="arn:aws:iam::111122223333:saml-provider/corporate"
    )
    rested(world, 72)
    plan = planned(world, session.id)

    assert () == plan.steps and plan.proof.complete
    assert not rests_on(plan, "identity provider")


@pytest.mark.parametrize(("days", "over"), [(1, False), (89, False), (91, True)])
@pytest.mark.parametrize("kind", ["sign_in", "portal"])
def test_a_sign_in_that_can_t_last_any_longer_hands_out_nothing(kind: str, days: int, over: bool) -> None:
    """
    Ninety days after `aws login` or the portal's: no step, and complete. By default `aws login` lasts twelve hours, but
    a user or role may have another limit since before the evidence begins (IAM API Reference, 'UpdateRole').
    """
    world = World(START)
    session = stolen_from(world, kind)
    rested(world, days * 24)
    plan = planned(world, session.id)

    assert over == (() == plan.steps) and plan.proof.complete


def test_an_instance_that_is_no_more_hands_out_nothing() -> None:
    """It was terminated before the blind window began, and its session has run out: no step."""
    world = World(START)
    session = stolen_from(world, "instance")
    name = session.identity.principal_id.rpartition(":")[2]
    world.user("responder").calls(
        "ec2:TerminateInstances", {"instancesSet": {"items": [{"instanceId": name}]}}, read_only=False
    )
    rested(world, 72)
    plan = planned(world, session.id)

    assert () == plan.steps and plan.proof.complete


# ---------------------------------------------------------------- what a source handed out since


@pytest.mark.parametrize("kind", ["instance", "function"])
def test_what_a_host_hands_out_after_the_theft_is_the_thiefs(kind: str) -> None:
    """The next session, and what was minted with it, are ended by name; a neighbour's, and all before it, are not."""
    world = World(START)
    first = world.instance("Web") if kind == "instance" else world.function("Web", "send")
    first.calls("s3:ListBuckets")
    world.wait(600)
    session, neighbour = first.rotates(), world.instance("Web")
    session.seen_from(THIEF).calls("s3:ListBuckets")
    world.wait(600)
    after = session.rotates()
    minted = after.assumes("Ops", "x")
    minted.calls("s3:ListBuckets")
    neighbour.calls("s3:ListBuckets")
    rested(world, 0.5)
    with asked(world) as case:
        plan = checked(case.contain([session.id], strategy="surgical"))
        (traced,) = [one.id for one in case.trace([session.id]).credentials if one.tainted]

    assert session.id == traced
    assert {session.id, after.id, minted.id} == set(plan.tainted)
    assert {session.id, after.id, minted.id} == set(step(plan, "deny-sessions").ends)
    assert plan.proof.complete and not hit(plan)
    assert (
        f"{after.id}, as the host {session.session_name} handed it out after {session.id}"
        in plan.steps[1].why
    )
    assert f"{minted.id}, as it descends from {after.id}" in plan.steps[1].why


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            "instance",
            "disassociate-iam-instance-profile.*Auto Scaling group starts another.*leaves shells open",
        ),
        (
            "function",
            "send, to which lambda.*put-function-concurrency --region us-east-1 --function-name=send",
        ),
        ("task", "ecs update-service --region us-east-1 .*stop-task .*--task=[0-9a-f]{32}"),
        ("pod_identity", "kubectl scale .*replaced by another"),
    ],
)
def test_a_host_is_shut_so_that_nothing_takes_its_place(kind: str, said: str) -> None:
    """The step names what starts the next task, pod or instance, and nothing that leaves a thief's shell open."""
    world = World(START)
    session = getattr(world, kind)("Web", *(["send"] if kind == "function" else []))
    session.seen_from(THIEF).calls("s3:ListBuckets")
    why = step(planned(world, session.id), "isolate-instance").why

    assert re.search(said, why), why
    assert ("lambda" in why) == (kind == "function")


def test_a_host_of_unknown_place_is_asked_for_it() -> None:
    """A command without a region would mean what has that name in the caller's own; a person is named as it signs in."""
    world = World(START)
    session = world.function("Mailer", "send")
    session.seen_from(THIEF).calls("s3:ListBuckets")
    person = world.identity_center("ada", "Admin")
    person.calls("s3:ListBuckets")
    with held([one for one in world.records() if not one["eventName"].startswith("AssumeRole")]) as case:
        whys = [one.why for one in case.contain([session.id, person.arn]).steps]

    assert any("--region … --function-name=send" in one for one in whys)
    assert any("remove the assignments of " in one and " (ada), " in one for one in whys)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            "portal",
            f"as ada, unseen since 2026-11-23T09:\\S+, a role .*_ReadOnly_\\w+ of account {AWAY}.*GetRoleCred",
        ),
        (
            "saml",
            f"as zoe, unseen since 2026-11-23T09:\\S+, a role .*role/Audit of account {AWAY}.*AssumeRoleWithSAML",
        ),
    ],
)
def test_whoever_lets_the_attacker_in_may_open_other_roles_unseen(kind: str, said: str) -> None:
    """A portal or provider lets a person into each role that it has, in every account: the proof names those seen."""
    world = World(START)
    world.identity_center("ada", "ReadOnly", account=AWAY).calls("s3:ListBuckets")
    world.saml(world.role("Audit", account=AWAY), "zoe").calls("s3:ListBuckets")
    session = stolen_from(world, kind)
    rested(world, 0.1)
    plan = planned(world, session.id)

    assert rests_on(plan, said), plan.proof.holds_if
    assert 1 == sum("a role that no step cuts" in one for one in plan.proof.holds_if)


@contextmanager
def refreshed(world: World) -> Iterator[tuple[Case, Credential, Credential]]:
    """A case in which `aws login` has refreshed its credentials once."""
    browser = world.console_sign_in(world.user("ada"))
    browser.calls("s3:ListBuckets")
    first, after = browser.logs_in(ip=THIEF), browser.logs_in(ip=THIEF)
    first.calls("s3:ListBuckets")
    after.calls("s3:ListBuckets")
    after.assumes("Ops", "x").calls("s3:ListBuckets")
    was, now = after.identity.sign_in_session, first.identity.sign_in_session
    records = json.loads(json.dumps(world.records()).replace(str(was), str(now)))
    with held(records) as case:
        yield case, first, after


@pytest.mark.parametrize(("region", "theirs"), [("us-east-1", True), ("eu-west-1", False)])
def test_a_function_that_got_another_role_hands_out_that(region: str, theirs: bool) -> None:
    """The host is the function, whichever role it is given later; one of its name in another region is another one."""
    world = World(START)
    session = world.function("Mailer", "send")
    session.seen_from(THIEF).calls("s3:ListBuckets")
    world.wait(600)
    world.region = region
    after = world.function("MailerNew", "send")
    after.calls("s3:ListBuckets")
    rested(world, 0.1)
    plan = checked(planned(world, session.id, strategy="surgical"))

    assert plan.proof.complete
    assert (after.id in plan.steps[-1].ends) == theirs


@pytest.mark.parametrize(
    ("kind", "delivered"),
    [("task", True), ("task", False), ("pod_identity", True), ("runs_task", True)],
)
def test_what_took_the_place_of_a_robbed_workload_may_be_robbed_too(kind: str, delivered: bool) -> None:
    """
    Each task or pod has a name of its own: one used from the thief's address is cut, and any other is named.

    The evidence may begin after the robbed one got its session: which service gave it that is not known then. Whoever
    starts tasks by call, as pipelines do, starts the next with the same hole.
    """
    world, way_out = World(START), "198.51.100.200"
    started: Callable[[str], Credential] = getattr(world.user("ci") if kind == "runs_task" else world, kind)
    before, robbed = (started("Web").seen_from(way_out) for _ in range(2))
    before.calls("s3:ListBuckets")
    robbed.calls("s3:ListBuckets")
    robbed.seen_from(THIEF).calls("s3:ListBuckets")
    world.wait(HOUR)
    again, other = (started("Web") for _ in range(2))
    minted = again.seen_from(THIEF).assumes("Ops", "x")
    other.seen_from(way_out).calls("s3:ListBuckets")
    rested(world, 1)
    records = [
        one
        for one in world.records()
        if delivered or robbed.key_id not in json.dumps(one["responseElements"])
    ]
    with held(records) as case:
        plan = checked(case.contain([robbed.id], strategy="surgical"))

    assert plan.proof.complete and {again.id, minted.id} <= set(plan.tainted)
    assert not {other.id, before.id} & (hit(plan) | set(plan.tainted))
    assert rests_on(plan, f"{other.id} is the rightful owner's") and not rests_on(plan, before.id)


def test_the_gateway_that_a_robbed_workload_left_by_is_not_the_thiefs_address() -> None:
    """Where the evidence begins with the theft, no earlier task shows it: the robbed one's own first calls do."""
    world = World(START)
    robbed, after = (world.task("Web").seen_from(OFFICE) for _ in range(2))
    for one in (robbed, after, robbed.seen_from(THIEF)):
        one.calls("s3:ListBuckets")
    made = after.creates_user("deployed")
    plan = checked(planned(world, robbed.id, strategy="surgical"))

    assert after.id not in {*plan.tainted, *hit(plan)} and rests_on(
        plan, f"{after.id} is the rightful owner's"
    )
    assert made.arn not in {one for each in plan.steps for one in each.principals}


@pytest.mark.parametrize("hours", [0, 8, 16])
def test_the_task_that_only_a_session_which_has_run_out_shows_robbed_is_followed(hours: int) -> None:
    """The thief went on to a second task: what that is handed is the thief's, also once the session has run out."""
    world = World(START)
    first, second = (world.task("Web").seen_from(OFFICE) for _ in range(2))
    for one in (first, second):
        one.calls("s3:ListBuckets")
    first.seen_from(THIEF).calls("s3:ListBuckets")
    world.wait(5 * HOUR)
    robbed = second.seen_from(OFFICE).rotates()
    robbed.calls("s3:ListBuckets")
    robbed.seen_from(THIEF).calls("s3:ListBuckets")
    world.wait(5 * HOUR)
    after = robbed.seen_from(OFFICE).rotates()
    after.calls("s3:ListBuckets")
    rested(world, hours)
    with asked(world) as case:
        trace = case.trace([first.id])

    assert {robbed.id, after.id} == {one.credential for one in trace.handed or ()}


@pytest.mark.parametrize("hours", [0, 8])
def test_where_healthy_tasks_called_from_is_known_when_they_have_run_out(hours: int) -> None:
    """A gateway with two addresses is none of the thief's hours later either: what healthy tasks made was deleted."""
    world = World(START)
    before, robbed, after = (world.task("Web") for _ in range(3))
    for one in (before, robbed):
        one.seen_from(OFFICE).calls("s3:ListBuckets")
        one.seen_from(GATEWAY).calls("s3:ListBuckets")
    robbed.seen_from(THIEF).calls("s3:ListBuckets")
    made = after.seen_from(GATEWAY).creates_user("deployed")
    rested(world, hours)
    plan = planned(world, robbed.id, strategy="surgical")

    assert (robbed.id,) == plan.tainted
    assert made.arn not in {one for each in plan.steps for one in each.principals}


@pytest.mark.parametrize("hours", [0, 8])
def test_an_earlier_session_of_a_robbed_task_makes_the_thiefs_address_none_of_its_own(hours: int) -> None:
    """The thief had that one, too: what the next task's session did from there is the thief's, not the role's work."""
    world = World(START)
    earlier = world.task("Web").seen_from(THIEF)
    earlier.calls("s3:ListBuckets")
    world.wait(HOUR)
    later = earlier.rotates().seen_from(OFFICE)
    later.calls("s3:ListBuckets")
    later.seen_from(THIEF).calls("s3:ListBuckets")
    after = world.task("Web").seen_from(THIEF)
    made = after.creates_user("backdoor")
    rested(world, hours)
    plan = planned(world, later.id, strategy="surgical")

    assert {later.id, after.id} == set(plan.tainted)
    assert made.arn in {one for each in plan.steps for one in (each.principal, *each.principals)}


@pytest.mark.parametrize("narrowing", [{"source_ips": [THIEF]}, {"trusted_ips": [OFFICE]}])
def test_an_address_that_is_named_as_the_thiefs_is_no_gateway(narrowing: dict[str, list[str]]) -> None:
    """Where the evidence shows the thief before the robbed workload itself, whoever says whose address it is, is heard."""
    world = World(START)
    older, robbed, after, healthy = (world.task("Web") for _ in range(4))
    for one, ip in (
        (older, OFFICE),
        (older, THIEF),
        (robbed, THIEF),
        (robbed, OFFICE),
        (after, THIEF),
        (healthy, OFFICE),
    ):
        one.seen_from(ip).calls("s3:ListBuckets")
    plan = checked(planned(world, robbed.id, strategy="surgical", **narrowing))

    assert {robbed.id, after.id} == set(plan.tainted) and healthy.id not in hit(plan)


@pytest.mark.parametrize("kind", ["portal", "saml", "password", "task"])
def test_where_a_session_was_before_the_theft_its_owner_is_since(kind: str) -> None:
    """With `--since` alone its owner's next sign-in from the office was the thief's, and what it made was deleted."""
    world = World(START)

    def opened(ip: str) -> Credential:
        new: dict[str, Callable[[], Credential]] = {
            "portal": lambda: world.identity_center("ada", "Admin", duration=12 * HOUR),
            "saml": lambda: world.saml("Dev", "zoe"),
            "password": lambda: world.console_sign_in(world.user("ada"), ip=ip),
            "task": lambda: world.task("Web"),
        }
        session = new[kind]().seen_from(ip)
        session.calls("s3:ListBuckets")
        return session

    stolen = opened(OFFICE)
    stolen.seen_from(GATEWAY).calls("s3:ListBuckets")
    world.wait(600)
    since = world.now
    stolen.seen_from(THIEF).calls("s3:ListBuckets")
    owners, thiefs = opened(GATEWAY), opened(THIEF)
    made = owners.creates_user("deployed")
    plan = planned(world, stolen.id, strategy="surgical", since=since)

    assert {stolen.id, thiefs.id} == set(plan.tainted)
    assert made.arn not in {one for each in plan.steps for one in (each.principal, *each.principals)}
    assert owners.id in hit(plan) or rests_on(plan, f"{owners.id} is the rightful owner's")


def test_what_a_sign_in_session_refreshes_is_the_thiefs() -> None:
    """One session of `aws login` has one holder: its later credentials and what they minted are ended by name."""
    with refreshed(World(START)) as (case, first, after):
        plan = checked(case.contain([first.id], strategy="surgical"))

    assert {first.id, after.id} < set(plan.tainted)
    assert ["revoke-sign-in-sessions", "deny-sessions", "deny-sessions"] == actions(plan)
    assert {first.id, after.id} == set(plan.steps[1].ends) and 1 == len(plan.steps[2].ends)
    assert plan.proof.complete


def test_a_sign_in_session_is_revoked_though_its_grants_are_not_in_the_log() -> None:
    """The stolen key tells the sign-in session that hands out the next one, also where the trail lacks what is read."""
    world = World(START)
    stolen = stolen_from(world, "sign_in")
    records = [one for one in world.records() if one["eventName"] != "CreateOAuth2Token"]
    with held(records) as case:
        plan = checked(case.contain([stolen.id]))

    assert "revoke-sign-in-sessions" == actions(plan)[0]
    assert [stolen.identity.sign_in_session] == plan.steps[0].calls[0].parameters["sessionArns"]


@pytest.mark.parametrize("agent", [False, True])
def test_an_agents_access_token_outlives_its_sign_in_session_by_an_hour(agent: bool) -> None:
    """What it is given meanwhile is newer than any cutoff, so the proof names what ends it; `aws login` has no such token."""
    world = World(START)
    stolen = stolen_from(world, "sign_in")
    records = world.records()
    if agent:
        who = json.loads(json.dumps(records[-1]["userIdentity"]))
        who["accessKeyId"] = "ASIAIOSFODNN7EXAMPL9"
        who["sessionContext"]["attributes"]["creationDate"] = at("09:20:00").strftime("%Y-%m-%dT%H:%M:%SZ")
        records.append(call("ListBuckets", "2026-11-23T09:21:00Z", who, source="s3.amazonaws.com"))
    with held(records) as case:
        plan = checked(case.contain([stolen.id]))

    assert agent == rests_on(plan, f"access token .*aws:SignInSessionArn.*{stolen.identity.sign_in_session}")


@pytest.mark.parametrize(
    ("since", "hours", "closed"), [(None, 0, True), (4 * HOUR, 0, False), (None, 91 * 24, False)]
)
def test_a_sign_in_session_counts_though_nobody_acted_through_it_yet(
    since: int | None, hours: float, closed: bool
) -> None:
    """Its refresh token works when the browser's session is cut: it is revoked, but for its owner's, and for ninety days."""
    world = World(START)
    browser = world.console_sign_in(world.user("ada"), ip=THIEF)
    browser.calls("s3:ListBuckets")
    arn = browser.logs_in().identity.sign_in_session
    rested(world, hours)
    options = {} if since is None else {"since": START + timedelta(seconds=since)}
    plan = planned(world, browser.id, **options)

    assert plan.proof.complete
    assert closed == ("revoke-sign-in-sessions" in actions(plan))
    assert not closed or [arn] == step(plan, "revoke-sign-in-sessions").calls[0].parameters["sessionArns"]


def two_sign_ins(world: World, ip: str, way: str = "password") -> tuple[Credential, Credential, Credential]:
    """A thief's session, the same person's next one, and what that minted."""
    if way == "password":
        user = world.user("ada")
        session: Credential = world.console_sign_in(user, ip=THIEF)
        session.calls("s3:ListBuckets")
        world.wait(600)
        after: Credential = world.console_sign_in(user, ip=ip)
    elif way == "portal":
        session = world.identity_center("ada", "Admin", ip=THIEF)
        session.calls("s3:ListBuckets")
        world.wait(600)
        after = world.identity_center("ada", "Reader", account=AWAY, ip=ip)
    else:
        session = world.saml("Dev", "ada", ip=THIEF)
        session.calls("s3:ListBuckets")
        world.wait(600)
        after = world.saml("Dev", "ada", ip=ip)
    after.calls("s3:ListBuckets")
    minted = after.assumes("Ops", "x", account="111122223333")
    minted.calls("s3:ListBuckets")
    world.user("bystander").calls("s3:ListBuckets")
    return session, after, minted


WAYS = ["password", "portal", "provider"]


@pytest.mark.parametrize("way", WAYS)
def test_a_later_sign_in_from_where_the_thief_was_seen_is_the_thiefs(way: str) -> None:
    """The same person's next session, from the thief's address, and what it minted: tainted to the plan, and ended."""
    world = World(START)
    session, after, minted = two_sign_ins(world, THIEF, way)
    plan = checked(planned(world, session.id))

    assert {session.id, after.id, minted.id} == set(plan.tainted)
    assert {session.id, after.id, minted.id} == {one for each in plan.steps for one in each.ends}
    assert any(f"both were used from {THIEF}" in one.why for one in plan.steps)
    assert plan.proof.complete and not hit(plan)


def test_a_later_sign_in_from_another_address_of_the_thiefs_line_is_the_thiefs() -> None:
    """A host with IPv6 takes a new address of its network every day (RFC 8981)."""
    world = World(START)
    user, line = world.user("ada"), "2001:db8:0:7:"
    session = world.console_sign_in(user, ip=f"{line}1::1")
    session.calls("s3:ListBuckets")
    world.wait(600)
    after = world.console_sign_in(user, ip=f"{line}2::2")
    neighbour = world.console_sign_in(user, ip="2001:db8:0:8::2")
    world.user("bystander").calls("s3:ListBuckets")
    plan = checked(planned(world, session.id))

    assert {session.id, after.id} == set(plan.tainted)
    assert any(f"both were used from {line}:/64" in one.why for one in plan.steps)
    assert neighbour.id not in plan.tainted


@pytest.mark.parametrize("way", WAYS)
def test_a_later_sign_in_from_elsewhere_is_the_owners_and_the_proof_says_so(way: str) -> None:
    """It is left to its owner; as it may be the thief's all the same, it and what it minted are named."""
    world = World(START)
    session, after, minted = two_sign_ins(world, OFFICE, way)
    plan = checked(planned(world, session.id, strategy="surgical"))

    assert {session.id} == set(plan.tainted)
    assert rests_on(plan, f"^{re.escape(minted.id)} is the rightful owner's, though it descends from")
    assert (way == "portal" and after.id in hit(plan)) or rests_on(
        plan, f"^{re.escape(after.id)} is the rightful"
    )


@pytest.mark.parametrize("way", ["provider", "task"])
def test_what_has_run_out_still_tells_the_thiefs_second_address(way: str) -> None:
    """It is used from both and left nothing to end; the next one, from the second alone, is the thief's for sure."""
    world, moved = World(START), "203.0.113.99"

    def given(*addresses: str) -> Credential:
        found = world.saml("Dev", "ada", duration=HOUR) if way == "provider" else world.task("Web")
        for ip in addresses:
            found.seen_from(ip).calls("s3:ListBuckets")
        world.wait(8 * HOUR if ip != moved or len(addresses) > 1 else 1)
        return found

    given(OFFICE)
    session, between, after = given(OFFICE, THIEF), given(THIEF, moved), given(moved)
    world.user("bystander").calls("s3:ListBuckets")
    with asked(world) as case:
        plan = checked(case.contain([session.id], trusted_ips=[OFFICE]))
        handed = case.trace([session.id], trusted_ips=[OFFICE]).handed or ()

    assert {session.id, after.id} == set(plan.tainted)
    assert {between.id, after.id} == {one.credential for one in handed}
    assert not rests_on(plan, after.id)


def test_a_later_sign_in_that_the_plan_ends_is_not_named() -> None:
    """Standard ends the owner's session with the thief's: what is left is what it minted, and that alone is named."""
    world = World(START)
    session, after, minted = two_sign_ins(world, OFFICE)
    plan = checked(planned(world, session.id))

    assert {after.id} == hit(plan)
    assert not rests_on(plan, f"^{re.escape(after.id)} is") and rests_on(plan, f"^{re.escape(minted.id)} is")


@pytest.mark.parametrize("narrowing", [{"trusted_ips": [OFFICE]}, {"source_ips": [THIEF]}])
def test_a_later_sign_in_from_a_trusted_address_is_nobody_elses(narrowing: dict[str, list[str]]) -> None:
    """Whoever gives the addresses says whose it is: it neither counts as the thief's nor is it named."""
    world = World(START)
    session, after, _ = two_sign_ins(world, OFFICE)
    session.seen_from(OFFICE).calls("s3:ListBuckets")
    with asked(world) as case:
        wide = checked(case.contain([session.id], strategy="surgical"))
        narrow = checked(case.contain([session.id], strategy="surgical", **narrowing))

    assert after.id in wide.tainted
    assert {session.id} == set(narrow.tainted) and not rests_on(narrow, "rightful owner's")


@pytest.mark.parametrize("new", [True, False])
def test_a_sign_in_with_a_new_password_is_the_owners(new: bool) -> None:
    """
    Somebody else has changed the password between the theft and the sign-in, which the thief then can't have made; who
    set how long one stays signed in may have set no password (IAM API Reference, 'UpdateLoginProfile').
    """
    world = World(START)
    session: Credential = world.console_sign_in(world.user("ada"), ip=THIEF)
    session.calls("s3:ListBuckets")
    settings = {} if new else {"maxSigninSessionDuration": 7_776_000}
    world.user("responder").iam("UpdateLoginProfile", userName="ada", **settings)
    world.wait(600)
    after = world.console_sign_in(world.user("ada"), ip=OFFICE)
    after.calls("s3:ListBuckets")
    plan = checked(planned(world, session.id, strategy="surgical"))

    assert {session.id} == set(plan.tainted) and new != rests_on(plan, "rightful owner's")
    assert new != ("remove-login-profile" in actions(plan))


@pytest.mark.parametrize("sure", [True, False])
@pytest.mark.parametrize("knows", ["set it", "signed in with it"])
def test_that_a_reset_set_another_password_is_a_condition_if_it_may_have_set_none(
    sure: bool, knows: str
) -> None:
    """UpdateLoginProfile with PasswordResetRequired alone leaves the password (IAM API Reference), which no record shows."""
    world = World(START)
    thief, responder = world.user("support").seen_from(THIEF), world.user("responder")
    session: Credential = thief
    if knows == "set it":
        thief.iam("UpdateLoginProfile", userName="ada")
    else:
        session = world.console_sign_in(world.user("ada"), ip=THIEF)
    world.wait(60)
    responder.iam("UpdateLoginProfile", userName="ada", passwordResetRequired=True)
    world.wait(60)
    if sure:
        responder.iam("DeleteLoginProfile", userName="ada")
    plan = checked(planned(world, session.id))

    assert sure != rests_on(plan, "another password of ada: with PasswordResetRequired alone it sets none")


@pytest.mark.parametrize(("days", "told"), [(0, False), (2, True), (91, False)])
def test_that_a_console_session_is_over_rests_on_what_its_user_is_allowed(days: int, told: bool) -> None:
    """Twelve hours, unless a setting from before the evidence allows ninety days (IAM API Reference, 'UpdateRole')."""
    world = World(START)
    session = world.console_sign_in(world.user("ada"))
    session.calls("s3:ListBuckets")
    rested(world, days * 24)
    plan = planned(world, session.id)

    assert told == rests_on(plan, "lasted no longer than twelve hours")


@pytest.mark.parametrize("kind", ["console", "saml", "key"])
def test_a_cutoff_of_console_sessions_is_not_lifted_before_the_longest_is_over(kind: str) -> None:
    """How long one may stay signed in is in no log: up to ninety days (IAM API Reference, 'UpdateLoginProfile')."""
    world = World(START)
    ada = world.user("ada")
    stolen: Credential = {
        "console": lambda: world.console_sign_in(ada), "saml": lambda: world.saml("Audit", "ria"), "key": lambda: ada,
    }[kind]()  # fmt: skip
    stolen.calls("s3:ListBuckets")
    plan = planned(world, stolen.id)
    (cut,) = [one for one in plan.steps if one.action in ("revoke-user-sessions", "revoke-role-sessions")]

    assert cut.safe_to_undo_after
    assert (kind != "key") == (timedelta(days=90) <= cut.safe_to_undo_after - plan.as_of)


def test_what_was_handed_out_since_is_not_spared() -> None:
    """It counts as the thief's, and the plan says why."""
    world = World(START)
    session, after, _ = two_sign_ins(world, THIEF)
    plan = planned(world, session.id, spare=[after.id])
    (refused,) = plan.not_spared

    assert after.id == refused.credential and "the password of ada handed it out" in refused.why


# ---------------------------------------------------------------- what somebody has shut already

STRANGERS = {"AWS": "arn:aws:iam::999988887777:root"}
OWN = {"AWS": "arn:aws:iam::111122223333:root"}


def opened(world: World, kind: str) -> tuple[Credential, LongTermKey]:
    """A stolen key that opened something, and whoever is to shut it."""
    key, responder = world.user("support"), world.user("responder")
    world.user("carol").calls("s3:ListBuckets")
    responder.creates_role("Backup", trust_policy(OWN))
    world.wait(8 * HOUR)
    session = key.assumes("Admin", "x")
    if kind == "trust":
        session.iam("UpdateAssumeRolePolicy", roleName="Backup", policyDocument=trust_policy(STRANGERS))
    elif kind == "password":
        session.iam("CreateLoginProfile", userName="carol")
    else:
        session.creates_function("evil", "Backup")
    return key, responder


def shut(responder: Credential, kind: str) -> None:
    """Shut it again."""
    if kind == "trust":
        responder.iam("UpdateAssumeRolePolicy", roleName="Backup", policyDocument=trust_policy(OWN))
    elif kind == "password":
        responder.iam("DeleteLoginProfile", userName="carol")
    else:
        responder.calls("lambda:DeleteFunction20150331", {"functionName": "evil"}, read_only=False)


OPENINGS = [("trust", "role/Backup"), ("password", "user/carol"), ("function", "role/Backup")]


@pytest.mark.parametrize(("kind", "whose"), OPENINGS)
@pytest.mark.parametrize("strategy", ["standard", "surgical"])
def test_what_was_shut_a_while_ago_may_have_handed_out_what_no_log_shows(
    kind: str, whose: str, strategy: str
) -> None:
    """It stood open within the blind window: nothing is left to close, and what it may have handed out is ended."""
    world = World(START)
    key, responder = opened(world, kind)
    world.wait(300)
    shut(responder, kind)
    plan = checked(planned(world, key.id, strategy=strategy))

    cut = [one for one in plan.steps if any(arn.endswith(whose) for arn in one.principals)]
    assert [one.action for one in cut] == [
        "revoke-user-sessions" if kind == "password" and strategy == "standard"
        else "revoke-role-sessions" if strategy == "standard" else "deny-sessions"
    ]  # fmt: skip
    assert plan.proof.complete
    assert not {"revert-trust", "remove-login-profile", "isolate-instance"} & set(actions(plan))


@pytest.mark.parametrize(("kind", "whose"), OPENINGS[:2])
def test_what_was_shut_long_ago_is_of_no_concern(kind: str, whose: str) -> None:
    """All that it handed out would be in the log by now: no step touches whose it was."""
    world = World(START)
    key, responder = opened(world, kind)
    world.wait(300)
    shut(responder, kind)
    world.wait(HOUR)
    responder.calls("s3:ListBuckets")
    plan = checked(planned(world, key.id))

    assert plan.proof.complete
    assert not [one for one in plan.steps if any(arn.endswith(whose) for arn in one.principals)]


@pytest.mark.parametrize(
    ("to", "open_still"), [(OWN, False), ({"AWS": [*OWN.values(), *STRANGERS.values()]}, True)]
)
def test_a_trust_is_put_right_when_none_is_named_whom_the_attacker_added(
    to: dict[str, object], open_still: bool
) -> None:
    """Whoever was trusted before may stay; an edit that leaves the strangers in shuts nobody out."""
    world = World(START)
    key, responder = world.user("support"), world.user("responder")
    responder.creates_role("Backup", trust_policy(OWN))
    both = trust_policy({"AWS": [*OWN.values(), *STRANGERS.values()]})
    key.iam("UpdateAssumeRolePolicy", roleName="Backup", policyDocument=both)
    world.wait(300)
    responder.iam("UpdateAssumeRolePolicy", roleName="Backup", policyDocument=trust_policy(to))
    world.wait(HOUR)
    responder.calls("s3:ListBuckets")
    plan = planned(world, key.id)

    assert open_still == ("revert-trust" in actions(plan))
    assert plan.proof.complete


def test_what_was_shut_and_opened_again_is_open() -> None:
    """The attacker let strangers in once more after the responder had shut them out: the trust is put back."""
    world = World(START)
    key, responder = opened(world, "trust")
    world.wait(60)
    shut(responder, "trust")
    key.assumes("Admin", "x").iam(
        "UpdateAssumeRolePolicy", roleName="Backup", policyDocument=trust_policy(STRANGERS)
    )
    plan = checked(planned(world, key.id))

    assert "revert-trust" in actions(plan) and plan.proof.complete


def test_a_password_that_was_changed_a_while_ago_may_have_been_used_until_then() -> None:
    """A session that the thief opened with it, unseen, is ended with those that the log shows."""
    world = World(START)
    world.user("ada").calls("s3:ListBuckets")
    world.wait(48 * HOUR)
    session: Credential = world.console_sign_in(world.user("ada"), ip=THIEF)
    session.calls("s3:ListBuckets")
    world.wait(40 * HOUR)
    world.user("responder").iam("UpdateLoginProfile", userName="ada")
    plan = checked(planned(world, session.id))

    assert ["revoke-user-sessions"] == actions(plan) and plan.proof.complete


# ---------------------------------------------------------------- certificates


def test_a_certificate_is_revoked_and_no_workload_is_stopped() -> None:
    """A session of IAM Roles Anywhere is named by a certificate's serial: who holds that gets the next session."""
    world = World(START)
    session = world.roles_anywhere("Host", "host-1")
    session.seen_from(THIEF).calls("s3:ListBuckets")
    serial = session.identity.principal_id.rpartition(":")[2]
    with asked(world) as case:
        plan = checked(case.contain([session.id]))
        given = checked(case.contain([session.id], what_if=as_given(plan)))
        alone = checked(case.contain([session.id], what_if=as_given(plan)[1:]))

    assert ["revert-trust", "revoke-role-sessions"] == actions(plan)
    assert (serial,) == plan.steps[0].targets and () == plan.steps[0].calls
    assert all(
        said in plan.steps[0].why for said in (serial, "import-crl", "--region us-east-1 --profile-id")
    )
    assert "lambda" not in plan.steps[0].why
    assert plan.proof.complete and given.proof.complete and not alone.proof.complete


@pytest.mark.parametrize(("ip", "theirs"), [(THIEF, True), (OFFICE, False)])
def test_the_certificates_later_sessions_are_the_thiefs_where_it_was_seen(ip: str, theirs: bool) -> None:
    """Its owner holds the certificate too: a session from elsewhere is left, and named."""
    world = World(START)
    first, after = world.roles_anywhere("Host", "host-1"), world.roles_anywhere("Host", "host-1")
    first.seen_from(THIEF).calls("s3:ListBuckets")
    after.seen_from(ip).calls("s3:ListBuckets")
    was, now = (one.identity.principal_id.rpartition(":")[2] for one in (after, first))
    with held(json.loads(json.dumps(world.records()).replace(was, now))) as case:
        plan = checked(case.contain([first.id], strategy="surgical"))

    assert (after.id in plan.tainted) == theirs
    assert rests_on(plan, f"^{after.id} is the rightful owner's, though the certificate {now}") != theirs


@pytest.mark.parametrize(("first", "told"), [("thief", True), ("colleague", False), ("owner", False)])
def test_what_works_where_the_attacker_came_first_may_be_stolen_too(first: str, told: bool) -> None:
    """
    A key that stood in a file descends from nothing of the attacker's; its working at the attacker's address tells.

    An address that somebody else had before, or from which the leaked key's owner first worked, is no sign of it,
    though what the owner minted there counts as the attacker's.
    """
    world = World(START)
    leaked, other = world.user("leaked", ip="192.0.2.10"), world.user("terraform", ip="192.0.2.20")
    for key in (leaked, other, leaked.assumes("Ops", "y")):
        key.calls("s3:ListBuckets")
    address = {"thief": "198.51.100.7", "colleague": "192.0.2.20", "owner": "192.0.2.10"}[first]
    leaked.seen_from("198.51.100.7").calls("s3:GetObject", {"bucketName": "state", "key": "k"})
    stolen = other.seen_from(address)
    session = stolen.assumes("Deploy", "x")
    session.calls("s3:ListBuckets")
    with asked(world) as case:
        plan, both = checked(case.contain([leaked.id])), checked(case.contain([leaked.id, other.id]))

    said = [one for one in plan.proof.holds_if if "was not stolen as well" in one]
    assert [f"`tokentrail contain {other.id}`" in one for one in said] == [True] * told
    assert not any("was not stolen as well" in one for one in both.proof.holds_if)
    assert plan.proof.may_be_stolen == (other.id,) * told
    assert not both.proof.may_be_stolen


def test_where_a_key_was_before_the_theft_nobody_brought_it_to() -> None:
    """Colleagues at its owner's second address, which the owner used before and since, are not told as perhaps stolen."""
    world = World(START)
    leaked = world.user("leaked", ip="192.0.2.10")
    leaked.calls("s3:ListBuckets")
    leaked.seen_from(OFFICE).calls("s3:ListBuckets")
    world.user("ria", ip=OFFICE).calls("s3:ListBuckets")
    world.wait(HOUR)
    since = world.now
    for address in (THIEF, OFFICE):
        leaked.seen_from(address).calls("s3:ListBuckets")
    stolen = world.user("terraform", ip=THIEF)
    stolen.calls("s3:ListBuckets")
    plan = planned(world, leaked.id, since=since)
    (said,) = [one for one in plan.proof.holds_if if "was not stolen as well" in one]

    assert said.startswith(stolen.id)


def test_what_works_where_only_a_session_that_has_run_out_brought_the_attacker_is_named() -> None:
    """A robbed host's next session, used from a second address, leaves nothing to end; a key that works there is told."""
    world, moved = World(START), "203.0.113.99"
    session = world.instance("Web", ip=OFFICE)
    session.calls("s3:ListBuckets")
    session.seen_from(THIEF).calls("s3:ListBuckets")
    world.wait(8 * HOUR)
    after = session.rotates()
    after.calls("s3:ListBuckets")
    after.seen_from(moved).calls("s3:ListBuckets")
    world.wait(8 * HOUR)
    key = world.user("terraform", ip=moved)
    key.calls("s3:ListBuckets")
    plan = checked(planned(world, session.id))

    assert after.id not in plan.tainted
    assert rests_on(plan, f"^{key.id} was not stolen as well, .*{moved}, where nobody was before {after.id}")


@pytest.mark.parametrize(
    ("told", "since"),
    [
        ((None, START), START),
        ((START, at("12:00:00")), START),
        ((START, ALWAYS), ALWAYS),
        ((None, None), None),
    ],
)
def test_a_source_gives_from_when_any_that_tells_of_it_says(
    told: tuple[datetime | None, datetime | None], since: datetime | None
) -> None:
    """Sessions say nothing of when what gave them was made; a sign-in before a password was set says it was known."""
    ways = [
        EntryPoint(
            kind="password",
            id="grace",
            mints=Principal(HOME, "user", "grace"),
            account=HOME,
            why="x",
            since=one,
        )
        for one in told
    ]

    assert [one.since for one in once(ways)] == [one.since for one in once(reversed(ways))] == [since]


@pytest.mark.parametrize("before", [True, False])
def test_a_password_is_known_since_it_was_set_or_always(before: bool) -> None:
    """Who signs in with a password that the attacker set knew none before; who did so earlier had one."""
    user, key = Principal(HOME, "user", "grace"), "AKIAIOSFODNN7EXAMPLE"
    result = AttackerAction(
        by=key, event_id="e", time=at("11:00:00"), account=HOME, source="iam.amazonaws.com", name="CreateLoginProfile",
        request='{"userName":"grace"}', response=None,
    )  # fmt: skip
    world = World(at("10:00:00") if before else at("12:00:00"))
    world.console_sign_in(world.user("grace"))
    with held(world) as case:
        (one,) = [one for one in case.credentials() if one.kind == "console_session"]
        forest = case._views.forest(None)
        (row,) = forest.named([one.id])
    (found,) = passwords([TaintedCredential(held_of(row, one), one)], [result], [])

    assert found.mints == user
    assert found.since == (ALWAYS if before else at("11:00:00"))


def test_what_a_proof_rests_on_is_one_sentence_for_all_of_whom_it_is_so() -> None:
    """Dozens of persons, accounts or roots are named in one condition; none is left out in silence past the first."""
    world = World(START, tick=0.5)
    key = world.user("support")
    accounts = [f"{number:012}" for number in range(1, 9)]
    for number, account in enumerate(accounts):
        key.assumes_root(account).calls("s3:DeleteBucketPolicy", {"bucketName": "b"})
        world.identity_center(f"p{number}", "Admin", account=account).calls("s3:ListBuckets", ip=THIEF)
        for role in ("Deploy", "Test"):
            world.oidc(world.role(role, account=account), "repo:x/y:ref").calls("s3:ListBuckets", ip=THIEF)
    plan = planned(world, key.id, THIEF)
    with asked(world) as case:
        barred = case.contain([key.id], without_access=accounts)

    [portal] = [one for one in plan.proof.holds_if if one.startswith("through the access portal")]
    assert "as p0, p1, p2, p3, p4, p5 and 2 more, unseen since 2026-11-23T09:00:0" in portal
    [provider] = [
        one for one in plan.residual_risks + plan.proof.holds_if if one.startswith("the identity provider")
    ]
    assert (
        "and the same of 7 other accounts, as repo:x/y:ref, into role/Deploy in 000000000001, role/Test"
        in provider
    )
    [root] = [one for one in plan.residual_risks if one.startswith("no IAM policy binds root of")]
    assert "000000000006 and 2 more: a service control policy does" in root
    [closed] = [one for one in barred.residual_risks if "without access" in one]
    assert closed.startswith("accounts 000000000001, 000000000002, ")
    assert "000000000006 and 2 more: " in closed


def test_the_session_behind_forwarded_calls_is_nobodys_to_end() -> None:
    """A service's calls show that there is a session, and not who minted it or signed in: the proof rests on that."""
    world = World(START)
    with world.unlogged():
        caller = world.user("ada").assumes("Deploy")
    caller.via("cloudformation.amazonaws.com").calls("ec2:DescribeVpcs")
    behind = f"{caller.identity.principal_id}@2026-11-23T09:00:00Z"
    plan = checked(planned(world, behind))

    assert actions(plan) == ["revoke-role-sessions"]
    assert rests_on(
        plan, f"whoever minted {behind} mints no more, as no step ends that: calls that a service made"
    )


@pytest.mark.parametrize("used", [False, True])
def test_an_oidc_provider_is_named_by_what_it_is(used: bool) -> None:
    """Whoever is to shut somebody out there must know where, also of a session that has called nothing yet."""
    world = World(START)
    session = world.oidc("Deploy", "repo:example/shop:ref:refs/heads/main")
    if used:
        session.calls("s3:ListBuckets")
    plan = checked(planned(world, session.id))
    provider = f"arn:aws:iam::{HOME}:oidc-provider/token.actions.githubusercontent.com"

    assert rests_on(
        plan, f"lets the attacker in no more: {provider}, as repo:example/shop:ref:refs/heads/main, into"
    )


def test_a_guests_credential_of_no_known_role_is_told_to_be_out_of_reach() -> None:
    """Cognito's record has neither role nor account of whom it gave it to: a plan that can't end it says where to look."""
    key, identity = "ASIAIOSFODNN7EXAMPL1", "us-east-1:23a7711a"
    record = call(
        "GetCredentialsForIdentity", "2026-11-23T09:00:00Z", {"type": "Unknown"}, source="cognito-identity.amazonaws.com",
        requestParameters={"identityId": identity}, managementEvent=False,
        responseElements={"credentials": {"accessKeyId": key, "expiration": "Nov 23, 2026, 10:00:00 AM"},
                          "identityId": identity},
    )  # fmt: skip
    with held([record]) as case:
        plan = checked(case.contain([key]))

    assert not plan.steps and not plan.proof.complete
    assert any(f"as whom {key} acts is not in the evidence" in one for one in plan.residual_risks)
    assert any("get-identity-pool-roles" in one for one in plan.residual_risks)
    assert rests_on(
        plan, f"lets the attacker in no more: cognito-identity.amazonaws.com, as {identity}, into unknown"
    )
    assert any("mints a new token at" in one for one in plan.proof.counterexample)


def test_a_key_of_nobody_known_is_no_guests() -> None:
    """Its own calls name no principal: the account of a key is all that AWS tells of it."""
    caller = {"type": "AWSAccount", "accountId": AWAY, "accessKeyId": "AKIAIOSFODNN7EXAMPL1"}
    with held([call("ListBuckets", "2026-11-23T09:00:00Z", caller, source="s3.amazonaws.com")]) as case:
        told = " ".join(checked(case.contain(["AKIAIOSFODNN7EXAMPL1"])).residual_risks)

    assert (
        "`aws sts get-access-key-info` tells the account of a key" in told and "cognito" not in told.lower()
    )
