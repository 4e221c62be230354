"""
The adversary finds a way around each of the plans that people try first, and none around the right one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings

from oracle.adversary import Outcome, Pace, as_sent, play
from oracle.plan_cases import (
    Json,
    before,
    call,
    deactivate,
    delete_key,
    deny_user,
    listed,
    plan,
    policy,
    put_role,
    revoke_roles,
    revoke_user,
    step,
)
from oracle.simulated_aws import SimulatedAws
from oracle.taint import tainted_ids
from strategies import Incident, colleague_reads_lake, incidents, played_incident, thief_sets_password
from tokentrail.testing import Credential, LongTermKey, World
from tokentrail.testing.names import iso
from tokentrail.testing.story import Story, story

AWAY = "444455556666"


@pytest.fixture(name="leak", scope="module")
def _leak() -> Story:
    return story(ordinary_day=False)


@pytest.fixture(name="aws", scope="module")
def _aws(leak: Story) -> SimulatedAws:
    return SimulatedAws.of(leak.world)


def against(world: World, subject: Credential, *steps: Json, **options: Any) -> Outcome:
    """The outcome of steps against whoever stole a credential, sent as of the newest record."""
    aws = SimulatedAws.of(world)
    return play(aws, tainted_ids(aws, [subject.id]), plan(aws.at, *steps), **options)


def ids(outcome: Outcome) -> set[str]:
    return {survivor.credential for survivor in outcome.survivors}


def told(outcome: Outcome) -> str:
    return "\n".join(sentence for survivor in outcome.survivors for sentence in survivor.history)


# ------------------------------------------------------------------------------------------------ the story


def test_the_right_plan_of_the_story_holds_and_spares_all_but_those_it_lists(
    leak: Story, aws: SimulatedAws
) -> None:
    """Key, then the user's sessions, then the role's: nothing survives, at any pace; Ria's session is listed."""
    tainted = tainted_ids(aws, [leak.a.id])
    steps = (
        deactivate(leak.user, leak.a.key_id),
        revoke_user(leak.user, aws.at, ends=[leak.b.id]),
        revoke_roles(
            leak.role, as_of=aws.at, ends=[leak.d.id, leak.e.id], collateral=listed(leak.ria_after.id)
        ),
    )
    outcome = play(aws, tainted, plan(aws.at, *steps))

    assert {leak.a.id, leak.b.id, leak.c.id, leak.d.id, leak.e.id} == tainted
    assert () == outcome.survivors
    assert () == outcome.unlisted
    assert () == outcome.not_ended


def test_collateral_that_a_step_does_not_list_is_named(leak: Story, aws: SimulatedAws) -> None:
    """Revoking the role ends Ria's session too, and the step must say so."""
    outcome = play(aws, tainted_ids(aws, [leak.a.id]), plan(aws.at, revoke_roles(leak.role, as_of=aws.at)))

    assert [(1, leak.ria_after.id)] == [(one.step, one.credential) for one in outcome.unlisted]


def test_a_step_that_does_not_end_what_it_says_is_named(leak: Story, aws: SimulatedAws) -> None:
    """Revoking the role does not end B, which is a session of the user."""
    steps = plan(aws.at, revoke_roles(leak.role, as_of=aws.at, ends=[leak.b.id]))
    outcome = play(aws, tainted_ids(aws, [leak.a.id]), steps)

    assert ((1, leak.b.id),) == outcome.not_ended
    assert ((leak.b.id,),) == outcome.alive_after


@pytest.mark.parametrize("role_too", [False, True])
def test_the_response_in_the_story_fails(leak: Story, aws: SimulatedAws, role_too: bool) -> None:
    """A deactivated, the role revoked again: B lives, and mints another session after the cutoff."""
    steps = [deactivate(leak.user, leak.a.key_id)]
    steps += [revoke_roles(leak.role, as_of=aws.at, collateral=listed(leak.ria_after.id))] * role_too
    outcome = play(aws, tainted_ids(aws, [leak.a.id]), plan(aws.at, *steps))

    assert leak.b.id in ids(outcome)
    assert (leak.d.id in ids(outcome)) != role_too
    assert "assumes MyBucketRole" in told(outcome)


def test_the_story_is_lost_earlier_too(leak: Story) -> None:
    """As of ten o'clock the key is active: the simulation knows no later evidence."""
    aws = SimulatedAws.of(leak.world, at=leak.moments.key_deactivated - timedelta(seconds=1))
    outcome = play(aws, tainted_ids(aws, [leak.a.id]), plan(aws.at, deactivate(leak.user, leak.a.key_id)))

    assert {leak.a.id, leak.b.id, leak.c.id} == tainted_ids(aws, [leak.a.id])
    assert {leak.b.id, leak.c.id} <= ids(outcome)
    assert leak.a.id not in ids(outcome)


def test_revoking_the_role_before_the_user_loses(leak: Story, aws: SimulatedAws) -> None:
    """Upstream first: in the wrong order B has time to mint past the role's cutoff."""
    steps = (
        deactivate(leak.user, leak.a.key_id),
        revoke_roles(leak.role, as_of=aws.at),
        revoke_user(leak.user, aws.at),
    )
    outcome = play(aws, tainted_ids(aws, [leak.a.id]), plan(aws.at, *steps))

    assert [leak.role.id] == [survivor.credential.partition(":")[0] for survivor in outcome.survivors]
    assert "after step 2" in told(outcome)


# -------------------------------------------------------------------------------------- keys and their users


def test_deactivating_then_deleting_the_key_leaves_its_tokens(world: World) -> None:
    """A key's end ends nothing that it minted."""
    key = world.user("ada")
    token = key.gets_session_token()
    outcome = against(world, key, deactivate(key.user, key.id), delete_key(key.user, key.id))

    assert token.id in ids(outcome)
    assert key.id not in ids(outcome)


def test_tokens_that_no_log_shows_yet_survive_the_key_alone(world: World) -> None:
    """In the blind window the key may have minted what nobody has seen."""
    key = world.user("ada")
    key.calls("s3:ListBuckets")
    outcome = against(world, key, deactivate(key.user, key.id))

    assert outcome.survivors
    assert "gets a session token" in told(outcome)


def test_a_cutoff_for_the_user_is_nothing_to_the_key(world: World) -> None:
    """A long-term key has no issue time, and mints tokens newer than any cutoff."""
    key = world.user("ada")
    key.gets_session_token()
    aws = SimulatedAws.of(world)
    outcome = play(aws, tainted_ids(aws, [key.id]), plan(aws.at, revoke_user(key.user, aws.at)))

    assert key.id in ids(outcome)


@pytest.mark.parametrize("kind", ["key", "second key", "password", "user", "API key"])
def test_whatever_the_attacker_made_must_go_too(world: World, kind: str) -> None:
    """A created key, further key, password, user or API key lives on when only the stolen key is denied."""
    key, admin = world.user("ada"), world.role("Admin")
    session = key.assumes(admin)
    made = None
    if kind == "key":
        made = session.creates_access_key(world.user("grace"))
    elif kind == "second key":
        made = session.creates_access_key(key)
    elif kind == "password":
        session.iam("CreateLoginProfile", userName=world.user("grace").user.name)
        made = world.console_sign_in(world.user("grace"))
        made.calls("s3:ListBuckets")
    elif kind == "API key":
        made = session.creates_api_key(world.user("grace"))
    else:
        made = session.creates_access_key(session.creates_user("helper"))
    aws = SimulatedAws.of(world)
    steps = (
        deactivate(key.user, key.id),
        revoke_user(key.user, aws.at),
        revoke_roles(admin, as_of=aws.at),
    )
    outcome = play(aws, tainted_ids(aws, [key.id]), plan(aws.at, *steps))

    assert made.id in tainted_ids(aws, [key.id])
    assert made.id in ids(outcome)


def test_an_api_key_mints_nothing_and_ends_when_it_is_inactive(world: World) -> None:
    """With an API key nobody gets a session; made inactive, it does not work, and a cutoff for its user is nothing to it."""
    key = world.user("ada")
    made = key.creates_api_key(world.user("grace"))
    aws = SimulatedAws.of(world)
    off = call(made.account, "UpdateServiceSpecificCredential", UserName="grace", ServiceSpecificCredentialId=made.id,
               Status="Inactive")  # fmt: skip
    first = deactivate(key.user, key.id)
    ended = step("deactivate-api-key", off, ends=[made.id])
    cut = revoke_user(made.user, aws.at)
    tainted = frozenset({made.id})

    assert ids(play(aws, tainted, plan(aws.at, first, cut))) == {made.id}
    assert ids(play(SimulatedAws.of(world), tainted, plan(aws.at, first, ended))) == set()


def test_a_known_password_opens_the_console_until_it_is_gone(world: World) -> None:
    """A user's sessions revoked, the password left: the adversary signs in again, after the cutoff."""
    key = world.user("ada")
    key.iam("CreateLoginProfile", userName="grace")
    aws = SimulatedAws.of(world)
    steps = [deny_user(key.user), revoke_user(world.user("grace").user, aws.at)]
    remove = step("remove-login-profile", call(key.account, "DeleteLoginProfile", UserName="grace"))
    tainted = tainted_ids(aws, [key.id])

    assert "the password gives" in told(play(aws, tainted, plan(aws.at, *steps)))
    assert () == play(aws, tainted, plan(aws.at, steps[0], remove, steps[1])).survivors


def test_quarantine_alone_does_not_contain(world: World) -> None:
    """The quarantine policy leaves sts:AssumeRole to the key."""
    key = world.user("ada")
    key.assumes("Deploy")
    arn = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    attach = call(key.account, "AttachUserPolicy", UserName="ada", PolicyArn=arn)
    outcome = against(world, key, step("attach-quarantine", attach))

    assert key.id in ids(outcome)
    assert "assumes Deploy" in told(outcome)


def test_deny_all_by_aws_own_policy_contains_the_user(world: World) -> None:
    """AWSDenyAll on the user ends key, tokens and federated users alike."""
    key = world.user("ada")
    key.gets_session_token()
    key.gets_federation_token("guest")
    attach = call(
        key.account, "AttachUserPolicy", UserName="ada", PolicyArn="arn:aws:iam::aws:policy/AWSDenyAll"
    )

    assert () == against(world, key, step("deny-user", attach)).survivors


# ------------------------------------------------------------------------------------------- roles and trust


def juggling(world: World) -> tuple[LongTermKey, list[Json], list[Json]]:
    """Two roles that assume each other; the steps that cut them one by one, and in one step."""
    key, one, two = world.user("ada"), world.role("One"), world.role("Two", account=AWAY)
    key.assumes(one, "a").assumes(two, "b").assumes(one, "c").assumes(two, "d")
    at = world.now
    upstream = [deny_user(key.user)]
    apart = [revoke_roles(one, as_of=at), revoke_roles(two, as_of=at)]
    return key, [*upstream, *apart], [*upstream, revoke_roles(one, two, as_of=at)]


def test_two_juggling_roles_cut_in_two_steps_survive(world: World) -> None:
    """Between the steps each role's session mints the other's anew."""
    key, apart, _ = juggling(world)
    outcome = against(world, key, *apart)

    assert outcome.survivors
    assert "after step 2" in told(outcome)


def test_two_juggling_roles_cut_in_one_step_do_not(world: World) -> None:
    """One cutoff for both, sent together, leaves neither."""
    key, _, together = juggling(world)

    assert () == against(world, key, *together).survivors


def test_roles_that_are_frozen_first_can_be_cut_one_by_one(world: World) -> None:
    """Frozen, neither role mints; but a freeze lifted before the last cut has bitten is lifted too early."""
    key, apart, _ = juggling(world)
    frozen = {"Action": ["sts:*", "iam:*"]}
    freeze = step(
        "freeze-role", *(put_role(world.role(name, account=account), frozen, name="TokenTrail-freeze")
                         for name, account in (("One", key.account), ("Two", AWAY))),
    )  # fmt: skip
    lift = step(
        "freeze-role", *(call(account, "DeleteRolePolicy", RoleName=name, PolicyName="TokenTrail-freeze")
                         for name, account in (("One", key.account), ("Two", AWAY))),
    )  # fmt: skip

    steps = (apart[0], freeze, *apart[1:], lift)
    patient = [Pace(name="patient", waits=(0, 7200, 7200, 7200, 15))]
    hasty = [Pace(name="hasty", waits=(0, 7200, 7200, 7200, 1))]

    assert () == against(world, key, *steps, at_paces=patient).survivors
    assert "at the hasty pace" in told(against(world, key, *steps, at_paces=hasty))


def test_a_trust_edit_alone_leaves_the_sessions_that_are(world: World) -> None:
    """Trust decides who may come in, not who may stay."""
    key, role = world.user("ada"), world.role("Deploy")
    session = key.assumes(role)
    nobody = policy({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}).replace(
        ', "Resource": "*"', ""
    )
    edit = step(
        "edit-trust", call(role.account, "UpdateAssumeRolePolicy", RoleName="Deploy", PolicyDocument=nobody)
    )
    outcome = against(world, key, deny_user(key.user), edit)

    assert session.id in ids(outcome)


def test_a_trust_that_lets_an_outsider_in_must_be_taken_back(world: World) -> None:
    """A role made to trust a foreign account gives sessions until its trust is restored."""
    key = world.user("ada")
    back_door = key.creates_role("BackDoor", {"AWS": "arn:aws:iam::999988887777:root"})
    aws = SimulatedAws.of(world)
    inside = policy({"Effect": "Allow", "Principal": {"AWS": key.arn}, "Action": "sts:AssumeRole"})
    document = inside.replace(', "Resource": "*"', "")
    revert = step(
        "revert-trust",
        call(key.account, "UpdateAssumeRolePolicy", RoleName="BackDoor", PolicyDocument=document),
    )
    revoked = revoke_roles(back_door, as_of=aws.at)
    tainted = tainted_ids(aws, [key.id])

    assert "lies outside" in told(play(aws, tainted, plan(aws.at, deny_user(key.user), revoked)))
    assert () == play(aws, tainted, plan(aws.at, deny_user(key.user), revert, revoked)).survivors


def test_a_cutoff_in_the_past_covers_what_was_minted_since_in_vain(world: World) -> None:
    """Sessions issued after the cutoff go on."""
    key, role = world.user("ada"), world.role("Deploy")
    session = key.assumes(role)
    past = step("revoke-role-sessions", put_role(role, before(world.now - timedelta(minutes=5))))

    assert session.id in ids(against(world, key, deny_user(key.user), past))


def surgical(role: Any, names: list[str], cutoff: datetime, **dates: Any) -> Json:
    """Deny some names' sessions up to a cutoff."""
    users = [f"{role.id}:{name}" for name in names]
    statement: Json = {
        "Condition": {"StringEquals": {"aws:userid": users}, **before(cutoff)["Condition"], **dates}
    }
    return statement


def colleagues(world: World) -> tuple[LongTermKey, Credential, Credential]:
    """A thief and a colleague in one role."""
    key, role = world.user("ada"), world.role("Deploy")
    theirs = key.assumes(role, "ada")
    world.wait(20)
    hers = world.user("grace").assumes(role, "grace")
    world.wait(minutes=2)
    hers.calls("s3:ListBuckets")
    return key, theirs, hers


def test_a_surgical_deny_by_names_alone_misses_names_that_nobody_has_seen(world: World) -> None:
    """In the blind window any name may have been used: a colleague's too."""
    key, theirs, _ = colleagues(world)
    role, cutoff = world.role("Deploy"), world.now + timedelta(seconds=60)
    cut = step("deny-sessions", put_role(role, surgical(role, ["ada"], cutoff)), cutoff=iso(cutoff))
    outcome = against(world, key, deny_user(key.user), cut)

    assert theirs.id not in ids(outcome)
    assert [role.id] == [survivor.credential.partition(":")[0] for survivor in outcome.survivors]


def split(role: Any, start: datetime, spared: Credential, cutoff: datetime) -> list[Json]:
    """Deny the tainted name, and the blind window but for the second and the name of one innocent session."""
    issued = spared.identity.created
    assert issued is not None
    window = {"DateGreaterThanEquals": {"aws:TokenIssueTime": iso(start)}}
    kept, time = spared.identity.principal_id, "aws:TokenIssueTime"
    return [
        surgical(role, ["ada"], cutoff),
        {"Condition": {**window, **before(cutoff)["Condition"], "StringNotEquals": {"aws:userid": kept}}},
        {"Condition": {**window, "DateLessThan": {time: iso(issued)}, "StringEquals": {"aws:userid": kept}}},
        {"Condition": {"DateGreaterThan": {time: iso(issued)}, **before(cutoff)["Condition"],
                       "StringEquals": {"aws:userid": kept}}},
    ]  # fmt: skip


def test_a_surgical_deny_that_splits_the_window_holds_and_spares(world: World) -> None:
    """Around the second and name of the innocent session nothing is left, and she goes on."""
    key, theirs, hers = colleagues(world)
    role, cutoff = world.role("Deploy"), world.now + timedelta(seconds=60)
    statements = split(role, world.now - timedelta(hours=1), hers, cutoff)
    cut = step("deny-sessions", put_role(role, *statements), cutoff=iso(cutoff), ends=[theirs.id])
    outcome = against(world, key, deny_user(key.user, ends=[key.id]), cut)

    assert () == outcome.survivors
    assert () == outcome.unlisted
    assert () == outcome.not_ended


def test_a_twin_in_the_very_second_is_found_when_asked_for(world: World) -> None:
    """A session of the spared name, minted unseen in the spared second: what `holds_if` must exclude."""
    key, _, hers = colleagues(world)
    role, cutoff = world.role("Deploy"), world.now + timedelta(seconds=60)
    statements = split(role, world.now - timedelta(hours=1), hers, cutoff)
    cut = step("deny-sessions", put_role(role, *statements), cutoff=iso(cutoff))
    outcome = against(world, key, deny_user(key.user), cut, same_second_twins=True)

    assert [hers.identity.principal_id] == [one.credential.partition("@")[0] for one in outcome.survivors]


def test_a_hidden_session_under_another_name_in_the_spared_second_is_found(world: World) -> None:
    """Sparing a second for everybody leaves a second in which the adversary may have minted."""
    key, _, hers = colleagues(world)
    role, cutoff = world.role("Deploy"), world.now + timedelta(seconds=60)
    issued = hers.identity.created
    assert issued is not None
    time = "aws:TokenIssueTime"
    statements = [
        surgical(role, ["ada"], cutoff),
        {"Condition": {"DateLessThan": {time: iso(issued)}}},
        {"Condition": {"DateGreaterThan": {time: iso(issued)}, **before(cutoff)["Condition"]}},
    ]
    cut = step("deny-sessions", put_role(role, *statements), cutoff=iso(cutoff))
    outcome = against(world, key, deny_user(key.user), cut)

    assert outcome.survivors
    assert f"{iso(issued)}, unseen" in told(outcome)


# ------------------------------------------------------------------------------------- hosts, and by hand


def test_an_open_host_gives_the_next_credential(world: World) -> None:
    """A revoked instance session is delivered anew to host and thief, until the host is isolated."""
    instance = world.instance("Web")
    instance.calls("s3:ListBuckets")
    role, at = world.role("Web"), world.now
    isolate = step("isolate-instance", targets=[instance.session_name])
    cut = revoke_roles(role, as_of=at)

    assert "the host gives" in told(against(world, instance, cut))
    assert () == against(world, instance, isolate, cut).survivors
    assert against(world, instance, cut, isolate).survivors


def test_roles_of_aws_are_denied_by_hand_in_the_organisation(world: World) -> None:
    """An Identity Center session: portal closed and SCP set by a person, in this order."""
    session = world.identity_center("ria@example.com", "Support", directory_account=AWAY)
    session.calls("s3:ListBuckets")
    aws = SimulatedAws.of(world)
    (one,) = (aws.credentials[id] for id in tainted_ids(aws, [session.id]))
    disable = step("disable-identity-center-user", targets=[one.principal])
    deny = step("scp-deny", principals=[one.identity_arn], ends=[one.id])

    assert () == against(world, session, deny, disable).survivors
    assert "the portal gives" in told(against(world, session, disable))


def test_cutoffs_move_with_the_clock_and_brackets_stay() -> None:
    """`apply` moves the cutoff to the margin after its own moment, never back; other dates stay as they are."""
    start = datetime.fromisoformat("2026-11-23T10:00:00+00:00")
    cutoff = start + timedelta(seconds=60)
    document = policy(
        {"Condition": {"DateGreaterThan": {"aws:TokenIssueTime": iso(start)}, **before(cutoff)["Condition"]}}
    )
    given = step(
        "deny-sessions", call("1" * 12, "PutRolePolicy", PolicyDocument=document), cutoff=iso(cutoff)
    )
    late = as_sent(given, start + timedelta(hours=1), timedelta(seconds=60))
    early = as_sent(given, start - timedelta(hours=1), timedelta(seconds=60))

    assert "2026-11-23T11:01:00Z" == late["cutoff"]
    assert late["cutoff"] in late["calls"][0]["parameters"]["PolicyDocument"]
    assert iso(start) in late["calls"][0]["parameters"]["PolicyDocument"]
    assert iso(cutoff) == early["cutoff"]


def test_no_plan_at_all_leaves_everything(world: World) -> None:
    """Without steps all that works goes on."""
    key = world.user("ada")
    key.calls("s3:ListBuckets")

    assert key.id in ids(against(world, key))


def test_a_credential_that_nobody_has_seen_is_an_error(world: World) -> None:
    """Whoever asks about an unknown id is told so."""
    world.user("ada").calls("s3:ListBuckets")
    aws = SimulatedAws.of(world)

    with pytest.raises(ValueError, match="does not show"):
        play(aws, ["AKIANOBODY"], plan(aws.at))


# ---------------------------------------------------------------------------------------- in any incident


def scorched(aws: SimulatedAws, tainted: frozenset[str], *, but: str | None = None) -> list[Json]:
    """Deny everything, in one step, to every user and role that the thief has or can come to."""
    passwords = {
        entry_point.what
        for entry_point in aws.entry_points
        if entry_point.kind == "password" and entry_point.by in tainted
    }
    reached = {aws.credentials[one].identity_arn for one in tainted} | passwords
    ways = (aws.edges, aws.vends, aws.crosses)
    while more := {into for one in reached for way in ways for into in way.get(one, ())} - reached:
        reached |= more
    calls = []
    for arn in sorted(reached - {but}):
        account, thing = arn.split(":", 5)[4:]
        kind, _, name = thing.partition("/")
        calls.append(
            call(account, f"Put{kind.title()}Policy", PolicyName="TokenTrail-deny", PolicyDocument=policy({}),
                 **{f"{kind.title()}Name": name})
        )  # fmt: skip
    return [step("deny-role", *calls)] if calls else []


@given(incidents())
@example(incident=played_incident([(thief_sets_password, 0, 0), (colleague_reads_lake, 0, 0)], 0))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_scorched_earth_holds_in_any_incident(incident: Incident) -> None:
    """Where everything in reach is denied everything, the adversary is left with nothing."""
    aws = SimulatedAws.of(incident.world)
    outcome = play(aws, incident.tainted, plan(aws.at, *scorched(aws, incident.tainted)))

    assert () == outcome.survivors


@given(incidents())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_one_principal_forgotten_is_found_in_any_incident(incident: Incident) -> None:
    """Where a principal with a live stolen credential is left out, that credential survives."""
    aws = SimulatedAws.of(incident.world)
    settled = aws.at + aws.iam.propagation  # what a responder did in the last seconds has bitten by then
    alive = sorted(
        (one.id, one.identity_arn)
        for one in aws.alive()
        if one.id in incident.tainted and aws.works(one, settled)
    )
    for id, entity in alive[:2]:
        steps = scorched(aws, incident.tainted, but=entity)
        hurried = [Pace(name="hurried", waits=(1,) * len(steps))]
        outcome = play(aws, incident.tainted, plan(aws.at, *steps), at_paces=hurried)
        assert id in ids(outcome)
