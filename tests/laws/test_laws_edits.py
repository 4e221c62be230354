"""The law of idle changes: whoever leaves them out when a case is linked tells the same states as who reads them all."""

from __future__ import annotations

from typing import Any
from unittest import mock

from hypothesis import example, given
from hypothesis import strategies as st
from test_laws_increments import fed

from evidence import START
from tokentrail import Case
from tokentrail.lineage import idle
from tokentrail.lineage.edits import Edits
from tokentrail.testing import World
from tokentrail.testing.names import Json

DENY: Json = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}
ALLOW: Json = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
ROLES, PARTS = ("Ops", "Deploy"), (0, 1, 1, 2)
Write = tuple[int, str, str, str, Json, int]
"""In which part a call comes in, its name, whom it is about, a policy, what that says, and the seconds before it."""
AUTOMATION = st.tuples(
    st.just(0), st.just("PutRolePolicy"), st.just("Ops"), st.just("P"), st.just(ALLOW), st.integers(0, 2)
)
ANYBODY = st.tuples(
    st.sampled_from(PARTS),
    st.sampled_from(("PutRolePolicy",) * 6 + ("DeleteRolePolicy", "DeleteRole", "PutUserPolicy")),
    st.sampled_from(("Ops", *ROLES)), st.sampled_from(("P", "p", "P", "Q")), st.sampled_from((ALLOW, DENY, DENY)),
    st.integers(0, 2),
)  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[Write]:
    """What automation writes again and again, with a few other calls between."""
    usual = draw(st.lists(AUTOMATION, min_size=3, max_size=6))
    return list(draw(st.permutations([*usual, *draw(st.lists(ANYBODY, min_size=1, max_size=4))])))


def written(writes: list[Write]) -> list[list[Json]]:
    """Sessions of two roles, and what is written of these and a user meanwhile, some of it in one second; by parts."""
    world = World(START, tick=0.0)
    ada = world.user("ada")
    sessions = [ada.assumes(role) for role in ROLES]
    parts: list[list[Json]] = [list(world.records()), [], []]
    for part, name, role, policy, document, seconds in writes:
        world.wait(seconds=seconds)
        asked: dict[str, Any] = {"userName": "ada"} if name == "PutUserPolicy" else {"roleName": role}
        if name != "DeleteRole":
            asked["policyName"] = policy
        if name.startswith("Put"):
            asked["policyDocument"] = document
        parts[part].append(ada.iam(name, **asked))
    world.wait(seconds=1)
    for one in sessions:
        parts[0] += one.calls("s3:ListBuckets")
    return parts


def nowhere(record: Json) -> Json:
    """The same of no account that is known."""
    left = {name: value for name, value in record.items() if name != "recipientAccountId"}
    return left | {"userIdentity": {"type": "Unknown"}}


def states(case: Case) -> list[tuple[Any, ...]]:
    """What is told of each credential, by whom knows what bears on it and no more, as a list of all does."""
    credentials = [one.id for one in case.credentials()]
    case.close()
    found = case.trace(credentials).credentials
    return [(one.id, one.state, one.state_reason, one.ended_at, one.ended_by) for one in found]


_USUAL: Write = (0, "PutRolePolicy", "Ops", "P", ALLOW, 2)
_DENIED: Write = (1, "PutRolePolicy", "Ops", "P", DENY, 2)


@given(writes=histories(), unknown=st.booleans(), again=st.booleans())
@example(writes=[_USUAL, _USUAL, _DENIED, _USUAL], unknown=False, again=False)
@example(writes=[_USUAL, _USUAL, _DENIED, _USUAL], unknown=True, again=True)
def test_states_are_those_that_all_changes_tell(writes: list[Write], unknown: bool, again: bool) -> None:
    """However the records come in, some of them again, or of an account that nobody knows."""
    first, *parts = written(writes)
    later = [[nowhere(one) for one in some] if unknown else some for some in parts]
    with (
        mock.patch.object(idle, "_FEW", 0),
        mock.patch.object(idle, "_REPEATED", 0),
        fed(*filter(None, [first, *later, first[:3] if again else []])) as case,
    ):
        found = states(case)
        with mock.patch.object(Edits, "telling", Edits.of):
            assert found == states(case)
