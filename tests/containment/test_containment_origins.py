"""What stands behind credentials that have run out, or that were handed out since: hosts, passwords, portals, sign-ins."""

from __future__ import annotations

import re

import pytest
from contain_cases import actions, checked, planned

from evidence import START
from tokentrail.containment.model import Plan
from tokentrail.testing import Credential, World

THIEF = "203.0.113.77"
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


@pytest.mark.parametrize("kind", ["saml", "oidc"])
def test_who_came_in_through_a_provider_may_have_come_again(kind: str) -> None:
    """The session has run out: its role is cut for what nobody has seen, and the proof rests on the provider."""
    world = World(START)
    session = stolen_from(world, kind)
    rested(world, 72)
    plan = checked(planned(world, session.id))

    assert plan.proof.complete
    assert ["revoke-role-sessions"] == actions(plan)
    assert rests_on(plan, "identity provider behind the federated sessions")


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


@pytest.mark.parametrize(("kind", "hours"), [("sign_in", 15), ("portal", 91 * 24)])
def test_a_sign_in_that_can_t_last_any_longer_hands_out_nothing(kind: str, hours: float) -> None:
    """Twelve hours after `aws login`, ninety days after the portal's: no step, and complete."""
    world = World(START)
    session = stolen_from(world, kind)
    rested(world, hours)
    plan = planned(world, session.id)

    assert () == plan.steps and plan.proof.complete


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
