"""Persons: the sessions that act for somebody, by what `onBehalfOf` tells of them."""

from __future__ import annotations

from typing import Any

import pytest

from evidence import AWAY, HOME, START, Json, answers, held, traced
from tokentrail import Credential as Found
from tokentrail.errors import SubjectNotFound
from tokentrail.policy.language.context import ABSENT, Caller, context_of
from tokentrail.present import words
from tokentrail.testing import Credential, World, carriers

ALICE, ISSUER = "alice@corp", "https://idp.corp.example"
OTHER_ISSUER = "https://partner.example"


@pytest.fixture(name="world")
def _world() -> World:
    return World(START)


def comes(
    world: World, role: str, who: str = ALICE, *, account: str = HOME, issuer: str = ISSUER
) -> Credential:
    """Somebody's session of a role whose identity provider propagates identities."""
    session = world.saml(world.role(role, account=account), who, session_name="shared-name", issuer=issuer)
    session.calls("s3:ListBuckets", count=3)
    world.wait(minutes=1)
    return session


def named(record: Json) -> Any:
    """Whom a record says its call is made for."""
    return (record["userIdentity"].get("onBehalfOf") or {}).get("subject")


def test_a_person_has_their_sessions_in_every_role_and_account(world: World) -> None:
    """One subject joins a person's sessions of all roles and accounts, whatever they are called, and no colleague's."""
    hers = [comes(world, "Analyst"), comes(world, "Admin"), comes(world, "Analyst", account=AWAY)]
    his = comes(world, "Analyst", "bob@corp")
    child = hers[0].assumes("Deploy")
    child.calls("ec2:DescribeInstances")
    found = traced(world, ALICE)

    assert {one.id for one in hers} | {child.id} == {one.id for one in found.credentials if one.tainted}
    assert his.id not in {one.id for one in found.credentials}
    assert {one.id for one in hers} == {one.credential for one in found.persons}


def test_each_session_is_tied_to_the_person_by_the_first_call_that_names_them(world: World) -> None:
    """What a trace says of a person cites the event whose `onBehalfOf` names them, and who vouches for the name."""
    session = comes(world, "Analyst")
    records = world.records()
    first = next(one for one in records if named(one) == ALICE)
    [told] = traced(records, ALICE).persons

    assert (session.id, ALICE, ISSUER, first["eventID"]) == (
        told.credential, told.person, told.issuer, told.event_id
    )  # fmt: skip
    [sentence] = words.named_persons(traced(records, ALICE))
    assert f"{ALICE} is named by onBehalfOf, vouched for by {ISSUER}" in sentence
    assert f"{session.id} (event {first['eventID']})" in sentence


def test_a_subject_of_two_issuers_may_be_two_people(world: World) -> None:
    """Two providers may each know an `alice@corp`: both sessions are found, and the doubt is said."""
    both = {comes(world, "Analyst").id, comes(world, "Admin", issuer=OTHER_ISSUER).id}
    found = traced(world, ALICE)

    assert both == {one.credential for one in found.persons}
    [sentence] = words.named_persons(found)
    assert "may be different people" in sentence and ISSUER in sentence and OTHER_ISSUER in sentence


def test_a_person_of_the_directory_is_found_by_user_id_and_by_subject(world: World) -> None:
    """Identity Center's form has a user id beside the subject: both name the session, each with its event."""
    session = comes(world, "Analyst")
    user = "906-1111"
    records = world.records()
    for record in records:
        if named(record):
            record["userIdentity"]["onBehalfOf"] |= {
                "userId": user,
                "identityStoreArn": "arn:aws:identitystore::111122223333:identitystore/d-1",
                "identityCenterInstanceArn": "arn:aws:sso:::instance/ssoins-1",
            }
    [by_id], [by_subject] = traced(records, user).persons, traced(records, ALICE).persons

    assert (session.id, None) == (by_id.credential, by_id.issuer)
    assert by_id.event_id == by_subject.event_id
    assert by_subject.issuer == ISSUER


def test_the_person_is_the_identity_of_the_session(world: World) -> None:
    """A session shows whom it acts for, though its name is one that many share."""
    session = comes(world, "Analyst")
    found: Found = answers(world)[session.id]

    assert found.identity == ALICE
    assert words.who(found).endswith(f", {ALICE}")


def test_a_session_for_several_persons_is_no_ones_and_found_under_each(world: World) -> None:
    """A service's session that acts for two in turn shows neither as its identity, and is found under both."""
    session = comes(world, "Analyst")
    records = [one for one in world.records() if one["eventName"] != "AssumeRoleWithSAML"]
    mine = [one for one in records if named(one)]
    mine[-1]["userIdentity"]["onBehalfOf"] = {"subject": "bob@corp", "subjectType": "user", "issuer": ISSUER}

    assert answers(records)[session.id].identity is None
    for person in (ALICE, "bob@corp"):
        assert [session.id] == [one.credential for one in traced(records, person).persons]


@pytest.mark.parametrize("carrier", sorted(carriers.WRITERS))
def test_each_carrier_tells_of_the_person_or_says_that_it_does_not(world: World, carrier: str) -> None:
    """The subject reaches the lineage in every carrier but those whose layout has no place for it."""
    session = comes(world, "Analyst")
    with held(carriers.WRITERS[carrier](world.records())) as case:
        said = " ".join(case.status().warnings)
        if carrier in ("athena", "elastic-flattened", "elastic-text"):
            assert "onBehalfOf" in said
            with pytest.raises(SubjectNotFound):
                case.trace([ALICE])
        else:
            assert [session.id] == [one.credential for one in case.trace([ALICE]).persons]


@pytest.mark.parametrize("near", ["alice@corp ", "Alice@corp", "alice@cor", "alice"])
def test_a_name_that_is_nearly_a_persons_is_not_theirs(world: World, near: str) -> None:
    """A subject is compared as a policy compares it, letter by letter."""
    comes(world, "Analyst")

    with pytest.raises(SubjectNotFound):
        traced(world, near)


@pytest.mark.parametrize("odd", [["alice@corp"], 7, None, {"a": 1}, "\x1b[31m", "x" * 10_000])
def test_an_odd_subject_costs_nothing_but_itself(world: World, odd: Any) -> None:
    """Whatever stands in `onBehalfOf`, the session is told with its calls."""
    session = comes(world, "Analyst")
    records = world.records()
    for record in records:
        if named(record):
            record["userIdentity"]["onBehalfOf"] = {"subject": odd, "issuer": odd, "userId": odd}

    assert answers(records)[session.id].events == 3


@pytest.mark.parametrize(
    ("kind", "shown", "expected"),
    [
        ("assumed_role_saml", ALICE, (ALICE,)),
        ("assumed_role_saml", None, None),
        ("assumed_role", None, None),
        ("long_term_key", None, ABSENT),
        ("session_token", None, ABSENT),
    ],
)
def test_policies_see_whom_a_session_acts_for(kind: Any, shown: str | None, expected: Any) -> None:
    """`aws:OriginIdentity/Subject` is what a call shows; unknown for a role's session that shows none, absent for keys."""
    context = context_of(Caller(kind=kind, account=HOME, origin_subject=shown))

    assert context.get("aws:originidentity/subject") == expected
