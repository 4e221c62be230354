"""What changes do to credentials."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from policy_cases import (
    ACCOUNT,
    ROLE,
    allow,
    at,
    change,
    deny,
    federated,
    key,
    older_than,
    put_role,
    put_user,
    root_session,
    session,
    token,
)  # fmt: skip

from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.effects import Effects, Ending, Note
from tokentrail.policy.history.replay import IAM_HANDLERS
from tokentrail.policy.history.service_control_policies import ORGANIZATIONS_HANDLERS
from tokentrail.policy.language.context import Caller

KEY_ID = "AKIAEXAMPLE"
USER_CREDENTIALS = [key(), token(), federated(), replace(token(), kind="console_session")]


def ended(
    changes: list[Change], caller: Caller, minute: float = 100, key_id: str | None = None
) -> Ending | None:
    """What ended a credential by a minute."""
    return Effects(changes).ended(caller, key_id, at(minute))


def since(
    changes: list[Change], caller: Caller, minute: float = 100, key_id: str | None = None
) -> float | None:
    """Since which minute a credential has been ended."""
    ending = ended(changes, caller, minute, key_id)
    return None if ending is None else (ending.at - at(0)).total_seconds() / 60


def notes(changes: list[Change], caller: Caller, minute: float = 100) -> list[tuple[str, str]]:
    """What limits a credential, and how surely."""
    return [(note.certainty, note.sentence) for note in Effects(changes).partly(caller, None, at(minute))]


def key_status(
    minute: float, status: str, *, user: str | None = "support", caller_user: str | None = None
) -> Change:
    """An UpdateAccessKey."""
    request = {"accessKeyId": KEY_ID, "status": status} | ({"userName": user} if user else {})
    return change(minute, "UpdateAccessKey", request, caller_user=caller_user)


def attach(
    minute: float, arn: str, *, what: str = "User", name: str = "support", verb: str = "Attach"
) -> Change:
    """An Attach or Detach call."""
    return change(minute, f"{verb}{what}Policy", {f"{what.lower()}Name": name, "policyArn": arn})


DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
OWN = f"arn:aws:iam::{ACCOUNT}:policy/Stop"


def create_policy(minute: float, document: str) -> Change:
    """A CreatePolicy of the policy OWN."""
    return change(
        minute,
        "CreatePolicy",
        {"policyName": "Stop", "policyDocument": document},
        response={"policy": {"arn": OWN, "defaultVersionId": "v1"}},
    )


# Long-term keys


def test_a_deactivated_key_is_ended_from_then_on() -> None:
    """UpdateAccessKey Inactive ends the key, changes at the very second included."""
    changes = [key_status(10, "Inactive")]

    assert since(changes, key(), 9.9, KEY_ID) is None
    assert since(changes, key(), 10, KEY_ID) == 10


def test_a_key_made_active_again_is_not_ended() -> None:
    """What is undone counts as undone, and a second deactivation counts from its own time."""
    changes = [key_status(10, "Inactive"), key_status(20, "Active"), key_status(30, "Inactive")]

    assert since(changes, key(), 15, KEY_ID) == 10
    assert since(changes, key(), 25, KEY_ID) is None
    assert since(changes, key(), 35, KEY_ID) == 30


def test_deleting_a_deactivated_key_does_not_move_its_end() -> None:
    """The key has not worked since it was deactivated, and a deleted key never returns."""
    delete = change(20, "DeleteAccessKey", {"userName": "support", "accessKeyId": KEY_ID})

    assert since([key_status(10, "Inactive"), delete], key(), 30, KEY_ID) == 10
    assert since([delete, key_status(25, "Active")], key(), 30, KEY_ID) == 20


def test_a_key_is_found_by_its_id_when_no_user_is_named() -> None:
    """A call without userName means the caller's own user; the key id says enough."""
    changes = [key_status(10, "Inactive", user=None, caller_user="support")]

    assert since(changes, key(), key_id=KEY_ID) == 10
    assert since([key_status(10, "Inactive", user=None)], key(), key_id=KEY_ID) == 10


@pytest.mark.parametrize("caller", [token(), federated(), session()])
def test_deactivating_a_key_ends_no_token_made_with_it(caller: Caller) -> None:
    """Session tokens, federation tokens and role sessions go on when the key is gone."""
    assert since([key_status(10, "Inactive")], caller, key_id=KEY_ID) is None


def test_a_root_key_can_be_deactivated_but_not_denied() -> None:
    """IAM policies do not touch root; its key can be made inactive like any other."""
    root = Caller(
        kind="long_term_key", account=ACCOUNT, principal=f"arn:aws:iam::{ACCOUNT}:root", principal_id=ACCOUNT
    )

    assert since([put_user(5, deny()), key_status(10, "Inactive", user=None)], root, key_id=KEY_ID) == 10
    assert since([put_user(5, deny())], root, key_id=KEY_ID) is None


# Denials on users


@pytest.mark.parametrize("caller", USER_CREDENTIALS)
def test_a_deny_on_the_user_ends_all_credentials_of_the_user(caller: Caller) -> None:
    """Keys, session tokens, federation tokens and console sessions have the user's permissions."""
    assert since([put_user(10, deny())], caller) == 10
    assert since([attach(10, DENY_ALL)], caller) == 10


def test_a_deny_on_the_user_ends_no_role_session_minted_with_it() -> None:
    """A role session has the role's permissions, whoever opened it."""
    assert since([put_user(10, deny()), change(11, "DeleteUser", {"userName": "support"})], session()) is None


@pytest.mark.parametrize("caller", USER_CREDENTIALS)
def test_names_are_compared_without_case(caller: Caller) -> None:
    """IAM's names are unique regardless of case."""
    assert since([put_user(10, deny(), user="SUPPORT")], caller) == 10


def test_a_user_cutoff_ends_tokens_and_spares_the_key() -> None:
    """TokenIssueTime is not on requests of long-term keys, which go on and mint anew."""
    changes = [put_user(10, older_than(10))]

    assert since(changes, token(0)) == 10
    assert since(changes, federated(0)) == 10
    assert since(changes, key(), key_id=KEY_ID) is None
    assert since(changes, token(11)) is None


def test_other_users_accounts_and_kinds_are_not_touched() -> None:
    """A deny bears on its own user in its own account alone."""
    elsewhere = change(
        10,
        "PutUserPolicy",
        {"userName": "support", "policyName": "P", "policyDocument": deny()},
        account="444455556666",
    )

    assert (
        since([put_user(10, deny(), user="ria"), elsewhere, put_role(10, deny(), role="support")], token())
        is None
    )


def test_removing_the_policy_lifts_the_deny() -> None:
    """DeleteUserPolicy and DetachUserPolicy give the user's credentials back."""
    lift = change(20, "DeleteUserPolicy", {"userName": "support", "policyName": "p"})

    assert since([put_user(10, deny()), lift], token(), 25) is None
    assert since([attach(10, DENY_ALL), attach(20, DENY_ALL, verb="Detach")], token(), 25) is None
    assert since([attach(10, DENY_ALL), attach(20, DENY_ALL, verb="Detach")], token(), 15) == 10


@pytest.mark.parametrize("kind", ["User", "Group", "Role"])
@pytest.mark.parametrize(
    ("puts", "lifts"),
    [
        ("Put{}Policy", "Delete{}Policy"),
        ("Attach{}Policy", "Detach{}Policy"),
        ("Put{}PermissionsBoundary", "Delete{}PermissionsBoundary"),
    ],
)
def test_what_one_call_denies_its_counterpart_lifts(puts: str, lifts: str, kind: str) -> None:
    """Whether inline, attached or as a boundary, which groups have none of."""
    request = {
        "userName": "support", "groupName": "Blocked", "roleName": "MyBucketRole", "policyName": "P",
        "policyDocument": deny(), "policyArn": DENY_ALL, "permissionsBoundary": DENY_ALL,
    }  # fmt: skip
    joins = change(5, "AddUserToGroup", {"userName": "support", "groupName": "Blocked"})
    changes = [joins, change(10, puts.format(kind), request), change(20, lifts.format(kind), request)]
    caller = session() if kind == "Role" else token()
    standing = None if (kind, puts[-8:]) == ("Group", "Boundary") else 10

    assert [standing, None] == [since(changes, caller, minute) for minute in (15, 25)]


def test_the_earliest_standing_deny_counts() -> None:
    """Of several denials in force the first counts; one lifted again does not."""
    lift = change(30, "DeleteUserPolicy", {"userName": "support", "policyName": "first"})
    changes = [put_user(10, deny(), policy="first"), put_user(20, deny(), policy="second"), lift]

    assert since(changes, token(), 25) == 10
    assert since(changes, token(), 35) == 20


def test_writing_a_deny_over_a_deny_does_not_restart_it() -> None:
    """A policy rewritten under its name, still denying, has denied since it first did."""
    assert since([put_user(10, deny()), put_user(20, deny(Action=["*"]))], token(), 30) == 10
    assert since([put_user(10, deny()), put_user(20, allow()), put_user(25, deny())], token(), 30) == 25


# Groups


def member(minute: float, verb: str = "AddUserToGroup") -> Change:
    """Somebody joins or leaves the group."""
    return change(minute, verb, {"userName": "support", "groupName": "Blocked"})


def put_group(minute: float) -> Change:
    """A PutGroupPolicy that denies everything."""
    return change(
        minute, "PutGroupPolicy", {"groupName": "Blocked", "policyName": "P", "policyDocument": deny()}
    )


def test_a_group_denies_its_members_while_they_are_in_it() -> None:
    """The deny begins with membership or policy, whichever is later, and ends with either."""
    assert since([put_group(5), member(10)], token(), 20) == 10
    assert since([member(5), put_group(10)], token(), 20) == 10
    assert since([member(5), put_group(10), member(15, "RemoveUserFromGroup")], token(), 20) is None
    assert since([put_group(5)], token(), 20) is None


def test_a_group_may_deny_by_an_attached_policy_and_under_a_new_name() -> None:
    """Renaming the group changes nothing for its members."""
    rename = change(12, "UpdateGroup", {"groupName": "Blocked", "newGroupName": "Other"})
    lift = change(20, "DetachGroupPolicy", {"groupName": "Other", "policyArn": DENY_ALL})
    changes = [member(5), attach(10, DENY_ALL, what="Group", name="Blocked"), rename, lift]

    assert since(changes, token(), 15) == 10
    assert since(changes, token(), 25) is None


@pytest.mark.parametrize("attached", [False, True])
def test_a_deleted_group_denies_nothing(attached: bool) -> None:
    """With the group go its policies, though nobody was seen to detach them."""
    denied = attach(10, DENY_ALL, what="Group", name="Blocked") if attached else put_group(10)
    changes = [member(5), denied, change(15, "DeleteGroup", {"groupName": "Blocked"})]

    assert since(changes, token(), 12) == 10
    assert since(changes, token(), 20) is None


# Roles


def test_a_revocation_ends_sessions_issued_before_its_cutoff() -> None:
    """The sessions open at the revocation stop, those opened after its cutoff work."""
    changes = [put_role(10, older_than(10))]

    assert since(changes, session(0)) == 10
    assert since(changes, session(10)) is None
    assert since(changes, session(12)) is None


def test_a_session_minted_before_a_future_cutoff_is_born_ended() -> None:
    """The console's cutoff lies in the future; what is minted until then never works."""
    changes = [put_role(10, older_than(10.5))]
    ending = ended(changes, session(10.25))

    assert ending is not None
    assert (at(10.25), at(10)) == (ending.at, ending.done_at)
    assert ending.event_name == "PutRolePolicy"
    assert "AWS" not in ending.sentence
    assert "inline policy P of role MyBucketRole denies every action on every resource" in ending.sentence


def test_a_session_has_no_end_before_it_exists() -> None:
    """Asked about a moment before the issue, nothing has ended it yet."""
    assert since([put_role(10, deny())], session(20), 15) is None


def test_a_second_revocation_keeps_what_the_first_ended() -> None:
    """The console rewrites its policy with a later cutoff; what had ended stays so since the first."""
    changes = [put_role(10, older_than(10)), put_role(20, older_than(20))]

    assert [since(changes, session(issued)) for issued in (0, 15, 25)] == [10, 20, None]


def test_an_earlier_cutoff_gives_later_sessions_back() -> None:
    """A policy rewritten with an earlier cutoff no longer denies what lies between."""
    changes = [put_role(10, older_than(10)), put_role(20, older_than(5))]

    assert [since(changes, session(issued), 30) for issued in (0, 7)] == [10, None]


def test_a_deny_by_session_name_spares_the_colleague() -> None:
    """`aws:userid` ends the sessions of that name, and no other."""
    changes = [put_role(10, deny({"StringLike": {"aws:userid": "*:mallory"}}))]

    assert since(changes, session(name="mallory")) == 10
    assert since(changes, session(name="ria")) is None


def test_a_deny_by_source_identity_reaches_every_session_that_carries_it() -> None:
    """The source identity can't be changed on the way."""
    changes = [put_role(10, deny({"StringEquals": {"aws:SourceIdentity": "mallory"}}))]

    assert since(changes, replace(session(), source_identity="mallory")) == 10
    assert since(changes, session()) is None


def test_deleting_a_role_ends_its_sessions_for_good() -> None:
    """A role made anew under the name does not revive them; its own sessions work."""
    changes = [
        change(10, "DeleteRole", {"roleName": "MyBucketRole"}),
        change(20, "CreateRole", {"roleName": "MyBucketRole"}, response={"role": {"roleId": "AROANEW"}}),
    ]

    assert since(changes, session(0), 30) == 10
    assert since(changes, session(10), 30) == 10
    assert since(changes, session(20, unique="AROANEW"), 30) is None
    assert since(changes, session(25, unique="AROAOLD"), 30) is None


def test_a_session_whose_roles_id_is_not_told_is_found_by_its_name() -> None:
    """Though the log tells the id of the role."""
    born = change(5, "CreateRole", {"roleName": "MyBucketRole"}, response={"role": {"roleId": "AROAEXAMPLE"}})
    unnamed = replace(session(6), principal_id=None)

    assert since([born, change(10, "DeleteRole", {"roleName": "MyBucketRole"})], unnamed) == 10


def test_the_policies_of_an_old_role_do_not_bear_on_the_new_one() -> None:
    """A name is not an identity."""
    changes = [
        put_role(5, deny()),
        change(10, "DeleteRole", {"roleName": "MyBucketRole"}),
        change(20, "CreateRole", {"roleName": "MyBucketRole"}),
    ]

    assert since(changes, session(25)) is None


def test_a_role_made_anew_shows_that_the_old_one_was_gone() -> None:
    """Even where its deletion is not in the evidence, since names are unique."""
    changes = [
        change(20, "CreateRole", {"roleName": "MyBucketRole"}, response={"role": {"roleId": "AROANEW"}})
    ]
    ending = ended(changes, session(0))

    assert ending is not None
    assert ending.at == at(20)
    assert "made anew" in ending.sentence
    assert since(changes, session(0), 15) is None


def test_a_session_issued_after_the_deletion_is_not_said_to_be_ended() -> None:
    """The role must have come back unseen, or the deletion had not spread yet; the log does not tell."""
    changes = [change(10, "DeleteRole", {"roleName": "MyBucketRole"})]

    assert since(changes, session(11)) is None
    assert notes(changes, session(11)) == [
        ("undecided", "the role MyBucketRole was gone when this was issued, and its return was not seen")
    ]


def test_roles_of_identity_center_are_treated_like_roles() -> None:
    """Its reserved roles are edited by Identity Center, with the same effect."""
    arn = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef"
    caller = replace(session(role=arn), kind="identity_center")

    assert since([put_role(10, deny(), role="AWSReservedSSO_Admin_0123456789abcdef")], caller) == 10


def test_a_session_is_found_by_its_own_arn_where_the_roles_is_missing() -> None:
    """The session's ARN names the role too, without its path."""
    assert since([put_role(10, deny())], replace(session(), role=None)) == 10


# Managed policies


def test_a_managed_policy_denies_where_it_is_attached() -> None:
    """The document counts from attachment, and each default version from when it became one."""
    version = change(
        20,
        "CreatePolicyVersion",
        {"policyArn": OWN, "policyDocument": deny(), "setAsDefault": True},
        response={"policyVersion": {"versionId": "v2"}},
    )
    back = change(30, "SetDefaultPolicyVersion", {"policyArn": OWN, "versionId": "v1"})
    again = change(40, "SetDefaultPolicyVersion", {"policyArn": OWN, "versionId": "v2"})
    changes = [create_policy(5, allow()), attach(10, OWN), version, back, again]

    assert [since(changes, token(), minute) for minute in (15, 25, 35, 45)] == [None, 20, None, 40]


def test_a_version_that_is_not_the_default_has_no_effect() -> None:
    """CreatePolicyVersion without setAsDefault changes nothing."""
    version = change(20, "CreatePolicyVersion", {"policyArn": OWN, "policyDocument": deny()})

    assert since([create_policy(5, allow()), attach(10, OWN), version], token()) is None


def test_an_attached_policy_of_which_the_document_is_unknown_is_noted() -> None:
    """It is neither taken for a deny nor forgotten."""
    changes = [attach(10, OWN)]

    assert since(changes, token()) is None
    assert [
        (
            "undecided",
            f"managed policy {OWN} of user support: undecided, since its document is not in the evidence",
        )
    ] == notes(changes, token())


def test_a_default_version_that_was_never_seen_is_undecided() -> None:
    """SetDefaultPolicyVersion to a version from before the evidence leaves it open."""
    changes = [
        create_policy(5, deny()),
        attach(10, OWN),
        change(20, "SetDefaultPolicyVersion", {"policyArn": OWN, "versionId": "v7"}),
    ]

    assert since(changes, token(), 15) == 10
    assert since(changes, token(), 25) is None
    assert [note[0] for note in notes(changes, token(), 25)] == ["undecided"]


def test_a_policy_made_without_an_answer_in_the_log_is_found_by_name_and_path() -> None:
    """The ARN follows from account, path and name."""
    create = change(5, "CreatePolicy", {"policyName": "Stop", "path": "/ir/", "policyDocument": deny()})

    assert since([create, attach(10, f"arn:aws:iam::{ACCOUNT}:policy/ir/Stop")], token()) == 10


def test_policies_of_aws_are_known() -> None:
    """AWSDenyAll ends, the quarantine limits, AdministratorAccess does neither."""
    quarantine = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"

    assert since([attach(10, DENY_ALL, what="Role", name="MyBucketRole")], session()) == 10
    assert since([attach(10, quarantine)], key()) is None
    ((certainty, sentence),) = notes([attach(10, quarantine)], key())
    assert certainty == "partly"
    assert sentence.endswith("sts:AssumeRole is not denied")
    assert notes([attach(10, "arn:aws:iam::aws:policy/AdministratorAccess")], key()) == []


@pytest.mark.parametrize(
    ("version", "certain", "why"),
    [("", "partly", "sts:AssumeRole is not denied"), ("V2", "partly", "sts:AssumeRole is not denied"),
     ("V4", "undecided", "AWS's list of the actions that it denies is not known here")],
)  # fmt: skip
def test_each_quarantine_of_awss_is_told_as_what_it_is(version: str, certain: str, why: str) -> None:
    """The first ones deny lists of actions that are known; of what AWS made since, it is not said that it denies none."""
    ((certainty, sentence),) = notes(
        [attach(10, f"arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine{version}")], key()
    )

    assert certainty == certain and why in sentence


# Boundaries


def boundary(minute: float, arn: str | None, what: str = "User", name: str = "support") -> Change:
    """A boundary is put, or removed."""
    if arn is None:
        return change(minute, f"Delete{what}PermissionsBoundary", {f"{what.lower()}Name": name})
    return change(
        minute, f"Put{what}PermissionsBoundary", {f"{what.lower()}Name": name, "permissionsBoundary": arn}
    )


def test_a_boundary_that_denies_ends_like_a_policy() -> None:
    """There is one boundary at most: another one takes its place."""
    changes = [create_policy(1, allow()), boundary(10, DENY_ALL), boundary(20, OWN), boundary(30, DENY_ALL)]

    assert [since(changes, token(), minute) for minute in (15, 25, 35)] == [10, None, 30]
    assert since([*changes, boundary(40, None)], token(), 45) is None
    assert since([boundary(10, DENY_ALL, "Role", "MyBucketRole")], session()) == 10


def test_a_boundary_given_at_birth_counts() -> None:
    """CreateUser may set it."""
    created = change(0, "CreateUser", {"userName": "support", "permissionsBoundary": DENY_ALL})

    assert since([created], token(5)) == 5


def test_a_boundary_that_allows_nothing_is_noted() -> None:
    """It leaves what a resource policy grants the session itself."""
    only = deny(Action="s3:*")
    changes = [create_policy(1, only), boundary(10, OWN)]

    assert since(changes, token()) is None
    assert any("allows nothing" in sentence for _, sentence in notes(changes, token()))

    both = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [json.loads(allow())["Statement"], *json.loads(only)["Statement"]],
        }
    )
    assert notes([create_policy(1, both), boundary(10, OWN)], token())
    assert not any(
        "allows nothing" in told for _, told in notes([create_policy(1, both), boundary(10, OWN)], token())
    )


# Users come and go


@pytest.mark.parametrize("caller", USER_CREDENTIALS)
def test_deleting_the_user_ends_all_credentials_of_the_user(caller: Caller) -> None:
    """With the user goes all that speaks for it."""
    assert since([change(10, "DeleteUser", {"userName": "support"})], caller) == 10


def test_a_key_belongs_to_the_user_that_it_was_made_for() -> None:
    """A user made anew has new keys; the old user's key does not come back."""
    changes = [
        change(10, "DeleteUser", {"userName": "support"}),
        change(20, "CreateUser", {"userName": "support"}, response={"user": {"userId": "AIDANEW"}}),
        change(
            21, "CreateAccessKey", {"userName": "support"}, response={"accessKey": {"accessKeyId": KEY_ID}}
        ),
    ]

    assert since(changes, key(), key_id=KEY_ID) is None
    assert since(changes, replace(key(), principal_id="AIDANEW"), key_id="AKIAOTHER") is None
    assert since(changes, key(issued=5), key_id="AKIAOLD") == 10


def test_things_made_in_one_second_happen_in_the_only_possible_order() -> None:
    """A user, its key and its policy made within a second are one life, whatever their event ids."""
    created = change(10, "CreateUser", {"userName": "support"}, event_id="z")
    made = change(
        10,
        "CreateAccessKey",
        {"userName": "support"},
        response={"accessKey": {"accessKeyId": KEY_ID}},
        event_id="a",
    )
    denied = replace(put_user(10, deny()), event_id="b")

    assert since([created, made], key(), key_id=KEY_ID) is None
    assert since([created, made, denied], key(), key_id=KEY_ID) == 10


def test_a_deny_put_and_lifted_in_one_second_counts_as_lifted() -> None:
    """The log does not tell their order; a credential that may live is not called dead."""
    lift = replace(change(10, "DeleteUserPolicy", {"userName": "support", "policyName": "P"}), event_id="a")

    assert since([replace(put_user(10, deny()), event_id="z"), lift], token()) is None


def test_a_key_deactivated_and_made_active_in_one_second_counts_as_active() -> None:
    """As with denials: whatever their event ids, a key that may live is not called dead."""
    stopped = replace(key_status(10, "Inactive"), event_id="z")

    assert since([stopped, replace(key_status(10, "Active"), event_id="a")], key(), key_id=KEY_ID) is None


def test_a_renamed_user_keeps_its_policies() -> None:
    """The deny follows the user, and a stranger under the old name does not inherit it."""
    rename = change(10, "UpdateUser", {"userName": "support", "newUserName": "former"})
    again = change(20, "CreateUser", {"userName": "support"}, response={"user": {"userId": "AIDANEW"}})
    changes = [put_user(5, deny()), rename, again]

    assert since(changes, token(0, user="former")) == 5
    assert since(changes, token(0)) == 5
    assert since(changes, token(25)) == 25
    assert since(changes, replace(token(25), principal_id="AIDANEW")) is None


def test_a_user_renamed_to_the_name_of_one_that_is_gone_is_not_mistaken_for_it() -> None:
    """Who of two held the name can't be told from the time of issue alone."""
    changes = [
        change(10, "DeleteUser", {"userName": "support"}),
        change(20, "UpdateUser", {"userName": "ria", "newUserName": "support"}),
    ]

    assert since(changes, token(5)) is None
    assert [note[0] for note in notes(changes, token(5))] == ["undecided"]


def test_deleting_the_password_ends_no_session() -> None:
    """DeleteLoginProfile stops new sign-ins only."""
    changes = [change(10, "DeleteLoginProfile", {"userName": "support"})]

    assert since(changes, replace(token(), kind="console_session")) is None


# What the log does not tell


def test_a_session_of_unknown_issue_is_not_said_to_be_cut_off() -> None:
    """A cutoff can't be judged without the issue time, unless a bound suffices."""
    changes = [put_role(10, older_than(10))]

    assert since(changes, session(None)) is None
    assert [note[0] for note in notes(changes, session(None))] == ["undecided"]
    assert since(changes, replace(session(None), issued_no_later_than=at(9))) == 10
    assert since(changes, replace(session(None), issued_no_later_than=at(11))) is None
    assert since([put_role(10, deny())], session(None)) == 10


def test_a_document_that_could_not_be_read_is_noted() -> None:
    """A record without its document, as CloudTrail leaves out what is too long, ends nothing and is told."""
    changes = [put_role(10, "{")]

    assert since(changes, session()) is None
    assert notes(changes, session()) == [
        ("undecided", "inline policy P of role MyBucketRole: undecided, since it is not JSON")
    ]


def test_a_deny_by_address_is_noted() -> None:
    """From where the next call comes, nobody knows."""
    changes = [put_role(10, deny({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}))]

    assert since(changes, session()) is None
    ((certainty, sentence),) = notes(changes, session())
    assert (certainty, sentence.rpartition(": ")[2]) == ("undecided", "aws:SourceIp")


def test_a_deny_with_dates_of_its_own_begins_and_ends_by_itself() -> None:
    """Conditions on the clock are judged at the moment asked about."""
    window = {
        "DateGreaterThan": {"aws:CurrentTime": at(20).isoformat()},
        "DateLessThan": {"aws:CurrentTime": at(30).isoformat()},
    }
    changes = [put_role(10, deny(window))]

    assert [since(changes, session(), m) for m in (15, 20, 25, 30)] == [None, None, 20 + 1 / 60, None]
    assert since([put_role(25, deny(window))], session(), 25) == 25


def test_wrong_types_in_a_request_are_survived() -> None:
    """A hostile or damaged record costs itself alone."""
    junk: list[dict[str, object]] = [
        {},
        {"userName": 5, "roleName": [], "policyName": {}, "policyArn": None, "accessKeyId": 1},
        {"userName": "support", "roleName": "MyBucketRole", "groupName": "g", "policyName": "P"},
    ]  # fmt: skip
    answers: list[dict[str, object] | None] = [
        None, {"accessKey": "x"}, {"policy": {"policySummary": []}}
    ]  # fmt: skip
    calls = [(name, "iam.amazonaws.com") for name in IAM_HANDLERS]
    calls += [(name, "organizations.amazonaws.com") for name in ORGANIZATIONS_HANDLERS]
    changes = [
        change(minute, name, request, response=response, event_source=source)
        for minute, (name, source) in enumerate(calls)
        for request in junk
        for response in answers
        if not name.startswith(("DeleteUser", "DeleteRole", "CreateUser", "CreateRole"))
    ]
    effects = Effects([*changes, put_role(90, deny())])

    assert effects.ended(session(), None, at(95)) is not None
    assert isinstance(effects.partly(token(), None, at(95)), tuple)


def test_unknown_callers_are_survived() -> None:
    """A credential of which nothing is known has no ending and no notes."""
    nobody = Caller(kind="unknown", account=None)
    effects = Effects([put_role(10, deny()), put_user(10, deny())])

    assert effects.ended(nobody, None, at(20)) is None
    assert effects.partly(nobody, None, at(20)) == ()


def test_the_story() -> None:
    """Each step of the naive responder ends what it ends, and not what it seems to."""
    changes = [key_status(30, "Inactive"), put_role(40, older_than(40.5), policy="AWSRevokeOlderSessions")]
    effects = Effects(changes)

    def alive(caller: Caller, minute: float) -> bool:
        return effects.ended(caller, KEY_ID, at(minute)) is None

    a, b, c, d = key(), token(5), session(10), session(41)
    assert [alive(credential, 35) for credential in (a, b, c)] == [False, True, True]
    assert [alive(credential, 45) for credential in (a, b, c, d)] == [False, True, False, True]
    assert effects.ended(a, KEY_ID, at(45)) == Ending(
        at=at(30),
        by=changes[0].event_id,
        event_name="UpdateAccessKey",
        done_at=at(30),
        sentence="UpdateAccessKey made the key inactive",
        unusable=True,
    )


def test_notes_carry_their_event() -> None:
    """Whoever reads a note can look up the record behind it."""
    changes = [attach(10, OWN)]
    (note,) = Effects(changes).partly(token(), None, at(20))

    assert note == Note(
        certainty="undecided",
        at=at(10),
        event_id=changes[0].event_id,
        event_name="AttachUserPolicy",
        sentence=note.sentence,
    )


def test_root_sessions_are_beyond_iam() -> None:
    """No IAM policy of the account bears on AssumeRoot sessions."""
    assert since([put_user(5, deny()), put_role(5, deny())], root_session()) is None


def test_role_arn_names_the_account() -> None:
    """A session is the credential of its role's account."""
    assert (
        since([put_role(10, deny())], replace(session(), role=ROLE.replace(ACCOUNT, "444455556666"))) is None
    )
