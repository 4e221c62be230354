"""Service control policies."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policy_cases import ACCOUNT, allow, at, change, deny, key, root_session, session, token

from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.effects import Effects
from tokentrail.policy.language.context import Caller

MANAGEMENT = "999988887777"


def call(minute: float, name: str, request: dict[str, object], **response: object) -> Change:
    """A call to Organizations in the management account."""
    return change(
        minute,
        name,
        request,
        response=response,
        account=MANAGEMENT,
        event_source="organizations.amazonaws.com",
    )


def create(minute: float, document: str, *, type_: str = "SERVICE_CONTROL_POLICY") -> Change:
    """A CreatePolicy."""
    return call(
        minute, "CreatePolicy", {"content": document, "type": type_}, policy={"policySummary": {"id": "p-1"}}
    )


def attach(minute: float, target: str = ACCOUNT, *, policy: str = "p-1", verb: str = "Attach") -> Change:
    """An AttachPolicy or DetachPolicy."""
    return call(minute, f"{verb}Policy", {"policyId": policy, "targetId": target})


def ended(changes: list[Change], caller: Caller, minute: float = 100) -> bool:
    """Whether a credential has been ended by a minute."""
    return Effects(changes).ended(caller, None, at(minute)) is not None


def certainties(changes: list[Change], caller: Caller, minute: float = 100) -> list[str]:
    """How sure the notes on a credential are."""
    return [note.certainty for note in Effects(changes).partly(caller, None, at(minute))]


def test_an_scp_on_the_account_ends_every_principal_in_it() -> None:
    """Users, roles and root alike, from attachment to detachment."""
    changes = [create(5, deny()), attach(10), attach(20, verb="Detach")]

    for caller in (key(), token(), session(), root_session()):
        assert [ended(changes, caller, minute) for minute in (7, 15, 25)] == [False, True, False]


def test_an_scp_with_conditions_ends_whom_it_names() -> None:
    """A quarantine by principal ARN spares all others."""
    changes = [
        create(5, deny({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::*:user/support"}})),
        attach(10),
    ]

    assert ended(changes, key())
    assert not ended(changes, session())


def test_a_deleted_scp_denies_nothing() -> None:
    """Though nobody was seen to detach it first."""
    changes = [create(5, deny()), attach(10), call(20, "DeletePolicy", {"policyId": "p-1"})]

    assert [ended(changes, session(), minute) for minute in (15, 25)] == [True, False]


def test_new_content_counts_from_its_update() -> None:
    """UpdatePolicy without content only renames."""
    changes = [
        create(5, allow()),
        attach(10),
        call(20, "UpdatePolicy", {"policyId": "p-1", "content": deny()}),
        call(30, "UpdatePolicy", {"policyId": "p-1", "name": "other"}),
    ]

    assert [ended(changes, session(), minute) for minute in (15, 25, 35)] == [False, True, True]


def test_service_linked_roles_are_beyond_scps() -> None:
    """SCPs do not bind them."""
    linked = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX"

    assert not ended([create(5, deny()), attach(10)], session(role=linked))


def test_a_target_above_the_account_leaves_it_open() -> None:
    """Which accounts lie under a root or unit is not in the log."""
    changes = [create(5, deny()), attach(10, "ou-abcd-12345678")]

    assert not ended(changes, session())
    assert certainties(changes, session()) == ["undecided"]


UNIT, OTHER = "ou-abcd-12345678", "ou-abcd-87654321"


def move(minute: float, source: str, destination: str) -> Change:
    """A MoveAccount."""
    asked: dict[str, object] = {
        "accountId": ACCOUNT, "sourceParentId": source, "destinationParentId": destination
    }  # fmt: skip
    return call(minute, "MoveAccount", asked)


def test_an_account_is_bound_where_it_was_moved_to() -> None:
    """
    Quarantine by a move: what hangs on the unit ends it while it is there; whether it is below later is open.

    Whatever unit it is in, it lies under their root; directly under that, it lies under no unit.
    """
    changes = [create(5, deny()), attach(10, UNIT), move(20, OTHER, UNIT), move(30, UNIT, OTHER)]

    assert [ended(changes, session(), minute) for minute in (15, 25, 35)] == [False, True, False]
    assert [certainties(changes, session(), minute) for minute in (15, 35)] == [["undecided"]] * 2
    assert ended([create(5, deny()), attach(10, UNIT), move(20, UNIT, OTHER)], session(), 15)
    assert ended([create(5, deny()), attach(10, "r-abcd"), move(20, UNIT, OTHER)], session(), 25)
    assert not ended([create(5, deny()), attach(10, "r-abcx"), move(20, UNIT, OTHER)], session(), 25)
    out = [*changes[:3], move(30, UNIT, "r-abcd")]
    assert not ended(out, session(), 35) and not certainties(out, session(), 35)


def test_who_moves_accounts_is_bound_by_no_scp() -> None:
    """Only the management account may, which an SCP that a delegated administrator attached does not bind."""
    attached = replace(attach(10, MANAGEMENT), account="222233334444")
    caller = replace(key(), account=MANAGEMENT)

    assert ended([create(5, deny()), attached], caller)
    assert not ended([create(5, deny()), attached, move(20, OTHER, UNIT)], caller)


@pytest.mark.parametrize(
    "lift",
    [
        call(20, "DisablePolicyType", {"policyType": "SERVICE_CONTROL_POLICY", "rootId": "r-abcd"}),
        call(20, "RemoveAccountFromOrganization", {"accountId": ACCOUNT}),
        replace(call(20, "LeaveOrganization", {}), account=ACCOUNT),
    ],
    ids=lambda one: one.event_name,
)
def test_what_takes_all_scps_away_lifts_their_denials(lift: Change) -> None:
    """Whoever holds the management account switches SCPs off, or lets an account go, and contained keys work again."""
    changes = [create(5, deny()), attach(10), attach(11, UNIT), move(12, OTHER, UNIT), lift]

    assert [ended(changes, session(), minute) for minute in (15, 25)] == [True, False]
    assert ended([*changes, attach(30)], session())
    tags = call(20, "DisablePolicyType", {"policyType": "TAG_POLICY", "rootId": "r-abcd"})
    assert ended([*changes[:-1], tags], session())


def test_another_account_is_not_bound() -> None:
    """An SCP on one account says nothing of another."""
    changes = [create(5, deny()), attach(10, "444455556666")]

    assert not ended(changes, session())
    assert certainties(changes, session()) == []


def test_an_scp_that_an_account_put_on_itself_is_doubted() -> None:
    """It may be the management account, which no SCP binds."""
    changes = [create(5, deny()), attach(10, MANAGEMENT)]
    caller = replace(key(), account=MANAGEMENT)

    assert not ended(changes, caller)
    assert certainties(changes, caller) == ["undecided"]


def test_an_scp_that_was_never_seen_is_undecided() -> None:
    """Its document is not in the evidence."""
    assert certainties([attach(10, policy="p-2")], session()) == ["undecided"]


def test_policies_of_other_types_are_left_alone() -> None:
    """A tag policy denies nothing."""
    changes = [create(5, deny(), type_="TAG_POLICY"), attach(10)]

    assert not ended(changes, session())
    assert certainties(changes, session()) == []


def test_an_update_tells_the_type_of_a_policy_that_was_made_before_the_log() -> None:
    """UpdatePolicy answers with the type: a tag policy whose making was not seen denies nothing either."""
    summary = {"id": "p-1", "type": "TAG_POLICY"}
    for request in ({"policyId": "p-1", "content": deny()}, {"policyId": "p-1", "name": "other"}):
        changes = [call(5, "UpdatePolicy", request, policy={"policySummary": summary}), attach(10)]

        assert not ended(changes, session())
        assert certainties(changes, session()) == []


def test_taking_full_access_away_is_noted() -> None:
    """What the other SCPs of the account still allow is not evaluated, and that is said."""
    attached = attach(5, policy="p-FullAWSAccess")
    detached = attach(10, policy="p-FullAWSAccess", verb="Detach")

    assert certainties([attached], session()) == []
    assert certainties([attached, detached], session()) == ["undecided"]
