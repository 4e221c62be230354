"""Who bore which name when, by the calls that create, rename and delete users and roles."""

from __future__ import annotations

from policy_cases import ACCOUNT, at, change

from tokentrail.aws.principals import Principal
from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.effects import Effects
from tokentrail.policy.history.ledger import NameBindings

USER, ROLE = Principal(ACCOUNT, "user", "support"), Principal(ACCOUNT, "role", "Backup")


def made(minute: float, name: str) -> Change:
    """A CreateUser."""
    return change(minute, "CreateUser", {"userName": name})


def gone(minute: float, name: str = "support") -> Change:
    """A DeleteUser."""
    return change(minute, "DeleteUser", {"userName": name})


def renamed(minute: float, old: str, new: str) -> Change:
    """An UpdateUser with a new name."""
    return change(minute, "UpdateUser", {"userName": old, "newUserName": new})


def test_whoever_was_deleted_last_is_gone() -> None:
    """A user is gone since its last deletion, whatever the case and order; one made again is not, nor one put away."""
    assert {USER: at(9)} == NameBindings([gone(9), made(5, "Support"), gone(1)]).deleted()
    assert {} == NameBindings([gone(1), made(5, "support")]).deleted()
    assert {} == NameBindings([gone(1), renamed(0, "support", "former")]).deleted()


def test_a_role_that_was_made_anew_of_a_template_is_not_gone() -> None:
    """AcquireRole makes a role as CreateRole does."""
    deleted = change(1, "DeleteRole", {"roleName": "Backup"})
    again = change(2, "AcquireRole", {"roleName": "Backup"})

    assert {ROLE: at(1)} == NameBindings([deleted]).deleted()
    assert {} == NameBindings([deleted, again]).deleted()


def test_a_user_that_was_renamed_to_the_name_of_a_deleted_one_is_not_gone() -> None:
    """The name is in use again; whoever deletes the user by it, deletes it then."""
    changes = [gone(1), renamed(2, "ria", "support")]

    assert {} == NameBindings(changes).deleted()
    assert {USER: at(3)} == NameBindings([*changes, gone(3)]).deleted()


def test_a_renamed_user_has_its_last_name_until_another_gets_its_first() -> None:
    """Calls of the old name are about the user with its present name, or about whoever was made with or given the old."""
    moves = [renamed(1, "support", "a"), renamed(2, "a", "b")]

    assert {USER: "b", Principal(ACCOUNT, "user", "a"): "b"} == NameBindings(moves).present_names()
    for other in (made(3, "support"), renamed(3, "ria", "support")):
        names = NameBindings([*moves, other])
        assert USER not in names.present_names() and {USER: "b"} == names.namesakes()
    back = NameBindings([*moves, renamed(3, "b", "support")])
    assert USER not in back.present_names() and {} == back.namesakes()


def test_a_name_means_another_once_its_user_was_renamed() -> None:
    """A rename counts in its second; another path, or the same name, is none."""
    names = NameBindings(
        [renamed(2, "support", "a"), renamed(5, "ria", "ria"), change(6, "UpdateUser", {"userName": "ria", "newPath": "/x/"})]
    )  # fmt: skip

    spans = [(0, 1), (1, 2), (2, 3), (3, 9)]
    assert [False, True, True, False] == [
        names.renamed_between(ACCOUNT, "user", "Support", at(one), at(other)) for one, other in spans
    ]
    assert not names.renamed_between(ACCOUNT, "user", "ria", at(0), at(9))


def test_names_are_bound_alike_with_and_without_what_else_was_done() -> None:
    """What policies were put on a user changes nothing of who bears its name."""
    policy = {"userName": "support", "policyName": "p", "policyDocument": "{}"}
    changes = [gone(1), change(2, "PutUserPolicy", policy), renamed(3, "ria", "other")]

    assert NameBindings(changes).deleted() == Effects(changes).deleted() == {USER: at(1)}
