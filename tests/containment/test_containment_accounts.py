"""What a record calls an account and is none: no step of a plan names it, and the plan can be carried out."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import START, held
from tokentrail.aws.principals import is_account
from tokentrail.containment import planfile
from tokentrail.containment.model import Plan, Strategy
from tokentrail.testing import World
from tokentrail.testing.names import Json

ODD: tuple[Any, ...] = (
    "", [], {}, None, 7, True, 111122223333, "AKIAIOSFODNN7EXAMPLE", "x" * 10_000, "1;touch x", "\x1b[31m", "*",
    "111122223333\n", "11112222333", "１１１１２２２２３３３３", "arn:aws:iam::1:root", "${aws:PrincipalAccount}",
)  # fmt: skip
Place = tuple[str | int, ...]


def _attack() -> tuple[str, list[Json]]:
    """A leaked key with sessions, a user, keys, a function and a policy of its own, and a colleague."""
    world = World(START)
    key = world.user("app")
    session = key.assumes("Deploy")
    session.calls("s3:ListBuckets")
    key.gets_session_token().calls("s3:ListBuckets")
    key.creates_access_key(key.creates_user("backdoor"))
    key.creates_function("Worker", "job")
    key.iam("UpdateLoginProfile", userName="ada")
    session.iam(
        "AttachRolePolicy", roleName="Deploy", policyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    world.user("ria").assumes("Deploy", "ria").calls("s3:ListBuckets")
    return key.id, world.records()


def _places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Where an account stands in some records: in members of that name, and in ARNs."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        if name in ("accountId", "recipientAccountId") or (
            isinstance(one, str) and one.startswith("arn:aws:")
        ):
            yield (*at, name)
        yield from _places(one, (*at, name))


KEY, RECORDS = _attack()
PLACES = tuple(_places(RECORDS))


def _changed(places: Sequence[Place], odd: Any) -> list[Json]:
    """The records with another account in some places."""
    records = copy.deepcopy(RECORDS)
    for *way, last in places:
        inner: Any = records
        for part in way:
            inner = inner[part]
        text = inner[last]
        inner[last] = odd
        if isinstance(odd, str) and str(text).startswith("arn:"):
            parts = str(text).split(":", 5)
            inner[last] = ":".join((*parts[:4], odd, parts[5]))
    return records


def _planned(records: list[Json], strategy: Strategy) -> Plan:
    """A plan as it is read back from its file, which checks it as `apply` and `verify` do."""
    with held(records) as case, tempfile.TemporaryDirectory() as folder:
        planfile.save(case.contain([KEY], strategy=strategy), Path(folder) / "plan.json")
        return planfile.load(Path(folder) / "plan.json")


def _named(plan: Plan) -> set[str | None]:
    calls = [call for step in plan.steps for call in (*step.calls, *step.undo)]
    return {one.account for one in calls} | {step.account for step in plan.steps if step.account}


@pytest.mark.parametrize("odd", ODD, ids=[repr(one)[:14] for one in ODD])
def test_no_step_names_what_is_no_account(odd: Any) -> None:
    """Wherever all records have something else for the account: the plan ends less, says so, and can be read."""
    plan = _planned(_changed(PLACES, odd), "standard")

    assert all(is_account(one) for one in _named(plan))
    if not isinstance(odd, int) or isinstance(odd, bool):
        assert not plan.proof.complete
    if isinstance(odd, str) and odd.isprintable() and odd:
        [said] = [one for one in plan.residual_risks if "which no account is called" in one]
        assert odd[:20] in said and len(said) < 1_000


def test_what_is_not_hurt_is_planned_as_ever() -> None:
    """A false account in the request of one call takes no step from the rest."""
    whole = _planned(RECORDS, "standard")
    [place] = [one for one in PLACES if one[-1] == "roleArn"][:1]
    hurt = _planned(_changed([place], ""), "standard")

    assert whole.proof.complete and not [one for one in whole.residual_risks if "no account is called" in one]
    assert {one.action for one in hurt.steps} >= {"deactivate-key", "revoke-user-sessions"}


@given(
    st.sets(st.sampled_from(PLACES), min_size=1, max_size=6),
    st.sampled_from(ODD),
    st.sampled_from(get_args(Strategy)),
)
def test_every_plan_over_odd_accounts_can_be_read(places: set[Place], odd: Any, strategy: Strategy) -> None:
    """Whatever stands in whichever places, and whatever the strategy."""
    assert all(is_account(one) for one in _named(_planned(_changed(sorted(places, key=repr), odd), strategy)))
