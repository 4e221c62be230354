"""The story's plans, step by step, and what people would try instead, refuted with times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from contain_cases import (
    ROLE,
    USER,
    actions,
    as_given,
    asked,
    checked,
    hit,
    operations,
    planned,
    refuted,
    statements,
    step,
)

from evidence import START
from tokentrail import Case
from tokentrail.containment.proof.ways_around import _Search
from tokentrail.testing import Credential, LongTermKey, World
from tokentrail.testing.story import Story, story

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
SUPPORT, BUCKET = f"{USER}support", f"{ROLE}MyBucketRole"


@pytest.fixture(name="told", scope="module")
def _told() -> Story:
    return story(ordinary_day=False)


@pytest.fixture(name="case", scope="module")
def _case(told: Story) -> Iterator[Case]:
    """The story to its end."""
    with asked(told.world) as case:
        yield case


@pytest.fixture(name="early", scope="module")
def _early(told: Story) -> Iterator[Case]:
    """The same, to be asked as of `before` alone, since a case keeps one moment's forest at hand."""
    with asked(told.world) as case:
        yield case


def before(told: Story) -> datetime:
    """A minute before the responder does anything: A, B and C are alive."""
    return told.moments.key_deactivated - timedelta(seconds=60)


def letters(told: Story, *ids: str) -> str:
    """What the story calls some credentials."""
    names = {key_id: letter for letter, key_id in told.key_ids.items()}
    return "".join(sorted(names[one] for one in ids))


def older(moment: datetime) -> list[dict[str, Any]]:
    """Statements that deny everything to tokens issued before a moment."""
    condition = {"DateLessThan": {"aws:TokenIssueTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}}
    return [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("standard", ["deactivate-key A BC", "revoke-user-sessions B C", "revoke-role-sessions C "]),
        ("surgical", ["deactivate-key A BC", "deny-sessions B C", "deny-sessions C "]),
        ("scorched", ["deactivate-key A BC", "deny-user B C", "deny-role C "]),
    ],
)
def test_before_the_response_three_steps_end_all_three(
    strategy: Any, expected: list[str], early: Case, told: Story
) -> None:
    """Upstream first: the key, the user's tokens, the role's sessions; each says what it ends and what it leaves."""
    plan = checked(early.contain([told.a.id], strategy=strategy, as_of=before(told)))

    assert expected == [
        f"{one.action} {letters(told, *one.ends)} {letters(told, *one.alive_after)}" for one in plan.steps
    ]
    assert plan.proof.complete and plan.proof.scope == "observed-edges"
    assert letters(told, *plan.tainted) == "ABC"


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("standard", ["revoke-user-sessions B DE", "revoke-role-sessions DE "]),
        ("surgical", ["deny-sessions B DE", "deny-sessions DE "]),
        ("scorched", ["deny-user B DE", "deny-role DE "]),
    ],
)
def test_at_the_end_two_steps_end_what_the_runbook_left(
    strategy: Any, expected: list[str], case: Case, told: Story
) -> None:
    """A and C are dead by then, which no step repeats; B, D and E end, upstream first."""
    plan = checked(case.contain([told.a.id], strategy=strategy))

    assert expected == [
        f"{one.action} {letters(told, *one.ends)} {letters(told, *one.alive_after)}" for one in plan.steps
    ]
    assert plan.proof.complete
    assert letters(told, *plan.tainted) == "ABCDE"


def test_standard_cuts_at_the_margin_and_names_the_colleague(case: Case, early: Case, told: Story) -> None:
    """Cutoffs lie a margin ahead; Ria, at work in the role, is named, and so is whoever uses the leaked key."""
    plan = early.contain([told.a.id], as_of=before(told))
    key, user, role = plan.steps
    cutoff = before(told) + timedelta(seconds=60)

    assert (None, cutoff, cutoff) == (key.cutoff, user.cutoff, role.cutoff)
    assert older(cutoff) == statements(user) == statements(role)
    assert [told.a.id] == [one.credential for one in key.collateral]
    assert () == user.collateral
    assert [(told.ria_before.id, BUCKET)] == [(one.credential, one.principal) for one in role.collateral]
    assert [(told.ria_after.id, BUCKET)] == [
        (one.credential, one.principal) for one in case.contain([told.a.id]).steps[-1].collateral
    ]


def test_a_step_can_be_taken_back_and_says_from_when(early: Case, told: Story) -> None:
    """Sessions live 12 hours and tokens 36 at most, seen or not; the leaked key is never safe by itself."""
    key, user, role = early.contain([told.a.id], as_of=before(told)).steps

    assert ["UpdateAccessKey"] == [call.operation for call in key.undo]
    assert "Active" == key.undo[0].parameters["Status"]
    assert ["DeleteUserPolicy"] == [call.operation for call in user.undo]
    assert ["DeleteRolePolicy"] == [call.operation for call in role.undo]
    assert key.reversible and user.reversible and role.reversible
    assert key.safe_to_undo_after is None
    for one, longest in ((user, 36), (role, 12)):
        assert one.safe_to_undo_after is not None
        assert timedelta() <= one.safe_to_undo_after - before(told) - longest * HOUR <= HOUR / 4


def test_surgical_hits_nobody_but_who_shares_the_key(case: Case, early: Case, told: Story) -> None:
    """Ria keeps working at either moment: the tainted sessions are listed, and what nobody has seen is cut."""
    assert hit(early.contain([told.a.id], strategy="surgical", as_of=before(told))) == {told.a.id}
    assert hit(case.contain([told.a.id], strategy="surgical")) == set()


def test_surgical_writes_lists_a_bracket_and_the_blind_window(case: Case, told: Story) -> None:
    """B, whose user id the user shares, goes by its second; D and E by their names; the unseen by the last minutes."""
    plan = case.contain([told.a.id], strategy="surgical")
    assert plan.as_of == datetime.fromisoformat(told.world.records()[-1]["eventTime"])
    issued, cutoff = "aws:TokenIssueTime", f"{plan.as_of + timedelta(seconds=60):%Y-%m-%dT%H:%M:%SZ}"
    blind = f"{plan.as_of - timedelta(seconds=900):%Y-%m-%dT%H:%M:%SZ}"
    unseen = {"DateLessThan": {issued: cutoff}, "DateGreaterThanEquals": {issued: blind}}
    user, role = ([one["Condition"] for one in statements(each)] for each in plan.steps)

    assert user == [
        {
            "StringEquals": {"aws:userid": told.user.id},
            "DateLessThan": {issued: "2026-11-23T09:44:06Z"},
            "DateGreaterThanEquals": {issued: "2026-11-23T09:44:05Z"},
        },
        unseen,
    ]
    assert role == [
        {
            "StringEquals": {"aws:userid": [f"{told.role.id}:support", f"{told.role.id}:support-eu"]},
            "DateLessThan": {issued: cutoff},
        },
        unseen,
    ]


def test_scorched_denies_without_conditions(early: Case, told: Story) -> None:
    """Everything is denied to the user and to the role, for as long as the policies stand."""
    plan = early.contain([told.a.id], strategy="scorched", as_of=before(told))

    for one in plan.steps[1:]:
        assert [{"Effect": "Deny", "Action": "*", "Resource": "*"}] == statements(one)
        assert one.cutoff is None
    assert hit(plan) == {told.a.id, told.ria_before.id}


def test_every_plan_names_what_a_deny_does_not_end(case: Case, told: Story) -> None:
    """Open shells, database connections, tokens for registries, presigned URLs and secrets read go on."""
    (risk,) = case.contain([told.a.id]).residual_risks

    for one in ("SSM sessions", "database connections", "ECR", "KMS grants", "presigned", "secrets"):
        assert one in risk


# ---------------------------------------------------------------- what people try first

MINTS_BUCKET = "mints a new role/MyBucketRole session at"
B_WORKS = "{b} .session token of user/support. still works until 2026-11-24T21:44:05Z"
C_WORKS = "{c} .session of role/MyBucketRole. still works until 2026-11-23T10:46:30Z"
A_WORKS = "{a} .long-term key of user/support. still works"
NAIVE = {
    "deactivate the key": (["deactivate-key:{a}"], [f"after step 1, {B_WORKS}", C_WORKS]),
    "deactivate the key, revoke the role": (
        ["deactivate-key:{a}", f"revoke-role-sessions:{BUCKET}"],
        [
            f"after step 2, {B_WORKS}",
            f"{MINTS_BUCKET} 2026-11-23T10:04:05Z, which the cutoff 2026-11-23T10:04:00Z of step 2 does not cover",
        ],
    ),
    "deactivate the key, delete it": (
        ["deactivate-key:{a}", "delete-key:{a}"],
        [f"after step 2, {B_WORKS}", f"after step 2, {C_WORKS}"],
    ),
    "deny the user's tokens while the key is active": (
        [f"revoke-user-sessions:{SUPPORT}", f"revoke-role-sessions:{BUCKET}"],
        [
            A_WORKS,
            "{a} .* mints a new user/support token at 2026-11-23T10:02:05Z, "
            "which the cutoff 2026-11-23T10:02:00Z of step 1 does not cover",
        ],
    ),
    "edit the role's trust": ([f"edit-trust:{BUCKET}"], [A_WORKS, B_WORKS, C_WORKS]),
    "attach AWS's quarantine policy": ([f"attach-quarantine:{SUPPORT}"], [A_WORKS, B_WORKS, C_WORKS]),
    "put the user's cutoff into the past": (
        ["deactivate-key:{a}", f"revoke-user-sessions:{SUPPORT}@2026-11-23T09:44:05Z", f"deny-role:{BUCKET}"],
        [f"after step 3, {B_WORKS}"],
    ),
    "put the role's cutoff into the past": (
        [
            "deactivate-key:{a}",
            f"revoke-user-sessions:{SUPPORT}",
            f"revoke-role-sessions:{BUCKET}@2026-11-23T09:46:30Z",
        ],
        [C_WORKS],
    ),
    "deny the session's name": (
        [
            "deactivate-key:{a}",
            f"revoke-user-sessions:{SUPPORT}",
            "deny-sessions:arn:aws:sts::111122223333:assumed-role/MyBucketRole/support",
        ],
        ["session .*role/MyBucketRole.* at 2026-11-23T"],
    ),
    "revoke the role first": (
        [f"revoke-role-sessions:{BUCKET}", "deactivate-key:{a}", f"revoke-user-sessions:{SUPPORT}"],
        [
            f"{MINTS_BUCKET} 2026-11-23T10:02:05Z, which the cutoff 2026-11-23T10:02:00Z of step 1 does not cover"
        ],
    ),
}


@pytest.mark.parametrize("what", NAIVE)
def test_what_people_try_first_is_refuted_with_times(what: str, early: Case, told: Story) -> None:
    """Each naive sequence leaves something, and the counterexample names it and when."""
    names = {letter.lower(): key_id for letter, key_id in told.key_ids.items()}
    steps, patterns = NAIVE[what]
    plan = early.contain([told.a.id], what_if=[one.format(**names) for one in steps], as_of=before(told))

    refuted(plan, *(one.format(**names) for one in patterns))
    assert plan.strategy is None


def test_the_counterexample_of_the_story_is_what_happened(case: Case, told: Story) -> None:
    """Before the revocation, the proof foretells D: a session of the role, minted by B after the cutoff."""
    steps = [f"deactivate-key:{told.a.id}", f"revoke-role-sessions:{BUCKET}"]
    plan = case.contain([told.a.id], what_if=steps, as_of=told.moments.sessions_revoked - SECOND)

    refuted(plan, f"{told.b.id} .* still works", f"{MINTS_BUCKET} .* cutoff .* of step 2 does not cover")
    assert any(f"new session of {BUCKET}" == one.credential for one in plan.proof.survivors)


@pytest.mark.parametrize(
    "steps",
    [
        ["deactivate-key:{a}", f"revoke-user-sessions:{SUPPORT}", f"revoke-role-sessions:{BUCKET}"],
        ["deactivate-key:{a}", f"revoke-user-sessions:{SUPPORT}", f"deny-sessions:{BUCKET}"],
        [f"deny-user:{SUPPORT}", f"deny-role:{BUCKET}"],
        [f"delete-user:{SUPPORT}", f"deny-role:{BUCKET}"],
    ],
    ids=["standard", "surgical on the role", "scorched", "delete the user"],
)
def test_given_steps_that_hold_are_proved(steps: list[str], early: Case, told: Story) -> None:
    """What-if says so too when steps are enough."""
    plan = early.contain([told.a.id], what_if=[one.format(a=told.a.id) for one in steps], as_of=before(told))

    assert checked(plan).proof.complete
    assert plan.steps[-1].alive_after == ()


# ---------------------------------------------------------------- juggling, and what is left behind


def juggler() -> tuple[World, LongTermKey]:
    """Two roles that assume each other, entered with a stolen key."""
    world = World(START)
    key = world.user("support")
    key.assumes("Ping", "x").assumes("Pong", "x").assumes("Ping", "x").calls("s3:ListBuckets")
    return world, key


def test_juggling_roles_are_cut_in_one_step_or_frozen_first() -> None:
    """In two steps each role's sessions mint the other's meanwhile; in one they can't, nor once both are frozen."""
    world, key = juggler()
    cut = [f"deactivate-key:{key.id}", f"revoke-user-sessions:{SUPPORT}"]
    both = [f"revoke-role-sessions:{ROLE}Ping", f"revoke-role-sessions:{ROLE}Pong"]
    frozen = [f"freeze-role:{ROLE}Ping", f"freeze-role:{ROLE}Pong"]
    with asked(world) as case:
        in_two = case.contain([key.id], what_if=[*cut, *both])
        half = case.contain([key.id], what_if=[*cut, frozen[0], *both])
        after_freezing = case.contain([key.id], what_if=[*cut, *frozen, *both])
        in_one = case.contain([key.id])

    refuted(
        in_two,
        r"after step 3, ASIA\w+ \(session of role/Pong\) mints a new role/Ping session at .* of step 3 does not cover",
        "after step 4, the role/Ping session of .* mints a new role/Pong session at .* cutoff .* of step 4 does not cover",
    )
    assert not half.proof.complete
    assert checked(after_freezing).proof.complete
    assert checked(in_one).proof.complete
    assert in_one.steps[-1].principals == (f"{ROLE}Ping", f"{ROLE}Pong")
    assert in_one.steps[-1].principal is None and in_one.steps[-1].account == "111122223333"


def leaves_key(world: World, session: Credential) -> str:
    key = session.creates_access_key(world.user("grace").user)
    key.calls("s3:ListBuckets")
    return key.id


def leaves_user(world: World, session: Credential) -> str:
    key = session.creates_access_key(session.creates_user("helper"))
    key.calls("s3:ListBuckets")
    return "user helper"


def leaves_password(world: World, session: Credential) -> str:
    world.user("ada").calls("s3:ListBuckets")
    session.iam("CreateLoginProfile", userName="ada")
    return "set the password of ada"


def leaves_trust(world: World, session: Credential) -> str:
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
        "Action": "sts:AssumeRole",
    }
    session.iam(
        "UpdateAssumeRolePolicy",
        roleName="Open",
        policyDocument={"Version": "2012-10-17", "Statement": [trust]},
    )
    return "changed whom Open trusts"


def leaves_role(world: World, session: Credential) -> str:
    session.creates_role("backdoor", {"AWS": "arn:aws:iam::999999999999:root"})
    return "made the role backdoor"


LEFT = {
    "deactivate-key": leaves_key,
    "deny-user": leaves_user,
    "remove-login-profile": leaves_password,
    "revert-trust": leaves_trust,
    "deny-role": leaves_role,
}


@pytest.mark.parametrize("action", LEFT)
def test_what_the_attacker_left_behind_goes_too(action: str) -> None:
    """The plan ends each key, user, password, trust and role made; without that, it is refuted by name."""
    world = World(START)
    key = world.user("support")
    session = key.assumes("Admin", "x")
    named = LEFT[action](world, session)
    with asked(world) as case:
        plan = checked(case.contain([key.id]))
        given = as_given(plan)
        whole = case.contain([key.id], what_if=given)
        kept = [one for one in given if not one.startswith(f"{action}:") or one.endswith(key.id)]
        without = case.contain([key.id], what_if=kept)

    assert action in actions(plan) and plan.proof.complete
    assert whole.proof.complete, whole.proof.counterexample
    refuted(without, named)


def test_a_role_that_was_made_of_a_template_is_denied_too() -> None:
    """AcquireRole names the role in its answer alone."""
    world = World(START)
    key = world.user("support")
    role = key.assumes("Admin", "x").acquires_role("helper", {"AWS": "arn:aws:iam::999999999999:root"})
    plan = planned(world, key.id)

    assert [role.arn] == list(step(plan, "deny-role").principals) and plan.proof.complete


def test_a_trust_that_a_person_puts_back_is_told() -> None:
    """Where the evidence does not show what it said before, the step says whom the attacker's names."""
    world = World(START)
    key = world.user("support")
    leaves_trust(world, key)

    assert "it names arn:aws:iam::999999999999:root" in step(planned(world, key.id), "revert-trust").why


def test_a_trust_is_put_back_as_it_was() -> None:
    """Where the log shows the trust policy from before the attacker's change, the step writes that one."""
    world = World(START)
    good = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]}'
    world.user("admin").iam("UpdateAssumeRolePolicy", roleName="Open", policyDocument=good)
    key = world.user("support")
    leaves_trust(world, key)
    plan = planned(world, key.id)

    (call,) = step(plan, "revert-trust").calls
    assert {"RoleName": "Open", "PolicyDocument": good} == call.parameters
    assert not step(plan, "revert-trust").reversible
    assert f"{ROLE}Open" in step(plan, "revoke-role-sessions").principals


def test_what_somebody_put_right_needs_no_step() -> None:
    """A user, password and trust that a responder has removed since are no part of the plan."""
    world = World(START)
    key = world.user("support")
    user = key.creates_user("helper")
    leaves_password(world, key)
    leaves_trust(world, key)
    responder = world.user("responder")
    world.wait(60)
    responder.iam("DeleteUser", userName=user.name)
    responder.iam("DeleteLoginProfile", userName="ada")
    responder.iam(
        "UpdateAssumeRolePolicy", roleName="Open", policyDocument='{"Version":"2012-10-17","Statement":[]}'
    )
    plan = planned(world, key.id)

    assert {"delete-created-user", "remove-login-profile", "revert-trust"}.isdisjoint(actions(plan))
    assert plan.proof.complete


def test_a_user_made_by_the_attacker_is_denied_and_kept_as_evidence() -> None:
    """Its keys are deactivated, it is denied everything, and undo leaves both so; the step and the risks say why."""
    world = World(START)
    key = world.user("support")
    leaves_user(world, key.assumes("Admin", "x"))
    plan = planned(world, key.id)
    denied = step(plan, "deny-user")

    assert ["UpdateAccessKey", "PutUserPolicy"] == operations(denied)
    assert "Inactive" == denied.calls[0].parameters["Status"] and statements(denied) == [
        {"Effect": "Deny", "Action": "*", "Resource": "*"}
    ]
    assert plan.proof.complete and not denied.reversible and denied.undo == ()
    assert denied.safe_to_undo_after is None
    assert "made user/helper: the step keeps it as evidence" in denied.why
    assert any("stays as evidence" in one and "user/helper" in one for one in plan.residual_risks)
    assert not any(call.operation.startswith("Delete") for one in plan.steps for call in one.calls)


def test_a_user_made_by_the_attacker_is_deleted_with_its_keys_if_asked() -> None:
    """IAM wants the keys gone before the user: both calls are in the step, in that order."""
    world = World(START)
    key = world.user("support")
    leaves_user(world, key.assumes("Admin", "x"))
    plan = planned(world, key.id, delete_created=True)

    assert ["DeleteAccessKey", "DeleteUser"] == operations(step(plan, "delete-created-user"))
    assert "delete-created-key" not in actions(plan) and plan.proof.complete
    assert not any("stays as evidence" in one for one in plan.residual_risks)


def test_a_user_whose_policies_the_attacker_filled_up_is_deleted() -> None:
    """IAM would refuse a deny: no room inline, and ten managed policies are attached, as the log shows."""
    world = World(START)
    key = world.user("support")
    session = key.assumes("Admin", "x")
    leaves_user(world, session)
    long = {"Effect": "Allow", "Action": "s3:" + "x" * 2000, "Resource": "*"}
    full = {"userName": "helper", "policyName": "p", "policyDocument": {"Statement": [long]}}
    session.iam("PutUserPolicy", **full)
    for number in range(10):
        session.iam("AttachUserPolicy", userName="helper", policyArn=f"arn:aws:iam::aws:policy/P{number}")
    filled = planned(world, key.id)
    session.iam("DetachUserPolicy", userName="helper", policyArn="arn:aws:iam::aws:policy/P3")
    emptier = planned(world, key.id)

    assert "so that only its deletion ends it" in step(filled, "delete-created-user").why
    assert ["UpdateAccessKey", "CreatePolicy", "AttachUserPolicy"] == operations(step(emptier, "deny-user"))
    assert filled.proof.complete and emptier.proof.complete


@pytest.mark.parametrize("used", [True, False])
def test_a_key_made_by_the_attacker_is_deactivated_with_the_leaked_one(used: bool) -> None:
    """One step takes both out of use; only the leaked one has a call that gives it back."""
    world = World(START)
    key = world.user("support")
    made = key.assumes("Admin", "x").creates_access_key(world.user("ada"))
    if used:
        made.calls("s3:ListBuckets")
    plan = planned(world, key.id)
    off = step(plan, "deactivate-key")

    assert sorted([key.id, made.id]) == sorted(off.targets) and ["UpdateAccessKey"] * 2 == operations(off)
    assert [key.id] == [call.parameters["AccessKeyId"] for call in off.undo] and off.reversible
    assert f"made {made.id}: the step keeps it as evidence" in off.why and plan.proof.complete
    assert made.id not in hit(plan)


def test_a_key_made_by_the_attacker_is_deleted_if_asked() -> None:
    """Then the leaked one alone is deactivated, as it may be its owner's."""
    world = World(START)
    key = world.user("support")
    made = key.assumes("Admin", "x").creates_access_key(world.user("ada"))
    made.calls("s3:ListBuckets")
    plan = planned(world, key.id, delete_created=True)

    assert [key.id] == list(step(plan, "deactivate-key").targets)
    assert [made.id] == list(step(plan, "delete-created-key").targets) and plan.proof.complete


def test_a_console_session_of_a_user_that_the_attacker_made_ends_with_the_denial() -> None:
    """No step takes its password, as whatever that opens is denied everything."""
    world = World(START)
    key = world.user("support")
    user = key.assumes("Admin", "x").creates_user("helper")
    key.iam("CreateLoginProfile", userName=user.name)
    world.console_sign_in(user).calls("s3:ListBuckets")
    with asked(world) as case:
        plan = checked(case.contain([key.id]))
        given = checked(case.contain([key.id], what_if=as_given(plan)))

    assert plan.proof.complete and given.proof.complete
    assert "remove-login-profile" not in actions(plan)


def test_what_the_leaked_key_itself_made_may_be_its_owners() -> None:
    """Without narrowing nobody can say who made it, and the step that deletes it says so; told since when, it does not."""
    world = World(START)
    key = world.user("support")
    leaves_user(world, key)
    with asked(world) as case:
        unsure = checked(case.contain([key.id]))
        certain = checked(case.contain([key.id], since=START))

    assert "give --attacker-since" in step(unsure, "deny-user").why
    assert "give --attacker-since" not in step(certain, "deny-user").why
    assert unsure.proof.complete and certain.proof.complete


def test_steps_on_others_are_not_looked_at_for_each_role(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many roles and steps of one's own are twice as much to prove: what is done to one role leaves others."""
    looked, mint, world = list[int](), _Search._mint, World(START)

    def counting(search: _Search, *asked: Any) -> bool:
        looked[-1] += 1
        return mint(search, *asked)

    monkeypatch.setattr(_Search, "_mint", counting)
    key = world.user("ada")
    for number in range(24):
        key.assumes(f"Role{number}").calls("s3:ListBuckets")
    with asked(world) as case:
        for count in (12, 24):
            looked.append(0)
            steps = [f"revoke-role-sessions:{ROLE}Role{number}" for number in range(count)]
            plan = case.contain([key.key_id], what_if=steps)
            assert not plan.proof.complete

    assert 0 < looked[1] < 1.5 * looked[0]
