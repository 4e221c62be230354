"""Whoever comes in through a provider or trust anchor since the attacker changed it may be the attacker."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from contain_cases import actions, asked, checked

from evidence import HOME, START
from tokentrail.containment.model import Plan
from tokentrail.testing import Credential, World

THIEF, OFFICE = "203.0.113.77", "198.51.100.10"
SAML = f"arn:aws:iam::{HOME}:saml-provider/corporate"
OIDC = f"arn:aws:iam::{HOME}:oidc-provider/token.actions.githubusercontent.com"
REPO = "repo:example/shop:ref:refs/heads/main"
Change = Callable[[Credential], object]
Way = tuple[Change, Change, Callable[[World, str], Credential]]


def calls(action: str, **params: Any) -> Change:
    """A call that changes something."""
    return lambda one: one.calls(action, params, read_only=False)


WAYS: dict[str, Way] = {
    "saml": (
        calls("iam:UpdateSAMLProvider", sAMLProviderArn=SAML),
        calls("iam:DeleteSAMLProvider", sAMLProviderArn=SAML),
        lambda world, ip: world.saml("Dev", "zoe", ip=ip),
    ),
    "oidc": (
        calls("iam:AddClientIDToOpenIDConnectProvider", openIDConnectProviderArn=OIDC, clientID="x"),
        calls("iam:DeleteOpenIDConnectProvider", openIDConnectProviderArn=OIDC),
        lambda world, ip: world.oidc("Deploy", REPO, ip=ip),
    ),
    "anchor": (
        calls("rolesanywhere:UpdateTrustAnchor", trustAnchorId="1-2"),
        calls("rolesanywhere:DisableTrustAnchor", trustAnchorId="1-2"),
        lambda world, ip: world.roles_anywhere("Host", "host-1", ip=ip),
    ),
}  # fmt: skip


def planned(
    way: str, ip: str, *, righted: bool = False, **options: Any
) -> tuple[Plan, Credential, Credential]:
    """A plan against a thief who changed something; who came in through it before, and who did after."""
    change, right, comes = WAYS[way]
    world = World(START)
    thief = world.user("support").seen_from(THIEF)
    thief.calls("s3:ListBuckets")
    before = comes(world, OFFICE)
    world.wait(60)
    change(thief)
    world.wait(60)
    if righted:
        right(world.user("boss").seen_from(OFFICE))
        world.wait(60)
    after = comes(world, ip)
    after.calls("s3:ListBuckets")
    world.user("bystander").seen_from(OFFICE).calls("s3:ListBuckets")
    with asked(world) as case:
        return checked(case.contain([thief.id], **options)), before, after


def doubted(plan: Plan, one: Credential) -> bool:
    """Whether the proof says that it rests on a session being the owner's."""
    return any(
        re.match(f"{one.id} is the rightful owner's, though .* lets identities of its maker in", said)
        for said in plan.proof.holds_if
    )


@pytest.mark.parametrize(
    "setting",
    [
        {"contextProvider": {"subject": "x"}}, {"addPrivateKey": "HIDDEN"}, {"removePrivateKey": "key-1"},
        {"assertionEncryptionMode": "Required"},
    ],
)  # fmt: skip
def test_a_provider_is_not_put_right_by_whoever_sets_something_else_of_it(
    monkeypatch: pytest.MonkeyPatch, setting: dict[str, Any]
) -> None:
    """UpdateSAMLProvider may leave the metadata as the attacker left it (IAM API Reference)."""
    context = calls("iam:UpdateSAMLProvider", sAMLProviderArn=SAML, **setting)
    metadata = calls(
        "iam:UpdateSAMLProvider",
        sAMLProviderArn=SAML,
        sAMLMetadataDocument="<x/>",
        removeContextProvider=True,
    )
    for right, over in ((context, False), (metadata, True)):
        monkeypatch.setitem(WAYS, "saml", (WAYS["saml"][0], right, WAYS["saml"][2]))
        plan, _, after = planned("saml", OFFICE, righted=True)

        assert over != doubted(plan, after)


@pytest.mark.parametrize("way", WAYS)
def test_who_comes_in_from_where_the_attacker_was_seen_is_the_attacker(way: str) -> None:
    """Its session is ended; whoever came in before the change is nobody's business."""
    plan, before, after = planned(way, THIEF)

    assert after.id in plan.tainted and before.id not in plan.tainted
    assert "revoke-role-sessions" in actions(plan)
    assert after.id in {one for each in plan.steps for one in each.ends}
    assert not doubted(plan, before)


@pytest.mark.parametrize("way", WAYS)
def test_who_comes_in_from_elsewhere_is_named(way: str) -> None:
    """It may be anybody whom the provider lets in: it is left to its owner, and the proof says so."""
    plan, before, after = planned(way, OFFICE)

    assert after.id not in plan.tainted
    assert doubted(plan, after) and not doubted(plan, before)


@pytest.mark.parametrize("way", WAYS)
def test_who_comes_in_after_it_was_put_right_is_not(way: str) -> None:
    """Somebody else shut the way in before."""
    plan, _, after = planned(way, OFFICE, righted=True)

    assert after.id not in plan.tainted and not doubted(plan, after)


def test_who_comes_in_from_a_trusted_address_is_not() -> None:
    """The responder knows whose it is."""
    plan, _, after = planned("saml", OFFICE, trusted_ips=[OFFICE])

    assert after.id not in plan.tainted and not doubted(plan, after)
