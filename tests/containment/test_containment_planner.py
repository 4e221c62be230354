"""Whom a plan reaches, by which steps, and at whose cost: the shapes that the story does not have."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from contain_cases import (
    MANAGEMENT,
    ROLE,
    USER,
    actions,
    asked,
    checked,
    hit,
    operations,
    planned,
    statements,
    step,
)

from evidence import AWAY, HOME, START, call, held
from oracle.adversary import play
from oracle.replay import replay
from oracle.simulated_aws import SimulatedAws
from oracle.taint import tainted_ids
from tokentrail import Case
from tokentrail.containment import documents
from tokentrail.containment.margin import LEAST_MARGIN
from tokentrail.containment.model import Call, Plan
from tokentrail.errors import SubjectNotFound, UsageError
from tokentrail.formatting import instant
from tokentrail.present.document import document
from tokentrail.present.text.plan_text import write_plan, write_script
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.testing import Credential, LongTermKey, World
from tokentrail.testing.story import ATTACKER, Story, story

MINUTE = timedelta(minutes=1)


@pytest.fixture(name="told", scope="module")
def _told() -> Story:
    return story(ordinary_day=False)


@pytest.fixture(name="case", scope="module")
def _case(told: Story) -> Iterator[Case]:
    with asked(told.world) as case:
        yield case


# ---------------------------------------------------------------- principals of each sort


def across() -> tuple[World, LongTermKey]:
    """A stolen key, and a session of another account's role."""
    world = World(START)
    key = world.user("support")
    key.assumes("Deploy", "x", account=AWAY).calls("s3:ListBuckets")
    return world, key


def test_a_key_that_was_made_and_never_used_is_named_where_its_user_is_denied() -> None:
    """CreateAccessKey's record tells whose it is, though whoever made it was another and no call shows it in use."""
    world = World(START)
    key, admin = world.user("support"), world.user("admin")
    spare = admin.creates_access_key(key.user)
    key.calls("s3:ListBuckets")
    assert hit(planned(world, key.id, strategy="scorched")) == {key.id, spare.id}


def test_whom_a_late_step_costs_is_told_as_if_the_plan_were_carried_out_at_once() -> None:
    """A colleague's session may run out before the proof's last step, and is cut where steps follow in seconds."""
    world = World(START)
    key, ria = world.user("support"), world.user("ria")
    colleague = ria.assumes("Deploy", "ria", duration=900)
    world.wait(minutes=13)
    key.assumes("Deploy", "x")
    assert colleague.id in hit(planned(world, key.id))


def test_what_is_done_to_a_user_after_its_deletion_revives_nothing_of_it() -> None:
    """AWS finds nobody to deny any more: all keys of the user count as ended by the step that deleted it."""
    world = World(START)
    key = world.user("support")
    with world.unlogged():
        spare = key.creates_access_key()
    for one in (key, spare):
        one.calls("s3:ListBuckets")
    plan = planned(world, key.id, what_if=[f"delete-user:{USER}support", f"deny-user:{USER}support"])
    assert [len(one.collateral) for one in plan.steps] == [2, 0]
    assert hit(plan) == {key.id, spare.id}


def test_a_federated_user_takes_no_role_of_the_users_behind_it_along() -> None:
    """STS lets it assume none, so that a stolen one ends with its user's tokens, and no colleague in a role pays."""
    world = World(START)
    key, ria = world.user("support"), world.user("ria")
    guest = key.gets_federation_token("guest")
    key.assumes("Deploy", "x")
    ria.assumes("Deploy", "ria").calls("s3:ListBuckets")
    guest.calls("s3:ListBuckets")
    plan = planned(world, guest.id)
    assert plan.proof.complete
    assert actions(plan) == ["revoke-user-sessions"]
    assert hit(plan) == set()


def test_a_role_of_another_account_is_cut_there() -> None:
    """The step's account is the role's, and so are its calls; the key and its user are dealt with at home."""
    world, key = across()
    plan = planned(world, key.id)

    assert ["deactivate-key", "revoke-user-sessions", "revoke-role-sessions"] == actions(plan)
    assert [HOME, HOME, AWAY] == [one.account for one in plan.steps]
    assert [HOME, HOME, AWAY] == [call.account for one in plan.steps for call in one.calls]
    assert plan.proof.complete


def test_roles_of_two_accounts_are_cut_in_one_step() -> None:
    """Its account is then null, since its calls go to both."""
    world, key = across()
    key.assumes("Audit", "x").calls("s3:ListBuckets")
    plan = planned(world, key.id)

    assert plan.steps[-1].account is None and plan.steps[-1].principal is None
    assert {HOME, AWAY} == {call.account for call in plan.steps[-1].calls}


def person() -> tuple[World, Credential]:
    """A stolen Identity Center session, and a role assumed from it."""
    world = World(START)
    session = world.identity_center("eve@example.com", "Admin", directory_account=AWAY)
    session.calls("s3:ListBuckets")
    session.assumes("Deploy", "x").calls("s3:ListBuckets")
    return world, session


def test_an_identity_center_role_is_denied_by_the_organisation_by_hand() -> None:
    """IAM can't edit it: a person shuts the portal, then attaches the policy in `why`, with a cutoff of that moment."""
    world, session = person()
    plan = planned(world, session.id)

    assert ["disable-identity-center-user", "scp-deny", "revoke-role-sessions"] == actions(plan)
    portal, control, role = plan.steps
    assert () == portal.calls == control.calls
    assert "eve@example.com" in portal.targets and "delete its active sessions" in portal.why
    assert "service control policy" in control.why and "aws:PrincipalArn" in control.why
    assert control.cutoff and f"and 60 seconds in place of {instant(control.cutoff)}" in control.why
    assert not portal.reversible and not control.reversible
    assert (f"{ROLE}Deploy",) == role.principals
    assert plan.proof.complete
    by_hand = [one for one in plan.proof.holds_if if "by hand" in one]
    assert any("step 1 " in one for one in by_hand) and any("step 2 " in one for one in by_hand)


def test_with_the_management_account_the_organisation_is_called() -> None:
    """The policy is made and attached to the member account in one step, and can be taken off again."""
    world, session = person()
    plan = planned(world, session.id, management_account=MANAGEMENT)
    control = step(plan, "scp-deny")

    assert [(MANAGEMENT, "CreatePolicy"), (MANAGEMENT, "AttachPolicy")] == [
        (call.account, call.operation) for call in control.calls
    ]
    assert HOME == control.calls[1].parameters["TargetId"]
    assert ["DetachPolicy", "DeletePolicy"] == [call.operation for call in control.undo]
    (said,) = statements(control)
    assert "AWSReservedSSO_Admin" in said["Condition"]["ArnLike"]["aws:PrincipalArn"][0]
    assert control.cutoff is not None and control.safe_to_undo_after is not None
    assert plan.proof.complete


def test_a_service_linked_role_is_a_residual_risk() -> None:
    """Nobody may change it and no policy binds it: no step, not complete, and what to look at instead."""
    world = World(START)
    session = world.service("backup.amazonaws.com", "AWSServiceRoleForBackup")
    session.calls("ec2:DescribeVolumes")
    plan = planned(world, session.id, management_account=MANAGEMENT)

    assert () == plan.steps
    assert not plan.proof.complete
    assert any("is a service-linked role" in one for one in plan.residual_risks)


def root_key() -> tuple[World, str]:
    """A stolen key of the root user."""
    world = World(START)
    key = "AKIAIOSFODNN7EXAMPLE"
    return world, key


def root_records(key: str) -> list[dict[str, object]]:
    root = {
        "type": "Root", "principalId": HOME, "arn": f"arn:aws:iam::{HOME}:root", "accountId": HOME,
        "accessKeyId": key,
    }  # fmt: skip
    return [call("ListBuckets", "2026-11-23T09:00:00Z", root, source="s3.amazonaws.com")]


def test_roots_key_is_deactivated_by_root_and_bound_by_the_organisation() -> None:
    """
    No IAM call of others can: a person signs in as root; a service control policy binds root in a member account.

    The proof counts on the person: what lives on where no policy binds root is what the key minted, not the key.
    """
    with held(root_records("AKIAIOSFODNN7EXAMPLE")) as case:
        member = checked(case.contain(["AKIAIOSFODNN7EXAMPLE"], management_account=MANAGEMENT))
        manager = checked(case.contain(["AKIAIOSFODNN7EXAMPLE"], management_account=HOME))

    key, control = step(member, "deactivate-key"), step(member, "scp-deny")
    assert () == key.calls and "as root" in key.why and ("AKIAIOSFODNN7EXAMPLE",) == key.ends
    assert (
        "IAMDeleteRootUserCredentials`" in key.why and "delete-access-key --access-key-id=AKIAIO" in key.why
    )
    assert not manager.proof.complete and "AKIAIOSFODNN7EXAMPLE" not in {
        one.credential for one in manager.proof.survivors
    }
    assert [f"arn:aws:iam::{HOME}:root"] == statements(control)[0]["Condition"]["ArnLike"]["aws:PrincipalArn"]
    assert "DateLessThan" not in statements(control)[0]["Condition"]
    assert member.proof.complete
    assert "scp-deny" not in actions(manager)
    for plan in (member, manager):
        assert any("root" in one and "management account" in one for one in plan.residual_risks)


def roots_guest() -> list[dict[str, object]]:
    """Root's key, and a federated user that it asked for."""
    key = root_records("AKIAIOSFODNN7EXAMPLE")[0]["userIdentity"]
    arn = f"arn:aws:sts::{HOME}:federated-user/Guest"
    minted = call(
        "GetFederationToken", "2026-11-23T09:00:01Z", key,
        requestParameters={"name": "Guest", "durationSeconds": 3600},
        responseElements={
            "credentials": {"accessKeyId": "ASIAROOTSGUEST000001", "expiration": "Nov 23, 2026, 10:00:01 AM"},
            "federatedUser": {"federatedUserId": f"{HOME}:Guest", "arn": arn},
        },
    )  # fmt: skip
    guest = {
        "type": "FederatedUser", "principalId": f"{HOME}:Guest", "arn": arn, "accountId": HOME,
        "accessKeyId": "ASIAROOTSGUEST000001",
        "sessionContext": {
            "sessionIssuer": {"type": "Root", "principalId": HOME, "arn": f"arn:aws:iam::{HOME}:root", "accountId": HOME},
            "attributes": {"creationDate": "2026-11-23T09:00:01Z", "mfaAuthenticated": "false"},
        },
    }  # fmt: skip
    return [minted, call("ListBuckets", "2026-11-23T09:00:09Z", guest, source="s3.amazonaws.com")]


@pytest.mark.parametrize("subject", ["AKIAIOSFODNN7EXAMPLE", "ASIAROOTSGUEST000001"])
def test_roots_federated_users_go_with_root(subject: str) -> None:
    """They are none of root to a control policy: it names the account's federated users beside it."""
    with held([*root_records("AKIAIOSFODNN7EXAMPLE"), *roots_guest()]) as case:
        plan = checked(case.contain([subject], management_account=MANAGEMENT))
    control = step(plan, "scp-deny")
    named = {arn for one in statements(control) for arn in one["Condition"]["ArnLike"]["aws:PrincipalArn"]}

    assert {f"arn:aws:iam::{HOME}:root", f"arn:aws:sts::{HOME}:federated-user/*"} < named
    assert "ASIAROOTSGUEST000001" in control.ends
    assert plan.proof.complete


def test_a_root_session_is_ended_by_the_organisation_alone() -> None:
    """AssumeRoot's session in a member account: a service control policy on root there, and no new one meanwhile."""
    world = World(START)
    key = world.user("support")
    key.assumes_root(AWAY).calls("s3:DeleteBucketPolicy", {"bucketName": "locked"})
    plan = planned(world, key.id, management_account=MANAGEMENT)
    aws = SimulatedAws.of(world)

    assert (f"arn:aws:iam::{AWAY}:root",) == step(plan, "scp-deny").principals
    assert plan.proof.complete
    assert () == play(aws, tainted_ids(aws, [key.id]), document(plan)).survivors


@pytest.mark.parametrize("kind", ["instance", "function"])
def test_a_workload_is_isolated_before_its_role_is_cut(kind: str) -> None:
    """Otherwise the host hands the thief the next session: a step for a person, and refuted without it."""
    world = World(START)
    session = world.instance("WebServer") if kind == "instance" else world.function("WebServer", "send")
    session.calls("s3:ListBuckets")
    with asked(world) as case:
        plan = checked(case.contain([session.id]))
        alone = checked(case.contain([session.id], what_if=[f"revoke-role-sessions:{ROLE}WebServer"]))

    assert ["isolate-instance", "revoke-role-sessions"] == actions(plan)
    host = plan.steps[0]
    assert (session.session_name,) == host.targets
    assert () == host.calls and session.session_name in host.why
    assert plan.proof.complete
    assert not alone.proof.complete
    assert any(f"host {session.session_name}" == one.credential for one in alone.proof.survivors)


def test_a_console_session_s_password_goes_before_the_session() -> None:
    """Whoever signed in knows the password: it is removed first, and the user's sessions are revoked after."""
    world = World(START)
    session = world.console_sign_in(world.user("ada"))
    session.calls("s3:ListBuckets")
    plan = planned(world, f"{USER}ada")

    assert ["remove-login-profile", "revoke-user-sessions"] == [
        one for one in actions(plan) if one != "deactivate-key"
    ]
    assert plan.proof.complete


def test_a_plan_without_steps_says_whether_that_is_enough() -> None:
    """A service-linked role's session is alive and no step ends it: the text does not say that there is nothing to do."""
    world = World(START)
    session = world.service("backup.amazonaws.com", "AWSServiceRoleForBackup")
    session.calls("ec2:DescribeVolumes")
    plan = planned(world, session.id)
    text = io.StringIO()
    write_plan(plan, TextWriter(text))

    assert () == plan.steps and not plan.proof.complete
    assert "Nothing to do" not in text.getvalue() and "No step is known" in text.getvalue()
    assert "aws iam delete-service-linked-role" in text.getvalue()


def test_a_policy_for_somebody_else_to_attach_can_be_copied_whole() -> None:
    """In the text it stands apart, its lines unbroken however long the names in it."""
    world = World(START)
    key = world.user("a" * 60)
    key.assumes("Deploy-" + "b" * 57).calls("s3:ListBuckets")
    plan = planned(world, key.id, without_access=[HOME])
    text = io.StringIO()
    write_plan(plan, TextWriter(text))

    [step] = plan.steps
    shown = re.findall(r"^ {15}\{\n.*?^ {15}\}$", text.getvalue(), re.MULTILINE | re.DOTALL)
    assert not step.calls and [json.loads(re.findall(r'\{"Version".*\]\}', step.why)[0])] == list(
        map(json.loads, shown)
    )


@pytest.mark.parametrize(("before", "mints"), [(950, True), (970, False)])
def test_a_key_mints_until_its_deactivation_has_spread(before: int, mints: bool) -> None:
    """What it got unseen in that minute, of which the log tells nothing yet, is ended with the rest."""
    world = World(START)
    key, responder = world.user("support"), world.user("iris")
    key.calls("s3:ListBuckets")
    responder.deactivates(key)
    world.wait(before)
    responder.calls("cloudtrail:LookupEvents")
    plan = planned(world, key.id)

    assert (["revoke-user-sessions"] if mints else []) == actions(plan)
    assert plan.proof.complete


def test_a_dead_subject_needs_nothing() -> None:
    """A key that was deactivated long ago, and left nothing: no step, and complete."""
    world = World(START)
    key, responder = world.user("support"), world.user("responder")
    key.calls("s3:ListBuckets")
    responder.deactivates(key)
    world.wait(3600)
    responder.calls("s3:ListBuckets")
    plan = planned(world, key.id)

    assert () == plan.steps
    assert plan.proof.complete and (key.id,) == plan.tainted


# ---------------------------------------------------------------- accounts without access


def test_without_access_the_organisation_must_and_the_plan_holds() -> None:
    """A role in an account that nobody here can change: a control policy, that holds whatever is minted meanwhile."""
    world, key = across()
    plan = planned(world, key.id, without_access=[AWAY], management_account=MANAGEMENT)
    aws = SimulatedAws.of(world)

    assert (f"arn:aws:iam::{AWAY}:role/Deploy",) == step(plan, "scp-deny").principals
    assert not any(call.account == AWAY for one in plan.steps for call in one.calls)
    assert plan.proof.complete, plan.proof.counterexample
    assert () == play(aws, tainted_ids(aws, [key.id]), document(plan)).survivors
    assert any(AWAY in one and "without access" in one for one in plan.residual_risks)


def test_without_access_anywhere_all_of_it_is_the_organisations() -> None:
    """Key, tokens, federated users and sessions are denied by control policies, and no IAM call is made."""
    world, key = across()
    plan = planned(world, key.id, without_access=[AWAY, HOME], management_account=MANAGEMENT)
    aws = SimulatedAws.of(world)

    assert {"scp-deny"} == set(actions(plan))
    assert plan.proof.complete, plan.proof.counterexample
    assert () == play(aws, tainted_ids(aws, [key.id]), document(plan)).survivors


def test_the_organisation_denies_the_federated_users_of_a_users_stolen_token_too() -> None:
    """Whose key is not known to be stolen: to a control policy they are none of the user."""
    world = World(START)
    token = world.user("support").gets_session_token()
    token.calls("s3:ListBuckets")
    plan = planned(world, token.id, without_access=[HOME], management_account=MANAGEMENT)

    assert plan.proof.complete, plan.proof.counterexample
    assert f"arn:aws:sts::{HOME}:federated-user/*" in str(step(plan, "scp-deny").calls)


def test_roles_of_one_name_in_two_accounts_are_told_apart() -> None:
    """Who mints what in a counterexample can't be read off a name that two accounts have."""
    world = World(START)
    key = world.user("support")
    key.assumes("Admin", "x", account=AWAY).assumes("Admin", "y", account=HOME).calls("s3:ListBuckets")
    steps = [f"deactivate-key:{key.id}", f"revoke-role-sessions:{ROLE}Admin"]
    plan = planned(world, key.id, what_if=steps)
    told = " ".join(plan.proof.counterexample)

    assert f"(session of role/Admin of account {AWAY})" in told
    assert f"mints a new role/Admin session of account {HOME}" in told
    assert "user/support of account" not in told

    cut = planned(world, key.id).steps[-1]
    page = io.StringIO()
    write_plan(replace(plan, steps=(cut,)), TextWriter(page))
    one, other = sorted((HOME, AWAY))
    for shown in (cut.why, page.getvalue()):
        assert f"role/Admin in {one}, role/Admin in {other}" in " ".join(shown.split())


def test_a_denial_that_holds_off_whoever_still_mints_is_never_safe_to_lift() -> None:
    """Of a role that is denied for as long as the policy stands no later session works; lifted, it would again."""
    world, key = across()
    plan = planned(
        world, key.id, without_access=[HOME], management_account=HOME, strategy="scorched"
    )  # what is in the management account, nothing can end
    aws = SimulatedAws.of(world, management=HOME)
    outcome = play(aws, tainted_ids(aws, [key.id]), document(plan))
    role = f"arn:aws:iam::{AWAY}:role/Deploy"

    assert not plan.proof.complete and outcome.survivors
    assert not any(role in one.credential for one in plan.proof.survivors)
    assert () == replay(aws, tainted_ids(aws, [key.id]), document(plan)).faults
    denial = step(plan, "deny-role")
    assert denial.reversible and denial.safe_to_undo_after is None


def test_without_access_nothing_is_called_there_even_for_what_was_made() -> None:
    """A password set in such an account can't be removed: no call goes there, the user is denied as a whole."""
    world = World(START)
    key = world.user("support")
    world.user("ada").calls("s3:ListBuckets")
    key.iam("CreateLoginProfile", userName="ada")
    plan = planned(world, key.id, without_access=[HOME], management_account=MANAGEMENT)

    assert not any(call.account == HOME for one in plan.steps for call in one.calls)
    assert plan.proof.complete, plan.proof.counterexample


# ---------------------------------------------------------------- whom it costs


def test_spared_sessions_are_left_by_their_second_and_user_id(case: Case, told: Story) -> None:
    """Standard around Ria's session: everything before and after it, and in its second everybody else."""
    plan = checked(case.contain([told.a.id], spare=[told.ria_after.id]))
    conditions = [one["Condition"] for one in statements(plan.steps[-1])]
    issued, ria = "aws:TokenIssueTime", f"{told.role.id}:ria"

    assert {"DateLessThan": {issued: "2026-11-23T10:14:02Z"}} == conditions[0]
    assert {
        "StringNotEquals": {"aws:userid": [ria]},
        "DateLessThan": {issued: "2026-11-23T10:14:03Z"},
        "DateGreaterThanEquals": {issued: "2026-11-23T10:14:02Z"},
    } == conditions[1]
    assert conditions[2]["DateGreaterThanEquals"] == {issued: "2026-11-23T10:14:03Z"}
    assert 3 == len(conditions)
    assert plan.proof.complete
    assert () == plan.steps[-1].collateral and () == plan.not_spared


@pytest.mark.parametrize(
    ("name", "strategy", "why"),
    [
        ("{b}", "standard", "counts as the attacker's"),
        ("{ria}", "scorched", "denies everything on its principal"),
        ("AKIANOBODYHASTHIS", "standard", "no live credential"),
    ],
)
def test_what_cant_be_spared_is_told_why(name: str, strategy: str, why: str, case: Case, told: Story) -> None:
    """Tainted ones, any under scorched, and what nothing would end: refused, with the reason, and the plan goes on."""
    asked_for = name.format(b=told.b.id, ria=told.ria_after.id)
    plan = checked(case.contain([told.a.id], spare=[asked_for], strategy=strategy))  # type: ignore[arg-type]

    (refused,) = plan.not_spared
    assert asked_for == refused.credential
    assert why in refused.why
    assert plan.proof.complete


def test_an_innocent_of_the_same_name_and_second_goes_with_the_attacker_s_and_is_named() -> None:
    """No policy can tell them apart: the plan ends both, says so, and refuses to spare either."""
    world = World(START)
    key, ria = world.user("support"), world.user("ria")
    key.assumes("Deploy", "x")
    twin = ria.assumes("Deploy", "x")
    at_once = json.dumps(world.records()).replace("09:00:01Z", "09:00:00Z")
    with held(json.loads(at_once)) as case:
        plan = checked(case.contain([key.id], strategy="surgical"))
        spared = checked(case.contain([key.id], spare=[twin.id]))

    assert plan.proof.complete and spared.proof.complete
    assert {key.id, twin.id} == hit(plan) == hit(spared)
    assert (
        f"has the name and second of issue of {twin.id}: no policy can tell them apart" in plan.steps[-1].why
    )
    assert "no policy can tell them apart" in spared.not_spared[0].why


def test_a_session_of_unknown_issue_is_denied_by_its_name_though_a_colleague_has_it() -> None:
    """No second tells the two apart, so that surgical ends both and names the colleague's."""
    world = World(START)
    key, ria = world.user("support"), world.user("ria")
    with world.unlogged():
        stolen = key.assumes("Deploy", "ria")
    [undated] = stolen.calls("s3:ListBuckets")
    del undated["userIdentity"]["sessionContext"]["attributes"]
    colleague = ria.assumes("Deploy", "ria")
    world.wait(minutes=30)
    colleague.calls("s3:ListBuckets")
    plan = planned(world, stolen.id, strategy="surgical")

    assert plan.proof.complete
    assert {colleague.id} == hit(plan)


def test_a_prefix_of_two_is_no_name() -> None:
    """Which of the user's two keys is meant can't be told: give more of the id."""
    world = World(START)
    key = world.user("support")
    key.key().calls("s3:ListBuckets")
    token = key.gets_session_token()
    token.calls("s3:ListBuckets")
    plan = planned(world, token.id, spare=["AKIA"])

    assert "several credentials begin so" in plan.not_spared[0].why


def test_the_responders_own_session_is_named(told: Story) -> None:
    """Who contains from within a role that is cut reads it in the plan first, and may spare the session."""
    world = World(START)
    key, iris = world.user("support"), world.user("iris")
    key.assumes("Admin", "x").calls("s3:ListBuckets")
    own = iris.assumes("Admin", "iris")
    own.deactivates(key)
    with asked(world) as case:
        plan = checked(case.contain([key.id]))
        spared = checked(case.contain([key.id], spare=[own.id]))

    assert own.id in hit(plan) and own.id not in hit(spared)
    assert [one.action for one in plan.steps if f"cuts off {own.id}" in one.why] == ["revoke-role-sessions"]
    assert not any(own.id in one.why for one in spared.steps)
    assert plan.proof.complete and spared.proof.complete


def test_narrowing_keeps_the_owners_own_sessions_out(told: Story) -> None:
    """By time and by address: what the owner minted before, or from the office, is neither tainted nor cut by surgical."""
    world = World(START)
    key = world.user("support")
    own = key.assumes("Deploy", "own")
    own.calls("s3:ListBuckets")
    world.wait(3600)
    thief = key.seen_from(ATTACKER)
    theirs = thief.assumes("Deploy", "theirs")
    theirs.calls("s3:ListBuckets")
    world.wait(3600)
    world.user("ada").calls("s3:ListBuckets")
    theft = datetime.fromisoformat("2026-11-23T10:00:00+00:00")
    with asked(world) as case:
        wide = case.contain([key.id], as_of=theft + MINUTE)
        by_time = case.contain([key.id], since=theft - MINUTE, as_of=theft + MINUTE, strategy="surgical")
        by_place = case.contain([key.id], source_ips=[ATTACKER], as_of=theft + MINUTE, strategy="surgical")
        trusted = case.contain([key.id], trusted_ips=["192.0.2.0/24"], as_of=theft + MINUTE)

    assert {key.id, own.id, theirs.id} == set(wide.tainted)
    for plan in (by_time, by_place, trusted):
        assert {key.id, theirs.id} == set(checked(plan).tainted)
        assert plan.proof.complete
    assert {key.id} == hit(by_time) == hit(by_place)
    assert [ATTACKER] == document(by_place)["narrowing"]["source_ips"]


def test_what_narrowing_leaves_out_and_no_step_ends_is_a_condition() -> None:
    """A mistyped address leaves out what the thief made: a plan that is complete without it says so, and names it."""
    world = World(START)
    key = world.user("support")
    thief = key.seen_from(ATTACKER)
    left = thief.creates_access_key(thief.creates_user("backdoor"))
    with asked(world) as case:
        right, wrong = (case.contain([key.id], source_ips=[at]) for at in (ATTACKER, "203.0.113.7"))
    text = io.StringIO()
    write_plan(wrong, TextWriter(text))

    assert wrong.proof.complete
    assert any("leaves out is not the attacker's" in one and left.id in one for one in wrong.proof.holds_if)
    assert not any("leaves out" in one for one in right.proof.holds_if)
    assert "Only credentials minted from the subject from 203.0.113.7 count" in text.getvalue()


# ---------------------------------------------------------------- how long documents may be


def crowd(count: int) -> tuple[World, LongTermKey]:
    """A stolen session, and many of a robot's in the same role within the blind window."""
    world = World(START)
    key, robot = world.user("support"), world.user("robot")
    key.assumes("Deploy", "x").calls("s3:ListBuckets")
    for number in range(count):
        robot.assumes("Deploy", f"build-{number:05}")
    robot.calls("s3:ListBuckets")
    return world, key


def test_documents_that_are_too_long_become_managed_policies_then_a_wider_window() -> None:
    """Sixty colleagues fit three managed policies; of a hundred and fifty all are ended, and named one by one."""
    found = {}
    for count in (10, 60, 150):
        world, key = crowd(count)
        found[count] = planned(world, key.id, strategy="surgical")
        assert found[count].proof.complete
    inline, managed, wide = (found[count].steps[-1] for count in (10, 60, 150))

    assert ["PutRolePolicy"] == operations(inline) and () == inline.collateral
    assert ["CreatePolicy", "AttachRolePolicy"] * 3 == operations(managed) and () == managed.collateral
    assert ["DetachRolePolicy", "DeletePolicy"] * 3 == [call.operation for call in managed.undo]
    assert ["PutRolePolicy"] == operations(wide) and 150 == len(wide.collateral)
    assert "too many sessions to tell apart" in wide.why


def test_a_user_s_inline_policies_hold_less_than_a_role_s() -> None:
    """Around ten tokens of its owner a user's cut takes managed policies, where a role's would be inline."""
    world = World(START)
    key = world.user("support")
    key.seen_from(ATTACKER).gets_session_token().calls("s3:ListBuckets")
    for _ in range(10):
        key.gets_session_token()
    plan = planned(world, key.id, strategy="surgical", source_ips=[ATTACKER])

    assert plan.proof.complete
    assert {"CreatePolicy", "AttachUserPolicy"} == set(operations(step(plan, "deny-sessions")))


@pytest.mark.parametrize("count", [10, 60])
def test_the_seconds_that_a_plan_leaves_out_are_a_condition_in_any_kind_of_policy(count: int) -> None:
    """The attacker may have minted there under a colleague's name, which a managed policy spares as an inline one."""
    world, key = crowd(count)
    plan = planned(world, key.id, strategy="surgical")
    assert any("very second of its issue" in one for one in plan.proof.holds_if)


@pytest.mark.parametrize("on", ["role", "group"])
def test_a_gap_in_a_policy_that_stands_is_found_wherever_it_is(on: str) -> None:
    """What was minted unseen in a window that its statements leave open lives on: the proof looks there too."""
    world = World(START)
    key, admin = world.user("support"), world.user("admin")
    key.gets_session_token().calls("s3:ListBuckets")
    key.assumes("Deploy", "x").calls("s3:ListBuckets")
    world.wait(minutes=30)
    key.calls("s3:ListBuckets")
    statements = [
        {
            "Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": {operator: {"aws:TokenIssueTime": instant(world.now - ago * MINUTE)}},
        }
        for operator, ago in (("DateLessThan", 8), ("DateGreaterThanEquals", 6))
    ]  # fmt: skip
    document = {"Version": "2012-10-17", "Statement": statements}
    cut = f"arn:aws:iam::{HOME}:policy/Cut"
    if on == "role":
        admin.iam("CreatePolicy", policyName="Cut", policyDocument=document)
        admin.iam("AttachRolePolicy", roleName="Deploy", policyArn=cut)
        steps, left = [f"deny-user:{USER}support"], f"{ROLE}Deploy"
    else:
        admin.iam("PutGroupPolicy", groupName="people", policyName="Cut", policyDocument=document)
        admin.iam("AddUserToGroup", groupName="people", userName="support")
        steps, left = [f"deny-role:{ROLE}Deploy"], f"{USER}support"
    plan = planned(world, key.id, what_if=[f"deactivate-key:{key.id}", *steps])
    assert [left] == [one.credential.rpartition(" of ")[2] for one in plan.proof.survivors]


@pytest.mark.parametrize(
    ("options", "action"),
    [
        ({}, "deactivate-key"),
        ({"without_access": [HOME], "management_account": MANAGEMENT}, "scp-deny"),
    ],
)
def test_whoever_uses_a_leaked_key_rightfully_is_named(options: dict[str, Any], action: str) -> None:
    """By whatever step the key ends: its owner stops working."""
    world = World(START)
    key = world.user("support")
    key.calls("s3:ListBuckets")
    plan = planned(world, key.id, **options)

    assert [key.id] == [one.credential for one in step(plan, action).collateral]
    assert [f"{USER}support"] == [one.principal for one in step(plan, action).collateral]


@pytest.mark.parametrize("action", ["deny-user", "delete-user"])
def test_whoever_uses_a_leaked_key_rightfully_is_named_in_steps_of_one_s_own(action: str) -> None:
    """A denial or deletion of the user ends the key for its owner too; a key that the attacker made has none."""
    world = World(START)
    key = world.user("support")
    more = key.creates_access_key()
    more.calls("s3:ListBuckets")
    plan = planned(world, key.id, what_if=[f"{action}:{USER}support"])

    assert {key.id, more.id} <= set(plan.steps[0].ends)
    assert [key.id] == [one.credential for one in plan.steps[0].collateral]


def made(plan: Plan) -> list[str]:
    """The names of the managed policies that a plan makes."""
    calls = [call for one in plan.steps for call in one.calls if call.operation == "CreatePolicy"]
    return [call.parameters["PolicyName"] for call in calls]


def test_each_plan_s_managed_policies_have_names_of_their_own() -> None:
    """The same plan has the same, a later or other one other names, which calls, undo and script agree upon."""
    world, key = crowd(60)
    with asked(world) as case:
        plan, same = (checked(case.contain([key.id], strategy="surgical")) for _ in range(2))
        later = checked(case.contain([key.id], strategy="surgical", as_of=plan.as_of + timedelta(seconds=1)))
        other = checked(case.contain([key.id], strategy="surgical", margin=61))

    assert 3 == len(made(plan)) and made(plan) == made(same)
    assert 9 == len({*made(plan), *made(later), *made(other)})
    assert all(len(name) <= 128 for name in made(plan))
    arns = [f"arn:aws:iam::111122223333:policy/{name}" for name in made(plan)]
    told = [call.parameters.get("PolicyArn") for call in plan.steps[-1].calls]
    assert arns == [arn for arn in told if arn]
    undone = [call.parameters["PolicyArn"] for call in plan.steps[-1].undo]
    assert sorted(arns * 2) == sorted(undone)
    script = io.StringIO()
    write_script(plan, script)
    assert all(2 == script.getvalue().count(name) for name in made(plan))


# ---------------------------------------------------------------- what can't be asked


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"margin": 4}, "--margin 4"),
        ({"margin": LEAST_MARGIN - 1}, "--margin"),
        ({"lag": -1}, "--lag -1"),
        ({"what_if": ["deactivate-key:AKIANOBODYHASTHIS"]}, "no long-term key AKIANOBODYHASTHIS"),
    ],
)
def test_what_cant_be_asked_is_refused(
    options: dict[str, object], said: str, case: Case, told: Story
) -> None:
    """A margin shorter than IAM takes, a negative lag, and steps that name nothing are wrong use."""
    with pytest.raises(UsageError, match=said):
        case.contain([told.a.id], **options)  # type: ignore[arg-type]


def test_an_unknown_subject_is_refused(case: Case) -> None:
    """As in a trace."""
    with pytest.raises(SubjectNotFound):
        case.contain(["AKIANOBODYHASTHIS"])


def test_margin_and_lag_move_cutoff_and_window(case: Case, told: Story) -> None:
    """The least margin is enough; without lag the blind window begins at the newest evidence."""
    plan = checked(case.contain([told.a.id], margin=LEAST_MARGIN, lag=0, strategy="surgical"))
    window = statements(plan.steps[-1])[-1]["Condition"]

    assert plan.proof.complete
    assert {"aws:TokenIssueTime": f"{plan.as_of:%Y-%m-%dT%H:%M:%SZ}"} == window["DateGreaterThanEquals"]
    assert {
        "aws:TokenIssueTime": f"{plan.as_of + timedelta(seconds=LEAST_MARGIN):%Y-%m-%dT%H:%M:%SZ}"
    } == window["DateLessThan"]


def test_a_plan_as_of_the_past_knows_the_past_alone(told: Story) -> None:
    """Before B and C were minted there is the key, and what it may have minted unseen."""
    with asked(told.world) as case:
        plan = checked(case.contain([told.a.id], as_of=told.moments.leaked))

    assert (told.a.id,) == plan.tainted
    assert told.moments.leaked == plan.as_of
    assert plan.proof.complete


def test_an_attacker_who_writes_iam_makes_the_proof_rest_on_a_read_back() -> None:
    """Between the steps it may undo them; the proof says so, unless the organisation's policy comes first."""
    world = World(START)
    key = world.user("support")
    key.iam("PutUserPolicy", userName="support", policyName="mine", policyDocument={"Statement": []})
    with asked(world) as case:
        plan = checked(case.contain([key.id]))
        shielded = case.contain([key.id], without_access=[HOME], management_account=MANAGEMENT)

    assert any("read-back" in one and key.id in one for one in plan.proof.holds_if)
    assert not any("read-back" in one for one in shielded.proof.holds_if)
    assert any("until step 1 took effect nothing was made" in one for one in shielded.proof.holds_if)
    assert ["scp-deny"] == actions(shielded) and () == shielded.steps[0].calls[2:]


def writer() -> tuple[World, LongTermKey]:
    """A leaked key that was seen to change IAM, and a role that it entered beside a colleague."""
    world = World(START)
    key, ria = world.user("support"), world.user("ria")
    key.iam("PutUserPolicy", userName="support", policyName="mine", policyDocument={"Statement": []})
    ria.assumes("Work", "ria").calls("s3:ListBuckets")
    key.assumes("Work", "x").calls("s3:ListBuckets")
    return world, key


@pytest.mark.parametrize("strategy", ["standard", "surgical", "scorched"])
def test_the_organisation_keeps_a_writer_from_undoing_steps_before_they_are_taken(strategy: Any) -> None:
    """With the management account, changes to IAM are denied first; that cuts nobody off, and the proof rests on less."""
    world, key = writer()
    with asked(world) as case:
        plain = checked(case.contain([key.id], strategy=strategy))
        plan = checked(case.contain([key.id], strategy=strategy, management_account=MANAGEMENT))
        given = case.contain([key.id], strategy=strategy, management_account=HOME)
    first = plan.steps[0]

    assert actions(plan) == ["scp-deny", *actions(plain)] and plan.proof.complete
    assert [one.calls for one in plan.steps[1:]] != [] and (f"{USER}support",) == first.principals
    (denied,) = statements(first)
    assert ["iam:*", "organizations:*"] == denied["Action"]
    assert f"{USER}support" in denied["Condition"]["ArnLike"]["aws:PrincipalArn"]
    assert first.ends == () and first.collateral == () and "so that it comes first" in first.why
    assert hit(plan) == hit(plain) and first.undo
    assert not any("read-back" in one for one in plan.proof.holds_if)
    assert any("until step 1 took effect" in one and key.id in one for one in plan.proof.holds_if)
    assert any("is a member account of the organisation" in one for one in plan.proof.holds_if)
    assert actions(given) == actions(plain), "no policy of the organisation binds its management account"
    assert any("read-back" in one for one in given.proof.holds_if)


def test_whoever_changes_no_iam_needs_no_policy_of_the_organisation() -> None:
    """Then nobody undoes a step, and the plan is the same with and without the management account."""
    world = World(START)
    key = world.user("support")
    key.calls("s3:ListBuckets")
    with asked(world) as case:
        assert actions(case.contain([key.id])) == actions(
            case.contain([key.id], management_account=MANAGEMENT)
        )


def test_an_account_without_room_for_a_policy_of_the_organisation_is_named() -> None:
    """Ten can be attached to an account, AWS's own among them: by the log there is no room, and the step does nothing."""
    world, key = writer()
    admin = world.user("admin", account=MANAGEMENT)
    for number in range(9):
        made = {"policy": {"policySummary": {"id": f"p-{number}"}}}
        asked_for = {"type": "SERVICE_CONTROL_POLICY", "name": f"guard-{number}", "content": "{}"}
        admin.calls("organizations:CreatePolicy", asked_for, response=made, read_only=False)
        where = {"policyId": f"p-{number}", "targetId": HOME}
        admin.calls("organizations:AttachPolicy", where, read_only=False)
    with asked(world) as case:
        full = checked(case.contain([key.id], management_account=MANAGEMENT))
        barred = case.contain([key.id], without_access=[HOME], management_account=MANAGEMENT)
    admin.calls("organizations:DetachPolicy", {"policyId": "p-3", "targetId": HOME}, read_only=False)
    room = planned(world, key.id, management_account=MANAGEMENT)

    assert "scp-deny" not in actions(full) and any("read-back" in one for one in full.proof.holds_if)
    said = f"by the log, account {HOME} can't have another service control policy, so that none keeps"
    assert [True, False] == [any(said in one for one in each.residual_risks) for each in (full, room)]
    assert f"account {HOME} can't have another service control policy" in step(barred, "scp-deny").why
    assert () == step(barred, "scp-deny").calls and not barred.proof.complete
    assert "An account can have 10 service control policies" in step(room, "scp-deny").why
    assert 2 == len(step(room, "scp-deny").calls)


def test_a_deny_that_shuts_somebody_out_is_never_safe_to_lift() -> None:
    """A role that the attacker made, and what an organisation's policy keeps from minting, would mint again."""
    world = World(START)
    admin = world.user("support").assumes("Admin", "x")
    admin.creates_role("backdoor", {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"})
    plan = planned(world, admin.id)
    made = step(plan, "deny-role")

    assert (f"{ROLE}backdoor",) == made.principals
    assert made.reversible and made.safe_to_undo_after is None
    assert step(plan, "revoke-role-sessions").safe_to_undo_after is not None


def test_many_roles_of_an_account_without_access_take_several_control_policies() -> None:
    """Each within the 10,240 characters that Organizations allows, and all roles in one of them."""
    world = World(START)
    key = world.user("support")
    for number in range(110):
        key.assumes(f"A-role-with-a-name-that-is-as-long-as-IAM-lets-one-be{number:011}", "x", account=AWAY)
    key.calls("s3:ListBuckets")
    plan = planned(world, key.id, without_access=[AWAY], management_account=MANAGEMENT)
    control = step(plan, "scp-deny")
    made = [call.parameters for call in control.calls if call.operation == "CreatePolicy"]

    assert 2 == len(made) == len({one["Name"] for one in made}) and plan.proof.complete
    assert 5_120 < max(len(one["Content"]) for one in made) <= 10_240
    assert 110 == len(set(control.principals))
    attached = [call.parameters["PolicyId"] for call in control.calls if call.operation == "AttachPolicy"]
    assert ["${step.call[0].Policy.PolicySummary.Id}", "${step.call[2].Policy.PolicySummary.Id}"] == attached


@pytest.mark.parametrize(("room", "named"), [(10_240, 11), (1_000, 1)])
def test_a_person_who_works_in_many_accounts_is_denied_in_all_by_one_policy(
    monkeypatch: pytest.MonkeyPatch, room: int, named: int
) -> None:
    """
    What the access portal gave the thief in each account ends in one step, and colleagues there work on.

    Where one policy does not hold the roles of all, it names those of their permission set in any account.
    """
    monkeypatch.setattr(documents, "_CONTROL", room)
    world = World(START)
    accounts = [f"{n:012}" for n in range(5, 16)]
    sessions = [
        world.identity_center(who, "Admin", account=account, directory_account=AWAY)
        for account in accounts
        for who in ("eve@example.com", "ria@example.com")
    ]
    for one in sessions:
        one.calls("s3:ListBuckets", count=7)
    thief = sessions[0]
    plan = planned(world, thief.id, management_account=MANAGEMENT)
    aws = SimulatedAws.of(world, management=MANAGEMENT)

    assert ["disable-identity-center-user", "scp-deny"] == actions(plan)
    control = step(plan, "scp-deny")
    assert 1 == sum(call.operation == "CreatePolicy" for call in control.calls)
    assert accounts == [call.parameters["TargetId"] for call in control.calls[1:]]
    (said,) = statements(control)
    assert named == len(said["Condition"]["ArnLike"]["aws:PrincipalArn"])
    assert [thief.identity.on_behalf_of["userId"]] == said["Condition"]["StringEquals"][
        "identitystore:userId"
    ]
    assert 11 == len(control.ends) and set() == hit(plan)
    outcome = play(aws, tainted_ids(aws, list(plan.tainted)), document(plan))
    assert ((), ()) == (outcome.survivors, outcome.unlisted)


def test_a_permission_set_s_role_is_named_with_the_path_that_an_export_leaves_out() -> None:
    """`aws:PrincipalArn` has it, so that a policy without it would bind nobody (IAM User Guide, 'Global condition keys')."""
    world, session = person()
    path = "role/aws-reserved/sso.amazonaws.com/"
    with held(json.loads(json.dumps(world.records()).replace(path, "role/"))) as case:
        plan = checked(case.contain([session.id], management_account=MANAGEMENT))
    (said,) = statements(step(plan, "scp-deny"))

    (whom,) = said["Condition"]["ArnLike"]["aws:PrincipalArn"]
    assert whom.startswith(f"arn:aws:iam::{HOME}:role*/AWSReservedSSO_Admin_")
    assert plan.proof.complete


def test_a_role_of_which_only_sessions_are_told_is_denied_under_any_path() -> None:
    """
    A session's ARN leaves out the path of its role, which `aws:PrincipalArn` has.

    Source: IAM User Guide, 'AWS global condition context keys'.
    """
    world = World(START)
    session = world.user("support").assumes("Deploy", "x")
    session.calls("s3:ListBuckets", count=3)
    records = world.records()
    whom = {}
    for told in (True, False):
        if not told:
            for record in records:
                record["userIdentity"].get("sessionContext", {}).pop("sessionIssuer", None)
            records = [one for one in records if one["eventName"] == "ListBuckets"]
        with held(records) as case:
            plan = case.contain([session.id], without_access=[HOME], management_account=MANAGEMENT)
        (said,) = statements(step(plan, "scp-deny"))
        whom[told] = said["Condition"]["ArnLike"]["aws:PrincipalArn"]

    role = f"arn:aws:iam::{HOME}:role"
    assert whom == {True: [f"{role}/Deploy"], False: [f"{role}*/Deploy"]}


def test_whoever_runs_the_organisation_is_told_of_all_accounts_at_once() -> None:
    """Without its management account, the one policy is for a person to attach, to each account that is named."""
    world = World(START)
    first, second = (
        world.identity_center("eve@example.com", "Admin", account=one, directory_account=AWAY)
        for one in (HOME, AWAY)
    )
    for one in (first, second):
        one.calls("s3:ListBuckets", count=7)
    plan = planned(world, first.id)
    control = step(plan, "scp-deny")

    assert () == control.calls and None is control.account and 2 == len(control.ends)
    assert f"to accounts {HOME} and {AWAY}: " in control.why and 1 == control.why.count('"Version"')
    assert any("are member accounts" in one for one in plan.proof.holds_if)


def test_a_control_policy_rests_on_the_account_being_a_member(case: Case, told: Story) -> None:
    """The log does not tell whether it is, nor whether it is the management account itself: the proof says so."""
    world, session = person()
    with asked(world) as one:
        by_hand = one.contain([session.id])

    condition = "is a member account of the organisation, not its management account"
    assert any(condition in said for said in by_hand.proof.holds_if)
    assert not any(condition in said for said in case.contain([told.a.id]).proof.holds_if)


def test_a_renamed_user_is_called_by_its_present_name() -> None:
    """An attacker renames the user whose key leaked: each call says the new name, and the plan holds."""
    world = World(START)
    key = world.user("support")
    admin = key.assumes("Admin", "x")
    key.gets_session_token(duration=129600).calls("s3:ListBuckets")
    admin.iam("UpdateUser", userName="support", newUserName="nobody")
    admin.iam("UpdateUser", userName="nobody", newUserName="noone")
    plan = planned(world, key.id)

    named = {call.parameters["UserName"] for one in plan.steps for call in (*one.calls, *one.undo)
             if "UserName" in call.parameters}  # fmt: skip
    assert {"noone"} == named
    assert "support is called noone by now" in step(plan, "revoke-user-sessions").why
    assert plan.proof.complete, plan.proof.counterexample


@pytest.mark.parametrize("deleted", [True, False])
def test_a_name_that_was_passed_on_hides_nobody(deleted: bool) -> None:
    """A user is renamed, and another made with its old name and deleted again, or not: a password set before lives."""
    world = World(START)
    key = world.user("support")
    key.iam("CreateLoginProfile", userName="ria", password="x")
    world.wait(minutes=1)
    key.iam("UpdateUser", userName="ria", newUserName="ria2")
    world.wait(minutes=1)
    key.creates_user("ria")
    world.wait(minutes=1)
    if deleted:
        key.iam("DeleteUser", userName="ria")
    plan = planned(world, key.id)

    assert ("remove-login-profile" if deleted else "deny-user") in actions(plan)
    assert any("left on the user ria2 " in one for one in plan.proof.holds_if)


def test_a_user_that_took_the_name_of_a_deleted_one_is_not_gone() -> None:
    """An attacker sets a user's password, deletes another user and gives its name to the first: who signs in lives."""
    world = World(START)
    key = world.user("support")
    key.iam("DeleteUser", userName="ria")
    world.wait(minutes=1)
    key.iam("UpdateUser", userName="old", newUserName="ria")
    world.wait(minutes=1)
    key.iam("UpdateLoginProfile", userName="ria", password="x")

    assert "remove-login-profile" in actions(planned(world, key.id))


def two_people() -> tuple[World, Any, Any]:
    """A thief and a colleague in one role of Identity Center, and calls that show who each is."""
    world = World(START)
    thief = world.identity_center("eve@example.com", "Admin", directory_account=AWAY)
    colleague = world.identity_center("ria@example.com", "Admin", directory_account=AWAY)
    for one in (thief, colleague):
        one.calls("s3:ListBuckets", count=40)
    return world, thief, colleague


def test_a_person_of_identity_center_is_denied_and_no_colleague() -> None:
    """Where the log shows the user id in the directory, the control policy names it: the colleague works on."""
    world, thief, colleague = two_people()
    plan = planned(world, thief.id, management_account=MANAGEMENT)
    aws = SimulatedAws.of(world, management=MANAGEMENT)
    (said,) = statements(step(plan, "scp-deny"))

    (user_id,) = said["Condition"]["StringEquals"]["identitystore:userId"]
    assert user_id == thief.identity.on_behalf_of["userId"]
    assert plan.proof.complete and colleague.id not in hit(plan)
    outcome = play(aws, tainted_ids(aws, [thief.id]), document(plan))
    assert ((), ()) == (outcome.survivors, outcome.unlisted)


def test_of_a_stolen_laptop_its_owner_s_other_sessions_go_and_no_colleague_s() -> None:
    """The owner works in the same role beside the thief: that is no reason to cut off whoever else does."""
    world = World(START)
    owner = world.identity_center("eve@example.com", "Admin", directory_account=AWAY)
    colleague = world.identity_center("ria@example.com", "Admin", directory_account=AWAY)
    thief = world.identity_center("eve@example.com", "Admin", directory_account=AWAY, ip=ATTACKER)
    for one in (owner, colleague, thief):
        one.calls("s3:ListBuckets", count=40)
    plan = planned(world, thief.id, management_account=MANAGEMENT, trusted_ips=["192.0.2.0/24"])
    (said,) = statements(step(plan, "scp-deny"))

    assert [thief.identity.on_behalf_of["userId"]] == said["Condition"]["StringEquals"][
        "identitystore:userId"
    ]
    assert plan.proof.complete and {owner.id} == hit(plan)


def test_a_colleague_works_on_when_the_thief_s_session_has_run_out() -> None:
    """What the portal may hand the thief unseen is the same person's: that one is denied, and nobody else."""
    world, thief, _ = two_people()
    world.wait(13 * 3600)
    colleague = world.identity_center("leo@example.com", "Admin", directory_account=AWAY)
    colleague.calls("s3:ListBuckets", count=3)
    plan = planned(world, thief.id, management_account=MANAGEMENT)
    (said,) = statements(step(plan, "scp-deny"))

    assert [thief.identity.on_behalf_of["userId"]] == said["Condition"]["StringEquals"][
        "identitystore:userId"
    ]
    assert plan.proof.complete and set() == hit(plan)


def test_in_the_management_account_a_permission_set_denies_what_no_control_policy_binds() -> None:
    """A person adds the denial of the thief to it, in Identity Center: the role there lets nobody else edit it."""
    world = World(START)
    thief, colleague = (
        world.identity_center(who, "Admin", directory_account=HOME)
        for who in ("eve@example.com", "ria@example.com")
    )
    for one in (thief, colleague):
        one.calls("s3:ListBuckets", count=40)
    elsewhere = world.identity_center("eve@example.com", "Admin", account=AWAY, directory_account=HOME)
    elsewhere.calls("s3:ListBuckets", count=9)
    plan = planned(world, thief.id, management_account=HOME)

    assert ["disable-identity-center-user", "deny-sessions", "scp-deny"] == actions(plan)
    there = step(plan, "deny-sessions")
    assert (there.account, there.calls, there.reversible) == (HOME, (), False)
    assert all(one.startswith("sso:") for one in there.needs)
    assert "permission set Admin, " in there.why and '"identitystore:userId"' in there.why and there.cutoff
    assert (thief.id,) == there.ends and (elsewhere.id,) == step(plan, "scp-deny").ends
    assert plan.proof.complete, plan.proof.counterexample
    assert set() == hit(plan)


def test_a_colleague_whom_the_log_does_not_name_works_on() -> None:
    """A session that shows no user id is ended by a policy that names the thief only if it is the thief's."""
    world, thief, _ = two_people()
    world.identity_center("leo@example.com", "Admin", directory_account=AWAY)
    plan = planned(world, thief.id, management_account=MANAGEMENT)
    aws = SimulatedAws.of(world, management=MANAGEMENT)
    (said,) = statements(step(plan, "scp-deny"))

    assert [thief.identity.on_behalf_of["userId"]] == said["Condition"]["StringEquals"][
        "identitystore:userId"
    ]
    assert set() == hit(plan) and plan.proof.complete
    outcome = play(aws, tainted_ids(aws, [thief.id]), document(plan))
    assert ((), ()) == (outcome.survivors, outcome.unlisted)


@pytest.mark.parametrize("namesake", [False, True])
def test_a_session_that_does_not_show_its_person_is_whose_others_of_its_name_are(namesake: bool) -> None:
    """A policy names the person, and the proof what that rests on; where the name is two persons', it denies the role."""
    world, thief, colleague = two_people()
    silent = world.identity_center("eve@example.com", "Audit", account=AWAY, directory_account=AWAY)
    if namesake:
        world._people.clear()  # whoever is called so from here on is another person
        other = world.identity_center("eve@example.com", "Reader", directory_account=MANAGEMENT)
        other.calls("s3:ListBuckets", count=40)
    plan = planned(world, silent.id, management_account=MANAGEMENT)
    (said,) = statements(step(plan, "scp-deny"))

    who = said["Condition"].get("StringEquals")
    assert who == (None if namesake else {"identitystore:userId": [thief.identity.on_behalf_of["userId"]]})
    rests = [one for one in plan.proof.holds_if if "others of that name show" in one]
    assert len(rests) == (not namesake) and plan.proof.complete and colleague.id not in hit(plan)


def test_hundreds_of_sessions_read_well() -> None:
    """A surgical plan over many sessions fits a few screens; its JSON and script hold each document whole."""
    world = World(START)
    key = world.user("support")
    for n in range(300):
        key.assumes(f"Role{n % 6}", f"session-{n}")
    world.wait(1200)
    key.calls("s3:ListBuckets")
    plan = planned(world, key.id, strategy="surgical")
    text, script = io.StringIO(), io.StringIO()
    write_plan(plan, TextWriter(text))
    write_script(plan, script)

    assert len(text.getvalue().splitlines()) < 160
    assert "characters; --script" in " ".join(text.getvalue().split()) and "session-299" in script.getvalue()


def test_a_list_of_one_and_of_several_is_one_argument_each_in_the_script() -> None:
    """The aws-cli takes a list of one as it is, and any list as JSON."""
    world = World(START)
    key = world.user("support")
    key.calls("s3:ListBuckets")
    plan = planned(world, key.id)
    stops = [
        Call(account=HOME, service="ec2", operation="StopInstances", region="us-east-1", parameters={"InstanceIds": ids})
        for ids in (["i-1"], ["i-1", "i-2"])
    ]  # fmt: skip
    script = io.StringIO()
    write_script(replace(plan, steps=(replace(plan.steps[0], calls=tuple(stops)),)), script)

    one, several = [line for line in script.getvalue().splitlines() if "stop-instances" in line]
    assert one.endswith("ec2 stop-instances --region=us-east-1 --instance-ids=i-1")
    assert several.endswith("""--instance-ids='["i-1", "i-2"]'""")


def test_whoever_minted_the_subject_and_still_may_is_named() -> None:
    """A plan for a session rests on its minter not being the attacker's; one that can mint no more is not named."""
    world = World(START)
    key = world.user("support")
    first = key.assumes("First", "x")
    second = first.assumes("Second", "y")
    with asked(world) as case:
        deep, whole = case.contain([second.id]), case.contain([key.id])
    world.user("admin").iam("UpdateAccessKey", userName="support", accessKeyId=key.id, status="Inactive")
    with asked(world) as case:
        after = case.contain([second.id])

    assert [one.id for one in (first, key, second) if named(deep, one.id)] == [first.id, key.id]
    assert not any(named(whole, one.id) for one in (first, key, second))
    assert named(after, first.id) and not named(after, key.id)


def test_a_function_that_was_given_other_code_is_cut_in_the_role_that_it_is_seen_with() -> None:
    """
    The call names no role; what the function held before is revoked with it, or named where it is spared.

    The same name in another account is another function.
    """
    world = World(START)
    elsewhere = world.function(world.role("Elsewhere", account=AWAY), "invoices")
    before = world.function("Invoices", "invoices")
    for one in (elsewhere, before):
        one.calls("s3:ListBuckets")
    key = world.user("support")
    key.updates_function("invoices")
    before.calls("s3:ListBuckets")
    with asked(world) as case:
        standard, surgical = (
            case.contain([key.id], strategy=strategy) for strategy in ("standard", "surgical")
        )
    said = f"{before.id} was not carried off from the function invoices"

    assert [f"arn:aws:iam::{HOME}:role/Invoices"] == [
        one.principal for one in standard.steps if one.action == "revoke-role-sessions"
    ]
    assert [False, True] == [
        any(one.startswith(said) for one in plan.proof.holds_if) for plan in (standard, surgical)
    ]


def test_whoever_minted_the_subject_unseen_is_named() -> None:
    """
    A plan for a session whose minter the evidence lacks says so, unless it denies all that may be minted.

    A browser session without its sign-in was begun with a password.
    """
    world = World(START)
    world.at(START + timedelta(minutes=1))
    vendor = world.account(AWAY).user("scanner")
    across = vendor.assumes(world.role("Vendor"), "scan", sides="role")
    with world.unlogged():
        session = world.user("petra").gets_session_token()
        browser = world.console_sign_in(world.user("ivan"))
    for one in (across, session, browser):
        one.calls("s3:ListBuckets")
    with asked(world) as case:
        plans = {one.id: case.contain([one.id]) for one in (across, session, browser)}
        scorched = case.contain([across.id], strategy="scorched")

    assert [any(said.startswith(f"whoever minted {one} mints no more") for said in plan.proof.holds_if)
            for one, plan in plans.items()] == [True, True, False]  # fmt: skip
    assert any(f"minted from account {AWAY}" in said for said in plans[across.id].proof.holds_if)
    assert not any(said.startswith("whoever minted") for said in scorched.proof.holds_if)
    assert "remove-login-profile" in actions(plans[browser.id])


def named(plan: Plan, minter: str) -> bool:
    """Whether a plan rests on a minter not being the attacker's."""
    return any(said.startswith(f"{minter}, which a subject descends from") for said in plan.proof.holds_if)


@pytest.mark.parametrize("whose", ["session", "key"])
def test_only_what_the_leaked_key_made_itself_may_be_its_owners(whose: str) -> None:
    """What its session made is told without that doubt, whatever the key itself made since that is gone again."""
    world = World(START)
    key = world.user("terraform")
    (key if whose == "key" else key.assumes("Admin")).creates_user("backdoor")
    world.wait(minutes=5)
    key.creates_user("temp")
    world.user("responder").iam("DeleteUser", userName="temp")
    (step,) = [one for one in planned(world, key.id).steps if one.action == "deny-user"]

    assert ("if its owner may have, before the leak" in step.why) is (whose == "key")


@pytest.mark.parametrize("attacker", [True, False])
def test_who_made_the_leaked_key_active_again_is_a_condition(attacker: bool) -> None:
    """Another key of the user's undid the step, and may be the thief's too: the plan ends it if it is a subject."""
    world = World(START)
    key, ops = world.user("ada"), world.user("ops", ip="192.0.2.99")
    other = key.key()
    ops.deactivates(key)
    other.iam("UpdateAccessKey", userName="ada", accessKeyId=key.key_id, status="Active")
    event = world.records()[-1]["eventID"]
    key.calls("s3:ListBuckets")
    plan = planned(world, key.id, *([other.id] if attacker else []))
    said = [one for one in plan.proof.holds_if if f"made {key.id} active again" in one]

    assert plan.proof.complete
    assert attacker == (other.id in plan.tainted)
    assert attacker != any(f"tokentrail contain {event}" in one for one in said)
