"""Plans against sessions of people whom an identity provider propagates, where denies ask for whom a session acts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest
from contain_cases import MANAGEMENT, ROLE
from hypothesis import given, settings
from test_containment_adversary import BUT_FOR_THE_GUARDED, LONG, QUICK, hold, refuted

from evidence import HOME, START, held
from oracle.adversary import play
from oracle.choice_cases import PLACES, document
from oracle.simulated_aws import SimulatedAws
from oracle.taint import tainted_ids
from strategies import ISSUERS, PERSONS, Incident, personal_incidents
from tokentrail.present.document import document as as_json
from tokentrail.testing import World

SUBJECT, ISSUER = "aws:OriginIdentity/Subject", "aws:OriginIdentity/Issuer"
Condition = Mapping[str, Mapping[str, object]]
ALICE, BOB = PERSONS
HOLDS: dict[str, Condition] = {
    "of the person": {"StringEquals": {SUBJECT: ALICE}},
    "of the person, of this issuer": {"StringEquals": {SUBJECT: ALICE, ISSUER: ISSUERS[0]}},
    "of all but a colleague": {"StringNotEquals": {SUBJECT: BOB}},
    "of everybody who has an origin": {"Null": {SUBJECT: "false"}},
}
FAILS: dict[str, Condition] = {
    "of a colleague": {"StringEquals": {SUBJECT: BOB}},
    "of the person, of another issuer": {"StringEquals": {SUBJECT: ALICE, ISSUER: ISSUERS[1]}},
    "of whoever has no origin": {"Null": {SUBJECT: "true"}},
    "of all but the person": {"StringNotEqualsIfExists": {SUBJECT: ALICE}},
}


def verdicts(place: str, condition: Condition, *, chained: bool = False) -> tuple[bool, bool]:
    """Whether a deny is said to contain a person's session of Deploy, or one that such a session opened, and does."""
    world = World(START)
    stolen = world.saml("Audit" if chained else "Deploy", ALICE, session_name="x", issuer=ISSUERS[0])
    stolen.calls("s3:ListBuckets", count=8)
    if chained:
        stolen = stolen.assumes("Deploy", "x")
        stolen.calls("s3:ListBuckets")
    world.wait(minutes=10)
    of_role = {"ArnLike": {"aws:PrincipalArn": f"{ROLE}Deploy"}} if place == "organisation" else {}
    PLACES[place](world, document({**condition, **of_role}))
    world.wait(minutes=30)
    world.user("admin").assumes("Other", "x").calls("s3:ListBuckets")
    with held(world) as case:
        plan = as_json(case.contain([stolen.id], what_if=[f"revoke-role-sessions:{ROLE}Other"]))
    aws = SimulatedAws.of(world)
    return plan["proof"]["complete"], not play(aws, tainted_ids(aws, [stolen.id]), plan).survivors


@pytest.mark.parametrize("condition", HOLDS)
@pytest.mark.parametrize("place", ["role", "boundary", "organisation"])
def test_a_deny_of_a_person_ends_the_sessions_that_act_for_that_person(place: str, condition: str) -> None:
    """Nobody chooses for whom a session acts: what its calls show stays, and the deny holds."""
    assert (True, True) == verdicts(place, HOLDS[condition])


@pytest.mark.parametrize("condition", FAILS)
@pytest.mark.parametrize("place", ["role", "organisation"])
def test_a_deny_of_others_ends_nothing(place: str, condition: str) -> None:
    """A deny of a colleague, or of an Alice of another provider, leaves the session, and the proof says so."""
    assert (False, False) == verdicts(place, FAILS[condition])


@pytest.mark.parametrize("condition", [*HOLDS, *FAILS])
def test_a_deny_of_a_person_may_leave_what_a_session_of_theirs_opened(condition: str) -> None:
    """AWS does not say whether a session that AssumeRole opens keeps the person: no such deny counts there."""
    assert (False, False) == verdicts("role", {**HOLDS, **FAILS}[condition], chained=True)


@given(incident=personal_incidents())
@settings(QUICK, max_examples=30)
def test_a_plan_against_a_person_is_what_it_says(incident: Incident) -> None:
    """A complete plan leaves nothing; an incomplete one does; its collateral is all that it hits."""
    hold(incident)


@pytest.mark.long
@given(incident=personal_incidents(largest=16))
@LONG
def test_a_plan_against_a_person_is_what_it_says_at_length(incident: Incident) -> None:
    """The same, for long."""
    hold(incident)


@given(incident=personal_incidents())
@settings(QUICK, max_examples=30)
def test_steps_that_a_deny_of_persons_has_to_complete_are_judged_as_they_fare(incident: Incident) -> None:
    """What `--what-if` proves or refutes, where a deny of persons stands on the roles that the steps leave alone."""
    refuted(incident, BUT_FOR_THE_GUARDED)


@pytest.mark.long
@given(incident=personal_incidents(largest=16))
@LONG
def test_steps_that_a_deny_of_persons_has_to_complete_are_judged_at_length(incident: Incident) -> None:
    """The same, for long."""
    refuted(incident, BUT_FOR_THE_GUARDED)


@pytest.mark.parametrize("strategy", ["standard", "surgical"])
@pytest.mark.parametrize("manager", [MANAGEMENT, None])
def test_an_organisations_policy_names_the_person_and_spares_the_colleague(
    strategy: str, manager: str | None
) -> None:
    """
    Where no IAM call of ours can end a person's sessions, the SCP denies that person in the role, and nobody else.

    So it does where somebody else must write it: it is judged by what it says, and not as a ban of the whole role.
    """
    world = World(START)
    stolen, other = (
        world.saml("Deploy", name, session_name=name[:5], issuer=ISSUERS[0]) for name in (ALICE, BOB)
    )
    for session in (stolen, other):
        session.calls("s3:ListBuckets", count=8)
    world.wait(minutes=10)
    world.user("admin").calls("s3:ListBuckets")
    with held(world) as case:
        plan = as_json(
            case.contain([stolen.id], without_access=[HOME], management_account=manager, strategy=strategy)
        )
    aws = SimulatedAws.of(world, management=MANAGEMENT)
    outcome = play(aws, tainted_ids(aws, [stolen.id]), plan)
    [step] = plan["steps"]
    done = step["calls"] or step["by_hand"]
    written = done[0]["parameters"]["Content"]
    aws.perform(step, aws.at)
    later = aws.at + timedelta(minutes=2)

    assert (aws.works(aws.credentials[stolen.id], later), aws.works(aws.credentials[other.id], later)) == (
        False,
        True,
    )
    assert bool(step["calls"]) == bool(manager)

    assert plan["proof"]["complete"] and (outcome.survivors, outcome.unlisted) == ((), ())
    assert step["action"] == "scp-deny" and step["collateral"] == []
    assert f'"{SUBJECT}":["{ALICE}"]' in written and f'"{ISSUER}":["{ISSUERS[0]}"]' in written
    assert any(ALICE in sentence and SUBJECT in sentence for sentence in plan["proof"]["holds_if"])


def test_a_provider_that_the_attacker_changed_vouches_for_nobody() -> None:
    """Who set the provider's metadata signs in as anybody: no deny of one person counts for its sessions."""
    world = World(START)
    stolen = world.saml("Deploy", ALICE, session_name="x", issuer=ISSUERS[0])
    stolen.calls("s3:ListBuckets", count=8)
    provider = f"arn:aws:iam::{HOME}:saml-provider/corporate"
    stolen.iam("UpdateSAMLProvider", sAMLProviderArn=provider, sAMLMetadataDocument="<xml/>")
    world.wait(minutes=10)
    PLACES["role"](world, document(HOLDS["of the person"]))
    world.wait(minutes=30)
    world.user("admin").assumes("Other", "x").calls("s3:ListBuckets")
    with held(world) as case:
        plan = case.contain([stolen.id], what_if=[f"revoke-role-sessions:{ROLE}Other"])

    assert not plan.proof.complete


@pytest.mark.parametrize("condition", [*HOLDS, *FAILS])
def test_a_policy_that_somebody_writes_by_hand_denies_whom_it_names(condition: str) -> None:
    """The simulated AWS judges the document of a step without calls, as it does that of a call."""
    world = World(START)
    stolen = world.saml("Deploy", ALICE, session_name="x", issuer=ISSUERS[0])
    stolen.calls("s3:ListBuckets", count=8)
    aws = SimulatedAws.of(world, management=MANAGEMENT)
    said = document({"ArnLike": {"aws:PrincipalArn": f"{ROLE}Deploy"}, **{**HOLDS, **FAILS}[condition]})
    written = [
        {"account": "", "service": "organizations", "operation": "CreatePolicy",
         "parameters": {"Name": "x", "Type": "SERVICE_CONTROL_POLICY", "Content": said}},
        {"account": "", "service": "organizations", "operation": "AttachPolicy",
         "parameters": {"PolicyId": "${step.call[0].Policy.PolicySummary.Id}", "TargetId": HOME}},
    ]  # fmt: skip
    aws.perform(
        {"action": "scp-deny", "calls": [], "by_hand": written, "principals": [f"{ROLE}Deploy"]}, aws.at
    )

    assert aws.works(aws.credentials[stolen.id], aws.at + timedelta(minutes=2)) is (condition in FAILS)
