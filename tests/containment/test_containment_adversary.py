"""
Every plan that says it is complete is played against by an adversary who shares no code with the planner.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from evidence import AWAY, HOME, START, held
from oracle.adversary import Outcome, play
from oracle.policy_limits import faults
from oracle.replay import replay
from oracle.simulated_aws import SimulatedAws
from oracle.taint import tainted_ids
from strategies import (
    FAR_ROLES,
    Incident,
    incidents,
    played_incident,
    responder_cuts_by_epoch,
    thief_assumes,
    thief_delegates,
    thief_starts_instance,
)
from tokentrail import Case
from tokentrail.present.document import document
from tokentrail.testing import World
from tokentrail.testing.story import story

if not hasattr(Case, "contain"):
    pytest.skip("the case does not plan yet", allow_module_level=True)

Json = dict[str, Any]
STRATEGIES = ("standard", "surgical", "scorched")
GENERATE = (
    Phase.explicit,
    Phase.reuse,
    Phase.generate,
)  # each try takes a second: shrinking would take minutes
QUICK = settings(
    max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), phases=GENERATE, print_blob=True
)
LONG = settings(QUICK, max_examples=300)
NAIVE = (
    ("deactivate-key",),
    ("deactivate-key", "delete-key"),
    ("deactivate-key", "revoke-role-sessions"),
    ("revoke-user-sessions",),
    ("attach-quarantine",),
    ("edit-trust",),
)
"""What people try first, in order, by action."""
BUT_FOR_THE_GUARDED = ("but for the guarded",)
"""The steps of a plan, but for those on roles on which a deny stands already: that deny has to complete them."""


GIVEN = st.sampled_from((*NAIVE, *[BUT_FOR_THE_GUARDED] * len(NAIVE)))


def planned(incident: Incident, within: Case | None = None, **options: Any) -> Json:
    """The plan for an incident, as its JSON document, from a case that holds it, if there is one."""
    with nullcontext(within) if within else held(incident.world) as case:
        made: Json = document(case.contain([incident.subject], as_of=incident.at, **options))
    return made


def taken(incident: Incident, plan: Json) -> frozenset[str]:
    """What is the attacker's, with those of which the records leave open whose they are that the plan takes for its."""
    return incident.tainted | (incident.possible & set(plan["tainted"]))


def judged(incident: Incident, plan: Json, bite: int = 10) -> Outcome:
    """How a plan fares."""
    aws = SimulatedAws.of(incident.world, at=incident.at, propagation=bite)
    return play(aws, taken(incident, plan), plan)


def conditions(incident: Incident, plan: Json) -> None:
    """
    Whatever may be the attacker's and still works is named as a condition of the proof, unless the plan ends it too.

    What it ends beside the attacker's is no condition, as a complete plan is complete as well if that is his.
    """
    aws = SimulatedAws.of(incident.world, at=incident.at)
    left = {
        id for id in incident.possible - set(plan["tainted"]) if aws.works(aws.credentials[id], incident.at)
    }
    unnamed = {id for id in left if not any(id in sentence for sentence in plan["proof"]["holds_if"])}
    if unnamed:
        hit = {one["credential"] for step in plan["steps"] for one in step["collateral"]}
        assert unnamed <= hit
        outcome = play(aws, taken(incident, plan) | unnamed, plan)
        assert not (plan["proof"]["complete"] and outcome.survivors), words(outcome)


def words(outcome: Outcome) -> str:
    """The survivors' stories, for whoever reads a failure."""
    return "\n".join("  ".join(survivor.history) for survivor in outcome.survivors)


def agrees(incident: Incident, plan: Json, outcome: Outcome) -> None:
    """What is said to be contained is; and what is said not to be is not, where a proof can be expected to know."""
    complete = plan["proof"]["complete"]
    assert not (complete and outcome.survivors), words(outcome)
    assert complete or outcome.survivors or not incident.exact, plan["proof"]["counterexample"]


def replays(incident: Incident, plan: Json, bite: int = 10) -> None:
    """Whoever makes the moves of an incomplete plan's counterexample has a living credential in the end."""
    told = plan["proof"]["replay"]
    assert (told is None) == plan["proof"]["complete"]
    if told is not None:
        aws = SimulatedAws.of(incident.world, at=incident.at, propagation=bite)
        found = replay(aws, taken(incident, plan), plan)

        assert () == found.faults or not incident.exact, plan["proof"]["counterexample"]
        assert (found.living or not incident.exact) and len(told["moves"]) == len(
            plan["proof"]["counterexample"]
        )


def holds(incident: Incident, strategy: str, within: Case) -> Json:
    """
    A plan's claims hold in the simulated AWS: complete or not, who ends when, and who is hit besides.

    Of whom the evidence leaves open whether it still works, that counts as alive until a step ends it for certain.
    """
    open_ones = {one.id for one in within.credentials(as_of=incident.at) if one.state == "unknown"}
    plan = planned(incident, within, strategy=strategy)
    outcome = judged(incident, plan)

    assert set(plan["tainted"]) == taken(incident, plan)
    conditions(incident, plan)
    assert [] == faults(plan)
    agrees(incident, plan, outcome)
    assert () == outcome.unlisted
    assert () == outcome.not_ended
    for told, working in zip(plan["steps"], outcome.alive_after, strict=True):
        assert set(told["alive_after"]) - open_ones <= set(working), (
            f"step {told['n']} leaves less than it says"
        )
        assert not set(told["ends"]) & set(working)
    replays(incident, plan)
    return plan


def hold(incident: Incident) -> None:
    """The plans of all strategies, from one case, are what they say."""
    with held(incident.world) as case:
        for strategy in STRATEGIES:
            holds(incident, strategy, case)


@given(incident=incidents())
@example(
    # A delegated session whose time of issue no record tells, under a role that denies sessions of one day.
    incident=played_incident(
        [
            (thief_assumes, 20, 35),
            (thief_starts_instance, 30, 55),
            (thief_delegates, 20, 56),
            (responder_cuts_by_epoch, 1, 59),
        ],
        9,
    )
)
@QUICK
def test_a_plan_is_what_it_says(incident: Incident) -> None:
    """A complete plan leaves nothing; an incomplete one does; its collateral is all that it hits."""
    hold(incident)


@pytest.mark.long
@given(incident=incidents(largest=16))
@LONG
def test_a_plan_is_what_it_says_at_length(incident: Incident) -> None:
    """The same, for long."""
    hold(incident)


def given_steps(incident: Incident, actions: tuple[str, ...], within: Case | None = None) -> list[str]:
    """Steps by their actions, on all that they can be taken on; or those of a plan but for the guarded roles."""
    aws = SimulatedAws.of(incident.world, at=incident.at)
    if actions == BUT_FOR_THE_GUARDED:
        plan = planned(incident, within)
        return [
            f"{step['action']}:{target}"
            for step in plan["steps"]
            for target in step["targets"]
            if target not in incident.guarded
        ]
    key = aws.credentials[incident.subject]
    roles = sorted({into for edges in aws.edges.values() for into in edges if ":role/" in into})
    targets = {"deactivate-key": [key.id], "delete-key": [key.id], "revoke-user-sessions": [key.identity_arn],
               "attach-quarantine": [key.identity_arn], "revoke-role-sessions": roles, "edit-trust": roles}  # fmt: skip
    return [f"{action}:{target}" for action in actions for target in targets[action]]


def refuted(incident: Incident, actions: tuple[str, ...], within: Case | None = None) -> None:
    """A proof of given steps agrees with the adversary, and its survivors are alive in the simulation."""
    aws = SimulatedAws.of(incident.world, at=incident.at)
    steps = given_steps(incident, actions, within)
    if not steps:
        return
    plan = planned(incident, within, what_if=steps)
    outcome = play(aws, taken(incident, plan), plan)

    conditions(incident, plan)
    agrees(incident, plan, outcome)
    for survivor in plan["proof"]["survivors"]:
        one = aws.credentials.get(survivor["credential"])
        found = one is None or any(one.id == theirs.credential for theirs in outcome.survivors)
        assert found or not incident.exact
    replays(incident, plan)


@given(incident=incidents(), actions=GIVEN)
@QUICK
def test_given_steps_are_judged_as_they_fare(incident: Incident, actions: tuple[str, ...]) -> None:
    """What `--what-if` proves or refutes is what happens."""
    refuted(incident, actions)


@pytest.mark.long
@given(incident=incidents(largest=16), actions=GIVEN)
@LONG
def test_given_steps_are_judged_as_they_fare_at_length(incident: Incident, actions: tuple[str, ...]) -> None:
    """The same, for long."""
    refuted(incident, actions)


@pytest.fixture(name="the_story", scope="module")
def _the_story() -> Iterator[tuple[Incident, Case]]:
    """The story as an incident, and a case that holds it."""
    leak = story(ordinary_day=False)
    aws = SimulatedAws.of(leak.world)
    tainted = tainted_ids(aws, [leak.a.id])
    incident = Incident(leak.world, leak.a.id, tainted, frozenset(aws.credentials) - tainted, aws.at)
    with held(incident.world) as case:
        yield incident, case


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_plans_for_the_story_hold(strategy: str, the_story: tuple[Incident, Case]) -> None:
    """Each strategy contains the story; even when changes take the whole margin to bite."""
    incident, case = the_story
    plan = holds(incident, strategy, case)

    assert plan["proof"]["complete"]
    assert () == judged(incident, plan, bite=plan["margin"]).survivors


@pytest.mark.parametrize("actions", NAIVE)
def test_what_the_story_tried_first_is_refuted(
    actions: tuple[str, ...], the_story: tuple[Incident, Case]
) -> None:
    """Each of the naive sequences leaves B, and the proof says so."""
    incident, case = the_story
    refuted(incident, actions, case)


def test_what_is_handed_to_a_task_while_it_is_being_stopped_is_cut() -> None:
    """Its containers have two minutes: the cutoff of its role lies after them, however fast the steps follow."""
    world = World(START)
    key = world.user("support")
    key.runs_task("Job").calls("s3:ListBuckets")
    aws = SimulatedAws.of(world)
    tainted = tainted_ids(aws, [key.id])
    incident = Incident(world, key.id, tainted, frozenset(aws.credentials) - tainted, aws.at)
    plan = planned(incident)
    hasty = {**plan, "steps": [{**one, "bites_within": 50} for one in plan["steps"]]}

    assert plan["proof"]["complete"] and () == judged(incident, plan).survivors
    assert judged(incident, hasty).survivors


@pytest.mark.parametrize("order", [("near", "far"), ("far", "near"), ("near",)])
def test_a_token_opens_a_role_of_another_partition_as_long_as_its_holder_works(
    order: tuple[str, ...],
) -> None:
    """Only where the far role is revoked after whoever asks for tokens is nothing left, in the proof and in the game."""
    world = World(START)
    key = world.user("support")
    asking = key.assumes("Deploy")
    asking.assumes_across_partitions(FAR_ROLES[0]).calls("s3:ListBuckets", region="cn-north-1")
    aws = SimulatedAws.of(world)
    tainted = tainted_ids(aws, [key.id])
    incident = Incident(world, key.id, tainted, frozenset(aws.credentials) - tainted, aws.at)
    first = [f"deactivate-key:{key.id}", f"revoke-user-sessions:{key.arn}"]
    roles = {"near": f"arn:aws:iam::{HOME}:role/Deploy", "far": FAR_ROLES[0]}
    plan = planned(incident, what_if=[*first, *(f"revoke-role-sessions:{roles[one]}" for one in order)])
    outcome = judged(incident, plan)

    assert plan["proof"]["complete"] == (order == ("near", "far")) == (not outcome.survivors)
    agrees(incident, plan, outcome)
    replays(incident, plan)


def test_a_story_does_not_count_on_slow_changes_where_it_need_not() -> None:
    """
    A way that stands open only while a change of trust is under way is told where there is no other alone.

    A responder's cutoff lies ahead; what is minted after it needs the old trust, which may be gone within a second.
    """
    world = World(START)
    key = world.user("support")
    key.assumes("Admin", "x").calls("s3:ListBuckets")
    cutoff = f"{world.now + timedelta(seconds=30):%Y-%m-%dT%H:%M:%SZ}"
    older = {"DateLessThan": {"aws:TokenIssueTime": cutoff}}
    deny = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": older}],
    }
    world.user("responder").iam(
        "PutRolePolicy", roleName="Admin", policyName="x", policyDocument=json.dumps(deny)
    )
    aws = SimulatedAws.of(world)
    tainted = tainted_ids(aws, [key.id])
    incident = Incident(world, key.id, tainted, frozenset(aws.credentials) - tainted, aws.at)
    plan = planned(incident, what_if=["edit-trust:arn:aws:iam::111122223333:role/Admin"])
    minted = {move["principal"] for move in plan["proof"]["replay"]["moves"] if move["does"] == "mints"}

    assert minted == {"arn:aws:iam::111122223333:user/support"}
    replays(incident, plan)


def test_a_story_mints_nothing_that_the_other_account_s_log_would_show() -> None:
    """The log of a role's account shows who enters it, also where the log of whoever does ended hours ago."""
    world = World(START)
    key = world.user("support")
    key.assumes("Audit", "x", account=AWAY).assumes("MyBucketRole", "y", account=HOME).calls("s3:ListBuckets")
    world.wait(8000)
    world.user("responder").iam("UpdateAccessKey", userName="support", accessKeyId=key.id, status="Inactive")
    aws = SimulatedAws.of(world)
    tainted = tainted_ids(aws, [key.id])
    incident = Incident(world, key.id, tainted, frozenset(aws.credentials) - tainted, aws.at)
    plan = planned(incident, what_if=[f"edit-trust:arn:aws:iam::{AWAY}:role/Audit"])

    assert not plan["proof"]["complete"]
    replays(incident, plan)


@pytest.mark.parametrize("way", ["password", "password, and a sign-in", "key", "host"])
def test_a_story_mints_with_nothing_before_it_was_there(way: str) -> None:
    """A password that the attacker set gave nothing before, nor did a key that it made, however late the log is."""
    world = World(START)
    key = world.user("support")
    key.calls("s3:ListBuckets")
    for name in ("Admin", "Deploy"):
        world.user("grace").assumes(name, "grace").calls("s3:ListBuckets")
    world.wait(60)
    made = world.now
    if way == "key":
        key.creates_access_key(world.user("grace").user).calls("s3:ListBuckets")
    elif way == "host":
        key.runs_instance("Deploy").calls("s3:ListBuckets")
    else:
        key.iam("CreateLoginProfile", userName="grace")
    if "sign-in" in way:
        world.console_sign_in(world.user("grace")).calls("s3:ListBuckets")
    aws = SimulatedAws.of(world)
    tainted = tainted_ids(aws, [key.id])
    incident = Incident(world, key.id, tainted, frozenset(aws.credentials) - tainted, aws.at)
    plan = planned(
        incident, what_if=[f"edit-trust:arn:aws:iam::{HOME}:role/{name}" for name in ("Admin", "Deploy")]
    )
    moves = plan["proof"]["replay"]["moves"]

    theirs = [move for move in moves if move["by_principal"].endswith(("user/grace", "role/Deploy"))]

    assert any(move["makes"] for move in theirs)
    assert all(move["time"] >= f"{made:%Y-%m-%dT%H:%M:%SZ}" for move in theirs)
    replays(incident, plan)
