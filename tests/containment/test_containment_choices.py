"""The proof of given steps agrees with an adversary who chooses MFA, source identity, tags, address, endpoint and time."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from evidence import held
from oracle.adversary import play
from oracle.choice_cases import ANYWHERE, FIRM, IN_ROLES, PLACES, Conditions, document, theft
from oracle.simulated_aws import SimulatedAws
from oracle.taint import tainted_ids
from tokentrail.present.document import document as as_json

ROLE = "arn:aws:iam::111122223333:role/Deploy"
ESCAPABLE: Mapping[str, Conditions] = {**ANYWHERE, **IN_ROLES}
FEW = (
    "unless MFA is present",
    "unless tagged",
    "unless from an address",
    "within a window, in epoch seconds",
)
"""Kinds of keys that differ in how a proof must take them: of minting, of the principal, of the request, of the clock."""


def verdicts(place: str, condition: Conditions) -> tuple[bool, bool]:
    """Whether given steps that leave all to a deny are said to contain the theft, and whether they do."""
    world, key, _ = theft()
    of_role = {"ArnLike": {"aws:PrincipalArn": ROLE}} if place == "organisation" else {}
    PLACES[place](world, document({**condition, **of_role}))
    upstream = [f"deactivate-key:{key.id}", f"revoke-user-sessions:{key.arn}"]
    with held(world) as case:
        plan = as_json(
            case.contain([key.id], what_if=[f"revoke-role-sessions:{ROLE}"] if place == "user" else upstream)
        )
    aws = SimulatedAws.of(world)
    return plan["proof"]["complete"], not play(aws, tainted_ids(aws, [key.id]), plan).survivors


@pytest.mark.parametrize("condition", ESCAPABLE)
def test_steps_that_a_role_s_escapable_deny_would_have_to_complete_are_refuted(condition: str) -> None:
    """The adversary lives on, and the proof says that the theft is not contained."""
    assert (False, False) == verdicts("role", ESCAPABLE[condition])


@pytest.mark.parametrize("condition", [*FEW, "unless a source identity is one"])
@pytest.mark.parametrize("place", ["boundary", "organisation"])
def test_so_are_those_that_a_boundary_or_an_organisation_would_complete(place: str, condition: str) -> None:
    """A permissions boundary and a service control policy are escaped like a role's own policy."""
    assert (False, False) == verdicts(place, ESCAPABLE[condition])


@pytest.mark.parametrize("condition", FEW)
def test_so_are_those_that_a_user_s_escapable_deny_would_complete(condition: str) -> None:
    """The key gets tokens with MFA, calls from elsewhere, or waits."""
    assert (False, False) == verdicts("user", ESCAPABLE[condition])


@pytest.mark.parametrize(
    ("place", "condition"),
    [
        *(("role", one) for one in FIRM),
        *((place, "whatever is chosen") for place in PLACES if place != "role"),
    ],
)
def test_steps_that_a_firm_deny_completes_are_complete(place: str, condition: str) -> None:
    """Nothing is left where no choice escapes, and the proof says so."""
    assert (True, True) == verdicts(place, FIRM[condition])
