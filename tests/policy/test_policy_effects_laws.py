"""Laws of effects: order, repetition and undoing."""

from __future__ import annotations

import time
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from policy_cases import (
    ACCOUNT,
    allow,
    at,
    change,
    deny,
    federated,
    key,
    older_than,
    put_role,
    put_user,
    session,
    token,
)  # fmt: skip

from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.effects import Effects, accounts
from tokentrail.policy.language.context import Caller
from work import calls as calls_of

OTHER = "999988887777"
OWN = f"arn:aws:iam::{ACCOUNT}:policy/Stop"
DOCUMENTS = [
    deny(), allow(), older_than(3), older_than(8), "broken", deny(Action="s3:*"),
    deny({"StringEquals": {"aws:userid": "AROAEXAMPLE:s"}}),
    deny({"DateLessThan": {"aws:TokenIssueTime": at(6).isoformat(), "aws:CurrentTime": at(9).isoformat()}}),
]  # fmt: skip
CALLERS: list[Caller] = [
    key(), key(issued=2), token(1), federated(4), session(None), replace(session(2), kind="scoped"),
    *(session(issued) for issued in range(0, 10, 3)),
]  # fmt: skip
REQUESTS: list[tuple[str, dict[str, object]]] = [
    ("DeleteUser", {"userName": "support"}),
    ("CreateUser", {"userName": "support"}),
    ("UpdateUser", {"userName": "support", "newUserName": "former"}),
    ("DeleteRole", {"roleName": "MyBucketRole"}),
    ("CreateRole", {"roleName": "MyBucketRole"}),
    ("DeleteRolePolicy", {"roleName": "MyBucketRole", "policyName": "P"}),
    ("DeleteUserPolicy", {"userName": "support", "policyName": "P"}),
    ("AttachRolePolicy", {"roleName": "MyBucketRole", "policyArn": OWN}),
    ("DetachRolePolicy", {"roleName": "MyBucketRole", "policyArn": OWN}),
    ("AttachUserPolicy", {"userName": "support", "policyArn": OWN}),
    ("AddUserToGroup", {"userName": "support", "groupName": "g"}),
    ("RemoveUserFromGroup", {"userName": "support", "groupName": "g"}),
    ("DeleteGroup", {"groupName": "g"}),
    ("UpdateAccessKey", {"userName": "support", "accessKeyId": "K", "status": "Inactive"}),
    ("UpdateAccessKey", {"userName": "support", "accessKeyId": "K", "status": "Active"}),
    ("DeleteAccessKey", {"accessKeyId": "K"}),
    ("PutRolePermissionsBoundary", {"roleName": "MyBucketRole", "permissionsBoundary": OWN}),
    ("DeleteRolePermissionsBoundary", {"roleName": "MyBucketRole"}),
    ("SetDefaultPolicyVersion", {"policyArn": OWN, "versionId": "v1"}),
]
LIVES = ("DeleteUser", "CreateUser", "UpdateUser", "DeleteRole", "CreateRole")
WRITES: list[tuple[str, dict[str, object]]] = [
    ("PutRolePolicy", {"roleName": "MyBucketRole", "policyName": "P"}),
    ("PutUserPolicy", {"userName": "support", "policyName": "P"}),
    ("PutGroupPolicy", {"groupName": "g", "policyName": "P"}),
    ("CreatePolicy", {"policyName": "Stop"}),
    ("CreatePolicyVersion", {"policyArn": OWN, "setAsDefault": True}),
]
calls = st.sampled_from(REQUESTS) | st.builds(
    lambda write, document: (write[0], {**write[1], "policyDocument": document}),
    st.sampled_from(WRITES),
    st.sampled_from(DOCUMENTS),
)
histories = st.lists(st.tuples(st.integers(0, 10), calls), max_size=12).map(
    lambda entries: [
        change(minute, name, request, event_id=f"e{index}")
        for index, (minute, (name, request)) in enumerate(entries)
    ]
)


def answers(changes: list[Change], minutes: tuple[int, ...] = (0, 3, 5, 8, 12)) -> list[object]:
    """All that can be said of all callers at several moments."""
    effects = Effects(changes)
    return [
        ask(caller, "K", at(minute))
        for minute in minutes
        for caller in CALLERS
        for ask in (effects.ended, effects.partly)
    ]


@given(history=histories, data=st.data())
def test_order_and_repetition_change_nothing(history: list[Change], data: st.DataObject) -> None:
    """Any permutation of the changes, with any of them repeated, gives the same answers."""
    repeated = history + data.draw(st.lists(st.sampled_from(history), max_size=5) if history else st.just([]))

    assert answers(history) == answers(data.draw(st.permutations(repeated)))


@given(history=histories, minute=st.integers(0, 12))
def test_the_future_changes_nothing(history: list[Change], minute: int) -> None:
    """What was so at a moment does not depend on what came after it."""
    past = [item for item in history if item.time <= at(minute)]
    asked = [caller for caller in CALLERS if caller.kind != "long_term_key"]

    for caller in asked:
        assert Effects(past).ended(caller, None, at(minute)) == Effects(history).ended(
            caller, None, at(minute)
        )


@given(history=histories, minutes=st.lists(st.integers(0, 14), min_size=2, max_size=8))
def test_what_was_asked_before_changes_nothing(history: list[Change], minutes: list[int]) -> None:
    """Each moment has the answers that it has where nothing else was asked, whichever moments came before."""
    asked = tuple(minutes)
    assert answers(history, asked) == [one for minute in asked for one in answers(history, (minute,))]


def test_what_stands_is_found_anew_only_when_something_has_changed() -> None:
    """Many moments between two changes ask for it once, but where a document looks at the clock."""
    for document, expected in ((older_than(3), 2), (DOCUMENTS[-1], 22)):
        effects = Effects([
            change(4, *put_of(document), event_id="a"), change(40, *put_of(older_than(8)), event_id="b"),
        ])  # fmt: skip
        moments = [at(minute) for minute in (*range(6, 27), 50)]
        found = calls_of(
            lambda effects=effects, moments=moments: [
                effects.ended(session(5), None, one) for one in moments
            ],
            named="_sort",
        )
        assert found == 1 + expected  # one for the account, on which nothing stands


def put_of(document: object) -> tuple[str, dict[str, object]]:
    return "PutRolePolicy", {"roleName": "MyBucketRole", "policyName": "P", "policyDocument": document}


@given(history=histories, caller=st.sampled_from(CALLERS), minute=st.integers(0, 12))
def test_an_ending_lies_between_its_cause_or_the_issue_and_now(
    history: list[Change], caller: Caller, minute: int
) -> None:
    """No credential ends before it is issued or before what ended it was done, nor later than asked."""
    ending = Effects(history).ended(caller, "K", at(minute))

    if ending is not None:
        assert ending.at == max(ending.done_at, caller.issued_at or ending.done_at)
        assert ending.at <= at(minute)
        assert ending.by in {item.event_id for item in history}


@given(
    history=histories.map(
        lambda items: [item for item in items if item.event_name in ("PutRolePolicy", "PutUserPolicy")]
    ),
    caller=st.sampled_from(CALLERS),
)
def test_an_action_undone_leaves_no_ending(history: list[Change], caller: Caller) -> None:
    """Deleting the policies gives back every credential that they ended."""
    undone = [
        *history,
        change(20, "DeleteRolePolicy", {"roleName": "MyBucketRole", "policyName": "P"}),
        change(20, "DeleteUserPolicy", {"userName": "support", "policyName": "P"}),
    ]

    assert Effects(undone).ended(caller, "K", at(21)) is None


@given(
    history=histories.map(lambda items: [item for item in items if item.event_name not in LIVES]),
    extra=st.sampled_from(["role", "user"]),
    caller=st.sampled_from(CALLERS),
)
def test_a_further_deny_revives_nothing(history: list[Change], extra: str, caller: Caller) -> None:
    """A deny-all under a new name can only end more, and never later, while names mean the same."""
    put = put_role(11, deny(), policy="new") if extra == "role" else put_user(11, deny(), policy="new")
    before = Effects(history).ended(caller, "K", at(12))
    after = Effects([*history, put]).ended(caller, "K", at(12))

    if before is not None:
        assert after is not None
        assert after.at <= before.at


@given(
    cutoffs=st.lists(st.tuples(st.integers(0, 20), st.none() | st.integers(0, 25)), max_size=8),
    issued=st.integers(0, 20),
)
def test_the_fast_way_agrees_with_a_plain_walk(cutoffs: list[tuple[int, int | None]], issued: int) -> None:
    """Of revocations written over each other, the unbroken run that covers the session tells since when."""
    ordered = sorted(cutoffs, key=lambda entry: entry[0])
    history = [
        put_role(minute + index / 1000, deny() if cutoff is None else older_than(cutoff))
        for index, (minute, cutoff) in enumerate(ordered)
    ]
    expected = None
    for item, (_, cutoff) in zip(reversed(history), reversed(ordered), strict=True):
        if cutoff is not None and issued >= cutoff:
            break
        expected = max(item.time, at(issued))

    ending = Effects(history).ended(session(issued), None, at(30))

    assert expected == (ending.at if ending else None)


def test_two_records_of_one_event_id_give_one_answer() -> None:
    """A forged log that uses an event id twice does not make the answer depend on the order of reading."""
    one, two = replace(put_role(10, deny()), event_id="same"), replace(put_role(12, allow()), event_id="same")

    assert answers([one, two]) == answers([two, one])


def test_very_many_sessions_under_twenty_thousand_revocations() -> None:
    """A role revoked every few seconds, with all its sessions, is answered in seconds."""
    history = [put_role(index / 10, older_than(index / 10)) for index in range(20_000)]
    callers = [session(index / 10) for index in range(20_000)]
    begun = time.thread_time()
    effects = Effects(history)
    found = [effects.ended(caller, None, at(3_000)) for caller in callers]

    assert found[0] is not None
    assert found[0].at == at(0.1)
    assert sum(ending is not None for ending in found) == 19_999
    assert time.thread_time() - begun < 120


@given(history=histories, others=histories, caller=st.sampled_from(CALLERS), minute=st.integers(0, 12))
def test_what_is_done_in_other_accounts_changes_nothing(
    history: list[Change], others: list[Change], caller: Caller, minute: int
) -> None:
    """The changes in a credential's own accounts tell all that those of every account do, names and keys alike."""
    elsewhere = [_elsewhere(one) for one in others]
    mine = accounts([caller])

    assert mine is not None
    told = [Effects(some) for some in (history, [*history, *elsewhere])]
    asked = [
        [ask(caller, "K", at(minute)) for ask in (effects.ended, effects.partly)]
        for effects in (*told, Effects(one for one in [*history, *elsewhere] if one.account in mine))
    ]
    assert asked[0] == asked[1] == asked[2]


def _elsewhere(one: Change) -> Change:
    """The same call in an account of somebody else, whose policies have ARNs of their own."""
    request = {
        name: value.replace(ACCOUNT, OTHER) if isinstance(value, str) else value
        for name, value in one.request.items()
    }
    return replace(one, account=OTHER, event_id=f"o{one.event_id}", request=request)


def test_a_credential_of_no_known_account_is_asked_of_all() -> None:
    """Where a credential tells no account, no change may be left out."""
    assert accounts([key(), Caller(kind="unknown", account=None)]) is None
