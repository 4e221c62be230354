"""Plans that end what the attacker got by way of Lake Formation, of another partition of AWS, or for a partner."""

from __future__ import annotations

from typing import Any

import pytest
from contain_cases import ROLE, actions, hit, planned, step

from evidence import AWAY, HOME, START
from tokentrail.containment.model import Plan
from tokentrail.testing import Credential, LongTermKey, World

FAR = "arn:aws-cn:iam::555566667777:role/Far"


@pytest.fixture(name="world")
def _world() -> World:
    return World(START)


@pytest.fixture(name="key")
def _key(world: World) -> LongTermKey:
    """The key that leaked, seen in use."""
    found = world.user("support")
    found.calls("s3:ListBuckets")
    return found


def reads(session: Credential) -> Credential:
    """The same session, seen to read."""
    session.calls("s3:GetObject", {"bucketName": "lake", "key": "a"})
    return session


def ended(plan: Plan) -> set[str]:
    """The tainted credentials that steps end."""
    return {one for each in plan.steps for one in each.ends}


def conditions(plan: Plan, words: str) -> list[str]:
    """The assumptions of a proof that hold some words."""
    return [one for one in plan.proof.holds_if if words in one]


def targets(plan: Plan, action: str) -> set[str]:
    """The principals that the steps of an action hit."""
    return {target for one in plan.steps if one.action == action for target in one.targets}


# ------------------------------------------------------------------------------------------------ Lake Formation


@pytest.mark.parametrize("strategy", ["standard", "surgical", "scorched"])
def test_a_session_of_lake_formations_is_ended_with_who_asked(
    world: World, key: LongTermKey, strategy: Any
) -> None:
    """The session that GetDataAccess gave the attacker is tainted, and a step on the location's role ends it."""
    asking = key.assumes("Analyst")
    lake = reads(asking.gets_data_access("LakeRole"))
    plan = planned(world, key.id, strategy=strategy)

    assert {key.id, asking.id, lake.id} <= set(plan.tainted)
    assert plan.proof.complete
    assert lake.id in ended(plan)
    assert not conditions(plan, "Lake Formation")


def test_what_lake_formation_gave_a_colleague_is_spared(world: World, key: LongTermKey) -> None:
    """Of one location's role, a surgical plan ends the attacker's session alone; a standard one names the colleague's."""
    lake = reads(key.assumes("Analyst").gets_data_access("LakeRole"))
    hers = reads(world.user("ria").assumes("Analyst", "ria").gets_data_access("LakeRole"))

    surgical, standard = planned(world, key.id, strategy="surgical"), planned(world, key.id)
    assert surgical.proof.complete and standard.proof.complete
    assert lake.id in ended(surgical) and hers.id not in hit(surgical)
    assert hers.id in hit(standard) and hers.id not in standard.tainted


def test_the_location_s_role_is_revoked_after_who_asks(world: World, key: LongTermKey) -> None:
    """Whoever may ask again gets another session: a cutoff on the location's role counts once the caller is ended."""
    asking = key.assumes("Analyst")
    reads(asking.gets_data_access("LakeRole"))
    revoke = [f"revoke-role-sessions:{ROLE}{name}" for name in ("LakeRole", "Analyst")]
    first = [f"deactivate-key:{key.id}", f"revoke-user-sessions:{key.arn}"]
    early = planned(world, key.id, what_if=[revoke[0], *first, revoke[1]])
    late = planned(world, key.id, what_if=[*first, revoke[1], revoke[0]])

    assert not early.proof.complete and late.proof.complete
    assert any("role/LakeRole session" in one for one in early.proof.counterexample)


def test_freezing_a_role_does_not_keep_its_sessions_from_lake_formation(
    world: World, key: LongTermKey
) -> None:
    """A deny of sts and iam leaves GetDataAccess: sessions of the location's role that come after its cutoff survive."""
    asking = key.assumes("Analyst")
    reads(asking.gets_data_access("LakeRole"))
    steps = [
        f"deactivate-key:{key.id}", f"revoke-user-sessions:{key.arn}", f"freeze-role:{ROLE}Analyst",
        f"revoke-role-sessions:{ROLE}LakeRole", f"revoke-role-sessions:{ROLE}Analyst",
    ]  # fmt: skip
    plan = planned(world, key.id, what_if=steps)

    assert not plan.proof.complete
    assert any("role/LakeRole session" in one for one in plan.proof.counterexample)


def test_a_session_of_a_service_linked_role_is_not_called_ended(world: World, key: LongTermKey) -> None:
    """No policy binds the role that Lake Formation has of its own: a plan is not complete while its session works."""
    role = f"arn:aws:iam::{HOME}:role/aws-service-role/lakeformation.amazonaws.com/AWSServiceRoleForLakeFormationDataAccess"
    lake = reads(key.gets_data_access(role))
    plan = planned(world, key.id)

    assert not plan.proof.complete
    assert lake.id in {one.credential for one in plan.proof.survivors}
    assert any("service-linked role" in one for one in plan.residual_risks)


def test_a_session_of_lake_formations_that_nobody_saw_is_a_condition(world: World, key: LongTermKey) -> None:
    """Without S3's data events nothing tells the location's role: the proof names the session, for twelve hours."""
    asking = key.assumes("Analyst")
    lake = asking.gets_data_access("LakeRole")
    name = lake.identity.principal_id.partition(":")[2]
    [said] = conditions(planned(world, key.id), "Lake Formation")
    world.wait(hours=13)
    world.user("ria").calls("s3:ListBuckets")

    assert name in said and "`tokentrail contain ROLE-ARN`" in said
    assert not conditions(planned(world, key.id), "Lake Formation")


def test_a_session_that_two_callers_asked_for_is_a_condition(world: World, key: LongTermKey) -> None:
    """One name in the attacker's call and a colleague's: neither ties the session, and the proof names it."""
    asking, hers = key.assumes("Analyst"), world.user("ria").assumes("Analyst", "ria")
    lake = asking.gets_data_access("LakeRole")
    name = lake.identity.principal_id.partition(":")[2]
    hers.gets_data_access("LakeRole", session_name=name)
    reads(lake)
    plan = planned(world, key.id)

    assert lake.id not in plan.tainted
    [said] = conditions(plan, "Lake Formation gave it")
    assert said.startswith(f"{lake.id} is not the attacker's") and f"tokentrail contain {lake.id}" in said


def test_a_session_that_a_service_asked_for_on_a_user_s_behalf_is_a_condition(
    world: World, key: LongTermKey
) -> None:
    """What Athena does for a user shows no key of the user's: the session may be the attacker's, and is named."""
    athena = key.via("athena.amazonaws.com")
    name = f"AWSLF-00-AT-{HOME}-x1"
    athena.calls("athena:GetWorkGroup")
    lake = key.gets_data_access("LakeRole", session_name=name)
    reads(lake)
    records = world.records()
    [asked] = [one for one in records if one["eventName"] == "GetDataAccess"]
    [forwarded] = [one for one in records if one["eventName"] == "GetWorkGroup"]
    asked["userIdentity"] = forwarded["userIdentity"]
    world._records[:] = records
    plan = planned(world, key.id)

    assert lake.id not in plan.tainted
    [said] = conditions(plan, "Lake Formation gave it")
    assert said.startswith(f"{lake.id} is not the attacker's")


# ------------------------------------------------------------------------------------------------ other partitions


def test_a_session_of_another_partition_is_ended_there(world: World, key: LongTermKey) -> None:
    """A token of the attacker's opened a role elsewhere: its session is tainted, and revoked in its own partition."""
    far = key.assumes("Deploy").assumes_across_partitions(FAR)
    far.calls("s3:ListBuckets", region="cn-north-1")
    plan = planned(world, key.id)

    assert plan.proof.complete
    assert {far.id} <= set(plan.tainted) & ended(plan)
    assert FAR in targets(plan, "revoke-role-sessions")
    [said] = conditions(plan, "GetWebIdentityToken")
    assert "for an hour at most after its holder was ended" in said
    assert not conditions(plan, "web identity tokens whose use")


def test_the_far_role_is_revoked_after_who_asks_for_tokens(world: World, key: LongTermKey) -> None:
    """Whoever may ask for another token enters again: a cutoff on the far role before the caller's end does not count."""
    asking = key.assumes("Deploy")
    asking.assumes_across_partitions(FAR).calls("s3:ListBuckets", region="cn-north-1")
    first = [f"deactivate-key:{key.id}", f"revoke-user-sessions:{key.arn}"]
    near, far = f"revoke-role-sessions:{ROLE}Deploy", f"revoke-role-sessions:{FAR}"

    assert not planned(world, key.id, what_if=[far, *first, near]).proof.complete
    assert planned(world, key.id, what_if=[*first, near, far]).proof.complete


def test_a_token_whose_use_nobody_saw_is_a_condition(world: World, key: LongTermKey) -> None:
    """Without the other partition's log nothing tells what the token opened: the proof names it."""
    token = key.gets_web_identity_token()
    [said] = conditions(planned(world, key.id), "web identity tokens")

    assert token.id in said and "`webIdentityTokenId`" in said


def test_a_far_session_of_an_unseen_token_is_a_condition(world: World, key: LongTermKey) -> None:
    """The destination's record names the attacker's principal and no credential of it: the session is named."""
    with world.unlogged():
        token = key.gets_web_identity_token()
    far = key.assumes_across_partitions(FAR, token=token)
    far.calls("s3:ListBuckets", region="cn-north-1")
    plan = planned(world, key.id)

    assert far.id not in plan.tainted
    [said] = conditions(plan, "asked for the token that opened it")
    assert said.startswith(f"{far.id} is not the attacker's") and key.arn in said


# ------------------------------------------------------------------------------------------------ delegation


@pytest.mark.parametrize("strategy", ["standard", "surgical", "scorched"])
def test_a_partner_that_the_attacker_approved_is_no_bystander(
    world: World, key: LongTermKey, strategy: Any
) -> None:
    """The partner's session is tainted and ended with the role that it acts as; it is nobody's collateral."""
    approver = key.assumes("Admin")
    partner = approver.delegates(AWAY)
    partner.calls("s3:ListBuckets")
    ria = world.user("ria").assumes("Admin", "ria")
    ria.calls("s3:ListBuckets")
    plan = planned(world, key.id, strategy=strategy)

    assert plan.proof.complete
    assert {partner.id} <= set(plan.tainted) & ended(plan)
    assert partner.id not in hit(plan)
    assert (ria.id in hit(plan)) == (strategy != "surgical")


def test_a_delegation_that_the_attacker_approved_is_a_condition(world: World, key: LongTermKey) -> None:
    """The partner may trade the token again: unless the principal is denied everything, the proof names the request."""
    delegation = key.accepts_delegation(AWAY)
    delegation.sent()
    plan, scorched = planned(world, key.id), planned(world, key.id, strategy="scorched")

    [said] = conditions(plan, "by the delegations that the attacker approved")
    assert delegation.id in said and "user/support" in said
    assert {"deny-user", "delete-user"} & set(actions(scorched))
    assert not conditions(scorched, "by the delegations that the attacker approved")


def test_a_partner_whose_approval_nobody_saw_is_a_condition(world: World, key: LongTermKey) -> None:
    """It acts as a principal of the attacker's: a plan that does not end it names it."""
    approver = key.assumes("Admin")
    with world.unlogged():
        delegation = approver.accepts_delegation(AWAY)
    partner = approver.partner_of(delegation)
    partner.calls("s3:ListBuckets")
    plan = planned(world, key.id, strategy="surgical")

    assert partner.id not in plan.tainted
    assert partner.id in hit(plan) or conditions(plan, f"{partner.id} is not the attacker's")


def test_a_partner_that_a_colleague_approved_is_a_colleague_s(world: World, key: LongTermKey) -> None:
    """Whom somebody else let act as a role of the attacker's is not tainted."""
    key.assumes("Admin").calls("s3:ListBuckets")
    partner = world.user("ria").assumes("Admin", "ria").delegates(AWAY)
    partner.calls("s3:ListBuckets")
    plan = planned(world, key.id)

    assert partner.id not in plan.tainted
    assert partner.id in {one.credential for one in step(plan, "revoke-role-sessions").collateral}
    assert not conditions(plan, "delegation")
