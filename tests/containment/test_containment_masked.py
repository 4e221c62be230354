"""Plans on evidence whose key ids or principal ids were masked before it was shared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from contain_cases import USER, actions, checked, operations, statements, step

from evidence import HOME, START, held
from tokentrail import Case
from tokentrail.containment.model import Plan
from tokentrail.errors import UsageError
from tokentrail.present.document import document
from tokentrail.testing import World

MASKS = ["AKIA****************", "XXXXXXXXXXXXXXXXXXXX", "REDACTED_TEMPORARY_ACCESS_KEY", "HIDDEN"]


@contextmanager
def masked(world: World, mask: str, member: str = "accessKeyId") -> Iterator[Case]:
    """A case of a world whose key ids, or values of another member, are masked."""
    text = re.sub(
        f'"{member}": "[^"]*"', lambda _: f'"{member}": {json.dumps(mask)}', json.dumps(world.records())
    )
    with held(json.loads(text)) as case:
        yield case


def leak(colleague: bool = False) -> World:
    """A leaked key that mints a session token and a role's session, which mints another one."""
    world = World(START)
    key = world.user("support")
    key.gets_session_token().calls("s3:ListBuckets")
    deploy = key.assumes("Deploy", "x")
    deploy.calls("s3:ListBuckets")
    deploy.assumes("Admin", "y").calls("s3:ListBuckets")
    if colleague:
        world.user("ria").assumes("Deploy", "ria").calls("s3:ListBuckets")
    return world


def told(plan: Plan) -> str:
    return json.dumps(document(plan), ensure_ascii=False)


@pytest.mark.parametrize("strategy", ["standard", "surgical", "scorched"])
@pytest.mark.parametrize("mask", MASKS)
def test_no_step_names_a_masked_key(mask: str, strategy: Any) -> None:
    """A key whose id is masked is ended by a deny on its user, since no call can name it; the plan says how to find it."""
    with masked(leak(), mask) as case:
        plan = checked(case.contain([f"{USER}support"], strategy=strategy))

    assert plan.proof.complete
    assert mask not in told(plan)
    assert "deactivate-key" not in actions(plan)
    [deny] = [one for one in plan.steps if one.action == "deny-user" and one.calls]
    assert "list-access-keys --user-name support" in deny.why
    assert "masks" in deny.why
    assert any("the evidence masks" in one for one in plan.proof.holds_if)
    assert {"Effect": "Deny", "Action": "*", "Resource": "*"} in statements(deny, "support")


def test_a_masked_key_of_root_is_left_to_a_person() -> None:
    """No policy binds root and no call can name its masked key: a person deactivates it."""
    world = World(START)
    who = {
        "type": "Root", "principalId": HOME, "arn": f"arn:aws:iam::{HOME}:root", "accountId": HOME,
        "accessKeyId": "AKIA****************",
    }  # fmt: skip
    record = world.user("ada").calls("s3:ListBuckets")[0] | {"userIdentity": who}
    with held([record]) as case:
        plan = checked(case.contain([f"arn:aws:iam::{HOME}:root"]))

    by_hand = step(plan, "deactivate-key")
    assert not by_hand.calls
    assert "masks the id of an access key of root" in by_hand.why
    assert "****" not in told(plan)


def test_what_deactivates_a_masked_key_cannot_be_tried() -> None:
    """`--what-if deactivate-key` of a masked key is refused with words."""
    with masked(leak(), "HIDDEN") as case:
        [key] = [one for one in case.credentials() if one.kind == "long_term_key"]
        with pytest.raises(UsageError, match="masks this key's id"):
            case.contain([key.id], what_if=[f"deactivate-key:{key.id}"])


def test_a_masked_principal_id_is_in_no_policy() -> None:
    """Masked `aws:userid`s match nobody: the attacker's sessions are denied by their time of issue alone."""
    with masked(leak(colleague=True), "AROA****************:x", "principalId") as case:
        key = next(one for one in case.credentials() if one.principal == f"{USER}support")
        plan = checked(case.contain([key.id], strategy="surgical"))

    assert "****" not in told(plan)
    assert plan.proof.complete
    assert not [one for one in plan.steps for it in statements(one) if "aws:userid" in json.dumps(it)]


@pytest.mark.parametrize("change", ["deactivates", "deletes"])
def test_a_change_to_a_masked_key_ends_no_key(change: str) -> None:
    """Which key was deactivated or deleted is not known where its id is masked: none counts as ended."""
    world = World(START)
    key, admin = world.user("support"), world.user("admin")
    key.calls("s3:ListBuckets")
    getattr(admin, change)(key)
    with masked(world, "AKIA****************") as case:
        found = {one.principal: one.state for one in case.credentials()}

    assert found[f"{USER}support"] == "active"


def test_a_key_that_the_attacker_made_and_whose_id_is_masked_ends_with_its_user() -> None:
    """A created key whose id is masked is found by a person, and works no more once its user is denied."""
    world = World(START)
    key = world.user("support")
    key.creates_access_key(world.user("other").user)
    with masked(world, "AKIA****************") as case:
        plan = checked(case.contain([f"{USER}support"]))

    assert "****" not in told(plan)
    assert not [one for one in plan.steps for call in operations(one) if call == "DeleteAccessKey"]
    assert any("gave other a key" in one.why for one in plan.steps)
